//! `dependentLink` and `mapLinkArray` (language 4.11): links that a formula
//! makes once and keeps over its later evaluations.
//!
//! What a cell keeps is a list: the n-th such form that an evaluation comes
//! across finds the n-th entry, provided it stands at the same place.

use mix_bytecode::CellKind;

use super::{CellNode, Sheet, Undo};
use crate::boundary::Host;
use crate::compare;
use crate::failure::Failure;
use crate::heap::{Array, CellId, InstanceId, Value};
use crate::machine::{Machine, Native, Next, Ret, Routine};

/// What one form remembers.
#[derive(Clone, Debug)]
pub(crate) struct Memo {
    /// Function and instruction.
    site: (u32, u32),
    kept: Kept,
}

#[derive(Clone, Debug)]
enum Kept {
    /// `dependentLink`: the link and what it was made for.
    Link { dependency: Value, link: Value },
    /// `mapLinkArray`: number of rows and the cell that gathers them.
    Rows { count: usize, cell: CellId },
}

/// A form in progress.
#[derive(Debug)]
pub(crate) struct MemoWork {
    /// The cell that is being evaluated; none outside of formulas.
    cell: Option<CellId>,
    position: usize,
    site: (u32, u32),
    instance: InstanceId,
    make: Value,
    ret: Ret,
    task: Task,
}

#[derive(Debug)]
enum Task {
    /// `dep(null)` runs.
    Dependency,
    /// `mk(null)` runs.
    Link { dependency: Value },
    /// `f(k, row)` runs for the row after the links made so far.
    Rows { rows: Array, links: Vec<CellId> },
    /// The cells behind the links are evaluated.
    Settle { cell: CellId },
}

impl Sheet {
    /// Cells whose contents this one gathers.
    pub(super) fn gathered(&self, id: CellId) -> &[CellId] {
        self.gathers.get(&id).map_or(&[], Vec::as_slice)
    }

    /// Array of the contents of the gathered cells, which must be ready.
    pub(super) fn gathered_value(&self, id: CellId) -> Value {
        let contents = self.gathered(id).iter();
        Value::array(
            contents
                .map(|source| self.ready(*source).cloned().unwrap_or(Value::Null))
                .collect(),
        )
    }

    /// Values that the forms of a cell keep alive.
    pub(super) fn remembered(&self, id: CellId) -> impl Iterator<Item = Value> + '_ {
        let memos = self.memos.get(&id).map_or(&[][..], Vec::as_slice);
        memos.iter().flat_map(|memo| match &memo.kept {
            Kept::Link { link, .. } => vec![link.clone()],
            Kept::Rows { cell, .. } => self
                .gathered(*cell)
                .iter()
                .map(|id| Value::Link(*id))
                .collect(),
        })
    }

    fn remember(&mut self, id: CellId, position: usize, memo: Memo) {
        let memos = self.memos.entry(id).or_default();
        self.undo.push(Undo::Memos(id, memos.clone()));
        memos.truncate(position.max(memos.len().min(position + 1)));
        if let Some(old) = memos.get_mut(position) {
            *old = memo;
        } else {
            memos.push(memo);
        }
    }

    fn gather(&mut self, id: CellId, sources: Vec<CellId>) {
        let old = self.gathered(id).to_vec();
        for source in &old {
            self.unlink(*source, id);
        }
        self.undo.push(Undo::Gathers(id, old));
        self.connect_gather(id, sources);
    }

    /// Makes a cell gather others, without a way back.
    pub(super) fn connect_gather(&mut self, id: CellId, sources: Vec<CellId>) {
        for source in &sources {
            if let Some(node) = self.node_mut(*source) {
                node.links.push(id);
            }
        }
        self.gathers.insert(id, sources);
    }
}

