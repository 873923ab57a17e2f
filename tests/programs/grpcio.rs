//! Python's grpcio on both sides of the `gateway` program.

use std::path::Path;
use std::process::Command;

use super::program;

#[test]
#[ignore = "needs Python's grpcio: run ci/grpcio, then cargo test --test programs -- --ignored"]
fn grpcio_calls_pass_in_all_shapes() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let ended = Command::new(root.join(".grpcio/bin/python"))
        .arg(root.join("tests/programs/grpcio.py"))
        .arg(program("gateway").get_program())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&ended.stderr);
    assert!(ended.status.success(), "{said}");
}
