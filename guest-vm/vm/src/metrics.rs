//! What module `metrics` of the library shows: counters, the profile, levels of tracing.
//!
//! The counters always run. The profile reads the clock only while it is on; the time of a cell or
//! an action is what passed from its begin to its end, waiting included.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Level of what the spreadsheet does.
pub const SPREADSHEET: u32 = 0;

/// Level of actions.
pub const ACTIONS: u32 = 1;

/// Most entries of each part of the profile; what comes after them is not noted.
const MOST_ENTRIES: usize = 10_000;

/// How serious a line of the VM is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Everything.
    #[default]
    Info,
    /// What may be wrong.
    Warning,
    /// What is wrong.
    Error,
}

/// How often something ran, and how long all of it took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Effort {
    /// Times.
    pub count: u64,
    /// In all.
    pub time: Duration,
}

/// Efforts by name.
pub type Efforts = BTreeMap<String, Effort>;

/// What was measured while the profile was on.
#[derive(Clone, Debug, Default)]
pub struct Profile {
    /// Cells, as `module.cell`.
    pub cells: Efforts,
    /// Cells by the module of their view.
    pub views: Efforts,
    /// Actions.
    pub actions: Efforts,
}

/// All of it, for one session.
#[derive(Debug, Default)]
pub struct Metrics {
    /// Formulas that were evaluated.
    pub cell_evaluations: u64,
    /// Actions that were begun.
    pub actions: u64,
    /// Foreign functions that were called or started.
    pub foreign_calls: u64,
    /// The profile so far.
    pub profile: Profile,
    /// True while it is noted.
    pub profiling: bool,
    /// Least severity of lines of the VM.
    pub severity: Severity,
    /// Bit set of the levels that are on.
    levels: u32,
    /// True if tracing is switched off as a whole.
    muted: bool,
    allocations: Option<fn() -> u64>,
    allocations_before: u64,
    action: Option<(String, Instant)>,
}

impl Metrics {
    /// Where the number of blocks comes from.
    pub fn set_allocations(&mut self, counter: fn() -> u64) {
        self.allocations = Some(counter);
        self.allocations_before = counter();
    }

    /// Blocks of memory that were asked for; 0 where nobody counts them.
    #[must_use]
    pub fn allocations(&self) -> u64 {
        let counted = self.allocations.map_or(0, |counter| counter());
        counted.saturating_sub(self.allocations_before)
    }

    /// All counters begin anew.
    pub fn clear(&mut self) {
        self.cell_evaluations = 0;
        self.actions = 0;
        self.foreign_calls = 0;
        self.allocations_before = self.allocations.map_or(0, |counter| counter());
    }

    /// A formula begins to run.
    pub fn cell_begins(&mut self) -> Option<Instant> {
        self.cell_evaluations += 1;
        self.profiling.then(Instant::now)
    }

    /// A formula has run.
    pub fn note_cell(&mut self, module: &str, cell: &str, began: Instant) {
        let time = began.elapsed();
        note(&mut self.profile.cells, format!("{module}.{cell}"), time);
        note(&mut self.profile.views, module.to_owned(), time);
    }

    /// An action begins; the line for the log if actions are traced.
    pub fn action_begins(&mut self, name: &str) -> Option<String> {
        self.actions += 1;
        if self.profiling {
            self.action = Some((name.to_owned(), Instant::now()));
        }
        self.shows(ACTIONS).then(|| format!("action {name} begins"))
    }

    /// The interaction of an action has ended.
    pub fn action_ends(&mut self) {
        if let Some((name, began)) = self.action.take() {
            note(&mut self.profile.actions, name, began.elapsed());
        }
    }

    /// Switches tracing off or on.
    pub fn mute(&mut self, muted: bool) {
        self.muted = muted;
    }

    /// Exactly these levels are on from now on.
    pub fn set_levels(&mut self, levels: impl Iterator<Item = u32>) {
        self.levels = levels.fold(0, |all, level| all | 1 << (level & 31));
    }

    /// The levels that are on, ascending.
    pub fn levels(&self) -> impl Iterator<Item = u32> + use<> {
        let levels = self.levels;
        (0..32).filter(move |level| levels >> level & 1 == 1)
    }

    /// Is that level on?
    #[must_use]
    pub fn is_on(&self, level: u32) -> bool {
        !self.muted && self.levels >> (level & 31) & 1 == 1
    }

    /// Does the VM write lines of that level?
    #[must_use]
    pub fn shows(&self, level: u32) -> bool {
        self.severity == Severity::Info && self.is_on(level)
    }
}

fn note(efforts: &mut Efforts, name: String, time: Duration) {
    if efforts.len() < MOST_ENTRIES || efforts.contains_key(&name) {
        let effort = efforts.entry(name).or_default();
        effort.count += 1;
        effort.time += time;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_a_set() {
        let mut metrics = Metrics::default();
        metrics.set_levels([31, 16, 0, 16].into_iter());
        assert_eq!(metrics.levels().collect::<Vec<_>>(), [0, 16, 31]);
        assert!(metrics.is_on(31) && !metrics.is_on(17));
        metrics.mute(true);
        assert!(!metrics.is_on(31));
        assert_eq!(metrics.levels().count(), 3);
    }

    #[test]
    fn counters_begin_anew() {
        let mut metrics = Metrics::default();
        metrics.set_allocations(|| 7);
        assert!(metrics.cell_begins().is_none());
        metrics.profiling = true;
        let began = metrics.cell_begins().expect("the clock is read");
        metrics.note_cell("m", "c", began);
        assert_eq!((metrics.cell_evaluations, metrics.allocations()), (2, 0));
        assert_eq!(metrics.profile.cells["m.c"].count, 1);
        metrics.clear();
        assert_eq!(metrics.cell_evaluations, 0);
    }
}
