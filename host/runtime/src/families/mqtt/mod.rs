//! The family `mqtt`: topics of modules `co` and `messaging`.
//!
//! * [`broker`]: the broker of this process. A run may use the topics of its own workspace, app and
//!   user, and those that are public;
//! * [`remote`]: brokers of other organisations that a run mounts, which decide themselves who may use
//!   what; [`packet`]: what they are told and tell.

pub mod broker;
pub mod packet;
pub mod remote;

use self::broker::{Broker, BrokerError, Subscription};
use self::remote::{At, Remote};
use super::{HostFamily, HostSession, dead_handle, function, handle, no_function, text};
use crate::bindings::{Caller, Failure, Function};
use crate::instance::failure;
use crate::neighbours::Neighbours;
use crate::plugin::Access;
use futures::FutureExt;
use futures::future::BoxFuture;
use mix_http_api::escaped_part;
use mix_sandbox::outbound::Outbound;
use mix_value::{Case, Value};
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Subscriptions of one run.
const MOST_SUBSCRIPTIONS: usize = 1000;

/// Brokers that one run mounts.
const MOST_MOUNTED: usize = 16;

/// Number of `$mqtt_mount`.
const MOUNT: u32 = 5;

/// Topics of this process, and the way to others.
pub struct Mqtt {
    broker: Arc<Broker>,
    outbound: Arc<Outbound>,
    sessions: AtomicU64,
}

impl Mqtt {
    /// A broker without topics. Others are reached by `outbound`.
    pub fn new(outbound: Arc<Outbound>) -> Mqtt {
        Mqtt {
            broker: Arc::default(),
            outbound,
            sessions: AtomicU64::new(0),
        }
    }

    /// The broker behind it.
    pub fn broker(&self) -> &Arc<Broker> {
        &self.broker
    }
}

/// In the order of their numbers.
pub(crate) fn functions() -> Vec<Function> {
    vec![
        function(
            "$mqtt_publish",
            3,
            true,
            "Publishes a payload on a path of the broker, retained or not.",
        ),
        function(
            "$mqtt_subscribe",
            1,
            true,
            "Subscribes to a path of the broker.",
        ),
        function(
            "$mqtt_next",
            1,
            true,
            "The next message of a subscription, null at its end.",
        ),
        function("$mqtt_unsubscribe", 1, false, "Ends a subscription."),
        function(
            "$mqtt_get",
            2,
            true,
            "The retained payload of a path as some(text), or null.",
        ),
        function(
            "$mqtt_mount",
            2,
            true,
            "Ties the broker of another organisation to the session.",
        ),
    ]
}

impl HostFamily for Mqtt {
    fn name(&self) -> &'static str {
        "mqtt"
    }

    fn access(&self) -> Access {
        Access::Nothing
    }

    fn access_of(&self, function: u32) -> Access {
        match function {
            MOUNT => Access::Network,
            _ => self.access(),
        }
    }

    fn describe(&self) -> Vec<Function> {
        functions()
    }

    fn open(&self, who: &Caller, _: Option<Arc<dyn Neighbours>>) -> Arc<dyn HostSession> {
        Arc::new(Session {
            broker: self.broker.clone(),
            outbound: self.outbound.clone(),
            number: self.sessions.fetch_add(1, Ordering::Relaxed) + 1,
            who: who.clone(),
            held: Mutex::default(),
        })
    }
}

struct Session {
    broker: Arc<Broker>,
    outbound: Arc<Outbound>,
    number: u64,
    who: Caller,
    held: Mutex<Held>,
}

#[derive(Default)]
struct Held {
    next: u64,
    subscriptions: HashMap<u64, Arc<Reader>>,
    /// By the name of the organisation, as it stands in paths.
    mounted: HashMap<String, Arc<Remote>>,
}

/// A subscription of the run.
struct Reader {
    subscription: Subscription,
    /// The mounted broker behind it, and the path there.
    behind: Option<(Arc<Remote>, String)>,
}

