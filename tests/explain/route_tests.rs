//! Tests of routes: they hold where traffic would do so, and fail with what a reader needs.

use http::Request;
use tower_mesh::api::Resources;
use tower_mesh::mesh::{Mesh, RouteTest, RouteTests};

const RULES: &str = include_str!("../../examples/explain/shop.yaml");
const TESTS: &str = include_str!("../../examples/explain/shop.test.yaml");

fn mesh() -> Mesh {
    Mesh::builder().yaml(RULES).build().unwrap().0
}

#[test]
fn the_example_holds() {
    let tests = RouteTests::from_yaml("shop.test.yaml", TESTS).unwrap();
    assert_eq!(tests.len(), 4);
    tests.run(&mesh()).unwrap();
}

#[test]
fn tests_may_lie_beside_the_rules_and_in_their_file() {
    let both = format!("{RULES}---\n{TESTS}");
    let resources = Resources::from_yaml("both.yaml", &both);
    assert!(
        !resources.diagnostics().has_errors(),
        "{}",
        resources.diagnostics()
    );
    assert_eq!(RouteTests::from_yaml("both.yaml", &both).unwrap().len(), 4);
}

fn failure(expect: &str) -> String {
    let text = format!(
        "kind: RouteTests\ntests:\n- name: it\n  request: {{url: 'http://shop/cart'}}\n  \
         expect: {{{expect}}}\n"
    );
    let tests = RouteTests::from_yaml("it.yaml", &text).unwrap();
    match tests.run(&mesh()) {
        Ok(()) => "holds".to_owned(),
        Err(error) => error.to_string(),
    }
}

/// The lines between the name of a test and the explanation.
#[track_caller]
fn check(expect: &str, want: &str) {
    let text = failure(expect);
    let got: Vec<_> = text
        .lines()
        .skip(3)
        .take_while(|it| !it.starts_with("  GET"))
        .map(str::trim)
        .collect();
    assert_eq!(got.join("; "), want, "{text}");
}

#[test]
fn each_field_is_compared() {
    check("", "");
    check("action: redirect", "action: expected redirect, got forward");
    check(
        "virtualService: default/other, routeName: other",
        "virtualService: expected default/other, got default/shop; \
         routeName: expected other, got everybody",
    );
    check(
        "route: 1, match: 0",
        "route: expected 1, got 2; match: expected 0, got none",
    );
    check("status: 200", "status: expected 200, got none");
    check("location: /x", "location: expected /x, got none");
    check(
        "path: /, authority: shop",
        "path: expected /, got /cart; authority: expected shop, got shop.internal",
    );
    check("timeout: 1.5s", "timeout: expected 1.5s, got 2s");
    check("timeout: 2000ms", "");
}

#[test]
fn all_destinations_are_compared_in_any_order() {
    check(
        "destinations: [{weight: 10, subset: v2}, {host: shop, port: 80}]",
        "",
    );
    check("destinations: [{host: shop}, {subset: v1}]", "");
    let got = "got shop.default.svc.cluster.local:80 subset v1 weight 90, \
               shop.default.svc.cluster.local:80 subset v2 weight 10";
    check(
        "destinations: []",
        &format!("destinations: expected none, {got}"),
    );
    check(
        "destinations: [{host: shop, subset: v1}]",
        &format!("destinations: expected shop subset v1, {got}"),
    );
    check(
        "destinations: [{subset: v1}, {subset: v3, weight: 10}]",
        &format!("destinations: expected any host subset v1, any host subset v3 weight 10, {got}"),
    );
}

#[test]
fn a_failure_says_where_and_why() {
    let want = "1 of 1 route tests failed

it.yaml:3:3: it
  route: expected 0, got 2
  GET http://shop/cart  (port 80)
  ├─ owner      VirtualService default/shop: it names shop.default.svc.cluster.local, which shop is short for
  ├─ rejected   http[0].match[0]  uri: prefix \"/basket\" does not match \"/cart\"
  │             http[1].match[0]  headers.end-user: exact \"jason\" is wanted, and the request has none
  ├─ taken      http[2] \"everybody\"";
    let text = failure("route: 0");
    assert!(text.starts_with(want), "{text}");
    let tests = RouteTests::from_yaml("shop.test.yaml", &TESTS.replace("301", "302")).unwrap();
    let error = tests.run(&mesh()).unwrap_err();
    assert_eq!(error.failed(), 1);
    // As `cargo test` prints what a test returns.
    assert_eq!(format!("{error:?}"), error.to_string());
}

#[test]
fn the_readme_shows_what_a_failing_test_says() {
    let readme = include_str!("../../README.md");
    let (_, shown) = readme.split_once("```text\nshop.test.yaml").unwrap();
    let (shown, _) = shown.split_once("```").unwrap();
    let tests = TESTS.replace("jason", "Jason");
    let error = RouteTests::from_yaml("shop.test.yaml", &tests).unwrap();
    let told = error.run(&mesh()).unwrap_err().to_string();
    let mut said = told
        .lines()
        .skip_while(|it| !it.starts_with("shop.test.yaml"));
    for line in format!("shop.test.yaml{shown}").lines() {
        let shown = line.trim_end_matches('…').trim_end();
        let is_said = said.next().is_some_and(|it| it.starts_with(shown));
        assert!(is_said, "{line:?} is not in:\n{told}");
    }
}

#[test]
fn what_is_no_test_is_refused_with_its_place() {
    #[track_caller]
    fn check(text: &str, want: &str) {
        let error = RouteTests::from_yaml("it.yaml", text).unwrap_err();
        assert!(error.to_string().starts_with(want), "{error}");
    }
    let one = |test: &str| format!("kind: RouteTests\ntests:\n- {test}\n");
    check(
        "kind: Other\n",
        "it.yaml: there are no tests; write a document with kind: RouteTests",
    );
    check(
        &one("{request: {url: shop}}"),
        "it.yaml:3:14: error[invalid-value]: tests[0].request.url",
    );
    check(
        &one("{request: {url: 'http://shop/', metod: GET}}"),
        "it.yaml:3:35: error[unknown-field]: tests[0].request.metod",
    );
    check(
        &one("{request: {url: 'http://shop/'}, expect: {route: first}}"),
        "it.yaml:3:52: error[wrong-type]: tests[0].expect.route",
    );
    check("kind: RouteTests\ntests: [", "it.yaml:2:");
}

#[test]
fn tests_can_be_made_in_rust_and_agree_with_explanations() {
    let mesh = mesh();
    let mut tests = RouteTests::new();
    for path in ["/", "/basket", "/cart"] {
        let url = format!("http://shop{path}");
        let (request, ()) = Request::get(&url).body(()).unwrap().into_parts();
        let told = mesh.explain(&request);
        let mut test = RouteTest::default();
        test.request.url = url;
        test.expect.route = told.route.map(|it| it as u32);
        test.expect.action = Some(told.action.as_str().to_owned());
        test.expect.location = told.location;
        tests.push(test).unwrap();
    }
    tests.run(&mesh).unwrap();
    let mut none = RouteTest::default();
    none.name = "none".to_owned();
    let error = tests.push(none).unwrap_err();
    assert_eq!(
        error.to_string(),
        "none: request.url: \"\" is no URL; write http://HOST/PATH"
    );
}
