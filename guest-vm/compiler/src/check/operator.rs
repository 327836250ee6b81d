//! The types of the built-in operators.

use super::types::{Node, Ty, Types};

/// What is known about the type of a sum.
pub enum Plus {
    /// The type of the result.
    Known(Ty),
    /// An operand is not known yet.
    Delayed,
    /// The operands have no sum.
    Never,
}

/// The type of `left + right`.
pub fn solve_plus(types: &mut Types, left: Ty, right: Ty) -> Plus {
    let a = types.node(left);
    let b = types.node(right);
    match (&a, &b) {
        (Node::Any, _) | (_, Node::Any) => Plus::Known(Ty::ANY),
        (Node::Null, _) => Plus::Known(right),
        (_, Node::Null) => Plus::Known(left),
        (Node::Var { .. } | Node::Plus(..) | Node::Rigid { .. }, _)
        | (_, Node::Var { .. } | Node::Plus(..) | Node::Rigid { .. }) => Plus::Delayed,
        (Node::Number, Node::Number) => Plus::Known(Ty::NUMBER),
        (Node::String, Node::String | Node::Number | Node::Ref | Node::Word)
        | (Node::Number | Node::Ref | Node::Word, Node::String) => Plus::Known(Ty::STRING),
        (Node::Word, Node::Word | Node::Number) | (Node::Number, Node::Word) => {
            Plus::Known(Ty::WORD)
        }
        (
            Node::Array(_) | Node::Tuple(_) | Node::Labeled(_),
            Node::Array(_) | Node::Tuple(_) | Node::Labeled(_),
        ) => {
            let mut joined: Option<Ty> = None;
            for part in types
                .children(left)
                .into_iter()
                .chain(types.children(right))
            {
                joined = Some(match joined {
                    None => part,
                    Some(so_far) => match types.join(so_far, part, false) {
                        Some(ty) => ty,
                        None => return Plus::Never,
                    },
                });
            }
            let element = joined.unwrap_or_else(|| types.fresh());
            Plus::Known(types.array(element))
        }
        (Node::Map(a), Node::Map(b)) => match types.join(*a, *b, false) {
            Some(element) => Plus::Known(types.map(element)),
            None => Plus::Never,
        },
        (Node::Record(_), Node::Map(_)) | (Node::Map(_), Node::Record(_)) => {
            match types.join(left, right, false) {
                Some(joined) => Plus::Known(joined),
                None => Plus::Never,
            }
        }
        (Node::Record(a), Node::Record(b)) => {
            let mut fields: Vec<_> = b.to_vec();
            for (name, ty) in a.iter() {
                if !fields.iter().any(|(n, _)| n == name) {
                    fields.push((name.clone(), *ty));
                }
            }
            Plus::Known(types.record(fields))
        }
        (Node::Data, _) => {
            if types.make_data_range(right) {
                Plus::Known(Ty::DATA)
            } else {
                Plus::Never
            }
        }
        (_, Node::Data) => {
            if types.make_data_range(left) {
                Plus::Known(Ty::DATA)
            } else {
                Plus::Never
            }
        }
        _ => Plus::Never,
    }
}

/// Whether values of a type can be compared: no functions, streams or the like in it.
pub fn comparable(types: &mut Types, ty: Ty) -> bool {
    !types.mentions(ty, &|node| {
        matches!(
            node,
            Node::Fun(..) | Node::Stream(_) | Node::Token | Node::Appstate | Node::Forall(_)
        )
    })
}
