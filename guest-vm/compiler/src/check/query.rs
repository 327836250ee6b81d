//! Functions of `db` queries whose argument becomes a clause of the query language, so that the
//! engine evaluates it: the conditions of `db.filter`, `db.filterWithFallback` and `db.exists`,
//! what `db.map` and `db.mapWithFallback` read ([`super::projection`]). (`registry.addOnce`, the
//! other library function that depends on how it is written, is here too.)
//!
//! The translation is from syntax tree to syntax tree: the clause is an expression that
//! builds the clause as data, checked like any other. It becomes the body of a function, which
//! each execution of the query calls, so that what does not mention the record is evaluated
//! once per execution.

use super::Checker;
use super::call::Arg;
use super::env::{Checked, Stop};
use super::reference::ModuleRef;
use super::row::{Row, mentions};
use super::types::{Node, Ty};
use crate::core::Expr;
use crate::issue::{Code, Issue};
use crate::syntax::ast::{
    self, BinaryOp, CompareOp, ExprKind, Ident, Lambda, LambdaArm, NodeId, PatternKind, UnaryOp,
};
use crate::syntax::span::Span;

impl Checker<'_> {
    /// A call of a function of `db` whose argument becomes a clause; `None` for every other call.
    pub(super) fn query_call(
        &mut self,
        callee: &ast::Expr,
        args: &mut Vec<Arg>,
        span: Span,
    ) -> Checked<Option<(Expr, Ty)>> {
        let ExprKind::Field { base, name, .. } = &callee.kind else {
            return Ok(None);
        };
        let name = &*name.text;
        let conditional = matches!(name, "filter" | "filterWithFallback" | "exists");
        let mapping = matches!(name, "map" | "mapWithFallback");
        if !(conditional || mapping) || !self.is_module(base, "db")? {
            return Ok(None);
        }
        let function = match args.first() {
            Some(Arg::Tree(function)) => *function,
            _ if name == "filter" => {
                return Err(refuse(span, "this filter", "it must be a lambda"));
            }
            _ => return Ok(None),
        };
        let at = function.span;
        if conditional {
            let clause = match (self.condition(function, base), name) {
                (Ok(clause), _) => clause,
                (Err(stop), "filter") => return Err(stop),
                // It is evaluated in Mix.
                (Err(_), _) => return Ok(None),
            };
            return match name {
                "filter" => self.query_step("filterClause", base, clause, None, args, span),
                "exists" => self.query_step("existsClause", base, clause, Some(at), args, span),
                _ => self.query_step("filterClauseOr", base, clause, Some(at), args, span),
            }
            .map(Some);
        }
        let Some(projection) = self.projection(function, base)? else {
            return Ok(None);
        };
        let to = match name {
            "map" => "mapClause",
            _ if projection.plain => "mapClauseOr",
            _ => return Ok(None),
        };
        let mut rest = vec![Arg::Tree(&projection.function)];
        rest.extend(std::mem::take(args).into_iter().skip(1));
        self.query_step(to, base, projection.clause, Some(at), &mut rest, span)
            .map(Some)
    }

    /// The call of a function of `db` that takes a clause, then what the call had. Without
    /// `kept`, the clause takes the place of the first argument.
    fn query_step(
        &mut self,
        name: &str,
        db: &ast::Expr,
        clause: ast::Expr,
        kept: Option<Span>,
        args: &mut Vec<Arg>,
        span: Span,
    ) -> Checked<(Expr, Ty)> {
        let at = clause.span;
        let made = Lambda {
            arms: vec![LambdaArm {
                params: Vec::new(),
                guard: None,
                body: clause,
                span: at,
            }],
        };
        let makes = self.types.add(Node::Fun(Ty::NULL, Ty::DATA));
        let made = self.check(&expr(ExprKind::Lambda(made), at), makes)?;
        let (function, ty) = self.infer(&field(db.clone(), name, span))?;
        let mut all = vec![Arg::Done(made, makes, at)];
        let skipped = usize::from(kept.is_none());
        all.extend(std::mem::take(args).into_iter().skip(skipped));
        self.apply(function, ty, all, span, span)
    }

    /// The clause of the condition of a filter.
    fn condition(&mut self, condition: &ast::Expr, db: &ast::Expr) -> Checked<ast::Expr> {
        match &condition.kind {
            ExprKind::ProjectionFn(body) => self.clause(body, &Row::Projected, db),
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
                self.clause(&arm.body, &row, db)
            }
            _ => Err(refuse(condition.span, "this filter", "it must be a lambda")),
        }
    }

    /// `db.filter` and `db.eval` are nothing but what their calls become.
    pub(super) fn query_name(&mut self, base: &ast::Expr, name: &Ident) -> Checked<()> {
        let why = match &*name.text {
            "filter" => "its condition is a clause only where it is called with a lambda",
            "eval" => "it stands in the lambda of db.filter or db.map",
            _ => return Ok(()),
        };
        if self.is_module(base, "db")? {
            return Err(refuse(name.span, &format!("db.{}", name.text), why));
        }
        Ok(())
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
    pub(super) fn is_module(&mut self, e: &ast::Expr, module: &str) -> Checked<bool> {
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
                let value = (**value).clone();
                return Ok(comparison(db, "comparisonClause", name, key, value, span));
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
        let in_array = self.is_module(base, "array")? || self.is_module(base, "dataArray")?;
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
        } else if in_array {
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
                Err(refuse_call(in_array, name, access, &value, row, span))
            } else {
                Ok(None)
            };
        };
        if mentions(&value, row) {
            return Err(refuse(value.span, "this value", "it depends on the record"));
        }
        let maker = if in_array { "listClause" } else { "textClause" };
        Ok(Some(comparison(db, maker, operator, key, value, span)))
    }
}

