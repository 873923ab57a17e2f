//! Any bytes, read as a file of resources: nothing may panic, hang or overflow the stack.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tower_mesh::api::Resources;

fuzz_target!(|bytes: &[u8]| {
    let text = String::from_utf8_lossy(bytes);
    let resources = Resources::from_yaml("fuzz.yaml", &text);
    // Printing walks every path and message, which is where a slice could go wrong.
    std::hint::black_box(resources.diagnostics().to_string());
});
