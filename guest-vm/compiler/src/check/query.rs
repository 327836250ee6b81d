//! Filters of `db` queries: the condition of `db.filter(r -> …)` becomes a clause of the
//! query language, so that the engine evaluates it. (`registry.addOnce`, the other library
//! function that depends on how it is written, is here too.)
//!
//! The translation is from syntax tree to syntax tree: the clause is an expression that
//! builds the clause as data, checked like any other. What does not mention the record is
//! evaluated when the query is built.

use super::Checker;
use super::call::Arg;
use super::env::{Checked, Stop};
use super::reference::ModuleRef;
use super::types::Ty;
use crate::core::Expr;
use crate::issue::{Code, Issue};
use crate::syntax::ast::{
    self, BinaryOp, CompareOp, ExprKind, Ident, NodeId, PatternKind, Symbol, UnaryOp,
};
use crate::syntax::span::Span;

/// The record parameter of a filter.
enum Row {
    /// The parameter of a lambda.
    Named(Symbol),
    /// The hidden parameter of implicit projections.
    Projected,
}

impl Checker<'_> {
    /// A call of `db.filter`; `None` for every other call.
    pub(super) fn query_call(
        &mut self,
        callee: &ast::Expr,
        args: &mut Vec<Arg>,
        span: Span,
    ) -> Checked<Option<(Expr, Ty)>> {
        let ExprKind::Field { base, name, .. } = &callee.kind else {
            return Ok(None);
        };
        if &*name.text != "filter" || !self.is_module(base, "db")? {
            return Ok(None);
        }
        let Some(Arg::Tree(condition)) = args.first() else {
            return Err(refuse(span, "this filter", "it must be a lambda"));
        };
        let clause = match &condition.kind {
            ExprKind::ProjectionFn(body) => self.clause(body, &Row::Projected, base)?,
            ExprKind::Lambda(lambda) => {
                let [arm] = &lambda.arms[..] else {
                    return Err(refuse(condition.span, "this filter", "it has several arms"));
                };
                let ([param], None) = (&arm.params[..], &arm.guard) else {
                    return Err(refuse(
                        condition.span,
                        "this filter",
                        "it must have one plain parameter",
                    ));
                };
                let row = match &param.pattern.kind {
                    PatternKind::Name(name) => Row::Named(name.clone()),
                    PatternKind::Wildcard => Row::Projected,
                    _ => {
                        return Err(refuse(
                            param.pattern.span,
                            "this filter",
                            "its parameter is a pattern",
                        ));
                    }
                };
                self.clause(&arm.body, &row, base)?
            }
            _ => return Err(refuse(condition.span, "this filter", "it must be a lambda")),
        };
        let at = condition.span;
        let clause = self.check(&clause, Ty::DATA)?;
        let process = field((**base).clone(), "process", name.span);
        let (function, ty) = self.infer(&process)?;
        args[0] = Arg::Done(clause, Ty::DATA, at);
        let args = std::mem::take(args);
        self.apply(function, ty, args, callee.span, span).map(Some)
    }

    /// `registry.addOnce` stores once for each place in the source: it becomes
    /// `registry.onceAt(place)`.
    pub(super) fn place_of_add_once(
        &mut self,
        base: &ast::Expr,
        name: &Ident,
    ) -> Checked<Option<ast::Expr>> {
        if &*name.text != "addOnce" || !self.is_module(base, "registry")? {
            return Ok(None);
        }
        let span = name.span;
        let place = format!("{}:{}", span.source.0, span.start);
        Ok(Some(call(
            field(base.clone(), "onceAt", span),
            vec![string(&place, span)],
            span,
        )))
    }

    /// Whether an expression names the library module.
    fn is_module(&mut self, e: &ast::Expr, module: &str) -> Checked<bool> {
        if !matches!(&e.kind, ExprKind::Name(_)) {
            return Ok(false);
        }
        Ok(match self.module_named(e)? {
            Some(ModuleRef::Module { id, .. }) => {
                &*self.infos[id.0 as usize].name == module && self.program.module(id).library
            }
            None => false,
        })
    }

    /// The expression that builds the clause of a condition.
    fn clause(&mut self, e: &ast::Expr, row: &Row, db: &ast::Expr) -> Checked<ast::Expr> {
        let span = e.span;
        match &e.kind {
            ExprKind::Bool(true) => return Ok(list(vec![string("nullFilter", span)], span)),
            ExprKind::Binary {
                op: op @ (BinaryOp::And | BinaryOp::Or),
                left,
                right,
                ..
            } => {
                let left = self.clause(left, row, db)?;
                let right = self.clause(right, row, db)?;
                let name = if *op == BinaryOp::And { "and" } else { "or" };
                return Ok(list(
                    vec![string(name, span), list(vec![left, right], span)],
                    span,
                ));
            }
            ExprKind::Unary {
                op: UnaryOp::Not,
                operand,
            } => {
                let operand = self.clause(operand, row, db)?;
                return Ok(list(vec![string("not", span), operand], span));
            }
            ExprKind::Call { callee, args } => {
                if let Some(clause) = self.call_clause(callee, args, None, row, db, span)? {
                    return Ok(clause);
                }
            }
            ExprKind::Pipe { value, function } => {
                if let ExprKind::Call { callee, args } = &function.kind
                    && let Some(clause) =
                        self.call_clause(callee, args, Some(value), row, db, span)?
                {
                    return Ok(clause);
                }
            }
            ExprKind::IsDefined(inner) => {
                if let Some(key) = key(inner, row) {
                    return Ok(list(vec![string("exists", span), key], span));
                }
            }
            ExprKind::Binary {
                op: BinaryOp::Compare(op),
                left,
                right,
                ..
            } if mentions(left, row) || mentions(right, row) => {
                let (key, op, value) = match (key(left, row), key(right, row)) {
                    (Some(key), None) => (key, *op, right),
                    (None, Some(key)) => (key, mirrored(*op), left),
                    (Some(_), Some(_)) => {
                        return Err(refuse(span, "this comparison", "both sides are fields"));
                    }
                    (None, None) => {
                        return Err(refuse(
                            span,
                            "this comparison",
                            "one side must be a field of the record",
                        ));
                    }
                };
                if mentions(value, row) {
                    return Err(refuse(value.span, "this value", "it depends on the record"));
                }
                let name = match op {
                    CompareOp::Equal => "==",
                    CompareOp::NotEqual => "!=",
                    CompareOp::Less => "<",
                    CompareOp::LessEqual => "<=",
                    CompareOp::Greater => ">",
                    CompareOp::GreaterEqual => ">=",
                    _ => {
                        return Err(refuse(
                            span,
                            "this comparison",
                            "the query language has no comparison of this kind",
                        ));
                    }
                };
                return Ok(comparison(db, name, key, (**value).clone(), span));
            }
            _ => {}
        }
        if mentions(e, row) {
            return Err(refuse(
                span,
                "this condition",
                "the query language has no clause for it",
            ));
        }
        // A condition without the record: the same for all rows, found when the query is built.
        Ok(call(
            field(db.clone(), "conditionClause", span),
            vec![e.clone()],
            span,
        ))
    }

    /// The clause of a call of a library function that the query language knows.
    fn call_clause(
        &mut self,
        callee: &ast::Expr,
        args: &[ast::Expr],
        piped: Option<&ast::Expr>,
        row: &Row,
        db: &ast::Expr,
        span: Span,
    ) -> Checked<Option<ast::Expr>> {
        let ExprKind::Field { base, name, .. } = &callee.kind else {
            return Ok(None);
        };
        let args: Vec<&ast::Expr> = args.iter().chain(piped).collect();
        if self.is_module(base, "db")? && &*name.text == "eval" && args.len() == 1 {
            if mentions(args[0], row) {
                return Err(refuse(span, "db.eval", "the clause depends on the record"));
            }
            return Ok(Some(args[0].clone()));
        }
        let [first, second] = args[..] else {
            return Ok(None);
        };
        let (operator, access, value) = if self.is_module(base, "string")? {
            match &*name.text {
                "hasPrefix" => ("like", second, first.clone()),
                "startsWith" => ("like", first, second.clone()),
                "contains" => ("contains", second, first.clone()),
                "like" => {
                    let ExprKind::Str(pattern) = &second.kind else {
                        return Err(refuse(
                            second.span,
                            "string.like",
                            "the pattern must be a literal",
                        ));
                    };
                    let Some(prefix) = pattern
                        .strip_suffix('%')
                        .filter(|prefix| !prefix.contains('%'))
                    else {
                        return Err(refuse(
                            second.span,
                            "string.like",
                            "only patterns whose one % is at the end can be",
                        ));
                    };
                    ("like", first, string(prefix, second.span))
                }
                _ => return Ok(None),
            }
        } else if self.is_module(base, "array")? {
            match &*name.text {
                "contains" | "featuresOne" => ("in", first, second.clone()),
                "featuresAll" => ("all_in", first, second.clone()),
                _ => return Ok(None),
            }
        } else {
            return Ok(None);
        };
        let Some(key) = key(access, row) else {
            return if mentions(access, row) || mentions(&value, row) {
                Err(refuse(
                    span,
                    "this call",
                    "it must be applied to a field of the record",
                ))
            } else {
                Ok(None)
            };
        };
        if mentions(&value, row) {
            return Err(refuse(value.span, "this value", "it depends on the record"));
        }
        Ok(Some(comparison(db, operator, key, value, span)))
    }
}

