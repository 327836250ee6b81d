//! Checkpoints: what is in the log moves into the data files.

use std::collections::BTreeMap;
use std::sync::Arc;

use roaring::RoaringBitmap;

use super::DataFiles;
use super::Disk;
use super::lease::Pulse;
use super::rewrite::flags_file;
use crate::data;
use crate::error::{Doing, Result, StoreError};
use crate::log::{HEADER_LEN, Header, log_name};
use crate::state::{State, state_name};
use crate::table::{StoredBody, Table};

pub(super) const FLAGS_HEADER: [u8; 4] = [0x4d, 0x58, 0x46, 0x02];
/// Rows are written in pieces of about this size.
const PIECE: usize = 1 << 20;
const LOG_BYTES: u64 = 4 << 20;
const LOG_ROWS: u32 = 10_000;
const IDLE: i64 = 30_000;
/// Files that were replaced stay this long for readers who are about to open them.
const KEEP_REPLACED: i64 = 10 * 60 * 1000;
/// Logs of lower fences stay this long for writers who were stopped.
const KEEP_LOGS: i64 = 24 * 60 * 60 * 1000;

impl Disk {
    /// True if the log has grown so long, or rests so long, that a checkpoint is due.
    pub fn wants_checkpoint(&self, table: &Table) -> bool {
        let Some(open) = &self.open else { return false };
        let rows = table.len().saturating_sub(open.state.rows);
        let idle =
            self.last_commit != i64::MIN && self.now().saturating_sub(self.last_commit) > IDLE;
        open.end > LOG_BYTES || rows >= LOG_ROWS || idle && open.end > HEADER_LEN as u64
    }

    /// Writes all acknowledged commits into the data files and starts the log anew.
    pub fn checkpoint(&mut self, table: &Arc<Table>) -> Result<()> {
        if self
            .open
            .as_ref()
            .is_some_and(|open| open.end <= HEADER_LEN as u64)
        {
            return Ok(());
        }
        self.forced_checkpoint(table)
    }

    /// A checkpoint even if the log is empty.
    pub(super) fn forced_checkpoint(&mut self, table: &Arc<Table>) -> Result<()> {
        let result = self.try_checkpoint(table);
        if result.is_err() {
            // Names or contents may not be on the disk; the next turn writes a log of its own.
            self.distrust();
        }
        result
    }

    /// Forgets the index segments, and writes new ones from the rows.
    pub fn reindex(&mut self, table: &mut Arc<Table>) -> Result<()> {
        self.checkpoint(table)?;
        let Some(open) = &self.open else {
            return Err(StoreError::LeaseLost);
        };
        let fence = open.header.fence;
        // A state of an older fence is not written again, so this one counts from now on.
        let state = State {
            fence,
            segments: Vec::new(),
            ..open.state.clone()
        };
        self.write_whole(&state_name(fence), &state.encode())?;
        for name in self.folder.list().doing(|| "listing the folder".into())? {
            if name.starts_with("idx-") && name.ends_with(".seg") {
                self.folder
                    .remove(&name)
                    .doing(|| format!("removing {name}"))?;
            }
        }
        self.open = None;
        self.catch_up_anew(fence, table)?;
        self.forced_checkpoint(table)?;
        // Other writers know the old segments, and nothing in the log tells them of new ones:
        // they read the files again at the next fence.
        self.distrust();
        Ok(())
    }

    fn try_checkpoint(&mut self, table: &Arc<Table>) -> Result<()> {
        let Some(open) = &self.open else {
            return Err(StoreError::Failed("no turn is under way".into()));
        };
        let (header, sequence, old_flags) = (open.header, open.sequence, open.state.flags.clone());
        let replaced_state = open.state.fence;
        let open_segments = open.state.segments.clone();
        let (first, rows) = table.unstored();
        write_rows(&open.data, first, &rows, &mut self.pulse())?;
        let flags = self.write_flags(table, sequence)?;
        let segments = table.extend_segments(Some(&*self.folder));
        self.warnings.extend(table.take_warnings());
        let state = State {
            fence: header.fence,
            generation: header.generation,
            rows: table.len(),
            dat_len: table.end(),
            sequence,
            time: table.last_time().max(0),
            flags: flags.clone(),
            segments: segments.clone(),
        };
        self.write_whole(&state_name(header.fence), &state.encode())?;
        let fresh = Header {
            base: sequence,
            ..header
        };
        self.write_whole(&log_name(header.fence), &fresh.encode())?;
        let name = log_name(header.fence);
        let file = self
            .folder
            .open(&name, true)
            .doing(|| format!("opening {name}"))?;
        if let Some(open) = &mut self.open {
            open.header = fresh;
            open.file = file;
            open.end = HEADER_LEN as u64;
            open.named = true;
            open.state = state;
        }
        table.set_stored(table.len());
        if old_flags != flags && !old_flags.is_empty() {
            self.superseded_files.push((old_flags, self.now()));
        }
        for name in open_segments {
            if !segments.contains(&name) {
                self.superseded_files.push((name, self.now()));
            }
        }
        if replaced_state < header.fence {
            self.superseded_files
                .push((state_name(replaced_state), self.now()));
            self.superseded_files
                .push((format!("LEASE.{replaced_state}"), self.now()));
        }
        if self.overtaken(header.fence)? {
            self.open = None;
            return Ok(());
        }
        self.clean_up(header.fence);
        Ok(())
    }

