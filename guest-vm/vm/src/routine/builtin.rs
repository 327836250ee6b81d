//! The builtins of module `co`. The interpreter performs them, because they wait or need
//! the running routine.

use std::rc::Rc;

use super::channel::{self, Channel, Put};
use super::mutex::{self, Mutex};
use super::{Handle, Resume, Role};
use crate::failure::Failure;
use crate::heap::{Array, Map, Opaque, Value};
use crate::machine::{Machine, Native, Next, Ret, Routine, Uncaught};

/// A builtin of module `co`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Co {
    /// `#co_create(foreground, f)`: a routine that runs `f(routine)`.
    Create,
    /// `#co_call(f, x)`: a routine that runs `f(x)`, whose end `#co_join` gives.
    Call,
    /// `#co_join(routine)`: `ok(value)`, `error(raw)`, `co.timeout` or `co.terminated`.
    Join,
    /// `#co_expire(routine)`: the time of a called routine is over.
    Expire,
    /// `#co_end(routine)`: ends it.
    End,
    /// `#co_exit()`: ends the running routine.
    Exit,
    /// `#co_yield()`: lets the others go first.
    Yield,
    /// `#co_on_error(f, routine)`: `f(raw, routine)` runs with an uncaught error.
    OnError,
    /// `#co_fail_again(raw)`.
    FailAgain,
    /// `#co_error_text(raw)`.
    ErrorText,
    /// `#co_error_details(raw)`.
    ErrorDetails,
    /// `#co_pause(seconds)`: the seconds if they are a pause, 0 for none.
    Pause,
    /// `#co_channel_new()`.
    ChannelNew,
    /// `#co_channel_emit(channel, value)`.
    ChannelEmit,
    /// `#co_channel_put(channel, value)`: without letting the reader go first; false if
    /// nobody will read it.
    ChannelPut,
    /// `#co_channel_end(channel)`.
    ChannelEnd,
    /// `#co_channel_stream(channel)`.
    ChannelStream,
    /// `#co_channel_own(channel)`.
    ChannelOwn,
    /// `#co_channel_feed(channel, routine)`: the end of the routine marks the end.
    ChannelFeed,
    /// `#co_channel_length(channel)`: number of values that wait.
    ChannelLength,
    /// `#co_mutex_new()`.
    MutexNew,
    /// `#co_mutex_lock(mutex)`.
    MutexLock,
    /// `#co_mutex_unlock(mutex)`.
    MutexUnlock,
    /// `#co_guard(mutex, f)`: `f()`; afterwards, also on errors, the mutex is unlocked.
    Guard,
    /// `#co_same(a, b)`: are both the same object?
    Same,
    /// `#co_view()`: number of the view.
    View,
    /// `#sheet_propagate(appstate)`: a pass, now.
    Propagate,
    /// `#sheet_flush(appstate)`: a pass, after which what happened so far stays.
    Flush,
}

/// The builtin with that name.
#[must_use]
pub fn find(name: &str) -> Option<Co> {
    Some(match name {
        "#co_create" => Co::Create,
        "#co_call" => Co::Call,
        "#co_join" => Co::Join,
        "#co_expire" => Co::Expire,
        "#co_end" => Co::End,
        "#co_exit" => Co::Exit,
        "#co_yield" => Co::Yield,
        "#co_on_error" => Co::OnError,
        "#co_fail_again" => Co::FailAgain,
        "#co_error_text" => Co::ErrorText,
        "#co_error_details" => Co::ErrorDetails,
        "#co_pause" => Co::Pause,
        "#co_channel_new" => Co::ChannelNew,
        "#co_channel_emit" => Co::ChannelEmit,
        "#co_channel_put" => Co::ChannelPut,
        "#co_channel_end" => Co::ChannelEnd,
        "#co_channel_stream" => Co::ChannelStream,
        "#co_channel_own" => Co::ChannelOwn,
        "#co_channel_feed" => Co::ChannelFeed,
        "#co_channel_length" => Co::ChannelLength,
        "#co_mutex_new" => Co::MutexNew,
        "#co_mutex_lock" => Co::MutexLock,
        "#co_mutex_unlock" => Co::MutexUnlock,
        "#co_guard" => Co::Guard,
        "#co_same" => Co::Same,
        "#co_view" => Co::View,
        "#sheet_propagate" => Co::Propagate,
        "#sheet_flush" => Co::Flush,
        _ => return None,
    })
}

