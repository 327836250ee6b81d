//! Files of a database that somebody else wrote: opening, reading, asking, writing on,
//! checking and recovering end, and never in a panic.
#![no_main]

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use libfuzzer_sys::fuzz_target;
use mix_fuzz::files::Files;
use mix_store::query::{Pipeline, QueryOptions};
use mix_store::time::Clock;
use mix_store::{Database, OpenOptions, SaveOptions, check_in};
use mix_value::Value;

/// A clock on which waiting takes no time.
struct Jumping(AtomicI64);

impl Clock for Jumping {
    fn now(&self) -> i64 {
        self.0.fetch_add(1, Ordering::Relaxed)
    }

    fn sleep(&self, milliseconds: u64) {
        self.0
            .fetch_add(i64::try_from(milliseconds).unwrap_or(1), Ordering::Relaxed);
    }
}

fn options(read_only: bool) -> OpenOptions {
    OpenOptions {
        read_only,
        clock: Arc::new(Jumping(AtomicI64::new(1_700_000_000_000))),
        ..OpenOptions::default()
    }
}

const QUESTIONS: [&str; 7] = [
    "",
    "a == \"x\" and n > 1 | count()",
    "orderDesc(n) | limit(3) | { n, t: a }",
    "group(a) | .key",
    "a like \"x\" or list in [1, \"y\"] or next.a == \"x\"",
    "exists deep.er and not (t contains \"o\")",
    "_rmx_created_at > \"2\" | reverse()",
];

fn read(db: &Database) {
    let view = db.view().including(true, true);
    let Ok(rows) = view.rows(0, 64) else { return };
    for row in rows {
        let Ok(record) = view.record(row) else {
            continue;
        };
        if let (Ok(id), Ok(rev)) = (record.id(), record.rev()) {
            let _ = db.get_one(id.as_str());
            let _ = db.get_one(rev.as_str());
            let _ = view.versions(id.as_str());
        }
    }
    let pipelines = QUESTIONS.map(|text| Pipeline::parse(text).expect("a question that parses"));
    for pipeline in &pipelines {
        for past in [false, true] {
            let options = QueryOptions {
                include_superseded: past,
                include_deleted: past,
                max_bytes: 1 << 20,
                ..QueryOptions::default()
            };
            if let Ok(results) = db.query(pipeline, &options) {
                let _ = results.take(100).try_for_each(|item| item.map(drop));
            }
        }
    }
    let _ = view.stat();
    let _ = view.check();
}

fuzz_target!(|bytes: &[u8]| {
    let files = Files::of_input(bytes);
    let _ = check_in(&files);
    if let Ok(db) = Database::open_in(Arc::new(files.copied()), options(true)) {
        read(&db);
    }
    let Ok(db) = Database::open_in(Arc::new(files), options(false)) else {
        return;
    };
    read(&db);
    let record = Value::map([("a", Value::from("x")), ("n", Value::Int(2))]);
    let saved = db.save(vec![record], &SaveOptions::default());
    let _ = db.flush();
    if let Ok(saved) = saved {
        let id = saved[0].id().expect("what was saved has an id");
        let found = db.get_one(id.as_str()).expect("what was saved can be read");
        assert!(found.is_some(), "what was saved is there");
    }
    let _ = db.reindex();
    read(&db);
});
