//! The store as a list of rows, and queries as loops over it.

use std::collections::HashMap;

use mix_value::{Map, Relation, Value, equal, relate, sort_order};

use crate::generate::Stage;

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

    fn step(&self, value: &Value, name: &str, bound: usize) -> Value {
        match value {
            Value::Map(map) => map.get(name).cloned().unwrap_or_default(),
            Value::Ref(id) => match self.resolve(id.as_str(), bound) {
                Some(record) => self.step(&record, name, bound),
                None => Value::Undefined,
            },
            Value::Array(items) => Value::Array(
                items
                    .iter()
                    .map(|item| self.step(item, name, bound))
                    .filter(|item| !item.is_undefined())
                    .collect(),
            ),
            _ => Value::Undefined,
        }
    }

    fn at(&self, record: &Value, path: &str, bound: usize) -> Value {
        path.split('.')
            .fold(record.clone(), |value, name| self.step(&value, name, bound))
    }

    fn truth(&self, record: &Value, filter: &Value, bound: usize) -> Option<bool> {
        let items = filter.as_array().expect("a node");
        let text = |at: usize| items[at].as_str().expect("a text");
        let parts = || {
            items[1]
                .as_array()
                .expect("nodes")
                .iter()
                .map(|part| self.truth(record, part, bound))
        };
        match text(0) {
            "exists" => Some(!self.at(record, text(1), bound).is_undefined()),
            "not" => self.truth(record, &items[1], bound).map(|truth| !truth),
            "and" => kleene(parts().collect(), false),
            "or" => kleene(parts().collect(), true),
            "comparison" => {
                let left = self.at(record, text(2), bound);
                let right = &items[3].as_array().expect("a literal")[1];
                compare(text(1), &left, right)
            }
            other => panic!("the generator makes no {other}"),
        }
    }

    pub fn query(&self, seen: Seen, filter: &Value, stages: &[Stage]) -> Vec<Value> {
        let mut values = self.visible(seen);
        values.retain(|record| self.truth(record, filter, seen.bound) == Some(true));
        for stage in stages {
            match stage {
                Stage::Order(path, descending) => {
                    let mut keyed: Vec<(Value, Value)> = values
                        .into_iter()
                        .map(|value| (self.at(&value, path, seen.bound), value))
                        .collect();
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
                Stage::Group(path) => {
                    let mut groups: Vec<(Value, Vec<Value>)> = Vec::new();
                    for value in values {
                        let key = self.at(&value, path, seen.bound);
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
        values
    }
}

/// `and` and `or`: the one value that decides, else unknown if there is an unknown.
fn kleene(parts: Vec<Option<bool>>, decides: bool) -> Option<bool> {
    if parts.contains(&Some(decides)) {
        Some(decides)
    } else if parts.contains(&None) {
        None
    } else {
        Some(!decides)
    }
}

fn compare(op: &str, left: &Value, right: &Value) -> Option<bool> {
    if left.is_undefined() {
        return None;
    }
    let one = std::slice::from_ref(left);
    let values = left.as_array().unwrap_or(one);
    let list = || right.as_array().expect("a list");
    let has = |wanted: &Value| {
        values
            .iter()
            .any(|value| equal(value, wanted) == Some(true))
    };
    let ordered = |wanted: &[Relation]| match relate(left, right) {
        Relation::Incomparable => None,
        found => Some(wanted.contains(&found)),
    };
    match op {
        "==" => equal(left, right),
        "!=" => equal(left, right).map(|same| !same),
        "<" => ordered(&[Relation::Less]),
        "<=" => ordered(&[Relation::Less, Relation::Equal]),
        ">" => ordered(&[Relation::Greater]),
        ">=" => ordered(&[Relation::Greater, Relation::Equal]),
        "contains" => Some(left.as_str()?.contains(right.as_str()?)),
        "like" => Some(left.as_str()?.starts_with(right.as_str()?)),
        "in" => Some(list().iter().any(has)),
        "not_in" => Some(!list().iter().any(has)),
        "all_in" => Some(list().iter().all(has)),
        "not_all_in" => Some(!list().iter().all(has)),
        other => panic!("the generator makes no {other}"),
    }
}
