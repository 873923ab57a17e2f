//! Random tables, and requests that meet their conditions or just miss them.
//!
//! Everything is drawn from small pools, so that rules overlap, shadow one another and are
//! told apart by one letter, and from one seed, so that a difference can be had again.
//!
//! Each table has a twin: the same under another host, with one field taken away or changed,
//! and the same requests. Where Envoy answers the twin otherwise, that field has decided.

mod actions;
mod conditions;
mod dice;
mod documents;
mod elsewhere;
pub(crate) mod fields;
mod listed;
mod policies;
mod request;
mod words;

use serde_json::Value;
use tower_mesh::api::Resources;
use tower_mesh::diagnostic::Severity;

use super::exchange::Request;
use super::translate::{Client, translate};
use super::yaml;
pub(crate) use dice::Dice;
use fields::Counts;

/// How many tables share one configuration, each under a host of its own.
const TABLES: usize = 24;
/// How many requests each table and its twin get.
pub(crate) const REQUESTS: usize = 25;

/// The destinations all tables share.
pub(crate) const SERVICES: &str = include_str!("../cases/services.inc");

/// A table: the resources of one host.
#[derive(Clone, Debug)]
pub(crate) struct Table {
    /// Which of the batch's tables it is, or is the twin of.
    pub(crate) number: usize,
    pub(crate) documents: Vec<Value>,
    /// The table it is the twin of, by number, and the field that makes the difference.
    pub(crate) twin_of: Option<(usize, String)>,
}

impl Table {
    pub(crate) fn yaml(&self) -> String {
        let documents: Vec<String> = self.documents.iter().map(yaml::document).collect();
        documents.join("---\n")
    }
}

/// A configuration of several tables, and the requests to send under it.
pub(crate) struct Batch {
    pub(crate) client: Client,
    pub(crate) tables: Vec<Table>,
    /// The number of the table, and a request to its host. Requests to a table's twin come
    /// in the order of those to the table.
    pub(crate) requests: Vec<(usize, Request)>,
}

impl Batch {
    pub(crate) fn yaml(&self) -> String {
        configuration(&self.tables)
    }

    /// A host that nothing declares goes where the client had its name resolved to. No name is
    /// resolved here, so such a request is sent to an address instead.
    fn send_unknown_hosts_to_addresses(&mut self, dice: &mut Dice) {
        let translation = super::cases::translated("drawn", &self.yaml(), &self.client);
        // A twin's requests go where its table's go.
        let seed = dice.below(usize::MAX);
        for (at, (table, request)) in self.requests.iter_mut().enumerate() {
            let Some(host) = &request.host else { continue };
            if translation.knows(host) {
                continue;
            }
            let is_twin = self.tables[*table].twin_of.is_some();
            let mut dice = Dice::new((seed + if is_twin { at - REQUESTS } else { at }) as u64);
            // The port is that of the listener, and nothing listens there.
            let address = format!("127.0.{}.1:80", 1 + dice.below(250));
            request.target = request.target.replace(&**host, &address);
            request.host = Some(address);
        }
    }
}

/// Tables with the services they share.
pub(crate) fn configuration(tables: &[Table]) -> String {
    let mut yaml = super::upstream::fill_in(SERVICES);
    // Age counts only where every resource has one.
    if tables.iter().any(|it| it.documents.iter().any(is_dated)) {
        let date = format!("metadata: {{creationTimestamp: {:?}, ", documents::DATES[0]);
        yaml = yaml.replace("metadata: {", &date);
    }
    for table in tables {
        yaml += &format!("---\n{}", table.yaml());
    }
    yaml
}

fn is_dated(document: &Value) -> bool {
    document["metadata"].get("creationTimestamp").is_some()
}

/// The client of drawn tables.
pub(crate) fn client(registry_only: bool) -> Client {
    Client {
        namespace: "default".to_owned(),
        labels: [("app".to_owned(), "web".to_owned())].into(),
        port: 80,
        registry_only,
    }
}

/// Draws a batch; `counts` is told which fields it has.
pub(crate) fn batch(dice: &mut Dice, counts: &mut Counts) -> Batch {
    let client = client(dice.one_in(2));
    let dated = dice.one_in(2);
    let (mut tables, mut requests) = (Vec::new(), Vec::new());
    for number in 0..TABLES {
        let table = valid_table(dice, &client, number, dated);
        counts.generated(&table.documents);
        let twin = fields::twin(dice, &table, tables.len(), counts, |twin| {
            is_valid(&client, twin)
        });
        let aim = twin.as_ref().map(|(_, aim)| *aim);
        let drawn: Vec<Request> = (0..REQUESTS)
            .map(|_| request::request(dice, &table.documents, number, aim))
            .collect();
        let at = tables.len();
        requests.extend(drawn.iter().map(|it| (at, it.clone())));
        tables.push(table);
        if let Some((twin, _)) = twin {
            requests.extend(drawn.iter().map(|it| (at + 1, of_twin(it, number))));
            tables.push(twin);
        }
    }
    let mut batch = Batch {
        client,
        tables,
        requests,
    };
    if !batch.client.registry_only {
        batch.send_unknown_hosts_to_addresses(dice);
    }
    batch
}

