//! What GET of an agent, an alias or a registered query tells about it.

use mix_value::{Map, Value};

/// A parameter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parameter {
    /// Its name.
    pub name: String,
    /// Its type, as the language writes it.
    pub kind: String,
    /// True if it may be left out.
    pub optional: bool,
}

/// An agent, or an alias of one: what an alias fixes is not the caller's to give.
pub fn agent(
    name: &str,
    kind: &str,
    description: &str,
    params: impl IntoIterator<Item = Parameter>,
    fixed: &Map,
) -> Value {
    let free = params
        .into_iter()
        .filter(|param| !fixed.contains_key(param.name.as_str()));
    described(name, kind, description, free, ("output", "data"))
}

/// A registered query: its record, and the names of its parameters.
pub fn query(name: &str, record: &Map, params: impl IntoIterator<Item = String>) -> Value {
    let defaults = crate::registered::defaults(record);
    let description = record.get("description").and_then(Value::as_str);
    let params = params.into_iter().map(|name| Parameter {
        optional: defaults.contains_key(name.as_str()),
        name,
        kind: "data".to_owned(),
    });
    let result = ("result", "array(data)");
    described(
        name,
        "query",
        description.unwrap_or_default(),
        params,
        result,
    )
}

fn described(
    name: &str,
    kind: &str,
    description: &str,
    params: impl Iterator<Item = Parameter>,
    result: (&str, &str),
) -> Value {
    let result = Parameter {
        name: result.0.to_owned(),
        kind: result.1.to_owned(),
        optional: false,
    };
    Value::map([
        ("name", Value::from(name)),
        ("description", Value::from(description)),
        ("kind", Value::from(kind)),
        ("inParams", Value::Array(params.map(parameter).collect())),
        ("outParams", Value::Array(vec![parameter(result)])),
    ])
}

fn parameter(parameter: Parameter) -> Value {
    Value::map([
        ("name", Value::from(parameter.name)),
        ("type", Value::from(parameter.kind)),
        ("optional", Value::Bool(parameter.optional)),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_fixed_is_not_asked_for() {
        let parameter = |name: &str| Parameter {
            name: name.to_owned(),
            kind: "data".to_owned(),
            optional: true,
        };
        let fixed = Map::from([("a".into(), Value::Int(1))]);
        let told = agent("x", "alias", "d", [parameter("a"), parameter("b")], &fixed);
        let names = |value: &Value| -> Vec<String> {
            let params = value.get("inParams").and_then(Value::as_array);
            let names = params.unwrap_or_default().iter();
            names
                .filter_map(|one| Some(one.get("name")?.as_str()?.to_owned()))
                .collect()
        };
        assert_eq!(names(&told), ["b"]);
        let record = Map::from([("params".into(), Value::map([("n", Value::Int(1))]))]);
        let told = query("q", &record, ["n".to_owned(), "m".to_owned()]);
        assert_eq!(names(&told), ["n", "m"]);
        assert_eq!(told.get("kind"), Some(&Value::from("query")));
    }
}