fn refuse(span: Span, what: &str, why: &str) -> Stop {
    Issue::new(Code::SynQuery, span)
        .with("what", what)
        .with("why", why)
        .hint("db.filterWithFallback evaluates any condition in Mix")
        .into()
}

fn mirrored(op: CompareOp) -> CompareOp {
    match op {
        CompareOp::Less => CompareOp::Greater,
        CompareOp::LessEqual => CompareOp::GreaterEqual,
        CompareOp::Greater => CompareOp::Less,
        CompareOp::GreaterEqual => CompareOp::LessEqual,
        other => other,
    }
}

/// The key clause of `r.f.g`, as an expression; `None` if it is no field of the record.
fn key(e: &ast::Expr, row: &Row) -> Option<ast::Expr> {
    let span = e.span;
    let mut names = Vec::new();
    let mut at = e;
    loop {
        match &at.kind {
            ExprKind::Field { base, name, .. } => {
                names.push(name.text.clone());
                at = base;
            }
            ExprKind::Projection(name) => {
                if !matches!(row, Row::Projected) {
                    return None;
                }
                names.push(name.text.clone());
                break;
            }
            ExprKind::Name(name) => {
                match row {
                    Row::Named(row) if row == name => {}
                    _ => return None,
                }
                break;
            }
            _ => return None,
        }
    }
    names.reverse();
    match &names[..] {
        [] => None,
        [only] if !only.contains('.') => Some(string(only, span)),
        _ => {
            let null = expr(ExprKind::Null, span);
            Some(names.iter().fold(null, |object, name| {
                list(
                    vec![
                        string("objectMember", span),
                        object,
                        list(vec![string("token", span), string(name, span)], span),
                    ],
                    span,
                )
            }))
        }
    }
}

