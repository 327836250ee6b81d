//! Which rows a compaction keeps.

use std::collections::HashSet;

use roaring::RoaringBitmap;

use crate::error::{Result, StoreError};
use crate::ids::{Id, id_of};
use crate::options::Rewriting;
use crate::query::{Pipeline, QueryOptions};
use crate::raw;
use crate::view::View;

/// Rows to keep, and what is gone with the others.
pub(crate) struct Selection {
    pub kept: RoaringBitmap,
    /// Ids and revisions of blob records that nothing kept refers to.
    pub dropped_blobs: HashSet<Id>,
}

/// Chooses the rows of a view to keep.
pub(crate) fn select(view: &View, what: &Rewriting) -> Result<Selection> {
    let rows = |deleted: bool, superseded: bool| -> Result<RoaringBitmap> {
        let view = view.clone().including(deleted, superseded);
        Ok(view.rows(0, usize::MAX)?.into_iter().collect())
    };
    let mut kept = match what {
        Rewriting::Compact {
            keep_history: true, ..
        } => rows(true, true)?,
        Rewriting::Compact { keep_deleted, .. } => rows(*keep_deleted, false)?,
        Rewriting::Prune { before } => {
            let old = view.rows_before(*before)?;
            let mut kept = rows(false, false)?;
            kept.insert_range(old..view.bound());
            kept
        }
        Rewriting::Purge { ids } => {
            let mut kept = rows(true, true)?;
            for id in ids {
                for row in view.versions(id.as_str())? {
                    kept.remove(row);
                }
            }
            kept
        }
    };
    let mut dropped_blobs = HashSet::new();
    if !matches!(what, Rewriting::Prune { .. }) {
        drop_blobs(view, &mut kept, &mut dropped_blobs)?;
    }
    Ok(Selection {
        kept,
        dropped_blobs,
    })
}

/// Drops the blob records that no other kept row leads to.
fn drop_blobs(view: &View, kept: &mut RoaringBitmap, dropped: &mut HashSet<Id>) -> Result<()> {
    let mut blobs = Vec::new();
    for row in blob_rows(view)? {
        if kept.contains(row) {
            let record = view.record(row)?;
            let names = [record.id()?, record.rev()?];
            blobs.push((row, names.map(|name| id_of(name.as_str()))));
        }
    }
    if blobs.is_empty() {
        return Ok(());
    }
    let names: HashSet<Id> = blobs
        .iter()
        .flat_map(|(_, names)| *names)
        .flatten()
        .collect();
    let mut needed = HashSet::new();
    let note = |row: u32, needed: &mut HashSet<Id>| -> Result<()> {
        let body = view.stored(row)?;
        let own = blobs.binary_search_by_key(&row, |(row, _)| *row).ok();
        let own = own.map(|at| blobs[at].1);
        raw::each_ref(&body, |text| {
            let id = id_of(text).filter(|id| names.contains(id));
            // A record names itself, which keeps nothing alive.
            if let Some(id) = id.filter(|id| !own.is_some_and(|own| own.contains(&Some(*id)))) {
                needed.insert(id);
            }
        })
        .ok_or_else(|| StoreError::Corrupt(format!("row {row} is malformed")))
    };
    for row in kept.iter() {
        if blobs.binary_search_by_key(&row, |(row, _)| *row).is_err() {
            note(row, &mut needed)?;
        }
    }
    // What a needed blob refers to is needed as well.
    let mut left = blobs.clone();
    loop {
        let (found, rest): (Vec<_>, Vec<_>) = left
            .into_iter()
            .partition(|(_, names)| names.iter().flatten().any(|name| needed.contains(name)));
        left = rest;
        if found.is_empty() {
            break;
        }
        for (row, names) in found {
            // All versions of a needed blob stay.
            needed.extend(names[0]);
            note(row, &mut needed)?;
        }
    }
    for (row, names) in left {
        kept.remove(row);
        dropped.extend(names.iter().flatten());
    }
    Ok(())
}

/// All rows that are blob records, ascending.
fn blob_rows(view: &View) -> Result<Vec<u32>> {
    let pipeline = Pipeline::parse("_rmx_type == \"blob\" | ._rmx_row")?;
    let options = QueryOptions {
        include_deleted: true,
        include_superseded: true,
        ..QueryOptions::default()
    };
    let mut rows = Vec::new();
    for value in view.clone().query(&pipeline, &options)? {
        let row = value?.into_value().ok();
        let row = row.and_then(|row| u32::try_from(row.as_int()?).ok());
        rows.push(row.ok_or_else(|| StoreError::Corrupt("a blob without a row number".into()))?);
    }
    rows.sort_unstable();
    Ok(rows)
}
