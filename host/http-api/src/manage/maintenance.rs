//! `POST modify`: work on the records of an app as a whole.

use super::Job;
use crate::body::{object, refuse_unknown, take_text};
use crate::error::ApiError;
use crate::head::Head;
use mix_value::{Map, Ref, Value};

/// Most rows or ids of one request.
const MAX_ITEMS: usize = 100_000;

/// Work on the records of an app as a whole.
#[derive(Debug, Clone, PartialEq)]
pub enum Maintenance {
    /// Sets or clears the flags of rows.
    SetFlags {
        /// The rows.
        rows: Vec<u32>,
        /// What the flag shall be.
        superseded: Option<bool>,
        /// What the flag shall be.
        deleted: Option<bool>,
    },
    /// Removes every version of records.
    Purge(Vec<Ref>),
    /// Removes what was superseded before a time or watermark.
    Prune(Value),
    /// Rewrites the files.
    Compact {
        /// All versions.
        keep_history: bool,
        /// Tombstones.
        keep_deleted: bool,
    },
    /// Builds the indexes anew.
    Reindex,
    /// Makes everything durable.
    Flush,
}

pub(super) fn modify(head: &Head, body: &[u8]) -> Result<Job, ApiError> {
    let mut members = object(head, body)?;
    let op = take_text(&mut members, "op")?.unwrap_or_default();
    let known: &[&str] = match op.as_str() {
        "setFlags" => &["rows", "superseded", "deleted"],
        "purge" => &["ids"],
        "prune" => &["cutoff"],
        "compact" => &["keepHistory", "keepDeleted"],
        "reindex" | "flush" => &[],
        _ => {
            return Err(ApiError::bad_param(
                "op must be setFlags, purge, prune, compact, reindex or flush",
            ));
        }
    };
    refuse_unknown(&members, known)?;
    Ok(Job::Modify(match op.as_str() {
        "setFlags" => set_flags(&members)?,
        "purge" => Maintenance::Purge(ids(&members)?),
        "prune" => match members.remove("cutoff") {
            Some(cutoff @ (Value::String(_) | Value::Int(_))) => Maintenance::Prune(cutoff),
            _ => return Err(ApiError::bad_param("cutoff must be a time")),
        },
        "compact" => Maintenance::Compact {
            keep_history: flag(&members, "keepHistory")?.unwrap_or(false),
            keep_deleted: flag(&members, "keepDeleted")?.unwrap_or(false),
        },
        "reindex" => Maintenance::Reindex,
        _ => Maintenance::Flush,
    }))
}

fn set_flags(members: &Map) -> Result<Maintenance, ApiError> {
    let (superseded, deleted) = (flag(members, "superseded")?, flag(members, "deleted")?);
    if superseded.is_none() && deleted.is_none() {
        return Err(ApiError::bad_param("give superseded, deleted or both"));
    }
    Ok(Maintenance::SetFlags {
        rows: rows(members)?,
        superseded,
        deleted,
    })
}

fn flag(members: &Map, name: &str) -> Result<Option<bool>, ApiError> {
    match members.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Bool(flag)) => Ok(Some(*flag)),
        Some(_) => Err(ApiError::bad_param(format!("{name} must be true or false"))),
    }
}

fn list<'a>(members: &'a Map, name: &str) -> Result<&'a [Value], ApiError> {
    match members.get(name) {
        Some(Value::Array(items)) if items.len() <= MAX_ITEMS => Ok(items),
        _ => Err(ApiError::bad_param(format!(
            "{name} must be an array of at most {MAX_ITEMS} items"
        ))),
    }
}

fn rows(members: &Map) -> Result<Vec<u32>, ApiError> {
    let items = list(members, "rows")?.iter();
    items
        .map(|item| {
            let row = item.as_int().and_then(|row| u32::try_from(row).ok());
            row.ok_or_else(|| ApiError::bad_param("rows must be row numbers"))
        })
        .collect()
}

fn ids(members: &Map) -> Result<Vec<Ref>, ApiError> {
    let items = list(members, "ids")?.iter();
    items
        .map(|item| {
            let id = match item {
                Value::Ref(id) => Some(id.clone()),
                Value::String(text) => Ref::new(text).ok(),
                _ => None,
            };
            id.filter(Ref::is_well_formed)
                .ok_or_else(|| ApiError::new(400, "bad_id", "an id has 32 letters and digits"))
        })
        .collect()
}
