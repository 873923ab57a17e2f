//! Delegates from outside: where requests go, what is explained, and what is told of each trap.

use http::Request;
use tower_mesh::mesh::{Mesh, MeshBuilder};

use crate::support::{mesh, service, who};

/// A VirtualService of a namespace.
fn rules(namespace: &str, name: &str, spec: &str) -> String {
    format!(
        "apiVersion: networking.istio.io/v1\nkind: VirtualService\n\
         metadata: {{name: {name}, namespace: {namespace}}}\nspec:\n{spec}\n---\n"
    )
}

const ROOT: &str = "  hosts: [shop.com]\n  http:
  - {match: [{uri: {exact: /}}], route: [{destination: {host: home.com}}]}
  - {name: cart, match: [{uri: {prefix: /cart}}], delegate: {name: cart, namespace: team}}
  - {route: [{destination: {host: home.com}}]}";
const CART: &str = "  http:
  - {match: [{uri: {prefix: /cart/new}}], route: [{destination: {host: new}}]}
  - {match: [{uri: {prefix: /other}}], route: [{destination: {host: new}}]}
  - {name: old, route: [{destination: {host: old.com}}]}";

fn shop() -> String {
    service("home.com", 80, &[1])
        + &service("new.team.svc.cluster.local", 80, &[2])
        + &service("old.com", 80, &[3])
        + &rules("default", "shop", ROOT)
}

#[tokio::test]
async fn a_delegates_rules_stand_where_it_is_named_and_its_hosts_are_of_its_namespace() {
    let mesh = mesh(&(shop() + &rules("team", "cart", CART)));
    for (path, want) in [
        ("/", "10.0.0.1:80"),
        ("/cart/new", "10.0.0.2:80"),
        ("/cart", "10.0.0.3:80"),
        ("/other", "10.0.0.1:80"),
    ] {
        assert_eq!(
            who(&mesh, &format!("http://shop.com{path}"), &[]).await,
            want,
            "{path}"
        );
    }
}

#[tokio::test]
async fn an_entry_without_its_delegate_vanishes_and_the_others_stay() {
    let hosts = rules("team", "cart", &format!("  hosts: [cart.com]\n{CART}"));
    let hidden = rules("team", "cart", &format!("  exportTo: [.]\n{CART}"));
    for leaf in ["", &hosts, &hidden] {
        let mesh = mesh(&(shop() + leaf));
        for path in ["/", "/cart", "/cart/new"] {
            let met = who(&mesh, &format!("http://shop.com{path}"), &[]).await;
            assert_eq!(met, "10.0.0.1:80", "{path} {leaf}");
        }
    }
}

#[tokio::test]
async fn rules_are_counted_as_they_are_when_delegates_are_merged() {
    let mesh = mesh(&(shop() + &rules("team", "cart", CART)));
    let explain = |url: &str| {
        let request = Request::get(url).body(()).unwrap();
        let (parts, ()) = request.into_parts();
        mesh.explain(&parts)
    };
    let cart = explain("http://shop.com/cart");
    assert_eq!(cart.virtual_service.as_deref(), Some("default/shop"));
    assert_eq!(cart.route_name.as_deref(), Some("cart-old"));
    // The one in between is dropped, for it takes what the root does not.
    assert_eq!((cart.route, cart.match_block), (Some(2), Some(0)));
    let rejected: Vec<_> = cart.rejected.iter().map(|it| it.route).collect();
    assert_eq!(rejected, [Some(0), Some(1)]);
    assert_eq!(explain("http://shop.com/x").route, Some(3));
}

#[tokio::test]
async fn a_delegate_is_exported_to_its_root_and_need_not_be_to_the_client() {
    let hidden = format!("  exportTo: [{}]\n{CART}", "default");
    let builder = Mesh::builder().namespace("client");
    let mesh = crate::support::build(builder, &(shop() + &rules("team", "cart", &hidden)));
    assert_eq!(who(&mesh, "http://shop.com/cart", &[]).await, "10.0.0.3:80");
}

/// Everything told of VirtualServices in two files, in order.
#[track_caller]
fn told(builder: MeshBuilder, root: &str, leaf: &str) -> String {
    let services = service("home.com", 80, &[1])
        + &service("new.team.svc.cluster.local", 80, &[2])
        + &service("old.com", 80, &[3]);
    let mut resources = tower_mesh::api::Resources::from_yaml("services.yaml", &services);
    for (file, yaml) in [("root.yaml", root), ("leaf.yaml", leaf)] {
        if !yaml.is_empty() {
            resources.append(tower_mesh::api::Resources::from_yaml(file, yaml));
        }
    }
    match builder.resources(resources).build() {
        Ok((_, report)) => report.diagnostics().to_string(),
        Err(found) => found.to_string(),
    }
}

