//! What is refused. RE2 refused every pattern here as well.

use super::check_refused;

#[test]
fn look_around_is_refused() {
    check_refused(&["(?=a)", "(?!a)", "(?<=a)", "(?<!a)", "(?!)", "(?="]);
}

#[test]
fn groups_of_other_dialects_are_refused() {
    check_refused(&[
        "(?>a)",
        "(?#a)",
        "(?|a)",
        "(?'n'a)",
        "(?P=n)",
        "(?P>n)",
        "(?R)",
        "(?1)",
        "(?(1)a)",
        "(?&n)",
        "(?x)a",
        "(?u)a",
        "(?a)a",
        "(?L)a",
        "(?^i:a)",
        "(?-)",
        "(?i-)a",
        "(?i--s)a",
        "(?-:a)",
        "(?i",
        "(?",
        "(?P",
        "(?P<",
        "(?P<n",
        "(?P<>a)",
        "(?P<a-b>a)",
        "(?P<é>a)",
        "(?<",
    ]);
}

#[test]
fn escapes_of_other_dialects_are_refused() {
    check_refused(&[
        r"\1",
        r"(a)\1",
        r"\8",
        r"\18",
        r"\k<n>",
        r"\g1",
        r"\Z",
        r"\G",
        r"\K",
        r"\h",
        r"\H",
        r"\R",
        r"\X",
        r"\N",
        r"\e",
        r"\cA",
        r"\u0041",
        r"\U",
        r"\E",
        r"\Qa\Eb\E",
        r"\y",
        r"\é",
        r"[\b]",
        r"[\A]",
        r"[\z]",
        r"[\B]",
        r"[\C]",
        r"[\Q]\E]",
        r"[a-\d]",
    ]);
}

#[test]
fn numbers_out_of_range_are_refused() {
    check_refused(&[
        r"\400",
        r"\777",
        r"\x",
        r"\x4",
        r"\xg1",
        r"\x+1",
        r"\x{}",
        r"\x{100}",
        r"\x{10FFFF}",
        r"\x{41",
        r"\x{4g}",
        r"\x{+4}",
        r"[\x{100}]",
    ]);
}

#[test]
fn stacked_repetitions_are_refused() {
    check_refused(&[
        "a**", "a++", "a?+", "a*+", "a*?*", "a???", "a{2}{3}", "a{2}+", "a*{2}", "a{2}??",
    ]);
}

#[test]
fn repetitions_of_nothing_are_refused() {
    check_refused(&[
        "*", "+a", "?", "{2}", "(*)", "(?:+)", "a|*", "(?i)*", "(?i:*)", r"\Q\E*",
    ]);
}

#[test]
fn large_repetitions_are_refused() {
    check_refused(&[
        "a{1001}",
        "a{1001,}",
        "a{0,1001}",
        "a{2,1}",
        "a{999999999}",
        "(a{10}){101}",
        "(?:a{100,}){11}",
        "((a{1000}){0}){1000}",
        "(b|(a{2}){500}){2}",
        "(a{1000}){1000}",
        "((a{100}){100}){100}",
    ]);
}

#[test]
fn unbalanced_brackets_are_refused() {
    check_refused(&[
        "(",
        "(a",
        "(?:",
        "(?i:a",
        "(?P<n>a",
        ")",
        "a)",
        "a)|(b",
        "[",
        "[a",
        "[]",
        "[^]",
        "[a-",
        "[z-a]",
        "[a--b]",
        r"[\n-\t]",
        r"\",
        r"a\",
        r"[\",
        "[[:foo:]]",
        "[[:Alpha:]]",
        "[[:a]b:]",
    ]);
}

#[test]
fn unknown_unicode_classes_are_refused() {
    check_refused(&[
        r"\p",
        r"\P",
        r"\pQ",
        r"\p{",
        r"\p{}",
        r"\p{^}",
        r"\p^L",
        r"\p{greek}",
        r"\p{LC}",
        r"\p{Cn}",
        r"\p{Letter}",
        r"\p{Grek}",
        r"\p{sc=Greek}",
        r"[\p]",
        r"\pé",
    ]);
}
