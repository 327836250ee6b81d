//! Whether arguments fit the schema of a tool.
//!
//! The part of JSON Schema (draft 2020-12, validation) that describes parameters: `type`, `enum`,
//! `const`, `properties`, `required`, `additionalProperties`, `items`, `minItems`, `maxItems`,
//! `minLength`, `maxLength`, `minimum`, `maximum`, `exclusiveMinimum`, `exclusiveMaximum`, `anyOf`,
//! `oneOf`, `allOf`. Other keywords do not refuse anything: the agent checks its parameters itself.

use serde_json::{Map, Number, Value};
use std::cell::Cell;
use std::fmt;

/// Levels of a schema that are looked at; deeper values are the agent's to check.
const MAX_DEPTH: usize = 32;

/// What is looked at of schema and values: their nodes, and the texts that are compared or counted. Whoever describes tools and
/// calls them could make much of little; what is beyond is the agent's to check, which has a time.
const MAX_STEPS: usize = 1_000_000;

/// Bytes of a text that are one step.
const BYTES_OF_STEP: usize = 64;

/// Characters of a part of the schema in a message.
const MAX_SHOWN: usize = 500;

/// What is left to be looked at, and where.
#[derive(Clone, Copy)]
struct At<'a> {
    steps: &'a Cell<usize>,
    depth: usize,
    place: &'a Place<'a>,
    /// A choice is tried: nobody reads why a value does not fit.
    tries: bool,
}

/// The way to a value.
enum Place<'a> {
    Arguments,
    Member(&'a Place<'a>, &'a str),
    Element(&'a Place<'a>, usize),
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Arguments => out.write_str("arguments"),
            Place::Member(of, name) => write!(out, "{of}.{name}"),
            Place::Element(of, index) => write!(out, "{of}[{index}]"),
        }
    }
}

impl<'a> At<'a> {
    /// At a part of the value.
    fn part<'b>(self, place: &'b Place<'b>) -> At<'b>
    where
        'a: 'b,
    {
        At {
            steps: self.steps,
            depth: self.depth.saturating_sub(1),
            place,
            tries: self.tries,
        }
    }

    /// At the same value, with another schema.
    fn choice(self, tries: bool) -> At<'a> {
        At {
            depth: self.depth.saturating_sub(1),
            tries: self.tries || tries,
            ..self
        }
    }

    /// Some steps more; false: there were none left.
    fn step(self, count: usize) -> bool {
        let left = self.steps.get();
        self.steps.set(left.saturating_sub(count));
        left > 0
    }

    /// The steps that a text takes.
    fn read(self, text: &str) -> bool {
        self.step(1 + text.len() / BYTES_OF_STEP)
    }

    fn is_over(self) -> bool {
        self.steps.get() == 0
    }

    fn misfit(self, wanted: impl FnOnce() -> String) -> Misfit {
        if self.tries {
            return Misfit::default();
        }
        Misfit {
            place: self.place.to_string(),
            wanted: wanted(),
        }
    }
}

/// Why a value does not fit: where and what.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Misfit {
    /// Path of the value, `arguments` for the whole.
    pub place: String,
    /// What is wanted.
    pub wanted: String,
}

/// Checks the arguments of a call.
pub fn check(schema: &Value, arguments: &Map<String, Value>) -> Result<(), Misfit> {
    let at = At {
        steps: &Cell::new(MAX_STEPS),
        depth: MAX_DEPTH,
        place: &Place::Arguments,
        tries: false,
    };
    let arguments = Value::Object(arguments.clone());
    fits(schema, &arguments, at)
}

