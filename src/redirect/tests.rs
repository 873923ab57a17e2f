//! Tests for [`super`]; every location is what Envoy 1.40 answered.

use std::convert::Infallible;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use tower::{Layer as _, Service as _, ServiceExt as _};

use super::{MatchedPath, RedirectLayer, RedirectPolicy, compile};
use crate::answer::mock::{Nothing, Readied};
use crate::api::{HttpRedirect, RedirectPort};
use crate::diagnostic::{At, Diagnostics};
use crate::reply::LocalReply;
use crate::request_url::RequestUrl;

/// Compiles for a plain listener on 8080; a policy, or everything that is wrong with it.
fn read(written: &HttpRedirect, matched: MatchedPath) -> Result<RedirectPolicy, String> {
    let mut found = Diagnostics::default();
    let policy = compile(written, matched, 8080, false, At::Top, &mut found);
    policy.ok_or_else(|| found.to_string())
}

#[track_caller]
fn check(written: &HttpRedirect, url: (&str, &str, &str), want: &str) {
    let policy = read(written, MatchedPath::Prefix(4)).expect("a good redirect");
    let (scheme, authority, path) = url;
    let location = policy.location(&RequestUrl::new(scheme, authority, path));
    assert_eq!(location, want);
}

#[track_caller]
fn refuses(written: &HttpRedirect, matched: MatchedPath, want: &str) {
    assert_eq!(read(written, matched).unwrap_err(), want);
}

fn uri(uri: &str) -> HttpRedirect {
    HttpRedirect {
        uri: uri.into(),
        ..HttpRedirect::default()
    }
}

fn prefix(rewrite: &str) -> HttpRedirect {
    HttpRedirect {
        prefix_rewrite: rewrite.into(),
        ..HttpRedirect::default()
    }
}

fn scheme(scheme: &str) -> HttpRedirect {
    HttpRedirect {
        scheme: scheme.into(),
        ..HttpRedirect::default()
    }
}

fn authority(authority: &str, port: Option<u32>) -> HttpRedirect {
    HttpRedirect {
        authority: authority.into(),
        port,
        ..HttpRedirect::default()
    }
}

fn port(port: u32) -> HttpRedirect {
    authority("", Some(port))
}

#[test]
fn a_uri_replaces_the_path_and_spares_the_query_unless_it_has_one() {
    check(&uri("new/p"), ("http", "b", "/uri"), "http://b/new/p");
    check(&uri("/new"), ("http", "b", "/uri?q=1"), "http://b/new?q=1");
    check(&uri("/new"), ("http", "b", "/uri?"), "http://b/new?");
    check(&uri("/new"), ("http", "b", "/x?a?b"), "http://b/new?a?b");
    check(&uri("/n?fix=1"), ("http", "b", "/u?x"), "http://b/n?fix=1");
    check(&uri("/n#frag"), ("http", "b", "/u?q"), "http://b/n#frag?q");
    check(&uri("/a bé\t"), ("http", "b", "/u"), "http://b/a bé\t");
}

#[test]
fn a_prefix_is_replaced_byte_by_byte() {
    check(&prefix("/"), ("http", "b", "/foo"), "http://b/");
    check(&prefix("/"), ("http", "b", "/foo/baz"), "http://b//baz");
    check(&prefix("/"), ("http", "b", "/foobar?x"), "http://b/bar?x");
    check(&prefix("/"), ("http", "b", "/foo?"), "http://b/?");
    check(&prefix("x"), ("http", "b", "/pfs/a?b"), "http://b/x/a?b");
    check(
        &prefix("/p?f=1"),
        ("http", "b", "/pfq/a?b"),
        "http://b/p?f=1/a?b",
    );
    // What was not matched cannot be replaced.
    check(&prefix("/new"), ("http", "b", "/a"), "http://b/a");
    let whole = read(&prefix("/foo"), MatchedPath::None).expect("good");
    let location = whole.location(&RequestUrl::new("http", "b", "/bar"));
    assert_eq!(location, "http://b/foobar");
}

