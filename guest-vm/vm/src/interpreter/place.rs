//! Comparing, updating and iterating: what the loop hands over when its own
//! short way does not fit.

use std::ops::Range;

use mix_bytecode::{PathId, PathStep};

use super::window::{clear, copy, put};
use crate::access;
use crate::failure::Failure;
use crate::heap::Value;
use crate::loaded::{Loaded, Step};
use crate::operators::{self, Relation};

type Comparison = fn(&Value, &Value) -> Result<Value, Failure>;

pub(super) const EQ: Comparison = |a, b| operators::equality(false, a, b);
pub(super) const NE: Comparison = |a, b| operators::equality(true, a, b);
pub(super) const LT: Comparison = |a, b| operators::relation(Relation::Lt, a, b);
pub(super) const LE: Comparison = |a, b| operators::relation(Relation::Le, a, b);
pub(super) const GT: Comparison = |a, b| operators::relation(Relation::Gt, a, b);
pub(super) const GE: Comparison = |a, b| operators::relation(Relation::Ge, a, b);

/// Changes a place inside the value of register `target`; the registers of the keys become undefined.
pub(super) fn update(
    loaded: &Loaded,
    path: PathId,
    registers: &mut [Value],
    target: usize,
    keys: Range<usize>,
    source: usize,
) -> Result<(), Failure> {
    let value = copy(&registers[source]);
    let mut whole = registers[target].take();
    let result = if let Some(place) = find(
        &loaded.paths[path.index()],
        &mut whole,
        &registers[keys.clone()],
    ) && !value.is_undefined()
    {
        put(place, value);
        Ok(())
    } else {
        // A new key, or an error: the long way tells which.
        let steps: &[PathStep] = &loaded.program.paths[path.index()];
        access::update(
            &mut whole,
            steps,
            &registers[keys.clone()],
            |name| loaded.text_ref(name).cloned(),
            value,
        )
    };
    put(&mut registers[target], whole);
    clear(&mut registers[keys]);
    result
}

/// The place that a path leads to, if it is there already.
fn find<'a>(path: &[Step], whole: &'a mut Value, keys: &[Value]) -> Option<&'a mut Value> {
    let mut here = whole;
    let mut keys = keys.iter();
    for step in path {
        here = match (step, here) {
            (Step::Field(name, guess), Value::Map(map)) => map.get_mut_near(name, guess)?,
            (Step::Key, Value::Map(map)) => match keys.next()? {
                Value::Text(key) => map.get_mut(key)?,
                _ => return None,
            },
            (Step::Index, Value::Array(array)) => {
                let index = access::position(keys.next()?)?;
                array.item_mut(index)?
            }
            _ => return None,
        };
    }
    Some(here)
}

/// The next element of a stream if it can be had at once, undefined at its end.
pub(super) fn next(stream: &Value) -> Result<Option<Value>, Failure> {
    match stream {
        Value::Stream(stream) => Ok(stream.next_ready()),
        other => Err(Failure::not_a("RT_NOT_A_STREAM", "a stream", other)),
    }
}
