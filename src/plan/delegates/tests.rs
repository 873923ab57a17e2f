//! Merges, row by row: what a root's entry and a delegate's rule make together.

use super::merge::{merge, settle};
use crate::api::{HttpMatchRequest, HttpRoute, Resources, Spec, StringMatch};

/// The rule written as one YAML flow mapping.
#[track_caller]
fn rule(yaml: &str) -> HttpRoute {
    let yaml = format!(
        "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {{name: it}}\n\
         spec: {{hosts: [a], http: [{yaml}]}}"
    );
    let resources = Resources::from_yaml("it.yaml", &yaml);
    assert!(
        resources.diagnostics().is_empty(),
        "{}",
        resources.diagnostics()
    );
    let resource = resources.iter().next().expect("there is one");
    match &resource.spec {
        Spec::VirtualService(it) => it.http[0].clone(),
        other => panic!("{other:?}"),
    }
}

/// What the rules make, or the fields on which they contradict each other.
#[track_caller]
fn rules(root: &str, leaf: &str, want: &str) {
    match merge(&rule(root), &rule(leaf)) {
        Ok(merged) => assert_eq!(merged, rule(want), "{root} and {leaf}"),
        Err(conflict) => {
            let told = format!("{}: {}", conflict.block, conflict.fields.join(", "));
            assert_eq!(told, want, "{root} and {leaf}");
        }
    }
}

/// The same for a single match block on each side.
#[track_caller]
fn blocks(root: &str, leaf: &str, want: &str) {
    let one = |block: &str| format!("{{match: [{block}]}}");
    let want = match want.starts_with('{') {
        true => one(want),
        false => format!("0: {want}"),
    };
    rules(&one(root), &one(leaf), &want);
}

#[test]
fn one_side_without_blocks_takes_those_of_the_other() {
    let (a, b) = ("{match: [{uri: {prefix: /a}}, {uri: {prefix: /b}}]}", "{}");
    rules(a, b, a);
    rules(b, a, a);
    rules(b, b, b);
}

#[test]
fn every_block_of_the_delegate_stands_beside_every_block_of_the_root_it_fits() {
    rules(
        "{match: [{name: r1, uri: {prefix: /a}}, {name: r2, headers: {x: {exact: '1'}}}]}",
        "{match: [{name: d1, uri: {prefix: /a/b}}, {uri: {exact: /c}}, {name: d3, headers: {x: {exact: '2'}}}]}",
        "{match: [{name: r1-d1, uri: {prefix: /a/b}}, \
                  {name: r2-d1, uri: {prefix: /a/b}, headers: {x: {exact: '1'}}}, \
                  {name: r2, uri: {exact: /c}, headers: {x: {exact: '1'}}}, \
                  {name: r1-d3, uri: {prefix: /a}, headers: {x: {exact: '2'}}}]}",
    );
}

#[test]
fn one_block_that_fits_nowhere_drops_the_rule() {
    rules(
        "{match: [{uri: {prefix: /a}}, {method: {exact: GET}, uri: {exact: /b}}]}",
        "{match: [{uri: {prefix: /a/b}}, {method: {exact: PUT}, uri: {exact: /z}}]}",
        "1: uri, uri",
    );
    rules(
        "{match: [{uri: {prefix: /a}}, {method: {exact: GET}}]}",
        "{match: [{method: {exact: PUT}, uri: {exact: /z}}]}",
        "0: uri, method",
    );
}

