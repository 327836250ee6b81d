//! Interactive sessions over WebSocket connections.
//!
//! Each connection has a task: it hands what the client asks to a session of the VM, one
//! interaction at a time, and tells the client what happens. The session ends with the connection,
//! and the connection with the session.

use super::handler::Visit;
use super::identity::Admitted;
use super::manage;
use super::neighbours::{Inside, Rights};
use super::occupancy::Presence;
use super::readers::Seat;
use super::reply::Reply;
use super::runs::Turn;
use super::standing::Standing;
use super::{Server, runs};
use hyper::upgrade::OnUpgrade;
use mix_http_api::dialog::{self, Ask, Asked};
use mix_http_api::{ApiError, Managed, Purpose};
use mix_identity::{Permission, Target};
use mix_runtime::bindings::{Action, AgentCall, Event, Input, Invocation, Issue, Push};
use mix_runtime::environment;
use mix_runtime::families::websocket::accepted;
use mix_runtime::families::websocket::connection::{Connection, Message};
use mix_runtime::interactive::{Driven, Ended, SessionRequest};
use mix_runtime::neighbours::Neighbours;
use mix_runtime::program_log;
use mix_runtime::workspace::Place;
use mix_value::{Value, msgpack};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, MissedTickBehavior};

/// A client that says nothing for so long is gone. What browsers say by themselves is the answer to a ping.
const PATIENCE: Duration = Duration::from_secs(600);

/// How often a client is pinged, as often as readers of topics are.
const PING: Duration = Duration::from_secs(15);

/// A client that does not take a short message in so long is gone.
const WRITE_LIMIT: Duration = Duration::from_secs(30);

/// Bytes of a long message for which it has a second more.
const SLOWEST: usize = 32 << 10;

/// Messages of a client that wait for their turn.
const MOST_WAITING: usize = 64;

/// Codes of the end of a connection (RFC 6455, 7.4.1).
const GOING_AWAY: u16 = 1001;
const POLICY: u16 = 1008;
const FAILED: u16 = 1011;

/// What a session needs beside its request.
pub struct Opening {
    /// The app.
    pub place: Place,
    /// Who asks.
    pub who: Admitted,
    /// At work in the app.
    pub presence: Presence,
    /// What it is opened for.
    pub purpose: Purpose,
    /// The key of the handshake.
    pub key: String,
}

/// Answers the handshake and begins the session.
pub async fn begin(
    server: &Arc<Server>,
    visit: Visit,
    managed: Managed,
    opening: Opening,
) -> Reply {
    match opened(server, visit, &managed, opening).await {
        Ok(accepted) => managed.switching(accepted).into(),
        Err(error) => managed.finish(Err(error)).into(),
    }
}

async fn opened(
    server: &Arc<Server>,
    visit: Visit,
    managed: &Managed,
    opening: Opening,
) -> Result<String, ApiError> {
    let module = managed.route.name.clone();
    let Opening {
        place,
        who,
        presence,
        purpose,
        key,
    } = opening;
    if let Some(inside) = &visit.inside {
        inside.check_depth()?;
    }
    let found = server.programs.find(&place, &module);
    let program = found.map_err(|missing| {
        let outcome = runs::missing_outcome(missing);
        outcome.error(&module).unwrap_or_else(ApiError::internal)
    })?;
    let Some(upgrade) = visit.upgrade else {
        return Err(ApiError::bad_param(
            "a session needs a connection of HTTP/1.1",
        ));
    };
    let seat = match &visit.inside {
        Some(inside) => server.sessions.enter_run(inside.workspace())?,
        None => server.sessions.enter(&who, visit.client)?,
    };
    let app = Target::App(place.app.clone());
    let shows = manage::may(server, &who, &place.workspace, Permission::Write, &app).await?;
    // Which module runs is known only if there is one.
    let (agent, first) = match purpose {
        Purpose::Calls => (module.as_str(), None),
        Purpose::View(args) => {
            let args = msgpack::encode(&args).unwrap_or_default();
            let ask = Ask::Load(module.clone(), args);
            let id = Value::Null;
            ("", Some(Asked { id, ask }))
        }
    };
    let rights = Rights::of_run(server, &who, &place, agent, visit.inside.as_ref());
    let org = server.org_of(&place.workspace).await;
    let mut environment = environment::of_session(
        &place,
        &module,
        &managed.request_id,
        &who.caller,
        &server.hosting(&org),
        &program,
        server.environment.clone(),
    );
    environment.extend(rights.variables());
    // Each interaction has its own time.
    rights.begin(Duration::from_millis(server.settings.agent_timeout_max_ms));
    let request = SessionRequest {
        place: place.clone(),
        program,
        user: who.caller.name(),
        timeout: Duration::from_millis(server.settings.agent_timeout_ms),
        memory: server.agent_memory,
        environment,
        neighbours: Some(rights),
    };
    let dialog = Dialog {
        server: server.clone(),
        place,
        shows,
        presence,
        inside: visit.inside,
        standing: Standing {
            who,
            token: visit.token,
            route: managed.route.clone(),
        },
        called: first.is_none().then_some(module),
        _seat: seat,
    };
    tokio::spawn(dialog.hold(upgrade, request, first));
    Ok(accepted(&key))
}

