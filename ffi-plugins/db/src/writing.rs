//! Saving and deleting.

use std::rc::Rc;

use mix_plugin_sdk::{Failure, Outgoing, Value};
use mix_store::{Database, Record, StoreError, id_argument};

use crate::answers::{EMPTY, records, records_or_empty, refs};
use crate::databases::resolve;
use crate::draft::Input;
use crate::failures::failure;
use crate::session::Session;

/// Writes, after reading the files again if an earlier failure had stopped writing.
pub(crate) fn write<R>(
    database: &Database,
    work: impl FnOnce(&Database) -> Result<R, StoreError>,
) -> Result<R, Failure> {
    if database.has_failed() {
        database.reopen().map_err(failure)?;
    }
    work(database).map_err(failure)
}

fn save(
    session: &Session,
    database: &Value,
    input: Vec<Input>,
    upsert: bool,
) -> Result<Vec<Record>, Failure> {
    let target = resolve(session, database)?;
    let mut options = target.save_options(session);
    options.upsert |= upsert;
    write(target.writable()?, |database| {
        database.save_drafts(input.into_iter().map(|input| input.0), &options)
    })
}

pub(crate) async fn save_one(
    session: Rc<Session>,
    database: Value,
    record: Input,
) -> Result<Outgoing, Failure> {
    let saved = save(&session, &database, vec![record], false)?;
    match saved.first() {
        Some(record) => Ok(Outgoing::of(record.encoded())),
        None => Err(Failure::internal("a save of one record gave none")),
    }
}

pub(crate) async fn save_refs(
    session: Rc<Session>,
    database: Value,
    input: Vec<Input>,
) -> Result<Vec<Value>, Failure> {
    refs(&save(&session, &database, input, false)?)
}

pub(crate) async fn save_records(
    session: Rc<Session>,
    database: Value,
    input: Vec<Input>,
) -> Result<Outgoing, Failure> {
    records(&save(&session, &database, input, false)?)
}

pub(crate) async fn upsert_refs(
    session: Rc<Session>,
    database: Value,
    input: Vec<Input>,
) -> Result<Vec<Value>, Failure> {
    refs(&save(&session, &database, input, true)?)
}

pub(crate) async fn upsert_records(
    session: Rc<Session>,
    database: Value,
    input: Vec<Input>,
) -> Result<Outgoing, Failure> {
    records(&save(&session, &database, input, true)?)
}

/// Deletes and gives the last versions, position by position.
pub(crate) fn delete(
    session: &Session,
    database: &Value,
    ids: &[Value],
) -> Result<Vec<Option<Record>>, Failure> {
    let target = resolve(session, database)?;
    let ids = ids
        .iter()
        .map(id_argument)
        .collect::<Result<Vec<_>, _>>()
        .map_err(failure)?;
    write(target.writable()?, |database| {
        database.delete(&ids, session.actor())
    })
}

pub(crate) async fn delete_one(
    session: Rc<Session>,
    database: Value,
    id: Value,
) -> Result<Outgoing, Failure> {
    let deleted = delete(&session, &database, &[id])?;
    Ok(match deleted.first() {
        Some(Some(record)) => Outgoing::of(record.encoded()),
        _ => Outgoing::of(EMPTY),
    })
}

pub(crate) async fn delete_refs(
    session: Rc<Session>,
    database: Value,
    ids: Vec<Value>,
) -> Result<Vec<Value>, Failure> {
    let deleted: Vec<Record> = delete(&session, &database, &ids)?
        .into_iter()
        .flatten()
        .collect();
    refs(&deleted)
}

pub(crate) async fn delete_records(
    session: Rc<Session>,
    database: Value,
    ids: Vec<Value>,
) -> Result<Outgoing, Failure> {
    records_or_empty(&delete(&session, &database, &ids)?)
}

/// Commits are durable when they return; a flush moves them into the data files.
pub(crate) async fn flush(session: Rc<Session>, database: Value) -> Result<(), Failure> {
    let target = resolve(&session, &database)?;
    write(&target.database, Database::flush)
}

/// A server that has such links puts its own function in this place.
pub(crate) async fn anonymous_link(
    session: Rc<Session>,
    database: Value,
    endpoint: String,
) -> Result<String, Failure> {
    let _ = (session, database, endpoint);
    Err(Failure::unsupported("this host makes no anonymous links"))
}