#[test]
fn which_texts_fit_into_which() {
    let regex = "regex: a.*";
    for (root, leaf, fits) in [
        ("exact: /a", "exact: /a", true),
        ("exact: /a", "exact: /b", false),
        ("exact: /a", "prefix: /a", false),
        ("exact: /a", "prefix: /a/b", false),
        ("prefix: /a", "exact: /a", true),
        ("prefix: /a", "exact: /ab", true),
        ("prefix: /a", "exact: /b", false),
        ("prefix: /a", "prefix: /a", true),
        ("prefix: /a", "prefix: /ab", true),
        ("prefix: /a", "prefix: /", false),
        ("prefix: /a", "prefix: ''", false),
        ("prefix: ''", "prefix: /a", false),
        ("exact: ''", "exact: ''", false),
        // An expression fits nothing, not even itself.
        (regex, regex, false),
        (regex, "exact: ab", false),
        (regex, "prefix: ab", false),
        ("prefix: a", regex, false),
        ("exact: a", regex, false),
        // One that says nothing is not the same as none.
        ("", "exact: /a", false),
        ("exact: /a", "", false),
        ("prefix: /a", "", false),
        (regex, "", false),
        ("", regex, false),
        ("", "", false),
    ] {
        for field in ["uri", "scheme", "method", "authority"] {
            let (root, leaf) = (
                format!("{{{field}: {{{root}}}}}"),
                format!("{{{field}: {{{leaf}}}}}"),
            );
            blocks(&root, &leaf, if fits { &leaf } else { field });
        }
        for field in ["headers", "withoutHeaders", "queryParams"] {
            let (root, leaf) = (
                format!("{{{field}: {{x: {{{root}}}}}}}"),
                format!("{{{field}: {{x: {{{leaf}}}}}}}"),
            );
            let told = format!("{field}[\"x\"]");
            blocks(&root, &leaf, if fits { &leaf } else { &told });
        }
    }
}

#[test]
fn conditions_of_one_side_alone_are_kept() {
    for condition in [
        "uri: {regex: /a.*}",
        "scheme: {exact: http}",
        "method: {exact: GET}",
        "authority: {prefix: shop}",
        "headers: {x: {}}",
        "withoutHeaders: {x: {regex: a}}",
        "queryParams: {x: {exact: a}}",
        "port: 80",
        "sourceLabels: {app: web}",
        "gateways: [mesh]",
        "statPrefix: shop",
        "name: shop",
    ] {
        let block = format!("{{{condition}}}");
        blocks(&block, "{}", &block);
        blocks("{}", &block, &block);
    }
}

#[test]
fn entries_of_different_names_stand_together() {
    for (field, a, b) in [
        ("headers", "{exact: '1'}", "{regex: a}"),
        ("withoutHeaders", "{exact: '1'}", "{regex: a}"),
        ("queryParams", "{exact: '1'}", "{regex: a}"),
        ("sourceLabels", "v1", "v2"),
    ] {
        blocks(
            &format!("{{{field}: {{x: {a}}}}}"),
            &format!("{{{field}: {{y: {b}}}}}"),
            &format!("{{{field}: {{x: {a}, y: {b}}}}}"),
        );
    }
    // Names are told apart by case here, though requests do not.
    blocks(
        "{headers: {x-a: {exact: '1'}}}",
        "{headers: {X-A: {exact: '2'}}}",
        "{headers: {x-a: {exact: '1'}, X-A: {exact: '2'}}}",
    );
}

#[test]
fn who_and_where() {
    blocks("{port: 80}", "{port: 80}", "{port: 80}");
    blocks("{port: 80}", "{port: 81}", "port");
    let case = "{uri: {prefix: /A}, ignoreUriCase: true}";
    blocks(case, case, case);
    blocks(case, "{uri: {prefix: /A}}", "ignoreUriCase");
    blocks("{}", case, "ignoreUriCase");
    let namespace = "{sourceNamespace: shop}";
    blocks(namespace, namespace, namespace);
    blocks("{}", namespace, namespace);
    blocks(namespace, "{sourceNamespace: bank}", "sourceNamespace");
    // A delegate that does not repeat it contradicts it.
    blocks(namespace, "{}", "sourceNamespace");
    let labels = "{sourceLabels: {app: web}}";
    blocks(labels, labels, labels);
    blocks(
        labels,
        "{sourceLabels: {app: api}}",
        "sourceLabels[\"app\"]",
    );
    let gateways = "{gateways: [a/b, mesh]}";
    blocks(gateways, gateways, gateways);
    blocks(gateways, "{gateways: [mesh]}", "{gateways: [mesh]}");
    blocks("{gateways: [mesh]}", gateways, "gateways");
    blocks(gateways, "{gateways: [c/d]}", "gateways");
    blocks(gateways, "{gateways: [mesh, mesh, mesh]}", "gateways");
}

#[test]
fn names_are_joined() {
    rules("{name: root}", "{name: leaf}", "{name: root-leaf}");
    rules("{name: root}", "{}", "{name: root}");
    rules("{}", "{name: leaf}", "{name: leaf}");
    blocks("{name: root}", "{name: leaf}", "{name: root-leaf}");
}