/// What a run wants with a topic.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Use {
    Read,
    Write,
}

impl Session {
    fn held(&self) -> std::sync::MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// May this run use the topic?
    fn check(&self, path: &str, purpose: Use) -> Result<(), Failure> {
        if allowed(&self.who, path, purpose) {
            Ok(())
        } else {
            Err(failure(
                "ERR_PERMISSION",
                format!("{path} is no topic that this run may use"),
            ))
        }
    }

    /// The mounted broker that a path belongs to.
    fn remote(&self, path: &str) -> Option<Arc<Remote>> {
        let (org, _) = path.strip_prefix("/org/")?.split_once('/')?;
        self.held().mounted.get(org).cloned()
    }

    async fn mount(&self, args: &[Value]) -> Result<Value, Failure> {
        let org = escaped_part(text(&args[0])?);
        if org.is_empty() {
            let message = "an organisation has a name".to_owned();
            return Err(failure("ERR_BROKER", message));
        }
        let held = self.held().mounted.len();
        if held >= MOST_MOUNTED {
            let message = format!("a run mounts at most {MOST_MOUNTED} brokers");
            return Err(failure("ERR_BROKER", message));
        }
        let remote = Remote::mount(self.outbound.clone(), At::of(&args[1])?).await?;
        self.held().mounted.insert(org, Arc::new(remote));
        Ok(Value::Null)
    }

    fn subscription(&self, value: &Value) -> Result<Option<Arc<Reader>>, Failure> {
        let number = handle(value)?;
        let held = self.held();
        match held.subscriptions.get(&number) {
            Some(found) => Ok(Some(found.clone())),
            // It was given back: its messages are at their end.
            None if (1..=held.next).contains(&number) => Ok(None),
            None => Err(dead_handle()),
        }
    }

    async fn publish(&self, args: &[Value]) -> Result<Value, Failure> {
        let (path, payload) = (text(&args[0])?, text(&args[1])?);
        let retained = flag(&args[2])?;
        if let Some(remote) = self.remote(path) {
            remote.publish(path, payload, retained).await?;
            return Ok(Value::Null);
        }
        self.check(path, Use::Write)?;
        self.broker
            .publish(path, payload, retained, self.number)
            .map_err(refused)?;
        Ok(Value::Null)
    }

    async fn subscribe(&self, args: &[Value]) -> Result<Value, Failure> {
        let path = text(&args[0])?;
        let remote = self.remote(path);
        if remote.is_none() {
            self.check(path, Use::Read)?;
        }
        if self.held().subscriptions.len() >= MOST_SUBSCRIPTIONS {
            let message = format!("a run has at most {MOST_SUBSCRIPTIONS} subscriptions");
            return Err(failure("ERR_BROKER", message));
        }
        let reader = match remote {
            None => Reader {
                subscription: self.broker.subscribe(path).map_err(refused)?,
                behind: None,
            },
            Some(remote) => Reader {
                subscription: remote.subscribe(path).await?,
                behind: Some((remote, path.to_owned())),
            },
        };
        let mut held = self.held();
        held.next += 1;
        let number = held.next;
        held.subscriptions.insert(number, Arc::new(reader));
        Ok(Value::Handle(number))
    }

    fn unsubscribe(&self, args: &[Value]) -> Result<Value, Failure> {
        let number = handle(&args[0])?;
        let reader = self.held().subscriptions.remove(&number);
        if let Some((remote, path)) = reader.and_then(|reader| reader.behind.clone()) {
            // Nobody waits until the broker knows.
            tokio::spawn(async move { remote.unsubscribe(&path).await });
        }
        Ok(Value::Null)
    }

    async fn next(&self, args: &[Value]) -> Result<Value, Failure> {
        let Some(subscription) = self.subscription(&args[0])? else {
            return Ok(Value::Null);
        };
        Ok(match subscription.subscription.next().await {
            None => Value::Null,
            Some(message) => Value::map([
                ("payload", Value::String(message.payload)),
                ("retained", Value::Bool(message.retained)),
                ("own", Value::Bool(message.publisher == self.number)),
            ]),
        })
    }