    /// Writes the flags file, if flags were set by hand; gives its name.
    fn write_flags(&self, table: &Table, sequence: u64) -> Result<String> {
        let overrides = table.overrides();
        if overrides.superseded.is_empty() && overrides.deleted.is_empty() {
            return Ok(String::new());
        }
        let flags = table.mended(|| table.flags(table.len()))?;
        let with = |derived: &RoaringBitmap, set_by_hand: &BTreeMap<u32, bool>| {
            let mut rows = derived.clone();
            for (row, set) in set_by_hand {
                if *set {
                    rows.insert(*row);
                } else {
                    rows.remove(*row);
                }
            }
            rows
        };
        let superseded = with(&flags.superseded, &overrides.superseded);
        let deleted = with(&flags.deleted, &overrides.deleted);
        let bytes = flags_file(&superseded, &deleted)?;
        let name = format!("flags-{sequence}.rbm");
        self.write_whole(&name, &bytes)?;
        Ok(name)
    }

    /// Notes what earlier writers left behind: files that the state does not name.
    fn note_leftovers(&mut self, fence: u64) {
        let Some(state) = self.open.as_ref().map(|open| &open.state) else {
            return;
        };
        if std::mem::replace(&mut self.leftovers_noted, true) {
            return;
        }
        let now = self.options.clock.now();
        // What cannot be seen or is not known to be old only stays longer.
        for name in self.folder.list().unwrap_or_default() {
            let below = |prefix: &str, limit: u64| {
                let number = name.strip_prefix(prefix).and_then(|k| k.parse().ok());
                number.is_some_and(|number: u64| number < limit)
            };
            let is_left = name.starts_with("tmp-")
                || name.starts_with("idx-") && !state.segments.contains(&name)
                || name.starts_with("flags-") && state.flags != name
                || below("db.state.", state.fence)
                || below("LEASE.", fence);
            let is_noted = || {
                self.superseded_files
                    .iter()
                    .any(|(noted, _)| *noted == name)
            };
            if is_left && !is_noted() {
                let changed = self.folder.modified(&name).ok().flatten();
                self.superseded_files
                    .push((name, changed.map_or(now, |changed| changed.min(now))));
            }
        }
    }

    /// Removes what nobody needs any longer. A failure is no harm: the files are only in the way.
    fn clean_up(&mut self, fence: u64) {
        self.note_leftovers(fence);
        let now = self.now();
        let folder = Arc::clone(&self.folder);
        let state = self.open.as_ref().map(|open| &open.state);
        self.superseded_files.retain(|(name, since)| {
            // A name may come back.
            if state.is_some_and(|state| state.segments.contains(name) || state.flags == *name) {
                return false;
            }
            if now.saturating_sub(*since) < KEEP_REPLACED {
                return true;
            }
            let _ = folder.remove(name);
            false
        });
        self.remove_old_logs(fence);
    }

    /// Removes logs of lower fences a day after the next one was announced. Lowest
    /// first and without a gap: a writer who was stopped finds the log above its own
    /// as long as it finds its own.
    fn remove_old_logs(&mut self, fence: u64) {
        let now = self.now();
        let logs = super::numbered(&*self.folder, "write.log.").unwrap_or_default();
        let next = logs.iter().skip(1);
        for (lower, next) in logs.iter().zip(next).filter(|(lower, _)| **lower < fence) {
            let seen = *self.old_logs.entry(*lower).or_insert(now);
            // The last change of the next log was not before it was announced.
            let changed = self.folder.modified(&log_name(*next)).ok().flatten();
            let since = changed.map_or(seen, |changed| changed.min(seen));
            let is_old = now.saturating_sub(since) >= KEEP_LOGS;
            if !is_old || self.folder.remove(&log_name(*lower)).is_err() {
                break;
            }
            self.old_logs.remove(lower);
        }
    }
}

/// Writes rows at their places in the three data files and syncs them.
fn write_rows(files: &DataFiles, first: u32, rows: &[StoredBody], pulse: &mut Pulse) -> Result<()> {
    let Some((start, _)) = rows.first() else {
        return Ok(());
    };
    let mut offset = start.start;
    let dat = &files.dat;
    let (mut off, mut crc) = (Vec::new(), Vec::new());
    let mut piece = Vec::new();
    for (index, (meta, body)) in rows.iter().enumerate() {
        off.extend(meta.start.to_le_bytes());
        crc.extend(meta.crc.to_le_bytes());
        data::write_row(&mut piece, body);
        if piece.len() >= PIECE || index + 1 == rows.len() {
            dat.write_at(offset, &piece)
                .doing(|| format!("writing {}", data::DAT))?;
            offset += piece.len() as u64;
            piece.clear();
            pulse.beat();
        }
    }
    dat.sync().doing(|| format!("syncing {}", data::DAT))?;
    pulse.beat();
    let first = u64::from(first);
    for (name, file, offset, bytes) in [
        (data::OFF, &files.off, 4 + 8 * first, off),
        (data::CRC, &files.crc, 4 + 4 * first, crc),
    ] {
        file.write_at(offset, &bytes)
            .doing(|| format!("writing {name}"))?;
        file.sync().doing(|| format!("syncing {name}"))?;
    }
    pulse.beat();
    Ok(())
}
