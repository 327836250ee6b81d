//! Verifying a database without any lock, and recovering what is intact.

use std::collections::HashMap;
use std::sync::Arc;

use mix_value::{Value, msgpack};
use roaring::RoaringBitmap;

use super::previous::{PREV, Previous};
use super::rewrite::{Rewrite, flags_file};
use super::swap::NewFlags;
use super::walk::{Finding, Walked, walk};
use super::write_whole;
use crate::batch::content_hash;
use crate::error::{Doing, Result};
use crate::fields;
use crate::folder::{Folder, read_to_end};
use crate::ids::{Id, id_of, text_of};
use crate::log::{Header, log_name};
use crate::state::{State, state_name};
use crate::time::parse_time;

/// What hangs together between rows.
#[derive(Default)]
pub(crate) struct Chains {
    /// Newest revision of each id.
    newest: HashMap<Id, Id>,
    /// The row of each revision.
    revisions: HashMap<Id, u32>,
    time: i64,
    /// Revisions named as previous ones without being that of the version before: allowed
    /// only while no row has them.
    dangling: Vec<(u32, Id)>,
}

/// Verifies every row, checksum and file; one finding for each thing that is wrong.
pub(crate) fn check(folder: &dyn Folder) -> Result<Vec<Finding>> {
    let mut chains = Chains::default();
    let mut walked = walk(folder, &mut |walked: &mut Walked, row, body| {
        if let Err(what) = chains.check(row, body) {
            walked.find("db.dat", Some(row), what, false);
        }
        Ok(())
    })?;
    for (row, what) in chains.finish() {
        walked.find("db.dat", Some(row), what, false);
    }
    Ok(walked.findings)
}

impl Chains {
    /// What only the end shows: versions named as previous ones that are not, and revisions that
    /// are ids, so that one name would stand for two things.
    pub fn finish(&self) -> Vec<(u32, String)> {
        let wrong = self
            .dangling
            .iter()
            .filter(|(_, rev)| self.revisions.contains_key(rev));
        let wrong = wrong.map(|(row, _)| {
            let what = format!(
                "{} names a version that is not the one before",
                fields::PREVIOUS
            );
            (*row, what)
        });
        let shared = self
            .revisions
            .iter()
            .filter(|(rev, _)| self.newest.contains_key(*rev));
        let shared = shared.map(|(rev, row)| {
            let what = format!("has the revision {}, which is an id too", text_of(rev));
            (*row, what)
        });
        let mut found: Vec<(u32, String)> = wrong.chain(shared).collect();
        found.sort_unstable();
        found
    }

    /// Checks the next row by itself and against those before it.
    pub fn check(&mut self, row: u32, body: &[u8]) -> std::result::Result<(), String> {
        let Ok(Value::Map(map)) = msgpack::decode(body) else {
            return Err("is no record".into());
        };
        let name = |field: &str| -> std::result::Result<Option<Id>, String> {
            match map.get(field) {
                None => Ok(None),
                Some(Value::Ref(id)) => match id_of(id.as_str()) {
                    Some(id) => Ok(Some(id)),
                    None => Err(format!("{field} is not well-formed")),
                },
                Some(_) => Err(format!("{field} is no ref")),
            }
        };
        let missing = |field: &str| format!("has no {field}");
        let id = name(fields::ID)?.ok_or_else(|| missing(fields::ID))?;
        let rev = name(fields::REV)?.ok_or_else(|| missing(fields::REV))?;
        if let Some(other) = self.revisions.insert(rev, row) {
            return Err(format!("has the revision {} of row {other}", text_of(&rev)));
        }
        let before = self.newest.insert(id, rev);
        let previous = name(fields::PREVIOUS)?;
        if previous != before {
            match (previous, before) {
                (Some(rev), None) => self.dangling.push((row, rev)),
                _ => return Err(format!("{} is not the version before", fields::PREVIOUS)),
            }
        }
        if map.get(fields::ROW).and_then(Value::as_int) != Some(i64::from(row)) {
            return Err(format!("{} is another one", fields::ROW));
        }
        let time = map
            .get(fields::MODIFIED_AT)
            .and_then(Value::as_str)
            .and_then(parse_time)
            .ok_or_else(|| missing(fields::MODIFIED_AT))?;
        if time < self.time {
            return Err("is older than the row before".into());
        }
        self.time = time;
        content_matches(body)
    }
}

/// Whether the content of a record matches its own hash; tombstones have neither.
pub(crate) fn content_matches(body: &[u8]) -> std::result::Result<(), String> {
    let Ok(Value::Map(map)) = msgpack::decode(body) else {
        return Err("is no record".into());
    };
    let stored = map
        .get(fields::CONTENT_HASH)
        .and_then(Value::as_str)
        .map(str::to_owned);
    let deleted = map.contains_key(fields::DELETED);
    let content = map
        .into_iter()
        .filter(|(key, _)| !fields::is_engine_owned(key))
        .collect();
    match stored {
        None if deleted => Ok(()),
        None => Err("has no content hash".into()),
        Some(stored) => match content_hash(&content) {
            Ok(hash) if hash == stored => Ok(()),
            _ => Err("its content does not match its hash".into()),
        },
    }
}

/// What a recovery did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fixed {
    /// Rows of the new database.
    pub kept: u64,
    /// What was wrong; rows that are lost are marked.
    pub findings: Vec<Finding>,
}

