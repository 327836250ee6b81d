//! What passes between a VM and the component or program that drives it.

use std::fmt;

use mix_value::packed::Received;

/// Where a foreign function is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Linked {
    /// Its number in the family that the VM imports.
    pub index: u32,
    /// Number of arguments.
    pub params: u8,
    /// False: reached with [`Host::call`]. True: started as [`Pending::Start`].
    pub waits: bool,
    /// Which family has it, as far as the table can tell: a short way is one of the same family.
    pub family: u32,
}

/// Names of the foreign functions that are there.
pub trait FunctionTable {
    /// The function with that name (`$db_get_one`). For one that waits its short way is looked
    /// for too, under the same name with [`short_way::VALUE`] or [`short_way::ITEMS`] behind it,
    /// and so are the functions of [`parts`].
    fn find(&self, name: &str) -> Option<Linked>;
}

/// The short way of a function that may wait: a function beside it that never does (`wit/ffi`).
pub mod short_way {
    /// Behind the name of a function that answers with a value.
    pub const VALUE: &str = "?";
    /// Behind the name of one that answers with a stream; the short way gives all its items.
    pub const ITEMS: &str = "*";
    /// The code of its failure when the function is to be started.
    pub const CLOSED: &str = "ERR_WAITS";
}

/// The functions beside one that answers with a stream which give its items in parts (`wit/ffi`).
pub mod parts {
    /// Behind the name of the function; takes its arguments and gives the first part.
    pub const FIRST: &str = ">";
    /// Behind its name; gives a further part.
    pub const NEXT: &str = ">>";
    /// How many arguments that takes: the first one of the function, the mark of the part before,
    /// and the most items wanted (0: no more are wanted).
    pub const NEXT_PARAMS: u8 = 3;
}

/// No foreign functions at all.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoFunctions;

impl FunctionTable for NoFunctions {
    fn find(&self, _: &str) -> Option<Linked> {
        None
    }
}

impl<F: Fn(&str) -> Option<Linked>> FunctionTable for F {
    fn find(&self, name: &str) -> Option<Linked> {
        self(name)
    }
}

/// A call of a function that never waits.
#[derive(Debug)]
pub struct ForeignCall<'a> {
    /// Its number.
    pub function: u32,
    /// One encoded array. Not a slice, whose two halves would be copied as one soon after they were written,
    /// for which processors wait.
    pub args: &'a Vec<u8>,
    /// Where its answer goes, one encoded value.
    pub answer: Received,
}

impl<'a> ForeignCall<'a> {
    /// One that has no answer yet.
    #[must_use]
    pub fn new(function: u32, args: &'a Vec<u8>) -> ForeignCall<'a> {
        ForeignCall {
            function,
            args,
            answer: Received::default(),
        }
    }
}

/// Calls that return at once.
pub trait Host {
    /// Makes a call; the answer is in it afterwards. Neither is handed over by value: engines pass what does not
    /// fit into four registers through memory, and what has more than one word comes back through it.
    fn call(&mut self, call: &mut ForeignCall<'_>) -> Result<(), Box<HostFailure>>;
}

/// A host without functions.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoHost;

impl Host for NoHost {
    fn call(&mut self, call: &mut ForeignCall<'_>) -> Result<(), Box<HostFailure>> {
        Err(Box::new(HostFailure {
            code: "ERR_UNSUPPORTED".into(),
            message: format!("there is no foreign function {}", call.function),
            detail: None,
        }))
    }
}

/// Why a foreign function gave no result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostFailure {
    /// Stable code.
    pub code: String,
    /// One line for people.
    pub message: String,
    /// Further facts, one encoded value.
    pub detail: Option<Vec<u8>>,
}

/// Work that the driver must do before the session can go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pending {
    /// Start a function that may wait; answer with [`Reply::One`], `Many` or `Failed`.
    Start {
        /// Names the request in [`Session::resume`](crate::Session::resume).
        call: u64,
        /// Number of the function.
        function: u32,
        /// One encoded array of arguments.
        args: Vec<u8>,
    },
    /// Fetch elements of a stream; answer with [`Reply::Batch`] or `Failed`.
    Pull {
        /// Names the request.
        call: u64,
        /// The stream, as named in `Reply::Many`.
        stream: u64,
        /// Most elements wanted.
        at_most: u32,
    },
}

