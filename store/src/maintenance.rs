//! Work on the files as a whole: compaction, pruning, purging.

use std::sync::PoisonError;

use mix_value::Ref;
use roaring::RoaringBitmap;

use crate::database::Database;
use crate::disk::{Disk, NewFlags, Selection, select};
use crate::error::{Result, StoreError};
use crate::ids::id_of;
use crate::options::{Rewriting, Rewritten};
use crate::raw;
use crate::view::View;

/// Unknown ids that an error names.
const MOST_TOLD: usize = 5;

/// How often a rewriting is begun again because of what was committed meanwhile.
const ATTEMPTS: usize = 3;

impl Database {
    /// Rewrites the files with the live current versions only, or with all
    /// versions, or with tombstones too. Readers go on with what they have.
    pub fn compact(&self, keep_history: bool, keep_deleted: bool) -> Result<Rewritten> {
        self.rewrite(&Rewriting::Compact {
            keep_history,
            keep_deleted,
        })
    }

    /// Removes superseded rows and tombstones from before a time, in milliseconds since 1970.
    pub fn prune(&self, before: i64) -> Result<Rewritten> {
        self.rewrite(&Rewriting::Prune { before })
    }

    /// Removes every version and tombstone of records, for good. If one of them
    /// was never there, [`StoreError::NotFound`], and nothing is removed.
    pub fn purge(&self, ids: &[Ref]) -> Result<Rewritten> {
        self.rewrite(&Rewriting::Purge { ids: ids.to_vec() })
    }

    /// Removes all index segments and builds them anew from the records.
    pub fn reindex(&self) -> Result<()> {
        self.turn("reindexing", |disk, table| disk.reindex(table))
    }

    /// Rewrites the files as a new generation. Most of it happens beside
    /// readers and writers; writers wait for the end of it.
    pub fn rewrite(&self, what: &Rewriting) -> Result<Rewritten> {
        let _only = match self.shared.maintenance.try_lock() {
            Ok(guard) => guard,
            Err(std::sync::TryLockError::Poisoned(poisoned)) => PoisonError::into_inner(poisoned),
            Err(std::sync::TryLockError::WouldBlock) => {
                return Err(StoreError::Locked {
                    holder: "another compaction of this program".into(),
                });
            }
        };
        if let Rewriting::Purge { ids } = what {
            let view = self.view();
            // Nothing is removed by halves because of a slip of the pen.
            check_known(&view, ids)?;
            if ids.is_empty() {
                let stat = view.stat()?;
                return Ok(Rewritten {
                    rows_before: stat.rows,
                    rows_after: stat.rows,
                    bytes_before: stat.bytes,
                    bytes_after: stat.bytes,
                    watermark: view.watermark(),
                });
            }
        }
        for _ in 0..ATTEMPTS {
            if let Some(done) = self.try_rewrite(what)? {
                return Ok(done);
            }
        }
        Err(StoreError::Busy)
    }

    /// None: what was committed meanwhile needs something that was dropped.
    fn try_rewrite(&self, what: &Rewriting) -> Result<Option<Rewritten>> {
        let app = self.turn("compaction", |disk, table| {
            let app = disk.exchangeable()?;
            disk.checkpoint(table)?;
            Ok(app)
        })?;
        let view = self.view();
        let Selection {
            mut kept,
            dropped_blobs,
        } = select(&view, what)?;
        let mut next = Disk::begin_rewrite(&*app)?;
        for row in &kept {
            next.push(&view.stored(row)?)?;
        }
        next.sync()?;
        let before = view.stat()?;
        let done = self.turn("compaction", |disk, table| {
            disk.checkpoint(table)?;
            let now = View::new(
                table.clone(),
                disk.generation().unwrap_or_default(),
                disk.previous(),
            );
            if now.generation() != view.generation() {
                return Ok(None);
            }
            // Rows that came meanwhile.
            for row in view.bound()..now.bound() {
                let body = now.stored(row)?;
                if is_purged(&now, row, what)? {
                    continue;
                }
                let mut needs_dropped = false;
                let walked = raw::each_ref(&body, |text| {
                    needs_dropped |= id_of(text).is_some_and(|id| dropped_blobs.contains(&id));
                });
                if walked.is_none() || needs_dropped {
                    return Ok(None);
                }
                next.push(&body)?;
                kept.insert(row);
            }
            let flags = new_flags(&now, &kept)?;
            let (rows, bytes) = (next.rows(), next.dat_len());
            disk.exchange(table, next, kept, flags)?;
            Ok(Some((rows, bytes)))
        })?;
        Ok(done.map(|(rows, bytes)| Rewritten {
            rows_before: before.rows,
            rows_after: u64::from(rows),
            bytes_before: before.bytes,
            bytes_after: bytes,
            watermark: self.watermark(),
        }))
    }
}

/// That each of the ids is that of a record, deleted or not.
fn check_known(view: &View, ids: &[Ref]) -> Result<()> {
    let mut missing: Vec<&str> = Vec::new();
    for id in ids {
        if view.versions(id.as_str())?.is_empty() {
            missing.push(id.as_str());
        }
    }
    match missing.len() {
        0 => Ok(()),
        1..=MOST_TOLD => Err(StoreError::NotFound(missing.join(", "))),
        many => Err(StoreError::NotFound(format!(
            "{} and {} others",
            missing[..MOST_TOLD].join(", "),
            many - MOST_TOLD
        ))),
    }
}

fn is_purged(view: &View, row: u32, what: &Rewriting) -> Result<bool> {
    let Rewriting::Purge { ids } = what else {
        return Ok(false);
    };
    let id = view.record(row)?.id()?;
    Ok(ids.contains(&id))
}

/// Flags of the kept rows, if some were set by hand: those do not follow from the rows.
pub(crate) fn new_flags(view: &View, kept: &RoaringBitmap) -> Result<NewFlags> {
    if !view.has_overrides() {
        return Ok(None);
    }
    let rows = |deleted: bool, superseded: bool| -> Result<RoaringBitmap> {
        let view = view.clone().including(deleted, superseded);
        Ok(view.rows(0, usize::MAX)?.into_iter().collect())
    };
    let (current, living) = (rows(true, false)?, rows(false, true)?);
    let (mut superseded, mut deleted) = (RoaringBitmap::new(), RoaringBitmap::new());
    for (new, old) in kept.iter().enumerate() {
        // Rows are numbered in u32.
        let new = new as u32;
        if !current.contains(old) {
            superseded.insert(new);
        }
        if !living.contains(old) {
            deleted.insert(new);
        }
    }
    Ok(Some((superseded, deleted)))
}
