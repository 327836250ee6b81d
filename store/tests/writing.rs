//! Saving, upserting, deleting, reading: what section 4 of the format promises.

use mix_store::{AsOf, Database, Draft, OpenOptions, PlainReader, Record, SaveOptions, StoreError};
use mix_value::{Ref, Value, escjson, msgpack};

fn v(text: &str) -> Value {
    escjson::parse(text).expect(text)
}

fn reference(id: &str) -> Value {
    Value::Ref(Ref::new(id).expect(id))
}

fn memory() -> Database {
    Database::in_memory(OpenOptions::default()).expect("in memory")
}

fn save(db: &Database, text: &str) -> Vec<Record> {
    let Value::Array(records) = v(text) else {
        panic!("an array")
    };
    db.save(
        records,
        &SaveOptions::default().with_actor("ada@example.com"),
    )
    .expect(text)
}

fn code(result: Result<Vec<Record>, StoreError>) -> &'static str {
    result.expect_err("is refused").code()
}

fn save_one(db: &Database, record: Value, options: &SaveOptions) -> Record {
    db.save(vec![record], options).expect("is saved").remove(0)
}

fn field(record: &Record, name: &str) -> Value {
    record
        .value()
        .expect("decodes")
        .get(name)
        .cloned()
        .unwrap_or_default()
}

const UNKNOWN: &str = "aB3dE5gH7jK9mN1pQ3sT5vW7yZ9bC1dF";

#[test]
fn a_first_version_has_all_engine_fields() {
    let db = memory();
    let saved = save(
        &db,
        r#"[{"age":41,"entity":"person","name":"Ada","nick":null,"score":2.5,"_rmx_row":99,"_rmx_created_by":"x"}]"#,
    );
    let record = saved[0].value().expect("decodes");
    assert!(saved[0].id().expect("id").is_well_formed());
    assert!(saved[0].rev().expect("rev").is_well_formed());
    assert_eq!(record.get("_rmx_row"), Some(&Value::Int(0)));
    assert_eq!(
        record.get("_rmx_created_by"),
        Some(&Value::from("ada@example.com"))
    );
    assert_eq!(
        record.get("_rmx_last_modified_by"),
        Some(&Value::from("ada@example.com"))
    );
    assert_eq!(
        record.get("_rmx_created_at"),
        record.get("_rmx_last_modified_at")
    );
    assert_eq!(
        record.get("_rmx_content_hash"),
        Some(&Value::from("zJmOjhyRsKB4lc0EZPZYur09dBQ"))
    );
    assert_eq!(record.get("_rmx_previous"), None);
    assert_eq!(record.as_map().expect("map").len(), 13);
    let got = db
        .get_one(saved[0].id().expect("id").as_str())
        .expect("reads")
        .expect("is there");
    assert_eq!(got, saved[0]);
}

/// Rows together are what they are one by one.
fn assert_together(db: &Database, id: &Ref) {
    let view = db.view();
    let mut rows = view.versions(id.as_str()).expect("finds");
    for _ in 0..2 {
        let together = view.records(&rows).expect("reads");
        let alone: Vec<Record> = rows
            .iter()
            .map(|row| view.record(*row).expect("reads"))
            .collect();
        assert!(together == alone);
        rows.reverse();
    }
}

