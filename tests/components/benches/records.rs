//! The record store through its component, beside the store itself, as a table.
//!
//! Both have the same records, asked and answered as bytes. `make bench-store-component`,
//! or with a number of records as the argument.

use std::hint::black_box;
use std::path::Path;
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use mix_component_tests::{Encoded, Family, Surroundings, guest};
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

/// The median time of several runs, in microseconds.
struct Times(Vec<f64>);

impl Times {
    fn median(mut self) -> f64 {
        self.0.sort_by(f64::total_cmp);
        self.0[self.0.len() / 2]
    }
}

struct Bench {
    native: Database,
    component: Family,
}

impl Bench {
    async fn open(native: &Path, component: &Path) -> Result<Bench> {
        let surroundings = Surroundings {
            environment: &[("MIXER_DB_LOCKED", "1")],
            folders: &[(component, "/app")],
            own_thread: true,
        };
        Ok(Bench {
            native: Database::open(native, OpenOptions::default())?,
            component: Family::new(&guest("mix_plugin_db"), &surroundings).await?,
        })
    }

    fn call(&self, name: &str, args: Vec<Value>) -> Result<(u32, Vec<u8>)> {
        Ok((
            self.component.number(name)?,
            msgpack::encode(&Value::Array(args))?,
        ))
    }

    /// One after the other, so that what else the machine does hits both alike.
    async fn measure(
        &mut self,
        name: &str,
        times: usize,
        each: usize,
        mut native: impl FnMut(&Database) -> Result<usize>,
        mut calls: impl FnMut(&Bench) -> Result<Vec<(u32, Vec<u8>)>>,
    ) -> Result<()> {
        let (mut own, mut through) = (Times(Vec::new()), Times(Vec::new()));
        for _ in 0..times {
            let begun = Instant::now();
            let expected = native(&self.native)?;
            own.0.push(begun.elapsed().as_secs_f64() * 1e6);
            let calls = calls(self)?;
            let begun = Instant::now();
            let answers = self.component.start_in_turn(calls).await?;
            through.0.push(begun.elapsed().as_secs_f64() * 1e6);
            let found: usize = answers
                .iter()
                .map(|answer| match answer {
                    Encoded::One(_) => 1,
                    Encoded::Many(items) => items.len(),
                })
                .sum();
            ensure!(found == expected, "{name}: {found} instead of {expected}");
            black_box(answers);
        }
        let (own, through) = (own.median() / each as f64, through.median() / each as f64);
        println!(
            "| {name} | {own:.1} | {through:.1} | {:.2} |",
            own / through
        );
        Ok(())
    }
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
            black_box(item.into_bytes()?);
            results += 1;
        }
    }
}

#[tokio::main]
async fn main() -> Result<()> {
    let count = std::env::args()
        .find_map(|argument| argument.parse::<usize>().ok())
        .unwrap_or(100_000);
    let folder = tempfile::tempdir()?;
    let (own, other) = (
        folder.path().join("native"),
        folder.path().join("component"),
    );
    let mut records = records(count + 40_000)?;
    let new = records.split_off(count);
    let database = Database::open(&own, OpenOptions::default())?;
    let mut ids = Vec::new();
    for batch in records.chunks(10_000) {
        for saved in database.save(batch.to_vec(), &SaveOptions::default())? {
            ids.push(saved.id()?);
        }
    }
    database.flush()?;
    database.copy_to(&other)?;
    drop(database);
    let mut bench = Bench::open(&own, &other).await?;
    println!("| {count} records | store, µs | component, µs | store / component |");
    println!("|---|---:|---:|---:|");

    let step = (ids.len() / 2000).max(1);
    let some: Vec<Value> = ids.iter().step_by(step).cloned().map(Value::Ref).collect();
    let get = |database: &Database| -> Result<usize> {
        for id in &some {
            let id = id.as_ref_value().context("a ref")?;
            black_box(database.get_one(id.as_str())?.context("a record")?);
        }
        Ok(some.len())
    };
    bench
        .measure("get by id", 7, some.len(), get, |bench| {
            let call = |id: &Value| bench.call("$db_get_one", vec![Value::Null, id.clone()]);
            some.iter().map(call).collect()
        })
        .await?;
    let hundred: Vec<Value> = some.iter().take(100).cloned().collect();
    let get = |database: &Database| -> Result<usize> {
        let ids = hundred.iter().filter_map(Value::as_ref_value);
        black_box(database.get_many(ids.map(|id| id.as_str()))?);
        Ok(1)
    };
    bench
        .measure("get 100 by id", 50, 1, get, |bench| {
            let ids = Value::Array(hundred.clone());
            Ok(vec![bench.call("$db_get_a", vec![Value::Null, ids])?])
        })
        .await?;
    for (name, text, times) in QUESTIONS {
        let pipeline = Pipeline::parse(text)?;
        let native = |database: &Database| ask(database, &pipeline);
        let call = |bench: &Bench| {
            let arguments = vec![Value::Null, pipeline.to_value(), Value::Map(Map::new())];
            Ok(vec![bench.call("$db_fromAST_result", arguments)?])
        };
        bench.measure(name, times, 1, native, call).await?;
    }
    let mut own = new.clone().into_iter();
    let mut theirs = new.into_iter();
    for (size, times) in [(1, 100), (100, 30), (10_000, 3)] {
        let native = |database: &Database| -> Result<usize> {
            let batch = own.by_ref().take(size).collect();
            black_box(database.save(batch, &SaveOptions::default())?);
            Ok(1)
        };
        let call = |bench: &Bench| {
            let batch = Value::Array(theirs.by_ref().take(size).collect());
            Ok(vec![bench.call("$db_save_ar", vec![Value::Null, batch])?])
        };
        let name = format!("durable inserts, {size} a batch");
        bench.measure(&name, times, size, native, call).await?;
    }
    Ok(())
}
