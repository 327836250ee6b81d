//! Comparing, updating and iterating: what the loop hands over when its own
//! short way does not fit.

use std::ops::Range;

use mix_bytecode::{Op, PathId, PathStep, Target};

use super::window::clear;
use crate::access;
use crate::failure::Failure;
use crate::heap::Value;
use crate::loaded::{Loaded, Step};
use crate::operators::{self, Relation};

/// A comparison of the language.
pub(super) type Comparison = fn(&Value, &Value) -> Result<Value, Failure>;

pub(super) const EQ: Comparison = |a, b| operators::equality(false, a, b);
pub(super) const NE: Comparison = |a, b| operators::equality(true, a, b);
pub(super) const LT: Comparison = |a, b| operators::relation(Relation::Lt, a, b);
pub(super) const LE: Comparison = |a, b| operators::relation(Relation::Le, a, b);
pub(super) const GT: Comparison = |a, b| operators::relation(Relation::Gt, a, b);
pub(super) const GE: Comparison = |a, b| operators::relation(Relation::Ge, a, b);

/// A conditional jump: comparison, both sides, when it is taken, its target.
pub(super) type Condition<'a> = (Comparison, &'a Value, Value, bool, Target);

/// The parts of a jump on a comparison.
pub(super) fn condition<'a>(op: &Op, r: &'a [Value]) -> Option<Condition<'a>> {
    let int = |number: i16| Value::Int(i64::from(number));
    let (relation, a, b, wanted, target) = match *op {
        Op::JumpUnlessEq { a, b, target } => (EQ, a, r[b.index()].clone(), false, target),
        Op::JumpUnlessEqInt { a, number, target } => (EQ, a, int(number), false, target),
        Op::JumpUnlessNe { a, b, target } => (NE, a, r[b.index()].clone(), false, target),
        Op::JumpUnlessNeInt { a, number, target } => (NE, a, int(number), false, target),
        Op::JumpUnlessLt { a, b, target } => (LT, a, r[b.index()].clone(), false, target),
        Op::JumpUnlessLtInt { a, number, target } => (LT, a, int(number), false, target),
        Op::JumpUnlessLe { a, b, target } => (LE, a, r[b.index()].clone(), false, target),
        Op::JumpUnlessLeInt { a, number, target } => (LE, a, int(number), false, target),
        Op::JumpUnlessGt { a, b, target } => (GT, a, r[b.index()].clone(), false, target),
        Op::JumpUnlessGtInt { a, number, target } => (GT, a, int(number), false, target),
        Op::JumpUnlessGe { a, b, target } => (GE, a, r[b.index()].clone(), false, target),
        Op::JumpUnlessGeInt { a, number, target } => (GE, a, int(number), false, target),
        Op::JumpWhenEq { a, b, target } => (EQ, a, r[b.index()].clone(), true, target),
        Op::JumpWhenEqInt { a, number, target } => (EQ, a, int(number), true, target),
        Op::JumpWhenNe { a, b, target } => (NE, a, r[b.index()].clone(), true, target),
        Op::JumpWhenNeInt { a, number, target } => (NE, a, int(number), true, target),
        Op::JumpWhenLt { a, b, target } => (LT, a, r[b.index()].clone(), true, target),
        Op::JumpWhenLtInt { a, number, target } => (LT, a, int(number), true, target),
        Op::JumpWhenLe { a, b, target } => (LE, a, r[b.index()].clone(), true, target),
        Op::JumpWhenLeInt { a, number, target } => (LE, a, int(number), true, target),
        Op::JumpWhenGt { a, b, target } => (GT, a, r[b.index()].clone(), true, target),
        Op::JumpWhenGtInt { a, number, target } => (GT, a, int(number), true, target),
        Op::JumpWhenGe { a, b, target } => (GE, a, r[b.index()].clone(), true, target),
        Op::JumpWhenGeInt { a, number, target } => (GE, a, int(number), true, target),
        _ => return None,
    };
    Some((relation, &r[a.index()], b, wanted, target))
}

/// Changes a place inside the value of register `target`; the registers of the keys become undefined,
/// unless that fails: then all registers stay as they were.
pub(super) fn update(
    loaded: &Loaded,
    path: PathId,
    registers: &mut [Value],
    target: usize,
    keys: Range<usize>,
    source: usize,
) -> Result<(), Failure> {
    let value = registers[source].clone();
    let mut whole = registers[target].take();
    let result = if let Some(place) = find(
        &loaded.paths[path.index()],
        &mut whole,
        &registers[keys.clone()],
    ) && !value.is_undefined()
    {
        *place = value;
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
    registers[target] = whole;
    if result.is_ok() {
        clear(&mut registers[keys]);
    }
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
