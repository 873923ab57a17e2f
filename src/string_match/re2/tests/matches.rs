//! What accepted patterns match. Every row was confirmed by RE2 (google-re2
//! 1.1.20251105, Latin-1 mode, full match).

use super::check;

/// Envoy's safe_regex is a full match, whatever the pattern anchors itself.
#[test]
fn the_whole_value_must_match() {
    check("/api", &[b"/api"], &[b"/api/", b"x/api", b"/api\n"]);
    check("a|ab", &[b"a", b"ab"], &[b"abb"]);
    check("^/a$", &[b"/a"], &[b"/a\n", b"/a/"]);
    check("(?m)^a$\n^b$", &[b"a\nb"], &[b"a", b"a\nb\n"]);
    check("/.*", &[b"/", b"/x"], &[b"", b"/x\n"]);
    check("(x+x+)+y", &[b"xxy"], &[b"xxx"]);
}

/// Bytes, not characters: the fix for a `.*` that stopped at an invalid byte.
#[test]
fn a_dot_is_one_byte() {
    check("a.b", &[b"axb", b"a\xe9b"], &[b"a\xc3\xa9b", b"a\nb"]);
    check("a..b", &[b"a\xc3\xa9b"], &[b"axb"]);
    check(".*admin.*", &[b"\xffadmin"], &[b"\xffadmi"]);
    check("(?s).", &[b"\n", b"\xff"], &[b"\xc3\xa9"]);
    check("(?s:.).", &[b"\na"], &[b"a\n"]);
    check(r"\C", &[b"a", b"\n", b"\xc3"], &[b"\xc3\xa9", b""]);
    check("[^a]", &[b"b", b"\n", b"\xff"], &[b"a", b"\xc3\xa9"]);
}

/// The pattern reaches RE2 as UTF-8 bytes, which it reads one by one.
#[test]
fn a_character_outside_ascii_is_its_bytes() {
    check("é", &[b"\xc3\xa9"], &[b"\xe9", b"\xc3\x89"]);
    check("é+", &[b"\xc3\xa9\xa9"], &[b"\xc3\xa9\xc3\xa9"]);
    check("[é]", &[b"\xc3", b"\xa9"], &[b"\xc3\xa9", b"e"]);
    check("(?i)é", &[b"\xc3\xa9"], &[b"\xc3\x89", b"\xe3\xa9"]);
    check(r"\xe9", &[b"\xe9"], &[b"\xc3\xa9"]);
    check("日", &[b"\xe6\x97\xa5"], &[b"\xe6"]);
}

#[test]
fn names_of_classes_mean_ascii() {
    check(r"\d", &[b"7"], &[b"\xd9\xa3", b"a"]);
    check(r"\D", &[b"a", b"\xd9"], &[b"7"]);
    check(r"\w", &[b"a", b"_", b"0"], &[b"\xc3\xa9", b"\xe9", b"-"]);
    check(r"\W", &[b"-", b"\xe9"], &[b"a"]);
    check(
        r"\s",
        &[b" ", b"\t", b"\n", b"\x0c", b"\r"],
        &[b"\x0b", b"\xa0", b"\x85"],
    );
    check(r"\S", &[b"\x0b", b"\xa0"], &[b" "]);
    check(r"a\bé", &[b"a\xc3\xa9"], &[b"a"]);
    check(r"é\bé", &[], &[b"\xc3\xa9\xc3\xa9"]);
    check(r"é\Bé", &[b"\xc3\xa9\xc3\xa9"], &[b"\xc3\xa9"]);
    check("(?i)k", &[b"k", b"K"], &[b"\xe2\x84\xaa"]);
    check("(?i)s", &[b"s", b"S"], &[b"\xc5\xbf"]);
    check(r"(?i)\xe9", &[b"\xe9"], &[b"\xc9"]);
    check("[[:space:]]", &[b"\x0b", b" "], &[b"\xa0"]);
    check("[[:^alpha:]]", &[b"0", b"\xe9"], &[b"a", b"Z"]);
    check("[[:word:]-]", &[b"_", b"-"], &[b"."]);
    check("[[:punct:]]", &[b"!", b"~", b"^"], &[b"a", b" "]);
    check("[^[:alnum:]]", &[b"."], &[b"a", b"0"]);
    check("[[:xdigit:]]", &[b"f", b"F", b"0"], &[b"g"]);
}

