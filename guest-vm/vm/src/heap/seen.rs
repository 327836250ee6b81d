//! Values that hold the same part many times. Each of forty arrays may hold the one before it
//! twice: little memory, but more ways to the innermost one than any walk should take.

use std::collections::HashSet;
use std::hash::{BuildHasherDefault, DefaultHasher};
use std::rc::Rc;

use super::value::Value;

/// Containers that are walked before it is worth to remember them: most walks are over by then.
const MANY: u32 = 10_000;

/// What a walk has been through.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    steps: u32,
    pairs: HashSet<(usize, usize), BuildHasherDefault<DefaultHasher>>,
}

impl Seen {
    /// Notes a container; true if the walk was there before, as far as it remembers.
    pub fn again(&mut self, value: &Value) -> bool {
        self.pair_again(value, value)
    }

    /// Notes two containers that are walked side by side.
    #[inline]
    pub fn pair_again(&mut self, a: &Value, b: &Value) -> bool {
        if self.steps < MANY {
            self.steps += 1;
            return false;
        }
        match (shared_address(a), shared_address(b)) {
            (Some(a), Some(b)) => !self.pairs.insert((a, b)),
            _ => false,
        }
    }
}

/// Where a container lies that others hold too; only such ones can be met again.
fn shared_address(value: &Value) -> Option<usize> {
    fn of<T>(rc: &Rc<T>) -> Option<usize> {
        (Rc::strong_count(rc) > 1).then_some(Rc::as_ptr(rc) as usize)
    }
    match value {
        Value::Array(array) => of(array.node()),
        Value::Map(map) => of(map.node()),
        Value::Case(case) => of(case.node()),
        Value::Function(function) => of(function),
        _ => None,
    }
}
