//! Chooses the rows that conditions leave, as far as an index tells.
//!
//! Each condition gives two sets: rows for which it surely has the wanted
//! truth, and rows that must be read. Negation swaps what is wanted; what is
//! in neither set, for neither truth, is unknown or invisible.

use std::sync::Arc;

use mix_value::Value;
use roaring::RoaringBitmap;

use super::ast::CompareOp;
use super::plan::{Base, Compute, Condition};
use super::source::{Atom, AtomTest, RecordSource, Sets};

/// Looks conditions up in the index of a source.
pub(super) struct Selector<'s, S: RecordSource> {
    source: &'s S,
    /// The visible rows.
    visible: Arc<RoaringBitmap>,
    /// First rows of the plan's marks.
    first_rows: &'s [u64],
}

impl<'s, S: RecordSource> Selector<'s, S> {
    /// None if the source has no index.
    pub(super) fn new(source: &'s S, first_rows: &'s [u64]) -> Result<Option<Self>, S::Error> {
        Ok(source.visible()?.map(|visible| Selector {
            source,
            visible,
            first_rows,
        }))
    }

    pub(super) fn visible(&self) -> &Arc<RoaringBitmap> {
        &self.visible
    }

    /// The visible rows that pass all conditions.
    pub(super) fn all<'c>(
        &self,
        conditions: impl Iterator<Item = &'c Condition>,
    ) -> Result<Sets, S::Error> {
        let mut all: Option<Sets> = None;
        for condition in conditions {
            let mut found = self.sets(condition, true)?;
            match &mut all {
                Some(sets) => sets.and(found),
                None => {
                    found.sure &= &*self.visible;
                    found.maybe &= &*self.visible;
                    found.maybe -= &found.sure;
                    all = Some(found);
                }
            }
            if all
                .as_ref()
                .is_some_and(|sets| sets.sure.is_empty() && sets.maybe.is_empty())
            {
                break;
            }
        }
        Ok(all.unwrap_or_else(|| self.everything()))
    }

    /// The rows for which a condition has the truth `want`.
    pub(super) fn sets(&self, condition: &Condition, want: bool) -> Result<Sets, S::Error> {
        Ok(match condition {
            Condition::Always if want => self.everything(),
            Condition::Always => Sets::default(),
            Condition::After(mark) => {
                let first = self.first_rows.get(*mark).copied().unwrap_or(0);
                let first = u32::try_from(first).unwrap_or(u32::MAX);
                let mut rows = RoaringBitmap::clone(&self.visible);
                if want {
                    rows.remove_range(..first);
                } else {
                    rows.remove_range(first..);
                }
                Sets::sure(rows)
            }
            Condition::Not(inner) => self.sets(inner, !want)?,
            // All must hold for the truth of `and`, and for the falsity of `or`.
            Condition::And(parts) => self.combine(parts, want, want)?,
            Condition::Or(parts) => self.combine(parts, want, !want)?,
            Condition::Subquery(Compute::Path(_, path), parts) if want => {
                let mut rows = RoaringBitmap::clone(&self.visible);
                for part in parts {
                    self.narrow(path, part, &mut rows)?;
                }
                Sets::maybe(rows)
            }
            condition => match atom_of(condition) {
                Some(atom) => match self.source.sets(&atom, want)? {
                    Some(sets) => sets,
                    None => self.unknown(),
                },
                None => self.unknown(),
            },
        })
    }

    fn everything(&self) -> Sets {
        Sets::sure(RoaringBitmap::clone(&self.visible))
    }

    fn unknown(&self) -> Sets {
        Sets::maybe(RoaringBitmap::clone(&self.visible))
    }

    fn combine(&self, parts: &[Condition], want: bool, all: bool) -> Result<Sets, S::Error> {
        let mut combined: Option<Sets> = None;
        let mut add = |found: Sets| match &mut combined {
            Some(sets) if all => sets.and(found),
            Some(sets) => sets.or(found),
            None => combined = Some(found),
        };
        let mut joined = vec![false; parts.len()];
        if all && want {
            for (first, second, atom) in bounds(parts) {
                if let Some(sets) = self.source.sets(&atom, true)? {
                    add(sets);
                    joined[first] = true;
                    joined[second] = true;
                }
            }
        }
        for (part, joined) in parts.iter().zip(joined) {
            if joined {
                continue;
            }
            add(self.sets(part, want)?);
        }
        Ok(match combined {
            Some(sets) => sets,
            // Without parts `and` is true and `or` is false.
            None if all => self.everything(),
            None => Sets::default(),
        })
    }

    /// Leaves only rows in which an object at `path` may pass a condition.
    fn narrow(
        &self,
        path: &[Arc<str>],
        condition: &Condition,
        rows: &mut RoaringBitmap,
    ) -> Result<(), S::Error> {
        if let Condition::And(parts) = condition {
            return parts
                .iter()
                .try_for_each(|part| self.narrow(path, part, rows));
        }
        let found = match atom_of(condition) {
            Some(Atom { path: inner, test }) if is_current(condition) => {
                let path = path.iter().cloned().chain(inner).collect();
                self.source.somewhere(&Atom { path, test })?
            }
            _ => None,
        };
        if let Some(found) = found {
            *rows &= found;
        }
        Ok(())
    }
}

