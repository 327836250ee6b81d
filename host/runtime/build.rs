//! Puts the guest components into the program, so that `mixer` is one file.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

/// Constant and file name of every embedded component.
const GUESTS: [(&str, &str); 17] = [
    ("VM", "mix_vm_component.wasm"),
    ("VM_COMPOSED", "mix_vm_composed.wasm"),
    ("STANDALONE", "mix_standalone.wasm"),
    ("EMBEDDED", "mix_embedded.wasm"),
    ("SWITCHBOARD", "mix_switchboard.wasm"),
    ("EMPTY", "mix_plugin_empty.wasm"),
    ("PACKER", "mix_plugin_packer.wasm"),
    ("HOST_CLOCK", "mix_host_clock.wasm"),
    ("CORE", "mix_plugin_core.wasm"),
    ("CRYPTO", "mix_plugin_crypto.wasm"),
    ("FILES", "mix_plugin_files.wasm"),
    ("FILES_MEMORY", "mix_plugin_files_memory.wasm"),
    ("HTTP", "mix_plugin_http.wasm"),
    ("DB", "mix_plugin_db.wasm"),
    ("MAIN_DATABASE", "mix_plugin_main_database.wasm"),
    ("SECRETS", "mix_plugin_secrets.wasm"),
    ("WASM", "mix_plugin_wasm.wasm"),
];

fn main() {
    println!("cargo::rerun-if-env-changed=MIXER_GUESTS_DIR");
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    let folder = match env::var_os("MIXER_GUESTS_DIR") {
        Some(folder) => PathBuf::from(folder),
        None => default_folder(&out),
    };
    let mut source = String::new();
    let mut missing = Vec::new();
    for (name, file) in GUESTS {
        let path = folder.join(file);
        println!("cargo::rerun-if-changed={}", path.display());
        if path.is_file() {
            source.push_str(&format!(
                "pub const {name}: &[u8] = include_bytes!({path:?});\n"
            ));
        } else {
            missing.push(file);
        }
    }
    if !missing.is_empty() {
        println!(
            "cargo::error=components missing in {}: {}. Run `make guests` first, or set MIXER_GUESTS_DIR.",
            folder.display(),
            missing.join(", ")
        );
        return;
    }
    fs::write(out.join("guests.rs"), source).expect("OUT_DIR can be written");
}

/// `OUT_DIR` is `<target>/<profile>/build/<crate>/out`, or one level deeper with `--target`.
fn default_folder(out: &Path) -> PathBuf {
    let target = out
        .ancestors()
        .find(|folder| folder.join("CACHEDIR.TAG").is_file())
        .or_else(|| out.ancestors().nth(4))
        .unwrap_or(out);
    target.join("wasm32-wasip2").join("guest")
}
