//! Signals: promises in memory, ended by a restart.
//!
//! Values are kept encoded, so that what they take is known: all of them together, and those of one user, have an end.

mod table;

use super::Server;
use super::records::{map, text};
use mix_http_api::{ApiError, Done};
use mix_value::{Case, Value, msgpack};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use table::{Signal, State, Table};

/// Open signals of one user.
const MAX_PER_USER: usize = 1000;

/// Signals of all users.
const MAX_SIGNALS: usize = 100_000;

/// Signals of one user that are kept, with those that have a value.
const MAX_KEPT_PER_USER: usize = MAX_SIGNALS / 8;

/// Values of the greatest size that are kept at once: of all users, and of one.
const LARGE_VALUES: (u64, u64) = (16, 4);

/// How long the result of an asynchronous run is kept.
pub const LIFE: Duration = Duration::from_secs(3600);

/// All signals.
pub struct Signals {
    all: Mutex<Table>,
    /// Bytes of the values of all users, and of one.
    limits: (u64, u64),
}

impl Signals {
    /// None yet; `longest`: bytes of the greatest value.
    pub fn new(longest: u64) -> Signals {
        let (all, one) = LARGE_VALUES;
        Signals {
            all: Mutex::default(),
            limits: (longest.saturating_mul(all), longest.saturating_mul(one)),
        }
    }

    /// A new signal; its id is the capability to wait and to send.
    pub fn create(&self, creator: &str, life: Duration) -> Result<String, ApiError> {
        let mut signals = self.lock();
        let now = Instant::now();
        signals.sweep(now);
        let account = signals.account(creator);
        if account.is_some_and(|mine| mine.open >= MAX_PER_USER) {
            let message = format!("more than {MAX_PER_USER} open signals");
            return Err(ApiError::new(429, "rate_limited", message));
        }
        if account.is_some_and(|mine| mine.kept >= MAX_KEPT_PER_USER) {
            let message = format!("more than {MAX_KEPT_PER_USER} signals within an hour");
            return Err(ApiError::new(429, "rate_limited", message));
        }
        if signals.len() >= MAX_SIGNALS {
            return Err(ApiError::new(503, "busy", "too many signals"));
        }
        let id = random_id()?;
        signals.insert(&id, creator, now + life);
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
            Ok(Ok(found)) => {
                let state = found.clone();
                // Nobody waits for the signals with one of them in hand.
                drop(found);
                match state {
                    State::Set(value) => {
                        self.lock().mark_read(id);
                        msgpack::decode(&value).map_err(|_| ApiError::internal())?
                    }
                    State::Open | State::Canceled => case("error", text("canceled"))?,
                }
            }
            // Forgotten while it was waited for.
            Ok(Err(_)) => return Err(missing()),
            Err(_) => case("error", text("timeout"))?,
        };
        Ok(Done::Value(200, answer))
    }

    /// Gives the value `ok(value)`.
    pub fn set(&self, id: &str, value: Value) -> Result<Done, ApiError> {
        self.settle(id, &case("ok", value)?, false)
    }

    /// `in_any_case`: even if there is no room, for something short.
    fn settle(&self, id: &str, value: &Value, in_any_case: bool) -> Result<Done, ApiError> {
        let value = msgpack::encode(value).map_err(|_| ApiError::internal())?;
        let mut signals = self.lock();
        let signal = find(&signals, id)?;
        match &*signal.state.borrow() {
            State::Open => {}
            State::Set(_) => {
                return Err(ApiError::new(409, "already_set", "the signal has a value"));
            }
            State::Canceled => {
                return Err(ApiError::new(409, "canceled", "the signal was canceled"));
            }
        }
        let creator = signal.creator.clone();
        if !in_any_case {
            self.make_room(&mut signals, &creator, value.len() as u64)?;
        }
        signals.settle(id, State::Set(value.into()));
        Ok(Done::Nothing)
    }

    /// Makes room for a value of a user: those that are over go, then the oldest of the same user that somebody has got.
    fn make_room(&self, signals: &mut Table, creator: &str, size: u64) -> Result<(), ApiError> {
        signals.sweep(Instant::now());
        let over = |held: u64, limit: u64| held.saturating_add(size).saturating_sub(limit);
        let of_one = signals.account(creator).map_or(0, |mine| mine.bytes);
        let wanted = over(signals.bytes(), self.limits.0).max(over(of_one, self.limits.1));
        if signals.free(creator, wanted) {
            return Ok(());
        }
        let message = "the values of signals take as much memory as they may; wait for them sooner, or make them smaller";
        Err(ApiError::new(429, "rate_limited", message))
    }

    /// Cancels a signal of the caller.
    pub fn cancel(&self, id: &str, caller: &str) -> Result<Done, ApiError> {
        let mut signals = self.lock();
        let signal = find(&signals, id)?;
        if *signal.creator != *caller {
            return Err(ApiError::new(
                403,
                "forbidden",
                "only its creator cancels a signal",
            ));
        }
        if matches!(*signal.state.borrow(), State::Set(_)) {
            return Err(ApiError::new(409, "already_set", "the signal has a value"));
        }
        signals.settle(id, State::Canceled);
        Ok(Done::Nothing)
    }

    /// The end of an asynchronous run: its value, kept for an hour from now.
    pub fn finish(&self, id: &str, result: Result<Value, ApiError>) {
        let value = match result {
            Ok(value) => case("ok", value),
            Err(error) => failed(&error),
        };
        self.lock().extend(id, Instant::now() + LIFE);
        let settled = value.and_then(|value| self.settle(id, &value, false));
        // Whoever waits is told why there is no result. One that was canceled stays so.
        if let Err(error) = settled
            && !matches!(error.code, "canceled" | "not_found")
            && let Ok(value) = failed(&error)
        {
            let _ = self.settle(id, &value, true);
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

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
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

fn find<'a>(signals: &'a Table, id: &str) -> Result<&'a Signal, ApiError> {
    signals
        .get(id)
        .filter(|signal| signal.ends > Instant::now())
        .ok_or_else(missing)
}

