//! Constant lists arranged for fast membership tests.

use mix_value::{Value, equal, sort_order};

/// Below this many items a list is searched one by one.
const LINEAR: usize = 8;
/// Above this many pairs the values are sorted first.
const MANY_PAIRS: usize = 1024;

/// A constant list.
#[derive(Debug)]
pub(in super::super) struct Lookup {
    /// In sort order, without repetitions.
    items: Vec<Value>,
}

impl Lookup {
    pub(super) fn new(mut items: Vec<Value>) -> Lookup {
        items.sort_by(sort_order);
        items.dedup_by(|a, b| sort_order(a, b).is_eq());
        Lookup { items }
    }

    pub(in super::super) fn items(&self) -> &[Value] {
        &self.items
    }

    /// True if `value` is equal to an item.
    pub(in super::super) fn contains(&self, value: &Value) -> bool {
        find(&self.items, value, |item| item)
    }

    /// True if every item is equal to one of `values`.
    pub(in super::super) fn all_among(&self, values: &[Value]) -> bool {
        if self.items.len().saturating_mul(values.len()) <= MANY_PAIRS {
            return self
                .items
                .iter()
                .all(|item| values.iter().any(|value| equal(item, value) == Some(true)));
        }
        let mut sorted: Vec<&Value> = values.iter().collect();
        sorted.sort_by(|a, b| sort_order(a, b));
        self.items
            .iter()
            .all(|item| find(&sorted, item, |value| value))
    }
}

/// Searches a sorted slice. Values that sort alike are either all equal to a
/// given one or (where a NaN or a handle is inside) none is, so that the one
/// found by the order decides.
fn find<T>(sorted: &[T], value: &Value, item: impl Fn(&T) -> &Value) -> bool {
    if sorted.len() <= LINEAR {
        return sorted
            .iter()
            .any(|candidate| equal(item(candidate), value) == Some(true));
    }
    match sorted.binary_search_by(|candidate| sort_order(item(candidate), value)) {
        Ok(index) => equal(item(&sorted[index]), value) == Some(true),
        Err(_) => false,
    }
}
