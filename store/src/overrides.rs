//! Flags set by hand.

use std::collections::BTreeMap;

use mix_value::{Value, msgpack};

use crate::error::{Result, StoreError};

/// Flags set by hand, which win over the derived ones (outside of asOf).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Overrides {
    pub superseded: BTreeMap<u32, bool>,
    pub deleted: BTreeMap<u32, bool>,
}

impl Overrides {
    /// `{superseded: {set: [...], clear: [...]}, deleted: {...}}`, as it lies in the log.
    pub fn encode(&self) -> Result<Vec<u8>> {
        let rows = |flags: &BTreeMap<u32, bool>, wanted: bool| {
            let rows = flags.iter().filter(|(_, set)| **set == wanted);
            Value::Array(rows.map(|(row, _)| Value::Int(i64::from(*row))).collect())
        };
        let lists = |flags| Value::map([("set", rows(flags, true)), ("clear", rows(flags, false))]);
        let value = Value::map([
            ("superseded", lists(&self.superseded)),
            ("deleted", lists(&self.deleted)),
        ]);
        msgpack::encode(&value).map_err(|error| StoreError::TooLarge(error.to_string()))
    }

    /// Reads what [`Overrides::encode`] writes.
    pub fn decode(bytes: &[u8]) -> Option<Overrides> {
        let value = msgpack::decode(bytes).ok()?;
        let mut overrides = Overrides::default();
        for (key, flags) in [
            ("superseded", &mut overrides.superseded),
            ("deleted", &mut overrides.deleted),
        ] {
            for (list, set) in [("set", true), ("clear", false)] {
                let Some(rows) = value.get(key).and_then(|flag| flag.get(list)) else {
                    continue;
                };
                for row in rows.as_array()? {
                    flags.insert(u32::try_from(row.as_int()?).ok()?, set);
                }
            }
        }
        Some(overrides)
    }
}