impl Machine {
    /// Starts `dependentLink(make, subject)` or, with rows, `mapLinkArray(make, subject)`.
    pub(super) fn memo(
        &mut self,
        routine: &mut Routine,
        host: &mut dyn Host,
        make: Value,
        subject: Value,
        of_rows: bool,
        dst: u16,
    ) -> Result<Next, Failure> {
        let Some(frame) = routine.frames.last() else {
            return Err(Failure::internal("no frame"));
        };
        let (site, instance) = ((frame.function, frame.pc), frame.instance);
        let force = routine
            .natives
            .iter_mut()
            .rev()
            .find_map(|native| match native {
                Native::Force(force) => Some(force),
                _ => None,
            });
        let (cell, position) = match force {
            Some(force) => {
                force.memos += 1;
                (Some(force.cell), force.memos - 1)
            }
            None => (None, 0),
        };
        let mut work = Box::new(MemoWork {
            cell,
            position,
            site,
            instance,
            make,
            ret: Ret::Reg(dst),
            task: Task::Dependency,
        });
        if !of_rows {
            routine.natives.push(Native::Memo(work));
            return self.apply(routine, host, &subject, vec![Value::Null], Native::RET);
        }
        let Value::Array(rows) = subject else {
            return Err(Failure::expected(
                "ERR_EXPECTED_ARRAY",
                "the rows",
                &subject,
            ));
        };
        if let Some(Kept::Rows { count, cell }) = self.kept(&work) {
            let (count, cell) = (*count, *cell);
            let length = rows.items().len();
            if length == count {
                return Ok(Next::Value(Value::Link(cell), work.ret));
            }
            if length > count {
                return Err(Failure::new(
                    "RT_INDEX",
                    format!("index {count} outside array of length {count}"),
                )
                .with("index", count as i64)
                .with("length", count as i64));
            }
        }
        work.task = Task::Rows {
            rows,
            links: Vec::new(),
        };
        self.memo_rows(routine, host, work)
    }

    fn kept(&self, work: &MemoWork) -> Option<&Kept> {
        let memo = self.sheet.memos.get(&work.cell?)?.get(work.position)?;
        (memo.site == work.site).then_some(&memo.kept)
    }

    /// A function of the form gave this value.
    pub fn memo_step(
        &mut self,
        routine: &mut Routine,
        host: &mut dyn Host,
        mut work: Box<MemoWork>,
        value: Value,
    ) -> Result<Next, Failure> {
        match &mut work.task {
            Task::Dependency => {
                if let Some(Kept::Link { dependency, link }) = self.kept(&work)
                    && compare::identical(dependency, &value)
                {
                    return Ok(Next::Value(link.clone(), work.ret));
                }
                work.task = Task::Link { dependency: value };
                let make = work.make.clone();
                routine.natives.push(Native::Memo(work));
                self.apply(routine, host, &make, vec![Value::Null], Native::RET)
            }
            Task::Link { dependency } => {
                let kept = Kept::Link {
                    dependency: dependency.take(),
                    link: value.clone(),
                };
                self.keep(&work, kept);
                Ok(Next::Value(value, work.ret))
            }
            Task::Rows { links, .. } => {
                let Value::Link(id) = value else {
                    return Err(Failure::internal("mapLinkArray needs links"));
                };
                links.push(id);
                self.memo_rows(routine, host, work)
            }
            Task::Settle { cell } => {
                let cell = *cell;
                self.memo_settle(routine, work, cell)
            }
        }
    }

    fn keep(&mut self, work: &MemoWork, kept: Kept) {
        if let Some(cell) = work.cell {
            let site = work.site;
            self.sheet
                .remember(cell, work.position, Memo { site, kept });
        }
    }

    /// Makes the link of the next row, or the cell that gathers all.
    fn memo_rows(
        &mut self,
        routine: &mut Routine,
        host: &mut dyn Host,
        mut work: Box<MemoWork>,
    ) -> Result<Next, Failure> {
        let Task::Rows { rows, links } = &mut work.task else {
            return Err(Failure::internal("no rows"));
        };
        if let Some(row) = rows.items().get(links.len()) {
            // Lengths of arrays are far below 2^63.
            let arguments = vec![Value::Int(links.len() as i64), row.clone()];
            let make = work.make.clone();
            routine.natives.push(Native::Memo(work));
            return self.apply(routine, host, &make, arguments, Native::RET);
        }
        let count = rows.items().len();
        let links = std::mem::take(links);
        let cell = match self.kept(&work) {
            Some(Kept::Rows { cell, .. }) => *cell,
            _ => self
                .sheet
                .add_cell(CellNode::new(work.instance, None, CellKind::Formula)),
        };
        self.sheet.gather(cell, links);
        self.keep(&work, Kept::Rows { count, cell });
        self.memo_settle(routine, work, cell)
    }

    /// Evaluates the gathered cells, then the one that gathers them.
    fn memo_settle(
        &mut self,
        routine: &mut Routine,
        mut work: Box<MemoWork>,
        cell: CellId,
    ) -> Result<Next, Failure> {
        let waiting = self
            .sheet
            .gathered(cell)
            .iter()
            .find(|id| self.sheet.ready(**id).is_none());
        if let Some(source) = waiting {
            let source = *source;
            work.task = Task::Settle { cell };
            routine.natives.push(Native::Memo(work));
            return self.force(routine, source, false);
        }
        let value = self.sheet.gathered_value(cell);
        self.sheet.update(cell, value);
        Ok(Next::Value(Value::Link(cell), work.ret))
    }
}
