//! Arguments.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};

/// Which database, how it is opened, and what is done.
#[derive(Debug, Args)]
pub struct DbArgs {
    /// What is done.
    #[command(subcommand)]
    pub action: Action,
    /// Folder of the app; instead of --ws-dir and --app.
    #[arg(long, value_name = "DIR", global = true, conflicts_with = "app")]
    pub path: Option<PathBuf>,
    /// Folder of workspaces.
    #[arg(long, value_name = "DIR", env = "MIXER_WS_DIR", global = true)]
    pub ws_dir: Option<PathBuf>,
    /// Workspace.
    #[arg(long, value_name = "W", default_value = "local", global = true)]
    pub ws: String,
    /// App.
    #[arg(long, value_name = "A", global = true)]
    pub app: Option<String>,
    /// Refuses everything that writes.
    #[arg(long, global = true)]
    pub read_only: bool,
    /// Takes no lock: only for a folder that nobody uses.
    #[arg(long, global = true)]
    pub no_lock: bool,
    /// How long to wait for another program that holds the database.
    #[arg(long, value_name = "D", global = true, value_parser = duration)]
    pub wait: Option<Duration>,
    /// How results are printed (default: table on a terminal, else jsonl).
    #[arg(long, value_name = "FORMAT", global = true, value_enum)]
    pub output: Option<Output>,
}

/// How results are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// For people.
    Table,
    /// One JSON array.
    Json,
    /// One JSON value per line.
    Jsonl,
    /// Comma-separated values, with a line of names.
    Csv,
}

/// A file of records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum FileFormat {
    /// One record per line.
    Jsonl,
    /// One JSON array.
    Json,
    /// Comma-separated values, with a line of names.
    Csv,
    /// One MessagePack array.
    Mp,
    /// The files of a database, in a folder.
    Image,
}

/// A query.
#[derive(Debug, Args)]
pub struct ParseArgs {
    /// The query as text.
    #[arg(required_unless_present = "ast", conflicts_with = "ast")]
    pub text: Option<String>,
    /// The query as a tree, in JSON.
    #[arg(long, value_name = "JSON")]
    pub ast: Option<String>,
}

/// What is done.
#[derive(Debug, Subcommand)]
pub enum Action {
    /// Counts and sizes.
    Stat,
    /// Prints records by their ids.
    Get {
        /// Ids or revisions.
        #[arg(required = true)]
        ids: Vec<String>,
    },
    /// Prints all versions of a record, the oldest first.
    History {
        /// The id.
        id: String,
    },
    /// Prints the results of a query.
    Query(Box<QueryArgs>),
    /// Prints the tree of a query, or the text of a tree.
    Parse(ParseArgs),
    /// Saves records: a JSON object, an array, or one object per line; `-` is standard input.
    Save {
        /// The file.
        file: PathBuf,
        /// Options, for instance `KeepOriginal`.
        #[arg(long, value_delimiter = ',')]
        options: Vec<String>,
    },
    /// Saves records, keeping members that are not given.
    Upsert {
        /// The file.
        file: PathBuf,
    },
    /// Deletes records.
    Delete {
        /// Ids.
        #[arg(required = true)]
        ids: Vec<String>,
    },
    /// Prints the watermark.
    Watermark,
    /// Prints the commits that are only in the write log yet.
    Log,
    /// Writes records into a file.
    Export(Box<ExportArgs>),
    /// Saves the records of a file.
    Import(Box<ImportArgs>),
    /// Rewrites the files with the live records only.
    Compact {
        /// Keep all versions and deleted records.
        #[arg(long)]
        keep_history: bool,
        /// Keep the marks of deleted records.
        #[arg(long)]
        keep_deleted: bool,
    },
    /// Removes superseded versions and deleted records from before a time.
    Prune {
        /// The time, such as 2026-01-31 or 2026-01-31T12:00:00.000Z.
        #[arg(long, value_name = "T")]
        before: String,
    },
    /// Removes records with their whole history, for good.
    Purge {
        /// Ids.
        #[arg(required = true)]
        ids: Vec<String>,
    },
    /// Verifies every record and file, without a lock.
    Check,
    /// Builds all indexes anew from the records.
    Reindex,
    /// Writes a new database with every record that is intact.
    Fix {
        /// Folder of the new app.
        #[arg(long, value_name = "DIR")]
        out: PathBuf,
    },
    /// Copies the database of this moment.
    Copy {
        /// Folder of the new app.
        #[arg(long, value_name = "DIR")]
        out: PathBuf,
    },
    /// Moves all commits from the log into the data files.
    Flush,
}

