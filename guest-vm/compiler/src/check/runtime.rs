//! Types as run-time checks.

use super::types::{Node, Ty, Types};
use crate::core::RuntimeType;

impl Types {
    /// The check of a type; variables count as `data`. `None` if it cannot be checked.
    pub fn runtime(&mut self, ty: Ty) -> Option<RuntimeType> {
        if !self.step() {
            return None;
        }
        Some(match self.node(ty) {
            Node::Var { .. } | Node::Data | Node::Plus(..) => RuntimeType::Data,
            Node::Null => RuntimeType::Null,
            Node::Bool => RuntimeType::Bool,
            Node::Number => RuntimeType::Number,
            Node::String => RuntimeType::String,
            Node::Word => RuntimeType::Word,
            Node::Binary => RuntimeType::Binary,
            Node::Ref => RuntimeType::Ref,
            Node::Token => RuntimeType::Token,
            Node::Array(t) => RuntimeType::Array(Box::new(self.runtime(t)?)),
            Node::Map(t) => RuntimeType::Map(Box::new(self.runtime(t)?)),
            Node::Tuple(parts) => RuntimeType::Tuple(
                parts
                    .iter()
                    .map(|part| self.runtime(*part))
                    .collect::<Option<_>>()?,
            ),
            Node::Labeled(fields) => RuntimeType::Tuple(
                fields
                    .iter()
                    .map(|(_, part)| self.runtime(*part))
                    .collect::<Option<_>>()?,
            ),
            Node::Record(fields) => RuntimeType::Record(
                fields
                    .iter()
                    .map(|(name, part)| Some((name.clone(), self.runtime(*part)?)))
                    .collect::<Option<_>>()?,
            ),
            Node::Case(name, argument) => RuntimeType::Case(
                name,
                match argument {
                    None => None,
                    Some(argument) => Some(Box::new(self.runtime(argument)?)),
                },
            ),
            Node::Union(cases, nullable) => RuntimeType::Union {
                cases: cases
                    .iter()
                    .map(|(name, argument)| {
                        Some(RuntimeType::Case(
                            name.clone(),
                            match argument {
                                None => None,
                                Some(argument) => Some(Box::new(self.runtime(*argument)?)),
                            },
                        ))
                    })
                    .collect::<Option<_>>()?,
                nullable,
            },
            _ => return None,
        })
    }

    /// Whether `type(T)` may be written: data-range without named variables.
    pub fn assertable(&mut self, ty: Ty) -> bool {
        let named = self.mentions(ty, &|node| {
            matches!(
                node,
                Node::Rigid { .. } | Node::Var { name: Some(_), .. } | Node::Plus(..) | Node::Any
            )
        });
        !named && self.runtime(ty).is_some()
    }
}
