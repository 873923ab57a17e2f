//! TLS to real servers, with certificates made here: every mode, who is believed, and what is said
//! when nobody is.

#![allow(clippy::unwrap_used, reason = "a broken test may panic")]

mod files;
mod modes;
mod pki;
mod pools;
mod server;
mod trust;
