//! The state of a running session: routines with their frames, instances, cells.

use std::cell::RefCell;
use std::rc::Rc;

use crate::boundary::{Pending, TraceFrame};
use crate::failure::Failure;
use crate::heap::stream::Rest;
use crate::heap::{CellId, Function, InstanceId, Stream, Value};
use crate::interpreter::Garbage;
use crate::loaded::{Loaded, Way};
use crate::routine::{Mutex, Resume, Scheduler};
use crate::sheet::{Attach, Force, Instantiation, Interaction, MemoWork, Midway, Sheet};
use crate::surroundings::Surroundings;
use crate::wire::{Arguments, Decoder};

/// Most nested calls.
pub(crate) const MAX_FRAMES: usize = 100_000;

/// Most registers of all frames together.
pub(crate) const MAX_REGISTERS: usize = 4_000_000;

/// Registers that exist before any are needed.
pub(crate) const FIRST_REGISTERS: usize = 512;

/// Everything a session owns.
#[derive(Debug)]
pub(crate) struct Machine {
    pub loaded: Rc<Loaded>,
    pub sheet: Sheet,
    pub surroundings: Surroundings,
    /// All routines but the one that runs.
    pub scheduler: Scheduler,
    /// Streams of the host that are no longer needed.
    pub dropped_streams: Rc<RefCell<Vec<u64>>>,
    /// Streams in parts of which no more is needed.
    pub left_parts: Rc<RefCell<Vec<Rest>>>,
    pub decoder: Decoder,
    /// Writes arguments of foreign functions.
    pub arguments: Arguments,
    /// Requests not yet told to the driver.
    pub requests: Vec<Pending>,
    pub next_call: u64,
    /// Agents that routines have called, not yet begun.
    pub agent_calls: Vec<AgentCall>,
    /// Calls, jumps back and results that natives receive left in this slice.
    pub fuel: u64,
    /// What the loop of the interpreter leaves to be dropped.
    pub garbage: Garbage,
    /// Steps left of the whole run; none: unlimited.
    pub budget: Option<u64>,
}

/// A call of an agent of the program.
#[derive(Debug)]
pub(crate) struct AgentCall {
    pub call: u64,
    /// Its instance stays for further calls.
    pub persistent: bool,
    pub agent: Box<str>,
    /// Encoded.
    pub params: Vec<u8>,
}

/// One thread of Mix control.
#[derive(Debug, Default)]
pub(crate) struct Routine {
    pub frames: Vec<Frame>,
    /// Registers of all frames.
    pub stack: Vec<Value>,
    /// What native code does with results (see [`Native`]).
    pub natives: Vec<Native>,
    pub handlers: Vec<Handler>,
}

/// A call in progress.
#[derive(Debug)]
pub(crate) struct Frame {
    pub function: u32,
    pub pc: u32,
    pub base: u32,
    pub instance: InstanceId,
    pub ret: Ret,
    /// The closure that runs, for its captured values.
    pub closure: Option<Rc<Function>>,
}

/// Where the result of a call goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ret {
    /// Into a register of the frame below.
    Reg(u16),
    /// To the topmost entry of `natives`.
    Native,
}

/// What is done with a result that does not simply go into a register.
#[derive(Debug)]
pub(crate) enum Native {
    /// The outermost: the routine is done.
    Root,
    /// A result that is told when all foreground routines have ended.
    Held(Value),
    /// A cell that another routine evaluates is looked at again.
    ForceAgain(CellId),
    /// A value def that another routine evaluates is looked at again.
    SlotAgain { instance: InstanceId, slot: u32 },
    /// A stream whose element another routine computes is pulled again.
    PullAgain { stream: Rc<Stream>, ret: Ret },
    /// A mutex is given back after a call.
    Guard { mutex: Rc<Mutex>, ret: Ret },
    /// Applies the result to further arguments.
    Apply { arguments: Vec<Value>, ret: Ret },
    /// Stores a value def; then the reading instruction is run again, or the native below goes on.
    Slot {
        instance: InstanceId,
        slot: u32,
        again: bool,
    },
    /// A generator stream gave an element or ended.
    Generated { stream: Rc<Stream>, ret: Ret },
    /// A lazy stream gave its stream.
    Lazy { stream: Rc<Stream>, ret: Ret },
    /// The first stream of a chain gave an element or ended.
    Chain { stream: Rc<Stream>, ret: Ret },
    /// `#stream_to_array`.
    Collect {
        stream: Rc<Stream>,
        items: Vec<Value>,
        ret: Ret,
    },
    /// `#stream_is_empty`.
    IsEmpty { stream: Rc<Stream>, ret: Ret },
    /// A cell formula in progress.
    Force(Box<Force>),
    /// `dependentLink` or `mapLinkArray` in progress.
    Memo(Box<MemoWork>),
    /// The stream of a live cell is being made.
    Attach(Box<Attach>),
    /// An instance is being made.
    Instantiate(Box<Instantiation>),
    /// An interaction in progress (language 4.12).
    Interaction(Box<Interaction>),
    /// A pass in the middle of an action.
    Midway(Box<Midway>),
}

/// A guarded region.
#[derive(Debug)]
pub(crate) struct Handler {
    /// Number of frames up to the guarding one.
    pub frames: u32,
    /// Number of natives when the region began.
    pub natives: u32,
    pub target: u32,
    pub dst: u16,
}

/// A call whose items come in parts, before there is one.
#[derive(Debug)]
pub(crate) struct Opening {
    /// The function itself, for where there are no parts at present.
    pub whole: u32,
    pub next: Way,
    /// Its encoded arguments.
    pub args: Vec<u8>,
    pub ret: Ret,
}

/// What an answer is for.
#[derive(Debug)]
pub(crate) enum Wait {
    /// The result of a foreign function.
    Result(Ret),
    /// Elements of a stream, one of which goes to `ret`.
    Batch(Rc<Stream>, Ret),
    /// The first part of a stream.
    FirstPart(Box<Opening>),
    /// A further part of a stream, an element of which goes to `ret`.
    Part(Rc<Stream>, Ret),
}

/// How far a routine got.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// It is done, with this value.
    Done(Value),
    /// An error that nothing caught.
    Failed(Uncaught),
    /// The fuel of this slice is used up; how it goes on.
    OutOfFuel(Resume),
    /// It waits, or lets others go first.
    Waiting,
    /// It has ended itself.
    Exited,
}

/// An error with its trace.
#[derive(Clone, Debug)]
pub(crate) struct Uncaught {
    pub failure: Failure,
    pub trace: Vec<TraceFrame>,
    pub location: Option<crate::boundary::Location>,
}

/// What happens next in a routine.
#[derive(Debug)]
pub(crate) enum Next {
    /// A value goes to its place.
    Value(Value, Ret),
    /// The topmost frame runs.
    Run,
    /// The routine waits.
    Wait,
    /// The routine ends itself.
    Exit,
    /// The outermost result.
    Done(Value),
}

impl Routine {
    /// Cell whose formula runs innermost.
    pub fn forced_cell(&self) -> Option<CellId> {
        self.natives.iter().rev().find_map(|native| match native {
            Native::Force(force) => Some(force.cell),
            _ => None,
        })
    }
}
