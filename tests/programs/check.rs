//! `check` from outside: what it prints, in words and as JSON, and how it ends.

use serde_json::{Value, json};

use super::{Folder, program, rules};

/// What `check` prints to its two outputs, and its exit code.
fn check(folder: &Folder, arguments: &[&str]) -> (String, String, Option<i32>) {
    let output = program("check")
        .current_dir(&folder.0)
        .args(["--config", "."])
        .args(arguments)
        .output()
        .unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (
        text(output.stdout),
        text(output.stderr),
        output.status.code(),
    )
}

const SLIP: &str = "apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: shop, namespace: web}
spec:
  hosts: [a.com]
  http:
  - route:
    - destination: {host: a.com}
      wieght: 1
";

#[test]
fn a_finding_is_drawn_under_its_line() {
    let folder = Folder::new("check-text");
    folder.write("slip.yaml", SLIP);
    let (out, err, code) = check(&folder, &["--namespace", "web"]);
    assert_eq!(
        out,
        r#"warning[unknown-host]: nothing declares the host a.com
 --> ./slip.yaml:8:27
  |
8 |     - destination: {host: a.com}
  |                           ^^^^^ spec.http[0].route[0].destination.host
  |
  = note: in VirtualService web/shop
  = help: requests go where DNS says

error[unknown-field]: there is no field "wieght" here
 --> ./slip.yaml:9:7
  |
9 |       wieght: 1
  |       ^^^^^^ spec.http[0].route[0].wieght
  |
  = note: in VirtualService web/shop
  = help: did you mean "weight"?

"#
    );
    assert_eq!(err, "check: 1 error, 1 warning\n");
    assert_eq!(code, Some(1));
}

#[test]
fn json_is_an_object_a_line_with_every_key() {
    let folder = Folder::new("check-json");
    folder.write("slip.yaml", SLIP);
    let (out, _, code) = check(&folder, &["--json"]);
    let told: Vec<Value> = out
        .lines()
        .map(|it| serde_json::from_str(it).unwrap())
        .collect();
    assert_eq!(told.len(), 2, "{out}");
    assert_eq!(
        told[1],
        json!({
            "file": "./slip.yaml", "line": 9, "column": 7,
            "kind": "VirtualService", "namespace": "web", "name": "shop",
            "path": "spec.http[0].route[0].wieght",
            "severity": "error", "code": "unknown-field",
            "message": "there is no field \"wieght\" here",
            "hint": "did you mean \"weight\"?",
        })
    );
    assert_eq!(told[0]["severity"], "warning");
    assert_eq!(code, Some(1));

    let (out, _, code) = check(&folder, &["--json", "--lenient", "--seed", "7"]);
    assert!(
        out.lines().all(|it| it.contains(r#""severity":"warning""#)),
        "{out}"
    );
    assert_eq!(code, Some(0));
}

#[test]
fn nothing_wrong_ends_with_zero() {
    let folder = Folder::new("check-good");
    folder.write("rules.yaml", &rules("/one"));
    let (out, err, code) = check(&folder, &["--registry-only", "--label", "app=a"]);
    assert_eq!((&*out, code), ("", Some(0)));
    assert_eq!(err, "check: nothing to complain of\n");
}

#[test]
fn the_client_is_who_it_is_told_to_be() {
    let folder = Folder::new("check-client");
    folder.write("rules.yaml", &rules("/one"));
    let (out, _, code) = check(&folder, &["--gateway", "web/edge", "--json"]);
    let told: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(told["code"], "unknown-gateway");
    assert_eq!(told["file"], Value::Null);
    assert_eq!(code, Some(0));
}

#[test]
fn a_bad_file_does_not_hide_the_others() {
    let folder = Folder::new("check-many");
    folder.write("a.yaml", "spec: [unclosed\n");
    folder.write("b.yaml", "");
    folder.write("d.yaml", SLIP);
    std::fs::write(folder.0.join("c.yaml"), b"kind: \xff\n").unwrap();
    let (out, _, code) = check(&folder, &["--json"]);
    let told: Vec<(String, String)> = out
        .lines()
        .map(|it| serde_json::from_str::<Value>(it).unwrap())
        .map(|it| {
            (
                it["file"].as_str().unwrap().into(),
                it["code"].as_str().unwrap().into(),
            )
        })
        .collect();
    let told: Vec<_> = told.iter().map(|(file, code)| (&**file, &**code)).collect();
    assert_eq!(
        told,
        [
            ("./a.yaml", "syntax"),
            ("./b.yaml", "empty"),
            ("./c.yaml", "missing-field"),
            ("./c.yaml", "syntax"),
            ("./d.yaml", "unknown-host"),
            ("./d.yaml", "unknown-field"),
        ]
    );
    assert_eq!(code, Some(1));
}

#[test]
fn nothing_to_check_ends_with_two() {
    let folder = Folder::new("check-none");
    let (_, err, code) = check(&folder, &[]);
    assert_eq!(
        err,
        "check: there is no .yaml, .yml or .json file to check\n"
    );
    assert_eq!(code, Some(2));
    let (_, err, code) = check(&folder, &["--config", "missing.yaml"]);
    assert!(err.starts_with("check: missing.yaml: "), "{err}");
    assert_eq!(code, Some(2));
}
