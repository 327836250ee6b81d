//! Types during inference: an arena of nodes with variables bound in place.
//!
//! Bindings go over a trail so that a failed attempt can be undone
//! ([`Types::mark`], [`Types::undo`]). All walks share a budget per phrase, so
//! that types of exponential size end in an error and not in a hang.

use crate::syntax::ast::Symbol;
use std::rc::Rc;

/// A type: index of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Ty(pub u32);

/// What a variable may become.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Range {
    /// Any type.
    Any,
    /// Data-range types.
    Data,
    /// Types below `word`.
    Word,
}

/// Level of quantified variables.
pub const GENERIC: u32 = u32::MAX;

/// A type node. Lists are shared, so a node is cheap to copy.
#[derive(Debug, Clone)]
pub enum Node {
    /// A solved variable.
    Bound(Ty),
    /// An unsolved (or, at level [`GENERIC`], quantified) variable.
    Var {
        level: u32,
        range: Range,
        name: Option<Symbol>,
        /// The type of a field of a still unknown type: becomes `data` at the latest.
        soft: bool,
    },
    /// A named variable of the declaration that is being checked.
    Rigid {
        name: Symbol,
        range: Range,
    },
    Null,
    Bool,
    Number,
    String,
    Word,
    Data,
    Binary,
    Ref,
    Token,
    Appstate,
    Any,
    Opaque(Symbol, Rc<[Ty]>),
    Array(Ty),
    Map(Ty),
    Stream(Ty),
    /// `link(T)`, `link(T)<var>`
    Link(Ty, bool),
    Tuple(Rc<[Ty]>),
    Labeled(Rc<[(Symbol, Ty)]>),
    /// Fields ascending.
    Record(Rc<[(Symbol, Ty)]>),
    /// Full name and argument.
    Case(Symbol, Option<Ty>),
    /// Cases ascending by name; whether null is a written member.
    Union(Rc<[(Symbol, Option<Ty>)]>, bool),
    Fun(Ty, Ty),
    /// Instances of a module, with its type arguments.
    Module(u32, Rc<[Ty]>),
    /// The delayed result of `+`.
    Plus(Ty, Ty),
    /// `~forall`: generic variables inside.
    Forall(Ty),
}
impl Ty {
    pub const NULL: Ty = Ty(0);

    pub const BOOL: Ty = Ty(1);

    pub const NUMBER: Ty = Ty(2);

    pub const STRING: Ty = Ty(3);

    pub const WORD: Ty = Ty(4);

    pub const DATA: Ty = Ty(5);

    pub const BINARY: Ty = Ty(6);

    pub const REF: Ty = Ty(7);

    pub const TOKEN: Ty = Ty(8);

    pub const APPSTATE: Ty = Ty(9);

    pub const ANY: Ty = Ty(10);
}

/// What could be undone, and the steps that were left.
pub struct Trail(Vec<(Ty, Node)>, u32);

/// A point to undo to.
#[derive(Debug, Clone, Copy)]
pub struct Mark(usize);

/// The arena.
#[derive(Debug)]
pub struct Types {
    pub(super) nodes: Vec<Node>,
    trail: Vec<(Ty, Node)>,
    /// Names of the modules, for messages.
    pub module_names: Vec<Symbol>,
    /// The module being checked: its own cases are shown without its name.
    pub here: Symbol,
    /// Steps left for the running phrase.
    budget: u32,
    pub level: u32,
}

/// The mark of variables for values that never exist; no identifier.
pub(super) const NEVER: &str = "~never";

/// Steps of type walks per phrase.
const BUDGET: u32 = 2_000_000;
impl Types {
    pub fn new() -> Self {
        Types {
            nodes: vec![
                Node::Null,
                Node::Bool,
                Node::Number,
                Node::String,
                Node::Word,
                Node::Data,
                Node::Binary,
                Node::Ref,
                Node::Token,
                Node::Appstate,
                Node::Any,
            ],
            trail: Vec::new(),
            module_names: Vec::new(),
            here: Symbol::from(""),
            budget: BUDGET,
            level: 1,
        }
    }

    /// A new phrase: full budget, nothing to undo.
    pub fn start_phrase(&mut self) {
        self.budget = BUDGET;
        self.trail.clear();
    }

    /// Counts a step; false when the budget is used up.
    pub fn step(&mut self) -> bool {
        if self.budget == 0 {
            return false;
        }
        self.budget -= 1;
        true
    }

