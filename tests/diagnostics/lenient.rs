//! Strict and lenient reading: what may be overlooked, and what stays an error.

use tower_mesh::diagnostic::{Code, Severity};

#[test]
fn only_what_changes_nothing_else_may_be_overlooked() {
    let overlooked: Vec<&str> = Code::ALL
        .iter()
        .filter(|code| code.may_be_overlooked())
        .map(|code| code.as_str())
        .collect();
    assert_eq!(overlooked, ["unknown-field", "not-built"]);
    let errors = Code::ALL.iter().filter(|it| it.may_be_overlooked());
    assert!(
        errors
            .clone()
            .all(|code| code.severity() == Severity::Error)
    );
}

#[test]
fn lenient_reading_makes_warnings_of_them_and_of_nothing_else() {
    use tower_mesh::mesh::Mesh;

    let text = "apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: a}
spec:
  hosts: [a.com]
  http:
  - timeuot: 5s
    route: [{destination: {host: a.com}, weight: -1}]
    fault: {abort: {httpStatus: 500, percnetage: {value: 1}}}
";
    let told = |lenient| {
        let found = Mesh::builder()
            .yaml(text)
            .lenient(lenient)
            .build()
            .unwrap_err();
        let errors = found.iter().filter(|it| it.severity() == Severity::Error);
        errors.map(|it| it.path().to_string()).collect::<Vec<_>>()
    };
    let weight = "spec.http[0].route[0].weight";
    let percentage = "spec.http[0].fault.abort.percnetage";
    assert_eq!(told(false), ["spec.http[0].timeuot", weight, percentage]);
    assert_eq!(told(true), [weight, percentage]);
}
