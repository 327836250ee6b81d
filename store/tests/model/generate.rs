//! Random records and queries over a small domain, so that things meet.

use mix_value::{Case, Map, Ref, Value, escjson};

/// Small, seeded, good enough.
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Dice {
        Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % limit.max(1)
    }

    pub fn one_in(&mut self, count: u64) -> bool {
        self.below(count) == 0
    }

    pub fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len() as u64) as usize]
    }
}

/// A name that no index has.
const LONG: &str = match std::str::from_utf8(&[b'x'; 600]) {
    Ok(name) => name,
    Err(_) => "x",
};

pub const FIELDS: [&str; 9] = ["a", "b", "tags", "sub", "link", "when", "", "a\0", LONG];
const PATHS: [&str; 21] = [
    "a",
    "b",
    "tags",
    "sub",
    "link",
    "when",
    "sub.a",
    "sub.b",
    "tags.a",
    "link.a",
    "link.sub.b",
    "missing",
    "",
    "a\0",
    LONG,
    ".",
    "sub.",
    ".a\0",
    "link.",
    "_rmx_id",
    "_rmx_deleted",
];
const TEXTS: [&str; 8] = ["", "a", "ab", "abc", "b", "Oslo", "Ørsta", "\u{10348}x"];

/// A well-formed ref that names nothing.
pub const DANGLING: &str = "aB3dE5gH7jK9mN1pQ3sT5vW7yZ9bC1dF";

fn number(dice: &mut Dice) -> Value {
    match dice.below(8) {
        0 => Value::Int(i64::MAX - dice.below(2) as i64),
        1 => Value::Float([0.5, -0.0, f64::INFINITY, f64::NAN, 1e300, 2.0][dice.below(6) as usize]),
        2 => {
            let digits =
                ["9223372036854775808", "-123456789012345678901234567890"][dice.below(2) as usize];
            let tagged = format!("{{\"_rmx_type\":\"{{tag}}int\",\"_rmx_value\":\"{digits}\"}}");
            escjson::parse(&tagged).expect("a big integer")
        }
        _ => Value::Int(dice.below(12) as i64 - 3),
    }
}

fn text(dice: &mut Dice) -> Value {
    if dice.one_in(20) {
        return Value::from("long ".repeat(60) + TEXTS[dice.below(8) as usize]);
    }
    Value::from(*dice.pick(&TEXTS))
}

fn reference(dice: &mut Dice, ids: &[String]) -> Value {
    let id = if ids.is_empty() || dice.one_in(6) {
        DANGLING
    } else {
        dice.pick(ids)
    };
    Value::Ref(Ref::new(id).expect("an id"))
}

/// A value of any kind.
pub fn value(dice: &mut Dice, ids: &[String], depth: u32) -> Value {
    match dice.below(if depth == 0 { 7 } else { 11 }) {
        0 => Value::Null,
        1 => Value::Bool(dice.one_in(2)),
        2 | 3 => number(dice),
        4 => text(dice),
        5 => reference(dice, ids),
        6 => Value::binary(vec![dice.below(3) as u8; dice.below(3) as usize]),
        7 | 8 => {
            let count = dice.below(4);
            Value::Array((0..count).map(|_| value(dice, ids, depth - 1)).collect())
        }
        9 => map(dice, ids, depth - 1),
        _ => {
            let name = ["calendar.date", "ok", "none"][dice.below(3) as usize];
            let argument = match dice.below(4) {
                0 => None,
                1 => Some(value(dice, ids, depth - 1)),
                _ => Some(Value::map([(
                    "_rmx_index",
                    Value::from(["2024-03-01", "2024-02-15", "2025-01-01"][dice.below(3) as usize]),
                )])),
            };
            Value::Case(Case::new(name, argument).expect("a name"))
        }
    }
}

