//! Family `files` of a server: the files of apps with addresses, uploads by clients, and those of other apps as far as the
//! run may reach them. Where they lie is [`mix_app_files`]' to know.

use super::{HostFamily, HostSession, function, map, no_function, text};
use crate::bindings::{Caller, Failure, Function};
use crate::instance::failure;
use crate::neighbours::{Neighbours, forbidden};
use crate::plugin::Access;
use futures::future::BoxFuture;
use mix_app_files::{FilePath, FilesError, FolderPath, Shelf, Shelves};
use mix_http_api::is_app_name;
use mix_value::{Case, Map, Value};
use std::io::Write;
use std::sync::Arc;

/// Largest file that is read or written as one value.
const LARGEST_FILE: u64 = 60 << 20;
/// Most files of one listing.
const MOST_FILES: usize = 100_000;
/// Largest address and metadata of a registration.
const LARGEST_REGISTRATION: usize = 64 << 10;

/// The family.
pub struct Files {
    shelves: Arc<Shelves>,
}

impl Files {
    /// The files of a server.
    pub fn new(shelves: Arc<Shelves>) -> Files {
        Files { shelves }
    }
}

impl HostFamily for Files {
    fn name(&self) -> &'static str {
        "files"
    }

    fn access(&self) -> Access {
        Access::Files
    }

    fn describe(&self) -> Vec<Function> {
        let row = |name, params, doc| function(name, params, true, doc);
        vec![
            row("$file_get", 2, "Describes a file."),
            row("$file_read", 2, "The content of a file."),
            row(
                "$file_list",
                2,
                "All files below a folder, ascending by path; \"\" is the whole app.",
            ),
            row(
                "$file_create",
                3,
                "Writes a file atomically, replacing an existing one.",
            ),
            row("$file_delete", 2, "Deletes a file."),
            row(
                "$file_rename",
                3,
                "Renames a file; an existing target is not replaced.",
            ),
            row(
                "$file_copy",
                4,
                "Copies a file, also between apps; an existing target is replaced.",
            ),
            row(
                "$file_register",
                4,
                "Reserves a path for a direct upload by a client.",
            ),
        ]
    }

    fn open(&self, who: &Caller, neighbours: Option<Arc<dyn Neighbours>>) -> Arc<dyn HostSession> {
        Arc::new(Session {
            shelves: self.shelves.clone(),
            workspace: who.workspace.clone(),
            app: who.app.clone(),
            neighbours,
        })
    }
}

struct Session {
    shelves: Arc<Shelves>,
    workspace: String,
    app: String,
    neighbours: Option<Arc<dyn Neighbours>>,
}

impl HostSession for Session {
    fn call(&self, number: u32, _: &[Value]) -> Result<Value, Failure> {
        Err(no_function(number))
    }

    fn start(
        self: Arc<Self>,
        number: u32,
        args: Vec<Value>,
    ) -> BoxFuture<'static, Result<Value, Failure>> {
        Box::pin(async move {
            match (number, args.as_slice()) {
                (0, [app, path]) => {
                    let (app, path) = (designator(app)?, file(path)?);
                    let shelf = self.shelf(app, false).await?;
                    on_disk(move || Ok(Value::Map(shelf.describe(&path).map_err(at(&path))?))).await
                }
                (1, [app, path]) => {
                    let (app, path) = (designator(app)?, file(path)?);
                    let shelf = self.shelf(app, false).await?;
                    on_disk(move || read(&shelf, &path).map(|bytes| Value::Binary(bytes.into())))
                        .await
                }
                (2, [app, folder]) => {
                    let (app, folder) = (designator(app)?, self::folder(folder)?);
                    let shelf = self.shelf(app, false).await?;
                    on_disk(move || list(&shelf, &folder)).await
                }
                (3, [app, path, content]) => {
                    let (app, path) = (designator(app)?, changeable(path)?);
                    let content = binary(content)?;
                    let shelf = self.shelf(app, true).await?;
                    on_disk(move || create(&shelf, &path, &content)).await
                }
                (4, [app, path]) => {
                    let (app, path) = (designator(app)?, changeable(path)?);
                    let shelf = self.shelf(app, true).await?;
                    on_disk(move || {
                        shelf.remove(&path).map_err(at(&path))?;
                        Ok(Value::Null)
                    })
                    .await
                }
                (5, [app, from, to]) => {
                    let app = designator(app)?;
                    let (from, to) = (changeable(from)?, changeable(to)?);
                    let shelf = self.shelf(app, true).await?;
                    on_disk(move || {
                        shelf.rename(&from, &to).map_err(|error| match error {
                            FilesError::NotFound => at(&from)(error),
                            other => at(&to)(other),
                        })?;
                        Ok(Value::Map(shelf.describe(&to).map_err(at(&to))?))
                    })
                    .await
                }
                (6, [from_app, from, to_app, to]) => {
                    let (from_app, to_app) = (designator(from_app)?, designator(to_app)?);
                    let (from, to) = (file(from)?, changeable(to)?);
                    let source = self.shelf(from_app, false).await?;
                    let target = self.shelf(to_app, true).await?;
                    on_disk(move || create(&target, &to, &read(&source, &from)?)).await
                }
                (7, [app, path, url, metadata]) => {
                    let (app, path) = (designator(app)?, changeable(path)?);
                    let (url, metadata) = (text(url)?.to_owned(), map(metadata)?.clone());
                    let shelf = self.shelf(app, true).await?;
                    on_disk(move || register(&shelf, &path, &url, metadata)).await
                }
                _ => Err(no_function(number)),
            }
        })
    }
}

