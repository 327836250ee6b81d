//! Reading records from a file and saving them.

use std::io::{BufRead, Read};
use std::sync::Arc;

use mix_value::msgpack::{DecodeErrorKind, Reader, Token};
use mix_value::{Value, escjson, msgpack};

use super::exact::check_exact;
use super::held::{Held, Place};
use super::repeated::Repeated;
use super::{Format, tags};
use crate::batch::{Batch, Overlay};
use crate::database::Database;
use crate::error::{Doing, Result, StoreError};
use crate::options::SaveOptions;
use crate::plain::Draft;
use crate::prepare::prepare;
use crate::table::Table;

/// Records of one commit of an import, unless they have too many bytes for one.
pub(super) const BATCH: usize = 1_000;
/// Longest line: the text of the greatest record, generously.
const MAX_LINE: u64 = 128 << 20;

/// The records of a file, one after the other.
pub struct Records<'a> {
    source: Source<'a>,
    /// Lines or records read.
    count: u64,
    ended: bool,
    /// One that was read before it was asked for.
    first: Option<Value>,
}

enum Source<'a> {
    Lines(Box<dyn BufRead + 'a>),
    Held(Held, Place),
    Packed {
        bytes: Vec<u8>,
        at: usize,
        left: usize,
    },
}

impl<'a> Records<'a> {
    /// Reads a file of a format. JSON Lines are read as they are asked for,
    /// other formats as a whole.
    pub fn new(format: Format, mut input: Box<dyn BufRead + 'a>) -> Result<Records<'a>> {
        let all = |input: &mut dyn BufRead| -> Result<Vec<u8>> {
            let mut bytes = Vec::new();
            input
                .read_to_end(&mut bytes)
                .doing(|| "reading the import".into())?;
            Ok(bytes)
        };
        let source = match format {
            Format::Jsonl => Source::Lines(input),
            Format::Json => Source::Held(json(&all(&mut *input)?)?, Place::default()),
            Format::Mp => {
                let bytes = all(&mut *input)?;
                let mut reader = Reader::new(&bytes);
                let Ok(Token::ArrayStart(left)) = reader.next() else {
                    return Err(malformed(String::new(), "the file is no MessagePack array"));
                };
                let at = reader.position();
                Source::Packed { bytes, at, left }
            }
        };
        Ok(Records {
            source,
            count: 0,
            ended: false,
            first: None,
        })
    }

    /// The same, if the first one can be read.
    pub fn begun(mut self) -> Result<Records<'a>> {
        self.first = self.next().transpose()?;
        Ok(self)
    }

    /// All of them, to be gone through more than once.
    pub fn hold(self) -> Result<Held> {
        match self {
            Records {
                source: Source::Held(held, _),
                count: 0,
                first: None,
                ..
            } => Ok(held),
            records => Held::of(records),
        }
    }

    /// Where reading stands, in bytes from the start: behind the last record, or where one is malformed.
    /// Only MessagePack has such places.
    pub fn offset(&self) -> Option<u64> {
        match &self.source {
            Source::Packed { at, .. } => Some(*at as u64),
            Source::Lines(_) | Source::Held(..) => None,
        }
    }

    fn read(&mut self) -> Result<Option<Value>> {
        match &mut self.source {
            Source::Held(held, place) => held.read(place),
            Source::Lines(input) => loop {
                let mut line = String::new();
                let read = input
                    .by_ref()
                    .take(MAX_LINE)
                    .read_line(&mut line)
                    .map_err(|error| match error.kind() {
                        std::io::ErrorKind::InvalidData => {
                            malformed(format!("line {}", self.count + 1), "the text is not UTF-8")
                        }
                        _ => StoreError::Io {
                            doing: format!("reading line {}", self.count + 1),
                            source: error,
                        },
                    })?;
                if read == 0 {
                    return Ok(None);
                }
                self.count += 1;
                let text = match self.count {
                    1 => unmarked(&line).trim(),
                    _ => line.trim(),
                };
                if text.is_empty() {
                    continue;
                }
                let value = escjson::parse_with(text, &reading())
                    .map_err(|error| unreadable(&error, format!("line {}", self.count)))?;
                return Ok(Some(value));
            },
            Source::Packed { bytes, at, left } => {
                let place = || format!("record {}", self.count);
                if *left == 0 {
                    return match bytes.len() == *at {
                        true => Ok(None),
                        false => Err(malformed(place(), "bytes follow the last record")),
                    };
                }
                let mut reader = Reader::new(&bytes[*at..]);
                let value = reader
                    .raw_value()
                    .and_then(msgpack::decode)
                    .map_err(|mut error| {
                        *at += error.offset;
                        error.offset = *at;
                        match error.kind {
                            DecodeErrorKind::TooDeep => StoreError::TooDeep { path: place() },
                            _ => malformed(place(), &error.to_string()),
                        }
                    })?;
                *at += reader.position();
                *left -= 1;
                self.count += 1;
                Ok(Some(tags::read(value)))
            }
        }
    }
}

