//! Random queries in the JSON form.

use mix_value::{Map, Ref, Value};

use crate::generate::{Dice, FIELDS, common, node, text, value};

/// What queries are made of.
pub struct Queries<'a> {
    pub dice: &'a mut Dice,
    /// Ids that records have.
    pub ids: &'a [String],
    /// Marks that `after` may name.
    pub marks: &'a [Value],
    /// Values of the parameters, which grow with the query.
    pub params: Map,
    /// The stream still consists of rows.
    rows: bool,
}

/// Names of members that are no fields.
const NAMES: [&str; 4] = ["dotted.name", "_rmx_id", "_rmx_superseded", "_rmx_previous"];

/// What follows the filter.
#[derive(Debug, Clone)]
pub enum Stage {
    Keep(Value),
    Map(Value),
    Order(Value, bool),
    Reverse,
    Skip(usize),
    Limit(usize),
    Count,
    Group(Value),
}

impl Stage {
    pub fn node(&self) -> Value {
        let invoke = |name: &str, arguments: Vec<Value>| {
            node([
                Value::from("invoke"),
                Value::from(name),
                Value::Array(arguments),
            ])
        };
        let count = |number: &usize| vec![Value::Int(*number as i64)];
        match self {
            Stage::Keep(filter) => filter.clone(),
            Stage::Map(node) => node.clone(),
            Stage::Order(key, descending) => {
                invoke("order", vec![key.clone(), Value::Bool(*descending)])
            }
            Stage::Reverse => invoke("reverse", vec![]),
            Stage::Skip(number) => invoke("skip", count(number)),
            Stage::Limit(number) => invoke("limit", count(number)),
            Stage::Count => invoke("count", vec![]),
            Stage::Group(key) => invoke("group", vec![key.clone()]),
        }
    }
}

