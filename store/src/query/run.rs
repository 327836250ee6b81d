//! Runs a plan: rows go one by one through the steps of a segment; at a barrier
//! they are gathered, and what comes out of it is the input of the next segment.

mod chosen;
mod gather;

use mix_value::Value;

use super::ast::Pipeline;
use super::budget::{Budget, footprint};
use super::error::QueryError;
use super::eval::{Evaluator, Scope};
use super::item::{QueryItem, Slice};
use super::options::QueryOptions;
use super::plan::{Barrier, Mark, Needs, Plan, Step, compile};
use super::source::{RecordSource, StoredRow};
use chosen::{Chosen, Taken};
use gather::{Gather, Held};

/// A pipeline with its parameters, checked as far as that needs no data.
#[derive(Debug)]
pub struct PreparedQuery {
    plan: Plan,
}

impl PreparedQuery {
    /// Checks a pipeline and fills in the parameters.
    pub fn new(pipeline: &Pipeline, options: &QueryOptions) -> Result<PreparedQuery, QueryError> {
        super::limits::check(pipeline)?;
        Ok(PreparedQuery {
            plan: compile(pipeline, &options.params, options.skip, options.limit)?,
        })
    }

    /// How the query would find its rows in a source: for each condition of the
    /// leading filters the numbers of rows for which the index tells that it is
    /// true (`t`), false (`f`), or that they must be read (`m`).
    pub fn explain<S: RecordSource>(&self, source: &S) -> Result<Value, S::Error> {
        super::explain::explain(&self.plan, source)
    }

    /// Runs over the rows of a source. Marks of `after` are looked up now, rows are read when results are asked for.
    pub fn run<S: RecordSource>(
        self,
        source: S,
        options: &QueryOptions,
    ) -> Result<Execution<S>, S::Error> {
        Execution::new(self.plan, source, options, None)
    }

    /// Runs over values instead of the rows of the source, which is used for refs alone.
    pub fn run_over<S: RecordSource>(
        self,
        values: Vec<Value>,
        source: S,
        options: &QueryOptions,
    ) -> Result<Execution<S>, S::Error> {
        Execution::new(self.plan, source, options, Some(values))
    }
}

/// A running query. Results come in order with [`Execution::next_batch`] or as
/// an iterator; after an error there are no more.
pub struct Execution<S: RecordSource> {
    evaluator: Evaluator<S>,
    plan: Plan,
    /// Index of the segment that runs.
    segment: usize,
    input: Input<S::Error>,
    /// Counters of the skip and limit steps of the segment, by step.
    counters: Vec<u64>,
    /// Leading steps of the segment that its input has passed already.
    passed: usize,
    /// What the barrier of the segment has gathered so far.
    gather: Option<Gather>,
    /// Values that may still be looked at before the query pauses.
    quota: Option<u64>,
    paused: bool,
    finished: bool,
}

/// Where a segment's values come from.
enum Input<E> {
    /// Rows from here on.
    Rows(u64),
    /// Rows that an index chose.
    Chosen(Box<Chosen<E>>),
    /// What a barrier let out.
    Held(Box<dyn Iterator<Item = Held> + Send>),
}

/// A value on its way.
enum Flow {
    /// A stored row, decoded as far as the segment needs it.
    Row {
        row: StoredRow,
        value: Option<Value>,
    },
    /// Something else.
    Value(Value),
}

/// What became of a value in the steps.
enum Passed {
    Through(Flow),
    /// Dropped by a filter, a projection or skip.
    Dropped,
    /// Dropped by a limit, as all that follow would be.
    Ended,
}

impl<S: RecordSource> Execution<S> {
    fn new(
        plan: Plan,
        source: S,
        options: &QueryOptions,
        values: Option<Vec<Value>>,
    ) -> Result<Execution<S>, S::Error> {
        let budget = Budget::new(options.max_bytes, options.deadline, options.cancel.clone());
        let mut evaluator = Evaluator::new(source, budget);
        for mark in &plan.marks {
            let first = first_row(&evaluator.source, mark)?;
            evaluator.first_rows.push(first);
        }
        let mut execution = Execution {
            evaluator,
            plan,
            segment: 0,
            input: match values {
                Some(values) => Input::Held(Box::new(values.into_iter().map(Held::of_value))),
                None => Input::Rows(0),
            },
            counters: Vec::new(),
            passed: 0,
            gather: None,
            quota: None,
            paused: false,
            finished: false,
        };
        if matches!(execution.input, Input::Rows(_)) {
            execution.choose()?;
        }
        execution.reset_counters();
        Ok(execution)
    }

