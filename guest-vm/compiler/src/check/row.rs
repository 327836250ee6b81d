//! The record parameter of the functions that queries are made of, and where an expression
//! mentions it.

use super::env::Checked;
use crate::syntax::ast::{
    Block, CompareRight, Expr, ExprKind, For, IfStatement, LetBind, MapKey, Pattern,
    PatternElement, PatternKind, Statement, StatementKind, Step, StepKind, Symbol,
};

/// The record parameter of a function.
pub(super) enum Row {
    /// The parameter of a lambda.
    Named(Symbol),
    /// The hidden parameter of implicit projections.
    Projected,
}

impl Row {
    /// Whether the expression is the record itself.
    pub(super) fn is(&self, e: &Expr) -> bool {
        match (&e.kind, self) {
            (ExprKind::Name(name), Row::Named(row)) => name == row,
            _ => false,
        }
    }

    /// Whether a name that is bound hides it.
    fn hidden_by(&self, name: &str) -> bool {
        matches!(self, Row::Named(row) if &**row == name)
    }
}

/// Whether an expression mentions the record.
pub(super) fn mentions(e: &Expr, row: &Row) -> bool {
    let mut copy = e.clone();
    let mut found = false;
    let complete = walk(&mut copy, row, &mut |e| {
        found |= row.is(e) || matches!((&e.kind, row), (ExprKind::Projection(_), Row::Projected));
        Ok(found)
    });
    found || !complete.unwrap_or(false)
}

/// Visits the parts of an expression in which the record is visible, the outer ones first.
/// `visit` says whether it has dealt with a part, which is not entered then. The result is
/// false if the record is mentioned where no expression stands: in a comparison of a pattern.
pub(super) fn walk(
    e: &mut Expr,
    row: &Row,
    visit: &mut dyn FnMut(&mut Expr) -> Checked<bool>,
) -> Checked<bool> {
    let mut walker = Walker {
        row,
        visit,
        complete: true,
    };
    walker.expr(e)?;
    Ok(walker.complete)
}

struct Walker<'w> {
    row: &'w Row,
    visit: &'w mut dyn FnMut(&mut Expr) -> Checked<bool>,
    complete: bool,
}

