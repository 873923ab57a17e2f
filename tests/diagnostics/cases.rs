//! The cases: how they are read, completed, judged and written.

use std::fmt::Write as _;
use std::path::Path;

use tower_mesh::api::Resources;
use tower_mesh::diagnostic::{Code, Diagnostic, FieldPath, Step};
use tower_mesh::mesh::Mesh;

pub(crate) struct Case {
    template: String,
    flags: Vec<String>,
    pub(crate) name: String,
    pub(crate) text: String,
    pub(crate) want: Vec<String>,
}

/// A mesh in which nothing is wrong.
const WORLD: &str = r#"
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: reviews}
spec:
  hosts: [reviews.default.svc.cluster.local]
  ports: [{number: 80, name: http, protocol: HTTP}]
  resolution: STATIC
  endpoints:
  - {address: 10.0.0.1, labels: {version: v1}}
  - {address: 10.0.0.2, labels: {version: v2}}
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: ratings}
spec:
  hosts: [ratings.default.svc.cluster.local]
  ports: [{number: 80, name: http, protocol: HTTP}, {number: 81, name: other, protocol: HTTP}]
  resolution: STATIC
  endpoints:
  - {address: 10.0.1.0}
  - {address: 10.0.1.1}
  - {address: 10.0.1.2}
  - {address: 10.0.1.3}
  - {address: 10.0.1.4}
  - {address: 10.0.1.5}
  - {address: 10.0.1.6}
  - {address: 10.0.1.7}
  - {address: 10.0.1.8}
  - {address: 10.0.1.9, labels: {version: v1}}
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: redis}
spec:
  hosts: [redis.default.svc.cluster.local]
  ports: [{number: 6379, name: tcp, protocol: TCP}]
  resolution: STATIC
  endpoints: [{address: 10.0.2.0}]
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: reviews}
spec:
  host: reviews
  subsets:
  - {name: v1, labels: {version: v1}}
  - {name: v2, labels: {version: v2}}
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: edge}
spec:
  servers:
  - port: {number: 80, name: http, protocol: HTTP}
    hosts: ["*"]
"#;

pub(crate) fn read(file: &Path) -> Vec<Case> {
    let mut cases: Vec<Case> = Vec::new();
    for line in std::fs::read_to_string(file).unwrap().lines() {
        if let Some(head) = line.strip_prefix("#! ") {
            let (template, name) = head.split_once(" | ").unwrap();
            let mut words = template.split(' ').map(str::to_owned);
            cases.push(Case {
                template: words.next().unwrap(),
                flags: words.collect(),
                name: name.to_owned(),
                text: String::new(),
                want: Vec::new(),
            });
            continue;
        }
        let Some(case) = cases.last_mut() else {
            assert!(line.is_empty() || line.starts_with("# "), "{line}");
            continue;
        };
        match line.strip_prefix("#> ") {
            Some(want) => case.want.push(want.to_owned()),
            None => case.text += &format!("{line}\n"),
        }
    }
    for case in &mut cases {
        case.text = case.text.trim_end_matches('\n').to_owned();
    }
    cases
}

/// Writes the cases of a file with these lines told of them.
pub(crate) fn write(file: &Path, cases: &[(&Case, Vec<String>)]) {
    let before = std::fs::read_to_string(file).unwrap();
    let (head, _) = before.split_once("#! ").unwrap();
    let mut text = head.to_owned();
    for (case, told) in cases {
        let flags: String = case.flags.iter().map(|it| format!(" {it}")).collect();
        let _ = writeln!(
            text,
            "#! {}{flags} | {}\n{}",
            case.template, case.name, case.text
        );
        for want in told {
            let _ = writeln!(text, "#> {want}");
        }
        text.push('\n');
    }
    std::fs::write(file, text.trim_end().to_owned() + "\n").unwrap();
}

/// The lines of a text, the first with its own indentation.
fn indented(text: &str, first: &str, others: &str) -> String {
    let lines = text.lines().enumerate();
    lines
        .map(|(n, line)| match (n, line) {
            (0, line) => format!("{first}{line}\n"),
            (_, "") => "\n".to_owned(),
            (_, line) => format!("{others}{line}\n"),
        })
        .collect()
}

