//! Parameters of agents, as callers are told.

use mix_bytecode::{Module, Program, TypeDesc, TypeId};

/// Deepest nesting of a type that is written out.
const MAX_DEPTH: usize = 8;

/// A parameter of an agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parameter {
    /// Name.
    pub name: String,
    /// Type, as the language writes it.
    pub kind: String,
    /// True if the type says that it may be left out: anything, or null among others.
    pub optional: bool,
}

/// The parameters of a module.
pub fn parameters(program: &Program, module: &Module) -> Vec<Parameter> {
    module
        .params
        .iter()
        .map(|param| Parameter {
            name: param.name.to_string(),
            kind: param
                .type_id
                .map_or_else(|| "data".to_owned(), |id| text(program, id, MAX_DEPTH)),
            optional: param.type_id.is_none_or(|id| admits_null(program, id)),
        })
        .collect()
}

/// What callers of an agent send: the members of its parameter if that is a record, else its parameters
/// as they stand.
pub fn arguments(program: &Program, module: &Module) -> Vec<Parameter> {
    let record = match module.params.as_slice() {
        [param] => param.type_id.and_then(|id| program.types.get(id.index())),
        _ => None,
    };
    let Some(TypeDesc::Record(fields)) = record else {
        return parameters(program, module);
    };
    let described = fields.iter().map(|(name, id)| Parameter {
        name: program.string(*name).unwrap_or("?").to_owned(),
        kind: text(program, *id, MAX_DEPTH),
        optional: false,
    });
    described.collect()
}

fn admits_null(program: &Program, id: TypeId) -> bool {
    match program.types.get(id.index()) {
        Some(TypeDesc::Data | TypeDesc::Null) | None => true,
        // A union has no unions inside.
        Some(TypeDesc::Union(members)) => members
            .iter()
            .any(|member| matches!(program.types.get(member.index()), Some(TypeDesc::Null))),
        Some(_) => false,
    }
}

fn text(program: &Program, id: TypeId, depth: usize) -> String {
    let (Some(desc), Some(depth)) = (program.types.get(id.index()), depth.checked_sub(1)) else {
        return "data".to_owned();
    };
    let inner = |id: &TypeId| text(program, *id, depth);
    let list = |ids: &[TypeId], between: &str| {
        let texts: Vec<String> = ids.iter().map(inner).collect();
        texts.join(between)
    };
    match desc {
        TypeDesc::Data => "data".to_owned(),
        TypeDesc::Null => "null".to_owned(),
        TypeDesc::Bool => "bool".to_owned(),
        TypeDesc::Number => "number".to_owned(),
        TypeDesc::String => "string".to_owned(),
        TypeDesc::Word => "word".to_owned(),
        TypeDesc::Binary => "binary".to_owned(),
        TypeDesc::Token => "token".to_owned(),
        TypeDesc::Ref => "db.ref".to_owned(),
        TypeDesc::Array(element) => format!("array({})", inner(element)),
        TypeDesc::Map(element) => format!("map({})", inner(element)),
        TypeDesc::Tuple(members) => format!("[{}]", list(members, ", ")),
        TypeDesc::Union(members) => list(members, " | "),
        TypeDesc::Record(fields) => {
            let fields: Vec<String> = fields
                .iter()
                .map(|(name, id)| {
                    format!("{}: {}", program.string(*name).unwrap_or("?"), inner(id))
                })
                .collect();
            format!("{{{}}}", fields.join(", "))
        }
        TypeDesc::Case(name, argument) => {
            let name = program.string(*name).unwrap_or("?");
            match argument {
                Some(argument) => format!("{name}({})", inner(argument)),
                None => name.to_owned(),
            }
        }
    }
}
