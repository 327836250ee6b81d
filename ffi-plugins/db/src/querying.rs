//! Queries as programs run them.

use std::rc::Rc;
use std::sync::OnceLock;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use mix_plugin_sdk::{Answer, Encoded, Failure, Many, Map, Value, sleep};
use mix_store::query::{DEFAULT_MAX_BYTES, Execution, Pipeline, QueryItem, QueryOptions};
use mix_store::{AsOf, RowBytes, StoreError, View};

use crate::databases::{Target, resolve_to_read};
use crate::failures::failure;
use crate::session::Session;

/// Results computed at a time.
pub(crate) const BATCH: usize = 100;
/// Records looked at before others have their turn: a few milliseconds.
pub(crate) const LOOKS: u64 = 2_000;

/// Options of a query with what the run adds to them.
pub(crate) fn options(session: &Session, map: &Map) -> Result<QueryOptions, Failure> {
    let mut options = QueryOptions::from_map(map).map_err(|error| failure(error.into()))?;
    // Programs say `all` for every version.
    options.include_superseded |= matches!(map.get("all"), Some(Value::Bool(true)));
    options.deadline = deadline(session.who.deadline);
    options.max_bytes = most_bytes();
    Ok(options)
}

/// Memory of a query, and most bytes of its rows in one answer, as the operator says.
pub(crate) fn most_bytes() -> usize {
    static MOST: OnceLock<usize> = OnceLock::new();
    *MOST.get_or_init(|| {
        let said = std::env::var("MIXER_QUERY_MAX_BYTES").ok();
        let said = said.and_then(|bytes| bytes.parse().ok());
        said.unwrap_or(DEFAULT_MAX_BYTES)
    })
}

/// The moment the run ends, on the clock that queries look at.
fn deadline(milliseconds: u64) -> Option<Instant> {
    if milliseconds == 0 {
        return None;
    }
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    let left = Duration::from_millis(milliseconds).saturating_sub(now);
    Instant::now().checked_add(left)
}

/// The view of the moment that the options or the database name.
pub(crate) fn moment(target: &Target, options: &QueryOptions) -> Result<View, Failure> {
    let view = target.view()?;
    match &options.as_of {
        Some(moment) => {
            let moment = AsOf::from_value(moment).map_err(failure)?;
            view.as_of(&moment).map_err(failure)
        }
        None => Ok(view),
    }
}

/// The wire form of a result.
pub(crate) fn encode(item: QueryItem) -> Result<RowBytes, Failure> {
    item.into_bytes()
        .map_err(|error| Failure::new("ERR_TOO_LARGE", error.to_string()))
}

pub(crate) async fn run(
    session: Rc<Session>,
    database: Value,
    clauses: Vec<Value>,
    map: Map,
) -> Result<Answer, Failure> {
    let target = resolve_to_read(&session, &database)?;
    let mut execution = execution(&session, &target, clauses, &map)?;
    Ok(Answer::Many(Many::new(async move |mut sink| {
        loop {
            match next_batch(&mut execution).await {
                Ok(batch) if batch.is_empty() => return,
                Ok(batch) => {
                    let items = batch.iter().map(|row| Encoded(row.to_vec())).collect();
                    if sink.send_all(items).await.is_err() {
                        return;
                    }
                }
                Err(error) => return sink.fail(error).await,
            }
        }
    })))
}

/// A query that is ready to be read.
pub(crate) fn execution(
    session: &Session,
    target: &Target,
    clauses: Vec<Value>,
    map: &Map,
) -> Result<Execution<View>, Failure> {
    let pipeline =
        Pipeline::from_value(&Value::Array(clauses)).map_err(|error| failure(error.into()))?;
    let options = options(session, map)?;
    let view = moment(target, &options)?;
    view.query(&pipeline, &options).map_err(failure)
}

/// The next results, none at the end. A long search lets other runs have their
/// turn now and then.
pub(crate) async fn next_batch(execution: &mut Execution<View>) -> Result<Vec<RowBytes>, Failure> {
    loop {
        let slice = execution.next_slice(BATCH, LOOKS).map_err(failure)?;
        if !slice.items.is_empty() || slice.finished {
            return slice.items.into_iter().map(encode).collect();
        }
        sleep(Duration::ZERO).await;
    }
}

pub(crate) fn parse(
    session: &Rc<Session>,
    database: Value,
    text: String,
    single: bool,
) -> Result<Value, Failure> {
    // Every database has the same language.
    let _ = (session, database);
    let ast = Pipeline::parse(&text)
        .map_err(|error| failure(error.into()))?
        .to_value();
    if !single {
        return Ok(ast);
    }
    match ast {
        Value::Array(mut stages) if stages.len() == 1 => Ok(stages.remove(0)),
        _ => Err(failure(StoreError::BadValue {
            path: String::new(),
            reason: "one clause is expected".into(),
        }))
        .map_err(|error| Failure {
            code: "ERR_QUERY".into(),
            ..error
        }),
    }
}
