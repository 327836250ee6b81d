//! What the leading filters demand of every result.

use super::super::ast::{CompareOp, ListOp};
use super::super::source::{Atom, AtomTest};
use super::{Compute, Condition, Step};
use mix_value::Value;

/// Atoms and marks that hold for every result of steps.
pub(super) fn of(steps: &[Step]) -> (Vec<Atom>, Vec<usize>) {
    let mut found = (Vec::new(), Vec::new());
    for step in steps {
        let Step::Keep(condition) = step else {
            break;
        };
        conjuncts(condition, &mut found);
    }
    found
}

fn conjuncts(condition: &Condition, found: &mut (Vec<Atom>, Vec<usize>)) {
    match condition {
        Condition::And(parts) => parts.iter().for_each(|part| conjuncts(part, found)),
        Condition::After(mark) => found.1.push(*mark),
        Condition::Compare(CompareOp::Eq, Compute::Path(_, path), Compute::Constant(value))
        | Condition::Compare(CompareOp::Eq, Compute::Constant(value), Compute::Path(_, path)) => {
            found.0.push(Atom {
                path: path.clone(),
                test: AtomTest::Equal(value.clone()),
            });
        }
        Condition::Compare(
            CompareOp::Like,
            Compute::Path(_, path),
            Compute::Constant(Value::String(prefix)),
        ) => {
            found.0.push(Atom {
                path: path.clone(),
                test: AtomTest::Prefix(prefix.clone()),
            });
        }
        Condition::Within(ListOp::In, Compute::Path(_, path), list) => {
            found.0.push(Atom {
                path: path.clone(),
                test: AtomTest::OneOf(list.items().to_vec()),
            });
        }
        Condition::Exists(Compute::Path(_, path)) => {
            found.0.push(Atom {
                path: path.clone(),
                test: AtomTest::Exists,
            });
        }
        _ => {}
    }
}
