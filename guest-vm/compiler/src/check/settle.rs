//! What is decided later: fields of values of unknown type, delayed sums.

use super::env::{Checked, Stop};
use super::types::{Node, Range, Ty};
use super::{Checker, FieldWait};
use crate::core::{Check, CheckId};
use crate::issue::{Code, Issue};
use crate::syntax::ast::Symbol;
use crate::syntax::span::Span;

impl Checker<'_> {
    /// The type of field `name` of a value of a still unknown type.
    pub(super) fn wait_for_field(&mut self, base: Ty, name: &Symbol, span: Span) -> (Ty, CheckId) {
        let result = self.types.fresh_soft();
        self.cur.checks.push(Check::None);
        let check = CheckId(self.cur.checks.len() as u32 - 1);
        self.cur.waits.push(FieldWait {
            base,
            name: name.clone(),
            result,
            check,
            span,
            called: false,
        });
        (result, check)
    }

    /// Settles the fields whose base became known.
    pub(super) fn settle(&mut self) -> Checked<()> {
        let mut again = true;
        while again {
            again = false;
            let mut index = 0;
            while index < self.cur.waits.len() {
                let base = self.cur.waits[index].base;
                if self.types.is_var(base) {
                    index += 1;
                } else {
                    let wait = self.cur.waits.remove(index);
                    self.settle_field(wait)?;
                    again = true;
                }
            }
        }
        Ok(())
    }

    /// Settles all fields whose base has a level above the given one: unknown bases are `data`.
    pub(super) fn settle_above(&mut self, level: u32) -> Checked<()> {
        self.settle()?;
        loop {
            let found = self
                .cur
                .waits
                .iter()
                .map(|wait| wait.base)
                .collect::<Vec<_>>();
            let next = found.into_iter().find(
                |base| matches!(self.types.node(*base), Node::Var { level: l, .. } if l > level),
            );
            let Some(base) = next else {
                return Ok(());
            };
            if self.cur.pragmas.strict
                && let Some(wait) = self.cur.waits.iter().find(|wait| wait.base == base)
            {
                return Err(Issue::new(Code::TypeNeedsHint, wait.span)
                    .with(
                        "what",
                        format!("the value whose field {} is read", wait.name),
                    )
                    .hint("annotate the parameter, as in `def f(r: {name: string}) = …`")
                    .into());
            }
            if !self.types.bind(base, Ty::DATA) {
                return Err(Stop::Silent);
            }
            self.settle()?;
        }
    }

    pub(super) fn settle_field(&mut self, wait: FieldWait) -> Checked<()> {
        let actual = match self.types.node(wait.base) {
            // An `+` that stays open: its result is only known when it is run.
            Node::Plus(..) => {
                self.types.default_to_data(wait.base);
                Ty::DATA
            }
            _ => self.field_type(wait.base, &wait.name, wait.span)?,
        };
        let result = self.types.find(wait.result);
        if self.types.is_var(result) {
            return if self.types.unify(result, actual) {
                Ok(())
            } else {
                Err(self.mismatch(result, actual, wait.span))
            };
        }
        if self.types.attempt(|types| types.subtype(actual, result)) {
            return Ok(());
        }
        if self.cur.pragmas.auto_type_assertion
            && let Some(check) = self.downcast(actual, result, wait.span)
        {
            self.cur.checks[wait.check.0 as usize] = self.cur.checks[check.0 as usize].clone();
            return Ok(());
        }
        let method = wait.called && matches!(self.types.node(result), Node::Fun(..));
        match self.mismatch(result, actual, wait.span) {
            Stop::Issue(issue) if method => {
                Err(issue.hint(super::familiar::method(&wait.name, None)).into())
            }
            other => Err(other),
        }
    }

    /// Checks the delayed sums of the phrase that are known by now.
    pub(super) fn verify_sums(&mut self) -> Checked<()> {
        for (sum, span) in std::mem::take(&mut self.cur.sums) {
            let sum = self.types.find(sum);
            if let Node::Plus(left, right) = self.types.node(sum)
                && let super::operator::Plus::Never =
                    super::operator::solve_plus(&mut self.types, left, right)
            {
                let mend = self.mend_sum(left, right);
                let (left, right) = self.show_pair(left, right);
                return Err(Issue::new(Code::TypeOperator, span)
                    .with("op", "+")
                    .with("left", left)
                    .with("right", right)
                    .hint_if(mend)
                    .into());
            }
        }
        Ok(())
    }
}

impl super::types::Types {
    /// Sets the unsolved variables of an asserted type to `data`.
    pub(super) fn data_vars(&mut self, ty: Ty) {
        match self.node(ty) {
            Node::Var {
                range: Range::Word, ..
            } => {
                self.unify(ty, Ty::WORD);
            }
            Node::Var { level, .. } if level != super::types::GENERIC => {
                self.unify(ty, Ty::DATA);
            }
            Node::Var { .. } => {}
            _ => {
                if self.step() {
                    for child in self.parts(ty) {
                        self.data_vars(child);
                    }
                }
            }
        }
    }
}
