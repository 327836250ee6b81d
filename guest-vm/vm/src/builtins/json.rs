//! JSON and EscJSON text to values and back (modules `string` and `crypto`).

use std::rc::Rc;

use mix_value::escjson::{MAX_PARSE_DEPTH, Mode, Options, parse_with};

use super::Builtin;
use super::args::{self, pass_undefined};
use crate::failure::Failure;
use crate::heap::{Map, Shape, Text, Value};
use crate::surroundings::Surroundings;
use crate::text_form;

pub(super) fn find(name: &str) -> Option<Builtin> {
    Some(match name {
        "#string_parse_json" => |_, args| parse(args, Mode::Plain),
        "#string_parse_esc_json" => |_, args| parse(args, Mode::Tagged),
        "#string_format_json" => format_json,
        "#string_format_esc_json" => format_esc_json,
        _ => return None,
    })
}

fn parse(args: &[Value], mode: Mode) -> Result<Value, Failure> {
    pass_undefined!(args);
    let text = args::text(&args[0])?;
    let options = Options {
        mode,
        max_depth: MAX_PARSE_DEPTH,
        ..Options::default()
    };
    let value =
        parse_with(text, &options).map_err(|error| Failure::new("ERR_PARSE", error.to_string()))?;
    Ok(Importer::default().import(value))
}

fn format_json(_: &mut Surroundings, args: &mut [Value]) -> Result<Value, Failure> {
    pass_undefined!(args);
    text_form::format_json(&args[0]).map(Value::text)
}

fn format_esc_json(_: &mut Surroundings, args: &mut [Value]) -> Result<Value, Failure> {
    pass_undefined!(args);
    text_form::format_esc_json(&args[0]).map(Value::text)
}

/// Key lists that are remembered: the rows of a table share theirs.
const RECENT: usize = 8;

/// Brings parsed values onto the heap. They nest no deeper than a parser
/// allows, so recursion is bounded.
#[derive(Default)]
struct Importer {
    shapes: Vec<Rc<Shape>>,
}

impl Importer {
    fn import(&mut self, value: mix_value::Value) -> Value {
        match value {
            mix_value::Value::Undefined => Value::Undefined,
            mix_value::Value::Null => Value::Null,
            mix_value::Value::Bool(flag) => Value::Bool(flag),
            mix_value::Value::Int(int) => Value::Int(int),
            mix_value::Value::Float(float) => Value::Float(float),
            // Programs see such an integer as the nearest float.
            mix_value::Value::BigInt(big) => Value::Float(big.to_f64()),
            mix_value::Value::String(text) => Value::text(&*text),
            mix_value::Value::Ref(id) => Value::Ref(Text::new(id.as_str())),
            mix_value::Value::Binary(bytes) => Value::binary(bytes.to_vec()),
            mix_value::Value::Array(items) => {
                Value::array(items.into_iter().map(|item| self.import(item)).collect())
            }
            mix_value::Value::Map(map) => self.import_map(map),
            mix_value::Value::Case(case) => match case.argument {
                Some(argument) => Value::case(&*case.name, self.import(*argument)),
                None => Value::constant(&*case.name),
            },
            mix_value::Value::Token(token) => Value::Token(Rc::new(token)),
            mix_value::Value::Handle(handle) => Value::Handle(handle),
        }
    }

    fn import_map(&mut self, map: mix_value::Map) -> Value {
        let known = self.shapes.iter().position(|shape| {
            shape.keys().len() == map.len()
                && shape
                    .keys()
                    .iter()
                    .zip(map.keys())
                    .all(|(known, key)| known.as_str() == &**key)
        });
        let shape = match known {
            Some(index) => Rc::clone(&self.shapes[index]),
            None => {
                let shape = Shape::new(map.keys().map(|key| Text::new(&**key)).collect());
                if self.shapes.len() == RECENT {
                    self.shapes.remove(0);
                }
                self.shapes.push(Rc::clone(&shape));
                shape
            }
        };
        let values = map.into_values().map(|value| self.import(value)).collect();
        Value::Map(Map::of_shape(&shape, values))
    }
}
