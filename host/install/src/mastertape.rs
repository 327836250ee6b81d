//! Whole workspaces: export while others work, import all or nothing.

use crate::database::{SYSTEM, failed, fresh_id, lock, look, open, unpack_image};
use crate::plan::files_failed;
use crate::staging::private_folder;
use mix_app_files::{AppFiles, FilesError, FolderPath, Item, Storage, app_of_folder, folder_name};
use mix_package::{
    Format, Input, Limits, Package, PackageError, RecordSource, Result, Tape, Warning, is_internal,
    write,
};
use mix_store::SaveOptions;
use mix_value::{Map, Value, escjson};
use std::collections::{BTreeMap, HashSet};
use std::fs::{self, File};
use std::path::{Path, PathBuf};

/// The app that holds owner, org and grants.
const ADMIN: &str = "_rmx_admin";

/// Subject, role and resource of a grant.
type Triple = (String, String, String);

/// What an export wrote.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Exported {
    /// Apps.
    pub apps: u64,
    /// Files of apps.
    pub files: u64,
}

/// Writes a workspace into a file; `scratch` is an empty folder for what is on its way.
pub fn export(
    workspace: &Path,
    storage: &Storage,
    tape: &Tape,
    exported_at: &str,
    history: bool,
    scratch: &Path,
    out: File,
) -> Result<Exported> {
    let mut done = Exported::default();
    let mut entries: BTreeMap<String, Input> = BTreeMap::new();
    let mut apps = Map::new();
    for (name, folder) in apps_of(workspace)? {
        done.apps += 1;
        let number = format!("{:04}", done.apps);
        let mut recordsets = Vec::new();
        if let Some(database) = look(&folder)? {
            let image = scratch.join(format!("image-{number}"));
            if history {
                database.export_image(&image).map_err(failed)?;
            } else {
                compacted(
                    &database,
                    &name,
                    &scratch.join(format!("compact-{number}")),
                    &image,
                )?;
            }
            let set = format!("db-{number}");
            for file in fs::read_dir(&image)? {
                let file = file?;
                let entry = format!(
                    "recordsets/{set}/image/{}",
                    file.file_name().to_string_lossy()
                );
                entries.insert(entry, Input::File(file.path()));
            }
            let about = Value::map([
                ("contentType", Value::from("userRecords")),
                ("representationType", Value::from("db-image")),
            ]);
            entries.insert(format!("recordsets/{set}/rsMeta.json"), json(&about)?);
            recordsets.push(Value::from(set));
        }
        let set = format!("fs-{number}");
        let kept = copy_files(storage, &folder, &scratch.join(format!("files-{number}")))?;
        for (path, place) in kept {
            done.files += 1;
            entries.insert(format!("filesets/{set}/root{path}"), Input::File(place));
        }
        let about = Value::map([("code", Value::Bool(true))]);
        entries.insert(format!("filesets/{set}/fsMeta.json"), json(&about)?);
        let app = Value::map([
            ("recordsets", Value::Array(recordsets)),
            ("filesets", Value::Array(vec![Value::from(set)])),
            ("metadata", Value::Map(Map::new())),
        ]);
        apps.insert(name.into(), app);
    }
    entries.insert(
        "workspace.json".to_owned(),
        json(&about(tape, exported_at))?,
    );
    let manifest = Map::from([
        ("version".into(), Value::from("2.0")),
        ("kind".into(), Value::from("mastertape")),
        ("name".into(), Value::from(tape.workspace.as_str())),
        ("apps".into(), Value::Map(apps)),
    ]);
    let out = write(&manifest, entries, out)?;
    out.sync_all()?;
    Ok(done)
}

/// Apps that leave the workspace, with their folders, by name.
fn apps_of(workspace: &Path) -> Result<BTreeMap<String, PathBuf>> {
    let mut apps = BTreeMap::new();
    for item in fs::read_dir(workspace)? {
        let item = item?;
        let name = item.file_name().to_str().and_then(app_of_folder);
        if let Some(name) = name
            && item.file_type()?.is_dir()
            && !is_internal(&name)
        {
            apps.insert(name, item.path());
        }
    }
    Ok(apps)
}

/// An image without superseded rows.
fn compacted(database: &mix_store::Database, app: &str, copy: &Path, image: &Path) -> Result<()> {
    private_folder(copy)?;
    database.copy_to(copy).map_err(failed)?;
    let _lock = lock(copy)?;
    let copied = open(copy, app)?;
    copied.compact(false, false).map_err(failed)?;
    copied.export_image(image).map_err(failed)?;
    copied.close().map_err(failed)?;
    fs::remove_dir_all(copy)?;
    Ok(())
}

/// Links (or copies) the files of an app, so that none changes or goes while it is packed.
fn copy_files(storage: &Storage, app: &Path, to: &Path) -> Result<Vec<(String, PathBuf)>> {
    private_folder(to)?;
    let root = app.join("files");
    let files = storage.files(app);
    let all = FolderPath::parse("/").map_err(|bad| files_failed(bad.into()))?;
    let listing = files
        .list(&all, true, None, usize::MAX)
        .map_err(files_failed)?;
    let mut kept = Vec::new();
    for item in listing.items {
        let Item::File(path, _) = item else { continue };
        if path.is_ephemeral() {
            continue;
        }
        let place = to.join(kept.len().to_string());
        let source: PathBuf = root.join(path.names().collect::<PathBuf>());
        match fs::hard_link(&source, &place) {
            Ok(()) => {}
            Err(_) => match files.open(&path) {
                Ok((opened, facts)) => {
                    let mut content = opened.read(0..facts.size).map_err(files_failed)?;
                    std::io::copy(&mut content, &mut File::create(&place)?)?;
                }
                // Deleted in between.
                Err(FilesError::NotFound) => continue,
                Err(error) => return Err(files_failed(error)),
            },
        }
        kept.push((path.text(), place));
    }
    Ok(kept)
}

