//! All matches of a long text, in time linear in it. One search after the other may not be: in a text
//! of many `a` each search for `a.*z|a` runs to the end for a `z`. So where matches start is found by
//! one pass from the end of the text, and what a search has run over in vain no later one runs over
//! again (T. Reps, "Maximal-munch" tokenization in linear time, 1998).

use std::collections::HashSet;
use std::hash::{BuildHasherDefault, DefaultHasher};

use regex_automata::hybrid::LazyStateID;
use regex_automata::hybrid::dfa::{Cache, DFA};
use regex_automata::{Anchored, Input};

use crate::failure::Failure;

/// Positions between those at which a search notes its state.
const STRIDE: usize = 64;

/// Most states that are remembered.
const MAX_NOTES: usize = 4_000_000;

fn internal(error: impl std::fmt::Display) -> Failure {
    Failure::internal(&error.to_string())
}

/// A set of byte positions.
pub(super) struct Starts(Vec<u64>);

impl Starts {
    /// Where matches start. The automaton reads backwards.
    pub fn of(dfa: &DFA, cache: &mut Cache, text: &str) -> Result<Self, Failure> {
        let bytes = text.as_bytes();
        let mut starts = Self(vec![0; bytes.len() / 64 + 1]);
        let input = Input::new(text).anchored(Anchored::No);
        let mut state = dfa.start_state_reverse(cache, &input).map_err(internal)?;
        for (at, byte) in bytes.iter().enumerate().rev() {
            state = dfa.next_state(cache, state, *byte).map_err(internal)?;
            if state.is_match() {
                // Told one byte late.
                starts.add(at + 1);
            } else if state.is_dead() {
                return Ok(starts);
            } else if state.is_quit() {
                return Err(Failure::internal("the pattern has no automaton"));
            }
        }
        let last = dfa.next_eoi_state(cache, state).map_err(internal)?;
        if last.is_match() {
            starts.add(0);
        }
        Ok(starts)
    }

    fn add(&mut self, at: usize) {
        self.0[at / 64] |= 1 << (at % 64);
    }

    /// The first position from `from` on.
    pub fn next(&self, from: usize) -> Option<usize> {
        let mut index = from / 64;
        let mut word = self.0.get(index)? & (u64::MAX << (from % 64));
        while word == 0 {
            index += 1;
            word = *self.0.get(index)?;
        }
        Some(index * 64 + word.trailing_zeros() as usize)
    }
}

/// States from which no match ends, with their positions.
#[derive(Default)]
pub(super) struct Vain {
    notes: HashSet<(usize, LazyStateID), BuildHasherDefault<DefaultHasher>>,
    /// How often the automaton had forgotten its states, which have other numbers since.
    forgotten: usize,
}

impl Vain {
    /// Where the longest match from `start` on ends.
    pub fn longest(
        &mut self,
        dfa: &DFA,
        cache: &mut Cache,
        text: &str,
        start: usize,
    ) -> Result<Option<usize>, Failure> {
        let bytes = text.as_bytes();
        let input = Input::new(text).range(start..).anchored(Anchored::Yes);
        let mut state = dfa.start_state_forward(cache, &input).map_err(internal)?;
        let mut end = None;
        // Since the last match.
        let mut run: Vec<(usize, LazyStateID)> = Vec::new();
        let mut at = start;
        loop {
            if at.is_multiple_of(STRIDE) {
                if self.forgotten != cache.clear_count() {
                    self.forgotten = cache.clear_count();
                    self.notes.clear();
                    run.clear();
                }
                if self.notes.contains(&(at, state)) {
                    break;
                }
                run.push((at, state));
            }
            let Some(byte) = bytes.get(at) else {
                let last = dfa.next_eoi_state(cache, state).map_err(internal)?;
                if last.is_match() {
                    end = Some(at);
                    run.clear();
                }
                break;
            };
            state = dfa.next_state(cache, state, *byte).map_err(internal)?;
            if state.is_match() {
                // Told one byte late.
                end = Some(at);
                run.clear();
            } else if state.is_dead() {
                break;
            } else if state.is_quit() {
                return Err(Failure::internal("the pattern has no automaton"));
            }
            at += 1;
        }
        if self.forgotten == cache.clear_count() && self.notes.len() < MAX_NOTES {
            self.notes.extend(run);
        }
        Ok(end)
    }
}
