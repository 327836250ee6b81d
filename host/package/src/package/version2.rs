//! Version 2: `manifest_v2.json`, record sets and file sets; mastertapes.

use super::{Reading, check_app_name, path};
use crate::container::Source;
use crate::error::{PackageError, Result};
use crate::limits::MAX_JSON;
use crate::manifest::Members;
use crate::model::{App, Content, Format, PackedFile, RecordSet, RecordSource, Rule, Tape};
use crate::patterns::Pattern;
use crate::program;
use crate::records;
use mix_store::SaveOptions;
use mix_store::query::Pipeline;
use mix_store::query::ast::Stage;
use mix_value::Value;
use std::collections::HashSet;

const MANIFEST: &str = super::MANIFEST_2;
const WORKSPACE: &str = "workspace.json";
/// Longest name of a set.
const MAX_SET: usize = 64;

pub(super) fn read<R: Source>(reading: &mut Reading<R>, manifest: &Members<'_>) -> Result<()> {
    let is_tape = match manifest.text("kind")? {
        None => false,
        Some("mastertape") => true,
        Some(_) => return Err(manifest.wrong("kind", "only mastertape is known")),
    };
    let format = match (manifest.text("version")?, is_tape) {
        (Some("2.0"), true) => Format::Mastertape,
        (Some("2.0"), false) => Format::V20,
        (Some("2.1"), false) => Format::V21,
        (found, _) => {
            let message = "the version of the package is not supported";
            return Err(
                PackageError::new("unsupported_version", message).found(found.unwrap_or("none"))
            );
        }
    };
    reading.package.format = format;
    manifest.members("created")?;
    let id = manifest.text("id")?;
    match id {
        Some(id) if is_set_name(id) => reading.package.id = Some(id.to_owned()),
        None if is_tape => {}
        _ => return Err(manifest.wrong("id", "1 to 64 of A-Z a-z 0-9 _ - are expected")),
    }
    let rule = match manifest.text("updates")? {
        None | Some("") => Rule::Fresh,
        Some("*") => Rule::Any,
        Some("**") => Rule::UpdateOnly,
        Some(id) => Rule::UpdateOf(id.to_owned()),
    };
    let mut sets = Sets::default();
    if format == Format::V21 {
        let Some(name) = manifest.text("name")? else {
            return Err(manifest.wrong("name", "the name of an app is expected"));
        };
        let Some(app) = manifest.members("app")? else {
            return Err(manifest.wrong("app", "an object is expected"));
        };
        reading.package.name = Some(name.to_owned());
        read_app(reading, name, &app, rule, &mut sets)?;
    } else {
        reading.package.name = manifest.text("name")?.map(str::to_owned);
        let Some(apps) = manifest.members("apps")? else {
            return Err(manifest.wrong("apps", "an object is expected"));
        };
        for (name, _) in apps.iter() {
            let Some(app) = apps.members(name)? else {
                return Err(apps.wrong(name, "an object is expected"));
            };
            read_app(reading, name, &app, rule.clone(), &mut sets)?;
        }
    }
    if is_tape {
        reading.package.tape = Some(read_tape(reading)?);
    }
    Ok(())
}

/// Sets that an app has taken.
#[derive(Default)]
struct Sets(HashSet<String>);

impl Sets {
    fn take(&mut self, kind: &str, name: &str) -> bool {
        self.0.insert(format!("{kind}/{name}"))
    }
}

fn is_set_name(name: &str) -> bool {
    (1..=MAX_SET).contains(&name.len())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
}

fn read_app<R: Source>(
    reading: &mut Reading<R>,
    name: &str,
    about: &Members<'_>,
    rule: Rule,
    sets: &mut Sets,
) -> Result<App> {
    check_app_name(MANIFEST, name)?;
    let owned = |list: Vec<&str>| list.into_iter().map(str::to_owned).collect();
    let mut app = App {
        name: name.to_owned(),
        rule,
        metadata: None,
        files: Vec::new(),
        deletions: Vec::new(),
        has_code: false,
        platforms: owned(about.texts("platforms")?),
        surfaces: owned(about.texts("surfaces")?),
    };
    if let Some(metadata) = about.members("metadata")? {
        reading.metadata(&metadata, Some(name))?;
        let setup = match metadata.value("setup") {
            Some(Value::Bool(flag)) => flag.then_some(name),
            _ => metadata.text("setup")?.filter(|app| !app.is_empty()),
        };
        reading.package.setup.extend(setup.map(str::to_owned));
    }
    let entry = format!("apps/{name}/appMeta.json");
    app.metadata = reading.take_object(&entry)?.map(|mut metadata| {
        metadata.insert("_rmx_type".into(), Value::from("app"));
        metadata.insert("name".into(), Value::from(name));
        metadata
    });
    if let Some(metadata) = &app.metadata {
        records::check(&entry, std::slice::from_ref(metadata))?;
    }
    app.files.extend(reading.runtime(name)?);
    for (kind, member) in [("recordset", "recordsets"), ("fileset", "filesets")] {
        for (number, set) in about.texts(member)?.into_iter().enumerate() {
            let place = format!("{member}[{number}]");
            if !is_set_name(set) {
                return Err(about.wrong(&place, "1 to 64 of A-Z a-z 0-9 _ - are expected"));
            }
            if !sets.take(kind, set) {
                return Err(about.wrong(&place, "the set is named twice"));
            }
            if kind == "recordset" {
                let found = recordset(reading, name, set)?;
                reading.package.records.push(found);
            } else {
                fileset(reading, set, &mut app)?;
            }
        }
    }
    reading.package.apps.push(app.clone());
    Ok(app)
}

