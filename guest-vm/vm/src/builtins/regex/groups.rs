//! The groups of a match whose span is known.

use regex_automata::nfa::thompson::{NFA, State};
use regex_automata::util::primitives::StateID;

use super::Groups;

/// What is left to explore of the states that need no input.
enum Step {
    State(StateID),
    /// Puts a slot back after everything behind a capture was explored.
    Restore(usize, Option<usize>),
}

/// One step of the simulation: states in the order of their priority, each with
/// the slots of the thread that reached it first.
#[derive(Default)]
struct Threads {
    states: Vec<StateID>,
    slots: Vec<Vec<Option<usize>>>,
}

impl Threads {
    fn clear(&mut self) {
        self.states.clear();
        self.slots.clear();
    }
}

/// Finds the groups of exactly `span`: among all ways to match it the one that
/// a greedy backtracking search tries first.
pub(super) fn capture(nfa: &NFA, text: &[u8], span: (usize, usize)) -> Groups {
    let slots = nfa.group_info().slot_len();
    let count = nfa.states().len();
    let (mut now, mut next) = (Threads::default(), Threads::default());
    // Every state explored in this step, also those that need no input.
    let mut seen = vec![usize::MAX; count];
    add(
        nfa,
        text,
        span.0,
        nfa.start_anchored(),
        vec![None; slots],
        &mut now,
        &mut seen,
    );
    for at in span.0..span.1 {
        next.clear();
        for (state, slots) in now.states.iter().zip(&now.slots) {
            let target = match nfa.state(*state) {
                State::ByteRange { trans } => trans.matches_byte(text[at]).then_some(trans.next),
                State::Sparse(sparse) => sparse.matches_byte(text[at]),
                State::Dense(dense) => dense.matches_byte(text[at]),
                _ => None,
            };
            if let Some(target) = target {
                add(
                    nfa,
                    text,
                    at + 1,
                    target,
                    slots.clone(),
                    &mut next,
                    &mut seen,
                );
            }
        }
        std::mem::swap(&mut now, &mut next);
    }
    let winner = now
        .states
        .iter()
        .position(|state| matches!(nfa.state(*state), State::Match { .. }));
    let mut groups: Groups = match winner {
        Some(winner) => now.slots[winner]
            .chunks(2)
            .map(|pair| Some((pair[0]?, *pair.get(1)?.as_ref()?)))
            .collect(),
        None => Vec::new(),
    };
    if groups.is_empty() {
        groups.push(None);
    }
    groups[0] = Some(span);
    groups
}

/// Adds a state and everything it reaches without input.
fn add(
    nfa: &NFA,
    text: &[u8],
    at: usize,
    state: StateID,
    mut slots: Vec<Option<usize>>,
    threads: &mut Threads,
    seen: &mut [usize],
) {
    let mut work = vec![Step::State(state)];
    while let Some(step) = work.pop() {
        let state = match step {
            Step::Restore(slot, old) => {
                slots[slot] = old;
                continue;
            }
            Step::State(state) => state,
        };
        if std::mem::replace(&mut seen[state.as_usize()], at) == at {
            continue;
        }
        match nfa.state(state) {
            State::Look { look, next } => {
                if nfa.look_matcher().matches(*look, text, at) {
                    work.push(Step::State(*next));
                }
            }
            State::Union { alternates } => {
                work.extend(alternates.iter().rev().map(|state| Step::State(*state)));
            }
            State::BinaryUnion { alt1, alt2 } => {
                work.push(Step::State(*alt2));
                work.push(Step::State(*alt1));
            }
            State::Capture { next, slot, .. } => {
                let slot = slot.as_usize();
                if slot < slots.len() {
                    work.push(Step::Restore(slot, slots[slot]));
                    slots[slot] = Some(at);
                }
                work.push(Step::State(*next));
            }
            State::Fail => {}
            State::ByteRange { .. } | State::Sparse(_) | State::Dense(_) | State::Match { .. } => {
                threads.states.push(state);
                threads.slots.push(slots.clone());
            }
        }
    }
}