#[test]
fn the_root_fills_in_whole_fields() {
    for (root, leaf) in [
        ("rewrite: {uri: /a, authority: b}", "rewrite: {uri: /c}"),
        (
            "directResponse: {status: 418, body: {string: a}}",
            "directResponse: {status: 200}",
        ),
        ("timeout: 1s", "timeout: 2s"),
        (
            "retries: {attempts: 5, retryOn: 5xx}",
            "retries: {attempts: 1}",
        ),
        (
            "fault: {delay: {fixedDelay: 1s}, abort: {httpStatus: 500}}",
            "fault: {delay: {fixedDelay: 2s}}",
        ),
        ("mirror: {host: a, subset: v1}", "mirror: {host: b}"),
        (
            "mirrorPercentage: {value: 5}",
            "mirrorPercentage: {value: 10}",
        ),
        (
            "mirrors: [{destination: {host: a}}, {destination: {host: b}}]",
            "mirrors: [{destination: {host: c}}]",
        ),
        (
            "corsPolicy: {allowMethods: [GET], maxAge: 1s}",
            "corsPolicy: {allowMethods: [PUT]}",
        ),
        (
            "headers: {request: {set: {a: b}}, response: {set: {c: d}}}",
            "headers: {request: {set: {e: f}}}",
        ),
    ] {
        let (root, leaf) = (format!("{{{root}}}"), format!("{{{leaf}}}"));
        rules(&root, "{}", &root);
        rules("{}", &leaf, &leaf);
        // Nothing of the root's is left in a field the delegate has.
        rules(&root, &leaf, &leaf);
    }
}

#[test]
fn where_requests_go_is_the_delegates_alone() {
    rules(
        "{delegate: {name: it}, timeout: 1s}",
        "{route: [{destination: {host: a}}]}",
        "{route: [{destination: {host: a}}], timeout: 1s}",
    );
    rules(
        "{delegate: {name: it}, timeout: 1s}",
        "{redirect: {uri: /a}}",
        "{redirect: {uri: /a}, timeout: 1s}",
    );
}

#[test]
fn of_several_actions_those_that_istio_takes_are_left() {
    let to = "route: [{destination: {host: a}}]";
    for (merged, want) in [
        (
            "redirect: {uri: /a}, directResponse: {status: 200}, rewrite: {uri: /b}".to_owned(),
            "redirect: {uri: /a}",
        ),
        (
            format!("{to}, directResponse: {{status: 200}}, timeout: 1s"),
            "directResponse: {status: 200}, timeout: 1s",
        ),
        (
            format!("{to}, rewrite: {{uri: /b}}"),
            "route: [{destination: {host: a}}], rewrite: {uri: /b}",
        ),
        (
            "mirror: {host: a}, mirrorPercentage: {value: 5}, mirrors: [{destination: {host: b}}]"
                .to_owned(),
            "mirrors: [{destination: {host: a}, percentage: {value: 5}}, {destination: {host: b}}]",
        ),
        (
            "mirror: {host: a}, mirrorPercentage: {value: 5}".to_owned(),
            "mirror: {host: a}, mirrorPercentage: {value: 5}",
        ),
    ] {
        let (merged, want) = (rule(&format!("{{{merged}}}")), rule(&format!("{{{want}}}")));
        assert_eq!(settle(merged), want);
    }
}

/// A field that is added to a rule and not thought of here would be lost in silence.
#[test]
fn every_field_was_thought_of() {
    let rule_fields = [
        "name",
        "r#match",
        "route",
        "redirect",
        "direct_response",
        "delegate",
        "rewrite",
        "timeout",
        "retries",
        "fault",
        "mirror",
        "mirrors",
        "mirror_percentage",
        "mirror_percent",
        "cors_policy",
        "headers",
    ];
    assert_eq!(HttpRoute::FIELDS, rule_fields);
    let block_fields = [
        "name",
        "uri",
        "scheme",
        "method",
        "authority",
        "headers",
        "without_headers",
        "query_params",
        "ignore_uri_case",
        "port",
        "source_labels",
        "source_namespace",
        "gateways",
        "stat_prefix",
    ];
    assert_eq!(HttpMatchRequest::FIELDS, block_fields);
    assert_eq!(StringMatch::default(), StringMatch::Present);
}
