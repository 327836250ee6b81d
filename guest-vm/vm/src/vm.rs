//! A loaded program, from which sessions are started.

#![allow(
    clippy::result_large_err,
    reason = "an issue is made once for a program, never on a hot path"
)]

use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use mix_bytecode::Program;

use crate::boundary::{FunctionTable, Issue};
use crate::failure::Failure;
use crate::heap::room;
use crate::loaded::Loaded;
use crate::session::Session;

/// How a program is loaded.
#[derive(Clone, Debug)]
pub struct Options {
    /// Which arm replaces a missing foreign function (language 4.17).
    pub environment: String,
    /// Limit of the memory; without one the end of memory in a small step is that of the process.
    pub memory: Option<MemoryLimit>,
}

/// How much memory programs may use.
#[derive(Clone, Copy, Debug)]
pub enum MemoryLimit {
    /// A number of bytes.
    Counted {
        /// Bytes that the process has allocated now.
        used: fn() -> usize,
        /// Most of them: beyond, what runs fails with `RT_MEMORY`.
        most: usize,
    },
    /// As much as there is.
    Reserve {
        /// Set by the allocator when it has come to what is held back: what runs then fails with `RT_MEMORY`.
        used: &'static AtomicBool,
    },
}

impl MemoryLimit {
    /// Fails beyond the limit.
    pub(crate) fn check(&self) -> Result<(), Failure> {
        match self {
            MemoryLimit::Counted { .. } => self.room_for(0),
            MemoryLimit::Reserve { used } if used.load(Relaxed) => {
                used.store(false, Relaxed);
                Err(room::exhausted())
            }
            MemoryLimit::Reserve { .. } => Ok(()),
        }
    }

    /// Fails if so many bytes more are beyond the limit.
    pub(crate) fn room_for(&self, bytes: usize) -> Result<(), Failure> {
        match self {
            MemoryLimit::Counted { used, most } if used().saturating_add(bytes) > *most => {
                Err(room::exhausted())
            }
            MemoryLimit::Counted { .. } => Ok(()),
            MemoryLimit::Reserve { .. } => room::check(bytes),
        }
    }
}

impl Default for Options {
    fn default() -> Self {
        Self {
            environment: "agentServerEnvironment".into(),
            memory: None,
        }
    }
}

/// A module that can be pushed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModuleInfo {
    /// Name.
    pub name: String,
    /// Number of parameters.
    pub params: u32,
    /// True if it has a cell `output`.
    pub agent: bool,
}

/// What a program offers and needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    /// Modules that it was built for, in source order.
    pub modules: Vec<ModuleInfo>,
    /// Foreign functions that it can reach.
    pub foreign: Vec<String>,
}

/// A program that is verified and linked.
#[derive(Clone, Debug)]
pub struct Vm {
    loaded: Rc<Loaded>,
}

impl Vm {
    /// Reads, verifies and links an executable.
    pub fn load(
        executable: &[u8],
        functions: &dyn FunctionTable,
        options: &Options,
    ) -> Result<Self, Issue> {
        let loaded = Loaded::new(executable, functions, options)?;
        Ok(Self {
            loaded: Rc::new(loaded),
        })
    }

    /// Links a program that was just built; it is verified too.
    pub fn of_program(
        program: Program,
        functions: &dyn FunctionTable,
        options: &Options,
    ) -> Result<Self, Issue> {
        mix_bytecode::verify(&program).map_err(|error| {
            Issue::new(
                "ERR_EXECUTABLE",
                format!("program does not verify: {error}"),
            )
        })?;
        let loaded = Loaded::of_program(program, functions, options)?;
        Ok(Self {
            loaded: Rc::new(loaded),
        })
    }

    /// What the program offers.
    #[must_use]
    pub fn summary(&self) -> Summary {
        let program = &self.loaded.program;
        Summary {
            modules: program
                .entries
                .iter()
                .map(|id| {
                    let module = &program.modules[id.index()];
                    ModuleInfo {
                        name: module.name.to_string(),
                        // Verified to be at most 255.
                        params: module.params.len() as u32,
                        agent: module.is_agent(),
                    }
                })
                .collect(),
            foreign: program
                .imports
                .iter()
                .map(|import| import.name.to_string())
                .collect(),
        }
    }

    /// A new session of the program, independent of all others.
    #[must_use]
    pub fn session(&self) -> Session {
        Session::new(Rc::clone(&self.loaded))
    }
}
