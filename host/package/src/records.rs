//! Records in entries: MessagePack arrays and EscJSON arrays.

use crate::error::{PackageError, Result};
use crate::limits::{MAX_JSON, MAX_MP};
use mix_store::transfer::{Format, Records};
use mix_store::{Database, OpenOptions, SaveOptions, StoreError};
use mix_value::escjson::{self, Duplicates, UndefinedMembers};
use mix_value::msgpack::{Reader, Token};
use mix_value::{MAX_DEPTH, Map, Value};
use std::io::Cursor;

/// Records that are checked together.
const BATCH: usize = 1_000;
/// Memory of such a check.
const CHECK_MEMORY: u64 = 512 << 20;

/// The records of a MessagePack array: strings that stand for refs are refs.
pub(crate) fn packed(entry: &str, bytes: Vec<u8>) -> Result<Vec<Map>> {
    let length = bytes.len();
    if length as u64 > MAX_MP {
        return Err(PackageError::corrupt(entry, "the entry is too large").limit(MAX_MP));
    }
    let mut records = Records::new(Format::Mp, Box::new(Cursor::new(bytes)))
        .map_err(|error| PackageError::corrupt(entry, error.to_string()).offset(0))?;
    let mut found = Vec::new();
    while let Some(record) = records.next() {
        let index = found.len() as u64;
        let record = record.map_err(|error| {
            PackageError::corrupt(entry, error.to_string())
                .index(index)
                .offset(records.offset().unwrap_or(0))
        })?;
        found.push(map(entry, index, record)?);
    }
    Ok(found)
}

/// The arrays of a MessagePack map from app names to records, still packed.
pub(crate) fn packed_by_app<'a>(entry: &str, bytes: &'a [u8]) -> Result<Vec<(String, &'a [u8])>> {
    let damaged = |error: mix_value::msgpack::DecodeError| {
        PackageError::corrupt(entry, error.kind.to_string()).offset(error.offset as u64)
    };
    let mut reader = Reader::new(bytes);
    let wrong = |offset: usize| {
        PackageError::corrupt(entry, "the entry is no map of app names").offset(offset as u64)
    };
    let Token::MapStart(count) = reader.next().map_err(damaged)? else {
        return Err(wrong(0));
    };
    let mut apps = Vec::new();
    for _ in 0..count {
        let Token::Key(name) = reader.next().map_err(damaged)? else {
            return Err(wrong(reader.position()));
        };
        apps.push((name.to_owned(), reader.raw_value().map_err(damaged)?));
    }
    reader.finish().map_err(damaged)?;
    Ok(apps)
}

/// The records of an EscJSON array.
pub(crate) fn listed(entry: &str, bytes: &[u8]) -> Result<Vec<Map>> {
    let Value::Array(items) = json(entry, bytes, escjson::Mode::Tagged, 1)? else {
        return Err(PackageError::corrupt(
            entry,
            "the entry is no array of records",
        ));
    };
    items
        .into_iter()
        .zip(0..)
        .map(|(item, index)| map(entry, index, item))
        .collect()
}

/// A JSON entry. `more`: levels that it has around its values.
pub(crate) fn json(entry: &str, bytes: &[u8], mode: escjson::Mode, more: usize) -> Result<Value> {
    if bytes.len() as u64 > MAX_JSON {
        return Err(PackageError::corrupt(entry, "the entry is too large").limit(MAX_JSON));
    }
    let text = std::str::from_utf8(bytes).map_err(|error| {
        PackageError::corrupt(entry, "the entry is not UTF-8").offset(error.valid_up_to() as u64)
    })?;
    let options = escjson::Options {
        mode,
        max_depth: MAX_DEPTH + more,
        duplicates: Duplicates::Refuse,
        undefined_members: UndefinedMembers::Keep,
    };
    escjson::parse_with(text, &options).map_err(|error| {
        PackageError::corrupt(entry, error.kind.to_string()).offset(error.offset as u64)
    })
}

fn map(entry: &str, index: u64, value: Value) -> Result<Map> {
    match value {
        Value::Map(record) => Ok(record),
        other => Err(bad(
            entry,
            index,
            format!("a record must be a map, not {}", other.kind()),
        )),
    }
}

fn bad(entry: &str, index: u64, message: String) -> PackageError {
    PackageError::new("bad_record", message)
        .at(entry)
        .index(index)
}