#[test]
fn what_cannot_be_taken_is_told_where_it_is_named() {
    let root = rules("default", "shop", ROOT);
    for (leaf, want) in [
        (
            String::new(),
            "root.yaml:8:68: warning[unknown-delegate]: VirtualService default/shop: \
             spec.http[1].delegate.name: there is no VirtualService team/cart \
             (this rule is left out)",
        ),
        (
            rules("team", "cart", &format!("  hosts: [cart.com]\n{CART}")),
            "root.yaml:8:68: warning[unknown-delegate]: VirtualService default/shop: \
             spec.http[1].delegate.name: VirtualService team/cart has hosts, so it cannot be a \
             delegate (this rule is left out)",
        ),
        (
            rules("team", "cart", &format!("  exportTo: [., shop]\n{CART}")),
            "root.yaml:8:68: warning[unknown-delegate]: VirtualService default/shop: \
             spec.http[1].delegate.name: VirtualService team/cart is not exported to default \
             (this rule is left out)",
        ),
        (
            rules("team", "cart", CART),
            "root.yaml:8:51: warning[delegate-conflict]: VirtualService default/shop: \
             spec.http[1].delegate: http[1] of VirtualService team/cart is dropped: its match[0] \
             is within no match block of this entry (uri) (the match stands at leaf.yaml:7:14)",
        ),
    ] {
        assert_eq!(told(Mesh::builder(), &root, &leaf), want);
    }
}

#[test]
fn rules_that_nothing_takes_are_told() {
    let found = told(Mesh::builder(), "", &rules("team", "cart", CART));
    assert_eq!(
        found,
        "leaf.yaml:4:1: warning[unreachable]: VirtualService team/cart: spec.hosts: without hosts \
         the rules are only for a delegate to take (no VirtualService names this one in a rule's \
         delegate)"
    );
}

#[test]
fn what_one_side_takes_from_the_other_is_told() {
    let root = |entry: &str| {
        let spec = format!(
            "  hosts: [shop.com]\n  http:\n  - {{delegate: {{name: cart, namespace: team}}, {entry}}}"
        );
        rules("default", "shop", &spec)
    };
    let leaf = |rule: &str| rules("team", "cart", &format!("  http:\n  - {{{rule}}}"));
    let route = leaf("route: [{destination: {host: old.com}}]");
    let redirect = leaf("redirect: {uri: /new}");
    let answer = "directResponse: {status: 503}";
    for (root, leaf, want) in [
        (
            root(answer),
            &route,
            "the entry's directResponse answers in the place of http[0] of VirtualService \
             team/cart, whose route is without effect",
        ),
        (
            root(answer),
            &redirect,
            "http[0] of VirtualService team/cart redirects, so directResponse of this entry is \
             without effect there",
        ),
        (
            root("rewrite: {uri: /a}"),
            &redirect,
            "http[0] of VirtualService team/cart redirects, so rewrite of this entry is without \
             effect there",
        ),
    ] {
        let found = told(Mesh::builder(), &root, leaf);
        let want = format!(
            "root.yaml:7:6: warning[never-fires]: VirtualService default/shop: \
             spec.http[0].delegate: {want}"
        );
        assert_eq!(found, want);
    }
}

#[test]
fn what_only_the_two_together_cannot_mean_is_refused_at_the_root() {
    let root = "  hosts: [shop.com]\n  http:\n  - {match: [{uri: {exact: /a}}], delegate: {name: cart, namespace: team}}";
    let leaf = "  http: [{redirect: {prefixRewrite: /b}}]";
    let found = told(
        Mesh::builder(),
        &rules("default", "shop", root),
        &rules("team", "cart", leaf),
    );
    assert_eq!(
        found,
        "root.yaml:7:35: error[invalid-value]: VirtualService default/shop: \
         spec.http[0].delegate: http[0] of VirtualService team/cart with this entry: \
         redirect.prefixRewrite: redirect prefix_rewrite requires all URI matches to use prefix \
         match type"
    );
}

#[test]
fn merging_is_bounded() {
    let blocks = |n: usize, text: &str| {
        let block = format!("{{headers: {{x: {{prefix: {text}}}}}}}");
        vec![block; n].join(", ")
    };
    let root = format!(
        "  hosts: [shop.com]\n  http: [{{match: [{}], delegate: {{name: cart, namespace: team}}}}]",
        blocks(2_000, "a")
    );
    let leaf = format!(
        "  http: [{{match: [{}], route: [{{destination: {{host: old.com}}}}]}}]",
        blocks(2_000, "ab")
    );
    let found = told(
        Mesh::builder(),
        &rules("default", "shop", &root),
        &rules("team", "cart", &leaf),
    );
    assert!(found.contains("error[too-large]"), "{found}");
    assert!(found.contains("come to more than 256 MiB"), "{found}");
}