fn fits(schema: &Value, value: &Value, at: At<'_>) -> Result<(), Misfit> {
    let schema = match schema {
        Value::Bool(false) => return Err(at.misfit(|| "nothing is allowed here".to_owned())),
        Value::Object(schema) if at.depth > 0 && at.step(1) => schema,
        _ => return Ok(()),
    };
    if let Some(kinds) = schema.get("type") {
        let fine = match kinds {
            Value::String(kind) => is(kind, value),
            Value::Array(kinds) => kinds
                .iter()
                .filter_map(Value::as_str)
                .any(|kind| !at.step(1) || is(kind, value)),
            _ => true,
        };
        if !fine {
            return Err(at.misfit(|| format!("must be of type {}", shown(kinds))));
        }
    }
    if let Some(allowed @ Value::Array(choices)) = schema.get("enum")
        && !choices.iter().any(|one| same(one, value, at))
    {
        return Err(at.misfit(|| format!("must be one of {}", shown(allowed))));
    }
    if let Some(only) = schema.get("const")
        && !same(only, value, at)
    {
        return Err(at.misfit(|| format!("must be {}", shown(only))));
    }
    match value {
        Value::Object(members) => object(schema, members, at)?,
        Value::Array(elements) => array(schema, elements, at)?,
        Value::String(text) => string(schema, text, at)?,
        Value::Number(value) => number(schema, value, at)?,
        Value::Null | Value::Bool(_) => {}
    }
    combined(schema, value, at)
}

/// A part of the schema, as far as it helps.
fn shown(part: &Value) -> String {
    let text = part.to_string();
    match text.char_indices().nth(MAX_SHOWN) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

/// JSON Schema has one kind of number: 1 and 1.0 are the same. What is not looked at any more is the same too.
fn same(a: &Value, b: &Value, at: At<'_>) -> bool {
    if !at.step(1) {
        return true;
    }
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => same_number(a, b),
        (Value::String(a), Value::String(b)) => a.len() == b.len() && (!at.read(a) || a == b),
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b, at))
        }
        (Value::Object(a), Value::Object(b)) => {
            let has = |(name, a)| b.get(name).is_some_and(|b| same(a, b, at));
            a.len() == b.len() && a.iter().all(has)
        }
        _ => a == b,
    }
}

fn same_number(a: &Number, b: &Number) -> bool {
    // Integers that differ may have the same float.
    let is_integer = |number: &Number| number.is_i64() || number.is_u64();
    a == b || !(is_integer(a) && is_integer(b)) && a.as_f64() == b.as_f64()
}

fn is(kind: &str, value: &Value) -> bool {
    match kind {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "number" => value.is_number(),
        "integer" => {
            value.is_i64() || value.is_u64() || value.as_f64().is_some_and(|n| n.fract() == 0.0)
        }
        _ => true,
    }
}

fn object(
    schema: &Map<String, Value>,
    members: &Map<String, Value>,
    at: At<'_>,
) -> Result<(), Misfit> {
    let properties = schema.get("properties").and_then(Value::as_object);
    if let Some(Value::Array(required)) = schema.get("required") {
        let missing = required
            .iter()
            .filter_map(Value::as_str)
            .find(|name| at.read(name) && !members.contains_key(*name));
        if let Some(name) = missing {
            return Err(at.misfit(|| format!("must have member {name}")));
        }
    }
    let others = schema.get("additionalProperties");
    if properties.is_none() && others.is_none() {
        return Ok(());
    }
    // A pattern may allow what is no property; those are not read.
    let others = others.filter(|_| !schema.contains_key("patternProperties"));
    for (name, value) in members {
        if !at.read(name) {
            break;
        }
        let place = Place::Member(at.place, name);
        let part = at.part(&place);
        match (properties.and_then(|all| all.get(name)), others) {
            (Some(schema), _) => fits(schema, value, part)?,
            (None, Some(Value::Bool(false))) => {
                return Err(part.misfit(|| "is no parameter of this tool".to_owned()));
            }
            (None, Some(others)) => fits(others, value, part)?,
            (None, None) => {}
        }
    }
    Ok(())
}

fn array(schema: &Map<String, Value>, elements: &[Value], at: At<'_>) -> Result<(), Misfit> {
    let count = || elements.len() as u64;
    bounded(schema, ("minItems", "maxItems", "elements"), count, at)?;
    let Some(items) = schema.get("items") else {
        return Ok(());
    };
    for (index, element) in elements.iter().enumerate() {
        if !at.step(1) {
            break;
        }
        fits(items, element, at.part(&Place::Element(at.place, index)))?;
    }
    Ok(())
}

fn string(schema: &Map<String, Value>, text: &str, at: At<'_>) -> Result<(), Misfit> {
    let is_limited = schema.contains_key("minLength") || schema.contains_key("maxLength");
    if !is_limited || !at.read(text) {
        return Ok(());
    }
    let count = || text.chars().count() as u64;
    bounded(schema, ("minLength", "maxLength", "characters"), count, at)
}

