//! Runs the built components one by one or composed, without `mixer`: what a plugin
//! promises is checked at its boundary.
//!
//! [`Family`] is a plugin instance to call; [`compose`] makes one component of a
//! switchboard and some families. The components are those of `make guests`
//! (`MIXER_GUESTS_DIR`, else the target folder of the profile `guest`).

mod composition;
mod family;
mod guests;
mod state;

pub use composition::compose;
pub use family::{Answer, Family};
pub use guests::guest;
pub use state::{Surroundings, engine};

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
