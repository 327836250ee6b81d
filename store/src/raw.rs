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

/// A copy of an encoded map in which `key` has the value `number`.
pub(crate) fn with_int(encoded: &[u8], key: &str, number: i64) -> Option<Vec<u8>> {
    let mut reader = Reader::new(encoded);
    let Ok(Token::MapStart(count)) = reader.next() else {
        return None;
    };
    let body = reader.position();
    // Where the value goes: over the present one, or before the first greater key.
    let (mut from, mut to, mut present) = (None, encoded.len(), false);
    for _ in 0..count {
        let start = reader.position();
        let Ok(Token::Key(name)) = reader.next() else {
            return None;
        };
        let value = reader.position();
        reader.skip_value().ok()?;
        if name == key {
            (from, to, present) = (Some(value), reader.position(), true);
            break;
        }
        if from.is_none() && name > key {
            (from, to) = (Some(start), start);
        }
    }
    let from = from.unwrap_or(encoded.len());
    let mut out = Vec::with_capacity(encoded.len() + key.len() + 16);
    let mut writer = mix_value::msgpack::Writer::new(&mut out);
    writer.map(if present { count } else { count + 1 }).ok()?;
    writer.raw(&encoded[body..from]);
    if !present {
        writer.str(key).ok()?;
    }
    writer.int(number);
    writer.raw(&encoded[to..]);
    Some(out)
}

/// Calls `found` for every ref in an encoded value, at any depth.
pub(crate) fn each_ref(encoded: &[u8], mut found: impl FnMut(&str)) -> Option<()> {
    let mut reader = Reader::new(encoded);
    while !reader.is_done() {
        if let Token::Ref(text) = reader.next().ok()? {
            found(text);
        }
    }
    Some(())
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

#[cfg(test)]
mod tests {
    use mix_value::{Value, msgpack};

    use super::*;

    #[test]
    fn a_number_is_replaced_or_put_in_its_place() {
        for (pairs, expected) in [
            (vec![("a", 1), ("m", 300), ("z", 2)], 3),
            (vec![("a", 1), ("z", 2)], 3),
            (vec![("z", 2)], 2),
            (vec![("a", 1)], 2),
            (vec![], 1),
        ] {
            let mut map = Value::map(pairs.into_iter().map(|(key, n)| (key, Value::Int(n))));
            let encoded = msgpack::encode(&map).expect("encodes");
            let changed = with_int(&encoded, "m", 70_000).expect("is a map");
            if let Value::Map(map) = &mut map {
                map.insert("m".into(), Value::Int(70_000));
                assert_eq!(map.len(), expected);
            }
            assert_eq!(changed, msgpack::encode(&map).expect("encodes"));
        }
        assert_eq!(with_int(&[0xc0], "m", 1), None);
    }
}
