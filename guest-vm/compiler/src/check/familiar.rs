//! Names that people bring along from other languages, and where the library keeps things.

use std::collections::HashMap;
use std::sync::OnceLock;

/// What a name of another language is called here.
pub(super) fn name(name: &str) -> Option<&'static str> {
    Some(match name {
        "print" | "println" | "console" | "printf" | "log" | "echo" | "puts" => {
            "`debug(x)` writes x to the log"
        }
        "None" | "nil" | "NULL" | "Null" | "nothing" | "Nothing" => "the empty value is `null`",
        "True" | "TRUE" => "write `true`",
        "False" | "FALSE" => "write `false`",
        "this" => "there is no `this`: `self.x` names x of the module, parameters name the rest",
        "throw" | "raise" | "panic" | "Error" | "abort" => "`fail(\"why\")` raises an error",
        "catch" | "except" | "rescue" => "`try e` gives `ok(v)` or `error(text)`",
        "len" | "size" | "count" => {
            "write `array.length(x)`, `map.length(x)` or `string.length(x)`"
        }
        "str" | "toString" | "String" => "a number joins a text with `+`: `\"\" + x`",
        "parseInt" | "parseFloat" | "Number" => "a text becomes a number with `number.parse(s)`",
        "int" | "float" => {
            "there is one kind of number; `floor(x)` rounds down, `number.parse(s)` reads a text"
        }
        "isNaN" | "NaN" => "a number is NaN if it does not equal itself: `x != x`",
        "Math" | "math" => "mathematical functions are in `number`, as `number.sqrt(x)`",
        "JSON" | "json" => "write `string.parseJSON(s)` and `string.formatJSON(x)`",
        "Object" | "dict" | "Map" => "functions of maps are in `map`, as `map.keys(m)`",
        "Array" | "List" | "list" => "functions of arrays are in `array`, as `array.map(f, a)`",
        "range" => "a loop over numbers is `for (let i = 0; i < n; i = i + 1) { … }`",
        "break" | "continue" => {
            "there is no such statement: end a loop by its condition or with `return`"
        }
        "async" | "await" => "calls that wait need no mark: write the call alone",
        "and" => "write `&&`",
        "or" => "write `||`",
        "then" => "there is no `then`: write `if (c) a else b`",
        _ => return None,
    })
}

/// What a member of a library module is called in other languages.
pub(super) fn member(module: &str, name: &str) -> Option<&'static str> {
    Some(match (module, name) {
        ("array", "push" | "append" | "add" | "concat") => {
            "arrays are joined with `+`: `list + [x]`"
        }
        ("array", "forEach" | "each") => "write `for (let x in list) { … }` in a block",
        ("array", "fold" | "foldl" | "foldLeft" | "sum") => {
            "write `array.reduce((x, sum) -> …, start, list)`"
        }
        ("array", "size" | "len" | "count") => "did you mean array.length?",
        ("array", "join") => "texts are joined with `string.concat(separator, list)`",
        ("array", "includes" | "has") => "did you mean array.contains?",
        ("string", "join") => "did you mean string.concat?",
        ("string", "toUpper" | "toUpperCase" | "upper" | "upcase") => {
            "did you mean string.uppercase?"
        }
        ("string", "toLower" | "toLowerCase" | "lower" | "downcase") => {
            "did you mean string.lowercase?"
        }
        ("string", "size" | "len" | "count") => "did you mean string.length?",
        ("string", "substring" | "substr" | "slice") => "did you mean string.sub?",
        ("string", "replace") => "did you mean string.replaceAll?",
        ("string", "includes") => "did you mean string.contains?",
        ("string", "toNumber" | "toInt") => "did you mean number.parse?",
        ("map", "get") => "write `m.(key)`; `m.name` reads a known key",
        ("map", "set" | "put" | "insert") => "write `m with .(key) = value`",
        ("map", "size" | "len" | "count") => "did you mean map.length?",
        _ => return None,
    })
}

