//! `trafficPolicy.tls`: certificates towards the endpoints.

use super::{exclusive, invalid, missing, tell};
use crate::api::{self, ClientTlsMode};
use crate::diagnostic::{At, Code, Diagnostic, Diagnostics};

pub(super) fn check(written: &api::ClientTlsSettings, at: At<'_>, found: &mut Diagnostics) {
    let files = [
        ("clientCertificate", &written.client_certificate),
        ("privateKey", &written.private_key),
        ("caCertificates", &written.ca_certificates),
        ("caCrl", &written.ca_crl),
    ];
    let mutual = written.mode == ClientTlsMode::Mutual;
    if !written.credential_name.is_empty() {
        if files.iter().any(|(_, file)| !file.is_empty()) {
            let message = "cannot specify client certificates or CA certificate or CA CRL If \
                           credentialName is set";
            exclusive(found, at.field("credentialName"), message);
        }
        if let Some(name) = written.credential_name.strip_prefix("configmap://")
            && name.is_empty()
        {
            let message = "invalid configmap:// credentialName: it names nothing";
            invalid(found, at.field("credentialName"), message);
        }
    } else if mutual {
        if written.client_certificate.is_empty() {
            let message = "client certificate required for mutual tls";
            missing(found, at.field("clientCertificate"), message);
        }
        if written.private_key.is_empty() {
            let message = "private key required for mutual tls";
            missing(found, at.field("privateKey"), message);
        }
    }
    if written.insecure_skip_verify == Some(true) {
        check_skip(written, at, found);
    }
    if [ClientTlsMode::Disable, ClientTlsMode::IstioMutual].contains(&written.mode) {
        let mode = written.mode.as_str();
        let mut files = files.iter().filter(|(_, file)| !file.is_empty());
        if let Some((field, _)) = files.next() {
            let message = format!("under mode {mode} certificates are ignored");
            let warning = Diagnostic::new(Code::NeverFires, at.field(field), message);
            found.push(match written.mode {
                ClientTlsMode::Disable => warning.hint("write mode: MUTUAL, or SIMPLE"),
                _ => warning,
            });
        }
        return;
    }
    for (field, file) in files {
        check_file(file, at.field(field), found);
    }
}

/// Warns of a file that is not there: where the rules are checked is where they are to be used.
pub(super) fn check_file(file: &str, at: At<'_>, found: &mut Diagnostics) {
    if file.is_empty() {
        return;
    }
    if let Err(error) = std::fs::metadata(file) {
        let why = match error.kind() {
            std::io::ErrorKind::NotFound => "does not exist".to_owned(),
            _ => format!("cannot be opened: {error}"),
        };
        let file = super::names::shortened(file);
        tell(
            found,
            Code::MissingFile,
            at,
            format!("the file {file} {why}"),
        );
    }
}

fn check_skip(written: &api::ClientTlsSettings, at: At<'_>, found: &mut Diagnostics) {
    let ca = !written.ca_certificates.is_empty();
    let names = !written.subject_alt_names.is_empty();
    let credential = !written.credential_name.is_empty();
    let message = match written.mode {
        ClientTlsMode::Simple if ca || names || credential => {
            "cannot specify CaCertificates or CredentialName or SubjectAltNames when \
             InsecureSkipVerify is set true"
        }
        ClientTlsMode::Mutual if ca || names => {
            "cannot specify CaCertificates or SubjectAltNames when InsecureSkipVerify is set true"
        }
        _ => return,
    };
    exclusive(found, at.field("insecureSkipVerify"), message);
}
