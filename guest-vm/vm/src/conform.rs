//! Run-time types: `conforms` and `matches` of language 5.6.

use mix_bytecode::{Program, TypeDesc, TypeId};

use crate::failure::{Failure, described};
use crate::heap::{Seen, Value};

/// Fails with `RT_TYPE` unless undefined or conforming. A union of one type is what a library
/// function expects: a value of another kind is `ERR_EXPECTED_…`.
pub fn assert(program: &Program, value: &Value, id: TypeId) -> Result<(), Failure> {
    if value.is_undefined() || conforms(program, value, id) {
        return Ok(());
    }
    if let TypeDesc::Union(members) = &program.types[id.index()]
        && let [only] = members[..]
        && let Some(failure) = unexpected(program, value, only)
    {
        return Err(failure);
    }
    let Misfit { kind, path, text } = misfit(program, value, id, "value");
    Err(Failure::new(
        "RT_TYPE",
        format!("{kind} at {path} does not conform to {text}"),
    )
    .with("kind", kind)
    .with("path", path)
    .with("type", text))
}

/// What a library function says of a value of another kind; `None` if the kind is right.
fn unexpected(program: &Program, value: &Value, id: TypeId) -> Option<Failure> {
    let mut path = String::new();
    let (part, expected) = blame(program, value, id, &mut path);
    if part.is_undefined() {
        return None;
    }
    let (code, what) = match &program.types[expected.index()] {
        TypeDesc::Bool => ("ERR_EXPECTED_BOOL", "a bool"),
        TypeDesc::Number => ("ERR_EXPECTED_NUMBER", "a number"),
        TypeDesc::String => ("ERR_EXPECTED_STRING", "a string"),
        TypeDesc::Word => ("ERR_EXPECTED_STRING", "a string or a number"),
        TypeDesc::Binary => ("ERR_EXPECTED_BINARY", "a binary"),
        TypeDesc::Token => ("ERR_EXPECTED_TOKEN", "a token"),
        TypeDesc::Ref => ("ERR_EXPECTED_REF", "a ref"),
        TypeDesc::Array(_) | TypeDesc::Tuple(_) if !matches!(part, Value::Array(_)) => {
            ("ERR_EXPECTED_ARRAY", "an array")
        }
        TypeDesc::Map(_) | TypeDesc::Record(_) if !matches!(part, Value::Map(_)) => {
            ("ERR_EXPECTED_MAP", "a map")
        }
        TypeDesc::Union(members) if members.iter().any(|member| is_text(program, *member)) => {
            ("ERR_EXPECTED_STRING", "a string")
        }
        TypeDesc::Case(..) | TypeDesc::Union(_) => {
            let text = program.type_text(expected);
            return Some(at(&path, "ERR_EXPECTED_CASE", &text, part));
        }
        _ => return None,
    };
    Some(at(&path, code, what, part))
}

fn is_text(program: &Program, id: TypeId) -> bool {
    matches!(program.types[id.index()], TypeDesc::String)
}

fn at(path: &str, code: &'static str, what: &str, part: &Value) -> Failure {
    if path.is_empty() {
        return Failure::expected(code, what, part);
    }
    let (kind, found) = (part.kind(), described(part));
    Failure::new(code, format!("expected {what} at {path}, found {found}")).with("kind", kind)
}

/// The innermost part of a value that is not of the type asked for.
pub struct Misfit {
    /// Its kind; `undefined` for a member that is missing.
    pub kind: &'static str,
    /// Where it is.
    pub path: String,
    /// The type it should have.
    pub text: String,
}

/// What is wrong with a value that does not conform; `root` is what it is called.
#[must_use]
pub fn misfit(program: &Program, value: &Value, id: TypeId, root: &str) -> Misfit {
    let mut path = String::from(root);
    let (part, expected) = blame(program, value, id, &mut path);
    Misfit {
        kind: part.kind(),
        path,
        text: program.type_text(expected),
    }
}

/// The pattern `type(T)`.
#[must_use]
pub fn matches(program: &Program, value: &Value, id: TypeId) -> bool {
    match value {
        Value::Undefined => false,
        Value::Null => admits_null(program, id),
        value => conforms(program, value, id),
    }
}

fn admits_null(program: &Program, id: TypeId) -> bool {
    match &program.types[id.index()] {
        TypeDesc::Null | TypeDesc::Data => true,
        TypeDesc::Union(members) => members.iter().any(|member| admits_null(program, *member)),
        _ => false,
    }
}

