//! Strings that stand for refs in MessagePack files.

use mix_value::{Map, Ref, Value};

const REF: &str = "{ref}";
const STR: &str = "{str}";

/// Changes every string of a value, at any depth.
fn each_string(value: Value, change: &dyn Fn(&str) -> Option<Value>) -> Value {
    match value {
        Value::String(text) => match change(&text) {
            Some(changed) => changed,
            None => Value::String(text),
        },
        Value::Array(items) => Value::Array(
            items
                .into_iter()
                .map(|item| each_string(item, change))
                .collect(),
        ),
        Value::Map(map) => Value::Map(
            map.into_iter()
                .map(|(key, member)| (key, each_string(member, change)))
                .collect::<Map>(),
        ),
        Value::Case(mut case) => {
            case.argument = case
                .argument
                .map(|argument| Box::new(each_string(*argument, change)));
            Value::Case(case)
        }
        other => other,
    }
}

/// What a value of a file means.
pub(super) fn read(value: Value) -> Value {
    each_string(value, &|text| {
        if let Some(id) = text.strip_prefix(REF) {
            return Ref::new(id).ok().map(Value::Ref);
        }
        text.strip_prefix(STR).map(Value::from)
    })
}

/// How a value is written into a file.
pub(super) fn write(value: Value) -> Value {
    each_string(value, &|text| {
        let looks = text.starts_with(REF) || text.starts_with(STR);
        looks.then(|| Value::from(format!("{STR}{text}")))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_and_refs_come_back() {
        for text in ["{ref}x", "{str}x", "{str}{ref}x", "{ref}", "x", ""] {
            let value = Value::map([("a", Value::Array(vec![Value::from(text)]))]);
            assert_eq!(read(write(value.clone())), value, "{text}");
        }
        let id = Ref::new("x").expect("a ref");
        assert_eq!(read(Value::from("{ref}x")), Value::Ref(id.clone()));
        assert_eq!(write(Value::Ref(id.clone())), Value::Ref(id));
        assert_eq!(read(Value::from("{ref}")), Value::from("{ref}"));
    }
}
