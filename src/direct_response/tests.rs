//! Tests for [`super`]; the answers are what Envoy 1.40 gave.

use std::convert::Infallible;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use tower::{Layer as _, Service as _, ServiceExt as _};

use super::{DirectResponseLayer, DirectResponsePolicy, compile};
use crate::answer::mock::{Nothing, Readied};
use crate::api::{HttpDirectResponse, ResponseBody};
use crate::diagnostic::{At, Diagnostics};
use crate::reply::LocalReply;

fn written(status: u32, string: Option<&str>, bytes: Option<&str>) -> HttpDirectResponse {
    HttpDirectResponse {
        status,
        body: Some(ResponseBody {
            string: string.map(str::to_owned),
            bytes: bytes.map(str::to_owned),
        }),
    }
}

fn read(written: &HttpDirectResponse) -> (Option<DirectResponsePolicy>, String) {
    let mut found = Diagnostics::default();
    let policy = compile(written, At::Top, &mut found);
    (policy, found.to_string())
}

#[track_caller]
fn refuses(written: &HttpDirectResponse, want: &str) {
    assert_eq!(read(written), (None, want.to_owned()));
}

async fn ask(written: &HttpDirectResponse, request: Request<()>) -> Response<Full<Bytes>> {
    let policy = read(written).0.expect("a good direct response");
    let service = DirectResponseLayer::new(policy).layer(Readied::default());
    match service.oneshot(request).await {
        Ok(response) => response,
        Err(error) => match error {},
    }
}

async fn print(written: &HttpDirectResponse, content_type: &str) -> String {
    let request = Request::get("/d?a=b").header("host", "b:80");
    let request = request.header("content-type", content_type).body(());
    let response = ask(written, request.expect("valid")).await;
    let (parts, body) = response.into_parts();
    let body = body.collect().await.expect("in memory").to_bytes();
    let mut headers: Vec<String> = parts
        .headers
        .iter()
        .map(|(name, value)| format!("{name}: {}", value.to_str().expect("text")))
        .collect();
    headers.sort();
    format!("{} {headers:?} {body:?}", parts.status.as_u16())
}

#[tokio::test]
async fn answers_with_the_body_as_plain_text() {
    let text = written(503, Some("50% é\n~"), None);
    assert_eq!(
        print(&text, "text/html").await,
        r#"503 ["content-length: 8", "content-type: text/plain"] b"50% \xc3\xa9\n~""#
    );
    let bytes = written(200, None, Some("/wD+aGk="));
    assert_eq!(
        print(&bytes, "text/html").await,
        r#"200 ["content-length: 5", "content-type: text/plain"] b"\xff\0\xfehi""#
    );
    for empty in [written(404, None, None), written(404, Some(""), None)] {
        assert_eq!(print(&empty, "text/html").await, r#"404 [] b"""#);
    }
    let bodiless = HttpDirectResponse {
        status: 599,
        body: None,
    };
    assert_eq!(print(&bodiless, "text/html").await, r#"599 [] b"""#);
}

#[tokio::test]
async fn created_and_redirects_name_the_address_of_the_request() {
    for status in [201, 300, 301, 304, 399] {
        let answer = print(&written(status, None, None), "text/html").await;
        let want = format!(r#"{status} ["location: http://b:80/d?a=b"] b"""#);
        assert_eq!(answer, want);
    }
    for status in [200, 202, 299, 400] {
        let answer = print(&written(status, None, None), "text/html").await;
        assert_eq!(answer, format!(r#"{status} [] b"""#));
    }
}

#[tokio::test]
async fn a_grpc_call_gets_the_body_as_message() {
    let text = written(200, Some("50% é\n~"), None);
    assert_eq!(
        print(&text, "application/grpc").await,
        r#"200 ["content-type: application/grpc", "grpc-message: 50%25 %C3%A9%0A%7E", "grpc-status: 2"] b"""#
    );
    let bytes = written(503, None, Some("/wD+aGk="));
    assert_eq!(
        print(&bytes, "application/grpc+proto").await,
        r#"200 ["content-type: application/grpc", "grpc-message: %FF%00%FEhi", "grpc-status: 14"] b"""#
    );
    let moved = written(301, None, None);
    assert_eq!(
        print(&moved, "application/grpc").await,
        r#"200 ["content-type: application/grpc", "grpc-status: 2", "location: http://b:80/d?a=b"] b"""#
    );
}

#[tokio::test]
async fn the_answer_says_that_it_is_one_and_shares_the_body() {
    let body = Bytes::from(vec![b'x'; 1000]);
    let policy = DirectResponsePolicy::new(StatusCode::OK, body.clone()).expect("good");
    let service = DirectResponseLayer::new(policy).layer(Readied::default());
    let response = service.oneshot(Request::new(())).await.expect("infallible");
    let reply = LocalReply::of(&response).expect("it is ours");
    assert_eq!(reply.details, "direct_response");
    assert!(reply.flags.is_empty());
    let sent = response.into_body().collect().await.expect("in memory");
    assert_eq!(sent.to_bytes().as_ptr(), body.as_ptr());
}

#[test]
fn what_istio_refuses_is_refused_in_its_words() {
    for status in [0, 100, 199, 600, 70_000] {
        let want =
            format!("error[invalid-value]: status: HTTP status {status} is not in range 200-599");
        refuses(&written(status, None, None), &want);
    }
    refuses(
        &written(200, Some("a"), Some("YQ==")),
        "error[exclusive]: body.bytes: only one of string, bytes may be set",
    );
    refuses(
        &written(200, None, Some("hello world")),
        "error[invalid-value]: body.bytes: bytes is not base64 (text goes into string)",
    );
    let large = "x".repeat(1024 * 1024 + 1);
    refuses(
        &written(200, Some(&large), None),
        "error[invalid-value]: body: large direct_responses may impact control plane \
         performance, must be less than 1MB",
    );
}

#[test]
fn a_large_body_is_warned_of_by_its_true_size() {
    let said = |length: usize| {
        let (policy, said) = read(&written(200, Some(&"x".repeat(length)), None));
        assert!(policy.is_some());
        said
    };
    assert_eq!(said(100 * 1024), "");
    let warning = "warning[large-body]: body: large direct_responses may impact control plane \
                   performance";
    assert_eq!(said(100 * 1024 + 1), warning);
    assert_eq!(said(1024 * 1024), warning);
    // 100 KiB of bytes are more than that in base64.
    let (_, said) = read(&written(200, None, Some(&"AAAA".repeat(100 * 1024 / 3))));
    assert_eq!(said, "");
}

#[tokio::test]
async fn without_a_policy_the_readied_service_is_asked() -> Result<(), Infallible> {
    let mut service = DirectResponseLayer::selecting(Nothing).layer(Readied::default());
    for _ in 0..2 {
        let response = service.ready().await?.call(Request::new(())).await?;
        assert_eq!(response.status(), 200);
        assert!(LocalReply::of(&response).is_none());
    }
    Ok(())
}
