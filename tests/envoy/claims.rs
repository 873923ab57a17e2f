//! Rules that match claims of a JWT: Envoy verifies a token and keeps its claims as metadata, which
//! Istio has rules match; here the application has verified it and tells the claims.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use tower_mesh::context::Claims;
use tower_mesh::mesh::Mesh;

use super::sidecar::Sidecar;
use super::translate::{ROUTES, Translation};
use super::wire::Connection;

/// A key that signs nothing but the token below, as a set of keys names it.
const KEY: &str = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY";
/// Signed with it (HS256), and good for ever: `iss` i, `sub` jason, `groups` all and testers,
/// `nobody` an empty list, `realm.roles` admin, `c` of `a.b` d.
const TOKEN: &str = "eyJhbGciOiJIUzI1NiIsImtpZCI6ImsifQ\
    .eyJpc3MiOiJpIiwic3ViIjoiamFzb24iLCJncm91cHMiOlsiYWxsIiwidGVzdGVycyJdLCJub2JvZHkiOltdLCJyZWFsbSI6eyJyb2xlcyI6WyJhZG1pbiJdfSwiYS5iIjp7ImMiOiJkIn19\
    .AV_mGgkEFld81AM4kuQ4ZEEozOk4J5X0AHVCZkUnZik";

/// The key of a rule, the names that lead to the claim, the match as Istio and as Envoy write it.
struct Row {
    key: &'static str,
    path: &'static [&'static str],
    written: &'static str,
    string: Value,
}

fn rows() -> Vec<Row> {
    let row = |key, path, written, string| Row {
        key,
        path,
        written,
        string,
    };
    let exact = |text: &str| json!({"exact": text});
    let regex = |text: &str| json!({"safe_regex": {"regex": text}});
    vec![
        row(
            "@request.auth.claims.sub",
            &["sub"],
            "exact: jason",
            exact("jason"),
        ),
        row(
            "@request.auth.claims.sub",
            &["sub"],
            "exact: Jason",
            exact("Jason"),
        ),
        row(
            "@Request.Auth.Claims[sub]",
            &["sub"],
            "prefix: ja",
            json!({"prefix": "ja"}),
        ),
        row(
            "@request.auth.claims.sub",
            &["sub"],
            "regex: j.*n",
            regex("j.*n"),
        ),
        row(
            "@request.auth.claims.sub",
            &["sub"],
            "regex: aso",
            regex("aso"),
        ),
        row(
            "@request.auth.claims.Sub",
            &["Sub"],
            "exact: jason",
            exact("jason"),
        ),
        row(
            "@request.auth.claims.groups",
            &["groups"],
            "exact: testers",
            exact("testers"),
        ),
        row(
            "@request.auth.claims.groups",
            &["groups"],
            "regex: t.*",
            regex("t.*"),
        ),
        row(
            "@request.auth.claims.groups",
            &["groups"],
            "exact: 'all,testers'",
            exact("all,testers"),
        ),
        row(
            "@request.auth.claims.nobody",
            &["nobody"],
            "prefix: a",
            json!({"prefix": "a"}),
        ),
        row(
            "@request.auth.claims.realm.roles",
            &["realm", "roles"],
            "exact: admin",
            exact("admin"),
        ),
        row(
            "@request.auth.claims.realm",
            &["realm"],
            "exact: admin",
            exact("admin"),
        ),
        row(
            "@request.auth.claims[a.b][c]",
            &["a.b", "c"],
            "exact: d",
            exact("d"),
        ),
        row(
            "@request.auth.claims.a.b.c",
            &["a", "b", "c"],
            "exact: d",
            exact("d"),
        ),
        row(
            "@request.auth.claims.none",
            &["none"],
            "exact: jason",
            exact("jason"),
        ),
    ]
}

