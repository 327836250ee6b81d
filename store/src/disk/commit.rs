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
            return self.undo_write(before, entries.len(), error);
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
            return Err(self.fate_is_unknown(reason));
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
            Ok(true) => self.fate(fence, before, entries.len()),
            Err(error) => Err(self.fate_is_unknown(error.to_string())),
        }
    }

    /// After a failed write of `count` commits behind the sequence `before`: the
    /// log as it was, or no more writing.
    fn undo_write(&mut self, before: u64, count: usize, error: std::io::Error) -> Result<usize> {
        let Some(open) = &self.open else {
            return Err(StoreError::Failed("no turn is under way".into()));
        };
        let fence = open.header.fence;
        // Synced: else a power cut could bring back whole frames of what is reported as
        // not saved, or put them behind the next commit, which they would seem to follow.
        let restored = open.file.set_len(open.end).and_then(|()| open.file.sync());
        if let Err(second) = restored {
            let reason =
                format!("writing the log failed ({error}), and so did undoing it ({second})");
            return Err(self.fate_is_unknown(reason));
        }
        match self.overtaken(fence) {
            Ok(false) => Err(error).doing(|| "writing the write log".into()),
            // The other may have read whole frames before they were cut off.
            Ok(true) => self.fate(fence, before, count),
            Err(error) => Err(self.fate_is_unknown(error.to_string())),
        }
    }

    /// How many of `count` commits behind the sequence `before` another writer,
    /// who raised the fence meanwhile, took over. They stand; the others never will.
    fn fate(&mut self, fence: u64, before: u64, count: usize) -> Result<usize> {
        let sealed = self.decide(fence);
        // The next turn reads the files again, at the new fence.
        self.open = None;
        match sealed {
            Ok(Some(sealed)) => {
                let kept = sealed.saturating_sub(before);
                Ok(usize::try_from(kept).map_or(count, |kept| kept.min(count)))
            }
            Ok(None) => Err(StoreError::CommitUnknown("another writer took over".into())),
            Err(error) => Err(StoreError::CommitUnknown(error.to_string())),
        }
    }

    /// Stops writing after a failure that leaves it open whether a commit stands.
    fn fate_is_unknown(&mut self, reason: String) -> StoreError {
        self.poison(&reason);
        StoreError::CommitUnknown(reason)
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
