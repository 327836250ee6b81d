//! Commits: one frame, one sync, one look at the fence.

use super::{Disk, read_header};
use crate::error::{Doing, Result, StoreError};
use crate::log::{Frame, FrameKind, log_name};
use crate::options::Sync;

/// How long a commit's fate is looked for after the lease was lost.
const DECIDE_WITHIN: i64 = 5_000;
const POLL: u64 = 20;

/// How a commit ended that was overtaken by another writer.
enum Fate {
    Saved,
    Lost,
    Unknown,
}

impl Disk {
    /// Appends one commit to the log. It is durable and will be kept when this
    /// returns; the caller then shows it to readers.
    pub fn commit(
        &mut self,
        kind: FrameKind,
        first_row: u32,
        count: u32,
        body: &[u8],
    ) -> Result<()> {
        let Some(open) = &mut self.open else {
            return Err(StoreError::Failed("no turn is under way".into()));
        };
        let fence = open.header.fence;
        let sequence = open.sequence + 1;
        let frame = Frame {
            kind,
            fence,
            sequence,
            durable: open.durable,
            first_row: u64::from(first_row),
            count,
            body,
        };
        let mut bytes = Vec::with_capacity(frame.len());
        frame.encode_into(&mut bytes);
        if let Err(error) = open.file.write_at(open.end, &bytes) {
            return Err(self.undo_write(fence, error));
        }
        if self.options.sync == Sync::Full
            && let Err(error) = open.file.sync()
        {
            let reason = format!("syncing the write log failed: {error}");
            self.poison(&reason);
            return Err(StoreError::CommitUnknown(reason));
        }
        open.end += bytes.len() as u64;
        open.sequence = sequence;
        open.durable = sequence;
        match self.overtaken(fence) {
            Ok(false) => {
                self.last_commit = self.now();
                Ok(())
            }
            Ok(true) => {
                let fate = self.decide(fence, sequence);
                // The next turn reads the files again, at the new fence.
                self.open = None;
                match fate {
                    Ok(Fate::Saved) => Ok(()),
                    Ok(Fate::Lost) => Err(StoreError::LeaseLost),
                    Ok(Fate::Unknown) => {
                        Err(StoreError::CommitUnknown("another writer took over".into()))
                    }
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

    /// Finds out from the newest log whether it took over commit `sequence` of `fence`.
    fn decide(&self, fence: u64, sequence: u64) -> Result<Fate> {
        let begun = self.now();
        loop {
            let newest = self.newest("write.log.")?;
            if newest > fence
                && let Some(fate) = self.follow(newest, fence, sequence)?
                && self.newest("write.log.")? == newest
            {
                return Ok(fate);
            }
            if self.now().saturating_sub(begun) >= DECIDE_WITHIN {
                return Ok(Fate::Unknown);
            }
            self.options.clock.sleep(POLL);
        }
    }

    /// Follows `previous` from the newest log down to `fence`; none while the newest is empty.
    fn follow(&self, newest: u64, fence: u64, sequence: u64) -> Result<Option<Fate>> {
        let mut at = newest;
        while at > fence {
            let file = match self.folder.open(&log_name(at), false) {
                Ok(file) => file,
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                    return Ok(Some(Fate::Unknown));
                }
                Err(error) => return Err(error).doing(|| format!("opening {}", log_name(at))),
            };
            let Some(header) = read_header(&*file, at)? else {
                return Ok(None);
            };
            if header.previous == fence {
                return Ok(Some(if sequence <= header.seal {
                    Fate::Saved
                } else {
                    Fate::Lost
                }));
            }
            at = header.previous;
        }
        // The newest log does not lead back to ours.
        Ok(Some(Fate::Lost))
    }
}
