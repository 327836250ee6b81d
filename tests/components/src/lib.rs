//! Runs the built components one by one or composed, without `mixer`: what a plugin
//! promises is checked at its boundary.
//!
//! [`Family`] is a plugin instance to call; [`compose`] makes one component of a
//! switchboard and some families, [`Machine`] is a VM to run
//! programs on and [`compose_vm`] joins it with families. The components are those of `make guests`
//! (`MIXER_GUESTS_DIR`, else the target folder of the profile `guest`).

mod caller;
mod collect;
mod composition;
mod family;
mod guests;
mod machine;
mod state;

pub use caller::{Call, Caller};
pub use composition::{compose, compose_app, compose_vm};
pub use family::{Answer, Encoded, Family};
pub use guests::guest;
pub use machine::Machine;
pub use mix_runtime::carrier::carrier;
pub use state::{Surroundings, component, engine, linker, store};

/// Types of the contract.
pub mod contract {
    #![allow(missing_docs)]
    wasmtime::component::bindgen!({
        path: "../../wit/ffi",
        world: "mix:ffi/plugin",
        exports: { default: async },
    });
    pub use mix::ffi::types::{Caller, Failure, Function, Reply};
}

/// Types of the VM's contract.
pub mod vm_contract {
    #![allow(missing_docs)]
    wasmtime::component::bindgen!({
        path: ["../../wit/ffi", "../../wit/packed", "../../wit/vm"],
        world: "mix:vm/vm",
        imports: { default: async },
        exports: { default: async },
    });
    pub use exports::mix::vm::session::{
        Action, AgentCall, Event, Input, Invocation, Output, Push,
    };
    pub use mix::vm::types::{Issue, Summary};
}
