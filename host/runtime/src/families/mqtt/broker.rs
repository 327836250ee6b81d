//! The message broker of this process: topics, their retained values, their subscribers.
//!
//! Nothing of it outlives the process. A subscriber that is too far behind is ended, so that a slow
//! one holds up nobody. Messages of topics that somebody follows from outside are kept for a while,
//! so that a reader whose connection broke goes on where it was ([`Broker::follow`]).

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tokio::sync::mpsc;

/// Longest payload.
pub const LONGEST_PAYLOAD: usize = 256 << 10;

/// Longest path.
pub const LONGEST_PATH: usize = 512;

/// Messages that wait for one subscriber.
const MOST_WAITING: usize = 1000;

/// Bytes that wait for one subscriber.
const MOST_WAITING_BYTES: usize = 8 << 20;

/// Messages of a topic that are kept for those who come back.
const MOST_KEPT: usize = 256;

/// How long they are kept.
const KEPT: Duration = Duration::from_secs(300);

/// Bytes of all kept messages.
const MOST_KEPT_BYTES: usize = 64 << 20;

/// Topics with a retained value or a subscriber.
const MOST_TOPICS: usize = 100_000;

/// Bytes of all retained values.
const MOST_RETAINED: usize = 256 << 20;

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
    #[error("the broker holds as many topics and retained values as it may")]
    Full,
}

struct Subscriber {
    send: mpsc::Sender<Message>,
    waiting_bytes: Arc<AtomicUsize>,
}

impl Subscriber {
    /// False if it is gone, or too far behind.
    fn tell(&self, message: Message) -> bool {
        let bytes = message.payload.len();
        let before = self.waiting_bytes.fetch_add(bytes, Ordering::AcqRel);
        before + bytes <= MOST_WAITING_BYTES && self.send.try_send(message).is_ok()
    }
}

#[derive(Default)]
struct Topic {
    retained: Option<Arc<str>>,
    subscribers: BTreeMap<u64, Subscriber>,
    followed: Option<Followed>,
}

/// What is kept of a topic for those who come back.
struct Followed {
    readers: usize,
    /// When the last reader left.
    left: Instant,
    kept: VecDeque<(Instant, Message)>,
    /// All messages after the one with this id are kept.
    after: u64,
}

impl Followed {
    fn is_over(&self, now: Instant) -> bool {
        self.readers == 0 && now.duration_since(self.left) >= KEPT
    }

    /// Drops what is too old or too much; how many bytes that were.
    fn trim(&mut self, now: Instant, most: usize) -> usize {
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

impl Topic {
    fn is_idle(&self) -> bool {
        self.subscribers.is_empty() && self.retained.is_none() && self.followed.is_none()
    }
}

struct Topics {
    by_path: HashMap<String, Topic>,
    retained: usize,
    kept: usize,
    next: u64,
    /// Id of the last message of all topics.
    last: u64,
    swept: Instant,
}

impl Default for Topics {
    fn default() -> Topics {
        // Ids of an earlier process are smaller than any of this one: nobody has a million messages a second.
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        Topics {
            by_path: HashMap::new(),
            retained: 0,
            kept: 0,
            next: 0,
            last: since.map_or(0, |since| since.as_millis() as u64 * 1000),
            swept: Instant::now(),
        }
    }
}

impl Topics {
    /// Forgets topics that are kept only for readers who did not come back.
    fn sweep(&mut self, now: Instant) {
        if now.duration_since(self.swept) < KEPT / 10 {
            return;
        }
        self.swept = now;
        let mut dropped = 0;
        for topic in self.by_path.values_mut() {
            if let Some(followed) = &mut topic.followed {
                let most = if followed.is_over(now) { 0 } else { MOST_KEPT };
                dropped += followed.trim(now, most);
                if followed.is_over(now) {
                    topic.followed = None;
                }
            }
        }
        self.kept -= dropped;
        self.by_path.retain(|_, topic| !topic.is_idle());
    }
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
    messages: tokio::sync::Mutex<mpsc::Receiver<Message>>,
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
        let message = self.messages.lock().await.recv().await?;
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
            {
                followed.readers -= 1;
                followed.left = Instant::now();
            }
            if topic.is_idle() {
                topics.by_path.remove(&self.path);
            }
        }
    }
}