fn bounded(
    schema: &Map<String, Value>,
    (least, most, what): (&str, &str, &str),
    count: impl FnOnce() -> u64,
    at: At<'_>,
) -> Result<(), Misfit> {
    let limit = |name: &str| schema.get(name).and_then(Value::as_u64);
    let (least, most, count) = (limit(least), limit(most), count());
    if let Some(least) = least.filter(|least| count < *least) {
        return Err(at.misfit(|| format!("must have at least {least} {what}")));
    }
    match most.filter(|most| count > *most) {
        Some(most) => Err(at.misfit(|| format!("must have at most {most} {what}"))),
        None => Ok(()),
    }
}

fn number(schema: &Map<String, Value>, value: &Number, at: At<'_>) -> Result<(), Misfit> {
    let Some(number) = value.as_f64() else {
        return Ok(());
    };
    type Holds = fn(f64, f64) -> bool;
    let rules: [(&str, &str, Holds); 4] = [
        ("minimum", "at least", |n, limit| n >= limit),
        ("maximum", "at most", |n, limit| n <= limit),
        ("exclusiveMinimum", "greater than", |n, limit| n > limit),
        ("exclusiveMaximum", "less than", |n, limit| n < limit),
    ];
    for (name, words, holds) in rules {
        if let Some(limit) = schema.get(name).and_then(Value::as_f64)
            && !holds(number, limit)
        {
            return Err(at.misfit(|| format!("must be {words} {limit}")));
        }
    }
    Ok(())
}

