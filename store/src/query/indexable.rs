//! Which values every index must hold.

use mix_value::Value;

/// Longest string, in characters, that every index holds.
const MAX_STRING: usize = 256;

/// True for null, bools, refs, strings up to 256 characters, cases sortable by
/// their `_rmx_index`, and lists of those.
pub(super) fn is_indexable(value: &Value) -> bool {
    match value {
        Value::Array(items) => items.iter().all(is_key),
        value => is_key(value),
    }
}

fn is_key(value: &Value) -> bool {
    match value {
        Value::Case(case) => case
            .argument
            .as_ref()
            .and_then(|argument| argument.get("_rmx_index"))
            .is_some_and(is_plain_key),
        value => is_plain_key(value),
    }
}

fn is_plain_key(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(_) | Value::Ref(_) => true,
        // A character takes at most four bytes: most strings need no count.
        Value::String(text) => text.len() <= MAX_STRING || text.chars().count() <= MAX_STRING,
        _ => false,
    }
}
