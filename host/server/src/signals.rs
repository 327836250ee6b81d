//! Signals: promises in memory, ended by a restart.

use super::Server;
use super::records::{map, text};
use mix_http_api::{ApiError, Done};
use mix_value::{Case, Value};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// Open signals of one user.
const MAX_PER_USER: usize = 1000;

/// Signals of all users.
const MAX_SIGNALS: usize = 100_000;

/// How long the result of an asynchronous run is kept.
pub const LIFE: Duration = Duration::from_secs(3600);

/// All signals.
#[derive(Default)]
pub struct Signals(Mutex<HashMap<String, Signal>>);

struct Signal {
    creator: String,
    ends: Instant,
    state: watch::Sender<State>,
}

#[derive(Clone)]
enum State {
    Open,
    /// `ok(value)` or `error(value)`.
    Set(Value),
    Canceled,
}

impl Signals {
    /// A new signal; its id is the capability to wait and to send.
    pub fn create(&self, creator: &str, life: Duration) -> Result<String, ApiError> {
        let mut signals = self.lock();
        let now = Instant::now();
        if signals.len() >= MAX_SIGNALS / 2 {
            signals.retain(|_, signal| signal.ends > now);
        }
        let is_open = |signal: &&Signal| {
            signal.creator == creator
                && signal.ends > now
                && matches!(*signal.state.borrow(), State::Open)
        };
        if signals.values().filter(is_open).count() >= MAX_PER_USER {
            return Err(ApiError::new(
                429,
                "rate_limited",
                format!("more than {MAX_PER_USER} open signals"),
            ));
        }
        if signals.len() >= MAX_SIGNALS {
            return Err(ApiError::new(503, "busy", "too many signals"));
        }
        let id = random_id()?;
        let signal = Signal {
            creator: creator.to_owned(),
            ends: now + life,
            state: watch::Sender::new(State::Open),
        };
        signals.insert(id.clone(), signal);
        Ok(id)
    }

    /// Waits for the value.
    pub async fn wait(&self, id: &str, longest: Duration) -> Result<Done, ApiError> {
        let (mut state, ends) = {
            let signals = self.lock();
            let signal = find(&signals, id)?;
            (signal.state.subscribe(), signal.ends)
        };
        let end = (Instant::now() + longest).min(ends);
        let waiting = state.wait_for(|state| !matches!(state, State::Open));
        let answer = match tokio::time::timeout_at(end.into(), waiting).await {
            Ok(Ok(found)) => match &*found {
                State::Set(value) => value.clone(),
                State::Open | State::Canceled => case("error", text("canceled"))?,
            },
            // Forgotten while it was waited for.
            Ok(Err(_)) => return Err(missing()),
            Err(_) => case("error", text("timeout"))?,
        };
        Ok(Done::Value(200, answer))
    }

    /// Gives the value `ok(value)`.
    pub fn set(&self, id: &str, value: Value) -> Result<Done, ApiError> {
        self.settle(id, case("ok", value)?)
    }

    fn settle(&self, id: &str, value: Value) -> Result<Done, ApiError> {
        let signals = self.lock();
        let signal = find(&signals, id)?;
        let mut refused = None;
        signal.state.send_if_modified(|state| match state {
            State::Open => {
                *state = State::Set(value);
                true
            }
            State::Set(_) => {
                refused = Some(ApiError::new(409, "already_set", "the signal has a value"));
                false
            }
            State::Canceled => {
                refused = Some(ApiError::new(409, "canceled", "the signal was canceled"));
                false
            }
        });
        refused.map_or(Ok(Done::Nothing), Err)
    }

    /// Cancels a signal of the caller.
    pub fn cancel(&self, id: &str, caller: &str) -> Result<Done, ApiError> {
        let signals = self.lock();
        let signal = find(&signals, id)?;
        if signal.creator != caller {
            return Err(ApiError::new(
                403,
                "forbidden",
                "only its creator cancels a signal",
            ));
        }
        let mut refused = None;
        signal.state.send_if_modified(|state| match state {
            State::Open => {
                *state = State::Canceled;
                true
            }
            State::Set(_) => {
                refused = Some(ApiError::new(409, "already_set", "the signal has a value"));
                false
            }
            State::Canceled => false,
        });
        refused.map_or(Ok(Done::Nothing), Err)
    }

