//! How long a call was on the processor, and how long it slept.
//!
//! On a busy machine a call takes longer than it works. So what computes is measured by the clock
//! of its thread, and only the pauses between its turns by the clock on the wall.

use rustix::time::ClockId;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Poll;
use std::time::{Duration, Instant};

/// Processor time of a call that may pause and go on in another thread.
#[derive(Clone, Default)]
pub struct Meter(Arc<Turns>);

#[derive(Default)]
struct Turns {
    /// Nanoseconds of the turns that are over.
    earlier: AtomicU64,
    /// What the clock of the thread showed when this turn began. A turn may end at its first
    /// tick, so to read the clock then would be too late.
    begun: AtomicU64,
}

impl Meter {
    /// Processor time up to now; asked by the call itself, at every tick of the epoch.
    pub fn spent(&self) -> Duration {
        let earlier = self.0.earlier.load(Ordering::Relaxed);
        Duration::from_nanos(earlier + self.in_this_turn())
    }

    fn in_this_turn(&self) -> u64 {
        let now = processor_time().as_nanos() as u64;
        now.saturating_sub(self.0.begun.load(Ordering::Relaxed))
    }

    fn begin_turn(&self) {
        let now = processor_time().as_nanos() as u64;
        self.0.begun.store(now, Ordering::Relaxed);
    }

    fn end_turn(&self) {
        let taken = self.in_this_turn();
        self.0.earlier.fetch_add(taken, Ordering::Relaxed);
    }
}

/// Time that this thread has been on a processor.
pub fn processor_time() -> Duration {
    time_of(ClockId::ThreadCPUTime)
}

/// Processor time of all threads of this process.
pub fn processor_time_of_process() -> Duration {
    time_of(ClockId::ProcessCPUTime)
}

fn time_of(clock: ClockId) -> Duration {
    let time = rustix::time::clock_gettime(clock);
    // Neither part is ever negative.
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// A call slept longer than it may.
#[derive(Debug, thiserror::Error)]
#[error("a function that must not wait did wait")]
pub struct Overslept;

/// Does a piece of work whose pauses together may not be longer than `sleep`.
pub async fn metered<T>(
    meter: &Meter,
    sleep: Duration,
    work: impl Future<Output = T>,
) -> Result<T, Overslept> {
    let mut work = pin!(work);
    let mut alarm = pin!(tokio::time::sleep(sleep));
    let mut left = sleep;
    let mut asleep_since: Option<Instant> = None;
    poll_fn(|context| {
        if let Some(since) = asleep_since.take() {
            left = left.saturating_sub(since.elapsed());
        }
        meter.begin_turn();
        let turn = work.as_mut().poll(context);
        meter.end_turn();
        if let Poll::Ready(result) = turn {
            return Poll::Ready(Ok(result));
        }
        if left.is_zero() {
            return Poll::Ready(Err(Overslept));
        }
        let now = Instant::now();
        asleep_since = Some(now);
        alarm.as_mut().reset((now + left).into());
        alarm.as_mut().poll(context).map(|()| Err(Overslept))
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Keeps the processor busy until the meter shows so much.
    fn compute(meter: &Meter, until: Duration) {
        while meter.spent() < until {
            std::hint::spin_loop();
        }
    }

    #[tokio::test]
    async fn turns_are_added_up_and_pauses_are_not() {
        let meter = Meter::default();
        let work = async {
            compute(&meter, Duration::from_millis(3));
            tokio::time::sleep(Duration::from_millis(30)).await;
            meter.spent()
        };
        let spent = metered(&meter, Duration::from_secs(60), work).await;
        let spent = spent.unwrap_or_default();
        assert!(spent >= Duration::from_millis(3), "{spent:?}");
        assert!(spent < Duration::from_millis(30), "{spent:?}");
    }

    #[tokio::test]
    async fn turns_count_that_end_before_anybody_asks() {
        let meter = Meter::default();
        let work = async {
            for _ in 0..5 {
                let begin = processor_time();
                while processor_time() - begin < Duration::from_millis(1) {}
                tokio::task::yield_now().await;
            }
            meter.spent()
        };
        let spent = metered(&meter, Duration::from_secs(60), work).await;
        assert!(spent.is_ok_and(|spent| spent >= Duration::from_millis(5)));
    }

    #[tokio::test]
    async fn what_sleeps_too_long_is_ended() {
        let meter = Meter::default();
        let work = std::future::pending::<()>();
        let done = metered(&meter, Duration::from_millis(5), work).await;
        assert!(done.is_err());
    }
}
