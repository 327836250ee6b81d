//! Long answers of the record store through its component, beside those of the store itself.

use anyhow::{Result, bail};
use mix_component_tests::{Answer, Encoded, Family, Surroundings, guest};
use mix_store::query::{Pipeline, QueryOptions};
use mix_store::{Database, OpenOptions, SaveOptions};
use mix_value::{Map, Value, msgpack};

fn titles(from: usize, to: usize) -> Vec<Value> {
    let record = |number: usize| {
        let number = Value::Int(i64::try_from(number).unwrap_or_default());
        Value::map([("kind", Value::from("t")), ("n", number)])
    };
    (from..to).map(record).collect()
}

fn arguments(pipeline: &Pipeline) -> Vec<Value> {
    vec![Value::Null, pipeline.to_value(), Value::Map(Map::new())]
}

/// What the store answers, as bytes.
fn expected(database: &Database, pipeline: &Pipeline) -> Result<Vec<Vec<u8>>> {
    let mut execution = database.query(pipeline, &QueryOptions::default())?;
    let mut rows = Vec::new();
    loop {
        let batch = execution.next_batch(100)?;
        if batch.is_empty() {
            return Ok(rows);
        }
        for item in batch {
            rows.push(item.into_bytes()?.to_vec());
        }
    }
}

/// The items of a part, as bytes.
fn items(part: &[u8]) -> Result<Vec<Vec<u8>>> {
    let Some((count, at)) = msgpack::array_start(part)? else {
        bail!("no array");
    };
    let mut rest = &part[at..];
    let mut items = Vec::new();
    for _ in 0..count {
        let (item, more) = rest.split_at(msgpack::skip(rest)?);
        items.push(item.to_vec());
        rest = more;
    }
    // The mark.
    items.remove(0);
    Ok(items)
}

#[tokio::test]
async fn long_answers_are_those_of_the_store() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let surroundings = Surroundings {
        folders: &[(folder.path(), "/app")],
        own_thread: true,
        ..Surroundings::default()
    };
    let pipeline = Pipeline::parse("kind == \"t\"")?;
    let mut saved = 0;
    for count in [1, 1_999, 2_000, 2_001, 50_000] {
        let database = Database::open(folder.path(), OpenOptions::default())?;
        for batch in titles(saved, count).chunks(10_000) {
            database.save(batch.to_vec(), &SaveOptions::default())?;
        }
        saved = count;
        let expected = expected(&database, &pipeline)?;
        assert_eq!(expected.len(), count);
        database.close()?;
        let bytes = guest("mix_plugin_db");
        let mut in_place = Family::in_place(&bytes, &surroundings).await?;
        in_place.bind("shop", "ada").await?;
        let args = msgpack::encode(&Value::Array(arguments(&pipeline)))?;
        let call = (in_place.number("$db_fromAST_result")?, args);
        // The first call opens the database, which takes a task; the second one takes none.
        for _ in 0..2 {
            let mut found = Vec::new();
            let mut parts = 0;
            let visit = |answer| {
                let Encoded::Part(part) = answer else {
                    bail!("{answer:?} is no part");
                };
                assert!(part.len() < 300 << 10, "a part has a limit");
                parts += 1;
                found.extend(items(&part)?);
                Ok(())
            };
            in_place.start_in_turn(vec![call.clone()], visit).await?;
            assert!(found == expected, "{count}: {} items", found.len());
            assert_eq!(parts > 1, count > 200, "{count}: {parts} parts");
        }
        // As a stream, for those who know no parts.
        let args = arguments(&pipeline);
        let stream = in_place.start("$db_fromAST_result", &args, usize::MAX);
        let Ok(Answer::Many(rows)) = stream.await? else {
            panic!("no stream");
        };
        assert_eq!(rows.len(), count);
    }
    Ok(())
}

/// The mark of the first part of a query, if more follow.
async fn begin(db: &mut Family, pipeline: &Pipeline) -> Result<Result<Value, String>> {
    let args = arguments(pipeline);
    Ok(match db.call("$db_fromAST_result>?", &args).await? {
        Ok(Value::Array(items)) => Ok(items[0].clone()),
        Ok(other) => bail!("{other:?} is no part"),
        Err(failure) => Err(failure.code),
    })
}

#[tokio::test]
async fn queries_that_are_left_make_room_for_others() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let surroundings = Surroundings {
        folders: &[(folder.path(), "/app")],
        own_thread: true,
        ..Surroundings::default()
    };
    let mut db = Family::new(&guest("mix_plugin_db"), &surroundings).await?;
    db.bind("shop", "ada").await?;
    let records = Value::Array(titles(0, 3_000));
    let saved = db.start("$db_save_a", &[Value::Null, records], 0).await?;
    assert!(saved.is_ok());
    let pipeline = Pipeline::parse("kind == \"t\"")?;
    let mut marks = Vec::new();
    let refused = loop {
        match begin(&mut db, &pipeline).await? {
            Ok(mark) => marks.push(mark),
            Err(code) => break code,
        }
    };
    assert_eq!((refused.as_str(), marks.len()), ("ERR_WAITS", 100));
    let rest = |mark: &Value, most: i64| [Value::Null, mark.clone(), Value::Int(most)];
    for mark in &marks {
        let left = db.call("$db_fromAST_result>>?", &rest(mark, 0)).await?;
        assert_eq!(left.ok(), Some(Value::Array(vec![Value::Null])));
    }
    let mark = begin(&mut db, &pipeline).await?.expect("there is room");
    let gone = db
        .call("$db_fromAST_result>>?", &rest(&marks[7], 10))
        .await?;
    assert_eq!(gone.expect_err("it was left").code, "ERR_CANCELED");
    let next = db.call("$db_fromAST_result>>?", &rest(&mark, 10)).await?;
    let Ok(Value::Array(next)) = next else {
        panic!("{next:?} is no part");
    };
    assert_eq!(next.len(), 11);
    assert_eq!(next[1].get("n"), Some(&Value::Int(200)));
    // Another user of the instance has queries of his own.
    db.bind("shop", "bob").await?;
    let of_other = db.call("$db_fromAST_result>>?", &rest(&mark, 10)).await?;
    assert_eq!(of_other.expect_err("not his").code, "ERR_CANCELED");
    Ok(())
}
