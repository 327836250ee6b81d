//! Relations between types: unification, subtyping, joins.
//!
//! A failed attempt may leave variables bound; callers that go on undo it
//! (see [`Types::attempt`]).

use super::types::{Node, Range, Ty, Types};
use crate::syntax::ast::Symbol;

impl Types {
    /// Runs a test and undoes its bindings if it fails.
    pub fn attempt(&mut self, test: impl FnOnce(&mut Types) -> bool) -> bool {
        let mark = self.mark();
        let done = test(self);
        if !done {
            self.undo(mark);
        }
        done
    }

    /// Makes two types equal.
    pub fn unify(&mut self, left: Ty, right: Ty) -> bool {
        let left = self.find(left);
        let right = self.find(right);
        if left == right {
            return true;
        }
        if !self.step() {
            return false;
        }
        match (self.node(left), self.node(right)) {
            (Node::Var { soft: true, .. }, Node::Var { soft: false, .. }) => self.bind(left, right),
            (_, Node::Var { level, .. }) if level != super::types::GENERIC => {
                self.bind(right, left)
            }
            (Node::Var { level, .. }, _) if level != super::types::GENERIC => {
                self.bind(left, right)
            }
            (Node::Array(a), Node::Array(b))
            | (Node::Map(a), Node::Map(b))
            | (Node::Stream(a), Node::Stream(b)) => self.unify(a, b),
            (Node::Link(a, v), Node::Link(b, w)) => v == w && self.unify(a, b),
            (Node::Tuple(a), Node::Tuple(b)) => self.unify_all(&a, &b),
            (Node::Labeled(a), Node::Labeled(b)) | (Node::Record(a), Node::Record(b)) => {
                a.len() == b.len()
                    && a.iter()
                        .zip(b.iter())
                        .all(|((l, s), (m, t))| l == m && self.unify(*s, *t))
            }
            (Node::Case(n, a), Node::Case(m, b)) => n == m && self.unify_option(a, b),
            (Node::Union(a, n), Node::Union(b, m)) => {
                n == m
                    && a.len() == b.len()
                    && a.iter()
                        .zip(b.iter())
                        .all(|((n, s), (m, t))| n == m && self.unify_option(*s, *t))
            }
            (Node::Fun(a, b), Node::Fun(c, d)) | (Node::Plus(a, b), Node::Plus(c, d)) => {
                self.unify(a, c) && self.unify(b, d)
            }
            (Node::Module(a, s), Node::Module(b, t)) => a == b && self.unify_all(&s, &t),
            (Node::Opaque(a, s), Node::Opaque(b, t)) => {
                // The library may write the bare opaque type for one with parameters.
                a == b && (s.is_empty() || t.is_empty() || self.unify_all(&s, &t))
            }
            (Node::Forall(a), Node::Forall(b)) => self.quantified_subtype(a, b),
            (Node::Plus(..), _) => self.force_plus(left, right),
            (_, Node::Plus(..)) => self.force_plus(right, left),
            (a, b) => same_constant(&a, &b),
        }
    }

    fn unify_all(&mut self, left: &[Ty], right: &[Ty]) -> bool {
        left.len() == right.len()
            && left
                .iter()
                .zip(right.iter())
                .all(|(a, b)| self.unify(*a, *b))
    }

    fn unify_option(&mut self, left: Option<Ty>, right: Option<Ty>) -> bool {
        match (left, right) {
            (None, None) => true,
            (Some(a), Some(b)) => self.unify(a, b),
            _ => false,
        }
    }

