//! EscJSON and plain JSON text of heap values, without recursion.

use mix_value::escjson;

use crate::failure::Failure;
use crate::heap::{MapIter, Text, Value};

/// What happens to values without a text form, and whether tags are used.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    Tagged,
    Plain,
    Log,
}

/// The EscJSON text of a value. Undefined has one only as the whole value.
pub fn format_esc_json(value: &Value) -> Result<String, Failure> {
    if value.is_undefined() {
        return Ok(r#"{"_rmx_type":"{tag}undefined"}"#.into());
    }
    format(value, Mode::Tagged, LONGEST)
}

/// The plain JSON text of a value.
pub fn format_json(value: &Value) -> Result<String, Failure> {
    format(value, Mode::Plain, LONGEST)
}

/// The text of a value in the log: a string as is, undefined as `{undefined}`,
/// others as EscJSON with `"<kind>"` for parts that have none.
#[must_use]
pub fn log_text(value: &Value) -> String {
    match value {
        Value::Undefined => "{undefined}".into(),
        Value::Text(text) => text.as_str().into(),
        // In this mode every part has a text.
        value => format(value, Mode::Log, LONGEST).unwrap_or_default(),
    }
}

/// Characters of a value that an error names.
const BRIEF: usize = 80;

/// A value in one short line, as an error names it.
#[must_use]
pub fn brief(value: &Value) -> String {
    let text = match value {
        Value::Undefined => return "undefined".into(),
        Value::Text(text) => {
            let start: String = text.chars().take(BRIEF).collect();
            let mut shown = String::new();
            escjson::write_string(&mut shown, &start);
            if start.len() < text.len() {
                // In the place of the closing quote.
                shown.pop();
                shown.push('…');
            }
            return shown;
        }
        Value::Function(_) | Value::Stream(_) | Value::Appstate => return value.kind().into(),
        // In this mode every part has a text.
        value => format(value, Mode::Log, BRIEF * 4).unwrap_or_default(),
    };
    match text.char_indices().nth(BRIEF) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

/// The text form of a number, a string or a ref, as `+` joins them.
#[must_use]
pub fn plain_text(value: &Value) -> Option<Text> {
    match value {
        Value::Text(text) | Value::Ref(text) => Some(text.clone()),
        Value::Int(number) => Some(number.to_string().into()),
        Value::Float(number) => Some(mix_value::number::format_float(*number).into()),
        _ => None,
    }
}

/// Containers that are being written.
enum Open<'a> {
    Array(std::slice::Iter<'a, Value>),
    Map(MapIter<'a>),
    Case,
}

/// Longest text that is written, in bytes. A value whose parts are shared is longer there than in memory.
const LONGEST: usize = 256 << 20;

fn format(value: &Value, mode: Mode, longest: usize) -> Result<String, Failure> {
    let mut out = String::new();
    let mut open: Vec<Open<'_>> = Vec::new();
    let mut current = Some(value);
    let mut first = true;
    loop {
        if let Some(value) = current.take() {
            first = false;
            if out.len() > longest {
                if mode == Mode::Log {
                    out.push('…');
                    return Ok(out);
                }
                let message = "the text of the value would have more than 256 MiB";
                return Err(Failure::new("ERR_TOO_LARGE", message));
            }
            match value {
                Value::Array(array) => {
                    out.push('[');
                    open.push(Open::Array(array.items().iter()));
                    first = true;
                }
                Value::Map(map) => {
                    out.push('{');
                    open.push(Open::Map(map.iter()));
                    first = true;
                }
                Value::Case(case) if mode != Mode::Plain => {
                    out.push_str(r#"{"_rmx_type":"{tag}case:"#);
                    out.push_str(case.name());
                    out.push('"');
                    match case.argument() {
                        Some(argument) => {
                            out.push_str(r#","_rmx_value":"#);
                            open.push(Open::Case);
                            current = Some(argument);
                            continue;
                        }
                        None => out.push('}'),
                    }
                }
                scalar => write_scalar(&mut out, scalar, mode)?,
            }
        }
        match open.last_mut() {
            None => return Ok(out),
            Some(Open::Array(items)) => match items.next() {
                Some(item) => {
                    if !first {
                        out.push(',');
                    }
                    current = Some(item);
                }
                None => {
                    out.push(']');
                    open.pop();
                    first = false;
                }
            },
            Some(Open::Map(entries)) => match entries.next() {
                Some((key, member)) => {
                    if !first {
                        out.push(',');
                    }
                    escjson::write_string(&mut out, key);
                    out.push(':');
                    match member {
                        Value::Text(text)
                            if mode != Mode::Plain
                                && key.as_str() == "_rmx_type"
                                && (text.starts_with("{tag}") || text.starts_with("{str}")) =>
                        {
                            escjson::write_string(&mut out, &format!("{{str}}{text}"));
                            first = false;
                        }
                        member => current = Some(member),
                    }
                }
                None => {
                    out.push('}');
                    open.pop();
                    first = false;
                }
            },
            Some(Open::Case) => {
                out.push('}');
                open.pop();
                first = false;
            }
        }
    }
}

fn write_scalar(out: &mut String, value: &Value, mode: Mode) -> Result<(), Failure> {
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(true) => out.push_str("true"),
        Value::Bool(false) => out.push_str("false"),
        Value::Int(number) => out.push_str(&number.to_string()),
        Value::Text(text) => escjson::write_string(out, text),
        Value::Float(_) | Value::Ref(_) | Value::Binary(_) => {
            let scalar = crate::wire::to_value(value)?;
            let text = if mode == Mode::Plain {
                escjson::format_plain(&scalar)
            } else {
                escjson::format(&scalar)
            };
            match text {
                Ok(text) => out.push_str(&text),
                Err(error) => return Err(Failure::new("ERR_NOT_SERIALIZABLE", error.to_string())),
            }
        }
        other if mode == Mode::Log => {
            out.push_str("\"<");
            out.push_str(other.kind());
            out.push_str(">\"");
        }
        other => return Err(not_serializable(other, "")),
    }
    Ok(())
}

/// `ERR_NOT_SERIALIZABLE` of what is at `path` in a value; the path may be unknown.
#[must_use]
pub fn not_serializable(value: &Value, path: &str) -> Failure {
    let kind = value.kind();
    let place = match path {
        "" => String::new(),
        path => format!(" (it is at {})", path.trim_start_matches('.')),
    };
    let mend = match value {
        Value::Link(_) => "; the value behind a link is `contents(l)`",
        Value::Function(_) => "; it waits for arguments, or for more of them",
        Value::Stream(_) => "; `stream.toArray(s)` makes an array of a stream",
        _ => "",
    };
    Failure::new(
        "ERR_NOT_SERIALIZABLE",
        format!("a value of kind {kind} cannot be serialized{place}{mend}"),
    )
    .with("kind", kind)
}