#[test]
fn histories_of_all_sizes_are_marked_like_rows_alone() {
    let folder = tempfile::tempdir().expect("scratch");
    let open = || Database::open(folder.path(), OpenOptions::default()).expect("opens");
    let db = open();
    let id = save(&db, "[{}]")[0].id().expect("id");
    // Fields before the mark and behind it, above 64 KiB too, with a head of one byte and of three.
    for number in 0..40 {
        let long = "x".repeat([0, 300, 40_000, 70_000][number % 4]);
        let names = ["A", "_", "_rmx_s", "_rmx_type", "n", "z"];
        let fields = names.iter().zip(0..number % 7);
        let mut fields: Vec<_> = fields
            .map(|(name, _)| (*name, Value::from(&*long)))
            .collect();
        fields.push(("_rmx_id", Value::Ref(id.clone())));
        save_one(&db, Value::map(fields), &SaveOptions::default());
    }
    let marked = |db: &Database| {
        let view = db.view();
        let rows = view.versions(id.as_str()).expect("finds");
        let records = view.records(&rows).expect("reads");
        let marks = records
            .iter()
            .map(|record| field(record, "_rmx_superseded"));
        marks.filter(|mark| *mark == Value::Bool(true)).count()
    };
    assert_together(&db, &id);
    assert_eq!(marked(&db), 40);
    // Read from the log, and from the files.
    drop(db);
    let db = open();
    assert_together(&db, &id);
    db.flush().expect("flushes");
    for number in 0..3 {
        let fields = [
            ("_rmx_id", Value::Ref(id.clone())),
            ("n", Value::Int(number)),
        ];
        save_one(&db, Value::map(fields), &SaveOptions::default());
    }
    assert_together(&db, &id);
    assert_eq!(marked(&db), 43);
    // What is set by hand counts more than what follows from the rows.
    db.set_flags(&[(42, false), (0, false), (43, true)], &[])
        .expect("sets");
    assert_together(&db, &id);
    assert_eq!(marked(&db), 42);
}

