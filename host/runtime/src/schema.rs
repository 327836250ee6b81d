//! What an agent takes, as a JSON Schema: for clients that call agents as tools.
//!
//! Callers of that kind send plain JSON, so a type that only a tagged value has is anything here, and
//! the agent says what it does not like.

use mix_bytecode::{Module, Program, TypeDesc, TypeId};
use serde_json::{Map, Value, json};

/// Deepest nesting of a type that is described.
const MAX_DEPTH: usize = 16;

/// Most types of one schema: shared ones are written out wherever they occur.
const MAX_TYPES: usize = 1_000;

/// The schema of the parameter map of an agent, always one of an object.
pub fn input_schema(program: &Program, module: &Module) -> Value {
    let mut writer = Writer {
        program,
        left: MAX_TYPES,
    };
    let schema = match module.params.as_slice() {
        [param] => param.type_id.map(|id| writer.schema(id, MAX_DEPTH)),
        _ => None,
    };
    match schema {
        Some(schema) if schema["type"] == "object" => schema,
        _ => json!({ "type": "object" }),
    }
}

struct Writer<'a> {
    program: &'a Program,
    left: usize,
}

impl Writer<'_> {
    fn schema(&mut self, id: TypeId, depth: usize) -> Value {
        let (Some(depth), Some(left)) = (depth.checked_sub(1), self.left.checked_sub(1)) else {
            return json!({});
        };
        self.left = left;
        let program = self.program;
        match program.types.get(id.index()) {
            Some(TypeDesc::Null) => json!({ "type": "null" }),
            Some(TypeDesc::Bool) => json!({ "type": "boolean" }),
            Some(TypeDesc::Number) => json!({ "type": "number" }),
            Some(TypeDesc::String) => json!({ "type": "string" }),
            // A number or a text.
            Some(TypeDesc::Word) => {
                json!({ "anyOf": [{ "type": "string" }, { "type": "number" }] })
            }
            Some(TypeDesc::Array(element)) => {
                json!({ "type": "array", "items": self.schema(*element, depth) })
            }
            Some(TypeDesc::Tuple(_)) => json!({ "type": "array" }),
            Some(TypeDesc::Map(element)) => {
                json!({ "type": "object", "additionalProperties": self.schema(*element, depth) })
            }
            Some(TypeDesc::Record(fields)) => {
                let mut properties = Map::new();
                for (name, id) in fields {
                    if let Some(name) = program.string(*name) {
                        properties.insert(name.to_owned(), self.schema(*id, depth));
                    }
                }
                // Each field of a record must be there, if only as null.
                let required: Vec<&String> = properties.keys().collect();
                json!({ "type": "object", "required": required, "properties": properties })
            }
            Some(TypeDesc::Union(members)) => {
                let members: Vec<Value> = members
                    .iter()
                    .map(|member| self.schema(*member, depth))
                    .collect();
                match members.contains(&json!({})) {
                    true => json!({}),
                    false => json!({ "anyOf": members }),
                }
            }
            Some(
                TypeDesc::Data
                | TypeDesc::Binary
                | TypeDesc::Token
                | TypeDesc::Ref
                | TypeDesc::Case(..),
            )
            | None => json!({}),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mix_compiler::{CompileOptions, SourceFile, compile};

    fn schema(parameter: &str) -> Value {
        let source = format!("module probe({parameter})\n  cell output = 1\nmodule end\n");
        let files = [SourceFile::new("probe.mix".to_owned(), source.into_bytes())];
        let compiled = compile(&files, &CompileOptions::default());
        let program = compiled.program.unwrap_or_else(|| panic!("{parameter}"));
        let modules = &program.modules;
        let module = modules.iter().find(|module| &*module.name == "probe");
        input_schema(&program, module.expect("the module"))
    }

    #[test]
    fn types_become_schemas_of_objects() {
        for (parameter, expected) in [
            ("p:data", json!({ "type": "object" })),
            ("p:string", json!({ "type": "object" })),
            (
                "p:map(number)",
                json!({ "type": "object", "additionalProperties": { "type": "number" } }),
            ),
            (
                "p:{name:string, tags:array(string), deep:{on:bool}, other:data}",
                json!({
                    "type": "object",
                    "required": ["deep", "name", "other", "tags"],
                    "properties": {
                        "deep": {
                            "type": "object",
                            "required": ["on"],
                            "properties": { "on": { "type": "boolean" } },
                        },
                        "name": { "type": "string" },
                        "other": {},
                        "tags": { "type": "array", "items": { "type": "string" } },
                    },
                }),
            ),
            (
                "p:{either:word}",
                json!({
                    "type": "object",
                    "required": ["either"],
                    "properties": { "either": { "anyOf": [{ "type": "string" }, { "type": "number" }] } },
                }),
            ),
        ] {
            assert_eq!(schema(parameter), expected, "{parameter}");
        }
    }
}
