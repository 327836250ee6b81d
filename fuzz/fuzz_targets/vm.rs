//! The body of an executable: it is refused, or whatever it does ends in a value or an issue.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mix_bytecode::checksum::crc32c;
use mix_bytecode::format::{MAGIC, VERSION};

/// Bytes in front of the body.
const HEADER: usize = 20;

fuzz_target!(|body: &[u8]| {
    // A whole executable, as the first inputs are: only its body is of interest.
    let body = match body.strip_prefix(&MAGIC[..]) {
        Some(rest) => rest.get(HEADER - MAGIC.len()..).unwrap_or_default(),
        None => body,
    };
    // The frame around the body is made here: a checksum cannot be guessed.
    let mut file = MAGIC.to_vec();
    file.extend_from_slice(&VERSION.to_le_bytes());
    file.extend_from_slice(&(body.len() as u32).to_le_bytes());
    file.extend_from_slice(&crc32c(body).to_le_bytes());
    file.extend_from_slice(body);
    mix_fuzz::run(&file, false);
});