impl Broker {
    fn lock(&self) -> std::sync::MutexGuard<'_, Topics> {
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
        if !known && (!retained || topics.by_path.len() >= MOST_TOPICS) {
            // Nobody listens, so a value that is not retained goes nowhere.
            return if retained {
                Err(BrokerError::Full)
            } else {
                Ok(())
            };
        }
        let topic = topics.by_path.entry(path.to_owned()).or_default();
        let payload: Arc<str> = payload.into();
        if retained {
            let before = topic.retained.as_ref().map_or(0, |value| value.len());
            let after = topics.retained - before + payload.len();
            if after > MOST_RETAINED {
                if !known {
                    topics.by_path.remove(path);
                }
                return Err(BrokerError::Full);
            }
            topics.retained = after;
            topic.retained = Some(payload.clone());
        }
        topics.last += 1;
        let message = Message {
            payload,
            retained,
            publisher,
            id: topics.last,
        };
        if let Some(followed) = &mut topic.followed {
            topics.kept -= followed.trim(now, MOST_KEPT - 1);
            if topics.kept + message.payload.len() > MOST_KEPT_BYTES {
                topics.kept -= followed.trim(now, 0);
                followed.after = message.id;
            } else {
                topics.kept += message.payload.len();
                followed.kept.push_back((now, message.clone()));
            }
        }
        // A subscriber that is too far behind finds its stream ended.
        topic
            .subscribers
            .retain(|_, subscriber| subscriber.tell(message.clone()));
        Ok(())
    }

    /// The retained value.
    pub fn retained(&self, path: &str) -> Option<Arc<str>> {
        self.lock().by_path.get(path)?.retained.clone()
    }

    /// Deletes the retained value.
    pub fn forget(&self, path: &str) {
        let mut topics = self.lock();
        let topics = &mut *topics;
        if let Some(topic) = topics.by_path.get_mut(path) {
            topics.retained -= topic.retained.take().map_or(0, |value| value.len());
            if topic.is_idle() {
                topics.by_path.remove(path);
            }
        }
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
                gap = last < followed.after || last > newest;
                let kept = followed.kept.iter().map(|(_, message)| message);
                // Of who was away for too long some messages are lost, and those that are left come
                // after the gap. An id that was never given says nothing about any of them.
                let is_known = last <= newest;
                missed.extend(
                    kept.filter(|message| is_known && message.id > last)
                        .cloned(),
                );
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
        if !topics.by_path.contains_key(path) && topics.by_path.len() >= MOST_TOPICS {
            return Err(BrokerError::Full);
        }
        topics.next += 1;
        let number = topics.next;
        let after = topics.last;
        let topic = topics.by_path.entry(path.to_owned()).or_default();
        let (send, messages) = mpsc::channel(MOST_WAITING);
        let waiting_bytes = Arc::new(AtomicUsize::new(0));
        let subscriber = Subscriber {
            send,
            waiting_bytes: waiting_bytes.clone(),
        };
        if follows {
            let followed = topic.followed.get_or_insert_with(|| Followed {
                readers: 0,
                left: Instant::now(),
                kept: VecDeque::new(),
                after,
            });
            followed.readers += 1;
        } else if let Some(payload) = &topic.retained {
            // The queue is new, so there is room.
            subscriber.tell(Message {
                payload: payload.clone(),
                retained: true,
                publisher: 0,
                id: 0,
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

#[cfg(test)]
mod tests {
    use super::*;

    async fn next(subscription: &Subscription) -> Option<Message> {
        subscription.next().await
    }

    #[tokio::test]
    async fn who_comes_back_finds_what_was_missed_or_a_gap() {
        let broker = Arc::new(Broker::default());
        broker.publish("/a", "before", true, 1).unwrap();
        let first = broker.follow("/a", None).unwrap();
        assert_eq!(first.retained.as_deref(), Some("before"));
        broker.publish("/a", "1", false, 1).unwrap();
        let last = first.subscription.next().await.unwrap().id;
        drop(first);
        broker.publish("/a", "2", false, 1).unwrap();
        broker.publish("/b", "other", false, 1).unwrap();
        broker.publish("/a", "3", false, 1).unwrap();
        let again = broker.follow("/a", Some(last)).unwrap();
        let missed: Vec<&str> = again.missed.iter().map(|one| &*one.payload).collect();
        assert_eq!((missed, again.gap), (vec!["2", "3"], false));
        for (id, expected) in [
            (0, (true, 3)),
            (last + 1000, (true, 0)),
            (again.missed[1].id, (false, 0)),
        ] {
            let asked = broker.follow("/a", Some(id)).unwrap();
            assert_eq!((asked.gap, asked.missed.len()), expected, "{id}");
        }
        for _ in 0..MOST_KEPT {
            broker.publish("/a", "x", false, 1).unwrap();
        }
        let late = broker.follow("/a", Some(last)).unwrap();
        assert_eq!((late.gap, late.missed.len()), (true, MOST_KEPT));
    }

    #[tokio::test]
    async fn a_subscriber_is_ended_by_bytes_as_well() {
        let broker = Arc::new(Broker::default());
        let slow = broker.subscribe("/a").unwrap();
        let long = "x".repeat(LONGEST_PAYLOAD);
        let fit = MOST_WAITING_BYTES / LONGEST_PAYLOAD;
        for _ in 0..=fit {
            broker.publish("/a", &long, false, 1).unwrap();
        }
        let mut count = 0;
        while next(&slow).await.is_some() {
            count += 1;
        }
        assert_eq!(count, fit);
    }

    #[tokio::test]
    async fn retained_values_come_first_and_others_to_those_who_are_there() {
        let broker = Arc::new(Broker::default());
        broker.publish("/a", "lost", false, 1).unwrap();
        broker.publish("/a", "1", true, 1).unwrap();
        let subscription = broker.subscribe("/a").unwrap();
        broker.publish("/a", "2", false, 7).unwrap();
        broker.publish("/b", "other", false, 7).unwrap();
        let first = next(&subscription).await.unwrap();
        assert_eq!((&*first.payload, first.retained), ("1", true));
        let second = next(&subscription).await.unwrap();
        assert_eq!(
            (&*second.payload, second.retained, second.publisher),
            ("2", false, 7)
        );
        assert_eq!(broker.retained("/a").as_deref(), Some("1"));
        assert_eq!(broker.retained("/b"), None);
        drop(subscription);
        broker.publish("/c", "x", false, 1).unwrap();
        assert_eq!(
            broker.lock().by_path.len(),
            1,
            "only what is retained stays"
        );
    }

    #[tokio::test]
    async fn a_slow_subscriber_is_ended_and_limits_hold() {
        let broker = Arc::new(Broker::default());
        let slow = broker.subscribe("/a").unwrap();
        for _ in 0..=MOST_WAITING {
            broker.publish("/a", "x", false, 1).unwrap();
        }
        let mut count = 0;
        while next(&slow).await.is_some() {
            count += 1;
        }
        assert_eq!(count, MOST_WAITING);
        let long = "x".repeat(LONGEST_PAYLOAD + 1);
        assert_eq!(
            broker.publish("/a", &long, false, 1),
            Err(BrokerError::TooLarge)
        );
        let path = "p".repeat(LONGEST_PATH + 1);
        assert!(broker.subscribe(&path).is_err());
        broker.publish("/b", "x", true, 1).unwrap();
        broker.forget("/b");
        assert_eq!(broker.retained("/b"), None);
        assert_eq!(broker.lock().retained, 0);
    }
}
