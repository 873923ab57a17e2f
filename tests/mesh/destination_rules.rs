//! Which DestinationRule holds, seen by the subsets it has.

use tower_mesh::mesh::Mesh;

use crate::support::{build, service, virtual_service, who};

/// A DestinationRule for `*.svc.test` or `a.svc.test` whose only subset has the rule's name.
fn rule(namespace: &str, name: &str, host: &str, more: &str) -> String {
    format!(
        "apiVersion: networking.istio.io/v1\nkind: DestinationRule\n\
         metadata: {{name: {name}, namespace: {namespace}}}\n\
         spec:\n  host: '{host}'\n  subsets: [{{name: {name}}}]\n{more}\n---\n"
    )
}

/// Of `names`, those that are subsets of `a.svc.test` for a client.
async fn subsets(client: Mesh, names: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    for name in names {
        let answer = who(&client, &format!("http://go.test/{name}/"), &[]).await;
        match answer.as_str() {
            "10.0.0.1:80" => found.push((*name).to_owned()),
            "503" => {}
            other => panic!("{other}"),
        }
    }
    found
}

#[track_caller]
fn client(namespace: &str, labels: &[(&str, &str)], rules: &str, names: &[&str]) -> Mesh {
    let mut spec = "  hosts: [go.test]\n  http:\n".to_owned();
    for name in names {
        spec += &format!(
            "  - match: [{{uri: {{prefix: /{name}/}}}}]\n    \
             route: [{{destination: {{host: a.svc.test, subset: {name}}}}}]\n"
        );
    }
    let service = service("a.svc.test", 80, &[1]).replace(
        "metadata: {name: sa-svc-test}",
        "metadata: {name: a, namespace: service}",
    );
    let yaml = service + &virtual_service("go", &spec) + rules;
    let builder = labels
        .iter()
        .fold(Mesh::builder().namespace(namespace), |it, (key, value)| {
            it.label(*key, *value)
        });
    build(builder, &yaml)
}

const ALL: [&str; 3] = ["one", "two", "three"];

async fn check(namespace: &str, rules: &[String], want: &[&str]) {
    let mesh = client(namespace, &[("app", "web")], &rules.concat(), &ALL);
    assert_eq!(subsets(mesh, &ALL).await, want, "{rules:#?}");
}

#[tokio::test]
async fn namespaces_are_asked_in_order_and_never_together() {
    let own = rule("web", "one", "*.svc.test", "");
    let services = rule("service", "two", "a.svc.test", "");
    let root = rule("istio-system", "three", "a.svc.test", "");
    let all = [own.clone(), services.clone(), root.clone()];
    check("web", &all, &["one"]).await;
    check("other", &all, &["two"]).await;
    check("other", &[own, root], &["three"]).await;
    // A rule of a namespace that has no part in it.
    check("other", &[rule("third", "one", "a.svc.test", "")], &[]).await;
}

#[tokio::test]
async fn the_most_specific_host_is_chosen_before_it_is_asked_whether_it_is_exported() {
    let exact = rule("service", "one", "a.svc.test", "  exportTo: ['.']");
    let wide = rule("service", "two", "*.svc.test", "");
    // Private rules are in no index for others, so the wide one is found.
    check("other", &[exact, wide.clone()], &["two"]).await;
    // One exported to a third namespace hides it, and the root namespace is asked next.
    let elsewhere = rule("service", "one", "a.svc.test", "  exportTo: [third]");
    check("other", &[elsewhere.clone(), wide.clone()], &[]).await;
    let root = rule("istio-system", "three", "*.svc.test", "");
    check("other", &[elsewhere, wide, root], &["three"]).await;
}

#[tokio::test]
async fn a_rule_its_own_namespace_is_not_among_is_not_for_its_own_namespace() {
    let elsewhere = rule("web", "one", "a.svc.test", "  exportTo: [other]");
    check("web", std::slice::from_ref(&elsewhere), &[]).await;
    let too = rule("web", "one", "a.svc.test", "  exportTo: [other, web]");
    check("web", &[too], &["one"]).await;
}