impl Machine {
    /// Performs a builtin of module `co`.
    pub(crate) fn co(
        &mut self,
        routine: &mut Routine,
        host: &mut dyn crate::boundary::Host,
        what: Co,
        arguments: &mut [Value],
        ret: Ret,
    ) -> Result<Next, Failure> {
        let mut taken = arguments.iter_mut().map(Value::take);
        let first = taken.next().unwrap_or_default();
        let second = taken.next().unwrap_or_default();
        let done = |value: Value| Ok(Next::Value(value, ret));
        match what {
            Co::Create => {
                let role = match first {
                    Value::Bool(true) if self.scheduler.main != 0 => Role::Foreground,
                    _ => Role::Background,
                };
                let function = function(second)?;
                let view = self.sheet.current;
                let handle = self.scheduler.spawn(role, view, false, Resume::Run)?;
                let value = handle.value();
                self.scheduler
                    .set_resume(handle.id, Resume::Call(function, vec![value.clone()]));
                done(value)
            }
            Co::Call => {
                // What a background routine calls does not belong to the interaction.
                let role = match self.scheduler.role(self.scheduler.running) {
                    Some(Role::Main | Role::Foreground) => Role::Foreground,
                    _ => Role::Background,
                };
                let call = Resume::Call(function(first)?, vec![second]);
                let view = self.sheet.current;
                done(self.scheduler.spawn(role, view, true, call)?.value())
            }
            Co::Join => self.join(handle(&first)?, ret),
            Co::Expire => {
                self.expire(handle(&first)?);
                done(Value::Null)
            }
            Co::End => {
                let id = handle(&first)?.id;
                if id == self.scheduler.running {
                    return Ok(Next::Exit);
                }
                self.kill(id);
                done(Value::Null)
            }
            Co::Exit => Ok(Next::Exit),
            Co::Yield => Ok(self.yield_turn(ret)),
            Co::OnError => {
                let handler = function(first)?;
                let id = handle(&second)?.id;
                if let Some(entry) = self.scheduler.entries.get_mut(&id) {
                    entry.on_error = Some(handler);
                }
                done(second)
            }
            Co::FailAgain => {
                let uncaught = error(&first)?.clone();
                Err(uncaught.failure.after(uncaught.trace, uncaught.location))
            }
            Co::ErrorText => done(Value::text(error(&first)?.failure.text())),
            Co::ErrorDetails => done(details(error(&first)?)),
            Co::Pause => done(Value::Float(pause(&first)?)),
            Co::ChannelNew => done(Channel::value()),
            Co::ChannelEmit => match self.put(channel::of_value(&first)?, second)? {
                Put::Read => Ok(self.yield_turn(ret)),
                Put::Queued => done(Value::Null),
                Put::Dead => Ok(Next::Exit),
            },
            Co::ChannelPut => {
                let put = self.put(channel::of_value(&first)?, second)?;
                done(Value::Bool(put != Put::Dead))
            }
            Co::ChannelEnd => {
                self.end_channel(channel::of_value(&first)?);
                done(Value::Null)
            }
            Co::ChannelStream => {
                let channel = Rc::clone(channel::of_value(&first)?);
                done(Value::Stream(crate::heap::Stream::of_channel(channel)))
            }
            Co::ChannelOwn => Ok(self.own_channel(channel::of_value(&first)?, ret)),
            Co::ChannelFeed => {
                let id = handle(&second)?.id;
                self.feed_channel(channel::of_value(&first)?, id);
                done(Value::Null)
            }
            // Far below 2^63.
            Co::ChannelLength => done(Value::Int(channel::of_value(&first)?.length() as i64)),
            Co::MutexNew => done(Mutex::value()),
            Co::MutexLock => self.lock(mutex::of_value(&first)?, ret),
            Co::MutexUnlock => {
                let id = self.scheduler.running;
                if self.unlock(mutex::of_value(&first)?, id) {
                    done(Value::Null)
                } else {
                    Err(Failure::range("the routine does not hold the mutex"))
                }
            }
            Co::Same => done(Value::Bool(match (&first, &second) {
                (Value::Opaque(a), Value::Opaque(b)) => Rc::ptr_eq(a, b),
                _ => false,
            })),
            Co::Propagate => self.begin_midway(routine, false, ret),
            Co::Flush => self.begin_midway(routine, true, ret),
            Co::View => done(Value::Int(i64::from(self.sheet.current))),
            Co::Guard => {
                let mutex = Rc::clone(mutex::of_value(&first)?);
                routine.natives.push(Native::Guard { mutex, ret });
                self.apply(routine, host, &second, vec![Value::Null], Native::RET)
            }
        }
    }
}

fn function(value: Value) -> Result<Value, Failure> {
    match value {
        Value::Function(_) => Ok(value),
        Value::Undefined => Err(Failure::undefined("the function")),
        other => Err(Failure::expected(
            "ERR_EXPECTED_FUNCTION",
            "a function",
            &other,
        )),
    }
}

/// An object of the library, by its type.
fn object<'a, T: 'static>(value: &'a Value, what: &str) -> Result<&'a T, Failure> {
    match value {
        Value::Opaque(object) => match &**object {
            Opaque::Object { object, .. } => object.downcast_ref(),
            _ => None,
        },
        Value::Undefined => return Err(Failure::undefined(what)),
        _ => None,
    }
    .ok_or_else(|| Failure::expected("ERR_EXPECTED_OPAQUE", what, value))
}

fn handle(value: &Value) -> Result<&Rc<Handle>, Failure> {
    object(value, "a routine")
}

fn error(value: &Value) -> Result<&Uncaught, Failure> {
    object(value, "an error of a routine")
}

/// The map `{code, message, mixStack, params}`.
fn details(uncaught: &Uncaught) -> Value {
    let failure = &uncaught.failure;
    let params = failure.params().iter();
    let params = params.map(|(name, value)| ((*name).into(), value.clone()));
    let stack = uncaught.trace.iter().map(|frame| {
        Value::Array(Array::new(vec![
            Value::text(frame.module.as_str()),
            Value::text(frame.function.as_str()),
            Value::Int(i64::from(frame.line)),
        ]))
    });
    Value::Map(Map::of_entries(vec![
        ("code".into(), Value::text(failure.code())),
        ("message".into(), Value::text(failure.message())),
        ("mixStack".into(), Value::array(stack.collect())),
        (
            "params".into(),
            Value::Map(Map::of_entries(params.collect())),
        ),
    ]))
}

/// Seconds that somebody waits.
fn pause(value: &Value) -> Result<f64, Failure> {
    let seconds = match value {
        Value::Int(seconds) => *seconds as f64,
        Value::Float(seconds) => *seconds,
        Value::Undefined => return Err(Failure::undefined("the number of seconds")),
        other => {
            return Err(Failure::expected(
                "ERR_EXPECTED_NUMBER",
                "a number of seconds",
                other,
            ));
        }
    };
    if seconds.is_finite() {
        Ok(seconds.max(0.0))
    } else {
        Err(Failure::range(format!("{seconds} is no number of seconds")))
    }
}
