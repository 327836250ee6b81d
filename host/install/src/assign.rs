//! Under which ids the records of a package are saved.
//!
//! Ids are fixed before anything is saved, so that saving can be repeated. A record that has a
//! duplicate in the app takes its id, or is left out; refs to it follow.

use crate::conditions::{Action, Target};
use crate::database::{failed, find, fresh_id, id_of, parsed};
use mix_package::{Check, Package, PackageError, RecordSet, Result, Source};
use mix_store::{Database, SaveOptions};
use mix_value::{Map, Ref, Value, msgpack};
use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::Path;

/// Records of one commit.
const BATCH: usize = 10_000;
/// Bytes of one commit.
const BATCH_BYTES: usize = 8 << 20;

/// Counts for the report.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Counts {
    pub saved: u64,
    pub replaced: u64,
    pub skipped: u64,
}

/// What becomes of the records of a set, in their order; none: left out.
pub(crate) struct Assigned {
    ids: Vec<Option<Ref>>,
    pub counts: Counts,
}

/// Refs of the package and what they become.
#[derive(Default)]
pub(crate) struct Renamed {
    /// Well-formed ids, over the whole package.
    ids: HashMap<Ref, Ref>,
    /// Temporary refs, by the number of their set.
    temporary: HashMap<(usize, Ref), Ref>,
}

/// The duplicates of one rule: values of its fields, and the record that has them.
struct Known<'a> {
    check: &'a Check,
    by_fields: HashMap<Vec<u8>, Ref>,
}

/// Decides about the records of a set.
pub(crate) fn assign<R: Source>(
    package: &mut Package<R>,
    number: usize,
    set: &RecordSet,
    target: &Target,
    checks: &[Check],
    renamed: &mut Renamed,
) -> Result<Assigned> {
    let options = SaveOptions::default()
        .with_names(set.options.iter().map(String::as_str))
        .map_err(failed)?;
    // What is made anew has no records that could be met.
    let database = match target.action {
        Action::Create | Action::Fresh => None,
        _ => target.database.as_ref(),
    };
    let mut known = Vec::new();
    if let Some(database) = database {
        for check in checks.iter().filter(|check| check.app == set.app) {
            known.push(Known {
                check,
                by_fields: duplicates(database, check)?,
            });
        }
    }
    let mut assigned = Assigned {
        ids: Vec::new(),
        counts: Counts::default(),
    };
    let mut seen: HashSet<Ref> = HashSet::new();
    package.each_record(set, &mut |entry, index, record| {
        let own = id_of(&record);
        let entity = record.get("entity").and_then(Value::as_str);
        let rule = known
            .iter()
            .find(|known| Some(known.check.entity.as_str()) == entity);
        let twin = rule.and_then(|rule| rule.of(&record));
        let bad = |message: String| {
            Err(PackageError::new("bad_record", message)
                .at(entry)
                .index(index))
        };
        let (id, exists) = match (&twin, &own) {
            (Some((id, _)), _) => (id.clone(), true),
            (None, Some(own)) if own.is_well_formed() => {
                let exists = match database {
                    Some(database) => exists(database, own)?,
                    None => None,
                };
                match exists {
                    None if options.dont_use_id && !seen.contains(own) => (fresh_id()?, false),
                    None => (own.clone(), false),
                    Some(Found::Record(live)) => (own.clone(), live),
                    Some(Found::Revision) => {
                        return bad(format!("{own} is a revision, not a record"));
                    }
                }
            }
            (None, _) => (fresh_id()?, false),
        };
        if let Some(own) = own {
            let is_new = seen.insert(own.clone());
            if !own.is_well_formed() {
                if !is_new {
                    return bad(format!("the temporary ref {own} names two records"));
                }
                renamed.temporary.insert((number, own), id.clone());
            } else if own != id {
                renamed.ids.insert(own, id.clone());
            }
        }
        match twin {
            Some((_, false)) => {
                assigned.counts.skipped += 1;
                assigned.ids.push(None);
            }
            _ => {
                let count = if exists {
                    &mut assigned.counts.replaced
                } else {
                    &mut assigned.counts.saved
                };
                *count += 1;
                assigned.ids.push(Some(id));
            }
        }
        Ok(())
    })?;
    Ok(assigned)
}