    fn reset_counters(&mut self) {
        let steps = self
            .plan
            .segments
            .get(self.segment)
            .map_or(0, |segment| segment.steps.len());
        self.counters = vec![0; steps];
    }

    /// The next results: at most `max`, none at the end.
    pub fn next_batch(&mut self, max: usize) -> Result<Vec<QueryItem>, S::Error> {
        let mut batch = Vec::new();
        if let Err(error) = self.take_stored(max, &mut batch) {
            self.finish();
            return Err(error);
        }
        self.looked_at(batch.len());
        while batch.len() < max {
            match self.next_item()? {
                Some(item) => batch.push(item),
                None => break,
            }
        }
        Ok(batch)
    }

    /// The next results after looking at no more than `looks` values, so that a
    /// single thread can serve others meanwhile. At most `max` results, perhaps
    /// none although more follow.
    pub fn next_slice(&mut self, max: usize, looks: u64) -> Result<Slice, S::Error> {
        self.quota = Some(looks);
        let items = self.next_batch(max);
        self.quota = None;
        Ok(Slice {
            items: items?,
            finished: self.finished,
        })
    }

    /// All results as values, within the memory of the query.
    pub fn collect_values(mut self) -> Result<Vec<Value>, S::Error> {
        let mut values = Vec::new();
        while let Some(item) = self.next_item()? {
            let value = match item {
                QueryItem::Value(value) => value,
                QueryItem::Stored(row) => {
                    self.evaluator.budget.next_value();
                    self.evaluator.decode(&row, &Needs::All)?
                }
            };
            self.evaluator.budget.hold(footprint(&value)?)?;
            values.push(value);
        }
        Ok(values)
    }

    /// The next result.
    pub fn next_item(&mut self) -> Result<Option<QueryItem>, S::Error> {
        if self.finished {
            return Ok(None);
        }
        self.paused = false;
        let result = self.advance();
        let goes_on = matches!(result, Ok(Some(_))) || self.paused && result.is_ok();
        if !goes_on {
            self.finish();
        }
        result
    }

    fn finish(&mut self) {
        self.finished = true;
        self.input = Input::Held(Box::new(std::iter::empty()));
    }

    /// Takes results that are stored rows of which the index knows all: they
    /// need no look, one by one, at what becomes of them.
    fn take_stored(&mut self, max: usize, batch: &mut Vec<QueryItem>) -> Result<(), S::Error> {
        let is_last = self.segment + 1 == self.plan.segments.len();
        let Some(segment) = self.plan.segments.get(self.segment) else {
            return Ok(());
        };
        let Input::Chosen(chosen) = &mut self.input else {
            return Ok(());
        };
        if self.finished || !is_last {
            return Ok(());
        }
        let quota = self.quota.unwrap_or(u64::MAX);
        let mut room = max.min(usize::try_from(quota).unwrap_or(usize::MAX));
        match segment.steps.get(self.passed..) {
            Some([]) => {}
            Some([Step::Limit(limit)]) => {
                // Another step of the segment cannot be behind it.
                let Some(passed) = self.counters.get_mut(self.passed) else {
                    return Ok(());
                };
                let left = limit.saturating_sub(*passed);
                room = room.min(usize::try_from(left).unwrap_or(usize::MAX));
                let rows = chosen.take_known(room)?;
                *passed += rows.len() as u64;
                return self.read_known(&rows, batch);
            }
            _ => return Ok(()),
        }
        let rows = chosen.take_known(room)?;
        self.read_known(&rows, batch)
    }

    /// Counts values that were looked at.
    fn looked_at(&mut self, values: usize) {
        if let Some(left) = &mut self.quota {
            *left = left.saturating_sub(values as u64);
        }
    }

