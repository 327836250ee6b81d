//! Families of the host itself, for what cannot be a component.
//!
//! | family | why it is none |
//! |---|---|
//! | [`mqtt`] | its topics join the runs of all apps of the process; a component has one instance for each app at most |
//! | [`websocket`] | a connection that goes on after its HTTP request: `wasi:http` has no upgrades, and TLS and the rules about addresses are the host's |
//!
//! They stand behind the same interface as plugins: functions by number, arguments and results in
//! their wire form, a session for each run. `--family NAME=FILE` puts a component in their place.

pub mod broker;
pub mod mqtt;
pub mod websocket;

use crate::bindings::{Caller, Failure, Function};
use crate::instance::failure;
use crate::plugin::Access;
use futures::future::BoxFuture;
use mix_value::{Value, msgpack};
use std::sync::Arc;

/// A family that is part of the host.
pub trait HostFamily: Send + Sync {
    /// Its name, by which it is replaced.
    fn name(&self) -> &'static str;
    /// What a component in its place is given.
    fn access(&self) -> Access;
    /// Its functions, in the order of their numbers.
    fn describe(&self) -> Vec<Function>;
    /// A session for one run. What it holds is released when it is dropped.
    fn open(&self, who: &Caller) -> Arc<dyn HostSession>;
}

/// One run's use of a family.
pub trait HostSession: Send + Sync {
    /// A function that never waits.
    fn call(&self, function: u32, args: &[Value]) -> Result<Value, Failure>;
    /// A function that may wait.
    fn start(
        self: Arc<Self>,
        function: u32,
        args: Vec<Value>,
    ) -> BoxFuture<'static, Result<Value, Failure>>;
}

/// The row of a function in `describe`.
fn function(name: &str, params: u8, waits: bool, doc: &str) -> Function {
    Function {
        name: name.to_owned(),
        params,
        waits,
        doc: doc.to_owned(),
    }
}

/// Arguments out of their wire form, as many as the function has.
pub fn arguments(function: &Function, args: &[u8]) -> Result<Vec<Value>, Failure> {
    match msgpack::decode(args) {
        Ok(Value::Array(values)) if values.len() == usize::from(function.params) => Ok(values),
        _ => Err(failure(
            "ERR_INTERNAL",
            format!("{} takes {} arguments", function.name, function.params),
        )),
    }
}

/// A result in its wire form.
pub fn encoded(result: Result<Value, Failure>) -> Result<Vec<u8>, Failure> {
    msgpack::encode(&result?).map_err(|error| failure("ERR_INTERNAL", error.to_string()))
}

/// A function of another number: the VM links names to numbers, so this is a fault of the VM.
fn no_function(number: u32) -> Failure {
    failure(
        "ERR_INTERNAL",
        format!("there is no function number {number}"),
    )
}

fn text(value: &Value) -> Result<&str, Failure> {
    match value {
        Value::String(text) => Ok(text),
        Value::Undefined => Err(failure("ERR_UNDEFINED", "a text is undefined".to_owned())),
        other => Err(failure(
            "ERR_EXPECTED_STRING",
            format!("a string is expected, not {}", other.kind()),
        )),
    }
}

fn handle(value: &Value) -> Result<u64, Failure> {
    match value {
        Value::Handle(number) => Ok(*number),
        other => Err(failure(
            "ERR_EXPECTED_OPAQUE",
            format!("a handle is expected, not {}", other.kind()),
        )),
    }
}

/// What a handle of another run or of an earlier time is answered with.
fn dead_handle() -> Failure {
    failure(
        "ERR_UNSUPPORTED",
        "the handle belongs to another run, or what it stood for was given back".to_owned(),
    )
}
