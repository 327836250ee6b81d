//! A session, driven until nothing is left to do.

use mix_vm::{Event, HostFailure, Pending, Reply, Session, Step, Vm};

use crate::functions::Functions;

/// Instructions between two looks at what the routines wait for.
const SLICE: u64 = 1_000_000;

/// A session with a seed of its own.
pub fn session(vm: &Vm) -> Session {
    let mut session = vm.session();
    session.set_random_seed(seed());
    session.set_allocation_counter(|| crate::ALLOCATOR.made());
    session
}

/// Runs what was asked for and tells what happens.
pub fn to_the_end(session: &mut Session, mut tell: impl FnMut(Event)) {
    loop {
        match session.run(&mut Functions, SLICE) {
            Step::Event(event) => tell(event),
            Step::Ready => {
                for request in session.take_requests() {
                    refuse(session, &request);
                }
            }
            Step::Waiting(requests) if requests.is_empty() => session.abort(
                "RT_INTERNAL",
                "the program waits for an answer that cannot come",
            ),
            Step::Waiting(requests) => {
                for request in &requests {
                    refuse(session, request);
                }
            }
            // Live cells get nothing between messages.
            Step::Listening(_) | Step::Idle => return,
        }
    }
}

/// No function is linked as one that waits.
fn refuse(session: &mut Session, request: &Pending) {
    let failure = HostFailure {
        code: "ERR_UNSUPPORTED".to_string(),
        message: "nothing can wait in a component for hosts without async".to_string(),
        detail: None,
    };
    session.resume(request.call(), Reply::Failed(failure));
}

fn seed() -> u64 {
    let mut bytes = [0; 8];
    match mix_crypto_functions::random::fill(&mut bytes) {
        Ok(()) => u64::from_le_bytes(bytes),
        // Without a generator the numbers of every run are the same; nothing else depends on them.
        Err(_) => 0x9e37_79b9_7f4a_7c15,
    }
}
