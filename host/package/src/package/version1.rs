//! Version 1: `manifest.json`, several apps, MessagePack records.

use super::{Reading, check_app_name, is_metadata, path};
use crate::container::Source;
use crate::error::{PackageError, Result};
use crate::limits::{MAX_CODE, MAX_JSON, MAX_MP};
use crate::manifest::Members;
use crate::model::{App, Content, Format, PackedFile, RecordSet, RecordSource, Rule};
use crate::program::{self, Code};
use crate::records;
use mix_store::SaveOptions;
use mix_value::{Map, Ref, Value, escjson};
use sha2::{Digest, Sha256};
use std::collections::HashSet;
use std::io::{self, Write};

const RECORDS: &str = "records.mp";

pub(super) fn read<R: Source>(reading: &mut Reading<R>, manifest: &Members<'_>) -> Result<()> {
    reading.package.format = Format::V1;
    if let Some(version) = manifest.value("version") {
        let text = match version {
            Value::String(text) => text.to_string(),
            other => escjson::format(other).unwrap_or_default(),
        };
        if !text.starts_with('1') {
            let message = "the version of the package is not supported";
            return Err(PackageError::new("unsupported_version", message).found(text));
        }
    }
    let options: Vec<String> = manifest
        .texts("save_options")?
        .into_iter()
        .map(str::to_owned)
        .collect();
    SaveOptions::default()
        .with_names(options.iter().map(String::as_str))
        .map_err(|error| manifest.wrong("save_options", &error.to_string()))?;
    let setup = manifest.text("setup")?.filter(|app| !app.is_empty());
    reading.package.setup.extend(setup.map(str::to_owned));
    for informational in ["builderAssets", "bare"] {
        manifest.texts(informational)?;
    }
    if let Some(metadata) = manifest.members("metadata")? {
        reading.metadata(&metadata, None)?;
    }
    let Some(apps) = manifest.members("apps")? else {
        return Err(manifest.wrong("apps", "an object is expected"));
    };
    for (name, _) in apps.iter() {
        check_app_name("manifest.json", name)?;
        let rule = match apps.flag(name)? {
            Some(true) => Rule::Replace,
            _ => Rule::IfAbsent,
        };
        let app = read_app(reading, name, rule, &options)?;
        reading.package.apps.push(app);
    }
    more_records(reading, manifest, &options)
}

fn read_app<R: Source>(
    reading: &mut Reading<R>,
    name: &str,
    rule: Rule,
    options: &[String],
) -> Result<App> {
    let entry = format!("apps/{name}.mp");
    let bytes = reading.take(&entry, MAX_MP)?;
    let (metadata, others): (Vec<Map>, Vec<Map>) = records::packed(&entry, bytes)?
        .into_iter()
        .partition(is_metadata);
    records::check(&entry, &others)?;
    records::check(&entry, &metadata)?;
    let mut metadata = metadata
        .into_iter()
        .last()
        .unwrap_or_else(|| Map::from([("_rmx_type".into(), Value::from("app"))]));
    metadata.insert("name".into(), Value::from(name));
    reading.package.records.push(RecordSet {
        app: name.to_owned(),
        source: RecordSource::Packed(entry),
        delete: None,
        options: options.to_vec(),
        count: others.len() as u64,
    });
    let mut app = App {
        name: name.to_owned(),
        rule,
        metadata: Some(metadata),
        files: Vec::new(),
        deletions: Vec::new(),
        has_code: true,
        platforms: Vec::new(),
        surfaces: Vec::new(),
    };
    app.files.extend(reading.runtime(name)?);
    resources(reading, name, &mut app)?;
    libraries(reading, name, &mut app)?;
    Ok(app)
}