/// Arguments of `query`.
#[derive(Debug, Args)]
pub struct QueryArgs {
    /// The query as text.
    pub text: Option<String>,
    /// The query as a tree.
    #[arg(long, value_name = "JSON", conflicts_with = "text")]
    pub ast: Option<String>,
    /// Parameters, a JSON object.
    #[arg(long, value_name = "JSON")]
    pub params: Option<String>,
    /// Superseded versions too.
    #[arg(long)]
    pub history: bool,
    /// Deleted records too.
    #[arg(long)]
    pub deleted: bool,
    /// As of a watermark, a row count or a time.
    #[arg(long, value_name = "X", allow_negative_numbers = true)]
    pub as_of: Option<String>,
    /// Results left out at the beginning.
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub skip: Option<u64>,
    /// Most results.
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub limit: Option<u64>,
    /// How the query is answered.
    #[arg(long)]
    pub explain: bool,
}

/// Arguments of `export`.
#[derive(Debug, Args)]
pub struct ExportArgs {
    /// The file, or for an image the folder (default: standard output).
    pub file: Option<PathBuf>,
    /// The format (default: by the ending of the file; without a file jsonl).
    #[arg(long, value_enum)]
    pub format: Option<FileFormat>,
    /// Only the results of a query.
    #[arg(long, value_name = "TEXT")]
    pub query: Option<String>,
    /// Superseded versions too.
    #[arg(long)]
    pub history: bool,
    /// Deleted records too.
    #[arg(long)]
    pub deleted: bool,
    /// Without the fields of the engine.
    #[arg(long)]
    pub bare: bool,
}

/// Arguments of `import`.
#[derive(Debug, Args)]
pub struct ImportArgs {
    /// The file, or for an image the folder; `-` is standard input.
    pub file: PathBuf,
    /// The format (default: by the ending of the file; from standard input jsonl).
    #[arg(long, value_enum)]
    pub format: Option<FileFormat>,
    /// Save while reading; a bad record then ends the import in the middle.
    #[arg(long)]
    pub stream: bool,
    /// Keep ids, revisions and times as they are; only into an empty database.
    #[arg(long)]
    pub exact: bool,
    /// Options of saving, for instance `DontUseId`.
    #[arg(long, value_delimiter = ',')]
    pub options: Vec<String>,
    /// CSV: every cell is text.
    #[arg(long)]
    pub text: bool,
    /// CSV: the character between cells, or `tab` (default: a comma).
    #[arg(long, value_name = "C", value_parser = delimiter)]
    pub delimiter: Option<u8>,
}

/// One character that is no quote and ends no line.
fn delimiter(text: &str) -> Result<u8, String> {
    match text.as_bytes() {
        b"tab" | b"\\t" => Ok(b'\t'),
        [b'"' | b'\n' | b'\r'] => Err("a quote or the end of a line delimits no cells".into()),
        [one] => Ok(*one),
        _ => Err(format!("{text:?} is no ASCII character and not \"tab\"")),
    }
}

/// `500ms`, `60s`, `5m`, `2h`; a bare number is seconds.
fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("{text:?} is no duration (500ms, 60s, 5m, 2h)");
    let end = text
        .find(|character: char| !character.is_ascii_digit())
        .unwrap_or(text.len());
    let number: u64 = text[..end].parse().map_err(|_| wrong())?;
    let scale = match &text[end..] {
        "ms" => 1,
        "" | "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return Err(wrong()),
    };
    let milliseconds = number.checked_mul(scale).ok_or_else(wrong)?;
    Ok(Duration::from_millis(milliseconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(duration("0"), Ok(Duration::ZERO));
        assert_eq!(duration("2m"), Ok(Duration::from_secs(120)));
        for bad in ["", "x", "-1s", "1.5s", "99999999999999999h"] {
            assert!(duration(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn delimiters() {
        assert_eq!(delimiter(";"), Ok(b';'));
        assert_eq!(delimiter("tab"), Ok(b'\t'));
        assert_eq!(delimiter("\t"), Ok(b'\t'));
        for bad in ["", ";;", "\"", "\n", "€"] {
            assert!(delimiter(bad).is_err(), "{bad}");
        }
    }
}