    fn read_known(&self, rows: &[u32], batch: &mut Vec<QueryItem>) -> Result<(), S::Error> {
        batch.reserve_exact(rows.len());
        let budget = &self.evaluator.budget;
        self.evaluator.source.read_rows(rows, &mut |row| {
            budget.work(row.bytes.size())?;
            batch.push(QueryItem::Stored(row));
            Ok(())
        })
    }

    fn advance(&mut self) -> Result<Option<QueryItem>, S::Error> {
        while self.segment + 1 < self.plan.segments.len() {
            self.pass_barrier()?;
            if self.paused {
                return Ok(None);
            }
        }
        Ok(self.next_flow()?.map(|flow| match flow {
            Flow::Row { row, .. } => QueryItem::Stored(row),
            Flow::Value(value) => QueryItem::Value(value),
        }))
    }

    /// Runs the present segment to its end and goes on with what its barrier lets out.
    fn pass_barrier(&mut self) -> Result<(), S::Error> {
        let mut gather = self.gather.take().unwrap_or_default();
        if let Input::Chosen(chosen) = &mut self.input
            && let Some(segment) = self.plan.segments.get(self.segment)
            && matches!(segment.barrier, Some(Barrier::Count))
            && segment.steps.len() == self.passed
        {
            gather.add_count(chosen.take_sure());
        }
        while let Some(flow) = self.next_flow()? {
            if let Some(segment) = self.plan.segments.get(self.segment)
                && let Some(barrier) = &segment.barrier
            {
                gather.add(flow, barrier, &segment.needs, &self.evaluator)?;
            }
        }
        if self.paused {
            self.gather = Some(gather);
            return Ok(());
        }
        let barrier = self
            .plan
            .segments
            .get(self.segment)
            .and_then(|segment| segment.barrier.as_ref());
        let held: Box<dyn Iterator<Item = Held> + Send> = match barrier {
            Some(Barrier::Count) => Box::new(std::iter::once(Held::of_value(gather.count()))),
            Some(Barrier::Group(_)) => Box::new(gather.grouped()),
            Some(Barrier::Order { descending, .. }) => Box::new(gather.ordered(*descending)),
            Some(Barrier::Reverse) | None => Box::new(gather.reversed()),
        };
        self.input = Input::Held(held);
        self.enter(self.segment + 1);
        Ok(())
    }

    fn enter(&mut self, segment: usize) {
        self.segment = segment;
        self.passed = 0;
        self.reset_counters();
    }

    /// The next value that passes all steps of the present segment.
    fn next_flow(&mut self) -> Result<Option<Flow>, S::Error> {
        let exhausted = self.plan.segments.get(self.segment).is_none_or(|segment| {
            let mut steps = segment.steps.iter().zip(&self.counters);
            steps.any(|(step, passed)| matches!(step, Step::Limit(limit) if passed >= limit))
        });
        if exhausted {
            return Ok(None);
        }
        loop {
            match &mut self.quota {
                Some(0) => {
                    self.paused = true;
                    return Ok(None);
                }
                Some(left) => *left -= 1,
                None => {}
            }
            self.evaluator.budget.next_value();
            let flow = match self.take_input()? {
                Taken::Flow(flow) => flow,
                Taken::Nothing => continue,
                Taken::End => return Ok(None),
            };
            match self.through_steps(flow)? {
                Passed::Through(flow) => return Ok(Some(flow)),
                Passed::Dropped => {}
                Passed::Ended => return Ok(None),
            }
        }
    }

    fn take_input(&mut self) -> Result<Taken, S::Error> {
        let source = &self.evaluator.source;
        let taken = match &mut self.input {
            Input::Rows(from) => {
                let row = source.next_row(*from)?;
                self.evaluator
                    .budget
                    .work(row.as_ref().map_or(0, |row| row.bytes.len()))?;
                // A row number beyond all others ends the scan without overflow.
                *from = row
                    .as_ref()
                    .map_or(u64::MAX, |row| row.row.saturating_add(1));
                row.map(Flow::of_row)
            }
            Input::Chosen(chosen) => return chosen.next(&self.evaluator, &self.plan),
            Input::Held(held) => match held.next() {
                Some(held) => {
                    self.evaluator.budget.tick()?;
                    held.release(&self.evaluator)?
                }
                None => None,
            },
        };
        Ok(match taken {
            Some(flow) => Taken::Flow(flow),
            None => Taken::End,
        })
    }

