//! Runs of a workspace that is ahead of its share wait in a line.

use super::Shares;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::task::ready;
use std::time::{Duration, Instant};
use tokio::sync::{Semaphore, SemaphorePermit};

/// Polls are booked together until they are as long as this.
const BOOKED_AT: Duration = Duration::from_micros(500);

/// A run that was polled for so long takes turns with the others of its workspace.
pub const LONG: Duration = Duration::from_millis(5);

/// The line of a workspace.
pub struct Line {
    /// Nanoseconds from the begin of all shares to when runs need not wait for other workspaces any more.
    open_at: AtomicU64,
    /// As many as there are processors; who waits gets its turn in its order.
    processors: Semaphore,
    /// Processors of a turn: where a workspace may use half of them, it has half as many turns at the same time.
    of_turn: AtomicU32,
}

/// A run goes on.
struct Turn<'a> {
    /// Time that was booked in advance.
    advance: Duration,
    /// Until it has been polled.
    _permit: Option<SemaphorePermit<'a>>,
}

impl Line {
    pub fn new(processors: usize) -> Line {
        Line {
            open_at: AtomicU64::new(0),
            processors: Semaphore::new(processors),
            of_turn: AtomicU32::new(1),
        }
    }

    /// Says from when on runs need not wait for other workspaces, and how many processors a turn has.
    pub fn set(&self, open_at: Duration, of_turn: u32) {
        let nanos = open_at.as_nanos() as u64;
        self.open_at.store(nanos, Ordering::Relaxed);
        self.of_turn.store(of_turn, Ordering::Relaxed);
    }

    /// Whether runs have to wait for other workspaces, so long after the begin of all shares.
    pub fn is_closed(&self, time: Duration) -> bool {
        self.open_at.load(Ordering::Relaxed) > time.as_nanos() as u64
    }
}

impl Shares {
    /// Waits for the turn of a run.
    async fn turn<'a>(&self, owner: &str, line: &'a Line) -> Turn<'a> {
        // It is never closed; without it only the order would be lost.
        let of_turn = line.of_turn.load(Ordering::Relaxed);
        let permit = line.processors.acquire_many(of_turn).await.ok();
        loop {
            match self.ask(owner, Instant::now()) {
                Ok(advance) => {
                    return Turn {
                        advance,
                        _permit: permit,
                    };
                }
                Err(wait) => tokio::time::sleep(wait).await,
            }
        }
    }
}

/// Drives work of a workspace, which waits where others want their share.
pub async fn paced<F: Future>(shares: &Arc<Shares>, owner: &str, work: F) -> F::Output {
    let mut work = pin!(work);
    let line = shares.line(owner, Instant::now());
    let mut waiting: Option<Pin<Box<dyn Future<Output = Turn<'_>> + Send + '_>>> = None;
    let mut is_long = false;
    let (mut time, mut advance) = (Duration::ZERO, Duration::ZERO);
    poll_fn(|context| {
        let must_wait = is_long || line.is_closed(shares.begin.elapsed());
        if waiting.is_none() && must_wait {
            waiting = Some(Box::pin(shares.turn(owner, &line)));
        }
        let turn = match &mut waiting {
            Some(waiting) => Some(ready!(waiting.as_mut().poll(context))),
            None => None,
        };
        waiting = None;
        // By the clock on the wall: a poll keeps its thread from others while it waits for a processor too.
        let begin = Instant::now();
        let polled = work.as_mut().poll(context);
        let now = Instant::now();
        let taken = now.duration_since(begin);
        is_long = taken >= LONG;
        time += taken;
        advance += turn.map_or(Duration::ZERO, |turn| turn.advance);
        if polled.is_ready() || time >= BOOKED_AT {
            let (time, advance) = (std::mem::take(&mut time), std::mem::take(&mut advance));
            shares.book(owner, time, advance, now);
        }
        polled
    })
    .await
}
