//! Looking into encoded records without decoding them.

use mix_value::msgpack::{Reader, Token};

use crate::row_bytes::RowBytes;

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

/// An encoded map of those members of another one that have one of these keys, given in order.
pub(crate) fn only(encoded: &[u8], keys: &[&str]) -> Vec<u8> {
    let found = keys.iter().map(|key| (key, member(encoded, key)));
    let found: Vec<_> = found
        .filter_map(|(key, value)| Some((key, value?)))
        .collect();
    let mut out = Vec::new();
    let mut writer = mix_value::msgpack::Writer::new(&mut out);
    // A few members with short names always have a form.
    let written = writer.map(found.len()).and_then(|()| {
        found.iter().try_for_each(|(key, value)| {
            writer.str(key)?;
            writer.raw(value);
            Ok(())
        })
    });
    debug_assert!(written.is_ok());
    out
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
pub(crate) fn with_true(encoded: &[u8], key: &str) -> Option<RowBytes> {
    let gap = gap(encoded, key)?;
    let written = RowBytes::filled(gap.len(encoded, key), |out| {
        gap.write(encoded, key, out);
        Ok::<(), std::convert::Infallible>(())
    });
    written.ok().map(RowBytes::from)
}

/// Copies of several maps with that, in memory they share; each comes with the place of the new
/// member, 0 where it is not known. One that is no map is copied as it is.
pub(crate) fn all_with_true<'a>(
    maps: impl Iterator<Item = (&'a [u8], u16)> + Clone,
    key: &str,
) -> impl Iterator<Item = RowBytes> {
    let mut gaps = Vec::with_capacity(maps.size_hint().1.unwrap_or(0));
    let mut whole = 0;
    for (map, place) in maps.clone() {
        let gap = gap_at(map, key, place).or_else(|| gap(map, key));
        let len = gap.as_ref().map_or(map.len(), |gap| gap.len(map, key));
        gaps.push((gap, len));
        whole += len;
    }
    let written = RowBytes::filled(whole, |mut out| {
        for ((map, _), (gap, len)) in maps.zip(&gaps) {
            let (here, rest) = out.split_at_mut(*len);
            match gap {
                Some(gap) => gap.write(map, key, here),
                None => here.copy_from_slice(map),
            }
            out = rest;
        }
        Ok::<(), std::convert::Infallible>(())
    });
    let Ok(written) = written;
    let mut from = 0;
    gaps.into_iter().filter_map(move |(_, len)| {
        let part = RowBytes::part(&written, from, len);
        from += len;
        part
    })
}

/// Where a member goes into an encoded map.
struct Gap {
    /// Members with the new one.
    count: u32,
    /// Where the members begin.
    first: usize,
    /// Where the first one with a greater key begins.
    at: usize,
}

/// Number of members of an encoded map, and where they begin.
fn map_head(encoded: &[u8]) -> Option<(usize, usize)> {
    Some(match *encoded.first()? {
        short @ 0x80..=0x8f => (usize::from(short & 15), 1),
        0xde => (number(encoded, 1, 2)?, 3),
        0xdf => (number(encoded, 1, 4)?, 5),
        _ => return None,
    })
}

/// The gap at a place that is known.
fn gap_at(encoded: &[u8], key: &str, place: u16) -> Option<Gap> {
    let (count, first) = map_head(encoded)?;
    let at = usize::from(place);
    let count = u32::try_from(count + 1).ok()?;
    (first <= at && at <= encoded.len() && key.len() < 32).then_some(Gap { count, first, at })
}

/// None if it is no map, or the key is long.
fn gap(encoded: &[u8], key: &str) -> Option<Gap> {
    let (count, first) = map_head(encoded)?;
    let mut at = first;
    for _ in 0..count {
        let (name, from) = plain_str(encoded, at)?;
        if name > key.as_bytes() {
            break;
        }
        at = skip(encoded, from)?;
    }
    let count = u32::try_from(count + 1).ok()?;
    (at <= encoded.len() && key.len() < 32).then_some(Gap { count, first, at })
}

impl Gap {
    fn head_len(&self) -> usize {
        match self.count {
            0..16 => 1,
            16..=0xffff => 3,
            _ => 5,
        }
    }

    /// Length of the map with the new member.
    fn len(&self, encoded: &[u8], key: &str) -> usize {
        self.head_len() + encoded.len() - self.first + key.len() + 2
    }

    /// Writes the map with `key: true` to `out`, which is that long.
    fn write(&self, encoded: &[u8], key: &str, out: &mut [u8]) {
        let [a, b, c, d] = self.count.to_be_bytes();
        let (head, out) = out.split_at_mut(self.head_len());
        match head.len() {
            // Below 16, so that it fits the marker.
            1 => head.copy_from_slice(&[0x80 | d]),
            3 => head.copy_from_slice(&[0xde, c, d]),
            _ => head.copy_from_slice(&[0xdf, a, b, c, d]),
        }
        let (before, out) = out.split_at_mut(self.at - self.first);
        before.copy_from_slice(&encoded[self.first..self.at]);
        let (member, after) = out.split_at_mut(key.len() + 2);
        // Shorter than 32.
        member[0] = 0xa0 | key.len() as u8;
        member[1..=key.len()].copy_from_slice(key.as_bytes());
        member[key.len() + 1] = 0xc3;
        after.copy_from_slice(&encoded[self.at..]);
    }
}

/// The text at a place, and where it ends.
fn plain_str(bytes: &[u8], at: usize) -> Option<(&[u8], usize)> {
    let (from, len) = match *bytes.get(at)? {
        short @ 0xa0..=0xbf => (at + 1, usize::from(short & 0x1f)),
        0xd9 => (at + 2, number(bytes, at + 1, 1)?),
        0xda => (at + 3, number(bytes, at + 1, 2)?),
        0xdb => (at + 5, number(bytes, at + 1, 4)?),
        _ => return None,
    };
    let end = from.checked_add(len)?;
    Some((bytes.get(from..end)?, end))
}

/// A big-endian number of at most four bytes.
fn number(bytes: &[u8], at: usize, len: usize) -> Option<usize> {
    let bytes = bytes.get(at..at + len)?;
    Some(
        bytes
            .iter()
            .fold(0, |sum, byte| sum << 8 | usize::from(*byte)),
    )
}

/// Where the value at a place ends. It was written here, so nothing is checked
/// but the length.
fn skip(bytes: &[u8], mut at: usize) -> Option<usize> {
    // Values still to be passed.
    let mut left = 1_usize;
    while left > 0 {
        left -= 1;
        let marker = *bytes.get(at)?;
        let sized =
            |len: usize, more: usize| number(bytes, at + 1, len).map(|n| 1 + len + more + n);
        let len = match marker {
            0x00..=0x7f | 0xc0..=0xc3 | 0xe0..=0xff => 1,
            0x80..=0x8f => {
                left = left.checked_add(2 * usize::from(marker & 15))?;
                1
            }
            0x90..=0x9f => {
                left = left.checked_add(usize::from(marker & 15))?;
                1
            }
            0xa0..=0xbf => 1 + usize::from(marker & 0x1f),
            0xcc | 0xd0 => 2,
            0xcd | 0xd1 => 3,
            0xca | 0xce | 0xd2 => 5,
            0xcb | 0xcf | 0xd3 => 9,
            0xc4 | 0xd9 => sized(1, 0)?,
            0xc5 | 0xda => sized(2, 0)?,
            0xc6 | 0xdb => sized(4, 0)?,
            0xc7 => sized(1, 1)?,
            0xc8 => sized(2, 1)?,
            0xc9 => sized(4, 1)?,
            0xd4..=0xd8 => 2 + (1 << (marker - 0xd4)),
            0xdc | 0xdd => {
                let len = if marker == 0xdc { 2 } else { 4 };
                left = left.checked_add(number(bytes, at + 1, len)?)?;
                1 + len
            }
            0xde | 0xdf => {
                let len = if marker == 0xde { 2 } else { 4 };
                left = left.checked_add(number(bytes, at + 1, len)?.checked_mul(2)?)?;
                1 + len
            }
        };
        at = at.checked_add(len)?;
    }
    Some(at)
}

#[cfg(test)]
mod tests {
    use mix_value::{Value, msgpack};

    use super::*;

    #[test]
    fn a_true_is_put_in_its_place() {
        let long = "x".repeat(70_000);
        let values = [
            Value::Null,
            Value::Int(-40_000),
            Value::Int(i64::MAX),
            Value::Float(0.5),
            Value::from("short"),
            Value::from(&*long),
            Value::binary(vec![7; 300]),
            Value::Ref(mix_value::Ref::new("p").expect("a ref")),
            Value::Ref(mix_value::Ref::new(&"q".repeat(32)).expect("a ref")),
            Value::Array((0..20).map(Value::Int).collect()),
            Value::map((0..20).map(|n| (format!("k{n}"), Value::Array(vec![Value::Bool(true)])))),
        ];
        for keys in [
            vec![],
            vec!["a"],
            vec!["z"],
            vec!["a", "b", "z"],
            vec!["M", "l", "n"],
        ] {
            for value in &values {
                let pairs = keys.iter().map(|key| (*key, value.clone()));
                let mut map = Value::map(pairs);
                let encoded = msgpack::encode(&map).expect("encodes");
                let changed = with_true(&encoded, "m").expect("is a map");
                if let Value::Map(map) = &mut map {
                    map.insert("m".into(), Value::Bool(true));
                }
                let expected = msgpack::encode(&map).expect("encodes");
                assert_eq!(*changed, *expected);
                // Several, with the place and without it.
                let place = gap(&encoded, "m").and_then(|gap| u16::try_from(gap.at).ok());
                let places = [place.unwrap_or(0), 0].map(|place| (&*encoded, place));
                let none = (&[0xc0][..], 0);
                let all = [places[0], none, places[1]].into_iter();
                let all: Vec<RowBytes> = all_with_true(all, "m").collect();
                assert_eq!(
                    all,
                    [expected.clone(), vec![0xc0], expected].map(RowBytes::from)
                );
            }
        }
        assert_eq!(with_true(&[0xc0], "m"), None);
        assert_eq!(with_true(&[0x81, 0xa1], "m"), None);
    }

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
