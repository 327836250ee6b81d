//! Which database a value names, and the databases that stay open.

use std::cell::RefCell;
use std::collections::HashMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use mix_file_path::folder_name;
use mix_plugin_sdk::{Failure, Map, Value};
use mix_remote_database::{RemoteMain, is_main_database};
use mix_store::{AsOf, Database, OpenOptions, Record, SaveOptions, StoreError, Sync, View};

use crate::failures::failure;
use crate::session::Session;

/// Most open databases on disk; the longest unused one is closed first.
const MAX_OPEN: usize = 256;
/// Longest name of a database in memory, in bytes.
const MAX_MEMORY_NAME: usize = 255;
/// Longest name of an app or a workspace.
const MAX_NAME: usize = 128;
/// Most in-memory databases of one workspace.
const MAX_IN_MEMORY: usize = 64;

thread_local! {
    static OPEN: RefCell<Open> = RefCell::default();
}

#[derive(Default)]
struct Open {
    on_disk: HashMap<PathBuf, (Database, u64)>,
    in_memory: HashMap<(String, String), Database>,
    uses: u64,
    /// Databases that were closed to make room: whoever remembers one must look again.
    evicted: u64,
}

/// A database with what its value asks for.
pub(crate) struct Target {
    pub database: Database,
    options: SaveOptions,
    as_of: Option<AsOf>,
}

impl Target {
    /// The rows of this moment, or of the one the value names.
    pub fn view(&self) -> Result<View, Failure> {
        self.database
            .view_as_of(self.as_of.as_ref())
            .map_err(failure)
    }

    /// The record a ref stands for at that moment.
    pub fn get(&self, id: &str) -> Result<Option<Record>, Failure> {
        match self.as_of {
            None => self.database.get_one(id).map_err(failure),
            Some(_) => self.view()?.get(id).map_err(failure),
        }
    }

    /// How the value says that records are saved, in the name of whom the session is for.
    pub fn save_options(&self, session: &Session) -> SaveOptions {
        self.options.clone().with_actor(session.actor())
    }

    /// The database, if it may be written.
    pub fn writable(&self) -> Result<&Database, Failure> {
        if self.as_of.is_some() {
            Err(failure(StoreError::ReadOnly))
        } else {
            Ok(&self.database)
        }
    }
}

fn bad_db(message: impl Into<String>) -> Failure {
    failure(StoreError::BadDb(message.into()))
}

/// What may be done to have a database.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Effort {
    /// It is opened, and what others wrote is read; the main one is made if there is none.
    Whatever,
    /// The same, but nothing is made: the main one has no records where there is none.
    Reading,
    /// It must be open and up to date.
    None,
}

/// The database a value names, for a run.
pub(crate) fn resolve(session: &Session, value: &Value) -> Result<Target, Failure> {
    find(session, value, Effort::Whatever)
}

/// The same for who reads records: that makes no files.
pub(crate) fn resolve_to_read(session: &Session, value: &Value) -> Result<Target, Failure> {
    find(session, value, Effort::Reading)
}

/// The same if it is open and up to date; else [`Failure::waits`].
pub(crate) fn at_hand(session: &Session, value: &Value) -> Result<Target, Failure> {
    if is_elsewhere(session) && is_main_database(value) {
        return Err(Failure::waits());
    }
    find(session, value, Effort::None)
}

/// True where the variables of this instance name another server for the main database. What stands before the store
/// asks that one, but for short ways, which come here.
fn is_elsewhere(session: &Session) -> bool {
    static IS: OnceLock<bool> = OnceLock::new();
    *IS.get_or_init(|| {
        let variables = std::env::var("MIXER_ENV").unwrap_or_default();
        RemoteMain::of([variables.as_str()].into_iter(), &session.who.app).is_some()
    })
}

fn find(session: &Session, value: &Value, effort: Effort) -> Result<Target, Failure> {
    let map = match value {
        Value::Null => {
            return Ok(Target {
                database: main(session, effort)?,
                options: SaveOptions::default(),
                as_of: None,
            });
        }
        Value::Map(map) => map,
        other => {
            return Err(bad_db(format!(
                "null or a map is expected, not {}",
                other.kind()
            )));
        }
    };
    let (options, as_of) = extras(map)?;
    let database = named(session, map, effort)?;
    Ok(Target {
        database,
        options,
        as_of,
    })
}

