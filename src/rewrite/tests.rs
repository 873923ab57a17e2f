//! What a user sees of rewrites; what is expected here, Envoy 1.40 did unless it says otherwise.

use std::convert::Infallible;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures::future::{Ready, ready};
use http::Request;
use tower::{Layer, Service, ServiceExt as _};

use super::{MatchedPath, RewriteLayer, RewritePolicy, compile};
use crate::api;
use crate::diagnostic::{At, Diagnostics};
use crate::select::Select;

/// Prints target, host and what is noted of those before.
fn print<B>(request: &Request<B>) -> String {
    let header = |name| {
        let value = request.headers().get(name);
        value.map_or("-", |it| it.to_str().expect("text"))
    };
    format!(
        "{} {} {} {}",
        request.uri(),
        header("host"),
        header("x-envoy-original-path"),
        header("x-envoy-original-host"),
    )
}

#[track_caller]
fn check(policy: &RewritePolicy, target: &str, want: &str) {
    let mut request = Request::get(target)
        .header("host", "x.test")
        .body(())
        .unwrap();
    policy.decide(&request).apply(&mut request);
    assert_eq!(print(&request), want, "{target}");
}

#[track_caller]
fn check_uri(matched: MatchedPath, uri: &str, target: &str, want: &str) {
    let policy = RewritePolicy::new().uri(uri).matched(matched);
    check(&policy, target, &format!("{want} x.test {target} -"));
}

#[test]
fn what_was_matched_is_replaced_and_slashes_are_not_repaired() {
    let prefix = |prefix: &str| MatchedPath::Prefix(prefix.len());
    check_uri(prefix("/api"), "/", "/api/x", "//x");
    check_uri(prefix("/api/"), "/", "/api/x", "/x");
    check_uri(prefix("/api"), "/", "/api", "/");
    check_uri(prefix("/api"), "/", "/apia", "/a");
    check_uri(prefix("/api"), "/", "/api?q=/api", "/?q=/api");
    check_uri(prefix("/rw3"), "/new/", "/rw3/a", "/new//a");
    check_uri(prefix(""), "/E", "/some/q?z=1", "/E/some/q?z=1");
    check_uri(prefix("/p"), "/p?fixed=1", "/p/x?y=1", "/p?fixed=1/x?y=1");
    check_uri(MatchedPath::Exact, "/y/", "/ex/q?z=1", "/y/?z=1");
    check_uri(MatchedPath::Regex, "/y", "/re/q?z=1", "/y?z=1");
    check_uri(MatchedPath::None, "/foo", "/bar", "/foobar");
    check_uri(MatchedPath::None, "/foo/", "/bar?", "/foo/bar?");
}

/// Envoy sends these as they are.
#[test]
fn what_a_uri_cannot_hold_is_repaired() {
    check_uri(MatchedPath::Exact, "noslash", "/a?z=1", "/noslash?z=1");
    check_uri(MatchedPath::Exact, "/a b#c", "/a?z=1", "/a%20b%23c?z=1");
}

#[track_caller]
fn check_regex(pattern: &str, substitution: &str, target: &str, want: &str) {
    let policy = RewritePolicy::new()
        .uri_regex(pattern, substitution)
        .unwrap();
    check(&policy, target, want);
}

#[test]
fn everything_a_regular_expression_finds_is_replaced() {
    let noted = "/e/q?z=1 x.test /e/q?z=1 -";
    check_regex("x", "y", "/e/q?z=1", noted);
    check_regex("z", "y", "/e/q?z=1", noted);
    check_regex("b", r"\1", "/e/q?z=1", noted);
    check_regex("x*", "-", "/e/q?z=1", "/-/-e-/-q-?z=1 x.test /e/q?z=1 -");
    check_regex(
        "/(g)r(p)",
        r"/\2\1\0\\",
        "/grp/q",
        r"/pg/grp\/q x.test /grp/q -",
    );
    check_regex(
        "/v([0-9])",
        r"/\1",
        "/v1/v2?/v3",
        "/1/2?/v3 x.test /v1/v2?/v3 -",
    );
}

#[test]
fn a_path_does_not_become_empty() {
    check_regex("^.*()$", r"\1", "/e/q?z=1", "/e/q?z=1 x.test - -");
}

#[test]
fn the_authority_is_replaced_and_noted() {
    let policy = RewritePolicy::new().authority("new.test:99").unwrap();
    check(&policy, "/a", "/a new.test:99 - x.test");
    check(
        &policy,
        "http://x.test/a",
        "http://x.test/a new.test:99 - x.test",
    );
    let same = RewritePolicy::new().authority("x.test").unwrap();
    check(&same, "/a", "/a x.test - x.test");
    let both = RewritePolicy::new().uri("/b").authority("y").unwrap();
    check(&both, "/a", "/ba y /a x.test");
    let mut bare = Request::get("http://z.test/a").body(()).unwrap();
    policy.decide(&bare).apply(&mut bare);
    assert_eq!(print(&bare), "http://z.test/a new.test:99 - z.test");
}

