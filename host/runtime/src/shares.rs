//! Processor time, shared between workspaces.
//!
//! A run is polled until it waits or a tick of the epoch is over. The time of each poll is booked
//! on the account of its workspace. Who uses more than a fair share while others want theirs
//! pauses between two polls, so that its runs together get their share; who is alone,
//! or modest, never pauses. What the server does around runs (connections, requests, the log) comes off
//! before the rest is shared: it is mostly the work of those whose runs are short.

use std::collections::HashMap;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Poll, ready};
use std::time::{Duration, Instant};
use tokio::time::Sleep;

/// How far back use is remembered: what was used before counts a third.
const MEMORY: Duration = Duration::from_millis(100);

/// After so long without a poll an account is closed.
const FORGOTTEN: Duration = Duration::from_secs(1);

/// Time that a run may be ahead of its share before it pauses.
const AHEAD: Duration = Duration::from_millis(10);

/// Part of its share that is left to who wants more while the processors are busy: changing over to its runs
/// costs the others time as well.
const KEPT: f64 = 0.9;

/// Part of the processors that this process uses when they are busy; clients may be on the same ones.
const BUSY: f64 = 0.75;

/// Longest pause: the others may be done sooner. Each of sixteen endless loops pauses for a fifth of a second where
/// its workspace has a processor.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// Polls are booked together until they are as long as this.
const BOOKED_AT: Duration = Duration::from_micros(500);

/// The accounts of all workspaces.
pub struct Shares {
    cores: f64,
    /// Processor time of this process so far.
    clock: fn() -> Duration,
    accounts: Mutex<Accounts>,
}

struct Accounts {
    by_owner: HashMap<String, Account>,
    cleaned: Instant,
    process: Process,
}

/// Processors that the server uses for runs and around them.
struct Process {
    total: f64,
    /// On average, as what is done around runs comes in bursts.
    around: f64,
    /// When they were measured last, and the processor time of the process at that time.
    measured: (Instant, Duration),
    /// Time of runs since then.
    booked: Duration,
}

impl Process {
    /// Measures anew if it is time; `clock` tells the processor time of the process.
    fn book(&mut self, time: Duration, now: Instant, clock: fn() -> Duration) {
        self.booked += time;
        let (since, before) = self.measured;
        let passed = now.saturating_duration_since(since);
        if passed < MEMORY {
            return;
        }
        let after = clock();
        let spent = after.saturating_sub(before);
        let around = spent.saturating_sub(self.booked);
        self.total = spent.div_duration_f64(passed);
        self.around = (self.around + around.div_duration_f64(passed)) / 2.0;
        self.measured = (now, after);
        self.booked = Duration::ZERO;
    }

    /// Processors for who wants more than its share.
    fn allowed(&self, cores: f64, active: usize) -> f64 {
        // Runs have half of the processors at least.
        let share = (cores - self.around.min(cores / 2.0)) / active as f64;
        match self.total >= BUSY * cores {
            true => KEPT * share,
            false => share,
        }
    }
}

struct Account {
    /// Processors that were used in the time of memory, on average, as of `booked`.
    used: f64,
    booked: Instant,
    /// Up to when its share is used up.
    used_up: Instant,
}

impl Account {
    fn used_at(&self, now: Instant) -> f64 {
        let passed = now.saturating_duration_since(self.booked).as_secs_f64();
        self.used * (-passed / MEMORY.as_secs_f64()).exp()
    }
}

impl Shares {
    /// Nobody has used anything of so many processors. `clock` tells the processor time of this process.
    pub fn new(cores: usize, clock: fn() -> Duration) -> Shares {
        let now = Instant::now();
        Shares {
            cores: cores as f64,
            clock,
            accounts: Mutex::new(Accounts {
                by_owner: HashMap::new(),
                cleaned: now,
                process: Process {
                    total: 0.0,
                    around: 0.0,
                    measured: (now, clock()),
                    booked: Duration::ZERO,
                },
            }),
        }
    }

