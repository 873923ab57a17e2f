//! What a client is told when the mesh could not bring a response.

use std::fmt;
use std::sync::Arc;

use http::Response;

use crate::context::ResponseFlags;
use crate::plan::{StreamInfo, Told};
use crate::reply::{FromLocalReply, LocalReply};

/// The mesh could not bring a response; says which kind of failure it was.
///
/// A sidecar would have sent the response [`MeshError::into_response`] makes.
#[derive(Clone)]
pub struct MeshError {
    failed: Arc<Failed>,
    source: Option<Cause>,
}

/// What a sidecar would have answered, and where the request had been going.
struct Failed {
    reply: LocalReply,
    told: Told,
}

type Cause = Arc<dyn std::error::Error + Send + Sync>;

/// The kinds of [`MeshError`].
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// No rule matches the request (404 NR).
    NoRoute,
    /// The rule leads to a destination that does not exist (503 NC).
    NoDestination,
    /// The destination has no endpoint to send to (503 UH).
    NoHealthyUpstream,
    /// As much is under way to the destination as its limits allow (503 UO).
    Overflow,
    /// The endpoint could not be connected to (503 UF).
    Connect,
    /// The response took longer than the rules allow (504 UT).
    Timeout,
    /// The connection ended, or the request was reset, before a response began (503 UC, UR, LR).
    Reset,
    /// What came back is not HTTP (502 UPE).
    Protocol,
    /// The host is not declared and unknown hosts are refused (502).
    UnknownHost,
    /// The request cannot be routed as it is: no host, or a path that is none (400).
    InvalidRequest,
    /// Anything else the mesh answered itself.
    Other,
}

impl MeshError {
    pub(super) fn new(reply: LocalReply, source: Option<Cause>, info: &StreamInfo) -> Self {
        let told = info.told();
        Self {
            failed: Arc::new(Failed { reply, told }),
            source,
        }
    }

    /// Where the request had been going.
    pub(crate) fn told(&self) -> &Told {
        &self.failed.told
    }

    /// Which kind of failure it was.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        let flags = self.failed.reply.flags;
        let resets = [
            ResponseFlags::UPSTREAM_CONNECTION_TERMINATION,
            ResponseFlags::UPSTREAM_REMOTE_RESET,
            ResponseFlags::LOCAL_RESET,
        ];
        if flags.contains(ResponseFlags::NO_ROUTE_FOUND) {
            ErrorKind::NoRoute
        } else if flags.contains(ResponseFlags::NO_CLUSTER_FOUND) {
            ErrorKind::NoDestination
        } else if flags.contains(ResponseFlags::NO_HEALTHY_UPSTREAM) {
            ErrorKind::NoHealthyUpstream
        } else if flags.contains(ResponseFlags::UPSTREAM_OVERFLOW) {
            ErrorKind::Overflow
        } else if flags.contains(ResponseFlags::UPSTREAM_CONNECTION_FAILURE) {
            ErrorKind::Connect
        } else if flags.contains(ResponseFlags::UPSTREAM_REQUEST_TIMEOUT) {
            ErrorKind::Timeout
        } else if resets.iter().any(|flag| flags.contains(*flag)) {
            ErrorKind::Reset
        } else if flags.contains(ResponseFlags::UPSTREAM_PROTOCOL_ERROR) {
            ErrorKind::Protocol
        } else {
            match self.failed.reply.status.as_u16() {
                400 => ErrorKind::InvalidRequest,
                502 => ErrorKind::UnknownHost,
                _ => ErrorKind::Other,
            }
        }
    }

    /// The flags a sidecar would have logged.
    #[must_use]
    pub fn flags(&self) -> ResponseFlags {
        self.failed.reply.flags
    }

    /// The answer a sidecar would have given.
    #[must_use]
    pub fn reply(&self) -> &LocalReply {
        &self.failed.reply
    }

    /// The response a sidecar would have sent to an HTTP client.
    #[must_use]
    pub fn into_response<B: FromLocalReply>(self) -> Response<B> {
        self.failed.reply.clone().into_response(false)
    }
}

impl fmt::Display for MeshError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let LocalReply {
            status,
            flags,
            body,
            details,
            ..
        } = &self.failed.reply;
        let unknown_host = self.kind() == ErrorKind::UnknownHost;
        let text = match (&**body, &**details) {
            ("", _) if unknown_host => "nothing declares the host, and unknown hosts are refused",
            ("", "") => "no reason given",
            ("", details) => details,
            (body, _) => body,
        };
        write!(f, "{text} ({}", status.as_u16())?;
        match flags.is_empty() {
            true => f.write_str(")"),
            false => write!(f, " {flags})"),
        }
    }
}

/// Its kind, what a sidecar would have answered, and the reason: a program whose `main` returns it
/// prints it so.
impl fmt::Debug for MeshError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Failed { reply, told } = &*self.failed;
        f.debug_struct("MeshError")
            .field("kind", &self.kind())
            .field("says", &format_args!("{self}"))
            .field("details", &reply.details)
            .field("told", told)
            .field("source", &self.source)
            .finish()
    }
}

impl std::error::Error for MeshError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.source {
            Some(source) => Some(&**source),
            None => None,
        }
    }
}
