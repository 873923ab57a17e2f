//! `servers[].tls`: certificates towards a gateway's clients.

use super::client_tls::check_file;
use super::names::shortened;
use super::{exclusive, invalid, missing, tell};
use crate::api::{self, ServerTlsMode, TlsProtocol};
use crate::diagnostic::{At, Code, Diagnostics};

/// Whether the settings name any certificate.
pub(super) fn has_certificates(tls: &api::ServerTlsSettings) -> bool {
    let files = [
        &tls.server_certificate,
        &tls.private_key,
        &tls.ca_certificates,
        &tls.ca_crl,
    ];
    files.iter().any(|file| !file.is_empty())
        || has_credentials(tls)
        || !tls.tls_certificates.is_empty()
}

fn has_credentials(tls: &api::ServerTlsSettings) -> bool {
    !tls.credential_name.is_empty() || !tls.credential_names.is_empty()
}

pub(super) fn check(tls: &api::ServerTlsSettings, at: At<'_>, found: &mut Diagnostics) {
    let pair = !tls.server_certificate.is_empty() || !tls.private_key.is_empty();
    let sources = [
        !tls.credential_name.is_empty(),
        !tls.credential_names.is_empty(),
        pair,
        !tls.tls_certificates.is_empty(),
    ];
    if sources.iter().filter(|set| **set).count() > 1 {
        let message = "only one of credential_name, credential_names, \
                       server_certificate/private_key, tls_certificates should be specified";
        exclusive(found, at, message);
    }
    for (field, length) in [
        ("credentialNames", tls.credential_names.len()),
        ("tlsCertificates", tls.tls_certificates.len()),
    ] {
        if length > 2 {
            invalid(found, at.field(field), format!("{field} holds at most two"));
        }
    }
    check_mode(tls, at, found);
    check_revocations(tls, at, found);
    check_files(tls, at, found);
    let oldest = tls.min_protocol_version;
    let newest = tls.max_protocol_version;
    if newest != TlsProtocol::TlsAuto && oldest as u32 > newest as u32 {
        let message = format!(
            "the oldest version allowed, {}, is newer than the newest, {}",
            oldest.as_str(),
            newest.as_str()
        );
        invalid(found, at.field("minProtocolVersion"), message);
    }
    if [TlsProtocol::Tlsv10, TlsProtocol::Tlsv11].contains(&oldest) {
        let message = "a version before TLS 1.2 needs ciphers that are off unless cipherSuites \
                       names them";
        tell(
            found,
            Code::NeverFires,
            at.field("minProtocolVersion"),
            message,
        );
    }
    let at_ciphers = at.field("cipherSuites");
    for (n, cipher) in tls.cipher_suites.iter().enumerate() {
        let mut before = tls.cipher_suites.iter().take(n);
        if before.any(|it| it == cipher) {
            let message = format!("ignoring duplicate cipher: {cipher:?}");
            tell(found, Code::NeverFires, at_ciphers.item(n), message);
        }
        if !is_cipher(cipher) {
            let message = format!("ignoring invalid cipher: {:?}", shortened(cipher));
            tell(found, Code::NeverFires, at_ciphers.item(n), message);
        }
    }
}

/// BoringSSL's names, by which Istio goes; what begins with a sign is an operator, and not looked at.
fn is_cipher(name: &str) -> bool {
    const KEYS: [&str; 2] = ["ECDHE-ECDSA-", "ECDHE-RSA-"];
    const ALONE: [&str; 5] = [
        "AES128-GCM-SHA256",
        "AES256-GCM-SHA384",
        "AES128-SHA",
        "AES256-SHA",
        "DES-CBC3-SHA",
    ];
    let is_word = name.starts_with(|it: char| it.is_alphanumeric());
    if !is_word || name == "ALL" || ALONE.contains(&name) {
        return true;
    }
    let rest = KEYS.iter().find_map(|key| name.strip_prefix(key));
    rest.is_some_and(|it| {
        it == "CHACHA20-POLY1305" || (it.starts_with("AES") && ALONE.contains(&it))
    })
}

