use super::*;
use std::collections::VecDeque;

fn nothing_around() -> Duration {
    Duration::ZERO
}

/// A run that never ends: it is polled for a time, and polled again after a pause of its own.
#[derive(Clone, Copy)]
struct Endless {
    owner: &'static str,
    poll: Duration,
    pause: Duration,
}

fn endless(owner: &'static str, poll: u64, pause: u64) -> Endless {
    Endless {
        owner,
        poll: Duration::from_millis(poll),
        pause: Duration::from_millis(pause),
    }
}

/// Processors that each owner has in the seconds after the first ones, in simulated time: runs wait for a processor in the
/// order in which they want one.
fn simulate(cores: usize, runs: &[Endless]) -> HashMap<&'static str, f64> {
    const MEASURED: std::ops::Range<u64> = 3_000..8_000;
    let shares = Shares::new(cores, nothing_around);
    let start = Instant::now();
    let lines = runs.iter().map(|run| shares.line(run.owner, start));
    let lines: Vec<_> = lines.collect();
    // With how much was booked in advance, for those that have a turn.
    let mut ready: VecDeque<(usize, Option<Duration>)> =
        (0..runs.len()).map(|run| (run, None)).collect();
    // Until when each of these is on a processor, or pauses.
    let mut busy: Vec<(Instant, (usize, Option<Duration>))> = Vec::new();
    let mut pausing: Vec<(Instant, usize)> = Vec::new();
    let mut waiting: HashMap<&'static str, VecDeque<usize>> = HashMap::new();
    let mut turns: HashMap<&'static str, usize> = HashMap::new();
    let mut used: HashMap<&'static str, f64> = HashMap::new();
    for tick in 0..MEASURED.end {
        let now = start + Duration::from_millis(tick);
        for (_, (run, advance)) in busy.extract_if(.., |(until, _)| *until <= now) {
            let Endless { owner, poll, pause } = runs[run];
            shares.book(owner, poll, advance.unwrap_or_default(), now);
            if advance.is_some() {
                *turns.entry(owner).or_default() -= 1;
            }
            pausing.push((now + pause, run));
            if MEASURED.contains(&tick) {
                let part = poll.div_duration_f64(Duration::from_millis(MEASURED.count() as u64));
                *used.entry(owner).or_default() += part;
            }
        }
        for (_, run) in pausing.extract_if(.., |(until, _)| *until <= now) {
            let is_long = runs[run].poll >= line::LONG;
            match is_long || lines[run].is_closed(now - shares.begin) {
                true => waiting.entry(runs[run].owner).or_default().push_back(run),
                false => ready.push_back((run, None)),
            }
        }
        for (owner, line) in &mut waiting {
            let turns = turns.entry(owner).or_default();
            while *turns < cores
                && !line.is_empty()
                && let Ok(advance) = shares.ask(owner, now)
                && let Some(run) = line.pop_front()
            {
                *turns += 1;
                ready.push_back((run, Some(advance)));
            }
        }
        while busy.len() < cores
            && let Some((run, advance)) = ready.pop_front()
        {
            busy.push((now + runs[run].poll, (run, advance)));
        }
    }
    used
}

#[test]
fn loops_of_one_workspace_leave_the_others_their_share() {
    for many in [1, 2, 6, 16, 64, 300] {
        let mut runs = vec![endless("loops", 10, 0); many];
        runs.extend([endless("modest", 1, 0); 8]);
        let used = simulate(2, &runs);
        assert!(used["modest"] > 0.95, "{many}: {used:?}");
        assert!(used["loops"] > 0.75, "{many}: {used:?}");
    }
}

#[test]
fn short_runs_without_end_leave_the_others_their_share() {
    let mut runs = vec![endless("greedy", 2, 0); 32];
    runs.extend([endless("modest", 1, 0); 2]);
    let used = simulate(2, &runs);
    assert!(used["modest"] > 0.9, "{used:?}");
}

#[test]
fn who_wants_more_has_what_the_others_leave() {
    // A hundredth of a processor is asked for beside loops.
    let mut runs = vec![endless("loops", 10, 0); 16];
    runs.push(endless("modest", 1, 99));
    let used = simulate(4, &runs);
    assert!(used["loops"] > 2.8, "{used:?}");
    assert!(used["modest"] > 0.009, "{used:?}");
}

