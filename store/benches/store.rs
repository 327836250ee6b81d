//! The store beside SQLite, on the same records, as a table.
//!
//! SQLite keeps each record as JSON, with an index on every field that is asked
//! for, WAL and `synchronous=FULL`; the store indexes all fields. Run with
//! `make bench-store`, or with a number of records as the argument; `--keep` leaves the
//! files where they are, `--ask FOLDER` asks the questions of them again.

use std::hint::black_box;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use mix_store::query::{Pipeline, QueryOptions};
use mix_store::{Database, OpenOptions, SaveOptions};
use mix_value::{Map, Ref, Value, escjson, msgpack};
use rusqlite::{Connection, params};

/// Fields that have an index in SQLite.
const INDEXED: [&str; 8] = [
    "Title",
    "Major Genre",
    "MPAA Rating",
    "IMDB Rating",
    "IMDB Votes",
    "Production Budget",
    "Director",
    "serial",
];

/// How many times as fast as SQLite counts and combinations of conditions have to be.
const MANY_TIMES: f64 = 5.0;

/// A question in both languages; the numbers are how often it is asked, and how many times
/// as fast as SQLite the answer has to be.
struct Question {
    name: &'static str,
    mix: &'static str,
    sql: String,
    times: u32,
    goal: f64,
}

fn field(name: &str) -> String {
    format!("json_extract(doc, '$.\"{name}\"')")
}

fn questions() -> Vec<Question> {
    let (genre, rating, stars) = (
        field("Major Genre"),
        field("MPAA Rating"),
        field("IMDB Rating"),
    );
    let (title, votes, budget) = (
        field("Title"),
        field("IMDB Votes"),
        field("Production Budget"),
    );
    let director = field("Director");
    let doc = |rest: String| format!("SELECT doc FROM records WHERE {rest}");
    let count = |rest: String| format!("SELECT count(*) FROM records WHERE {rest}");
    let and = format!("{genre} = 'Drama' AND {rating} = 'R' AND {stars} > 8");
    let or = format!("{genre} = 'Horror' OR {rating} = 'G' OR {stars} > 8.5");
    vec![
        Question {
            name: "equality, rows",
            mix: r#""Director" == "Steven Spielberg""#,
            sql: doc(format!("{director} = 'Steven Spielberg'")),
            times: 20,
            goal: 1.0,
        },
        Question {
            name: "and of three fields, rows",
            mix: r#""Major Genre" == "Drama" and "MPAA Rating" == "R" and "IMDB Rating" > 8"#,
            sql: doc(and.clone()),
            times: 10,
            goal: MANY_TIMES,
        },
        Question {
            name: "and of three fields, count",
            mix: r#""Major Genre" == "Drama" and "MPAA Rating" == "R" and "IMDB Rating" > 8 | count()"#,
            sql: count(and),
            times: 10,
            goal: MANY_TIMES,
        },
        Question {
            name: "or of three fields, count",
            mix: r#""Major Genre" == "Horror" or "MPAA Rating" == "G" or "IMDB Rating" > 8.5 | count()"#,
            sql: count(or),
            times: 10,
            goal: MANY_TIMES,
        },
        Question {
            name: "range of numbers, count",
            mix: r#""Production Budget" >= 20000000 and "Production Budget" < 30000000 | count()"#,
            sql: count(format!("{budget} >= 20000000 AND {budget} < 30000000")),
            times: 10,
            goal: MANY_TIMES,
        },
        Question {
            name: "range of numbers, rows",
            mix: r#""serial" >= 1000 and "serial" < 2000"#,
            sql: doc(format!("{} >= 1000 AND {0} < 2000", field("serial"))),
            times: 20,
            goal: 1.0,
        },
        Question {
            name: "prefix, rows",
            mix: r#""Title" like "Star T""#,
            sql: doc(format!("{title} >= 'Star T' AND {title} < 'Star U'")),
            times: 10,
            goal: 1.0,
        },
        Question {
            name: "order by + limit 20",
            mix: r#"orderDesc("IMDB Votes") | limit(20)"#,
            sql: format!("SELECT doc FROM records ORDER BY {votes} DESC LIMIT 20"),
            times: 50,
            goal: 1.0,
        },
        Question {
            name: "filter, order by + limit 20",
            mix: r#""Major Genre" == "Action" | orderDesc("IMDB Votes") | limit(20)"#,
            sql: format!(
                "SELECT doc FROM records WHERE {genre} = 'Action' ORDER BY {votes} DESC LIMIT 20"
            ),
            times: 10,
            goal: 1.0,
        },
        Question {
            name: "count of a tenth of all",
            mix: r#""Major Genre" == "Action" | count()"#,
            sql: count(format!("{genre} = 'Action'")),
            times: 20,
            goal: MANY_TIMES,
        },
        Question {
            name: "group by, keys",
            mix: r#"group("Major Genre") | .key"#,
            sql: format!("SELECT {genre} FROM records GROUP BY {genre}"),
            times: 5,
            goal: 1.0,
        },
    ]
}