    /// `left <= right`, binding variables as needed.
    pub fn subtype(&mut self, left: Ty, right: Ty) -> bool {
        let left = self.find(left);
        let right = self.find(right);
        if left == right {
            return true;
        }
        if !self.step() {
            return false;
        }
        match (self.node(left), self.node(right)) {
            (_, Node::Any) => true,
            (Node::Var { .. }, _) | (_, Node::Var { .. }) => self.unify(left, right),
            (Node::Plus(..), _) => self.force_plus(left, right),
            (_, Node::Plus(..)) => self.force_plus(right, left),
            (Node::Null, Node::Union(_, true)) => true,
            (Node::Null, _) => self.make_data_range(right),
            (_, Node::Data) => self.make_data_range(left),
            (Node::Number | Node::String, Node::Word) => true,
            (
                Node::Rigid {
                    range: Range::Word, ..
                },
                Node::Word,
            ) => true,
            (Node::Array(a), Node::Array(b))
            | (Node::Map(a), Node::Map(b))
            | (Node::Stream(a), Node::Stream(b)) => self.subtype(a, b),
            (Node::Link(a, _), Node::Link(b, false)) => self.subtype(a, b),
            (Node::Link(a, true), Node::Link(b, true)) => self.unify(a, b),
            (Node::Tuple(a), Node::Tuple(b)) => self.subtype_all(&a, &b),
            (Node::Tuple(a), Node::Array(b)) => a.iter().all(|a| self.subtype(*a, b)),
            (Node::Labeled(a), Node::Tuple(b)) => {
                let a: Vec<Ty> = a.iter().map(|(_, t)| *t).collect();
                self.subtype_all(&a, &b)
            }
            (Node::Labeled(a), Node::Array(b)) => a.iter().all(|(_, a)| self.subtype(*a, b)),
            (Node::Labeled(a), Node::Labeled(b)) => {
                a.len() == b.len()
                    && a.iter()
                        .zip(b.iter())
                        .all(|((l, s), (m, t))| l == m && self.subtype(*s, *t))
            }
            (Node::Record(a), Node::Record(b)) => b.iter().all(|(name, t)| {
                a.iter()
                    .find(|(n, _)| n == name)
                    .is_some_and(|(_, s)| self.subtype(*s, *t))
            }),
            (Node::Record(a), Node::Map(b)) => a.iter().all(|(_, a)| self.subtype(*a, b)),
            (Node::Case(n, a), Node::Case(m, b)) => n == m && self.subtype_option(a, b),
            (Node::Case(n, a), Node::Union(cases, _)) => cases
                .iter()
                .find(|(m, _)| *m == n)
                .is_some_and(|(_, b)| self.subtype_option(a, *b)),
            (Node::Union(cases, nullable), Node::Union(..) | Node::Case(..)) => {
                (!nullable || self.subtype(Ty::NULL, right))
                    && cases.iter().all(|(n, a)| {
                        let member = self.case(n, *a);
                        self.subtype(member, right)
                    })
            }
            (Node::Fun(a, b), Node::Fun(c, d)) => self.subtype(c, a) && self.subtype(b, d),
            (Node::Module(a, s), Node::Module(b, t)) => a == b && self.unify_all(&s, &t),
            (Node::Opaque(a, s), Node::Opaque(b, t)) => {
                // The library may write the bare opaque type for one with parameters.
                a == b && (s.is_empty() || t.is_empty() || self.unify_all(&s, &t))
            }
            (Node::Forall(a), Node::Forall(b)) => self.quantified_subtype(a, b),
            (Node::Forall(a), _) => {
                let instance = self.instantiate(a, &mut Vec::new());
                self.subtype(instance, right)
            }
            (a, b) => same_constant(&a, &b),
        }
    }

    fn subtype_all(&mut self, left: &[Ty], right: &[Ty]) -> bool {
        left.len() == right.len()
            && left
                .iter()
                .zip(right.iter())
                .all(|(a, b)| self.subtype(*a, *b))
    }

    fn subtype_option(&mut self, left: Option<Ty>, right: Option<Ty>) -> bool {
        match (left, right) {
            (None, None) => true,
            (Some(a), Some(b)) => self.subtype(a, b),
            _ => false,
        }
    }

    /// Both are bodies of `~forall` types: the left one must be at least as general.
    fn quantified_subtype(&mut self, left: Ty, right: Ty) -> bool {
        let instance = self.instantiate(left, &mut Vec::new());
        let fixed = self.rigid_copy(right);
        self.subtype(instance, fixed)
    }

