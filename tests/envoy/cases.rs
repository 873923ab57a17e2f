//! Hand-written cases: `cases/NAME.yaml` is a table, `cases/NAME.requests.json` the requests
//! sent under it.
//!
//! The requests file is an object:
//!
//! - `client`: `namespace`, `labels`, `port` and `registry_only` of the client.
//! - `host`: the Host of requests that do not say their own.
//! - `requests`: a list. `send` is method and target, `host` the Host header (`null` for
//!   none), `headers` a list of pairs, `body` text, `chunked` how it is sent, `shadows` how many copies
//!   of it mirrors get. `expect` is
//!   what Envoy must do, so that no case says less than its author thinks; `status`,
//!   `route`, `cluster`, `flags` and `details` are short for their fields, any other name
//!   is a field itself, and `null` means that it must be absent. `except` allows fields to
//!   differ, each with its reason, as long as they do differ.
//!
//! Where a clock has decided an answer and the two differ, both are asked for again: a limit
//! of a few milliseconds runs out a little earlier or later on a busy machine.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};
use tower_mesh::api::Resources;

use super::compare::{self, AGAIN, Difference, is_of_time};
use super::exchange::{Observation, Request, exchange};
use super::sidecar::Sidecar;
use super::translate::{Client, Translation, translate};
use super::upstream;

/// A table, its client, and what is sent under it.
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) yaml: String,
    pub(crate) client: Client,
    entries: Vec<Entry>,
}

struct Entry {
    request: Request,
    expect: BTreeMap<String, Option<String>>,
    except: BTreeMap<String, String>,
}

/// The folder of the hand-written cases.
pub(crate) fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/envoy/cases")
}

/// Reads YAML, and translates it for Envoy; faults in either end the test.
pub(crate) fn translated(name: &str, yaml: &str, client: &Client) -> Translation {
    let resources = Resources::from_yaml(name, yaml);
    let found = resources.diagnostics();
    assert!(!found.has_errors(), "{name}: {found:?}");
    translate(&resources, client).unwrap_or_else(|error| panic!("{name}: {error}"))
}

impl Case {
    /// Reads a case, with the endpoints' ports filled in.
    pub(crate) fn read(name: &str) -> Self {
        let read = |file: String| {
            let path = folder().join(file);
            let text = std::fs::read_to_string(&path);
            text.unwrap_or_else(|error| panic!("{}: {error}", path.display()))
        };
        let yaml = upstream::fill_in(&read(format!("{name}.yaml")));
        let file = format!("{name}.requests.json");
        let spec: Value = serde_json::from_str(&upstream::fill_in(&read(file.clone())))
            .unwrap_or_else(|error| panic!("{file}: {error}"));
        only(&file, &spec, &["client", "host", "requests"]);
        let host = spec["host"].as_str();
        let entries = spec["requests"].as_array().expect("a list of requests");
        let entries = entries.iter().map(|it| entry(&file, it, host));
        Self {
            name: name.to_owned(),
            yaml,
            client: client(&file, &spec["client"]),
            entries: entries.collect(),
        }
    }

    pub(crate) fn translated(&self) -> Translation {
        translated(&self.name, &self.yaml, &self.client)
    }

    /// Sends everything to both sides; all differences are the error.
    ///
    /// Between two Envoys nothing may differ, so exceptions count only for the `gateway`.
    pub(crate) fn compare(
        &self,
        envoy: &mut Sidecar,
        other: &mut Sidecar,
        is_gateway: bool,
    ) -> Result<(), String> {
        let translation = self.translated();
        let requests: Vec<_> = self.entries.iter().map(|it| it.request.clone()).collect();
        let (mut failed, mut all) = (Vec::new(), Vec::new());
        let answers = exchange_both(envoy, other, &requests);
        for (entry, mut answers) in self.entries.iter().zip(answers) {
            let mut found = entry.found(&answers, &translation, is_gateway);
            for _ in 0..AGAIN {
                if found.is_empty() || !is_of_time(&answers.0, &answers.1, &found) {
                    break;
                }
                let request = std::slice::from_ref(&entry.request);
                answers = exchange_both(envoy, other, request).remove(0);
                found = entry.found(&answers, &translation, is_gateway);
            }
            if !found.is_empty() {
                let text = entry.request.text("comparison/N");
                failed.push(compare::report(&self.name, "", &text, &found));
                all.extend(found);
            }
        }
        let count = self.entries.len();
        super::say(&format!(
            "{}: compared {count}, differing {}",
            self.name,
            failed.len()
        ));
        match failed.len() {
            0 => Ok(()),
            some => Err(format!(
                "{some} of {count} differ under\n{}\n{}\n{}",
                self.yaml,
                failed.join("\n"),
                compare::tally(all.iter()),
            )),
        }
    }
}

