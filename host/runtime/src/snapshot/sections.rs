//! The outermost sections of modules and components.

use anyhow::Result;
use std::ops::Range;
use wasm_encoder::Encode;
use wasmparser::BinaryReader;

/// Id of a custom section.
pub const CUSTOM: u8 = 0;

/// Id of a section of a component that holds a core module.
pub const CORE_MODULE: u8 = 1;

/// Bytes before the first section.
const HEAD: usize = 8;

/// A section and where it is.
pub struct Section {
    /// Its kind.
    pub id: u8,
    /// With id and length.
    pub whole: Range<usize>,
    /// What it holds.
    pub content: Range<usize>,
}

/// All sections in their order, not those inside of others.
pub fn of(bytes: &[u8]) -> Result<Vec<Section>> {
    let mut found = Vec::new();
    let mut reader = BinaryReader::new(bytes, 0);
    reader.read_bytes(HEAD)?;
    while !reader.eof() {
        let begin = reader.original_position();
        let id = reader.read_u8()?;
        let length = reader.read_var_u32()?;
        let content = reader.original_position();
        reader.read_bytes(length as usize)?;
        found.push(Section {
            id,
            whole: begin..reader.original_position(),
            content: content..reader.original_position(),
        });
    }
    Ok(found)
}

/// Name and content of a custom section.
pub fn custom(content: &[u8]) -> Result<(&str, &[u8])> {
    let mut reader = BinaryReader::new(content, 0);
    let name = reader.read_string()?;
    Ok((name, &content[reader.original_position()..]))
}

/// Appends a section.
pub fn write(out: &mut Vec<u8>, id: u8, content: &[u8]) {
    out.push(id);
    content.len().encode(out);
    out.extend(content);
}

/// Appends a custom section.
pub fn write_custom(out: &mut Vec<u8>, name: &str, content: &[u8]) {
    let mut named = Vec::new();
    name.encode(&mut named);
    named.extend(content);
    write(out, CUSTOM, &named);
}

#[cfg(test)]
mod tests {
    use super::*;

    const COMPONENT: &[u8] = b"\0asm\x0d\0\x01\0";

    #[test]
    fn sections_are_found_as_they_were_written() {
        let mut bytes = COMPONENT.to_vec();
        write_custom(&mut bytes, "one", b"first");
        let middle = bytes.len();
        write(&mut bytes, CORE_MODULE, b"");
        write_custom(&mut bytes, "two", &[7; 300]);
        let found = of(&bytes).unwrap();
        let ids: Vec<u8> = found.iter().map(|section| section.id).collect();
        assert_eq!(ids, [CUSTOM, CORE_MODULE, CUSTOM]);
        assert_eq!(found[1].whole, middle..middle + 2);
        let last = custom(&bytes[found[2].content.clone()]).unwrap();
        assert_eq!(last, ("two", &[7; 300][..]));
        // What is cut off is no list of sections, and does no harm.
        for length in 0..bytes.len() {
            if let Ok(found) = of(&bytes[..length]) {
                assert!(found.len() < 3);
            }
        }
    }
}
