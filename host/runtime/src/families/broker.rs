//! The message broker of this process: topics, their retained values, their subscribers.
//!
//! Nothing of it outlives the process. A subscriber that is too far behind is ended, so that a slow
//! one holds up nobody.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::mpsc::{self, error::TrySendError};

/// Longest payload.
pub const LONGEST_PAYLOAD: usize = 256 << 10;

/// Longest path.
pub const LONGEST_PATH: usize = 512;

/// Messages that wait for one subscriber.
const MOST_WAITING: usize = 1000;

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

#[derive(Default)]
struct Topic {
    retained: Option<Arc<str>>,
    subscribers: BTreeMap<u64, mpsc::Sender<Message>>,
}

#[derive(Default)]
struct Topics {
    by_path: HashMap<String, Topic>,
    retained: usize,
    next: u64,
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
    /// What was published since.
    pub messages: tokio::sync::Mutex<mpsc::Receiver<Message>>,
}

impl Drop for Subscription {
    fn drop(&mut self) {
        let mut topics = self.broker.lock();
        if let Some(topic) = topics.by_path.get_mut(&self.path) {
            topic.subscribers.remove(&self.number);
            if topic.subscribers.is_empty() && topic.retained.is_none() {
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
        let message = Message {
            payload,
            retained,
            publisher,
        };
        // A subscriber that is too far behind finds its stream ended.
        topic.subscribers.retain(|_, subscriber| {
            !matches!(
                subscriber.try_send(message.clone()),
                Err(TrySendError::Full(_) | TrySendError::Closed(_))
            )
        });
        Ok(())
    }

    /// The retained value.
    pub fn retained(&self, path: &str) -> Option<Arc<str>> {
        self.lock().by_path.get(path)?.retained.clone()
    }

    /// A subscription; the retained value comes first.
    pub fn subscribe(self: &Arc<Self>, path: &str) -> Result<Subscription, BrokerError> {
        if path.len() > LONGEST_PATH {
            return Err(BrokerError::TooLarge);
        }
        let mut topics = self.lock();
        if !topics.by_path.contains_key(path) && topics.by_path.len() >= MOST_TOPICS {
            return Err(BrokerError::Full);
        }
        topics.next += 1;
        let number = topics.next;
        let topic = topics.by_path.entry(path.to_owned()).or_default();
        let (send, messages) = mpsc::channel(MOST_WAITING);
        if let Some(payload) = &topic.retained {
            // The queue is new, so there is room.
            let _ = send.try_send(Message {
                payload: payload.clone(),
                retained: true,
                publisher: 0,
            });
        }
        topic.subscribers.insert(number, send);
        Ok(Subscription {
            broker: self.clone(),
            path: path.to_owned(),
            number,
            messages: tokio::sync::Mutex::new(messages),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn next(subscription: &Subscription) -> Option<Message> {
        subscription.messages.lock().await.recv().await
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
    }
}