/// Pairs of conditions that are the two ends of one range, and the range.
fn bounds(parts: &[Condition]) -> Vec<(usize, usize, Atom)> {
    let mut found: Vec<(usize, usize, Atom)> = Vec::new();
    let atoms: Vec<Option<Atom>> = parts.iter().map(atom_of).collect();
    for (first, low) in atoms.iter().enumerate() {
        let Some(Atom {
            path,
            test: AtomTest::Compare(above @ (CompareOp::Gt | CompareOp::Ge), from),
        }) = low
        else {
            continue;
        };
        let high = atoms
            .iter()
            .enumerate()
            .find_map(|(second, high)| match high {
                Some(Atom {
                    path: other,
                    test: AtomTest::Compare(below @ (CompareOp::Lt | CompareOp::Le), to),
                }) if other == path && same_kind(from, to) => Some((second, *below, to)),
                _ => None,
            });
        if let Some((second, below, to)) = high
            && !found.iter().any(|(_, taken, _)| *taken == second)
        {
            let test = AtomTest::Between(*above, from.clone(), below, to.clone());
            let path = path.clone();
            found.push((first, second, Atom { path, test }));
        }
    }
    found
}

/// Whether values have the same kind, one of those whose ranges an index knows.
fn same_kind(a: &Value, b: &Value) -> bool {
    let number = |value: &Value| match value {
        Value::Int(_) => true,
        Value::Float(number) => !number.is_nan(),
        _ => false,
    };
    matches!((a, b), (Value::String(_), Value::String(_))) || number(a) && number(b)
}

/// Whether the path of an atom starts at the current object.
fn is_current(condition: &Condition) -> bool {
    let key = match condition {
        Condition::Compare(_, Compute::Constant(_), key)
        | Condition::Compare(_, key, _)
        | Condition::Within(_, key, _)
        | Condition::Exists(key) => key,
        _ => return false,
    };
    matches!(key, Compute::Path(Base::Current, _))
}

/// The atom that a condition is; none if it is something else.
pub(super) fn atom_of(condition: &Condition) -> Option<Atom> {
    let (path, test) = match condition {
        Condition::Compare(op, Compute::Path(_, path), Compute::Constant(value)) => {
            (path, AtomTest::Compare(*op, value.clone()))
        }
        Condition::Compare(
            op @ (CompareOp::Eq | CompareOp::Ne),
            Compute::Constant(value),
            Compute::Path(_, path),
        ) => (path, AtomTest::Compare(*op, value.clone())),
        Condition::Within(op, Compute::Path(_, path), list) => {
            (path, AtomTest::Within(*op, list.items().to_vec()))
        }
        Condition::Exists(Compute::Path(_, path)) => (path, AtomTest::Exists),
        _ => return None,
    };
    Some(Atom {
        path: path.clone(),
        test,
    })
}