#[test]
fn what_a_client_noted_is_overwritten() {
    let request = Request::get("/a")
        .header("host", "x.test")
        .header("x-envoy-original-path", "/other")
        .header("x-envoy-original-host", "other");
    let mut request = request.body(()).unwrap();
    let policy = RewritePolicy::new().uri("/b").authority("y").unwrap();
    policy.decide(&request).apply(&mut request);
    assert_eq!(print(&request), "/ba y /a x.test");
}

#[test]
fn authorities_of_headers_yield_to_the_rules_own() {
    let fit = |rule: Option<&RewritePolicy>, route, destination, single| {
        let matched = MatchedPath::None;
        RewritePolicy::of_block(rule, matched, route, destination, single).unwrap_or_default()
    };
    let rule = RewritePolicy::new().authority("rule").unwrap();
    let (route, destination) = (Some("route"), Some("destination"));
    check(
        &fit(Some(&rule), route, destination, true),
        "/",
        "/ rule - x.test",
    );
    check(
        &fit(None, route, destination, true),
        "/",
        "/ route - x.test",
    );
    check(
        &fit(None, None, destination, true),
        "/",
        "/ destination - x.test",
    );
    check(
        &fit(None, None, destination, false),
        "/",
        "/ destination - -",
    );
    check(
        &fit(None, route, destination, false),
        "/",
        "/ route - destination",
    );
    assert_eq!(
        RewritePolicy::of_block(None, MatchedPath::Exact, None, None, false),
        None
    );
}

#[track_caller]
fn check_fault(written: &api::HttpRewrite, want: &str) {
    let mut found = Diagnostics::default();
    let policy = compile(written, At::Top.field("rewrite"), &mut found);
    assert_eq!(policy.is_none(), !found.is_empty());
    assert_eq!(found.to_string(), want);
}

#[test]
fn faults_are_told_in_istios_words() {
    let rewrite = |uri: &str, regex: Option<(&str, &str)>, authority: &str| api::HttpRewrite {
        uri: uri.to_owned(),
        authority: authority.to_owned(),
        uri_regex_rewrite: regex.map(|(pattern, rewrite)| api::RegexRewrite {
            r#match: pattern.to_owned(),
            rewrite: rewrite.to_owned(),
        }),
    };
    check_fault(&rewrite("/", None, ""), "");
    check_fault(&rewrite("", Some(("a", "b")), "c"), "");
    check_fault(
        &rewrite("", None, ""),
        "error[missing-field]: rewrite: rewrite must specify at least one of URI, \
         UriRegexRewrite, or authority. Only one of URI or UriRegexRewrite may be specified",
    );
    check_fault(
        &rewrite("/", Some(("a", "b")), ""),
        "error[exclusive]: rewrite: rewrite may only contain one of URI or UriRegexRewrite",
    );
    check_fault(
        &rewrite("", Some(("a", "")), ""),
        "error[missing-field]: rewrite.uriRegexRewrite: \
         UriRegexRewrite requires both Rewrite and Match fields to be specified",
    );
    check_fault(
        &rewrite("", Some(("(", "b")), "\n"),
        "error[invalid-value]: rewrite.uriRegexRewrite.match: \
         this `(` is never closed; add `)` or write `\\(` (at byte 0)\n\
         error[invalid-value]: rewrite.authority: \"\\n\" cannot be a Host header",
    );
}

/// Finds no policy.
#[derive(Clone)]
struct Nothing;

impl<B> Select<RewritePolicy, B> for Nothing {
    type Held = Arc<RewritePolicy>;

    fn get<'a>(&'a self, _: &'a Request<B>) -> Option<&'a RewritePolicy> {
        None
    }

    fn hold(&self, _: &Request<B>) -> Option<Self::Held> {
        None
    }
}

/// Answers with the request, printed; panics when called before it is ready.
#[derive(Default)]
struct Echo {
    ready: bool,
}

impl Service<Request<()>> for Echo {
    type Response = String;
    type Error = Infallible;
    type Future = Ready<Result<String, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.ready = true;
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<()>) -> Self::Future {
        assert!(
            std::mem::take(&mut self.ready),
            "called before it was ready"
        );
        ready(Ok(print(&request)))
    }
}

#[tokio::test]
async fn the_layer_rewrites_requests() {
    let layer = RewriteLayer::new(RewritePolicy::new().uri("/b/"));
    let request = Request::get("/a").body(()).unwrap();
    let seen = layer.layer(Echo::default()).oneshot(request).await;
    assert_eq!(seen.unwrap(), "/b/a - /a -");
}

#[tokio::test]
async fn without_a_policy_requests_pass_as_they_are() {
    let request = Request::get("/a").body(()).unwrap();
    let service = RewriteLayer::selecting(Nothing).layer(Echo::default());
    assert_eq!(service.oneshot(request).await.unwrap(), "/a - - -");
}
