//! What is kept of a topic for readers whose connection broke: so they go on where they were.

use super::Message;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Messages of a topic that are kept.
pub const MOST_KEPT: usize = 256;

/// How long they are kept, and the topic after its last reader.
pub const KEPT: Duration = Duration::from_secs(300);

/// The readers of a topic, and what they may have missed.
pub struct Followed {
    readers: usize,
    /// When the last reader left.
    left: Instant,
    kept: VecDeque<(Instant, Message)>,
    /// All messages after the one with this id are kept.
    after: u64,
    /// A message came: there is an id to come back with.
    is_told: bool,
}

impl Followed {
    /// Without readers yet; later messages than that one are kept.
    pub fn since(last: u64) -> Followed {
        Followed {
            readers: 0,
            left: Instant::now(),
            kept: VecDeque::new(),
            after: last,
            is_told: false,
        }
    }

    /// A reader comes.
    pub fn enter(&mut self) {
        self.readers += 1;
    }

    /// A reader leaves; false: nothing has to be kept for it. Anybody may follow topics that nobody has ever used.
    pub fn leave(&mut self) -> bool {
        self.readers -= 1;
        self.left = Instant::now();
        self.readers > 0 || self.is_told
    }

    /// Nobody came back in time.
    pub fn is_over(&self, now: Instant) -> bool {
        self.readers == 0 && now.duration_since(self.left) >= KEPT
    }

    /// Keeps a message, for which there is room.
    pub fn keep(&mut self, now: Instant, message: Message) {
        self.is_told = true;
        self.kept.push_back((now, message));
    }

    /// A message comes for which there is no room: what was kept is of no use any more. How many bytes that were.
    pub fn skip(&mut self, now: Instant, id: u64) -> usize {
        self.is_told = true;
        let bytes = self.trim(now, 0);
        self.after = id;
        bytes
    }

    /// What came after the message that a reader had last, the newest of all being that, and whether there may have been more.
    pub fn missed(&self, last: u64, newest: u64) -> (Vec<Message>, bool) {
        // An id that was never given says nothing about any message.
        if last > newest {
            return (Vec::new(), true);
        }
        // Of who was away for too long some are lost, and those that are left come after the gap.
        let kept = self.kept.iter().map(|(_, message)| message);
        let missed = kept.filter(|message| message.id > last).cloned().collect();
        (missed, last < self.after)
    }

    /// Drops what is too old or too much; how many bytes that were.
    pub fn trim(&mut self, now: Instant, most: usize) -> usize {
        let mut bytes = 0;
        while let Some((since, message)) = self.kept.front() {
            if self.kept.len() <= most && now.duration_since(*since) < KEPT {
                break;
            }
            self.after = message.id;
            bytes += message.payload.len();
            self.kept.pop_front();
        }
        bytes
    }
}
