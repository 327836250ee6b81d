//! The family `files`: the stored files of an app.
//!
//! Everything lies below one folder that the host grants: `/files`, or, in a composed
//! component, `/ws/<workspace>/<app folder>/files`. A path of the program is checked and
//! taken apart ([`path`]), each segment is percent-encoded into a name on disk, and
//! symbolic links are never followed ([`storage`]). Writes are atomic: a temporary file is
//! synced and renamed.
//!
//! * [`path`]: what a path may be, and its form on disk;
//! * [`designator`]: whose files are meant;
//! * [`granted`]: the folder that holds them;
//! * [`storage`]: files of one app on disk;
//! * [`info`]: what a program is told about a file.

mod designator;
mod granted;
mod info;
mod path;
mod storage;

use designator::Designator;
use granted::storage;
use mix_plugin_sdk::{Bytes, Failure, Map, Value, family};

async fn get(app: Designator, path: String) -> Result<Map, Failure> {
    storage(&app)?.get(&path::file(&path)?)
}

async fn read(app: Designator, path: String) -> Result<Vec<u8>, Failure> {
    storage(&app)?.read(&path::file(&path)?)
}

async fn list(app: Designator, folder: String) -> Result<Vec<Value>, Failure> {
    let files = storage(&app)?.list(&path::folder(&folder)?)?;
    Ok(files.into_iter().map(Value::Map).collect())
}

async fn create(app: Designator, path: String, content: Bytes) -> Result<Map, Failure> {
    storage(&app)?.create(&path::file(&path)?, &content)
}

async fn delete(app: Designator, path: String) -> Result<(), Failure> {
    storage(&app)?.delete(&path::file(&path)?)
}

async fn rename(app: Designator, from: String, to: String) -> Result<Map, Failure> {
    storage(&app)?.rename(&path::file(&from)?, &path::file(&to)?)
}

async fn copy(
    from_app: Designator,
    from: String,
    to_app: Designator,
    to: String,
) -> Result<Map, Failure> {
    let (from, to) = (path::file(&from)?, path::file(&to)?);
    let content = storage(&from_app)?.read(&from)?;
    storage(&to_app)?.create(&to, &content)
}

async fn register(
    _app: Designator,
    path: String,
    _url: String,
    _metadata: Map,
) -> Result<Map, Failure> {
    path::file(&path)?;
    Err(Failure::unsupported(
        "this host gives no addresses for uploads by clients",
    ))
}

family! {
    bound;
    /// Describes a file.
    start "$file_get" = get(Designator, String);
    /// The content of a file.
    start "$file_read" = read(Designator, String);
    /// All files below a folder, ascending by path; "" is the whole app.
    start "$file_list" = list(Designator, String);
    /// Writes a file atomically, replacing an existing one.
    start "$file_create" = create(Designator, String, Bytes);
    /// Deletes a file.
    start "$file_delete" = delete(Designator, String);
    /// Renames a file; an existing target is not replaced.
    start "$file_rename" = rename(Designator, String, String);
    /// Copies a file, also between apps; an existing target is replaced.
    start "$file_copy" = copy(Designator, String, Designator, String);
    /// Reserves a path for a direct upload by a client.
    start "$file_register" = register(Designator, String, String, Map);
}