impl Walker<'_> {
    fn expr(&mut self, e: &mut Expr) -> Checked<()> {
        if (self.visit)(e)? {
            return Ok(());
        }
        match &mut e.kind {
            ExprKind::Null
            | ExprKind::Bool(_)
            | ExprKind::Undefined
            | ExprKind::Int(_)
            | ExprKind::Float(_)
            | ExprKind::Str(_)
            | ExprKind::Name(_)
            | ExprKind::Wildcard
            | ExprKind::SelfName(_)
            | ExprKind::GlobalName(_)
            | ExprKind::Projection(_)
            | ExprKind::Regex(_)
            | ExprKind::EscJson(_)
            | ExprKind::TypeAssert { value: None, .. } => Ok(()),
            ExprKind::Array(items) | ExprKind::AppView { args: items, .. } => self.all(items),
            ExprKind::LabeledTuple(fields) => {
                for (_, value) in fields {
                    self.expr(value)?;
                }
                Ok(())
            }
            ExprKind::Map(entries) => {
                for entry in entries {
                    if let MapKey::Computed(key) = &mut entry.key {
                        self.expr(key)?;
                    }
                    self.expr(&mut entry.value)?;
                }
                Ok(())
            }
            ExprKind::Lambda(lambda) => {
                for arm in &mut lambda.arms {
                    let mut hidden = false;
                    for param in &arm.params {
                        hidden |= self.pattern(&param.pattern);
                    }
                    if !hidden {
                        if let Some(guard) = &mut arm.guard {
                            self.expr(guard)?;
                        }
                        self.expr(&mut arm.body)?;
                    }
                }
                Ok(())
            }
            // Its slot has a row of its own; a named row is still visible in it.
            ExprKind::ProjectionFn(body) => match self.row {
                Row::Named(_) => self.expr(body),
                Row::Projected => Ok(()),
            },
            ExprKind::Let { bind, body } => {
                if self.bind(bind)? {
                    return Ok(());
                }
                self.expr(body)
            }
            ExprKind::If {
                condition,
                then,
                otherwise,
            } => {
                self.expr(condition)?;
                self.expr(then)?;
                self.expr(otherwise)
            }
            ExprKind::Pipe {
                value: left,
                function: right,
            }
            | ExprKind::Binary { left, right, .. }
            | ExprKind::ComputedField {
                base: left,
                key: right,
            }
            | ExprKind::Index {
                base: left,
                index: right,
            } => {
                self.expr(left)?;
                self.expr(right)
            }
            ExprKind::With { base, steps, value } => {
                self.expr(base)?;
                self.steps(steps)?;
                self.expr(value)
            }
            ExprKind::Call { callee, args } => {
                self.expr(callee)?;
                self.all(args)
            }
            ExprKind::Slice { base, from, to } => {
                self.expr(base)?;
                for bound in [from, to].into_iter().flatten() {
                    self.expr(bound)?;
                }
                Ok(())
            }
            ExprKind::Unary { operand: inner, .. }
            | ExprKind::Field { base: inner, .. }
            | ExprKind::Label { base: inner, .. }
            | ExprKind::TupleIndex { base: inner, .. }
            | ExprKind::IsDefined(inner)
            | ExprKind::Previous(inner)
            | ExprKind::Extract(inner)
            | ExprKind::Follow(inner)
            | ExprKind::Hint { value: inner, .. }
            | ExprKind::TypeAssert {
                value: Some(inner), ..
            } => self.expr(inner),
            ExprKind::Do(block) => self.block(block),
            ExprKind::Action { param, body } => match param {
                Some(param) if self.row.hidden_by(&param.text) => Ok(()),
                _ => self.block(body),
            },
        }
    }

    fn all(&mut self, items: &mut [Expr]) -> Checked<()> {
        items.iter_mut().try_for_each(|item| self.expr(item))
    }

    fn steps(&mut self, steps: &mut [Step]) -> Checked<()> {
        for step in steps {
            if let StepKind::Computed(e) | StepKind::Index(e) = &mut step.kind {
                self.expr(e)?;
            }
        }
        Ok(())
    }

    /// Whether what it binds hides the record.
    fn bind(&mut self, bind: &mut LetBind) -> Checked<bool> {
        match bind {
            LetBind::Alias { name, value } => {
                self.expr(value)?;
                Ok(self.row.hidden_by(&name.text))
            }
            LetBind::Function {
                name, params, body, ..
            } => {
                // The function is visible in its own body.
                let hidden = self.row.hidden_by(&name.text);
                let in_body = params.iter().any(|p| self.row.hidden_by(&p.name.text));
                if !hidden && !in_body {
                    self.expr(body)?;
                }
                Ok(hidden)
            }
            LetBind::Pattern { pattern, value, .. } => {
                self.expr(value)?;
                Ok(self.pattern(pattern))
            }
        }
    }

    fn block(&mut self, block: &mut Block) -> Checked<()> {
        for statement in &mut block.statements {
            if self.statement(statement)? {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Whether the record is hidden in what follows.
    fn statement(&mut self, statement: &mut Statement) -> Checked<bool> {
        match &mut statement.kind {
            StatementKind::Let(bind) => return self.bind(bind),
            StatementKind::Var { name, value, .. } => {
                self.expr(value)?;
                return Ok(self.row.hidden_by(&name.text));
            }
            StatementKind::Assign { target, value } => {
                self.complete &= !self.row.hidden_by(&target.name.text);
                self.steps(&mut target.steps)?;
                self.expr(value)?;
            }
            StatementKind::Return(Some(value)) | StatementKind::Expr(value) => self.expr(value)?,
            StatementKind::Return(None) => {}
            StatementKind::If(IfStatement {
                condition,
                then,
                otherwise,
            }) => {
                self.expr(condition)?;
                self.block(then)?;
                if let Some(otherwise) = otherwise {
                    self.block(otherwise)?;
                }
            }
            StatementKind::While { condition, body } => {
                self.expr(condition)?;
                self.block(body)?;
            }
            StatementKind::For(looping) => self.looping(looping)?,
            StatementKind::Switch { subject, cases } => {
                self.expr(subject)?;
                for case in cases {
                    if !self.pattern(&case.pattern) {
                        if let Some(guard) = &mut case.guard {
                            self.expr(guard)?;
                        }
                        self.block(&mut case.body)?;
                    }
                }
            }
            StatementKind::Block(block) => self.block(block)?,
        }
        Ok(false)
    }

    fn looping(&mut self, looping: &mut For) -> Checked<()> {
        match looping {
            For::Counting {
                name,
                start,
                condition,
                step_target,
                step_value,
                body,
                ..
            } => {
                self.expr(start)?;
                if self.row.hidden_by(&name.text) {
                    return Ok(());
                }
                self.expr(condition)?;
                self.steps(&mut step_target.steps)?;
                self.expr(step_value)?;
                self.block(body)
            }
            For::Each {
                pattern,
                subject,
                body,
                ..
            } => {
                self.expr(subject)?;
                if self.pattern(pattern) {
                    return Ok(());
                }
                self.block(body)
            }
        }
    }

    /// Whether it binds a name that hides the record.
    fn pattern(&mut self, pattern: &Pattern) -> bool {
        match &pattern.kind {
            PatternKind::Wildcard | PatternKind::Literal(_) | PatternKind::Type(_) => false,
            PatternKind::Name(name) => self.row.hidden_by(name),
            PatternKind::Compare { subject, right, .. } => {
                if let CompareRight::Name(name, _) = right {
                    self.complete &= !self.row.hidden_by(&name.text);
                }
                subject
                    .as_ref()
                    .is_some_and(|subject| self.row.hidden_by(&subject.text))
            }
            PatternKind::Case { argument, .. } => argument
                .as_ref()
                .is_some_and(|argument| self.pattern(argument)),
            PatternKind::Array(elements) => elements.iter().fold(false, |hidden, element| {
                let (PatternElement::Plain(part)
                | PatternElement::Multiple(part)
                | PatternElement::Optional(part)) = element;
                self.pattern(part) | hidden
            }),
            PatternKind::Record(fields) => fields
                .iter()
                .fold(false, |hidden, field| self.pattern(&field.pattern) | hidden),
            PatternKind::And(left, right) | PatternKind::Or(left, right) => {
                self.pattern(left) | self.pattern(right)
            }
            PatternKind::As(name, inner) => self.row.hidden_by(&name.text) | self.pattern(inner),
        }
    }
}
