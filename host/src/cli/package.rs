//! Packages (`.remix`) on the command line: building and installing.

use super::Exit;
use super::execution;
use super::select::GuestFlags;
use mix_app_files::{Bucket, BucketSettings, Storage};
use mix_install::{Request, Staging, Turn, recover};
use mix_package::{Input, Limits, NewPackage, PackageError};
use mix_runtime::programs::Installed;
use mix_runtime::run::{BROKE_OFF, Outcome, RunRequest};
use mix_runtime::workspace::Place;
use mix_value::{Map, Value, escjson, msgpack};
use std::collections::BTreeMap;
use std::fs;
use std::io::{self, BufWriter, Cursor};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Ending of packages.
pub const ENDING: &str = "remix";
/// Folder beside the sources whose content becomes files of the app.
const FILES: &str = "files";
/// Folder beside the sources with EscJSON arrays of records.
const RECORDS: &str = "records";
/// File beside the sources with the metadata of the app.
const METADATA: &str = "appMeta.json";
/// Largest file of records, as in a package.
const LARGEST_RECORDS: u64 = 64 << 20;
/// The agent that is called after an install.
const SETUP: &str = "_rmx_setup";
/// Time of that call.
const SETUP_TIME: Duration = Duration::from_secs(60);
/// Deepest folder of files.
const MAX_DEPTH: usize = 32;

/// True for the name of a package.
pub fn is_package(path: &Path) -> bool {
    path.extension().is_some_and(|ending| ending == ENDING)
}

/// The package of one app: its program with libraries, and what lies beside its sources.
/// `with_records`: those too that lie there.
pub fn build(
    app: &str,
    executable: Vec<u8>,
    libraries: Vec<(String, Vec<u8>)>,
    has_setup: bool,
    folder: Option<&Path>,
    with_records: bool,
) -> Result<Vec<u8>, Exit> {
    let mut new = NewPackage {
        id: app
            .chars()
            .map(|c| if c == '.' { '-' } else { c })
            .take(64)
            .collect(),
        app: app.to_owned(),
        updates: "*".to_owned(),
        setup: has_setup,
        ..NewPackage::default()
    };
    new.code
        .insert(format!("{app}.mixexe"), Input::Bytes(executable));
    for (name, bytes) in libraries {
        new.code.insert(name, Input::Bytes(bytes));
    }
    if let Some(folder) = folder {
        collect(&folder.join(FILES), "", 0, &mut new.files)?;
        if with_records {
            new.records = records(&folder.join(RECORDS))?;
        }
        let about = folder.join(METADATA);
        if about.is_file() {
            match parsed(&about)? {
                Value::Map(members) => new.metadata = Some(members),
                _ => {
                    return Err(Exit::failed(format!(
                        "error: {} is no object",
                        about.display()
                    )));
                }
            }
        }
    }
    let bytes = new
        .write(Cursor::new(Vec::new()))
        .map_err(exit)?
        .into_inner();
    // What would be refused is not written.
    mix_package::Package::open(Cursor::new(bytes.clone()), &Limits::PACKAGE).map_err(exit)?;
    Ok(bytes)
}

fn collect(
    folder: &Path,
    prefix: &str,
    depth: usize,
    files: &mut BTreeMap<String, Input>,
) -> Result<(), Exit> {
    if !folder.is_dir() {
        return Ok(());
    }
    if depth > MAX_DEPTH {
        return Err(Exit::failed(format!(
            "error: {} is nested too deeply",
            folder.display()
        )));
    }
    for item in fs::read_dir(folder).map_err(Exit::io)? {
        let item = item.map_err(Exit::io)?;
        let name = format!("{prefix}{}", item.file_name().to_string_lossy());
        let kind = item.file_type().map_err(Exit::io)?;
        if kind.is_dir() {
            collect(&item.path(), &format!("{name}/"), depth + 1, files)?;
        } else if kind.is_file() {
            files.insert(name, Input::File(item.path()));
        }
    }
    Ok(())
}

/// The records of all files, in the order of their names.
fn records(folder: &Path) -> Result<Vec<Map>, Exit> {
    let mut paths: Vec<PathBuf> = fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .map(|item| item.path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "json"))
        .collect();
    paths.sort();
    let mut all = Vec::new();
    for path in paths {
        let Value::Array(items) = parsed(&path)? else {
            return Err(Exit::failed(format!(
                "error: {} is no array of records",
                path.display()
            )));
        };
        for item in items {
            match item {
                Value::Map(record) => all.push(record),
                other => {
                    return Err(Exit::failed(format!(
                        "error: {}: a record must be a map, not {}",
                        path.display(),
                        other.kind()
                    )));
                }
            }
        }
    }
    Ok(all)
}

fn parsed(path: &Path) -> Result<Value, Exit> {
    let text = mix_input_file::read_text(path, LARGEST_RECORDS)
        .map_err(|error| Exit::io(format!("{}: {error}", path.display())))?;
    let strict = escjson::Options {
        duplicates: escjson::Duplicates::Refuse,
        ..escjson::Options::default()
    };
    escjson::parse_with(&text, &strict)
        .map_err(|error| Exit::failed(format!("error: {}: {error}", path.display())))
}

/// What became of an install.
pub struct Installation {
    /// The report.
    pub report: Value,
    /// The first app of the package.
    pub app: Option<String>,
}

