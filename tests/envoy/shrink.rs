//! A difference made small: whatever can go from table and request while the same fields
//! differ is taken away, and the rest is told in the form of a case.

use std::collections::BTreeSet;

use serde_json::json;

use super::compare::{self, Difference};
use super::exchange::Request;
use super::generate::{Table, fields, is_valid};
use super::sides::{Sides, alone};
use super::translate::Client;

/// The most attempts for one difference.
const MAX_ATTEMPTS: usize = 80;

/// A small table and request that still differ.
pub(crate) struct Shrunk {
    client: Client,
    table: Table,
    request: Request,
    found: Vec<Difference>,
}

/// Makes a difference small. Where it cannot be had again with the table alone, all is left.
pub(crate) fn shrink(
    sides: &mut Sides,
    client: &Client,
    table: &Table,
    request: &Request,
    found: &[Difference],
) -> Shrunk {
    let fields: BTreeSet<&str> = found.iter().map(|it| &*it.field).collect();
    let mut best = Shrunk {
        client: client.clone(),
        table: table.clone(),
        request: request.clone(),
        found: found.to_vec(),
    };
    let mut attempts = 0;
    let mut differs = |sides: &mut Sides, request: &Request| {
        attempts += 1;
        let found = match attempts > MAX_ATTEMPTS {
            true => Vec::new(),
            false => sides.differs(request),
        };
        let same: BTreeSet<&str> = found.iter().map(|it| &*it.field).collect();
        // Where another rule was taken, what follows from it is of no matter.
        let is_same = match fields.contains("log.route_name") {
            true => same.contains("log.route_name"),
            false => same == fields,
        };
        is_same.then_some(found)
    };
    alone(sides, client, table);
    match differs(sides, request) {
        Some(found) => best.found = found,
        None => return best,
    }
    // The request costs no other configuration, so it is first.
    for smaller in smaller_requests(&best.request) {
        let smaller = smaller(&best.request);
        if let Some(found) = differs(sides, &smaller) {
            (best.request, best.found) = (smaller, found);
        }
    }
    for at in (1..best.table.documents.len()).rev() {
        let mut smaller = best.table.clone();
        smaller.documents.remove(at);
        if is_valid(client, &smaller) {
            alone(sides, client, &smaller);
            if let Some(found) = differs(sides, &best.request) {
                (best.table, best.found) = (smaller, found);
            }
        }
    }
    let mut skip = 0;
    loop {
        let places = best.table.documents.iter().enumerate();
        let mut places = places.flat_map(|(at, document)| {
            let paths = fields::paths(document).into_iter();
            paths.map(move |(_, pointer)| (at, pointer))
        });
        let Some((at, pointer)) = places.nth(skip) else {
            break;
        };
        let mut smaller = best.table.clone();
        let is_other = fields::remove(&mut smaller.documents[at], &pointer);
        if is_other && is_valid(client, &smaller) {
            alone(sides, client, &smaller);
            if let Some(found) = differs(sides, &best.request) {
                (best.table, best.found) = (smaller, found);
                continue;
            }
        }
        skip += 1;
    }
    best
}

type Change = Box<dyn Fn(&Request) -> Request>;

/// Ways to make a request smaller.
fn smaller_requests(request: &Request) -> Vec<Change> {
    let change = |change: fn(&mut Request)| -> Change {
        Box::new(move |request| {
            let mut request = request.clone();
            change(&mut request);
            request
        })
    };
    let mut changes = vec![
        change(|it| it.body = None),
        change(|it| it.chunked = false),
        change(|it| it.method = "GET".to_owned()),
        change(|it| {
            it.target
                .truncate(it.target.find('?').unwrap_or(it.target.len()))
        }),
    ];
    for (name, value) in request.headers.clone() {
        let header = (name, value);
        changes.push(Box::new(move |request| {
            let mut request = request.clone();
            request.headers.retain(|it| *it != header);
            request
        }));
    }
    changes
}

impl Shrunk {
    /// The table and the request, ready to be kept as a case, and where the sides differ.
    pub(crate) fn report(&self, title: &str) -> String {
        let request = &self.request;
        let mut entry = json!({
            "send": format!("{} {}", request.method, request.target),
            "host": request.host,
            "headers": request.headers,
        });
        if let Some(body) = &request.body {
            entry["body"] = json!(body);
            entry["chunked"] = json!(request.chunked);
        }
        let title = format!(
            "{title}; registry_only: {}\n{entry}",
            self.client.registry_only
        );
        let text = request.text("comparison/N");
        compare::report(&title, &self.table.yaml(), &text, &self.found)
    }
}
