//! The error of the built-in transport, which knows which failure it is.

use std::error::Error;
use std::fmt;
use std::io::ErrorKind;
use std::sync::Arc;

use super::{ClassifyFailure, Failure, of_hyper};

/// The error of the built-in transport, before a response or while its body is under way.
///
/// Cloneable: a connection that cannot be made fails all requests that wait for it.
#[derive(Clone, Debug)]
pub struct HttpError {
    failure: Failure,
    source: Option<Arc<dyn Error + Send + Sync>>,
}

impl HttpError {
    pub(crate) const fn new(failure: Failure) -> Self {
        Self {
            failure,
            source: None,
        }
    }

    pub(crate) fn caused_by(failure: Failure, source: impl Error + Send + Sync + 'static) -> Self {
        let source = Some(Arc::new(source) as Arc<dyn Error + Send + Sync>);
        Self { failure, source }
    }

    /// What hyper found wrong before the response began.
    pub(crate) fn before_response(error: hyper::Error) -> Self {
        Self::caused_by(of_hyper(&error), error)
    }

    /// What hyper found wrong in the response's body; one cut short broke the protocol.
    pub(crate) fn in_body(error: hyper::Error) -> Self {
        let failure = match of_hyper(&error) {
            Failure::Terminated if is_cut_short(&error) => Failure::Protocol,
            failure => failure,
        };
        Self::caused_by(failure, error)
    }
}

fn is_cut_short(error: &hyper::Error) -> bool {
    let io = error
        .source()
        .and_then(|it| it.downcast_ref::<std::io::Error>());
    let ends = [ErrorKind::UnexpectedEof, ErrorKind::ConnectionReset];
    io.is_some_and(|it| ends.contains(&it.kind()))
}

impl fmt::Display for HttpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match &self.failure {
            Failure::Connect(why) => return write!(f, "no connection: {why}"),
            Failure::Tls(why) => return write!(f, "no agreement on TLS: {why}"),
            Failure::ConnectTimeout => "no connection in time",
            Failure::Terminated => "the connection was closed",
            Failure::Reset => "the endpoint reset the request",
            Failure::RefusedStream => "the endpoint refused the request",
            Failure::Protocol => "what came back is not HTTP",
            Failure::LocalReset => "the request was given up",
            Failure::Overflow => "a limit of the destination is reached",
        })
    }
}

impl Error for HttpError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match &self.source {
            Some(source) => Some(&**source),
            None => None,
        }
    }
}

impl ClassifyFailure for HttpError {
    fn classify(&self) -> Failure {
        self.failure.clone()
    }
}