/// Records made of the films: each copy of a film has a title and numbers of its own.
struct Records {
    films: Vec<Map>,
    next: usize,
}

impl Records {
    fn load() -> Result<Records> {
        let path = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../examples/movies/files/data/movies.json"
        );
        let text = std::fs::read_to_string(path).context("reading the films")?;
        let Value::Array(films) = escjson::parse_plain(&text)? else {
            anyhow::bail!("the films are no list");
        };
        let films = films.into_iter().filter_map(|film| match film {
            Value::Map(map) => Some(map),
            _ => None,
        });
        Ok(Records {
            films: films.collect(),
            next: 0,
        })
    }

    fn take(&mut self, count: usize) -> Vec<Value> {
        let batch = (0..count).map(|_| {
            let (copy, film) = (self.next / self.films.len(), self.next % self.films.len());
            let mut record = self.films[film].clone();
            // Numeric-looking titles stay what they are.
            if let Some(Value::String(title)) = record.get("Title").cloned() {
                record.insert("Title".into(), Value::from(format!("{title} {copy}")));
            }
            if let Some(votes) = record.get("IMDB Votes").and_then(Value::as_int) {
                record.insert("IMDB Votes".into(), Value::Int(votes + copy as i64));
            }
            record.insert("serial".into(), Value::Int(self.next as i64));
            self.next += 1;
            Value::Map(record)
        });
        batch.collect()
    }
}

fn sqlite(path: &Path) -> Result<Connection> {
    let db = Connection::open(path)?;
    db.pragma_update(None, "journal_mode", "WAL")?;
    db.pragma_update(None, "synchronous", "FULL")?;
    Ok(db)
}

fn create(db: &Connection) -> Result<()> {
    db.execute_batch(
        "CREATE TABLE records (id TEXT PRIMARY KEY, doc TEXT NOT NULL);
         CREATE TABLE versions (id TEXT, rev INTEGER, doc TEXT, PRIMARY KEY (id, rev));",
    )?;
    for (number, name) in INDEXED.iter().enumerate() {
        db.execute_batch(&format!(
            "CREATE INDEX by_{number} ON records({});",
            field(name)
        ))?;
    }
    Ok(())
}

/// The same records into both, timed.
fn insert(
    mix: &Database,
    sql: &mut Connection,
    records: Vec<Value>,
    ids: &mut Vec<String>,
    user_bytes: &mut u64,
) -> Result<(Duration, Duration)> {
    let texts = records
        .iter()
        .map(escjson::format_plain)
        .collect::<Result<Vec<_>, _>>()?;
    for record in &records {
        *user_bytes += msgpack::encode(record)?.len() as u64;
    }
    let begun = Instant::now();
    let saved = mix.save(records, &SaveOptions::default())?;
    let mix_time = begun.elapsed();
    let new_ids = saved
        .iter()
        .map(|record| Ok(record.id()?.to_string()))
        .collect::<Result<Vec<_>>>()?;
    let begun = Instant::now();
    let transaction = sql.transaction()?;
    {
        let mut statement =
            transaction.prepare_cached("INSERT INTO records (id, doc) VALUES (?1, ?2)")?;
        for (id, text) in new_ids.iter().zip(&texts) {
            statement.execute(params![id, text])?;
        }
    }
    transaction.commit()?;
    let sql_time = begun.elapsed();
    ids.extend(new_ids);
    Ok((mix_time, sql_time))
}

/// What a line has to reach.
#[derive(Clone, Copy)]
enum Goal {
    /// So many times as fast as SQLite.
    Times(f64),
    /// At most so much.
    AtMost(f64),
    /// It is only told.
    Nothing,
}

struct Line {
    name: String,
    mix: f64,
    sql: f64,
    unit: &'static str,
    goal: Goal,
}

impl Line {
    fn is_reached(&self) -> bool {
        match self.goal {
            Goal::Times(times) => self.sql / self.mix >= times,
            Goal::AtMost(most) => self.mix <= most,
            Goal::Nothing => true,
        }
    }

