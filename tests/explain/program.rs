//! The program `explain` from outside.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};

const RULES: &str = "
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: shop, namespace: prod}
spec:
  hosts: [shop.com]
  http:
  - match: [{sourceLabels: {app: web}, uri: {prefix: /old}}]
    redirect: {uri: /new}
  - match: [{headers: {end-user: {exact: jason}}}]
    directResponse: {status: 202}
  - route: [{destination: {host: shop.com}}]
";

/// A file of its own for one test, removed at its end.
struct File(PathBuf);

impl File {
    fn new(name: &str, text: &str) -> Self {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("explain-{name}"));
        std::fs::write(&path, text).unwrap();
        Self(path)
    }

    fn path(&self) -> &str {
        self.0.to_str().unwrap()
    }
}

impl Drop for File {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

fn explain(arguments: &[&str], input: &str) -> Output {
    let test = std::env::current_exe().unwrap();
    let folder = test.parent().unwrap().parent().unwrap().join("examples");
    let mut child = Command::new(folder.join("explain"))
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("cargo build --examples");
    // A program that ends before it reads has no use for the rest.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    child.wait_with_output().unwrap()
}

#[track_caller]
fn lines(output: &Output) -> Vec<Value> {
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{errors}");
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    text.lines()
        .map(|it| serde_json::from_str(it).unwrap())
        .collect()
}

#[test]
fn one_request_is_explained_wherever_the_options_stand() {
    let rules = File::new("one.yaml", RULES);
    let request = ["GET", "http://shop.com/old"];
    let config = ["--config", rules.path()];
    let client = ["--json", "--label", "app=web"];
    for order in [
        [&config[..], &client, &request],
        [&request, &client, &config],
        [&client, &config, &request],
    ] {
        let output = explain(&order.concat(), "");
        let [told] = &lines(&output)[..] else {
            panic!("one object")
        };
        assert_eq!(told["virtual_service"], "prod/shop");
        assert_eq!((&told["route"], &told["match"]), (&json!(0), &json!(0)));
        assert_eq!(told["action"], "redirect");
        assert_eq!(told["location"], "http://shop.com/new");
    }
    let header = ["-H", "end-user: jason", "--port", "80", "--json"];
    let output = explain(&[&config[..], &request, &header].concat(), "");
    let told = &lines(&output)[0];
    assert_eq!((&told["route"], &told["status"]), (&json!(1), &json!(202)));
    let because = "sourceLabels: this client carries no labels";
    assert_eq!(told["rejected"][0]["because"], because);
}

#[test]
fn without_json_it_prints_a_tree() {
    let rules = File::new("tree.yaml", RULES);
    let output = explain(&["--config", rules.path(), "GET", "http://shop.com/"], "");
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(
        text.starts_with("GET http://shop.com/  (port 80)\n├─ owner"),
        "{text}"
    );
    assert!(
        text.contains("└─ forward    100 % to shop.com:80"),
        "{text}"
    );
}

#[test]
fn many_requests_are_read_from_a_file_or_the_standard_input() {
    let rules = File::new("many.yaml", RULES);
    let requests = r#"{"method": "GET", "url": "http://shop.com/"}
{"method": "POST", "url": "http://shop.com/", "headers": [["end-user", "jason"]]}

{"method": "GET", "url": "/x", "headers": [["host", "shop.com"], ["end-user", "bob"]]}
"#;
    let file = File::new("many.jsonl", requests);
    for path in [file.path(), "-"] {
        let arguments = ["--config", rules.path(), "--json", "--requests", path];
        let told = lines(&explain(&arguments, requests));
        let routes: Vec<_> = told.iter().map(|it| &it["route"]).collect();
        assert_eq!(routes, [&json!(2), &json!(1), &json!(2)]);
    }
}

#[test]
fn wrong_use_ends_with_two_and_says_what_is_wrong() {
    let rules = File::new("wrong.yaml", RULES);
    let config = ["--config", rules.path()];
    #[track_caller]
    fn check(output: &Output, says: &str) {
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{errors}");
        assert!(errors.contains(says), "{errors}");
        assert!(output.stdout.is_empty());
    }
    let wrong = |more: &[&str]| explain(&[&config[..], more].concat(), "");
    check(&wrong(&[]), "<METHOD>");
    check(&wrong(&["--json", "GET"]), "<URL>");
    check(&wrong(&["--json", "GET", "/no-host"]), "names no host");
    check(&wrong(&["G ET", "http://shop.com/"]), "METHOD");
    check(
        &wrong(&["GET", "http://shop.com/", "-H", "no colon"]),
        "NAME: VALUE",
    );
    check(
        &wrong(&["GET", "http://shop.com/", "--port", "0"]),
        "--port",
    );
    check(&wrong(&["--requests", "no-such-file"]), "no-such-file");
    check(&explain(&["GET", "http://shop.com/"], ""), "--config");
    let broken = |line: &str| {
        explain(
            &[&config[..], &["--json", "--requests", "-"]].concat(),
            line,
        )
    };
    check(
        &broken("{\"url\": 1}"),
        "-:1: \"url\" is missing, or no text",
    );
    check(
        &broken("\n{\"url\": \"http://a/\", \"verb\": 1}"),
        "-:2: there is no key \"verb\"",
    );
    check(&broken("[]"), "a JSON object is wanted");
    check(
        &broken("{\"url\": \"http://a/\", \"headers\": [[\"a\"]]}"),
        "[[name, value], …]",
    );
}

#[test]
fn bad_rules_end_with_one_and_their_diagnostics() {
    let rules = File::new(
        "bad.yaml",
        &RULES.replace("redirect: {uri", "redirect: {url"),
    );
    let output = explain(&["--config", rules.path(), "GET", "http://shop.com/"], "");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{errors}");
    assert!(
        errors.contains("bad.yaml:9:16: error[unknown-field]"),
        "{errors}"
    );
    assert!(output.stdout.is_empty());
}
