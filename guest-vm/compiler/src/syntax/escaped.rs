//! `_escJSON_` constants: decoded at compile time.

use super::ast::{Const, ConstKind};
use mix_value::{Value, escjson};

/// The value of a constant read as EscJSON, or why it is none.
pub fn decode(constant: &Const) -> Result<Value, String> {
    let mut text = String::new();
    write(constant, &mut text);
    escjson::parse(&text).map_err(|error| error.to_string())
}

/// The value of a constant with nothing interpreted (`_meta_`, `_pragma_`); a later key wins.
pub fn plain(constant: &Const) -> Value {
    match &constant.kind {
        ConstKind::Null => Value::Null,
        ConstKind::Bool(bool) => Value::Bool(*bool),
        ConstKind::Int(int) => Value::Int(*int),
        ConstKind::Float(float) => Value::Float(*float),
        ConstKind::Str(text) => Value::String(text.clone()),
        ConstKind::Array(items) => Value::Array(items.iter().map(plain).collect()),
        ConstKind::Object(entries) => Value::Map(
            entries
                .iter()
                .map(|(key, value)| (key.text.clone(), plain(value)))
                .collect(),
        ),
    }
}

/// Nesting is bounded by the parser.
fn write(constant: &Const, out: &mut String) {
    match &constant.kind {
        ConstKind::Null => out.push_str("null"),
        ConstKind::Bool(bool) => out.push_str(if *bool { "true" } else { "false" }),
        ConstKind::Int(int) => out.push_str(&int.to_string()),
        // Exponent form reads back as a float.
        ConstKind::Float(float) => out.push_str(&format!("{float:e}")),
        ConstKind::Str(text) => escjson::write_string(out, text),
        ConstKind::Array(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                write(item, out);
            }
            out.push(']');
        }
        ConstKind::Object(entries) => {
            out.push('{');
            for (index, (key, value)) in entries.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                escjson::write_string(out, &key.text);
                out.push(':');
                write(value, out);
            }
            out.push('}');
        }
    }
}
