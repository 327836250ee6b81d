//! Records behind refs, for as long as there is room.

use std::collections::HashMap;
use std::sync::Arc;

use mix_value::{Ref, Value};

/// Memory of the records kept.
const MAX_BYTES: usize = 8 << 20;
/// What an entry takes besides its record.
const ENTRY: usize = 128;

#[derive(Default)]
pub(super) struct Cache {
    records: HashMap<Ref, Option<Arc<Value>>>,
    bytes: usize,
}

impl Cache {
    /// What was found for a ref before.
    pub(super) fn get(&self, reference: &Ref) -> Option<Option<Arc<Value>>> {
        self.records.get(reference).cloned()
    }

    /// Remembers a record, and forgets all others when they get too many.
    pub(super) fn put(&mut self, reference: Ref, record: Option<Arc<Value>>, size: usize) {
        if size > MAX_BYTES / 4 {
            return;
        }
        self.bytes += size + ENTRY;
        if self.bytes > MAX_BYTES {
            self.records.clear();
            self.bytes = size + ENTRY;
        }
        self.records.insert(reference, record);
    }
}
