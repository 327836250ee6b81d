//! Types as values are checked against them at run time.

use crate::syntax::ast::Symbol;

/// Index into [`Module::checks`](super::Module::checks).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CheckId(pub u32);

/// A check whose necessity is only known when all types are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Check {
    /// Nothing to do: the types turned out to fit.
    None,
    /// The value must conform to the type (`undefined` and null pass), else `RT_TYPE`.
    Conforms(RuntimeType),
}

/// An assertable type.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum RuntimeType {
    /// `data`, `_`
    Data,
    /// `null`
    Null,
    /// `bool`
    Bool,
    /// `number`
    Number,
    /// `string`
    String,
    /// `word`: number or string.
    Word,
    /// `binary`
    Binary,
    /// `token`
    Token,
    /// `db.ref`
    Ref,
    /// `array(T)`
    Array(Box<RuntimeType>),
    /// `[T1, …, Tn]`
    Tuple(Vec<RuntimeType>),
    /// `map(T)`
    Map(Box<RuntimeType>),
    /// `{f: T, …}`, fields in ascending order.
    Record(Vec<(Symbol, RuntimeType)>),
    /// A case by its full name; without an argument it must be constant.
    Case(Symbol, Option<Box<RuntimeType>>),
    /// A union of cases. Null is a member only of the pattern `type(T)` where written
    /// (`nullable`); as an assertion null always passes.
    Union {
        /// The member cases.
        cases: Vec<RuntimeType>,
        /// `null` is a written member.
        nullable: bool,
    },
    /// What a library function expects: another kind is `ERR_EXPECTED_…`, not `RT_TYPE`.
    Expected(Box<RuntimeType>),
}

impl std::fmt::Display for RuntimeType {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            RuntimeType::Data => f.write_str("data"),
            RuntimeType::Null => f.write_str("null"),
            RuntimeType::Bool => f.write_str("bool"),
            RuntimeType::Number => f.write_str("number"),
            RuntimeType::String => f.write_str("string"),
            RuntimeType::Word => f.write_str("word"),
            RuntimeType::Binary => f.write_str("binary"),
            RuntimeType::Token => f.write_str("token"),
            RuntimeType::Ref => f.write_str("db.ref"),
            RuntimeType::Expected(ty) => write!(f, "{ty}"),
            RuntimeType::Array(element) => write!(f, "array({element})"),
            RuntimeType::Map(element) => write!(f, "map({element})"),
            RuntimeType::Tuple(parts) => {
                f.write_str("[")?;
                for (index, part) in parts.iter().enumerate() {
                    let comma = if index == 0 { "" } else { ", " };
                    write!(f, "{comma}{part}")?;
                }
                f.write_str("]")
            }
            RuntimeType::Record(fields) => {
                f.write_str("{")?;
                for (index, (name, part)) in fields.iter().enumerate() {
                    let comma = if index == 0 { "" } else { ", " };
                    write!(f, "{comma}{name}: {part}")?;
                }
                f.write_str("}")
            }
            RuntimeType::Case(name, None) => f.write_str(name),
            RuntimeType::Case(name, Some(argument)) => write!(f, "{name}({argument})"),
            RuntimeType::Union { cases, nullable } => {
                for (index, case) in cases.iter().enumerate() {
                    let bar = if index == 0 { "" } else { " | " };
                    write!(f, "{bar}{case}")?;
                }
                if *nullable {
                    f.write_str(if cases.is_empty() { "null" } else { " | null" })?;
                }
                Ok(())
            }
        }
    }
}