    /// Books time that was used up to now; how long its user has to pause.
    fn book(&self, owner: &str, time: Duration, now: Instant) -> Option<Duration> {
        let mut accounts = self.accounts.lock().unwrap_or_else(PoisonError::into_inner);
        let accounts = &mut *accounts;
        accounts.process.book(time, now, self.clock);
        if now.saturating_duration_since(accounts.cleaned) >= FORGOTTEN {
            accounts.cleaned = now;
            let is_open = |account: &Account| {
                now.saturating_duration_since(account.booked.max(account.used_up)) < FORGOTTEN
            };
            accounts.by_owner.retain(|_, account| is_open(account));
        }
        let used = match accounts.by_owner.get_mut(owner) {
            Some(account) => {
                account.used = account.used_at(now) + time.as_secs_f64() / MEMORY.as_secs_f64();
                account.booked = now;
                account.used
            }
            None => {
                let used = time.as_secs_f64() / MEMORY.as_secs_f64();
                let account = Account {
                    used,
                    booked: now,
                    used_up: now,
                };
                accounts.by_owner.insert(owner.to_owned(), account);
                used
            }
        };
        // What others have used does not show what they want: who waits for a processor uses none.
        let is_active =
            |account: &&Account| now.saturating_duration_since(account.booked) < 2 * MEMORY;
        let active = accounts.by_owner.values().filter(is_active).count();
        let allowed = accounts.process.allowed(self.cores, active.max(1));
        if active <= 1 || used <= allowed {
            return None;
        }
        let account = accounts.by_owner.get_mut(owner)?;
        account.used_up = account.used_up.max(now) + time.div_f64(allowed);
        let ahead = account.used_up.saturating_duration_since(now);
        (ahead > AHEAD).then(|| (ahead - AHEAD).min(LONGEST_PAUSE))
    }
}

