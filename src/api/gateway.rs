//! `Gateway`: the servers at the edge of the mesh.

use indexmap::IndexMap;

use super::message::{enumeration, message};

message! {
    /// The servers of a gateway.
    ///
    /// Source: `networking.istio.io/v1 Gateway`.
    pub struct Gateway {
        /// Labels of the workloads that serve it; without effect here, where the gateway is named.
        selector: IndexMap<String, String>,
        /// The servers.
        servers: Vec<Server>,
    }
}

message! {
    /// A port and the hosts served on it.
    pub struct Server {
        /// The port.
        port: Option<ServerPort>,
        /// The address to listen on; without effect here.
        bind: String,
        /// The hosts, each `namespace/name` or a name.
        hosts: Vec<String>,
        /// TLS from the clients.
        tls: Option<ServerTlsSettings>,
        /// Never implemented by Istio.
        default_endpoint: String,
        /// A name; without effect.
        name: String,
    }
}

message! {
    /// A port of a gateway.
    pub struct ServerPort {
        /// Its number.
        number: u32,
        /// HTTP, HTTPS, GRPC, HTTP2, TCP, TLS, …
        protocol: String,
        /// Its name.
        name: String,
        /// Without effect on gateways; deprecated.
        target_port: Option<u32>,
    }
}

message! {
    /// TLS from the clients.
    pub struct ServerTlsSettings {
        /// Answer plain requests with a redirect to https.
        https_redirect: Option<bool>,
        /// Whether, and how.
        mode: ServerTlsMode,
        /// The server's certificate, a file.
        server_certificate: String,
        /// Its key, a file.
        private_key: String,
        /// Who may have signed the clients', a file.
        ca_certificates: String,
        /// Revoked certificates, a file.
        ca_crl: String,
        /// A secret that holds them all.
        credential_name: String,
        /// Secrets with certificates of several kinds.
        credential_names: Vec<String>,
        /// Files with certificates of several kinds.
        tls_certificates: Vec<TlsCertificate>,
        /// A secret with the clients' authorities.
        ca_cert_credential_name: String,
        /// Names one of which a client's certificate must carry.
        subject_alt_names: Vec<String>,
        /// Hashes of the clients' public keys.
        verify_certificate_spki: Vec<String>,
        /// Hashes of the clients' certificates.
        verify_certificate_hash: Vec<String>,
        /// The oldest TLS version allowed.
        min_protocol_version: TlsProtocol,
        /// The newest TLS version allowed.
        max_protocol_version: TlsProtocol,
        /// The ciphers allowed.
        cipher_suites: Vec<String>,
        /// The curves allowed.
        ecdh_curves: Vec<String>,
        /// Skip the check of clients' certificates.
        insecure_skip_verify: Option<bool>,
    }
}

message! {
    /// A certificate in files.
    pub struct TlsCertificate {
        /// The server's certificate.
        server_certificate: String,
        /// Its key.
        private_key: String,
        /// Who may have signed the clients'.
        ca_certificates: String,
    }
}

enumeration! {
    /// Whether a server ends TLS, and how.
    pub enum ServerTlsMode {
        /// It passes TLS on by server name.
        #[default]
        Passthrough = "PASSTHROUGH" / 0,
        /// It shows a certificate.
        Simple = "SIMPLE" / 1,
        /// Both sides show one.
        Mutual = "MUTUAL" / 2,
        /// It passes TLS on to what the server name says.
        AutoPassthrough = "AUTO_PASSTHROUGH" / 3,
        /// Both show the one Istio gave them.
        IstioMutual = "ISTIO_MUTUAL" / 4,
        /// The client may show one.
        OptionalMutual = "OPTIONAL_MUTUAL" / 5,
    }
}

enumeration! {
    /// A version of TLS.
    pub enum TlsProtocol {
        /// As the library thinks best; at least 1.2.
        #[default]
        TlsAuto = "TLS_AUTO" / 0,
        /// 1.0.
        Tlsv10 = "TLSV1_0" / 1,
        /// 1.1.
        Tlsv11 = "TLSV1_1" / 2,
        /// 1.2.
        Tlsv12 = "TLSV1_2" / 3,
        /// 1.3.
        Tlsv13 = "TLSV1_3" / 4,
    }
}
