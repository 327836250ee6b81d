//! Looking, without the lease, whether somebody else wrote.
//!
//! A whole look opens the newest log and compares it with what is known. Where the folder tells
//! when a name in it was made or removed last, most looks are shorter: every writer makes
//! and removes its lease in each turn, so as long as that moment stays the same nobody wrote. Such
//! moments are coarse, and two changes soon after one another can have the same. So one
//! is believed only after a whole look that began a while after it was seen first.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::{Disk, read_header};
use crate::error::{Doing, Result};
use crate::log::log_name;

/// Further apart than two changes at moments that look the same.
const APART: Duration = Duration::from_millis(50);
/// The same where moments are whole seconds, or two.
const FAR_APART: Duration = Duration::from_millis(2_500);

/// What the folder told when nobody had written.
pub(super) struct Quiet {
    changed: SystemTime,
    first_seen: Instant,
    is_believed: bool,
}

impl Quiet {
    fn new(changed: SystemTime) -> Quiet {
        Quiet {
            changed,
            // After the moment was read: nothing that happens from now on is older.
            first_seen: Instant::now(),
            is_believed: false,
        }
    }

    /// How long after it was seen first a moment is believed.
    fn patience(&self) -> Duration {
        let since = self.changed.duration_since(UNIX_EPOCH);
        match since.is_ok_and(|since| since.subsec_nanos() != 0) {
            true => APART,
            false => FAR_APART,
        }
    }
}

impl Disk {
    /// Whether nobody wrote since the last turn, as far as a look without the
    /// lease can tell. A writer that stopped after a failure stays as it is.
    pub fn is_current(&mut self) -> bool {
        if self.open.is_none() {
            return self.failed.is_some() || self.is_as_glanced();
        }
        // Before the look, so that what happens meanwhile is seen by the next one.
        let changed = self.folder.changed().ok().flatten();
        let quiet = self
            .quiet
            .take()
            .filter(|quiet| Some(quiet.changed) == changed);
        if quiet.as_ref().is_some_and(|quiet| quiet.is_believed) {
            self.quiet = quiet;
            return true;
        }
        let begun = Instant::now();
        if !self.look().unwrap_or(false) {
            return false;
        }
        self.quiet = match (quiet, changed) {
            (Some(mut quiet), _) => {
                let age = begun.saturating_duration_since(quiet.first_seen);
                quiet.is_believed = age >= quiet.patience();
                Some(quiet)
            }
            (None, changed) => changed.map(Quiet::new),
        };
        true
    }

    /// The whole look.
    fn look(&self) -> Result<bool> {
        let Some(open) = &self.open else {
            return Ok(false);
        };
        let fence = open.header.fence;
        if self.log_exists(fence + 1)? {
            return Ok(false);
        }
        let name = log_name(fence);
        let file = self
            .folder
            .open(&name, false)
            .doing(|| format!("opening {name}"))?;
        let same = read_header(&*file, fence)? == Some(open.header);
        Ok(same && file.len().doing(|| format!("reading {name}"))? == open.end)
    }
}
