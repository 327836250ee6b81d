//! The function of `db.map`: what it reads of the record is the engine's work.
//!
//! The fields that the function reads become a projection clause, and the rows of that
//! projection take the place of the record. A chain of fields (`r.owner.name`) goes to the
//! engine as a whole, which follows the references on the way as it does in filters.
//! `r.owner.*` is the record behind the reference, `db.eval(clause)` what a clause finds.

use super::Checker;
use super::env::{Checked, Stop};
use super::query::{call, expr, field, key, list, refuse, string};
use super::row::{Row, mentions, walk};
use crate::syntax::ast::{self, ExprKind, Ident, PatternKind, Symbol};
use crate::syntax::span::Span;

/// A function over records as the engine's part and the rest.
pub(super) struct Projection {
    /// The expression that builds the clause.
    pub clause: ast::Expr,
    /// The function over what the clause delivers.
    pub function: ast::Expr,
    /// The rest reads fields of the record by their own names, so that it works on whole records too.
    pub plain: bool,
}

/// Between the steps of a chain in the name of its member.
const STEP: &str = "\u{1f}";
/// `.*` at the end of a chain.
const FOLLOWED: &str = "\u{1e}";
/// The member that is the whole record.
const WHOLE: &str = "\u{1f}";

/// The members of a projection and how the function reads them.
struct Members<'a> {
    row: &'a Row,
    db: &'a ast::Expr,
    /// Name and clause.
    members: Vec<(Symbol, ast::Expr)>,
    /// Some member is no field of the record itself.
    derived: bool,
    /// The function uses the record as a whole.
    whole: bool,
}

impl Checker<'_> {
    /// The parts of the function of `db.map`; `None` if it needs the record as it is.
    pub(super) fn projection(
        &mut self,
        function: &ast::Expr,
        db: &ast::Expr,
    ) -> Checked<Option<Projection>> {
        let (body, row) = match &function.kind {
            ExprKind::ProjectionFn(body) => (&**body, Row::Projected),
            ExprKind::Lambda(lambda) => {
                let [arm] = &lambda.arms[..] else {
                    return Ok(None);
                };
                let ([param], None) = (&arm.params[..], &arm.guard) else {
                    return Ok(None);
                };
                match (&param.pattern.kind, &param.ty) {
                    (PatternKind::Name(name), None) => (&arm.body, Row::Named(name.clone())),
                    (PatternKind::Wildcard, _) => (&arm.body, Row::Named("_".into())),
                    _ => return Ok(None),
                }
            }
            _ => return Ok(None),
        };
        let mut members = Members {
            row: &row,
            db,
            members: Vec::new(),
            derived: false,
            whole: false,
        };
        let mut body = body.clone();
        let complete = walk(&mut body, &row, &mut |e| {
            if members.row.is(e) {
                members.whole(e);
                return Ok(true);
            }
            if let Some(steps) = chain(e, members.row) {
                members.chain(e, &steps);
                return Ok(true);
            }
            self.evaluated(e, &mut members)
        })?;
        if !complete || (members.whole && !members.derived) {
            return Ok(None);
        }
        let span = function.span;
        let plain = !members.derived;
        let clause = members.clause(span);
        let function = match &function.kind {
            ExprKind::Lambda(lambda) => {
                let mut lambda = lambda.clone();
                lambda.arms[0].body = body;
                ExprKind::Lambda(lambda)
            }
            _ => ExprKind::ProjectionFn(Box::new(body)),
        };
        Ok(Some(Projection {
            clause,
            function: expr(function, span),
            plain,
        }))
    }

    /// `db.eval(clause)` becomes a member.
    fn evaluated(&mut self, e: &mut ast::Expr, members: &mut Members) -> Checked<bool> {
        let ExprKind::Call { callee, args } = &e.kind else {
            return Ok(false);
        };
        let (ExprKind::Field { base, name, .. }, [clause]) = (&callee.kind, &args[..]) else {
            return Ok(false);
        };
        if &*name.text != "eval" || !self.is_module(base, "db")? {
            return Ok(false);
        }
        if mentions(clause, members.row) {
            return Err(refuse(
                e.span,
                "db.eval",
                "the clause depends on the record",
            ));
        }
        let value = call(
            field(members.db.clone(), "valueClause", e.span),
            vec![clause.clone()],
            e.span,
        );
        let key = Symbol::from(format!("{STEP}{}", members.members.len()).as_str());
        members.derived = true;
        members.members.push((key.clone(), value));
        *e = members.read(&key, e.span);
        Ok(true)
    }
}

