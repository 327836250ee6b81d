//! From prepared records to rows: ids, revisions, engine-owned fields.

use std::collections::HashMap;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use mix_value::{Map, Ref, Value, escjson, msgpack};
use sha2::{Digest, Sha256};

use crate::data::write_row;
use crate::error::{Result, StoreError};
use crate::fields;
use crate::ids::{Drawer, Id, id_of, text_of};
use crate::options::SaveOptions;
use crate::plain::Plain;
use crate::prepare::{Content, Prepared, clean_original, replace_refs};
use crate::raw;
use crate::record::Record;
use crate::row_bytes::RowBytes;
use crate::table::{Follows, NewRow, Table};
use crate::time::format_time;

/// Longest encoded record.
const MAX_RECORD: usize = 16 << 20;
/// Fields that each version copies from the one before.
const COPIED: [&str; 2] = [fields::CREATED_AT, fields::CREATED_BY];
/// Longest encoded batch.
pub(crate) const MAX_BATCH: usize = 64 << 20;

/// Rows of one commit, being built.
pub(crate) struct Batch<'a> {
    table: &'a Table,
    first_row: u32,
    time: i64,
    /// The text of the time.
    now: String,
    actor: &'a str,
    /// Newest versions made by commits that are written together with this one, before it.
    earlier: &'a Overlay,
    /// Newest versions made by this batch.
    pending: Overlay,
    /// Ids that it drew.
    drawn: Vec<Id>,
    rows: Vec<NewRow>,
    /// The rows as they lie on disk.
    framed: Vec<u8>,
    drawer: Drawer,
    /// Text and bytes of the row at hand.
    text: String,
    body: Vec<u8>,
}

/// The id a record is stored under.
#[derive(Clone, Copy)]
struct Chosen {
    id: Id,
    /// It was drawn, so no version has it.
    fresh: bool,
}

/// Newest versions that are not in the table yet.
pub(crate) type Overlay = HashMap<Id, Pending>;

/// A version that is not in the table yet.
#[derive(Clone)]
pub(crate) struct Pending {
    row: u32,
    rev: Id,
    body: RowBytes,
    deleted: bool,
}

