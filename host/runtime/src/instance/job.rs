//! What the task of an instance is asked to do.
//!
//! A job that is dropped before it begins gives its arguments back to its caller, so that
//! another instance can do it. That holds for whatever ends the instance: the queue is dropped, or the
//! job waits for its turn.

use crate::bindings::Caller;
use crate::instance::Started;
use crate::plugin::CallResult;
use std::future::poll_fn;
use std::task::Poll;
use tokio::sync::oneshot;

/// Turns of the plugin's event loop after which it has acted on what it was told before a job came.
/// An event takes up to three: the host's end of a stream, the event, the function that waits for it.
const TURNS: usize = 8;

/// Which function, for whom, with what.
pub struct Address {
    /// Session of a shared instance, 0 otherwise.
    pub session: u64,
    /// Number of the function.
    pub function: u32,
    /// Encoded arguments.
    pub args: Vec<u8>,
}

/// The instance ended before the function began: its arguments, for another instance.
pub struct NotBegun(pub Vec<u8>);

/// What the caller is told.
pub type Answer<T> = Result<T, NotBegun>;

/// Work for the task of an instance.
pub enum Job {
    /// A synchronous function.
    Call(Address, oneshot::Sender<Answer<CallResult>>),
    /// A function that may wait.
    Start(Address, oneshot::Sender<Answer<Started>>),
    /// A new session of a shared instance.
    Open(Caller, oneshot::Sender<u64>),
    /// The end of a session.
    Close(u64),
}

/// A job that has not begun.
pub struct Waiting(Option<Job>);

impl Waiting {
    /// A job for the queue.
    pub fn new(job: Job) -> Waiting {
        Waiting(Some(job))
    }

    /// The job, to be done now; there is always one.
    pub fn begin(mut self) -> Option<Job> {
        self.0.take()
    }

    /// Number of its function; `u32::MAX` if it has none.
    pub fn function(&self) -> u32 {
        match &self.0 {
            Some(Job::Call(address, _) | Job::Start(address, _)) => address.function,
            _ => u32::MAX,
        }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        // A caller that is gone needs no answer.
        match self.0.take() {
            Some(Job::Call(address, answer)) => drop(answer.send(Err(NotBegun(address.args)))),
            Some(Job::Start(address, answer)) => drop(answer.send(Err(NotBegun(address.args)))),
            Some(Job::Open(..) | Job::Close(_)) | None => {}
        }
    }
}

/// Lets the plugin go on with what it has to do already.
pub async fn turns() {
    for _ in 0..TURNS {
        let mut waited = false;
        poll_fn(|context| {
            if std::mem::replace(&mut waited, true) {
                return Poll::Ready(());
            }
            context.waker().wake_by_ref();
            Poll::Pending
        })
        .await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address() -> Address {
        Address {
            session: 0,
            function: 3,
            args: vec![7],
        }
    }

    #[test]
    fn what_has_not_begun_comes_back() {
        let (send, mut answer) = oneshot::channel();
        let job = Waiting::new(Job::Start(address(), send));
        assert_eq!(job.function(), 3);
        drop(job);
        assert!(matches!(answer.try_recv(), Ok(Err(NotBegun(args))) if args == [7]));
    }

    #[test]
    fn what_has_begun_is_lost() {
        let (send, mut answer) = oneshot::channel();
        drop(Waiting::new(Job::Call(address(), send)).begin());
        assert!(answer.try_recv().is_err());
    }
}