/// The members allowed in all kinds.
fn extras(map: &Map) -> Result<(SaveOptions, Option<AsOf>), Failure> {
    let mut options = SaveOptions::default();
    if let Some(names) = map.get("options") {
        let names = names
            .as_array()
            .ok_or_else(|| bad_db("options must be an array of strings"))?;
        let names: Option<Vec<&str>> = names.iter().map(Value::as_str).collect();
        let names = names.ok_or_else(|| bad_db("options must be an array of strings"))?;
        options = options.with_names(names).map_err(failure)?;
    }
    let as_of = map
        .get("asOf")
        .map(AsOf::from_value)
        .transpose()
        .map_err(failure)?;
    Ok((options, as_of))
}

fn named(session: &Session, map: &Map, effort: Effort) -> Result<Database, Failure> {
    let text = |key: &str| map.get(key).and_then(Value::as_str);
    let known = |allowed: &[&str]| match map.keys().find(|key| !allowed.contains(&&***key)) {
        Some(key) => Err(bad_db(format!(
            "unknown member {:?}",
            key.chars().take(60).collect::<String>()
        ))),
        None => Ok(()),
    };
    let name = || match text("db") {
        Some(name) if (1..=MAX_MEMORY_NAME).contains(&name.len()) => Ok(name),
        _ => Err(bad_db(format!(
            "db must be a name of 1 to {MAX_MEMORY_NAME} bytes"
        ))),
    };
    match (text("type"), text("scope")) {
        (Some("rmx"), Some("main")) => {
            known(&["type", "scope", "options", "asOf"])?;
            main(session, effort)
        }
        (Some("rmx"), Some("session")) => {
            known(&["type", "scope", "db", "options", "asOf"])?;
            session.database(name()?)
        }
        (Some("rmx"), Some("global")) => {
            known(&["type", "scope", "db", "inmem", "options", "asOf"])?;
            match map.get("inmem") {
                Some(Value::Bool(true)) => in_memory(&session.who.workspace, name()?),
                None | Some(Value::Bool(false)) => app(session, name()?, effort),
                Some(_) => Err(bad_db("inmem must be a bool")),
            }
        }
        (Some("rmx_remote"), _) => Err(Failure::unsupported(
            "remote databases are reached over HTTP (module dbRemote), not through the store",
        )),
        (Some("minidb"), _) => Err(bad_db("minidb is a database of the language library")),
        (Some(other), _) => {
            let shown: String = other.chars().take(60).collect();
            Err(bad_db(format!("unknown type or scope of {shown:?}")))
        }
        (None, _) => Err(bad_db("the type is missing")),
    }
}

/// The folder of the app, if this instance was given one.
fn own_folder() -> Option<&'static Path> {
    // What an instance is given stays the same, and to look takes longer than to read a record.
    static GIVEN: OnceLock<bool> = OnceLock::new();
    let own = Path::new("/app");
    GIVEN.get_or_init(|| own.is_dir()).then_some(own)
}

/// The database of the app the run belongs to.
fn main(session: &Session, effort: Effort) -> Result<Database, Failure> {
    let evicted = OPEN.with_borrow(|open| open.evicted);
    if let Some((folder, database)) = session.main(evicted) {
        return up_to_date(database, &folder, false, effort);
    }
    let name = (!session.who.app.is_empty()).then_some(session.who.app.as_str());
    let folder = if let Some(own) = own_folder() {
        own.to_path_buf()
    } else {
        app_folder(session, name.unwrap_or("main"))?
    };
    let database = on_disk(session, folder.clone(), name, effort)?;
    let (is_open, evicted) =
        OPEN.with_borrow(|open| (open.on_disk.contains_key(&folder), open.evicted));
    if is_open {
        session.keep_main(evicted, &folder, &database);
    }
    Ok(database)
}

/// The database of an app of the same workspace: there is that of the run's own app, others stand behind the host.
fn app(session: &Session, name: &str, effort: Effort) -> Result<Database, Failure> {
    if name == session.who.app {
        return main(session, effort);
    }
    if own_folder().is_some() {
        return Err(failure(StoreError::NoSuchDb(format!(
            "{name:?} within reach: this run has only the data of its own app"
        ))));
    }
    if !is_name(name) {
        return Err(no_name());
    }
    // A composed component with a folder of workspaces: nobody there has rights beyond its app.
    Err(Failure::new(
        "ERR_PERMISSION",
        format!("no rights for the records of app {name:?}"),
    ))
}

fn no_name() -> Failure {
    bad_db(format!(
        "an app has a name of 1 to {MAX_NAME} characters of [A-Za-z0-9_.-]"
    ))
}

fn app_folder(session: &Session, name: &str) -> Result<PathBuf, Failure> {
    if !is_name(name) {
        return Err(no_name());
    }
    Ok(workspace(session)?.join(folder_name(name)))
}

