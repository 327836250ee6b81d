//! Puts the sources of the SDK into the program, for the plugin projects that it writes.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

/// What a Rust plugin is built from, below the root of the repository: files, and folders of sources.
const SDK: [&str; 9] = [
    "ffi-plugins/sdk/Cargo.toml",
    "ffi-plugins/sdk/src",
    "ffi-plugins/sdk-macros/Cargo.toml",
    "ffi-plugins/sdk-macros/src",
    "store/value/Cargo.toml",
    "store/value/src",
    "wit/ffi/ffi.wit",
    "wit/packed/packed.wit",
    "wit/deps/clocks.wit",
];

fn main() {
    let root =
        PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets it")).join("../..");
    let mut files = Vec::new();
    for part in SDK {
        println!("cargo::rerun-if-changed={}", root.join(part).display());
        collect(&root.join(part), part, &mut files);
    }
    files.sort();
    let mut source = String::from("pub const SDK: &[(&str, &str)] = &[\n");
    for (name, path) in files {
        source.push_str(&format!("    ({name:?}, include_str!({path:?})),\n"));
    }
    source.push_str("];\n");
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    fs::write(out.join("sdk.rs"), source).expect("OUT_DIR can be written");
}

fn collect(path: &Path, name: &str, files: &mut Vec<(String, PathBuf)>) {
    if !path.is_dir() {
        files.push((name.to_owned(), path.to_owned()));
        return;
    }
    let entries = fs::read_dir(path).expect("a folder of the repository can be read");
    for entry in entries.flatten() {
        let inner = entry.file_name();
        let inner = inner.to_str().expect("names in the repository are text");
        collect(&entry.path(), &format!("{name}/{inner}"), files);
    }
}
