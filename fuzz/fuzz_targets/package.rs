//! Packages: the container, and every kind of entry behind a container that is in order.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mix_package::{Limits, Package, Packer, Pattern};
use std::io::Cursor;

/// Opens a package and unpacks everything in it.
fn open(bytes: Vec<u8>) {
    let Ok(mut package) = Package::open(Cursor::new(bytes), &Limits::PACKAGE) else {
        return;
    };
    for set in package.records.clone() {
        package
            .each_record(&set, &mut |_, _, _| Ok(()))
            .expect("what was checked can be read");
    }
    for file in package.apps.clone().iter().flat_map(|app| &app.files) {
        package
            .write_file(file, &mut std::io::sink())
            .expect("what was checked can be unpacked");
    }
}

/// The entry that the first byte chooses gets the rest as its content.
fn packed(kind: u8, content: &[u8]) -> Vec<u8> {
    const V1: &[u8] = br#"{"apps":{"demo":true},"records":{}}"#;
    const V2: &[u8] = br#"{"version":"2.1","id":"x","updates":"*","name":"demo","app":{"recordsets":["rs"],"filesets":["fs"]}}"#;
    let first: Vec<(&str, &[u8])> = vec![
        ("manifest.json", V1),
        ("apps/demo.mp", b"\x90"),
        ("records.mp", b"\x80"),
        ("apps/demo/runtime.json", b"{}"),
        ("apps/demo/resources.json", b"{}"),
        ("apps/demo/libraries/main.mixexe", b""),
    ];
    let second: Vec<(&str, &[u8])> = vec![
        ("manifest_v2.json", V2),
        ("apps/demo/appMeta.json", b"{}"),
        ("recordsets/rs/rsMeta.json", b"{}"),
        ("recordsets/rs/a.json", b"[]"),
        ("filesets/fs/fsMeta.json", br#"{"code":true}"#),
        ("filesets/fs/root/code/main.mixexe", b""),
    ];
    let mut entries = if kind & 1 == 0 { first } else { second };
    let chosen = usize::from(kind >> 1) % entries.len();
    entries[chosen].1 = content;
    let mut packer = Packer::new(Cursor::new(Vec::new()));
    for (name, mut content) in entries {
        packer.add(name, &mut content).expect("packed");
    }
    packer.finish().expect("packed").into_inner()
}

fuzz_target!(|bytes: &[u8]| {
    open(bytes.to_vec());
    if let Some((kind, content)) = bytes.split_first() {
        open(packed(*kind, content));
    }
    if let Ok(text) = std::str::from_utf8(bytes)
        && let Ok(pattern) = Pattern::parse(text, "$")
    {
        pattern.matches("/a/b.txt");
    }
});