/// Files named by their content.
fn resources<R: Source>(reading: &mut Reading<R>, name: &str, app: &mut App) -> Result<()> {
    let index = format!("apps/{name}/resources.json");
    let listed = reading.take_object(&index)?;
    for (kind, folder) in [
        ("public", "/public/_rmx_resources"),
        ("private", "/_rmx_resources"),
    ] {
        let prefix = format!("apps/{name}/{kind}/");
        for entry in reading.below(&prefix) {
            let ident = &entry[prefix.len()..];
            let mut hash = Hashing(Sha256::new());
            reading.package.archive.copy(&entry, &mut hash)?;
            let found: String = hash
                .0
                .finalize()
                .iter()
                .map(|byte| format!("{byte:02x}"))
                .collect();
            if ident.split('.').next() != Some(found.as_str()) {
                let message = "the content of the resource is not that of its name";
                return Err(PackageError::corrupt(&entry, message).found(found));
            }
            app.files.push(PackedFile {
                path: path(&entry, &format!("{folder}/{ident}"))?,
                content: Content::Entry(entry.clone()),
            });
            reading.used.insert(entry);
        }
    }
    let Some(listed) = listed else { return Ok(()) };
    for (resource, about) in &listed {
        let wrong = |message: &str| {
            Err(PackageError::corrupt(
                &index,
                format!("{resource}: {message}"),
            ))
        };
        let Value::Map(about) = about else {
            return wrong("an object is expected");
        };
        let Some(Value::String(ident)) = about.get("identifier") else {
            return wrong("identifier is no string");
        };
        let kind = match about.get("public") {
            Some(Value::Bool(true)) => "public",
            _ => "private",
        };
        let entry = format!("apps/{name}/{kind}/{ident}");
        // One that is not bundled lies elsewhere.
        let bundled = about.get("bundled") != Some(&Value::Bool(false));
        if bundled && !reading.package.archive.has(&entry) {
            return Err(PackageError::missing(&entry));
        }
    }
    let bytes = reading.package.archive.read(&index, MAX_JSON)?;
    app.files.push(PackedFile {
        path: path(&index, "/code/resources.json")?,
        content: Content::Bytes(bytes),
    });
    Ok(())
}

struct Hashing(Sha256);

impl Write for Hashing {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Executables: a program of this VM becomes that of the app, any other is kept aside.
fn libraries<R: Source>(reading: &mut Reading<R>, name: &str, app: &mut App) -> Result<()> {
    let prefix = format!("apps/{name}/libraries/");
    for entry in reading.below(&prefix) {
        let file = entry[prefix.len()..].to_owned();
        let bytes = reading.take(&entry, MAX_CODE)?;
        // The name says nothing about the format, the first bytes do.
        let target = match program::judge(&entry, &format!("{file}.mixexe"), &bytes)? {
            Code::Own => format!("/code/{name}.mixexe"),
            Code::Foreign | Code::Plain => {
                let message = "made for another runtime: it is kept and never executed";
                reading.warn("incompatible_code", &entry, message);
                format!("/code/legacy/{file}")
            }
        };
        app.files.push(PackedFile {
            path: path(&entry, &target)?,
            content: Content::Entry(entry),
        });
    }
    Ok(())
}

/// `records.mp`, with the ids that must be in it.
fn more_records<R: Source>(
    reading: &mut Reading<R>,
    manifest: &Members<'_>,
    options: &[String],
) -> Result<()> {
    let mut wanted: Vec<(&str, Vec<&str>)> = Vec::new();
    if let Some(records) = manifest.members("records")? {
        for (app, _) in records.iter() {
            wanted.push((app, records.texts(app)?));
        }
    }
    if !reading.package.archive.has(RECORDS) {
        return if wanted.is_empty() {
            Ok(())
        } else {
            Err(PackageError::missing(RECORDS))
        };
    }
    let bytes = reading.take(RECORDS, MAX_MP)?;
    let mut present: HashSet<(String, Ref)> = HashSet::new();
    for (app, packed) in records::packed_by_app(RECORDS, &bytes)? {
        check_app_name(RECORDS, &app)?;
        let found = records::packed(RECORDS, packed.to_vec())?;
        records::check(RECORDS, &found)?;
        for record in &found {
            if let Some(Value::Ref(id)) = record.get("_rmx_id") {
                present.insert((app.clone(), id.clone()));
            }
        }
        reading.package.records.push(RecordSet {
            app,
            source: RecordSource::PackedMember(RECORDS.to_owned()),
            delete: None,
            options: options.to_vec(),
            count: found.len() as u64,
        });
    }
    for (app, ids) in wanted {
        for id in ids {
            let id = id.strip_prefix("{ref}").unwrap_or(id);
            let there = Ref::new(id).is_ok_and(|id| present.contains(&(app.to_owned(), id)));
            if !there {
                let message =
                    format!("record {id} of app {app}, which the manifest names, is not in it");
                let error = PackageError::new("missing_entry", message).at(RECORDS);
                return Err(error.found(format!("{app} {id}")));
            }
        }
    }
    Ok(())
}
