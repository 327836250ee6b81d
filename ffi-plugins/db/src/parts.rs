//! The rows of a query, many at a time.
//!
//! The first part of an answer says with which mark the next one is asked for. Between two parts
//! the query rests in its session, so it is executed once and only as far as its rows are wanted.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::time::{Duration, Instant};

use mix_plugin_sdk::{Failure, Map, Outgoing, Value, sleep};
use mix_store::View;
use mix_store::query::{Execution, QueryItem};

use crate::answers::Rows;
use crate::databases::{at_hand, resolve_to_read};
use crate::failures::failure;
use crate::querying::{BATCH, LOOKS, encode, execution};
use crate::session::Session;

/// Most rows of the first part: who wants a few shall not pay for many.
const FIRST: usize = 200;
/// Most rows of a further part.
const MOST: usize = 2_000;
/// Bytes after which a part ends: few enough to stay in the caches of the processor on their way.
const BYTES: usize = 256 << 10;
/// Room that the first part begins with, so that it is seldom moved while it grows.
const FIRST_ROOM: usize = 64 << 10;
/// Room of a further part, with some for the row that ends it.
const ROOM: usize = BYTES + (8 << 10);
/// How long is searched for rows of a part that has some.
const WHILE: Duration = Duration::from_millis(5);
/// Most queries of a session of which more is to be read. Those beyond it answer with a stream.
const MAX_QUERIES: usize = 100;

/// The queries of a session of which more is to be read, by their marks.
#[derive(Default)]
pub(crate) struct Queries {
    /// Nothing in the place of one of which a part is just being read.
    open: RefCell<HashMap<u32, Option<Query>>>,
    last: Cell<u32>,
}

impl std::fmt::Debug for Queries {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Queries")
            .field("open", &self.len())
            .finish_non_exhaustive()
    }
}

impl Queries {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.open.borrow().len()
    }

    /// A mark that no query has.
    fn new_mark(&self) -> Option<u32> {
        let open = self.open.borrow();
        if open.len() >= MAX_QUERIES {
            return None;
        }
        let mut mark = self.last.get();
        loop {
            mark = mark.wrapping_add(1);
            if !open.contains_key(&mark) {
                self.last.set(mark);
                return Some(mark);
            }
        }
    }

    /// Takes a query out to be read; its place is kept.
    fn take(&self, mark: i64) -> Result<Taken<'_>, Failure> {
        let mark = u32::try_from(mark).map_err(|_| ended())?;
        let mut open = self.open.borrow_mut();
        let place = open.get_mut(&mark).ok_or_else(ended)?;
        let query = place.take().ok_or_else(Failure::waits)?;
        Ok(Taken {
            queries: self,
            mark,
            query: Some(query),
        })
    }

    fn remove(&self, mark: i64) {
        let mark = u32::try_from(mark).ok();
        // Dropped after the borrow has ended: what it read is given back to the store.
        let removed = mark.and_then(|mark| self.open.borrow_mut().remove(&mark));
        drop(removed);
    }
}

/// A query that is just being read. Its place is given up with it unless it is put back.
struct Taken<'a> {
    queries: &'a Queries,
    mark: u32,
    query: Option<Query>,
}

impl Taken<'_> {
    fn part(&mut self, most: usize) -> Result<Part, Failure> {
        let query = self.query.as_mut().ok_or_else(ended)?;
        query.part(most, Some(self.mark))
    }

    /// For the next part, unless nobody wants it any longer.
    fn put_back(mut self) -> u32 {
        if let Some(place) = self.queries.open.borrow_mut().get_mut(&self.mark) {
            *place = self.query.take();
        }
        self.mark
    }
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        // Nothing to do for one that was put back.
        if self.query.take().is_some() {
            self.queries.open.borrow_mut().remove(&self.mark);
        }
    }
}

fn ended() -> Failure {
    Failure::new(
        "ERR_CANCELED",
        "the rest of a query cannot be read: the query has ended, or the record store was opened again since it began",
    )
}

/// A query and how far it was read.
struct Query {
    execution: Execution<View>,
    /// Found and not yet handed over.
    found: std::vec::IntoIter<QueryItem>,
    /// How the execution ended.
    end: Option<Result<(), Failure>>,
}

