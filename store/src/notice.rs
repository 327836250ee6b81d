//! Notices of commits: what live queries wait for.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use mix_value::{Ref, Value, msgpack};

use crate::database::Database;
use crate::fields;
use crate::raw;
use crate::table::Overrides;
use crate::view::View;

/// Notices a listener may be behind; then they are put together into one.
const BEHIND: usize = 64;
/// Rows that a notice names one by one.
const NAMED: u32 = 1_000;

/// A state of the database, to see whether there is something new.
pub(crate) struct Moment {
    generation: [u8; 8],
    rows: u32,
    overrides: Arc<Overrides>,
}

/// What was committed since the notice before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// The watermark after the commit.
    pub watermark: String,
    /// Records that have new versions.
    pub ids: Vec<Ref>,
    /// Their kinds (`entity`), each once.
    pub entities: Vec<String>,
    /// False if there is more than `ids` and `entities` say: everything may have changed.
    pub complete: bool,
}

#[derive(Default)]
struct Inbox {
    notices: VecDeque<Notice>,
    waker: Option<Waker>,
}

#[derive(Default)]
struct Listener {
    inbox: Mutex<Inbox>,
    arrived: Condvar,
}

impl Listener {
    fn inbox(&self) -> MutexGuard<'_, Inbox> {
        // Queue operations leave no half state behind.
        self.inbox.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn deliver(&self, notice: Notice) {
        let mut inbox = self.inbox();
        if inbox.notices.len() >= BEHIND {
            inbox.notices.clear();
            inbox.notices.push_back(Notice {
                ids: Vec::new(),
                entities: Vec::new(),
                complete: false,
                ..notice
            });
        } else {
            inbox.notices.push_back(notice);
        }
        let waker = inbox.waker.take();
        drop(inbox);
        self.arrived.notify_all();
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

/// Hears of every commit from the moment it was made; dropping it ends that.
pub struct Subscription(Arc<Listener>);

impl Subscription {
    /// The next notice, if there is one.
    pub fn try_next(&self) -> Option<Notice> {
        self.0.inbox().notices.pop_front()
    }

    /// Waits for the next notice, at most so long.
    pub fn wait(&self, patience: Duration) -> Option<Notice> {
        let inbox = self.0.inbox();
        let (mut inbox, _) = self
            .0
            .arrived
            .wait_timeout_while(inbox, patience, |inbox| inbox.notices.is_empty())
            .unwrap_or_else(PoisonError::into_inner);
        inbox.notices.pop_front()
    }

    /// The next notice for an async caller, whose waker is called when it comes.
    pub fn poll_next(&self, context: &mut Context<'_>) -> Poll<Notice> {
        let mut inbox = self.0.inbox();
        match inbox.notices.pop_front() {
            Some(notice) => Poll::Ready(notice),
            None => {
                inbox.waker = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }
}

impl std::fmt::Debug for Subscription {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Subscription").finish_non_exhaustive()
    }
}

/// The listeners of a database.
#[derive(Default)]
pub(crate) struct Listeners(Mutex<Vec<Weak<Listener>>>);

impl Listeners {
    fn all(&self) -> MutexGuard<'_, Vec<Weak<Listener>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Database {
    /// Notices of all commits from now on: those of this handle and its clones
    /// as they happen, those of other processes when this one reads them.
    pub fn subscribe(&self) -> Subscription {
        let listener = Arc::new(Listener::default());
        self.shared.listeners.all().push(Arc::downgrade(&listener));
        Subscription(listener)
    }

    /// What the next announcement is compared with.
    pub(crate) fn moment(&self) -> Moment {
        let published = self.published();
        Moment {
            generation: published.generation,
            rows: published.table.len(),
            overrides: published.table.overrides(),
        }
    }

    /// Tells the listeners what is new since a moment.
    pub(crate) fn announce(&self, before: &Moment) {
        let listeners: Vec<Arc<Listener>> = {
            let mut all = self.shared.listeners.all();
            all.retain(|listener| listener.strong_count() > 0);
            all.iter().filter_map(Weak::upgrade).collect()
        };
        if listeners.is_empty() {
            return;
        }
        let (view, now) = (self.view(), self.moment());
        let same = now.generation == before.generation
            && (Arc::ptr_eq(&now.overrides, &before.overrides)
                || now.overrides == before.overrides);
        if same && now.rows == before.rows {
            return;
        }
        let notice = notice(&view, before.rows, same);
        for listener in listeners {
            listener.deliver(notice.clone());
        }
    }
}

fn notice(view: &View, from: u32, same: bool) -> Notice {
    let mut notice = Notice {
        watermark: view.watermark(),
        ids: Vec::new(),
        entities: Vec::new(),
        complete: same && view.bound().saturating_sub(from) <= NAMED,
    };
    if !notice.complete {
        return notice;
    }
    for row in from..view.bound() {
        let Ok(body) = view.stored(row) else {
            notice.complete = false;
            return notice;
        };
        let member = |key: &str| msgpack::decode(raw::member(&body, key)?).ok();
        let Some(Value::Ref(id)) = member(fields::ID) else {
            notice.complete = false;
            return notice;
        };
        match member("entity") {
            Some(Value::String(entity)) => {
                if !notice.entities.iter().any(|known| **known == *entity) {
                    notice.entities.push(entity.to_string());
                }
            }
            // A tombstone does not say what kind of record it ends.
            _ => notice.complete &= raw::member(&body, fields::DELETED).is_none(),
        }
        if !notice.ids.contains(&id) {
            notice.ids.push(id);
        }
    }
    notice
}
