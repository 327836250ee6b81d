//! The stock command line is the engine's own, of the version that `mixer` embeds.

use std::process::Command;

#[test]
fn its_subcommands_are_there() {
    for (command, flag) in [("serve", "--addr"), ("run", "--dir")] {
        let output = Command::new(env!("CARGO_BIN_EXE_stock-wasmtime"))
            .args([command, "--help"])
            .output()
            .expect("the program was built for this test");
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && text.contains(flag), "{text}");
    }
}
