//! What a package carries, once it is read and checked.

use crate::patterns::Pattern;
use mix_file_path::FilePath;
use mix_store::query::Pipeline;
use mix_value::{Map, Value};

/// Formats of packages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// `manifest.json`.
    V1,
    /// `manifest_v2.json`, several apps.
    V20,
    /// `manifest_v2.json`, one app.
    V21,
    /// A whole workspace.
    Mastertape,
}

impl Format {
    /// As reports name it.
    pub fn name(self) -> &'static str {
        match self {
            Format::V1 => "1",
            Format::V20 | Format::Mastertape => "2.0",
            Format::V21 => "2.1",
        }
    }
}

/// Something in a package that is not as it should be, but no reason to refuse it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    /// `incompatible_code`, `no_such_app`, `unknown_entry`.
    pub code: &'static str,
    /// The entry.
    pub entry: Option<String>,
    /// One line for people.
    pub message: String,
}

/// When an app is created and when it is changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rule {
    /// Version 1: new metadata, code and resources; records and other files stay.
    Replace,
    /// Version 1: only if it is absent.
    IfAbsent,
    /// Version 2: a clean state.
    Fresh,
    /// Version 2: create or update.
    Any,
    /// Version 2: update only.
    UpdateOnly,
    /// Version 2: update an app that was installed from the package line of this id.
    UpdateOf(String),
}

/// One app of a package.
#[derive(Debug, Clone)]
pub struct App {
    /// Its name.
    pub name: String,
    /// When it is created and when it is changed.
    pub rule: Rule,
    /// New metadata, with the name.
    pub metadata: Option<Map>,
    /// Files, programs and settings.
    pub files: Vec<PackedFile>,
    /// Existing files that match are deleted by an update first.
    pub deletions: Vec<Pattern>,
    /// True if programs come with the package: then unused libraries go.
    pub has_code: bool,
    /// Platforms it is for; empty: all.
    pub platforms: Vec<String>,
    /// Surfaces it is for; empty: all.
    pub surfaces: Vec<String>,
}

/// A file that is to be written.
#[derive(Debug, Clone)]
pub struct PackedFile {
    /// Where to.
    pub path: FilePath,
    /// Its content.
    pub content: Content,
}

/// Where the content of a file comes from.
#[derive(Debug, Clone)]
pub enum Content {
    /// An entry of the package.
    Entry(String),
    /// These bytes.
    Bytes(Vec<u8>),
}

/// Records for the database of one app.
#[derive(Debug, Clone)]
pub struct RecordSet {
    /// The app.
    pub app: String,
    /// Where they are.
    pub source: RecordSource,
    /// Live records that match are deleted by an update first.
    pub delete: Option<Pipeline>,
    /// Names of options of saving.
    pub options: Vec<String>,
    /// Number of records; of an image: 0.
    pub count: u64,
}

/// Where records are.
#[derive(Debug, Clone)]
pub enum RecordSource {
    /// A MessagePack array, without the metadata of the app.
    Packed(String),
    /// One app's array in a MessagePack map.
    PackedMember(String),
    /// EscJSON arrays, in this order.
    Json(Vec<String>),
    /// The files of a database, below this prefix.
    Image(String),
}

/// A rule for records that are there already under another id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// App.
    pub app: String,
    /// Member `entity` of the records.
    pub entity: String,
    /// Members that must be equal.
    pub fields: Vec<String>,
    /// Save over the existing record instead of leaving the new one out.
    pub replace: bool,
}

/// What a mastertape says about its workspace.
#[derive(Debug, Clone, Default)]
pub struct Tape {
    /// Name of the server.
    pub server: String,
    /// Name of the workspace.
    pub workspace: String,
    /// Its org.
    pub org: String,
    /// Subject, role and resource of each grant.
    pub grants: Vec<(String, String, String)>,
    /// Sign-in configurations, as they are.
    pub auth_configs: Vec<Value>,
}
