//! The terms of a record.

use mix_value::msgpack::{DecodeError, Reader, Token};

use super::term::{Flag, MAX_PATH, MAX_STEPS, Path, case_key, plain_key_of, scalar_key};
use crate::fields;

/// A record with more terms is not indexed: queries read it.
const MAX_TERMS: usize = 20_000;

/// All terms of an encoded record, some perhaps twice. One that has too many,
/// or cannot be read, has the single term that says so.
pub(crate) fn terms_of(body: &[u8]) -> Vec<Vec<u8>> {
    let mut walk = Walk {
        path: Path::default(),
        steps: 0,
        path_len: 0,
        terms: Vec::with_capacity(64),
    };
    match walk.record(&mut Reader::new(body)) {
        Ok(()) => walk.terms,
        Err(Stop) => vec![Path::default().flag(Flag::Unindexed)],
    }
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

struct Walk {
    path: Path,
    steps: usize,
    path_len: usize,
    terms: Vec<Vec<u8>>,
}

impl Walk {
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
        self.terms.push(self.path.flag(flag));
    }

    fn value(&mut self, reader: &mut Reader<'_>, how: Reached) -> Result<(), Stop> {
        if self.terms.len() > MAX_TERMS {
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
                let key = if has_argument {
                    case_index(reader)?.map(|index| case_key(name, &index))
                } else {
                    None
                };
                match key {
                    Some(key) => self.keyed(&key, how),
                    None => self.without_key(how),
                }
            }
            token => {
                if matches!(token, Token::Ref(_)) && how != Reached::Plainly {
                    self.flag(Flag::RefInside);
                }
                match scalar_key(&token) {
                    Some(key) => self.keyed(&key, how),
                    None if matches!(token, Token::Str(_)) && how == Reached::Plainly => {
                        self.flag(Flag::Long);
                    }
                    None => self.without_key(how),
                }
            }
        }
        Ok(())
    }

    fn keyed(&mut self, key: &[u8], how: Reached) {
        match how {
            Reached::Plainly => self.terms.push(self.path.value(key)),
            Reached::InArray => self.terms.push(self.path.element(key)),
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

/// Reads the argument of a case; gives the key of its `_rmx_index`, if it is a
/// map that has one.
fn case_index(reader: &mut Reader<'_>) -> Result<Option<Vec<u8>>, Stop> {
    let bytes = reader.raw_value()?;
    let mut argument = Reader::new(bytes);
    let Token::MapStart(count) = argument.next()? else {
        return Ok(None);
    };
    for _ in 0..count {
        match argument.next()? {
            Token::Key("_rmx_index") => return Ok(plain_key_of(&argument.next()?)),
            Token::Key(_) => argument.skip_value()?,
            _ => return Ok(None),
        }
    }
    Ok(None)
}
