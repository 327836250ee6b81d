//! Run slots, and the queues before them: one for each workspace.

use mix_http_api::RunOutcome;
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::oneshot;

/// A bounded number of runs at once and of waiting ones, in all and for each owner; a bounded wait.
/// A slot that becomes free goes to the owner that has the fewest, and a few beyond the total are
/// for owners that have hardly any, so that nobody waits for those who have many.
#[derive(Clone)]
pub struct Slots(Arc<Shared>);

struct Shared {
    state: Mutex<State>,
    limits: Limits,
}

/// How many.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Slots.
    pub total: usize,
    /// Slots of one owner.
    pub per_owner: usize,
    /// Waiting ones; one owner has at most three quarters of them.
    pub queue: usize,
    /// Longest wait.
    pub wait: Duration,
}

impl Limits {
    /// Whether an owner with so many gets one more, when so many are taken in all.
    fn allow(&self, held: usize, taken: usize) -> bool {
        let few = (self.total / 8).max(1);
        let beyond = (self.total / 4).max(1);
        held < self.per_owner && (taken < self.total || held < few && taken < self.total + beyond)
    }
}

#[derive(Default)]
struct State {
    taken: usize,
    waiting: usize,
    next: u64,
    owners: HashMap<String, Owner>,
}

#[derive(Default)]
struct Owner {
    held: usize,
    /// When it was served last, as a number that grows.
    served: u64,
    queue: VecDeque<(u64, oneshot::Sender<()>)>,
}

/// Why there is no slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoSlot {
    /// All are taken.
    Server,
    /// The owner has as many as it may have.
    Owner,
}

impl NoSlot {
    /// What it is for a run.
    pub fn outcome(self) -> RunOutcome {
        match self {
            NoSlot::Server => RunOutcome::Busy,
            NoSlot::Owner => RunOutcome::WorkspaceBusy,
        }
    }
}

/// A slot, given back when dropped.
pub struct Slot {
    shared: Arc<Shared>,
    owner: String,
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.shared.release(&self.owner);
    }
}

/// A place in a queue, given up when dropped.
struct Waiting {
    shared: Arc<Shared>,
    owner: String,
    number: u64,
    served: oneshot::Receiver<()>,
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.shared.leave(&self.owner, self.number);
        self.served.close();
        if self.served.try_recv().is_ok() {
            // It was served while it gave up.
            self.shared.release(&self.owner);
        }
    }
}

impl Slots {
    /// All are free.
    pub fn new(limits: Limits) -> Slots {
        Slots(Arc::new(Shared {
            state: Mutex::default(),
            limits,
        }))
    }

    /// Slots.
    pub fn total(&self) -> usize {
        self.0.limits.total
    }

    /// Slots that are taken.
    pub fn taken(&self) -> usize {
        self.0.lock().taken
    }

    /// Runs that wait for a slot.
    pub fn waiting(&self) -> usize {
        self.0.lock().waiting
    }

    /// A slot for this owner.
    pub async fn acquire(&self, owner: &str) -> Result<Slot, NoSlot> {
        let slot = |owner| Slot {
            shared: self.0.clone(),
            owner,
        };
        let mut waiting = match self.0.enter(owner)? {
            Entered::Served(owner) => return Ok(slot(owner)),
            Entered::Waiting(number, served) => Waiting {
                shared: self.0.clone(),
                owner: owner.to_owned(),
                number,
                served,
            },
        };
        match tokio::time::timeout(self.0.limits.wait, &mut waiting.served).await {
            Ok(Ok(())) => Ok(slot(waiting.owner.clone())),
            // The sender stays in the queue as long as its place.
            Ok(Err(_)) | Err(_) => Err(self.0.why(owner)),
        }
    }
}

enum Entered {
    Served(String),
    Waiting(u64, oneshot::Receiver<()>),
}

impl Shared {
    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn enter(&self, name: &str) -> Result<Entered, NoSlot> {
        let mut state = self.lock();
        let state = &mut *state;
        let Limits {
            per_owner, queue, ..
        } = self.limits;
        if !state.owners.contains_key(name) {
            state.owners.insert(name.to_owned(), Owner::default());
        }
        // It is there, or was just made.
        let Some(owner) = state.owners.get_mut(name) else {
            return Err(NoSlot::Server);
        };
        state.next += 1;
        // Whoever waits while a slot is free may have no more of them.
        if self.limits.allow(owner.held, state.taken) {
            state.taken += 1;
            owner.held += 1;
            owner.served = state.next;
            return Ok(Entered::Served(name.to_owned()));
        }
        let of_owner = queue - queue / 4;
        if state.waiting >= queue || owner.queue.len() >= of_owner {
            let why = match owner.held >= per_owner {
                true => NoSlot::Owner,
                false => NoSlot::Server,
            };
            if owner.held == 0 && owner.queue.is_empty() {
                state.owners.remove(name);
            }
            return Err(why);
        }
        let (serve, served) = oneshot::channel();
        owner.queue.push_back((state.next, serve));
        state.waiting += 1;
        Ok(Entered::Waiting(state.next, served))
    }

