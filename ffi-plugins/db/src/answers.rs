//! Answers made of stored bytes.

use mix_plugin_sdk::mix_value::msgpack::Writer;
use mix_plugin_sdk::{Failure, Outgoing, Value};
use mix_store::Record;

/// A record, or null.
pub(crate) fn record_or_null(record: Option<Record>) -> Outgoing {
    Outgoing::of(record.as_ref().map_or(NULL, |record| record.encoded()))
}

/// An array of encoded values.
pub(crate) fn array<'a>(
    items: impl ExactSizeIterator<Item = &'a [u8]> + Clone,
) -> Result<Outgoing, Failure> {
    let mut rows = Rows::with_room(HEAD, items.clone().map(<[u8]>::len).sum());
    items.for_each(|item| rows.push(item));
    rows.into_array()
}

/// Encoded values, one behind the other, with room for the beginning of an array before them.
/// Each is copied once: what is left of the block in which a record was read is not kept.
#[derive(Debug)]
pub(crate) struct Rows {
    bytes: Outgoing,
    /// Where the first value begins.
    head: usize,
    count: usize,
}

/// Length of what an array of 16 to 65,535 values begins with.
const HEAD: usize = 3;
/// Most bytes of a mark.
const MARK: usize = 5;

impl Rows {
    /// Rows of one array.
    pub fn new() -> Rows {
        Rows::with_room(HEAD, 0)
    }

    /// Rows of an answer in parts, probably with this mark before them and with so many bytes.
    pub fn behind(mark: Option<u32>, bytes: usize) -> Rows {
        Rows::with_room(HEAD + mark_bytes(mark).len(), bytes)
    }

    fn with_room(head: usize, bytes: usize) -> Rows {
        let mut room = Outgoing::with_room(head + bytes);
        // No longer than this is what it begins with.
        room.extend(&[0; HEAD + MARK][..head]);
        Rows {
            bytes: room,
            head,
            count: 0,
        }
    }

    pub fn push(&mut self, value: &[u8]) {
        self.bytes.extend(value);
        self.count += 1;
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.count
    }

    /// The bytes of all of them.
    pub fn size(&self) -> usize {
        self.bytes.len() - self.head
    }

    /// All of them as a part of an answer, behind the mark that the next part is asked with.
    pub fn into_part(self, mark: Option<u32>) -> Result<Outgoing, Failure> {
        let mut head = array_head(self.count + 1)?;
        head.extend_from_slice(&mark_bytes(mark));
        Ok(self.behind_head(head))
    }

    /// All of them as one array.
    pub fn into_array(self) -> Result<Outgoing, Failure> {
        let head = array_head(self.count)?;
        Ok(self.behind_head(head))
    }

    fn behind_head(mut self, head: Vec<u8>) -> Outgoing {
        if head.len() == self.head {
            self.bytes[..self.head].copy_from_slice(&head);
            return self.bytes;
        }
        let mut moved = Outgoing::with_room(head.len() + self.size());
        moved.extend(&head);
        moved.extend(&self.bytes[self.head..]);
        moved
    }
}

fn array_head(count: usize) -> Result<Vec<u8>, Failure> {
    let mut head = Vec::with_capacity(16);
    Writer::new(&mut head)
        .array(count)
        .map_err(|error| Failure::new("ERR_TOO_LARGE", error.to_string()))?;
    Ok(head)
}

/// A mark, or null.
fn mark_bytes(mark: Option<u32>) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(8);
    let mut writer = Writer::new(&mut bytes);
    match mark {
        Some(mark) => writer.int(mark.into()),
        None => writer.null(),
    }
    bytes
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

/// The records themselves, and an empty map in the place of each that was not there.
pub(crate) fn records_or_empty(records: &[Option<Record>]) -> Result<Outgoing, Failure> {
    array(
        records
            .iter()
            .map(|record| record.as_ref().map_or(EMPTY, |record| &**record.encoded())),
    )
}

/// The records themselves.
pub(crate) fn records(records: &[Record]) -> Result<Outgoing, Failure> {
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
            let rows = |mut rows: Rows| {
                for value in &values {
                    rows.push(&msgpack::encode(value).unwrap());
                }
                assert_eq!(rows.len(), values.len());
                rows
            };
            let array = rows(Rows::new());
            let size = array.size();
            let array = array.into_array().unwrap().into_bytes();
            let expected = msgpack::encode(&Value::Array(values.clone())).unwrap();
            assert_eq!(array, expected);
            assert!(array.len() > size);
            // The same as a part, whether its mark is the expected one or another.
            for mark in [None, Some(7), Some(70_000)] {
                for said in [None, Some(7)] {
                    let part = rows(Rows::behind(said, 100))
                        .into_part(mark)
                        .unwrap()
                        .into_bytes();
                    let mut items = values.clone();
                    items.insert(0, mark.map_or(Value::Null, |mark| Value::Int(mark.into())));
                    assert_eq!(part, msgpack::encode(&Value::Array(items)).unwrap());
                }
            }
        }
    }
}