/// A table that both sides take: rules are drawn one by one, and what some of them come to
/// together Istio may refuse.
fn valid_table(dice: &mut Dice, client: &Client, number: usize, dated: bool) -> Table {
    const REDRAWS: usize = 40;
    let mut why = String::new();
    for _ in 0..REDRAWS {
        let mut documents = documents::documents(dice, number);
        for document in documents.iter_mut().filter(|_| dated) {
            document["metadata"]["creationTimestamp"] = dice.of(&documents::DATES).into();
        }
        let table = Table {
            number,
            documents: documents.iter().map(filled).collect(),
            twin_of: None,
        };
        match check(client, &table) {
            Ok(()) => return table,
            Err(error) => why = format!("{error}\n{}", table.yaml()),
        }
    }
    panic!("no table of {REDRAWS} was taken, the last for this: {why}")
}

/// Whether a table is one for both sides; what the library refuses, or Istio would not
/// translate, is none.
pub(crate) fn is_valid(client: &Client, table: &Table) -> bool {
    check(client, table).is_ok()
}

fn check(client: &Client, table: &Table) -> Result<(), String> {
    let mut documents = table.documents.iter();
    if let Some(document) = documents.find(|it| !is_drawn(client, it)) {
        return Err(format!("{document} is for other tests"));
    }
    let yaml = configuration(std::slice::from_ref(table));
    let resources = Resources::from_yaml("drawn", &yaml);
    let mut mesh = tower_mesh::mesh::Mesh::builder()
        .namespace(&client.namespace)
        .registry_only(client.registry_only)
        .lenient(true);
    for (key, value) in &client.labels {
        mesh = mesh.label(key, value);
    }
    let built = mesh.resources(resources.clone()).build();
    // Told in full it would take longer than all else here.
    built.map_err(|found| {
        let mut errors = found.iter().filter(|it| it.severity() == Severity::Error);
        let first = errors.next();
        first.map_or_else(String::new, |it| it.message().to_owned())
    })?;
    translate(&resources, client).map(drop)
}

/// Whether a document, of a twin too, is one that a single request tells everything of.
fn is_drawn(client: &Client, document: &Value) -> bool {
    // A service that nobody sees goes where DNS says, unless what nobody declares is refused.
    let spec = &document["spec"];
    let to = spec["exportTo"].as_array();
    let seen = to.is_none_or(|to| {
        to.iter()
            .all(|it| [".", "*", "default"].contains(&it.as_str().unwrap_or_default()))
    });
    let is_service = document["kind"] == "ServiceEntry";
    (seen || client.registry_only || !is_service) && !policies::may_eject(spec)
}

fn filled(document: &Value) -> Value {
    // Ports are drawn as the names of endpoints, quoted.
    let mut text = document.to_string();
    for name in super::upstream::NAMES {
        let port = super::upstream::fill_in(&format!("${{{name}}}"));
        text = text.replace(&format!("\"${{{name}}}\""), &port);
    }
    serde_json::from_str(&text).expect("JSON stays JSON")
}

/// The host of a table; that of its twin is as long.
pub(super) fn host(number: usize) -> String {
    format!("t{number}.gen.test")
}

/// The service of a table: a wildcard of the table covers it.
pub(super) fn service(number: usize) -> String {
    format!("svc.{}", host(number))
}

/// Everything of a table as its twin has it.
pub(crate) fn renamed(text: &str, number: usize) -> String {
    let mut text = text.to_owned();
    for (letter, other, end) in [("t", "u", ".gen.test"), ("T", "U", ".GEN.TEST")] {
        let [from, to] = [letter, other].map(|it| format!("{it}{number}{end}"));
        text = text.replace(&from, &to);
    }
    text
}

fn of_twin(request: &Request, number: usize) -> Request {
    let mut twin = request.clone();
    twin.target = renamed(&twin.target, number);
    twin.host = twin.host.map(|host| renamed(&host, number));
    twin
}

#[cfg(test)]
mod tests;
