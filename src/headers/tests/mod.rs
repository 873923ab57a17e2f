//! What a user sees of header operations; what is expected here, Envoy 1.40 did.

use bytes::Bytes;
use http::header::{HeaderName, HeaderValue};
use http::{HeaderMap, Request, Response, StatusCode};

use super::{Names, authority_of, check, compile, controls_retries, value_of};
use crate::api;
use crate::context::ResponseFlags;
use crate::diagnostic::{At, Diagnostics};
use crate::reply::LocalReply;

mod service;
mod values;

/// Reads `remove`, `set` and `add` from lines such as `-x-a`, `x-a=1` and `x-a+=1`.
fn operations(written: &str) -> api::HeaderOperations {
    let mut operations = api::HeaderOperations::default();
    for line in written.lines() {
        if let Some(name) = line.strip_prefix('-') {
            operations.remove.push(name.to_owned());
        } else if let Some((name, value)) = line.split_once("+=") {
            operations.add.insert(name.to_owned(), value.to_owned());
        } else if let Some((name, value)) = line.split_once('=') {
            operations.set.insert(name.to_owned(), value.to_owned());
        }
    }
    operations
}

fn on_requests(written: &str) -> api::Headers {
    api::Headers {
        request: Some(operations(written)),
        response: None,
    }
}

fn on_responses(written: &str) -> api::Headers {
    api::Headers {
        request: None,
        response: Some(operations(written)),
    }
}

fn headers(lines: &[(&'static str, &'static str)]) -> HeaderMap {
    let line = |(name, value): &(&'static str, &'static str)| {
        let name = HeaderName::from_static(name);
        (name, HeaderValue::from_bytes(value.as_bytes()).unwrap())
    };
    lines.iter().map(line).collect()
}

/// Prints headers in the order of their names.
fn print(headers: &HeaderMap) -> String {
    let lines = headers.iter().map(|(name, value)| {
        let value = String::from_utf8_lossy(value.as_bytes());
        format!("{name}={value}")
    });
    let mut lines: Vec<_> = lines.collect();
    lines.sort_by(|a, b| a.split('=').next().cmp(&b.split('=').next()));
    lines.join(" ")
}

/// Sends a request through what is compiled, and prints its headers as the upstream sees them.
#[track_caller]
fn check_request(
    (route, destination, single): (&str, &str, bool),
    sent: &[(&'static str, &'static str)],
    want: &str,
) {
    let (route, destination) = (on_requests(route), on_requests(destination));
    let (policy, _) = compile(Some(&route), Some(&destination), single, Names::default());
    let mut request = Request::get("http://shop/cart?id=7").body(()).unwrap();
    *request.headers_mut() = headers(sent);
    let mut taken = std::mem::take(request.headers_mut());
    policy.unwrap_or_default().apply(&request, &mut taken);
    assert_eq!(print(&taken), want);
}

#[test]
fn removes_then_sets_then_adds() {
    check_request(
        ("x-b+=1\nx-a=s\n-x-a\nx-c+=\nx-d=\nx-b=0", "", true),
        &[("x-a", "old"), ("x-b", "old"), ("x-m", "1")],
        "x-a=s x-b=0 x-b=1 x-m=1",
    );
}

#[test]
fn set_leaves_one_line_and_add_leaves_all() {
    check_request(
        ("x-m=s\nx-n+=3", "", true),
        &[("x-m", "1"), ("x-m", "2"), ("x-n", "1"), ("x-n", "2")],
        "x-m=s x-n=1 x-n=2 x-n=3",
    );
}

#[test]
fn names_are_sorted_before_case_is_dropped() {
    check_request(
        ("x-a=low\nX-A=up\nx-b+=low\nX-B+=up\n-X-RM", "", true),
        &[("x-rm", "1")],
        "x-a=low x-b=up x-b=low",
    );
}

