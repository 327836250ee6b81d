//! What barriers gather. Stored rows are kept by number and read again later,
//! so that sorting many large records takes little memory.

use std::cmp::Ordering;
use std::sync::Arc;

use mix_value::{Map, Value, sort_order};

use super::super::budget::footprint;
use super::super::eval::{Evaluator, Scope};
use super::super::plan::{Barrier, Compute, Needs};
use super::super::source::RecordSource;
use super::Flow;

/// What an entry takes besides key and value.
const ENTRY: usize = size_of::<Entry>();

/// Values kept for later.
pub(super) struct Held {
    item: HeldItem,
    /// Memory counted for it.
    size: usize,
}

enum HeldItem {
    Row(u64),
    Value(Value),
    /// A group: its key and its members.
    Group(Value, Vec<Held>),
}

impl Held {
    /// A value for which no memory is counted.
    pub(super) fn of_value(value: Value) -> Held {
        Held {
            item: HeldItem::Value(value),
            size: 0,
        }
    }

    /// A group of rows.
    pub(super) fn group(key: Value, rows: Vec<u32>) -> Held {
        let members = rows
            .into_iter()
            .map(|row| Held {
                item: HeldItem::Row(u64::from(row)),
                size: 0,
            })
            .collect();
        Held {
            item: HeldItem::Group(key, members),
            size: 0,
        }
    }

    /// Gives the value back and its memory free.
    pub(super) fn release<S: RecordSource>(
        self,
        evaluator: &Evaluator<S>,
    ) -> Result<Option<Flow>, S::Error> {
        let flow = match self.item {
            HeldItem::Value(value) => {
                // It is still there, as the value at hand.
                evaluator.budget.charge(self.size)?;
                Some(Flow::Value(value))
            }
            HeldItem::Row(row) => evaluator.source.next_row(row)?.map(Flow::of_row),
            HeldItem::Group(key, members) => {
                let mut values = Vec::with_capacity(members.len());
                for member in members {
                    evaluator.budget.tick()?;
                    match member.release(evaluator)? {
                        Some(Flow::Value(value)) => values.push(value),
                        Some(Flow::Row { row, .. }) => {
                            values.push(evaluator.decode(&row, &Needs::All)?)
                        }
                        None => {}
                    }
                }
                let map = Map::from([
                    (Arc::from("key"), key),
                    (Arc::from("values"), Value::Array(values)),
                ]);
                let map = Value::Map(map);
                footprint(&map)?;
                Some(Flow::Value(map))
            }
        };
        evaluator.budget.release(self.size);
        Ok(flow)
    }
}

struct Entry {
    /// None where the barrier has no key, or it is undefined.
    key: Option<Value>,
    held: Held,
}

/// What has been gathered so far.
#[derive(Default)]
pub(super) struct Gather {
    entries: Vec<Entry>,
    count: i64,
}

impl Gather {
    pub(super) fn add<S: RecordSource>(
        &mut self,
        mut flow: Flow,
        barrier: &Barrier,
        needs: &Needs,
        evaluator: &Evaluator<S>,
    ) -> Result<(), S::Error> {
        let key = match barrier {
            Barrier::Count => {
                self.count += 1;
                return Ok(());
            }
            Barrier::Reverse => None,
            Barrier::Order { key, .. } => key_of(&mut flow, key, needs, evaluator)?,
            Barrier::Group(key) => match key_of(&mut flow, key, needs, evaluator)? {
                Some(key) => Some(key),
                None => return Ok(()),
            },
        };
        let mut size = ENTRY;
        if let Some(key) = &key {
            size += footprint(key)?;
        }
        let item = match flow {
            Flow::Row { row, .. } => HeldItem::Row(row.row),
            Flow::Value(value) => {
                size += footprint(&value)?;
                HeldItem::Value(value)
            }
        };
        evaluator.budget.hold(size)?;
        self.entries.push(Entry {
            key,
            held: Held { item, size },
        });
        Ok(())
    }

    /// Counts values without looking at them.
    pub(super) fn add_count(&mut self, values: u64) {
        self.count += i64::try_from(values).unwrap_or(i64::MAX);
    }

    pub(super) fn count(&self) -> Value {
        Value::Int(self.count)
    }

    pub(super) fn reversed(self) -> impl Iterator<Item = Held> {
        self.entries.into_iter().rev().map(|entry| entry.held)
    }

    /// Sorted by the keys, equal ones in the order they came, undefined ones last.
    pub(super) fn ordered(mut self, descending: bool) -> impl Iterator<Item = Held> {
        self.entries.sort_by(|a, b| match (&a.key, &b.key) {
            (Some(a), Some(b)) if descending => sort_order(b, a),
            (Some(a), Some(b)) => sort_order(a, b),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (None, None) => Ordering::Equal,
        });
        self.entries.into_iter().map(|entry| entry.held)
    }

    /// One group per distinct key, in the order of the keys.
    pub(super) fn grouped(mut self) -> impl Iterator<Item = Held> {
        self.entries.sort_by(|a, b| match (&a.key, &b.key) {
            (Some(a), Some(b)) => sort_order(a, b),
            // `add` leaves out what has no key.
            _ => Ordering::Equal,
        });
        let mut entries = self.entries.into_iter().peekable();
        std::iter::from_fn(move || {
            let first = entries.next()?;
            let key = first.key?;
            let mut members = vec![first.held];
            while let Some(next) = entries.next_if(|next| {
                next.key
                    .as_ref()
                    .is_some_and(|other| sort_order(other, &key).is_eq())
            }) {
                members.push(next.held);
            }
            Some(Held {
                item: HeldItem::Group(key, members),
                size: 0,
            })
        })
    }
}

/// The key of a value; none if it is undefined.
pub(super) fn key_of<S: RecordSource>(
    flow: &mut Flow,
    key: &Compute,
    needs: &Needs,
    evaluator: &Evaluator<S>,
) -> Result<Option<Value>, S::Error> {
    let (value, row) = flow.view(evaluator, needs)?;
    let computed = evaluator.compute(
        key,
        Scope {
            root: value,
            current: value,
            row,
        },
    )?;
    let computed = evaluator.own(computed)?;
    Ok(if computed.is_undefined() {
        None
    } else {
        Some(computed)
    })
}
