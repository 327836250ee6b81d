//! Families of the host itself, for what cannot be a component.
//!
//! | family | why it is none |
//! |---|---|
//! | [`files`] | on a server: addresses are signed with keys that no component has, uploads come over HTTP, and files may lie in a bucket |
//! | [`mqtt`] | its topics join the runs of all apps of the process; a component has one instance for each app at most |
//! | [`websocket`] | a connection that goes on after its HTTP request: `wasi:http` has no upgrades, and TLS and the rules about addresses are the host's |
//!
//! They stand behind the same interface as plugins: functions by number, arguments and results in
//! their wire form, a session for each run. `--family NAME=FILE` puts a component in their place.

pub mod files;
pub mod mqtt;
pub mod websocket;

use crate::bindings::{Caller, Failure, Function};
use crate::instance::failure;
use crate::neighbours::Neighbours;
use crate::plugin::Access;
use futures::future::BoxFuture;
use mix_value::{Map, Value, msgpack};
use std::sync::Arc;

/// A family that is part of the host.
pub trait HostFamily: Send + Sync {
    /// Its name, by which it is replaced.
    fn name(&self) -> &'static str;
    /// What a component in its place is given.
    fn access(&self) -> Access;
    /// What a run must be allowed to reach to use one of its functions.
    fn access_of(&self, _function: u32) -> Access {
        self.access()
    }
    /// Its functions, in the order of their numbers.
    fn describe(&self) -> Vec<Function>;
    /// A session for one run, with what that may do in other apps. What it holds is released when it is dropped.
    fn open(&self, who: &Caller, neighbours: Option<Arc<dyn Neighbours>>) -> Arc<dyn HostSession>;
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

fn map(value: &Value) -> Result<&Map, Failure> {
    match value {
        Value::Map(map) => Ok(map),
        Value::Undefined => Err(failure("ERR_UNDEFINED", "a map is undefined".to_owned())),
        other => Err(failure(
            "ERR_EXPECTED_MAP",
            format!("a map is expected, not {}", other.kind()),
        )),
    }
}

fn handle(value: &Value) -> Result<u64, Failure> {
    match value {
        Value::Handle(number) => Ok(*number),
        Value::Undefined => Err(failure("ERR_UNDEFINED", "a handle is undefined".to_owned())),
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

#[cfg(test)]
mod tests {
    use super::*;
    use mix_app_files::{Shelves, Storage};
    use mix_sandbox::outbound::Outbound;

    /// Functions and the kinds of their parameters: `s`tring, `n`umber, b`o`ol, `b`inary, `m`ap, `h`andle; `d` is whatever
    /// the function itself judges.
    const TABLE: [(&str, &str, bool); 19] = [
        ("$file_get", "ds", true),
        ("$file_read", "ds", true),
        ("$file_list", "ds", true),
        ("$file_create", "dsb", true),
        ("$file_delete", "ds", true),
        ("$file_rename", "dss", true),
        ("$file_copy", "dsds", true),
        ("$file_register", "dssm", true),
        ("$mqtt_publish", "sso", true),
        ("$mqtt_subscribe", "s", true),
        ("$mqtt_next", "h", true),
        ("$mqtt_unsubscribe", "h", false),
        ("$mqtt_get", "sn", true),
        ("$mqtt_mount", "sm", true),
        ("$websocket_create", "m", true),
        ("$websocket_read", "h", true),
        ("$websocket_write", "hd", true),
        ("$websocket_close", "h", false),
        ("$websocket_is_down", "h", false),
    ];

    /// A value of a kind, and the failure that another kind in its place is.
    fn sample(kind: char) -> (Value, &'static str) {
        match kind {
            's' => (Value::string("x"), "ERR_EXPECTED_STRING"),
            'n' => (Value::Int(1), "ERR_EXPECTED_NUMBER"),
            'o' => (Value::Bool(true), "ERR_EXPECTED_BOOL"),
            'b' => (Value::Binary(Arc::from(&b"x"[..])), "ERR_EXPECTED_BINARY"),
            'm' => (Value::Map(Map::new()), "ERR_EXPECTED_MAP"),
            'h' => (Value::Handle(1), "ERR_EXPECTED_OPAQUE"),
            _ => (Value::Null, ""),
        }
    }

    #[tokio::test]
    async fn every_function_is_there_and_takes_what_it_should() {
        let outbound = Outbound::new(false);
        let folder = tempfile::tempdir().expect("a folder");
        let shelves = Shelves::new(folder.path(), Storage::default(), 0);
        let families: [Box<dyn HostFamily>; 3] = [
            Box::new(files::Files::new(shelves)),
            Box::new(mqtt::Mqtt::new(outbound.clone())),
            Box::new(websocket::WebSocket::new(outbound)),
        ];
        let who = Caller {
            workspace: "w".to_owned(),
            app: "shop".to_owned(),
            agent: "a".to_owned(),
            user: "ada".to_owned(),
            deadline: 0,
        };
        let mut rows = TABLE.iter();
        for family in families {
            let session = family.open(&who, None);
            for (number, offered) in (0..).zip(family.describe()) {
                let (name, kinds, waits) = rows.next().expect("a row for each function");
                let params = kinds.len() as u8;
                assert_eq!(
                    (&*offered.name, offered.params, offered.waits),
                    (*name, params, *waits)
                );
                assert!(!offered.doc.is_empty());
                let code = async |args: Vec<Value>| {
                    let result = match waits {
                        true => session.clone().start(number, args).await,
                        false => session.call(number, &args),
                    };
                    result.expect_err("wrong arguments").code
                };
                let good: Vec<Value> = kinds.chars().map(|kind| sample(kind).0).collect();
                for (place, kind) in kinds.chars().enumerate().filter(|(_, kind)| *kind != 'd') {
                    let mut args = good.clone();
                    args[place] = match kind {
                        'h' => Value::string("1"),
                        _ => Value::Handle(1),
                    };
                    assert_eq!(code(args.clone()).await, sample(kind).1, "{name} {place}");
                    args[place] = Value::Undefined;
                    assert_eq!(code(args).await, "ERR_UNDEFINED", "{name} {place}");
                }
            }
            let missing = session.call(99, &[]).expect_err("no such function");
            assert_eq!(missing.code, "ERR_INTERNAL");
        }
        assert!(rows.next().is_none());
    }
}