/// True if the value is of the type. Recursion is bounded by the depth of the
/// type, which the verifier limits.
#[must_use]
pub fn conforms(program: &Program, value: &Value, id: TypeId) -> bool {
    if matches!(value, Value::Null) {
        return true;
    }
    match (&program.types[id.index()], value) {
        (TypeDesc::Data, value) => is_data(value),
        (TypeDesc::Bool, Value::Bool(_))
        | (TypeDesc::Number, Value::Int(_) | Value::Float(_))
        | (TypeDesc::String, Value::Text(_))
        | (TypeDesc::Word, Value::Int(_) | Value::Float(_) | Value::Text(_))
        | (TypeDesc::Binary, Value::Binary(_))
        | (TypeDesc::Token, Value::Token(_))
        | (TypeDesc::Ref, Value::Ref(_)) => true,
        (TypeDesc::Array(element), Value::Array(array)) => array
            .items()
            .iter()
            .all(|item| conforms(program, item, *element)),
        (TypeDesc::Tuple(elements), Value::Array(array)) => {
            let items = array.items();
            items.len() == elements.len()
                && items
                    .iter()
                    .zip(elements)
                    .all(|(item, element)| conforms(program, item, *element))
        }
        (TypeDesc::Map(element), Value::Map(map)) => map
            .values()
            .all(|member| conforms(program, member, *element)),
        (TypeDesc::Record(fields), Value::Map(map)) => fields.iter().all(|(key, field)| {
            let member = program.string(*key).and_then(|key| map.get(key));
            member.is_some_and(|member| conforms(program, member, *field))
        }),
        (TypeDesc::Case(name, argument), Value::Case(case)) => {
            program.string(*name) == Some(case.name().as_str())
                && match (argument, case.argument()) {
                    (None, None) => true,
                    (Some(argument), Some(value)) => conforms(program, value, *argument),
                    _ => false,
                }
        }
        (TypeDesc::Union(members), value) => members
            .iter()
            .any(|member| conforms(program, value, *member)),
        _ => false,
    }
}

/// True for serializable values and tokens; walks without recursion.
#[must_use]
pub fn is_data(value: &Value) -> bool {
    let mut work = vec![value];
    let mut seen = Seen::default();
    while let Some(value) = work.pop() {
        match value {
            Value::Array(_) | Value::Map(_) | Value::Case(_) if seen.again(value) => {}
            Value::Array(array) => work.extend(array.items()),
            Value::Map(map) => work.extend(map.values()),
            Value::Case(case) => work.extend(case.argument()),
            Value::Null
            | Value::Bool(_)
            | Value::Int(_)
            | Value::Float(_)
            | Value::Text(_)
            | Value::Ref(_)
            | Value::Binary(_)
            | Value::Token(_) => {}
            _ => return false,
        }
    }
    true
}

/// The part that does not conform and the type it should have.
fn blame<'v>(
    program: &Program,
    value: &'v Value,
    id: TypeId,
    path: &mut String,
) -> (&'v Value, TypeId) {
    let bad = |value: &Value, id: TypeId| !conforms(program, value, id);
    match (&program.types[id.index()], value) {
        (TypeDesc::Array(element), Value::Array(array)) => {
            let found = array
                .items()
                .iter()
                .enumerate()
                .find(|(_, item)| bad(item, *element));
            if let Some((index, item)) = found {
                path.push_str(&format!("[{index}]"));
                return blame(program, item, *element, path);
            }
        }
        (TypeDesc::Tuple(elements), Value::Array(array))
            if array.items().len() == elements.len() =>
        {
            let mut pairs = array.items().iter().zip(elements).enumerate();
            if let Some((index, (item, element))) = pairs.find(|(_, (item, t))| bad(item, **t)) {
                path.push_str(&format!("[{index}]"));
                return blame(program, item, *element, path);
            }
        }
        (TypeDesc::Map(element), Value::Map(map)) => {
            if let Some((key, member)) = map.iter().find(|(_, member)| bad(member, *element)) {
                path.push_str(&format!(".{key}"));
                return blame(program, member, *element, path);
            }
        }
        (TypeDesc::Record(fields), Value::Map(map)) => {
            for (key, field) in fields {
                let key = program.string(*key).unwrap_or_default();
                let member = map.get(key).unwrap_or(&Value::Undefined);
                if bad(member, *field) {
                    path.push_str(&format!(".{key}"));
                    return blame(program, member, *field, path);
                }
            }
        }
        (TypeDesc::Case(name, Some(argument)), Value::Case(case))
            if program.string(*name) == Some(case.name().as_str()) =>
        {
            if let Some(value) = case.argument() {
                path.push('^');
                return blame(program, value, *argument, path);
            }
        }
        _ => {}
    }
    (value, id)
}
