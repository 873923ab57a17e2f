//! `ServiceEntry`: a host and where it lives.

use indexmap::IndexMap;

use super::message::{enumeration, message};

message! {
    /// A host, its ports and its endpoints.
    ///
    /// Source: `networking.istio.io/v1 ServiceEntry`.
    pub struct ServiceEntry {
        /// The hosts.
        hosts: Vec<String>,
        /// Virtual addresses or networks of the service.
        addresses: Vec<String>,
        /// The service's ports.
        ports: Vec<ServiceEntryPort>,
        /// Whether the service is part of the mesh.
        location: Location,
        /// How its endpoints are found.
        resolution: Resolution,
        /// The endpoints.
        endpoints: Vec<WorkloadEntry>,
        /// Labels of workloads that are endpoints too.
        workload_selector: Option<WorkloadSelector>,
        /// Who sees the resource; all when empty.
        export_to: Vec<String>,
        /// Names the server certificates must carry.
        subject_alt_names: Vec<String>,
    }
}

message! {
    /// A port of a service.
    pub struct ServiceEntryPort {
        /// Its number.
        number: u32,
        /// Its name.
        name: String,
        /// HTTP, HTTP2, GRPC, HTTPS, TLS, TCP, …
        protocol: String,
        /// The endpoints' port; `number` when absent.
        target_port: Option<u32>,
    }
}

enumeration! {
    /// Whether a service is part of the mesh.
    pub enum Location {
        /// It is not: no mutual TLS, and telemetry counts it as external.
        #[default]
        MeshExternal = "MESH_EXTERNAL" / 0,
        /// It is.
        MeshInternal = "MESH_INTERNAL" / 1,
    }
}

enumeration! {
    /// How the endpoints of a service are found.
    pub enum Resolution {
        /// Connections go where the client meant them to go.
        #[default]
        None = "NONE" / 0,
        /// They are the addresses listed.
        Static = "STATIC" / 1,
        /// They are all addresses DNS knows.
        Dns = "DNS" / 2,
        /// One address DNS knows, asked anew.
        DnsRoundRobin = "DNS_ROUND_ROBIN" / 3,
        /// The request's own host, by DNS.
        DynamicDns = "DYNAMIC_DNS" / 4,
    }
}

message! {
    /// One endpoint.
    pub struct WorkloadEntry {
        /// An IP address, or a host name where the resolution is DNS.
        address: String,
        /// Ports by the service port's name.
        ports: IndexMap<String, u32>,
        /// Its labels, which subsets select by.
        labels: IndexMap<String, String>,
        /// The network it is in.
        network: String,
        /// `region/zone/subzone`.
        locality: String,
        /// Its share of the traffic; 1 when absent.
        weight: Option<u32>,
        /// The identity it runs under.
        service_account: String,
    }
}

message! {
    /// Workloads by their labels.
    pub struct WorkloadSelector {
        /// The labels they must carry.
        labels: IndexMap<String, String>,
    }
}