impl Session {
    /// The files of an app that the run may read, or change.
    async fn shelf(&self, app: Designator, writes: bool) -> Result<Shelf, Failure> {
        let app = match app {
            Designator::Current => self.app.clone(),
            Designator::App(app) => app,
        };
        if app != self.app {
            let may = match &self.neighbours {
                Some(neighbours) if is_app_name(&app) && !app.starts_with("_rmx_") => {
                    neighbours.clone().may(app.clone(), writes).await
                }
                _ => false,
            };
            if !may {
                let shown: String = app.chars().take(60).collect();
                return Err(forbidden(&shown, writes));
            }
            if !self.shelves.has_app(&self.workspace, &app) {
                let message = format!("there is no app {app:?} in this workspace");
                return Err(failure("ERR_NOT_FOUND", message));
            }
        }
        Ok(self.shelves.of(&self.workspace, &app))
    }
}

/// Whose files are meant.
enum Designator {
    /// `null`: the app that runs.
    Current,
    /// `some(app)`, `workspace_app(app)`: an app of the workspace.
    App(String),
}

fn designator(value: &Value) -> Result<Designator, Failure> {
    match value {
        Value::Null => return Ok(Designator::Current),
        Value::Undefined => return text(value).map(|_| Designator::Current),
        Value::Case(Case {
            name,
            argument: Some(argument),
        }) => {
            // The cases that a module defines carry its name: `file.workspace_app`.
            let short = name.rsplit('.').next().unwrap_or(name);
            if let ("some" | "workspace_app", Value::String(app)) = (short, &**argument) {
                return Ok(Designator::App(app.to_string()));
            }
        }
        _ => {}
    }
    let message = "null, some(app) or workspace_app(app) is expected";
    Err(failure("ERR_EXPECTED_CASE", message.to_owned()))
}

fn file(value: &Value) -> Result<FilePath, Failure> {
    let given = text(value)?;
    FilePath::parse(given).map_err(|bad| refused(given, &bad.to_string()))
}

fn folder(value: &Value) -> Result<FolderPath, Failure> {
    let given = text(value)?;
    FolderPath::parse(given).map_err(|bad| refused(given, &bad.to_string()))
}

fn refused(given: &str, bad: &str) -> Failure {
    let shown: String = given.chars().take(100).collect();
    failure("ERR_RANGE", format!("{bad}: {shown:?}"))
}

/// Programs of the app are written when it is installed, not by its agents.
fn changeable(value: &Value) -> Result<FilePath, Failure> {
    let path = file(value)?;
    if path.is_code() {
        let message = format!(
            "{} belongs to the programs of the app, which only an install changes",
            path.text()
        );
        return Err(failure("ERR_PERMISSION", message));
    }
    Ok(path)
}

fn binary(value: &Value) -> Result<Arc<[u8]>, Failure> {
    match value {
        Value::Binary(bytes) => Ok(bytes.clone()),
        Value::Undefined => Err(failure("ERR_UNDEFINED", "a binary is undefined".to_owned())),
        other => Err(failure(
            "ERR_EXPECTED_BINARY",
            format!("a binary is expected, not {}", other.kind()),
        )),
    }
}

fn read(shelf: &Shelf, path: &FilePath) -> Result<Vec<u8>, Failure> {
    let content = shelf.files().read(path, LARGEST_FILE).map_err(at(path))?;
    content.ok_or_else(|| too_large(path))
}

