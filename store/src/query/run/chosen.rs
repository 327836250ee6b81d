//! Input that an index chose: only rows that may pass the leading filters, if
//! possible in the order that the next barrier would give them.

use std::sync::Arc;

use mix_value::{Map, Value};
use roaring::RoaringBitmap;

use super::super::error::QueryError;
use super::super::eval::{Evaluator, Scope};
use super::super::plan::{Barrier, Base, Compute, Plan, Step};
use super::super::select::Selector;
use super::super::source::{GroupRowsIter, RecordSource, Sorted};
use super::gather::{Held, key_of};
use super::{Execution, Flow, Input};

/// A row found by its order costs about as much as reading this fraction of a row.
const WALK: u64 = 16;

/// Rows an index chose.
pub(super) struct Chosen<E> {
    order: Order<E>,
    /// Rows that need no test.
    sure: Sure,
    /// The leading filters are those of the first segment.
    filters: usize,
    /// The rows go into the segment behind the first one.
    beyond: bool,
}

/// Rows of which the index tells that they pass the leading filters.
enum Sure {
    All,
    Some(RoaringBitmap),
}

impl Sure {
    fn contains(&self, row: u32) -> bool {
        match self {
            Sure::All => true,
            Sure::Some(rows) => rows.contains(row),
        }
    }
}

enum Order<E> {
    /// Not begun.
    All(Arc<RoaringBitmap>),
    Up(roaring::bitmap::IntoIter),
    Down(std::iter::Rev<roaring::bitmap::IntoIter>),
    Sorted {
        rows: Box<dyn Sorted<E>>,
        next: GroupRowsIter,
    },
    /// Rows of the same value become one group.
    Groups {
        rows: Box<dyn Sorted<E>>,
        next: GroupRowsIter,
        key: Option<Value>,
        members: Vec<u32>,
    },
}

/// What an input gives.
pub(super) enum Taken {
    Flow(Flow),
    /// Something that did not pass; more may follow.
    Nothing,
    End,
}

impl<S: RecordSource> Execution<S> {
    /// Lets the index of the source choose the input, if it has one.
    pub(super) fn choose(&mut self) -> Result<(), S::Error> {
        let evaluator = &self.evaluator;
        let Some(selector) = Selector::new(&evaluator.source, &evaluator.first_rows)? else {
            return Ok(());
        };
        let filters = self.plan.leading().count();
        let (rows, sure) = if filters == 0 {
            (Arc::clone(selector.visible()), Sure::All)
        } else {
            let sets = selector.all(self.plan.leading())?;
            if sets.maybe.is_empty() {
                (Arc::new(sets.sure), Sure::All)
            } else {
                (Arc::new(&sets.sure | &sets.maybe), Sure::Some(sets.sure))
            }
        };
        let mut chosen = Chosen {
            order: Order::All(Arc::default()),
            sure,
            filters,
            beyond: false,
        };
        let first = self.plan.segments.first();
        let barrier = first
            .filter(|first| first.steps.len() == filters)
            .and_then(|first| first.barrier.as_ref());
        let sorted = match barrier {
            Some(
                Barrier::Order {
                    key: Compute::Path(Base::Current | Base::Root, path),
                    ..
                }
                | Barrier::Group(Compute::Path(Base::Current | Base::Root, path)),
            ) if self.walks(&rows, selector.visible()) => {
                let descending = matches!(
                    barrier,
                    Some(Barrier::Order {
                        descending: true,
                        ..
                    })
                );
                evaluator.source.sorted(path, descending, &rows)?
            }
            _ => None,
        };
        chosen.order = match (barrier, sorted) {
            (Some(Barrier::Reverse), _) => {
                chosen.beyond = true;
                Order::Down(Arc::unwrap_or_clone(rows).into_iter().rev())
            }
            (Some(Barrier::Group(_)), Some(rows)) => {
                chosen.beyond = true;
                Order::Groups {
                    rows,
                    next: GroupRowsIter::default(),
                    key: None,
                    members: Vec::new(),
                }
            }
            (_, Some(rows)) => {
                chosen.beyond = true;
                Order::Sorted {
                    rows,
                    next: GroupRowsIter::default(),
                }
            }
            _ => Order::All(rows),
        };
        if chosen.beyond {
            self.segment = 1;
        } else {
            self.passed = filters;
        }
        self.input = Input::Chosen(Box::new(chosen));
        Ok(())
    }