/// What a call of the method `name` of a value is here.
pub(super) fn method(name: &str) -> String {
    let places = library_members(name);
    if let Some(place) = places.first() {
        return format!(
            "values have no methods: write `{place}(…)` with the value as the last argument"
        );
    }
    let modules = ["string", "array", "map"];
    match modules.iter().find_map(|module| member(module, name)) {
        Some(hint) => format!("values have no methods: {hint}"),
        None => "values have no methods: functions of a module take them as arguments; \
                 a record that holds functions needs a type"
            .to_string(),
    }
}

/// The type that is called otherwise in other languages.
pub(super) fn type_name(name: &str) -> Option<&'static str> {
    Some(match name {
        "int" | "integer" | "float" | "double" | "Number" | "num" | "Int" | "Float" => "number",
        "str" | "text" | "String" | "char" => "string",
        "boolean" | "Bool" | "Boolean" => "bool",
        "list" | "List" | "Array" | "vec" | "vector" | "seq" => "array(T)",
        "dict" | "Map" | "hash" | "table" => "map(T)",
        "object" | "record" | "Object" | "json" | "JSON" => "data, or a record type {name: string}",
        "void" | "unit" | "Unit" | "nil" | "None" => "null",
        "Maybe" | "maybe" | "optional" | "Option" => "option(T)",
        "either" | "Either" | "Result" => "result(E, T)",
        "bytes" | "blob" => "binary",
        "func" | "function" | "Function" => "A -> B",
        _ => return None,
    })
}

/// The members of library modules with that name, as `module.name`.
pub(super) fn library_members(name: &str) -> Vec<String> {
    static PLACES: OnceLock<HashMap<&'static str, Vec<&'static str>>> = OnceLock::new();
    let places = PLACES.get_or_init(|| {
        let mut places: HashMap<&str, Vec<&str>> = HashMap::new();
        for module in mix_stdlib::modules() {
            if module.name == "prelude" {
                continue;
            }
            for line in module.source.lines() {
                let line = line.trim_start();
                let rest = line.strip_prefix("foreign ").unwrap_or(line);
                let Some(rest) = rest.strip_prefix("def ") else {
                    continue;
                };
                let end = rest
                    .find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
                    .unwrap_or(rest.len());
                let modules = places.entry(&rest[..end]).or_default();
                if modules.last() != Some(&module.name) {
                    modules.push(module.name);
                }
            }
        }
        places
    });
    let mut modules = places.get(name).cloned().unwrap_or_default();
    // What most people look for is in one of these; the others only if none of these has it.
    let first = [
        "array", "string", "map", "stream", "number", "option", "result", "set",
    ];
    let rank = |module: &str| first.iter().position(|known| *known == module);
    if modules.iter().any(|module| rank(module).is_some()) {
        modules.retain(|module| rank(module).is_some());
    }
    modules.sort_by_key(|module| rank(module));
    modules
        .iter()
        .map(|module| format!("{module}.{name}"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn library_members_are_found_by_name() {
        assert!(library_members("length").contains(&"array.length".to_string()));
        assert!(library_members("noSuchThing").is_empty());
    }

    /// A hint must not name what does not exist.
    #[test]
    fn hints_name_members_that_exist() {
        let texts = [
            "Math", "len", "str", "parseInt", "JSON", "dict", "List", "int",
        ]
        .into_iter()
        .filter_map(name)
        .chain(
            [
                ("array", "size"),
                ("array", "join"),
                ("array", "fold"),
                ("array", "includes"),
                ("string", "join"),
                ("string", "toUpper"),
                ("string", "toLower"),
                ("string", "size"),
                ("string", "substring"),
                ("string", "replace"),
                ("string", "includes"),
                ("string", "toNumber"),
                ("map", "size"),
            ]
            .into_iter()
            .filter_map(|(module, name)| member(module, name)),
        );
        let modules = ["array", "string", "map", "number"];
        for text in texts {
            for word in text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '.' || c == '_')) {
                let Some((module, name)) = word.split_once('.') else {
                    continue;
                };
                if modules.contains(&module) && !name.is_empty() {
                    let place = format!("{module}.{name}");
                    assert!(library_members(name).contains(&place), "{place} in {text}");
                }
            }
        }
    }
}