    fn release(&self, name: &str) {
        let mut state = self.lock();
        let state = &mut *state;
        state.taken -= 1;
        if let Some(owner) = state.owners.get_mut(name) {
            owner.held -= 1;
            if owner.held == 0 && owner.queue.is_empty() {
                state.owners.remove(name);
            }
        }
        while state.waiting > 0 {
            let taken = state.taken;
            let next = state
                .owners
                .values_mut()
                .filter(|owner| !owner.queue.is_empty() && self.limits.allow(owner.held, taken))
                .min_by_key(|owner| (owner.held, owner.served));
            let Some(owner) = next else { return };
            let Some((_, serve)) = owner.queue.pop_front() else {
                return;
            };
            state.waiting -= 1;
            // One that has just given up leaves the slot to the next.
            if serve.send(()).is_ok() {
                state.taken += 1;
                owner.held += 1;
                state.next += 1;
                owner.served = state.next;
            }
        }
    }

    /// Takes a place out of its queue, unless it was served.
    fn leave(&self, name: &str, number: u64) {
        let mut state = self.lock();
        let state = &mut *state;
        let Some(owner) = state.owners.get_mut(name) else {
            return;
        };
        let before = owner.queue.len();
        owner.queue.retain(|(found, _)| *found != number);
        state.waiting -= before - owner.queue.len();
        if owner.held == 0 && owner.queue.is_empty() {
            state.owners.remove(name);
        }
    }

    fn why(&self, name: &str) -> NoSlot {
        let state = self.lock();
        let held = state.owners.get(name).map_or(0, |owner| owner.held);
        match held >= self.limits.per_owner {
            true => NoSlot::Owner,
            false => NoSlot::Server,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slots(total: usize, per_owner: usize, queue: usize) -> Slots {
        Slots::new(Limits {
            total,
            per_owner,
            queue,
            wait: Duration::from_millis(50),
        })
    }

    #[tokio::test]
    async fn a_full_queue_refuses_and_a_long_wait_ends() {
        let slots = slots(1, 1, 1);
        let first = slots.acquire("a").await.expect("a free slot");
        let beyond = slots
            .acquire("b")
            .await
            .expect("one for those who have none");
        let (second, third) = tokio::join!(slots.acquire("c"), slots.acquire("c"));
        assert_eq!(
            (second.err(), third.err()),
            (Some(NoSlot::Server), Some(NoSlot::Server))
        );
        assert_eq!(slots.acquire("a").await.err(), Some(NoSlot::Owner));
        drop((first, beyond));
        assert!(slots.acquire("c").await.is_ok());
        assert_eq!((slots.waiting(), slots.taken()), (0, 0));
        assert!(slots.0.lock().owners.is_empty());
    }

    #[tokio::test]
    async fn one_owner_leaves_room_for_others() {
        let slots = slots(8, 8, 8);
        let mut held = Vec::new();
        for _ in 0..8 {
            held.push(slots.acquire("greedy").await.expect("a slot"));
        }
        assert_eq!(slots.acquire("greedy").await.err(), Some(NoSlot::Owner));
        let other = slots.acquire("other").await.expect("one beyond");
        assert_eq!(slots.acquire("other").await.err(), Some(NoSlot::Server));
        let third = slots.acquire("third").await.expect("another one beyond");
        assert_eq!(slots.acquire("fourth").await.err(), Some(NoSlot::Server));
        drop((other, third));
        assert!(slots.acquire("fourth").await.is_ok());
    }

    #[tokio::test]
    async fn who_has_fewest_is_next() {
        let slots = Slots::new(Limits {
            total: 3,
            per_owner: 3,
            queue: 8,
            wait: Duration::from_secs(60),
        });
        let mut held = Vec::new();
        for _ in 0..3 {
            held.push(slots.acquire("greedy").await.expect("a slot"));
        }
        let (told, mut order) = tokio::sync::mpsc::unbounded_channel();
        // The one beyond the total is taken as well.
        held.push(slots.acquire("other").await.expect("one beyond"));
        for owner in ["greedy", "greedy", "modest"] {
            let (slots, told) = (slots.clone(), told.clone());
            tokio::spawn(async move {
                let slot = slots.acquire(owner).await.expect("served in time");
                let _ = told.send(owner);
                std::future::pending::<()>().await;
                drop(slot);
            });
        }
        while slots.waiting() < 3 {
            tokio::task::yield_now().await;
        }
        let mut served = Vec::new();
        drop(held);
        for _ in 0..3 {
            served.push(order.recv().await.expect("somebody is served"));
        }
        assert_eq!(served, ["modest", "greedy", "greedy"]);
    }

    #[tokio::test]
    async fn who_gives_up_leaves_nothing_behind() {
        let slots = slots(1, 1, 8);
        let first = slots.acquire("a").await.expect("a slot");
        let beyond = slots.acquire("c").await.expect("a slot");
        let waiting = tokio::spawn({
            let slots = slots.clone();
            async move { slots.acquire("b").await.is_ok() }
        });
        while slots.waiting() == 0 {
            tokio::task::yield_now().await;
        }
        waiting.abort();
        assert!(waiting.await.is_err());
        assert_eq!(slots.waiting(), 0);
        drop((first, beyond));
        assert_eq!(slots.taken(), 0);
        assert!(slots.0.lock().owners.is_empty());
    }
}
