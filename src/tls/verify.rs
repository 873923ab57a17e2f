//! Whether a server is who a rule says it must be.

use std::fmt;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, DigitallySignedStruct, OtherError, RootCertStore, SignatureScheme};
use webpki::{CertRevocationList, EndEntityCert, KeyUsage, RevocationOptionsBuilder};

use super::settings::Names;

/// Checks signers, revocation and names, each as settings ask.
#[derive(Debug)]
pub(super) struct Verifier {
    /// Nothing where anybody will do.
    pub(super) roots: Option<Arc<RootCertStore>>,
    pub(super) revoked: Vec<CertRevocationList<'static>>,
    pub(super) names: Names,
    pub(super) algorithms: WebPkiSupportedAlgorithms,
}

impl Verifier {
    fn check_signers(
        &self,
        roots: &RootCertStore,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<(), webpki::Error> {
        let shown = EndEntityCert::try_from(certificate)?;
        let lists: Vec<_> = self.revoked.iter().collect();
        let revocation = match RevocationOptionsBuilder::new(&lists) {
            // As BoringSSL asks: of every signer, and none that is out of date.
            Ok(options) => Some(
                options
                    .with_depth(webpki::RevocationCheckDepth::Chain)
                    .with_status_policy(webpki::UnknownStatusPolicy::Deny)
                    .with_expiration_policy(webpki::ExpirationPolicy::Enforce)
                    .build(),
            ),
            Err(_) => None,
        };
        let checked = shown.verify_for_usage(
            self.algorithms.all,
            &roots.roots,
            intermediates,
            now,
            KeyUsage::server_auth(),
            revocation,
            None,
        );
        match checked {
            Ok(_) => Ok(()),
            // Its time has been checked. One that signs itself may be the very one that is trusted.
            Err(webpki::Error::CaUsedAsEndEntity) => {
                let itself = webpki::anchor_from_trusted_cert(certificate)?;
                match roots.roots.contains(&itself) {
                    true => Ok(()),
                    false => Err(webpki::Error::CaUsedAsEndEntity),
                }
            }
            Err(error) => Err(error),
        }
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        asked: &ServerName<'_>,
        _ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let Some(roots) = &self.roots else {
            return Ok(ServerCertVerified::assertion());
        };
        let checked = self.check_signers(roots, certificate, intermediates, now);
        checked.map_err(in_words_of_rustls)?;
        let shown = EndEntityCert::try_from(certificate).map_err(in_words_of_rustls)?;
        let fits = match &self.names {
            Names::Any => true,
            Names::Asked => shown.verify_is_valid_for_subject_name(asked).is_ok(),
            Names::AnyOf(names) => names.iter().any(|name| bears(&shown, name)),
        };
        match fits {
            true => Ok(ServerCertVerified::assertion()),
            false => {
                let asked = asked.to_str();
                let wanted = match &self.names {
                    Names::AnyOf(names) => names.join(", "),
                    _ => asked.into_owned(),
                };
                let dns = shown.valid_dns_names();
                let carried = dns.chain(shown.valid_uri_names()).take(NAMES_TOLD);
                let carried = carried.collect::<Vec<_>>().join(", ");
                Err(other(WrongName { wanted, carried }))
            }
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signed, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signed, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

/// Whether a certificate carries the name: a URI as it stands, a DNS name also by a wildcard of
/// the certificate's, an address.
fn bears(certificate: &EndEntityCert<'_>, name: &str) -> bool {
    let by_wildcard = ServerName::try_from(name)
        .is_ok_and(|name| certificate.verify_is_valid_for_subject_name(&name).is_ok());
    by_wildcard
        || certificate.valid_uri_names().any(|it| it == name)
        || certificate
            .valid_dns_names()
            .any(|it| it.eq_ignore_ascii_case(name))
}

/// How many of a certificate's names are told.
const NAMES_TOLD: usize = 4;

/// rustls tells others' errors by their debug form.
#[derive(thiserror::Error)]
#[error("the certificate is for [{carried}], not for [{wanted}]")]
struct WrongName {
    wanted: String,
    carried: String,
}

impl fmt::Debug for WrongName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

fn other(error: impl std::error::Error + Send + Sync + 'static) -> rustls::Error {
    CertificateError::Other(OtherError(Arc::new(error))).into()
}

fn in_words_of_rustls(error: webpki::Error) -> rustls::Error {
    use webpki::Error as Found;
    let error = match error {
        Found::CertExpired { time, not_after } => {
            CertificateError::ExpiredContext { time, not_after }
        }
        Found::CertNotValidYet { time, not_before } => {
            CertificateError::NotValidYetContext { time, not_before }
        }
        Found::CertRevoked => CertificateError::Revoked,
        Found::UnknownIssuer => CertificateError::UnknownIssuer,
        Found::UnknownRevocationStatus => CertificateError::UnknownRevocationStatus,
        Found::CrlExpired { .. } => CertificateError::ExpiredRevocationList,
        Found::BadDer | Found::BadDerTime => CertificateError::BadEncoding,
        error => return other(error),
    };
    error.into()
}
