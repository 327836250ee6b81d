//! Commits: one frame, one sync, one look at the fence.

use super::{Disk, read_header};
use crate::error::{Doing, Result, StoreError};
use crate::log::{Frame, FrameKind, log_name};
use crate::options::Sync;

/// How long a commit's fate is looked for after the lease was lost.
const DECIDE_WITHIN: i64 = 5_000;
const POLL: u64 = 20;

/// One commit, as it goes into the log.
pub(crate) struct Entry {
    pub kind: FrameKind,
    pub first_row: u32,
    pub count: u32,
    pub body: Vec<u8>,
}

impl Disk {
    /// Appends commits to the log, with one write and one sync for all of them.
    /// Gives how many are durable and will be kept: all, unless another writer
    /// took over in the middle. The caller then shows them to readers.
    pub fn commit(&mut self, entries: &[Entry]) -> Result<usize> {
        let Some(open) = &mut self.open else {
            return Err(StoreError::Failed("no turn is under way".into()));
        };
        let fence = open.header.fence;
        let before = open.sequence;
        let mut sequence = before;
        let mut bytes = Vec::new();
        for entry in entries {
            sequence += 1;
            let frame = Frame {
                kind: entry.kind,
                fence,
                sequence,
                durable: open.durable,
                first_row: u64::from(entry.first_row),
                count: entry.count,
                body: &entry.body,
            };
            bytes.reserve(frame.len());
            frame.encode_into(&mut bytes);
        }
        if let Err(error) = open.file.write_at(open.end, &bytes) {
            return Err(self.undo_write(fence, error));
        }
        let synced = || {
            open.file.sync()?;
            if open.named {
                return Ok(());
            }
            self.folder.sync()
        };
        if self.options.sync == Sync::Full
            && let Err(error) = synced()
        {
            let reason = format!("syncing the write log failed: {error}");
            self.poison(&reason);
            return Err(StoreError::CommitUnknown(reason));
        }
        open.named |= self.options.sync == Sync::Full;
        open.end += bytes.len() as u64;
        open.sequence = sequence;
        open.durable = sequence;
        match self.overtaken(fence) {
            Ok(false) => {
                self.last_commit = self.now();
                Ok(entries.len())
            }
            Ok(true) => {
                let sealed = self.decide(fence);
                // The next turn reads the files again, at the new fence.
                self.open = None;
                match sealed {
                    Ok(Some(sealed)) => {
                        let kept = sealed.saturating_sub(before);
                        Ok(usize::try_from(kept)
                            .map_or(entries.len(), |kept| kept.min(entries.len())))
                    }
                    Ok(None) => Err(StoreError::CommitUnknown("another writer took over".into())),
                    Err(error) => Err(StoreError::CommitUnknown(error.to_string())),
                }
            }
            Err(error) => {
                let reason = error.to_string();
                self.poison(&reason);
                Err(StoreError::CommitUnknown(reason))
            }
        }
    }

    /// After a failed write: the log as it was, or no more writing.
    fn undo_write(&mut self, fence: u64, error: std::io::Error) -> StoreError {
        let restored = match &self.open {
            Some(open) => open.file.set_len(open.end),
            None => Ok(()),
        };
        if let Err(second) = restored {
            let reason =
                format!("writing the log failed ({error}), and so did undoing it ({second})");
            self.poison(&reason);
            return StoreError::CommitUnknown(reason);
        }
        if !matches!(self.overtaken(fence), Ok(false)) {
            self.open = None;
            return StoreError::LeaseLost;
        }
        match Err::<(), _>(error).doing(|| "writing the write log".into()) {
            Err(error) => error,
            Ok(()) => StoreError::DiskFull,
        }
    }

    /// True if the fence was raised by another writer.
    pub(super) fn overtaken(&self, fence: u64) -> Result<bool> {
        Ok(self.log_exists(fence + 1)? || !self.log_exists(fence)?)
    }

    /// Finds out from the newest log up to which sequence it took over the
    /// commits of `fence`; none if that cannot be known in time.
    fn decide(&self, fence: u64) -> Result<Option<u64>> {
        let begun = self.now();
        loop {
            let newest = self.newest("write.log.")?;
            if newest > fence
                && let Some(sealed) = self.follow(newest, fence)?
                && self.newest("write.log.")? == newest
            {
                return Ok(Some(sealed));
            }
            if self.now().saturating_sub(begun) >= DECIDE_WITHIN {
                return Ok(None);
            }
            self.options.clock.sleep(POLL);
        }
    }

    /// Follows `previous` from the newest log down to `fence`; none while the newest is empty.
    fn follow(&self, newest: u64, fence: u64) -> Result<Option<u64>> {
        let mut at = newest;
        while at > fence {
            let name = log_name(at);
            let file = self
                .folder
                .open(&name, false)
                .doing(|| format!("opening {name}"))?;
            let Some(header) = read_header(&*file, at)? else {
                return Ok(None);
            };
            if header.previous == fence {
                return Ok(Some(header.seal));
            }
            at = header.previous;
        }
        // The newest log does not lead back to ours: nothing of it was taken over.
        Ok(Some(0))
    }
}
