//! On whose behalf an instance works.

use std::cell::{Cell, RefCell};

use crate::bindings::family::mix::ffi::types;

/// On whose behalf a function runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// Workspace, "" outside of one.
    pub workspace: String,
    /// App whose data and files are meant by default.
    pub app: String,
    /// Module that runs as the agent.
    pub agent: String,
    /// User name, "anonymous" without one.
    pub user: String,
    /// When the run ends, in milliseconds since 1970 UTC; 0: no limit.
    pub deadline: u64,
}

impl Default for Caller {
    fn default() -> Caller {
        Caller {
            workspace: String::new(),
            app: String::new(),
            agent: String::new(),
            user: "anonymous".to_string(),
            deadline: 0,
        }
    }
}

impl From<types::Caller> for Caller {
    fn from(who: types::Caller) -> Caller {
        Caller {
            workspace: who.workspace,
            app: who.app,
            agent: who.agent,
            user: who.user,
            deadline: who.deadline,
        }
    }
}

thread_local! {
    static CALLER: RefCell<Caller> = RefCell::new(Caller::default());
    static BINDINGS: Cell<u64> = const { Cell::new(0) };
}

/// The caller this instance is bound to; anonymous outside of any app before that.
pub fn caller() -> Caller {
    CALLER.with_borrow(Clone::clone)
}

/// How often the instance was bound: another number, another caller.
pub fn bindings() -> u64 {
    BINDINGS.get()
}

/// Behind `mix:ffi/binding`.
pub fn bind(who: types::Caller) {
    CALLER.set(who.into());
    BINDINGS.set(BINDINGS.get() + 1);
}
