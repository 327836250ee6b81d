//! The broker of another organisation: MQTT 5 over a WebSocket, guarded like any other connection.
//!
//! What it sends is published in a [`Broker`] of its own here, whose subscribers read it. If the connection
//! breaks, another one is made, and everything that is subscribed to is subscribed to again.

use super::super::websocket::connection::{Connection, Message};
use super::super::websocket::{handshake, random};
use super::broker::{Broker, LONGEST_PATH, LONGEST_PAYLOAD, Subscription};
use super::packet::{self, Packet};
use crate::bindings::Failure;
use crate::instance::failure;
use mix_sandbox::outbound::Outbound;
use mix_value::{Token, Value};
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex as StdMutex, PoisonError};
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::task::AbortHandle;

/// Time to connect, and for an answer of the broker.
const PATIENCE: Duration = Duration::from_secs(30);

/// Seconds without a packet after which a side takes the other for gone.
const KEEP_ALIVE: u16 = 60;

/// Longest pause between two attempts to connect again.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Questions without an answer.
const MOST_WAITING: usize = 1000;

/// Reason of the broker: not allowed.
const NOT_AUTHORIZED: u8 = 0x87;

/// Where a broker is, and as whom it is spoken to.
pub struct At {
    url: String,
    user: Option<String>,
    secret: Option<String>,
}

impl At {
    /// From `{url, user, token}`.
    pub fn of(map: &Value) -> Result<At, Failure> {
        let map = super::super::map(map)?;
        let optional = |name: &str| match map.get(name) {
            None | Some(Value::Null | Value::Undefined) => Ok(None),
            // The token that stands for none.
            Some(Value::Token(Token::Sealed(body))) if body.is_empty() => Ok(None),
            Some(Value::Token(_)) => Err(failure(
                "ERR_PERMISSION",
                "this session may not turn tokens into text".to_owned(),
            )),
            Some(value) => super::super::text(value).map(|text| Some(text.to_owned())),
        };
        let url = super::super::text(map.get("url").unwrap_or(&Value::Undefined))?;
        Ok(At {
            url: url.to_owned(),
            user: optional("user")?,
            secret: optional("token")?,
        })
    }
}

/// A mounted broker. The connection ends with it.
pub struct Remote {
    shared: Arc<Shared>,
    task: AbortHandle,
}

impl Drop for Remote {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Shared {
    outbound: Arc<Outbound>,
    at: At,
    /// What the broker sent.
    received: Arc<Broker>,
    state: StdMutex<State>,
}

#[derive(Default)]
struct State {
    connection: Option<Arc<Connection>>,
    last_question: u16,
    questions: HashMap<u16, oneshot::Sender<u8>>,
    /// One for each [`packet::PING`] without an answer, in their order; none where nobody waits for it.
    pings: VecDeque<Option<oneshot::Sender<u8>>>,
    /// Subscriptions by topic, and how many read each.
    topics: HashMap<String, usize>,
}

/// Packets out of the messages of a connection.
struct Incoming {
    connection: Arc<Connection>,
    bytes: Vec<u8>,
}

impl Incoming {
    /// The next packet; none at the end, or where there is none. Nothing is lost if it is dropped.
    async fn next(&mut self) -> Option<Packet> {
        loop {
            match packet::take(&mut self.bytes) {
                Ok(Some(packet)) => return Some(packet),
                Ok(None) => {}
                Err(packet::Malformed) => return None,
            }
            match self.connection.read().await {
                Message::Binary(bytes) => self.bytes.extend(bytes),
                Message::Ping(_) | Message::Pong(_) => {}
                Message::Text(_) | Message::Close(..) => return None,
            }
        }
    }
}

/// Hands a packet to the connection; false if it does not take it.
async fn tell(connection: &Connection, packet: Vec<u8>) -> bool {
    let writing = Message::Binary(packet);
    let written = tokio::time::timeout(PATIENCE, connection.write(&writing)).await;
    written.unwrap_or(false)
}

fn broken(what: &str) -> Failure {
    failure("ERR_BROKER", format!("the broker {what}"))
}

/// What a refusal of the broker means to a program.
fn judge(reason: u8) -> Result<(), Failure> {
    match reason {
        0..0x80 => Ok(()),
        0x86 | NOT_AUTHORIZED | 0x8a | 0x8c => Err(failure(
            "ERR_PERMISSION",
            format!("the broker does not allow it (reason {reason:#x})"),
        )),
        0x95 | 0x97 => Err(failure(
            "ERR_TOO_LARGE",
            format!("it is too much for the broker (reason {reason:#x})"),
        )),
        _ => Err(broken(&format!("refuses it (reason {reason:#x})"))),
    }
}

/// Connects; gives the packets that follow, and the seconds that the broker keeps the connection alive.
async fn connect(outbound: &Outbound, at: &At) -> Result<(Incoming, u16), Failure> {
    let config = Value::map([
        ("url", Value::string(at.url.as_str())),
        ("timeout", Value::Int(PATIENCE.as_secs() as i64)),
        ("subprotocols", Value::Array(vec![Value::string("mqtt")])),
    ]);
    let opening =
        async { handshake::perform(outbound, None, handshake::Wishes::of(&config)?).await };
    let upgraded = opening.await.map_err(|error| {
        // To a program it is the broker that cannot be reached, whatever the reason.
        let code = match error.code.as_str() {
            "ERR_URL_BLOCKED" => "ERR_PERMISSION",
            "ERR_URL" => "ERR_BROKER",
            _ => "ERR_NETWORK",
        };
        failure(
            code,
            format!("no connection to the broker: {}", error.message),
        )
    })?;
    let name: [u8; 11] = random().ok_or_else(|| broken("cannot be given a name"))?;
    let name: String = name.iter().map(|byte| format!("{byte:02x}")).collect();
    let connection = Arc::new(Connection::new(upgraded, None));
    let hello = packet::connect(&name, at.user.as_deref(), at.secret.as_deref(), KEEP_ALIVE);
    let mut incoming = Incoming {
        connection,
        bytes: Vec::new(),
    };
    let answer = async {
        if tell(&incoming.connection, hello).await {
            incoming.next().await
        } else {
            None
        }
    };
    match tokio::time::timeout(PATIENCE, answer).await {
        Ok(Some(Packet::Connected { reason, keep_alive })) => {
            judge(reason)?;
            Ok((incoming, keep_alive.unwrap_or(KEEP_ALIVE)))
        }
        Ok(_) => Err(broken("does not speak MQTT 5")),
        Err(_) => Err(broken("does not answer")),
    }
}

impl Remote {
    /// Connects to a broker.
    pub async fn mount(outbound: Arc<Outbound>, at: At) -> Result<Remote, Failure> {
        let (incoming, keep_alive) = connect(&outbound, &at).await?;
        let shared = Arc::new(Shared {
            outbound,
            at,
            received: Arc::new(Broker::of_run()),
            state: StdMutex::default(),
        });
        shared.state().connection = Some(incoming.connection.clone());
        let task = tokio::spawn(shared.clone().serve(incoming, keep_alive));
        Ok(Remote {
            shared,
            task: task.abort_handle(),
        })
    }

