//! Where the built components are.

use std::path::PathBuf;

/// The bytes of a component, by file name without ending.
///
/// # Panics
/// If it is not built: the tests are of no use without.
pub fn guest(name: &str) -> Vec<u8> {
    let path = folder().join(format!("{name}.wasm"));
    std::fs::read(&path)
        .unwrap_or_else(|error| panic!("{}: {error}; run `make guests` first", path.display()))
}

fn folder() -> PathBuf {
    if let Some(folder) = std::env::var_os("MIXER_GUESTS_DIR") {
        return folder.into();
    }
    let target = match std::env::var_os("CARGO_TARGET_DIR") {
        Some(target) => PathBuf::from(target),
        None => PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../target"),
    };
    target.join("wasm32-wasip2/guest")
}
