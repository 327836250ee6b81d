//! Walks over types: ranges, defaults, generalisation, copies.

use super::types::{GENERIC, NEVER, Node, Range, Ty, Types};

/// Largest type of a definition, as a tree.
pub(super) const MAX_NODES: u32 = 20_000;

/// Deepest type of a definition.
pub(super) const MAX_DEPTH: u32 = 500;
impl Types {
    /// Whether a type has only data values, without changing variables: unsolved ones
    /// count by their range.
    pub fn is_data_range(&mut self, ty: Ty) -> bool {
        self.data_range(ty, false)
    }

    /// The same, restricting unsolved variables to make it true.
    pub fn make_data_range(&mut self, ty: Ty) -> bool {
        self.data_range(ty, true)
    }

    pub(super) fn data_range(&mut self, ty: Ty, restrict: bool) -> bool {
        if !self.step() {
            return false;
        }
        match self.node(ty) {
            Node::Null
            | Node::Bool
            | Node::Number
            | Node::String
            | Node::Word
            | Node::Data
            | Node::Binary
            | Node::Ref
            | Node::Token => true,
            Node::Var {
                range, level, soft, ..
            } => {
                if range == Range::Any && restrict && level != GENERIC {
                    self.restrict(ty, Range::Data);
                }
                range != Range::Any || soft || (restrict && level != GENERIC)
            }
            Node::Rigid { range, .. } => range != Range::Any,
            Node::Array(_)
            | Node::Map(_)
            | Node::Tuple(_)
            | Node::Labeled(_)
            | Node::Record(_)
            | Node::Case(..)
            | Node::Union(..)
            | Node::Plus(..) => self.parts(ty).all(|child| self.data_range(child, restrict)),
            _ => false,
        }
    }

    pub(super) fn make_word_range(&mut self, ty: Ty) -> bool {
        match self.node(ty) {
            Node::Null | Node::Number | Node::String | Node::Word => true,
            Node::Var { level, .. } if level != GENERIC => {
                self.restrict(ty, Range::Word);
                true
            }
            Node::Rigid { range, .. } => range == Range::Word,
            _ => false,
        }
    }

    /// Whether a type mentions a node that the test accepts.
    pub fn mentions(&mut self, ty: Ty, test: &dyn Fn(&Node) -> bool) -> bool {
        if !self.step() {
            return false;
        }
        let node = self.node(ty);
        if test(&node) {
            return true;
        }
        self.parts(ty).any(|child| self.mentions(child, test))
    }

    /// Sets all unsolved variables in a type to `data` (those that may be).
    pub fn default_to_data(&mut self, ty: Ty) {
        if !self.step() {
            return;
        }
        match self.node(ty) {
            Node::Var { level, .. } if level != GENERIC => {
                let target = match self.node(ty) {
                    Node::Var {
                        range: Range::Word, ..
                    } => Ty::WORD,
                    _ => Ty::DATA,
                };
                self.bind(ty, target);
            }
            _ => {
                for child in self.parts(ty) {
                    self.default_to_data(child);
                }
            }
        }
    }

    /// Quantifies the variables above the current level.
    pub fn generalize(&mut self, ty: Ty) {
        let ty = self.find(ty);
        if !self.step() {
            return;
        }
        if let Node::Var {
            level, range, name, ..
        } = self.nodes[ty.0 as usize].clone()
        {
            if level > self.level && level != GENERIC {
                self.set(
                    ty,
                    Node::Var {
                        level: GENERIC,
                        range,
                        name: name.filter(|name| &**name != NEVER),
                        soft: false,
                    },
                );
            }
            return;
        }
        for child in self.parts(ty) {
            self.generalize(child);
        }
    }

    /// Replaces the parts of a type for which `replace` gives another; unchanged types are shared.
    pub fn rewrite(
        &mut self,
        ty: Ty,
        replace: &mut dyn FnMut(&mut Types, Ty, &Node) -> Option<Ty>,
    ) -> Ty {
        self.rewritten(ty, replace, true)
    }

    /// A copy of a type as it is now, whatever of it is undone later.
    pub fn snapshot(&mut self, ty: Ty) -> Ty {
        self.rewritten(ty, &mut |_, _, _| None, false)
    }

