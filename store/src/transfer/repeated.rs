//! Ids that more than one record of an import brings.

use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};

use mix_value::msgpack::{Reader, Token};

use super::held::Held;
use crate::fields;
use crate::ids::{Id, id_of};
use crate::raw;

/// The hashes of such ids. Another id with the same hash is taken for one of them, which
/// costs the memory of a version and changes nothing else.
#[derive(Debug, Default)]
pub(super) struct Repeated {
    hasher: RandomState,
    hashes: HashSet<u64>,
}

impl Repeated {
    /// Eight bytes for each id while it is built, and then as many as there are such ids.
    pub fn among(records: &Held) -> Repeated {
        let hasher = RandomState::new();
        let ids = records.encoded().filter_map(given);
        let mut all: Vec<u64> = ids.map(|id| hasher.hash_one(id)).collect();
        all.sort_unstable();
        let pairs = all.windows(2).filter(|pair| pair[0] == pair[1]);
        Repeated {
            hashes: pairs.map(|pair| pair[0]).collect(),
            hasher,
        }
    }

    /// True if two records may bring this id.
    pub fn has(&self, id: &Id) -> bool {
        !self.hashes.is_empty() && self.hashes.contains(&self.hasher.hash_one(id))
    }
}

/// The well-formed id that a record brings.
fn given(record: &[u8]) -> Option<Id> {
    let id = raw::member(record, fields::ID)?;
    match Reader::new(id).next() {
        Ok(Token::Ref(id)) => id_of(id),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mix_value::{Ref, Value};

    fn record(id: Option<&str>) -> Value {
        let id = id.and_then(|id| Ref::new(id).ok()).map(Value::Ref);
        Value::map([
            ("n", Value::Int(1)),
            (fields::ID, id.unwrap_or(Value::Null)),
        ])
    }

    #[test]
    fn only_ids_that_come_twice() {
        let (once, twice, temporary) = ("a".repeat(32), "b".repeat(32), "t");
        let records = [
            record(Some(&once)),
            Value::Int(3),
            record(Some(&twice)),
            record(None),
            record(Some(temporary)),
            record(Some(temporary)),
            record(Some(&twice)),
        ];
        let held = Held::of(records.into_iter().map(Ok)).expect("held");
        assert_eq!(held.encoded().count(), 7);
        let repeated = Repeated::among(&held);
        let id = |text: &str| id_of(text).expect("well-formed");
        assert!(repeated.has(&id(&twice)) && !repeated.has(&id(&once)));
        assert_eq!(repeated.hashes.len(), 1);
        assert!(!Repeated::default().has(&id(&once)));
    }
}
