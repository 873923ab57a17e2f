//! `ServiceEntry` and Kubernetes `Service`: which hosts there are, their ports, where they live.
//!
//! | `resolution` | endpoints |
//! |---|---|
//! | `STATIC` | the addresses listed, each with its labels, weight and locality |
//! | `DNS` | all addresses of each name listed, or of the host where nothing is listed |
//! | `DNS_ROUND_ROBIN` | the first address of the one name listed, or of the host; the next answer replaces it |
//! | `DYNAMIC_DNS` | the first address of the host a request names, for hosts that are wildcards |
//! | `NONE` | the host itself, looked up by whoever makes the connection |
//!
//! A Kubernetes Service brings a host name and its ports; where no ServiceEntry
//! of the same host says how endpoints are found, the name is looked up as under
//! `NONE`, and under an `externalName` that one is looked up as under `DNS`. An endpoint
//! listens on its own port of the service port's name, else on
//! the service port's `targetPort`, else on its number.
//!
//! # Names
//!
//! Under `DNS` and `DNS_ROUND_ROBIN` each name is asked for when the rules begin to
//! hold, and every 60 seconds after ([`MeshBuilder::dns_refresh_rate`](crate::mesh::MeshBuilder::dns_refresh_rate));
//! the dice put that off by up to a tenth, so that many processes do not ask at once.
//! At most 8 names are asked for at a time. Until a name's first answer, connections
//! look it up themselves. A name that never had an address gives 503 UH and is asked
//! for again after a second, then two, four and so on. Once there was an answer, the
//! last good one stands whatever comes after it.
//!
//! Unlike in a sidecar, the time to live of a record plays no part, for an operating
//! system's resolver does not tell it; and an answer that the name has no addresses any
//! more, which takes the endpoints from a sidecar, leaves them here.

mod config;
mod members;
mod registry;
mod shared;
#[cfg(test)]
mod tests;

pub(crate) use members::{Answers, Members};
pub use registry::{Port, Protocol, Registry, RegistryService};
