//! Refs: names of records and revisions.

use std::fmt;
use std::sync::Arc;

use crate::ValueError;

/// Length in bytes of a well-formed ref.
pub const WELL_FORMED_LEN: usize = 32;

const MAX_LEN: usize = 256;

/// A non-empty text naming a record or a revision.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ref(Arc<str>);

impl Ref {
    /// Makes a ref of 1 to 256 bytes.
    pub fn new(text: &str) -> Result<Ref, ValueError> {
        Ref::check(text)?;
        Ok(Ref(text.into()))
    }

    /// As [`Ref::new`], sharing the text.
    pub fn from_shared(text: Arc<str>) -> Result<Ref, ValueError> {
        Ref::check(&text)?;
        Ok(Ref(text))
    }

    fn check(text: &str) -> Result<(), ValueError> {
        match text.len() {
            1..=MAX_LEN => Ok(()),
            len => Err(ValueError::RefLength(len)),
        }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The text, shared.
    pub fn as_shared(&self) -> &Arc<str> {
        &self.0
    }

    /// True for exactly 32 characters of `[0-9A-Za-z]`. Anything else is a
    /// temporary ref.
    pub fn is_well_formed(&self) -> bool {
        self.0.len() == WELL_FORMED_LEN && self.0.bytes().all(|b| b.is_ascii_alphanumeric())
    }
}

impl fmt::Display for Ref {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
