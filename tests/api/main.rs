//! Reading Istio's resources: every field arrives, every fault is told, no input does harm.
#![allow(clippy::unwrap_used, reason = "a broken test may panic")]
#![cfg(feature = "yaml")]

mod built;
mod document;
mod faults;
mod fields;
mod files;
mod hostile;
mod legacy;
mod tell;
mod tutorial;
mod whole;