#[test]
fn unicode_classes_hold_latin_1_bytes() {
    check(
        r"\pL",
        &[b"a", b"\xe9", b"\xaa", b"\xb5"],
        &[b"\xc3\xa9", b"1", b"\xd7"],
    );
    check(r"\PL", &[b"1", b"\xf7"], &[b"a", b"\xe9"]);
    check(r"\pN", &[b"1", b"\xb2", b"\xbd"], &[b"a"]);
    check(r"\p{Lu}", &[b"A", b"\xc9"], &[b"a", b"\xe9"]);
    check(r"(?i)\p{Lu}", &[b"a", b"\xc9"], &[b"\xe9"]);
    check(r"(?i)\P{Lu}", &[b"1", b"\xe9"], &[b"a", b"A"]);
    check(r"\p{^Lu}", &[b"a"], &[b"A"]);
    check(r"\P{^Lu}", &[b"A"], &[b"a"]);
    check(r"\p{Greek}", &[], &[b"\xce\xb1", b"a", b"\xb5"]);
    check(r"\P{Greek}", &[b"a", b"\xff"], &[b"\xce\xb1", b""]);
    check(r"\p{Latin}", &[b"a", b"\xff"], &[b"\xb5", b"-"]);
    check(r"\p{Common}", &[b"-", b"\xb5"], &[b"a"]);
    check(r"\p{Any}", &[b"\n", b"\xff"], &[b""]);
    check(r"\P{Any}", &[], &[b"", b"a"]);
    check(r"[\p{Lu}-]", &[b"A", b"-"], &[b"a"]);
    check(r"[^\pL]", &[b"1"], &[b"a"]);
    check(r"\p{Ps}", &[b"(", b"["], &[b")"]);
    check(r"\pP", &[b"!", b"\xbf"], &[b"+"]);
    check(r"\pS", &[b"+", b"\xd7"], &[b"!"]);
    check(r"\p{Zs}", &[b" ", b"\xa0"], &[b"\t"]);
    check(r"\p{Cc}", &[b"\n", b"\x85"], &[b"a"]);
}

/// Where the `regex` crate sees set operations RE2 sees characters.
#[test]
fn a_class_has_no_operators_and_no_nesting() {
    check("[a&&b]", &[b"a", b"b", b"&"], &[b"", b"c"]);
    check("[a-z&&[^b]]", &[b"b]", b"&]", b"[]", b"^]"], &[b"b", b"a"]);
    check("[+--b]", &[b"+", b",", b"-", b"b"], &[b"."]);
    check("[a~~b]", &[b"a", b"b", b"~"], &[b"c"]);
    check("[[a]", &[b"[", b"a"], &[b"]"]);
    check("[[a]]", &[b"a]", b"[]"], &[b"a", b"]"]);
    check("[]a]", &[b"]", b"a"], &[b"[]a]"]);
    check("[^]a]", &[b"b"], &[b"]", b"a"]);
    check("[a-]", &[b"a", b"-"], &[b"b"]);
    check("[-a]", &[b"a", b"-"], &[b"b"]);
    check(r"[\d-z]", &[b"1", b"-", b"z"], &[b"a"]);
    check(r"[\d--/]", &[b"1", b".", b"/"], &[b","]);
    check("[[:alpha]", &[b"[", b":", b"a"], &[b"b"]);
    check("[:alpha:]", &[b":", b"a"], &[b"b"]);
    check("[[=a=]]", &[b"=]", b"a]"], &[b"a"]);
    check(r"[\]\\^]", &[b"]", b"\\", b"^"], &[b"a"]);
    check(r"[\x41-C]", &[b"B"], &[b"D"]);
    check(r"[\101\n]", &[b"A", b"\n"], &[b"n"]);
    check("[*.(|]", &[b"*", b"(", b"|", b"."], &[b"a"]);
    check(r"[^\x00-\xff]", &[], &[b"", b"a"]);
    check("(?i)[a-c]", &[b"B", b"b"], &[b"d"]);
    check("(?i)[^a]", &[b"b"], &[b"a", b"A"]);
    check("(?i)[[:^lower:]]", &[b"1"], &[b"a", b"A"]);
}

/// Paths are full of `/{id}`.
#[test]
fn a_brace_without_counts_is_text() {
    check("/{id}", &[b"/{id}"], &[b"/id"]);
    check("{", &[b"{"], &[b""]);
    check("}", &[b"}"], &[b""]);
    check("a{,3}", &[b"a{,3}"], &[b"aa", b"a{,,3}"]);
    check("a{,3}*", &[b"a{,3", b"a{,3}}"], &[b"aa"]);
    check("a{02}", &[b"a{02}"], &[b"aa"]);
    check("a{1,x}", &[b"a{1,x}"], &[b"a"]);
    check("a{ 1}", &[b"a{ 1}"], &[b"a"]);
    check("a{1000000000}", &[b"a{1000000000}"], &[b"a"]);
    check("a{2", &[b"a{2"], &[b"aa"]);
    check("a{2}", &[b"aa"], &[b"a", b"a{2}"]);
    check("a{2,}", &[b"aa", b"aaa"], &[b"a"]);
    check("a{0,1}?", &[b"", b"a"], &[b"aa"]);
    check("a{0}", &[b""], &[b"a"]);
}