fn too_large(path: &FilePath) -> Failure {
    let text = path.text();
    let message = format!("file {text} is larger than {LARGEST_FILE} bytes");
    failure("ERR_TOO_LARGE", message)
}

fn list(shelf: &Shelf, folder: &FolderPath) -> Result<Value, Failure> {
    let listed = shelf.list(folder, true, None, MOST_FILES);
    let (rows, more) = listed.map_err(|error| failed("the files", &error))?;
    if more.is_some() {
        let message = format!("more than {MOST_FILES} files; list a folder of them");
        return Err(failure("ERR_TOO_LARGE", message));
    }
    Ok(Value::Array(rows.into_iter().map(Value::Map).collect()))
}

fn create(shelf: &Shelf, path: &FilePath, content: &[u8]) -> Result<Value, Failure> {
    if content.len() as u64 > LARGEST_FILE {
        return Err(too_large(path));
    }
    let written = (|| {
        let mut draft = shelf.draft(content.len() as u64)?;
        draft.write_all(content)?;
        shelf.put(path, draft, true)?;
        shelf.describe(path)
    })();
    written.map(Value::Map).map_err(at(path))
}

fn register(shelf: &Shelf, path: &FilePath, url: &str, metadata: Map) -> Result<Value, Failure> {
    let encoded = mix_value::msgpack::encode(&Value::Map(metadata.clone()));
    let length = encoded.map(|bytes| bytes.len()).unwrap_or(usize::MAX);
    if url.len() > LARGEST_REGISTRATION || length > LARGEST_REGISTRATION {
        let message = format!("address and metadata have at most {LARGEST_REGISTRATION} bytes");
        return Err(failure("ERR_RANGE", message));
    }
    shelf
        .register(path, url, metadata)
        .map(Value::Map)
        .map_err(at(path))
}

/// Failures with the path that they are about.
fn at(path: &FilePath) -> impl Fn(FilesError) -> Failure {
    let text = path.text();
    move |error| failed(&text, &error)
}

fn failed(what: &str, error: &FilesError) -> Failure {
    let code = match error {
        FilesError::BadPath(_) | FilesError::TooLong => "ERR_RANGE",
        FilesError::NotFound => return failure("ERR_NOT_FOUND", format!("no file {what}")),
        FilesError::Exists(_) | FilesError::Unmet => "ERR_EXISTS",
        FilesError::TooMany(_) | FilesError::Full { .. } => "ERR_TOO_LARGE",
        FilesError::Io(_) if error.is_full() => "ERR_TOO_LARGE",
        FilesError::Store(_) | FilesError::Io(_) | FilesError::Expired => {
            tracing::error!(%error, cause = ?std::error::Error::source(error), "files of an app");
            "ERR_IO"
        }
    };
    failure(code, format!("{what}: {error}"))
}