fn check_mode(tls: &api::ServerTlsSettings, at: At<'_>, found: &mut Diagnostics) {
    match tls.mode {
        ServerTlsMode::Passthrough | ServerTlsMode::AutoPassthrough => {
            if has_certificates(tls) {
                let mode = tls.mode.as_str();
                let message = format!("certificates will be ignored for mode {mode}");
                tell(found, Code::NeverFires, at, message);
            }
        }
        ServerTlsMode::IstioMutual => {
            for (field, what, set) in [
                (
                    "serverCertificate",
                    "server certificate",
                    !tls.server_certificate.is_empty(),
                ),
                ("privateKey", "private key", !tls.private_key.is_empty()),
                (
                    "caCertificates",
                    "CA bundle",
                    !tls.ca_certificates.is_empty(),
                ),
                (
                    "credentialName",
                    "credentialName",
                    !tls.credential_name.is_empty(),
                ),
                (
                    "credentialNames",
                    "credentialNames",
                    !tls.credential_names.is_empty(),
                ),
            ] {
                if set {
                    let message = format!("ISTIO_MUTUAL TLS cannot have associated {what}");
                    exclusive(found, at.field(field), message);
                }
            }
        }
        ServerTlsMode::Simple => check_needed(tls, "SIMPLE", false, at, found),
        ServerTlsMode::Mutual | ServerTlsMode::OptionalMutual => {
            check_needed(tls, "MUTUAL", true, at, found);
        }
    }
}

fn check_needed(
    tls: &api::ServerTlsSettings,
    mode: &str,
    clients: bool,
    at: At<'_>,
    found: &mut Diagnostics,
) {
    if has_credentials(tls) {
        return;
    }
    if tls.tls_certificates.is_empty() {
        for (field, what, file) in [
            (
                "serverCertificate",
                "server certificate",
                &tls.server_certificate,
            ),
            ("privateKey", "private key", &tls.private_key),
        ] {
            if file.is_empty() {
                missing(
                    found,
                    at.field(field),
                    format!("{mode} TLS requires a {what}"),
                );
            }
        }
    }
    let at_certificates = at.field("tlsCertificates");
    for (n, certificate) in tls.tls_certificates.iter().enumerate() {
        for (field, what, file) in [
            (
                "serverCertificate",
                "server certificate",
                &certificate.server_certificate,
            ),
            ("privateKey", "private key", &certificate.private_key),
        ] {
            if file.is_empty() {
                let message = format!("{mode} TLS requires a {what}");
                missing(found, at_certificates.item(n).field(field), message);
            }
        }
    }
    let named = tls
        .tls_certificates
        .iter()
        .any(|it| !it.ca_certificates.is_empty());
    if clients && !named && tls.ca_certificates.is_empty() && tls.ca_cert_credential_name.is_empty()
    {
        let message = format!("{mode} TLS requires a client CA bundle");
        missing(found, at.field("caCertificates"), message);
    }
}

/// Warns of files that are not there, where certificates are looked at.
fn check_files(tls: &api::ServerTlsSettings, at: At<'_>, found: &mut Diagnostics) {
    let ends = [
        ServerTlsMode::Simple,
        ServerTlsMode::Mutual,
        ServerTlsMode::OptionalMutual,
    ];
    if !ends.contains(&tls.mode) {
        return;
    }
    for (field, file) in [
        ("serverCertificate", &tls.server_certificate),
        ("privateKey", &tls.private_key),
        ("caCertificates", &tls.ca_certificates),
        ("caCrl", &tls.ca_crl),
    ] {
        check_file(file, at.field(field), found);
    }
    let at = at.field("tlsCertificates");
    for (n, certificate) in tls.tls_certificates.iter().enumerate() {
        let at = at.item(n);
        for (field, file) in [
            ("serverCertificate", &certificate.server_certificate),
            ("privateKey", &certificate.private_key),
            ("caCertificates", &certificate.ca_certificates),
        ] {
            check_file(file, at.field(field), found);
        }
    }
}

fn check_revocations(tls: &api::ServerTlsSettings, at: At<'_>, found: &mut Diagnostics) {
    if tls.ca_crl.is_empty() {
        return;
    }
    let at = at.field("caCrl");
    if has_credentials(tls) {
        let message = "CRL is not supported with credentialName. CRL has to be specified in the \
                       credential";
        exclusive(found, at, message);
    } else if tls.mode == ServerTlsMode::Simple {
        exclusive(found, at, "CRL is not supported with SIMPLE TLS");
    }
}
