//! The imported family.

use crate::bindings::mix::ffi::family;
pub use crate::bindings::mix::ffi::family::{call, start};
use crate::bindings::mix::ffi::types::Function;

/// All functions with their numbers.
pub fn describe() -> Vec<(u32, Function)> {
    (0..).zip(family::describe()).collect()
}