/// A call of a function that the query language knows, on something that it does not.
fn refuse_call(
    in_array: bool,
    name: &Ident,
    access: &ast::Expr,
    value: &ast::Expr,
    row: &Row,
    span: Span,
) -> Stop {
    let issue = refused(
        span,
        "this call",
        "it must be applied to a field of the record",
    );
    if mentions(access, row) || key(value, row).is_none() {
        return issue.into();
    }
    if in_array && &*name.text != "featuresAll" {
        // `array.contains(v, r.list)`: is `v` in a list of the record?
        return issue
            .hint(
                "whether a list of the record has an element v is `array.featuresOne(r.list, [v])`",
            )
            .into();
    }
    if in_array {
        return issue.into();
    }
    let order = match &*name.text {
        "startsWith" | "like" => "text, pattern",
        _ => "part, text",
    };
    issue
        .hint(format!(
            "the arguments seem to be exchanged: `string.{}({order})`",
            name.text
        ))
        .into()
}

pub(super) fn refuse(span: Span, what: &str, why: &str) -> Stop {
    refused(span, what, why).into()
}

fn refused(span: Span, what: &str, why: &str) -> Issue {
    Issue::new(Code::SynQuery, span)
        .with("what", what)
        .with("why", why)
        .hint("db.filterWithFallback evaluates any condition in Mix")
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

/// The key clause of `r.f.g`, as an expression; `None` if it is no field of the record. A `.*` on
/// the way needs no clause, because steps follow references; one at the end does.
pub(super) fn key(e: &ast::Expr, row: &Row) -> Option<ast::Expr> {
    let span = e.span;
    if let ExprKind::Follow(of) = &e.kind {
        let of = key(of, row)?;
        return Some(list(vec![string("followRef", span), of], span));
    }
    let mut names = Vec::new();
    let mut at = e;
    loop {
        match &at.kind {
            ExprKind::Field { base, name, .. } => {
                names.push(name.text.clone());
                at = base;
            }
            ExprKind::Follow(base) => at = base,
            ExprKind::Projection(name) => {
                if !matches!(row, Row::Projected) {
                    return None;
                }
                names.push(name.text.clone());
                break;
            }
            _ if row.is(at) => break,
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

pub(super) fn expr(kind: ExprKind, span: Span) -> ast::Expr {
    ast::Expr {
        id: NodeId(0),
        kind,
        span,
    }
}

pub(super) fn string(text: &str, span: Span) -> ast::Expr {
    expr(ExprKind::Str(text.into()), span)
}

pub(super) fn list(items: Vec<ast::Expr>, span: Span) -> ast::Expr {
    expr(ExprKind::Array(items), span)
}

pub(super) fn field(base: ast::Expr, name: &str, span: Span) -> ast::Expr {
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

pub(super) fn call(callee: ast::Expr, args: Vec<ast::Expr>, span: Span) -> ast::Expr {
    expr(
        ExprKind::Call {
            callee: Box::new(callee),
            args,
        },
        span,
    )
}

/// `db.comparisonClause(op, key, value)`, or what it is called for values of one type.
fn comparison(
    db: &ast::Expr,
    maker: &str,
    op: &str,
    key: ast::Expr,
    value: ast::Expr,
    span: Span,
) -> ast::Expr {
    call(
        field(db.clone(), maker, span),
        vec![string(op, span), key, value],
        span,
    )
}