    /// The goal, and whether it is reached.
    fn verdict(&self) -> String {
        let goal = match self.goal {
            Goal::Times(times) => format!("{times:.0} times SQLite"),
            Goal::AtMost(most) => format!("at most {most:.0} {}", self.unit),
            Goal::Nothing => return String::new(),
        };
        match self.is_reached() {
            true => goal,
            false => format!("{goal}: **missed**"),
        }
    }
}

struct Table {
    lines: Vec<Line>,
}

impl Table {
    fn add(&mut self, name: impl Into<String>, mix: f64, sql: f64, unit: &'static str, goal: Goal) {
        let name = name.into();
        eprintln!("{name}: {mix:.3} {sql:.3} {unit}");
        self.lines.push(Line {
            name,
            mix,
            sql,
            unit,
            goal,
        });
    }

    fn print(&self) {
        println!("| | store | SQLite | unit | SQLite / store | goal |");
        println!("|---|---:|---:|---|---:|---|");
        for line in &self.lines {
            let Line {
                name,
                mix,
                sql,
                unit,
                ..
            } = line;
            let (ratio, verdict) = (sql / mix, line.verdict());
            println!("| {name} | {mix:.3} | {sql:.3} | {unit} | {ratio:.2} | {verdict} |");
        }
        let missed = self.lines.iter().filter(|line| !line.is_reached()).count();
        let all = self.lines.len();
        println!("\n{missed} of {all} lines miss their goal; the goals are for a million records.");
    }
}

/// The median time of several runs, in milliseconds.
fn median(times: u32, mut run: impl FnMut() -> Result<usize>) -> Result<(f64, usize)> {
    let mut all = Vec::new();
    let mut results = 0;
    for _ in 0..times {
        let begun = Instant::now();
        results = run()?;
        all.push(begun.elapsed().as_secs_f64() * 1e3);
    }
    all.sort_by(f64::total_cmp);
    Ok((all[all.len() / 2], results))
}

fn ask_mix(db: &Database, pipeline: &Pipeline) -> Result<usize> {
    let options = QueryOptions {
        max_bytes: 1 << 30,
        ..QueryOptions::default()
    };
    let mut results = 0;
    let mut execution = db.query(pipeline, &options)?;
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

fn ask_sql(db: &Connection, text: &str) -> Result<usize> {
    let mut statement = db.prepare_cached(text)?;
    let mut rows = statement.query([])?;
    let mut results = 0;
    while let Some(row) = rows.next()? {
        black_box(row.get_ref(0)?);
        results += 1;
    }
    Ok(results)
}

fn size_of(path: &Path) -> Result<u64> {
    let mut sum = 0;
    for entry in std::fs::read_dir(path)? {
        let entry = entry?;
        let data = entry.metadata()?;
        sum += if data.is_dir() {
            size_of(&entry.path())?
        } else {
            data.len()
        };
    }
    Ok(sum)
}

/// Resident memory of this process, in MiB; 0 where the system does not tell.
fn resident() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok());
    kib.unwrap_or(0.0) / 1024.0
}

/// In a process of its own: opens, and says how long it took and how much
/// memory it needs then, and after all questions.
fn open_alone(kind: &str, path: &Path) -> Result<()> {
    let before = resident();
    let begun = Instant::now();
    let (opened, after_open);
    match kind {
        "mix" => {
            let db = Database::open(path, OpenOptions::default())?;
            opened = begun.elapsed();
            after_open = resident();
            for question in questions() {
                ask_mix(&db, &Pipeline::parse(question.mix)?)?;
            }
        }
        _ => {
            let db = sqlite(path)?;
            // SQLite reads nothing before it is asked.
            db.query_row("SELECT count(*) FROM sqlite_master", [], |_| Ok(()))?;
            opened = begun.elapsed();
            after_open = resident();
            for question in questions() {
                ask_sql(&db, &question.sql)?;
            }
        }
    }
    println!(
        "{} {} {}",
        opened.as_secs_f64() * 1e3,
        after_open - before,
        resident() - before
    );
    Ok(())
}

/// Asks the questions of the files that `--keep` left.
fn ask_again(folder: &Path) -> Result<()> {
    let mix = Database::open(&folder.join("mix"), OpenOptions::default())?;
    let sql = sqlite(&folder.join("sqlite.db"))?;
    let mut table = Table { lines: Vec::new() };
    for question in questions() {
        let pipeline = Pipeline::parse(question.mix)?;
        let (a, _) = median(question.times, || ask_mix(&mix, &pipeline))?;
        let (b, _) = median(question.times, || ask_sql(&sql, &question.sql))?;
        table.add(question.name, a, b, "ms", Goal::Times(question.goal));
    }
    table.print();
    Ok(())
}

