//! Run-time types in the type table of the program.

use crate::core::RuntimeType;
use mix_bytecode::{ProgramBuilder, TypeDesc, TypeId};

/// The number of a run-time type; its parts come before it.
pub(super) fn type_desc(out: &mut ProgramBuilder, ty: &RuntimeType) -> TypeId {
    let desc = match ty {
        RuntimeType::Data => TypeDesc::Data,
        RuntimeType::Null => TypeDesc::Null,
        RuntimeType::Bool => TypeDesc::Bool,
        RuntimeType::Number => TypeDesc::Number,
        RuntimeType::String => TypeDesc::String,
        RuntimeType::Word => TypeDesc::Word,
        RuntimeType::Binary => TypeDesc::Binary,
        RuntimeType::Token => TypeDesc::Token,
        RuntimeType::Ref => TypeDesc::Ref,
        RuntimeType::Array(element) => TypeDesc::Array(type_desc(out, element)),
        RuntimeType::Map(element) => TypeDesc::Map(type_desc(out, element)),
        RuntimeType::Tuple(parts) => {
            TypeDesc::Tuple(parts.iter().map(|part| type_desc(out, part)).collect())
        }
        RuntimeType::Record(fields) => TypeDesc::Record(
            fields
                .iter()
                .map(|(name, field)| (out.string(name), type_desc(out, field)))
                .collect(),
        ),
        RuntimeType::Case(name, argument) => {
            let argument = argument.as_ref().map(|argument| type_desc(out, argument));
            TypeDesc::Case(out.string(name), argument)
        }
        RuntimeType::Expected(ty) => TypeDesc::Union(vec![type_desc(out, ty)]),
        RuntimeType::Union { cases, nullable } if cases.len() == 1 && !nullable => {
            return type_desc(out, &cases[0]);
        }
        RuntimeType::Union { cases, nullable } => {
            let mut members: Vec<TypeId> = cases.iter().map(|case| type_desc(out, case)).collect();
            if *nullable {
                members.push(out.type_desc(TypeDesc::Null));
            }
            TypeDesc::Union(members)
        }
    };
    out.type_desc(desc)
}
