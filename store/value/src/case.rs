//! Case values.

use std::sync::Arc;

use crate::{Value, ValueError};

const MAX_NAME_LEN: usize = 256;

/// A case name with at most one argument.
#[derive(Debug, Clone, PartialEq)]
pub struct Case {
    /// `Module.name`, or `name` for predefined cases.
    pub name: Arc<str>,
    /// The argument; none for a constant case.
    pub argument: Option<Box<Value>>,
}

impl Case {
    /// Makes a case after checking its name.
    pub fn new(name: &str, argument: Option<Value>) -> Result<Case, ValueError> {
        if !Case::is_name(name) {
            let shown = name.chars().take(64).collect();
            return Err(ValueError::CaseName(shown));
        }
        Ok(Case {
            name: name.into(),
            argument: argument.map(Box::new),
        })
    }

    /// True if `name` matches `[A-Za-z_$][A-Za-z0-9_.$]*` and has at most 256 bytes.
    pub fn is_name(name: &str) -> bool {
        let bytes = name.as_bytes();
        let starts = |b: u8| b.is_ascii_alphabetic() || b == b'_' || b == b'$';
        bytes.len() <= MAX_NAME_LEN
            && bytes.first().is_some_and(|b| starts(*b))
            && bytes
                .iter()
                .all(|b| starts(*b) || b.is_ascii_digit() || *b == b'.')
    }
}
