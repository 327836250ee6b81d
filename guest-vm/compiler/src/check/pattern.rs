//! Patterns: what they match, which locals they bind, with which types.

use super::Checker;
use super::env::{CaseInfo, Checked, MemberKind};
use super::types::{Node, Ty};
use crate::core::{
    CompareRight, Constant, ElementKind, LocalId, Pattern, PatternElement, PatternField,
    PatternKind,
};
use crate::issue::{Code, Issue};
use crate::syntax::ast::{self, Ident, Literal, Qualifier, Symbol};
use crate::syntax::span::Span;

/// A name bound by the pattern under work.
#[derive(Debug, Clone)]
pub(super) struct Bound {
    name: Symbol,
    local: LocalId,
    ty: Ty,
    /// It is the subject of a comparison in the running `&&` chain and may be one again.
    subject: bool,
}

impl Checker<'_> {
    /// A pattern for values of a type; binds its names in the running scope.
    pub(super) fn pattern(
        &mut self,
        p: &ast::Pattern,
        ty: Ty,
        seen: &mut Vec<Bound>,
    ) -> Checked<Pattern> {
        self.settle()?;
        self.part(p, ty, seen, None)
    }

    /// `reuse`: the right side of `||` binds the locals of the left side.
    fn part(
        &mut self,
        p: &ast::Pattern,
        ty: Ty,
        seen: &mut Vec<Bound>,
        reuse: Option<&[Bound]>,
    ) -> Checked<Pattern> {
        let span = p.span;
        let kind = match &p.kind {
            ast::PatternKind::Wildcard => PatternKind::Any,
            ast::PatternKind::Name(name) => {
                self.warn_shadowed_case(name, span);
                PatternKind::Bind(self.pattern_name(name, ty, span, seen, reuse, false)?)
            }
            ast::PatternKind::Literal(literal) => PatternKind::Literal(literal_constant(literal)),
            ast::PatternKind::Compare { subject, op, right } => {
                let right = match right {
                    ast::CompareRight::Literal(literal, _) => {
                        CompareRight::Constant(literal_constant(literal))
                    }
                    ast::CompareRight::Name(name, _) => {
                        let (expr, _) = self.infer_name(&name.text, name.span)?;
                        CompareRight::Expr(Box::new(expr))
                    }
                };
                let compare = PatternKind::Compare { op: *op, right };
                match subject {
                    None => compare,
                    Some(name)
                        if seen
                            .iter()
                            .any(|bound| bound.subject && bound.name == name.text) =>
                    {
                        compare
                    }
                    Some(name) => {
                        let local =
                            self.pattern_name(&name.text, ty, name.span, seen, reuse, true)?;
                        PatternKind::As(
                            local,
                            Box::new(Pattern {
                                kind: compare,
                                span,
                            }),
                        )
                    }
                }
            }
            ast::PatternKind::Type(written) => PatternKind::Type(self.assertable_type(written)?.1),
            ast::PatternKind::Case {
                qualifier,
                name,
                argument,
            } => {
                let case = self.pattern_case(qualifier.as_ref(), name)?;
                let argument = match (argument, case.argument) {
                    (None, None) => None,
                    (Some(_), None) => {
                        return Err(Issue::new(Code::NameNoArg, name.span)
                            .with("name", self.types.local_name(&case.full_name))
                            .hint(match qualifier {
                                None => {
                                    format!("a constant case is matched by `self.{}`", name.text)
                                }
                                Some(_) => format!("match it without an argument: {}", name.text),
                            })
                            .into());
                    }
                    (None, Some(_)) => {
                        return Err(Issue::new(Code::SynPattern, span)
                            .with("why", format!("case {} has an argument", case.full_name))
                            .hint(format!("write {}(_)", name.text))
                            .into());
                    }
                    (Some(inner), Some(_)) => {
                        let inner_ty = self.case_argument(&case, ty, span);
                        let inner = self.part(inner, inner_ty, seen, reuse)?;
                        end_chain(seen);
                        Some(Box::new(inner))
                    }
                };
                PatternKind::Case {
                    full_name: case.full_name,
                    argument,
                }
            }
            ast::PatternKind::Array(elements) => {
                let mut parts = Vec::new();
                let types = self.element_types(elements, ty)?;
                for (element, ty) in elements.iter().zip(types) {
                    let (kind, pattern, ty) = match element {
                        ast::PatternElement::Plain(pattern) => (ElementKind::Plain, pattern, ty),
                        ast::PatternElement::Optional(pattern) => {
                            (ElementKind::Optional, pattern, ty)
                        }
                        ast::PatternElement::Multiple(pattern) => {
                            let rest = self.types.array(ty);
                            (ElementKind::Multiple, pattern, rest)
                        }
                    };
                    let pattern = self.part(pattern, ty, seen, reuse)?;
                    end_chain(seen);
                    parts.push(PatternElement { kind, pattern });
                }
                PatternKind::Array(parts)
            }
            ast::PatternKind::Record(fields) => {
                let mut parts = Vec::new();
                for field in fields {
                    let ty = self.pattern_field(ty, &field.name.text);
                    let pattern = self.part(&field.pattern, ty, seen, reuse)?;
                    end_chain(seen);
                    parts.push(PatternField {
                        name: field.name.text.clone(),
                        optional: field.optional,
                        pattern,
                    });
                }
                PatternKind::Record(parts)
            }
            ast::PatternKind::And(left, right) => {
                let left = self.part(left, ty, seen, reuse)?;
                let right = self.part(right, ty, seen, reuse)?;
                PatternKind::And(Box::new(left), Box::new(right))
            }
            ast::PatternKind::Or(left, right) => {
                let start = seen.len();
                let left = self.part(left, ty, seen, reuse)?;
                let bound: Vec<Bound> = seen.drain(start..).collect();
                let right = self.part(right, ty, seen, Some(&bound))?;
                let again = seen.len() - start;
                if again != bound.len() {
                    return Err(Issue::new(Code::SynPattern, span)
                        .with("why", "both sides of || must bind the same names")
                        .into());
                }
                PatternKind::Or(Box::new(left), Box::new(right))
            }
            ast::PatternKind::As(name, inner) => {
                let bound_ty = match &inner.kind {
                    ast::PatternKind::Type(written) => {
                        let (ty, _) = self.assertable_type(written)?;
                        self.types.data_vars(ty);
                        ty
                    }
                    _ => ty,
                };
                let local =
                    self.pattern_name(&name.text, bound_ty, name.span, seen, reuse, false)?;
                let inner = self.part(inner, ty, seen, reuse)?;
                PatternKind::As(local, Box::new(inner))
            }
        };
        Ok(Pattern { kind, span })
    }

    fn pattern_name(
        &mut self,
        name: &Symbol,
        ty: Ty,
        span: Span,
        seen: &mut Vec<Bound>,
        reuse: Option<&[Bound]>,
        subject: bool,
    ) -> Checked<LocalId> {
        if seen.iter().any(|bound| bound.name == *name) {
            return Err(Issue::new(Code::NameDupPattern, span)
                .with("name", name)
                .hint(format!(
                    "bind two names and compare them in a guard, as in `when {name} == other`"
                ))
                .into());
        }
        let local = match reuse.and_then(|bound| bound.iter().find(|bound| bound.name == *name)) {
            Some(bound) => {
                let (local, old) = (bound.local, bound.ty);
                // Either side may have bound it.
                if self.types.find(old) != self.types.find(ty) {
                    let joined = self.types.join(old, ty, false).unwrap_or(Ty::DATA);
                    self.name_local(name, local, joined, false, None);
                }
                local
            }
            None if reuse.is_some() => {
                return Err(Issue::new(Code::SynPattern, span)
                    .with("why", "both sides of || must bind the same names")
                    .into());
            }
            None => self.bind_local(name, ty, false, Some(span)),
        };
        if matches!(self.types.node(ty), Node::Appstate) {
            self.function().appstates.push(name.clone());
        }
        seen.push(Bound {
            name: name.clone(),
            local,
            ty,
            subject,
        });
        Ok(local)
    }

    /// The case a pattern names.
    pub(super) fn pattern_case(
        &mut self,
        qualifier: Option<&Qualifier>,
        name: &Ident,
    ) -> Checked<CaseInfo> {
        let not_a_case = || -> super::env::Stop {
            Issue::new(Code::NameCase, name.span)
                .with("name", &name.text)
                .hint(format!("a case is defined with `case {}(T)`", name.text))
                .into()
        };
        let member = match qualifier {
            Some(Qualifier::Global) => {
                return self.global_case(&name.text).ok_or_else(not_a_case);
            }
            Some(Qualifier::Module(module)) => {
                let expr = ast::Expr {
                    id: ast::NodeId(0),
                    kind: ast::ExprKind::Name(module.text.clone()),
                    span: module.span,
                };
                match self.module_named(&expr)? {
                    Some(super::reference::ModuleRef::Module {
                        id,
                        binds,
                        name: shown,
                        ..
                    }) => {
                        let mut member = self.visible_member(id, &shown, name)?;
                        if let MemberKind::Case(case) = &member.kind {
                            let case = self.case_of_module(case, id, &binds);
                            member.kind = MemberKind::Case(case);
                        }
                        member
                    }
                    None => {
                        return Err(Issue::new(Code::ModUnknown, module.span)
                            .with("name", &module.text)
                            .into());
                    }
                }
            }
            Some(Qualifier::SelfModule) => match self.use_member(&name.text) {
                Some(member) => member,
                None => return Err(self.unbound(&name.text, name.span)),
            },
            None => match self.use_member(&name.text) {
                Some(member) if matches!(member.kind, MemberKind::Case(_) | MemberKind::Broken) => {
                    member
                }
                other => {
                    if let Some(case) = self.global_case(&name.text) {
                        return Ok(case);
                    }
                    match other {
                        Some(_) => return Err(not_a_case()),
                        None => {
                            return Err(match self.lookup(&name.text, name.span) {
                                Ok(_) => not_a_case(),
                                Err(super::env::Stop::Issue(issue)) => issue
                                    .hint_if(Some(format!(
                                        "a case is defined with `case {}(T)`",
                                        name.text
                                    )))
                                    .into(),
                                Err(silent) => silent,
                            });
                        }
                    }
                }
            },
        };
        if !matches!(qualifier, Some(Qualifier::Module(_))) {
            self.record_member(self.cur.id, &name.text, &member, name.span);
        }
        match member.kind {
            MemberKind::Case(case) => Ok(case),
            MemberKind::Broken => Err(self.silent()),
            _ => Err(not_a_case()),
        }
    }

    /// The type of the argument of a case that a value of some type may be.
    fn case_argument(&mut self, case: &CaseInfo, ty: Ty, span: Span) -> Ty {
        match self.types.node(ty) {
            Node::Data | Node::Plus(..) => return Ty::DATA,
            Node::Any => return Ty::ANY,
            Node::Case(..) | Node::Union(..) => {
                let (members, _) = self.types.members(ty);
                if let Some((_, Some(argument))) = members
                    .into_iter()
                    .find(|(name, _)| *name == case.full_name)
                {
                    return argument;
                }
            }
            Node::Var { soft: true, .. } => {
                self.types.bind(ty, Ty::DATA);
                return Ty::DATA;
            }
            _ => {}
        }
        match case.argument {
            Some(argument) => self.instantiate(argument, span),
            None => Ty::NULL,
        }
    }

    fn element_types(&mut self, elements: &[ast::PatternElement], ty: Ty) -> Checked<Vec<Ty>> {
        let plain = elements
            .iter()
            .all(|element| matches!(element, ast::PatternElement::Plain(_)));
        let one = match self.types.node(ty) {
            Node::Tuple(parts) if plain && parts.len() == elements.len() => {
                return Ok(parts.to_vec());
            }
            Node::Labeled(fields) if plain && fields.len() == elements.len() => {
                return Ok(fields.iter().map(|(_, ty)| *ty).collect());
            }
            Node::Array(element) => element,
            Node::Tuple(_) | Node::Labeled(_) => {
                let mut joined: Option<Ty> = None;
                for part in self.types.children(ty) {
                    joined = match joined {
                        None => Some(part),
                        Some(so_far) => self.types.join(so_far, part, false),
                    };
                }
                joined.unwrap_or(Ty::DATA)
            }
            Node::Var { soft: false, .. } => {
                let element = self.types.fresh();
                let array = self.types.array(element);
                self.types.attempt(|types| types.unify(ty, array));
                element
            }
            Node::Any => Ty::ANY,
            _ => Ty::DATA,
        };
        Ok(vec![one; elements.len()])
    }

    fn pattern_field(&mut self, ty: Ty, name: &Symbol) -> Ty {
        match self.types.node(ty) {
            Node::Record(fields) => fields
                .iter()
                .find(|(field, _)| field == name)
                .map_or(Ty::DATA, |(_, ty)| *ty),
            Node::Map(element) => element,
            Node::Any => Ty::ANY,
            _ => Ty::DATA,
        }
    }

    /// Warns of a plain variable that is named like a case in scope.
    pub(super) fn warn_shadowed_case(&mut self, name: &Symbol, span: Span) {
        if !self.cur.pragmas.wants(Code::WarnShadowcase) || self.cur.library {
            return;
        }
        let qualifier = match self.own_member(name).map(|member| member.kind) {
            Some(MemberKind::Case(_)) => "self",
            Some(_) => return,
            // Names like `ok` and `error` are taken for what they say; nobody calls a value `unset`.
            None => match self.global_case(name) {
                Some(case) if case.argument.is_none() => "global",
                _ => return,
            },
        };
        self.warn(
            Issue::new(Code::WarnShadowcase, span)
                .with("name", name)
                .hint(format!("write `{qualifier}.{name}` to match the case")),
        );
    }

    /// Warns of arms that are never reached and of cases that are not covered.
    pub(super) fn warn_arms(&mut self, lambda: &ast::Lambda, types: &[Ty], span: Span) {
        if self.cur.library {
            return;
        }
        let mut covered = None;
        for arm in &lambda.arms {
            if let Some(before) = covered {
                self.warn(
                    Issue::new(Code::WarnUnreachable, arm.span)
                        .note(before, "this arm matches everything"),
                );
                break;
            }
            let all =
                arm.guard.is_none() && arm.params.iter().all(|param| catches_all(&param.pattern));
            if all {
                covered = arm
                    .params
                    .iter()
                    .map(|param| param.pattern.span)
                    .reduce(Span::to);
            }
        }
        if covered.is_some() || types.len() != 1 || !self.cur.pragmas.wants(Code::WarnNonexhaustive)
        {
            return;
        }
        let patterns: Vec<&ast::Pattern> = lambda
            .arms
            .iter()
            .filter(|arm| arm.guard.is_none())
            .filter_map(|arm| arm.params.first().map(|param| &param.pattern))
            .collect();
        self.warn_missing(&patterns, types[0], span);
    }

    /// Whether a pattern matches every value of a type (null and `undefined` aside).
    fn irrefutable(&mut self, pattern: &ast::Pattern, ty: Ty) -> bool {
        if catches_all(pattern) {
            return true;
        }
        match (&pattern.kind, self.types.node(ty)) {
            (ast::PatternKind::As(_, inner), _) => self.irrefutable(inner, ty),
            (ast::PatternKind::Record(fields), Node::Record(known)) => fields.iter().all(|field| {
                match known.iter().find(|(name, _)| *name == field.name.text) {
                    Some((_, ty)) => self.irrefutable(&field.pattern, *ty),
                    None => field.optional && catches_all(&field.pattern),
                }
            }),
            (ast::PatternKind::Array(elements), Node::Tuple(_) | Node::Labeled(_)) => {
                let parts = self.types.children(ty);
                parts.len() == elements.len()
                    && elements
                        .iter()
                        .zip(parts)
                        .all(|(element, ty)| match element {
                            ast::PatternElement::Plain(pattern) => self.irrefutable(pattern, ty),
                            _ => false,
                        })
            }
            _ => false,
        }
    }

    /// Warns if patterns without guards do not cover a closed type.
    pub(super) fn warn_missing(&mut self, patterns: &[&ast::Pattern], ty: Ty, span: Span) {
        if matches!(self.types.node(ty), Node::Bool) {
            return self.warn_missing_bool(patterns, span);
        }
        if !matches!(self.types.node(ty), Node::Case(..) | Node::Union(..)) {
            return;
        }
        let (members, nullable) = self.types.members(ty);
        let mut missing: Vec<String> = Vec::new();
        let mut names: Vec<Symbol> = Vec::new();
        let mut null = false;
        for pattern in patterns {
            let mut todo = vec![*pattern];
            while let Some(pattern) = todo.pop() {
                match &pattern.kind {
                    _ if catches_all(pattern) => return,
                    ast::PatternKind::Literal(Literal::Null) => null = true,
                    ast::PatternKind::Type(_) => return,
                    ast::PatternKind::Or(left, right) => todo.extend([&**left, &**right]),
                    ast::PatternKind::As(_, inner) => todo.push(inner),
                    ast::PatternKind::Case {
                        qualifier,
                        name,
                        argument,
                    } => {
                        if let Ok(case) = self.pattern_case(qualifier.as_ref(), name) {
                            let whole = match argument {
                                None => true,
                                Some(argument) => {
                                    let member = members
                                        .iter()
                                        .find(|(name, _)| *name == case.full_name)
                                        .and_then(|(_, ty)| *ty)
                                        .unwrap_or(Ty::DATA);
                                    self.irrefutable(argument, member)
                                }
                            };
                            if whole {
                                names.push(case.full_name);
                            }
                        }
                    }
                    _ => {}
                }
            }
        }
        for (name, _) in members {
            if !names.contains(&name) {
                missing.push(self.types.local_name(&name).to_string());
            }
        }
        if nullable && !null {
            missing.push("null".into());
        }
        self.warn_not_covered(&missing, span);
    }

    fn warn_not_covered(&mut self, missing: &[String], span: Span) {
        if missing.is_empty() {
            return;
        }
        self.warn(
            Issue::new(Code::WarnNonexhaustive, span)
                .with("missing", missing.join(", "))
                .hint("add arms for them, or `_` for the rest"),
        );
    }

    /// Of a bool that is matched by its literals both must be there.
    fn warn_missing_bool(&mut self, patterns: &[&ast::Pattern], span: Span) {
        let mut seen = [false; 2];
        for pattern in patterns {
            let mut todo = vec![*pattern];
            while let Some(pattern) = todo.pop() {
                match &pattern.kind {
                    ast::PatternKind::Literal(Literal::Bool(value)) => {
                        seen[usize::from(*value)] = true;
                    }
                    ast::PatternKind::Literal(Literal::Null | Literal::Undefined) => {}
                    ast::PatternKind::Or(left, right) => todo.extend([&**left, &**right]),
                    _ => return,
                }
            }
        }
        let missing: Vec<String> = [("false", seen[0]), ("true", seen[1])]
            .into_iter()
            .filter(|(_, seen)| !seen)
            .map(|(name, _)| name.to_string())
            .collect();
        self.warn_not_covered(&missing, span);
    }
}

/// The `&&` chain ends: its subjects are ordinary names again.
fn end_chain(seen: &mut [Bound]) {
    for bound in seen {
        bound.subject = false;
    }
}

/// The pattern matches everything.
pub(super) fn catches_all(pattern: &ast::Pattern) -> bool {
    match &pattern.kind {
        ast::PatternKind::Wildcard | ast::PatternKind::Name(_) => true,
        ast::PatternKind::As(_, inner) => catches_all(inner),
        ast::PatternKind::And(left, right) => catches_all(left) && catches_all(right),
        ast::PatternKind::Or(left, right) => catches_all(left) || catches_all(right),
        _ => false,
    }
}

fn literal_constant(literal: &Literal) -> Constant {
    match literal {
        Literal::Null => Constant::Null,
        Literal::Bool(value) => Constant::Bool(*value),
        Literal::Undefined => Constant::Undefined,
        Literal::Int(value) => Constant::Int(*value),
        Literal::Float(value) => Constant::Float(*value),
        Literal::Str(text) => Constant::Str(text.clone()),
    }
}
