//! Why a transport did not bring a response, in the words retries and flags are decided by.

use std::error::Error;
use std::io;

/// What kept an endpoint from answering.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Failure {
    /// No connection: refused, unreachable, or its name is unknown. With the reason given.
    Connect(String),
    /// No connection in time.
    ConnectTimeout,
    /// The connection was closed before the response began.
    Terminated,
    /// The endpoint reset the request.
    Reset,
    /// The endpoint refused the request unprocessed (HTTP/2 `REFUSED_STREAM`).
    RefusedStream,
    /// What came back is not HTTP.
    Protocol,
    /// The request was given up on this side.
    LocalReset,
}

/// Errors that can say which [`Failure`] they are.
///
/// Implement it for the error of a transport of your own; hyper-util's errors,
/// `std::io::Error` and `Infallible` have it already.
pub trait ClassifyFailure {
    /// The failure this error stands for.
    fn classify(&self) -> Failure;
}

impl ClassifyFailure for std::convert::Infallible {
    fn classify(&self) -> Failure {
        match *self {}
    }
}

impl ClassifyFailure for io::Error {
    fn classify(&self) -> Failure {
        from_io(self)
    }
}

impl ClassifyFailure for Box<dyn Error + Send + Sync> {
    fn classify(&self) -> Failure {
        let mut cause: Option<&(dyn Error + 'static)> = Some(&**self);
        while let Some(error) = cause {
            #[cfg(feature = "client")]
            if let Some(error) = error.downcast_ref::<hyper_util::client::legacy::Error>() {
                return error.classify();
            }
            if let Some(error) = error.downcast_ref::<io::Error>() {
                return from_io(error);
            }
            cause = error.source();
        }
        Failure::LocalReset
    }
}

fn from_io(error: &io::Error) -> Failure {
    match error.kind() {
        io::ErrorKind::ConnectionRefused
        | io::ErrorKind::HostUnreachable
        | io::ErrorKind::NetworkUnreachable
        | io::ErrorKind::AddrNotAvailable => Failure::Connect(reason_of(error)),
        io::ErrorKind::TimedOut => Failure::ConnectTimeout,
        _ => Failure::Terminated,
    }
}

/// The operating system's words without its number, as Envoy logs them.
fn reason_of(error: &io::Error) -> String {
    let text = error.to_string();
    match text.find(" (os error") {
        Some(end) => text.get(..end).unwrap_or(&text).to_owned(),
        None => text,
    }
}

#[cfg(feature = "client")]
impl ClassifyFailure for hyper_util::client::legacy::Error {
    fn classify(&self) -> Failure {
        let mut io_error = None;
        let mut cause = self.source();
        while let Some(error) = cause {
            if let Some(error) = error.downcast_ref::<hyper::Error>() {
                if error.is_parse() {
                    return Failure::Protocol;
                }
                // The kept connection was found closed before a byte of the request was written.
                if error.is_canceled() {
                    return Failure::Connect("connection closed before it was used".to_owned());
                }
                if error.is_incomplete_message() {
                    return Failure::Terminated;
                }
                if error.is_user() {
                    return Failure::LocalReset;
                }
            }
            if let Some(error) = error.downcast_ref::<io::Error>() {
                io_error = Some(error);
            }
            cause = error.source();
        }
        match (self.is_connect(), io_error) {
            (true, Some(error)) if error.kind() == io::ErrorKind::TimedOut => {
                Failure::ConnectTimeout
            }
            (true, Some(error)) => Failure::Connect(reason_of(error)),
            (true, None) => Failure::Connect(self.to_string()),
            (false, _) => Failure::Terminated,
        }
    }
}