impl<'a> Queries<'a> {
    pub fn new(dice: &'a mut Dice, ids: &'a [String], marks: &'a [Value]) -> Queries<'a> {
        Queries {
            dice,
            ids,
            marks,
            params: Map::new(),
            rows: true,
        }
    }

    fn name(&mut self) -> Value {
        Value::from(self.dice.pick_of(&FIELDS, &NAMES))
    }

    /// A node that stands for a value known beforehand.
    fn constant(&mut self, value: Value) -> Value {
        if self.dice.one_in(4) {
            let name = format!("p{}", self.params.len());
            self.params.insert(name.as_str().into(), value);
            return node([Value::from("param"), Value::from(name)]);
        }
        node([Value::from("scalarFallback"), value])
    }

    fn literal(&mut self) -> Value {
        let value = value(self.dice, self.ids, 1);
        self.constant(value)
    }

    /// A key: mostly a path, else a node.
    fn key(&mut self, depth: u32) -> Value {
        match self.dice.below(if depth == 0 { 10 } else { 17 }) {
            0..8 => Value::from(self.dice.path()),
            8 => {
                let name = self.name();
                node([Value::from("token"), name])
            }
            9 => self.member(Value::Null),
            10..13 => {
                let of = self.key(depth - 1);
                self.member(of)
            }
            13 => node([Value::from("followRef"), self.key(depth - 1)]),
            _ => self.calculation(depth - 1),
        }
    }

    fn member(&mut self, of: Value) -> Value {
        let mut name = self.name();
        if self.dice.one_in(3) {
            name = node([Value::from("token"), name]);
        }
        node([Value::from("objectMember"), of, name])
    }

    /// A key that is a node.
    fn value_node(&mut self, depth: u32) -> Value {
        match self.key(depth) {
            Value::String(path) => node([
                Value::from("calculation"),
                node([
                    Value::from("objectMember"),
                    Value::Null,
                    Value::from(path.split('.').next().unwrap_or("")),
                ]),
            ]),
            node => node,
        }
    }

    fn calculation(&mut self, depth: u32) -> Value {
        let op = *self.dice.pick(&["+", "+", "+", "-", "*", "/", "%"]);
        let side = |this: &mut Self| match this.dice.below(3) {
            0 => this.literal(),
            _ => this.value_node(depth),
        };
        let (left, right) = (side(self), side(self));
        node([
            Value::from("calculation"),
            node([Value::from(op), left, right]),
        ])
    }

    /// What a key is compared with.
    fn operand(&mut self) -> Value {
        match self.dice.below(8) {
            0 => self.member(Value::Null),
            1 => self.calculation(1),
            _ => self.literal(),
        }
    }

    /// A filter.
    pub fn filter(&mut self, depth: u32) -> Value {
        let depth_of_key = if self.dice.one_in(5) { 2 } else { 0 };
        let key = self.key(depth_of_key);
        match self.dice.below(if depth == 0 { 7 } else { 13 }) {
            0 => node([Value::from("exists"), key]),
            1 => {
                let op = ["in", "not_in", "all_in", "not_all_in"][self.dice.below(4) as usize];
                let count = self.dice.below(4);
                let list = node((0..count).map(|_| value(self.dice, self.ids, 0)));
                let list = match self.dice.one_in(4) {
                    true => {
                        let name = format!("p{}", self.params.len());
                        self.params.insert(name.as_str().into(), list);
                        node([Value::from("param"), Value::from(name)])
                    }
                    false => node([Value::from("listFallback"), list]),
                };
                node([Value::from("comparison"), Value::from(op), key, list])
            }
            2 => {
                let op = ["contains", "like"][self.dice.below(2) as usize];
                let text = text(self.dice);
                let text = self.constant(text);
                node([Value::from("comparison"), Value::from(op), key, text])
            }
            3..6 => {
                let op = ["==", "!=", "<", "<=", ">", ">="][self.dice.below(6) as usize];
                let mut sides = [key, self.operand()];
                if self.dice.one_in(10) {
                    // A constant as the key; parameters are no keys of filters.
                    let constant = value(self.dice, self.ids, 1);
                    sides = [
                        node([Value::from("scalarFallback"), constant]),
                        self.value_node(0),
                    ];
                }
                let [left, right] = sides;
                node([Value::from("comparison"), Value::from(op), left, right])
            }
            6 if self.rows && !self.marks.is_empty() => match self.dice.pick(self.marks).clone() {
                Value::Int(row) if self.dice.one_in(2) => {
                    node([Value::from("afterRow"), Value::Int(row)])
                }
                mark => node([Value::from("after"), self.constant(mark)]),
            },
            6 => node([Value::from("nullFilter")]),
            7 => node([Value::from("not"), self.filter(depth - 1)]),
            8 | 9 => {
                let key = match self.dice.below(3) {
                    0 => key,
                    _ => Value::from(*self.dice.pick(&["sub", "sub", "sub", "link", "link.sub"])),
                };
                let count = self.dice.below(2) + u64::from(!self.dice.one_in(8));
                let part = |this: &mut Self| match this.dice.one_in(3) {
                    true => this.filter(depth - 1),
                    false => this.of_line(),
                };
                let parts = node((0..count).map(|_| part(self)));
                node([Value::from("subquery"), key, parts])
            }
            both => {
                let name = if both == 10 { "or" } else { "and" };
                let count = self.dice.below(3) + u64::from(!self.dice.one_in(8));
                let parts = node((0..count).map(|_| self.filter(depth - 1)));
                node([Value::from(name), parts])
            }
        }
    }

    /// A condition that lines often fulfil.
    fn of_line(&mut self) -> Value {
        let key = Value::from(*self.dice.pick(&["a", "a", "b", "b", "a.a"]));
        let key = match self.dice.below(6) {
            0 => node([Value::from("token"), key]),
            1 => node([Value::from("objectMember"), Value::Null, key]),
            _ => key,
        };
        if self.dice.one_in(4) {
            let list = node((0..1 + self.dice.below(2)).map(|_| common(self.dice)));
            let op = ["in", "not_in", "all_in", "in"][self.dice.below(4) as usize];
            let list = node([Value::from("listFallback"), list]);
            return node([Value::from("comparison"), Value::from(op), key, list]);
        }
        let op = *self
            .dice
            .pick(&["==", "==", "<", "<=", ">", ">=", "!=", "like"]);
        let right = common(self.dice);
        let right = self.constant(right);
        node([Value::from("comparison"), Value::from(op), key, right])
    }

    fn object(&mut self, depth: u32) -> Value {
        let count = self.dice.below(4) + 1;
        let members: Vec<Value> = (0..count)
            .map(|_| {
                let name = self.name();
                match self.dice.below(10) {
                    0 => node([Value::from("cloneMembers")]),
                    1 if self.dice.one_in(3) => node([Value::from("cloneMembersWithExpansion")]),
                    1 | 2 => node([Value::from("removeMember"), name]),
                    3 | 4 if depth > 0 => {
                        let inner = self.object(depth - 1);
                        let mut member = vec![Value::from("assignMember"), name, inner];
                        member.extend(self.default());
                        node(member)
                    }
                    5 if depth > 0 => {
                        let inner = self.object(depth - 1);
                        let inner = node([Value::from("calculation"), inner]);
                        node([Value::from("assignMember"), name, inner])
                    }
                    _ => {
                        let key = match self.dice.below(6) {
                            0 => self.literal(),
                            _ => self.key(2),
                        };
                        let mut member = vec![Value::from("assignMember"), name, key];
                        member.extend(self.default());
                        node(member)
                    }
                }
            })
            .collect();
        node([Value::from("object"), Value::Array(members)])
    }

    fn default(&mut self) -> Option<Value> {
        self.dice.one_in(4).then(|| self.literal())
    }

    fn stage(&mut self) -> Stage {
        match self.dice.below(16) {
            0..4 => {
                let depth = u32::from(self.dice.one_in(4));
                Stage::Order(self.key(depth), self.dice.one_in(2))
            }
            4 => Stage::Reverse,
            5 => Stage::Skip(self.dice.below(6) as usize),
            6 | 7 => Stage::Limit(self.dice.below(20) as usize),
            8 => {
                self.rows = false;
                Stage::Count
            }
            9 | 10 => {
                self.rows = false;
                let depth = u32::from(self.dice.one_in(4));
                Stage::Group(self.key(depth))
            }
            11 | 12 => Stage::Keep(self.filter(1)),
            13 => {
                self.rows = false;
                Stage::Map(self.value_node(1))
            }
            _ => {
                self.rows = false;
                Stage::Map(self.object(2))
            }
        }
    }

    /// What follows the filter.
    pub fn stages(&mut self) -> Vec<Stage> {
        let count = [0, 0, 1, 1, 1, 2, 2, 3, 4][self.dice.below(9) as usize];
        (0..count).map(|_| self.stage()).collect()
    }
}

/// A ref of an id.
pub fn ref_of(id: &str) -> Value {
    Value::Ref(Ref::new(id).expect("an id"))
}
