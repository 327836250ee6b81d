//! Answers made of stored bytes.

use mix_plugin_sdk::mix_value::msgpack::Writer;
use mix_plugin_sdk::{Encoded, Failure, IntoValue, Value};
use mix_store::Record;

/// A record, or null.
pub(crate) fn record_or_null(record: Option<Record>) -> Result<Encoded, Failure> {
    match record {
        Some(record) => Ok(Encoded(record.encoded().to_vec())),
        None => Value::Null.encode(),
    }
}

/// An array of encoded values.
pub(crate) fn array<'a>(
    items: impl ExactSizeIterator<Item = &'a [u8]> + Clone,
) -> Result<Encoded, Failure> {
    let mut rows = Rows::with_room(items.clone().map(<[u8]>::len).sum(), items.len());
    items.for_each(|item| rows.push(item));
    rows.into_array()
}

/// Encoded values, one behind the other. Each is copied once: what is left of the block in which
/// a record was read is not kept.
#[derive(Debug)]
pub(crate) struct Rows {
    /// Begins with room for the beginning of an array.
    bytes: Vec<u8>,
    /// Where each value ends.
    ends: Vec<usize>,
}

/// Length of what an array of 16 to 65,535 values begins with.
const HEAD: usize = 3;

impl Rows {
    pub fn new() -> Rows {
        Rows::with_room(0, 0)
    }

    fn with_room(bytes: usize, count: usize) -> Rows {
        let mut head = Vec::with_capacity(HEAD + bytes);
        head.resize(HEAD, 0);
        Rows {
            bytes: head,
            ends: Vec::with_capacity(count),
        }
    }

    pub fn push(&mut self, value: &[u8]) {
        self.bytes.extend_from_slice(value);
        self.ends.push(self.bytes.len());
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// The bytes of all of them.
    pub fn size(&self) -> usize {
        self.bytes.len() - HEAD
    }

    /// One by one.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let starts = std::iter::once(HEAD).chain(self.ends.iter().copied());
        let places = starts.zip(self.ends.iter().copied());
        places.map(|(start, end)| &self.bytes[start..end])
    }

    /// All of them as one array.
    pub fn into_array(mut self) -> Result<Encoded, Failure> {
        let mut head = Vec::new();
        Writer::new(&mut head)
            .array(self.len())
            .map_err(|error| Failure::new("ERR_TOO_LARGE", error.to_string()))?;
        match head.len() {
            HEAD => self.bytes[..HEAD].copy_from_slice(&head),
            _ => drop(self.bytes.splice(..HEAD, head)),
        }
        Ok(Encoded(self.bytes))
    }
}

/// The encoded null.
pub(crate) const NULL: &[u8] = &[0xc0];
/// The encoded empty map.
pub(crate) const EMPTY: &[u8] = &[0x80];

/// The refs of records.
pub(crate) fn refs(records: &[Record]) -> Result<Vec<Value>, Failure> {
    records
        .iter()
        .map(|record| {
            record
                .id()
                .map(Value::Ref)
                .map_err(crate::failures::failure)
        })
        .collect()
}

/// The records themselves.
pub(crate) fn records(records: &[Record]) -> Result<Encoded, Failure> {
    array(records.iter().map(|record| &**record.encoded()))
}

#[cfg(test)]
mod tests {
    use mix_plugin_sdk::mix_value::msgpack;

    use super::*;

    #[test]
    fn rows_are_an_array_of_any_length() {
        for count in [0, 1, 15, 16, 300, 65_535, 65_536] {
            let values: Vec<Value> = (0..count).map(Value::Int).collect();
            let mut rows = Rows::new();
            for value in &values {
                rows.push(&msgpack::encode(value).unwrap());
            }
            assert_eq!(rows.len(), values.len());
            let each: Vec<Value> = rows
                .iter()
                .map(|row| msgpack::decode(row).unwrap())
                .collect();
            assert_eq!(each, values);
            let size = rows.size();
            let Encoded(array) = rows.into_array().unwrap();
            let expected = msgpack::encode(&Value::Array(values)).unwrap();
            assert_eq!(array, expected);
            assert!(array.len() > size);
        }
    }
}
