//! TLS to endpoints: `trafficPolicy.tls`, and what an `https` URI of a client asks for.
//!
//! | `mode` | What happens |
//! |---|---|
//! | no `tls`, `DISABLE` | nothing is encrypted, but what a client sends to an `https` URI |
//! | `SIMPLE` | the server shows a certificate, signed by one of `caCertificates` or of the system's |
//! | `MUTUAL` | the client shows `clientCertificate`, too |
//! | `ISTIO_MUTUAL` | both show what Istio gave them: [`WorkloadCertificates`] |
//!
//! The server's certificate must carry one of `subjectAltNames`, as a DNS name, URI or address;
//! where a rule names none, one of the ServiceEntry's; else the name the server was asked for,
//! which is `sni` or the host of the request. Connections are kept apart by that name. HTTP/2 is
//! announced (ALPN `h2`) where it is spoken; HTTP/1.1 is not announced but under `ISTIO_MUTUAL`,
//! as Istio does. TLS 1.2 and 1.3 are spoken.
//!
//! Files are read when rules are applied, to say what is wrong with them, and again for the first
//! connection. Whenever a connection is made, but at most every 5 seconds, they are looked at, and
//! read anew if their time or size has changed; what cannot be read then leaves the old ones in
//! force. Connections that exist keep what they were made with.
//!
//! All that is settled here is plain data; the [built-in transport](crate::transport) acts on it
//! with the feature `tls`. Without it rules that ask for TLS are refused, and where they are read
//! leniently no connection is made: nothing leaves in the clear.
//!
//! Differences from a sidecar: there is no automatic mutual TLS without a `tls` block, and
//! `credentialName` names a secret that is mounted where [`WorkloadCertificates::with_secrets`] says,
//! whatever kind of client this is; where nobody says, it is refused.
//!
//! Source: Istio's `ClientTLSSettings`, Envoy's `UpstreamTlsContext`.

mod config;
#[cfg(feature = "tls")]
mod current;
#[cfg(feature = "tls")]
mod files;
mod settings;
#[cfg(feature = "tls")]
mod verify;

pub(crate) use config::{Destination, check, compile};
pub use settings::{ClientCertificate, Names, Roots, Tls, TlsSettings, WorkloadCertificates};