    /// Whether going through all values in order finds rows sooner than reading
    /// and sorting them.
    fn walks(&self, rows: &RoaringBitmap, visible: &RoaringBitmap) -> bool {
        let wanted = self.plan.segments.get(1).map_or(u64::MAX, |next| {
            let steps = next.steps.iter().map_while(|step| match step {
                Step::Skip(count) | Step::Limit(count) => Some((step, *count)),
                _ => None,
            });
            let (mut skipped, mut limit) = (0_u64, u64::MAX);
            for (step, count) in steps {
                match step {
                    Step::Skip(_) => skipped = skipped.saturating_add(count),
                    _ => limit = limit.min(count),
                }
            }
            limit.saturating_add(skipped)
        });
        let rows = rows.len();
        if wanted >= rows {
            return rows.saturating_mul(WALK) >= visible.len();
        }
        // Of so many visible rows one is found.
        let share = visible.len() / rows.max(1) + 1;
        wanted.saturating_mul(share) <= rows.saturating_mul(WALK)
    }
}

impl<E: From<QueryError>> Chosen<E> {
    /// Takes out the rows that need no test; gives their number.
    pub(super) fn take_sure(&mut self) -> u64 {
        let Order::All(rows) = &mut self.order else {
            return 0;
        };
        match std::mem::replace(&mut self.sure, Sure::Some(RoaringBitmap::new())) {
            Sure::All => std::mem::take(rows).len(),
            Sure::Some(sure) => {
                // All of them are among the rows.
                *Arc::make_mut(rows) -= &sure;
                sure.len()
            }
        }
    }

    /// The next rows, if none of them needs a test; at most `max`.
    pub(super) fn take_known(&mut self, max: usize) -> Result<Vec<u32>, E> {
        if !matches!(self.sure, Sure::All) {
            return Ok(Vec::new());
        }
        let mut taken = Vec::new();
        while taken.len() < max {
            let left = max - taken.len();
            match &mut self.order {
                Order::Sorted { rows, next } => {
                    let before = taken.len();
                    taken.extend(next.take(left));
                    let left = left - (taken.len() - before);
                    if left > 0 {
                        rows.take_rows(left, &mut taken);
                    }
                    if taken.len() > before {
                        continue;
                    }
                }
                Order::Up(rows) => {
                    taken.extend(rows.take(left));
                    break;
                }
                _ => {}
            }
            match self.next_row()? {
                Some(row) => taken.push(row),
                None => break,
            }
        }
        Ok(taken)
    }

    /// The next row; none at the end, and of groups.
    fn next_row(&mut self) -> Result<Option<u32>, E> {
        if let Order::All(rows) = &mut self.order {
            self.order = Order::Up(Arc::unwrap_or_clone(std::mem::take(rows)).into_iter());
        }
        Ok(match &mut self.order {
            Order::All(_) | Order::Groups { .. } => None,
            Order::Up(rows) => rows.next(),
            Order::Down(rows) => rows.next(),
            Order::Sorted { rows, next } => {
                let mut row = next.next();
                // A group may have no rows.
                while row.is_none()
                    && let Some(group) = rows.next_group()?
                {
                    *next = group.rows.into_iter();
                    row = next.next();
                }
                row
            }
        })
    }

    pub(super) fn next<S: RecordSource<Error = E>>(
        &mut self,
        evaluator: &Evaluator<S>,
        plan: &Plan,
    ) -> Result<Taken, E> {
        if matches!(self.order, Order::Groups { .. }) {
            return self.next_group(evaluator, plan);
        }
        let row = self.next_row()?;
        let Some(row) = row else {
            return Ok(Taken::End);
        };
        Ok(match self.tested(row, evaluator, plan)? {
            Some(flow) => Taken::Flow(flow),
            None => Taken::Nothing,
        })
    }