/// The answers of both sides to the same requests, asked for at once.
fn exchange_both(
    envoy: &mut Sidecar,
    other: &mut Sidecar,
    requests: &[Request],
) -> Vec<(Observation, Observation)> {
    let (envoy, other) = std::thread::scope(|scope| {
        let envoy = scope.spawn(|| exchange(envoy, requests));
        let other = exchange(other, requests);
        (envoy.join().expect("the exchange with Envoy"), other)
    });
    envoy.into_iter().zip(other).collect()
}

impl Entry {
    /// What differs between two answers, and what Envoy was not expected to do.
    fn found(
        &self,
        (envoy, other): &(Observation, Observation),
        translation: &Translation,
        is_gateway: bool,
    ) -> Vec<Difference> {
        let mut found = self.unexpected(envoy);
        found.extend(compare::differences(envoy, other, &translation.endpoints));
        if is_gateway {
            self.excuse(&mut found);
        }
        found
    }

    /// Where Envoy itself does not do what the case says.
    fn unexpected(&self, envoy: &Observation) -> Vec<Difference> {
        let expected = self.expect.iter();
        let unmet = expected.filter(|(field, value)| envoy.get(*field) != value.as_ref());
        let difference = |(field, value): (&String, &Option<String>)| Difference {
            field: format!("{field}, as the case expects it of Envoy"),
            envoy: envoy.get(field).cloned(),
            ours: value.clone(),
        };
        unmet.map(difference).collect()
    }

    /// Takes away differences that are allowed, and complains of allowances without need.
    fn excuse(&self, found: &mut Vec<Difference>) {
        for (field, reason) in &self.except {
            let before = found.len();
            found.retain(|difference| difference.field != *field);
            if found.len() == before {
                found.push(Difference {
                    field: format!("{field} is equal; take away its exception ({reason})"),
                    envoy: None,
                    ours: None,
                });
            }
        }
    }
}

fn only(file: &str, object: &Value, known: &[&str]) {
    let empty = Map::new();
    for key in object.as_object().unwrap_or(&empty).keys() {
        assert!(known.contains(&&**key), "{file}: unknown key {key:?}");
    }
}

fn client(file: &str, spec: &Value) -> Client {
    only(
        file,
        spec,
        &["namespace", "labels", "port", "registry_only"],
    );
    let labels = spec["labels"].as_object().into_iter().flatten();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let port = spec["port"].as_u64().unwrap_or(80);
    Client {
        namespace: spec["namespace"].as_str().unwrap_or("default").to_owned(),
        labels: labels
            .map(|(key, value)| (key.clone(), text(value)))
            .collect(),
        port: u16::try_from(port).expect("a port"),
        registry_only: spec["registry_only"] == true,
    }
}

fn entry(file: &str, spec: &Value, host: Option<&str>) -> Entry {
    let known = [
        "send", "host", "headers", "body", "chunked", "shadows", "expect", "except", "why",
    ];
    only(file, spec, &known);
    let send = spec["send"].as_str().expect("method and target to send");
    let (method, target) = send.split_once(' ').expect("method and target to send");
    let host = match spec.get("host") {
        Some(Value::Null) => None,
        Some(own) => own.as_str(),
        None => host,
    };
    let texts = |key: &str| {
        let object = spec[key].as_object().into_iter().flatten();
        object.map(|(key, value)| (long(key), value.as_str().map(str::to_owned)))
    };
    let pair = |pair: &Value| {
        let text = |at: usize| pair[at].as_str().expect("a name and a value").to_owned();
        (text(0), text(1))
    };
    let headers = spec["headers"].as_array().into_iter().flatten();
    let except = texts("except").map(|(field, reason)| (field, reason.expect("a reason")));
    Entry {
        request: Request {
            method: method.to_owned(),
            target: target.to_owned(),
            host: host.map(str::to_owned),
            headers: headers.map(pair).collect(),
            body: spec["body"].as_str().map(str::to_owned),
            chunked: spec["chunked"] == true,
            shadows: spec["shadows"].as_u64().map_or(0, |it| it as usize),
        },
        expect: texts("expect").collect(),
        except: except.collect(),
    }
}

/// The field a short name stands for.
fn long(name: &str) -> String {
    let field = match name {
        "route" => "log.route_name",
        "cluster" => "log.upstream_cluster",
        "flags" => "log.response_flags",
        "details" => "log.response_code_details",
        field => field,
    };
    field.to_owned()
}