impl Pending {
    /// The name of the request.
    #[must_use]
    pub fn call(&self) -> u64 {
        match self {
            Pending::Start { call, .. } | Pending::Pull { call, .. } => *call,
        }
    }
}

/// The answer to a [`Pending`] request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// One encoded value.
    One(Received),
    /// A stream; the driver chooses its number, unique in the session.
    Many(u64),
    /// Elements of a stream.
    Batch {
        /// Encoded values.
        items: Vec<Vec<u8>>,
        /// True if none follow.
        end: bool,
    },
    /// The function failed.
    Failed(HostFailure),
}

/// A place in a source text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Location {
    /// File name.
    pub file: String,
    /// First line, from 1.
    pub start_line: u32,
    /// First column, from 1.
    pub start_column: u32,
    /// Last line.
    pub end_line: u32,
    /// Column after the last.
    pub end_column: u32,
}

/// One frame of the Mix stack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TraceFrame {
    /// Module.
    pub module: String,
    /// Function, `cell c`, `action k`, ...
    pub function: String,
    /// Line, from 1; 0 if unknown.
    pub line: u32,
}

/// An error in the issue format (language 7.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issue {
    /// Stable code.
    pub code: String,
    /// `runtime` or `internal`.
    pub class: String,
    /// One line for people.
    pub message: String,
    /// Encoded map of the values in the message.
    pub params: Vec<u8>,
    /// Place of the failing operation.
    pub location: Option<Location>,
    /// Innermost frame first.
    pub mix_stack: Vec<TraceFrame>,
}

impl Issue {
    pub(crate) fn new(code: &str, message: impl Into<String>) -> Self {
        Self {
            code: code.into(),
            class: if code == "RT_INTERNAL" {
                "internal"
            } else {
                "runtime"
            }
            .into(),
            message: message.into(),
            // An empty map.
            params: vec![0x80],
            location: None,
            mix_stack: Vec::new(),
        }
    }

    /// `CODE: message`; of `fail` the message alone.
    #[must_use]
    pub fn text(&self) -> String {
        if self.code == "RT_FAIL" {
            self.message.clone()
        } else {
            format!("{}: {}", self.code, self.message)
        }
    }
}

impl fmt::Display for Issue {
    /// The printed form of language 7.3.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error {}: {}", self.code, self.message)?;
        for frame in &self.mix_stack {
            write!(
                f,
                "\n  at {}.{}:{}",
                frame.module, frame.function, frame.line
            )?;
        }
        Ok(())
    }
}

impl std::error::Error for Issue {}

/// What a driver asks of a session. All values are encoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Runs an agent in a view of its own, to the end. Without a name: evaluates the
    /// expression of the program and gives its value as [`Event::Result`].
    RunAgent {
        /// Module.
        agent: String,
        /// Its parameter value.
        params: Vec<u8>,
    },
    /// Calls a persistent agent: the first call makes its view, each later one assigns
    /// `m_params` in it. Its result is given like that of `RunAgent`.
    CallAgent {
        /// Module.
        agent: String,
        /// Its parameter value.
        params: Vec<u8>,
    },
    /// Replaces all views by an instance of a module.
    Load {
        /// Module.
        module: String,
        /// One array of arguments.
        args: Vec<u8>,
    },
    /// Puts an instance on top.
    Push {
        /// Module.
        module: String,
        /// One array of arguments.
        args: Vec<u8>,
    },
    /// Removes the top view; the one below is shown again (`onView`).
    Pop,
    /// Re-evaluates the cells of the top view that read `onRefresh`.
    Refresh,
    /// Assigns a cell of the top view.
    Input {
        /// Its name, with or without the module.
        cell: String,
        /// The value.
        value: Vec<u8>,
    },
    /// Invokes an action.
    Invoke {
        /// Name of the closure or action cell.
        name: String,
        /// Its environment, or `$agent_environment`.
        env: String,
        /// Argument.
        arg: Vec<u8>,
        /// Chain of further actions: an array.
        next_actions: Vec<u8>,
    },
    /// Evaluates the expression of the program (`mixer eval`); gives [`Event::Evaluated`].
    Evaluate,
    /// Writes to the log, from now on or no longer, what runs by itself: observers.
    Trace(bool),
}