    /// The row, if it passes the leading filters.
    fn tested<S: RecordSource<Error = E>>(
        &self,
        row: u32,
        evaluator: &Evaluator<S>,
        plan: &Plan,
    ) -> Result<Option<Flow>, E> {
        let number = u64::from(row);
        let stored = evaluator.source.next_row(number)?;
        let stored = stored.filter(|stored| stored.row == number);
        evaluator
            .budget
            .work(stored.as_ref().map_or(0, |row| row.bytes.len()))?;
        let Some(stored) = stored else {
            return Ok(None);
        };
        let mut flow = Flow::of_row(stored);
        if self.sure.contains(row) {
            return Ok(Some(flow));
        }
        let Some(first) = plan.segments.first() else {
            return Ok(Some(flow));
        };
        for step in first.steps.iter().take(self.filters) {
            let Step::Keep(condition) = step else {
                continue;
            };
            let (value, number) = flow.view(evaluator, &first.needs)?;
            let scope = Scope {
                root: value,
                current: value,
                row: number,
            };
            if evaluator.test(condition, scope)? != Some(true) {
                return Ok(None);
            }
        }
        if self.beyond
            && let Flow::Row { value, .. } = &mut flow
        {
            // Decoded as far as the filters needed it, which is not what follows.
            *value = None;
        }
        Ok(Some(flow))
    }

    /// Looks at one more row; gives a group when it is complete.
    fn next_group<S: RecordSource<Error = E>>(
        &mut self,
        evaluator: &Evaluator<S>,
        plan: &Plan,
    ) -> Result<Taken, E> {
        let Order::Groups {
            rows,
            next,
            key,
            members,
        } = &mut self.order
        else {
            return Ok(Taken::End);
        };
        let values = needs_values(plan);
        if let Some(row) = next.next() {
            if self.sure.contains(row) {
                members.push(row);
                if values && matches!(self.sure, Sure::All) {
                    members.extend(next);
                }
            } else if self.tested(row, evaluator, plan)?.is_some()
                && let Order::Groups { members, .. } = &mut self.order
            {
                members.push(row);
            }
            if !values
                && let Order::Groups { next, members, .. } = &mut self.order
                && !members.is_empty()
            {
                // One is enough to know that there is such a group.
                *next = GroupRowsIter::default();
            }
            return Ok(Taken::Nothing);
        }
        if let Some(first) = members.first().copied() {
            let members = std::mem::take(members);
            let key = match key.take() {
                Some(key) => Some(key),
                None => group_key(first, evaluator, plan)?,
            };
            // The index has a value for all of them.
            return Ok(match key {
                Some(key) if !values => {
                    let group = Map::from([
                        (Arc::from("key"), key),
                        (Arc::from("values"), Value::Array(Vec::new())),
                    ]);
                    Taken::Flow(Flow::Value(Value::Map(group)))
                }
                Some(key) => match Held::group(key, members).release(evaluator)? {
                    Some(flow) => Taken::Flow(flow),
                    None => Taken::Nothing,
                },
                None => Taken::Nothing,
            });
        }
        match rows.next_group()? {
            Some(group) if group.defined => {
                *key = group.key;
                *next = group.rows.into_iter();
                Ok(Taken::Nothing)
            }
            _ => Ok(Taken::End),
        }
    }
}

/// Whether anything behind a group looks at its values.
fn needs_values(plan: &Plan) -> bool {
    plan.segments.get(1).is_none_or(|next| {
        let replaced = next.steps.iter().any(|step| matches!(step, Step::Map(_)));
        let counted = matches!(next.barrier, Some(Barrier::Count));
        !replaced && !counted || next.needs.includes("values")
    })
}

/// The key of a group, from its first row.
fn group_key<S: RecordSource>(
    row: u32,
    evaluator: &Evaluator<S>,
    plan: &Plan,
) -> Result<Option<Value>, S::Error> {
    let Some(first) = plan.segments.first() else {
        return Ok(None);
    };
    let Some(Barrier::Group(key)) = &first.barrier else {
        return Ok(None);
    };
    match evaluator.source.next_row(u64::from(row))? {
        Some(stored) => key_of(&mut Flow::of_row(stored), key, &first.needs, evaluator),
        None => Ok(None),
    }
}
