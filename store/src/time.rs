//! Times of records: milliseconds since 1970, their text, and the clock.

pub use mix_value::time::{format_time, parse_moment, parse_time};

use std::time::{SystemTime, UNIX_EPOCH};

/// The clock that stamps commits, replaceable in tests.
pub trait Clock: Send + Sync {
    /// Milliseconds since 1970 UTC.
    fn now(&self) -> i64;

    /// Waits.
    fn sleep(&self, milliseconds: u64);
}

/// The clock of the system.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> i64 {
        let since = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
    }

    fn sleep(&self, milliseconds: u64) {
        std::thread::sleep(std::time::Duration::from_millis(milliseconds));
    }
}
