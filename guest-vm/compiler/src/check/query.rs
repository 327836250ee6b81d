//! Queries: filters of `db` that become clauses of the query language.

use super::Checker;
use super::call::Arg;
use super::env::Checked;
use super::types::Ty;
use crate::core::Expr;
use crate::syntax::ast;
use crate::syntax::span::Span;

impl Checker<'_> {
    /// A call of a `db` function whose lambda is translated; `None` for every other call.
    pub(super) fn query_call(
        &mut self,
        _callee: &ast::Expr,
        _args: &mut Vec<Arg>,
        _span: Span,
    ) -> Checked<Option<(Expr, Ty)>> {
        Ok(None)
    }
}
