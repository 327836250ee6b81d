//! All signals, and what those of each user take: counted with each change, never by looking at all of them.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::watch;

/// The signals.
#[derive(Default)]
pub struct Table {
    by_id: HashMap<Arc<str>, Signal>,
    /// The same ones, those that end first in front.
    by_end: BTreeSet<(Instant, Arc<str>)>,
    /// Users that have any.
    of: HashMap<Arc<str>, Account>,
    bytes: u64,
}

/// A signal.
pub struct Signal {
    /// Who has made it.
    pub creator: Arc<str>,
    /// When it is forgotten.
    pub ends: Instant,
    /// Those who wait look at it.
    pub state: watch::Sender<State>,
    /// Bytes of its value.
    size: u64,
}

/// What has become of a signal.
#[derive(Clone)]
pub enum State {
    Open,
    /// `ok(value)` or `error(value)`, encoded.
    Set(Arc<[u8]>),
    Canceled,
}

/// What a user has.
#[derive(Default)]
pub struct Account {
    /// Signals.
    pub kept: usize,
    /// Those without a value.
    pub open: usize,
    /// Bytes of values.
    pub bytes: u64,
    /// Those whose value somebody has got, the oldest first.
    read: BTreeSet<(Instant, Arc<str>)>,
}

impl Table {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.by_id.len()
    }

    /// Bytes of all values.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// A signal.
    pub fn get(&self, id: &str) -> Option<&Signal> {
        self.by_id.get(id)
    }

    /// What a user has; none: nothing.
    pub fn account(&self, creator: &str) -> Option<&Account> {
        self.of.get(creator)
    }

    /// Adds one that is open.
    pub fn insert(&mut self, id: &str, creator: &str, ends: Instant) {
        let (id, creator): (Arc<str>, Arc<str>) = (id.into(), creator.into());
        let account = self.of.entry(creator.clone()).or_default();
        account.kept += 1;
        account.open += 1;
        self.by_end.insert((ends, id.clone()));
        let signal = Signal {
            creator,
            ends,
            state: watch::Sender::new(State::Open),
            size: 0,
        };
        self.by_id.insert(id, signal);
    }

    /// Takes out those that are over.
    pub fn sweep(&mut self, now: Instant) {
        while let Some((ends, id)) = self.by_end.first()
            && *ends <= now
        {
            let id = id.clone();
            self.remove(&id);
        }
    }

    /// Gives one that is open its value, or takes that from it: it is not open any more.
    pub fn settle(&mut self, id: &str, state: State) {
        let Some(signal) = self.by_id.get_mut(id) else {
            return;
        };
        if !matches!(*signal.state.borrow(), State::Open) {
            return;
        }
        if let State::Set(value) = &state {
            signal.size = value.len() as u64;
        }
        self.bytes += signal.size;
        if let Some(account) = self.of.get_mut(&signal.creator) {
            account.open -= 1;
            account.bytes += signal.size;
        }
        signal.state.send_replace(state);
    }

    /// Somebody has got its value.
    pub fn mark_read(&mut self, id: &str) {
        if let Some((id, signal)) = self.by_id.get_key_value(id)
            && let Some(account) = self.of.get_mut(&signal.creator)
        {
            account.read.insert((signal.ends, id.clone()));
        }
    }

    /// It ends at another time.
    pub fn extend(&mut self, id: &str, ends: Instant) {
        let Some(signal) = self.by_id.get_mut(id) else {
            return;
        };
        let before = std::mem::replace(&mut signal.ends, ends);
        move_to(&mut self.by_end, id, before, ends);
        if let Some(account) = self.of.get_mut(&signal.creator) {
            move_to(&mut account.read, id, before, ends);
        }
    }

    /// Takes out the oldest of a user that somebody has got, until so many bytes are free; false, and all stay: there are too few.
    pub fn free(&mut self, creator: &str, bytes: u64) -> bool {
        let Some(account) = self.of.get(creator) else {
            return bytes == 0;
        };
        let mut freed = 0;
        let mut going = Vec::new();
        for (_, id) in &account.read {
            if freed >= bytes {
                break;
            }
            freed += self.by_id.get(id).map_or(0, |signal| signal.size);
            going.push(id.clone());
        }
        if freed < bytes {
            return false;
        }
        for id in going {
            self.remove(&id);
        }
        true
    }

    fn remove(&mut self, id: &str) {
        let Some((id, signal)) = self.by_id.remove_entry(id) else {
            return;
        };
        let place = (signal.ends, id);
        self.by_end.remove(&place);
        self.bytes -= signal.size;
        if let Some(account) = self.of.get_mut(&signal.creator) {
            account.kept -= 1;
            account.open -= usize::from(matches!(*signal.state.borrow(), State::Open));
            account.bytes -= signal.size;
            account.read.remove(&place);
            if account.kept == 0 {
                self.of.remove(&signal.creator);
            }
        }
    }
}

fn move_to(places: &mut BTreeSet<(Instant, Arc<str>)>, id: &str, before: Instant, after: Instant) {
    if let Some((_, id)) = places.take(&(before, Arc::from(id))) {
        places.insert((after, id));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn of(table: &Table, creator: &str) -> (usize, usize, u64) {
        let account = table.account(creator);
        account.map_or((0, 0, 0), |account| {
            (account.kept, account.open, account.bytes)
        })
    }

    #[test]
    fn accounts_follow_each_change_and_end_with_the_last_signal() {
        let (mut table, now) = (Table::default(), Instant::now());
        let at = |seconds| now + Duration::from_secs(seconds);
        let value = |bytes: usize| State::Set(vec![0; bytes].into());
        for (id, creator, end) in [("a", "ada", 1), ("b", "ada", 2), ("c", "eve", 3)] {
            table.insert(id, creator, at(end));
        }
        table.settle("a", value(10));
        table.settle("a", value(1000));
        table.settle("b", State::Canceled);
        table.settle("c", value(5));
        assert_eq!(of(&table, "ada"), (2, 0, 10));
        assert_eq!((of(&table, "eve"), table.bytes()), ((1, 0, 5), 15));
        // What nobody has got stays; so does what others have.
        assert!(!table.free("ada", 1));
        table.mark_read("a");
        table.extend("a", at(4));
        table.sweep(at(2));
        assert_eq!(of(&table, "ada"), (1, 0, 10));
        assert!(!table.free("ada", 11) && table.get("a").is_some());
        assert!(table.free("ada", 10) && table.get("a").is_none());
        assert_eq!((of(&table, "ada"), table.bytes()), ((0, 0, 0), 5));
        table.insert("d", "eve", at(9));
        table.sweep(at(9));
        assert_eq!((table.len(), table.bytes()), (0, 0));
        assert!(table.of.is_empty() && table.by_end.is_empty());
    }
}
