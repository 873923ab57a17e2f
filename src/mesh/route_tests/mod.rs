//! Tests of routes, written in YAML beside the rules and run by `cargo test`.

mod compare;
#[cfg(feature = "yaml")]
mod document;
mod message;

use std::fmt;

use http::header::{HeaderName, HeaderValue};
use http::request::Parts;
use http::{Method, Request, Uri};

use super::{Explanation, Mesh};
#[cfg(feature = "yaml")]
use crate::api::own_kind;
use crate::diagnostic::Place;
#[cfg(feature = "yaml")]
use crate::diagnostic::{At, Code, Diagnostic, Diagnostics};

pub use message::{RouteTest, RouteTestDestination, RouteTestExpectation, RouteTestRequest};

/// Requests, and what the rules of a mesh are to do with them.
///
/// A file of tests is a document of its own kind, so it may lie beside the rules
/// or even in their file: a mesh passes over it. What is not written under
/// `expect` is not looked at.
///
/// ```yaml
/// apiVersion: tower-mesh/v1
/// kind: RouteTests
/// tests:
/// - name: testers get the new version
///   request: {url: 'http://reviews:9080/', headers: {end-user: jason}}
///   expect:
///     route: 0
///     destinations: [{host: reviews, subset: v2}]
/// ```
///
/// | `request` | |
/// |---|---|
/// | `method` | `GET` unless written |
/// | `url` | absolute; its port decides which rules are met |
/// | `headers` | name to value |
/// | `port` | the port addressed, where it is not the URL's |
///
/// | `expect` | compared with |
/// |---|---|
/// | `action` | `forward`, `redirect`, `direct_response`, `not_found`, `passthrough` |
/// | `virtualService` | `namespace/name` |
/// | `route`, `match` | the rule's place in `http`, the block's in `match` |
/// | `routeName` | the rule's name |
/// | `status`, `location` | the answer given without an endpoint |
/// | `destinations` | all of them, in any order, each by those of `host`, `subset`, `port`, `weight` that are written |
/// | `path`, `authority` | what the endpoint gets, rewritten or not |
/// | `timeout` | the time for all tries; `0s` where there is no limit |
///
/// The answers are those of [`Mesh::explain`], which are those of traffic.
///
/// ```
/// # #[cfg(feature = "yaml")]
/// # fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use tower_mesh::mesh::{Mesh, RouteTests};
///
/// let (mesh, _) = Mesh::builder().yaml(include_str!("../../../examples/explain/shop.yaml")).build()?;
/// let tests = include_str!("../../../examples/explain/shop.test.yaml");
/// RouteTests::from_yaml("shop.test.yaml", tests)?.run(&mesh)?;
/// # Ok(())
/// # }
/// # #[cfg(feature = "yaml")]
/// # example().unwrap();
/// ```
#[derive(Clone, Debug, Default)]
pub struct RouteTests {
    tests: Vec<Test>,
}

#[derive(Clone, Debug)]
struct Test {
    written: RouteTest,
    place: Option<Place>,
    request: Parts,
}

/// Tests that do not hold, or a file that holds no tests.
///
/// It prints what is wrong in full, in its debug form too, so that a test that
/// returns it with `?` fails readably.
#[derive(Clone)]
pub struct RouteTestError {
    text: String,
    failed: usize,
}

impl RouteTestError {
    /// How many tests do not hold; 0 where the file could not be read.
    #[must_use]
    pub const fn failed(&self) -> usize {
        self.failed
    }
}

impl fmt::Display for RouteTestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for RouteTestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for RouteTestError {}

