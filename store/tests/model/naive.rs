//! The store as a list of rows, and queries as loops over it.

use std::collections::HashMap;

use mix_value::{Map, Value, sort_order};

use crate::evaluate::{Scope, TooMuch};
use crate::queries::Stage;

#[derive(Debug, Clone)]
pub struct Row {
    /// The record as stored, without `_rmx_superseded`.
    pub value: Map,
    pub id: String,
    pub rev: String,
    pub deleted: bool,
}

impl Row {
    pub fn of(value: Map) -> Row {
        let name = |field: &str| {
            let id = value.get(field).and_then(Value::as_ref_value);
            id.unwrap_or_else(|| panic!("{field} of {value:?}"))
                .as_str()
                .to_owned()
        };
        Row {
            id: name("_rmx_id"),
            rev: name("_rmx_rev"),
            deleted: value.contains_key("_rmx_deleted"),
            value,
        }
    }
}

/// Which rows a reader sees.
#[derive(Debug, Clone, Copy)]
pub struct Seen {
    pub bound: usize,
    pub history: bool,
    pub deleted: bool,
}

#[derive(Default)]
pub struct Model {
    pub rows: Vec<Row>,
}

impl Model {
    pub fn newest(&self, id: &str, bound: usize) -> Option<usize> {
        self.rows[..bound].iter().rposition(|row| row.id == id)
    }

    /// For each row below the bound, whether a later one has its id.
    fn superseded(&self, bound: usize) -> Vec<bool> {
        let mut newest = HashMap::new();
        let mut superseded = vec![false; bound];
        for (number, row) in self.rows[..bound].iter().enumerate() {
            if let Some(before) = newest.insert(&row.id, number) {
                superseded[before] = true;
            }
        }
        superseded
    }

    /// A row as readers get it.
    fn shown(&self, number: usize, superseded: bool) -> Value {
        let mut map = self.rows[number].value.clone();
        if superseded {
            map.insert("_rmx_superseded".into(), Value::Bool(true));
        }
        Value::Map(map)
    }

    pub fn resolve(&self, id: &str, bound: usize) -> Option<Value> {
        let superseded = self.superseded(bound);
        let newest = self
            .newest(id, bound)
            .filter(|row| !self.rows[*row].deleted);
        let row = newest.or_else(|| self.rows[..bound].iter().position(|row| row.rev == id))?;
        Some(self.shown(row, superseded[row]))
    }

    /// What is visible, in row order.
    pub fn visible(&self, seen: Seen) -> Vec<Value> {
        let superseded = self.superseded(seen.bound);
        (0..seen.bound)
            .filter(|row| {
                (seen.history || !superseded[*row]) && (seen.deleted || !self.rows[*row].deleted)
            })
            .map(|row| self.shown(row, superseded[row]))
            .collect()
    }

    /// All versions of a record, newest first, with their rows.
    pub fn versions(&self, id: &str, bound: usize) -> Vec<(u32, Value)> {
        let rows = (0..bound).rev().filter(|row| self.rows[*row].id == id);
        let newest = self.newest(id, bound);
        rows.map(|row| (row as u32, self.shown(row, Some(row) != newest)))
            .collect()
    }

    /// The first row behind a mark of `after`: a row number, a watermark of this
    /// generation, or a revision.
    pub fn first_after(&self, mark: &Value) -> i64 {
        match mark {
            Value::Int(row) => row + 1,
            Value::String(text) if text.contains('.') => {
                let (_, rows) = text.split_once('.').expect("has a point");
                rows.parse().expect("a number of rows")
            }
            revision => {
                let name = revision.as_str().map(str::to_owned);
                let name = name.or_else(|| Some(revision.as_ref_value()?.as_str().to_owned()));
                let row = self
                    .rows
                    .iter()
                    .position(|row| Some(&row.rev) == name.as_ref());
                row.expect("a revision") as i64 + 1
            }
        }
    }

    /// The results of a query.
    pub fn query(
        &self,
        seen: Seen,
        params: &Map,
        filter: &Value,
        stages: &[Stage],
    ) -> Result<Vec<Value>, TooMuch> {
        let at = |value: &Value, key: &Value| Scope::of(self, seen.bound, params, value).key(key);
        let keep = |values: Vec<Value>, filter: &Value| -> Result<Vec<Value>, TooMuch> {
            let mut kept = Vec::new();
            for value in values {
                let row = value.get("_rmx_row").and_then(Value::as_int);
                let scope = Scope::of(self, seen.bound, params, &value);
                if scope.truth(row, filter)? == Some(true) {
                    kept.push(value);
                }
            }
            Ok(kept)
        };
        let mut values = keep(self.visible(seen), filter)?;
        for stage in stages {
            match stage {
                Stage::Keep(filter) => values = keep(values, filter)?,
                Stage::Map(node) => {
                    let mut mapped = Vec::new();
                    for value in values {
                        mapped.push(at(&value, node)?);
                    }
                    mapped.retain(|value| !value.is_undefined());
                    values = mapped;
                }
                Stage::Order(key, descending) => {
                    let mut keyed = Vec::new();
                    for value in values {
                        keyed.push((at(&value, key)?, value));
                    }
                    keyed.sort_by(|(a, _), (b, _)| {
                        a.is_undefined().cmp(&b.is_undefined()).then_with(|| {
                            let order = sort_order(a, b);
                            if *descending { order.reverse() } else { order }
                        })
                    });
                    values = keyed.into_iter().map(|(_, value)| value).collect();
                }
                Stage::Reverse => values.reverse(),
                Stage::Skip(count) => drop(values.drain(..(*count).min(values.len()))),
                Stage::Limit(count) => values.truncate(*count),
                Stage::Count => values = vec![Value::Int(values.len() as i64)],
                Stage::Group(key) => {
                    let mut groups: Vec<(Value, Vec<Value>)> = Vec::new();
                    for value in values {
                        let key = at(&value, key)?;
                        if key.is_undefined() {
                            continue;
                        }
                        let known = groups
                            .iter_mut()
                            .find(|(other, _)| sort_order(other, &key).is_eq());
                        match known {
                            Some((_, members)) => members.push(value),
                            None => groups.push((key, vec![value])),
                        }
                    }
                    groups.sort_by(|(a, _), (b, _)| sort_order(a, b));
                    values = groups
                        .into_iter()
                        .map(|(key, members)| {
                            Value::map([("key", key), ("values", Value::Array(members))])
                        })
                        .collect();
                }
            }
        }
        Ok(values)
    }
}