/// Drives work of a workspace, with pauses where others want their share.
pub async fn paced<F: Future>(shares: &Arc<Shares>, owner: &str, work: F) -> F::Output {
    let mut work = pin!(work);
    let mut pause: Option<Pin<Box<Sleep>>> = None;
    let mut time = Duration::ZERO;
    poll_fn(|context| {
        if let Some(sleep) = &mut pause {
            ready!(sleep.as_mut().poll(context));
            pause = None;
        }
        let begin = Instant::now();
        let polled = work.as_mut().poll(context);
        let now = Instant::now();
        time += now.duration_since(begin);
        if polled.is_ready() || time >= BOOKED_AT {
            let longer = shares.book(owner, std::mem::take(&mut time), now);
            if let (true, Some(longer)) = (polled.is_pending(), longer) {
                let mut sleep = Box::pin(tokio::time::sleep(longer));
                // It asks to be woken; work that has asked as well is polled after the pause.
                pause = sleep.as_mut().poll(context).is_pending().then_some(sleep);
                if pause.is_none() {
                    context.waker().wake_by_ref();
                }
                return Poll::Pending;
            }
        }
        polled
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::VecDeque;

    fn nothing_around() -> Duration {
        Duration::ZERO
    }

    /// Simulated time: each worker polls for its time, pauses as it is told, and waits for its turn.
    fn simulate(
        shares: &Shares,
        workers: &[(&str, Duration)],
        cores: usize,
    ) -> HashMap<String, f64> {
        let start = Instant::now();
        let mut queue: VecDeque<usize> = (0..workers.len()).collect();
        // Until when each of these is on a processor, or pauses.
        let mut busy: Vec<(Instant, usize)> = Vec::new();
        let mut pausing: Vec<(Instant, usize)> = Vec::new();
        let mut used: HashMap<String, f64> = HashMap::new();
        for tick in 0..3000 {
            let now = start + Duration::from_millis(tick);
            for (_, worker) in busy.extract_if(.., |(until, _)| *until <= now) {
                let (owner, time) = workers[worker];
                match shares.book(owner, time, now) {
                    Some(pause) => pausing.push((now + pause, worker)),
                    None => queue.push_back(worker),
                }
                if tick > 1000 {
                    *used.entry(owner.to_owned()).or_default() += time.as_secs_f64();
                }
            }
            let awake = pausing.extract_if(.., |(until, _)| *until <= now);
            queue.extend(awake.map(|(_, worker)| worker));
            while busy.len() < cores
                && let Some(worker) = queue.pop_front()
            {
                busy.push((now + workers[worker].1, worker));
            }
        }
        used
    }

    #[test]
    fn loops_of_one_workspace_leave_the_others_their_share() {
        let shares = Shares::new(2, nothing_around);
        let tick = Duration::from_millis(10);
        let short = Duration::from_millis(1);
        let mut workers = vec![("loops", tick); 6];
        workers.extend([("modest", short); 2]);
        let used = simulate(&shares, &workers, 2);
        let (loops, modest) = (used["loops"], used["modest"]);
        assert!(modest > 0.9 * (loops + modest) / 2.0, "{used:?}");
    }

    #[test]
    fn what_is_done_around_runs_comes_off_before_the_rest_is_shared() {
        let begin = Instant::now();
        let mut process = Process {
            total: 0.0,
            around: 0.0,
            measured: (begin, Duration::from_secs(5)),
            booked: Duration::ZERO,
        };
        assert_eq!(process.allowed(2.0, 2), 1.0);
        process.book(Duration::from_millis(30), begin + MEMORY / 2, || {
            unreachable!("the clock of the process is read too soon")
        });
        // 120 ms of the process, 50 of them runs, in 100.
        let clock: fn() -> Duration = || Duration::from_millis(5_120);
        process.book(Duration::from_millis(20), begin + MEMORY, clock);
        assert_eq!((process.total, process.around), (1.2, 0.35));
        assert_eq!(process.allowed(2.0, 2), 0.825);
        // Runs are booked by the clock on the wall, which may show more than the process was on a processor.
        let clock: fn() -> Duration = || Duration::from_millis(5_280);
        process.book(Duration::from_millis(180), begin + 2 * MEMORY, clock);
        assert_eq!((process.total, process.around), (1.6, 0.175));
        // The processors are busy.
        assert_eq!(process.allowed(2.0, 2), KEPT * 0.9125);
    }

    #[test]
    fn who_is_alone_never_pauses() {
        let shares = Shares::new(2, nothing_around);
        let now = Instant::now();
        for tick in 0..100 {
            let later = now + Duration::from_millis(10 * tick);
            assert_eq!(shares.book("w", Duration::from_millis(20), later), None);
        }
    }

    #[test]
    fn a_fair_share_needs_no_pauses() {
        let shares = Shares::new(2, nothing_around);
        let mut now = Instant::now();
        let mut pauses = Duration::ZERO;
        for _ in 0..1000 {
            // One processor in use; the other workspace needs a hundredth of one.
            shares.book("small", Duration::from_micros(100), now);
            now += Duration::from_millis(10);
            let pause = shares.book("large", Duration::from_millis(10), now);
            pauses += pause.unwrap_or_default();
        }
        assert_eq!(pauses, Duration::ZERO);
        assert_eq!(
            shares.accounts.lock().expect("unpoisoned").by_owner.len(),
            2
        );
        shares.book("later", Duration::ZERO, now + Duration::from_secs(60));
        assert_eq!(
            shares.accounts.lock().expect("unpoisoned").by_owner.len(),
            1
        );
    }

    #[tokio::test]
    async fn work_is_driven_to_its_end() {
        let shares = Arc::new(Shares::new(1, nothing_around));
        let work = async {
            for _ in 0..100 {
                tokio::task::yield_now().await;
            }
            7
        };
        assert_eq!(paced(&shares, "w", work).await, 7);
    }
}
