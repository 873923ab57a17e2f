//! What values come to, and which cannot.

use std::convert::Infallible;
use std::time::Duration;

use bytes::Bytes;
use http::header::HeaderValue;
use http::{Request, Response, StatusCode};
use tower::{Layer as _, ServiceExt as _, service_fn};

use super::super::{Names, ResponseHeadersLayer, check, compile};
use super::{check_request, headers, on_requests, on_responses, print};
use crate::context::{Connection, DirectPeer, ResponseFlags};
use crate::diagnostic::{At, Diagnostics};
use crate::reply::LocalReply;

/// Formats one value for a request and prints what becomes of it.
#[track_caller]
fn check_value(value: &str, want: &str) {
    let sent = [
        ("x-a", "AbC"),
        ("x-m", "1"),
        ("x-m", "2"),
        ("x-empty", ""),
        ("x-set", "old"),
        ("x-utf", "\u{e9}"),
        ("x-gone", "1"),
        ("host", "shop:80"),
    ];
    let written = on_requests(&format!("x-out={value}\nx-set=new\n-x-gone"));
    let mut found = Diagnostics::default();
    check(&written, true, At::Top, &mut found);
    let (policy, _) = compile(Some(&written), None, true, Names::default());
    let request = Request::get("/cart?id=7").body(()).unwrap();
    let mut headers = headers(&sent);
    policy.unwrap().apply(&request, &mut headers);
    let formatted = headers.get("x-out").map(HeaderValue::as_bytes);
    let formatted = formatted.map(String::from_utf8_lossy).unwrap_or_default();
    let got = match found.iter().next() {
        Some(fault) => format!("{}: {}", fault.code(), fault.message()),
        None => formatted.into_owned(),
    };
    assert_eq!(got, want, "{value:?}");
}

#[test]
fn values_are_formatted_from_what_is_left_after_removing() {
    check_value("%REQ(x-a)%", "AbC");
    check_value("%REQ(X-A)%", "AbC");
    check_value("%REQ(x-none?x-a)%", "AbC");
    check_value("%REQ(x-none?:PATH)%", "/cart?id=7");
    check_value("%REQ(x-empty?x-a)%", "");
    check_value("%REQ(x-a?x-b)%%%", "AbC%");
    check_value("<%REQ(x-a)%|%REQ(x-none)%>", "<AbC|>");
    check_value("a%REQ(x-none)%", "a");
    check_value("%REQ(x-none)%", "");
    check_value("%REQ(x-m)%", "1");
    check_value("%REQ(x-set)%-%REQ(x-utf)%", "old-\u{e9}");
    check_value("<%REQ(x-gone)%>", "<>");
    check_value("%REQ(:path)% %REQ(:method)%", "/cart?id=7 GET");
    check_value("%REQ(:authority)% %REQ(host)%", "shop:80 shop:80");
    check_value("%PROTOCOL%%%", "HTTP/1.1%");
    check_value("100%%", "100%");
    check_value("%%%%", "%%");
    check_value("\u{e9}", "\u{e9}");
}

#[test]
fn the_host_is_the_uris_where_there_is_no_header() {
    check_request(
        ("x-a=%REQ(host)%\nx-b=%REQ(:authority)%", "", true),
        &[],
        "x-a=shop x-b=shop",
    );
}

#[test]
fn values_that_cannot_be_formatted_are_refused() {
    let config = "invalid-value: header value configuration";
    check_value("a\u{7f}", &format!("{config} a\\u{{7f}} is invalid"));
    check_value(
        "5%",
        &format!("{config}: invalid header configuration. Un-escaped %"),
    );
    check_value("%REQ%", &format!("{config}: REQ requires parameters"));
    check_value(
        "%req(x-a)%",
        &format!("{config}: Envoy has no formatter like `%req(x-a)%`"),
    );
    check_value(
        "%REQ(x-a) %",
        &format!("{config}: Envoy has no formatter like `%REQ(x-a) %`"),
    );
    check_value(
        "%REQ(x a)%",
        &format!("{config}: `x a` is not a header name"),
    );
    check_value(
        "%REQ(a?b?c)%",
        &format!("{config}: More than 1 alternative header specified in token: a?b?c"),
    );
    check_value(
        "%PROTOCOL(2)%",
        &format!("{config}: PROTOCOL does not take any parameters or length"),
    );
    for (value, why) in [
        ("%QUERY_PARAM%", "QUERY_PARAM requires parameters"),
        ("%ENVIRONMENT%", "ENVIRONMENT requires parameters"),
        (
            "%ROUTE_NAME(x)%",
            "ROUTE_NAME does not take any parameters or length",
        ),
        (
            "%UPSTREAM_HOST(x)%",
            "UPSTREAM_HOST does not take any parameters or length",
        ),
        (
            "%PATH(XX)%",
            "Invalid PATH option: 'XX', only 'WQ'/'NQ' are allowed",
        ),
        (
            "%PATH(WQ:YY)%",
            "Invalid PATH option: 'YY', only 'ORIG'/'PATH'/'ORIG_OR_PATH' are allowed",
        ),
        (
            "%QUERY_PARAMS(RAW)%",
            "Invalid QUERY_PARAMS option: 'RAW', only 'ORIG'/'DECODED' are allowed",
        ),
        (
            "%REQ_WITHOUT_QUERY(:path)%",
            "Not supported field in StreamInfo: REQ_WITHOUT_QUERY",
        ),
    ] {
        check_value(value, &format!("{config}: {why}"));
    }
}

