//! Time that the process has spent computing: what else the machine does counts little.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// A point of computing time.
#[derive(Clone, Copy)]
pub struct Start(Duration);

impl Start {
    /// Now.
    pub fn now() -> Self {
        let time = clock_gettime(ClockId::ProcessCPUTime);
        // A clock that counts from the start of the process is never negative.
        Self(Duration::new(
            time.tv_sec.unsigned_abs(),
            time.tv_nsec.unsigned_abs() as u32,
        ))
    }

    /// Computing time since then.
    pub fn elapsed(self) -> Duration {
        Self::now().0.saturating_sub(self.0)
    }
}