impl<'a> Batch<'a> {
    /// A batch whose first row is `first_row`.
    pub fn new(
        table: &'a Table,
        earlier: &'a Overlay,
        first_row: u32,
        time: i64,
        actor: &'a str,
    ) -> Batch<'a> {
        Batch {
            table,
            earlier,
            first_row,
            time,
            now: format_time(time),
            actor,
            pending: HashMap::new(),
            drawn: Vec::new(),
            rows: Vec::new(),
            framed: Vec::new(),
            drawer: Drawer::default(),
            text: String::new(),
            body: Vec::new(),
        }
    }

    /// Builds the rows of saved records and gives those of the input, in order.
    pub fn save(
        &mut self,
        mut records: Vec<Prepared>,
        options: &SaveOptions,
    ) -> Result<Vec<Record>> {
        // One for the record, one for the version.
        self.drawer = Drawer::new(records.len().saturating_mul(2));
        let ids = self.choose_ids(&records, options)?;
        let mut aliases = HashMap::new();
        for (record, Chosen { id, .. }) in records.iter().zip(&ids) {
            if let Some(input) = &record.id
                && id_of(input.as_str()) != Some(*id)
            {
                aliases.insert(input.clone(), reference(id)?);
            }
        }
        for record in &mut records {
            let Content::Map(content) = &mut record.content else {
                continue;
            };
            for (key, member) in content {
                replace_refs(member, &aliases)
                    .map_err(|error| named(error.under(key), record.index))?;
            }
        }
        let mut saved = Vec::with_capacity(records.len());
        self.rows.reserve(records.len());
        self.pending.reserve(records.len());
        for (record, id) in records.into_iter().zip(ids) {
            let index = record.index;
            let stored = self
                .version(record, id, options)
                .map_err(|error| named(error, index))?;
            if index.is_some() {
                saved.push(stored);
            }
        }
        Ok(saved)
    }

    /// Chooses the id that each record is stored under.
    fn choose_ids(&mut self, records: &[Prepared], options: &SaveOptions) -> Result<Vec<Chosen>> {
        let mut chosen: Vec<Chosen> = Vec::with_capacity(records.len());
        let mut inputs: HashMap<&Ref, usize> = HashMap::new();
        for (position, record) in records.iter().enumerate() {
            let id = match &record.id {
                None => self.fresh()?,
                Some(input) => match (id_of(input.as_str()), inputs.get(input)) {
                    (None, Some(_)) => {
                        let shown = input.as_str().chars().take(60).collect();
                        return Err(named(StoreError::DuplicateAlias(shown), record.index));
                    }
                    // Two copies of one record stay one record.
                    (Some(_), Some(earlier)) => Chosen {
                        fresh: false,
                        ..chosen[*earlier]
                    },
                    (None, None) => self.fresh()?,
                    (Some(id), None) => self
                        .id_for(id, options)
                        .map_err(|error| named(error, record.index))?,
                },
            };
            if let Some(input) = &record.id {
                inputs.insert(input, position);
            }
            chosen.push(id);
        }
        Ok(chosen)
    }

    fn fresh(&mut self) -> Result<Chosen> {
        let id = self.drawer.draw()?;
        self.drawn.push(id);
        Ok(Chosen { id, fresh: true })
    }

    fn id_for(&mut self, id: Id, options: &SaveOptions) -> Result<Chosen> {
        let used = Chosen { id, fresh: false };
        if self.earlier.contains_key(&id) || self.table.newest(&id, u32::MAX)?.is_some() {
            return Ok(used);
        }
        if options.dont_use_id {
            return self.fresh();
        }
        if self.table.revision(&id, u32::MAX)?.is_some() {
            return Err(StoreError::IdConflict(text_of(&id).to_owned()));
        }
        Ok(used)
    }

    /// The newest version of an id: its revision, its body and whether it is a tombstone.
    fn newest(&self, id: &Id) -> Result<Option<Pending>> {
        if let Some(pending) = self.pending.get(id).or_else(|| self.earlier.get(id)) {
            return Ok(Some(pending.clone()));
        }
        let Some(row) = self.table.newest(id, u32::MAX)? else {
            return Ok(None);
        };
        let body = self.table.body(row)?;
        let missing = || StoreError::Corrupt(format!("row {row} has no revision"));
        let rev = raw::member(&body, fields::REV).and_then(|bytes| msgpack::decode(bytes).ok());
        let rev = rev
            .as_ref()
            .and_then(Value::as_ref_value)
            .and_then(|rev| id_of(rev.as_str()))
            .ok_or_else(missing)?;
        let deleted = self.table.is_tombstone(row)?;
        Ok(Some(Pending {
            row,
            rev,
            body,
            deleted,
        }))
    }

    fn version(
        &mut self,
        record: Prepared,
        Chosen { id, fresh }: Chosen,
        options: &SaveOptions,
    ) -> Result<Record> {
        let previous = if fresh { None } else { self.newest(&id)? };
        let (content, hash) = match record.content {
            Content::Map(given) => {
                let content = Value::Map(merged(given, previous.as_ref(), &id, options)?);
                let hash = hash_of(&content, &mut self.text)?;
                (content, hash)
            }
            // Without an id it follows no version.
            Content::Plain(plain) => return self.plain(plain, id, options),
        };
        let mut engine = vec![(fields::CONTENT_HASH, Field::Text(hash))];
        let input_id = record.id.filter(|_| record.index.is_some());
        if let Some(input) = input_id {
            let differs = input.is_well_formed() && id_of(input.as_str()) != Some(id);
            if differs || options.original_id_always {
                engine.push((fields::ORIGINAL_ID, Field::Value(Value::Ref(input))));
                if let Some(rev) = record.rev {
                    engine.push((fields::ORIGINAL_REV, Field::Value(rev)));
                }
            }
        }
        if options.keep_original {
            let original = Value::Map(clean_original(record.owned)?);
            engine.push((fields::ORIGINAL, Field::Value(original)));
        }
        let content = Members::Value(&content);
        self.push(content, engine, id, previous.as_ref(), false)
    }

    /// The version of a record that is stored as it is, the first one of its id.
    fn plain(&mut self, plain: Plain, id: Id, options: &SaveOptions) -> Result<Record> {
        let mut engine = vec![(fields::CONTENT_HASH, Field::Borrowed(plain.hash()))];
        if options.keep_original {
            engine.push((fields::ORIGINAL, Field::Value(Value::Map(Map::new()))));
        }
        self.push(Members::Plain(&plain), engine, id, None, false)
    }

    /// Builds the tombstone of a live record and gives its last version; none
    /// if there is no such record.
    pub fn delete(&mut self, id: &str) -> Result<Option<Record>> {
        let Some(id) = id_of(id) else { return Ok(None) };
        let Some(current) = self.newest(&id)?.filter(|current| !current.deleted) else {
            return Ok(None);
        };
        let last = Record::new(current.row, current.body.clone());
        let engine = vec![(fields::DELETED, Field::Value(Value::Bool(true)))];
        self.push(
            Members::Value(&Value::Map(Map::new())),
            engine,
            id,
            Some(&current),
            true,
        )?;
        Ok(Some(last))
    }

    /// The rows, their bytes on disk, and what the next batch must know of them.
    pub fn finish(self) -> (Vec<NewRow>, Vec<u8>, Overlay) {
        (self.rows, self.framed, self.pending)
    }

    /// The number of rows, and what later batches must know if nobody is told of this one: versions
    /// with ids that were given and are `named` again, for the drawn ones can be named by none. Of a
    /// version that nothing is put over, only the fields that the next one copies are kept.
    pub fn rehearsed(
        mut self,
        named: impl Fn(&Id) -> bool,
        options: &SaveOptions,
    ) -> (usize, Overlay) {
        for id in &self.drawn {
            self.pending.remove(id);
        }
        self.pending.retain(|id, _| named(id));
        self.pending.shrink_to_fit();
        if !options.upsert {
            for pending in self.pending.values_mut() {
                pending.body = raw::only(&pending.body, &COPIED).into();
            }
        }
        (self.rows.len(), self.pending)
    }

    /// Adds the engine-owned fields and the row.
    fn push(
        &mut self,
        content: Members<'_>,
        engine: Vec<(&'static str, Field<'_>)>,
        id: Id,
        previous: Option<&Pending>,
        deleted: bool,
    ) -> Result<Record> {
        let rev: Id = self.drawer.draw()?;
        let row = self
            .first_row
            .checked_add(self.rows.len() as u32)
            .filter(|row| *row != u32::MAX);
        let row = row.ok_or_else(|| StoreError::DbFull("no more than 2^32-1 rows".into()))?;
        let mut engine: Vec<(&'static str, Field<'_>)> = engine;
        let first = |field: &str| {
            let copied = previous.and_then(|previous| raw::member(&previous.body, field));
            copied.map(Field::Encoded)
        };
        let (now, actor) = (&*self.now, self.actor);
        engine.extend([
            (
                fields::CREATED_AT,
                first(fields::CREATED_AT).unwrap_or(Field::Borrowed(now)),
            ),
            (
                fields::CREATED_BY,
                first(fields::CREATED_BY).unwrap_or(Field::Borrowed(actor)),
            ),
            (fields::ID, Field::Ref(id)),
            (fields::MODIFIED_AT, Field::Borrowed(now)),
            (fields::MODIFIED_BY, Field::Borrowed(actor)),
            (fields::REV, Field::Ref(rev)),
            (fields::ROW, Field::Row(row)),
        ]);
        if let Some(previous) = previous {
            engine.push((fields::PREVIOUS, Field::Ref(previous.rev)));
        }
        engine.sort_unstable_by_key(|(name, _)| *name);
        self.body.clear();
        let mark = encode_row(&mut self.body, content, &engine).map_err(|error| match error {
            msgpack::EncodeError::TooDeep => StoreError::TooDeep {
                path: String::new(),
            },
            msgpack::EncodeError::TooLarge => StoreError::TooLarge(error.to_string()),
        })?;
        if self.body.len() > MAX_RECORD {
            return Err(StoreError::TooLarge(format!(
                "a record has at most {MAX_RECORD} bytes, not {}",
                self.body.len()
            )));
        }
        let start = self.framed.len();
        write_row(&mut self.framed, &self.body);
        if self.framed.len() > MAX_BATCH {
            return Err(StoreError::BatchTooLarge(MAX_BATCH));
        }
        let body: Arc<[u8]> = self.body.as_slice().into();
        let framed = &self.framed[start..];
        self.rows.push(NewRow {
            id,
            rev,
            time: self.time,
            deleted,
            mark,
            body: Arc::clone(&body),
            crc: crc32c::crc32c(framed),
            // At most MAX_BATCH.
            len: framed.len() as u32,
            follows: previous.map_or(Follows::Nothing, |previous| Follows::Row(previous.row)),
        });
        self.pending.insert(
            id,
            Pending {
                row,
                rev,
                body: Arc::clone(&body).into(),
                deleted,
            },
        );
        Ok(Record::new(row, body))
    }
}