fn combined(schema: &Map<String, Value>, value: &Value, at: At<'_>) -> Result<(), Misfit> {
    let parts = |name: &str| schema.get(name).and_then(Value::as_array);
    for part in parts("allOf").into_iter().flatten() {
        fits(part, value, at.choice(false))?;
    }
    for (name, most) in [("anyOf", usize::MAX), ("oneOf", 1)] {
        let Some(choices) = parts(name) else {
            continue;
        };
        let fitting = choices
            .iter()
            .filter(|choice| fits(choice, value, at.choice(true)).is_ok());
        // One is enough for any, two are too many for one.
        let count = fitting.take(if most == 1 { 2 } else { 1 }).count();
        if at.is_over() {
            return Ok(());
        }
        if count == 0 || count > most {
            let how_many = if most == 1 { "exactly one" } else { "one" };
            return Err(at.misfit(|| format!("must fit {how_many} of {name}")));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn place(schema: &Value, arguments: Value) -> Option<String> {
        let Value::Object(arguments) = arguments else {
            panic!("arguments are an object")
        };
        check(schema, &arguments).err().map(|misfit| misfit.place)
    }

    #[test]
    fn arguments_are_checked_to_the_depth_of_the_schema() {
        let schema = json!({
            "type": "object",
            "properties": {
                "title": { "type": "string", "minLength": 1 },
                "top": { "type": "integer", "minimum": 1, "maximum": 10 },
                "order": { "enum": ["up", "down"] },
                "years": { "type": "array", "items": { "type": ["integer", "null"] }, "maxItems": 2 },
                "by": { "oneOf": [{ "type": "string" }, { "type": "object", "required": ["name"] }] },
            },
            "required": ["title"],
            "additionalProperties": false,
        });
        let wrong = |arguments| place(&schema, arguments);
        assert_eq!(
            wrong(
                json!({ "title": "x", "top": 3.0, "order": "up", "years": [1, null], "by": "a" })
            ),
            None
        );
        assert_eq!(wrong(json!({})).as_deref(), Some("arguments"));
        assert_eq!(
            wrong(json!({ "title": "" })).as_deref(),
            Some("arguments.title")
        );
        assert_eq!(
            wrong(json!({ "title": "x", "top": 11 })).as_deref(),
            Some("arguments.top")
        );
        assert_eq!(
            wrong(json!({ "title": "x", "top": 1.5 })).as_deref(),
            Some("arguments.top")
        );
        assert_eq!(
            wrong(json!({ "title": "x", "order": "left" })).as_deref(),
            Some("arguments.order")
        );
        assert_eq!(
            wrong(json!({ "title": "x", "years": [1, "a"] })).as_deref(),
            Some("arguments.years[1]")
        );
        assert_eq!(
            wrong(json!({ "title": "x", "years": [1, 2, 3] })).as_deref(),
            Some("arguments.years")
        );
        assert_eq!(
            wrong(json!({ "title": "x", "by": {} })).as_deref(),
            Some("arguments.by")
        );
        assert_eq!(
            wrong(json!({ "title": "x", "more": 1 })).as_deref(),
            Some("arguments.more")
        );
    }

    #[test]
    fn a_schema_without_end_costs_a_bounded_walk() {
        let mut schema = json!({ "type": "object" });
        let mut value = json!({});
        for _ in 0..100 {
            schema = json!({ "properties": { "x": schema } });
            value = json!({ "x": value });
        }
        assert_eq!(place(&schema, value), None);
    }

    #[test]
    fn what_takes_too_long_is_left_to_the_agent() {
        let never = json!({ "type": "string", "minLength": 1 });
        let choices = vec![never; 3000];
        let schema = json!({ "properties": { "a": { "items": { "anyOf": choices.clone() } } } });
        let fits = |schema: &Value, count: usize| {
            let arguments = json!({ "a": vec![0; count] });
            check(schema, arguments.as_object().expect("a map")).is_ok()
        };
        assert!(!fits(&schema, 1));
        // The first misfit is the end; here each element fits the last choice.
        for kind in ["anyOf", "oneOf"] {
            let mut choices = choices.clone();
            choices.push(json!({ "type": "integer" }));
            let schema = json!({ "properties": { "a": { "items": { kind: choices } } } });
            let begin = std::time::Instant::now();
            assert!(fits(&schema, 300_000), "{kind}");
            assert!(begin.elapsed() < std::time::Duration::from_secs(20));
        }
    }

    #[test]
    fn what_is_long_is_not_read_again_and_again() {
        let begin = std::time::Instant::now();
        let text = "x".repeat(8 << 20);
        let members: Map<String, Value> = (0..100_000).map(|n| (n.to_string(), json!(n))).collect();
        let none = json!({ "minLength": 0, "not_read": 1 });
        let all = json!({ "anyOf": vec![json!({ "maxLength": 1 }); 100_000] });
        let one = json!({ "allOf": vec![none; 100_000] });
        let open = json!({ "allOf": vec![json!({ "additionalProperties": true }); 10_000] });
        let names = json!({ "allOf": vec![json!({ "required": ["0", "1"] }); 100_000] });
        let long = json!({ "enum": vec![json!(text[1..].to_owned() + "y"); 8] });
        let many = json!({ "items": { "anyOf": [long, {}] } });
        for (schema, value) in [
            (&all, json!(text)),
            (&one, json!(text)),
            (&open, Value::Object(members.clone())),
            (&names, Value::Object(members)),
            (&many, json!(vec![0; 300_000])),
        ] {
            let schema = json!({ "properties": { "a": schema } });
            assert_eq!(place(&schema, json!({ "a": value })), None);
        }
        // Reading all of it takes many minutes, and this a second where nothing else runs.
        let took = begin.elapsed();
        assert!(took < std::time::Duration::from_secs(90), "{took:?}");
    }

    #[test]
    fn values_are_the_same_as_json_schema_says() {
        let fits = |only: Value, value: Value| {
            let schema = json!({ "properties": { "a": { "const": only } } });
            place(&schema, json!({ "a": value })).is_none()
        };
        assert!(fits(json!({ "n": [1, 2.0] }), json!({ "n": [1.0, 2] })));
        assert!(!fits(json!([1, 2]), json!([1])));
        assert!(!fits(json!({ "n": 1 }), json!({ "m": 1 })));
        assert!(!fits(
            json!(9_007_199_254_740_993_u64),
            json!(9_007_199_254_740_992_u64)
        ));
        assert!(!fits(json!("a"), json!("b")));
    }

    #[test]
    fn a_message_shows_little_of_a_long_schema() {
        let schema = json!({ "properties": { "a": { "enum": ["é".repeat(5000)] } } });
        let arguments = json!({ "a": 1 });
        let misfit = check(&schema, arguments.as_object().expect("a map")).expect_err("a misfit");
        assert!(misfit.wanted.starts_with("must be one of [\"é"));
        assert!(misfit.wanted.chars().count() < 600, "{}", misfit.wanted);
    }
}
