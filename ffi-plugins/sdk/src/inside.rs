//! Whether a function is in the middle of a step.
//!
//! A host may stop an instance in the middle of a step, while it waits for a file, and call it
//! again. What is locked then stays locked, so whoever cannot wait has to turn back.

use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::pin::pin;

thread_local! {
    static INSIDE: Cell<bool> = const { Cell::new(false) };
}

/// True in the middle of a step of a function that may wait.
pub fn is_inside() -> bool {
    INSIDE.get()
}

/// Does work whose steps can be told from outside.
pub async fn noted<T>(work: impl Future<Output = T>) -> T {
    let mut work = pin!(work);
    poll_fn(|context| {
        let before = INSIDE.replace(true);
        let step = work.as_mut().poll(context);
        INSIDE.set(before);
        step
    })
    .await
}

#[cfg(test)]
mod tests {
    use std::task::{Context, Poll, Waker};

    use super::*;

    #[test]
    fn a_step_is_told_from_the_pauses() {
        let mut work = pin!(noted(async {
            assert!(is_inside());
            let mut waited = false;
            poll_fn(|_| match std::mem::replace(&mut waited, true) {
                true => Poll::Ready(()),
                false => Poll::Pending,
            })
            .await;
            assert!(is_inside());
        }));
        let mut context = Context::from_waker(Waker::noop());
        assert!(!is_inside());
        assert!(work.as_mut().poll(&mut context).is_pending());
        assert!(!is_inside());
        assert!(work.as_mut().poll(&mut context).is_ready());
        assert!(!is_inside());
    }
}
