//! The family `files` without a disk: what a run writes lasts as long as the run.
//!
//! For tests of agents, and for runs that shall leave nothing behind. Paths, descriptions and failures
//! are those of the family on disk, whose modules [`designator`], [`path`] and [`info`] these are.

#[path = "../../files/src/designator.rs"]
mod designator;
#[path = "../../files/src/info.rs"]
mod info;
#[path = "../../files/src/path.rs"]
mod path;
mod store;

use std::cell::RefCell;

use designator::Designator;
use mix_plugin_sdk::{Bytes, Failure, Map, Value, caller, family};
use store::Store;

thread_local! {
    static STORE: RefCell<Store> = RefCell::default();
}

/// The store of the app that the designator means.
fn with<T>(
    app: &Designator,
    work: impl FnOnce(&mut Store) -> Result<T, Failure>,
) -> Result<T, Failure> {
    app.check(&caller())?;
    STORE.with_borrow_mut(work)
}

async fn get(app: Designator, path: String) -> Result<Map, Failure> {
    with(&app, |store| store.get(&caller(), &path::file(&path)?))
}

async fn read(app: Designator, path: String) -> Result<Bytes, Failure> {
    with(&app, |store| store.read(&path::file(&path)?))
}

async fn list(app: Designator, folder: String) -> Result<Vec<Value>, Failure> {
    with(&app, |store| {
        let files = store.list(&caller(), &path::folder(&folder)?);
        Ok(files.into_iter().map(Value::Map).collect())
    })
}

async fn create(app: Designator, path: String, content: Bytes) -> Result<Map, Failure> {
    with(&app, |store| {
        store.create(&caller(), &path::file(&path)?, content)
    })
}

async fn delete(app: Designator, path: String) -> Result<(), Failure> {
    with(&app, |store| store.delete(&path::file(&path)?))
}

async fn rename(app: Designator, from: String, to: String) -> Result<Map, Failure> {
    with(&app, |store| {
        store.rename(&caller(), &path::file(&from)?, &path::file(&to)?)
    })
}

async fn copy(
    from_app: Designator,
    from: String,
    to_app: Designator,
    to: String,
) -> Result<Map, Failure> {
    let content = with(&from_app, |store| store.read(&path::file(&from)?))?;
    with(&to_app, |store| {
        store.create(&caller(), &path::file(&to)?, content)
    })
}

async fn register(_: Designator, path: String, _url: String, _: Map) -> Result<Map, Failure> {
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
    /// Writes a file, replacing an existing one.
    start "$file_create" = create(Designator, String, Bytes);
    /// Deletes a file.
    start "$file_delete" = delete(Designator, String);
    /// Renames a file; an existing target is not replaced.
    start "$file_rename" = rename(Designator, String, String);
    /// Copies a file; an existing target is replaced.
    start "$file_copy" = copy(Designator, String, Designator, String);
    /// Reserves a path for a direct upload by a client.
    start "$file_register" = register(Designator, String, String, Map);
}