#[test]
fn encoded_records_are_stored_as_their_values_are() {
    let folder = tempfile::tempdir().expect("scratch");
    let db = Database::open(folder.path(), OpenOptions::default()).expect("opens");
    let keys = ["", "A", "_", "_rmx", "_rmx`", "a", "z"];
    let mut records = vec![Value::map([("n", Value::Float(2.5))]), v("{}")];
    for first in 0..keys.len() {
        for long in ["x".to_owned(), "y".repeat(70_000)] {
            let list = v(r#"[1, -300, null, true, "é\n", 2.5]"#);
            let some = keys[first..].iter().map(|key| (*key, Value::from(&*long)));
            records.push(Value::map(some.chain([("list", list)])));
        }
    }
    let options = SaveOptions::default().with_actor("ada@example.com");
    let keeping = options
        .clone()
        .with_names(["KeepOriginal"])
        .expect("an option");
    for options in [options, keeping] {
        let mut plain = PlainReader::default();
        let drafts: Vec<Draft> = records
            .iter()
            .map(|record| {
                let bytes = msgpack::encode(record).expect("encodes");
                let (read, length) = plain.read(&bytes).expect("plain");
                assert_eq!(length, bytes.len());
                Draft::Plain(read)
            })
            .collect();
        let encoded = db.save_drafts(drafts.into_iter(), &options).expect("saves");
        let values = db.save(records.clone(), &options).expect("saves");
        for (encoded, value) in encoded.iter().zip(&values) {
            let [one, other] = [encoded, value].map(|record| {
                let record = record.value().expect("decodes");
                let mut record = record.as_map().expect("a map").clone();
                for drawn in ["_rmx_id", "_rmx_rev", "_rmx_row"] {
                    assert!(record.remove(drawn).is_some(), "{drawn}");
                }
                for time in ["_rmx_created_at", "_rmx_last_modified_at"] {
                    assert!(record.remove(time).is_some(), "{time}");
                }
                record
            });
            assert_eq!(one, other);
            let order = |record: &Record| -> Vec<String> {
                let mut reader = msgpack::Reader::new(record.encoded());
                let mut keys = Vec::new();
                while let Ok(token) = reader.next() {
                    if let msgpack::Token::Key(key) = token {
                        keys.push(key.to_owned());
                    }
                }
                keys
            };
            assert!(order(encoded).is_sorted());
            assert_eq!(order(encoded), order(value));
        }
        // The mark of superseded rows comes where it belongs, in memory and from the files.
        for _ in 0..2 {
            for record in &encoded {
                let id = record.id().expect("id");
                let next = [("_rmx_id", Value::Ref(id.clone())), ("new", Value::Null)];
                let options = SaveOptions::default();
                let next = db.upsert(vec![Value::map(next)], &options).expect("saves");
                assert_eq!(
                    field(&next[0], "_rmx_created_by"),
                    field(record, "_rmx_created_by")
                );
                assert_eq!(field(&next[0], "new"), Value::Null);
                assert_together(&db, &id);
            }
            db.flush().expect("flushes");
        }
    }
    drop(db);
    assert_eq!(mix_store::check(folder.path()).expect("reads"), []);
}

#[test]
fn versions_replace_and_history_stays() {
    let db = memory();
    let first = save(&db, r#"[{"a":1,"b":2}]"#).remove(0);
    let id = first.id().expect("id");
    let update = Value::map([("_rmx_id", Value::Ref(id.clone())), ("a", Value::Int(3))]);
    let second = save_one(&db, update, &SaveOptions::default().with_actor("bo"));
    assert_eq!(field(&second, "b"), Value::Undefined);
    assert_eq!(
        field(&second, "_rmx_previous"),
        Value::Ref(first.rev().expect("rev"))
    );
    assert_eq!(
        field(&second, "_rmx_created_by"),
        Value::from("ada@example.com")
    );
    assert_eq!(field(&second, "_rmx_last_modified_by"), Value::from("bo"));
    let old = db
        .get_one(first.rev().expect("rev").as_str())
        .expect("reads")
        .expect("is there");
    assert_eq!(field(&old, "_rmx_superseded"), Value::Bool(true));
    assert_eq!(field(&old, "a"), Value::Int(1));
    assert_eq!(
        db.get_one(id.as_str()).expect("reads").expect("is there"),
        second
    );

    let patch = Value::map([
        ("_rmx_id", Value::Ref(id.clone())),
        ("a", Value::Undefined),
        ("c", Value::Null),
    ]);
    let third = db
        .upsert(vec![patch], &SaveOptions::default())
        .expect("upserts")
        .remove(0);
    assert_eq!(
        (field(&third, "a"), field(&third, "c")),
        (Value::Undefined, Value::Null)
    );

    let last = db
        .delete(std::slice::from_ref(&id), "bo")
        .expect("deletes")
        .remove(0)
        .expect("was there");
    assert_eq!(last, third);
    assert_eq!(db.get_one(id.as_str()).expect("reads"), None);
    assert_eq!(
        db.delete(&[id.clone(), first.rev().expect("rev")], "bo")
            .expect("deletes"),
        vec![None, None]
    );
    let tombstone = db.view().including(true, false).record(3).expect("row 3");
    assert_eq!(field(&tombstone, "_rmx_deleted"), Value::Bool(true));
    assert_eq!(field(&tombstone, "_rmx_content_hash"), Value::Undefined);
    assert_eq!(
        field(&tombstone, "_rmx_previous"),
        Value::Ref(third.rev().expect("rev"))
    );

    let revived = save_one(
        &db,
        Value::map([("_rmx_id", Value::Ref(id.clone())), ("z", Value::Int(1))]),
        &SaveOptions::default(),
    );
    assert_eq!(
        field(&revived, "_rmx_created_by"),
        Value::from("ada@example.com")
    );
    assert_eq!(db.view().rows(0, 100).expect("rows"), vec![4]);
    assert_eq!(
        db.view().including(false, true).rows(0, 100).expect("rows"),
        vec![0, 1, 2, 4]
    );
    assert_eq!(
        db.view().including(true, true).rows(0, 100).expect("rows"),
        vec![0, 1, 2, 3, 4]
    );
    let past = db.view().as_of(&AsOf::Rows(2)).expect("a row count");
    assert_eq!(past.rows(0, 100).expect("rows"), vec![1]);
    assert_eq!(
        past.get(id.as_str())
            .expect("reads")
            .map(|record| record.row()),
        Some(1)
    );
    let watermark = db.watermark();
    assert!(watermark.ends_with(".5"));
    assert_eq!(
        db.view()
            .as_of(&AsOf::Watermark(watermark))
            .expect("own watermark")
            .bound(),
        5
    );
    assert!(
        db.view()
            .as_of(&AsOf::Watermark("otherone.5".into()))
            .is_err()
    );
}

#[test]
fn ids_follow_the_table() {
    let db = memory();
    let with_id = |id: &str| Value::map([("_rmx_id", reference(id)), ("a", Value::Int(1))]);
    let plain = SaveOptions::default();
    let dont = SaveOptions {
        dont_use_id: true,
        ..SaveOptions::default()
    };
    let inserted = save_one(&db, with_id(UNKNOWN), &plain);
    assert_eq!(inserted.id().expect("id").as_str(), UNKNOWN);
    assert_eq!(field(&inserted, "_rmx_original_id"), Value::Undefined);
    let again = save_one(&db, with_id(UNKNOWN), &dont);
    assert_eq!(again.id().expect("id").as_str(), UNKNOWN);
    let rev = inserted.rev().expect("rev");
    assert_eq!(
        code(db.save(vec![with_id(rev.as_str())], &plain)),
        "id_conflict"
    );
    let moved = save_one(&db, with_id(rev.as_str()), &dont);
    assert_ne!(moved.id().expect("id"), rev);
    assert_eq!(field(&moved, "_rmx_original_id"), Value::Ref(rev));
    let temporary = save_one(&db, with_id("p"), &plain);
    assert_eq!(field(&temporary, "_rmx_original_id"), Value::Undefined);
    let always = SaveOptions {
        original_id_always: true,
        keep_original: true,
        ..SaveOptions::default()
    };
    let kept = save_one(&db, with_id("p"), &always);
    assert_eq!(field(&kept, "_rmx_original_id"), reference("p"));
    assert_eq!(
        field(&kept, "_rmx_original"),
        Value::map([("_rmx_id", reference("p"))])
    );
    for bad in [Value::from("x"), Value::Int(1), Value::map::<&str>([])] {
        assert_eq!(
            code(db.save(vec![Value::map([("_rmx_id", bad)])], &plain)),
            "expected_ref"
        );
    }
    assert_eq!(
        SaveOptions::default()
            .with_names(["Nope"])
            .expect_err("unknown")
            .code(),
        "bad_option"
    );
    assert!(
        SaveOptions::default()
            .with_names(["upsert", "KeepOriginal"])
            .expect("known")
            .upsert
    );
}

#[test]
fn temporary_refs_are_replaced_everywhere_in_the_batch() {
    let db = memory();
    let saved = save(
        &db,
        r#"[{"boss":{"_rmx_type":"{tag}ref","_rmx_value":"p"},"deep":[{"x":{"_rmx_type":"{tag}ref","_rmx_value":"p"}}]},
           {"_rmx_id":{"_rmx_type":"{tag}ref","_rmx_value":"p"},"self":{"_rmx_type":"{tag}ref","_rmx_value":"p"}}]"#,
    );
    let id = Value::Ref(saved[1].id().expect("id"));
    assert_eq!(field(&saved[0], "boss"), id);
    assert_eq!(
        field(&saved[0], "deep"),
        Value::Array(vec![Value::map([("x", id.clone())])])
    );
    assert_eq!(field(&saved[1], "self"), id);
    let plain = SaveOptions::default();
    let two = vec![
        Value::map([("_rmx_id", reference("p"))]),
        Value::map([("_rmx_id", reference("p"))]),
    ];
    assert_eq!(code(db.save(two, &plain)), "duplicate_alias");
    let error = db
        .save(
            vec![
                v("{}"),
                Value::map([("a", Value::Array(vec![reference("q")]))]),
            ],
            &plain,
        )
        .expect_err("left over");
    assert_eq!(error.code(), "unresolved_ref");
    assert_eq!(
        error.to_string(),
        "record 1: the temporary ref \"q\" names no record of the batch at .a[0]"
    );
    assert_eq!(
        db.watermark().rsplit('.').next(),
        Some("2"),
        "nothing of a refused batch is there"
    );
    let dangling = Value::map([("a", reference(UNKNOWN))]);
    assert_eq!(
        field(&save_one(&db, dangling, &plain), "a"),
        reference(UNKNOWN)
    );
}

#[test]
fn blobs_become_records_before_their_owner() {
    let db = memory();
    let saved = save(
        &db,
        r#"[{"n":1,"picture":{"_rmx_type":"{tag}blob:image/png","data":{"_rmx_type":"{tag}bin","_rmx_value":"AQI="}}}]"#,
    );
    assert_eq!((saved.len(), saved[0].row()), (1, 1));
    let Value::Ref(id) = field(&saved[0], "picture") else {
        panic!("a ref")
    };
    let blob = db.get_one(id.as_str()).expect("reads").expect("is there");
    assert_eq!(blob.row(), 0);
    assert_eq!(field(&blob, "data"), Value::binary(vec![1, 2]));
    assert_eq!(field(&blob, "_rmx_content_type"), Value::from("image/png"));
    assert_eq!(field(&blob, "_rmx_original_id"), Value::Undefined);
}

#[test]
fn what_cannot_be_stored_is_refused_with_its_place() {
    let db = memory();
    let plain = SaveOptions::default();
    let record = |value: Value| vec![Value::map([("a", Value::map([("b", value)]))])];
    assert_eq!(code(db.save(vec![Value::Int(1)], &plain)), "bad_record");
    let error = db
        .save(record(Value::Handle(1)), &plain)
        .expect_err("a handle");
    assert_eq!(
        (error.code(), error.to_string()),
        (
            "not_storable",
            "record 0: a handle cannot be stored at .a.b".into()
        )
    );
    assert_eq!(error.program_code(), "ERR_NOT_SERIALIZABLE");
    assert_eq!(
        code(db.save(record(Value::Array(vec![Value::Undefined])), &plain)),
        "bad_value"
    );
    let mut deep = Value::Null;
    for _ in 0..126 {
        deep = Value::Array(vec![deep]);
    }
    assert!(db.save(record(deep.clone()), &plain).is_ok());
    assert_eq!(
        code(db.save(record(Value::Array(vec![deep])), &plain)),
        "too_deep"
    );
    assert_eq!(
        code(db.save(vec![Value::map([("k".repeat(1025), Value::Null)])], &plain)),
        "too_large"
    );
    assert_eq!(
        code(db.save(record(Value::binary(vec![0; 17 << 20])), &plain)),
        "too_large"
    );
    let undefined = save_one(&db, record(Value::Undefined).remove(0), &plain);
    assert_eq!(field(&undefined, "a"), Value::map::<&str>([]));
}

#[test]
fn memory_is_limited() {
    let db = Database::in_memory(OpenOptions {
        memory_limit: 1000,
        ..OpenOptions::default()
    })
    .expect("in memory");
    assert!(db.save(vec![v("{}")], &SaveOptions::default()).is_ok());
    assert_eq!(
        code(db.save(
            vec![Value::map([("a", Value::from("x".repeat(1000)))])],
            &SaveOptions::default()
        )),
        "db_full"
    );
}

#[test]
fn files_are_read_again() {
    let folder = tempfile::tempdir().expect("scratch");
    let open = |options: OpenOptions| Database::open(folder.path(), options);
    let options = || OpenOptions {
        name: Some("movies".into()),
        ..OpenOptions::default()
    };
    let db = open(options()).expect("new");
    let first = save(&db, r#"[{"a":1},{"a":2}]"#);
    assert_eq!(open(options()).expect_err("one writer").code(), "db_locked");
    let reader = open(OpenOptions {
        read_only: true,
        ..options()
    })
    .expect("readers take no lock");
    assert_eq!(reader.view().rows(0, 10).expect("rows"), vec![0, 1]);
    assert_eq!(
        code(reader.save(vec![v("{}")], &SaveOptions::default())),
        "read_only"
    );
    let generation = db.watermark();
    drop(db);

    let db = open(options()).expect("from the log");
    assert_eq!(db.watermark(), generation);
    let id = first[0].id().expect("id");
    assert_eq!(
        db.get_one(id.as_str()).expect("reads").as_ref(),
        Some(&first[0])
    );
    db.flush().expect("checkpoint");
    save(&db, r#"[{"a":3}]"#);
    drop(db);

    let db = open(options()).expect("from data files and log");
    assert_eq!(db.view().rows(0, 10).expect("rows"), vec![0, 1, 2]);
    assert_eq!(
        db.get_one(id.as_str()).expect("reads").as_ref(),
        Some(&first[0])
    );
    db.delete(std::slice::from_ref(&id), "x").expect("deletes");
    db.close().expect("checkpoint");
    let db = open(options()).expect("from data files");
    assert_eq!(db.view().rows(0, 10).expect("rows"), vec![1, 2]);
    drop(db);
    assert_eq!(
        open(OpenOptions {
            name: Some("other".into()),
            ..options()
        })
        .expect_err("other name")
        .code(),
        "name_mismatch"
    );
    let empty = tempfile::tempdir().expect("scratch");
    let missing = OpenOptions {
        create: false,
        ..OpenOptions::default()
    };
    assert_eq!(
        Database::open(empty.path(), missing)
            .expect_err("missing")
            .code(),
        "no_such_db"
    );
}

#[test]
fn flags_set_by_hand_last() {
    let folder = tempfile::tempdir().expect("scratch");
    let open = || Database::open(folder.path(), OpenOptions::default()).expect("opens");
    let db = open();
    let first = save(&db, r#"[{"a":1},{"a":2},{"a":3}]"#);
    let watermark = AsOf::Watermark(db.watermark());
    db.set_flags(&[(0, true)], &[(1, true)])
        .expect("sets flags");
    assert_eq!(
        db.set_flags(&[(9, true)], &[])
            .expect_err("no such row")
            .code(),
        "bad_value"
    );
    let check = |db: &Database| {
        assert_eq!(db.view().rows(0, 10).expect("rows"), vec![2]);
        assert_eq!(
            db.view().including(true, true).rows(0, 10).expect("rows"),
            vec![0, 1, 2]
        );
        assert_eq!(
            db.get_one(first[1].id().expect("id").as_str())
                .expect("reads"),
            None
        );
        let past = db.view().as_of(&watermark).expect("own watermark");
        assert_eq!(
            past.rows(0, 10).expect("rows"),
            vec![0, 1, 2],
            "the past is not touched"
        );
    };
    check(&db);
    drop(db);
    let db = open();
    check(&db);
    db.flush().expect("writes the flags file");
    save(&db, r#"[{"a":4}]"#);
    drop(db);
    let db = open();
    assert_eq!(db.view().rows(0, 10).expect("rows"), vec![2, 3]);
    db.set_flags(&[(0, false)], &[(1, false)])
        .expect("clears flags");
    db.flush().expect("writes the flags file");
    drop(db);
    assert_eq!(open().view().rows(0, 10).expect("rows"), vec![0, 1, 2, 3]);
    let flags: Vec<_> = std::fs::read_dir(folder.path().join("v2"))
        .expect("lists")
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| name.starts_with("flags-"))
        .collect();
    std::fs::write(
        folder
            .path()
            .join("v2")
            .join(flags.last().expect("a flags file")),
        b"broken",
    )
    .expect("writes");
    let db = open();
    assert_eq!(
        db.view().rows(0, 10).expect("rows"),
        vec![0, 1, 2, 3],
        "derived"
    );
}

#[test]
fn moments_of_the_past_by_time() {
    let db = memory();
    let first = save(&db, r#"[{"a":1}]"#).remove(0);
    std::thread::sleep(std::time::Duration::from_millis(5));
    save(&db, r#"[{"a":2}]"#);
    let moment = AsOf::from_value(&field(&first, "_rmx_created_at")).expect("a time");
    assert_eq!(
        db.view()
            .as_of(&moment)
            .expect("a time")
            .rows(0, 10)
            .expect("rows"),
        vec![0]
    );
    assert_eq!(
        AsOf::from_value(&Value::Int(3)).expect("a count"),
        AsOf::Rows(3)
    );
    assert!(AsOf::from_value(&Value::from("yesterday")).is_err());
    assert!(AsOf::from_value(&Value::Int(-1)).is_err());
}
