//! Records by id, and watermarks.

use std::rc::Rc;
use std::time::Duration;

use mix_plugin_sdk::{Encoded, Failure, Value, sleep};
use mix_store::id_argument;

use crate::answers::{NULL, array, record_or_null};
use crate::databases::resolve;
use crate::failures::failure;
use crate::session::{Session, Waiting};

/// How often a waiting run looks for commits.
const POLL: Duration = Duration::from_millis(50);

pub(crate) async fn get_one(
    session: Rc<Session>,
    database: Value,
    id: Value,
) -> Result<Encoded, Failure> {
    let id = id_argument(&id).map_err(failure)?;
    let view = resolve(&session, &database)?.view()?;
    record_or_null(view.get(id.as_str()).map_err(failure)?)
}

pub(crate) async fn get_many(
    session: Rc<Session>,
    database: Value,
    ids: Vec<Value>,
) -> Result<Encoded, Failure> {
    let view = resolve(&session, &database)?.view()?;
    let mut found = Vec::with_capacity(ids.len());
    for id in &ids {
        let id = id_argument(id).map_err(failure)?;
        found.push(view.get(id.as_str()).map_err(failure)?);
    }
    array(
        found
            .iter()
            .map(|record| record.as_ref().map_or(NULL, |record| &**record.encoded())),
    )
}

pub(crate) async fn watermark(session: Rc<Session>, database: Value) -> Result<String, Failure> {
    Ok(resolve(&session, &database)?.view()?.watermark())
}

/// Also sees the commits of other processes: each look reads what they wrote.
pub(crate) async fn wait_change(
    session: Rc<Session>,
    database: Value,
    watermark: String,
    other_sessions: bool,
) -> Result<String, Failure> {
    // Every commit counts: a session cannot tell its own from those of others afterwards.
    let _ = other_sessions;
    let target = resolve(&session, &database)?;
    let waiting = Waiting::new(session);
    loop {
        if waiting.is_orphaned() {
            return Err(Failure::new("ERR_CANCELED", "the run is over"));
        }
        if waiting.is_late() {
            return Err(Failure::new(
                "ERR_TIMEOUT",
                "the run has no time left to wait for a change",
            ));
        }
        target.database.refresh().map_err(failure)?;
        let now = target.database.watermark();
        if now != watermark {
            return Ok(now);
        }
        sleep(POLL).await;
    }
}
