//! Programs: compiled from sources, read from files, installed in apps.

mod executable;
mod installed;
mod sources;

pub use executable::{Digest, ERROR_INFO, Executable, carried, is_component};
pub use installed::{Installed, Missing, install};
pub use sources::{
    Compiled, Source, check, compile, compile_expression, compile_library, name_after, read,
};
