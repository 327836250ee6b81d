//! The family `files` without a disk: what a run writes lasts as long as the run.
//!
//! For tests of agents, and for runs that shall leave nothing behind. Paths, descriptions and failures
//! are those of the family on disk, whose modules [`path`] and [`info`] these are.

#[path = "../../files/src/info.rs"]
mod info;
// Names on disk are of no use here.
#[allow(dead_code)]
#[path = "../../files/src/path.rs"]
mod path;
mod store;

use std::cell::RefCell;

use mix_plugin_sdk::{Bytes, Failure, Map, Value, caller, family};
use store::Store;

thread_local! {
    static STORE: RefCell<Store> = RefCell::default();
}

/// The store of the app that the designator means.
fn with<T>(app: &Value, work: impl FnOnce(&mut Store) -> Result<T, Failure>) -> Result<T, Failure> {
    let named = match app {
        Value::Null => None,
        Value::Case(case) => match &case.argument {
            Some(argument) => match &**argument {
                Value::String(name) => Some(name.to_string()),
                _ => {
                    return Err(Failure::unsupported(
                        "files of other servers are not reachable from here",
                    ));
                }
            },
            None => return Err(expected(app)),
        },
        other => return Err(expected(other)),
    };
    match named {
        Some(name) if name != caller().app => Err(Failure::new(
            "ERR_PERMISSION",
            format!("no rights for the files of app {name:?}"),
        )),
        _ => STORE.with_borrow_mut(work),
    }
}

fn expected(value: &Value) -> Failure {
    Failure::new(
        "ERR_EXPECTED_CASE",
        format!(
            "null, some(app) or workspace_app(app) is needed, not {}",
            value.kind()
        ),
    )
}

async fn get(app: Value, path: String) -> Result<Map, Failure> {
    with(&app, |store| store.get(&caller(), &path::file(&path)?))
}

async fn read(app: Value, path: String) -> Result<Bytes, Failure> {
    with(&app, |store| store.read(&path::file(&path)?))
}

async fn list(app: Value, folder: String) -> Result<Vec<Value>, Failure> {
    with(&app, |store| {
        let files = store.list(&caller(), &path::folder(&folder)?);
        Ok(files.into_iter().map(Value::Map).collect())
    })
}

async fn create(app: Value, path: String, content: Bytes) -> Result<Map, Failure> {
    with(&app, |store| {
        store.create(&caller(), &path::file(&path)?, content)
    })
}

async fn delete(app: Value, path: String) -> Result<(), Failure> {
    with(&app, |store| store.delete(&path::file(&path)?))
}

async fn rename(app: Value, from: String, to: String) -> Result<Map, Failure> {
    with(&app, |store| {
        store.rename(&caller(), &path::file(&from)?, &path::file(&to)?)
    })
}

async fn copy(from_app: Value, from: String, to_app: Value, to: String) -> Result<Map, Failure> {
    let content = with(&from_app, |store| store.read(&path::file(&from)?))?;
    with(&to_app, |store| {
        store.create(&caller(), &path::file(&to)?, content)
    })
}

async fn register(_: Value, path: String, _url: String, _: Map) -> Result<Map, Failure> {
    path::file(&path)?;
    Err(Failure::unsupported(
        "this host gives no addresses for uploads by clients",
    ))
}

family! {
    bound;
    /// Describes a file.
    start "$file_get" = get(Value, String);
    /// The content of a file.
    start "$file_read" = read(Value, String);
    /// All files below a folder, ascending by path; "" is the whole app.
    start "$file_list" = list(Value, String);
    /// Writes a file, replacing an existing one.
    start "$file_create" = create(Value, String, Bytes);
    /// Deletes a file.
    start "$file_delete" = delete(Value, String);
    /// Renames a file; an existing target is not replaced.
    start "$file_rename" = rename(Value, String, String);
    /// Copies a file; an existing target is replaced.
    start "$file_copy" = copy(Value, String, Value, String);
    /// Reserves a path for a direct upload by a client.
    start "$file_register" = register(Value, String, String, Map);
}
