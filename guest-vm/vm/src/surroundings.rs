//! What builtins may touch besides their arguments.

use std::collections::{HashMap, VecDeque};

use crate::failure::Failure;
use crate::heap::{Value, room};
use crate::metrics::Metrics;
use crate::vm::MemoryLimit;

/// Most log lines kept until the driver fetches them; the oldest give way.
const LOG_LINES: usize = 10_000;

/// Longest log line in bytes; what is beyond is cut. A text of the longest kind and its severity.
const LOG_LINE: usize = 64 * 1024 + 16;

/// State of a run that builtins read and change.
#[derive(Debug, Default)]
pub struct Surroundings {
    /// Lines for the log, not yet fetched.
    lines: VecDeque<String>,
    /// The chain of next actions of the running interaction (language 4.15).
    pub next_actions: Vec<Value>,
    /// Actions that wait until all requests are finished.
    pub idle_actions: Vec<Value>,
    /// Case values that the library module `registry` keeps for the session.
    pub registry: Vec<Value>,
    /// Index of what each place of `registry.addOnce` stored.
    pub registry_places: HashMap<String, usize>,
    /// Log what the spreadsheet does.
    pub trace: bool,
    /// Source of numbers that are unique within the run.
    pub counter: u64,
    /// What module `metrics` shows.
    pub metrics: Metrics,
    /// Seed of the random numbers; the driver sets it, builtins advance it.
    pub random: u64,
    /// Limit of the memory; none where somebody else has one.
    memory: Option<MemoryLimit>,
}

impl Surroundings {
    /// Those of a new run with this limit of the memory.
    #[must_use]
    pub fn within(memory: Option<MemoryLimit>) -> Self {
        Self {
            memory,
            ..Self::default()
        }
    }

    /// Writes a line to the log.
    pub fn log(&mut self, mut line: String) {
        if line.len() > LOG_LINE {
            let mut end = LOG_LINE;
            while !line.is_char_boundary(end) {
                end -= 1;
            }
            line.truncate(end);
            line.push('…');
        }
        if self.lines.len() >= LOG_LINES {
            self.lines.pop_front();
        }
        self.lines.push_back(line);
    }

    /// Whether the memory has a limit here.
    pub fn is_limited(&self) -> bool {
        matches!(self.memory, Some(MemoryLimit::Counted { .. }))
    }

    /// Fails if so many values more would be beyond the limit of the memory. For builtins that
    /// make much of little: who is called checks the limit afterwards only.
    pub fn room_for(&self, values: usize) -> Result<(), Failure> {
        match &self.memory {
            Some(limit) => limit.room_for(values.saturating_mul(size_of::<Value>())),
            None => room::check_values::<Value>(values),
        }
    }

    /// A number that was not given before in this run, from 1.
    pub fn unique(&mut self) -> u64 {
        self.counter += 1;
        self.counter
    }

    /// The oldest line not yet fetched.
    pub fn next_line(&mut self) -> Option<String> {
        self.lines.pop_front()
    }
}
