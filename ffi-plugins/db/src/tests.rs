//! The functions on session databases, which need no folder.

use std::future::Future;
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use mix_plugin_sdk::mix_value::{Ref, escjson, msgpack};
use mix_plugin_sdk::{Caller, Encoded, Failure, IntoValue, Map, Value};

use crate::draft::Input;
use crate::id::Id;
use crate::session::{Session, Waiting};
use crate::{http, parts, querying, reading, writing};

/// None of the functions under test waits for anything.
fn now<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(result) => result,
        Poll::Pending => panic!("the function waits"),
    }
}

fn v(text: &str) -> Value {
    escjson::parse(text).expect(text)
}

fn session() -> Rc<Session> {
    Rc::new(Session::open(Caller {
        user: "ada@example.com".into(),
        ..Caller::default()
    }))
}

fn database() -> Value {
    v(r#"{"type":"rmx","scope":"session","db":"s"}"#)
}

fn decoded(result: Result<impl IntoValue, Failure>) -> Value {
    let Encoded(bytes) = result.encode().expect("succeeds");
    msgpack::decode(&bytes).expect("decodes")
}

fn map(text: &str) -> Map {
    match v(text) {
        Value::Map(map) => map,
        other => panic!("{other:?} is no map"),
    }
}

/// The code that programs see and that of the store.
fn codes<T: std::fmt::Debug>(result: Result<T, Failure>) -> (String, String) {
    let failure = result.expect_err("fails");
    let detail = failure
        .detail
        .as_ref()
        .and_then(|detail| detail.get("code"))
        .and_then(Value::as_str);
    (
        failure.code.to_string(),
        detail.unwrap_or_default().to_owned(),
    )
}

fn pair(program: &str, store: &str) -> (String, String) {
    (program.to_owned(), store.to_owned())
}

#[test]
fn records_are_saved_read_and_deleted() {
    let session = session();
    let saved = decoded(now(writing::save_one(
        session.clone(),
        database(),
        v(r#"{"a":1}"#).into(),
    )));
    assert_eq!(
        saved.get("_rmx_created_by"),
        Some(&Value::from("ada@example.com"))
    );
    let id = saved.get("_rmx_id").cloned().expect("an id");
    let text = Value::from(id.as_ref_value().expect("a ref").as_str());
    for id in [id.clone(), text] {
        assert_eq!(
            decoded(now(reading::get_one(
                session.clone(),
                database(),
                id.into()
            ))),
            saved
        );
    }
    let patch = Value::map([("_rmx_id", id.clone()), ("b", Value::Int(2))]);
    let upserted = decoded(now(writing::upsert_records(
        session.clone(),
        database(),
        vec![patch.into()],
    )));
    let upserted = &upserted.as_array().expect("an array")[0];
    assert_eq!(
        (upserted.get("a"), upserted.get("b")),
        (Some(&Value::Int(1)), Some(&Value::Int(2)))
    );
    let missing = Value::Ref(Ref::new("aB3dE5gH7jK9mN1pQ3sT5vW7yZ9bC1dF").expect("ref"));
    let both = decoded(now(reading::get_many(
        session.clone(),
        database(),
        vec![missing.clone().into(), id.clone().into()],
    )));
    assert_eq!(
        both.as_array().map(|both| (&both[0], &both[1])),
        Some((&Value::Null, upserted))
    );
    let deleted = now(writing::delete_refs(
        session.clone(),
        database(),
        vec![missing.clone(), id.clone()],
    ));
    assert_eq!(deleted.expect("deletes"), vec![id.clone()]);
    assert_eq!(
        decoded(now(writing::delete_one(
            session.clone(),
            database(),
            id.clone()
        ))),
        Value::Map(Map::new())
    );
    assert_eq!(
        decoded(now(reading::get_one(
            session.clone(),
            database(),
            id.clone().into()
        ))),
        Value::Null
    );
    let text = id.as_ref_value().expect("a ref").to_string();
    assert_eq!(
        codes(now(http::get(session.clone(), database(), text))),
        pair("ERR_NOT_FOUND", "deleted")
    );
    assert_eq!(
        codes(now(http::delete(session.clone(), database(), missing))),
        pair("ERR_NOT_FOUND", "not_found")
    );
    let watermark = now(reading::watermark(session.clone(), database())).expect("a watermark");
    assert!(watermark.ends_with(".3"));
    // Another run has a database of its own under the same name.
    let other = now(reading::watermark(self::session(), database())).expect("a watermark");
    assert!(other.ends_with(".0"));
}

#[test]
fn failures_have_the_codes_of_the_store_and_of_programs() {
    let session = session();
    let get = |database: &str, id: Value| {
        codes(now(reading::get_one(
            session.clone(),
            v(database),
            id.into(),
        )))
    };
    let id = || Value::from("x");
    for database in [
        "1",
        "{}",
        r#"{"type":"other"}"#,
        r#"{"type":"rmx","scope":"elsewhere"}"#,
        r#"{"type":"rmx","scope":"session"}"#,
        r#"{"type":"rmx","scope":"session","db":""}"#,
        r#"{"type":"rmx","scope":"session","db":"s","more":1}"#,
        r#"{"type":"rmx","scope":"session","db":"s","options":1}"#,
        r#"{"type":"rmx","scope":"session","db":"s","asOf":true}"#,
        r#"{"type":"rmx","scope":"global","db":"../x"}"#,
        r#"{"type":"minidb"}"#,
    ] {
        assert_eq!(get(database, id()), pair("ERR_DB", "bad_db"), "{database}");
    }
    assert_eq!(
        get(r#"{"type":"rmx_remote","url":"https://x","db":"y"}"#, id()).0,
        "ERR_UNSUPPORTED"
    );
    let options = r#"{"type":"rmx","scope":"session","db":"s","options":["Nope"]}"#;
    assert_eq!(get(options, id()), pair("ERR_DB", "bad_option"));
    for bad in [Value::Null, Value::from(""), Value::Int(1)] {
        assert_eq!(
            codes(now(reading::get_one(
                session.clone(),
                database(),
                bad.into()
            ))),
            pair("ERR_EXPECTED_REF", "expected_ref")
        );
    }
    let save = |database: &str, record: Value| {
        codes(now(writing::save_one(
            session.clone(),
            v(database),
            record.into(),
        )))
    };
    let past = r#"{"type":"rmx","scope":"session","db":"s","asOf":0}"#;
    assert_eq!(save(past, v("{}")), pair("ERR_DB", "read_only"));
    let plain = r#"{"type":"rmx","scope":"session","db":"s"}"#;
    assert_eq!(
        save(plain, Value::Int(1)),
        pair("ERR_EXPECTED_MAP", "bad_record")
    );
    assert_eq!(
        save(plain, Value::map([("a", Value::Handle(1))])),
        pair("ERR_NOT_SERIALIZABLE", "not_storable")
    );
    assert_eq!(
        save(plain, Value::map([("a", Value::binary(vec![0; 17 << 20]))])),
        pair("ERR_TOO_LARGE", "too_large")
    );
    let failure =
        querying::parse(&session, Value::Null, "a == b".into(), false).expect_err("a bare word");
    assert_eq!(failure.code, "ERR_QUERY");
    assert!(
        failure.message.starts_with("query_syntax: "),
        "{}",
        failure.message
    );
    let detail = failure.detail.expect("details");
    assert_eq!(
        (detail.get("code"), detail.get("offset")),
        (Some(&Value::from("query_syntax")), Some(&Value::Int(5)))
    );
    assert_eq!(
        querying::parse(&session, Value::Null, "a == 1 | count()".into(), true)
            .expect_err("two")
            .code,
        "ERR_QUERY"
    );
}

#[test]
fn endpoints_get_their_shapes() {
    let session = session();
    let save = |request: &str| decoded(now(http::save(session.clone(), database(), map(request))));
    let saved = save(
        r#"{"records":[{"n":1},{"n":2},{"n":3}],"op":"save","projection":[["object",[["assignMember","n","n"]]]]}"#,
    );
    assert_eq!(
        saved.get("records"),
        Some(&v(r#"[{"n":1},{"n":2},{"n":3}]"#))
    );
    let ids = save(r#"{"records":[{"n":4}],"want":"ids"}"#);
    let ids = ids
        .get("ids")
        .and_then(Value::as_array)
        .expect("ids")
        .to_vec();
    let request = Map::from([
        ("records".into(), Value::Array(ids)),
        ("op".into(), Value::from("delete")),
        ("want".into(), Value::from("none")),
    ]);
    let deleted = decoded(now(http::save(session.clone(), database(), request)));
    assert_eq!(
        deleted
            .as_map()
            .map(|map| map.keys().map(|key| key.to_string()).collect::<Vec<_>>()),
        Some(vec!["watermark".to_owned()])
    );
    // What is not there is an empty map in its place, and no id.
    let unknown = "0".repeat(32);
    for (want, expected) in [
        (r#""want":"ids""#, r#"{"ids":[]}"#),
        (r#""want":"records""#, r#"{"records":[{},{}]}"#),
        (
            r#""projection":[["object",[["assignMember","n",["token","n"],7]]]]"#,
            r#"{"records":[{},{}]}"#,
        ),
    ] {
        let before = now(http::stat(session.clone(), database())).expect("numbers");
        let mut answer = save(&format!(
            r#"{{"records":["{unknown}","{unknown}"],"op":"delete",{want}}}"#
        ));
        let Value::Map(members) = &mut answer else {
            panic!("no map")
        };
        assert_eq!(
            members.remove("watermark").as_ref(),
            before.get("watermark")
        );
        assert_eq!(answer, v(expected));
    }
    let mixed = save(r#"{"records":[{"n":8},{"n":9}],"want":"ids"}"#);
    let Some([first, second]) = mixed.get("ids").and_then(Value::as_array) else {
        panic!("no ids")
    };
    let request = Map::from([
        (
            "records".into(),
            Value::Array(vec![
                Value::from(&*unknown),
                first.clone(),
                Value::from(&*unknown),
                second.clone(),
                second.clone(),
            ]),
        ),
        ("op".into(), Value::from("delete")),
        (
            "projection".into(),
            v(r#"[["object",[["assignMember","n","n"]]]]"#),
        ),
    ]);
    let deleted = decoded(now(http::save(session.clone(), database(), request)));
    assert_eq!(
        deleted.get("records"),
        Some(&v(r#"[{},{"n":8},{},{"n":9},{}]"#))
    );
    let query =
        |request: &str| decoded(now(http::query(session.clone(), database(), map(request))));
    let found = query(r#"{"query":"n >= $min | orderDesc(n) | {n}","params":{"min":2},"limit":5}"#);
    assert_eq!(found.get("rows"), Some(&v(r#"[{"n":3},{"n":2}]"#)));
    assert_eq!(
        query("{}")
            .get("rows")
            .and_then(Value::as_array)
            .map(<[Value]>::len),
        Some(3)
    );
    let plan = query(r#"{"query":"n == 2 and n > 1","explain":true}"#);
    assert_eq!(plan.get("sure"), Some(&Value::Int(1)));
    assert_eq!(plan.get("read"), Some(&Value::Int(0)));
    let parsed = now(http::parse(
        session.clone(),
        database(),
        map(r#"{"query":"n >= $min"}"#),
    ))
    .expect("parses");
    assert_eq!(parsed.get("params"), Some(&v(r#"["min"]"#)));
    let missing = now(http::query(
        session.clone(),
        database(),
        map(r#"{"query":"n >= $min"}"#),
    ));
    assert_eq!(codes(missing), pair("ERR_QUERY", "missing_param"));
    for bad in [
        r#"{"records":1}"#,
        r#"{"records":[],"op":"drop"}"#,
        r#"{"records":[],"want":"all"}"#,
    ] {
        assert_eq!(
            codes(now(http::save(session.clone(), database(), map(bad)))),
            pair("ERR_DB", "bad_value")
        );
    }
    let stat = now(http::stat(session.clone(), database())).expect("numbers");
    assert_eq!(
        (stat.get("rows"), stat.get("live")),
        (Some(&Value::Int(9)), Some(&Value::Int(3)))
    );
    let check = now(http::check(session.clone(), database())).expect("a report");
    assert_eq!(check.get("ok"), Some(&Value::Bool(true)));
}

#[test]
fn waiting_ends_with_the_run() {
    let running = session();
    let waiting = [Waiting::new(running.clone()), Waiting::new(running.clone())];
    assert!(!waiting[0].is_orphaned());
    assert!(!waiting[0].is_late());
    drop(running);
    assert!(waiting[0].is_orphaned());
    let late = Rc::new(Session::open(Caller {
        deadline: 1,
        ..Caller::default()
    }));
    assert!(Waiting::new(late).is_late());
}

fn titles(count: i64) -> Vec<Input> {
    let record = |number| Value::map([("n", Value::Int(number)), ("kind", Value::from("t"))]);
    (0..count).map(record).map(Input::from).collect()
}

#[test]
fn what_is_at_hand_has_a_short_way() {
    let session = session();
    let saved = now(writing::save_refs(
        session.clone(),
        database(),
        titles(1_500),
    ));
    let ids = saved.expect("saves");
    let one = decoded(reading::get_one_at_once(
        &session,
        database(),
        ids[7].clone().into(),
    ));
    assert_eq!(one.get("n"), Some(&Value::Int(7)));
    let absent = Value::from("x".repeat(32));
    let both = reading::get_many_at_once(
        &session,
        database(),
        vec![ids[8].clone().into(), absent.into()],
    );
    let both = decoded(both);
    let both = both.as_array().expect("records");
    assert_eq!(both[0].get("n"), Some(&Value::Int(8)));
    assert_eq!(both[1], Value::Null);
    assert_eq!(
        reading::watermark_at_once(&session, database()),
        now(reading::watermark(session.clone(), database()))
    );
    let error = reading::get_one_at_once(&session, database(), Id::from(Value::from("")));
    assert_eq!(codes(error), pair("ERR_EXPECTED_REF", "expected_ref"));
}

/// The items of a part, and the mark before them.
fn part(answer: Result<impl IntoValue, Failure>) -> (Vec<Value>, Option<i64>) {
    let Value::Array(mut items) = decoded(answer) else {
        panic!("a part is an array");
    };
    match items.remove(0) {
        Value::Int(mark) => (items, Some(mark)),
        Value::Null => (items, None),
        other => panic!("{other:?} is no mark"),
    }
}

fn clauses(text: &str) -> Vec<Value> {
    match v(text) {
        Value::Array(clauses) => clauses,
        other => panic!("{other:?} are no clauses"),
    }
}

const OF_KIND: &str = r#"[["comparison","==","kind","t"],["token","n"]]"#;

#[test]
fn a_query_in_parts_gives_all_rows_once() {
    for count in [0, 1, 199, 200, 201, 1_200, 1_999, 2_000, 2_001, 5_000] {
        let session = session();
        if count > 0 {
            now(writing::save_refs(
                session.clone(),
                database(),
                titles(count),
            ))
            .expect("saves");
        }
        let expected: Vec<Value> = (0..count).map(Value::Int).collect();
        for at_once in [true, false] {
            let first = match at_once {
                true => parts::first_at_once(&session, database(), clauses(OF_KIND), Map::new()),
                false => now(parts::first(
                    session.clone(),
                    database(),
                    clauses(OF_KIND),
                    Map::new(),
                )),
            };
            let (mut rows, mut mark) = part(first);
            assert!(rows.len() <= 200, "who wants a few rows pays for few");
            // What is committed meanwhile is of another moment.
            let late = v(r#"{"kind":"t","n":-1}"#);
            let late = decoded(now(writing::save_one(
                session.clone(),
                database(),
                late.into(),
            )));
            while let Some(asked) = mark {
                let next = match at_once {
                    true => parts::next_at_once(&session, database(), asked, 1_000),
                    false => now(parts::next(session.clone(), database(), asked, 1_000)),
                };
                let (more, then) = part(next);
                assert!(more.len() <= 1_000);
                rows.extend(more);
                mark = then;
            }
            assert_eq!(rows, expected);
            assert_eq!(
                session.queries.len(),
                0,
                "a query that is read is no longer kept"
            );
            let id = late.get("_rmx_id").cloned().expect("an id");
            now(writing::delete_one(session.clone(), database(), id)).expect("deletes");
        }
    }
}

#[test]
fn a_part_ends_where_its_bytes_are_many() {
    let session = session();
    let text = "x".repeat(300_000);
    let record = |_| Value::map([("kind", Value::from("t")), ("text", Value::from(&*text))]);
    let large = (0..20).map(record).map(Input::from).collect();
    now(writing::save_refs(session.clone(), database(), large)).expect("saves");
    let ask = clauses(r#"[["comparison","==","kind","t"]]"#);
    let (mut rows, mut mark) = part(parts::first_at_once(&session, database(), ask, Map::new()));
    assert!(rows.len() < 5, "{} records of 300 kB in a part", rows.len());
    while let Some(asked) = mark {
        let (more, then) = part(parts::next_at_once(&session, database(), asked, 2_000));
        assert!((1..5).contains(&more.len()));
        rows.extend(more);
        mark = then;
    }
    assert_eq!(rows.len(), 20);
}

#[test]
fn a_query_that_is_left_is_dropped() {
    let session = session();
    now(writing::save_refs(
        session.clone(),
        database(),
        titles(3_000),
    ))
    .expect("saves");
    let begin = || parts::first_at_once(&session, database(), clauses(OF_KIND), Map::new());
    let marks: Vec<i64> = (0..100).filter_map(|_| part(begin()).1).collect();
    assert_eq!((marks.len(), session.queries.len()), (100, 100));
    // One more is answered as a stream, which keeps nothing here.
    assert_eq!(begin().expect_err("too many").code, "ERR_WAITS");
    let started = parts::first(session.clone(), database(), clauses(OF_KIND), Map::new());
    assert_eq!(now(started).expect_err("too many").code, "ERR_WAITS");
    let (none, mark) = part(parts::next_at_once(&session, database(), marks[0], 0));
    assert_eq!((none.len(), mark, session.queries.len()), (0, None, 99));
    let (_, mark) = part(begin());
    assert!(mark.is_some_and(|mark| mark == marks[0] || !marks.contains(&mark)));
    for wrong in [marks[0], -1, 1 << 40] {
        let left = Some(wrong).filter(|wrong| Some(*wrong) != mark);
        let Some(left) = left else { continue };
        let error = parts::next_at_once(&session, database(), left, 10);
        assert_eq!(error.expect_err("has ended").code, "ERR_CANCELED");
        // To leave what is left is nothing wrong.
        part(now(parts::next(session.clone(), database(), left, 0)));
    }
    // A run that ends leaves everything.
    let weak = Rc::downgrade(&session);
    drop(session);
    assert!(weak.upgrade().is_none());
}

#[test]
fn a_query_that_fails_on_the_way_gives_the_parts_before() {
    let session = session();
    now(writing::save_refs(session.clone(), database(), titles(250))).expect("saves");
    // More than 16 records one behind the other.
    let id = |number: usize| Value::Ref(Ref::new(&format!("{number:032}")).expect("a ref"));
    let chain = (0..20).map(|number| {
        let next = Value::map([("_rmx_id", id(number)), ("next", id(number + 1))]);
        now(writing::save_one(session.clone(), database(), next.into())).expect("saves")
    });
    assert_eq!(chain.count(), 20);
    let expand = || clauses(r#"[["object",[["cloneMembersWithExpansion"]]]]"#);
    let (rows, mark) = part(parts::first_at_once(
        &session,
        database(),
        expand(),
        Map::new(),
    ));
    let (mut rows, mut mark) = (rows.len(), mark.expect("a mark"));
    let failed = loop {
        let next = parts::next_at_once(&session, database(), mark, 1_000);
        if next.is_err() {
            break next;
        }
        let (more, then) = part(next);
        (rows, mark) = (rows + more.len(), then.expect("a mark"));
    };
    assert_eq!(rows, 200, "those of the batches before");
    assert_eq!(codes(failed), pair("ERR_QUERY", "expansion_limit"));
    assert_eq!(session.queries.len(), 0);
    // Where there are no rows before, the stream says what failed when it is read.
    let mut failing = expand();
    failing.insert(0, v(r#"["exists","next"]"#));
    let failed = parts::first_at_once(&session, database(), failing, Map::new());
    assert_eq!(failed.expect_err("fails").code, "ERR_WAITS");
    // What is wrong with a query is said at once.
    let wrong = clauses(r#"[["invoke","skip",[-1]]]"#);
    let wrong = parts::first_at_once(&session, database(), wrong, Map::new());
    assert_eq!(codes(wrong), pair("ERR_QUERY", "query_type"));
}
