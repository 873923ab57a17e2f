//! Any bytes, held to the property `reading` that the crate's own tests ask of damaged samples.
#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../tests/fuzzed/properties.rs"]
#[allow(dead_code, reason = "each target asks one property")]
mod properties;

fuzz_target!(|bytes: &[u8]| properties::reading(&String::from_utf8_lossy(bytes)));
