//! Certificates, keys and lists out of PEM files, and what is wrong with them.

use std::error::Error;
use std::fmt;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use rustls::RootCertStore;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{
    CertificateDer, CertificateRevocationListDer, PrivateKeyDer, ServerName, UnixTime,
};
use rustls::sign::CertifiedKey;
use webpki::{CertRevocationList, EndEntityCert, KeyUsage, OwnedCertRevocationList};

use super::settings::{ClientCertificate, Roots, TlsSettings};
use crate::diagnostic::Code;

/// The most that is read of a file.
const MAX_FILE: u64 = 8 << 20;

/// What is wrong with a file, or with what takes the place of one.
#[derive(Clone, Debug)]
pub(crate) struct Problem {
    code: Code,
    field: &'static str,
    path: Option<PathBuf>,
    what: String,
}

impl Problem {
    pub(super) const fn code(&self) -> Code {
        self.code
    }

    /// The field that names the file.
    pub(super) const fn field(&self) -> &'static str {
        self.field
    }

    pub(super) fn general(what: impl Into<String>) -> Self {
        Self {
            code: Code::InvalidFile,
            field: "mode",
            path: None,
            what: what.into(),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.path {
            Some(path) => write!(f, "{} {}", path.display(), self.what),
            None => f.write_str(&self.what),
        }
    }
}

impl Error for Problem {}

/// A file and the field that names it.
#[derive(Clone, Copy)]
struct Named<'p> {
    field: &'static str,
    path: &'p Path,
}

impl Named<'_> {
    fn problem(self, code: Code, what: impl Into<String>) -> Problem {
        Problem {
            code,
            field: self.field,
            path: Some(self.path.to_owned()),
            what: what.into(),
        }
    }

    fn invalid(self, what: impl Into<String>) -> Problem {
        self.problem(Code::InvalidFile, what)
    }

    fn read(self) -> Result<Vec<u8>, Problem> {
        let open = || -> io::Result<Vec<u8>> {
            let mut bytes = Vec::new();
            File::open(self.path)?
                .take(MAX_FILE)
                .read_to_end(&mut bytes)?;
            Ok(bytes)
        };
        open().map_err(|error| {
            let why = match error.kind() {
                io::ErrorKind::NotFound => "is not there".to_owned(),
                _ => format!("cannot be read: {error}"),
            };
            self.problem(Code::MissingFile, why)
        })
    }

    fn certificates(self) -> Result<Vec<CertificateDer<'static>>, Problem> {
        let bytes = self.read()?;
        let list: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&bytes).collect();
        let list = list.map_err(|error| self.invalid(format!("is not proper PEM: {error}")))?;
        match list.is_empty() {
            true => Err(self.invalid("holds no certificate")),
            false => Ok(list),
        }
    }

    /// Says of the first certificate that is out of its time that it is.
    fn out_of_time(
        self,
        list: &[CertificateDer<'_>],
        provider: &CryptoProvider,
    ) -> Option<Problem> {
        let algorithms = provider.signature_verification_algorithms.all;
        let what = list.iter().find_map(|it| {
            let it = EndEntityCert::try_from(it).ok()?;
            // Nobody is trusted, so this fails; the time is looked at before that.
            let (now, usage) = (UnixTime::now(), KeyUsage::client_auth());
            match it.verify_for_usage(algorithms, &[], &[], now, usage, None, None) {
                Err(webpki::Error::CertExpired { .. }) => {
                    Some("holds a certificate that has expired")
                }
                Err(webpki::Error::CertNotValidYet { .. }) => {
                    Some("holds a certificate that is not valid yet")
                }
                _ => None,
            }
        })?;
        Some(self.problem(Code::Expired, what))
    }
}

/// Whether a server can be asked for it.
pub(crate) fn is_name(name: &str) -> bool {
    ServerName::try_from(name).is_ok()
}

fn of_chain(certificate: &ClientCertificate) -> Named<'_> {
    Named {
        field: "clientCertificate",
        path: &certificate.chain,
    }
}

const fn of_roots(path: &Path) -> Named<'_> {
    Named {
        field: "caCertificates",
        path,
    }
}

