//! Memory for request bodies, bounded over all requests together.

use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Bytes behind one permit: a semaphore counts at most 2^29 of them.
const UNIT: u64 = 1 << 10;

/// What all bodies together may take.
pub struct Bodies {
    free: Arc<Semaphore>,
    wait: Duration,
}

/// Memory set aside for one body, given back when dropped.
pub struct Reserved {
    pool: Arc<Semaphore>,
    permit: Option<OwnedSemaphorePermit>,
    bytes: u64,
}

impl Bodies {
    /// `total` bytes; a body waits for its share for at most `wait`.
    pub fn new(total: u64, wait: Duration) -> Bodies {
        let units = (total / UNIT).clamp(1, Semaphore::MAX_PERMITS as u64);
        Bodies {
            free: Arc::new(Semaphore::new(units as usize)),
            wait,
        }
    }

    /// Sets the announced length aside at once, so that bodies half read never wait for each other.
    /// `None`: other bodies hold the memory.
    pub async fn reserve(&self, announced: Option<u64>) -> Option<Reserved> {
        let mut reserved = Reserved {
            pool: self.free.clone(),
            permit: None,
            bytes: 0,
        };
        if let Some(bytes) = announced.filter(|bytes| *bytes > 0) {
            let waiting = self.free.clone().acquire_many_owned(units(bytes)?);
            let permit = tokio::time::timeout(self.wait, waiting).await.ok()?.ok()?;
            reserved.permit = Some(permit);
            reserved.bytes = u64::from(units(bytes)?) * UNIT;
        }
        Some(reserved)
    }
}

impl Reserved {
    /// Makes room for a body that has grown to `length` bytes; false: there is none now.
    #[must_use]
    pub fn grow(&mut self, length: u64) -> bool {
        if length <= self.bytes {
            return true;
        }
        let Some(more) = units(length - self.bytes) else {
            return false;
        };
        let Ok(permit) = self.pool.clone().try_acquire_many_owned(more) else {
            return false;
        };
        self.bytes += u64::from(more) * UNIT;
        match &mut self.permit {
            Some(held) => held.merge(permit),
            None => self.permit = Some(permit),
        }
        true
    }
}

fn units(bytes: u64) -> Option<u32> {
    u32::try_from(bytes.div_ceil(UNIT)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn all_bodies_together_stay_below_the_total() {
        let bodies = Bodies::new(10 << 10, Duration::from_millis(20));
        let large = bodies.reserve(Some(8 << 10)).await.expect("room");
        assert!(bodies.reserve(Some(3 << 10)).await.is_none());
        let mut chunked = bodies.reserve(None).await.expect("nothing announced");
        assert!(chunked.grow(2 << 10));
        assert!(!chunked.grow((2 << 10) + 1));
        drop(large);
        assert!(chunked.grow(10 << 10));
    }

    #[tokio::test]
    async fn what_never_fits_is_refused() {
        let bodies = Bodies::new(1 << 10, Duration::from_millis(20));
        assert!(bodies.reserve(Some(u64::MAX)).await.is_none());
    }
}