/// One connection.
struct Dialog {
    server: Arc<Server>,
    place: Place,
    /// True if the client sees logs and stacks.
    shows: bool,
    presence: Presence,
    /// Who is there, and whether they still may be.
    standing: Standing,
    /// The run that is the client.
    inside: Option<Inside>,
    /// The agent that a session for calls is for.
    called: Option<String>,
    _seat: Seat,
}

/// Why a dialog is over: code and text of the end.
type Over = (u16, String);

impl Dialog {
    async fn hold(self, upgrade: OnUpgrade, request: SessionRequest, first: Option<Asked>) {
        let Ok(upgraded) = upgrade.await else { return };
        let longest = usize::try_from(self.server.settings.params_limit).unwrap_or(usize::MAX);
        let connection = Connection::accepted(upgraded, longest, PATIENCE);
        let mut ending = self.server.ending.subscribe();
        let over = tokio::select! {
            over = self.talk(&connection, request, first) => over,
            () = self.presence.stopped() => (GOING_AWAY, "the app is deleted".to_owned()),
            () = self.standing.lost(&self.server) => {
                (POLICY, "the session is not permitted any more".to_owned())
            }
            _ = ending.wait_for(|ending| *ending) => {
                (GOING_AWAY, "the server is shutting down".to_owned())
            }
        };
        let (code, text) = over;
        let end = Message::Close(code, text);
        let _ = tokio::time::timeout(WRITE_LIMIT, connection.write(&end)).await;
        // The client answers, or does not.
        let farewell = async { while !matches!(connection.read().await, Message::Close(..)) {} };
        let _ = tokio::time::timeout(Duration::from_secs(1), farewell).await;
    }

    async fn talk(
        &self,
        connection: &Connection,
        request: SessionRequest,
        first: Option<Asked>,
    ) -> Over {
        let opened = Driven::open(&self.server.assembly, request).await;
        let mut driven = match opened {
            Ok(Ok(driven)) => driven,
            Ok(Err(issue)) => {
                let _ = self.write(connection, self.issue(issue)).await;
                return (FAILED, "the program cannot be loaded".to_owned());
            }
            Err(error) => {
                tracing::error!(error = %format!("{error:#}"), "no session");
                return (FAILED, "the session cannot start".to_owned());
            }
        };
        let mut waiting: VecDeque<Result<Asked, ApiError>> = first.into_iter().map(Ok).collect();
        // The id of the interaction that is under way, and its slot.
        let mut current = None;
        let mut pings = tokio::time::interval_at(Instant::now() + PING, PING);
        pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut heard = Instant::now();
        loop {
            if current.is_none()
                && let Some(next) = waiting.pop_front()
            {
                match self.begin(&driven, next).await {
                    Ok(begun) => current = Some(begun),
                    Err((id, error)) => {
                        let issue = dialog::told(
                            "issue",
                            [
                                ("code", Value::from(error.code)),
                                ("message", Value::from(error.message)),
                            ],
                        );
                        let done = dialog::told("done", [("id", id)]);
                        for text in [issue, done] {
                            if !self.write(connection, text).await {
                                return gone();
                            }
                        }
                    }
                }
                continue;
            }
            let text = tokio::select! {
                event = driven.events.recv() => match event {
                    Some(Ok(Event::Done(_))) => {
                        let id = current.take().map_or(Value::Null, |(id, _)| id);
                        Some(dialog::told("done", [("id", id)]))
                    }
                    Some(Ok(event)) => self.told(event),
                    Some(Err(why)) => return ended(why),
                    None => return ended(Ended::Broken),
                },
                message = connection.read(), if waiting.len() < MOST_WAITING => {
                    heard = Instant::now();
                    match message {
                        Message::Text(text) => {
                            waiting.push_back(dialog::asked(&text));
                            None
                        }
                        Message::Binary(_) => {
                            return (1003, "messages are JSON texts".to_owned());
                        }
                        Message::Ping(_) | Message::Pong(_) => None,
                        Message::Close(..) => return gone(),
                    }
                }
                _ = pings.tick() => {
                    // Of a client that is not listened to nothing is known.
                    let is_silent = waiting.len() < MOST_WAITING && heard.elapsed() > PATIENCE;
                    if is_silent || !self.send(connection, Message::Ping(Vec::new()), 0).await {
                        return gone();
                    }
                    None
                }
            };
            if let Some(text) = text
                && !self.write(connection, text).await
            {
                return gone();
            }
        }
    }