/// Work with files, off the threads that serve connections.
async fn on_disk(
    work: impl FnOnce() -> Result<Value, Failure> + Send + 'static,
) -> Result<Value, Failure> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => {
            tracing::error!(%error, "files of an app");
            Err(failure("ERR_INTERNAL", "the files broke off".to_owned()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mix_app_files::Storage;

    fn case(name: &str, argument: Value) -> Value {
        Value::Case(Case {
            name: name.into(),
            argument: Some(Box::new(argument)),
        })
    }

    fn session(ws_dir: &std::path::Path) -> Arc<dyn HostSession> {
        let shelves = Shelves::new(ws_dir, Storage::default(), 0);
        shelves.reached_at("http://localhost:1", None);
        let who = Caller {
            workspace: "w".to_owned(),
            app: "shop".to_owned(),
            agent: "a".to_owned(),
            user: "ada".to_owned(),
            deadline: 0,
        };
        std::fs::create_dir_all(ws_dir.join("w/shop/files/code")).expect("a folder");
        Files::new(shelves).open(&who, None)
    }

    async fn run(
        session: &Arc<dyn HostSession>,
        number: u32,
        args: &[Value],
    ) -> Result<Value, String> {
        let result = session.clone().start(number, args.to_vec()).await;
        result.map_err(|failure| failure.code)
    }

    #[tokio::test]
    async fn files_are_written_described_and_registered() {
        let folder = tempfile::tempdir().expect("a folder");
        let session = session(folder.path());
        let content = Value::Binary(Arc::from(&b"hello"[..]));
        let written = run(
            &session,
            3,
            &[Value::Null, "a/x.txt".into(), content.clone()],
        )
        .await;
        let written = written.expect("written");
        assert_eq!(written.get("path"), Some(&Value::from("/a/x.txt")));
        let url = written
            .get("url")
            .and_then(Value::as_str)
            .expect("an address");
        assert!(
            url.starts_with("http://localhost:1/v1/ws/w/app/shop/files/a/x.txt?_rmx_exp="),
            "{url}"
        );
        let own = case("some", "shop".into());
        assert_eq!(
            run(&session, 1, &[own, "/a/x.txt".into()]).await,
            Ok(content.clone())
        );
        let about = Value::map([("title", Value::from("T"))]);
        let args = [
            Value::Null,
            "up/1.bin".into(),
            "blob:1".into(),
            about.clone(),
        ];
        let registered = run(&session, 7, &args).await.expect("registered");
        assert_eq!(registered.get("kind"), Some(&Value::from("client")));
        assert_eq!(registered.get("url"), Some(&Value::from("blob:1")));
        let metadata = registered.get("metadata").expect("metadata");
        assert_eq!(metadata.get("title"), Some(&Value::from("T")));
        let address = metadata.get("_rmx_upload_url").and_then(Value::as_str);
        assert!(address.is_some_and(|url| url.starts_with("http://localhost:1/v1/upload/")));
        let Ok(Value::Array(listed)) = run(&session, 2, &[Value::Null, "".into()]).await else {
            panic!("a list");
        };
        let kinds: Vec<_> = listed.iter().map(|row| row.get("kind").cloned()).collect();
        assert_eq!(
            kinds,
            [Some(Value::from("persisted")), Some(Value::from("client"))]
        );
        assert_eq!(
            run(&session, 0, &[Value::Null, "up/1.bin".into()])
                .await
                .map(|row| row.get("metadata").cloned()),
            Ok(Some(about))
        );
        let taken = [
            Value::Null,
            "a/x.txt".into(),
            "".into(),
            Value::Map(Map::new()),
        ];
        assert_eq!(run(&session, 7, &taken).await, Err("ERR_EXISTS".to_owned()));
        assert_eq!(
            run(&session, 5, &[Value::Null, "a/x.txt".into(), "b".into()])
                .await
                .map(|_| ()),
            Ok(())
        );
        assert_eq!(
            run(&session, 1, &[Value::Null, "a/x.txt".into()]).await,
            Err("ERR_NOT_FOUND".to_owned())
        );
        assert_eq!(
            run(&session, 4, &[Value::Null, "b".into()]).await,
            Ok(Value::Null)
        );
    }

    #[tokio::test]
    async fn what_is_not_the_runs_own_is_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let session = session(folder.path());
        std::fs::create_dir_all(folder.path().join("w/other/files")).expect("a folder");
        std::fs::write(folder.path().join("w/other/files/x"), "other").expect("written");
        for (app, path, code) in [
            (case("some", "other".into()), "x", "ERR_PERMISSION"),
            (
                case("file.workspace_app", "_rmx_admin".into()),
                "x",
                "ERR_PERMISSION",
            ),
            (case("some", "../w/other".into()), "x", "ERR_PERMISSION"),
            (case("remote_app", Value::Null), "x", "ERR_EXPECTED_CASE"),
            (case("some", Value::Int(1)), "x", "ERR_EXPECTED_CASE"),
            (Value::Int(1), "x", "ERR_EXPECTED_CASE"),
            (Value::Null, "../../other/files/x", "ERR_RANGE"),
            (Value::Null, "a/../x", "ERR_RANGE"),
            (Value::Null, "a\0", "ERR_RANGE"),
        ] {
            assert_eq!(
                run(&session, 1, &[app.clone(), path.into()]).await,
                Err(code.to_owned()),
                "{path}"
            );
        }
        let content = Value::Binary(Arc::from(&b""[..]));
        for path in ["code/x.mixexe", "/CODE/x"] {
            let args = [Value::Null, path.into(), content.clone()];
            assert_eq!(
                run(&session, 3, &args).await,
                Err("ERR_PERMISSION".to_owned())
            );
        }
        let long = Value::map([("x", Value::from("x".repeat(LARGEST_REGISTRATION)))]);
        let args = [Value::Null, "x".into(), "".into(), long];
        assert_eq!(run(&session, 7, &args).await, Err("ERR_RANGE".to_owned()));
    }
}