fn map(dice: &mut Dice, ids: &[String], depth: u32) -> Value {
    let mut map = Map::new();
    for _ in 0..dice.below(3) {
        let name = ["a", "b", "dotted.name", "", "a\0"][dice.below(5) as usize];
        map.insert(name.into(), value(dice, ids, depth));
    }
    Value::Map(map)
}

/// User content.
pub fn content(dice: &mut Dice, ids: &[String]) -> Map {
    let mut map = Map::new();
    for name in FIELDS {
        if dice.one_in(3) {
            continue;
        }
        let member = match name {
            "b" => number(dice),
            "link" if !dice.one_in(5) => reference(dice, ids),
            "a" if !dice.one_in(4) => text(dice),
            _ => value(dice, ids, 3),
        };
        map.insert(name.into(), member);
    }
    map
}

fn node(items: impl IntoIterator<Item = Value>) -> Value {
    Value::Array(items.into_iter().collect())
}

fn literal(dice: &mut Dice, ids: &[String]) -> Value {
    node([Value::from("scalarFallback"), value(dice, ids, 1)])
}

/// A filter in the JSON form.
pub fn filter(dice: &mut Dice, ids: &[String], depth: u32) -> Value {
    let path = Value::from(*dice.pick(&PATHS));
    match dice.below(if depth == 0 { 6 } else { 10 }) {
        0 => node([Value::from("exists"), path]),
        1 => {
            let op = ["in", "not_in", "all_in", "not_all_in"][dice.below(4) as usize];
            let count = dice.below(4);
            let list = node((0..count).map(|_| value(dice, ids, 0)));
            let list = node([Value::from("listFallback"), list]);
            node([Value::from("comparison"), Value::from(op), path, list])
        }
        2 => {
            let op = ["contains", "like"][dice.below(2) as usize];
            let text = text(dice);
            let text = node([Value::from("scalarFallback"), text]);
            node([Value::from("comparison"), Value::from(op), path, text])
        }
        3..6 => {
            let op = ["==", "!=", "<", "<=", ">", ">="][dice.below(6) as usize];
            node([
                Value::from("comparison"),
                Value::from(op),
                path,
                literal(dice, ids),
            ])
        }
        6 => node([Value::from("not"), filter(dice, ids, depth - 1)]),
        both => {
            let name = if both == 7 { "or" } else { "and" };
            let count = 1 + dice.below(3);
            let parts = node((0..count).map(|_| filter(dice, ids, depth - 1)));
            node([Value::from(name), parts])
        }
    }
}

/// What follows the filter.
#[derive(Debug, Clone)]
pub enum Stage {
    Order(String, bool),
    Reverse,
    Skip(usize),
    Limit(usize),
    Count,
    Group(String),
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
            Stage::Order(path, descending) => invoke(
                "order",
                vec![Value::from(path.as_str()), Value::Bool(*descending)],
            ),
            Stage::Reverse => invoke("reverse", vec![]),
            Stage::Skip(number) => invoke("skip", count(number)),
            Stage::Limit(number) => invoke("limit", count(number)),
            Stage::Count => invoke("count", vec![]),
            Stage::Group(path) => invoke("group", vec![Value::from(path.as_str())]),
        }
    }
}

pub fn stages(dice: &mut Dice) -> Vec<Stage> {
    let mut stages = Vec::new();
    if dice.one_in(3) {
        stages.push(Stage::Order(
            (*dice.pick(&PATHS)).to_owned(),
            dice.one_in(2),
        ));
    }
    if dice.one_in(8) {
        stages.push(Stage::Reverse);
    }
    if dice.one_in(6) {
        stages.push(Stage::Skip(dice.below(6) as usize));
    }
    if dice.one_in(4) {
        stages.push(Stage::Limit(dice.below(20) as usize));
    }
    match dice.below(8) {
        0 | 1 => stages.push(Stage::Count),
        2 => stages.push(Stage::Group((*dice.pick(&PATHS)).to_owned())),
        _ => {}
    }
    stages
}
