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

/// Topics with a subscriber, and topics with a retained value.
const MOST_TOPICS: usize = 100_000;

/// Bytes of all retained values.
const MOST_RETAINED: usize = 256 << 20;

/// Bytes of all retained values that a run gets from a broker which it has mounted.
const MOST_RETAINED_OF_RUN: usize = 16 << 20;

/// One workspace has at most this part of the retained values and of their bytes.
const SHARE: usize = 2;

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
    /// A message came: there is an id to come back with.
    is_told: bool,
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

/// Retained values.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Retained {
    values: usize,
    bytes: usize,
}

impl Retained {
    /// With a value of so many bytes in the place of another one, or of none.
    fn with(self, before: Option<usize>, after: usize) -> Retained {
        Retained {
            values: self.values + usize::from(before.is_none()),
            bytes: self.bytes - before.unwrap_or(0) + after,
        }
    }

    fn without(self, bytes: usize) -> Retained {
        Retained {
            values: self.values - 1,
            bytes: self.bytes - bytes,
        }
    }

    fn fits(self, room: usize, part: usize) -> bool {
        self.values <= MOST_TOPICS / part && self.bytes <= room / part
    }
}

struct Topics {
    by_path: HashMap<String, Topic>,
    /// Bytes of all retained values, and the part of it that one workspace may have.
    room: usize,
    share: usize,
    retained: Retained,
    /// Those of each workspace that has any.
    of_workspace: HashMap<String, Retained>,
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
            room: MOST_RETAINED,
            share: SHARE,
            retained: Retained::default(),
            of_workspace: HashMap::new(),
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

    /// Makes room for a retained value; false: there is none.
    fn retain(&mut self, path: &str, bytes: usize) -> bool {
        let topic = self.by_path.get(path);
        let before = topic
            .and_then(|topic| topic.retained.as_ref())
            .map(|value| value.len());
        let workspace = workspace_of(path);
        let own = self.of_workspace.get(workspace).copied();
        let own = own.unwrap_or_default().with(before, bytes);
        let all = self.retained.with(before, bytes);
        if !all.fits(self.room, 1) || !own.fits(self.room, self.share) {
            return false;
        }
        self.retained = all;
        self.of_workspace.insert(workspace.to_owned(), own);
        true
    }

    /// A retained value is gone.
    fn release(&mut self, path: &str, bytes: usize) {
        self.retained = self.retained.without(bytes);
        let workspace = workspace_of(path);
        if let Some(own) = self.of_workspace.get_mut(workspace) {
            *own = own.without(bytes);
            if own.values == 0 {
                self.of_workspace.remove(workspace);
            }
        }
    }
}

/// The workspace of a topic: `/cloud/SERVER/ws/WORKSPACE/…`, `/org/ORG/ws/WORKSPACE/…`.
fn workspace_of(path: &str) -> &str {
    path.split('/').nth(4).unwrap_or_default()
}

