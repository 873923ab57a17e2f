//! Values of the wrong type, out of range or not finite.

use super::{check, destination, rule};

#[test]
fn values_that_cannot_be_meant_are_refused() {
    check(
        &rule("- route: [{weight: fifty}]"),
        r#"7:22 wrong-type spec.http[0].route[0].weight: expected a whole number, found "fifty""#,
    );
    check(
        &rule("- route: [{weight: 99999999999}]"),
        r#"7:22 invalid-value spec.http[0].route[0].weight: "99999999999" is out of range: it must lie between -2147483648 and 2147483647"#,
    );
    check(
        &rule("- match: [{port: -1}]"),
        r#"7:20 invalid-value spec.http[0].match[0].port: "-1" is out of range: it must lie between 0 and 4294967295"#,
    );
    check(
        &rule("- route: [{weight: 1.5}]"),
        r#"7:22 wrong-type spec.http[0].route[0].weight: expected a whole number, found "1.5""#,
    );
    check(
        &rule("- route: [{weight: 010}]"),
        r#"7:22 wrong-type spec.http[0].route[0].weight: expected a whole number, found "010" (a leading zero can mean an octal number; leave it out)"#,
    );
    check(
        &rule("- mirrorPercentage: {value: 50%}"),
        r#"7:31 wrong-type spec.http[0].mirrorPercentage.value: expected a number, found "50%" (write 50)"#,
    );
    check(
        &rule("- route: [{weight: [1]}]"),
        "7:22 wrong-type spec.http[0].route[0].weight: expected a whole number, found a list",
    );
    check(
        &rule("- mirrorPercentage: {value: .nan}"),
        r#"7:31 invalid-value spec.http[0].mirrorPercentage.value: expected a finite number, found ".nan""#,
    );
    check(
        &rule("- mirrorPercentage: {value: inf}"),
        r#"7:31 invalid-value spec.http[0].mirrorPercentage.value: expected a finite number, found "inf""#,
    );
    check(
        &rule("- mirrorPercentage: {value: 1e999}"),
        r#"7:31 invalid-value spec.http[0].mirrorPercentage.value: expected a finite number, found "1e999""#,
    );
    check(
        &rule("- match: [{ignoreUriCase: yes}]"),
        r#"7:29 wrong-type spec.http[0].match[0].ignoreUriCase: expected true or false, found "yes" (write true, without quotes)"#,
    );
    check(
        &rule("- match: [{ignoreUriCase: no}]"),
        r#"7:29 wrong-type spec.http[0].match[0].ignoreUriCase: expected true or false, found "no" (write false, without quotes)"#,
    );
    check(
        &rule(r#"- match: [{ignoreUriCase: "true"}]"#),
        r#"7:29 wrong-type spec.http[0].match[0].ignoreUriCase: expected true or false, found "true" (write true, without quotes)"#,
    );
    check(
        &rule("- match: [{ignoreUriCase: maybe}]"),
        r#"7:29 wrong-type spec.http[0].match[0].ignoreUriCase: expected true or false, found "maybe""#,
    );
    check(
        &rule("- timeout: 5"),
        "7:14 invalid-value spec.http[0].timeout: a duration needs a unit: write 5s or 5ms",
    );
    check(
        &rule("- timeout: 2d"),
        r#"7:14 invalid-value spec.http[0].timeout: "d" is not a unit of time; use h, m, s, ms, us or ns (there are no days; write 48h)"#,
    );
    check(
        &rule("- timeout: -1s"),
        "7:14 invalid-value spec.http[0].timeout: a duration cannot be negative here",
    );
    check(
        &rule("- timeout: 2 h"),
        r#"7:14 invalid-value spec.http[0].timeout: " h" is not a unit of time; use h, m, s, ms, us or ns"#,
    );
    check(
        &rule("- timeout: fast"),
        r#"7:14 invalid-value spec.http[0].timeout: "fast" is not a duration; write a number and a unit, such as 1.5s"#,
    );
    check(
        &rule("- timeout: 1.5.5s"),
        r#"7:14 invalid-value spec.http[0].timeout: "1.5.5s" is not a duration; write a number and a unit, such as 1.5s"#,
    );
    check(
        &rule("- timeout: 9223372036855s"),
        "7:14 invalid-value spec.http[0].timeout: the duration is too long",
    );
    check(
        &rule(r#"- timeout: """#),
        "7:14 invalid-value spec.http[0].timeout: a duration is empty; write a number and a unit, such as 1.5s",
    );
    check(
        &rule("- name: [a]"),
        "7:11 wrong-type spec.http[0].name: expected text, found a list",
    );
    check(
        &rule("- route: reviews"),
        r#"7:12 wrong-type spec.http[0].route: expected a list, found "reviews" (write ["reviews"])"#,
    );
    check(
        &rule("- route: {destination: {host: a}}"),
        r#"7:12 wrong-type spec.http[0].route: expected a list, found a mapping (put "- " before its first field)"#,
    );
    check(
        &rule("- route: [null]"),
        "7:13 wrong-type spec.http[0].route[0]: expected a mapping, found null",
    );
    check(
        "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: reviews}\nspec: {hosts: [~]}\n",
        "4:16 wrong-type spec.hosts[0]: expected text, found null",
    );
    check(
        &rule("- retries: [3]"),
        "7:14 wrong-type spec.http[0].retries: expected a mapping, found a list",
    );
    check(
        &rule("- name: \"a\\0b\""),
        "7:11 invalid-value spec.http[0].name: the text holds a NUL character",
    );
    check(
        &rule("- name: 1.0"),
        r#"7:11 unquoted-text spec.http[0].name: YAML reads 1.0 as a number or a boolean, and text belongs here (Kubernetes would refuse it; write "1.0")"#,
    );
    check(
        &rule("- name: no"),
        r#"7:11 unquoted-text spec.http[0].name: YAML reads no as a number or a boolean, and text belongs here (Kubernetes would refuse it; write "no")"#,
    );
    check(
        &rule("- name: 0x10"),
        r#"7:11 unquoted-text spec.http[0].name: YAML reads 0x10 as a number or a boolean, and text belongs here (Kubernetes would refuse it; write "0x10")"#,
    );
    check(
        &destination("host: a\n  trafficPolicy: {loadBalancer: {simple: round_robin}}"),
        r#"6:42 invalid-value spec.trafficPolicy.loadBalancer.simple: expected one of UNSPECIFIED, LEAST_CONN, RANDOM, PASSTHROUGH, ROUND_ROBIN, LEAST_REQUEST, found "round_robin" (did you mean ROUND_ROBIN?)"#,
    );
    check(
        &destination("host: a\n  trafficPolicy: {loadBalancer: {simple: MAGLEV}}"),
        r#"6:42 invalid-value spec.trafficPolicy.loadBalancer.simple: expected one of UNSPECIFIED, LEAST_CONN, RANDOM, PASSTHROUGH, ROUND_ROBIN, LEAST_REQUEST, found "MAGLEV""#,
    );
    check(
        &destination("host: a\n  trafficPolicy: {loadBalancer: {simple: 9}}"),
        r#"6:42 invalid-value spec.trafficPolicy.loadBalancer.simple: expected one of UNSPECIFIED, LEAST_CONN, RANDOM, PASSTHROUGH, ROUND_ROBIN, LEAST_REQUEST, found "9""#,
    );
    check(
        &destination("host: a\n  trafficPolicy: {loadBalancer: {simple: []}}"),
        "6:42 wrong-type spec.trafficPolicy.loadBalancer.simple: expected one of UNSPECIFIED, LEAST_CONN, RANDOM, PASSTHROUGH, ROUND_ROBIN, LEAST_REQUEST, found a list",
    );
    check(
        &rule("- timeout: xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"),
        r#"7:14 wrong-type spec.http[0].timeout: expected a duration such as 1.5s, found "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"…"#,
    );
}
