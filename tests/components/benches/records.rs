//! The record store through its component, beside the store itself, as a table.
//!
//! All have the same records, and each side touches every line of an answer's bytes: the store hands out bytes that lie in its
//! cache, and to fetch them from there into the processor is left to whoever looks at them. Reading counts the processor time of the
//! thread, so that others on the machine do not; inserts wait for the disk and count the time on the wall. One component is called by the host, as
//! in `mixer`; another by a component that it is composed with, as in a composed app. `make bench-store-component`
//! (1,000,000 records), or with a number of records as the argument. `NAME=N` measures the lines with that in their
//! names alone, N times as often, for a profiler.

use std::hint::black_box;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
// Measured with the allocator of `mixer`.
use mix_component_tests::{Caller, Encoded, Family, Surroundings, guest};
use mix_malloc as _;
use mix_sandbox::meter::processor_time;
use mix_store::query::{Pipeline, QueryOptions};
use mix_store::{Database, OpenOptions, SaveOptions};
use mix_value::{Map, Value, escjson, msgpack};

/// A question, and how often it is asked.
const QUESTIONS: [(&str, &str, usize); 6] = [
    ("equality", r#""Director" == "Steven Spielberg""#, 20),
    (
        "and of three fields, count",
        r#""Major Genre" == "Drama" and "MPAA Rating" == "R" and "IMDB Rating" > 8 | count()"#,
        20,
    ),
    (
        "range of numbers",
        r#""serial" >= 1000 and "serial" < 2000"#,
        20,
    ),
    (
        "order by + limit 20",
        r#"orderDesc("IMDB Votes") | limit(20)"#,
        50,
    ),
    (
        "scan with a projection",
        r#"{ t: "Title" + "!" } | count()"#,
        3,
    ),
    ("group by", r#"group("Major Genre") | .key"#, 10),
];

/// Times that a question is asked at once, and rounds at the least.
const AGAIN: usize = 5;
const ROUNDS: usize = 3;

/// Least part of the store's speed that its component has to have.
const GOAL: f64 = 0.4;

/// How a line is asked, and which of its times counts.
#[derive(Clone, Copy, PartialEq)]
enum Asked {
    /// As `make bench-store` asks: once in a round, and the round in the middle counts.
    InRounds,
    /// Several times at once, so that what the benchmark itself has to do to enter the component
    /// does not count. The fastest counts: what else the machine does only adds to it.
    AtOnce,
    /// Once in a round by the clock on the wall, because it waits for the disk. The fastest counts.
    Waiting,
}

impl Asked {
    /// Times that it is asked in a round.
    fn again(self) -> usize {
        match self {
            Asked::AtOnce => AGAIN,
            Asked::InRounds | Asked::Waiting => 1,
        }
    }

    fn clock(self) -> Clock {
        match self {
            Asked::Waiting => Clock::Wall(Instant::now()),
            Asked::InRounds | Asked::AtOnce => Clock::Processor,
        }
    }

    /// The time that counts of several, in microseconds.
    fn counts(self, mut times: Vec<f64>) -> f64 {
        times.sort_by(f64::total_cmp);
        let place = match self {
            Asked::InRounds => times.len() / 2,
            Asked::AtOnce | Asked::Waiting => 0,
        };
        times.get(place).copied().unwrap_or(f64::INFINITY)
    }
}

/// A line of the table.
struct Line<'a> {
    name: &'a str,
    asked: Asked,
    /// How often.
    times: usize,
    /// What the time is divided by.
    each: usize,
    /// Least part of the store's speed, if it has one.
    goal: Option<f64>,
}

impl<'a> Line<'a> {
    fn new(name: &'a str, asked: Asked, times: usize, each: usize) -> Line<'a> {
        Line {
            name,
            asked,
            times,
            each,
            goal: Some(GOAL),
        }
    }
}

/// The films, each copy with numbers of its own.
fn records(count: usize) -> Result<Vec<Value>> {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../examples/movies/files/data/movies.json"
    );
    let text = std::fs::read_to_string(path).context("reading the films")?;
    let films = match escjson::parse_plain(&text)? {
        Value::Array(films) => films,
        _ => anyhow::bail!("the films are no list"),
    };
    let copies = films.iter().cycle().take(count).enumerate();
    let copies = copies.map(|(number, film)| {
        let mut film = film.clone();
        if let Value::Map(map) = &mut film {
            map.insert("serial".into(), Value::Int(number as i64));
        }
        film
    });
    Ok(copies.collect())
}

/// What a measurement is read from.
#[derive(Clone, Copy)]
enum Clock {
    /// Processor time of this thread.
    Processor,
    /// The clock on the wall.
    Wall(Instant),
}

impl Clock {
    fn now(self) -> Duration {
        match self {
            Clock::Processor => processor_time(),
            Clock::Wall(start) => start.elapsed(),
        }
    }
}

/// A function and its encoded arguments.
type Question = (&'static str, Vec<u8>);

fn question(name: &'static str, args: Vec<Value>) -> Result<Question> {
    Ok((name, msgpack::encode(&Value::Array(args))?))
}

struct Bench {
    native: Database,
    component: Family,
    composed: Caller,
    /// Only the lines with this in their names are measured, so many times as often.
    only: Option<(String, usize)>,
    /// Lines that do not reach [`GOAL`].
    missed: Vec<String>,
}

impl Bench {
    async fn open(folders: &[PathBuf; 3], only: Option<(String, usize)>) -> Result<Bench> {
        let [native, component, composed] = folders;
        let surroundings = |folder| Surroundings {
            environment: &[("MIXER_DB_LOCKED", "1")],
            folders: folder,
            own_thread: true,
        };
        let bytes = guest("mix_plugin_db");
        Ok(Bench {
            native: Database::open(native, OpenOptions::default())?,
            component: Family::in_place(&bytes, &surroundings(&[(component, "/app")])).await?,
            composed: Caller::new(&bytes, &surroundings(&[(composed, "/app")])).await?,
            only,
            missed: Vec::new(),
        })
    }

    /// One after the other, so that what else the machine does hits both alike.
    async fn measure(
        &mut self,
        line: Line<'_>,
        mut native: impl FnMut(&Database) -> Result<usize>,
        mut questions: impl FnMut() -> Result<Vec<Question>>,
    ) -> Result<()> {
        let name = line.name;
        let times = match &self.only {
            Some((wanted, _)) if !name.contains(wanted) => return Ok(()),
            Some((_, often)) => line.times * often,
            None => line.times,
        };
        let (again, clock) = (line.asked.again(), line.asked.clock());
        let taken = |begun: Duration| clock.now().saturating_sub(begun).as_secs_f64() * 1e6;
        let [mut own, mut from_host, mut from_inside] = [(); 3].map(|()| Vec::new());
        for _ in 0..times.div_ceil(again).max(ROUNDS) {
            let begun = clock.now();
            let mut expected = 0;
            for _ in 0..again {
                expected += native(&self.native)?;
            }
            own.push(taken(begun));
            let questions = questions()?;
            let mut numbered = Vec::new();
            let mut calls = Vec::new();
            for (name, args) in &questions {
                numbered.push((self.component.number(name)?, args.clone()));
                calls.push(self.composed.call(name, args.clone())?);
            }
            let numbered: Vec<_> = (0..again).flat_map(|_| numbered.clone()).collect();
            let begun = clock.now();
            let mut found = 0;
            // Each answer is dropped when it was looked at, as those of the store are.
            let visit = |answer: Encoded| {
                answer.bytes().for_each(look_at);
                found += answer.count()?;
                Ok(())
            };
            self.component.start_in_turn(numbered, visit).await?;
            from_host.push(taken(begun));
            ensure!(found == expected, "{name}: {found} instead of {expected}");
            self.composed.prepare(&calls).await?;
            let begun = clock.now();
            let found = self.composed.call_all(again).await?;
            from_inside.push(taken(begun));
            ensure!(
                found == expected as u64,
                "{name}: {found} instead of {expected}"
            );
        }
        let all = (line.each * again) as f64;
        let [own, host, inside] =
            [own, from_host, from_inside].map(|times| line.asked.counts(times) / all);
        let mut part = |of: f64, place: &str| {
            let part = own / of;
            if line.goal.is_none_or(|goal| part >= goal) {
                return format!("{part:.2}");
            }
            self.missed.push(format!("{name} ({place}, {part:.2})"));
            format!("**{part:.2}**")
        };
        let (of_host, of_inside) = (part(host, "component"), part(inside, "composed"));
        println!("| {name} | {own:.1} | {host:.1} | {of_host} | {inside:.1} | {of_inside} |");
        Ok(())
    }
}

/// Touches each line of the processor's cache that has bytes of an answer, as whoever uses the answer does.
fn look_at(bytes: &[u8]) {
    black_box(bytes.iter().step_by(64).fold(0_u8, |sum, byte| sum ^ byte));
}

fn ask(database: &Database, pipeline: &Pipeline) -> Result<usize> {
    let mut execution = database.query(pipeline, &QueryOptions::default())?;
    let mut results = 0;
    loop {
        let batch = execution.next_batch(100)?;
        if batch.is_empty() {
            return Ok(results);
        }
        for item in batch {
            look_at(&item.into_bytes()?);
            results += 1;
        }
    }
}

#[tokio::main]
async fn main() -> Result<()> {
    let count = std::env::args()
        .find_map(|argument| argument.parse::<usize>().ok())
        .unwrap_or(1_000_000);
    let folder = tempfile::tempdir()?;
    let folders = ["native", "component", "composed"].map(|name| folder.path().join(name));
    let [own, others @ ..] = &folders;
    let mut records = records(count + 40_000)?;
    let new = records.split_off(count);
    let database = Database::open(own, OpenOptions::default())?;
    let mut ids = Vec::new();
    for batch in records.chunks(10_000) {
        for saved in database.save(batch.to_vec(), &SaveOptions::default())? {
            ids.push(saved.id()?);
        }
    }
    database.flush()?;
    for other in others {
        database.copy_to(other)?;
    }
    drop(database);
    let only = std::env::args().find_map(|argument| {
        let (name, often) = argument.split_once('=')?;
        Some((name.to_owned(), often.parse().ok()?))
    });
    let mut bench = Bench::open(&folders, only).await?;
    println!(
        "| {count} records | store, µs | component, µs | store / component | composed, µs | store / composed |"
    );
    println!("|---|---:|---:|---:|---:|---:|");

    let step = (ids.len() / 2000).max(1);
    let some: Vec<Value> = ids.iter().step_by(step).cloned().map(Value::Ref).collect();
    let get_some = |database: &Database| -> Result<usize> {
        for id in &some {
            let id = id.as_ref_value().context("a ref")?;
            look_at(
                database
                    .get_one(id.as_str())?
                    .context("a record")?
                    .encoded(),
            );
        }
        Ok(some.len())
    };
    let calls = || {
        let call = |id: &Value| question("$db_get_one", vec![Value::Null, id.clone()]);
        some.iter().map(call).collect()
    };
    let line = Line::new("get by id", Asked::InRounds, 5, some.len());
    bench.measure(line, get_some, calls).await?;
    // Of no goal: what is measured here is the engine's way into a component and back, which takes longer
    // than the store for all of such a get.
    let line = Line {
        goal: None,
        ..Line::new(
            "the same in the processor's caches",
            Asked::AtOnce,
            15,
            some.len(),
        )
    };
    bench.measure(line, get_some, calls).await?;
    // Each once, all over the database: what was read before helps little. A prime number that is
    // no divisor of the number of ids visits all of them.
    let mut scattered =
        (0..).map(|number: usize| Value::Ref(ids[number * 7_368_787 % ids.len()].clone()));
    let mut next = || -> Vec<Value> { scattered.by_ref().take(1000).collect() };
    let any: Vec<Vec<Value>> = std::iter::repeat_with(&mut next).take(20).collect();
    let (mut own, mut theirs) = (any.iter().cycle(), any.iter().cycle());
    let get = |database: &Database| -> Result<usize> {
        let ids = own.next().context("ids for each round")?;
        for id in ids {
            let id = id.as_ref_value().context("a ref")?;
            look_at(
                database
                    .get_one(id.as_str())?
                    .context("a record")?
                    .encoded(),
            );
        }
        Ok(ids.len())
    };
    let line = Line::new("get any record by id", Asked::InRounds, any.len(), 1000);
    bench
        .measure(line, get, || {
            let ids = theirs.next().context("ids for each round")?;
            let call = |id: &Value| question("$db_get_one", vec![Value::Null, id.clone()]);
            ids.iter().map(call).collect()
        })
        .await?;
    let hundred: Vec<Value> = some.iter().take(100).cloned().collect();
    let get = |database: &Database| -> Result<usize> {
        let ids = hundred.iter().filter_map(Value::as_ref_value);
        for record in database.get_many(ids.map(|id| id.as_str()))? {
            look_at(record.context("a record")?.encoded());
        }
        Ok(1)
    };
    bench
        .measure(
            Line::new("get 100 by id", Asked::AtOnce, 50, 1),
            get,
            || {
                let ids = Value::Array(hundred.clone());
                Ok(vec![question("$db_get_a", vec![Value::Null, ids])?])
            },
        )
        .await?;
    for (name, text, times) in QUESTIONS {
        let pipeline = Pipeline::parse(text)?;
        let native = |database: &Database| ask(database, &pipeline);
        let call = || {
            let arguments = vec![Value::Null, pipeline.to_value(), Value::Map(Map::new())];
            Ok(vec![question("$db_fromAST_result", arguments)?])
        };
        let line = Line::new(name, Asked::AtOnce, times, 1);
        bench.measure(line, native, call).await?;
    }
    let mut own = new.clone().into_iter();
    let mut theirs = new.into_iter();
    for (size, times) in [(1, 100), (100, 30), (10_000, 3)] {
        let native = |database: &Database| -> Result<usize> {
            let batch = own.by_ref().take(size).collect();
            for saved in database.save(batch, &SaveOptions::default())? {
                look_at(saved.encoded());
            }
            Ok(1)
        };
        let call = || {
            let batch = Value::Array(theirs.by_ref().take(size).collect());
            Ok(vec![question("$db_save_ar", vec![Value::Null, batch])?])
        };
        let name = format!("durable inserts, {size} a batch");
        let line = Line::new(&name, Asked::Waiting, times, size);
        bench.measure(line, native, call).await?;
    }
    match bench.missed.as_slice() {
        [] => println!("\nEvery line has at least {GOAL} of the store's speed."),
        missed => println!(
            "\nLess than {GOAL} of the store's speed: {}.",
            missed.join(", ")
        ),
    }
    Ok(())
}