    /// A copy in which quantified variables are fixed, different from every other type.
    pub fn rigid_copy(&mut self, ty: Ty) -> Ty {
        let mut seen: Vec<(Ty, Ty)> = Vec::new();
        self.rewrite(ty, &mut |types, at, node| match node {
            Node::Var {
                level: super::types::GENERIC,
                range,
                name,
                ..
            } => {
                if let Some((_, new)) = seen.iter().find(|(old, _)| *old == at) {
                    return Some(*new);
                }
                let name = name.clone().unwrap_or_else(|| Symbol::from("_"));
                let new = types.add(Node::Rigid {
                    name,
                    range: *range,
                });
                seen.push((at, new));
                Some(new)
            }
            Node::Forall(_) => Some(at),
            _ => None,
        })
    }

    /// A delayed sum must be of the given type: settles its operands so that it is.
    /// The caller checks sums that stay open at run time (see `coerce`).
    pub fn force_plus(&mut self, sum: Ty, target: Ty) -> bool {
        let Node::Plus(left, right) = self.node(sum) else {
            return self.unify(sum, target);
        };
        match self.node(target) {
            Node::Number => self.subtype(left, Ty::NUMBER) && self.subtype(right, Ty::NUMBER),
            Node::Data | Node::Any => {
                let _ = self.make_data_range(left) && self.make_data_range(right);
                true
            }
            Node::String => {
                let text = |types: &mut Types, ty: Ty| matches!(types.node(ty), Node::String);
                if text(self, left) || text(self, right) {
                    return self.make_data_range(left) && self.make_data_range(right);
                }
                false
            }
            Node::Plus(a, b) => self.unify(left, a) && self.unify(right, b),
            Node::Var { .. } => self.unify(target, sum),
            Node::Null => self.subtype(left, Ty::NULL) && self.subtype(right, Ty::NULL),
            _ if !self.is_data_range(target) => {
                self.unify(left, target) && self.unify(right, target)
            }
            _ => false,
        }
    }

    /// The smallest common supertype; `small` leaves `word` and `data` out unless one side is it.
    pub fn join(&mut self, left: Ty, right: Ty, small: bool) -> Option<Ty> {
        let left = self.find(left);
        let right = self.find(right);
        if left == right {
            return Some(left);
        }
        if !self.step() {
            return None;
        }
        for (one, other) in [(left, right), (right, left)] {
            match self.node(one) {
                Node::Any => return Some(one),
                Node::Var { soft: true, .. } if !small => {
                    self.bind(one, Ty::DATA);
                    return self.join(one, other, small);
                }
                Node::Var { .. } if matches!(self.node(other), Node::Null) => {
                    self.restrict(one, Range::Data);
                    return Some(one);
                }
                // A value of unknown type next to data: the result is data, and the value
                // may still be anything that is data.
                Node::Var { range, .. }
                    if !small
                        && range != Range::Word
                        && !self.is_var(other)
                        && !self.is_never(one)
                        && !matches!(self.node(other), Node::Plus(..))
                        && self.is_data_range(other) =>
                {
                    self.restrict(one, Range::Data);
                    return Some(Ty::DATA);
                }
                Node::Var { .. } => {
                    if self.attempt(|types| types.bind(one, other)) {
                        return Some(one);
                    }
                    if small {
                        return None;
                    }
                    if self
                        .attempt(|types| types.make_data_range(one) && types.make_data_range(other))
                    {
                        self.default_to_data(one);
                        self.default_to_data(other);
                        return Some(Ty::DATA);
                    }
                    return None;
                }
                Node::Plus(..) => {
                    if self.attempt(|types| types.unify(one, other)) {
                        return Some(other);
                    }
                    self.default_to_data(one);
                    let solved = self.find(one);
                    if solved == one {
                        return None;
                    }
                    return self.join(solved, other, small);
                }
                _ => {}
            }
        }
        if self.attempt(|types| types.subtype(left, right)) {
            return Some(right);
        }
        if self.attempt(|types| types.subtype(right, left)) {
            return Some(left);
        }
        if let Some(joined) = self.structural_join(left, right, small) {
            return Some(joined);
        }
        let data = |types: &mut Types| {
            types.attempt(|types| types.make_data_range(left) && types.make_data_range(right))
        };
        if !small && data(self) {
            return Some(Ty::DATA);
        }
        None
    }

