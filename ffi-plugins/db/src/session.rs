//! What belongs to one run.

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};

use mix_plugin_sdk::{Caller, Failure};
use mix_store::{Database, OpenOptions};

use crate::failures::{coded, failure};

/// Most session databases of one run.
const MAX_DATABASES: usize = 64;

/// One run: who it is made for and the databases that vanish with it.
#[derive(Debug)]
pub(crate) struct Session {
    pub who: Caller,
    own: RefCell<HashMap<String, Database>>,
    /// Databases this run has looked at: the first look reads what others wrote.
    seen: RefCell<HashSet<String>>,
}

impl Session {
    pub fn open(who: Caller) -> Session {
        Session {
            who,
            own: RefCell::default(),
            seen: RefCell::default(),
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

    /// True at the first call with this key.
    pub fn first_look(&self, key: &str) -> bool {
        self.seen.borrow_mut().insert(key.to_owned())
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
