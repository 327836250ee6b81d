//! Sources of live cells (language 4.11): a stream that a routine of its own
//! pulls while no interaction runs.
//!
//! A cell over a query listens to the changes of its database and evaluates its
//! formula again; a cell over `co.consume` takes the elements of a stream in turn.

use std::rc::Rc;

use super::{Sheet, Undo};
use crate::boundary::Host;
use crate::compare;
use crate::failure::Failure;
use crate::heap::{CellId, Stream, Value};
use crate::machine::{Machine, Native, Next, Ret, Routine};
use crate::routine::RoutineId;

/// What a live cell listens to.
#[derive(Debug)]
pub(crate) struct LiveSource {
    pub cell: CellId,
    /// What the stream was made for.
    key: Value,
    pub stream: Rc<Stream>,
    /// The last element.
    latest: Value,
    /// The routine that pulls, if one does.
    pub routine: Option<RoutineId>,
    /// Elements that are lists of next actions are run.
    pub with_actions: bool,
    /// The stream has ended or failed.
    pub ended: bool,
}

/// What an instruction about a source wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Delivery {
    /// Only the signal.
    Changes,
    /// The elements.
    Elements,
    /// The elements; those that are lists of next actions are run.
    ElementsAndActions,
}

/// A source that is being made.
#[derive(Debug)]
pub(crate) struct Attach {
    cell: CellId,
    key: Value,
    delivery: Delivery,
    ret: Ret,
}

impl Delivery {
    /// By its number in the instruction.
    pub fn of(mode: u8) -> Self {
        match mode {
            0 => Delivery::Changes,
            1 => Delivery::Elements,
            _ => Delivery::ElementsAndActions,
        }
    }
}

impl LiveSource {
    /// The stream gave an element.
    pub fn deliver(&mut self, value: Value) {
        self.latest = value;
    }
}

impl Sheet {
    /// The cell has no source any longer.
    pub(super) fn detach_live(&mut self, id: CellId) {
        if let Some(position) = self.live.iter().position(|live| live.cell == id) {
            let source = Box::new(self.live.swap_remove(position));
            if (id.0 as usize) < self.first_new_cell {
                self.undo.push(Undo::Live(id, Some(source)));
            }
        }
    }

    fn source_of(&self, id: CellId) -> Option<&LiveSource> {
        self.live.iter().find(|live| live.cell == id)
    }
}

impl Machine {
    /// Connects the cell that is being evaluated with its source.
    pub(super) fn live(
        &mut self,
        routine: &mut Routine,
        host: &mut dyn Host,
        key: Value,
        make: &Value,
        delivery: Delivery,
        dst: u16,
    ) -> Result<Next, Failure> {
        let Some(cell) = routine.forced_cell() else {
            return Err(Failure::internal("no cell is being evaluated"));
        };
        let ret = Ret::Reg(dst);
        let (known, argument) = match (self.sheet.source_of(cell), delivery) {
            (None, Delivery::Changes) => (false, key.clone()),
            (Some(live), Delivery::Changes) => (compare::identical(&live.key, &key), key.clone()),
            (None, _) => (false, Value::Null),
            // The stream expression is evaluated again if something that the formula reads moved.
            (Some(_), _) => (!self.own_dependency_moved(cell), Value::Null),
        };
        if known {
            return self.latest(routine, cell, delivery, ret);
        }
        let attach = Box::new(Attach {
            cell,
            key,
            delivery,
            ret,
        });
        routine.natives.push(Native::Attach(attach));
        self.apply(routine, host, make, vec![argument], Native::RET)
    }

    fn own_dependency_moved(&self, id: CellId) -> bool {
        let Some(node) = self.sheet.cell(id) else {
            return false;
        };
        let Some(slot) = node.slot else { return false };
        let module = self.sheet.instances[node.instance.0 as usize].module;
        let slots = &self.loaded.program.modules[module.index()].slots;
        match slots.get(slot as usize).map(|slot| &slot.kind) {
            Some(mix_bytecode::SlotKind::Cell(cell)) => self
                .sheet
                .dependency_moved(&cell.dependencies, node.instance),
            _ => false,
        }
    }

    /// The stream of a source was made.
    pub fn attach(
        &mut self,
        routine: &mut Routine,
        attach: Attach,
        value: Value,
    ) -> Result<Next, Failure> {
        let Value::Stream(stream) = value else {
            return Err(Failure::not_a("RT_NOT_A_STREAM", "a stream", &value));
        };
        let cell = attach.cell;
        let same = self
            .sheet
            .source_of(cell)
            .is_some_and(|live| Rc::ptr_eq(&live.stream, &stream));
        if !same {
            let is_first = self.sheet.source_of(cell).is_none();
            self.sheet.detach_live(cell);
            if is_first {
                self.sheet.undo.push(Undo::Live(cell, None));
            }
            self.sheet.live.push(LiveSource {
                cell,
                key: attach.key,
                stream,
                latest: Value::Undefined,
                routine: None,
                with_actions: attach.delivery == Delivery::ElementsAndActions,
                ended: false,
            });
        }
        self.latest(routine, cell, attach.delivery, attach.ret)
    }

    /// The element that the cell takes now; before the first one the formula gives null.
    fn latest(
        &mut self,
        routine: &mut Routine,
        cell: CellId,
        delivery: Delivery,
        ret: Ret,
    ) -> Result<Next, Failure> {
        if delivery == Delivery::Changes {
            return Ok(Next::Value(Value::Null, ret));
        }
        let latest = self
            .sheet
            .source_of(cell)
            .map(|live| live.latest.clone())
            .unwrap_or_default();
        if !latest.is_undefined() {
            return Ok(Next::Value(latest, ret));
        }
        let Some(frame) = routine.frames.pop() else {
            return Err(Failure::internal("no frame"));
        };
        let frames = routine.frames.len();
        while routine
            .handlers
            .last()
            .is_some_and(|handler| handler.frames as usize > frames)
        {
            routine.handlers.pop();
        }
        let size = self.loaded.program.functions[frame.function as usize].registers;
        let start = frame.base as usize;
        for register in &mut routine.stack[start..start + usize::from(size)] {
            *register = Value::Undefined;
        }
        Ok(Next::Value(Value::Null, frame.ret))
    }
}
