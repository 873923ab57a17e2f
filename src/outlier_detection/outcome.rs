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
        let code = || headers.get("grpc-status")?.to_str().ok();
        let code = grpc.then(code).flatten().and_then(|it| it.parse().ok());
        Self::Response(code.map_or(status.as_u16(), grpc_status))
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