/// The names of invocations that ask the session itself. User code cannot have names that begin
/// with `$`.
pub mod names {
    /// Refreshes the top view.
    pub const REFRESH: &str = "$refresh";
    /// Calls the persistent agent that the environment names, with the argument.
    pub const CALL: &str = "$call";
    /// Logs what runs by itself, if the argument is true.
    pub const TRACE: &str = "$trace";
}

/// True in wire form.
const TRUE: u8 = 0xc3;

impl Action {
    /// What an invocation asks for: an action of the program, or one of [`names`].
    #[must_use]
    pub fn of_invocation(name: String, env: String, arg: Vec<u8>, next_actions: Vec<u8>) -> Self {
        match name.as_str() {
            names::REFRESH => Action::Refresh,
            names::CALL => Action::CallAgent {
                agent: env,
                params: arg,
            },
            names::TRACE => Action::Trace(arg == [TRUE]),
            _ => Action::Invoke {
                name,
                env,
                arg,
                next_actions,
            },
        }
    }

    /// The invocation that asks for this, where there is no other way to ask: name, environment
    /// and argument. `None` for actions that drivers ask for directly.
    #[must_use]
    pub fn as_invocation(&self) -> Option<(&'static str, String, Vec<u8>)> {
        let bool = |on: bool| if on { TRUE } else { TRUE - 1 };
        match self {
            Action::Refresh => Some((names::REFRESH, String::new(), vec![0xc0])),
            Action::CallAgent { agent, params } => {
                Some((names::CALL, agent.clone(), params.clone()))
            }
            Action::Trace(on) => Some((names::TRACE, String::new(), vec![bool(*on)])),
            _ => None,
        }
    }
}

/// What a session tells its driver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A public cell has a new value.
    Output {
        /// Name of the cell.
        cell: String,
        /// Number of its updates.
        version: u64,
        /// Encoded value.
        value: Vec<u8>,
    },
    /// A line for the log.
    Log(String),
    /// Actions for the client, an encoded array.
    ClientActions(Vec<u8>),
    /// The result of an agent: the encoded value of cell `output`.
    Result(Vec<u8>),
    /// The value of the expression, in the form that a REPL prints.
    Evaluated(String),
    /// Idle actions wait, an encoded array.
    IdleActions(Vec<u8>),
    /// The interaction failed; its changes were undone.
    Issue(Issue),
    /// The action with this number (from 0) is finished.
    Done(u64),
}

/// How far a session got.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// The fuel of this slice is used up; run again.
    Ready,
    /// Requests that were not yet reported (possibly none): nothing can go on before one is answered.
    Waiting(Vec<Pending>),
    /// Something to tell; run again.
    Event(Event),
    /// All actions are done, but live cells listen: these requests are new. The session goes on
    /// when one of its requests is answered or another action is queued.
    Listening(Vec<Pending>),
    /// All actions are done.
    Idle,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_contract_has_no_shape_for_travels_as_an_invocation() {
        let call = Action::CallAgent {
            agent: "greet".into(),
            params: vec![0x01],
        };
        for action in [
            Action::Refresh,
            call,
            Action::Trace(true),
            Action::Trace(false),
        ] {
            let (name, env, arg) = action.as_invocation().expect("it has one");
            assert_eq!(
                Action::of_invocation(name.into(), env, arg, vec![0x90]),
                action
            );
        }
        let plain = Action::of_invocation("m.go".into(), "e".into(), vec![0xc0], vec![0x90]);
        assert!(matches!(plain, Action::Invoke { .. }));
        assert_eq!(plain.as_invocation(), None);
    }
}