impl RouteTests {
    /// No tests yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads the tests of a YAML or JSON text; `file` is what failures call it.
    ///
    /// # Errors
    ///
    /// What is wrong with the text, each with its place; also when it holds no test.
    #[cfg(feature = "yaml")]
    pub fn from_yaml(file: &str, text: &str) -> Result<Self, RouteTestError> {
        const KIND: &str = "RouteTests";
        let (documents, mut found) = own_kind::read::<document::RouteTestFile>(file, text, KIND);
        let mut tests = Vec::new();
        for (document, written) in documents {
            let at = At::Top.field("tests");
            for (n, test) in document.tests.into_iter().enumerate() {
                let at = at.item(n);
                match request_of(&test.request) {
                    Ok(request) => tests.push(Test {
                        written: test,
                        place: Some(written.place(at)),
                        request,
                    }),
                    Err((field, message)) => {
                        let request = at.field("request");
                        let at = request.field(field);
                        let fault = Diagnostic::new(Code::InvalidValue, at, message);
                        found.push(fault.at(written.place(at)));
                    }
                }
            }
        }
        if found.has_errors() {
            return Err(RouteTestError::unreadable(&found));
        }
        if tests.is_empty() {
            let text = format!("{file}: there are no tests; write a document with kind: {KIND}");
            return Err(RouteTestError { text, failed: 0 });
        }
        Ok(Self { tests })
    }

    /// Adds a test made in Rust.
    ///
    /// # Errors
    ///
    /// When its request is none.
    pub fn push(&mut self, test: RouteTest) -> Result<(), RouteTestError> {
        let request = request_of(&test.request).map_err(|(field, message)| RouteTestError {
            text: format!("{}: request.{field}: {message}", test.name),
            failed: 0,
        })?;
        let place = None;
        self.tests.push(Test {
            written: test,
            place,
            request,
        });
        Ok(())
    }

    /// How many tests there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.tests.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.tests.is_empty()
    }

    /// Asks the mesh about every request.
    ///
    /// # Errors
    ///
    /// Every test that does not hold: what was expected, what is, and why.
    pub fn run(&self, mesh: &Mesh) -> Result<(), RouteTestError> {
        let failures: Vec<String> = self.tests.iter().filter_map(|it| it.run(mesh)).collect();
        if failures.is_empty() {
            return Ok(());
        }
        let (failed, all) = (failures.len(), self.tests.len());
        let text = format!(
            "{failed} of {all} route tests failed\n\n{}",
            failures.join("\n\n")
        );
        Err(RouteTestError { text, failed })
    }
}

impl RouteTestError {
    #[cfg(feature = "yaml")]
    fn unreadable(found: &Diagnostics) -> Self {
        let text = found.to_string();
        Self { text, failed: 0 }
    }
}

impl Test {
    /// What does not hold, and the explanation; nothing where all holds.
    fn run(&self, mesh: &Mesh) -> Option<String> {
        let told: Explanation = match self.written.request.port {
            Some(port) => mesh.explain_at(port, &self.request),
            None => mesh.explain(&self.request),
        };
        let wrong = compare::differences(mesh, &self.written.expect, &told);
        if wrong.is_empty() {
            return None;
        }
        let name = match (&self.place, self.written.name.as_str()) {
            (Some(place), "") => place.to_string(),
            (Some(place), name) => format!("{place}: {name}"),
            (None, name) => name.to_owned(),
        };
        let indent = |text: &str| text.replace('\n', "\n  ");
        let told = indent(&told.to_string());
        Some(format!("{name}\n  {}\n  {told}", wrong.join("\n  ")))
    }
}

/// The request as HTTP has it, or the field that makes it none.
fn request_of(written: &RouteTestRequest) -> Result<Parts, (&'static str, String)> {
    let mut request = Request::new(());
    if !written.method.is_empty() {
        *request.method_mut() = Method::try_from(written.method.as_str())
            .map_err(|_| ("method", format!("{:?} is no method", written.method)))?;
    }
    let url = &written.url;
    *request.uri_mut() = Uri::try_from(url.as_str())
        .ok()
        .filter(|it| it.authority().is_some() && it.scheme().is_some())
        .ok_or_else(|| ("url", format!("{url:?} is no URL; write http://HOST/PATH")))?;
    for (name, value) in &written.headers {
        let fault = |what: &str| ("headers", format!("{what} of {name:?} cannot be sent"));
        let line = HeaderName::try_from(name).map_err(|_| fault("the name"))?;
        let value = HeaderValue::try_from(value).map_err(|_| fault("the value"))?;
        request.headers_mut().append(line, value);
    }
    Ok(request.into_parts().0)
}