    async fn get(&self, args: &[Value]) -> Result<Value, Failure> {
        let (path, patience) = (text(&args[0])?, patience(&args[1])?);
        let found = match self.remote(path) {
            None => {
                self.check(path, Use::Read)?;
                self.broker.retained(path)
            }
            Some(remote) => match tokio::time::timeout(patience, remote.retained(path)).await {
                Ok(found) => found?,
                Err(_) => {
                    let message = format!("the broker does not answer within {patience:?}");
                    return Err(failure("ERR_TIMEOUT", message));
                }
            },
        };
        let Some(payload) = found else {
            return Ok(Value::Null);
        };
        let some = Case::new("some", Some(Value::String(payload)));
        some.map(Value::Case)
            .map_err(|error| failure("ERR_INTERNAL", error.to_string()))
    }
}

fn flag(value: &Value) -> Result<bool, Failure> {
    match value {
        Value::Bool(flag) => Ok(*flag),
        Value::Undefined => Err(failure("ERR_UNDEFINED", "a bool is undefined".to_owned())),
        other => Err(failure(
            "ERR_EXPECTED_BOOL",
            format!("a bool is expected, not {}", other.kind()),
        )),
    }
}

/// Seconds, 300 at most.
fn patience(value: &Value) -> Result<Duration, Failure> {
    let seconds = match value {
        Value::Int(seconds) => *seconds as f64,
        Value::Float(seconds) => *seconds,
        Value::Undefined => {
            let message = "a number of seconds is undefined".to_owned();
            return Err(failure("ERR_UNDEFINED", message));
        }
        other => {
            let message = format!("a number of seconds is expected, not {}", other.kind());
            return Err(failure("ERR_EXPECTED_NUMBER", message));
        }
    };
    // What is no number is none.
    let seconds = if seconds.is_nan() { 0.0 } else { seconds };
    Ok(Duration::from_secs_f64(seconds.clamp(0.0, 300.0)))
}

fn refused(error: BrokerError) -> Failure {
    let code = match error {
        BrokerError::TooLarge => "ERR_TOO_LARGE",
        BrokerError::Full => "ERR_BROKER",
    };
    failure(code, error.to_string())
}

/// The rules of the prefixes of topics: own workspace, own app, own user; what is public is read by all.
fn allowed(who: &Caller, path: &str, purpose: Use) -> bool {
    let parts: Vec<&str> = path.split('/').collect();
    let anonymous = who.user.is_empty() || who.user == "anonymous";
    let is_user = |user: &str| !anonymous && user == escaped_part(&who.user);
    match parts.as_slice() {
        ["", "org", _, "ws", ws, rest @ ..] if *ws == who.workspace => match rest {
            ["shared", _, ..] => !anonymous,
            ["user", user, _, ..] => is_user(user),
            ["app", app, "shared", _, ..] => *app == who.app,
            ["app", app, "user", user, _, ..] => *app == who.app && is_user(user),
            ["app", app, "session", _, _, ..] => *app == who.app,
            _ => false,
        },
        ["", "cloud", _, "ws", ws, "app", app, rest @ ..] => {
            let own = *ws == who.workspace && *app == who.app;
            match rest {
                ["public", "application", _, ..] => own || purpose == Use::Read,
                ["shared", "application", _, ..] => own || purpose == Use::Read && !anonymous,
                ["user", user, _, ..] => own && is_user(user),
                _ => false,
            }
        }
        _ => false,
    }
}

