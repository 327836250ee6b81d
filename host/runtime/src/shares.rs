//! Processor time, shared between workspaces.
//!
//! A run is polled until it waits or a tick of the epoch is over. The time for which a poll keeps its thread is booked
//! on the account of its workspace. While others are at work too, a workspace that uses more than the *level*
//! (processors for each that wants more than its share) gets ahead of it, and its runs wait in a [`Line`] until
//! it is not ahead any more, one after the other. Long runs wait there for each other too, so that however many there are,
//! no more of them than there are processors stand in the way of others. Who is alone, or modest, never waits for others.
//!
//! What others have used does not show what they want: who waits for a processor uses none. So a part of the processors
//! is left free for them to grow into, until all have the same. What the server does around runs (connections, requests,
//! the log) comes off before the rest is shared: it is mostly the work of those whose runs are short.
//!
//! * [`Shares`]: the accounts of all workspaces.
//! * [`paced`]: drives the work of a run, and lets it wait.

mod line;

pub use line::paced;

use line::Line;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How far back use is remembered: what was used before counts a third.
const MEMORY: Duration = Duration::from_millis(100);

/// A workspace that has had no run for so long leaves its share to the others.
const ACTIVE: Duration = Duration::from_secs(1);

/// How often the level is found anew, and whether others are at work at all.
const LOOK: Duration = Duration::from_millis(10);

/// Time that a workspace may be ahead of its share before its runs wait.
const AHEAD: Duration = Duration::from_millis(20);

/// Part of an equal share that is left to who wants more while others want less: changing over to its runs
/// costs them time as well.
const KEPT: f64 = 0.8;

/// Part of the processors that are given away while there are workspaces that do not want more; the rest
/// is for them to grow into, and for clients on the same machine.
const BUSY: f64 = 0.75;

/// The accounts of all workspaces.
pub struct Shares {
    cores: f64,
    begin: Instant,
    /// Processor time of this process so far.
    clock: fn() -> Duration,
    accounts: Mutex<Accounts>,
}

struct Accounts {
    by_owner: HashMap<String, Account>,
    /// Processors for each who wants more than its share; `None`: nobody else is at work.
    level: Option<f64>,
    looked: Instant,
    process: Process,
}

/// Processors for each of several who wants more than its share (max-min fairness); `None`: there are no others.
fn level(mut wanted: Vec<f64>, cores: f64, around: f64) -> Option<f64> {
    if wanted.len() <= 1 {
        return None;
    }
    let equal = (cores - around) / wanted.len() as f64;
    if wanted.iter().all(|wants| wants.is_infinite()) {
        return Some(equal);
    }
    wanted.sort_unstable_by(f64::total_cmp);
    let mut left = BUSY * cores - around;
    let mut highest = 0.0;
    for (done, wants) in wanted.iter().enumerate() {
        let each = left / (wanted.len() - done) as f64;
        if *wants > each {
            return Some(each.max(KEPT * equal));
        }
        left -= wants;
        highest = *wants;
    }
    Some((highest + left).max(KEPT * equal))
}

/// Processors that the server uses around runs.
struct Process {
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
        let around = after.saturating_sub(before).saturating_sub(self.booked);
        self.around = (self.around + around.div_duration_f64(passed)) / 2.0;
        self.measured = (now, after);
        self.booked = Duration::ZERO;
    }
}

struct Account {
    /// Processors that were used in the time of memory, on average, as of `booked`.
    used: f64,
    booked: Instant,
    /// Up to when its share is used up.
    used_up: Instant,
    /// How long its runs are polled at a time, on average.
    turn: Duration,
    line: Arc<Line>,
}

impl Account {
    fn new(now: Instant, cores: f64) -> Account {
        Account {
            used: 0.0,
            booked: now,
            used_up: now,
            turn: Duration::ZERO,
            line: Arc::new(Line::new(cores as usize)),
        }
    }

    fn used_at(&self, now: Instant) -> f64 {
        let passed = now.saturating_duration_since(self.booked).as_secs_f64();
        self.used * (-passed / MEMORY.as_secs_f64()).exp()
    }

    fn is_active(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.booked) < ACTIVE || self.used_up > now
    }

    /// Whether it uses more than it may.
    fn is_ahead(&self, now: Instant) -> bool {
        self.used_up > now + AHEAD / 2
    }
}

