//! Databases of apps, opened natively.

use crate::staging::private_folder;
use mix_package::{Package, PackageError, RecordSet, RecordSource, Result, Source};
use mix_store::query::{Pipeline, QueryItem, QueryOptions};
use mix_store::time::{Clock, SystemClock};
use mix_store::{Database, OpenOptions, StoreError, holder, import_image};
use mix_value::{Map, Ref, Value};
use std::fs::{self, File, OpenOptions as FileOptions, TryLockError};
use std::io::{BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

/// Who wrote, in records of the installer itself.
pub(crate) const SYSTEM: &str = "_rmx_system";
/// Who has a database open, for those who are kept out.
const PROGRAM: &str = "mixer install";
/// Longest wait for a database that another process has open.
const PATIENCE: Duration = Duration::from_secs(10);
/// Bytes of a database in memory.
const MEMORY: u64 = 256 << 20;

/// The failure of a store as one of an install.
pub(crate) fn failed(error: StoreError) -> PackageError {
    let code = match error.code() {
        code @ ("disk_full" | "db_full" | "db_locked" | "db_busy" | "db_corrupt" | "db_io"
        | "db_failed") => code,
        "lease_lost" | "commit_unknown" | "unsupported_format" | "name_mismatch" => "db_failed",
        _ => "bad_record",
    };
    PackageError::new(code, error.to_string())
}

/// The lock on an app's records: the same that the server and `mixer db` take.
pub(crate) fn lock(app: &Path) -> Result<File> {
    let end = Instant::now() + PATIENCE;
    loop {
        let mut file = FileOptions::new()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .mode(0o600)
            .open(app.join("LOCK"))?;
        match file.try_lock() {
            Ok(()) => {
                holder::note(&mut file, PROGRAM, SystemClock.now());
                return Ok(file);
            }
            Err(TryLockError::Error(error)) => return Err(error.into()),
            Err(TryLockError::WouldBlock) if Instant::now() < end => {
                std::thread::sleep(Duration::from_millis(20));
            }
            Err(TryLockError::WouldBlock) => {
                let holder = holder::of(&mut file);
                let message = format!("the records of the app are in use by {holder}");
                return Err(PackageError::new("db_locked", message));
            }
        }
    }
}

/// Opens an app's database for writing; the caller holds its lock.
pub(crate) fn open(folder: &Path, app: &str) -> Result<Database> {
    let options = OpenOptions {
        name: Some(app.to_owned()),
        program: PROGRAM.to_owned(),
        memory_limit: MEMORY,
        os_lock_held: true,
        ..OpenOptions::default()
    };
    Database::open(folder, options).map_err(failed)
}

/// An app's database as it is now; none if it has none.
pub(crate) fn look(folder: &Path) -> Result<Option<Database>> {
    let options = OpenOptions {
        read_only: true,
        create: false,
        ..OpenOptions::default()
    };
    match Database::open(folder, options) {
        Ok(database) => Ok(Some(database)),
        Err(StoreError::NoSuchDb(_)) => Ok(None),
        Err(error) => Err(failed(error)),
    }
}

/// Live records that a query with the parameters finds, in row order.
pub(crate) fn find(
    database: &Database,
    query: &Pipeline,
    params: Map,
    take: &mut dyn FnMut(Map) -> Result<()>,
) -> Result<()> {
    let options = QueryOptions {
        params,
        ..QueryOptions::default()
    };
    for item in database.query(query, &options).map_err(failed)? {
        let value = QueryItem::into_value(item.map_err(failed)?)
            .map_err(|error| PackageError::new("db_corrupt", error.to_string()))?;
        if let Value::Map(record) = value {
            take(record)?;
        }
    }
    Ok(())
}

/// The newest live record of a system type.
pub(crate) fn newest(database: &Database, kind: &str) -> Result<Option<Map>> {
    let query = parsed("_rmx_type == $kind")?;
    let mut found: Option<Map> = None;
    let params = Map::from([("kind".into(), Value::from(kind))]);
    find(database, &query, params, &mut |record| {
        let time = |record: &Map| {
            record
                .get("_rmx_created_at")
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned()
        };
        if found
            .as_ref()
            .is_none_or(|before| time(before) <= time(&record))
        {
            found = Some(record);
        }
        Ok(())
    })?;
    Ok(found)
}

/// Unpacks an image in a package and makes it the database of an app folder that has none yet.
pub(crate) fn unpack_image<R: Source>(
    package: &mut Package<R>,
    set: &RecordSet,
    aside: &Path,
    folder: &Path,
) -> Result<()> {
    let RecordSource::Image(entry) = &set.source else {
        return Ok(());
    };
    private_folder(aside)?;
    package.unpack_image(set, &mut |name| {
        let file = File::create_new(aside.join(name))?;
        Ok(Box::new(BufWriter::new(file)) as Box<dyn Write>)
    })?;
    import_image(aside, folder).map_err(|error| match error {
        // Its text names the folder in which it was unpacked.
        StoreError::NoSuchDb(_) => PackageError::corrupt(entry, "the image has no valid state"),
        error if matches!(error.code(), "disk_full" | "db_full") => failed(error),
        error => PackageError::corrupt(entry, error.to_string()),
    })?;
    fs::remove_dir_all(aside)?;
    Ok(())
}

pub(crate) fn parsed(query: &str) -> Result<Pipeline> {
    Pipeline::parse(query).map_err(|error| PackageError::new("internal", error.to_string()))
}

/// The id of a stored record.
pub(crate) fn id_of(record: &Map) -> Option<Ref> {
    match record.get("_rmx_id") {
        Some(Value::Ref(id)) => Some(id.clone()),
        _ => None,
    }
}

/// A new id.
pub(crate) fn fresh_id() -> Result<Ref> {
    const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let mut id = String::with_capacity(32);
    while id.len() < 32 {
        let mut bytes = [0u8; 48];
        getrandom::fill(&mut bytes)
            .map_err(|error| PackageError::new("internal", format!("no random bytes: {error}")))?;
        // Above 247 the remainders would not be uniform.
        let drawn = bytes.iter().filter(|byte| **byte < 248);
        id.extend(drawn.map(|byte| char::from(ALPHABET[usize::from(byte % 62)])));
    }
    id.truncate(32);
    Ref::new(&id).map_err(|error| PackageError::new("internal", error.to_string()))
}
