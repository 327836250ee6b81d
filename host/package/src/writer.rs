//! Writing packages: version 2.1, and mastertapes.

use crate::error::{PackageError, Result};
use crate::pack::Packer;
use mix_value::{Map, Value, escjson};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Seek, Write};
use std::path::PathBuf;

/// Where the content of an entry comes from.
#[derive(Debug, Clone)]
pub enum Input {
    /// These bytes.
    Bytes(Vec<u8>),
    /// A file.
    File(PathBuf),
}

/// A package of one app, to be written.
#[derive(Debug, Clone, Default)]
pub struct NewPackage {
    /// Identity of the package line: 1 to 64 of `[A-Za-z0-9_-]`.
    pub id: String,
    /// The app.
    pub app: String,
    /// When it may be installed over an app that is there.
    pub updates: String,
    /// Metadata of the app.
    pub metadata: Option<Map>,
    /// Settings of the runtime.
    pub runtime: Option<Map>,
    /// True if `_rmx_setup` is called after the install.
    pub setup: bool,
    /// Programs and other files below `/code/`, by name.
    pub code: BTreeMap<String, Input>,
    /// Files, by path without a leading `/`.
    pub files: BTreeMap<String, Input>,
    /// Records.
    pub records: Vec<Map>,
}

/// Name of the file set with programs.
const CODE: &str = "code";
/// Name of the file set with other files.
const FILES: &str = "files";
/// Name of the record set.
const RECORDS: &str = "records";

impl NewPackage {
    /// Writes it: equal packages give equal bytes.
    pub fn write<W: Write + Seek>(&self, out: W) -> Result<W> {
        let mut entries = BTreeMap::new();
        let mut put = |name: String, value: Map| -> Result<()> {
            entries.insert(name, Input::Bytes(json(&Value::Map(value))?));
            Ok(())
        };
        if let Some(metadata) = &self.metadata {
            let mut metadata = metadata.clone();
            metadata.remove("name");
            metadata.retain(|key, _| !key.starts_with("_rmx_"));
            put(format!("apps/{}/appMeta.json", self.app), metadata)?;
        }
        if let Some(runtime) = &self.runtime {
            let mut runtime = runtime.clone();
            runtime.remove("dbName");
            put(format!("apps/{}/runtime.json", self.app), runtime)?;
        }
        let mut filesets = Vec::new();
        for (set, is_code, content) in [(CODE, true, &self.code), (FILES, false, &self.files)] {
            if content.is_empty() {
                continue;
            }
            filesets.push(Value::from(set));
            let about = map([("code", Value::Bool(is_code))]);
            put(format!("filesets/{set}/fsMeta.json"), about)?;
        }
        let mut recordsets = Vec::new();
        if !self.records.is_empty() {
            recordsets.push(Value::from(RECORDS));
            let about = map([
                ("contentType", Value::from("userRecords")),
                ("representationType", Value::from("JSON")),
                ("saveOptions", Value::Array(Vec::new())),
            ]);
            put(format!("recordsets/{RECORDS}/rsMeta.json"), about)?;
            let records = self
                .records
                .iter()
                .cloned()
                .map(|record| Value::Map(portable(record)));
            let text = json(&Value::Array(records.collect()))?;
            entries.insert(
                format!("recordsets/{RECORDS}/0001.json"),
                Input::Bytes(text),
            );
        }
        for (set, content, folder) in [(CODE, &self.code, "code/"), (FILES, &self.files, "")] {
            for (path, input) in content {
                entries.insert(format!("filesets/{set}/root/{folder}{path}"), input.clone());
            }
        }
        let mut metadata = Map::new();
        if self.setup {
            metadata.insert("setup".into(), Value::from(self.app.as_str()));
        }
        let app = map([
            ("filesets", Value::Array(filesets)),
            ("metadata", Value::Map(metadata)),
            ("platforms", Value::Array(Vec::new())),
            ("recordsets", Value::Array(recordsets)),
            ("surfaces", Value::Array(Vec::new())),
        ]);
        let manifest = map([
            ("version", Value::from("2.1")),
            ("id", Value::from(self.id.as_str())),
            ("updates", Value::from(self.updates.as_str())),
            ("name", Value::from(self.app.as_str())),
            ("app", Value::Map(app)),
        ]);
        write(&manifest, entries, out)
    }
}

/// Writes the manifest first, then the entries in byte order of their names.
pub fn write<W: Write + Seek>(
    manifest: &Map,
    entries: BTreeMap<String, Input>,
    out: W,
) -> Result<W> {
    let mut packer = Packer::new(out);
    let manifest = json(&Value::Map(manifest.clone()))?;
    packer.add(crate::package::MANIFEST_2, &mut manifest.as_slice())?;
    for (name, input) in &entries {
        let mut content: Box<dyn Read> = match input {
            Input::Bytes(bytes) => Box::new(bytes.as_slice()),
            Input::File(path) => Box::new(File::open(path)?),
        };
        packer.add(name, &mut content)?;
    }
    packer.finish()
}

/// A record without what the engine owns, but for its id.
pub fn portable(mut record: Map) -> Map {
    record.retain(|key, _| key.as_ref() == "_rmx_id" || !mix_store::fields::is_engine_owned(key));
    record
}

fn json(value: &Value) -> Result<Vec<u8>> {
    // Keys are sorted: a map is an ordered tree.
    escjson::format(value)
        .map(String::into_bytes)
        .map_err(|error| PackageError::new("bad_record", error.to_string()))
}

fn map<const N: usize>(members: [(&str, Value); N]) -> Map {
    let members = members.into_iter();
    members.map(|(name, value)| (name.into(), value)).collect()
}