#[test]
fn what_fits_in_one_line_stays_in_one_line() {
    check_request(
        ("user-agent+=b\naccept+=x\naccept-language+=de", "", true),
        &[("user-agent", "a"), ("accept-language", "en")],
        "accept=x accept-language=en accept-language=de user-agent=a,b",
    );
    check_request(
        ("user-agent+=b", "", true),
        &[("user-agent", "")],
        "user-agent=b",
    );
}

#[test]
fn a_single_destination_wins_over_the_route() {
    check_request(
        (
            "x-a=route\nx-c+=route\n-x-q",
            "x-a=destination\nx-c+=destination\n-x-r",
            true,
        ),
        &[("x-q", "1"), ("x-r", "1")],
        "x-a=destination x-c=route x-c=destination",
    );
}

#[test]
fn the_route_wins_over_one_of_several_destinations() {
    check_request(
        (
            "x-a=route\nx-c+=route\nx-e=%REQ(x-a)%\n-x-q",
            "x-a=destination\nx-c+=destination\nx-d=%REQ(x-q)%\n-x-r",
            false,
        ),
        &[("x-r", "1"), ("x-q", "Q"), ("x-a", "0")],
        "x-a=route x-c=destination x-c=route x-d=Q x-e=destination",
    );
}

/// Prints what is wrong with operations on requests and on responses.
#[track_caller]
fn check_faults(request: &str, response: &str, want: &[&str]) {
    let written = api::Headers {
        request: Some(operations(request)),
        response: Some(operations(response)),
    };
    let mut found = Diagnostics::default();
    check(&written, true, At::Top, &mut found);
    let got: Vec<_> = found
        .iter()
        .map(|it| format!("{}: {}", it.path(), it.message()))
        .collect();
    assert_eq!(got, want);
}