    /// Publishes and waits until the broker has it.
    pub async fn publish(&self, path: &str, payload: &str, retained: bool) -> Result<(), Failure> {
        if payload.len() > LONGEST_PAYLOAD {
            let message = format!("a message has at most {LONGEST_PAYLOAD} bytes");
            return Err(failure("ERR_TOO_LARGE", message));
        }
        check(path)?;
        let publish = |id| packet::publish(id, path, payload.as_bytes(), retained);
        self.shared.ask(publish).await
    }

    /// A subscription; the retained value comes first.
    pub async fn subscribe(&self, path: &str) -> Result<Subscription, Failure> {
        check(path)?;
        let is_first = {
            let mut state = self.shared.state();
            let readers = state.topics.entry(path.to_owned()).or_default();
            *readers += 1;
            *readers == 1
        };
        if is_first {
            // What was retained at an earlier time is told anew.
            self.shared.received.forget(path);
        }
        // Before the broker is asked, whose first messages may come with its answer.
        let subscription = match self.shared.received.subscribe(path) {
            Ok(subscription) => subscription,
            Err(error) => {
                self.leave(path);
                return Err(broken(&format!("has no place for it: {error}")));
            }
        };
        // Every reader asks, so that none goes by the answer that another one has not got yet. The
        // retained value is told to all of them again.
        if let Err(error) = self.shared.ask(|id| packet::subscribe(id, path)).await {
            self.leave(path);
            return Err(error);
        }
        Ok(subscription)
    }

    /// The retained value; `None` if there is none.
    pub async fn retained(&self, path: &str) -> Result<Option<Arc<str>>, Failure> {
        let _subscription = self.subscribe(path).await?;
        // What is retained comes before the answer to a question that is asked after the subscription.
        let asked = self.shared.ping().await;
        let found = self.shared.received.retained(path);
        self.unsubscribe(path).await;
        asked.map(|()| found)
    }

    /// One reader less of a topic; the broker need not send it to nobody.
    pub async fn unsubscribe(&self, path: &str) {
        if self.leave(path) {
            // If the broker does not take it, its messages go nowhere.
            let _ = self.shared.ask(|id| packet::unsubscribe(id, path)).await;
        }
    }

    /// True if it was the last reader.
    fn leave(&self, path: &str) -> bool {
        let mut state = self.shared.state();
        let Some(readers) = state.topics.get_mut(path) else {
            return false;
        };
        *readers -= 1;
        let last = *readers == 0;
        if last {
            state.topics.remove(path);
        }
        last
    }
}

/// A topic, not a pattern of topics.
fn check(path: &str) -> Result<(), Failure> {
    if path.is_empty() || path.len() > LONGEST_PATH || path.contains(['+', '#', '\0']) {
        let message = format!("{path:?} is no topic");
        return Err(failure("ERR_BROKER", message));
    }
    Ok(())
}

impl Shared {
    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends a packet with a number of its own and waits for its answer.
    async fn ask(&self, packet: impl FnOnce(u16) -> Vec<u8>) -> Result<(), Failure> {
        let (send, answer) = oneshot::channel();
        let (connection, bytes) = {
            let mut state = self.state();
            let Some(connection) = state.connection.clone() else {
                return Err(broken("is not reachable at the moment"));
            };
            if state.questions.len() >= MOST_WAITING {
                return Err(broken("has too many questions to answer"));
            }
            loop {
                state.last_question = state.last_question.wrapping_add(1);
                let id = state.last_question;
                if id != 0 && !state.questions.contains_key(&id) {
                    state.questions.insert(id, send);
                    break (connection, packet(id));
                }
            }
        };
        self.answered(&connection, bytes, answer).await
    }

