//! Keys, values, conditions and projections of the JSON form, evaluated
//! literally: each use anew, without plans, laziness, caches or indexes.

use mix_value::{Map, Relation, Value, equal, number, relate};

use crate::naive::Model;

/// Records that `**` may put into one result before the model gives up.
const EXPANSIONS: usize = 200;

/// The model does not want to know: `**` found too many records.
#[derive(Debug)]
pub struct TooMuch;

type Result<T> = std::result::Result<T, TooMuch>;

/// Where something is evaluated.
#[derive(Clone, Copy)]
pub struct Scope<'a> {
    model: &'a Model,
    bound: usize,
    params: &'a Map,
    root: &'a Value,
    current: &'a Value,
}

impl<'a> Scope<'a> {
    /// At a value of the stream.
    pub fn of(model: &'a Model, bound: usize, params: &'a Map, value: &'a Value) -> Scope<'a> {
        Scope {
            model,
            bound,
            params,
            root: value,
            current: value,
        }
    }

    fn within(self, current: &'a Value) -> Scope<'a> {
        Scope { current, ..self }
    }

    fn record(&self, value: &Value) -> Option<Value> {
        self.model
            .resolve(value.as_ref_value()?.as_str(), self.bound)
    }

    /// One step of a path.
    fn step(&self, value: &Value, name: &str) -> Value {
        match value {
            Value::Map(map) => map.get(name).cloned().unwrap_or_default(),
            Value::Ref(_) => match self.record(value) {
                Some(record) => self.step(&record, name),
                None => Value::Undefined,
            },
            Value::Array(items) => Value::Array(
                items
                    .iter()
                    .map(|item| self.step(item, name))
                    .filter(|item| !item.is_undefined())
                    .collect(),
            ),
            _ => Value::Undefined,
        }
    }

    /// The value of a key: a dotted path, or a node.
    pub fn key(self, key: &Value) -> Result<Value> {
        match key {
            Value::String(path) => Ok(path
                .split('.')
                .fold(self.current.clone(), |value, name| self.step(&value, name))),
            node => self.node(node),
        }
    }

    /// The value of a node.
    pub fn node(self, node: &Value) -> Result<Value> {
        let items = node.as_array().expect("a node");
        let name = |at: usize| match &items[at] {
            Value::Array(token) => token[1].as_str().expect("a name"),
            name => name.as_str().expect("a name"),
        };
        Ok(match items[0].as_str().expect("an opcode") {
            "token" => self.step(self.current, name(1)),
            "objectMember" if items[1].is_null() => self.step(self.root, name(2)),
            "objectMember" => self.step(&self.key(&items[1])?, name(2)),
            "param" => self.params[name(1)].clone(),
            "scalarFallback" | "listFallback" => items[1].clone(),
            "calculation" => self.calculation(&items[1])?,
            "followRef" => self.follow(self.key(&items[1])?),
            "object" => self.object(&items[1])?,
            other => panic!("the generator makes no {other}"),
        })
    }

    fn calculation(self, tree: &Value) -> Result<Value> {
        let items = tree.as_array().expect("a calculation");
        let op = items[0].as_str().expect("an operator");
        if items.len() == 2 || !["+", "-", "*", "/", "%"].contains(&op) {
            return self.node(tree);
        }
        let (left, right) = (self.calculation(&items[1])?, self.calculation(&items[2])?);
        Ok(arithmetic(op, left, right))
    }

    fn follow(&self, value: Value) -> Value {
        match value {
            Value::Ref(_) => self.record(&value).unwrap_or(Value::Null),
            Value::Array(items) => {
                Value::Array(items.into_iter().map(|item| self.follow(item)).collect())
            }
            value => value,
        }
    }

    fn object(self, members: &Value) -> Result<Value> {
        let mut map = Map::new();
        for member in members.as_array().expect("members") {
            let items = member.as_array().expect("a member");
            let name = || items[1].as_str().expect("a name");
            let current = || match self.record(self.current) {
                Some(Value::Map(map)) => map,
                _ => self.current.as_map().cloned().unwrap_or_default(),
            };
            match items[0].as_str().expect("an opcode") {
                "assignMember" => {
                    let nested = items[2]
                        .as_array()
                        .filter(|node| node.first().and_then(Value::as_str) == Some("object"));
                    let mut value = match nested {
                        Some(node) => self.nested(&self.step(self.current, name()), &node[1])?,
                        None => self.key(&items[2])?,
                    };
                    if value.is_undefined()
                        && let Some(default) = items.get(3)
                    {
                        value = self.node(default)?;
                    }
                    if value.is_undefined() {
                        map.remove(name());
                    } else {
                        map.insert(name().into(), value);
                    }
                }
                "cloneMembers" => map.extend(current()),
                "cloneMembersWithExpansion" => {
                    let mut path = Vec::new();
                    path.extend(self.root.get("_rmx_id").cloned());
                    path.extend(current().get("_rmx_id").cloned());
                    let mut left = EXPANSIONS;
                    let expanded = self.expand(&Value::Map(current()), &mut path, &mut left)?;
                    map.extend(expanded.as_map().cloned().unwrap_or_default());
                }
                "removeMember" => {
                    map.remove(name());
                }
                other => panic!("the generator makes no {other}"),
            }
        }
        Ok(Value::Map(map))
    }

    /// An object on what the current one has in its place.
    fn nested(self, inner: &Value, members: &Value) -> Result<Value> {
        if let Some(record) = self.record(inner) {
            return self.nested(&record, members);
        }
        match inner {
            Value::Map(_) => self.within(inner).object(members),
            Value::Array(items) => {
                let mut results = Vec::new();
                for item in items {
                    results.push(self.nested(item, members)?);
                }
                results.retain(|item| !item.is_undefined());
                Ok(Value::Array(results))
            }
            _ => {
                let made = self.within(&Value::Undefined).object(members)?;
                let is_empty = made.as_map().is_none_or(Map::is_empty);
                Ok(if is_empty { Value::Undefined } else { made })
            }
        }
    }

    /// Refs replaced by records, but for those on the way.
    fn expand(self, value: &Value, path: &mut Vec<Value>, left: &mut usize) -> Result<Value> {
        Ok(match value {
            Value::Map(map) => {
                let mut expanded = Map::new();
                for (key, member) in map {
                    let member = match key.starts_with("_rmx_") {
                        true => member.clone(),
                        false => self.expand(member, path, left)?,
                    };
                    expanded.insert(key.clone(), member);
                }
                Value::Map(expanded)
            }
            Value::Array(items) => {
                let mut expanded = Vec::new();
                for item in items {
                    expanded.push(self.expand(item, path, left)?);
                }
                Value::Array(expanded)
            }
            Value::Ref(_) => match self.record(value) {
                Some(record)
                    if !path.contains(&record.get("_rmx_id").cloned().unwrap_or_default()) =>
                {
                    *left = left.checked_sub(1).ok_or(TooMuch)?;
                    path.push(record.get("_rmx_id").cloned().unwrap_or_default());
                    if path.len() > 12 {
                        return Err(TooMuch);
                    }
                    let expanded = self.expand(&record, path, left)?;
                    path.pop();
                    expanded
                }
                _ => value.clone(),
            },
            value => value.clone(),
        })
    }

    /// The truth of a condition; none if it is unknown. `row` is that of the root.
    pub fn truth(self, row: Option<i64>, filter: &Value) -> Result<Option<bool>> {
        let items = filter.as_array().expect("a node");
        let text = |at: usize| items[at].as_str().expect("a text");
        let parts = |of: &Value, scope: Scope<'_>| -> Result<Vec<Option<bool>>> {
            let parts = of.as_array().expect("nodes").iter();
            parts.map(|part| scope.truth(row, part)).collect()
        };
        Ok(match text(0) {
            "nullFilter" => Some(true),
            "exists" => Some(!self.key(&items[1])?.is_undefined()),
            "afterRow" => {
                let row = row.expect("is of rows");
                Some(row > items[1].as_int().expect("a row"))
            }
            "after" => {
                let first = self.model.first_after(&self.node(&items[1])?);
                Some(row.expect("is of rows") >= first)
            }
            "not" => self.truth(row, &items[1])?.map(|truth| !truth),
            "and" => kleene(parts(&items[1], self)?, false),
            "or" => kleene(parts(&items[1], self)?, true),
            "subquery" => {
                let of_object = |object: &Value| -> Result<Option<bool>> {
                    let record = self.record(object);
                    match record.as_ref().unwrap_or(object) {
                        object @ Value::Map(_) => {
                            Ok(kleene(parts(&items[2], self.within(object))?, false))
                        }
                        _ => Ok(None),
                    }
                };
                match self.key(&items[1])? {
                    Value::Array(elements) => {
                        let truths: Result<Vec<_>> = elements.iter().map(of_object).collect();
                        kleene(truths?, true)
                    }
                    value => of_object(&value)?,
                }
            }
            "comparison" => compare(text(1), &self.key(&items[2])?, &self.node(&items[3])?),
            other => panic!("the generator makes no {other}"),
        })
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
    if left.is_undefined() || right.is_undefined() {
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

/// A calculation, by the table of the specification.
fn arithmetic(op: &str, left: Value, right: Value) -> Value {
    if left.is_undefined() || right.is_undefined() {
        return Value::Undefined;
    }
    if left.is_null() || right.is_null() {
        return Value::Null;
    }
    if let (Value::Int(a), Value::Int(b)) = (&left, &right) {
        let (a, b) = (i128::from(*a), i128::from(*b));
        let exact = match op {
            "+" => Some(a + b),
            "-" => Some(a - b),
            "*" => Some(a * b),
            _ => None,
        };
        if let Some(exact) = exact.and_then(|exact| i64::try_from(exact).ok()) {
            return Value::Int(exact);
        }
    }
    if let (Some(a), Some(b)) = (left.as_float(), right.as_float()) {
        return Value::float(match op {
            "+" => a + b,
            "-" => a - b,
            "*" => a * b,
            "/" => a / b,
            _ => a % b,
        });
    }
    match (op, left, right) {
        ("+", Value::Array(a), Value::Array(b)) => Value::Array([a, b].concat()),
        ("+", Value::Map(mut a), Value::Map(b)) => {
            a.extend(b);
            Value::Map(a)
        }
        ("+", a @ Value::String(_), b) | ("+", a, b @ Value::String(_)) => {
            let text = |value: &Value| match value {
                Value::String(text) => Some(text.to_string()),
                Value::Ref(id) => Some(id.as_str().to_owned()),
                Value::Int(number) => Some(number.to_string()),
                other => other.as_float().map(number::format_float),
            };
            match (text(&a), text(&b)) {
                (Some(a), Some(b)) => Value::from(a + &b),
                _ => Value::Undefined,
            }
        }
        _ => Value::Undefined,
    }
}