impl Iterator for Records<'_> {
    type Item = Result<Value>;

    fn next(&mut self) -> Option<Result<Value>> {
        if let Some(first) = self.first.take() {
            return Some(Ok(first));
        }
        if self.ended {
            return None;
        }
        let next = self.read().transpose();
        self.ended = !matches!(next, Some(Ok(_)));
        next
    }
}

/// A text without the mark of its byte order, which some programs put before UTF-8.
pub fn unmarked(text: &str) -> &str {
    text.strip_prefix('\u{feff}').unwrap_or(text)
}

fn malformed(place: String, reason: &str) -> StoreError {
    StoreError::BadValue {
        path: place,
        reason: reason.into(),
    }
}

/// A text that is no value; `place` says which.
fn unreadable(error: &escjson::ParseError, place: String) -> StoreError {
    match error.kind {
        escjson::ParseErrorKind::TooDeep(_) => StoreError::TooDeep { path: place },
        _ => malformed(place, &error.to_string()),
    }
}

/// How the text of a record is read: which of two members of one name is meant, nobody can tell.
pub fn reading() -> escjson::Options {
    escjson::Options {
        undefined_members: escjson::UndefinedMembers::Keep,
        duplicates: escjson::Duplicates::Refuse,
        ..escjson::Options::default()
    }
}

/// The same for a text that is an array of records, which is nested one level deeper than each of them.
pub fn reading_array() -> escjson::Options {
    escjson::Options {
        max_depth: mix_value::MAX_DEPTH + 1,
        ..reading()
    }
}

fn json(bytes: &[u8]) -> Result<Held> {
    let whole = |reason| malformed(String::new(), reason);
    let text = std::str::from_utf8(bytes).map_err(|_| whole("the file is not UTF-8"))?;
    let (mut held, mut kept) = (Held::default(), Ok(()));
    let items = escjson::parse_items(unmarked(text), &reading_array(), |record| {
        if kept.is_ok() {
            kept = held.push(&record);
        }
    });
    match items {
        Ok(true) => kept.map(|()| held),
        Ok(false) => Err(whole("the file is no array of records")),
        Err(error) => Err(unreadable(&error, String::new())),
    }
}

/// How records are imported.
#[derive(Debug, Clone, Default)]
pub struct ImportOptions {
    /// How they are saved.
    pub save: SaveOptions,
    /// Save batch by batch while reading, instead of reading and checking everything first.
    pub stream: bool,
    /// Keep engine-owned fields as they are given. The database must be empty.
    pub exact: bool,
}

impl Database {
    /// Saves records in batches of 1000, or smaller ones where these would be too large, and
    /// gives their number. Unless they are streamed, a bad one is found before anything is saved.
    /// `progress` hears how many are saved so far.
    pub fn import(
        &self,
        records: Records<'_>,
        options: &ImportOptions,
        progress: &mut dyn FnMut(u64),
    ) -> Result<u64> {
        if options.exact {
            return self.import_exact(records, progress);
        }
        if !options.stream {
            return self.import_held(&records.hold()?, options, progress);
        }
        let (mut saved, mut batch) = (0, Vec::new());
        for record in records {
            batch.push(record?);
            if batch.len() == BATCH {
                self.import_batch(&batch, options, &mut saved, progress)?;
                batch.clear();
            }
        }
        self.import_batch(&batch, options, &mut saved, progress)?;
        Ok(saved)
    }