#[tokio::test]
async fn rules_for_one_host_are_one_where_they_are_exported_alike() {
    let public = |name| rule("web", name, "a.svc.test", "  exportTo: ['*']");
    let silent = |name| rule("web", name, "a.svc.test", "");
    check("web", &[public("one"), public("two")], &["one", "two"]).await;
    check("web", &[silent("one"), silent("two")], &["one", "two"]).await;
    // Saying nothing is not the same as saying all: they stay apart, and the last holds.
    check("web", &[public("one"), silent("two")], &["two"]).await;
    check("web", &[silent("one"), public("two")], &["two"]).await;
    // A wider set takes the narrower one in, not the other way round.
    let narrow = |name| rule("web", name, "a.svc.test", "  exportTo: ['.']");
    let wide = |name| rule("web", name, "a.svc.test", "  exportTo: ['.', other]");
    check("web", &[narrow("one"), wide("two")], &["one", "two"]).await;
    check("web", &[wide("one"), narrow("two")], &["two"]).await;
    // Wildcards and exact hosts never combine.
    let star = rule("web", "one", "*.svc.test", "");
    check("web", &[star, silent("two")], &["two"]).await;
}

#[tokio::test]
async fn a_rule_for_chosen_workloads_comes_first() {
    let selected = |labels: &str, name| {
        let more = format!("  workloadSelector: {{matchLabels: {labels}}}");
        rule("web", name, "a.svc.test", &more)
    };
    let all = rule("web", "two", "a.svc.test", "");
    check(
        "web",
        &[all.clone(), selected("{app: web}", "one")],
        &["one"],
    )
    .await;
    check(
        "web",
        &[selected("{app: db}", "one"), all.clone()],
        &["two"],
    )
    .await;
    check("web", &[selected("{app: db}", "one")], &[]).await;
    // Equal selectors make one rule, and a private rule for all joins it as well.
    let same = [selected("{app: web}", "one"), selected("{app: web}", "two")];
    check("web", &same, &["one", "two"]).await;
    let private = rule("web", "two", "a.svc.test", "  exportTo: ['.']");
    check(
        "web",
        &[private, selected("{app: web}", "one")],
        &["one", "two"],
    )
    .await;
    // Other namespaces never see it.
    let theirs = rule(
        "service",
        "one",
        "a.svc.test",
        "  workloadSelector: {matchLabels: {app: web}}",
    );
    check("web", &[theirs], &[]).await;
}

#[tokio::test]
async fn a_client_in_the_root_namespace_asks_the_service_before_what_is_meant_for_all() {
    let root = rule("istio-system", "one", "*.svc.test", "");
    let services = rule("service", "two", "a.svc.test", "");
    check("istio-system", &[root.clone(), services.clone()], &["two"]).await;
    check("istio-system", &[root], &["one"]).await;
    let private = rule("istio-system", "one", "*.svc.test", "  exportTo: ['.']");
    check("istio-system", &[private, services], &["one"]).await;
}

#[test]
fn what_istio_refuses_is_refused_in_its_words() {
    let yaml = "apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: it}
spec:
  host: a.com
  exportTo: ['*']
  workloadSelector: {matchLabels: {'': x, app: 'w*'}}
  trafficPolicy: {}
  subsets:
  - {name: ''}
  - {name: -a}
  - {name: v1}
  - name: v1
    trafficPolicy:
      portLevelSettings: [{port: {number: 70000}}]
";
    let found = Mesh::builder().yaml(yaml).build().unwrap_err();
    let said: Vec<_> = found
        .iter()
        .filter(|it| it.severity().as_str() == "error")
        .map(|it| format!("{} {}", it.path(), it.message()))
        .collect();
    assert_eq!(
        said,
        [
            "spec.exportTo destination rule with workload selector cannot have exportTo beyond \
             current namespace",
            "spec.workloadSelector.matchLabels[\"\"] empty key is not supported in selector",
            "spec.workloadSelector.matchLabels[\"app\"] wildcard is not supported in selector",
            "spec.trafficPolicy traffic policy must have at least one field",
            "spec.subsets[0].name subset name cannot be empty",
            "spec.subsets[1].name subset name is invalid: -a",
            "spec.subsets[3].name duplicate subset names: v1",
            "spec.subsets[3].trafficPolicy.portLevelSettings[0] port traffic policy must have at \
             least one field",
            "spec.subsets[3].trafficPolicy.portLevelSettings[0].port.number portTrafficPolicy must \
             have valid port",
        ]
    );
}