/// Flags of kept rows as they follow from the rows themselves.
#[derive(Default)]
pub(super) struct Derived {
    newest: HashMap<Id, u32>,
    superseded: RoaringBitmap,
    deleted: RoaringBitmap,
}

impl Derived {
    pub fn add(&mut self, row: u32, id: Id, deleted: bool) {
        if let Some(before) = self.newest.insert(id, row) {
            self.superseded.insert(before);
        }
        if deleted {
            self.deleted.insert(row);
        }
    }
}

/// Writes all intact rows of a folder into an empty one, as a new database.
pub(crate) fn fix(from: &dyn Folder, to: Arc<dyn Folder>) -> Result<Fixed> {
    let mut next = Rewrite::new(to)?;
    let mut kept = RoaringBitmap::new();
    let mut derived = Derived::default();
    let walked = walk(from, &mut |walked: &mut Walked, row, body| {
        let named = |field: &str| {
            let value = msgpack::decode(crate::raw::member(body, field)?).ok()?;
            id_of(value.as_ref_value()?.as_str())
        };
        let time = crate::raw::member(body, fields::MODIFIED_AT)
            .and_then(|bytes| msgpack::decode(bytes).ok())
            .and_then(|text| parse_time(text.as_str()?));
        let (Some(id), Some(_), Some(_), Ok(_)) = (
            named(fields::ID),
            named(fields::REV),
            time,
            msgpack::decode(body),
        ) else {
            walked.find("db.dat", Some(row), "is no record", true);
            return Ok(());
        };
        let deleted = crate::raw::member(body, fields::DELETED).is_some();
        derived.add(next.rows(), id, deleted);
        kept.insert(row);
        next.push(body)
    })?;
    let name = from
        .open("name.txt", false)
        .and_then(|file| read_to_end(&*file, 0));
    let flags = flags_of(&walked, &kept, derived);
    let previous = walked.state.as_ref().map(|state| Previous {
        generation: state.generation,
        kept,
    });
    let kept = u64::from(next.rows());
    let about = About {
        name: name.ok(),
        flags,
        previous,
        ..About::default()
    };
    found(next, about)?;
    Ok(Fixed {
        kept,
        findings: walked.findings,
    })
}

/// The flags of the kept rows, if some were set by hand.
pub(super) fn flags_of(walked: &Walked, kept: &RoaringBitmap, derived: Derived) -> NewFlags {
    let overrides = &walked.overrides;
    if walked.flags.is_none() && overrides.superseded.is_empty() && overrides.deleted.is_empty() {
        return None;
    }
    let stored = walked.state.as_ref().map_or(0, |state| state.rows);
    let Derived {
        mut superseded,
        mut deleted,
        ..
    } = derived;
    for (new, old) in kept.iter().enumerate() {
        // Rows are numbered in u32.
        let new = new as u32;
        let set = |flags: &mut RoaringBitmap,
                   stored_flags: Option<&RoaringBitmap>,
                   by_hand: Option<&bool>| {
            let stored = stored_flags.filter(|_| old < stored);
            let wanted = by_hand.copied().or(stored.map(|flags| flags.contains(old)));
            match wanted {
                Some(true) => drop(flags.insert(new)),
                Some(false) => drop(flags.remove(new)),
                None => {}
            }
        };
        let files = walked.flags.as_ref();
        set(
            &mut superseded,
            files.map(|flags| &flags.0),
            overrides.superseded.get(&old),
        );
        set(
            &mut deleted,
            files.map(|flags| &flags.1),
            overrides.deleted.get(&old),
        );
    }
    Some((superseded, deleted))
}

/// What a new database has besides its rows.
#[derive(Default)]
pub(crate) struct About {
    /// Content of `name.txt`.
    pub name: Option<Vec<u8>>,
    pub flags: NewFlags,
    pub previous: Option<Previous>,
    /// A drawn one, if none is given.
    pub generation: Option<[u8; 8]>,
    /// Without a write log: what is exported as an image.
    pub without_log: bool,
}

/// Completes the files of a new database: everything but the rows.
pub(crate) fn found(mut next: Rewrite, about: About) -> Result<()> {
    next.sync()?;
    let folder = Arc::clone(&next.folder);
    if let Some(name) = about.name {
        write_whole(&*folder, "name.txt", &name)?;
    }
    let mut flags_name = String::new();
    if let Some((superseded, deleted)) = about.flags {
        flags_name = "flags-1.rbm".into();
        write_whole(&*folder, &flags_name, &flags_file(&superseded, &deleted)?)?;
    }
    if let Some(previous) = about.previous {
        write_whole(&*folder, PREV, &previous.encode()?)?;
    }
    let mut state = next.state(1, 1, flags_name)?;
    state.generation = about.generation.unwrap_or(state.generation);
    if !about.without_log {
        state.segments = crate::base::write_segments(&*folder, &state)?;
        write_first_log(&*folder, &state)?;
    }
    write_whole(&*folder, &state_name(1), &state.encode())?;
    folder.sync().doing(|| "syncing the folder".into())
}

/// The log of a database that has only a state.
pub(crate) fn write_first_log(folder: &dyn Folder, state: &State) -> Result<()> {
    let header = Header {
        fence: 1,
        previous: 0,
        seal: 0,
        base: state.sequence,
        generation: state.generation,
        flags: 0,
    };
    write_whole(folder, &log_name(1), &header.encode())
}
