//! Names that people bring along from other languages, and where the library keeps things.

mod members;

use crate::tables::HashMap;
use members::MEMBERS;
use std::sync::OnceLock;

/// What a name of another language is called here.
pub(super) fn name(name: &str) -> Option<&'static str> {
    Some(match name {
        "print" | "println" | "console" | "printf" | "echo" | "puts" => {
            "`debug(x)` writes x to the log"
        }
        "log" | "logger" => "`logging.info(text)` writes a line to the log, `debug(x)` any value",
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
        "fetch" => "requests are made with module `http`",
        "split" => "did you mean string.splitSep?",
        "join" => "texts are joined with `string.concat(separator, list)`",
        "sum" => "write `array.reduce((x, sum) -> x + sum, 0, list)`",
        "Date" | "date" | "time" | "datetime" => "dates and times are in module `calendar`",
        "isArray" | "isString" | "isNumber" | "isinstance" | "type_of" => {
            "`datacase(x)` names the kind of x; the pattern `type(string)` matches texts"
        }
        "assert" => "write `if (not c) { fail(\"why\") }` in a block",
        "sprintf" | "format" => "texts are joined with `+`; numbers are written by `number.format`",
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
    MEMBERS
        .iter()
        .find(|(of, names, _)| *of == module && names.contains(&name))
        .map(|(_, _, hint)| *hint)
}

/// What a call of the method `name` of a value is here; `of` is the module for values of
/// its kind, if that is known.
pub(super) fn method(name: &str, of: Option<&str>) -> String {
    let modules = ["string", "array", "map"];
    if let Some(module) = of
        && let Some(hint) = member(module, name)
    {
        return format!("values have no methods: {hint}");
    }
    let all = library_members(name);
    let mut places: Vec<&String> = all.iter().filter(|place| is_of_values(place)).collect();
    if let Some(module) = of
        && let Some(place) = places.iter().find(|place| module_of(place) == module)
    {
        places = vec![*place];
    }
    let calls: Vec<String> = places
        .iter()
        .take(2)
        .map(|place| format!("`{place}(…)`"))
        .collect();
    if !calls.is_empty() {
        return format!(
            "values have no methods: write {} with the value as the last argument",
            calls.join(" or ")
        );
    }
    match modules.iter().find_map(|module| member(module, name)) {
        Some(hint) => format!("values have no methods: {hint}"),
        None => "values have no methods: functions of a module take them as arguments; \
                 a record that holds functions needs a type"
            .to_string(),
    }
}

/// Modules with functions of values, in the order in which they are likely to be meant.
const OF_VALUES: [&str; 8] = [
    "array", "string", "map", "stream", "number", "option", "result", "set",
];

/// Modules that hardly anybody means who does not name them.
const UNCOMMON: [&str; 9] = [
    "circuitarray",
    "color",
    "dom",
    "domUtil",
    "loader",
    "passThrough",
    "reflectComponent",
    "resource",
    "track",
];

fn module_of(place: &str) -> &str {
    place.split_once('.').map_or(place, |(module, _)| module)
}

fn is_of_values(place: &str) -> bool {
    OF_VALUES.contains(&module_of(place))
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
        let mut places: HashMap<&str, Vec<&str>> = HashMap::default();
        for module in mix_stdlib::modules() {
            if module.name == "prelude" || UNCOMMON.contains(&module.name) {
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
    let rank = |module: &str| OF_VALUES.iter().position(|known| *known == module);
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
    fn methods_are_functions_of_the_right_module() {
        assert!(method("get", Some("map")).contains("`map.get(…)`"));
        assert!(method("keys", None).contains("`array.keys(…)` or `map.keys(…)`"));
        assert!(method("push", None).contains("list + [x]"));
        assert!(method("noSuchThing", None).contains("values have no methods"));
    }

    #[test]
    fn library_members_are_found_by_name() {
        assert!(library_members("length").contains(&"array.length".to_string()));
        assert!(library_members("noSuchThing").is_empty());
        assert!(library_members("luminance").is_empty());
    }

    /// A hint must not name what does not exist, nor what has the name already.
    #[test]
    fn hints_name_members_that_exist() {
        let modules: Vec<&str> = mix_stdlib::modules().iter().map(|m| m.name).collect();
        let names = [
            "Math", "len", "str", "parseInt", "JSON", "dict", "List", "int", "split", "join",
            "sum", "format",
        ];
        let hints = MEMBERS.iter().map(|(_, _, hint)| *hint);
        for text in names.into_iter().filter_map(name).chain(hints) {
            for word in text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '.' || c == '_')) {
                let Some((module, name)) = word.split_once('.') else {
                    continue;
                };
                if modules.contains(&module) && !name.is_empty() {
                    let place = format!("{module}.{name}");
                    let found = mix_stdlib::modules()
                        .iter()
                        .any(|m| m.name == module && defines(m.source, name));
                    assert!(found, "{place} in {text}");
                }
            }
        }
        for (module, names, _) in MEMBERS {
            let of = mix_stdlib::modules().iter().find(|m| m.name == *module);
            for name in *names {
                assert!(
                    !of.is_some_and(|m| defines(m.source, name)),
                    "{module}.{name} exists"
                );
            }
        }
    }

    fn defines(source: &str, name: &str) -> bool {
        source.lines().any(|line| {
            let line = line.trim_start();
            let line = line.strip_prefix("foreign ").unwrap_or(line);
            line.strip_prefix("def ")
                .and_then(|rest| rest.strip_prefix(name))
                .is_some_and(|rest| {
                    !rest.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_')
                })
        })
    }
}
