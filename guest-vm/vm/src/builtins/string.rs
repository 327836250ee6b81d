//! Module `string`: positions and lengths count Unicode scalar values.

use mix_value::fold::fold_string;

use super::Builtin;
use super::args::{self, pass_undefined};
use crate::failure::Failure;
use crate::heap::{Text, Value};
use crate::surroundings::Surroundings;

/// Longest text that a function makes, in bytes.
const MAX_TEXT: usize = 256 * 1024 * 1024;

pub(super) fn find(name: &str) -> Option<Builtin> {
    Some(match name {
        "#string_add" => add,
        "#string_length" => length,
        "#string_from_code_point" => from_code_point,
        "#string_code_point_at" => code_point_at,
        "#string_sub" => sub,
        "#string_index_of_left" => |_, args| index(args, |text, needle| text.find(needle)),
        "#string_index_of_right" => |_, args| index(args, |text, needle| text.rfind(needle)),
        "#string_index_of_left_ci" => index_of_left_ci,
        "#string_contains" => |_, args| test(args, |needle, text| text.contains(needle)),
        "#string_contains_ci" => |_, args| {
            test(args, |needle, text| {
                fold_string(text).contains(&fold_string(needle))
            })
        },
        "#string_has_prefix" => |_, args| test(args, |prefix, text| text.starts_with(prefix)),
        "#string_has_suffix" => |_, args| test(args, |suffix, text| text.ends_with(suffix)),
        "#string_strip_prefix" => |_, args| strip(args, |text, prefix| text.strip_prefix(prefix)),
        "#string_strip_suffix" => |_, args| strip(args, |text, suffix| text.strip_suffix(suffix)),
        "#string_replace_all" => replace_all,
        "#string_uppercase" => |_, args| change(args, |text| Some(text.to_uppercase())),
        "#string_lowercase" => |_, args| change(args, |text| Some(text.to_lowercase())),
        "#string_capitalize" => |_, args| change(args, capitalized),
        "#string_trim" => |_, args| part(args, str::trim),
        "#string_trim_left" => |_, args| part(args, str::trim_start),
        "#string_trim_right" => |_, args| part(args, str::trim_end),
        "#string_split_sep" => split_sep,
        "#string_concat" => concat,
        "#string_like" => like,
        _ => return None,
    })
}

fn too_large() -> Failure {
    Failure::new("ERR_TOO_LARGE", "the text would have more than 256 MiB")
}

fn add(_: &mut Surroundings, args: &mut [Value]) -> Result<Value, Failure> {
    pass_undefined!(args);
    args::text(&args[0])?;
    let more = args::text(&args[1])?.clone();
    // Taken, so that a text that nobody else holds grows in place.
    let mut text = match args[0].take() {
        Value::Text(text) => text,
        // A ref stays what it is.
        value => Text::new(args::text(&value)?.as_str()),
    };
    if text.len().saturating_add(more.len()) > MAX_TEXT {
        return Err(too_large());
    }
    text.push_str(&more)?;
    Ok(Value::Text(text))
}

fn length(_: &mut Surroundings, args: &mut [Value]) -> Result<Value, Failure> {
    pass_undefined!(args);
    Ok(Value::Int(args::text(&args[0])?.scalars() as i64))
}

fn from_code_point(_: &mut Surroundings, args: &mut [Value]) -> Result<Value, Failure> {
    pass_undefined!(args);
    let number = args::integral(&args[0])?;
    match u32::try_from(number).ok().and_then(char::from_u32) {
        Some(c) => Ok(Value::text(c.to_string())),
        None => Err(Failure::range(format!(
            "{number} is not the number of a character"
        ))),
    }
}

fn code_point_at(_: &mut Surroundings, args: &mut [Value]) -> Result<Value, Failure> {
    pass_undefined!(args);
    let text = args::text(&args[1])?;
    let Ok(position) = usize::try_from(args::integral(&args[0])?) else {
        return Ok(Value::Undefined);
    };
    let found = text.as_str()[text.offset(position)..].chars().next();
    Ok(found.map_or(Value::Undefined, |c| Value::Int(i64::from(u32::from(c)))))
}

fn sub(_: &mut Surroundings, args: &mut [Value]) -> Result<Value, Failure> {
    pass_undefined!(args);
    let text = args::text(&args[2])?;
    let start = args::clamped(&args[0], text.scalars())?;
    let end = args::clamped(&args[1], text.scalars())?;
    if start >= end {
        return Ok(Value::text(""));
    }
    if start == 0 && end == text.scalars() {
        return Ok(Value::Text(text.clone()));
    }
    Ok(Value::text(
        &text.as_str()[text.offset(start)..text.offset(end)],
    ))
}

fn index(args: &[Value], search: fn(&str, &str) -> Option<usize>) -> Result<Value, Failure> {
    pass_undefined!(args);
    let (needle, text) = (args::text(&args[0])?, args::text(&args[1])?);
    let found = search(text, needle);
    Ok(found.map_or(Value::Undefined, |offset| {
        Value::Int(text.position(offset) as i64)
    }))
}

fn index_of_left_ci(_: &mut Surroundings, args: &mut [Value]) -> Result<Value, Failure> {
    pass_undefined!(args);
    let (needle, text) = (args::text(&args[0])?, args::text(&args[1])?);
    // Simple folding maps each character to one, so positions are the same.
    let folded = fold_string(text);
    let found = folded.find(&fold_string(needle));
    Ok(found.map_or(Value::Undefined, |offset| {
        Value::Int(folded[..offset].chars().count() as i64)
    }))
}

