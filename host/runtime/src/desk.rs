//! What a run asks of its plugins, done by the task of the run itself: synchronous calls, and the
//! first steps of functions that may wait.
//!
//! The store of a plugin cannot be entered from inside a host function of the VM's store. So the
//! host function leaves the work here and waits, the task of the run does it as soon as it is
//! out of the VM's store ([`Desk::serve`]), and goes back in with the answer. No other task and
//! no other thread takes part.

use futures::channel::oneshot;
use futures::future::BoxFuture;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::{Mutex, PoisonError};
use std::task::Poll;

type Work = BoxFuture<'static, ()>;

/// Where calls are left.
#[derive(Default)]
pub struct Desk {
    /// `None` as long as nobody serves.
    left: Mutex<Option<Vec<Work>>>,
}

/// The task of the run is over, or there was none.
pub struct Closed;

impl Desk {
    /// Has the work done by whoever serves and waits for its result.
    pub async fn ask<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Result<T, Closed> {
        let (answer, answered) = oneshot::channel();
        {
            let mut left = self.left.lock().unwrap_or_else(PoisonError::into_inner);
            let Some(left) = left.as_mut() else {
                return Err(Closed);
            };
            left.push(Box::pin(async move {
                // Whoever asked may be gone.
                let _ = answer.send(work.await);
            }));
        }
        answered.await.map_err(|_| Closed)
    }

    /// True while somebody serves.
    pub fn is_open(&self) -> bool {
        self.left
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .is_some()
    }

    /// Drives `asker`, and in its pauses what it asks for. Work that is not done when it ends is dropped.
    pub async fn serve<T>(&self, asker: impl Future<Output = T>) -> T {
        *self.left.lock().unwrap_or_else(PoisonError::into_inner) = Some(Vec::new());
        let mut asker = pin!(asker);
        let mut under_way: Vec<Work> = Vec::new();
        let result = poll_fn(|context| {
            loop {
                if let Poll::Ready(result) = asker.as_mut().poll(context) {
                    return Poll::Ready(result);
                }
                if let Some(left) = &mut *self.left.lock().unwrap_or_else(PoisonError::into_inner) {
                    under_way.append(left);
                }
                let before = under_way.len();
                under_way.retain_mut(|work| work.as_mut().poll(context).is_pending());
                if under_way.len() == before {
                    return Poll::Pending;
                }
            }
        })
        .await;
        *self.left.lock().unwrap_or_else(PoisonError::into_inner) = None;
        result
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_asked_for_is_done_in_the_pauses() {
        let desk = Desk::default();
        assert!(desk.ask(async {}).await.is_err());
        let asker = async {
            let mut sum = 0;
            for number in 0..3u32 {
                let work = async move {
                    tokio::task::yield_now().await;
                    number
                };
                sum += desk.ask(work).await.unwrap_or(100);
            }
            sum
        };
        assert_eq!(desk.serve(asker).await, 3);
        assert!(desk.ask(async {}).await.is_err());
    }
}
