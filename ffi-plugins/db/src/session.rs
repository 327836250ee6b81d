//! What belongs to one run.

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::rc::Rc;
use std::time::{SystemTime, UNIX_EPOCH};

use mix_plugin_sdk::{Caller, Failure};
use mix_store::{Database, OpenOptions};

use crate::failures::{coded, failure};
use crate::parts::Queries;

/// Most session databases of one run.
const MAX_DATABASES: usize = 64;

/// One run: who it is made for and the databases that vanish with it.
#[derive(Debug)]
pub(crate) struct Session {
    pub who: Caller,
    own: RefCell<HashMap<String, Database>>,
    /// Databases this run has looked at: the first look reads what others wrote.
    seen: RefCell<HashSet<String>>,
    main: RefCell<Option<Main>>,
    /// Queries of which more is to be read.
    pub queries: Queries,
    /// Functions of this run that wait for something to happen.
    waiting: Cell<usize>,
}

/// The main database of a run, as long as none is closed to make room.
#[derive(Debug)]
struct Main {
    evicted: u64,
    folder: Rc<Path>,
    database: Database,
}

/// Counts a waiting function as long as it lives.
pub(crate) struct Waiting(Rc<Session>);

impl Waiting {
    pub fn new(session: Rc<Session>) -> Waiting {
        session.waiting.set(session.waiting.get() + 1);
        Waiting(session)
    }

    /// True when the run is over: nobody but waiting functions holds the session.
    pub fn is_orphaned(&self) -> bool {
        Rc::strong_count(&self.0) <= self.0.waiting.get()
    }

    /// True when the run should have ended.
    pub fn is_late(&self) -> bool {
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        let deadline = self.0.who.deadline;
        deadline != 0 && now.as_millis() >= u128::from(deadline)
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.waiting.set(self.0.waiting.get().saturating_sub(1));
    }
}

impl Session {
    pub fn open(who: Caller) -> Session {
        Session {
            who,
            own: RefCell::default(),
            seen: RefCell::default(),
            main: RefCell::default(),
            queries: Queries::default(),
            waiting: Cell::default(),
        }
    }

    /// The database of this run with that name; made when first named.
    pub fn database(&self, name: &str) -> Result<Database, Failure> {
        let mut own = self.own.borrow_mut();
        if let Some(database) = own.get(name) {
            return Ok(database.clone());
        }
        if own.len() >= MAX_DATABASES {
            return Err(coded("ERR_IO", "db_full", "too many session databases"));
        }
        let database = Database::in_memory(OpenOptions::default()).map_err(failure)?;
        own.insert(name.to_owned(), database.clone());
        Ok(database)
    }

    /// Whether this run has looked at the database in a folder.
    pub fn has_seen(&self, folder: &str) -> bool {
        self.seen.borrow().contains(folder)
    }

    /// Notes that it has.
    pub fn see(&self, folder: &str) {
        if !self.has_seen(folder) {
            self.seen.borrow_mut().insert(folder.to_owned());
        }
    }

    /// The main database and its folder, if this run has used it and none was closed since.
    pub fn main(&self, evicted: u64) -> Option<(Rc<Path>, Database)> {
        let main = self.main.borrow();
        let main = main.as_ref().filter(|main| main.evicted == evicted)?;
        Some((main.folder.clone(), main.database.clone()))
    }

    /// Remembers the main database.
    pub fn keep_main(&self, evicted: u64, folder: &Path, database: &Database) {
        *self.main.borrow_mut() = Some(Main {
            evicted,
            folder: folder.into(),
            database: database.clone(),
        });
    }

    /// Who writes.
    pub fn actor(&self) -> &str {
        if self.who.user.is_empty() {
            "anonymous"
        } else {
            &self.who.user
        }
    }
}