/// Envoy with a route for each row, as it is and under `withoutHeaders`: 200 where it matches.
///
/// Source: `jwt.ToRoutingClaim`, `authz MetadataMatcherForJWTClaims`.
fn envoy(rows: &[Row]) -> Sidecar {
    const FILTER: &str = "envoy.filters.http.jwt_authn";
    let mut routes = Vec::new();
    for (number, row) in rows.iter().enumerate() {
        for without in [false, true] {
            let path = ["payload"].iter().chain(row.path);
            let path: Vec<Value> = path.map(|it| json!({"key": it})).collect();
            let one_of = json!({"list_match": {"one_of": {"string_match": row.string}}});
            let value =
                json!({"or_match": {"value_matchers": [one_of, {"string_match": row.string}]}});
            let claim = json!({"filter": FILTER, "path": path, "value": value, "invert": without});
            routes.push(json!({
                "match": {"path": target(number, without), "dynamic_metadata": [claim]},
                "direct_response": {"status": 200},
            }));
        }
    }
    routes.push(json!({"match": {"prefix": "/"}, "direct_response": {"status": 403}}));
    let keys = json!({"keys": [{"kty": "oct", "kid": "k", "alg": "HS256", "k": KEY}]});
    let provider = json!({
        "issuer": "i",
        "payload_in_metadata": "payload",
        "clear_route_cache": true,
        "local_jwks": {"inline_string": keys.to_string()},
    });
    let requirements = json!([{"provider_name": "it"}, {"allow_missing": {}}]);
    let verifies = json!({
        "@type": "type.googleapis.com/envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication",
        "providers": {"it": provider},
        "rules": [{
            "match": {"prefix": "/"},
            "requires": {"requires_any": {"requirements": requirements}},
        }],
    });
    let router = "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router";
    let manager = json!({
        "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": ROUTES,
        "route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": routes}]},
        "http_filters": [
            {"name": FILTER, "typed_config": verifies},
            {"name": "envoy.filters.http.router", "typed_config": {"@type": router}},
        ],
    });
    let listener = json!({
        "name": ROUTES,
        "address": {"socket_address": {"address": "127.0.0.1", "port_value": 0}},
        "filter_chains": [{"filters": [{
            "name": "envoy.filters.network.http_connection_manager",
            "typed_config": manager,
        }]}],
    });
    let nothing = Translation {
        routes: json!({"name": ROUTES}),
        clusters: Vec::new(),
        endpoints: BTreeMap::new(),
    };
    let more = json!({"static_resources": {"listeners": [listener]}});
    Sidecar::envoy_at('e', &nothing, &more)
}

fn target(number: usize, without: bool) -> String {
    let field = if without { "without" } else { "with" };
    format!("/{number}/{field}")
}

/// The same rules at a gateway.
fn mesh(rows: &[Row]) -> Mesh {
    let mut yaml = "apiVersion: networking.istio.io/v1\nkind: Gateway\nmetadata: {name: edge}\n\
         spec:\n  servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: ['*']}]\n---\n\
         apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: it}\n\
         spec:\n  hosts: [a.test]\n  gateways: [edge]\n  http:\n"
        .to_owned();
    for (number, row) in rows.iter().enumerate() {
        for (without, field) in [(false, "headers"), (true, "withoutHeaders")] {
            let (path, key, written) = (target(number, without), row.key, row.written);
            yaml += &format!(
                "  - match: [{{uri: {{exact: {path}}}, {field}: {{'{key}': {{{written}}}}}}}]\n    \
                 directResponse: {{status: 200}}\n"
            );
        }
    }
    yaml += "  - directResponse: {status: 403}\n";
    let built = Mesh::builder().gateway("default/edge").yaml(&yaml).build();
    built.unwrap().0
}

fn claims() -> Claims {
    Claims::new()
        .claim(&["iss"], &["i"])
        .claim(&["sub"], &["jason"])
        .claim(&["groups"], &["all", "testers"])
        .claim(&["nobody"], &[])
        .claim(&["realm", "roles"], &["admin"])
        .claim(&["a.b", "c"], &["d"])
}

#[test]
#[ignore = "needs a real Envoy: run ci/envoy, then cargo test --test envoy -- --ignored"]
fn claims_are_matched_alike() {
    let rows = rows();
    let (envoy, mesh) = (envoy(&rows), mesh(&rows));
    let mut statuses = BTreeSet::new();
    for (number, row) in rows.iter().enumerate() {
        for (without, known) in [(false, false), (false, true), (true, false), (true, true)] {
            let path = target(number, without);
            let token = if known {
                format!("authorization: Bearer {TOKEN}\r\n")
            } else {
                String::new()
            };
            let request = format!("GET {path} HTTP/1.1\r\nhost: a.test\r\n{token}\r\n");
            let theirs = Connection::new(envoy.address).exchange(request.as_bytes());
            let theirs = theirs.unwrap().status;
            let mut request = http::Request::get(format!("http://a.test{path}"));
            if known {
                request = request.extension(claims());
            }
            let (parts, ()) = request.body(()).unwrap().into_parts();
            let ours = mesh.explain(&parts).status.unwrap().as_u16();
            assert_eq!(ours, theirs, "{path} {} {} {known}", row.key, row.written);
            statuses.insert(ours);
        }
    }
    assert_eq!(statuses, BTreeSet::from([200, 403]));
}