#[test]
fn what_a_library_cannot_say_is_refused_with_what_it_can() {
    let told = |value: &str| {
        let mut found = Diagnostics::default();
        check(
            &on_requests(&format!("x={value}")),
            true,
            At::Top,
            &mut found,
        );
        let fault = found.iter().next().unwrap();
        let hint = fault.help().unwrap_or_default();
        format!("{}: {} ({hint})", fault.code(), fault.message())
    };
    let trace = told("%TRACE_ID%");
    assert!(trace.starts_with("not-built: %TRACE_ID% is not formatted here (on purpose: "));
    assert!(trace.ends_with("%REQ(traceparent)%)"), "{trace}");
    assert!(told("%DURATION%").contains("write it in a response"));
    assert!(told("%METADATA(CLUSTER:istio)%").contains("write the value itself"));
    let idle = told("%RESP(x)%");
    assert!(idle.starts_with("never-fires: %RESP% in a request's header is always nothing"));
    assert!(told("%RESPONSE_CODE%").contains("is always 0"));
    assert!(told("%REQ(:foo)%").starts_with("never-fires: no request has a :foo"));
}

/// What a rule of this name to this destination makes of a value, for a request from somewhere.
fn value_of(value: &str, sent: &[(&'static str, &'static str)]) -> String {
    let written = on_requests(&format!("x-out={value}"));
    let names = Names {
        route: "cart.get",
        cluster: "outbound|80||shop",
    };
    let (policy, _) = compile(Some(&written), None, true, names);
    let mut request = Request::get("/cart?id=7&x=a%20b%%2&id=8").body(()).unwrap();
    request.extensions_mut().insert(Connection {
        remote: "10.0.0.1:4711".parse().unwrap(),
        local: "[::1]:80".parse().unwrap(),
    });
    let mut headers = headers(sent);
    policy.unwrap_or_default().apply(&request, &mut headers);
    let formatted = headers.get("x-out").map(HeaderValue::as_bytes);
    String::from_utf8_lossy(formatted.unwrap_or_default()).into_owned()
}

#[test]
fn requests_tell_their_rule_their_path_and_where_they_come_from() {
    let value = |value: &str| value_of(value, &[]);
    assert_eq!(
        value("<%ROUTE_NAME%|%UPSTREAM_CLUSTER%>"),
        "<cart.get|outbound|80||shop>"
    );
    assert_eq!(
        value("%PATH(NQ)% %PATH%"),
        "/cart /cart?id=7&x=a%20b%%2&id=8"
    );
    assert_eq!(value("<%PATH(WQ:ORIG)%>"), "<>");
    assert_eq!(
        value("%QUERY_PARAM(id)%%QUERY_PARAM(ID)%|%QUERY_PARAM(x)%"),
        "7|a b%%2"
    );
    assert_eq!(value("%QUERY_PARAMS%"), "id=7&x=a%20b%%2&id=8");
    assert_eq!(value("%DOWNSTREAM_REMOTE_ADDRESS%"), "10.0.0.1:4711");
    assert_eq!(
        value("%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%"),
        "10.0.0.1"
    );
    assert_eq!(value("%DOWNSTREAM_REMOTE_PORT%"), "4711");
    assert_eq!(value("%DOWNSTREAM_LOCAL_ADDRESS%"), "[::1]:80");
    assert_eq!(value("%DOWNSTREAM_LOCAL_ADDRESS_WITHOUT_PORT%"), "::1");
    assert_eq!(value("%REQ(:scheme)%"), "http");
    assert_eq!(value("%ENVIRONMENT(CARGO_PKG_NAME)%"), "tower-mesh");
    assert_eq!(value("%ENVIRONMENT(NO_SUCH_VARIABLE)%"), "-");
    assert_eq!(
        value("<%UPSTREAM_HOST%%RESP(x)%>%RESPONSE_CODE%%RESPONSE_FLAGS%"),
        "<>0-"
    );
    assert!(!value("%HOSTNAME%").is_empty());
    let year: u32 = value("%START_TIME(%Y)%").parse().unwrap();
    assert!(year > 2024);
    assert_eq!(value("%EMIT_TIME%").len(), "2026-11-26T23:40:34.251Z".len());
}

