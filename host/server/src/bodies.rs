//! Memory for request bodies, bounded over all requests together.
//!
//! Clients may be slow, and hold what is set aside for their bodies as long as they are. So one workspace never has all of it, and
//! small bodies, which come soon or not at all, have memory of their own.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Bytes behind one permit: a semaphore counts at most 2^29 of them.
const UNIT: u64 = 1 << 10;

/// Longest of the small bodies: at the least speed they come within about a minute.
const SMALL: u64 = 64 << 10;

/// Small bodies of the greatest size that there is room for in any case.
const LEAST_SMALL: u64 = 64;

/// What all bodies together may take.
pub struct Bodies {
    pools: Arc<Pools>,
    wait: Duration,
}

struct Pools {
    small: Arc<Semaphore>,
    large: Arc<Semaphore>,
    /// What one workspace may have of the large ones, three quarters.
    share: usize,
    /// What is left of that to the workspaces that have any.
    shares: Mutex<HashMap<String, Arc<Semaphore>>>,
}

/// Memory set aside for one body, given back when dropped.
pub struct Reserved {
    pools: Arc<Pools>,
    workspace: String,
    /// One of the small pool; or one of the share of the workspace, and one of the large pool.
    permits: Vec<OwnedSemaphorePermit>,
    bytes: u64,
}

impl Drop for Reserved {
    fn drop(&mut self) {
        self.permits.clear();
        self.pools.forget(&self.workspace);
    }
}

impl Pools {
    fn share_of(&self, workspace: &str) -> Arc<Semaphore> {
        let mut shares = self.shares.lock().unwrap_or_else(PoisonError::into_inner);
        let new = || Arc::new(Semaphore::new(self.share));
        shares
            .entry(workspace.to_owned())
            .or_insert_with(new)
            .clone()
    }

    /// Names of workspaces come from callers: nothing stays that nobody uses.
    fn forget(&self, workspace: &str) {
        let mut shares = self.shares.lock().unwrap_or_else(PoisonError::into_inner);
        if shares
            .get(workspace)
            .is_some_and(|share| Arc::strong_count(share) == 1)
        {
            shares.remove(workspace);
        }
    }
}

impl Bodies {
    /// `total` bytes of large ones; a body waits for its share for at most `wait`.
    pub fn new(total: u64, wait: Duration) -> Bodies {
        let permits = |bytes: u64| (bytes / UNIT).clamp(1, Semaphore::MAX_PERMITS as u64) as usize;
        let large = permits(total);
        let small = permits((total / 8).max(LEAST_SMALL * SMALL));
        Bodies {
            pools: Arc::new(Pools {
                small: Arc::new(Semaphore::new(small)),
                large: Arc::new(Semaphore::new(large)),
                share: (large - large / 4).max(1),
                shares: Mutex::default(),
            }),
            wait,
        }
    }

    /// Sets the announced length aside at once, so that bodies half read never wait for each other.
    /// `None`: other bodies hold the memory.
    pub async fn reserve(&self, workspace: &str, announced: Option<u64>) -> Option<Reserved> {
        let mut reserved = Reserved {
            pools: self.pools.clone(),
            workspace: workspace.to_owned(),
            permits: Vec::new(),
            bytes: 0,
        };
        if let Some(bytes) = announced.filter(|bytes| *bytes > 0) {
            let count = units(bytes)?;
            // Whoever waits for the share of its workspace keeps nothing from others.
            for pool in reserved.pools_of(bytes) {
                let waiting = pool.acquire_many_owned(count);
                let permit = tokio::time::timeout(self.wait, waiting).await.ok()?.ok()?;
                reserved.permits.push(permit);
            }
            reserved.bytes = u64::from(count) * UNIT;
        }
        Some(reserved)
    }
}

impl Reserved {
    /// Where a body of that length has its memory from.
    fn pools_of(&self, length: u64) -> Vec<Arc<Semaphore>> {
        match length <= SMALL {
            true => vec![self.pools.small.clone()],
            false => vec![
                self.pools.share_of(&self.workspace),
                self.pools.large.clone(),
            ],
        }
    }

    /// Makes room for a body that has grown to `length` bytes; false: there is none now.
    #[must_use]
    pub fn grow(&mut self, length: u64) -> bool {
        if length <= self.bytes {
            return true;
        }
        let pools = self.pools_of(length);
        let is_same = self.permits.len() == pools.len();
        let held = if is_same { self.bytes } else { 0 };
        let Some(more) = units(length - held) else {
            return false;
        };
        let taken = pools
            .into_iter()
            .map(|pool| pool.try_acquire_many_owned(more));
        let Ok(taken) = taken.collect::<Result<Vec<_>, _>>() else {
            return false;
        };
        if is_same {
            for (held, more) in self.permits.iter_mut().zip(taken) {
                held.merge(more);
            }
        } else {
            self.permits = taken;
        }
        self.bytes = held + u64::from(more) * UNIT;
        true
    }
}

fn units(bytes: u64) -> Option<u32> {
    u32::try_from(bytes.div_ceil(UNIT)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    fn bodies(total: u64) -> Bodies {
        Bodies::new(total, Duration::from_millis(20))
    }

    #[tokio::test]
    async fn all_bodies_together_stay_below_the_total() {
        let bodies = bodies(10 * MIB);
        let first = bodies.reserve("one", Some(5 * MIB)).await.expect("room");
        let second = bodies.reserve("two", Some(3 * MIB)).await.expect("room");
        assert!(bodies.reserve("two", Some(3 * MIB)).await.is_none());
        let mut chunked = bodies.reserve("two", None).await.expect("none announced");
        assert!(chunked.grow(SMALL));
        assert!(chunked.grow(2 * MIB));
        assert!(!chunked.grow(2 * MIB + 1));
        drop((first, second));
        assert!(chunked.grow(7 * MIB));
        drop(chunked);
        assert!(bodies.pools.shares.lock().expect("no panic").is_empty());
    }

    #[tokio::test]
    async fn one_workspace_leaves_room_for_others() {
        let bodies = bodies(16 * MIB);
        let mut held = Vec::new();
        while let Some(body) = bodies.reserve("greedy", Some(MIB)).await {
            held.push(body);
        }
        assert_eq!(held.len(), 12);
        let mut chunked = bodies.reserve("greedy", None).await.expect("nothing yet");
        assert!(!chunked.grow(MIB));
        assert!(bodies.reserve("other", Some(4 * MIB)).await.is_some());
    }

    #[tokio::test]
    async fn small_bodies_do_not_wait_for_large_ones() {
        let bodies = bodies(16 * MIB);
        let _one = bodies.reserve("one", Some(12 * MIB)).await.expect("room");
        let _two = bodies.reserve("two", Some(4 * MIB)).await.expect("room");
        assert!(bodies.reserve("one", Some(MIB)).await.is_none());
        assert!(bodies.reserve("one", Some(SMALL)).await.is_some());
        let mut chunked = bodies.reserve("one", None).await.expect("nothing yet");
        assert!(chunked.grow(100));
        assert!(chunked.grow(SMALL));
        assert!(!chunked.grow(SMALL + 1));
    }

    #[tokio::test]
    async fn what_never_fits_is_refused() {
        assert!(bodies(MIB).reserve("one", Some(u64::MAX)).await.is_none());
        assert!(bodies(MIB).reserve("one", Some(2 * MIB)).await.is_none());
    }
}
