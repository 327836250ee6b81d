//! Looking into encoded records without decoding them.

use mix_value::msgpack::{Reader, Token};

/// The encoded value of a top-level member of an encoded map.
pub fn member<'a>(encoded: &'a [u8], key: &str) -> Option<&'a [u8]> {
    let mut reader = Reader::new(encoded);
    let Ok(Token::MapStart(count)) = reader.next() else {
        return None;
    };
    for _ in 0..count {
        match reader.next() {
            Ok(Token::Key(found)) if found == key => return reader.raw_value().ok(),
            Ok(_) => reader.skip_value().ok()?,
            Err(_) => return None,
        }
    }
    None
}

/// A copy of an encoded map with `key: true` added. Keys stay sorted; the map
/// must not have the key.
pub(crate) fn with_true(encoded: &[u8], key: &str) -> Option<Vec<u8>> {
    let mut reader = Reader::new(encoded);
    let Ok(Token::MapStart(count)) = reader.next() else {
        return None;
    };
    let mut members = Vec::with_capacity(count.min(1024));
    for _ in 0..count {
        let start = reader.position();
        let Ok(Token::Key(name)) = reader.next() else {
            return None;
        };
        reader.skip_value().ok()?;
        members.push((name, &encoded[start..reader.position()]));
    }
    let mut out = Vec::with_capacity(encoded.len() + key.len() + 8);
    let mut writer = mix_value::msgpack::Writer::new(&mut out);
    writer.map(count + 1).ok()?;
    let mut added = false;
    for (name, bytes) in members {
        if !added && name > key {
            writer.str(key).ok()?;
            writer.bool(true);
            added = true;
        }
        writer.raw(bytes);
    }
    if !added {
        writer.str(key).ok()?;
        writer.bool(true);
    }
    Some(out)
}