pub(super) fn client_certificate(
    certificate: &ClientCertificate,
    provider: &CryptoProvider,
) -> Result<CertifiedKey, Problem> {
    let chain = of_chain(certificate);
    let certificates = chain.certificates()?;
    let first = certificates.first().map(EndEntityCert::try_from);
    if let Some(Err(error)) = first {
        return Err(chain.invalid(format!("holds no proper certificate: {error}")));
    }
    let key = Named {
        field: "privateKey",
        path: &certificate.key,
    };
    let bytes = key.read()?;
    let der = PrivateKeyDer::from_pem_slice(&bytes)
        .map_err(|_| key.invalid("holds no private key that is not encrypted"))?;
    CertifiedKey::from_der(certificates, der, provider).map_err(|error| match error {
        rustls::Error::InconsistentKeys(_) => {
            let other = certificate.chain.display();
            key.invalid(format!("is not the key of the certificate in {other}"))
        }
        error => key.invalid(format!("holds a key that cannot be used: {error}")),
    })
}

/// Nothing where nobody's signature is needed.
pub(super) fn roots(written: &Roots) -> Result<Option<Arc<RootCertStore>>, Problem> {
    let path = match written {
        Roots::Unchecked => return Ok(None),
        Roots::System => return system_roots().map(Some),
        Roots::File(path) => path,
    };
    let file = of_roots(path);
    let mut store = RootCertStore::empty();
    for certificate in file.certificates()? {
        let added = store.add(certificate);
        added.map_err(|error| file.invalid(format!("holds no proper certificate: {error}")))?;
    }
    Ok(Some(Arc::new(store)))
}

/// Whom the system trusts, read once.
fn system_roots() -> Result<Arc<RootCertStore>, Problem> {
    static ROOTS: OnceLock<Arc<RootCertStore>> = OnceLock::new();
    if let Some(roots) = ROOTS.get() {
        return Ok(roots.clone());
    }
    let found = rustls_native_certs::load_native_certs();
    let mut store = RootCertStore::empty();
    store.add_parsable_certificates(found.certs);
    if store.is_empty() {
        let why = found.errors.first().map(|it| format!(": {it}"));
        let why = why.unwrap_or_default();
        return Err(Problem {
            code: Code::MissingFile,
            ..Problem::general(format!("the system trusts no certificates{why}"))
        });
    }
    Ok(ROOTS.get_or_init(|| Arc::new(store)).clone())
}

pub(super) fn revoked(path: &Path) -> Result<Vec<CertRevocationList<'static>>, Problem> {
    let file = Named {
        field: "caCrl",
        path,
    };
    let bytes = file.read()?;
    let mut lists = Vec::new();
    for der in CertificateRevocationListDer::pem_slice_iter(&bytes) {
        let der = der.map_err(|error| file.invalid(format!("is not proper PEM: {error}")))?;
        let list = OwnedCertRevocationList::from_der(&der);
        let list = list
            .map_err(|error| file.invalid(format!("holds no proper revocation list: {error}")))?;
        lists.push(list.into());
    }
    match lists.is_empty() {
        true => Err(file.invalid("holds no revocation list")),
        false => Ok(lists),
    }
}

/// Who does the arithmetic: the provider of the process where one is installed, else the one of
/// this library's features, AWS-LC before ring.
pub(super) fn provider() -> Result<Arc<CryptoProvider>, Problem> {
    if let Some(provider) = CryptoProvider::get_default() {
        return Ok(provider.clone());
    }
    #[cfg(feature = "tls-aws-lc-rs")]
    return Ok(Arc::new(rustls::crypto::aws_lc_rs::default_provider()));
    #[cfg(all(feature = "tls-ring", not(feature = "tls-aws-lc-rs")))]
    return Ok(Arc::new(rustls::crypto::ring::default_provider()));
    #[cfg(not(any(feature = "tls-ring", feature = "tls-aws-lc-rs")))]
    Err(Problem::general(
        "TLS needs cryptography: build with the feature tls-ring or tls-aws-lc-rs, or install a \
         provider of rustls for the process",
    ))
}

/// Everything that is wrong with what settings name.
pub(super) fn problems(settings: &TlsSettings) -> Vec<Problem> {
    let provider = match provider() {
        Ok(provider) => provider,
        Err(problem) => return vec![problem],
    };
    let mut problems = Vec::new();
    if let Some(certificate) = &settings.certificate {
        problems.extend(client_certificate(certificate, &provider).err());
        let chain = of_chain(certificate);
        let certificates = chain.certificates().unwrap_or_default();
        problems.extend(chain.out_of_time(&certificates, &provider));
    }
    problems.extend(roots(&settings.roots).err());
    if let Roots::File(path) = &settings.roots {
        let file = of_roots(path);
        let certificates = file.certificates().unwrap_or_default();
        problems.extend(file.out_of_time(&certificates, &provider));
    }
    let lists = settings.revoked.as_deref().map(revoked);
    problems.extend(lists.and_then(Result::err));
    problems
}
