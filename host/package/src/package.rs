//! Opening a package: format, manifest, and a look at every entry.

mod version1;
mod version2;

use crate::container::{Archive, Source};
use crate::error::{PackageError, Result};
use crate::limits::{Limits, MAX_CODE, MAX_JSON, MAX_MANIFEST, MAX_MP};
use crate::manifest::{Members, object};
use crate::model::{
    App, Check, Content, Format, PackedFile, RecordSet, RecordSource, Tape, Warning,
};
use crate::program::{self, Code};
use crate::records;
use mix_file_path::FilePath;
use mix_value::{Map, Value, escjson};
use std::collections::HashSet;
use std::io::Write;

/// Manifest of version 2.
pub(crate) const MANIFEST_2: &str = "manifest_v2.json";
const MANIFEST_1: &str = "manifest.json";

/// A package that was read and found in order.
pub struct Package<R> {
    archive: Archive<R>,
    /// Which format.
    pub format: Format,
    /// Identity of the package line.
    pub id: Option<String>,
    /// Name of the app (2.1) or the workspace (mastertape).
    pub name: Option<String>,
    /// The manifest as it is.
    pub manifest: Map,
    /// Its apps.
    pub apps: Vec<App>,
    /// Records, in the order in which they are saved.
    pub records: Vec<RecordSet>,
    /// Rules for duplicates.
    pub checks: Vec<Check>,
    /// Where the client goes afterwards.
    pub navigate: Option<Value>,
    /// Apps whose agent `_rmx_setup` is called after the install.
    pub setup: Vec<String>,
    /// Of a mastertape.
    pub tape: Option<Tape>,
    /// What is not as it should be.
    pub warnings: Vec<Warning>,
}

/// A package while it is read.
struct Reading<R> {
    package: Package<R>,
    /// Entries that something was made of.
    used: HashSet<String>,
}

impl<R: Source> Package<R> {
    /// Reads a package and checks all of it.
    pub fn open(reader: R, limits: &Limits) -> Result<Package<R>> {
        let mut archive = Archive::open(reader, limits)?;
        let (entry, is_second) = match (archive.has(MANIFEST_2), archive.has(MANIFEST_1)) {
            (true, _) => (MANIFEST_2, true),
            (false, true) => (MANIFEST_1, false),
            (false, false) => {
                let message = "neither manifest_v2.json nor manifest.json is in it";
                return Err(PackageError::new("not_a_package", message));
            }
        };
        if archive.size(entry).is_some_and(|size| size > MAX_MANIFEST) {
            let error = PackageError::bad_manifest("$", "the manifest is too large");
            return Err(error.at(entry).limit(MAX_MANIFEST));
        }
        let manifest = object(entry, &archive.read(entry, MAX_MANIFEST)?)?;
        let mut reading = Reading {
            package: Package {
                archive,
                format: Format::V1,
                id: None,
                name: None,
                manifest: manifest.clone(),
                apps: Vec::new(),
                records: Vec::new(),
                checks: Vec::new(),
                navigate: None,
                setup: Vec::new(),
                tape: None,
                warnings: Vec::new(),
            },
            used: HashSet::from([MANIFEST_1.to_owned(), MANIFEST_2.to_owned()]),
        };
        let members = Members::new(&manifest, entry);
        if is_second {
            version2::read(&mut reading, &members)?;
        } else {
            version1::read(&mut reading, &members)?;
        }
        for app in &reading.package.apps {
            check_paths(app)?;
        }
        reading.verify_rest()?;
        Ok(reading.package)
    }

    /// Unpacks the content of a file.
    pub fn write_file(&mut self, file: &PackedFile, out: &mut dyn Write) -> Result<u64> {
        match &file.content {
            Content::Entry(entry) => self.archive.copy(entry, out),
            Content::Bytes(bytes) => {
                out.write_all(bytes)?;
                Ok(bytes.len() as u64)
            }
        }
    }

