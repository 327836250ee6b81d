//! The message broker of this process: topics, their retained values, their subscribers.
//!
//! Nothing of it outlives the process. A subscriber that is too far behind is ended, so that a slow
//! one holds up nobody. Messages of topics that somebody follows from outside are kept for a while,
//! so that a reader whose connection broke goes on where it was ([`Broker::follow`]).

mod followed;
mod rooms;
mod topics;

#[cfg(test)]
mod tests;

use followed::Followed;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;
use tokio::sync::mpsc;
use topics::{Queued, Subscriber, Topics};

/// Longest payload.
pub const LONGEST_PAYLOAD: usize = 256 << 10;

/// Longest path.
pub const LONGEST_PATH: usize = 512;

/// What a subscriber gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Canonical EscJSON.
    pub payload: Arc<str>,
    /// True for the retained value of the topic.
    pub retained: bool,
    /// The session that published it; 0 for a value that was there before the subscription.
    pub publisher: u64,
    /// Later messages have greater ids; 0 for a value that was there before the subscription.
    pub id: u64,
}

/// Why something was not published.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BrokerError {
    /// A payload or a path.
    #[error("a message has at most 256 KiB and its topic 512 bytes")]
    TooLarge,
    /// Topics or retained values.
    #[error(
        "the broker holds as many topics and retained values as it may, in all or of this workspace"
    )]
    Full,
}

/// All topics.
#[derive(Default)]
pub struct Broker {
    topics: Mutex<Topics>,
}

/// A place among the subscribers of a topic, until it is dropped.
pub struct Subscription {
    broker: Arc<Broker>,
    path: String,
    number: u64,
    follows: bool,
    waiting_bytes: Arc<AtomicUsize>,
    messages: tokio::sync::Mutex<mpsc::Receiver<Queued>>,
}

/// What somebody finds who follows a topic.
pub struct Following {
    /// What is published from now on.
    pub subscription: Subscription,
    /// The retained value.
    pub retained: Option<Arc<str>>,
    /// What was published since the message that the reader had last.
    pub missed: Vec<Message>,
    /// True if there may have been more.
    pub gap: bool,
}

impl Subscription {
    /// The next message; `None` for a subscriber that was too far behind.
    pub async fn next(&self) -> Option<Message> {
        let message = self.messages.lock().await.recv().await?.message;
        self.waiting_bytes
            .fetch_sub(message.payload.len(), Ordering::AcqRel);
        Some(message)
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        let mut topics = self.broker.lock();
        if let Some(topic) = topics.by_path.get_mut(&self.path) {
            topic.subscribers.remove(&self.number);
            if self.follows
                && let Some(followed) = &mut topic.followed
                && !followed.leave()
            {
                topic.followed = None;
            }
            if topic.is_idle() {
                topics.by_path.remove(&self.path);
            }
        }
    }
}