/// Rows of a query.
struct Part {
    rows: Rows,
    is_last: bool,
}

impl Query {
    fn new(execution: Execution<View>) -> Query {
        Query {
            execution,
            found: Vec::new().into_iter(),
            end: None,
        }
    }

    /// The next rows; none if there was more to look at than others can wait for. What fails on
    /// the way does so once the rows before it were handed over. `mark`: the one that the part will
    /// probably have.
    fn part(&mut self, most: usize, mark: Option<u32>) -> Result<Part, Failure> {
        let room = if mark.is_some() { ROOM } else { FIRST_ROOM };
        let mut rows = Rows::behind(mark, room);
        let begun = Instant::now();
        let mut goes_on = true;
        while rows.len() < most && rows.size() < BYTES {
            if let Some(item) = self.found.next() {
                match encode(item) {
                    Ok(row) => rows.push(&row),
                    Err(error) => {
                        self.found = Vec::new().into_iter();
                        self.end = Some(Err(error));
                    }
                }
                continue;
            }
            if self.end.is_some() || !goes_on {
                break;
            }
            match self.execution.next_slice(BATCH, LOOKS) {
                Ok(slice) => {
                    goes_on = slice.items.len() == BATCH && begun.elapsed() < WHILE;
                    self.found = slice.items.into_iter();
                    self.end = slice.finished.then_some(Ok(()));
                }
                Err(error) => self.end = Some(Err(failure(error))),
            }
        }
        if rows.len() == 0
            && let Some(Err(error)) = self.end.take_if(|end| end.is_err())
        {
            self.end = Some(Ok(()));
            return Err(error);
        }
        let is_last = matches!(self.end, Some(Ok(()))) && self.found.as_slice().is_empty();
        Ok(Part { rows, is_last })
    }
}

pub(crate) async fn first(
    session: Rc<Session>,
    database: Value,
    clauses: Vec<Value>,
    map: Map,
) -> Result<Outgoing, Failure> {
    let target = resolve_to_read(&session, &database)?;
    begin(&session, execution(&session, &target, clauses, &map)?)
}

pub(crate) fn first_at_once(
    session: &Rc<Session>,
    database: Value,
    clauses: Vec<Value>,
    map: Map,
) -> Result<Outgoing, Failure> {
    let target = at_hand(session, &database)?;
    begin(session, execution(session, &target, clauses, &map)?)
}

fn begin(session: &Session, execution: Execution<View>) -> Result<Outgoing, Failure> {
    let mut query = Query::new(execution);
    // A query that fails before its first row does so when it is read, as a stream does.
    let part = query.part(FIRST, None).map_err(|_| Failure::waits())?;
    if part.is_last {
        return part.rows.into_part(None);
    }
    let queries = &session.queries;
    let mark = queries.new_mark().ok_or_else(Failure::waits)?;
    queries.open.borrow_mut().insert(mark, Some(query));
    part.rows.into_part(Some(mark))
}

pub(crate) async fn next(
    session: Rc<Session>,
    _database: Value,
    mark: i64,
    most: i64,
) -> Result<Outgoing, Failure> {
    loop {
        if let Some(part) = step(&session.queries, mark, most)? {
            return Ok(part);
        }
        // A long search lets other runs have their turn now and then.
        sleep(Duration::ZERO).await;
    }
}

pub(crate) fn next_at_once(
    session: &Rc<Session>,
    _database: Value,
    mark: i64,
    most: i64,
) -> Result<Outgoing, Failure> {
    step(&session.queries, mark, most)?.ok_or_else(Failure::waits)
}

/// The next part of a query, of at most so many rows; none if it is empty and more may follow.
/// Who wants no rows gives the query up.
fn step(queries: &Queries, mark: i64, most: i64) -> Result<Option<Outgoing>, Failure> {
    let most = usize::try_from(most).unwrap_or(0).min(MOST);
    if most == 0 {
        queries.remove(mark);
        return Rows::behind(None, 0).into_part(None).map(Some);
    }
    let mut taken = queries.take(mark)?;
    let part = taken.part(most)?;
    if part.is_last {
        return part.rows.into_part(None).map(Some);
    }
    let mark = taken.put_back();
    match part.rows.len() {
        0 => Ok(None),
        _ => part.rows.into_part(Some(mark)).map(Some),
    }
}