    /// The end of an asynchronous run: its value, kept for an hour from now.
    pub fn finish(&self, id: &str, result: Result<Value, ApiError>) {
        let value = match result {
            Ok(value) => case("ok", value),
            Err(error) => case(
                "error",
                map([
                    ("code", text(error.code)),
                    ("message", text(&error.message)),
                ]),
            ),
        };
        if let Some(signal) = self.lock().get_mut(id) {
            signal.ends = Instant::now() + LIFE;
        }
        // One that was canceled stays so.
        if let Ok(value) = value {
            let _ = self.settle(id, value);
        }
    }

    /// Returns when the signal is canceled.
    pub async fn canceled(&self, id: &str) {
        let state = self.lock().get(id).map(|signal| signal.state.subscribe());
        if let Some(mut state) = state
            && state
                .wait_for(|state| matches!(state, State::Canceled))
                .await
                .is_ok()
        {
            return;
        }
        std::future::pending::<()>().await;
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, Signal>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Makes one for a request.
pub fn create(server: &Arc<Server>, creator: &str, life: Duration) -> Result<Done, ApiError> {
    let id = server.signals.create(creator, life)?;
    let url = url(server, &id);
    let answer = map([("id", text(&id)), ("url", text(&url))]);
    Ok(Done::Made(answer, url))
}

/// The address of a signal.
pub fn url(server: &Server, id: &str) -> String {
    format!("{}/v1/signals/{id}", server.base_url)
}

fn find<'a>(signals: &'a HashMap<String, Signal>, id: &str) -> Result<&'a Signal, ApiError> {
    signals
        .get(id)
        .filter(|signal| signal.ends > Instant::now())
        .ok_or_else(missing)
}

fn missing() -> ApiError {
    ApiError::new(404, "not_found", "no such signal, or it has expired")
}

fn case(name: &str, argument: Value) -> Result<Value, ApiError> {
    let case = Case::new(name, Some(argument)).map_err(|_| ApiError::internal())?;
    Ok(Value::Case(case))
}

/// 32 random letters and digits.
pub fn random_id() -> Result<String, ApiError> {
    const LETTERS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let mut id = String::with_capacity(32);
    while id.len() < 32 {
        let mut bytes = [0u8; 48];
        getrandom::fill(&mut bytes).map_err(|_| ApiError::internal())?;
        // What is over the greatest multiple of 62 would prefer some letters.
        let fitting = bytes.iter().filter(|byte| **byte < 248);
        id.extend(
            fitting
                .take(32 - id.len())
                .map(|byte| LETTERS[usize::from(*byte % 62)] as char),
        );
    }
    Ok(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(result: Result<Done, ApiError>) -> &'static str {
        result.map_or_else(|error| error.code, |_| "")
    }

    #[tokio::test]
    async fn a_signal_is_set_once_and_read_by_any_number() {
        let signals = Arc::new(Signals::default());
        let id = signals.create("ada", LIFE).expect("room");
        let waiting = {
            let (signals, id) = (signals.clone(), id.clone());
            tokio::spawn(async move { signals.wait(&id, LIFE).await })
        };
        assert_eq!(code(signals.set(&id, Value::Int(7))), "");
        let ok = Done::Value(200, case("ok", Value::Int(7)).expect("a case"));
        assert_eq!(waiting.await.expect("no panic"), Ok(ok.clone()));
        assert_eq!(signals.wait(&id, LIFE).await, Ok(ok));
        assert_eq!(code(signals.set(&id, Value::Null)), "already_set");
        assert_eq!(code(signals.cancel(&id, "ada")), "already_set");
    }

    #[tokio::test]
    async fn only_its_creator_cancels_and_nobody_sets_it_then() {
        let signals = Signals::default();
        let id = signals.create("ada", LIFE).expect("room");
        assert_eq!(code(signals.cancel(&id, "eve")), "forbidden");
        assert_eq!(code(signals.cancel(&id, "ada")), "");
        assert_eq!(code(signals.cancel(&id, "ada")), "");
        assert_eq!(code(signals.set(&id, Value::Null)), "canceled");
        let canceled = case("error", text("canceled")).expect("a case");
        assert_eq!(
            signals.wait(&id, LIFE).await,
            Ok(Done::Value(200, canceled))
        );
        signals.canceled(&id).await;
    }

    #[tokio::test]
    async fn signals_expire_and_are_bounded() {
        let signals = Signals::default();
        let gone = signals.create("ada", Duration::ZERO).expect("room");
        assert_eq!(code(signals.set(&gone, Value::Null)), "not_found");
        for _ in 0..MAX_PER_USER {
            signals.create("ada", LIFE).expect("room");
        }
        assert_eq!(
            signals.create("ada", LIFE).expect_err("full").code,
            "rate_limited"
        );
        assert!(signals.create("eve", LIFE).is_ok());
    }
}
