//! What must hold whatever the input is: asked by the fuzz targets of any bytes, and by the tests
//! beside this file of damaged samples.

use std::hint::black_box;

use tower_mesh::api::{
    HeaderOperations, Headers, HttpRoute, Resource, Resources, StringMatch, VirtualService,
};
use tower_mesh::mesh::{Mesh, RouteTests};
use tower_mesh::path::PathNormalization;
use tower_mesh::rt::Rng;
use tower_mesh::string_match::{Re2, Re2Replace};

/// Rules become a mesh or findings, and the mesh explains the same request alike twice.
pub(crate) fn rules(text: &str) {
    let resources = Resources::from_yaml("it.yaml", text);
    // Printing walks every path and message, which is where a slice could go wrong.
    black_box(resources.diagnostics().to_string());
    let hosts: Vec<String> = resources.iter().flat_map(hosts_of).take(4).collect();
    for gateway in [None, Some("default/edge")] {
        let builder = Mesh::builder().resources(resources.clone()).lenient(true);
        let builder = match gateway {
            Some(gateway) => builder.gateway(gateway),
            None => builder,
        };
        match builder.rng(Rng::seeded(1)).build() {
            Ok((mesh, report)) => {
                black_box(report.diagnostics().to_string());
                hosts.iter().for_each(|host| explained(&mesh, host));
            }
            Err(found) => drop(black_box(found.to_string())),
        }
    }
}

fn hosts_of(resource: &Resource) -> Vec<String> {
    match &resource.spec {
        tower_mesh::api::Spec::VirtualService(it) => it.hosts.clone(),
        tower_mesh::api::Spec::ServiceEntry(it) => it.hosts.clone(),
        _ => Vec::new(),
    }
}

fn explained(mesh: &Mesh, host: &str) {
    let request = http::Request::get("/a/../b?c=d").header("host", host);
    let Ok(request) = request.body(()) else {
        return;
    };
    let (request, ()) = request.into_parts();
    for port in [80, 443] {
        let first = mesh.explain_at(port, &request);
        let second = mesh.explain_at(port, &request);
        assert_eq!(format!("{first:?}"), format!("{second:?}"));
        black_box(first.to_string());
    }
}

/// The ends of lines say nothing, and a second reading says the same.
pub(crate) fn reading(text: &str) {
    let specs = |text: &str| -> Vec<_> {
        let resources = Resources::from_yaml("it.yaml", text);
        resources.iter().map(|it| it.spec.clone()).collect()
    };
    let read = specs(text);
    assert_eq!(specs(text), read);
    if !text.contains('\r') {
        assert_eq!(specs(&text.replace('\n', "\r\n")), read);
    }
}

/// Route tests are read and run, or refused in words.
pub(crate) fn route_tests(text: &str) {
    let (mesh, _) = Mesh::builder().build().expect("no rules are no faults");
    match RouteTests::from_yaml("it.yaml", text) {
        Ok(tests) => drop(black_box(tests.run(&mesh).map_err(|it| it.to_string()))),
        Err(error) => drop(black_box(error.to_string())),
    }
}

/// A path in its normal form begins with a slash, is visible, has no fragment and has not grown
/// past what escaping adds.
pub(crate) fn paths(target: &str) {
    for level in [
        PathNormalization::None,
        PathNormalization::Base,
        PathNormalization::MergeSlashes,
        PathNormalization::DecodeAndMergeSlashes,
    ] {
        if let Ok(path) = level.normalize(target) {
            assert!(path.starts_with('/'), "{target:?} becomes {path:?}");
            assert!(path.bytes().all(|it| it.is_ascii_graphic()), "{path:?}");
            assert!(!path.contains('#'), "{target:?} becomes {path:?}");
            assert!(
                path.len() <= 3 * target.len(),
                "{target:?} becomes {path:?}"
            );
        }
    }
}

/// A header's value is refused, or breaks no line.
pub(crate) fn header_values(value: &str) {
    let operations = HeaderOperations::default().set([("x-a", value)]);
    let headers = Headers::default()
        .request(operations.clone())
        .response(operations);
    let rule = HttpRoute::to("a.com").headers(headers);
    let resources = Resources::new().with("it", VirtualService::of_hosts(["a.com"]).http([rule]));
    if Mesh::builder().resources(resources).build().is_ok() {
        assert!(!value.contains(['\r', '\n', '\0']), "{value:?} is allowed");
    }
}

/// A pattern is refused or matches in the time its text allows; what it replaces is bounded.
pub(crate) fn patterns(text: &str) {
    let (pattern, text) = text.split_once('\n').unwrap_or((text, text));
    if let Ok(regex) = Re2::new(pattern) {
        black_box(regex.is_full_match(text.as_bytes()));
        black_box(StringMatch::regex(pattern));
    }
    if let Ok(replace) = Re2Replace::new(pattern, r"[\0]") {
        let replaced = replace.replace_all(text.as_bytes());
        assert!(replaced.len() <= text.len() + 2 * (text.len() + 1));
    }
}