    /// The same for records that are in memory already.
    pub fn import_held(
        &self,
        records: &Held,
        options: &ImportOptions,
        progress: &mut dyn FnMut(u64),
    ) -> Result<u64> {
        if options.exact {
            return self.import_exact(records.iter(), progress);
        }
        if !options.stream {
            self.rehearse(records, &options.save)?;
        }
        let mut saved = 0;
        for batch in records.batches() {
            self.import_batch(&batch?, options, &mut saved, progress)?;
        }
        Ok(saved)
    }

    fn import_batch(
        &self,
        batch: &[Value],
        options: &ImportOptions,
        saved: &mut u64,
        progress: &mut dyn FnMut(u64),
    ) -> Result<()> {
        each_part(batch, &mut |part| {
            self.save(part.to_vec(), &options.save)
                .map_err(|error| later(error, *saved))?;
            *saved += part.len() as u64;
            progress(*saved);
            Ok(())
        })
    }

    /// Whether records could be saved as one batch, without saving them.
    pub fn check_save(&self, records: &[Value], options: &SaveOptions) -> Result<()> {
        Rehearsal::new(self, options).save(records)
    }

    /// Whether records could be imported into this database, were it new, without doing it.
    pub fn check_import(&self, records: &Held, options: &ImportOptions) -> Result<()> {
        match options.exact {
            true => check_exact(records.iter()),
            false => self.rehearse(records, &options.save),
        }
    }

    /// Builds all batches without saving them.
    fn rehearse(&self, records: &Held, options: &SaveOptions) -> Result<()> {
        let mut rehearsal = Rehearsal {
            repeated: Repeated::among(records),
            ..Rehearsal::new(self, options)
        };
        for batch in records.batches() {
            each_part(&batch?, &mut |part| rehearsal.save(part))?;
        }
        Ok(())
    }
}

/// Saves `batch` by `save`, in halves where that is too large for a commit.
fn each_part(batch: &[Value], save: &mut dyn FnMut(&[Value]) -> Result<()>) -> Result<()> {
    if batch.is_empty() {
        return Ok(());
    }
    match save(batch) {
        Err(error) if error.is_batch_too_large() && batch.len() > 1 => {
            let (first, second) = batch.split_at(batch.len() / 2);
            each_part(first, save)?;
            each_part(second, save)
        }
        other => other,
    }
}

/// Batches that are built one after the other and not saved.
struct Rehearsal<'a> {
    table: Arc<Table>,
    options: &'a SaveOptions,
    overlay: Overlay,
    /// Ids that later batches may name.
    repeated: Repeated,
    rows: u32,
    records: u64,
}

impl Rehearsal<'_> {
    fn new<'a>(database: &Database, options: &'a SaveOptions) -> Rehearsal<'a> {
        let table = database.published().table;
        Rehearsal {
            rows: table.len(),
            table,
            options,
            overlay: Overlay::new(),
            repeated: Repeated::default(),
            records: 0,
        }
    }

    fn save(&mut self, records: &[Value]) -> Result<()> {
        let actor = self.options.actor();
        let mut batch = Batch::new(&self.table, &self.overlay, self.rows, 0, actor);
        let prepared = prepare(records.iter().cloned().map(Draft::Value));
        prepared
            .and_then(|records| batch.save(records, self.options))
            .map_err(|error| later(error, self.records))?;
        let (rows, pending) = batch.rehearsed(|id| self.repeated.has(id), self.options);
        self.rows = self.rows.saturating_add(rows as u32);
        self.records += records.len() as u64;
        self.overlay.extend(pending);
        Ok(())
    }
}

/// The error of a record, counted from the start of the import.
fn later(error: StoreError, first: u64) -> StoreError {
    match error {
        StoreError::InRecord { index, source } => StoreError::InRecord {
            index: index.saturating_add(usize::try_from(first).unwrap_or(usize::MAX)),
            source,
        },
        other => other,
    }
}