/// Reads all files of a folder whose names begin with `start`.
fn read_files(folder: &Path, start: &str) -> Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with(start) && entry.file_type()?.is_file() {
            let mut file = std::fs::File::open(entry.path())?;
            std::io::copy(&mut file, &mut std::io::sink())?;
        }
    }
    Ok(())
}

/// Bytes that this process had to read from the disk so far; 0 where the system does not tell.
fn read_from_disk() -> u64 {
    let io = std::fs::read_to_string("/proc/self/io").unwrap_or_default();
    let line = io.lines().find_map(|line| line.strip_prefix("read_bytes:"));
    line.and_then(|line| line.trim().parse().ok()).unwrap_or(0)
}

/// As [`median`], with files in the memory of the operating system, which may forget parts of them
/// meanwhile: they are read before each fifth part of the runs. Gives the kilobytes that came from
/// the disk nevertheless too.
fn median_in_memory(
    times: u32,
    (folder, start): (&Path, &str),
    mut run: impl FnMut() -> Result<usize>,
) -> Result<(f64, u64)> {
    let (mut all, mut from_disk) = (Vec::new(), 0);
    for number in 0..times {
        if number.is_multiple_of(times.div_ceil(5)) {
            read_files(folder, start)?;
        }
        let before = read_from_disk();
        let (time, _) = median(1, &mut run)?;
        from_disk += read_from_disk() - before;
        all.push(time);
    }
    all.sort_by(f64::total_cmp);
    Ok((all[all.len() / 2], from_disk / 1024))
}

/// So many ids from all over the database, each once while there are enough.
fn scattered(ids: &[String], count: usize) -> impl Iterator<Item = &String> {
    // A prime number that is no divisor of the number of ids visits all of them.
    (0..count).map(|number| &ids[number * 7_368_787 % ids.len()])
}

