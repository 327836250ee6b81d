//! Records by id, and watermarks.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use mix_plugin_sdk::{Failure, Outgoing, Value, sleep};
use mix_store::Subscription;

use crate::answers::{NULL, array, record_or_null};
use crate::databases::{Target, at_hand, resolve, resolve_to_read};
use crate::failures::failure;
use crate::id::Id;
use crate::session::{Session, Waiting};

/// How often a waiting run looks whether another process committed something.
const LOOK_FOR_OTHERS: Duration = Duration::from_millis(50);
/// How often it looks whether it is over, where commits of others cannot come or are rare.
const LOOK: Duration = Duration::from_millis(250);

pub(crate) async fn get_one(
    session: Rc<Session>,
    database: Value,
    id: Id,
) -> Result<Outgoing, Failure> {
    one(&resolve_to_read(&session, &database)?, &id)
}

pub(crate) fn get_one_at_once(
    session: &Rc<Session>,
    database: Value,
    id: Id,
) -> Result<Outgoing, Failure> {
    one(&at_hand(session, &database)?, &id)
}

fn one(target: &Target, id: &Id) -> Result<Outgoing, Failure> {
    Ok(record_or_null(id.with_text(|id| target.get(id))?))
}

pub(crate) async fn get_many(
    session: Rc<Session>,
    database: Value,
    ids: Vec<Id>,
) -> Result<Outgoing, Failure> {
    many(&resolve_to_read(&session, &database)?, &ids)
}

pub(crate) fn get_many_at_once(
    session: &Rc<Session>,
    database: Value,
    ids: Vec<Id>,
) -> Result<Outgoing, Failure> {
    many(&at_hand(session, &database)?, &ids)
}

fn many(target: &Target, ids: &[Id]) -> Result<Outgoing, Failure> {
    let view = target.view()?;
    let mut found = Vec::with_capacity(ids.len());
    for id in ids {
        found.push(id.with_text(|id| view.get(id).map_err(failure))?);
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

pub(crate) fn watermark_at_once(session: &Rc<Session>, database: Value) -> Result<String, Failure> {
    Ok(at_hand(session, &database)?.view()?.watermark())
}

/// Commits of this instance are told at once. Those of other processes are seen when
/// their frames are read, so where others may write the folder is looked at now and then.
pub(crate) async fn wait_change(
    session: Rc<Session>,
    database: Value,
    watermark: String,
    other_sessions: bool,
) -> Result<String, Failure> {
    // Every commit counts: a session cannot tell its own from those of others afterwards.
    let _ = other_sessions;
    let target = resolve(&session, &database)?;
    let patience = if target.database.keeps_others_out() {
        LOOK
    } else {
        LOOK_FOR_OTHERS
    };
    let waiting = Waiting::new(session);
    // Before the first look, so that nothing is missed in between.
    let commits = target.database.subscribe();
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
        commit_within(&commits, patience).await;
    }
}

/// Returns at the next commit, or when the time is over.
async fn commit_within(commits: &Subscription, patience: Duration) {
    let mut over = pin!(sleep(patience));
    poll_fn(|context| match commits.poll_next(context) {
        Poll::Ready(_) => Poll::Ready(()),
        Poll::Pending => over.as_mut().poll(context),
    })
    .await;
}