#[test]
fn faults_are_told_in_istios_words_and_once() {
    check_faults("Host=a\n:authority+=b\nx=1", "x=1", &[]);
    check_faults("-a b", "", &[]);
    check_faults(
        "-host\n-:path\n:path=1\n=1",
        "Host=a\n-",
        &[
            r#"request.set[""]: header name cannot be empty"#,
            r#"request.set[":path"]: invalid header ":path": header cannot have ":" prefix"#,
            r#"request.remove[0]: invalid header "host": cannot set Host header"#,
            r#"request.remove[1]: invalid header ":path": header cannot have ":" prefix"#,
            r#"response.set["Host"]: invalid header "Host": cannot set Host header"#,
            "response.remove[0]: header name cannot be empty",
        ],
    );
    check_faults(
        "a b=1",
        "x-envoy-upstream-stream-duration-ms=3",
        &[r#"request.set["a b"]: invalid header "a b": not a header name"#],
    );
    // Words to the proxy, which are none in a response.
    check_faults("X-Envoy-Max-Retries+=3", "x-envoy-max-retries=3", &[]);
    check_faults(
        "x-envoy-retry-on=%REQ(x)%\nX-Envoy-Upstream-Rq-Per-Try-Timeout-Ms+=3\n\
         x-envoy-upstream-stream-duration-ms=3",
        "x-envoy-retry-on=%REQ(x)%",
        &[
            "request.set[\"x-envoy-retry-on\"]: a x-envoy-retry-on is heeded as it is written, \
             without formatters",
            "request.set[\"x-envoy-upstream-stream-duration-ms\"]: requests are not timed out by a \
             x-envoy-upstream-stream-duration-ms that a rule sets",
            "request.add[\"X-Envoy-Upstream-Rq-Per-Try-Timeout-Ms\"]: a \
             X-Envoy-Upstream-Rq-Per-Try-Timeout-Ms that a rule sets has no effect, as under a sidecar",
        ],
    );
}

#[test]
fn words_to_the_proxy_are_read_and_not_sent() {
    let route = on_requests("X-Envoy-Retry-On=reset\nx-envoy-retry-on+=%%5xx\nx=1");
    let only = on_requests("x-envoy-max-retries=4\nx-envoy-upstream-rq-timeout-ms=5");
    let value = |name| value_of(Some(&route), Some(&only), name);
    assert_eq!(value("x-envoy-retry-on").as_deref(), Some("reset,%5xx"));
    assert_eq!(value("x-envoy-max-retries").as_deref(), Some("4"));
    assert_eq!(value("x-envoy-retry-grpc-on"), None);
    // The destination's comes last where it is the only one.
    let both = value_of(
        Some(&only),
        Some(&on_requests("x-envoy-max-retries=2")),
        "x-envoy-max-retries",
    );
    assert_eq!(both.as_deref(), Some("2"));
    assert!(controls_retries(&only) && !controls_retries(&on_requests("x=1")));
    let (headers, _) = compile(Some(&route), Some(&only), true, Names::default());
    let mut request = Request::new(());
    headers.unwrap().apply_in(&mut request);
    let mut names: Vec<_> = request.headers().keys().map(HeaderName::as_str).collect();
    names.sort_unstable();
    assert_eq!(names, ["x", "x-envoy-upstream-rq-timeout-ms"]);
}

#[test]
fn host_is_an_authority_and_no_header() {
    let find = |written: &str| authority_of(&on_requests(written)).map(str::to_owned);
    assert_eq!(find("x=1"), None);
    assert_eq!(find("HOST+=a").as_deref(), Some("a"));
    assert_eq!(find(":authority=b\nhost+=a").as_deref(), Some("b"));
    assert_eq!(find("host=\nhost+=a").as_deref(), Some("a"));
    let written = on_requests("host=b\n:authority+=a");
    assert_eq!(
        compile(Some(&written), None, true, Names::default()),
        (None, None)
    );
}

#[test]
fn responses_are_formatted_from_their_own_headers() {
    let written =
        on_responses("x-o=new\nx-out=%RESP(x-o)%-%RESP(X-None?x-o)%\nx-add+=<%RESP(x-rm)%>\n-x-rm");
    let (_, policy) = compile(Some(&written), None, true, Names::default());
    let mut response = Response::new(());
    *response.headers_mut() = headers(&[("x-o", "first"), ("x-rm", "gone")]);
    policy.unwrap().apply(&mut response);
    assert_eq!(
        print(response.headers()),
        "x-add=<> x-o=new x-out=first-first"
    );
}

/// Applies operations to a local reply, and prints what becomes of its headers.
fn on_reply(written: &str, body: &'static str, grpc: bool) -> String {
    let (_, policy) = compile(None, Some(&on_responses(written)), true, Names::default());
    let reply = LocalReply::new(StatusCode::NOT_FOUND, ResponseFlags::NONE).body(body);
    let mut response: Response<Bytes> = reply.into_response(grpc);
    policy.unwrap().apply(&mut response);
    print(response.headers())
}

#[test]
fn a_local_reply_says_last_what_its_body_is() {
    let text = |written| on_reply(written, "gone", false);
    let plain = "content-length=4 content-type=text/plain x=1";
    assert_eq!(text("x=1\n-content-type\n-content-length"), plain);
    assert_eq!(text("x=1\ncontent-length=9"), plain);
    assert_eq!(text("x=<%RESP(content-type)%>"), plain.replace('1', "<>"));
    let own = "content-length=4 content-type=text/own";
    assert_eq!(text("content-type+=text/own"), own);
    assert_eq!(on_reply("x=1\ncontent-type=text/own", "", false), "x=1");
    let status = "content-type=application/grpc grpc-message=gone grpc-status=";
    let grpc = |written| on_reply(written, "gone", true);
    assert_eq!(
        grpc("content-type=text/own\ngrpc-message=no"),
        format!("{status}12")
    );
    assert_eq!(grpc("grpc-status=7"), format!("{status}7"));
}
