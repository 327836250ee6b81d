//! Queries as JSON trees and records, made of an input.

use mix_value::{Map, Ref, Value, escjson};

/// Takes choices from an input; when it is used up, always the first one.
pub struct Choices<'a>(pub &'a [u8]);

const NAMES: [&str; 8] = ["a", "b", "n", "list", "deep", "next", "_rmx_id", "a.b"];
const TEXTS: [&str; 6] = ["", "x", "xy", "y", "{ref}x", "é"];

impl Choices<'_> {
    fn take(&mut self) -> u8 {
        match self.0 {
            [first, rest @ ..] => {
                self.0 = rest;
                *first
            }
            [] => 0,
        }
    }

    fn below(&mut self, count: u8) -> u8 {
        self.take() % count
    }

    fn one<'t>(&mut self, of: &[&'t str]) -> &'t str {
        of[usize::from(self.take()) % of.len()]
    }

    /// A record of small values, so that comparisons often hold.
    pub fn record(&mut self, number: usize) -> Value {
        let mut map = Map::new();
        map.insert("_rmx_id".into(), Value::Ref(id(number)));
        for _ in 0..self.below(6) {
            let name = self.one(&NAMES[..6]);
            let value = self.data(3);
            map.insert(name.into(), value);
        }
        Value::Map(map)
    }

    fn data(&mut self, depth: u8) -> Value {
        match self.below(if depth == 0 { 8 } else { 11 }) {
            0 => Value::Null,
            1 => Value::Bool(self.below(2) == 1),
            2 | 3 => Value::Int(i64::from(self.below(4)) - 1),
            4 => Value::float([0.5, -0.0, 1e300, f64::NAN][usize::from(self.below(4))]),
            5 | 6 => Value::from(self.one(&TEXTS)),
            7 => Value::Ref(id(usize::from(self.below(12)))),
            8 => Value::Array((0..self.below(4)).map(|_| self.data(depth - 1)).collect()),
            9 => {
                let members =
                    (0..self.below(3)).map(|_| (self.one(&NAMES[..6]), self.data(depth - 1)));
                Value::map(members.collect::<Vec<_>>())
            }
            _ => {
                let date = Value::from(self.one(&["2024-01-01", "2024-02-01"]));
                let argument = Value::map([("_rmx_index", date)]);
                escjson::parse(&format!(
                    "{{\"_rmx_type\":\"{{tag}}case:calendar.date\",\"_rmx_value\":{}}}",
                    escjson::format(&argument).unwrap_or_default()
                ))
                .unwrap_or_default()
            }
        }
    }

    fn node(&mut self, opcode: &str, operands: impl IntoIterator<Item = Value>) -> Value {
        let mut items = vec![Value::from(opcode)];
        items.extend(operands);
        Value::Array(items)
    }

    fn key(&mut self, depth: u8) -> Value {
        match self.below(if depth == 0 { 2 } else { 8 }) {
            0 | 2 => Value::from(self.one(&NAMES)),
            1 => {
                let name = Value::from(self.one(&NAMES));
                self.node("token", [name])
            }
            3 | 4 => {
                let of = if self.below(2) == 0 {
                    Value::Null
                } else {
                    self.key(depth - 1)
                };
                let name = Value::from(self.one(&NAMES));
                self.node("objectMember", [of, name])
            }
            5 => {
                let of = self.key(depth - 1);
                self.node("followRef", [of])
            }
            6 => {
                let calculation = self.calculation(depth - 1);
                self.node("calculation", [calculation])
            }
            _ => self.object(depth - 1),
        }
    }

    fn value(&mut self, depth: u8) -> Value {
        match self.below(6) {
            0..3 => self.data(1),
            3 => {
                let value = self.data(1);
                self.node("scalarFallback", [value])
            }
            4 => self.node("param", [Value::from("p")]),
            _ => self.key(depth),
        }
    }

    fn calculation(&mut self, depth: u8) -> Value {
        if depth == 0 || self.below(3) == 0 {
            return self.value(0);
        }
        let op = self.one(&["+", "-", "*", "/", "%"]);
        let (left, right) = (self.calculation(depth - 1), self.calculation(depth - 1));
        self.node(op, [left, right])
    }

    fn filters(&mut self, depth: u8) -> Value {
        Value::Array((0..self.below(4)).map(|_| self.filter(depth)).collect())
    }

    fn filter(&mut self, depth: u8) -> Value {
        match self.below(if depth == 0 { 5 } else { 9 }) {
            0 => self.node("nullFilter", []),
            1 | 2 => {
                let op = self.one(&["==", "!=", "<", "<=", ">", ">=", "contains", "like"]);
                let (key, value) = (self.key(2), self.value(1));
                self.node("comparison", [Value::from(op), key, value])
            }
            3 => {
                let op = self.one(&["in", "all_in", "not_in", "not_all_in"]);
                let key = self.key(2);
                let list = Value::Array((0..self.below(4)).map(|_| self.data(1)).collect());
                self.node("comparison", [Value::from(op), key, list])
            }
            4 => {
                let key = self.key(2);
                self.node("exists", [key])
            }
            5 => {
                let parts = self.filters(depth - 1);
                self.node("and", [parts])
            }
            6 => {
                let parts = self.filters(depth - 1);
                self.node("or", [parts])
            }
            7 => {
                let inner = self.filter(depth - 1);
                self.node("not", [inner])
            }
            _ => {
                let (key, parts) = (self.key(1), self.filters(depth - 1));
                self.node("subquery", [key, parts])
            }
        }
    }

    fn object(&mut self, depth: u8) -> Value {
        let members = (0..self.below(4)).map(|_| self.member(depth)).collect();
        self.node("object", [Value::Array(members)])
    }

    fn member(&mut self, depth: u8) -> Value {
        match self.below(6) {
            0 => self.node("cloneMembers", []),
            1 => self.node("cloneMembersWithExpansion", []),
            2 => {
                let name = Value::from(self.one(&NAMES));
                self.node("removeMember", [name])
            }
            _ => {
                let name = Value::from(self.one(&NAMES));
                let value = self.key(depth);
                let fallback = (self.below(3) == 0).then(|| self.data(1));
                self.node("assignMember", [name, value].into_iter().chain(fallback))
            }
        }
    }

    fn stage(&mut self) -> Value {
        match self.below(10) {
            0..4 => self.filter(3),
            4 => self.object(3),
            5 => self.key(3),
            _ => {
                let function = self.one(&["count", "group", "order", "reverse", "skip", "limit"]);
                let arguments = match function {
                    "group" => vec![self.key(1)],
                    "order" => vec![self.key(1), Value::Bool(self.below(2) == 1)],
                    "skip" | "limit" => vec![Value::Int(i64::from(self.below(4)))],
                    _ => Vec::new(),
                };
                let arguments = Value::Array(arguments);
                self.node("invoke", [Value::from(function), arguments])
            }
        }
    }

    /// A pipeline that is mostly well-formed.
    pub fn pipeline(&mut self) -> Value {
        Value::Array((0..=self.below(4)).map(|_| self.stage()).collect())
    }

    /// A number of records.
    pub fn count(&mut self) -> usize {
        usize::from(self.below(12))
    }
}

/// The id of a record.
fn id(number: usize) -> Ref {
    Ref::new(&format!("{number:032}")).unwrap_or_else(|_| unreachable!("it has 32 characters"))
}