/// Installs a package into a workspace.
pub fn install(
    path: &Path,
    ws_dir: &Path,
    ws: &str,
    request: &Request,
    dry_run: bool,
    guests: Option<&GuestFlags>,
) -> Result<Installation, Exit> {
    // Checks the names, and gives the folder.
    let workspace = Place::new(ws_dir, ws, "main")
        .map_err(Exit::usage)?
        .workspace_folder();
    let (storage, _tasks) = storage()?;
    recover(&workspace, &storage).map_err(exit)?;
    let turn = Turn::take(&workspace).map_err(exit)?;
    let staging = Staging::new(&workspace, storage).map_err(exit)?;
    let done = install_staged(staging, path, ws_dir, ws, request, dry_run, guests);
    if done.is_err() || dry_run {
        turn.take_back();
    }
    done
}

/// The same in the turn of the workspace.
fn install_staged(
    staging: Staging,
    path: &Path,
    ws_dir: &Path,
    ws: &str,
    request: &Request,
    dry_run: bool,
    guests: Option<&GuestFlags>,
) -> Result<Installation, Exit> {
    let failed = |error: io::Error| Exit::io(format!("{}: {error}", path.display()));
    let source = mix_input_file::open(path).map_err(failed)?;
    let mut source = mix_input_file::limited(source, Limits::PACKAGE.total);
    let mut target = BufWriter::new(fs::File::create_new(staging.upload()).map_err(Exit::io)?);
    io::copy(&mut source, &mut target).map_err(failed)?;
    target
        .into_inner()
        .map_err(Exit::io)?
        .sync_all()
        .map_err(Exit::io)?;
    let plan = staging.plan(request).map_err(exit)?;
    let report = plan.report().clone();
    let mut setup = Value::map([("called", Value::Bool(false))]);
    let app = report.apps.first().map(|app| app.name.clone());
    if dry_run {
        return Ok(Installation {
            report: report.to_value(setup),
            app,
        });
    }
    let commit = plan.stage().map_err(exit)?;
    let changes = commit.changes();
    changes.check_free().map_err(exit)?;
    changes.begin().map_err(exit)?;
    for app in changes.apps() {
        changes.apply(&app).map_err(exit)?;
    }
    let (apps, params) = commit.setup();
    let (apps, params) = (apps.to_vec(), params.clone());
    changes.finish().map_err(exit)?;
    for app in apps {
        let place = Place::new(ws_dir, ws, &app).map_err(Exit::usage)?;
        if let Some(guests) = guests
            && let Some(told) = call_setup(place, params.clone(), &request.actor, guests)?
        {
            setup = told;
        }
    }
    Ok(Installation {
        report: report.to_value(setup),
        app,
    })
}

/// Where the files of apps lie, by the variables that a server has, and the tasks that a bucket needs.
fn storage() -> Result<(Storage, Option<tokio::runtime::Runtime>), Exit> {
    let settings = BucketSettings::read(|name| std::env::var(name).ok()).map_err(Exit::usage)?;
    let Some(settings) = settings else {
        return Ok((Storage::default(), None));
    };
    let tasks = super::runtime()?;
    let bucket = {
        let _inside = tasks.enter();
        Bucket::new(settings).map_err(Exit::usage)?
    };
    Ok((Storage::on(bucket), Some(tasks)))
}

fn call_setup(
    place: Place,
    params: Map,
    user: &str,
    guests: &GuestFlags,
) -> Result<Option<Value>, Exit> {
    let Ok(program) = Installed::new(u64::MAX).find(&place, SETUP) else {
        return Ok(None);
    };
    let request = RunRequest {
        params: msgpack::encode(&Value::Map(params)).unwrap_or_default(),
        user: user.to_owned(),
        ..execution::request(guests, place, SETUP, program, SETUP_TIME)?
    };
    let outcome = execution::outcome(guests, None, request)?;
    let failed = |message: String| {
        Value::map([
            ("called", Value::Bool(true)),
            ("ok", Value::Bool(false)),
            ("error", Value::from(message)),
        ])
    };
    Ok(Some(match outcome {
        Outcome::Output(_) => {
            Value::map([("called", Value::Bool(true)), ("ok", Value::Bool(true))])
        }
        Outcome::Issue(issue) | Outcome::NotLoaded(issue) => {
            failed(format!("{}: {}", issue.code, issue.message))
        }
        Outcome::TimedOut => failed("RT_TIMEOUT: it ran out of time".to_owned()),
        Outcome::OutOfMemory => failed("RT_MEMORY: it ran out of memory".to_owned()),
        Outcome::Broken(reason) => {
            tracing::error!(%reason, "{BROKE_OFF}");
            failed(format!("RT_INTERNAL: {BROKE_OFF}"))
        }
    }))
}

/// A package that is refused is a finding; a database that is in use is busy.
fn exit(error: PackageError) -> Exit {
    let text = format!("error {}: {error}", error.code);
    match error.code {
        "db_locked" | "db_busy" | "install_running" | "busy" => Exit::busy(text),
        "internal" | "db_io" | "disk_full" => {
            let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}"));
            Exit::io(format!("{text}{}", cause.unwrap_or_default()))
        }
        _ => Exit::failed(text),
    }
}
