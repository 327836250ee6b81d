//! Rust types of the contracts in `wit/`.

// Generated code carries the comments of the WIT files where it can.
#![allow(missing_docs)]

mod generated {
    wasmtime::component::bindgen!({
        path: ["../../wit/ffi", "../../wit/packed", "../../wit/vm", "wit"],
        world: "mixer:host/runtime",
        imports: { default: async },
        exports: { default: async },
    });
}

pub use generated::exports::mix::vm::linking::Link;
pub use generated::exports::mix::vm::session::{Action, AgentCall, Event, Input, Invocation, Push};
pub use generated::mix::ffi::types::{Caller, Failure, Function, Reply};
pub use generated::mix::packed::short::{Answer, ShortValue};
pub use generated::mix::packed::types as packed;
pub use generated::mix::vm::types::{Issue, Summary};

/// A copy of what a family says about a function.
pub fn copy(function: &Function) -> Function {
    Function {
        name: function.name.clone(),
        params: function.params,
        waits: function.waits,
        doc: function.doc.clone(),
    }
}

/// Export of a plugin.
pub const FAMILY: &str = "mix:ffi/family@0.1.1";
/// Export of a plugin for callers that are composed with it.
pub const PACKED_FAMILY: &str = "mix:packed/family@0.1.0";
/// Import of a VM, and export of a plugin, for short values.
pub const SHORT: &str = "mix:packed/short@0.1.0";
/// Export of a plugin whose one instance serves many runs.
pub const SHARED_FAMILY: &str = "mix:ffi/shared-family@0.1.1";
/// Export of a plugin that wants to know its caller.
pub const BINDING: &str = "mix:ffi/binding@0.1.1";
/// Export of a plugin that says what it needs.
pub const NEEDS: &str = "mix:ffi/needs@0.1.1";
/// Export of the VM.
pub const PROGRAM: &str = "mix:vm/program@0.1.0";
/// Export of a VM that can be told where foreign functions are.
pub const LINKING: &str = "mix:vm/linking@0.1.0";
/// Export of the VM.
pub const SESSION: &str = "mix:vm/session@0.1.0";
/// Export of a VM that may have a program from the start.
pub const BUILT_IN: &str = "mix:vm/built-in@0.1.0";

/// Import of the front of a composed component: the programs that it carries.
pub const CONTENTS: &str = "mix:app/contents@0.1.0";
/// Import of the same: what those programs say of themselves.
pub const DESCRIPTIONS: &str = "mix:app/descriptions@0.1.0";
/// Export of a composed component: what the host of a server calls.
pub const HANDLER: &str = "wasi:http/handler@0.3.0";
/// Export of a composed component: what the host of a command calls.
pub const COMMAND: &str = "wasi:cli/run@0.3.0";
/// Export of a composed component: what the program calls that embeds it.
pub const AGENTS: &str = "mix:embed/agents@0.1.0";

/// Import of the composed VM for the slots that nobody fills: a family without functions.
pub const UNUSED_PACKED_FAMILY: &str = "mixer:host/unused-packed-family@0.1.0";
/// Import of a switchboard for its slots that nobody fills, the same.
pub const UNUSED_FAMILY: &str = "mixer:host/unused-family@0.1.0";
/// Import of the composed VM for families that do not ask for their caller.
pub const UNUSED_BINDING: &str = "mixer:host/unused-binding@0.1.0";