    pub fn exhausted(&self) -> bool {
        self.budget == 0
    }

    /// Forgets how to undo what was done so far, for a while: [`Types::resume`].
    pub fn set_aside(&mut self) -> Trail {
        Trail(std::mem::take(&mut self.trail), self.budget)
    }

    /// What was done since [`Types::set_aside`] stays; what was done before can be undone again.
    pub fn resume(&mut self, trail: Trail) {
        (self.trail, self.budget) = (trail.0, trail.1);
    }

    pub fn mark(&self) -> Mark {
        Mark(self.trail.len())
    }

    pub fn undo(&mut self, mark: Mark) {
        while self.trail.len() > mark.0 {
            if let Some((ty, node)) = self.trail.pop() {
                self.nodes[ty.0 as usize] = node;
            }
        }
    }

    pub(super) fn set(&mut self, ty: Ty, node: Node) {
        let old = std::mem::replace(&mut self.nodes[ty.0 as usize], node);
        self.trail.push((ty, old));
    }

    pub fn add(&mut self, node: Node) -> Ty {
        self.nodes.push(node);
        Ty(self.nodes.len() as u32 - 1)
    }

    pub fn fresh(&mut self) -> Ty {
        self.fresh_in(Range::Any)
    }

    pub fn fresh_in(&mut self, range: Range) -> Ty {
        let level = self.level;
        self.add(Node::Var {
            level,
            range,
            name: None,
            soft: false,
        })
    }

    pub fn fresh_soft(&mut self) -> Ty {
        let level = self.level;
        self.add(Node::Var {
            level,
            range: Range::Any,
            name: None,
            soft: true,
        })
    }

    /// A variable for a value that never exists: `undefined`, the result of `fail`.
    pub fn fresh_never(&mut self) -> Ty {
        let level = self.level;
        self.add(Node::Var {
            level,
            range: Range::Any,
            name: Some(NEVER.into()),
            soft: false,
        })
    }

    /// Marks an unsolved variable as the type of a value that never exists.
    pub fn mark_never(&mut self, ty: Ty) {
        let at = self.find(ty);
        if let Node::Var {
            level,
            range,
            soft: false,
            ..
        } = self.nodes[at.0 as usize].clone()
            && level != GENERIC
        {
            self.set(
                at,
                Node::Var {
                    level,
                    range,
                    name: Some(NEVER.into()),
                    soft: false,
                },
            );
        }
    }

    pub fn is_never(&mut self, ty: Ty) -> bool {
        matches!(self.node(ty), Node::Var { name: Some(name), .. } if &*name == NEVER)
    }

    pub fn generic(&mut self, name: Option<Symbol>, range: Range) -> Ty {
        self.add(Node::Var {
            level: GENERIC,
            range,
            name,
            soft: false,
        })
    }

    pub fn array(&mut self, element: Ty) -> Ty {
        self.add(Node::Array(element))
    }

    pub fn map(&mut self, element: Ty) -> Ty {
        self.add(Node::Map(element))
    }

    pub fn stream(&mut self, element: Ty) -> Ty {
        self.add(Node::Stream(element))
    }

    pub fn fun(&mut self, from: Ty, to: Ty) -> Ty {
        self.add(Node::Fun(from, to))
    }

    pub fn funs(&mut self, params: &[Ty], result: Ty) -> Ty {
        let mut ty = result;
        for param in params.iter().rev() {
            ty = self.fun(*param, ty);
        }
        ty
    }

    pub fn record(&mut self, mut fields: Vec<(Symbol, Ty)>) -> Ty {
        fields.sort_by(|a, b| a.0.cmp(&b.0));
        self.add(Node::Record(fields.into()))
    }

    pub fn case(&mut self, name: &Symbol, argument: Option<Ty>) -> Ty {
        self.add(Node::Case(name.clone(), argument))
    }

    /// A union in canonical form (one case without null is that case).
    pub fn union(&mut self, mut cases: Vec<(Symbol, Option<Ty>)>, nullable: bool) -> Ty {
        cases.sort_by(|a, b| a.0.cmp(&b.0));
        match (&cases[..], nullable) {
            ([], _) => Ty::NULL,
            ([(name, argument)], false) => {
                let (name, argument) = (name.clone(), *argument);
                self.add(Node::Case(name, argument))
            }
            _ => self.add(Node::Union(cases.into(), nullable)),
        }
    }

