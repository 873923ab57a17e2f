//! From `ClientTLSSettings` as written to settings, and what is wrong with them.

use std::path::PathBuf;
use std::sync::Arc;

use super::settings::{ClientCertificate, Names, Roots, TlsSettings, WorkloadCertificates};
use crate::api::{ClientTlsMode, ClientTlsSettings};
use crate::diagnostic::{At, Code, Diagnostic, Diagnostics};

/// Whom the settings are for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Destination<'d> {
    pub(crate) host: &'d str,
    pub(crate) port: u16,
    pub(crate) subset: &'d str,
    /// `ServiceEntry.subjectAltNames`.
    pub(crate) names: &'d [String],
    /// Its endpoints' service accounts, as `namespace/sa/account`, where they are known.
    pub(crate) accounts: &'d [String],
}

const NO_SECRETS: &str =
    "credentialName names a Kubernetes secret, and nobody said where those are mounted";

/// Compiles what holds for a destination; nothing where nothing is to be encrypted.
pub(crate) fn compile(
    written: &ClientTlsSettings,
    whom: Destination<'_>,
    workload: &WorkloadCertificates,
) -> Option<TlsSettings> {
    match written.mode {
        ClientTlsMode::Disable => None,
        ClientTlsMode::IstioMutual => Some(between_workloads(written, whom, workload)),
        ClientTlsMode::Simple | ClientTlsMode::Mutual => Some(by_files(written, whom, workload)),
    }
}

/// What the certificate may be for, as it is written or else known of the service.
fn names(written: &ClientTlsSettings, whom: Destination<'_>) -> Vec<String> {
    match written.subject_alt_names.is_empty() {
        true => whom.names.to_vec(),
        false => written.subject_alt_names.clone(),
    }
}

/// The name asked for as it is written.
fn sni(written: &ClientTlsSettings) -> Option<&str> {
    Some(written.sni.as_str()).filter(|it| !it.is_empty())
}

/// Mutual TLS by the certificates that Istio gives to workloads.
fn between_workloads(
    written: &ClientTlsSettings,
    whom: Destination<'_>,
    workload: &WorkloadCertificates,
) -> TlsSettings {
    let mut names = names(written, whom);
    if written.subject_alt_names.is_empty() {
        let domain = &workload.trust_domain;
        let accounts = whom.accounts.iter();
        names.extend(accounts.map(|it| format!("spiffe://{domain}/ns/{it}")));
    }
    let sni: Arc<str> = match sni(written) {
        Some(sni) => sni.into(),
        None => {
            let Destination {
                host, port, subset, ..
            } = whom;
            format!("outbound_.{port}_.{subset}_.{host}").into()
        }
    };
    TlsSettings {
        certificate: Some(workload.certificate.clone()),
        roots: Roots::File(workload.roots.clone()),
        names: match names.is_empty() {
            true => Names::Any,
            false => Names::AnyOf(names),
        },
        sni: Some(sni),
        istio: true,
        ..TlsSettings::default()
    }
}

/// TLS by the files that are named, or those of a secret.
fn by_files(
    written: &ClientTlsSettings,
    whom: Destination<'_>,
    workload: &WorkloadCertificates,
) -> TlsSettings {
    let names = names(written, whom);
    let file = |path: &str| (!path.is_empty()).then(|| path.into());
    let secret = secret(&written.credential_name, workload);
    let certificate = match &secret {
        Some(folder) => ClientCertificate {
            chain: folder.join("tls.crt"),
            key: folder.join("tls.key"),
        },
        None => ClientCertificate {
            chain: written.client_certificate.as_str().into(),
            key: written.private_key.as_str().into(),
        },
    };
    let authorities = match &secret {
        Some(folder) => Some(folder.join("ca.crt")),
        None => file(&written.ca_certificates),
    };
    TlsSettings {
        certificate: (written.mode == ClientTlsMode::Mutual).then_some(certificate),
        roots: match (written.insecure_skip_verify, authorities) {
            (Some(true), _) => Roots::Unchecked,
            (_, Some(file)) => Roots::File(file),
            (_, None) => Roots::System,
        },
        revoked: file(&written.ca_crl),
        names: match names.is_empty() {
            true => Names::Asked,
            false => Names::AnyOf(names),
        },
        sni: sni(written).map(Into::into),
        istio: false,
        unusable: (!written.credential_name.is_empty() && secret.is_none()).then_some(NO_SECRETS),
    }
}

/// The folder a secret or a config map is mounted in.
fn secret(name: &str, workload: &WorkloadCertificates) -> Option<PathBuf> {
    let folder = workload.secrets.as_ref()?;
    let known = ["configmap://", "kubernetes://"];
    let bare = known.iter().find_map(|it| name.strip_prefix(it));
    let name = bare.unwrap_or(name);
    // One name, and no way out of the folder.
    let is_name = !name.is_empty() && !name.starts_with('.') && !name.contains(['/', '\\']);
    is_name.then(|| folder.join(name))
}

/// Says what is wrong with the files that settings name, and what cannot be done here.
pub(crate) fn check(
    written: &ClientTlsSettings,
    workload: &WorkloadCertificates,
    at: At<'_>,
    found: &mut Diagnostics,
) {
    let secret = !written.credential_name.is_empty();
    let is_mounted = self::secret(&written.credential_name, workload).is_some();
    match written.mode {
        ClientTlsMode::Disable => return,
        ClientTlsMode::Simple | ClientTlsMode::Mutual if secret && !is_mounted => {
            let at = at.field("credentialName");
            let hint = "mount it, and say under which folder by WorkloadCertificates::with_secrets";
            found.push(Diagnostic::new(Code::MissingFile, at, NO_SECRETS).hint(hint));
            return;
        }
        _ => {}
    }
    #[cfg(feature = "tls")]
    check_files(written, workload, secret, at, found);
    #[cfg(not(feature = "tls"))]
    {
        let _ = workload;
        let message = "TLS to endpoints needs the feature `tls` of this library";
        let hint = "build with the feature tls-ring or tls-aws-lc-rs, which bring it along";
        found.push(Diagnostic::new(Code::NotBuilt, at.field("mode"), message).hint(hint));
    }
}

#[cfg(feature = "tls")]
fn check_files(
    written: &ClientTlsSettings,
    workload: &WorkloadCertificates,
    secret: bool,
    at: At<'_>,
    found: &mut Diagnostics,
) {
    let nobody = Destination {
        host: "",
        port: 0,
        subset: "",
        names: &[],
        accounts: &[],
    };
    let Some(settings) = compile(written, nobody, workload) else {
        return;
    };
    if !written.sni.is_empty() && !super::files::is_name(&written.sni) {
        let message = format!("{:?} is not a name a server can be asked for", written.sni);
        let at = at.field("sni");
        found.push(Diagnostic::new(Code::InvalidValue, at, message));
    }
    for problem in super::files::problems(&settings) {
        // Under ISTIO_MUTUAL no field names the files.
        let field = match settings.istio {
            true => "mode",
            false if secret => "credentialName",
            false => problem.field(),
        };
        let message = problem.to_string();
        let mut diagnostic = Diagnostic::new(problem.code(), at.field(field), message);
        if problem.code() == Code::MissingFile {
            diagnostic = diagnostic.hint("no connection is made until the file is there");
        }
        found.push(diagnostic);
    }
}