fn test(args: &[Value], test: fn(&str, &str) -> bool) -> Result<Value, Failure> {
    pass_undefined!(args);
    let (first, text) = (args::text(&args[0])?, args::text(&args[1])?);
    Ok(Value::Bool(test(first, text)))
}

fn strip(
    args: &[Value],
    strip: for<'a> fn(&'a str, &str) -> Option<&'a str>,
) -> Result<Value, Failure> {
    pass_undefined!(args);
    let (affix, text) = (args::text(&args[0])?, args::text(&args[1])?);
    Ok(match strip(text, affix) {
        Some(rest) => Value::text(rest),
        None => Value::Text(text.clone()),
    })
}

fn replace_all(_: &mut Surroundings, args: &mut [Value]) -> Result<Value, Failure> {
    pass_undefined!(args);
    let (old, new, text) = (
        args::text(&args[0])?,
        args::text(&args[1])?,
        args::text(&args[2])?,
    );
    if old.is_empty() {
        return Ok(Value::Text(text.clone()));
    }
    if new.len() > old.len() {
        let growth = (new.len() - old.len()).saturating_mul(text.matches(old.as_str()).count());
        if text.len().saturating_add(growth) > MAX_TEXT {
            return Err(too_large());
        }
    }
    Ok(Value::text(text.replace(old.as_str(), new)))
}

fn change(args: &[Value], change: fn(&str) -> Option<String>) -> Result<Value, Failure> {
    pass_undefined!(args);
    let text = args::text(&args[0])?;
    Ok(change(text).map_or_else(|| Value::Text(text.clone()), Value::text))
}

fn capitalized(text: &str) -> Option<String> {
    let first = text.chars().next()?;
    Some(
        first
            .to_uppercase()
            .chain(text[first.len_utf8()..].chars())
            .collect(),
    )
}

fn part(args: &[Value], part: fn(&str) -> &str) -> Result<Value, Failure> {
    pass_undefined!(args);
    Ok(Value::text(part(args::text(&args[0])?)))
}

fn split_sep(surroundings: &mut Surroundings, args: &mut [Value]) -> Result<Value, Failure> {
    pass_undefined!(args);
    let (separator, text) = (args::text(&args[0])?, args::text(&args[1])?);
    if surroundings.is_limited() {
        let parts = match separator.is_empty() {
            true => text.scalars(),
            false => text.matches(separator.as_str()).count(),
        };
        // Each part is a value and a block of its own.
        surroundings.room_for(parts.saturating_mul(3))?;
    }
    Ok(Value::array(if separator.is_empty() {
        text.chars().map(|c| Value::text(c.to_string())).collect()
    } else {
        text.split(separator.as_str()).map(Value::text).collect()
    }))
}

fn concat(_: &mut Surroundings, args: &mut [Value]) -> Result<Value, Failure> {
    pass_undefined!(args);
    let separator = args::text(&args[0])?;
    let mut out = String::new();
    for (index, item) in args::array(&args[1])?.items().iter().enumerate() {
        if index > 0 {
            out.push_str(separator);
        }
        out.push_str(args::text(item)?);
        if out.len() > MAX_TEXT {
            return Err(too_large());
        }
    }
    Ok(Value::text(out))
}

fn like(_: &mut Surroundings, args: &mut [Value]) -> Result<Value, Failure> {
    pass_undefined!(args);
    let (text, pattern) = (args::text(&args[0])?, args::text(&args[1])?);
    Ok(Value::Bool(matches_like(text, pattern)))
}

/// The literal parts of a `like` pattern: `%` separates them, `%%` is a `%`.
fn like_parts(pattern: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut chars = pattern.chars().peekable();
    while let Some(c) = chars.next() {
        if c != '%' {
            // The list is never empty.
            if let Some(last) = parts.last_mut() {
                last.push(c);
            }
        } else if chars.next_if_eq(&'%').is_some() {
            if let Some(last) = parts.last_mut() {
                last.push('%');
            }
        } else {
            parts.push(String::new());
        }
    }
    parts
}

/// Does the pattern match the whole text? Linear: each part is found at its
/// leftmost place after the part before it.
fn matches_like(text: &str, pattern: &str) -> bool {
    let parts = like_parts(pattern);
    let [first, middle @ ..] = parts.as_slice() else {
        return false;
    };
    let [middle @ .., last] = middle else {
        return text == first;
    };
    let Some(mut rest) = text.strip_prefix(first.as_str()) else {
        return false;
    };
    let Some(inner) = rest.strip_suffix(last.as_str()) else {
        return false;
    };
    rest = inner;
    for part in middle {
        match rest.find(part.as_str()) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::matches_like;

    #[test]
    fn like_patterns() {
        for (text, pattern, expected) in [
            ("50% off", "50%% %", true),
            ("abc", "b%", false),
            ("abc", "%b%", true),
            ("abc", "a%c", true),
            ("ab", "ab%b", false),
            ("a\nb", "a%b", true),
            ("", "%", true),
            ("", "", true),
            ("x", "", false),
            ("aXbXc", "a%X%c", true),
            ("100%", "%%%", false),
            ("%x", "%%%", true),
        ] {
            assert_eq!(
                matches_like(text, pattern),
                expected,
                "{text} like {pattern}"
            );
        }
    }
}
