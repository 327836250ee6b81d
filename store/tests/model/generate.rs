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

    /// One of two lists as if they were one.
    pub fn pick_of(&mut self, first: &[&'static str], second: &[&'static str]) -> &'static str {
        let at = self.below((first.len() + second.len()) as u64) as usize;
        let second = || second[at - first.len()];
        first.get(at).copied().unwrap_or_else(second)
    }

    /// A path from a record.
    pub fn path(&mut self) -> &'static str {
        self.pick_of(&FIELDS, &DEEPER)
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
/// Paths that are no fields.
const DEEPER: [&str; 12] = [
    "sub.a",
    "sub.b",
    "tags.a",
    "link.a",
    "link.sub.b",
    "missing",
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

pub fn text(dice: &mut Dice) -> Value {
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

/// A value that others are likely to be equal to.
pub fn common(dice: &mut Dice) -> Value {
    match dice.below(8) {
        0 => Value::Null,
        1..4 => Value::Int(dice.below(3) as i64),
        _ => Value::from(TEXTS[dice.below(4) as usize]),
    }
}

/// A list of maps with common values, as the lines of an order are.
fn lines(dice: &mut Dice, ids: &[String]) -> Value {
    let line = |dice: &mut Dice| {
        let mut line = Map::new();
        for name in ["a", "b"] {
            let member = match dice.below(9) {
                0 => continue,
                1 => Value::Array((0..dice.below(3)).map(|_| common(dice)).collect()),
                2 => Value::map([("a", common(dice))]),
                3 => Value::Array(vec![Value::map([("a", common(dice))])]),
                4 => value(dice, ids, 1),
                _ => common(dice),
            };
            line.insert(name.into(), member);
        }
        Value::Map(line)
    };
    let mut items = Vec::new();
    for _ in 0..dice.below(4) {
        items.push(match dice.below(8) {
            0 => Value::Array(vec![line(dice)]),
            1 => reference(dice, ids),
            _ => line(dice),
        });
    }
    match items.len() {
        1 => items.remove(0),
        _ => Value::Array(items),
    }
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
            "sub" if dice.one_in(2) => lines(dice, ids),
            "link" if !dice.one_in(5) => reference(dice, ids),
            "a" if !dice.one_in(4) => text(dice),
            _ => value(dice, ids, 3),
        };
        map.insert(name.into(), member);
    }
    map
}

pub fn node(items: impl IntoIterator<Item = Value>) -> Value {
    Value::Array(items.into_iter().collect())
}