fn opened(kind: &str, path: &Path) -> Result<[f64; 3]> {
    let output = Command::new(std::env::current_exe()?)
        .args(["--open", kind])
        .arg(path)
        .output()?;
    ensure!(
        output.status.success(),
        "opening {kind}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    let text = String::from_utf8(output.stdout)?;
    let numbers: Vec<f64> = text
        .split_whitespace()
        .map(str::parse)
        .collect::<Result<_, _>>()?;
    numbers.try_into().ok().context("three numbers")
}

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [flag, kind, path] = arguments.as_slice()
        && flag == "--open"
    {
        return open_alone(kind, Path::new(path));
    }
    if let [flag, path] = arguments.as_slice()
        && flag == "--ask"
    {
        return ask_again(Path::new(path));
    }
    let count = arguments
        .iter()
        .find_map(|argument| argument.parse::<usize>().ok())
        .unwrap_or(1_000_000);
    let folder = tempfile::Builder::new()
        .disable_cleanup(arguments.iter().any(|argument| argument == "--keep"))
        .tempdir()?;
    let (mix_path, sql_path) = (folder.path().join("mix"), folder.path().join("sqlite.db"));
    std::fs::create_dir(&mix_path)?;
    let mix = Database::open(&mix_path, OpenOptions::default())?;
    let mut sql = sqlite(&sql_path)?;
    create(&sql)?;
    let mut records = Records::load()?;
    let (mut ids, mut user_bytes) = (Vec::new(), 0);
    let mut table = Table { lines: Vec::new() };

    let mut sizes = vec![(10_000, count / 10_000)];
    sizes.extend([(100, 100), (1, 300)]);
    for (size, batches) in sizes {
        let (mut mix_time, mut sql_time) = (Duration::ZERO, Duration::ZERO);
        for _ in 0..batches {
            let batch = records.take(size);
            let (a, b) = insert(&mix, &mut sql, batch, &mut ids, &mut user_bytes)?;
            mix_time += a;
            sql_time += b;
        }
        let per_record = |time: Duration| time.as_secs_f64() * 1e6 / (size * batches).max(1) as f64;
        table.add(
            format!("durable inserts, {size} a batch"),
            per_record(mix_time),
            per_record(sql_time),
            "µs a record",
            Goal::Times(1.0),
        );
    }

    let step = (ids.len() / 2000).max(1);
    let some: Vec<&String> = ids.iter().step_by(step).collect();
    let (a, _) = median(5, || {
        for id in &some {
            black_box(mix.get_one(id)?.context("a record")?);
        }
        Ok(some.len())
    })?;
    let (b, _) = median(5, || {
        let mut statement = sql.prepare_cached("SELECT doc FROM records WHERE id = ?1")?;
        for id in &some {
            black_box(statement.query_row([id], |row| row.get::<_, String>(0))?);
        }
        Ok(some.len())
    })?;
    let each = 1e3 / some.len() as f64;
    table.add("get by id", a * each, b * each, "µs", Goal::Times(1.0));

    // Others each time, all over the database: little of what was read before helps. Each has its own
    // files in the memory of the operating system: some systems forget parts of files within seconds.
    let any: Vec<&String> = scattered(&ids, 20_000).collect();
    // So few that most of the parts are not interrupted by other programs.
    let part = 100;
    let times = (any.len() / part) as u32;
    let mut parts = any.chunks(part).cycle();
    let (a, a_disk) = median_in_memory(times, (&mix_path.join("v2"), ""), || {
        for id in parts.next().unwrap_or_default() {
            black_box(mix.get_one(id)?.context("a record")?);
        }
        Ok(part)
    })?;
    let (b, b_disk) = median_in_memory(times, (folder.path(), "sqlite.db"), || {
        let mut statement = sql.prepare_cached("SELECT doc FROM records WHERE id = ?1")?;
        for id in parts.next().unwrap_or_default() {
            black_box(statement.query_row([id], |row| row.get::<_, String>(0))?);
        }
        Ok(part)
    })?;
    eprintln!(
        "get any record by id: {a_disk} and {b_disk} KiB of {times} times {part} came from the disk"
    );
    let each = 1e3 / part as f64;
    table.add(
        "get any record by id",
        a * each,
        b * each,
        "µs",
        Goal::Times(1.0),
    );

    for question in questions() {
        let pipeline = Pipeline::parse(question.mix)?;
        let (a, found) = median(question.times, || ask_mix(&mix, &pipeline))?;
        let (b, expected) = median(question.times, || ask_sql(&sql, &question.sql))?;
        ensure!(
            found == expected,
            "{}: {found} results, SQLite has {expected}",
            question.name
        );
        let name = format!("{} ({found} results)", question.name);
        table.add(name, a, b, "ms", Goal::Times(question.goal));
    }

    let id = Ref::new(&ids[ids.len() / 2])?;
    for number in 0..50 {
        let version = Value::map([
            ("_rmx_id", Value::Ref(id.clone())),
            ("n", Value::Int(number)),
        ]);
        mix.save(vec![version], &SaveOptions::default())?;
        sql.execute(
            "INSERT INTO versions (id, rev, doc) VALUES (?1, ?2, ?3)",
            params![id.as_str(), number, format!("{{\"n\":{number}}}")],
        )?;
    }
    let (a, found) = median(20, || {
        let view = mix.view();
        let rows = view.versions(id.as_str())?;
        for record in view.records(&rows)? {
            black_box(record.encoded());
        }
        Ok(rows.len())
    })?;
    let (b, _) = median(20, || {
        let text = "SELECT doc FROM versions WHERE id = ?1 ORDER BY rev DESC";
        let mut statement = sql.prepare_cached(text)?;
        let mut rows = statement.query([id.as_str()])?;
        let mut found = 0;
        while let Some(row) = rows.next()? {
            black_box(row.get_ref(0)?);
            found += 1;
        }
        Ok(found)
    })?;
    table.add(
        format!("history of a record ({found} versions)"),
        a,
        b,
        "ms",
        Goal::Times(1.0),
    );

    mix.close()?;
    sql.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)")?;
    drop(sql);
    let stored: u64 = std::fs::metadata(mix_path.join("v2/db.dat"))?.len();
    let mix_size = size_of(&mix_path)? as f64;
    let sql_size = std::fs::metadata(&sql_path)?.len() as f64;
    let a = opened("mix", &mix_path)?;
    let b = opened("sqlite", &sql_path)?;
    table.add("open", a[0], b[0], "ms", Goal::AtMost(20.0));
    table.add(
        "memory after opening",
        a[1],
        b[1],
        "MiB",
        Goal::AtMost(32.0),
    );
    let name = "memory after all questions";
    table.add(name, a[2], b[2], "MiB", Goal::Nothing);
    let mib = 1048576.0;
    let most = Goal::AtMost(2.5 * stored as f64 / mib);
    table.add("size on disk", mix_size / mib, sql_size / mib, "MiB", most);
    table.print();
    println!();
    println!(
        "{} records; {:.1} MiB as MessagePack with the fields of the store ({:.2} times that on disk), {:.1} MiB without.",
        ids.len(),
        stored as f64 / mib,
        mix_size / stored as f64,
        user_bytes as f64 / mib,
    );
    Ok(())
}