fn missing() -> ApiError {
    ApiError::new(404, "not_found", "no such signal, or it has expired")
}

fn failed(error: &ApiError) -> Result<Value, ApiError> {
    let about = map([
        ("code", text(error.code)),
        ("message", text(&error.message)),
    ]);
    case("error", about)
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
        let signals = Arc::new(Signals::new(1 << 20));
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
        let signals = Signals::new(1 << 20);
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
        let signals = Signals::new(1 << 20);
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

    #[tokio::test]
    async fn values_of_all_and_of_one_have_an_end() {
        let signals = Signals::new(1 << 10);
        let large = || text(&"x".repeat(1000));
        let new = |creator: &str| signals.create(creator, LIFE).expect("room");
        let held: Vec<String> = (0..3).map(|_| new("ada")).collect();
        for id in &held {
            assert_eq!(code(signals.set(id, large())), "");
        }
        // The share of one user is full.
        let more = new("ada");
        assert_eq!(
            code(signals.set(&more, text(&"x".repeat(2000)))),
            "rate_limited"
        );
        // What was read makes place, and nothing else.
        assert!(signals.wait(&held[1], LIFE).await.is_ok());
        assert_eq!(code(signals.set(&more, text(&"x".repeat(2000)))), "");
        assert_eq!(code(signals.wait(&held[1], LIFE).await), "not_found");
        for id in [&held[0], &held[2]] {
            assert!(signals.wait(id, LIFE).await.is_ok());
        }
        // Whoever waits for a run is told.
        let run = new("ada");
        signals.finish(&run, Ok(text(&"x".repeat(5000))));
        let told = signals.wait(&run, LIFE).await.expect("an end");
        assert!(format!("{told:?}").contains("rate_limited"), "{told:?}");
        // Of all users.
        let others = (0..40).map(|number| new(&format!("user {number}")));
        let codes: Vec<&str> = others.map(|id| code(signals.set(&id, large()))).collect();
        assert!(codes[..8].iter().all(|code| code.is_empty()), "{codes:?}");
        assert_eq!(codes.last(), Some(&"rate_limited"));
    }

    #[tokio::test]
    async fn values_that_are_over_take_nothing() {
        let signals = Signals::new(1 << 10);
        for _ in 0..20 {
            let id = signals
                .create("ada", Duration::from_millis(20))
                .expect("room");
            assert_eq!(code(signals.set(&id, text(&"x".repeat(1000)))), "");
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        assert_eq!(signals.lock().len(), 1);
    }
}