/// Whether an expression mentions the record.
fn mentions(e: &ast::Expr, row: &Row) -> bool {
    let any = |parts: &[&ast::Expr]| parts.iter().any(|part| mentions(part, row));
    match &e.kind {
        ExprKind::Name(name) => matches!(row, Row::Named(row) if row == name),
        ExprKind::Projection(_) => matches!(row, Row::Projected),
        ExprKind::Null
        | ExprKind::Bool(_)
        | ExprKind::Undefined
        | ExprKind::Int(_)
        | ExprKind::Float(_)
        | ExprKind::Str(_)
        | ExprKind::Wildcard
        | ExprKind::SelfName(_)
        | ExprKind::GlobalName(_)
        | ExprKind::Regex(_)
        | ExprKind::EscJson(_)
        | ExprKind::TypeAssert { value: None, .. }
        | ExprKind::ProjectionFn(_) => match &e.kind {
            // A slot inside has a row of its own; a named row is still visible in it.
            ExprKind::ProjectionFn(body) if matches!(row, Row::Named(_)) => mentions(body, row),
            _ => false,
        },
        ExprKind::Array(items) => items.iter().any(|item| mentions(item, row)),
        ExprKind::Map(entries) => entries.iter().any(|entry| {
            mentions(&entry.value, row)
                || matches!(&entry.key, ast::MapKey::Computed(key) if mentions(key, row))
        }),
        ExprKind::Unary { operand, .. } => mentions(operand, row),
        ExprKind::Binary { left, right, .. } => any(&[left, right]),
        ExprKind::Call { callee, args } => {
            mentions(callee, row) || args.iter().any(|arg| mentions(arg, row))
        }
        ExprKind::Pipe { value, function } => any(&[value, function]),
        ExprKind::Field { base, .. }
        | ExprKind::Label { base, .. }
        | ExprKind::TupleIndex { base, .. } => mentions(base, row),
        ExprKind::ComputedField { base, key } => any(&[base, key]),
        ExprKind::Index { base, index } => any(&[base, index]),
        ExprKind::IsDefined(inner) | ExprKind::Previous(inner) | ExprKind::Extract(inner) => {
            mentions(inner, row)
        }
        ExprKind::Hint { value, .. } => mentions(value, row),
        ExprKind::TypeAssert {
            value: Some(value), ..
        } => mentions(value, row),
        ExprKind::If {
            condition,
            then,
            otherwise,
        } => any(&[condition, then, otherwise]),
        // Anything that binds names: refused rather than looked into.
        _ => true,
    }
}

fn expr(kind: ExprKind, span: Span) -> ast::Expr {
    ast::Expr {
        id: NodeId(0),
        kind,
        span,
    }
}

fn string(text: &str, span: Span) -> ast::Expr {
    expr(ExprKind::Str(text.into()), span)
}

fn list(items: Vec<ast::Expr>, span: Span) -> ast::Expr {
    expr(ExprKind::Array(items), span)
}

fn field(base: ast::Expr, name: &str, span: Span) -> ast::Expr {
    expr(
        ExprKind::Field {
            base: Box::new(base),
            name: Ident {
                text: name.into(),
                span,
            },
            quoted: false,
        },
        span,
    )
}

fn call(callee: ast::Expr, args: Vec<ast::Expr>, span: Span) -> ast::Expr {
    expr(
        ExprKind::Call {
            callee: Box::new(callee),
            args,
        },
        span,
    )
}

/// `db.comparisonClause(op, key, value)`
fn comparison(db: &ast::Expr, op: &str, key: ast::Expr, value: ast::Expr, span: Span) -> ast::Expr {
    call(
        field(db.clone(), "comparisonClause", span),
        vec![string(op, span), key, value],
        span,
    )
}
