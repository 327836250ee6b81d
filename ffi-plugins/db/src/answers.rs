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
    items: impl ExactSizeIterator<Item = &'a [u8]>,
) -> Result<Encoded, Failure> {
    let mut out = Vec::new();
    let mut writer = Writer::new(&mut out);
    writer
        .array(items.len())
        .map_err(|error| Failure::new("ERR_TOO_LARGE", error.to_string()))?;
    for item in items {
        writer.raw(item);
    }
    Ok(Encoded(out))
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
