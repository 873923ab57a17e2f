//! How TLS is spoken to an endpoint: plain data.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A certificate and its key, in PEM files.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ClientCertificate {
    /// The certificate first, then those that lead to its root: `clientCertificate`.
    pub chain: PathBuf,
    /// Its key: `privateKey`.
    pub key: PathBuf,
}

/// Who may have signed a server's certificate.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum Roots {
    /// Whom the operating system trusts.
    #[default]
    System,
    /// Those of a PEM file: `caCertificates`.
    File(PathBuf),
    /// Anybody: `insecureSkipVerify`. Names are not checked then.
    Unchecked,
}

/// What a server's certificate must be for.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum Names {
    /// The name the server was asked for.
    #[default]
    Asked,
    /// One of these, as a DNS name, URI or address: `subjectAltNames`.
    AnyOf(Vec<String>),
    /// Anything: under `ISTIO_MUTUAL`, where nobody says who the destination is.
    Any,
}

/// How TLS is spoken to an endpoint; [`SIMPLE`](crate::tls) by default.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct TlsSettings {
    /// What the client shows; nothing unless told.
    pub certificate: Option<ClientCertificate>,
    /// Who may have signed what the server shows.
    pub roots: Roots,
    /// Revoked certificates, in a PEM file: `caCrl`. It must have a list of every signer.
    pub revoked: Option<PathBuf>,
    /// What the server's certificate must be for.
    pub names: Names,
    /// The name the server is asked for; the host of each request unless told.
    pub sni: Option<Arc<str>>,
    /// Whether to say that this is a sidecar's traffic, as `ISTIO_MUTUAL` does.
    pub istio: bool,
    /// Why no connection can be made.
    pub unusable: Option<&'static str>,
}

/// TLS settings, and what was made of the files they name.
pub struct Tls {
    settings: TlsSettings,
    #[cfg(feature = "tls")]
    pub(super) current: super::current::Current,
}

impl Tls {
    /// Settings whose files have not been read yet.
    #[must_use]
    pub fn new(settings: TlsSettings) -> Self {
        Self {
            settings,
            #[cfg(feature = "tls")]
            current: Default::default(),
        }
    }

    /// The settings.
    #[must_use]
    pub const fn settings(&self) -> &TlsSettings {
        &self.settings
    }
}

/// Settings are compared, not files.
impl PartialEq for Tls {
    fn eq(&self, other: &Self) -> bool {
        self.settings == other.settings
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Tls").field(&self.settings).finish()
    }
}

/// What Istio gave this workload to show, and whom it may trust: for `ISTIO_MUTUAL`.
///
/// In `/etc/certs` unless told, under the names Istio's agent writes with `OUTPUT_CERTS`.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct WorkloadCertificates {
    /// Its certificate and key.
    pub certificate: ClientCertificate,
    /// The root certificates of the mesh.
    pub roots: PathBuf,
    /// The trust domain of the mesh, which the names of service accounts begin with:
    /// `MeshConfig.trustDomain`; `cluster.local` unless told.
    pub trust_domain: String,
    /// Where secrets and config maps that `credentialName` names are mounted; nowhere unless told.
    pub secrets: Option<PathBuf>,
}

impl WorkloadCertificates {
    /// `cert-chain.pem`, `key.pem` and `root-cert.pem` of a folder.
    #[must_use]
    pub fn in_folder(folder: impl AsRef<Path>) -> Self {
        let folder = folder.as_ref();
        Self {
            certificate: ClientCertificate {
                chain: folder.join("cert-chain.pem"),
                key: folder.join("key.pem"),
            },
            roots: folder.join("root-cert.pem"),
            trust_domain: "cluster.local".to_owned(),
            secrets: None,
        }
    }

    /// The same, with the secrets that `credentialName` names mounted in a folder each under this
    /// one, as Kubernetes mounts them: `tls.crt`, `tls.key` and `ca.crt` in `FOLDER/NAME`.
    ///
    /// `SIMPLE` and `configmap://NAME` need `ca.crt` alone. Files are read anew when they change, as
    /// all others are.
    #[must_use]
    pub fn with_secrets(mut self, folder: impl Into<PathBuf>) -> Self {
        self.secrets = Some(folder.into());
        self
    }

    /// The same in another trust domain.
    #[must_use]
    pub fn with_trust_domain(mut self, domain: impl Into<String>) -> Self {
        self.trust_domain = domain.into();
        self
    }
}

impl Default for WorkloadCertificates {
    fn default() -> Self {
        Self::in_folder("/etc/certs")
    }
}
