//! Container literals and constants.

use super::Checker;
use super::env::Checked;
use super::types::{Node, Ty};
use crate::core::{Constant, Expr, ExprKind};
use crate::issue::{Code, Issue};
use crate::syntax::ast::{self, Const, Ident, MapKey, Symbol};
use crate::syntax::span::Span;
use mix_value::Value;

/// Literals that nest deeper than this in one another have type `data`.
const DEEPEST_TYPED: u32 = 400;

impl Checker<'_> {
    /// The type of a literal without an expected type: `data` if all parts are data.
    fn literal_type(&mut self, parts: &[Ty], concrete: Ty) -> Checked<Ty> {
        self.settle()?;
        if self.cur.pragmas.strict_containers {
            return Ok(concrete);
        }
        let data = parts.iter().all(|part| self.types.is_data_range(*part));
        if !data {
            return Ok(concrete);
        }
        // Fields of values of unknown type become data here at the latest.
        for part in parts {
            self.types.make_data_range(*part);
        }
        Ok(Ty::DATA)
    }

    /// Literals far inside one another are data: types so deep help nobody, and every walk over
    /// them takes its time.
    fn literal_within(
        &mut self,
        infer: impl FnOnce(&mut Self) -> Checked<(Expr, Ty)>,
        check: impl FnOnce(&mut Self) -> Checked<Option<Expr>>,
    ) -> Checked<(Expr, Ty)> {
        if self.literals >= DEEPEST_TYPED
            && let Some(expr) = check(self)?
        {
            return Ok((expr, Ty::DATA));
        }
        self.literals += 1;
        let inferred = infer(self);
        self.literals -= 1;
        inferred
    }

    pub(super) fn infer_array(&mut self, items: &[ast::Expr], span: Span) -> Checked<(Expr, Ty)> {
        self.literal_within(
            |checker| checker.infer_shallow_array(items, span),
            |checker| checker.check_array(items, Ty::DATA, span),
        )
    }

    fn infer_shallow_array(&mut self, items: &[ast::Expr], span: Span) -> Checked<(Expr, Ty)> {
        let mut exprs = Vec::new();
        let mut types = Vec::new();
        for item in items {
            let (expr, ty) = self.infer(item)?;
            exprs.push(expr);
            types.push(ty);
        }
        let concrete = self.types.add(Node::Tuple(types.clone().into()));
        self.refuse_appstate(concrete, span)?;
        let ty = self.literal_type(&types, concrete)?;
        Ok((
            Expr {
                span,
                kind: ExprKind::Array(exprs),
            },
            ty,
        ))
    }

    /// An array literal where a tuple, array or data is expected; `None` if it does not have that shape.
    pub(super) fn check_array(
        &mut self,
        items: &[ast::Expr],
        expected: Ty,
        span: Span,
    ) -> Checked<Option<Expr>> {
        let exprs = match self.types.node(expected) {
            Node::Tuple(parts) if parts.len() == items.len() => items
                .iter()
                .zip(parts.iter())
                .map(|(item, part)| self.check(item, *part))
                .collect::<Checked<Vec<_>>>()?,
            Node::Tuple(_) => {
                let mut found = Vec::new();
                for item in items {
                    found.push(self.infer(item)?.1);
                }
                let found = self.types.add(Node::Tuple(found.into()));
                return Err(self.mismatch(expected, found, span));
            }
            Node::Array(element) => self.check_elements(items, element)?,
            Node::Data => items
                .iter()
                .map(|item| self.check(item, Ty::DATA))
                .collect::<Checked<Vec<_>>>()?,
            _ => return Ok(None),
        };
        Ok(Some(Expr {
            span,
            kind: ExprKind::Array(exprs),
        }))
    }

    /// Parts with one expected type; if that is still unknown it becomes their join.
    fn check_elements(&mut self, items: &[ast::Expr], element: Ty) -> Checked<Vec<Expr>> {
        if !self.types.is_var(element) {
            return items.iter().map(|item| self.check(item, element)).collect();
        }
        let mut exprs = Vec::new();
        let mut joined: Option<Ty> = None;
        for item in items {
            let (expr, ty) = self.infer(item)?;
            exprs.push(expr);
            joined = Some(match joined {
                None => ty,
                Some(so_far) => self.join_elements(so_far, ty, item.span)?,
            });
        }
        if let Some(joined) = joined
            && !self.types.attempt(|types| types.unify(element, joined))
        {
            let span = items.first().map_or_else(Span::default, |item| item.span);
            return Err(self.mismatch(element, joined, span));
        }
        Ok(exprs)
    }

    fn join_elements(&mut self, first: Ty, second: Ty, span: Span) -> Checked<Ty> {
        self.settle()?;
        match self.types.join(first, second, false) {
            Some(ty) => Ok(ty),
            None => Err(self.mismatch(first, second, span)),
        }
    }

    pub(super) fn infer_map(
        &mut self,
        entries: &[ast::MapEntry],
        span: Span,
    ) -> Checked<(Expr, Ty)> {
        self.literal_within(
            |checker| checker.infer_shallow_map(entries, span),
            |checker| checker.check_map(entries, Ty::DATA, span),
        )
    }

    fn infer_shallow_map(&mut self, entries: &[ast::MapEntry], span: Span) -> Checked<(Expr, Ty)> {
        unique_keys(entries)?;
        let mut exprs = Vec::new();
        let mut fields: Vec<(Symbol, Ty)> = Vec::new();
        let mut types = Vec::new();
        let mut computed = false;
        for entry in entries {
            let key = self.map_key(&entry.key)?;
            let (expr, ty) = self.infer(&entry.value)?;
            self.refuse_appstate(ty, entry.value.span)?;
            types.push(ty);
            match &entry.key {
                MapKey::Constant(name) => fields.push((name.text.clone(), ty)),
                MapKey::Computed(_) => computed = true,
            }
            exprs.push((key, expr));
        }
        let concrete = if computed {
            let mut joined: Option<Ty> = None;
            for (ty, entry) in types.iter().zip(entries) {
                joined = Some(match joined {
                    None => *ty,
                    Some(so_far) => self.join_elements(so_far, *ty, entry.value.span)?,
                });
            }
            let element = joined.unwrap_or_else(|| self.types.fresh());
            self.types.map(element)
        } else {
            self.types.record(fields)
        };
        let ty = self.literal_type(&types, concrete)?;
        Ok((
            Expr {
                span,
                kind: ExprKind::Map(exprs),
            },
            ty,
        ))
    }

    fn map_key(&mut self, key: &MapKey) -> Checked<Expr> {
        match key {
            MapKey::Constant(name) => {
                Ok(self.constant(Constant::Str(name.text.clone()), name.span))
            }
            MapKey::Computed(e) => self.key(e),
        }
    }

    /// A computed key: a string.
    pub(super) fn key(&mut self, e: &ast::Expr) -> Checked<Expr> {
        let (expr, ty) = self.infer(e)?;
        self.settle()?;
        match self.types.node(ty) {
            // Keys are checked when they are used.
            Node::Data | Node::Word | Node::Var { soft: true, .. } if !self.cur.pragmas.strict => {
                Ok(expr)
            }
            _ => self.coerce(expr, ty, Ty::STRING, e.span),
        }
    }

    /// A map literal where a map, record or data is expected; `None` if it does not have that shape.
    pub(super) fn check_map(
        &mut self,
        entries: &[ast::MapEntry],
        expected: Ty,
        span: Span,
    ) -> Checked<Option<Expr>> {
        let computed = entries
            .iter()
            .any(|entry| matches!(entry.key, MapKey::Computed(_)));
        let node = self.types.node(expected);
        if computed && matches!(node, Node::Record(_)) {
            return Ok(None);
        }
        unique_keys(entries)?;
        let mut exprs = Vec::new();
        match node {
            Node::Map(element) => {
                let mut keys = Vec::new();
                let mut values = Vec::new();
                if self.types.is_var(element) {
                    // The join of the values, as in arrays; keys are checked in between.
                    let mut joined: Option<Ty> = None;
                    for entry in entries {
                        keys.push(self.map_key(&entry.key)?);
                        let (expr, ty) = self.infer(&entry.value)?;
                        values.push(expr);
                        joined = Some(match joined {
                            None => ty,
                            Some(so_far) => self.join_elements(so_far, ty, entry.value.span)?,
                        });
                    }
                    if let Some(joined) = joined
                        && !self.types.attempt(|types| types.unify(element, joined))
                    {
                        return Err(self.mismatch(element, joined, span));
                    }
                } else {
                    for entry in entries {
                        keys.push(self.map_key(&entry.key)?);
                        values.push(self.check(&entry.value, element)?);
                    }
                }
                return Ok(Some(map(keys.into_iter().zip(values).collect(), span)));
            }
            Node::Record(fields) => {
                let missing = fields.iter().any(|(name, _)| {
                    !entries.iter().any(
                        |entry| matches!(&entry.key, MapKey::Constant(key) if key.text == *name),
                    )
                });
                let mut found = Vec::new();
                for entry in entries {
                    let MapKey::Constant(name) = &entry.key else {
                        continue;
                    };
                    let wanted = fields.iter().find(|(field, _)| *field == name.text);
                    let key = self.map_key(&entry.key)?;
                    let value = match wanted {
                        Some((_, ty)) if !missing => self.check(&entry.value, *ty)?,
                        _ => {
                            let (expr, ty) = self.infer(&entry.value)?;
                            found.push((name.text.clone(), ty));
                            expr
                        }
                    };
                    exprs.push((key, value));
                }
                if missing {
                    let found = self.types.record(found);
                    return Err(self.mismatch(expected, found, span));
                }
            }
            _ => {
                for entry in entries {
                    let key = self.map_key(&entry.key)?;
                    let value = self.check(&entry.value, Ty::DATA)?;
                    exprs.push((key, value));
                }
            }
        }
        Ok(Some(map(exprs, span)))
    }

    /// A labeled literal: every label once, in any order; evaluated as written, stored as typed.
    pub(super) fn check_labeled(
        &mut self,
        fields: &[(Ident, ast::Expr)],
        expected: Ty,
        span: Span,
    ) -> Checked<Expr> {
        let Node::Labeled(labels) = self.types.node(expected) else {
            return Err(Issue::new(Code::TypeLabels, span).into());
        };
        let names: Vec<&str> = labels.iter().map(|(label, _)| &**label).collect();
        if let Some((strange, _)) = fields
            .iter()
            .find(|(name, _)| !names.contains(&&*name.text))
        {
            let near = super::suggest::suggest(&strange.text, names.iter().copied());
            return Err(Issue::new(Code::TypeLabels, strange.span)
                .hint_if(near.map(|near| format!("did you mean #{near}?")))
                .hint_if(Some(format!("the labels are #{}", names.join(", #"))))
                .into());
        }
        let once = fields.len() == labels.len()
            && labels.iter().all(|(label, _)| {
                fields
                    .iter()
                    .filter(|(name, _)| name.text == *label)
                    .count()
                    == 1
            });
        if !once {
            let missing: Vec<&str> = names
                .iter()
                .copied()
                .filter(|label| !fields.iter().any(|(name, _)| *name.text == **label))
                .collect();
            let hint = match missing.is_empty() {
                true => "every label is given once".to_string(),
                false => format!("#{} is missing", missing.join(", #")),
            };
            return Err(Issue::new(Code::TypeLabels, span).hint(hint).into());
        }
        let mark = self.enter_scope();
        let mut locals = Vec::new();
        for (name, e) in fields {
            let Some((_, ty)) = labels.iter().find(|(label, _)| *label == name.text) else {
                continue;
            };
            let value = self.check(e, *ty)?;
            let local = self.new_local("_part", false);
            locals.push((name.text.clone(), local, value));
        }
        self.leave_scope(mark);
        let items = labels
            .iter()
            .filter_map(|(label, _)| locals.iter().find(|(name, ..)| name == label))
            .map(|(_, local, _)| Expr {
                span,
                kind: ExprKind::Local(*local),
            })
            .collect();
        let mut result = Expr {
            span,
            kind: ExprKind::Array(items),
        };
        for (_, local, value) in locals.into_iter().rev() {
            result = Expr {
                span,
                kind: ExprKind::Let {
                    local,
                    value: Box::new(value),
                    body: Box::new(result),
                },
            };
        }
        Ok(result)
    }
}

