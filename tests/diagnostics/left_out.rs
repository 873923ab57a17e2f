//! What the README's table calls left out: refused with the way out, never overlooked.

use tower_mesh::diagnostic::{Code, Severity};
use tower_mesh::mesh::Mesh;

const VIRTUAL_SERVICE: &str = "apiVersion: networking.istio.io/v1\nkind: VirtualService\n\
                               metadata: {name: a}\nspec: {hosts: [a.com], ";
const RULE: &str = "apiVersion: networking.istio.io/v1\nkind: DestinationRule\n\
                    metadata: {name: a}\nspec: {host: a.com, ";
const TO: &str = "route: [{destination: {host: a.com}}]";

/// Each row of the table that says "left out", with rules that ask for it.
fn rows() -> Vec<(&'static str, Vec<String>)> {
    let http = |rule: &str| format!("{VIRTUAL_SERVICE}http: [{{{rule}, {TO}}}]}}\n");
    let resource = |kind: &str, spec: &str| {
        format!(
            "apiVersion: networking.istio.io/v1\nkind: {kind}\nmetadata: {{name: a}}\nspec: {spec}\n"
        )
    };
    let formatters = [
        "DYNAMIC_METADATA(a:b)",
        "BYTES_SENT",
        "DOWNSTREAM_TLS_VERSION",
        "TRACE_ID",
    ];
    let control = [
        "x-envoy-upstream-rq-timeout-alt-response",
        "x-envoy-upstream-stream-duration-ms",
    ];
    vec![
        (
            "Gateway servers' `tls`: ending TLS",
            vec![resource(
                "Gateway",
                "{servers: [{port: {number: 443, name: https, protocol: HTTPS}, hosts: [a.com], \
                 tls: {mode: SIMPLE, credentialName: a}}]}",
            )],
        ),
        (
            "formatters of a proxy's metadata, bytes, TLS and tracer",
            formatters
                .map(|it| http(&format!("headers: {{request: {{set: {{x-a: '%{it}%'}}}}}}")))
                .into(),
        ),
        (
            "`x-envoy-upstream-rq-timeout-alt-response`, `x-envoy-upstream-stream-duration-ms` set by a rule",
            control
                .map(|it| http(&format!("headers: {{request: {{set: {{{it}: '1'}}}}}}")))
                .into(),
        ),
        (
            "`tcp[]`, `tls[]`",
            vec![
                format!("{VIRTUAL_SERVICE}tcp: [{{{TO}}}]}}\n"),
                format!("{VIRTUAL_SERVICE}tls: [{{match: [{{sniHosts: [a.com]}}], {TO}}}]}}\n"),
            ],
        ),
        (
            "ServiceEntry `workloadSelector`",
            vec![resource(
                "ServiceEntry",
                "{hosts: [a.com], ports: [{number: 80, name: http, protocol: HTTP}], \
                 resolution: STATIC, workloadSelector: {labels: {app: a}}}",
            )],
        ),
        (
            "resources of the kinds `Sidecar`, `WorkloadEntry`, `WorkloadGroup`, `EnvoyFilter`, `ProxyConfig`",
            [
                "Sidecar",
                "WorkloadEntry",
                "WorkloadGroup",
                "EnvoyFilter",
                "ProxyConfig",
            ]
            .map(|kind| resource(kind, "{}"))
            .into(),
        ),
    ]
}

/// Rows for what no rule asks for by a field of its own, or what a sidecar does not act on either.
const OTHERS: [&str; 2] = [
    "`tunnel`, which is for TCP and TLS routes",
    "mutual TLS without a `tls` block",
];

#[test]
fn what_the_readme_calls_left_out_is_refused_with_the_way_out() {
    let readme = include_str!("../../README.md");
    let left_out = readme.lines().filter_map(|line| {
        let row = line.strip_prefix("| ")?.strip_suffix(" | left out |")?;
        Some(row.split(" | ").next().unwrap())
    });
    let mut said: Vec<_> = left_out.filter(|it| !OTHERS.contains(it)).collect();
    let mut refused = Vec::new();
    for (row, samples) in rows() {
        for text in samples {
            let found = Mesh::builder().yaml(&text).build().unwrap_err();
            let refusal = found.iter().find(|it| it.code() == Code::NotBuilt);
            let refusal = refusal.unwrap_or_else(|| panic!("{row}: {found}"));
            let hint = refusal.help().unwrap_or_default();
            assert!(hint.starts_with("on purpose: "), "{row}: {hint:?}");
            assert!(refusal.place().is_some(), "{row}: {refusal}");

            let lenient = Mesh::builder().yaml(&text).lenient(true).build();
            let told = lenient.map_or_else(|it| it, |(_, report)| report.diagnostics().clone());
            let told = told.iter().filter(|it| it.code() == Code::NotBuilt);
            for told in told {
                assert_eq!(told.severity(), Severity::Warning, "{row}: {told}");
            }
        }
        refused.push(row);
    }
    said.sort_unstable();
    refused.sort_unstable();
    assert_eq!(said, refused);
}

#[test]
fn a_tunnel_is_told_of() {
    let text = format!(
        "{RULE}trafficPolicy: {{tunnel: {{protocol: CONNECT, targetHost: b.com, targetPort: 80}}}}}}\n"
    );
    let (_, report) = Mesh::builder().yaml(&text).build().unwrap();
    let told = report.diagnostics().iter();
    let codes: Vec<_> = told.map(|it| (it.code(), it.path().to_string())).collect();
    assert!(
        codes.contains(&(Code::NeverFires, "spec.trafficPolicy.tunnel".to_owned())),
        "{}",
        report.diagnostics()
    );
}
