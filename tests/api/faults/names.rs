//! Fields that do not exist, stand in the wrong place or have the wrong shape.

use super::{check, destination, rule};

#[test]
fn unknown_fields_name_the_one_that_was_meant() {
    check(
        &rule("- timeuot: 1s"),
        r#"7:5 unknown-field spec.http[0].timeuot: there is no field "timeuot" here (did you mean "timeout"?)"#,
    );
    check(
        &destination("hosts: reviews"),
        r#"5:3 unknown-field spec.hosts: there is no field "hosts" here (did you mean "host"?)"#,
    );
    check(
        &rule("- route:\n    - destination:\n      host: reviews\n      subset: v1"),
        concat!(
            "9:7 unknown-field spec.http[0].route[0].host: there is no field \"host\" here (to put it under \"destination\", which is empty, indent it further)\n",
            r#"10:7 unknown-field spec.http[0].route[0].subset: there is no field "subset" here (to put it under "destination", which is empty, indent it further)"#,
        ),
    );
    check(
        &rule("- route:\n    - destination: {host: reviews}\n      corsPolicy: {}"),
        r#"9:7 unknown-field spec.http[0].route[0].corsPolicy: there is no field "corsPolicy" here (it is a field of spec.http[0]; mind the indentation)"#,
    );
    check(
        &rule("- match:\n    - headers:\n      source:\n        exact: north"),
        r#"9:7 unknown-field spec.http[0].match[0].source: there is no field "source" here (to put it under "headers", which is empty, indent it further)"#,
    );
    check(
        &rule("- appendHeaders: {a: b}"),
        r#"7:5 unknown-field spec.http[0].appendHeaders: there is no field "appendHeaders" here (Istio removed it; use headers.request.add)"#,
    );
    check(
        &rule("- match: [{uri: {method: GET}}]"),
        r#"7:20 unknown-field spec.http[0].match[0].uri.method: there is no field "method" here (it is a field of spec.http[0].match[0]; mind the indentation)"#,
    );
    check(
        &rule("- websocketUpgrade: true"),
        r#"7:5 unknown-field spec.http[0].websocketUpgrade: there is no field "websocketUpgrade" here (Istio removed it; upgrades are always on)"#,
    );
    check(
        &rule("- fault: {abort: {httpStatus: 500, percent: 10}}"),
        r#"7:38 unknown-field spec.http[0].fault.abort.percent: there is no field "percent" here (did you mean "percentage"?)"#,
    );
    check(
        &rule("- route: [{destination: {host: a, port: {name: http}}}]"),
        r#"7:44 unknown-field spec.http[0].route[0].destination.port.name: there is no field "name" here (ports are chosen by number, no longer by name)"#,
    );
    check(
        &rule("- route: [{elephant: 1}]"),
        r#"7:14 unknown-field spec.http[0].route[0].elephant: there is no field "elephant" here (the fields are destination, weight, headers)"#,
    );
    check(
        &rule("- corsPolicy: {max_age: 1s, maxAge: 2s}"),
        r#"7:31 duplicate-key spec.http[0].corsPolicy.maxAge: "maxAge" is set twice, once in each spelling"#,
    );
    check(
        &destination("host: a\n  workloadSelector: {labels: {app: a}}"),
        r#"6:22 unknown-field spec.workloadSelector.labels: there is no field "labels" here (the only field is matchLabels)"#,
    );
    check(
        &rule("- match: [{uri: /x}]"),
        r#"7:19 wrong-type spec.http[0].match[0].uri: expected a mapping, found "/x" (write {exact: "/x"}, or prefix or regex)"#,
    );
    check(
        &rule("- match: [{headers: {x-user: }}]"),
        r#"7:30 invalid-value spec.http[0].match[0].headers["x-user"]: a match may not be null (write {} for "present, with any value")"#,
    );
    check(
        &rule("- match: [{uri: {exact: /a, prefix: /b}}]"),
        "7:31 exclusive spec.http[0].match[0].uri.prefix: only one of exact, prefix, regex may be set",
    );
    check(
        &rule("- match: [{uri: {suffix: /a}}]"),
        r#"7:20 unknown-field spec.http[0].match[0].uri.suffix: there is no field "suffix" here (the fields are exact, prefix, regex)"#,
    );
    check(
        &rule("- mirrorPercentage: 50"),
        r#"7:23 wrong-type spec.http[0].mirrorPercentage: expected a mapping, found "50" (write {value: 50})"#,
    );
    check(
        &rule("- mirror: reviews"),
        r#"7:13 wrong-type spec.http[0].mirror: expected a mapping, found "reviews" (the fields are host, subset, port)"#,
    );
}
