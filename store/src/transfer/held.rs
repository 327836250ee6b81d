//! Records that are gone through more than once, in their wire form: values would take ten times as much memory.

use mix_value::Value;
use mix_value::msgpack::{self, DecodeError, EncodeError, Reader};

use super::import::BATCH;
use crate::error::{Result, StoreError};

/// Records in memory.
#[derive(Debug, Default)]
pub struct Held {
    /// Of [`BATCH`] records each, but for the last one.
    batches: Vec<Vec<u8>>,
    count: usize,
}

/// Where reading stands: a batch, and an offset in its bytes.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Place {
    batch: usize,
    offset: usize,
}

impl Held {
    /// Records from anywhere.
    pub fn of(records: impl IntoIterator<Item = Result<Value>>) -> Result<Held> {
        let mut held = Held::default();
        for record in records {
            held.push(&record?)?;
        }
        Ok(held)
    }

    /// One more. After an error there is no use for the others.
    pub fn push(&mut self, record: &Value) -> Result<()> {
        if self.count.is_multiple_of(BATCH) {
            if let Some(full) = self.batches.last_mut() {
                full.shrink_to_fit();
            }
            self.batches.push(Vec::new());
        }
        let batch = self.batches.last_mut();
        let written = batch.map_or(Ok(()), |batch| msgpack::encode_into(batch, record));
        if let Err(error) = written {
            let error = match error {
                EncodeError::TooDeep => StoreError::TooDeep {
                    path: String::new(),
                },
                EncodeError::TooLarge => StoreError::TooLarge(error.to_string()),
            };
            return Err(error.in_record(self.count));
        }
        self.count += 1;
        Ok(())
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.count
    }

    /// True if there are none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The encoded records, one after the other, as far as they can be read.
    pub(super) fn encoded(&self) -> impl Iterator<Item = &[u8]> {
        self.batches.iter().flat_map(|bytes| {
            let mut offset = 0;
            std::iter::from_fn(move || {
                let mut reader = Reader::at(bytes, offset);
                let record = reader.raw_value().ok()?;
                offset = reader.position();
                Some(record)
            })
        })
    }

    /// One after the other.
    pub fn iter(&self) -> impl Iterator<Item = Result<Value>> + '_ {
        let mut place = Place::default();
        std::iter::from_fn(move || self.read(&mut place).transpose())
    }

    /// Some at a time, as they are saved.
    pub(super) fn batches(&self) -> impl Iterator<Item = Result<Vec<Value>>> + '_ {
        let mut records = self.iter().peekable();
        std::iter::from_fn(move || {
            records.peek()?;
            Some(records.by_ref().take(BATCH).collect())
        })
    }

    /// The record at a place, which moves behind it.
    pub(super) fn read(&self, place: &mut Place) -> Result<Option<Value>> {
        let Some(bytes) = self.batches.get(place.batch) else {
            return Ok(None);
        };
        let mut reader = Reader::at(bytes, place.offset);
        let record = msgpack::decode_next(&mut reader).map_err(unexpected)?;
        place.offset = reader.position();
        if place.offset == bytes.len() {
            *place = Place {
                batch: place.batch + 1,
                offset: 0,
            };
        }
        Ok(Some(record))
    }
}

/// What was encoded can be decoded.
fn unexpected(error: DecodeError) -> StoreError {
    StoreError::BadValue {
        path: String::new(),
        reason: format!("a record cannot be read again: {error}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_come_back_as_they_were() {
        let record = |number: i64| {
            Value::map([
                ("n", Value::Int(number)),
                ("none", Value::Undefined),
                ("list", Value::Array(vec![Value::Float(1.0), Value::Null])),
            ])
        };
        for count in [0, 1, 999, 1_000, 1_001, 2_500] {
            let records: Vec<Value> = (0..count).map(record).collect();
            let held = Held::of(records.iter().cloned().map(Ok)).expect("held");
            assert_eq!(held.len(), records.len());
            assert_eq!(held.is_empty(), records.is_empty());
            let all: Vec<Value> = held.iter().collect::<Result<_>>().expect("read");
            assert_eq!(all, records);
            let batches: Vec<Vec<Value>> = held.batches().collect::<Result<_>>().expect("read");
            assert!(batches.iter().map(Vec::as_slice).eq(records.chunks(BATCH)));
        }
    }

    #[test]
    fn what_has_no_wire_form_is_named() {
        let deep = (0..200).fold(Value::Null, |inner, _| Value::Array(vec![inner]));
        let error = Held::of([Ok(Value::Null), Ok(deep)]).expect_err("too deep");
        assert_eq!(error.code(), "too_deep");
        assert!(error.to_string().starts_with("record 1:"), "{error}");
    }
}