#[test]
fn repetitions_stack_only_with_something_between() {
    check("(?:a*)*b", &[b"aab", b"b"], &[b"a"]);
    check("a(?i)*", &[b"", b"aa"], &[b"A"]);
    check("ab(?i)*", &[b"a", b"abb"], &[b"abab", b"aB"]);
    check("a*(?i)*", &[b"aa"], &[b"b"]);
    check(r"a{2}\Q\E{2}", &[b"aaaa"], &[b"aa", b"aaa"]);
    check("^*a", &[b"a"], &[b"aa"]);
    check("()*a", &[b"a"], &[b"b"]);
    check("(|a)+", &[b"", b"aa"], &[b"b"]);
    check("a||b", &[b"a", b"b", b""], &[b"ab"]);
    check("(a|)", &[b"a", b""], &[b"b"]);
    check("(?U)a*?b", &[b"aab"], &[b"a"]);
}

#[test]
fn flags_reach_to_the_end_of_their_group() {
    check("(?i)aB", &[b"AB", b"ab"], &[b"a"]);
    check("a(?i)b", &[b"ab", b"aB"], &[b"Ab"]);
    check("(?i:a)b", &[b"Ab"], &[b"AB"]);
    check("(a(?i)b)c", &[b"aBc"], &[b"aBC"]);
    check("a(?i)|b", &[b"a", b"B"], &[b"A"]);
    check("(?i)a(?-i)b", &[b"Ab"], &[b"AB"]);
    check("(?s-i:.)a", &[b"\na"], &[b"A"]);
    check("(?)a", &[b"a"], &[b"?a"]);
    check("(?i-i)a", &[b"a"], &[b"A"]);
    check("(?s).(?-s).", &[b"\na"], &[b"a\n"]);
    check("(?m:a$)\nb", &[b"a\nb"], &[b"a"]);
    check("a$\nb", &[], &[b"a\nb"]);
    check("(?U)(?-U)a+", &[b"aa"], &[b""]);
}

#[test]
fn groups_may_be_named() {
    check("(?P<n>a)", &[b"a"], &[]);
    check("(?<n>a)", &[b"a"], &[]);
    check("(?<n>a)(?P<n>b)", &[b"ab"], &[b"a"]);
    check("(?P<1_a>a)", &[b"a"], &[]);
}

#[test]
fn escapes_for_bytes() {
    check(r"\012", &[b"\n"], &[b"012"]);
    check(r"\0", &[b"\x00"], &[b"0"]);
    check(r"\07", &[b"\x07"], &[]);
    check(r"\101", &[b"A"], &[]);
    check(r"\1018", &[b"A8"], &[]);
    check(r"\12", &[b"\n"], &[]);
    check(r"\377", &[b"\xff"], &[b"\xc3\xbf"]);
    check(r"\x41", &[b"A"], &[]);
    check(r"\x{41}", &[b"A"], &[]);
    check(r"\x{0000e9}", &[b"\xe9"], &[b"\xc3\xa9"]);
    check(r"\x410", &[b"A0"], &[]);
    check(r"\a\f\n\r\t\v", &[b"\x07\x0c\n\r\t\x0b"], &[]);
    check(r#"\_\-\/\%\"\ "#, &[b"_-/%\" "], &[]);
    check(r"\<a\>", &[b"<a>"], &[b"a"]);
    check(r"\.\*\{\[", &[b".*{["], &[b"a*{["]);
    check(r"\Aa\z", &[b"a"], &[b"aa"]);
}

#[test]
fn a_quotation_is_text() {
    check(r"\Qa.b\E", &[b"a.b"], &[b"axb"]);
    check(r"\Qa.b", &[b"a.b"], &[b"axb"]);
    check(r"\Q(\E+", &[b"(", b"(("], &[b""]);
    check(r"\Qab\E*", &[b"a", b"abb"], &[b"abab"]);
    check(r"\Q\n\E", &[b"\\n"], &[b"\n"]);
    check(r"\Q\\E", &[b"\\"], &[b"\\E"]);
    check(r"(?i)\Qk\E", &[b"K"], &[]);
    check(r"\Q\E", &[b""], &[b"a"]);
}