fn workspace(session: &Session) -> Result<PathBuf, Failure> {
    let root = Path::new("/ws");
    if !root.is_dir() {
        return Err(failure(StoreError::NoSuchDb(
            "here: no folder is granted at /app or /ws".into(),
        )));
    }
    let name = match session.who.workspace.as_str() {
        "" => std::env::var("MIXER_WS").unwrap_or_else(|_| "local".into()),
        name => name.to_owned(),
    };
    if !is_name(&name) {
        return Err(bad_db("the workspace has no proper name"));
    }
    Ok(root.join(folder_name(&name)))
}

fn is_name(name: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.');
    (1..=MAX_NAME).contains(&name.len()) && name.bytes().all(allowed)
}

fn on_disk(
    session: &Session,
    folder: PathBuf,
    name: Option<&str>,
    effort: Effort,
) -> Result<Database, Failure> {
    let known = OPEN.with_borrow_mut(|open| {
        open.uses += 1;
        let now = open.uses;
        open.on_disk.get_mut(&folder).map(|(database, used)| {
            *used = now;
            database.clone()
        })
    });
    if let Some(database) = known {
        let key = folder.to_string_lossy();
        let first = !session.has_seen(&key);
        let database = up_to_date(database, &folder, first, effort)?;
        session.see(&key);
        return Ok(database);
    }
    if effort == Effort::None {
        return Err(Failure::waits());
    }
    let options = OpenOptions {
        name: name.map(str::to_owned),
        create: effort == Effort::Whatever,
        program: "mix db".into(),
        os_lock_held: std::env::var("MIXER_DB_LOCKED").is_ok_and(|set| set == "1"),
        sync: match std::env::var("MIXER_DB_SYNC") {
            Ok(said) if said == "off" => Sync::Off,
            _ => Sync::Full,
        },
        ..OpenOptions::default()
    };
    let database = match Database::open(&folder, options) {
        Err(StoreError::NoSuchDb(_)) if effort == Effort::Reading => {
            return Database::in_memory(OpenOptions::default()).map_err(failure);
        }
        opened => opened.map_err(failure)?,
    };
    tell(&database, &folder);
    session.see(&folder.to_string_lossy());
    let closed = OPEN.with_borrow_mut(|open| {
        let mut closed = None;
        if open.on_disk.len() >= MAX_OPEN {
            let oldest = open
                .on_disk
                .iter()
                .min_by_key(|(_, (_, used))| *used)
                .map(|(path, _)| path.clone());
            closed = oldest.and_then(|oldest| open.on_disk.remove(&oldest));
            open.evicted += 1;
        }
        let now = open.uses;
        open.on_disk.insert(folder, (database.clone(), now));
        closed
    });
    if let Some((closed, _)) = closed {
        // Its commits are durable already; the checkpoint only saves time at the next opening.
        let _ = closed.close();
    }
    Ok(database)
}

/// An open database, with what others wrote. `first`: the session has not seen it yet.
fn up_to_date(
    database: Database,
    folder: &Path,
    first: bool,
    effort: Effort,
) -> Result<Database, Failure> {
    // A session may outlive a run, and others write where nothing keeps them out.
    if !first && database.keeps_others_out() {
        return Ok(database);
    }
    if effort == Effort::None {
        return match database.is_current() {
            true => Ok(database),
            false => Err(Failure::waits()),
        };
    }
    match database.refresh() {
        // Another writer is busy: what was read before is a moment of the past, and as good.
        Ok(()) | Err(StoreError::Locked { .. }) => {}
        Err(error) => return Err(failure(error)),
    }
    tell(&database, folder);
    Ok(database)
}

/// Writes what was found and mended to the standard error, which hosts put into their log.
fn tell(database: &Database, folder: &Path) {
    let mut out = std::io::stderr();
    for warning in database.take_warnings() {
        // Without anybody to hear it the database is as good.
        let _ = writeln!(out, "record store {}: {warning}", folder.display());
    }
}

fn in_memory(workspace: &str, name: &str) -> Result<Database, Failure> {
    OPEN.with_borrow_mut(|open| {
        let key = (workspace.to_owned(), name.to_owned());
        if let Some(database) = open.in_memory.get(&key) {
            return Ok(database.clone());
        }
        if open
            .in_memory
            .keys()
            .filter(|(of, _)| of == workspace)
            .count()
            >= MAX_IN_MEMORY
        {
            return Err(failure(StoreError::DbFull(format!(
                "at most {MAX_IN_MEMORY} databases in memory"
            ))));
        }
        let database = Database::in_memory(OpenOptions::default()).map_err(failure)?;
        open.in_memory.insert(key, database.clone());
        Ok(database)
    })
}
