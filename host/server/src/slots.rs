//! Run slots and the queue before them.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// A bounded number of runs, a bounded number of waiting ones, a bounded wait.
pub struct Slots {
    free: Arc<Semaphore>,
    waiting: AtomicUsize,
    total: usize,
    queue: usize,
    wait: Duration,
}

impl Slots {
    /// `runs` at once, `queue` waiting, each for at most `wait`.
    pub fn new(runs: usize, queue: usize, wait: Duration) -> Slots {
        Slots {
            free: Arc::new(Semaphore::new(runs)),
            waiting: AtomicUsize::new(0),
            total: runs,
            queue,
            wait,
        }
    }

    /// Runs at once.
    pub fn total(&self) -> usize {
        self.total
    }

    /// Slots that are taken.
    pub fn taken(&self) -> usize {
        self.total.saturating_sub(self.free.available_permits())
    }

    /// Runs that wait for a slot.
    pub fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Acquire)
    }

    /// A slot, or `None` if the queue is full or the wait is over.
    pub async fn acquire(&self) -> Option<OwnedSemaphorePermit> {
        if let Ok(slot) = self.free.clone().try_acquire_owned() {
            return Some(slot);
        }
        let _place = Waiting::enter(&self.waiting, self.queue)?;
        tokio::time::timeout(self.wait, self.free.clone().acquire_owned())
            .await
            .ok()?
            .ok()
    }
}

/// A place in the queue, given back when the waiting ends, however it ends.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn enter(waiting: &'a AtomicUsize, limit: usize) -> Option<Waiting<'a>> {
        let place = Waiting(waiting);
        (waiting.fetch_add(1, Ordering::AcqRel) < limit).then_some(place)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_full_queue_refuses_and_a_long_wait_ends() {
        let slots = Slots::new(1, 1, Duration::from_millis(30));
        let first = slots.acquire().await.expect("a free slot");
        let (second, third) = tokio::join!(slots.acquire(), slots.acquire());
        assert!(second.is_none() && third.is_none());
        drop(first);
        assert!(slots.acquire().await.is_some());
        assert_eq!(slots.waiting.load(Ordering::Acquire), 0);
    }
}
