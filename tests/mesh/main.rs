//! The whole, from outside: YAML in, requests through the mesh, what a caller sees.

#![allow(clippy::unwrap_used, reason = "a broken test may panic")]

mod access_log;
mod apply;
mod beyond;
mod delegates;
mod destination_rules;
mod dice;
mod differences;
mod dns;
mod endpoints;
mod gateway_hosts;
mod late;
mod load_balancing;
mod locality;
mod logged;
mod mesh_hosts;
mod mirror;
mod names;
mod outlier_detection;
mod ownership;
mod replies;
mod service_entry;
mod sockets;
mod status;
mod support;
mod trace_headers;
mod tries;
mod under_load;
mod usual;