    fn through_steps(&mut self, mut flow: Flow) -> Result<Passed, S::Error> {
        // The segment is there: `next_flow` has looked.
        let Some(segment) = self.plan.segments.get(self.segment) else {
            return Ok(Passed::Ended);
        };
        let mut last = false;
        let steps = segment.steps.iter().zip(&mut self.counters);
        for (step, counter) in steps.skip(self.passed) {
            match step {
                Step::Keep(condition) => {
                    let (value, row) = flow.view(&self.evaluator, &segment.needs)?;
                    let scope = Scope {
                        root: value,
                        current: value,
                        row,
                    };
                    if self.evaluator.test(condition, scope)? != Some(true) {
                        return Ok(if last { Passed::Ended } else { Passed::Dropped });
                    }
                }
                Step::Map(compute) => {
                    let (value, row) = flow.view(&self.evaluator, &segment.needs)?;
                    let scope = Scope {
                        root: value,
                        current: value,
                        row,
                    };
                    let result = self.evaluator.compute(compute, scope)?;
                    let result = self.evaluator.own(result)?;
                    // Bounds the depth of what the next stage works on.
                    footprint(&result)?;
                    if result.is_undefined() {
                        return Ok(if last { Passed::Ended } else { Passed::Dropped });
                    }
                    flow = Flow::Value(result);
                }
                Step::Skip(count) => {
                    if *counter < *count {
                        *counter += 1;
                        return Ok(if last { Passed::Ended } else { Passed::Dropped });
                    }
                }
                Step::Limit(count) => {
                    if *counter >= *count {
                        return Ok(Passed::Ended);
                    }
                    *counter += 1;
                    // Nothing gets here after this one: if it is dropped further on, that is the end.
                    last |= *counter >= *count;
                }
            }
        }
        Ok(Passed::Through(flow))
    }
}

impl<S: RecordSource> Iterator for Execution<S> {
    type Item = Result<QueryItem, S::Error>;

    fn next(&mut self) -> Option<Result<QueryItem, S::Error>> {
        self.next_item().transpose()
    }
}

impl Flow {
    fn of_row(row: StoredRow) -> Flow {
        Flow::Row { row, value: None }
    }

    /// The value, decoded if it was not, and its row number.
    fn view<S: RecordSource>(
        &mut self,
        evaluator: &Evaluator<S>,
        needs: &Needs,
    ) -> Result<(&Value, Option<u64>), S::Error> {
        match self {
            Flow::Value(value) => {
                // Values that do not come from this source may say their row.
                let row = value
                    .get("_rmx_row")
                    .and_then(Value::as_int)
                    .and_then(|row| u64::try_from(row).ok());
                Ok((value, row))
            }
            Flow::Row { row, value } => {
                let number = row.row;
                let decoded = match value.take() {
                    Some(decoded) => decoded,
                    None => evaluator.decode(row, needs)?,
                };
                Ok((value.insert(decoded), Some(number)))
            }
        }
    }
}

pub(super) fn first_row<S: RecordSource>(source: &S, mark: &Mark) -> Result<u64, S::Error> {
    let stale = |name: &str| {
        QueryError::new(
            super::QueryErrorCode::StaleWatermark,
            format!("there is no watermark or revision {name}"),
        )
    };
    match mark {
        Mark::Row(row) => Ok(*row),
        Mark::Watermark { generation, rows } => match source.row_of_watermark(generation, *rows)? {
            Some(row) => Ok(row),
            None => Err(stale(&format!("{generation}.{rows}")).into()),
        },
        Mark::Revision(revision) => match source.row_of_revision(revision)? {
            Some(row) => Ok(row.saturating_add(1)),
            None => Err(stale(revision.as_str()).into()),
        },
    }
}
