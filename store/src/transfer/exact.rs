//! Import that keeps ids, revisions, times and row order as they are given.

use mix_value::{Map, Value, msgpack};
use roaring::RoaringBitmap;

use crate::database::Database;
use crate::disk::{Chains, Disk};
use crate::error::{Result, StoreError};
use crate::fields;
use crate::ids::id_of;
use crate::prepare::clean_original;
use crate::time::parse_time;

/// Longest encoded record.
const MAX_RECORD: usize = 16 << 20;

impl Database {
    pub(super) fn import_exact(
        &self,
        records: impl Iterator<Item = Result<Value>>,
        progress: &mut dyn FnMut(u64),
    ) -> Result<u64> {
        let app = self.turn("an exact import", |disk, table| {
            if table.len() > 0 {
                return Err(StoreError::Exists(
                    "an exact import needs an empty database: a record".into(),
                ));
            }
            disk.exchangeable()
        })?;
        let mut next = Disk::begin_rewrite(&*app)?;
        let mut chains = Chains::default();
        let mut count: u64 = 0;
        for record in records {
            let index = usize::try_from(count).unwrap_or(usize::MAX);
            let body = exact(record?, next.rows()).map_err(|error| error.in_record(index))?;
            chains
                .check(next.rows(), &body)
                .map_err(|what| bad(what).in_record(index))?;
            next.push(&body)?;
            count += 1;
            progress(count);
        }
        if let Some((row, what)) = chains.finish().into_iter().next() {
            return Err(bad(what).in_record(row as usize));
        }
        self.turn("an exact import", |disk, table| {
            if table.len() > 0 {
                return Err(StoreError::Busy);
            }
            disk.checkpoint(table)?;
            disk.exchange(table, next, RoaringBitmap::new(), None)
        })?;
        Ok(count)
    }
}

/// Whether records could be imported as they are given.
pub(super) fn check_exact(records: impl Iterator<Item = Result<Value>>) -> Result<()> {
    let mut chains = Chains::default();
    for (row, record) in (0..).zip(records) {
        let index = row as usize;
        let body = exact(record?, row).map_err(|error| error.in_record(index))?;
        chains
            .check(row, &body)
            .map_err(|what| bad(what).in_record(index))?;
    }
    match chains.finish().into_iter().next() {
        Some((row, what)) => Err(bad(what).in_record(row as usize)),
        None => Ok(()),
    }
}

fn bad(reason: impl Into<String>) -> StoreError {
    StoreError::BadExact(reason.into())
}

/// The bytes of a record that is kept as it is.
fn exact(record: Value, row: u32) -> Result<Vec<u8>> {
    let kind = record.kind();
    let Value::Map(map) = record else {
        return Err(StoreError::BadRecord { kind });
    };
    // Nothing but what can be stored, and no undefined members.
    let mut map: Map = clean_original(map)?;
    map.remove(fields::SUPERSEDED);
    map.insert(fields::ROW.into(), Value::Int(i64::from(row)));
    for field in [fields::ID, fields::REV] {
        match map.get(field) {
            Some(Value::Ref(id)) if id_of(id.as_str()).is_some() => {}
            _ => {
                return Err(bad(format!(
                    "{field} must be a ref of 32 characters of [0-9A-Za-z]"
                )));
            }
        }
    }
    for field in [fields::CREATED_AT, fields::MODIFIED_AT] {
        if map
            .get(field)
            .and_then(Value::as_str)
            .and_then(parse_time)
            .is_none()
        {
            return Err(bad(format!("{field} must be a time")));
        }
    }
    for field in [fields::CREATED_BY, fields::MODIFIED_BY] {
        if map.get(field).and_then(Value::as_str).is_none() {
            return Err(bad(format!("{field} must be a string")));
        }
    }
    match map.get(fields::DELETED) {
        None => {}
        Some(Value::Bool(true)) => {
            if let Some(key) = map.keys().find(|key| !fields::is_engine_owned(key)) {
                return Err(bad(format!("a deleted record has no content, but {key:?}")));
            }
        }
        Some(_) => return Err(bad(format!("{} must be true or absent", fields::DELETED))),
    }
    let body = msgpack::encode(&Value::Map(map))
        .map_err(|error| StoreError::TooLarge(error.to_string()))?;
    if body.len() > MAX_RECORD {
        return Err(StoreError::TooLarge(format!(
            "a record has at most {MAX_RECORD} bytes"
        )));
    }
    Ok(body)
}
