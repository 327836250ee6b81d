//! What a run tells while it goes on, for whoever watches it.
//!
//! A watcher that is too slow holds up no run: what finds no room is left out, and the watcher is
//! told that something is missing.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use tokio::sync::mpsc;

/// Things that wait for a watcher.
const MOST_WAITING: usize = 1000;

/// Bytes of them together.
const MOST_BYTES: usize = 8 << 20;

/// Something that a run tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Told {
    /// A line of the log.
    Log(String),
    /// Actions for the client: an encoded array.
    Actions(Vec<u8>),
    /// Something before this was left out.
    Gap,
}

impl Told {
    fn bytes(&self) -> usize {
        match self {
            Told::Log(line) => line.len(),
            Told::Actions(actions) => actions.len(),
            Told::Gap => 0,
        }
    }
}

#[derive(Default)]
struct Behind {
    bytes: AtomicUsize,
    gap: AtomicBool,
}

/// Where a run tells it.
#[derive(Clone)]
pub struct Progress {
    send: mpsc::Sender<Told>,
    behind: Arc<Behind>,
}

/// Where it arrives.
pub struct Watch {
    told: mpsc::Receiver<Told>,
    behind: Arc<Behind>,
    /// What comes after the gap.
    next: Option<Told>,
}

/// Both ends.
pub fn progress() -> (Progress, Watch) {
    let (send, told) = mpsc::channel(MOST_WAITING);
    let behind = Arc::new(Behind::default());
    let watch = Watch {
        told,
        behind: behind.clone(),
        next: None,
    };
    (Progress { send, behind }, watch)
}

impl Progress {
    /// Tells it, or leaves it out.
    pub fn tell(&self, told: Told) {
        let bytes = told.bytes();
        let before = self.behind.bytes.fetch_add(bytes, Ordering::AcqRel);
        let fits = before + bytes <= MOST_BYTES;
        if !fits || self.send.try_send(told).is_err() {
            self.behind.bytes.fetch_sub(bytes, Ordering::AcqRel);
            self.behind.gap.store(true, Ordering::Release);
        }
    }

    /// Returns when nobody watches any more.
    pub async fn unwatched(&self) {
        self.send.closed().await;
    }
}

impl Watch {
    /// The next thing; `None` when the run is over.
    pub async fn next(&mut self) -> Option<Told> {
        if let Some(next) = self.next.take() {
            return Some(next);
        }
        let told = self.told.recv().await;
        self.taken(told)
    }

    /// The next thing that is there already.
    pub fn ready(&mut self) -> Option<Told> {
        if let Some(next) = self.next.take() {
            return Some(next);
        }
        let told = self.told.try_recv().ok();
        self.taken(told)
    }

    fn taken(&mut self, told: Option<Told>) -> Option<Told> {
        let bytes = told.as_ref().map_or(0, Told::bytes);
        self.behind.bytes.fetch_sub(bytes, Ordering::AcqRel);
        if self.behind.gap.swap(false, Ordering::AcqRel) {
            self.next = told;
            return Some(Told::Gap);
        }
        told
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_finds_no_room_is_a_gap() {
        let (progress, mut watch) = progress();
        progress.tell(Told::Log("first".to_owned()));
        progress.tell(Told::Log("x".repeat(MOST_BYTES)));
        assert_eq!(watch.next().await, Some(Told::Gap));
        assert_eq!(watch.next().await, Some(Told::Log("first".to_owned())));
        for _ in 0..=MOST_WAITING {
            progress.tell(Told::Actions(vec![0x90]));
        }
        drop(progress);
        let mut count = 0;
        while let Some(told) = watch.next().await {
            count += usize::from(told != Told::Gap);
        }
        assert_eq!(count, MOST_WAITING);
    }
}