/// Checks the limits of records by saving them where nothing stays. Temporary refs to records
/// elsewhere in the package are left out: whoever saves them knows all of them.
pub(crate) fn check(entry: &str, records: &[Map]) -> Result<()> {
    for (number, batch) in records.chunks(BATCH).enumerate() {
        let first = (number * BATCH) as u64;
        let options = OpenOptions {
            memory_limit: CHECK_MEMORY,
            ..OpenOptions::default()
        };
        let database = Database::in_memory(options)
            .map_err(|error| PackageError::new("internal", error.to_string()))?;
        let values = batch.iter().cloned().map(without_temporary).collect();
        database
            .save(values, &SaveOptions::default())
            .map_err(|error| match error {
                StoreError::InRecord { index, source } => {
                    bad(entry, first + index as u64, source.to_string())
                }
                error => bad(entry, first, error.to_string()),
            })?;
    }
    Ok(())
}

fn without_temporary(record: Map) -> Value {
    fn clean(value: Value) -> Value {
        match value {
            Value::Ref(id) if !id.is_well_formed() => Value::Null,
            Value::Array(items) => Value::Array(items.into_iter().map(clean).collect()),
            Value::Map(members) => Value::Map(
                members
                    .into_iter()
                    .map(|(key, member)| (key, clean(member)))
                    .collect(),
            ),
            Value::Case(mut case) => {
                case.argument = case.argument.map(|inner| Box::new(clean(*inner)));
                Value::Case(case)
            }
            other => other,
        }
    }
    clean(Value::Map(record))
}

#[cfg(test)]
mod tests {
    use super::*;
    use mix_value::{Ref, msgpack};

    fn encoded(value: &Value) -> Vec<u8> {
        msgpack::encode(value).expect("encoded")
    }

    #[test]
    fn the_smallest_app_file() {
        let bytes = b"\x91\x82\xa9_rmx_type\xa3app\xa4name\xa4demo".to_vec();
        let records = packed("apps/demo.mp", bytes).expect("records");
        assert_eq!(records.len(), 1);
        assert_eq!(records[0].get("name"), Some(&Value::from("demo")));
    }

    #[test]
    fn strings_that_stand_for_refs_are_refs() {
        let value = Value::Array(vec![Value::map([
            ("a", Value::from("{ref}x")),
            ("b", Value::from("{str}{ref}x")),
            ("c", Value::from("{ref}")),
        ])]);
        let records = packed("x.mp", encoded(&value)).expect("records");
        assert_eq!(records[0]["a"], Value::Ref(Ref::new("x").expect("a ref")));
        assert_eq!(records[0]["b"], Value::from("{ref}x"));
        assert_eq!(records[0]["c"], Value::from("{ref}"));
    }

    #[test]
    fn damaged_messagepack_is_told() {
        for (bytes, offset) in [
            (&b""[..], 0),
            (b"\xc0", 0),
            (b"\xdd\xff\xff\xff\xff", 0),
            (b"\x91\xc1", 1),
            (b"\x91\x81\x01\x02", 2),
            (b"\x92\x80\x82\xa1a\x01\xa1a\x02", 6),
            (b"\x91\x81\xa1a\xa1\xff", 4),
            (b"\x91\x81\xa1a\xd4\x7f\x00", 4),
            (b"\x90\x00", 1),
        ] {
            let error = packed("x.mp", bytes.to_vec()).expect_err("damaged");
            assert_eq!(
                (error.code, error.offset),
                ("corrupt_entry", Some(offset)),
                "{bytes:?}"
            );
        }
        let error = packed("x.mp", b"\x91\x05".to_vec()).expect_err("no map");
        assert_eq!((error.code, error.index), ("bad_record", Some(0)));
        assert!(
            packed_by_app("records.mp", b"\x80")
                .expect("empty")
                .is_empty()
        );
        assert!(packed_by_app("records.mp", b"\x81\x01\x90").is_err());
    }

    #[test]
    fn damaged_json_is_told_with_its_place() {
        let error = listed("a.json", b"[{\"a\":1,\"a\":2}]").expect_err("twice");
        assert_eq!(
            (error.code, error.offset.is_some()),
            ("corrupt_entry", true)
        );
        let deep = "[".repeat(200) + &"]".repeat(200);
        assert_eq!(
            listed("a.json", deep.as_bytes()).expect_err("deep").code,
            "corrupt_entry"
        );
        assert_eq!(
            listed("a.json", b"[1]").expect_err("no map").code,
            "bad_record"
        );
        assert_eq!(
            listed("a.json", b"{}").expect_err("no array").code,
            "corrupt_entry"
        );
    }

    #[test]
    fn records_beyond_the_limits_are_told_by_index() {
        let good = listed("a.json", b"[{\"n\":1}]")
            .expect("a record")
            .remove(0);
        let mut long = good.clone();
        long.insert("k".repeat(2000).into(), Value::Null);
        let error = check("a.json", &[good.clone(), long]).expect_err("a long key");
        assert_eq!((error.code, error.index), ("bad_record", Some(1)));
        check("a.json", &[good]).expect("fine");
    }
}