impl Members<'_> {
    /// Makes the chain the reading of a member.
    fn chain(&mut self, e: &mut ast::Expr, steps: &[Step]) {
        let span = e.span;
        if let [Step::Field(name)] = steps {
            self.add(name, e);
            return;
        }
        let mut name = String::new();
        for step in steps {
            match step {
                Step::Field(field) if name.is_empty() => name.push_str(field),
                Step::Field(field) => {
                    name.push_str(STEP);
                    name.push_str(field);
                }
                Step::Follow => name.push_str(FOLLOWED),
            }
        }
        let name = Symbol::from(name.as_str());
        self.derived = true;
        self.add(&name, e);
        *e = self.read(&name, span);
    }

    fn add(&mut self, name: &Symbol, access: &ast::Expr) {
        if self.members.iter().any(|(known, _)| known == name) {
            return;
        }
        if let Some(key) = key(access, self.row) {
            self.members.push((name.clone(), key));
        }
    }

    /// Makes the record a member, in case it has to be one.
    fn whole(&mut self, e: &mut ast::Expr) {
        let span = e.span;
        let name = Symbol::from(WHOLE);
        if !self.whole {
            self.whole = true;
            let copied = list(vec![string("cloneMembers", span)], span);
            let object = list(vec![string("object", span), list(vec![copied], span)], span);
            let computed = list(vec![string("calculation", span), object], span);
            self.members.push((name.clone(), computed));
        }
        *e = self.read(&name, span);
    }

    /// `r.name`
    fn read(&self, name: &Symbol, span: Span) -> ast::Expr {
        let name = Ident {
            text: name.clone(),
            span,
        };
        let kind = match self.row {
            Row::Projected => ExprKind::Projection(name),
            Row::Named(row) => ExprKind::Field {
                base: Box::new(expr(ExprKind::Name(row.clone()), span)),
                name,
                quoted: true,
            },
        };
        expr(kind, span)
    }

    /// `["object", [["assignMember", name, clause], …]]`
    fn clause(self, span: Span) -> ast::Expr {
        let members = self
            .members
            .into_iter()
            .map(|(name, clause)| {
                let parts = vec![string("assignMember", span), string(&name, span), clause];
                list(parts, span)
            })
            .collect();
        list(vec![string("object", span), list(members, span)], span)
    }
}

/// A step of a chain from the record.
enum Step {
    Field(Symbol),
    Follow,
}

/// The steps of a chain of fields that starts at the record.
fn chain(e: &ast::Expr, row: &Row) -> Option<Vec<Step>> {
    let mut steps = Vec::new();
    let mut at = e;
    loop {
        match &at.kind {
            ExprKind::Field { base, name, .. } => {
                steps.push(Step::Field(name.text.clone()));
                at = base;
            }
            ExprKind::Follow(base) => {
                steps.push(Step::Follow);
                at = base;
            }
            ExprKind::Projection(name) if matches!(row, Row::Projected) => {
                steps.push(Step::Field(name.text.clone()));
                break;
            }
            _ if row.is(at) => break,
            _ => return None,
        }
    }
    steps.reverse();
    matches!(steps.first(), Some(Step::Field(_))).then_some(steps)
}

/// `.*` where no engine follows it.
pub(super) fn unfollowed(span: Span) -> Stop {
    refuse(
        span,
        "this `.*`",
        "it follows a reference that is a field of the record, in the function of db.map",
    )
}
