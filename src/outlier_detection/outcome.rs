//! What became of a request, as far as its endpoint is concerned.

use http::{HeaderMap, Response, StatusCode};

use crate::failure::{ClassifyFailure, Failure};

/// What became of a request, as far as its endpoint is concerned.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Outcome {
    /// It answered with this status; that of a gRPC call's refusal in the response's head counts as
    /// [`grpc_status`] says.
    Response(u16),
    /// It could not be connected to.
    ConnectFailure,
    /// The connection broke before the response.
    Reset,
    /// It did not answer in time.
    Timeout,
}

impl Outcome {
    /// What a call's end means; nothing where it ended for a reason of this side's: it was given up,
    /// or a limit is reached. `grpc` tells whether it is a gRPC call.
    #[must_use]
    pub fn of<B, E: ClassifyFailure>(ended: &Result<Response<B>, E>, grpc: bool) -> Option<Self> {
        match ended {
            Ok(it) => Some(Self::of_response(it.status(), it.headers(), grpc)),
            Err(error) => Self::of_failure(&error.classify()),
        }
    }

    /// What a response's head means.
    #[must_use]
    pub fn of_response(status: StatusCode, headers: &HeaderMap, grpc: bool) -> Self {
        let code = || headers.get("grpc-status").filter(|it| !it.is_empty());
        let Some(code) = grpc.then(code).flatten() else {
            return Self::Response(status.as_u16());
        };
        // One that cannot be read is none that there is.
        let code = code.to_str().ok().and_then(|it| it.parse().ok());
        Self::Response(code.map_or(500, grpc_status))
    }

    /// Whether it is an answer and no error of the endpoint's.
    #[inline]
    pub(crate) const fn is_good(self) -> bool {
        matches!(self, Self::Response(..500))
    }

    /// The same of what kept an endpoint from answering.
    #[must_use]
    pub const fn of_failure(failure: &Failure) -> Option<Self> {
        match failure {
            Failure::Connect(_) | Failure::Tls(_) | Failure::ConnectTimeout => {
                Some(Self::ConnectFailure)
            }
            Failure::LocalReset | Failure::Overflow => None,
            _ => Some(Self::Reset),
        }
    }
}

/// The status that a gRPC status in a response's head counts as, as Envoy has it.
#[must_use]
pub const fn grpc_status(code: u32) -> u16 {
    match code {
        0 => 200,
        1 => 499,
        3 | 9 | 11 => 400,
        4 => 504,
        5 => 404,
        6 | 10 => 409,
        7 => 403,
        8 => 429,
        12 => 501,
        14 => 503,
        16 => 401,
        _ => 500,
    }
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, StatusCode};

    use super::Outcome;

    /// As Envoy 1.40 was seen to count them.
    #[test]
    fn a_grpc_status_in_the_head_counts_and_one_that_cannot_be_read_is_an_error() {
        let counts = |status: u16, grpc_status: Option<&'static str>, grpc: bool| {
            let mut headers = HeaderMap::new();
            if let Some(value) = grpc_status {
                headers.insert("grpc-status", http::HeaderValue::from_static(value));
            }
            let status = StatusCode::from_u16(status).expect("a status");
            match Outcome::of_response(status, &headers, grpc) {
                Outcome::Response(status) => status,
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(counts(200, Some("14"), true), 503);
        assert_eq!(counts(200, Some("14"), false), 200);
        assert_eq!(counts(503, Some("0"), true), 200);
        assert_eq!(counts(503, None, true), 503);
        assert_eq!(counts(200, Some("17"), true), 500);
        assert_eq!(counts(200, Some("it"), true), 500);
        assert_eq!(counts(200, Some(""), true), 200);
    }
}
