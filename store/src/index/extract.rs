//! The terms of a record.

use mix_value::msgpack::{DecodeError, Reader, Token};

use super::term::{
    Flag, MAX_PATH, MAX_STEPS, Path, write_case_key, write_plain_key, write_scalar_key,
};
use crate::{fields, raw};

/// A record with more terms is not indexed: queries read it.
const MAX_TERMS: usize = 20_000;

/// Takes the terms of a record, some perhaps twice.
pub(super) trait Terms {
    fn flag(&mut self, path: &Path, flag: Flag);
    fn value(&mut self, path: &Path, key: &[u8]);
    fn element(&mut self, path: &Path, key: &[u8]);
}

impl Terms for Vec<Vec<u8>> {
    fn flag(&mut self, path: &Path, flag: Flag) {
        self.push(path.flag(flag));
    }

    fn value(&mut self, path: &Path, key: &[u8]) {
        self.push(path.value(key));
    }

    fn element(&mut self, path: &Path, key: &[u8]) {
        self.push(path.element(key));
    }
}

/// All terms of an encoded record, some perhaps twice. One that has too many,
/// or cannot be read, has a term that says so, and those of its id and revision.
pub(super) fn terms_of(body: &[u8]) -> Vec<Vec<u8>> {
    let mut terms = Vec::with_capacity(64);
    if !extract(body, &mut terms) {
        terms.clear();
        unindexed(body, &mut terms);
    }
    terms
}

/// Gives the terms of a record that is not indexed: those that lead to it.
pub(super) fn unindexed(body: &[u8], terms: &mut impl Terms) {
    terms.flag(&Path::default(), Flag::Unindexed);
    for field in [fields::ID, fields::REV] {
        let Some(encoded) = raw::member(body, field) else {
            continue;
        };
        let mut key = Vec::with_capacity(32);
        if let Ok(token) = Reader::new(encoded).next()
            && write_plain_key(&token, &mut key)
        {
            let mut path = Path::default();
            path.push(field);
            terms.value(&path, &key);
        }
    }
}

/// Gives the terms of an encoded record; false if it has too many, or cannot be
/// read: then those given so far do not count, but the flag that says so.
pub(super) fn extract(body: &[u8], terms: &mut impl Terms) -> bool {
    let mut walk = Walk {
        path: Path::default(),
        steps: 0,
        path_len: 0,
        terms,
        count: 0,
        key: Vec::with_capacity(64),
    };
    walk.record(&mut Reader::new(body)).is_ok()
}

/// The record cannot be indexed.
struct Stop;

impl From<DecodeError> for Stop {
    fn from(_: DecodeError) -> Stop {
        // The row passed its checksum, so this does not happen; whoever reads it will tell.
        Stop
    }
}

/// How a value is reached.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Reached {
    /// Through maps alone.
    Plainly,
    /// Through one array.
    InArray,
    /// Through several.
    Deeper,
}

struct Walk<'t, T> {
    path: Path,
    steps: usize,
    path_len: usize,
    terms: &'t mut T,
    /// Number of terms so far.
    count: usize,
    key: Vec<u8>,
}

impl<T: Terms> Walk<'_, T> {
    fn record(&mut self, reader: &mut Reader<'_>) -> Result<(), Stop> {
        let Token::MapStart(count) = reader.next()? else {
            return Err(Stop);
        };
        for _ in 0..count {
            let Token::Key(key) = reader.next()? else {
                return Err(Stop);
            };
            match key {
                // Nobody looks for hashes; the row number is the row's place.
                fields::CONTENT_HASH | fields::ROW => reader.skip_value()?,
                key => self.member(key, reader, Reached::Plainly)?,
            }
        }
        Ok(())
    }

    fn member(&mut self, key: &str, reader: &mut Reader<'_>, how: Reached) -> Result<(), Stop> {
        if self.steps == MAX_STEPS || self.path_len + key.len() > MAX_PATH {
            reader.skip_value()?;
            return Ok(());
        }
        let before = self.path.push(key);
        self.steps += 1;
        self.path_len += key.len();
        self.value(reader, how)?;
        self.path_len -= key.len();
        self.steps -= 1;
        self.path.pop(before);
        Ok(())
    }

    fn flag(&mut self, flag: Flag) {
        self.count += 1;
        self.terms.flag(&self.path, flag);
    }

    fn value(&mut self, reader: &mut Reader<'_>, how: Reached) -> Result<(), Stop> {
        if self.count > MAX_TERMS {
            return Err(Stop);
        }
        let token = reader.next()?;
        if how == Reached::Plainly {
            self.flag(Flag::Exists);
        }
        match token {
            Token::MapStart(count) => {
                self.without_key(how);
                for _ in 0..count {
                    let Token::Key(key) = reader.next()? else {
                        return Err(Stop);
                    };
                    self.member(key, reader, how)?;
                }
            }
            Token::ArrayStart(count) => {
                let inner = match how {
                    Reached::Plainly => {
                        self.flag(Flag::Array);
                        Reached::InArray
                    }
                    Reached::InArray => {
                        self.flag(Flag::OtherElement);
                        self.flag(Flag::Nested);
                        Reached::Deeper
                    }
                    Reached::Deeper => Reached::Deeper,
                };
                for _ in 0..count {
                    self.value(reader, inner)?;
                }
            }
            Token::CaseStart { name, has_argument } => {
                self.key.clear();
                write_case_key(name, &mut self.key);
                if has_argument && case_index(reader, &mut self.key)? {
                    self.keyed(how);
                } else {
                    self.without_key(how);
                }
            }
            token => {
                if matches!(token, Token::Ref(_)) && how != Reached::Plainly {
                    self.flag(Flag::RefInside);
                }
                self.key.clear();
                if write_scalar_key(&token, &mut self.key) {
                    self.keyed(how);
                } else if matches!(token, Token::Str(_)) && how == Reached::Plainly {
                    self.flag(Flag::Long);
                } else {
                    self.without_key(how);
                }
            }
        }
        Ok(())
    }

    fn keyed(&mut self, how: Reached) {
        self.count += 1;
        match how {
            Reached::Plainly => self.terms.value(&self.path, &self.key),
            Reached::InArray => self.terms.element(&self.path, &self.key),
            Reached::Deeper => {}
        }
    }

    fn without_key(&mut self, how: Reached) {
        match how {
            Reached::Plainly => self.flag(Flag::Other),
            Reached::InArray => self.flag(Flag::OtherElement),
            Reached::Deeper => {}
        }
    }
}

/// Reads the argument of a case; appends the key of its `_rmx_index`, if it is
/// a map that has one.
fn case_index(reader: &mut Reader<'_>, key: &mut Vec<u8>) -> Result<bool, Stop> {
    let bytes = reader.raw_value()?;
    let mut argument = Reader::new(bytes);
    let Token::MapStart(count) = argument.next()? else {
        return Ok(false);
    };
    for _ in 0..count {
        match argument.next()? {
            Token::Key("_rmx_index") => return Ok(write_plain_key(&argument.next()?, key)),
            Token::Key(_) => argument.skip_value()?,
            _ => return Ok(false),
        }
    }
    Ok(false)
}
