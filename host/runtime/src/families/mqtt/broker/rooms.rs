//! Memory for messages, bounded over all topics together and for each workspace: retained values, what is kept for readers who
//! come back, and what waits for subscribers.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// What there is room for.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Retained values.
    pub values: usize,
    /// Bytes of retained values.
    pub retained: usize,
    /// Bytes of messages that are kept for readers who come back.
    pub kept: usize,
    /// Bytes of messages that wait for subscribers.
    pub waiting: usize,
}

impl Limits {
    /// An equal part of all of it.
    fn part(self, parts: usize) -> Limits {
        Limits {
            values: self.values / parts,
            retained: self.retained / parts,
            kept: self.kept / parts,
            waiting: self.waiting / parts,
        }
    }
}

/// What is taken, of all and by each workspace.
pub struct Rooms {
    limits: Limits,
    /// What one workspace may take.
    share: Limits,
    all: Taken,
    /// Workspaces that take anything.
    of: HashMap<String, Taken>,
}

#[derive(Debug, Default)]
struct Taken {
    values: usize,
    retained: usize,
    kept: usize,
    waiting: Arc<AtomicUsize>,
}

impl Taken {
    /// Whether a retained value of so many bytes fits in the place of another one, or of none.
    fn retains(&self, before: Option<usize>, after: usize, limits: Limits) -> bool {
        let values = self.values + usize::from(before.is_none());
        values <= limits.values && self.retained - before.unwrap_or(0) + after <= limits.retained
    }

    fn keeps(&self, bytes: usize, limits: Limits) -> bool {
        self.kept + bytes <= limits.kept
    }

    fn holds(&self, bytes: usize, limits: Limits) -> bool {
        self.waiting.load(Ordering::Acquire) + bytes <= limits.waiting
    }

    fn is_nothing(&self) -> bool {
        // What waits, waits in pieces that know of it.
        self.values == 0 && self.kept == 0 && Arc::strong_count(&self.waiting) == 1
    }
}

/// Room for a message that waits, given back when the last subscriber has it.
pub struct Held {
    bytes: usize,
    of: [Arc<AtomicUsize>; 2],
}

impl Drop for Held {
    fn drop(&mut self) {
        for waiting in &self.of {
            waiting.fetch_sub(self.bytes, Ordering::AcqRel);
        }
    }
}

impl Rooms {
    /// Nothing is taken. `shares`: one workspace may have such a part of it.
    pub fn new(limits: Limits, shares: usize) -> Rooms {
        Rooms {
            limits,
            share: limits.part(shares),
            all: Taken::default(),
            of: HashMap::new(),
        }
    }

    /// How many values are retained.
    pub fn values(&self) -> usize {
        self.all.values
    }

    /// Makes room for the retained value of a topic, in the place of another one of it; false: there is none.
    pub fn retain(&mut self, path: &str, before: Option<usize>, after: usize) -> bool {
        let (limits, share) = (self.limits, self.share);
        if !self.all.retains(before, after, limits) || !self.own(path).retains(before, after, share)
        {
            return false;
        }
        self.both(path, |taken| {
            taken.values += usize::from(before.is_none());
            taken.retained = taken.retained - before.unwrap_or(0) + after;
        });
        true
    }

    /// A retained value is gone.
    pub fn release(&mut self, path: &str, bytes: usize) {
        self.both(path, |taken| {
            taken.values -= 1;
            taken.retained -= bytes;
        });
        self.tidy(path);
    }

    /// Makes room for a message that is kept; false: there is none.
    pub fn keep(&mut self, path: &str, bytes: usize) -> bool {
        let (limits, share) = (self.limits, self.share);
        if !self.all.keeps(bytes, limits) || !self.own(path).keeps(bytes, share) {
            return false;
        }
        self.both(path, |taken| taken.kept += bytes);
        true
    }

    /// Messages of so many bytes are not kept any more.
    pub fn forget(&mut self, path: &str, bytes: usize) {
        if bytes > 0 {
            self.both(path, |taken| taken.kept -= bytes);
            self.tidy(path);
        }
    }

    /// Makes room for a message that waits; none: there is none.
    pub fn hold(&mut self, path: &str, bytes: usize) -> Option<Held> {
        let (limits, share) = (self.limits, self.share);
        let all = self.all.waiting.clone();
        if !self.all.holds(bytes, limits) || !self.own(path).holds(bytes, share) {
            return None;
        }
        let of = [all, self.own(path).waiting.clone()];
        for waiting in &of {
            waiting.fetch_add(bytes, Ordering::AcqRel);
        }
        Some(Held { bytes, of })
    }

    /// Forgets workspaces that take nothing: their names come from callers.
    pub fn sweep(&mut self) {
        self.of.retain(|_, taken| !taken.is_nothing());
    }

    fn own(&mut self, path: &str) -> &mut Taken {
        self.of.entry(workspace_of(path).to_owned()).or_default()
    }

    fn both(&mut self, path: &str, change: impl Fn(&mut Taken)) {
        change(&mut self.all);
        change(self.own(path));
    }

    fn tidy(&mut self, path: &str) {
        let workspace = workspace_of(path);
        if self.of.get(workspace).is_some_and(Taken::is_nothing) {
            self.of.remove(workspace);
        }
    }

    #[cfg(test)]
    pub fn is_empty(&self) -> bool {
        let all = &self.all;
        let waiting = all.waiting.load(Ordering::Acquire);
        (all.values, all.retained, all.kept, waiting) == (0, 0, 0, 0)
    }

    #[cfg(test)]
    pub fn workspaces(&self) -> usize {
        self.of.len()
    }
}

/// The workspace of a topic: `/cloud/SERVER/ws/WORKSPACE/…`, `/org/ORG/ws/WORKSPACE/…`.
fn workspace_of(path: &str) -> &str {
    path.split('/').nth(4).unwrap_or_default()
}