fn about(tape: &Tape, exported_at: &str) -> Value {
    let grants = tape.grants.iter().map(|(subject, role, resource)| {
        Value::map([
            ("subject", Value::from(subject.as_str())),
            ("role", Value::from(role.as_str())),
            ("resource", Value::from(resource.as_str())),
        ])
    });
    Value::map([
        ("org", Value::from(tape.org.as_str())),
        ("server", Value::from(tape.server.as_str())),
        ("ws", Value::from(tape.workspace.as_str())),
        ("grants", Value::Array(grants.collect())),
        ("authConfigs", Value::Array(tape.auth_configs.clone())),
        ("exportedAt", Value::from(exported_at)),
    ])
}

fn json(value: &Value) -> Result<Input> {
    escjson::format(value)
        .map(|text| Input::Bytes(text.into_bytes()))
        .map_err(|error| PackageError::new("internal", error.to_string()))
}

/// What an import brought.
#[derive(Debug, Clone, Default)]
pub struct Imported {
    /// Apps.
    pub apps: Vec<String>,
    /// Grants that apply now.
    pub grants: u64,
    /// Grants that were left out.
    pub dropped_grants: u64,
    /// Providers through which users sign in here, too.
    pub auth_configs: u64,
    /// Providers that were left out.
    pub dropped_auth_configs: u64,
    /// What was not as it should be.
    pub warnings: Vec<Warning>,
}

/// What of a tape applies here.
pub struct Keep<'a> {
    /// A grant as it applies here; none: it is left out.
    pub grant: &'a dyn Fn(&Tape, &Triple) -> Option<Triple>,
    /// A provider as it is described here; none: it is left out.
    pub auth_config: &'a dyn Fn(&Map) -> Option<Map>,
}

/// Builds a workspace from a mastertape in an empty folder; whoever asked puts it in its place.
pub fn import(
    upload: &Path,
    into: &Path,
    owner: Option<&str>,
    org: &str,
    keep: &Keep<'_>,
) -> Result<Imported> {
    let mut package = Package::open(File::open(upload)?, &Limits::MASTERTAPE)?;
    if package.format != Format::Mastertape {
        let message = "this is a package of apps; install it";
        return Err(PackageError::new("wrong_kind", message));
    }
    let mut done = Imported {
        warnings: package.warnings.clone(),
        ..Imported::default()
    };
    for app in package.apps.clone() {
        let folder = into.join(folder_name(&app.name));
        private_folder(&folder.join("files").join("code"))?;
        for set in package.records.clone() {
            if set.app != app.name {
                continue;
            }
            if !matches!(set.source, RecordSource::Image(_)) {
                let message = "records of a whole workspace are images of databases";
                return Err(PackageError::bad_manifest("$.apps", message).found(app.name.as_str()));
            }
            unpack_image(&mut package, &set, &into.join(".image"), &folder)?;
        }
        let files = AppFiles::new(folder.join("files"));
        for file in &app.files {
            let mut draft = files.draft().map_err(files_failed)?;
            package.write_file(file, &mut draft)?;
            files.put(&file.path, draft, true).map_err(files_failed)?;
        }
        done.apps.push(app.name);
    }
    let tape = package.tape.take().unwrap_or_default();
    let mut records = vec![record(&[
        ("_rmx_type", "workspace"),
        ("owner", owner.unwrap_or("")),
        ("org", org),
    ])?];
    for given in &tape.grants {
        match (keep.grant)(&tape, given) {
            Some((subject, role, resource)) => {
                done.grants += 1;
                records.push(record(&[
                    ("_rmx_type", "grant"),
                    ("subject", &subject),
                    ("role", &role),
                    ("resource", &resource),
                ])?);
            }
            None => done.dropped_grants += 1,
        }
    }
    let mut names = HashSet::new();
    for given in &tape.auth_configs {
        let kept = match given {
            Value::Map(given) => (keep.auth_config)(given),
            _ => None,
        };
        let name = |kept: &Map| kept.get("name").and_then(Value::as_str).map(str::to_owned);
        match kept.filter(|kept| names.insert(name(kept))) {
            Some(mut kept) => {
                done.auth_configs += 1;
                kept.insert("_rmx_id".into(), Value::Ref(fresh_id()?));
                kept.insert("_rmx_type".into(), Value::from("auth_config"));
                records.push(Value::Map(kept));
            }
            None => done.dropped_auth_configs += 1,
        }
    }
    let admin = into.join(ADMIN);
    private_folder(&admin.join("files").join("code"))?;
    let _lock = lock(&admin)?;
    let database = open(&admin, ADMIN)?;
    let options = SaveOptions::default().with_actor(SYSTEM);
    database.save(records, &options).map_err(failed)?;
    database.close().map_err(failed)?;
    Ok(done)
}

fn record(members: &[(&str, &str)]) -> Result<Value> {
    let mut record = Map::from([("_rmx_id".into(), Value::Ref(fresh_id()?))]);
    for (name, text) in members.iter().filter(|(_, text)| !text.is_empty()) {
        record.insert((*name).into(), Value::from(*text));
    }
    Ok(Value::Map(record))
}
