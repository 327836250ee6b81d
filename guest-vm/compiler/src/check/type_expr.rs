//! Written types.

use super::env::{Checked, MemberKind, Stop, TypeInfo};
use super::types::{Node, Range, Ty};
use super::{Checker, suggest::suggest};
use crate::core::ModuleId;
use crate::issue::{Code, Issue};
use crate::syntax::ast::{Ident, Symbol, TypeDef, TypeExpr, TypeKind, TypeRange};
use crate::syntax::span::Span;
use crate::tables::HashSet;

/// What type variables written in a type become.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VarMode {
    /// Unification variables: hints and annotations.
    Flexible,
    /// Quantified: declarations, cases.
    Quantified,
    /// None may be written: definitions of types.
    Closed,
}

/// Names of the predefined types, for suggestions.
pub(super) const PREDEFINED: &[&str] = &[
    "null", "bool", "number", "string", "word", "data", "any", "binary", "token", "appstate",
    "array", "map", "stream", "link", "option", "result",
];

impl Checker<'_> {
    /// The type of an annotation.
    pub(super) fn hint(&mut self, ty: &TypeExpr) -> Checked<Ty> {
        self.written(ty, VarMode::Flexible)
    }

    /// The type of a declaration; the names of variables are not shared with other types.
    pub(super) fn declared_type(&mut self, ty: &TypeExpr) -> Checked<Ty> {
        let own = self.infos[self.cur.id.0 as usize]
            .type_vars
            .iter()
            .cloned()
            .collect();
        let saved = std::mem::replace(&mut self.cur.type_names, own);
        let result = self.written(ty, VarMode::Quantified);
        self.cur.type_names = saved;
        result
    }

    /// The meaning of a written type.
    pub(super) fn written(&mut self, ty: &TypeExpr, mode: VarMode) -> Checked<Ty> {
        Ok(match &ty.kind {
            TypeKind::Wildcard => self.new_var(mode, None, Range::Any),
            TypeKind::Null => Ty::NULL,
            TypeKind::Ranged { name, range } => {
                let range = match range {
                    TypeRange::Data => Range::Data,
                    TypeRange::Word => Range::Word,
                };
                self.type_variable(&name.text, mode, range, ty.span)?
            }
            TypeKind::Tuple(parts) => {
                let parts = self.written_all(parts, mode)?;
                self.types.add(Node::Tuple(parts.into()))
            }
            TypeKind::LabeledTuple(fields) => {
                let mut parts = Vec::new();
                let mut seen = HashSet::default();
                for (label, part) in fields {
                    if !seen.insert(&label.text) {
                        return Err(duplicate_key(label));
                    }
                    parts.push((label.text.clone(), self.written(part, mode)?));
                }
                self.types.add(Node::Labeled(parts.into()))
            }
            TypeKind::Record(fields) => {
                let mut parts = Vec::new();
                let mut seen = HashSet::default();
                for (name, part) in fields {
                    if !seen.insert(&name.text) {
                        return Err(duplicate_key(name));
                    }
                    parts.push((name.text.clone(), self.written(part, mode)?));
                }
                self.types.record(parts)
            }
            TypeKind::Function(from, to) => {
                let from = self.written(from, mode)?;
                let to = self.written(to, mode)?;
                self.types.fun(from, to)
            }
            TypeKind::Sum(parts) => {
                let mut parts = self.written_all(parts, mode)?.into_iter();
                let mut sum = parts.next().unwrap_or(Ty::DATA);
                for part in parts {
                    sum = self.types.add(Node::Plus(sum, part));
                }
                sum
            }
            TypeKind::Stream(element) => {
                let element = self.written(element, mode)?;
                self.types.stream(element)
            }
            TypeKind::Forall(names, body) => {
                if !self.cur.pragmas.strict && !self.cur.library && self.cur.linked.is_none() {
                    return Err(Issue::new(Code::TypeForall, ty.span)
                        .hint("add _pragma_ {strictTyping: true}")
                        .into());
                }
                let saved = self.cur.type_names.clone();
                for name in names {
                    let var = self.types.generic(Some(name.text.clone()), Range::Any);
                    self.cur.type_names.insert(name.text.clone(), var);
                }
                let body = self.written(body, mode);
                self.cur.type_names = saved;
                let body = body?;
                self.types.add(Node::Forall(body))
            }
            TypeKind::ModuleType(name) => {
                let (id, binds) = self.module_of_type(name)?;
                let vars = self.infos[id.0 as usize].type_vars.clone();
                let args: Vec<Ty> = vars
                    .iter()
                    .map(|(_, var)| {
                        binds
                            .iter()
                            .find(|(old, _)| old == var)
                            .map(|(_, new)| *new)
                            .unwrap_or_else(|| self.new_var(mode, None, Range::Any))
                    })
                    .collect();
                self.types.add(Node::Module(id.0, args.into()))
            }
            TypeKind::Opaque(name) => {
                if !self.cur.library {
                    return Err(Issue::new(Code::TypeUnknown, ty.span)
                        .with("name", format!("<\"{name}\">"))
                        .hint("opaque types belong to the standard library")
                        .into());
                }
                self.types
                    .add(Node::Opaque(name.clone(), Vec::new().into()))
            }
            TypeKind::Named {
                module,
                name,
                args,
                is_var,
            } => self.named(module.as_ref(), name, args, *is_var, mode, ty.span)?,
        })
    }

    fn written_all(&mut self, parts: &[TypeExpr], mode: VarMode) -> Checked<Vec<Ty>> {
        parts.iter().map(|part| self.written(part, mode)).collect()
    }

    fn new_var(&mut self, mode: VarMode, name: Option<Symbol>, range: Range) -> Ty {
        match mode {
            VarMode::Flexible => self.types.fresh_in(range),
            VarMode::Quantified | VarMode::Closed => self.types.generic(name, range),
        }
    }

    fn type_variable(
        &mut self,
        name: &Symbol,
        mode: VarMode,
        range: Range,
        span: Span,
    ) -> Checked<Ty> {
        if let Some(var) = self.cur.type_names.get(name) {
            return Ok(*var);
        }
        if mode == VarMode::Closed {
            return Err(self.unknown_type(name, span));
        }
        let var = self.new_var(mode, Some(name.clone()), range);
        self.cur.type_names.insert(name.clone(), var);
        Ok(var)
    }

    fn unknown_type(&mut self, name: &Symbol, span: Span) -> Stop {
        let info = &self.infos[self.cur.id.0 as usize];
        let own: Vec<Symbol> = info.types.keys().cloned().collect();
        let hint = suggest(
            name,
            PREDEFINED
                .iter()
                .copied()
                .chain(own.iter().map(|name| &**name)),
        );
        let familiar = super::familiar::type_name(name);
        let issue = Issue::new(Code::TypeUnknown, span).with("name", name);
        if let Some(place) = self.cur.types_to_come.get(name) {
            return issue
                .note(*place, "it is defined here, further down")
                .hint("types are defined before their use; data that holds data of its own kind has type data")
                .into();
        }
        issue
            .hint_if(familiar.map(|name| format!("it is written {name}")))
            .hint_if(hint.map(|hint| format!("did you mean {hint}?")))
            .into()
    }

    fn module_of_type(&mut self, name: &Ident) -> Checked<(ModuleId, Vec<(Ty, Ty)>)> {
        if name.text == self.cur.name {
            return Ok((self.cur.id, Vec::new()));
        }
        if let Some(member) = self.use_member(&name.text) {
            return match member.kind {
                MemberKind::Import(import) => Ok((import.module, import.binds)),
                MemberKind::Broken => Err(self.silent()),
                _ => Err(Issue::new(Code::ModUnknown, name.span)
                    .with("name", &name.text)
                    .into()),
            };
        }
        self.require(&name.text, name.span)
    }

    fn named(
        &mut self,
        module: Option<&Ident>,
        name: &Ident,
        args: &[TypeExpr],
        is_var: bool,
        mode: VarMode,
        span: Span,
    ) -> Checked<Ty> {
        if let Some(module) = module {
            if &*module.text == "db" && &*name.text == "ref" {
                return Ok(Ty::REF);
            }
            let (id, binds) = self.module_of_type(module)?;
            self.record_module(id, module.span);
            let info = &self.infos[id.0 as usize];
            if info.broken_types.contains(&name.text) {
                return Err(self.silent());
            }
            let found = info.types.get(&name.text).cloned();
            let case = info.members.get(&name.text).cloned();
            if let Some(found) = found {
                self.record_type(id, name);
                let args = self.type_args(name, args, found.params.len(), mode)?;
                return Ok(self.expand(&found, &args, &binds));
            }
            if let Some(MemberKind::Case(case)) = case.map(|member| member.kind) {
                self.record_type(id, name);
                return self.case_type(&case.full_name, case.argument, name, args, mode);
            }
            self.record_types_of(id, &name.text);
            let names: Vec<Symbol> = self.infos[id.0 as usize].types.keys().cloned().collect();
            let issue = Issue::new(Code::TypeUnknown, span)
                .with("name", format!("{}.{}", module.text, name.text));
            return Err(match suggest(&name.text, names.iter().map(|n| &**n)) {
                Some(hint) => issue
                    .hint(format!("did you mean {}.{hint}?", module.text))
                    .into(),
                None => issue.into(),
            });
        }
        if self.cur.defining_type.as_ref() == Some(&name.text) {
            return Err(Issue::new(Code::TypeRecursive, span)
                .with("name", &name.text)
                .hint("a type is only an abbreviation; recursive data has type data")
                .into());
        }
        let info = &self.infos[self.cur.id.0 as usize];
        if info.broken_types.contains(&name.text) {
            return Err(self.silent());
        }
        if let Some(found) = info.types.get(&name.text).cloned() {
            self.record_type(self.cur.id, name);
            let args = self.type_args(name, args, found.params.len(), mode)?;
            return Ok(self.expand(&found, &args, &[]));
        }
        if let Some(MemberKind::Case(case)) = info.members.get(&name.text).map(|m| m.kind.clone()) {
            self.record_type(self.cur.id, name);
            return self.case_type(&case.full_name, case.argument, name, args, mode);
        }
        if let Some(var) = self.cur.type_names.get(&name.text) {
            let var = *var;
            self.type_args(name, args, 0, mode)?;
            return Ok(var);
        }
        let simple = match &*name.text {
            "null" => Some(Ty::NULL),
            "bool" => Some(Ty::BOOL),
            "number" => Some(Ty::NUMBER),
            "string" => Some(Ty::STRING),
            "word" => Some(Ty::WORD),
            "data" => Some(Ty::DATA),
            "any" => Some(Ty::ANY),
            "binary" => Some(Ty::BINARY),
            "token" => Some(Ty::TOKEN),
            "appstate" => Some(Ty::APPSTATE),
            _ => None,
        };
        if let Some(simple) = simple {
            self.type_args(name, args, 0, mode)?;
            return Ok(simple);
        }
        match &*name.text {
            "array" | "map" | "stream" | "link" => {
                let arg = self.type_args(name, args, 1, mode)?[0];
                return Ok(match &*name.text {
                    "array" => self.types.array(arg),
                    "map" => self.types.map(arg),
                    "stream" => self.types.stream(arg),
                    _ => self.types.add(Node::Link(arg, is_var)),
                });
            }
            _ => {}
        }
        let of_session = self
            .session_globals()
            .and_then(|id| self.infos[id.0 as usize].types.get(&name.text).cloned());
        if let Some(found) = of_session.or_else(|| self.predefined_types.get(&*name.text).cloned())
        {
            let args = self.type_args(name, args, found.params.len(), mode)?;
            return Ok(self.expand(&found, &args, &[]));
        }
        if let Some(case) = self.global_case(&name.text) {
            return self.case_type(&case.full_name, case.argument, name, args, mode);
        }
        // A variable stands alone: with arguments it is the name of some type.
        if name.text.starts_with(|c: char| c.is_ascii_uppercase()) && args.is_empty() {
            return self.type_variable(&name.text, mode, Range::Any, span);
        }
        self.record_visible_types(&name.text);
        Err(self.unknown_type(&name.text, span))
    }

    /// The written arguments, or a fresh variable for each.
    fn type_args(
        &mut self,
        name: &Ident,
        args: &[TypeExpr],
        count: usize,
        mode: VarMode,
    ) -> Checked<Vec<Ty>> {
        if args.is_empty() {
            return Ok((0..count)
                .map(|_| self.new_var(mode, None, Range::Any))
                .collect());
        }
        if args.len() != count {
            let letters = ["A", "B", "C", "D"];
            let shown = letters[..count.min(letters.len())].join(", ");
            return Err(Issue::new(Code::TypeArity, name.span)
                .with("name", &name.text)
                .with("expected", count)
                .hint(match count {
                    0 => format!("write {} alone", name.text),
                    _ => format!("write {}({shown})", name.text),
                })
                .into());
        }
        self.written_all(args, mode)
    }

    fn case_type(
        &mut self,
        full_name: &Symbol,
        argument: Option<Ty>,
        name: &Ident,
        args: &[TypeExpr],
        mode: VarMode,
    ) -> Checked<Ty> {
        let argument = match (argument, args) {
            (None, []) => None,
            (Some(declared), []) => {
                let mut seen: Vec<(Ty, Ty)> = Vec::new();
                let closed = mode != VarMode::Flexible;
                Some(
                    self.types
                        .rewrite(declared, &mut |types, at, node| match node {
                            Node::Var {
                                level: super::types::GENERIC,
                                range,
                                ..
                            } => {
                                if let Some((_, new)) = seen.iter().find(|(old, _)| *old == at) {
                                    return Some(*new);
                                }
                                let new = if closed {
                                    types.generic(None, *range)
                                } else {
                                    types.fresh_in(*range)
                                };
                                seen.push((at, new));
                                Some(new)
                            }
                            _ => None,
                        }),
                )
            }
            (Some(_), [one]) => Some(self.written(one, mode)?),
            (argument, _) => {
                return Err(Issue::new(Code::TypeArity, name.span)
                    .with("name", &name.text)
                    .with("expected", usize::from(argument.is_some()))
                    .hint("the type of a case has the argument the case has: one, or none")
                    .into());
            }
        };
        Ok(self.types.case(full_name, argument))
    }

    /// A named type with its parameters replaced.
    pub(super) fn expand(&mut self, found: &TypeInfo, args: &[Ty], binds: &[(Ty, Ty)]) -> Ty {
        let pairs: Vec<(Ty, Ty)> = found
            .params
            .iter()
            .copied()
            .zip(args.iter().copied())
            .chain(binds.iter().copied())
            .collect();
        if pairs.is_empty() {
            return found.body;
        }
        self.types.rewrite(found.body, &mut |_, at, _| {
            pairs
                .iter()
                .find(|(old, _)| *old == at)
                .map(|(_, new)| *new)
        })
    }

    /// A `type` phrase.
    pub(super) fn type_definition(&mut self, def: &TypeDef) -> Checked<()> {
        let mut params = Vec::new();
        for name in &def.params {
            let var = self.types.generic(Some(name.text.clone()), Range::Any);
            if self.cur.type_names.contains_key(&name.text)
                && def.params.iter().filter(|p| p.text == name.text).count() > 1
            {
                return Err(Issue::new(Code::NameDupParam, name.span)
                    .with("name", &name.text)
                    .into());
            }
            self.cur.type_names.insert(name.text.clone(), var);
            params.push(var);
        }
        self.cur.defining_type = Some(def.name.text.clone());
        let body = self.type_body(def, &params);
        self.cur.defining_type = None;
        let body = body?;
        self.infos[self.cur.id.0 as usize]
            .types
            .insert(def.name.text.clone(), TypeInfo { params, body });
        Ok(())
    }

    fn type_body(&mut self, def: &TypeDef, params: &[Ty]) -> Checked<Ty> {
        if let [only] = &def.members[..] {
            // An opaque type keeps its parameters apart.
            if let TypeKind::Opaque(name) = &only.kind
                && self.cur.library
            {
                return Ok(self
                    .types
                    .add(Node::Opaque(name.clone(), params.to_vec().into())));
            }
            return self.written(only, VarMode::Closed);
        }
        let mut cases: Vec<(Symbol, Option<Ty>)> = Vec::new();
        let mut nullable = false;
        for member in &def.members {
            let ty = self.written(member, VarMode::Closed)?;
            let node = self.types.node(ty);
            if !matches!(node, Node::Case(..) | Node::Union(..) | Node::Null) {
                let shown = self.types.show(ty);
                return Err(Issue::new(Code::TypeBadUnion, member.span)
                    .with("type", shown)
                    .hint("unions are made of cases, other unions and null")
                    .into());
            }
            let (members, null) = self.types.members(ty);
            if null && nullable {
                return Err(Issue::new(Code::TypeDupCase, member.span)
                    .with("name", "null")
                    .into());
            }
            nullable |= null;
            for (name, argument) in members {
                if cases.iter().any(|(n, _)| *n == name) {
                    return Err(Issue::new(Code::TypeDupCase, member.span)
                        .with("name", self.types.local_name(&name))
                        .hint(
                            "name each case once; a union that is a member brings its cases along",
                        )
                        .into());
                }
                cases.push((name, argument));
            }
        }
        Ok(self.types.union(cases, nullable))
    }
}

fn duplicate_key(name: &Ident) -> Stop {
    Issue::new(Code::NameDupKey, name.span)
        .with("name", &name.text)
        .into()
}
