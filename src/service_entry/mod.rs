//! `ServiceEntry` and Kubernetes `Service`: which hosts there are, their ports, where they live.
//!
//! | `resolution` | endpoints |
//! |---|---|
//! | `STATIC` | the addresses listed, each with its labels |
//! | `NONE` | the host itself, resolved by the operating system when a connection is made |
//!
//! A Kubernetes Service brings a host name and its ports; where no ServiceEntry
//! of the same host lists endpoints, the name is resolved like any other. An
//! endpoint listens on its own port of the service port's name, else on the
//! service port's `targetPort`, else on its number.

mod config;
mod registry;

pub use registry::{Port, Protocol, Registry, RegistryService};