impl HostSession for Session {
    fn call(&self, function: u32, args: &[Value]) -> Result<Value, Failure> {
        match function {
            3 => self.unsubscribe(args),
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
                0 => self.publish(&args).await,
                1 => self.subscribe(&args).await,
                2 => self.next(&args).await,
                4 => self.get(&args).await,
                MOUNT => self.mount(&args).await,
                _ => Err(no_function(function)),
            }
        }
        .boxed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn who(user: &str) -> Caller {
        Caller {
            workspace: "w".to_owned(),
            app: "shop".to_owned(),
            agent: "a".to_owned(),
            user: user.to_owned(),
            deadline: 0,
        }
    }

    #[test]
    fn topics_are_those_of_workspace_app_and_user() {
        for (user, path, read, write) in [
            ("ada@x", "/org//ws/w/app/shop/shared/k", true, true),
            ("ada@x", "/org//ws/w/app/shop/shared", false, false),
            ("ada@x", "/org//ws/w/app/other/shared/k", false, false),
            ("ada@x", "/org//ws/v/app/shop/shared/k", false, false),
            ("ada@x", "/org//ws/w/shared/k", true, true),
            ("anonymous", "/org//ws/w/shared/k", false, false),
            ("ada@x", "/org//ws/w/user/ada%40x/k", true, true),
            ("ada@x", "/org//ws/w/user/bob/k", false, false),
            ("ada@x", "/org//ws/w/app/shop/user/ada%40x/k", true, true),
            (
                "anonymous",
                "/org//ws/w/app/shop/user/anonymous/k",
                false,
                false,
            ),
            ("ada@x", "/org//ws/w/app/shop/session/7/k", true, true),
            (
                "ada@x",
                "/cloud/h/ws/v/app/x/public/application/k",
                true,
                false,
            ),
            (
                "anonymous",
                "/cloud/h/ws/v/app/x/public/application/k",
                true,
                false,
            ),
            (
                "ada@x",
                "/cloud/h/ws/v/app/x/shared/application/k",
                true,
                false,
            ),
            (
                "anonymous",
                "/cloud/h/ws/v/app/x/shared/application/k",
                false,
                false,
            ),
            (
                "ada@x",
                "/cloud/h/ws/w/app/shop/public/application/k",
                true,
                true,
            ),
            ("ada@x", "/cloud/h/ws/w/app/shop/user/ada%40x/k", true, true),
            ("ada@x", "/cloud/h/ws/w/app/shop/user/bob/k", false, false),
            ("ada@x", "org/x", false, false),
            ("ada@x", "", false, false),
        ] {
            let who = who(user);
            assert_eq!(allowed(&who, path, Use::Read), read, "{user} reads {path}");
            assert_eq!(
                allowed(&who, path, Use::Write),
                write,
                "{user} writes {path}"
            );
        }
    }

    #[tokio::test]
    async fn what_is_published_arrives_and_handles_are_those_of_a_run() {
        let mqtt = Mqtt::new(Outbound::new(false));
        let path = Value::string("/org//ws/w/app/shop/shared/k");
        let (first, second) = (mqtt.open(&who("ada"), None), mqtt.open(&who("bob"), None));
        let handle = second.clone().start(1, vec![path.clone()]).await.unwrap();
        let publish = vec![path.clone(), Value::string("1"), Value::Bool(true)];
        first.clone().start(0, publish).await.unwrap();
        let next = second.clone().start(2, vec![handle.clone()]).await.unwrap();
        assert_eq!(next.get("payload"), Some(&Value::string("1")));
        assert_eq!(next.get("own"), Some(&Value::Bool(false)));
        let got = first
            .clone()
            .start(4, vec![path, Value::Int(5)])
            .await
            .unwrap();
        assert!(matches!(got, Value::Case(case) if &*case.name == "some"));
        assert_eq!(
            first
                .clone()
                .start(2, vec![handle.clone()])
                .await
                .unwrap_err()
                .code,
            "ERR_UNSUPPORTED"
        );
        second.call(3, std::slice::from_ref(&handle)).unwrap();
        assert_eq!(second.start(2, vec![handle]).await.unwrap(), Value::Null);
    }
}
