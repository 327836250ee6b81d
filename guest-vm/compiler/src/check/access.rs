//! Access and update of parts: fields, indices, slices, `with`.

use super::Checker;
use super::env::{Checked, Stop};
use super::reference::ModuleRef;
use super::types::{Node, Ty};
use crate::core::{Expr, ExprKind, Instancing, ModuleId, Step, StepKind};
use crate::issue::{Code, Issue};
use crate::syntax::ast::{self, Ident, Symbol};
use crate::syntax::span::Span;

impl Checker<'_> {
    /// `base.name`
    pub(super) fn infer_field(
        &mut self,
        base: &ast::Expr,
        name: &Ident,
        span: Span,
    ) -> Checked<(Expr, Ty)> {
        if let Some(place) = self.place_of_add_once(base, name)? {
            return self.infer(&place);
        }
        self.query_name(base, name)?;
        if let Some(module) = self.module_named(base)? {
            return self.member_of(module, name, span);
        }
        let (base_expr, ty) = self.infer(base)?;
        let outcome = self.field_of(base_expr, ty, name, span);
        match (outcome, &base.kind) {
            (Err(Stop::Issue(issue)), ast::ExprKind::IsDefined(_)) => Err(Stop::Issue(Box::new(
                issue.hint("a field of null or undefined is undefined already: write `x.name`"),
            ))),
            (outcome, _) => outcome,
        }
    }

    /// A field of a value, or a member of a module instance.
    pub(super) fn field_of(
        &mut self,
        base: Expr,
        ty: Ty,
        name: &Ident,
        span: Span,
    ) -> Checked<(Expr, Ty)> {
        self.settle()?;
        if let Node::Module(id, args) = self.types.node(ty) {
            let id = ModuleId(id);
            let info = &self.infos[id.0 as usize];
            let binds = info
                .type_vars
                .iter()
                .map(|(_, var)| *var)
                .zip(args.iter().copied())
                .collect();
            let direct = info.instancing != Instancing::PerImport;
            let module = ModuleRef::Module {
                id,
                binds,
                name: info.name.clone(),
                instance: (!direct).then_some(base),
                missing: false,
            };
            return self.member_of(module, name, span);
        }
        let make = |base: Expr| Expr {
            span,
            kind: ExprKind::Field {
                base: Box::new(base),
                name: name.text.clone(),
            },
        };
        if self.types.is_var(ty) {
            let (result, check) = self.wait_for_field(ty, &name.text, name.span);
            self.record_field(name, result);
            let expr = Expr {
                span,
                kind: ExprKind::Assert {
                    value: Box::new(make(base)),
                    check,
                },
            };
            return Ok((expr, result));
        }
        self.record_fields(ty, &name.text);
        let field = self.field_type(ty, &name.text, name.span)?;
        self.record_field(name, field);
        Ok((make(base), field))
    }

    /// The type of a field of a known type.
    pub(super) fn field_type(&mut self, ty: Ty, name: &Symbol, span: Span) -> Checked<Ty> {
        match self.types.node(ty) {
            Node::Record(fields) => {
                if let Some((_, field)) = fields.iter().find(|(field, _)| field == name) {
                    return Ok(*field);
                }
                let shown = self.types.show(ty);
                let hint = match self.may_suggest() {
                    true => super::suggest::suggest(name, fields.iter().map(|(field, _)| &**field)),
                    false => None,
                };
                let code = if self.cur.pragmas.strict {
                    Code::TypeNoField
                } else {
                    Code::WarnNofield
                };
                let mut issue = Issue::new(code, span)
                    .with("type", shown)
                    .with("field", name);
                if let Some(hint) = hint {
                    issue = issue.hint(format!("did you mean {hint}?"));
                }
                if self.cur.pragmas.strict {
                    return Err(issue.into());
                }
                if self.cur.pragmas.wants(code) {
                    self.warn(issue);
                }
                Ok(Ty::DATA)
            }
            Node::Map(element) => Ok(element),
            Node::Data | Node::Null => Ok(Ty::DATA),
            Node::Any => Ok(Ty::ANY),
            Node::Plus(..) => {
                self.types.default_to_data(ty);
                Ok(Ty::DATA)
            }
            Node::Module(id, _) => {
                // A parameter that turned out to be a module instance.
                let info = &self.infos[id as usize];
                Err(Issue::new(Code::TypeNeedsHint, span)
                    .with("what", "the module instance")
                    .hint(format!("annotate it: (module type {})", info.name))
                    .into())
            }
            _ => {
                let shown = self.types.show(ty);
                Err(Issue::new(Code::TypeNoField, span)
                    .with("type", shown)
                    .with("field", name)
                    .hint_if(self.mend_field(ty, name))
                    .into())
            }
        }
    }

    /// `base.(key)`
    pub(super) fn infer_computed(
        &mut self,
        base: &ast::Expr,
        key: &ast::Expr,
        span: Span,
    ) -> Checked<(Expr, Ty)> {
        let (base_expr, ty) = self.infer(base)?;
        let key = self.key(key)?;
        let element = self.map_element(ty, base.span)?;
        Ok((
            Expr {
                span,
                kind: ExprKind::ComputedField {
                    base: Box::new(base_expr),
                    key: Box::new(key),
                },
            },
            element,
        ))
    }

    fn map_element(&mut self, ty: Ty, span: Span) -> Checked<Ty> {
        self.settle()?;
        Ok(match self.types.node(ty) {
            Node::Map(element) => element,
            Node::Data | Node::Null | Node::Plus(..) => Ty::DATA,
            Node::Any => Ty::ANY,
            Node::Record(_) if self.cur.pragmas.strict => {
                return Err(Issue::new(Code::TypeComputedKey, span)
                    .hint("give it the type of a map first: `(r:map).(key)`")
                    .into());
            }
            Node::Record(_) => Ty::DATA,
            Node::Var { soft: true, .. } => {
                self.types.bind(ty, Ty::DATA);
                Ty::DATA
            }
            Node::Var { .. } => {
                let element = self.types.fresh();
                let map = self.types.map(element);
                if !self.types.attempt(|types| types.unify(ty, map)) {
                    return Err(self.mismatch(map, ty, span));
                }
                element
            }
            _ => {
                let element = self.types.fresh();
                let map = self.types.map(element);
                return Err(self.mismatch(map, ty, span));
            }
        })
    }

    /// Operands and element type of `base[index]`.
    pub(super) fn index_parts(
        &mut self,
        base: &ast::Expr,
        index: &ast::Expr,
    ) -> Checked<(Expr, Expr, Ty)> {
        let (base_expr, ty) = self.infer(base)?;
        let index_expr = self.check_number(index).map_err(|stop| match stop {
            Stop::Issue(issue) => Stop::Issue(Box::new(key_for_index(*issue, index))),
            silent => silent,
        })?;
        let literal = match index.kind {
            ast::ExprKind::Int(value) => usize::try_from(value).ok(),
            _ => None,
        };
        let element = self.element(ty, literal, base.span)?;
        Ok((base_expr, index_expr, element))
    }

    /// The element type of an array-like type.
    fn element(&mut self, ty: Ty, literal: Option<usize>, span: Span) -> Checked<Ty> {
        self.settle()?;
        Ok(match self.types.node(ty) {
            Node::Array(element) => element,
            Node::Tuple(_) | Node::Labeled(_) => {
                let parts = self.types.children(ty);
                if let Some(part) = literal.and_then(|at| parts.get(at)) {
                    return Ok(*part);
                }
                let mut joined: Option<Ty> = None;
                for part in parts {
                    joined = Some(match joined {
                        None => part,
                        Some(so_far) => self.join_branches(so_far, part, span)?,
                    });
                }
                joined.unwrap_or(Ty::DATA)
            }
            Node::Data | Node::Null | Node::Plus(..) => Ty::DATA,
            Node::Any => Ty::ANY,
            Node::Var { soft: true, .. } if !self.cur.pragmas.strict => {
                self.types.bind(ty, Ty::DATA);
                Ty::DATA
            }
            Node::Var { .. } => {
                let element = self.types.fresh();
                let array = self.types.array(element);
                if !self.types.attempt(|types| types.unify(ty, array)) {
                    return Err(self.mismatch(array, ty, span));
                }
                element
            }
            _ => {
                let element = self.types.fresh();
                let array = self.types.array(element);
                return Err(self.mismatch(array, ty, span));
            }
        })
    }

    /// `base[#i of n]`
    pub(super) fn infer_tuple_index(
        &mut self,
        base: &ast::Expr,
        index: u32,
        of: u32,
        span: Span,
    ) -> Checked<(Expr, Ty)> {
        let (base_expr, ty) = self.infer(base)?;
        if let Node::Tuple(_) | Node::Labeled(_) = self.types.node(ty) {
            let count = self.types.children(ty).len();
            if count != of as usize || index >= of {
                let parts = (0..of).map(|_| self.types.fresh()).collect::<Vec<_>>();
                let wanted = self.types.add(Node::Tuple(parts.into()));
                return Err(self.mismatch(wanted, ty, base.span));
            }
        }
        let element = self.element(ty, Some(index as usize), base.span)?;
        Ok((
            Expr {
                span,
                kind: ExprKind::TupleIndex {
                    base: Box::new(base_expr),
                    index,
                    of: Some(of),
                },
            },
            element,
        ))
    }

    /// `base[#label]`
    pub(super) fn infer_label(
        &mut self,
        base: &ast::Expr,
        label: &Ident,
        span: Span,
    ) -> Checked<(Expr, Ty)> {
        let (base_expr, ty) = self.infer(base)?;
        let (index, element) = self.label(ty, label)?;
        Ok((
            Expr {
                span,
                kind: ExprKind::TupleIndex {
                    base: Box::new(base_expr),
                    index,
                    of: None,
                },
            },
            element,
        ))
    }

    fn label(&mut self, ty: Ty, label: &Ident) -> Checked<(u32, Ty)> {
        self.settle()?;
        if let Node::Labeled(fields) = self.types.node(ty)
            && let Some(index) = fields.iter().position(|(name, _)| *name == label.text)
        {
            return Ok((index as u32, fields[index].1));
        }
        let hint = match self.types.node(ty) {
            Node::Labeled(fields) => {
                let names: Vec<&str> = fields.iter().map(|(name, _)| &**name).collect();
                match super::suggest::suggest(&label.text, names.iter().copied()) {
                    Some(near) => format!("did you mean #{near}?"),
                    None => format!("its labels are #{}", names.join(", #")),
                }
            }
            _ => {
                let shown = self.types.show(ty);
                format!(
                    "the value is {shown} here; add its labeled type: (x:t)[#{}]",
                    label.text
                )
            }
        };
        Err(Issue::new(Code::TypeLabels, label.span).hint(hint).into())
    }

    /// An array that becomes a stream: a literal is known by its elements.
    pub(super) fn array_operand(&mut self, e: &ast::Expr) -> Checked<(Expr, Ty)> {
        if let ast::ExprKind::Array(items) = &e.kind {
            let element = self.types.fresh();
            let array = self.types.array(element);
            if let Some(expr) = self.check_array(items, array, e.span)? {
                return Ok((expr, array));
            }
        }
        self.infer(e)
    }

    /// `base[from..to]`
    pub(super) fn infer_slice(
        &mut self,
        base: &ast::Expr,
        from: Option<&ast::Expr>,
        to: Option<&ast::Expr>,
        span: Span,
    ) -> Checked<(Expr, Ty)> {
        let (base_expr, ty) = self.array_operand(base)?;
        let from = match from {
            Some(from) => Some(Box::new(self.check_number(from)?)),
            None => None,
        };
        let to = match to {
            Some(to) => Some(Box::new(self.check_number(to)?)),
            None => None,
        };
        let element = self.element(ty, None, base.span)?;
        Ok((
            Expr {
                span,
                kind: ExprKind::Slice {
                    base: Box::new(base_expr),
                    from,
                    to,
                },
            },
            self.types.stream(element),
        ))
    }

    /// `base with steps = value`
    pub(super) fn infer_with(
        &mut self,
        base: &ast::Expr,
        steps: &[ast::Step],
        value: &ast::Expr,
        span: Span,
    ) -> Checked<(Expr, Ty)> {
        let (base_expr, ty) = self.infer(base)?;
        let (steps, value, ty) = self.update(ty, steps, value)?;
        Ok((
            Expr {
                span,
                kind: ExprKind::Update {
                    base: Box::new(base_expr),
                    steps,
                    value: Box::new(value),
                },
            },
            ty,
        ))
    }

    /// The steps of an update, the value fitting the place, and the type of the result.
    pub(super) fn update(
        &mut self,
        ty: Ty,
        steps: &[ast::Step],
        value: &ast::Expr,
    ) -> Checked<(Vec<Step>, Expr, Ty)> {
        let mut done = Vec::new();
        let mut place = ty;
        // A field that a record type lacks: its type and the record are found afterwards.
        let mut widened: Option<Symbol> = None;
        for (index, step) in steps.iter().enumerate() {
            let last = index + 1 == steps.len();
            self.settle()?;
            let kind = match &step.kind {
                ast::StepKind::Field(name) => {
                    match self.types.node(place) {
                        Node::Record(fields)
                            if !fields.iter().any(|(field, _)| *field == name.text) =>
                        {
                            if self.cur.pragmas.strict {
                                let near = super::suggest::suggest(
                                    &name.text,
                                    fields.iter().map(|(field, _)| &**field),
                                );
                                let shown = self.types.show(place);
                                return Err(Issue::new(Code::TypeNoField, name.span)
                                    .with("type", shown)
                                    .with("field", &name.text)
                                    .hint_if(near.map(|near| format!("did you mean {near}?")))
                                    .hint_if(Some("a new field needs a type with that field"))
                                    .into());
                            }
                            if last && index == 0 {
                                widened = Some(name.text.clone());
                            }
                            place = Ty::DATA;
                        }
                        Node::Var { .. } => {
                            let (result, _) = self.wait_for_field(place, &name.text, name.span);
                            place = result;
                        }
                        _ => place = self.field_type(place, &name.text, name.span)?,
                    }
                    StepKind::Field(name.text.clone())
                }
                ast::StepKind::Computed(key) => {
                    let key = self.key(key)?;
                    place = self.map_element(place, step.span)?;
                    StepKind::Computed(key)
                }
                ast::StepKind::Index(at) => {
                    let literal = match at.kind {
                        ast::ExprKind::Int(value) => usize::try_from(value).ok(),
                        _ => None,
                    };
                    let at = self.check_number(at)?;
                    place = self.element(place, literal, step.span)?;
                    StepKind::Index(at)
                }
                ast::StepKind::TupleIndex { index, of } => {
                    place = self.element(place, Some(*index as usize), step.span)?;
                    StepKind::TupleIndex {
                        index: *index,
                        of: Some(*of),
                    }
                }
                ast::StepKind::Label(label) => {
                    let (index, element) = self.label(place, label)?;
                    place = element;
                    StepKind::TupleIndex { index, of: None }
                }
            };
            done.push(Step {
                kind,
                span: step.span,
            });
        }
        if let Some(name) = widened {
            let (value, value_ty) = self.infer(value)?;
            let Node::Record(fields) = self.types.node(ty) else {
                return Ok((done, value, ty));
            };
            let mut fields = fields.to_vec();
            fields.push((name, value_ty));
            let ty = self.types.record(fields);
            return Ok((done, value, ty));
        }
        // What is stored in data, however deep, is data.
        let value = if self.types.is_soft(place) {
            self.check(value, Ty::DATA)?
        } else {
            self.for_program(|c| c.check(value, place))?
        };
        Ok((done, value, ty))
    }
}

/// A text where the index of an array is due is meant as the key of a map.
fn key_for_index(issue: Issue, index: &ast::Expr) -> Issue {
    let found = issue.params.iter().find(|(name, _)| *name == "found");
    if found.is_none_or(|(_, found)| found != "string") {
        return issue;
    }
    let plain = |key: &str| {
        key.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && key.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    };
    let place = match &index.kind {
        ast::ExprKind::Str(key) if plain(key) => format!("`m.{key}`"),
        ast::ExprKind::Str(key) => format!("`m.\"{key}\"`"),
        _ => "`m.(key)`".to_string(),
    };
    issue.hint(format!(
        "brackets hold the index of an array; a key of a map is read with {place}"
    ))
}