/// Writes the records of a set as batches, under the ids that were decided, and gives the names
/// of the files.
pub(crate) fn write<R: Source>(
    package: &mut Package<R>,
    number: usize,
    set: &RecordSet,
    assigned: &Assigned,
    renamed: &Renamed,
    folder: &Path,
) -> Result<Vec<String>> {
    let mut files = Vec::new();
    let mut batch: Vec<u8> = Vec::new();
    let mut count = 0;
    let mut flush = |batch: &mut Vec<u8>, count: &mut usize| -> Result<()> {
        if *count == 0 {
            return Ok(());
        }
        let name = format!("{number}-{}.mp", files.len());
        let mut bytes = Vec::with_capacity(batch.len() + 5);
        bytes.push(0xdd);
        // At most BATCH.
        bytes.extend((*count as u32).to_be_bytes());
        bytes.append(batch);
        fs::write(folder.join(&name), bytes)?;
        files.push(name);
        *count = 0;
        Ok(())
    };
    let mut ids = assigned.ids.iter();
    package.each_record(set, &mut |entry, index, record| {
        let Some(id) = ids.next().and_then(Option::as_ref) else {
            return Ok(());
        };
        let bad = |message: String| {
            PackageError::new("bad_record", message)
                .at(entry)
                .index(index)
        };
        let mut record = Map::from_iter(record.into_iter().filter(|(key, _)| &**key != "_rmx_id"));
        for member in record.values_mut() {
            follow(member, number, renamed).map_err(|temporary| {
                bad(format!(
                    "the temporary ref {temporary} names no record of the set"
                ))
            })?;
        }
        record.insert("_rmx_id".into(), Value::Ref(id.clone()));
        let encoded =
            msgpack::encode(&Value::Map(record)).map_err(|error| bad(error.to_string()))?;
        if count == BATCH || (count > 0 && batch.len() + encoded.len() > BATCH_BYTES) {
            flush(&mut batch, &mut count)?;
        }
        batch.extend(encoded);
        count += 1;
        Ok(())
    })?;
    flush(&mut batch, &mut count)?;
    Ok(files)
}

/// Replaces refs; fails with a temporary one that names nothing.
fn follow(value: &mut Value, number: usize, renamed: &Renamed) -> std::result::Result<(), Ref> {
    match value {
        Value::Ref(id) if id.is_well_formed() => {
            if let Some(now) = renamed.ids.get(id) {
                *id = now.clone();
            }
        }
        Value::Ref(id) => match renamed.temporary.get(&(number, id.clone())) {
            Some(now) => *id = now.clone(),
            None => return Err(id.clone()),
        },
        Value::Array(items) => {
            for item in items {
                follow(item, number, renamed)?;
            }
        }
        Value::Map(members) => {
            for member in members.values_mut() {
                follow(member, number, renamed)?;
            }
        }
        Value::Case(case) => {
            if let Some(inner) = &mut case.argument {
                follow(inner, number, renamed)?;
            }
        }
        _ => {}
    }
    Ok(())
}

enum Found {
    /// A record, and whether it is live.
    Record(bool),
    Revision,
}

fn exists(database: &Database, id: &Ref) -> Result<Option<Found>> {
    let view = database.view();
    if !view.versions(id.as_str()).map_err(failed)?.is_empty() {
        let deleted = view.is_tombstoned(id.as_str()).map_err(failed)?;
        return Ok(Some(Found::Record(!deleted)));
    }
    let revision = view.row_of_revision(id.as_str()).map_err(failed)?;
    Ok(revision.map(|_| Found::Revision))
}

/// Live records of an entity, by the values of the fields; the first of several.
fn duplicates(database: &Database, check: &Check) -> Result<HashMap<Vec<u8>, Ref>> {
    let mut found = HashMap::new();
    // No fields never match.
    if check.fields.is_empty() {
        return Ok(found);
    }
    let query = parsed("entity == $entity")?;
    let params = Map::from([("entity".into(), Value::from(check.entity.as_str()))]);
    find(database, &query, params, &mut |record| {
        if let (Some(key), Some(id)) = (key(check, &record), id_of(&record)) {
            found.entry(key).or_insert(id);
        }
        Ok(())
    })?;
    Ok(found)
}

impl Known<'_> {
    /// The duplicate of a record, and whether it is saved over.
    fn of(&self, record: &Map) -> Option<(Ref, bool)> {
        let id = self.by_fields.get(&key(self.check, record)?)?;
        Some((id.clone(), self.check.replace))
    }
}

/// The values of the fields; none if one is not defined.
fn key(check: &Check, record: &Map) -> Option<Vec<u8>> {
    let mut key = Vec::new();
    for field in &check.fields {
        let value = match record.get(field.as_str())? {
            Value::Undefined => return None,
            // Equal numbers are one value, however they are held.
            Value::Float(number) => match mix_value::number::float_to_int(*number) {
                Some(int) => Value::Int(int),
                None => Value::Float(*number),
            },
            other => other.clone(),
        };
        key.extend(msgpack::encode(&value).ok()?);
    }
    Some(key)
}