    /// Hands over the records of a set, with their entry and index.
    pub fn each_record(
        &mut self,
        set: &RecordSet,
        take: &mut dyn FnMut(&str, u64, Map) -> Result<()>,
    ) -> Result<()> {
        match &set.source {
            RecordSource::Packed(entry) => {
                let bytes = self.archive.read(entry, MAX_MP)?;
                let all = records::packed(entry, bytes)?.into_iter().zip(0..);
                for (record, index) in all.filter(|(record, _)| !is_metadata(record)) {
                    take(entry, index, record)?;
                }
            }
            RecordSource::PackedMember(entry) => {
                let bytes = self.archive.read(entry, MAX_MP)?;
                for (app, packed) in records::packed_by_app(entry, &bytes)? {
                    if app != set.app {
                        continue;
                    }
                    for (record, index) in records::packed(entry, packed.to_vec())?
                        .into_iter()
                        .zip(0..)
                    {
                        take(entry, index, record)?;
                    }
                }
            }
            RecordSource::Json(entries) => {
                for entry in entries {
                    let bytes = self.archive.read(entry, MAX_JSON)?;
                    for (record, index) in records::listed(entry, &bytes)?.into_iter().zip(0..) {
                        take(entry, index, record)?;
                    }
                }
            }
            RecordSource::Image(_) => {}
        }
        Ok(())
    }

    /// Unpacks the files of an image: `make` opens each of them by its name.
    pub fn unpack_image(
        &mut self,
        set: &RecordSet,
        make: &mut dyn FnMut(&str) -> Result<Box<dyn Write>>,
    ) -> Result<()> {
        let RecordSource::Image(prefix) = &set.source else {
            return Ok(());
        };
        let names: Vec<String> = self
            .archive
            .names()
            .filter(|name| name.starts_with(prefix.as_str()))
            .map(str::to_owned)
            .collect();
        for name in names {
            let mut out = make(&name[prefix.len()..])?;
            self.archive.copy(&name, &mut *out)?;
            out.flush()?;
        }
        Ok(())
    }
}

/// The record of version 1 that is the metadata of its app.
pub(crate) fn is_metadata(record: &Map) -> bool {
    record.get("_rmx_type").and_then(Value::as_str) == Some("app")
}

impl<R: Source> Reading<R> {
    fn warn(&mut self, code: &'static str, entry: &str, message: &str) {
        self.package.warnings.push(Warning {
            code,
            entry: Some(entry.to_owned()),
            message: message.to_owned(),
        });
    }

    /// Names of entries that begin so.
    fn below(&self, prefix: &str) -> Vec<String> {
        let names = self.package.archive.names();
        let found = names.filter(|name| name.starts_with(prefix));
        found.map(str::to_owned).collect()
    }

    fn take(&mut self, entry: &str, most: u64) -> Result<Vec<u8>> {
        let content = self.package.archive.read(entry, most)?;
        self.used.insert(entry.to_owned());
        Ok(content)
    }

    /// A JSON object that may be absent.
    fn take_object(&mut self, entry: &str) -> Result<Option<Map>> {
        if !self.package.archive.has(entry) {
            return Ok(None);
        }
        let bytes = self.take(entry, MAX_JSON)?;
        match records::json(entry, &bytes, escjson::Mode::Tagged, 0)? {
            Value::Map(members) => Ok(Some(members)),
            _ => Err(PackageError::corrupt(entry, "an object is expected")),
        }
    }

    /// Settings of the runtime, with the name of the app's database.
    fn runtime(&mut self, app: &str) -> Result<Option<PackedFile>> {
        let entry = format!("apps/{app}/runtime.json");
        let Some(mut settings) = self.take_object(&entry)? else {
            return Ok(None);
        };
        settings.insert("dbName".into(), Value::from(app));
        let text = escjson::format(&Value::Map(settings))
            .map_err(|error| PackageError::corrupt(&entry, error.to_string()))?;
        Ok(Some(PackedFile {
            path: path(&entry, "/code/runtime.json")?,
            content: Content::Bytes(text.into_bytes()),
        }))
    }

    /// A file of the code folder: programs of this VM where they belong, those of others aside.
    fn code_file(&mut self, entry: &str, at: FilePath) -> Result<PackedFile> {
        let name = at.last().to_owned();
        let mut file = PackedFile {
            path: at,
            content: Content::Entry(entry.to_owned()),
        };
        if !program::is_code_name(&name) {
            self.used.insert(entry.to_owned());
            return Ok(file);
        }
        let bytes = self.take(entry, MAX_CODE)?;
        if program::judge(entry, &name, &bytes)? == Code::Foreign {
            let message = "made for another runtime: it is kept and never executed";
            self.warn("incompatible_code", entry, message);
            if !name.to_ascii_lowercase().ends_with(".wasm") {
                file.path = path(entry, &format!("/code/legacy/{name}"))?;
            }
        }
        Ok(file)
    }

