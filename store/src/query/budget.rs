//! Memory and time a query may take.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use mix_value::Value;

use super::error::{QueryError, QueryErrorCode};
use super::limits::MAX_VALUE_DEPTH;

/// Steps between two looks at the clock.
const TICKS: u32 = 256;
/// Bytes of a row that count as one step.
const BYTES_PER_TICK: usize = 1024;
/// What a value takes by itself.
pub(super) const VALUE_SIZE: usize = size_of::<Value>();
/// What an entry of a map takes besides key text and value.
const ENTRY_SIZE: usize = 48;

pub(super) struct Budget {
    max_bytes: usize,
    /// Kept for sorting, grouping and the caller.
    held: Cell<usize>,
    /// Built for the value at hand.
    scratch: Cell<usize>,
    /// Records expanded for the value at hand.
    expansions: Cell<usize>,
    depth: Cell<usize>,
    ticks: Cell<u32>,
    deadline: Option<Instant>,
    cancel: Option<Arc<AtomicBool>>,
}

impl Budget {
    pub(super) fn new(
        max_bytes: usize,
        deadline: Option<Instant>,
        cancel: Option<Arc<AtomicBool>>,
    ) -> Budget {
        Budget {
            max_bytes,
            held: Cell::new(0),
            scratch: Cell::new(0),
            expansions: Cell::new(0),
            depth: Cell::new(0),
            // So that the first tick looks at the clock.
            ticks: Cell::new(TICKS),
            deadline,
            cancel,
        }
    }

    /// Counts a small step of work.
    pub(super) fn tick(&self) -> Result<(), QueryError> {
        self.work(0)
    }

    /// Counts the work on so many bytes.
    #[inline]
    pub(super) fn work(&self, bytes: usize) -> Result<(), QueryError> {
        let steps = u32::try_from(bytes / BYTES_PER_TICK).unwrap_or(TICKS);
        let ticks = self.ticks.get().saturating_add(steps).saturating_add(1);
        if ticks < TICKS {
            self.ticks.set(ticks);
            return Ok(());
        }
        self.check_time()
    }

    /// Looks at the clock.
    #[cold]
    fn check_time(&self) -> Result<(), QueryError> {
        self.ticks.set(0);
        if self
            .cancel
            .as_ref()
            .is_some_and(|cancel| cancel.load(Ordering::Relaxed))
        {
            return Err(QueryError::new(
                QueryErrorCode::Timeout,
                "the query was cancelled",
            ));
        }
        if self
            .deadline
            .is_some_and(|deadline| Instant::now() >= deadline)
        {
            return Err(QueryError::new(
                QueryErrorCode::Timeout,
                "the query took too long",
            ));
        }
        Ok(())
    }

    /// Begins with a new value: what was built for the one before is gone.
    pub(super) fn next_value(&self) {
        self.scratch.set(0);
        self.expansions.set(0);
    }

    /// Counts one expanded record; false beyond `max`.
    pub(super) fn count_expansion(&self, max: usize) -> bool {
        self.expansions.set(self.expansions.get() + 1);
        self.expansions.get() <= max
    }

    /// Counts memory for the value at hand.
    pub(super) fn charge(&self, bytes: usize) -> Result<(), QueryError> {
        let scratch = self.scratch.get().saturating_add(bytes);
        self.scratch.set(scratch);
        self.check_memory(scratch)
    }

    /// Runs something whose charges are forgotten afterwards, and tells them.
    pub(super) fn measured<T>(&self, run: impl FnOnce() -> T) -> (T, usize) {
        let before = self.scratch.get();
        let result = run();
        let size = self.scratch.replace(before) - before;
        (result, size)
    }

    /// Counts memory that stays until it is released.
    pub(super) fn hold(&self, bytes: usize) -> Result<(), QueryError> {
        let held = self.held.get().saturating_add(bytes);
        self.held.set(held);
        self.check_memory(held)
    }

    pub(super) fn release(&self, bytes: usize) {
        self.held.set(self.held.get().saturating_sub(bytes));
    }

    fn check_memory(&self, bytes: usize) -> Result<(), QueryError> {
        if bytes > self.max_bytes {
            return Err(QueryError::too_large(
                "the query needs more memory than it may use",
            ));
        }
        Ok(())
    }

    /// Goes one level down into data, until the guard is dropped.
    pub(super) fn descend(&self) -> Result<Descent<'_>, QueryError> {
        let depth = self.depth.get() + 1;
        if depth > MAX_VALUE_DEPTH {
            return Err(too_deep());
        }
        self.depth.set(depth);
        Ok(Descent { depth: &self.depth })
    }
}

pub(super) struct Descent<'a> {
    depth: &'a Cell<usize>,
}

impl Drop for Descent<'_> {
    fn drop(&mut self) {
        self.depth.set(self.depth.get() - 1);
    }
}

fn too_deep() -> QueryError {
    QueryError::too_large("a result is nested deeper than 128 levels")
}

/// What an entry of a map with this key takes, without its value.
pub(super) fn entry_size(key: &str) -> usize {
    ENTRY_SIZE + key.len()
}

/// Approximate memory of a value of at most 128 levels; deeper ones are an error.
pub(super) fn footprint(value: &Value) -> Result<usize, QueryError> {
    measure(value, 0)
}

fn measure(value: &Value, depth: usize) -> Result<usize, QueryError> {
    if depth >= MAX_VALUE_DEPTH && matches!(value, Value::Array(_) | Value::Map(_) | Value::Case(_))
    {
        return Err(too_deep());
    }
    Ok(VALUE_SIZE
        + match value {
            Value::String(text) => text.len(),
            Value::Ref(id) => id.as_str().len(),
            Value::Binary(bytes) => bytes.len(),
            Value::BigInt(_) => VALUE_SIZE,
            Value::Array(items) => {
                let mut sum = 0;
                for item in items {
                    sum += measure(item, depth + 1)?;
                }
                sum
            }
            Value::Map(map) => {
                let mut sum = 0;
                for (key, member) in map {
                    sum += entry_size(key) + measure(member, depth + 1)?;
                }
                sum
            }
            Value::Case(case) => {
                case.name.len()
                    + match &case.argument {
                        Some(argument) => measure(argument, depth + 1)?,
                        None => 0,
                    }
            }
            _ => 0,
        })
}
