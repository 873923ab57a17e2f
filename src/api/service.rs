//! Kubernetes' `Service`: a host name and its ports.
//!
//! Only what routing needs is read; selectors and the rest are the cluster's affair
//! and are passed over without a word.

use super::decode::{Decode, Decoder};
use super::node::Node;
use crate::diagnostic::At;

/// A Kubernetes Service: `name.namespace.svc.<cluster domain>` and its ports.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Service {
    /// The ports it listens on.
    pub ports: Vec<ServicePort>,
    /// The cluster's addresses of the service, which clients may use as its name.
    pub cluster_ips: Vec<String>,
    /// For the type `ExternalName`: the host it stands for.
    pub external_name: String,
}

/// One port of a Kubernetes Service.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct ServicePort {
    /// Its name, whose first part names the protocol: `http`, `grpc-web`, `tcp-admin`.
    pub name: String,
    /// Its number.
    pub port: u32,
    /// `TCP`, `UDP` or `SCTP`; TCP when empty. HTTP rules apply to TCP alone.
    pub protocol: String,
    /// The protocol above TCP, where the Service says so.
    pub app_protocol: String,
}

impl Decode for Service {
    fn decode(node: &Node, at: At<'_>, decoder: &mut Decoder) -> Option<Self> {
        let mut service = Self::default();
        for entry in decoder.mapping(node, at)? {
            match &*entry.key {
                "ports" => decoder.field(&mut service.ports, false, entry, at),
                "externalName" => decoder.field(&mut service.external_name, false, entry, at),
                "clusterIPs" => decoder.field(&mut service.cluster_ips, false, entry, at),
                "clusterIP" if service.cluster_ips.is_empty() => {
                    let mut address = String::new();
                    decoder.field(&mut address, false, entry, at);
                    service.cluster_ips.push(address);
                }
                _ => {}
            }
        }
        service
            .cluster_ips
            .retain(|it| !it.is_empty() && it != "None");
        Some(service)
    }
}

impl Decode for ServicePort {
    fn decode(node: &Node, at: At<'_>, decoder: &mut Decoder) -> Option<Self> {
        let mut port = Self::default();
        for entry in decoder.mapping(node, at)? {
            match &*entry.key {
                "name" => decoder.field(&mut port.name, false, entry, at),
                "port" => decoder.field(&mut port.port, false, entry, at),
                "protocol" => decoder.field(&mut port.protocol, false, entry, at),
                "appProtocol" => decoder.field(&mut port.app_protocol, false, entry, at),
                _ => {}
            }
        }
        Some(port)
    }
}
