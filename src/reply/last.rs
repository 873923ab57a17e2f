//! What a local reply says of its own body, written after everything its route has to say.

use http::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderName, HeaderValue};
use http::{HeaderMap, Response};

use super::LocalReply;

const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
const GRPC_MESSAGE: HeaderName = HeaderName::from_static("grpc-message");

/// The headers that Envoy gives a local reply last: a rule's operations do not see them.
///
/// A rule may say another type of a text and another status of a gRPC reply; the length, and the
/// type of a gRPC reply, are the reply's own. A reply without a body has neither type nor length.
#[derive(Debug)]
pub(crate) struct LastHeaders {
    content_type: Option<HeaderValue>,
    content_length: Option<HeaderValue>,
    grpc_status: Option<HeaderValue>,
    grpc_message: Option<HeaderValue>,
}

impl LastHeaders {
    /// Takes them off a local reply; nothing for an upstream's response.
    pub(crate) fn take<B>(response: &mut Response<B>) -> Option<Self> {
        LocalReply::of(response)?;
        let headers = response.headers_mut();
        Some(Self {
            content_type: headers.remove(CONTENT_TYPE),
            content_length: headers.remove(CONTENT_LENGTH),
            grpc_status: headers.remove(GRPC_STATUS),
            grpc_message: headers.remove(GRPC_MESSAGE),
        })
    }

    /// Puts them beside what a rule has made of the others.
    pub(crate) fn put(self, headers: &mut HeaderMap) {
        let kind = self.content_type;
        if let Some(status) = self.grpc_status {
            headers.remove(CONTENT_LENGTH);
            set(headers, CONTENT_TYPE, kind);
            if headers.get(GRPC_STATUS).is_none_or(HeaderValue::is_empty) {
                headers.insert(GRPC_STATUS, status);
            }
            set(headers, GRPC_MESSAGE, self.grpc_message);
        } else if self.content_length.is_some() {
            set(headers, CONTENT_LENGTH, self.content_length);
            if !headers.contains_key(CONTENT_TYPE) {
                set(headers, CONTENT_TYPE, kind);
            }
        } else {
            headers.remove(CONTENT_LENGTH);
            headers.remove(CONTENT_TYPE);
        }
    }
}

fn set(headers: &mut HeaderMap, name: HeaderName, value: Option<HeaderValue>) {
    if let Some(value) = value {
        headers.insert(name, value);
    }
}