#[test]
fn a_scheme_takes_the_port_of_the_old_one_along() {
    check(&scheme("https"), ("http", "b:80", "/a"), "https://b/a");
    check(&scheme("https"), ("http", "b:443", "/a"), "https://b:443/a");
    check(
        &scheme("https"),
        ("http", "b:8080", "/a"),
        "https://b:8080/a",
    );
    check(
        &scheme("https"),
        ("http", "[::1]:80", "/a"),
        "https://[::1]/a",
    );
    check(&scheme("https"), ("https", "b:80", "/a"), "https://b:80/a");
    check(&scheme("http"), ("https", "b:443", "/a"), "http://b/a");
    check(&scheme("http"), ("http", "b:80", "/a"), "http://b:80/a");
}

#[test]
fn an_authority_is_taken_as_written() {
    let other = authority("New.Test:80", None);
    check(&other, ("http", "b:8080", "/a?b"), "http://New.Test:80/a?b");
    let doubled = authority("New.Test:99", Some(88));
    check(&doubled, ("https", "b", "/a"), "https://New.Test:99:88/a");
}

#[test]
fn a_port_replaces_the_port_unless_it_goes_without_saying() {
    check(&port(8443), ("http", "b", "/a"), "http://b:8443/a");
    check(&port(8443), ("http", "b:80", "/a"), "http://b:8443/a");
    check(
        &port(8443),
        ("http", "[::1]:80", "/a"),
        "http://[::1]:8443/a",
    );
    check(&port(8443), ("http", "[::1]", "/a"), "http://[::1]:8443/a");
    check(&port(443), ("http", "b:80", "/a"), "http://b:443/a");
    // Istio drops it, so the request's own stays.
    check(&port(80), ("http", "b:8080", "/a"), "http://b:8080/a");
    let mut secure = port(443);
    secure.scheme = "https".into();
    check(&secure, ("http", "b:80", "/a"), "https://b/a");
    let derived = |derive_port, scheme: &str| HttpRedirect {
        derive_port: Some(derive_port),
        scheme: scheme.into(),
        ..HttpRedirect::default()
    };
    let request = derived(RedirectPort::FromRequestPort, "");
    check(&request, ("http", "b:80", "/a"), "http://b:8080/a");
    let protocol = derived(RedirectPort::FromProtocolDefault, "https");
    check(&protocol, ("http", "b:80", "/a"), "https://b/a");
}

#[test]
fn on_a_tls_server_it_is_443_that_goes_without_saying() {
    let mut found = Diagnostics::default();
    let mut location = |port: u32| {
        let written = authority("", Some(port));
        let policy = compile(&written, MatchedPath::None, 8443, true, At::Top, &mut found);
        let url = RequestUrl::new("https", "b:8443", "/");
        policy.expect("good").location(&url)
    };
    assert_eq!(location(443), "https://b:8443/");
    assert_eq!(location(80), "https://b:80/");
}

#[test]
fn what_istio_refuses_is_refused_in_its_words() {
    let nothing = HttpRedirect {
        redirect_code: Some(302),
        ..HttpRedirect::default()
    };
    let message = "error[missing-field]: redirect must specify URI, authority, scheme, or port";
    refuses(&nothing, MatchedPath::None, message);
    let mut both = uri("/a");
    both.prefix_rewrite = "/b".into();
    let message = "error[exclusive]: prefixRewrite: redirect may only specify one of uri or \
                   prefix_rewrite";
    refuses(&both, MatchedPath::Prefix(1), message);
    let message = "error[invalid-value]: prefixRewrite: redirect prefix_rewrite requires all URI \
                   matches to use prefix match type";
    refuses(&prefix("/"), MatchedPath::Exact, message);
    refuses(&prefix("/"), MatchedPath::Regex, message);
    let message =
        "error[invalid-value]: scheme: invalid redirect scheme, must be \"http\" or \"https\"";
    refuses(&scheme("HTTPS"), MatchedPath::None, message);
    let message = "error[invalid-value]: port: port number 65536 must be in the range 1..65535";
    refuses(&port(65_536), MatchedPath::None, message);
    let mut ports = port(1);
    ports.derive_port = Some(RedirectPort::FromRequestPort);
    let message = "error[exclusive]: derivePort: only one of port, derivePort may be set";
    refuses(&ports, MatchedPath::None, message);
    let message = "error[invalid-value]: uri: \"/a\\nb\" cannot stand in a Location header";
    refuses(&uri("/a\nb"), MatchedPath::None, message);
}

