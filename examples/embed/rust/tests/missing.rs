//! A program without its component says which file it wants.

use std::process::Command;

#[test]
fn the_component_that_is_missing_is_named() {
    let output = Command::new(env!("CARGO_BIN_EXE_embed-shop"))
        .current_dir(env!("CARGO_TARGET_TMPDIR"))
        .output()
        .expect("the program was built for this test");
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(
        !output.status.success() && told.contains("shop.wasm"),
        "{told}"
    );
}
