//! The families of this VM: the imported one alone.

use mix_vm::{ForeignCall, HostFailure};

use crate::bindings::mix::ffi::family;
use crate::bindings::mix::ffi::types::{Failure, Function};
use crate::imported;
use crate::requests::Started;

/// All functions are looked up when a program is loaded.
pub fn look_up_later(_: u32, _: &str) {}

/// Which family has the function of that number: there is one.
pub fn family_of(_: u32) -> u32 {
    0
}

/// All functions with their numbers.
pub fn describe() -> Vec<(u32, Function)> {
    (0..).zip(family::describe()).collect()
}

/// Calls a function that never waits.
pub fn call(call: &mut ForeignCall<'_>) -> Result<(), Box<HostFailure>> {
    imported::call(call)
}

/// Starts a function that may wait.
pub async fn start(function: u32, args: Vec<u8>) -> Result<Started, Failure> {
    family::start(function, args).await.map(Started::from)
}
