//! What a module may use up, and how long it may run.
//!
//! `MIXER_WASM_MEMORY` (bytes) and `MIXER_WASM_TIMEOUT` (seconds) are the operator's.

use std::time::{Duration, Instant};

use mix_plugin_sdk::{Failure, yield_now};
use wasmi::{
    AsContextMut, Error, Func, ResumableCall, Store, StoreLimits, StoreLimitsBuilder, TrapCode, Val,
};

/// Largest module.
pub const LARGEST_MODULE: usize = 32 << 20;
/// Most modules that are kept.
pub const MOST_MODULES: usize = 64;
/// Longest text that a module may give back, and longest output of a command.
pub const LONGEST_TEXT: usize = 16 << 20;

/// Fuel between two looks at the clock.
const SLICE: u64 = 10_000_000;
/// Fuel for what runs when a module is instantiated.
pub const START_FUEL: u64 = 200_000_000;

/// Largest memory of a module.
pub fn memory() -> usize {
    variable("MIXER_WASM_MEMORY").unwrap_or(256 << 20)
}

/// Most memory that all modules keep together where another one is loaded: what the host leaves for them.
pub fn memory_of_all() -> usize {
    memory().saturating_mul(2)
}

/// Time of one call.
fn time() -> Duration {
    Duration::from_secs(variable("MIXER_WASM_TIMEOUT").unwrap_or(30) as u64)
}

fn variable(name: &str) -> Option<usize> {
    std::env::var(name).ok()?.parse().ok()
}

/// What an instance may hold.
pub fn of_store() -> StoreLimits {
    StoreLimitsBuilder::new()
        .memory_size(memory())
        .memories(4)
        .tables(16)
        .table_elements(100_000)
        .instances(1)
        .build()
}

/// How long the functions of one call may run together.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    end: Instant,
}

impl Clock {
    /// Starts now.
    pub fn start() -> Clock {
        Clock {
            end: Instant::now() + time(),
        }
    }

    /// A clock whose time is over.
    #[cfg(test)]
    pub fn ended() -> Clock {
        Clock {
            end: Instant::now(),
        }
    }

    /// Runs a function to its end, or to the end of the time. Others go on between two looks at the clock.
    pub async fn run<T>(
        &self,
        store: &mut Store<T>,
        function: Func,
        inputs: &[Val],
        outputs: &mut [Val],
    ) -> Result<(), Stopped> {
        refuel(store)?;
        let mut call = function.call_resumable(store.as_context_mut(), inputs, outputs)?;
        loop {
            call = match call {
                ResumableCall::Finished => return Ok(()),
                ResumableCall::HostTrap(trap) => return Err(trap.into_host_error().into()),
                ResumableCall::OutOfFuel(paused) => {
                    if Instant::now() >= self.end {
                        return Err(Stopped::TooSlow);
                    }
                    yield_now().await;
                    store.set_fuel(SLICE.max(paused.required_fuel()))?;
                    paused.resume(store.as_context_mut(), outputs)?
                }
            };
        }
    }
}

fn refuel<T>(store: &mut Store<T>) -> Result<(), Error> {
    store.set_fuel(SLICE)
}

/// Why a function did not end well.
#[derive(Debug)]
pub enum Stopped {
    /// The time is over.
    TooSlow,
    /// The program ended itself with this code.
    Exit(i32),
    /// It trapped.
    Trap(String),
}

impl From<Error> for Stopped {
    fn from(error: Error) -> Stopped {
        if let Some(code) = error.i32_exit_status() {
            return Stopped::Exit(code);
        }
        match error.as_trap_code() {
            Some(TrapCode::OutOfFuel) => Stopped::TooSlow,
            Some(TrapCode::UnreachableCodeReached) => {
                Stopped::Trap("it reached code that it declares unreachable".to_owned())
            }
            _ => Stopped::Trap(first_line(&error)),
        }
    }
}

impl Stopped {
    /// What the program is told.
    pub fn failure(self, what: &str) -> Failure {
        match self {
            Stopped::TooSlow => Failure::new(
                "ERR_TIMEOUT",
                format!("{what} did not end within {} s", time().as_secs()),
            ),
            Stopped::Exit(code) => wasm(format!("{what} ended the module with code {code}")),
            Stopped::Trap(reason) => wasm(format!("{what} trapped: {reason}")),
        }
    }
}

/// `ERR_WASM`.
pub fn wasm(message: impl Into<String>) -> Failure {
    Failure::new("ERR_WASM", message)
}

/// Errors of the interpreter in one line.
pub fn first_line(error: &impl std::fmt::Display) -> String {
    let text = error.to_string();
    text.lines().next().unwrap_or_default().to_owned()
}

/// The result of what only pauses, for tests.
#[cfg(test)]
pub fn finished<T>(work: impl Future<Output = T>) -> T {
    use std::task::{Context, Poll, Waker};
    let mut work = std::pin::pin!(work);
    loop {
        if let Poll::Ready(result) = work.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            return result;
        }
    }
}
