//! The same five resources as the documents beside, built in Rust.

use std::time::Duration;

use indexmap::IndexMap;
use tower_mesh::api::{
    Gateway, Location, Resolution, Server, ServerPort, ServerTlsMode, ServerTlsSettings, Service,
    ServiceEntry, ServiceEntryPort, ServicePort, TlsCertificate, TlsProtocol, WorkloadEntry,
    WorkloadSelector,
};

mod destination_rule;
mod virtual_service;

pub(crate) use destination_rule::destination_rule;
pub(crate) use virtual_service::virtual_service;

/// A message with these fields; the structs are not exhaustive, so they are filled by assignment.
macro_rules! message {
    ($type:ident { $( $field:ident : $value:expr ),* $(,)? }) => {{
        let mut message = $type::default();
        $( message.$field = $value; )*
        message
    }};
}

use message;

fn texts<const N: usize>(texts: [&str; N]) -> Vec<String> {
    texts.map(str::to_owned).to_vec()
}

fn map<T, const N: usize>(entries: [(&str, T); N]) -> IndexMap<String, T> {
    let entries = entries.into_iter();
    entries
        .map(|(key, value)| (key.to_owned(), value))
        .collect()
}

fn labels<const N: usize>(entries: [(&str, &str); N]) -> IndexMap<String, String> {
    map(entries.map(|(key, value)| (key, value.to_owned())))
}

fn seconds(seconds: u64) -> Option<Duration> {
    Some(Duration::from_secs(seconds))
}

fn millis(millis: u64) -> Option<Duration> {
    Some(Duration::from_millis(millis))
}

pub(crate) fn service_entry() -> ServiceEntry {
    message!(ServiceEntry {
        hosts: texts(["reviews.example.com"]),
        addresses: texts(["10.0.0.1"]),
        ports: vec![message!(ServiceEntryPort {
            number: 80,
            name: "http".into(),
            protocol: "HTTP".into(),
            target_port: Some(8080),
        })],
        location: Location::MeshInternal,
        resolution: Resolution::Static,
        endpoints: vec![message!(WorkloadEntry {
            address: "10.0.0.2".into(),
            ports: map([("http", 8081)]),
            labels: labels([("version", "v1")]),
            network: "blue".into(),
            locality: "eu/a/1".into(),
            weight: Some(3),
            service_account: "reviews".into(),
        })],
        workload_selector: Some(message!(WorkloadSelector {
            labels: labels([("app", "reviews")]),
        })),
        export_to: texts(["."]),
        subject_alt_names: texts(["spiffe://shop/reviews"]),
    })
}

pub(crate) fn gateway() -> Gateway {
    let tls = message!(ServerTlsSettings {
        https_redirect: Some(true),
        mode: ServerTlsMode::OptionalMutual,
        server_certificate: "/etc/certs/cert.pem".into(),
        private_key: "/etc/certs/key.pem".into(),
        ca_certificates: "/etc/certs/ca.pem".into(),
        ca_crl: "/etc/certs/crl.pem".into(),
        credential_name: "edge-secret".into(),
        credential_names: texts(["edge-rsa", "edge-ecdsa"]),
        tls_certificates: vec![message!(TlsCertificate {
            server_certificate: "/etc/certs/one.pem".into(),
            private_key: "/etc/certs/one.key".into(),
            ca_certificates: "/etc/certs/one-ca.pem".into(),
        })],
        ca_cert_credential_name: "edge-cacert".into(),
        subject_alt_names: texts(["web.example.com"]),
        verify_certificate_spki: texts(["c3BraQ=="]),
        verify_certificate_hash: texts(["aGFzaA=="]),
        min_protocol_version: TlsProtocol::Tlsv12,
        max_protocol_version: TlsProtocol::Tlsv13,
        cipher_suites: texts(["ECDHE-RSA-AES256-GCM-SHA384"]),
        ecdh_curves: texts(["P-256"]),
        insecure_skip_verify: Some(true),
    });
    message!(Gateway {
        selector: labels([("istio", "ingressgateway")]),
        servers: vec![message!(Server {
            name: "main".into(),
            port: Some(message!(ServerPort {
                number: 443,
                protocol: "HTTPS".into(),
                name: "https".into(),
                target_port: Some(8443),
            })),
            bind: "0.0.0.0".into(),
            hosts: texts(["shop/*.example.com"]),
            default_endpoint: "127.0.0.1:80".into(),
            tls: Some(tls),
        })],
    })
}

pub(crate) fn service() -> Service {
    message!(Service {
        ports: vec![message!(ServicePort {
            name: "http-web".into(),
            port: 80,
            protocol: "TCP".into(),
            app_protocol: "kubernetes.io/h2c".into(),
        })],
        cluster_ips: texts(["10.96.0.1", "fd00::1"]),
        external_name: "reviews.example.com".into(),
    })
}