    /// Hands a message to the session, once there is a slot for it.
    async fn begin(
        &self,
        driven: &Driven,
        asked: Result<Asked, ApiError>,
    ) -> Result<(Value, Turn), (Value, ApiError)> {
        let Asked { id, ask } = asked.map_err(|error| (Value::Null, error))?;
        let action = match self.action(ask).await {
            Ok(action) => action,
            Err(error) => return Err((id, error)),
        };
        match self.turn().await {
            Err(error) => Err((id, error)),
            Ok(turn) => {
                // If nobody takes it, the events tell why.
                let _ = driven.actions.send(action).await;
                Ok((id, turn))
            }
        }
    }

    /// What the client asks for, if it may.
    async fn action(&self, ask: Ask) -> Result<Action, ApiError> {
        let ws = &self.place.workspace;
        if let Some(called) = self.called.as_deref().filter(|called| !ask.calls(called)) {
            let message = format!("this session is for calls: invoke $call of {called}");
            return Err(ApiError::bad_param(message));
        }
        if let Some(module) = ask.module() {
            let target = Target::Agent(self.place.app.clone(), module.to_owned());
            let server = &self.server;
            if !manage::may(server, &self.standing.who, ws, Permission::Run, &target).await? {
                let message = format!("this needs run on agent/{}/{module}", self.place.app);
                return Err(ApiError::new(403, "forbidden", message));
            }
        }
        Ok(action(ask))
    }

    /// The right to run now: a slot, or that of the run that waits for the answer.
    async fn turn(&self) -> Result<Turn, ApiError> {
        if let Some(lent) = self.inside.as_ref().and_then(Inside::borrow_slot) {
            return Ok(Turn::Lent(lent));
        }
        let slot = self.server.slots.acquire(&self.place.workspace).await;
        slot.map(Turn::Slot).map_err(|none| {
            let error = none.outcome().error("");
            error.unwrap_or_else(ApiError::internal)
        })
    }

    /// An event as the client sees it; `None`: not at all.
    fn told(&self, event: Event) -> Option<String> {
        let value = |bytes: &[u8]| msgpack::decode(bytes).unwrap_or(Value::Null);
        if self.called.is_some() {
            // Whoever calls an agent sees what it gives, not its cells.
            match event {
                Event::Output(_) | Event::ClientActions(_) | Event::IdleActions(_) => return None,
                _ => {}
            }
        }
        Some(match event {
            Event::Output(output) => dialog::told(
                "output",
                [
                    ("cell", Value::from(output.cell)),
                    ("version", Value::Int(output.version as i64)),
                    ("value", value(&output.value)),
                ],
            ),
            Event::Log(line) => {
                program_log::write(&line, &self.place, "");
                if !self.shows || self.called.is_some() {
                    return None;
                }
                dialog::told("log", [("text", Value::from(line))])
            }
            Event::ClientActions(actions) => {
                dialog::told("actions", [("actions", value(&actions))])
            }
            Event::IdleActions(actions) => {
                dialog::told("idleActions", [("actions", value(&actions))])
            }
            Event::Result(result) => dialog::told("result", [("value", value(&result))]),
            Event::Issue(issue) => self.issue(issue),
            Event::Done(_) => return None,
        })
    }

    fn issue(&self, issue: Issue) -> String {
        let mut members = vec![
            ("code", Value::from(issue.code)),
            ("message", Value::from(issue.message)),
        ];
        if self.shows && !issue.mix_stack.is_empty() {
            let frames = issue.mix_stack.into_iter().map(|frame| {
                let line = Value::Int(i64::from(frame.line));
                Value::Array(vec![
                    Value::from(frame.module),
                    Value::from(frame.function),
                    line,
                ])
            });
            members.push(("mixStack", Value::Array(frames.collect())));
        }
        dialog::told("issue", members)
    }

    /// False: the client is gone, or takes too little.
    async fn write(&self, connection: &Connection, text: String) -> bool {
        let length = text.len();
        self.send(connection, Message::Text(text), length).await
    }

    async fn send(&self, connection: &Connection, message: Message, length: usize) -> bool {
        let limit = WRITE_LIMIT + Duration::from_secs((length / SLOWEST) as u64);
        tokio::time::timeout(limit, connection.write(&message))
            .await
            .unwrap_or(false)
    }
}

fn gone() -> Over {
    (1000, String::new())
}

fn ended(why: Ended) -> Over {
    let code = match why {
        Ended::TimedOut | Ended::OutOfMemory => POLICY,
        Ended::Closed | Ended::Broken => FAILED,
    };
    (code, why.code().to_owned())
}

fn action(ask: Ask) -> Action {
    match ask {
        Ask::Load(module, args) => Action::Load(Push { module, args }),
        Ask::Push(module, args) => Action::Push(Push { module, args }),
        Ask::Pop => Action::Pop,
        Ask::Input(cell, value) => Action::Input(Input { cell, value }),
        Ask::Invoke {
            name,
            env,
            arg,
            next_actions,
        } => Action::Invoke(Invocation {
            name,
            env,
            arg,
            next_actions,
        }),
        Ask::Run(agent, params) => Action::RunAgent(AgentCall { agent, params }),
    }
}