/// Whether a topic is one of a workspace, or of one of its apps: `…/ws/WORKSPACE/app/APP/…`.
fn is_of(path: &str, workspace: &str, app: Option<&str>) -> bool {
    let mut parts = path.split('/').skip(4);
    parts.next() == Some(workspace)
        && app.is_none_or(|app| parts.next() == Some("app") && parts.next() == Some(app))
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
                // Anybody may follow topics that nobody has ever used.
                if followed.readers == 0 && !followed.is_told {
                    topic.followed = None;
                }
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
        let topics = Topics {
            room: MOST_RETAINED_OF_RUN,
            share: 1,
            ..Topics::default()
        };
        Broker {
            topics: Mutex::new(topics),
        }
    }

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
        if !known && !retained {
            // Nobody listens, so a value that is not retained goes nowhere.
            return Ok(());
        }
        if retained && !topics.retain(path, payload.len()) {
            return Err(BrokerError::Full);
        }
        let topic = topics.by_path.entry(path.to_owned()).or_default();
        let payload: Arc<str> = payload.into();
        if retained {
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
            followed.is_told = true;
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
                topics.release(path, value.len());
            }
        }
    }

    /// Deletes what is kept of the topics of a workspace, or of one of its apps, that is gone: another one of its name is
    /// another one.
    pub fn forget_place(&self, workspace: &str, app: Option<&str>) {
        let mut topics = self.lock();
        let topics = &mut *topics;
        let now = Instant::now();
        let mut gone = Vec::new();
        let of_it = topics
            .by_path
            .iter_mut()
            .filter(|(path, _)| is_of(path, workspace, app));
        for (path, topic) in of_it {
            if let Some(value) = topic.retained.take() {
                gone.push((path.clone(), value.len()));
            }
            if let Some(followed) = &mut topic.followed {
                topics.kept -= followed.trim(now, 0);
            }
        }
        for (path, bytes) in gone {
            topics.release(&path, bytes);
        }
        topics.by_path.retain(|_, topic| !topic.is_idle());
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
        // Those that only have a value do not count.
        let followed = topics.by_path.len().saturating_sub(topics.retained.values);
        if !topics.by_path.contains_key(path) && followed >= MOST_TOPICS {
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
                is_told: false,
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
    }

    #[tokio::test]
    async fn what_a_run_gets_has_little_room_and_can_be_forgotten() {
        let broker = Arc::new(Broker::of_run());
        let long = "x".repeat(LONGEST_PAYLOAD);
        let fit = MOST_RETAINED_OF_RUN / LONGEST_PAYLOAD;
        let path = |number: usize| format!("/a/b/c/d/{number}");
        for number in 0..fit {
            broker.publish(&path(number), &long, true, 0).unwrap();
        }
        assert_eq!(
            broker.publish(&path(fit), "x", true, 0),
            Err(BrokerError::Full)
        );
        broker.forget(&path(0));
        assert_eq!(broker.retained(&path(0)), None);
        broker.publish(&path(fit), &long, true, 0).unwrap();
        (0..=fit).for_each(|number| broker.forget(&path(number)));
        assert_eq!(broker.lock().retained, Retained::default());
    }

    /// A topic of an app.
    fn of(workspace: &str, app: &str, name: &str) -> String {
        format!("/cloud/h/ws/{workspace}/app/{app}/public/application/{name}")
    }

    #[tokio::test]
    async fn what_is_kept_of_an_app_or_a_workspace_goes_with_it() {
        let broker = Arc::new(Broker::default());
        let paths = [
            of("w", "shop", "a"),
            of("w", "other", "a"),
            of("v", "shop", "a"),
        ];
        for path in &paths {
            let following = broker.follow(path, None).unwrap();
            broker.publish(path, "value", true, 1).unwrap();
            drop(following);
        }
        let last = broker.lock().last;
        let left = || paths.each_ref().map(|path| broker.retained(path).is_some());
        broker.forget_place("w", Some("shop"));
        assert_eq!(left(), [false, true, true]);
        let again = broker.follow(&paths[0], Some(last - 3)).unwrap();
        assert_eq!((again.retained, again.missed.len()), (None, 0));
        broker.forget_place("w", None);
        assert_eq!(left(), [false, false, true]);
        broker.forget_place("v", None);
        let topics = broker.lock();
        assert_eq!(topics.retained, Retained::default());
        assert!(topics.of_workspace.is_empty());
        assert_eq!(topics.kept, 0);
    }

    #[tokio::test]
    async fn one_workspace_leaves_room_for_the_values_of_others() {
        let broker = Arc::new(Broker::default());
        let long = "x".repeat(LONGEST_PAYLOAD);
        let publish = |ws: &str, number: usize, payload: &str| {
            broker.publish(&of(ws, "shop", &number.to_string()), payload, true, 1)
        };
        let fit = MOST_RETAINED / SHARE / LONGEST_PAYLOAD;
        for number in 0..fit {
            publish("greedy", number, &long).unwrap();
        }
        assert_eq!(publish("greedy", fit, "x"), Err(BrokerError::Full));
        publish("greedy", 0, "short").unwrap();
        publish("greedy", fit, "x").unwrap();
        publish("other", 0, &long).unwrap();
        broker.forget_place("greedy", None);
        for number in 0..MOST_TOPICS / SHARE {
            publish("greedy", number, "").unwrap();
        }
        assert_eq!(publish("greedy", MOST_TOPICS, ""), Err(BrokerError::Full));
        publish("other", 1, "").unwrap();
        assert!(broker.subscribe(&of("other", "shop", "new")).is_ok());
    }

    #[tokio::test]
    async fn topics_that_nobody_uses_leave_nothing() {
        let broker = Arc::new(Broker::default());
        for number in 0..1000 {
            broker.follow(&format!("/made-up/{number}"), None).unwrap();
        }
        assert_eq!(broker.lock().by_path.len(), 0);
    }
}