fn recordset<R: Source>(reading: &mut Reading<R>, app: &str, set: &str) -> Result<RecordSet> {
    let prefix = format!("recordsets/{set}/");
    let about = format!("{prefix}rsMeta.json");
    let meta = reading
        .take_object(&about)?
        .ok_or_else(|| PackageError::missing(&about))?;
    let meta = Members::new(&meta, &about);
    let options: Vec<String> = meta
        .texts("saveOptions")?
        .into_iter()
        .map(str::to_owned)
        .collect();
    SaveOptions::default()
        .with_names(options.iter().map(String::as_str))
        .map_err(|error| meta.wrong("saveOptions", &error.to_string()))?;
    let delete = match meta.value("onUpdateDelete") {
        None => None,
        Some(query) => {
            Some(filters(query).map_err(|reason| meta.wrong("onUpdateDelete", &reason))?)
        }
    };
    match meta.text("contentType")? {
        None | Some("userRecords" | "builderAssets") => {}
        Some(_) => {
            return Err(meta.wrong("contentType", "userRecords or builderAssets is expected"));
        }
    }
    let mut found = RecordSet {
        app: app.to_owned(),
        source: RecordSource::Image(format!("{prefix}image/")),
        delete,
        options,
        count: 0,
    };
    match meta.text("representationType")? {
        Some("db-image") => {
            if !reading
                .package
                .archive
                .has(&format!("{prefix}image/db.dat"))
            {
                return Err(PackageError::missing(&format!("{prefix}image/db.dat")));
            }
            let image = format!("{prefix}image/");
            if let Some(deeper) = reading
                .below(&image)
                .into_iter()
                .find(|name| name[image.len()..].contains('/'))
            {
                return Err(PackageError::corrupt(&deeper, "an image has no folders"));
            }
        }
        None | Some("JSON") => {
            let entries: Vec<String> = reading
                .below(&prefix)
                .into_iter()
                .filter(|name| {
                    *name != about && name.ends_with(".json") && !name[prefix.len()..].contains('/')
                })
                .collect();
            for entry in &entries {
                let bytes = reading.take(entry, MAX_JSON)?;
                let records = records::listed(entry, &bytes)?;
                records::check(entry, &records)?;
                found.count += records.len() as u64;
            }
            found.source = RecordSource::Json(entries);
        }
        Some(_) => return Err(meta.wrong("representationType", "JSON or db-image is expected")),
    }
    Ok(found)
}

/// A query that chooses records and changes nothing about them.
fn filters(query: &Value) -> std::result::Result<Pipeline, String> {
    let pipeline = match query {
        Value::String(text) => Pipeline::parse(text),
        ast => Pipeline::from_value(ast),
    }
    .map_err(|error| error.to_string())?;
    let only_filters = |stage: &Stage| matches!(stage, Stage::Filter(_));
    if !pipeline.stages.iter().all(only_filters) {
        return Err("only filters are allowed here".to_owned());
    }
    if !pipeline.params().is_empty() {
        return Err("parameters are not allowed here".to_owned());
    }
    Ok(pipeline)
}

fn fileset<R: Source>(reading: &mut Reading<R>, set: &str, app: &mut App) -> Result<()> {
    let prefix = format!("filesets/{set}/");
    let about = format!("{prefix}fsMeta.json");
    let meta = reading
        .take_object(&about)?
        .ok_or_else(|| PackageError::missing(&about))?;
    let meta = Members::new(&meta, &about);
    let has_code = meta.flag("code")?.unwrap_or(false);
    app.has_code |= has_code;
    for (number, text) in meta.texts("onUpdateDelete")?.into_iter().enumerate() {
        let place = meta.path(&format!("onUpdateDelete[{number}]"));
        let pattern = Pattern::parse(text, &place).map_err(|error| error.at(&about))?;
        app.deletions.push(pattern);
    }
    let root = format!("{prefix}root/");
    for entry in reading.below(&root) {
        let at = path(&entry, &entry[root.len()..])?;
        if !at.is_code() {
            // Of a whole workspace they are files of its users.
            if program::is_own_name(at.last()) && reading.package.format != Format::Mastertape {
                let message = "programs belong below /code/";
                return Err(PackageError::unsafe_entry(&entry, message));
            }
            app.files.push(PackedFile {
                path: at,
                content: Content::Entry(entry),
            });
            continue;
        }
        if !has_code {
            let message = "files below /code/ need a file set with code:true";
            return Err(PackageError::unsafe_entry(&entry, message));
        }
        let file = reading.code_file(&entry, at)?;
        app.files.push(file);
    }
    Ok(())
}

fn read_tape<R: Source>(reading: &mut Reading<R>) -> Result<Tape> {
    let about = reading
        .take_object(WORKSPACE)?
        .ok_or_else(|| PackageError::missing(WORKSPACE))?;
    let about = Members::new(&about, WORKSPACE);
    let text = |members: &Members<'_>, name: &str| -> Result<String> {
        Ok(members.text(name)?.unwrap_or("").to_owned())
    };
    let mut tape = Tape {
        server: text(&about, "server")?,
        workspace: text(&about, "ws")?,
        org: text(&about, "org")?,
        ..Tape::default()
    };
    for grant in about.objects("grants")? {
        tape.grants.push((
            text(&grant, "subject")?,
            text(&grant, "role")?,
            text(&grant, "resource")?,
        ));
    }
    if let Some(Value::Array(configs)) = about.value("authConfigs") {
        tape.auth_configs = configs
            .iter()
            .filter(|config| matches!(config, Value::Map(_)))
            .cloned()
            .map(without_secret)
            .collect();
    }
    Ok(tape)
}

fn without_secret(config: Value) -> Value {
    match config {
        Value::Map(mut members) => {
            members.remove("client_secret");
            Value::Map(members)
        }
        other => other,
    }
}