    /// Follows solved variables and solves delayed sums that can be.
    pub fn find(&mut self, ty: Ty) -> Ty {
        let mut at = ty;
        loop {
            match self.nodes[at.0 as usize] {
                Node::Bound(next) => at = next,
                Node::Plus(left, right) => {
                    if !self.step() {
                        return at;
                    }
                    match super::operator::solve_plus(self, left, right) {
                        super::operator::Plus::Known(result) => {
                            let result = self.find(result);
                            if result == at {
                                return at;
                            }
                            self.set(at, Node::Bound(result));
                            at = result;
                        }
                        super::operator::Plus::Delayed | super::operator::Plus::Never => {
                            return at;
                        }
                    }
                }
                _ => return at,
            }
        }
    }

    /// The node a type stands for.
    pub fn node(&mut self, ty: Ty) -> Node {
        let at = self.find(ty);
        self.nodes[at.0 as usize].clone()
    }

    pub fn is_var(&mut self, ty: Ty) -> bool {
        matches!(self.node(ty), Node::Var { .. })
    }

    pub fn is_soft(&mut self, ty: Ty) -> bool {
        matches!(self.node(ty), Node::Var { soft: true, .. })
    }

    /// Restricts an unsolved variable.
    pub fn restrict(&mut self, ty: Ty, range: Range) {
        let at = self.find(ty);
        if let Node::Var {
            level,
            range: old,
            name,
            soft,
        } = self.nodes[at.0 as usize].clone()
            && old < range
        {
            self.set(
                at,
                Node::Var {
                    level,
                    range,
                    name,
                    soft,
                },
            );
        }
    }

    /// Binds an unsolved variable; false if the type contains it or does not fit its range.
    pub fn bind(&mut self, var: Ty, ty: Ty) -> bool {
        let var = self.find(var);
        let ty = self.find(ty);
        if var == ty {
            return true;
        }
        let Node::Var { level, range, .. } = self.nodes[var.0 as usize].clone() else {
            return false;
        };
        if !self.prepare(var, ty, level) {
            return false;
        }
        let fits = match range {
            Range::Any => true,
            Range::Data => self.make_data_range(ty),
            Range::Word => self.make_word_range(ty),
        };
        if !fits {
            return false;
        }
        self.set(var, Node::Bound(ty));
        true
    }

    /// Occurs check and lowering of levels.
    pub(super) fn prepare(&mut self, var: Ty, ty: Ty, level: u32) -> bool {
        let ty = self.find(ty);
        if !self.step() || var == ty {
            return false;
        }
        if let Node::Var {
            level: other,
            range,
            name,
            soft,
        } = self.nodes[ty.0 as usize].clone()
        {
            if other > level && other != GENERIC {
                self.set(
                    ty,
                    Node::Var {
                        level,
                        range,
                        name,
                        soft,
                    },
                );
            }
            return true;
        }
        self.parts(ty).all(|child| self.prepare(var, child, level))
    }

    /// The parts of a type.
    pub fn children(&mut self, ty: Ty) -> Vec<Ty> {
        self.parts(ty).collect()
    }

    /// The parts of a type as it is now, one after the other.
    pub fn parts(&mut self, ty: Ty) -> Parts {
        Parts {
            node: self.node(ty),
            next: 0,
        }
    }
}

/// The parts of a type.
pub struct Parts {
    node: Node,
    next: usize,
}

impl Iterator for Parts {
    type Item = Ty;

    fn next(&mut self) -> Option<Ty> {
        let at = self.next;
        self.next += 1;
        match &self.node {
            Node::Array(t) | Node::Map(t) | Node::Stream(t) | Node::Link(t, _) => {
                (at == 0).then_some(*t)
            }
            Node::Forall(t) => (at == 0).then_some(*t),
            Node::Tuple(parts) | Node::Opaque(_, parts) | Node::Module(_, parts) => {
                parts.get(at).copied()
            }
            Node::Labeled(fields) | Node::Record(fields) => fields.get(at).map(|(_, t)| *t),
            Node::Case(_, argument) => argument.filter(|_| at == 0),
            Node::Union(cases, _) => {
                let after = cases.get(at..)?;
                let (skipped, argument) = after
                    .iter()
                    .enumerate()
                    .find_map(|(skipped, (_, argument))| Some((skipped, (*argument)?)))?;
                self.next += skipped;
                Some(argument)
            }
            Node::Fun(a, b) | Node::Plus(a, b) => [*a, *b].get(at).copied(),
            _ => None,
        }
    }
}
