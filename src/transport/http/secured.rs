//! How a connection is encrypted, and whom the server must be.

use std::sync::{Arc, OnceLock};

use http::Request;
use http::header::HOST;
use http::uri::{Authority, Scheme};

use super::io::Stream;
use crate::endpoint::Endpoint;
use crate::failure::{Failure, HttpError};
use crate::tls::{Tls, TlsSettings};

/// TLS, and the name the server is asked for.
#[derive(Clone, Debug)]
pub(super) struct Secured {
    pub(super) tls: Arc<Tls>,
    pub(super) name: Arc<str>,
}

impl Secured {
    pub(super) fn is(&self, tls: &Arc<Tls>, name: &str) -> bool {
        Arc::ptr_eq(&self.tls, tls) && *self.name == *name
    }
}

/// What rules say of connections to an endpoint; where they say nothing, what a client asks for by
/// its scheme.
pub(super) fn tls_for<'e, B>(endpoint: &'e Endpoint, request: &Request<B>) -> Option<&'e Arc<Tls>> {
    static OF_CLIENT: OnceLock<Arc<Tls>> = OnceLock::new();
    let said = endpoint.settings().and_then(|it| it.tls.as_ref());
    said.or_else(|| {
        let secure = request.uri().scheme() == Some(&Scheme::HTTPS);
        secure.then(|| OF_CLIENT.get_or_init(|| Arc::new(Tls::new(TlsSettings::default()))))
    })
}

/// The name a server is asked for: that of the settings, else the request's host.
pub(super) fn name_for<'n, B>(tls: &'n Tls, request: &'n Request<B>) -> &'n str {
    if let Some(sni) = &tls.settings().sni {
        return sni;
    }
    let host = request.headers().get(HOST).and_then(|it| it.to_str().ok());
    let host = host.or_else(|| request.uri().authority().map(Authority::as_str));
    let host = host.unwrap_or_default();
    let end = match host.rfind(':') {
        Some(colon) if !host.ends_with(']') => colon,
        _ => host.len(),
    };
    let host = host.get(..end).unwrap_or(host);
    host.trim_matches(['[', ']']).trim_end_matches('.')
}

#[cfg(feature = "tls")]
impl Secured {
    pub(super) async fn handshake(&self, stream: Stream, http2: bool) -> Result<Stream, HttpError> {
        use tokio_rustls::TlsConnector;
        use tokio_rustls::rustls::pki_types::ServerName;

        let config = self.tls.config(http2).await.map_err(failed)?;
        let name = ServerName::try_from(&*self.name)
            .map_err(failed)?
            .to_owned();
        let connected = TlsConnector::from(config).connect(name, stream).await;
        connected
            .map(|it| Stream::Tls(Box::new(it)))
            .map_err(failed)
    }
}

#[cfg(feature = "tls")]
fn failed(error: impl std::error::Error + Send + Sync + 'static) -> HttpError {
    HttpError::caused_by(Failure::Tls(error.to_string()), error)
}

#[cfg(not(feature = "tls"))]
impl Secured {
    #[allow(clippy::unused_async, reason = "the same as with the feature")]
    pub(super) async fn handshake(&self, _: Stream, _: bool) -> Result<Stream, HttpError> {
        let why = "TLS to endpoints needs the feature `tls` of this library".to_owned();
        Err(HttpError::new(Failure::Tls(why)))
    }
}
