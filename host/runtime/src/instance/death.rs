//! How an instance ends: by a trap, by what it took, or without a word; and what its callers are told.

use super::{Instance, failure};
use crate::bindings::Failure;
use mix_sandbox::meter::Overslept;
use mix_sandbox::state::GuestState;
use std::str::Utf8Error;
use std::sync::PoisonError;
use std::time::Duration;
use wasmtime::component::ResourceTableError;
use wasmtime::{Store, Trap};
use wasmtime_wasi::I32Exit;

/// Why an instance is gone.
#[derive(Clone, Copy)]
pub(super) struct Death {
    pub(super) code: &'static str,
    pub(super) what: &'static str,
    pub(super) function: u32,
}

/// What a mistake of the plugin was, as far as one can see from outside.
fn end(error: &wasmtime::Error) -> &'static str {
    match error.downcast_ref::<Trap>() {
        Some(Trap::StackOverflow) => "ran out of stack in",
        Some(Trap::NoAsyncResult) => "ended without an answer in",
        _ if error.is::<I32Exit>() => "ended itself in",
        _ if error.is::<Utf8Error>() => "gave a text that is no UTF-8 in",
        _ => "trapped in",
    }
}

impl Instance {
    /// True if it can be used no more.
    pub fn is_dead(&self) -> bool {
        self.death.get().is_some()
    }

    /// Notes why the instance died.
    pub(super) fn bury(
        &self,
        store: &Store<GuestState>,
        function: u32,
        error: wasmtime::Error,
    ) -> Failure {
        let interrupted = matches!(error.downcast_ref::<Trap>(), Some(Trap::Interrupt))
            || error.is::<Overslept>();
        let full = |error: &wasmtime::Error| {
            let full = |cause: &(dyn std::error::Error + 'static)| {
                matches!(cause.downcast_ref(), Some(ResourceTableError::Full))
            };
            error.chain().any(full)
        };
        let (code, what) = if store.data().limits.exceeded {
            ("ERR_TOO_LARGE", "ran out of memory in")
        } else if full(&error) {
            (
                "ERR_TOO_LARGE",
                "held more files, requests and other handles of the host than a plugin may in",
            )
        } else if interrupted {
            ("ERR_TIMEOUT", "did not answer in time in")
        } else {
            ("ERR_INTERNAL", end(&error))
        };
        tracing::warn!(
            plugin = %self.code.name,
            function = %self.function_name(function),
            stderr = %store.data().stderr(),
            error = %error.root_cause(),
            "plugin instance dropped"
        );
        // One that was closed meanwhile keeps that as its cause.
        let _ = self.death.set(Death {
            code,
            what,
            function,
        });
        self.failure(function)
    }

    /// Waits until the death of the instance is noted, so that the next call of the same
    /// caller finds it dead and gets another one.
    pub(super) async fn buried(&self) {
        for _ in 0..1_000 {
            if self.is_dead() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    /// Lets another instance have the app; the store is gone.
    pub(super) fn unlock(&self) {
        self.lock
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
    }

    /// The task of the instance ended without a word: it is dead all the same.
    pub(super) fn lost(&self) {
        let lost = Death {
            code: "ERR_INTERNAL",
            what: "was lost in",
            function: u32::MAX,
        };
        if self.death.set(lost).is_ok() {
            self.unlock();
        }
    }

    /// What a caller is told whose call died with the instance.
    pub fn failure(&self, function: u32) -> Failure {
        let death = self.death.get().copied().unwrap_or(Death {
            code: "ERR_INTERNAL",
            what: "was stopped in",
            function,
        });
        let at = if death.function == u32::MAX {
            function
        } else {
            death.function
        };
        let message = format!(
            "plugin {} {} {}",
            self.code.name,
            death.what,
            self.function_name(at)
        );
        failure(death.code, message)
    }

    /// Why the instance died, for somebody who waits for function number `function`.
    pub fn death_of(&self, function: u32) -> Option<Failure> {
        self.is_dead().then(|| self.failure(function))
    }
}
