//! Why a transport did not bring a response, in the words retries and flags are decided by.

#[cfg(feature = "client")]
mod http_error;

use std::error::Error;
use std::io;

#[cfg(feature = "client")]
pub use http_error::HttpError;

/// What kept an endpoint from answering.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Failure {
    /// No connection: refused, unreachable, or its name is unknown. With the reason given.
    Connect(String),
    /// A connection, but no agreement on TLS: a certificate is refused, by one side or the other,
    /// or what is spoken there is not TLS. With the reason.
    Tls(String),
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
    /// A limit of the destination is reached; nothing was sent.
    Overflow,
}

impl Failure {
    /// Whether no endpoint can have seen the request.
    pub(crate) const fn is_undelivered(&self) -> bool {
        matches!(
            self,
            Self::Connect(_)
                | Self::Tls(_)
                | Self::ConnectTimeout
                | Self::RefusedStream
                | Self::Overflow
        )
    }
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
            if let Some(error) = error.downcast_ref::<HttpError>() {
                return error.classify();
            }
            #[cfg(feature = "client")]
            if let Some(error) = error.downcast_ref::<hyper::Error>() {
                return of_hyper(error);
            }
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

/// What hyper found wrong once there was a connection.
#[cfg(feature = "client")]
pub(crate) fn of_hyper(error: &hyper::Error) -> Failure {
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
    let mut cause = error.source();
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref::<h2::Error>() {
            return of_h2(error);
        }
        cause = error.source();
    }
    Failure::Terminated
}

/// What happened to a stream, or to the whole of an HTTP/2 connection.
#[cfg(feature = "client")]
fn of_h2(error: &h2::Error) -> Failure {
    let refused = error.reason() == Some(h2::Reason::REFUSED_STREAM);
    match (error.is_go_away(), error.is_remote(), error.is_io()) {
        (_, _, true) => Failure::Terminated,
        // The endpoint is leaving, and says that it has not looked at this request.
        (true, true, _) => Failure::RefusedStream,
        (false, true, _) if refused => Failure::RefusedStream,
        (false, true, _) => Failure::Reset,
        // Found here: the endpoint does not keep to the protocol.
        (_, false, _) => Failure::Protocol,
    }
}

/// Why a connection could not be made.
#[cfg(feature = "client")]
pub(crate) fn of_connecting(error: &(dyn Error + 'static)) -> Failure {
    let mut io_error = None;
    let mut cause = Some(error);
    while let Some(error) = cause {
        io_error = error.downcast_ref::<io::Error>().or(io_error);
        cause = error.source();
    }
    match io_error {
        Some(error) if error.kind() == io::ErrorKind::TimedOut => Failure::ConnectTimeout,
        Some(error) => Failure::Connect(reason_of(error)),
        None => Failure::Connect(error.to_string()),
    }
}

#[cfg(feature = "client")]
impl ClassifyFailure for hyper_util::client::legacy::Error {
    fn classify(&self) -> Failure {
        let mut cause = self.source();
        while let Some(error) = cause {
            if let Some(error) = error.downcast_ref::<hyper::Error>() {
                return of_hyper(error);
            }
            cause = error.source();
        }
        match self.is_connect() {
            true => of_connecting(self),
            false => Failure::Terminated,
        }
    }
}