    /// A `metadata` member; `own` is the app that it is about.
    fn metadata(&mut self, metadata: &Members<'_>, own: Option<&str>) -> Result<()> {
        self.duplicate_checks(metadata, own)?;
        metadata.members("record_counts")?;
        metadata.objects("projects")?;
        metadata.members("navigate")?;
        if let Some(navigate) = metadata.value("navigate") {
            self.package.navigate = Some(navigate.clone());
        }
        Ok(())
    }

    /// `duplicate_checks` of a `metadata` member.
    fn duplicate_checks(&mut self, metadata: &Members<'_>, own: Option<&str>) -> Result<()> {
        for check in metadata.objects("duplicate_checks")? {
            let app = match (check.text("project")?, own) {
                (Some(project), _) => project,
                (None, Some(own)) => own,
                (None, None) => return Err(check.wrong("project", "a string is expected")),
            };
            let is_flat = ["entity", "fields", "rule"]
                .iter()
                .any(|name| check.value(name).is_some());
            if is_flat && check.value("entities").is_none() {
                // Left out, it would let in the duplicates that it is there to keep out.
                return Err(check.wrong("entities", "an array is expected"));
            }
            for entity in check.objects("entities")? {
                let Some(kind) = entity.text("entity")? else {
                    return Err(entity.wrong("entity", "a string is expected"));
                };
                let replace = match entity.text("rule")? {
                    None | Some("skip") => false,
                    Some("replace") => true,
                    Some(_) => return Err(entity.wrong("rule", "skip or replace is expected")),
                };
                self.package.checks.push(Check {
                    app: app.to_owned(),
                    entity: kind.to_owned(),
                    fields: entity
                        .texts("fields")?
                        .into_iter()
                        .map(str::to_owned)
                        .collect(),
                    replace,
                });
            }
        }
        Ok(())
    }

    /// What nothing was made of is still unpacked once, so that damage is told, and named.
    fn verify_rest(&mut self) -> Result<()> {
        let names: Vec<String> = self.package.archive.names().map(str::to_owned).collect();
        let files: HashSet<String> = self
            .package
            .apps
            .iter()
            .flat_map(|app| &app.files)
            .filter_map(|file| match &file.content {
                Content::Entry(entry) => Some(entry.clone()),
                Content::Bytes(_) => None,
            })
            .collect();
        let images: Vec<String> = self
            .package
            .records
            .iter()
            .filter_map(|set| match &set.source {
                RecordSource::Image(prefix) => Some(prefix.clone()),
                _ => None,
            })
            .collect();
        for name in names {
            if self.used.contains(&name) {
                continue;
            }
            self.package.archive.copy(&name, &mut std::io::sink())?;
            let known = files.contains(&name)
                || images
                    .iter()
                    .any(|prefix| name.starts_with(prefix.as_str()));
            if !known {
                self.warn(
                    "unknown_entry",
                    &name,
                    "nothing is known about this entry; it is left out",
                );
            }
        }
        Ok(())
    }
}

/// No file of an app comes twice, and none is a folder of another one.
fn check_paths(app: &App) -> Result<()> {
    let wrong = |text: &str, message| Err(PackageError::unsafe_entry(text, message));
    let mut paths = HashSet::new();
    for file in &app.files {
        let text = file.path.text();
        if paths.contains(&text) {
            return wrong(&text, "two entries bring the same file");
        }
        paths.insert(text);
    }
    for text in &paths {
        let mut parents = text.match_indices('/').map(|(end, _)| &text[..end]);
        if parents.any(|parent| paths.contains(parent)) {
            return wrong(text, "a folder of the file is a file of the package too");
        }
    }
    Ok(())
}

/// The path of a file that an entry becomes.
fn path(entry: &str, text: &str) -> Result<FilePath> {
    FilePath::parse(text).map_err(|error| PackageError::unsafe_entry(entry, &error.to_string()))
}

/// Apps that packages may bring.
fn check_app_name(entry: &str, name: &str) -> Result<()> {
    if is_internal(name) {
        return Err(
            PackageError::unsafe_entry(entry, "the app is one of the server's own").found(name),
        );
    }
    if !mix_http_api::is_app_name(name) {
        return Err(PackageError::unsafe_entry(entry, "not a name of an app").found(name));
    }
    Ok(())
}

/// The server's own apps.
pub fn is_internal(app: &str) -> bool {
    matches!(app, "_rmx_admin" | "_rmx_secrets" | "_rmx_logging")
}