    fn structural_join(&mut self, left: Ty, right: Ty, small: bool) -> Option<Ty> {
        match (self.node(left), self.node(right)) {
            (Node::Number, Node::String) | (Node::String, Node::Number) if !small => Some(Ty::WORD),
            (Node::Array(a), Node::Array(b)) => {
                let joined = self.join(a, b, small)?;
                Some(self.array(joined))
            }
            (Node::Map(a), Node::Map(b)) => {
                let joined = self.join(a, b, small)?;
                Some(self.map(joined))
            }
            (Node::Stream(a), Node::Stream(b)) => {
                let joined = self.join(a, b, small)?;
                Some(self.stream(joined))
            }
            (Node::Labeled(fields), _) => {
                let parts: Vec<Ty> = fields.iter().map(|(_, t)| *t).collect();
                let tuple = self.add(Node::Tuple(parts.into()));
                self.join(tuple, right, small)
            }
            (_, Node::Labeled(fields)) => {
                let parts: Vec<Ty> = fields.iter().map(|(_, t)| *t).collect();
                let tuple = self.add(Node::Tuple(parts.into()));
                self.join(left, tuple, small)
            }
            (Node::Tuple(a), Node::Tuple(b)) if a.len() == b.len() => {
                let mut parts = Vec::new();
                for (a, b) in a.iter().zip(b.iter()) {
                    parts.push(self.join(*a, *b, small)?);
                }
                Some(self.add(Node::Tuple(parts.into())))
            }
            (Node::Tuple(_) | Node::Array(_), Node::Tuple(_) | Node::Array(_)) => {
                let mut joined = None;
                for part in self.children(left).into_iter().chain(self.children(right)) {
                    joined = Some(match joined {
                        None => part,
                        Some(so_far) => self.join(so_far, part, small)?,
                    });
                }
                let element = joined.unwrap_or_else(|| self.fresh());
                Some(self.array(element))
            }
            (Node::Record(a), Node::Record(b)) => {
                let mut fields = Vec::new();
                for (name, s) in a.iter() {
                    if let Some((_, t)) = b.iter().find(|(n, _)| n == name) {
                        fields.push((name.clone(), self.join(*s, *t, small)?));
                    }
                }
                Some(self.record(fields))
            }
            (Node::Record(fields), Node::Map(element))
            | (Node::Map(element), Node::Record(fields)) => {
                let mut joined = element;
                for (_, part) in fields.iter() {
                    joined = self.join(joined, *part, small)?;
                }
                Some(self.map(joined))
            }
            (
                Node::Case(..) | Node::Union(..) | Node::Null,
                Node::Case(..) | Node::Union(..) | Node::Null,
            ) => {
                let (mut cases, mut nullable) = self.members(left);
                let (others, other_nullable) = self.members(right);
                nullable |= other_nullable;
                for (name, argument) in others {
                    match cases.iter_mut().find(|(n, _)| *n == name) {
                        None => cases.push((name, argument)),
                        Some((_, old)) => match (*old, argument) {
                            (Some(a), Some(b)) => *old = Some(self.join(a, b, small)?),
                            (None, None) => {}
                            _ => return None,
                        },
                    }
                }
                Some(self.union(cases, nullable))
            }
            _ => None,
        }
    }

    /// The cases of a case type or union and whether null is a written member.
    pub fn members(&mut self, ty: Ty) -> (Vec<(Symbol, Option<Ty>)>, bool) {
        match self.node(ty) {
            Node::Case(name, argument) => (vec![(name, argument)], false),
            Node::Union(cases, nullable) => (cases.to_vec(), nullable),
            Node::Null => (Vec::new(), true),
            _ => (Vec::new(), false),
        }
    }
}

fn same_constant(a: &Node, b: &Node) -> bool {
    matches!(
        (a, b),
        (Node::Null, Node::Null)
            | (Node::Bool, Node::Bool)
            | (Node::Number, Node::Number)
            | (Node::String, Node::String)
            | (Node::Word, Node::Word)
            | (Node::Data, Node::Data)
            | (Node::Binary, Node::Binary)
            | (Node::Ref, Node::Ref)
            | (Node::Token, Node::Token)
            | (Node::Appstate, Node::Appstate)
            | (Node::Any, Node::Any)
    )
}