impl Broker {
    /// For what one run gets from somewhere else: with room for less, which is all its own.
    pub fn of_run() -> Broker {
        let topics = Topics::of_run();
        Broker {
            topics: Mutex::new(topics),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Topics> {
        self.topics.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives a message to all subscribers; a retained one also to those that come later.
    pub fn publish(
        &self,
        path: &str,
        payload: &str,
        retained: bool,
        publisher: u64,
    ) -> Result<(), BrokerError> {
        if payload.len() > LONGEST_PAYLOAD || path.len() > LONGEST_PATH {
            return Err(BrokerError::TooLarge);
        }
        let mut topics = self.lock();
        let topics = &mut *topics;
        let now = Instant::now();
        topics.sweep(now);
        let known = topics.by_path.contains_key(path);
        if !known && !retained {
            // Nobody listens, so a value that is not retained goes nowhere.
            return Ok(());
        }
        let payload: Arc<str> = payload.into();
        if retained && !topics.retain(path, &payload) {
            return Err(BrokerError::Full);
        }
        let topic = topics.by_path.entry(path.to_owned()).or_default();
        topics.last += 1;
        let message = Message {
            payload,
            retained,
            publisher,
            id: topics.last,
        };
        if let Some(followed) = &mut topic.followed {
            let bytes = message.payload.len();
            topics
                .rooms
                .forget(path, followed.trim(now, followed::MOST_KEPT - 1));
            if topics.rooms.keep(path, bytes) {
                followed.keep(now, message.clone());
            } else {
                topics.rooms.forget(path, followed.skip(now, message.id));
            }
        }
        if topic.subscribers.is_empty() {
            return Ok(());
        }
        let Some(held) = topics.rooms.hold(path, message.payload.len()) else {
            // They are too far behind all together.
            topic.subscribers.clear();
            return Ok(());
        };
        let queued = Queued {
            message,
            _held: Arc::new(held),
        };
        // A subscriber that is too far behind finds its stream ended.
        topic
            .subscribers
            .retain(|_, subscriber| subscriber.tell(queued.clone()));
        Ok(())
    }

    /// The retained value.
    pub fn retained(&self, path: &str) -> Option<Arc<str>> {
        self.lock().by_path.get(path)?.retained.clone()
    }

    /// Deletes the retained value of a topic.
    pub fn forget(&self, path: &str) {
        let mut topics = self.lock();
        let topics = &mut *topics;
        if let Some(topic) = topics.by_path.get_mut(path) {
            let gone = topic.retained.take();
            if topic.is_idle() {
                topics.by_path.remove(path);
            }
            if let Some(value) = gone {
                topics.rooms.release(path, value.len());
            }
        }
    }

    /// Deletes what is kept of the topics of a workspace, or of one of its apps, that is gone: another one of its name is
    /// another one.
    pub fn forget_place(&self, workspace: &str, app: Option<&str>) {
        self.lock().forget_place(workspace, app);
    }

    /// A subscription; the retained value comes first.
    pub fn subscribe(self: &Arc<Self>, path: &str) -> Result<Subscription, BrokerError> {
        let mut topics = self.lock();
        self.enter(&mut topics, path, false)
    }

    /// A subscription of somebody who may come back, with the id of the last message it has.
    pub fn follow(
        self: &Arc<Self>,
        path: &str,
        last: Option<u64>,
    ) -> Result<Following, BrokerError> {
        let mut topics = self.lock();
        topics.sweep(Instant::now());
        let subscription = self.enter(&mut topics, path, true)?;
        let newest = topics.last;
        let (mut missed, mut gap, mut retained) = (Vec::new(), false, None);
        if let Some(topic) = topics.by_path.get(path) {
            retained = topic.retained.clone();
            if let (Some(last), Some(followed)) = (last, &topic.followed) {
                (missed, gap) = followed.missed(last, newest);
            }
        }
        Ok(Following {
            subscription,
            retained,
            missed,
            gap,
        })
    }

    fn enter(
        self: &Arc<Self>,
        topics: &mut Topics,
        path: &str,
        follows: bool,
    ) -> Result<Subscription, BrokerError> {
        if path.len() > LONGEST_PATH {
            return Err(BrokerError::TooLarge);
        }
        // Those that only have a value do not count.
        let followed = topics.by_path.len().saturating_sub(topics.rooms.values());
        if !topics.by_path.contains_key(path) && followed >= topics::MOST_TOPICS {
            return Err(BrokerError::Full);
        }
        topics.next += 1;
        let number = topics.next;
        let after = topics.last;
        let topic = topics.by_path.entry(path.to_owned()).or_default();
        let (subscriber, messages) = Subscriber::new();
        let waiting_bytes = subscriber.waiting_bytes.clone();
        if follows {
            let followed = topic.followed.get_or_insert_with(|| Followed::since(after));
            followed.enter();
        } else if let Some(payload) = &topic.retained {
            let Some(held) = topics.rooms.hold(path, payload.len()) else {
                return Err(BrokerError::Full);
            };
            // The queue is new, so there is room.
            subscriber.tell(Queued {
                message: Message {
                    payload: payload.clone(),
                    retained: true,
                    publisher: 0,
                    id: 0,
                },
                _held: Arc::new(held),
            });
        }
        topic.subscribers.insert(number, subscriber);
        Ok(Subscription {
            broker: self.clone(),
            path: path.to_owned(),
            number,
            follows,
            waiting_bytes,
            messages: tokio::sync::Mutex::new(messages),
        })
    }
}
