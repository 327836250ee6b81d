//! The topics of a broker: who subscribes to them, what they retain, and what all of it takes.

use super::Message;
use super::followed::{Followed, KEPT, MOST_KEPT};
use super::rooms::{Held, Limits, Rooms};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Instant, SystemTime, UNIX_EPOCH};
use tokio::sync::mpsc;

/// Messages that wait for one subscriber.
pub const MOST_WAITING: usize = 1000;

/// Bytes that wait for one subscriber.
pub const MOST_WAITING_BYTES: usize = 8 << 20;

/// Topics with a subscriber, and topics with a retained value.
pub const MOST_TOPICS: usize = 100_000;

/// What all topics of the process may take; one workspace has at most such a part of it.
pub const OF_ALL: (Limits, usize) = (
    Limits {
        values: MOST_TOPICS,
        retained: 256 << 20,
        kept: 64 << 20,
        waiting: 256 << 20,
    },
    2,
);

/// What those may take that a run gets from a broker which it has mounted: all of it is its own.
pub const OF_RUN: (Limits, usize) = (
    Limits {
        values: MOST_TOPICS,
        retained: 16 << 20,
        kept: 0,
        waiting: 32 << 20,
    },
    1,
);

/// A message on its way to subscribers, with its room.
#[derive(Clone)]
pub struct Queued {
    pub message: Message,
    pub _held: Arc<Held>,
}

/// Somebody who wants the messages of a topic.
pub struct Subscriber {
    send: mpsc::Sender<Queued>,
    /// Bytes that wait for it.
    pub waiting_bytes: Arc<AtomicUsize>,
}

impl Subscriber {
    /// Nothing waits for it; where its messages come.
    pub fn new() -> (Subscriber, mpsc::Receiver<Queued>) {
        let (send, messages) = mpsc::channel(MOST_WAITING);
        let subscriber = Subscriber {
            send,
            waiting_bytes: Arc::default(),
        };
        (subscriber, messages)
    }

    /// False if it is gone, or too far behind.
    pub fn tell(&self, queued: Queued) -> bool {
        let bytes = queued.message.payload.len();
        let before = self.waiting_bytes.fetch_add(bytes, Ordering::AcqRel);
        before + bytes <= MOST_WAITING_BYTES && self.send.try_send(queued).is_ok()
    }
}

/// A topic that somebody uses.
#[derive(Default)]
pub struct Topic {
    pub retained: Option<Arc<str>>,
    pub subscribers: BTreeMap<u64, Subscriber>,
    pub followed: Option<Followed>,
}

impl Topic {
    /// Nobody uses it.
    pub fn is_idle(&self) -> bool {
        self.subscribers.is_empty() && self.retained.is_none() && self.followed.is_none()
    }
}

/// All topics.
pub struct Topics {
    pub by_path: HashMap<String, Topic>,
    pub rooms: Rooms,
    /// Number of the last subscription.
    pub next: u64,
    /// Id of the last message of all topics.
    pub last: u64,
    swept: Instant,
}

impl Default for Topics {
    fn default() -> Topics {
        Topics::within(OF_ALL)
    }
}

impl Topics {
    /// For what one run gets from somewhere else.
    pub fn of_run() -> Topics {
        Topics::within(OF_RUN)
    }

    fn within((limits, shares): (Limits, usize)) -> Topics {
        // Ids of an earlier process are smaller than any of this one: nobody has a million messages a second.
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        Topics {
            by_path: HashMap::new(),
            rooms: Rooms::new(limits, shares),
            next: 0,
            last: since.map_or(0, |since| since.as_millis() as u64 * 1000),
            swept: Instant::now(),
        }
    }

    /// Forgets topics that are kept only for readers who did not come back.
    pub fn sweep(&mut self, now: Instant) {
        if now.duration_since(self.swept) < KEPT / 10 {
            return;
        }
        self.swept = now;
        for (path, topic) in &mut self.by_path {
            if let Some(followed) = &mut topic.followed {
                let is_over = followed.is_over(now);
                let most = if is_over { 0 } else { MOST_KEPT };
                self.rooms.forget(path, followed.trim(now, most));
                if is_over {
                    topic.followed = None;
                }
            }
        }
        self.by_path.retain(|_, topic| !topic.is_idle());
        self.rooms.sweep();
    }

    /// Retains a value, in the place of another one of the topic; false: there is no room.
    pub fn retain(&mut self, path: &str, value: &Arc<str>) -> bool {
        let before = self.by_path.get(path);
        let before = before.and_then(|topic| topic.retained.as_ref());
        let before = before.map(|value| value.len());
        let fits = self.rooms.retain(path, before, value.len());
        if fits {
            let topic = self.by_path.entry(path.to_owned()).or_default();
            topic.retained = Some(value.clone());
        }
        fits
    }

    /// Deletes what is kept of the topics of a workspace, or of one of its apps.
    pub fn forget_place(&mut self, workspace: &str, app: Option<&str>) {
        let now = Instant::now();
        let all = self.by_path.iter_mut();
        for (path, topic) in all.filter(|(path, _)| is_of(path, workspace, app)) {
            if let Some(value) = topic.retained.take() {
                self.rooms.release(path, value.len());
            }
            if let Some(followed) = &mut topic.followed {
                self.rooms.forget(path, followed.trim(now, 0));
            }
        }
        self.by_path.retain(|_, topic| !topic.is_idle());
    }
}

/// Whether a topic is one of a workspace, or of one of its apps: `…/ws/WORKSPACE/app/APP/…`.
fn is_of(path: &str, workspace: &str, app: Option<&str>) -> bool {
    let mut parts = path.split('/').skip(4);
    parts.next() == Some(workspace)
        && app.is_none_or(|app| parts.next() == Some("app") && parts.next() == Some(app))
}