    /// Waits until the broker has answered everything that was sent before.
    async fn ping(&self) -> Result<(), Failure> {
        let (send, answer) = oneshot::channel();
        let connection = {
            let mut state = self.state();
            let Some(connection) = state.connection.clone() else {
                return Err(broken("is not reachable at the moment"));
            };
            state.pings.push_back(Some(send));
            connection
        };
        self.answered(&connection, packet::PING.to_vec(), answer)
            .await
    }

    async fn answered(
        &self,
        connection: &Connection,
        bytes: Vec<u8>,
        answer: oneshot::Receiver<u8>,
    ) -> Result<(), Failure> {
        if !tell(connection, bytes).await {
            return Err(broken("is not reachable at the moment"));
        }
        match tokio::time::timeout(PATIENCE, answer).await {
            Ok(Ok(reason)) => judge(reason),
            Ok(Err(_)) => Err(broken("broke the connection off")),
            Err(_) => Err(failure(
                "ERR_TIMEOUT",
                "the broker does not answer".to_owned(),
            )),
        }
    }

    /// The task of a mounted broker.
    async fn serve(self: Arc<Self>, mut incoming: Incoming, mut keep_alive: u16) {
        loop {
            self.listen(&mut incoming, keep_alive).await;
            incoming.connection.close();
            {
                let mut state = self.state();
                state.connection = None;
                // Whoever waits for an answer is told that there will be none.
                state.questions.clear();
                state.pings.clear();
            }
            (incoming, keep_alive) = self.connect_again().await;
            let topics: Vec<String> = {
                let mut state = self.state();
                state.connection = Some(incoming.connection.clone());
                state.topics.keys().cloned().collect()
            };
            let renewing = self.clone();
            // Beside the reading of the answers. What is refused now stays silent.
            tokio::spawn(async move {
                for topic in topics {
                    let _ = renewing.ask(|id| packet::subscribe(id, &topic)).await;
                }
            });
        }
    }

    async fn connect_again(&self) -> (Incoming, u16) {
        let mut pause = Duration::from_millis(250);
        loop {
            tokio::time::sleep(pause).await;
            if let Ok(connected) = connect(&self.outbound, &self.at).await {
                return connected;
            }
            pause = (2 * pause).min(LONGEST_PAUSE);
        }
    }

    /// Takes what the broker sends, until the connection is broken.
    async fn listen(&self, incoming: &mut Incoming, keep_alive: u16) {
        let every = Duration::from_secs(u64::from(keep_alive.max(2)) / 2);
        let mut clock = tokio::time::interval(every);
        let mut silent = 0;
        loop {
            let packet = tokio::select! {
                packet = incoming.next() => packet,
                _ = clock.tick() => {
                    silent += 1;
                    self.state().pings.push_back(None);
                    // Nothing for three ticks, not even answers to these questions.
                    if silent > 3 || !tell(&incoming.connection, packet::PING.to_vec()).await {
                        return;
                    }
                    continue;
                }
            };
            silent = 0;
            match packet {
                None | Some(Packet::Gone | Packet::Connected { .. }) => return,
                Some(Packet::Message {
                    topic,
                    payload,
                    id,
                    retained,
                }) => {
                    self.receive(&topic, &payload, retained);
                    if let Some(id) = id {
                        // If it does not get there, the end of the connection tells.
                        tell(&incoming.connection, packet::acknowledge(id)).await;
                    }
                }
                Some(Packet::Answer { id, reason }) => {
                    if let Some(question) = self.state().questions.remove(&id) {
                        // Whoever asked may be gone.
                        let _ = question.send(reason);
                    }
                }
                Some(Packet::Pong) => {
                    if let Some(Some(question)) = self.state().pings.pop_front() {
                        let _ = question.send(0);
                    }
                }
            }
        }
    }

    fn receive(&self, topic: &str, payload: &[u8], retained: bool) {
        // Whatever comes without having been asked for is not kept.
        if !self.state().topics.contains_key(topic) {
            return;
        }
        match std::str::from_utf8(payload) {
            // The retained value is deleted, which modules do not know.
            Ok("") => self.received.forget(topic),
            Ok(payload) => {
                if let Err(error) = self.received.publish(topic, payload, retained, 0) {
                    tracing::warn!(%error, "a message of a mounted broker is not delivered");
                }
            }
            Err(_) => tracing::warn!("a message of a mounted broker is no text"),
        }
    }
}