/// A text with `times(3, a#)` written out: `a0, a1, a2`.
fn repeated(text: &str) -> String {
    let Some((before, rest)) = text.split_once("times(") else {
        return text.to_owned();
    };
    let (number, rest) = rest.split_once(", ").unwrap();
    let (item, after) = rest.split_once(')').unwrap();
    let all = (0..number.parse().unwrap()).map(|it: usize| item.replace('#', &it.to_string()));
    let all: Vec<String> = all.collect();
    format!("{before}{}{}", all.join(", "), repeated(after))
}

impl Case {
    /// The whole file the case is.
    fn file(&self) -> String {
        let head = |kind: &str| {
            format!(
                "apiVersion: networking.istio.io/v1\nkind: {kind}\nmetadata: {{name: bad}}\nspec:\n"
            )
        };
        let text = &repeated(&self.text);
        match self.template.as_str() {
            "file" => format!("{text}\n"),
            "vs" => head("VirtualService") + &indented(text, "  ", "  "),
            "dr" => head("DestinationRule") + &indented(text, "  ", "  "),
            "se" => head("ServiceEntry") + &indented(text, "  ", "  "),
            "gw" => head("Gateway") + &indented(text, "  ", "  "),
            "rule" | "bare" => {
                let rule = indented(text, "  - ", "    ");
                let more = match self.template.as_str() {
                    "rule" => "    route: [{destination: {host: reviews}}]\n",
                    _ => "",
                };
                let head = head("VirtualService");
                format!("{head}  hosts: [reviews]\n  http:\n{rule}{more}")
            }
            "http" => {
                let rules = indented(text, "  ", "  ");
                format!(
                    "{}  hosts: [reviews]\n  http:\n{rules}",
                    head("VirtualService")
                )
            }
            "large" => {
                let kibibytes = self.flags.iter().find_map(|it| it.parse().ok());
                let body = "x".repeat(kibibytes.unwrap_or(110_usize) << 10);
                let head = head("VirtualService");
                format!(
                    "{head}  hosts: [reviews]\n  http:\n  - directResponse:\n      status: 200\n      \
                     body: {{string: {body}}}\n"
                )
            }
            "policy" => {
                let policy = indented(text, "    ", "    ");
                format!(
                    "{}  host: ratings\n  trafficPolicy:\n{policy}",
                    head("DestinationRule")
                )
            }
            other => panic!("there is no template {other}"),
        }
    }
}

/// All that is told of a case, but what is left out on purpose: `left_out.rs` asks for that.
pub(crate) fn told(case: &Case) -> Vec<Diagnostic> {
    let mut resources = Resources::from_yaml("bad.yaml", &case.file());
    resources.append(Resources::from_yaml("world.yaml", WORLD));
    let mut builder = Mesh::builder().resources(resources);
    if !case.flags.iter().any(|it| it == "alone") {
        builder = builder
            .locality("r/a")
            .instances("r/a", 1)
            .instances("r/b", 1);
    }
    for flag in &case.flags {
        builder = match flag.as_str() {
            "lenient" => builder.lenient(true),
            "registry-only" => builder.registry_only(true),
            "alone" => builder,
            "gateway" => builder.gateway("default/edge"),
            "nowhere" => builder.gateway("default/nowhere"),
            // How large a body is.
            number if number.parse::<usize>().is_ok() => builder,
            other => panic!("{}: there is no flag {other}", case.name),
        };
    }
    let found = match builder.build() {
        Ok((_, report)) => report.diagnostics().clone(),
        Err(found) => found,
    };
    let found: Vec<_> = found
        .into_iter()
        .filter(|it| it.code() != Code::NotBuilt)
        .collect();
    for it in &found {
        let file = it.place().map(|place| &*place.file);
        assert_ne!(file, Some("world.yaml"), "{}: {it}", case.name);
    }
    found
}

/// A finding in one line.
pub(crate) fn line(found: &Diagnostic) -> String {
    let place = found.place();
    let place = place.map_or("-".to_owned(), |it| format!("{}:{}", it.line, it.column));
    let path = match found.path().to_string() {
        path if path.is_empty() => String::new(),
        path => format!(" {path}"),
    };
    let help = found.help().map_or(String::new(), |it| format!(" ({it})"));
    format!("{place} {}{path}: {}{help}", found.code(), found.message())
}

/// A path without the numbers of its items and the keys of its maps.
pub(crate) fn without_numbers(path: &FieldPath) -> String {
    let steps = path.steps().iter().filter_map(|step| match step {
        Step::Field(name) => Some(name.as_str()),
        _ => None,
    });
    steps.collect::<Vec<_>>().join(".")
}
