//! From the records of a call to checked content: what can be done without
//! looking into the database.

use std::collections::HashMap;
use std::sync::Arc;

use mix_value::{Map, Ref, Value};

use crate::error::{Result, StoreError};
use crate::fields;
use crate::plain::{Draft, Plain};

/// Longest key, in bytes.
pub(crate) const MAX_KEY: usize = 1024;
/// Most records of one batch.
pub(crate) const MAX_RECORDS: usize = 100_000;

/// One record that is going to be stored.
#[derive(Debug, Clone)]
pub(crate) struct Prepared {
    /// Index in the call; none for a blob that came out of a record.
    pub index: Option<usize>,
    /// The id the input carried.
    pub id: Option<Ref>,
    /// The revision the input carried.
    pub rev: Option<Value>,
    /// Engine-owned fields of the input.
    pub owned: Map,
    /// User content.
    pub content: Content,
}

/// User content of a record that is going to be stored.
#[derive(Debug, Clone)]
pub(crate) enum Content {
    /// A member that is undefined is to be removed (upsert) or left out.
    Map(Map),
    /// Of a record without an id, and without members that are looked at.
    Plain(Plain),
}

/// Checks records and takes nested blobs out of them. A blob comes before its owner.
pub(crate) fn prepare(records: impl ExactSizeIterator<Item = Draft>) -> Result<Vec<Prepared>> {
    if records.len() > MAX_RECORDS {
        return Err(StoreError::TooLarge(format!(
            "a batch has at most {MAX_RECORDS} records, not {}",
            records.len()
        )));
    }
    let mut prepared = Vec::with_capacity(records.len());
    for (index, record) in records.enumerate() {
        let one = match record {
            Draft::Plain(plain) => Prepared::new(Content::Plain(plain)),
            Draft::Value(record) => {
                prepare_one(record, &mut prepared).map_err(|error| error.in_record(index))?
            }
        };
        prepared.push(Prepared {
            index: Some(index),
            ..one
        });
    }
    Ok(prepared)
}

impl Prepared {
    /// A record of which the input says nothing but its content.
    fn new(content: Content) -> Prepared {
        Prepared {
            index: None,
            id: None,
            rev: None,
            owned: Map::new(),
            content,
        }
    }
}

fn prepare_one(record: Value, blobs: &mut Vec<Prepared>) -> Result<Prepared> {
    let kind = record.kind();
    let Value::Map(record) = record else {
        return Err(StoreError::BadRecord { kind });
    };
    let id = match record.get(fields::ID) {
        None | Some(Value::Undefined | Value::Null) => None,
        Some(Value::Ref(id)) => Some(id.clone()),
        Some(other) => {
            return Err(StoreError::ExpectedRef {
                found: format!("{} in {}", other.kind(), fields::ID),
            });
        }
    };
    let is_content = |(key, value): (&Arc<str>, &Value)| {
        !key.starts_with("_rmx_") && key.len() <= MAX_KEY && is_clean(value, 1)
    };
    if record.iter().all(is_content) {
        return Ok(Prepared::new(Content::Map(record)));
    }
    let mut owned = Map::new();
    let mut content = Map::new();
    for (key, value) in record {
        if key.len() > MAX_KEY {
            return Err(too_long_key(&key));
        }
        if fields::is_engine_owned(&key) {
            owned.insert(key, value);
        } else if value.is_undefined() {
            content.insert(key, value);
        } else {
            let value = clean(value, 1, Some(&mut *blobs)).map_err(|error| error.under(&key))?;
            content.insert(key, value);
        }
    }
    let rev = owned
        .get(fields::REV)
        .filter(|rev| matches!(rev, Value::Ref(_)))
        .cloned();
    Ok(Prepared {
        index: None,
        id,
        rev,
        owned,
        content: Content::Map(content),
    })
}

fn too_long_key(key: &str) -> StoreError {
    let shown: String = key.chars().take(40).collect();
    StoreError::TooLarge(format!("the key {shown:?}… is longer than {MAX_KEY} bytes"))
}

/// Whether [`clean`] would leave a value as it is.
fn is_clean(value: &Value, depth: usize) -> bool {
    match value {
        Value::Undefined | Value::Token(_) | Value::Handle(_) => false,
        Value::Array(_) | Value::Map(_) | Value::Case(_) if depth >= mix_value::MAX_DEPTH => false,
        Value::Array(items) => items.iter().all(|item| is_clean(item, depth + 1)),
        Value::Map(map) => {
            map.iter()
                .all(|(key, member)| key.len() <= MAX_KEY && is_clean(member, depth + 1))
                // It may be a blob.
                && !map.contains_key(fields::TYPE)
        }
        Value::Case(case) => case
            .argument
            .as_deref()
            .is_none_or(|argument| is_clean(argument, depth + 1)),
        _ => true,
    }
}

