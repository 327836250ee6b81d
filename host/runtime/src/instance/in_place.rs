//! What is asked of an instance on the stack of whoever asks, without a queue and without a task.
//!
//! That is possible where nothing that the plugin imports leaves its thread, and as long as the
//! instance does nothing else. What runs share is at work for some microseconds at a time and then at
//! rest again, which is less than it takes to hand something to another thread: so others wait for
//! it where they stand, but for a [`MOMENT`] only, and then as tasks do, for a [`WHILE`].

use super::job::Address;
use super::{Instance, SPIN_LIMIT, State};
use crate::bindings::{Caller, Failure};
use crate::plugin::{CallResult, Entry, Live};
use crate::short::Answered;
use mix_sandbox::state::{GuestState, InPlace};
use mix_value::packed::Short;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use tokio::sync::MutexGuard;
use wasmtime::Store;

/// How long a shared instance is waited for by a thread that does nothing else meanwhile.
const MOMENT: Duration = Duration::from_micros(40);

/// How long it is waited for by a task.
const WHILE: Duration = Duration::from_millis(2);

/// Pauses between two looks at the clock.
const PAUSES: u32 = 50;

impl Instance {
    /// Calls a function that never waits, or gives the work back. `deadline`: when the run ends.
    pub fn call_in_place(
        &self,
        address: Address,
        deadline: Option<Instant>,
    ) -> Result<CallResult, Address> {
        match self.at_rest() {
            Some(mut state) => Ok(self.call_at_rest(&mut state, address, deadline)),
            None => Err(address),
        }
    }

    /// The same where others have just been at work in the instance: their turn is waited for.
    pub async fn call_in_turn(
        &self,
        address: Address,
        deadline: Option<Instant>,
    ) -> Result<CallResult, Address> {
        if !self.code.in_place {
            return Err(address);
        }
        match tokio::time::timeout(WHILE, self.state.lock()).await {
            Ok(mut state) if matches!(&*state, State::Idle(_)) => {
                Ok(self.call_at_rest(&mut state, address, deadline))
            }
            _ => Err(address),
        }
    }

    fn call_at_rest(
        &self,
        state: &mut State,
        address: Address,
        deadline: Option<Instant>,
    ) -> CallResult {
        let Address {
            session,
            function,
            args,
        } = address;
        let result = self.enter(state, function, deadline, |store, entry| match entry {
            Entry::Single { call, .. } => call.call(store, (function, args)),
            Entry::Shared { call, .. } => call.call(store, (session, function, args)),
        });
        result.and_then(|(result,)| self.checked_call(function, result))
    }

    /// The same with short arguments. `None`: not in place, and nothing has begun.
    pub fn call_short_in_place(
        &self,
        session: u64,
        function: u32,
        args: Short,
        deadline: Option<Instant>,
    ) -> Option<Answered> {
        let bytes = args.get()?;
        let mut state = self.at_rest()?;
        let answers_short = self.answers_short(function);
        let answered = self.enter(&mut state, function, deadline, |store, entry| {
            let (result,) = match entry {
                Entry::Single { short, call, .. } => {
                    if let (Some(short), true) = (short, answers_short)
                        && let Some(answered) = short.ask(store, function, args)?
                    {
                        return Ok(answered);
                    }
                    call.call(store, (function, bytes.to_vec()))?
                }
                Entry::Shared { call, .. } => {
                    call.call(store, (session, function, bytes.to_vec()))?
                }
            };
            Ok(Answered::of(result))
        });
        let answered = self.checked_answer(
            function,
            answered.unwrap_or_else(|failure| Answered::Whole(Err(failure))),
        );
        self.note_length(function, matches!(answered, Answered::Short(_)));
        Some(answered)
    }

    /// True if the last answer of a function was a short one, as far as is known: asked for a long one, a
    /// plugin is entered twice.
    fn answers_short(&self, function: u32) -> bool {
        self.long.load(Ordering::Relaxed) & bit(function) == 0
    }

    fn note_length(&self, function: u32, is_short: bool) {
        // Most answers are as the one before.
        if is_short != self.answers_short(function) {
            self.long.fetch_xor(bit(function), Ordering::Relaxed);
        }
    }

    /// Opens a session of a shared instance; `None` if that takes a task ([`Instance::open`]).
    pub fn open_in_place(&self, who: &Caller) -> Option<u64> {
        let mut state = self.at_rest()?;
        let opened = self.enter(&mut state, u32::MAX, None, |store, entry| match entry {
            Entry::Single { .. } => Ok(None),
            Entry::Shared { open, .. } => open.call(store, (who.clone(),)).map(Some),
        });
        // Whoever finds it dead makes another one.
        opened.ok().flatten().map(|(session,)| session)
    }

    /// Ends a session; false if that takes a task ([`Instance::close`]).
    pub fn close_in_place(&self, session: u64) -> bool {
        let Some(mut state) = self.at_rest() else {
            return false;
        };
        // A dead instance has no sessions left to close.
        let _ = self.enter(&mut state, u32::MAX, None, |store, entry| match entry {
            Entry::Single { .. } => Ok(()),
            Entry::Shared { close, .. } => close.call(store, (session,)),
        });
        true
    }

    /// The instance, if it may be entered from any stack and is at rest, or soon will be.
    fn at_rest(&self) -> Option<MutexGuard<'_, State>> {
        if !self.code.in_place {
            return None;
        }
        let mut since = None;
        loop {
            if let Ok(state) = self.state.try_lock() {
                return matches!(&*state, State::Idle(_)).then_some(state);
            }
            // That of one run waits for something else in this very run.
            if !self.code.is_shared() || since.get_or_insert_with(Instant::now).elapsed() >= MOMENT
            {
                return None;
            }
            (0..PAUSES).for_each(|_| std::hint::spin_loop());
        }
    }

    /// Works in the store of an instance at rest; what fails is the end of the instance.
    fn enter<T>(
        &self,
        state: &mut State,
        function: u32,
        deadline: Option<Instant>,
        work: impl FnOnce(&mut Store<GuestState>, &Entry) -> wasmtime::Result<T>,
    ) -> Result<T, Failure> {
        let State::Idle(live) = state else {
            return Err(self.failure(function));
        };
        let Live { store, entry } = &mut **live;
        let limit = match self.code.is_shared() {
            false => InPlace::within(self.code.allowance.limits.time, deadline),
            // It belongs to others too, so it does not end with this run.
            true => InPlace::within(SPIN_LIMIT, None),
        };
        let failure = match limit.call(store, |store| work(store, entry)) {
            Ok(done) => return Ok(done),
            Err(error) => self.bury(store, function, error),
        };
        *state = State::Dead;
        self.unlock();
        Err(failure)
    }
}

/// A bit for all functions whose numbers are equal modulo 64: a guess that is wrong costs time, nothing else.
fn bit(function: u32) -> u64 {
    1 << (function % u64::BITS)
}
