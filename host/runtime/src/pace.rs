//! Which functions of an instance may begin on the thread of their caller.
//!
//! To hand a function to another thread and to be woken by it takes longer than most functions
//! do. So the first steps of a function are made by its caller ([`crate::instance`]), and only what
//! waits goes on in a task of its own. But some functions keep their thread: they compute for
//! long, or wait for the disk where the instance may do so. Nobody says which these are; it
//! shows when they run. One that has taken long goes to the other thread at once for some time.

use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

/// First steps that take longer keep others waiting.
const LONG: Duration = Duration::from_millis(1);

/// Calls for which a function that took long is not tried again.
const SKIPPED: u8 = 60;

/// The experience with each function of an instance.
pub struct Pace {
    /// Calls for which a function is not tried.
    skipped: Vec<AtomicU8>,
}

impl Pace {
    /// Nothing is known of the functions yet. `careful`: the first call of each is not tried,
    /// because it may have to open something.
    pub fn new(functions: usize, careful: bool) -> Pace {
        Pace {
            skipped: (0..functions)
                .map(|_| AtomicU8::new(u8::from(careful)))
                .collect(),
        }
    }

    /// True if the next call of the function may begin on the thread of its caller.
    pub fn may_begin_here(&self, function: u32) -> bool {
        // An unknown function is refused by the plugin at once.
        let Some(skipped) = self.skipped.get(function as usize) else {
            return true;
        };
        // Two callers at a time may count as one.
        match skipped.load(Ordering::Relaxed) {
            0 => true,
            left => {
                skipped.store(left - 1, Ordering::Relaxed);
                false
            }
        }
    }

    /// Notes how long the caller was kept by the first steps of a function.
    pub fn note(&self, function: u32, taken: Duration) {
        if taken >= LONG
            && let Some(skipped) = self.skipped.get(function as usize)
        {
            skipped.store(SKIPPED, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_took_long_is_not_tried_for_some_time() {
        let pace = Pace::new(2, false);
        assert!(pace.may_begin_here(0));
        pace.note(0, LONG / 2);
        assert!(pace.may_begin_here(0));
        pace.note(0, LONG);
        for _ in 0..SKIPPED {
            assert!(!pace.may_begin_here(0));
            assert!(pace.may_begin_here(1));
        }
        assert!(pace.may_begin_here(0));
        pace.note(7, LONG);
        assert!(pace.may_begin_here(7));
    }

    #[test]
    fn a_careful_instance_is_not_tried_at_first() {
        let pace = Pace::new(1, true);
        assert!(!pace.may_begin_here(0));
        assert!(pace.may_begin_here(0));
    }
}
