//! Whether arguments fit the schema of a tool.
//!
//! The part of JSON Schema (draft 2020-12, validation) that describes parameters: `type`, `enum`,
//! `const`, `properties`, `required`, `additionalProperties`, `items`, `minItems`, `maxItems`,
//! `minLength`, `maxLength`, `minimum`, `maximum`, `exclusiveMinimum`, `exclusiveMaximum`, `anyOf`,
//! `oneOf`, `allOf`. Other keywords do not refuse anything: the agent checks its parameters itself.

use serde_json::{Map, Value};
use std::cell::Cell;

/// Levels of a schema that are looked at; deeper values are the agent's to check.
const MAX_DEPTH: usize = 32;

/// Pairs of a schema and a value that are looked at. Whoever describes tools and calls them could make many of little; what is
/// beyond is the agent's to check, which has a time.
const MAX_STEPS: usize = 1_000_000;

/// What is left to be looked at.
#[derive(Clone, Copy)]
struct Left<'a> {
    depth: usize,
    steps: &'a Cell<usize>,
}

impl Left<'_> {
    /// One level down.
    fn inside(self) -> Self {
        let depth = self.depth.saturating_sub(1);
        Left { depth, ..self }
    }

    /// One step more; false: there are none left.
    fn step(self) -> bool {
        let left = self.steps.get();
        self.steps.set(left.saturating_sub(1));
        left > 0
    }

    fn is_over(self) -> bool {
        self.steps.get() == 0
    }
}

/// Why a value does not fit: where and what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Misfit {
    /// Path of the value, `arguments` for the whole.
    pub place: String,
    /// What is wanted.
    pub wanted: String,
}

/// Checks the arguments of a call.
pub fn check(schema: &Value, arguments: &Map<String, Value>) -> Result<(), Misfit> {
    let steps = Cell::new(MAX_STEPS);
    let left = Left {
        depth: MAX_DEPTH,
        steps: &steps,
    };
    let arguments = Value::Object(arguments.clone());
    fits(schema, &arguments, "arguments", left)
}

fn fits(schema: &Value, value: &Value, place: &str, left: Left<'_>) -> Result<(), Misfit> {
    let misfit = |wanted: String| Misfit {
        place: place.to_owned(),
        wanted,
    };
    let schema = match schema {
        Value::Bool(false) => return Err(misfit("nothing is allowed here".to_owned())),
        Value::Object(schema) if left.depth > 0 && left.step() => schema,
        _ => return Ok(()),
    };
    if let Some(kinds) = schema.get("type") {
        let fine = match kinds {
            Value::String(kind) => is(kind, value),
            Value::Array(kinds) => kinds
                .iter()
                .filter_map(Value::as_str)
                .any(|kind| is(kind, value)),
            _ => true,
        };
        if !fine {
            return Err(misfit(format!("must be of type {kinds}")));
        }
    }
    if let Some(Value::Array(allowed)) = schema.get("enum")
        && !allowed.iter().any(|one| !left.step() || same(one, value))
    {
        let allowed = Value::Array(allowed.clone());
        return Err(misfit(format!("must be one of {allowed}")));
    }
    if let Some(only) = schema.get("const")
        && !same(only, value)
    {
        return Err(misfit(format!("must be {only}")));
    }
    match value {
        Value::Object(members) => object(schema, members, place, left)?,
        Value::Array(elements) => array(schema, elements, place, left)?,
        Value::String(text) => {
            let length = text.chars().count() as u64;
            bounded(schema, "minLength", "maxLength", length, "characters").map_err(misfit)?;
        }
        Value::Number(_) => number(schema, value).map_err(misfit)?,
        Value::Null | Value::Bool(_) => {}
    }
    combined(schema, value, place, left)
}

/// JSON Schema has one kind of number: 1 and 1.0 are the same.
fn same(a: &Value, b: &Value) -> bool {
    a == b || matches!((a.as_f64(), b.as_f64()), (Some(a), Some(b)) if a == b)
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
    place: &str,
    left: Left<'_>,
) -> Result<(), Misfit> {
    let properties = schema.get("properties").and_then(Value::as_object);
    if let Some(Value::Array(required)) = schema.get("required") {
        let missing = required
            .iter()
            .filter_map(Value::as_str)
            .find(|name| !members.contains_key(*name));
        if let Some(name) = missing {
            return Err(Misfit {
                place: place.to_owned(),
                wanted: format!("must have member {name}"),
            });
        }
    }
    for (name, value) in members {
        if left.is_over() {
            break;
        }
        let place = format!("{place}.{name}");
        match properties.and_then(|properties| properties.get(name)) {
            Some(schema) => fits(schema, value, &place, left.inside())?,
            // A pattern may allow it; those are not read.
            None if schema.contains_key("patternProperties") => {}
            None => match schema.get("additionalProperties") {
                Some(Value::Bool(false)) => {
                    return Err(Misfit {
                        place,
                        wanted: "is no parameter of this tool".to_owned(),
                    });
                }
                Some(others) => fits(others, value, &place, left.inside())?,
                None => {}
            },
        }
    }
    Ok(())
}

fn array(
    schema: &Map<String, Value>,
    elements: &[Value],
    place: &str,
    left: Left<'_>,
) -> Result<(), Misfit> {
    bounded(
        schema,
        "minItems",
        "maxItems",
        elements.len() as u64,
        "elements",
    )
    .map_err(|wanted| Misfit {
        place: place.to_owned(),
        wanted,
    })?;
    let Some(items) = schema.get("items") else {
        return Ok(());
    };
    for (index, element) in elements.iter().enumerate() {
        if left.is_over() {
            break;
        }
        fits(items, element, &format!("{place}[{index}]"), left.inside())?;
    }
    Ok(())
}

fn bounded(
    schema: &Map<String, Value>,
    least: &str,
    most: &str,
    count: u64,
    what: &str,
) -> Result<(), String> {
    let limit = |name: &str| schema.get(name).and_then(Value::as_u64);
    if let Some(least) = limit(least).filter(|least| count < *least) {
        return Err(format!("must have at least {least} {what}"));
    }
    match limit(most).filter(|most| count > *most) {
        Some(most) => Err(format!("must have at most {most} {what}")),
        None => Ok(()),
    }
}

fn number(schema: &Map<String, Value>, value: &Value) -> Result<(), String> {
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
            return Err(format!("must be {words} {limit}"));
        }
    }
    Ok(())
}

fn combined(
    schema: &Map<String, Value>,
    value: &Value,
    place: &str,
    left: Left<'_>,
) -> Result<(), Misfit> {
    let parts = |name: &str| schema.get(name).and_then(Value::as_array);
    if let Some(all) = parts("allOf") {
        for part in all {
            fits(part, value, place, left.inside())?;
        }
    }
    for (name, exactly_one) in [("anyOf", false), ("oneOf", true)] {
        let Some(choices) = parts(name) else {
            continue;
        };
        let fitting = choices
            .iter()
            .filter(|choice| fits(choice, value, place, left.inside()).is_ok());
        let count = fitting.count();
        if left.is_over() {
            return Ok(());
        }
        if count == 0 || exactly_one && count > 1 {
            return Err(Misfit {
                place: place.to_owned(),
                wanted: format!(
                    "must fit {} of {name}",
                    if exactly_one { "exactly one" } else { "one" }
                ),
            });
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
}