impl Accounts {
    /// Closes the accounts of those who are gone, and finds the level anew.
    fn look(&mut self, now: Instant, cores: f64) {
        self.looked = now;
        self.by_owner
            .retain(|_, account| account.is_active(now) || Arc::strong_count(&account.line) > 1);
        let active = self
            .by_owner
            .values()
            .filter(|account| account.is_active(now));
        // Who is ahead wants more than there is.
        let wanted = active.map(|account| match account.is_ahead(now) {
            true => f64::INFINITY,
            false => account.used_at(now),
        });
        // Runs have half of the processors at least.
        let around = self.process.around.min(cores / 2.0);
        self.level = level(wanted.collect(), cores, around);
    }

    /// The account of an owner, at a level that is not old.
    fn account(&mut self, owner: &str, now: Instant, cores: f64) -> (&mut Account, Option<f64>) {
        if now.saturating_duration_since(self.looked) >= LOOK {
            self.look(now, cores);
        }
        if !self.by_owner.contains_key(owner) {
            self.by_owner
                .insert(owner.to_owned(), Account::new(now, cores));
        }
        let account = self.by_owner.get_mut(owner).expect("it is there by now");
        (account, self.level)
    }
}

impl Shares {
    /// Nobody has used anything of so many processors. `clock` tells the processor time of this process.
    pub fn new(cores: usize, clock: fn() -> Duration) -> Shares {
        let now = Instant::now();
        Shares {
            cores: cores as f64,
            begin: now,
            clock,
            accounts: Mutex::new(Accounts {
                by_owner: HashMap::new(),
                level: None,
                looked: now,
                process: Process {
                    around: 0.0,
                    measured: (now, clock()),
                    booked: Duration::ZERO,
                },
            }),
        }
    }

    /// Where the runs of an owner wait, who is at work from now on.
    fn line(&self, owner: &str, now: Instant) -> Arc<Line> {
        let mut accounts = self.accounts.lock().unwrap_or_else(PoisonError::into_inner);
        let (account, _) = accounts.account(owner, now, self.cores);
        account.line.clone()
    }

    /// Books time that was used up to now, of which so much was booked in advance.
    fn book(&self, owner: &str, time: Duration, advance: Duration, now: Instant) {
        let mut accounts = self.accounts.lock().unwrap_or_else(PoisonError::into_inner);
        accounts.process.book(time, now, self.clock);
        let (account, level) = accounts.account(owner, now, self.cores);
        account.used = account.used_at(now) + time.div_duration_f64(MEMORY);
        account.booked = now;
        account.turn = (3 * account.turn + time) / 4;
        account.used_up = match level {
            None => now,
            Some(level) if time >= advance => {
                account.used_up.max(now) + (time - advance).div_f64(level)
            }
            Some(level) => {
                let given_back = (advance - time).div_f64(level);
                account.used_up.checked_sub(given_back).unwrap_or(now)
            }
        };
        self.open(account, level);
    }

    /// Whether a run may go on now: how much was booked in advance for it, or how long it waits before it asks again.
    fn ask(&self, owner: &str, now: Instant) -> Result<Duration, Duration> {
        let mut accounts = self.accounts.lock().unwrap_or_else(PoisonError::into_inner);
        let (account, level) = accounts.account(owner, now, self.cores);
        let Some(processors) = level else {
            account.used_up = now;
            self.open(account, level);
            return Ok(Duration::ZERO);
        };
        let ahead = account.used_up.saturating_duration_since(now);
        if ahead > AHEAD {
            return Err((ahead - AHEAD).min(LOOK));
        }
        let advance = account.turn;
        account.used_up = account.used_up.max(now) + advance.div_f64(processors);
        self.open(account, level);
        Ok(advance)
    }

    /// Tells the runs of an account from when on they need not wait.
    fn open(&self, account: &Account, level: Option<f64>) {
        let used_up = account.used_up.saturating_duration_since(self.begin);
        let of_turn = self.cores / level.unwrap_or(self.cores).clamp(1.0, self.cores);
        account
            .line
            .set(used_up.saturating_sub(AHEAD), of_turn as u32);
    }
}

#[cfg(test)]
mod tests;