/// Checks a value below `depth` containers; drops undefined members; moves
/// blobs out to `blobs`, if given.
fn clean(value: Value, depth: usize, mut blobs: Option<&mut Vec<Prepared>>) -> Result<Value> {
    let too_deep = || StoreError::TooDeep {
        path: String::new(),
    };
    match value {
        Value::Undefined => Err(StoreError::BadValue {
            path: String::new(),
            reason: "undefined cannot be stored here".into(),
        }),
        Value::Token(_) | Value::Handle(_) => Err(StoreError::NotStorable {
            path: String::new(),
            kind: value.kind(),
        }),
        Value::Array(_) | Value::Map(_) | Value::Case(_) if depth >= mix_value::MAX_DEPTH => {
            Err(too_deep())
        }
        Value::Array(items) => {
            let mut cleaned = Vec::with_capacity(items.len());
            for (index, item) in items.into_iter().enumerate() {
                cleaned.push(
                    clean(item, depth + 1, blobs.as_deref_mut())
                        .map_err(|error| error.under_index(index))?,
                );
            }
            Ok(Value::Array(cleaned))
        }
        Value::Map(map) => {
            let mut cleaned = Map::new();
            for (key, member) in map {
                if member.is_undefined() {
                    continue;
                }
                if key.len() > MAX_KEY {
                    return Err(too_long_key(&key));
                }
                let member = clean(member, depth + 1, blobs.as_deref_mut())
                    .map_err(|error| error.under(&key))?;
                cleaned.insert(key, member);
            }
            let is_blob = cleaned.get(fields::TYPE).and_then(Value::as_str) == Some("blob");
            match blobs {
                Some(blobs) if is_blob && !cleaned.contains_key(fields::ID) => blob(cleaned, blobs),
                _ => Ok(Value::Map(cleaned)),
            }
        }
        Value::Case(mut case) => {
            if let Some(argument) = case.argument.take() {
                let argument =
                    clean(*argument, depth + 1, blobs).map_err(|error| error.under(&case.name))?;
                case.argument = Some(Box::new(argument));
            }
            Ok(Value::Case(case))
        }
        other => Ok(other),
    }
}

/// Makes a record of a nested blob and leaves a temporary ref in its place.
/// The ref contains a space, so no caller's ref that was meant can be equal by chance.
fn blob(map: Map, blobs: &mut Vec<Prepared>) -> Result<Value> {
    let place = Ref::new(&format!("blob {} of this batch", blobs.len())).map_err(|error| {
        StoreError::BadValue {
            path: String::new(),
            reason: error.to_string(),
        }
    })?;
    let (owned, content) = map
        .into_iter()
        .partition(|(key, _)| fields::is_engine_owned(key));
    blobs.push(Prepared {
        index: None,
        id: Some(place.clone()),
        rev: None,
        owned,
        content: Content::Map(content),
    });
    Ok(Value::Ref(place))
}

impl StoreError {
    /// Puts a map key before the path of the error.
    pub(crate) fn under(mut self, key: &str) -> StoreError {
        if let Some(path) = self.path_mut()
            && path.len() < 400
        {
            let shown: String = key.chars().take(60).collect();
            *path = format!(".{shown}{path}");
        }
        self
    }

    /// Puts an array index before the path of the error.
    pub(crate) fn under_index(mut self, index: usize) -> StoreError {
        if let Some(path) = self.path_mut()
            && path.len() < 400
        {
            *path = format!("[{index}]{path}");
        }
        self
    }

    fn path_mut(&mut self) -> Option<&mut String> {
        match self {
            StoreError::BadValue { path, .. }
            | StoreError::UnresolvedRef { path, .. }
            | StoreError::TooDeep { path }
            | StoreError::NotStorable { path, .. } => Some(path),
            _ => None,
        }
    }
}

/// Replaces refs by their stored ids and refuses temporary refs that are left.
/// Recursion is bounded: `clean` has seen the value.
pub(crate) fn replace_refs(value: &mut Value, aliases: &HashMap<Ref, Ref>) -> Result<()> {
    match value {
        Value::Ref(id) => {
            if let Some(stored) = aliases.get(id) {
                *id = stored.clone();
            } else if !id.is_well_formed() {
                let shown = id.as_str().chars().take(60).collect();
                return Err(StoreError::UnresolvedRef {
                    path: String::new(),
                    id: shown,
                });
            }
            Ok(())
        }
        Value::Array(items) => {
            for (index, item) in items.iter_mut().enumerate() {
                replace_refs(item, aliases).map_err(|error| error.under_index(index))?;
            }
            Ok(())
        }
        Value::Map(map) => {
            for (key, member) in map.iter_mut() {
                replace_refs(member, aliases).map_err(|error| error.under(key))?;
            }
            Ok(())
        }
        Value::Case(case) => {
            let name: Arc<str> = case.name.clone();
            match &mut case.argument {
                Some(argument) => {
                    replace_refs(argument, aliases).map_err(|error| error.under(&name))
                }
                None => Ok(()),
            }
        }
        _ => Ok(()),
    }
}

/// Engine-owned fields of an input as they go into `_rmx_original`.
pub(crate) fn clean_original(owned: Map) -> Result<Map> {
    let mut kept = Map::new();
    for (key, value) in owned {
        if !value.is_undefined() {
            // Nothing in there becomes a record of its own: a blob stays a map.
            let value = clean(value, 2, None).map_err(|error| error.under(&key))?;
            kept.insert(key, value);
        }
    }
    Ok(kept)
}
