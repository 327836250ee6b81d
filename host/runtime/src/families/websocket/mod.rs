//! The family `websocket`: connections as a client.
//!
//! * [`handshake`]: the HTTP request that is upgraded, guarded like any other outbound request;
//! * [`connection`]: reading and writing messages; [`frame`]: how they look on the way.

pub mod connection;
pub mod frame;
pub(super) mod handshake;

pub use handshake::accepted;

use self::connection::{Connection, Message};
use super::{HostFamily, HostSession, dead_handle, function, handle, no_function};
use crate::bindings::{Caller, Failure, Function};
use crate::home::Home;
use crate::instance::failure;
use crate::neighbours::Neighbours;
use crate::plugin::Access;
use futures::FutureExt;
use futures::future::BoxFuture;
use mix_sandbox::outbound::Outbound;
use mix_value::{Case, Value};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Connections of one run, those at their end included.
const MOST_CONNECTIONS: usize = 256;

/// Connections over the guarded way out.
pub struct WebSocket {
    outbound: Arc<Outbound>,
}

impl WebSocket {
    /// Connections that go out there.
    pub fn new(outbound: Arc<Outbound>) -> WebSocket {
        WebSocket { outbound }
    }
}

/// In the order of their numbers.
pub(crate) fn functions() -> Vec<Function> {
    vec![
        function("$websocket_create", 1, true, "Opens a connection."),
        function("$websocket_read", 1, true, "Waits for the next message."),
        function(
            "$websocket_write",
            2,
            true,
            "Hands a message to the socket.",
        ),
        function("$websocket_close", 1, false, "Drops a connection."),
        function(
            "$websocket_is_down",
            1,
            false,
            "Is a connection at its end?",
        ),
    ]
}

impl HostFamily for WebSocket {
    fn name(&self) -> &'static str {
        "websocket"
    }

    fn access(&self) -> Access {
        Access::Network
    }

    fn describe(&self) -> Vec<Function> {
        functions()
    }

    fn open(&self, _: &Caller, neighbours: Option<Arc<dyn Neighbours>>) -> Arc<dyn HostSession> {
        Arc::new(Session {
            outbound: self.outbound.clone(),
            home: neighbours.and_then(|neighbours| neighbours.home()),
            held: Mutex::default(),
        })
    }
}

struct Session {
    outbound: Arc<Outbound>,
    /// The server that the run is on.
    home: Option<Arc<dyn Home>>,
    held: Mutex<Held>,
}

#[derive(Default)]
struct Held {
    next: u64,
    connections: HashMap<u64, Arc<Connection>>,
}

/// Random bytes of the system; none only where it has no source of them.
pub(super) fn random<const N: usize>() -> Option<[u8; N]> {
    let mut bytes = [0; N];
    let provider = rustls::crypto::ring::default_provider();
    provider.secure_random.fill(&mut bytes).ok()?;
    Some(bytes)
}

impl Session {
    fn held(&self) -> std::sync::MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn connection(&self, value: &Value) -> Result<Arc<Connection>, Failure> {
        let number = handle(value)?;
        let found = self.held().connections.get(&number).cloned();
        found.ok_or_else(dead_handle)
    }

    async fn create(&self, args: &[Value]) -> Result<Value, Failure> {
        if self.held().connections.len() >= MOST_CONNECTIONS {
            let message = format!("a run has at most {MOST_CONNECTIONS} connections");
            return Err(failure("ERR_NETWORK", message));
        }
        let wishes = handshake::Wishes::of(&args[0])?;
        let patience = wishes.patience;
        let upgraded = handshake::perform(&self.outbound, self.home.as_ref(), wishes).await?;
        let mut held = self.held();
        held.next += 1;
        let number = held.next;
        let connection = Connection::new(upgraded, patience);
        held.connections.insert(number, Arc::new(connection));
        Ok(Value::Handle(number))
    }

    async fn write(&self, args: &[Value]) -> Result<Value, Failure> {
        let connection = self.connection(&args[0])?;
        let message = message_of(&args[1])?;
        if connection.write(&message).await {
            Ok(Value::Null)
        } else {
            let text = "the connection is at its end".to_owned();
            Err(failure("ERR_CHANNEL_CLOSED", text))
        }
    }
}

impl HostSession for Session {
    fn call(&self, function: u32, args: &[Value]) -> Result<Value, Failure> {
        match function {
            3 => {
                self.connection(&args[0])?.close();
                Ok(Value::Null)
            }
            4 => Ok(Value::Bool(self.connection(&args[0])?.is_down())),
            _ => Err(no_function(function)),
        }
    }

    fn start(
        self: Arc<Self>,
        function: u32,
        args: Vec<Value>,
    ) -> BoxFuture<'static, Result<Value, Failure>> {
        async move {
            match function {
                0 => self.create(&args).await,
                1 => value_of(self.connection(&args[0])?.read().await),
                2 => self.write(&args).await,
                _ => Err(no_function(function)),
            }
        }
        .boxed()
    }
}

/// A case of module `websocket`.
fn value_of(message: Message) -> Result<Value, Failure> {
    let (name, argument) = match message {
        Message::Text(text) => ("websocket.textMsg", Value::string(text)),
        Message::Binary(bytes) => ("websocket.binMsg", Value::binary(bytes)),
        Message::Ping(bytes) => ("websocket.pingMsg", Value::binary(bytes)),
        Message::Pong(bytes) => ("websocket.pongMsg", Value::binary(bytes)),
        Message::Close(code, text) => (
            "websocket.closeMsg",
            Value::map([
                ("code", Value::Int(code.into())),
                ("text", Value::string(text)),
            ]),
        ),
    };
    Case::new(name, Some(argument))
        .map(Value::Case)
        .map_err(|error| failure("ERR_INTERNAL", error.to_string()))
}

fn message_of(value: &Value) -> Result<Message, Failure> {
    let wrong = || {
        failure(
            "ERR_EXPECTED_CASE",
            "a message of module websocket is expected".to_owned(),
        )
    };
    let Value::Case(case) = value else {
        return Err(wrong());
    };
    let argument = case.argument.as_deref().ok_or_else(wrong)?;
    let bytes = |most: usize| match argument {
        Value::Binary(bytes) if bytes.len() <= most => Ok(bytes.to_vec()),
        Value::Null if most <= 125 => Ok(Vec::new()),
        Value::Binary(_) => Err(failure(
            "ERR_RANGE",
            format!("such a message has at most {most} bytes"),
        )),
        other => Err(failure(
            "ERR_EXPECTED_BINARY",
            format!("a binary is expected, not {}", other.kind()),
        )),
    };
    match &*case.name {
        "websocket.textMsg" => Ok(Message::Text(super::text(argument)?.to_owned())),
        "websocket.binMsg" => Ok(Message::Binary(bytes(frame::LONGEST_MESSAGE)?)),
        "websocket.pingMsg" => Ok(Message::Ping(bytes(125)?)),
        "websocket.pongMsg" => Ok(Message::Pong(bytes(125)?)),
        "websocket.closeMsg" => {
            let code = argument.get("code").and_then(Value::as_int);
            let code = code.and_then(|code| u16::try_from(code).ok());
            let text = argument.get("text").and_then(Value::as_str).unwrap_or("");
            match code.filter(|code| (1000..5000).contains(code)) {
                Some(code) if text.len() <= 123 => Ok(Message::Close(code, text.to_owned())),
                _ => Err(failure(
                    "ERR_RANGE",
                    "a closing message has a code from 1000 to 4999 and at most 123 bytes of text"
                        .to_owned(),
                )),
            }
        }
        _ => Err(wrong()),
    }
}