#[test]
fn an_edge_settles_who_the_client_is() {
    let written =
        on_requests("x-out=%DOWNSTREAM_REMOTE_ADDRESS% %DOWNSTREAM_DIRECT_REMOTE_ADDRESS%");
    let (policy, _) = compile(Some(&written), None, true, Names::default());
    let mut request = Request::get("/").body(()).unwrap();
    let at = |address: &str| address.parse().unwrap();
    request
        .extensions_mut()
        .insert(DirectPeer(at("10.0.0.9:4711")));
    request.extensions_mut().insert(Connection {
        remote: at("1.1.1.1:0"),
        local: at("10.0.0.1:80"),
    });
    let mut headers = headers(&[("x-forwarded-for", "1.1.1.1,10.0.0.9")]);
    policy.unwrap().apply(&request, &mut headers);
    assert_eq!(headers["x-out"], "1.1.1.1:0 10.0.0.9:4711");
}

#[test]
fn who_sent_a_request_first_is_what_the_hop_before_says() {
    let value = |value: &str| {
        let sent = [
            ("x-forwarded-for", "1.2.3.4, 5.6.7.8"),
            ("x-forwarded-proto", "https"),
            ("x-envoy-original-path", "/old?a"),
        ];
        value_of(value, &sent)
    };
    assert_eq!(value("%DOWNSTREAM_REMOTE_ADDRESS%"), "5.6.7.8:0");
    assert_eq!(value("%DOWNSTREAM_DIRECT_REMOTE_ADDRESS%"), "10.0.0.1:4711");
    assert_eq!(value("%DOWNSTREAM_DIRECT_REMOTE_PORT%"), "4711");
    assert_eq!(value("%REQ(:scheme)%"), "https");
    assert_eq!(
        value("%PATH(NQ:ORIG)% %PATH(NQ:PATH)% %PATH%"),
        "/old /cart /old?a"
    );
}

/// Prints the headers that a layer alone makes of an upstream's or of a local answer.
async fn respond(written: &str, reply: Option<LocalReply>) -> String {
    let (_, policy) = compile(Some(&on_responses(written)), None, true, Names::default());
    let upstream = service_fn(move |_: Request<()>| {
        let reply = reply.clone();
        async move {
            tokio::time::advance(Duration::from_millis(30)).await;
            Ok::<_, Infallible>(match reply {
                Some(reply) => reply.into_response(false),
                None => Response::builder().status(404).body(Bytes::new()).unwrap(),
            })
        }
    });
    let service = ResponseHeadersLayer::new(policy.unwrap()).layer(upstream);
    let request = Request::get("/cart?id=7").header("x-user", "jason");
    let response = service.oneshot(request.body(()).unwrap()).await.unwrap();
    print(response.headers())
}

#[tokio::test(start_paused = true)]
async fn responses_tell_of_their_request_and_of_themselves() {
    let written = "a=%REQ(x-user)%\nb=%PATH(NQ)%\nc=%RESPONSE_CODE%\nd=%RESPONSE_FLAGS%\n\
                   e=%RESPONSE_CODE_DETAILS%\nf=%PROTOCOL%\ng=%DURATION%\nh=%RESP(:status)%";
    assert_eq!(
        respond(written, None).await,
        "a=jason b=/cart c=404 d=- e=via_upstream f=HTTP/1.1 g=30 h=404"
    );
    let reply = LocalReply::new(StatusCode::BAD_GATEWAY, ResponseFlags::NO_ROUTE_FOUND);
    let reply = reply.details("route_not_found");
    assert_eq!(
        respond(written, Some(reply)).await,
        "a=jason b=/cart c=0 d=NR e=route_not_found f=HTTP/1.1 g=30 h=502"
    );
}