/// The value of an engine-owned field.
enum Field<'a> {
    Text(String),
    Borrowed(&'a str),
    Ref(Id),
    Row(u32),
    Value(Value),
    /// As it is in the version before.
    Encoded(&'a [u8]),
}

/// The content of a row.
#[derive(Clone, Copy)]
enum Members<'a> {
    /// A map.
    Value(&'a Value),
    Plain(&'a Plain),
}

/// Encodes a record: its content and the engine-owned fields, both sorted. Gives the place of the
/// mark of superseded rows, which comes behind all other engine-owned fields.
fn encode_row(
    out: &mut Vec<u8>,
    content: Members<'_>,
    engine: &[(&'static str, Field<'_>)],
) -> std::result::Result<usize, msgpack::EncodeError> {
    let content = match content {
        Members::Value(content) => content.as_map(),
        Members::Plain(plain) => {
            // No key of these is among those of the engine.
            let (before, behind) = plain.members();
            msgpack::Writer::new(out).map(plain.len() + engine.len())?;
            out.extend_from_slice(before);
            for (name, field) in engine {
                encode_field(out, name, field)?;
            }
            let mark = out.len();
            out.extend_from_slice(behind);
            return Ok(mark);
        }
    };
    let count = content.map_or(0, Map::len);
    msgpack::Writer::new(out).map(count + engine.len())?;
    let mut engine = engine.iter().peekable();
    let mut mark = None;
    for (key, member) in content.into_iter().flatten() {
        while let Some((name, field)) = engine.next_if(|(name, _)| **name < **key) {
            encode_field(out, name, field)?;
        }
        if mark.is_none() && **key > *fields::SUPERSEDED {
            mark = Some(out.len());
        }
        msgpack::Writer::new(out).str(key)?;
        msgpack::encode_into(out, member)?;
    }
    for (name, field) in engine {
        encode_field(out, name, field)?;
    }
    Ok(mark.unwrap_or(out.len()))
}

fn encode_field(
    out: &mut Vec<u8>,
    name: &str,
    field: &Field<'_>,
) -> std::result::Result<(), msgpack::EncodeError> {
    let mut writer = msgpack::Writer::new(out);
    writer.str(name)?;
    match field {
        Field::Text(text) => writer.str(text)?,
        Field::Borrowed(text) => writer.str(text)?,
        Field::Ref(id) => writer.ref_(text_of(id))?,
        Field::Row(row) => writer.int(i64::from(*row)),
        Field::Value(value) => msgpack::encode_into(out, value)?,
        Field::Encoded(bytes) => writer.raw(bytes),
    }
    Ok(())
}

/// The content of a version: what is given, put over the content of the version before if it is an upsert.
fn merged(given: Map, previous: Option<&Pending>, id: &Id, options: &SaveOptions) -> Result<Map> {
    let mut content = match previous {
        Some(current) if options.upsert && !current.deleted => {
            let Ok(Value::Map(mut current)) = msgpack::decode(&current.body) else {
                return Err(StoreError::Corrupt(format!(
                    "the record {} cannot be decoded",
                    text_of(id)
                )));
            };
            current.retain(|key, _| !fields::is_engine_owned(key));
            current
        }
        _ => Map::new(),
    };
    if content.is_empty() {
        content = given;
        content.retain(|_, member| !member.is_undefined());
    } else {
        for (key, member) in given {
            if member.is_undefined() {
                content.remove(&key);
            } else {
                content.insert(key, member);
            }
        }
    }
    Ok(content)
}

/// Hash of user content: 20 bytes of the SHA-256 of its text.
pub fn content_hash(content: &Map) -> Result<String> {
    hash_of(&Value::Map(content.clone()), &mut String::new())
}

/// As [`content_hash`]; `text` is for reuse.
fn hash_of(content: &Value, text: &mut String) -> Result<String> {
    text.clear();
    escjson::format_into(text, content).map_err(|error| StoreError::BadValue {
        path: String::new(),
        reason: error.to_string(),
    })?;
    Ok(hash_of_text(text))
}

/// The hash of the content with this text.
pub(crate) fn hash_of_text(text: &str) -> String {
    let digest = Sha256::digest(text.as_bytes());
    URL_SAFE_NO_PAD.encode(&digest[..20])
}

fn reference(id: &Id) -> Result<Ref> {
    Ref::new(text_of(id)).map_err(|error| StoreError::Corrupt(error.to_string()))
}

fn named(error: StoreError, index: Option<usize>) -> StoreError {
    match index {
        Some(index) => error.in_record(index),
        None => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hash_of_the_example() {
        let content = Map::from([
            ("age".into(), Value::Int(41)),
            ("entity".into(), Value::from("person")),
            ("name".into(), Value::from("Ada")),
            ("nick".into(), Value::Null),
            ("score".into(), Value::Float(2.5)),
        ]);
        assert_eq!(
            content_hash(&content).expect("has a text"),
            "zJmOjhyRsKB4lc0EZPZYur09dBQ"
        );
    }
}
