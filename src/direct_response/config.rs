//! From `HTTPDirectResponse` as written to the answer.

use bytes::Bytes;
use http::StatusCode;

use super::base64;
use super::policy::{DirectResponsePolicy, InvalidDirectResponse};
use crate::api::{HttpDirectResponse, ResponseBody};
use crate::diagnostic::{At, Code, Diagnostic, Diagnostics};

/// From this size on Istio warns of a body.
const LARGE_BODY: usize = 100 * 1024;

/// Compiles a direct response.
pub(crate) fn compile(
    written: &HttpDirectResponse,
    at: At<'_>,
    found: &mut Diagnostics,
) -> Option<DirectResponsePolicy> {
    let body = match &written.body {
        Some(body) => read_body(body, at.field("body"), found),
        None => Some(Bytes::new()),
    };
    let status = u16::try_from(written.status).ok();
    let status = status.and_then(|status| StatusCode::from_u16(status).ok());
    let status = status.filter(|it| (200..600).contains(&it.as_u16()));
    if status.is_none() {
        let message = InvalidDirectResponse::Status(written.status).to_string();
        let at = at.field("status");
        found.push(Diagnostic::new(Code::InvalidValue, at, message));
    }
    match DirectResponsePolicy::new(status?, body?) {
        Ok(policy) => Some(policy),
        Err(error) => {
            let at = at.field("body");
            found.push(Diagnostic::new(Code::InvalidValue, at, error.to_string()));
            None
        }
    }
}

fn read_body(written: &ResponseBody, at: At<'_>, found: &mut Diagnostics) -> Option<Bytes> {
    let body = match (&written.string, &written.bytes) {
        (Some(_), Some(_)) => {
            let message = "only one of string, bytes may be set";
            let at = at.field("bytes");
            found.push(Diagnostic::new(Code::Exclusive, at, message));
            return None;
        }
        (Some(text), None) => Bytes::copy_from_slice(text.as_bytes()),
        (None, Some(text)) => {
            let Some(bytes) = base64::decode(text) else {
                let at = at.field("bytes");
                let fault = Diagnostic::new(Code::InvalidValue, at, "bytes is not base64");
                found.push(fault.hint("text goes into string"));
                return None;
            };
            bytes.into()
        }
        (None, None) => Bytes::new(),
    };
    if body.len() > LARGE_BODY && body.len() <= DirectResponsePolicy::MAX_BODY {
        let message = "large direct_responses may impact control plane performance";
        found.push(Diagnostic::new(Code::LargeBody, at, message));
    }
    Some(body)
}