#[test]
fn loops_of_several_workspaces_have_the_same() {
    let runs = [
        vec![endless("many", 10, 0); 30],
        vec![endless("few", 10, 0); 3],
        vec![endless("modest", 1, 50); 1],
    ];
    let used = simulate(2, &runs.concat());
    assert!((used["many"] / used["few"] - 1.0).abs() < 0.1, "{used:?}");
    assert!(used["modest"] > 0.015, "{used:?}");
    let runs = [
        vec![endless("many", 10, 0); 30],
        vec![endless("few", 10, 0); 3],
    ];
    let used = simulate(2, &runs.concat());
    assert!((used["many"] / used["few"] - 1.0).abs() < 0.1, "{used:?}");
    assert!(used["many"] + used["few"] > 1.9, "{used:?}");
}

#[test]
fn what_is_done_around_runs_comes_off_before_the_rest_is_shared() {
    let begin = Instant::now();
    let mut process = Process {
        around: 0.0,
        measured: (begin, Duration::from_secs(5)),
        booked: Duration::ZERO,
    };
    process.book(Duration::from_millis(30), begin + MEMORY / 2, || {
        unreachable!("the clock of the process is read too soon")
    });
    // 120 ms of the process, 50 of them runs, in 100.
    let clock: fn() -> Duration = || Duration::from_millis(5_120);
    process.book(Duration::from_millis(20), begin + MEMORY, clock);
    assert_eq!(process.around, 0.35);
    // The clocks of the threads are read at other times than that of the process.
    let clock: fn() -> Duration = || Duration::from_millis(5_280);
    process.book(Duration::from_millis(180), begin + 2 * MEMORY, clock);
    assert_eq!(process.around, 0.175);
    let mut accounts = Accounts {
        by_owner: HashMap::from([
            ("a".to_owned(), Account::new(begin, 2.0)),
            ("b".to_owned(), Account::new(begin, 2.0)),
        ]),
        level: None,
        looked: begin,
        process,
    };
    // Nobody uses anything.
    accounts.look(begin, 2.0);
    assert_eq!(accounts.level, Some(1.5 - 0.175));
    // One is at work, one wants more, and that of an equal share is less than what is left.
    let [a, b] = ["a", "b"].map(|owner| owner.to_owned());
    accounts.by_owner.get_mut(&a).expect("is open").used = 0.75;
    accounts.by_owner.get_mut(&b).expect("is open").used_up = begin + AHEAD;
    accounts.look(begin, 2.0);
    assert_eq!(accounts.level, Some(KEPT * 0.9125));
    // Both want more.
    accounts.by_owner.get_mut(&a).expect("is open").used_up = begin + AHEAD;
    accounts.look(begin, 2.0);
    assert_eq!(accounts.level, Some(0.9125));
}

#[test]
fn who_is_alone_never_waits() {
    let shares = Shares::new(2, nothing_around);
    let now = Instant::now();
    let line = shares.line("w", now);
    for tick in 0..100 {
        let later = now + Duration::from_millis(10 * tick);
        shares.book("w", Duration::from_millis(20), Duration::ZERO, later);
        assert!(!line.is_closed(later - shares.begin));
    }
}

#[test]
fn a_fair_share_needs_no_waiting() {
    let shares = Shares::new(2, nothing_around);
    let mut now = Instant::now();
    let line = shares.line("large", now);
    for _ in 0..1000 {
        // One processor in use; the other workspace needs a hundredth of one.
        shares.book("small", Duration::from_micros(100), Duration::ZERO, now);
        now += Duration::from_millis(10);
        shares.book("large", Duration::from_millis(10), Duration::ZERO, now);
        assert!(!line.is_closed(now - shares.begin));
    }
    let open = |shares: &Shares| shares.accounts.lock().expect("unpoisoned").by_owner.len();
    assert_eq!(open(&shares), 2);
    // An account is open as long as runs have its line.
    now += Duration::from_secs(60);
    shares.book("later", Duration::ZERO, Duration::ZERO, now);
    assert_eq!(open(&shares), 2);
    drop(line);
    now += Duration::from_secs(60);
    shares.book("latest", Duration::ZERO, Duration::ZERO, now);
    assert_eq!(open(&shares), 1);
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

#[tokio::test]
async fn who_is_ahead_waits_until_the_others_are_done() {
    let shares = Arc::new(Shares::new(1, nothing_around));
    let _others = shares.line("others", Instant::now());
    let line = shares.line("w", Instant::now());
    // Both were at work a moment ago: the next look sees them.
    tokio::time::sleep(2 * LOOK).await;
    shares.book("w", Duration::from_secs(60), Duration::ZERO, Instant::now());
    assert!(line.is_closed(shares.begin.elapsed()));
    // A minute is owed; that nobody else has been at work for a while is noticed long before.
    assert_eq!(paced(&shares, "w", async { 7 }).await, 7);
    assert!(shares.begin.elapsed() >= ACTIVE);
}