    fn rewritten(
        &mut self,
        ty: Ty,
        replace: &mut dyn FnMut(&mut Types, Ty, &Node) -> Option<Ty>,
        shares: bool,
    ) -> Ty {
        let ty = self.find(ty);
        if !self.step() {
            return ty;
        }
        let node = self.nodes[ty.0 as usize].clone();
        if let Some(new) = replace(self, ty, &node) {
            return new;
        }
        let children = self.children(ty);
        if children.is_empty() {
            return ty;
        }
        let mut changed = !shares;
        let new: Vec<Ty> = children
            .iter()
            .map(|child| {
                let result = self.rewritten(*child, replace, shares);
                changed |= result != self.find(*child);
                result
            })
            .collect();
        if !changed {
            return ty;
        }
        let mut rest = new.iter().copied();
        let mut next = || rest.next().unwrap_or(Ty::DATA);
        let rebuilt = match node {
            Node::Array(_) => Node::Array(next()),
            Node::Map(_) => Node::Map(next()),
            Node::Stream(_) => Node::Stream(next()),
            Node::Link(_, var) => Node::Link(next(), var),
            Node::Forall(_) => Node::Forall(next()),
            Node::Tuple(_) => Node::Tuple(new.clone().into()),
            Node::Opaque(name, _) => Node::Opaque(name, new.clone().into()),
            Node::Module(id, _) => Node::Module(id, new.clone().into()),
            Node::Labeled(fields) => {
                Node::Labeled(fields.iter().map(|(l, _)| (l.clone(), next())).collect())
            }
            Node::Record(fields) => {
                Node::Record(fields.iter().map(|(l, _)| (l.clone(), next())).collect())
            }
            Node::Case(name, argument) => Node::Case(name, argument.map(|_| next())),
            Node::Union(cases, nullable) => Node::Union(
                cases
                    .iter()
                    .map(|(name, argument)| (name.clone(), argument.map(|_| next())))
                    .collect(),
                nullable,
            ),
            Node::Fun(..) => Node::Fun(next(), next()),
            Node::Plus(..) => Node::Plus(next(), next()),
            other => other,
        };
        self.add(rebuilt)
    }

    /// A copy with fresh variables for the quantified ones. Also lists the delayed sums in it.
    pub fn instantiate(&mut self, ty: Ty, sums: &mut Vec<Ty>) -> Ty {
        let mut fresh: Vec<(Ty, Ty)> = Vec::new();
        self.instantiate_with(ty, &mut fresh, sums)
    }

    /// The same with given replacements, which grow.
    pub fn instantiate_with(
        &mut self,
        ty: Ty,
        fresh: &mut Vec<(Ty, Ty)>,
        sums: &mut Vec<Ty>,
    ) -> Ty {
        let result = self.rewrite(ty, &mut |types, at, node| match node {
            Node::Var {
                level: GENERIC,
                range,
                ..
            } => {
                if let Some((_, new)) = fresh.iter().find(|(old, _)| *old == at) {
                    return Some(*new);
                }
                let new = types.fresh_in(*range);
                fresh.push((at, new));
                Some(new)
            }
            Node::Rigid { .. } => fresh
                .iter()
                .find(|(old, _)| *old == at)
                .map(|(_, new)| *new),
            Node::Forall(_) => Some(at),
            _ => None,
        });
        self.collect_sums(result, sums);
        result
    }

    pub(super) fn collect_sums(&mut self, ty: Ty, sums: &mut Vec<Ty>) {
        if !self.step() {
            return;
        }
        let ty = self.find(ty);
        if matches!(self.nodes[ty.0 as usize], Node::Plus(..)) {
            sums.push(ty);
        }
        for child in self.parts(ty) {
            self.collect_sums(child, sums);
        }
    }

    /// Whether a type is small enough to be the type of a definition.
    pub fn is_moderate(&mut self, ty: Ty) -> bool {
        let mut nodes = 0;
        self.measure(ty, 0, &mut nodes)
    }

    pub(super) fn measure(&mut self, ty: Ty, depth: u32, nodes: &mut u32) -> bool {
        *nodes += 1;
        if *nodes > MAX_NODES || depth > MAX_DEPTH {
            return false;
        }
        self.parts(ty)
            .all(|child| self.measure(child, depth + 1, nodes))
    }

    /// Splits `n` parameters off a function type as far as it is one.
    pub fn peel(&mut self, ty: Ty, n: usize) -> (Vec<Ty>, Ty) {
        let mut params = Vec::new();
        let mut rest = ty;
        while params.len() < n {
            match self.node(rest) {
                Node::Fun(from, to) => {
                    params.push(from);
                    rest = to;
                }
                _ => break,
            }
        }
        (params, rest)
    }

    /// Number of arrows.
    pub fn arity(&mut self, ty: Ty) -> u32 {
        let mut count = 0;
        let mut rest = ty;
        while let Node::Fun(_, to) = self.node(rest) {
            count += 1;
            rest = to;
        }
        count
    }
}
