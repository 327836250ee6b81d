//! One change of a path at a time.

use std::collections::HashSet;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The paths that somebody is changing.
#[derive(Debug, Default)]
pub struct PathLocks {
    held: Mutex<HashSet<String>>,
    freed: Condvar,
}

/// Held paths, given back when dropped.
#[derive(Debug)]
pub struct Held {
    locks: Arc<PathLocks>,
    paths: Vec<String>,
}

impl PathLocks {
    /// Waits until nobody holds any of these paths, and holds them.
    pub fn hold<const N: usize>(self: &Arc<Self>, paths: [String; N]) -> Held {
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        // All at once, so that two who want the same ones never wait for each other.
        let is_taken = |held: &mut HashSet<String>| paths.iter().any(|path| held.contains(path));
        let held = self.freed.wait_while(held, is_taken);
        self.take(held.unwrap_or_else(PoisonError::into_inner), paths)
    }

    /// The same, for so long; `None`: somebody holds one of them still.
    pub fn hold_within<const N: usize>(
        self: &Arc<Self>,
        paths: [String; N],
        limit: Duration,
    ) -> Option<Held> {
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let is_taken = |held: &mut HashSet<String>| paths.iter().any(|path| held.contains(path));
        let held = self.freed.wait_timeout_while(held, limit, is_taken);
        let (held, waited) = held.unwrap_or_else(PoisonError::into_inner);
        (!waited.timed_out()).then(|| self.take(held, paths))
    }

    fn take<const N: usize>(
        self: &Arc<Self>,
        mut held: MutexGuard<'_, HashSet<String>>,
        paths: [String; N],
    ) -> Held {
        held.extend(paths.iter().cloned());
        Held {
            locks: self.clone(),
            paths: paths.into(),
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let mut held = self
            .locks
            .held
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        for path in &self.paths {
            held.remove(path);
        }
        self.locks.freed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU32, Ordering};

    #[test]
    fn nobody_waits_for_ever() {
        let locks = Arc::new(PathLocks::default());
        let first = locks.hold(["a".to_owned()]);
        let short = Duration::from_millis(20);
        let both = || ["a".to_owned(), "b".to_owned()];
        assert!(locks.hold_within(both(), short).is_none());
        assert!(locks.hold_within(["b".to_owned()], short).is_some());
        drop(first);
        assert!(locks.hold_within(both(), short).is_some());
    }

    #[test]
    fn a_path_is_changed_by_one_at_a_time() {
        let locks = Arc::new(PathLocks::default());
        let inside = AtomicU32::new(0);
        std::thread::scope(|scope| {
            for number in 0..8 {
                let (locks, inside) = (&locks, &inside);
                scope.spawn(move || {
                    for _ in 0..100 {
                        let _held = locks.hold(["a".to_owned(), format!("b{number}")]);
                        assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0);
                        inside.fetch_sub(1, Ordering::SeqCst);
                    }
                });
            }
        });
    }
}