#[test]
fn codes_that_do_not_work_are_refused() {
    let coded = |code| {
        let mut written = uri("/a");
        written.redirect_code = Some(code);
        read(&written, MatchedPath::None).map(|it| it.status().as_u16())
    };
    let working = [0, 301, 302, 303, 307, 308].map(|code| coded(code).expect("works"));
    assert_eq!(working, [301, 301, 302, 303, 307, 308]);
    for code in [300, 304, 305, 306, 309, 399] {
        let want = format!(
            "error[invalid-value]: redirectCode: {code} is not a redirect code that works \
             (301, 302, 303, 307 and 308 are those that work)"
        );
        assert_eq!(coded(code), Err(want));
    }
    for code in [200, 299, 400, 70_000] {
        let want = format!(
            "error[invalid-value]: redirectCode: {code} is not a valid redirect code, must be 3xx"
        );
        assert_eq!(coded(code), Err(want));
    }
}

#[test]
fn a_fault_is_told_once_for_all_blocks() {
    let mut written = scheme("ftp");
    written.redirect_code = Some(404);
    let mut found = Diagnostics::default();
    for matched in [
        MatchedPath::None,
        MatchedPath::Prefix(3),
        MatchedPath::Exact,
    ] {
        assert_eq!(
            compile(&written, matched, 80, false, At::Top, &mut found),
            None
        );
    }
    assert_eq!(found.len(), 2, "{found}");
}

async fn ask(policy: RedirectPolicy, request: Request<()>) -> Response<Full<Bytes>> {
    let service = RedirectLayer::new(policy).layer(Readied::default());
    match service.oneshot(request).await {
        Ok(response) => response,
        Err(error) => match error {},
    }
}

#[tokio::test]
async fn answers_with_the_location_and_an_empty_body() {
    let policy = RedirectPolicy::new().uri("/new").expect("good");
    let request = Request::get("/old?a=b")
        .header("host", "shop:80")
        .header("x-forwarded-proto", "https");
    let response = ask(policy, request.body(()).expect("valid")).await;
    assert_eq!(response.status(), 301);
    assert_eq!(response.headers()["location"], "https://shop:80/new?a=b");
    assert_eq!(response.headers().len(), 1);
    let reply = LocalReply::of(&response).expect("it is ours");
    assert_eq!(reply.details, "direct_response");
    assert!(reply.flags.is_empty());
}

#[tokio::test]
async fn a_grpc_call_is_answered_in_grpcs_words_and_keeps_the_location() {
    let policy = RedirectPolicy::new().uri("/new").expect("good");
    let request = Request::post("http://shop/old").header("content-type", "application/grpc");
    let response = ask(policy, request.body(()).expect("valid")).await;
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["grpc-status"], "2");
    assert_eq!(response.headers()["location"], "http://shop/new");
    assert!(!response.headers().contains_key("grpc-message"));
}

#[tokio::test]
async fn without_a_policy_the_readied_service_is_asked() -> Result<(), Infallible> {
    let mut service = RedirectLayer::selecting(Nothing).layer(Readied::default());
    for _ in 0..2 {
        let response = service.ready().await?.call(Request::new(())).await?;
        assert_eq!(response.status(), 200);
        assert!(LocalReply::of(&response).is_none());
    }
    Ok(())
}