fn map(entries: Vec<(Expr, Expr)>, span: Span) -> Expr {
    Expr {
        span,
        kind: ExprKind::Map(entries),
    }
}

fn unique_keys(entries: &[ast::MapEntry]) -> Checked<()> {
    let mut seen = crate::tables::HashMap::default();
    for entry in entries {
        if let MapKey::Constant(name) = &entry.key
            && let Some(first) = seen.insert(&name.text, name.span)
        {
            return Err(Issue::new(Code::NameDupKey, name.span)
                .with("name", &name.text)
                .note(first, "it stands here already")
                .into());
        }
    }
    Ok(())
}

/// The value of an `_escJSON_` constant as an expression.
pub(super) fn escjson(constant: &Const) -> Checked<Expr> {
    match crate::syntax::escaped::decode(constant) {
        Ok(value) => value_expr(&value, constant.span),
        Err(why) => Err(Issue::new(Code::SynEscjson, constant.span)
            .with("why", why)
            .into()),
    }
}

fn value_expr(value: &Value, span: Span) -> Checked<Expr> {
    let constant = match value {
        Value::Undefined => Constant::Undefined,
        Value::Null => Constant::Null,
        Value::Bool(value) => Constant::Bool(*value),
        Value::Int(value) => Constant::Int(*value),
        Value::Float(value) => Constant::Float(*value),
        Value::BigInt(value) => Constant::Float(value.to_f64()),
        Value::String(text) => Constant::Str(text.clone()),
        Value::Ref(id) => Constant::Ref(id.as_str().into()),
        Value::Binary(bytes) => Constant::Binary(bytes.clone()),
        Value::Array(items) => {
            return Ok(Expr {
                span,
                kind: ExprKind::Array(
                    items
                        .iter()
                        .map(|item| value_expr(item, span))
                        .collect::<Checked<_>>()?,
                ),
            });
        }
        Value::Map(entries) => {
            let mut parts = Vec::new();
            for (key, value) in entries {
                let key = Expr {
                    span,
                    kind: ExprKind::Constant(Constant::Str(key.clone())),
                };
                parts.push((key, value_expr(value, span)?));
            }
            return Ok(map(parts, span));
        }
        Value::Case(case) => {
            let argument = match &case.argument {
                Some(argument) => Some(Box::new(value_expr(argument, span)?)),
                None => None,
            };
            return Ok(Expr {
                span,
                kind: ExprKind::Case {
                    full_name: case.name.clone(),
                    argument,
                },
            });
        }
        Value::Token(_) | Value::Handle(_) => {
            return Err(Issue::new(Code::SynEscjson, span)
                .with("why", "it has no text form")
                .into());
        }
    };
    Ok(Expr {
        span,
        kind: ExprKind::Constant(constant),
    })
}
