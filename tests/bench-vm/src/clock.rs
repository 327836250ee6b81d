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

/// Runs of one measurement, of which the fastest counts: three, and up to nine while they have taken less than two seconds.
pub struct Runs {
    start: Start,
    begun: u32,
}

impl Runs {
    /// The first of them begins now.
    pub fn new() -> Self {
        Self {
            start: Start::now(),
            begun: 0,
        }
    }
}

impl Iterator for Runs {
    type Item = ();

    fn next(&mut self) -> Option<()> {
        let is_quick = || self.start.elapsed() < Duration::from_secs(2);
        (self.begun < 3 || self.begun < 9 && is_quick()).then(|| self.begun += 1)
    }
}
