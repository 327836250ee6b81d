//! The stack that the compiler runs on: deep sources need more than a thread has.

use crate::issue::{Code, Issue};
use crate::syntax::parser::{self, Depth};
use crate::syntax::span::Span;
use std::sync::PoisonError;

/// What the deepest trees need that [`Depth::DEEP`] lets through, and more; only what is used of it
/// is backed by memory. A machine that cannot reserve so much compiles what is shallow.
#[cfg(not(target_family = "wasm"))]
const STACKS: [(usize, Depth); 2] = [(1 << 30, Depth::DEEP), (128 << 20, Depth::SHALLOW)];

/// Runs the compiler on a stack of its own.
#[cfg(not(target_family = "wasm"))]
pub(crate) fn on_large_stack<T: Send>(
    work: impl FnOnce() -> T + Send,
    failed: impl FnOnce(Issue) -> T,
) -> T {
    let defect =
        |detail: &str| Issue::new(Code::CompilerInternal, Span::default()).with("detail", detail);
    let work = std::sync::Mutex::new(Some(work));
    let taken = &|| work.lock().unwrap_or_else(PoisonError::into_inner).take();
    let result = std::thread::scope(|scope| {
        let mut refused = None;
        for (bytes, depth) in STACKS {
            let compiler = std::thread::Builder::new()
                .name("mix-compiler".to_string())
                .stack_size(bytes)
                .spawn_scoped(scope, move || {
                    parser::allow_depth(depth);
                    taken().map(|work| work())
                });
            match compiler {
                Ok(thread) => return Ok(thread.join()),
                Err(error) => refused = Some(error),
            }
        }
        Err(refused)
    });
    match result {
        Ok(Ok(Some(done))) => done,
        // The message of the panic is on standard error already.
        Ok(Ok(None) | Err(_)) => failed(defect("it stopped unexpectedly")),
        Err(Some(error)) => failed(defect(&format!("no thread: {error}"))),
        Err(None) => failed(defect("no thread")),
    }
}

#[cfg(target_family = "wasm")]
pub(crate) fn on_large_stack<T>(work: impl FnOnce() -> T, _failed: impl FnOnce(Issue) -> T) -> T {
    work()
}
