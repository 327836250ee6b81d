//! Writing records into a file.

use std::io::Write;

use mix_value::{Value, escjson, msgpack};

use super::{Format, tags};
use crate::database::Database;
use crate::error::{Doing, Result, StoreError};
use crate::fields;
use crate::query::{Pipeline, QueryOptions};

/// What is exported.
#[derive(Debug, Clone, Default)]
pub struct ExportOptions {
    /// How it is written.
    pub format: Format,
    /// Only the results of a query.
    pub query: Option<Pipeline>,
    /// Superseded versions too.
    pub history: bool,
    /// Tombstones too.
    pub deleted: bool,
    /// User content only.
    pub bare: bool,
}

impl Database {
    /// Writes the records of this moment, in row order, and gives their number.
    /// `progress` hears how many are written so far.
    pub fn export(
        &self,
        out: &mut dyn Write,
        options: &ExportOptions,
        progress: &mut dyn FnMut(u64),
    ) -> Result<u64> {
        let view = self.view().including(options.deleted, options.history);
        if let Some(pipeline) = &options.query {
            let query_options = QueryOptions {
                include_deleted: options.deleted,
                include_superseded: options.history,
                ..QueryOptions::default()
            };
            // Results are bounded by the budget of a query, so they may be counted first.
            let mut values = Vec::new();
            for result in view.query(pipeline, &query_options)? {
                values.push(decoded(result?.into_value())?);
            }
            let count = values.len();
            return write_all(out, options, count, values.into_iter().map(Ok), progress);
        }
        let rows = view.rows(0, usize::MAX)?;
        let records = rows.iter().map(|row| view.record(*row)?.value());
        write_all(out, options, rows.len(), records, progress)
    }
}

fn decoded(value: std::result::Result<Value, msgpack::DecodeError>) -> Result<Value> {
    value.map_err(|error| StoreError::Corrupt(error.to_string()))
}

fn write_all(
    out: &mut dyn Write,
    options: &ExportOptions,
    count: usize,
    values: impl Iterator<Item = Result<Value>>,
    progress: &mut dyn FnMut(u64),
) -> Result<u64> {
    let doing = || "writing the export".to_owned();
    let mut bytes = Vec::new();
    match options.format {
        Format::Mp => msgpack::Writer::new(&mut bytes)
            .array(count)
            .map_err(|error| StoreError::TooLarge(error.to_string()))?,
        Format::Json => bytes.push(b'['),
        Format::Jsonl => {}
    }
    let mut written = 0;
    for value in values {
        let mut value = value?;
        if let (true, Value::Map(map)) = (options.bare, &mut value) {
            map.retain(|key, _| !fields::is_engine_owned(key));
        }
        match options.format {
            Format::Mp => {
                let encoded = msgpack::encode(&tags::write(value))
                    .map_err(|error| StoreError::TooLarge(error.to_string()))?;
                bytes.extend(encoded);
            }
            Format::Json | Format::Jsonl => {
                let text = escjson::format(&value).map_err(|error| StoreError::BadValue {
                    path: format!("result {written}"),
                    reason: error.to_string(),
                })?;
                if options.format == Format::Json {
                    bytes.extend_from_slice(if written == 0 { b"\n" } else { b",\n" });
                }
                bytes.extend(text.as_bytes());
                if options.format == Format::Jsonl {
                    bytes.push(b'\n');
                }
            }
        }
        out.write_all(&bytes).doing(doing)?;
        bytes.clear();
        written += 1;
        progress(written);
    }
    if options.format == Format::Json {
        bytes.extend_from_slice(b"\n]\n");
    }
    out.write_all(&bytes)
        .and_then(|()| out.flush())
        .doing(doing)?;
    Ok(written)
}
