//! Queries as JSON trees over records: what is written is read as the same, and the index
//! changes no result.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mix_fuzz::tree::Choices;
use mix_store::query::{Execution, Pipeline, PreparedQuery, QueryError, QueryOptions};
use mix_store::{Database, OpenOptions, SaveOptions, StoreError, View};
use mix_value::{Value, escjson, msgpack};

/// The results in their wire form, or the code of the error that the query ends with.
fn results(execution: Result<Execution<View>, StoreError>) -> Result<Vec<Vec<u8>>, &'static str> {
    let values = execution.and_then(Execution::collect_values);
    let values = values.map_err(|error| error.code())?;
    let encoded = values.iter().map(msgpack::encode).collect::<Result<_, _>>();
    Ok(encoded.expect("results can be sent"))
}

/// Whether only the plain evaluation ended, at a bound of what it may use. It evaluates every
/// part of a filter for every row; the index decides rows without, so it may get further than
/// the bound lets the plain evaluation. It never gets less far.
fn plain_reached_a_bound<T>(indexed: &Result<T, &str>, plain: &Result<T, &str>) -> bool {
    indexed.is_ok() && matches!(plain, Err("result_too_large"))
}

fn prepare(pipeline: &Pipeline, options: &QueryOptions) -> Result<PreparedQuery, QueryError> {
    PreparedQuery::new(pipeline, options)
}

fuzz_target!(|bytes: &[u8]| {
    let mut choices = Choices(bytes);
    let tree = choices.pipeline();
    let Ok(pipeline) = Pipeline::from_value(&tree) else {
        return;
    };
    let written = pipeline.to_value();
    let again = Pipeline::from_value(&written).expect("a query that was written can be read");
    assert_eq!(again.to_value(), written);
    let text = escjson::format(&written).expect("a query has a text");
    let read = escjson::parse(&text).expect("which can be read");
    let again = Pipeline::from_value(&read).expect("as a query");
    // Floats without a fraction are written like ints.
    let twice = escjson::format(&again.to_value());
    assert_eq!(twice.as_ref(), Ok(&text));

    let options = QueryOptions {
        params: [("p".into(), Value::Int(1))].into_iter().collect(),
        max_bytes: 8 << 20,
        ..QueryOptions::default()
    };
    let records: Vec<Value> = (0..choices.count())
        .map(|number| choices.record(number))
        .collect();
    let db = Database::in_memory(OpenOptions::default()).expect("a database in memory");
    if db.save(records, &SaveOptions::default()).is_err() {
        return;
    }
    let view = db.view();
    let stored: Vec<Value> = view
        .rows(0, usize::MAX)
        .expect("rows")
        .into_iter()
        .map(|row| view.record(row).and_then(|record| record.value()))
        .collect::<Result<_, _>>()
        .expect("records");
    let indexed = results(db.query(&pipeline, &options));
    let plain = prepare(&pipeline, &options)
        .map_err(StoreError::from)
        .and_then(|query| query.run_over(stored, view.clone(), &options));
    let plain = results(plain);
    if !plain_reached_a_bound(&indexed, &plain) {
        assert_eq!(indexed, plain, "{text}");
    }
    let _ = view.explain(&pipeline, &options);
});
