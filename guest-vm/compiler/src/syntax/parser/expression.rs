//! Expressions from the loosest level down to prefix operators, and the slots of
//! implicit projections.

use super::{Parse, Parser};
use crate::issue::{Code, Issue};
use crate::syntax::ast::*;
use crate::syntax::lexer::TokenKind;
use crate::syntax::span::Span;

/// The comparison an operator token stands for.
pub(super) fn compare_op(kind: TokenKind) -> Option<CompareOp> {
    Some(match kind {
        TokenKind::Equal => CompareOp::Equal,
        TokenKind::NotEqual => CompareOp::NotEqual,
        TokenKind::Less => CompareOp::Less,
        TokenKind::LessEqual => CompareOp::LessEqual,
        TokenKind::Greater => CompareOp::Greater,
        TokenKind::GreaterEqual => CompareOp::GreaterEqual,
        TokenKind::Same => CompareOp::Same,
        TokenKind::NotSame => CompareOp::NotSame,
        TokenKind::EqualFold => CompareOp::EqualFold,
        TokenKind::NotEqualFold => CompareOp::NotEqualFold,
        TokenKind::LessFold => CompareOp::LessFold,
        TokenKind::LessEqualFold => CompareOp::LessEqualFold,
        TokenKind::GreaterFold => CompareOp::GreaterFold,
        TokenKind::GreaterEqualFold => CompareOp::GreaterEqualFold,
        _ => return None,
    })
}

/// Binary operators with their binding strength; comparisons do not chain, `++` is right-associative.
fn binary_op(kind: TokenKind) -> Option<(BinaryOp, u8)> {
    Some(match kind {
        TokenKind::OrOr => (BinaryOp::Or, LEVEL_OR),
        TokenKind::AndAnd => (BinaryOp::And, LEVEL_OR + 1),
        TokenKind::PlusPlus => (BinaryOp::Append, LEVEL_APPEND),
        TokenKind::Plus => (BinaryOp::Add, LEVEL_APPEND + 1),
        TokenKind::Minus => (BinaryOp::Subtract, LEVEL_APPEND + 1),
        TokenKind::Star => (BinaryOp::Multiply, LEVEL_APPEND + 2),
        TokenKind::Slash => (BinaryOp::Divide, LEVEL_APPEND + 2),
        TokenKind::Percent => (BinaryOp::Remainder, LEVEL_APPEND + 2),
        other => (BinaryOp::Compare(compare_op(other)?), LEVEL_COMPARE),
    })
}

const LEVEL_OR: u8 = 1;
const LEVEL_NOT: u8 = 3;
const LEVEL_COMPARE: u8 = 4;
const LEVEL_APPEND: u8 = 5;

impl Parser<'_> {
    pub(super) fn make(&mut self, start: Span, parts: &[NodeId], kind: ExprKind) -> Parse<Expr> {
        let id = self.node(parts)?;
        let span = self.since(start);
        Ok(Expr { id, kind, span })
    }

    /// An expression that is the slot of the implicit projections in it.
    pub(super) fn slot(&mut self, parse: impl FnOnce(&mut Self) -> Parse<Expr>) -> Parse<Expr> {
        let outer = self.projection.take();
        let start = self.span();
        let body = parse(self)?;
        let found = std::mem::replace(&mut self.projection, outer);
        if found.is_none() {
            return Ok(body);
        }
        let id = body.id;
        self.make(start, &[id], ExprKind::ProjectionFn(Box::new(body)))
    }

    /// A complete expression that is a slot.
    pub(super) fn slot_expr(&mut self) -> Parse<Expr> {
        self.slot(Self::expr)
    }

    /// An expression outside of any slot: a condition or the like.
    pub(super) fn no_slot<T>(&mut self, parse: impl FnOnce(&mut Self) -> Parse<T>) -> Parse<T> {
        let outer = self.projection.take();
        let result = parse(self)?;
        match std::mem::replace(&mut self.projection, outer) {
            None => Ok(result),
            Some(span) => Err(Box::new(
                Issue::new(Code::SynUnexpected, span)
                    .with("found", "`.`")
                    .with("expected", "an expression")
                    .hint("an implicit projection stands in an argument, after `|>` or on a right side"),
            )),
        }
    }

    /// `( e )` of `if`, `while`, `switch`.
    pub(super) fn condition(&mut self) -> Parse<Expr> {
        self.expect(TokenKind::ParenOpen)?;
        let condition = self.inside_brackets(Self::expr)?;
        if self.kind() != TokenKind::ParenClose {
            return self.unexpected_after_expression("`)`");
        }
        self.advance();
        Ok(condition)
    }

    /// Hints are allowed again inside brackets.
    pub(super) fn inside_brackets<T>(
        &mut self,
        parse: impl FnOnce(&mut Self) -> Parse<T>,
    ) -> Parse<T> {
        let no_hint = std::mem::replace(&mut self.no_hint, false);
        let result = parse(self);
        self.no_hint = no_hint;
        result
    }

    /// Any expression.
    pub(super) fn expr(&mut self) -> Parse<Expr> {
        self.nested(|parser| {
            if parser.lambda_starts() {
                return parser.lambda();
            }
            match parser.kind() {
                TokenKind::Let => parser.let_expr(),
                TokenKind::If => parser.if_expr(),
                _ => parser.pipe_expr(),
            }
        })
    }

    fn let_expr(&mut self) -> Parse<Expr> {
        let start = self.advance().span;
        let bind = self.let_bind()?;
        self.let_body(start, bind)
    }

    /// The rest of a `let` expression from the `;` or `in` on.
    pub(super) fn let_body(&mut self, start: Span, bind: LetBind) -> Parse<Expr> {
        if !self.eat(TokenKind::Semi) && !self.eat(TokenKind::In) {
            let expected = "`;` or `in` and the expression to evaluate";
            let several = self.kind() == TokenKind::Ident && self.peek(1) == TokenKind::Assign;
            let result = self.unexpected_after_expression(expected);
            return result.map_err(|issue: Box<Issue>| {
                let hint = "each name has a `let` of its own: `let x = 1; let y = 2; x + y`";
                Box::new(issue.hint_if(several.then_some(hint)))
            });
        }
        let body = self.expr()?;
        let bound = match &bind {
            LetBind::Alias { value, .. } | LetBind::Pattern { value, .. } => value.id,
            LetBind::Function { body, .. } => body.id,
        };
        let parts = [bound, body.id];
        let kind = ExprKind::Let {
            bind: Box::new(bind),
            body: Box::new(body),
        };
        self.make(start, &parts, kind)
    }

    fn if_expr(&mut self) -> Parse<Expr> {
        let start = self.advance().span;
        let condition = self.condition()?;
        let then = self.expr()?;
        if !self.eat(TokenKind::Else) {
            if matches!(self.kind(), TokenKind::Error(_) | TokenKind::Assign) {
                return self.unexpected_after_expression("`else`");
            }
            if matches!(&then.kind, ExprKind::Name(name) if &**name == "then") {
                let hint = "there is no `then`: write `if (c) a else b`";
                return Err(Box::new(
                    Issue::new(Code::SynElse, self.since(start)).hint(hint),
                ));
            }
            return Err(Box::new(Issue::new(Code::SynElse, self.since(start)).hint(
                match ["elseif", "elif", "elsif", "elseIf"].contains(&self.text_of(self.span())) {
                    true => "write `else if (…)`",
                    false => "add `else` and the value for the other case",
                },
            )));
        }
        let otherwise = self.expr()?;
        let parts = [condition.id, then.id, otherwise.id];
        let kind = ExprKind::If {
            condition: Box::new(condition),
            then: Box::new(then),
            otherwise: Box::new(otherwise),
        };
        self.make(start, &parts, kind)
    }

    pub(super) fn pipe_expr(&mut self) -> Parse<Expr> {
        let start = self.span();
        let mut value = self.with_expr()?;
        while self.eat(TokenKind::Pipe) {
            let function = self.slot(Self::with_expr)?;
            let parts = [value.id, function.id];
            let kind = ExprKind::Pipe {
                value: Box::new(value),
                function: Box::new(function),
            };
            value = self.make(start, &parts, kind)?;
        }
        Ok(value)
    }

    fn with_expr(&mut self) -> Parse<Expr> {
        let start = self.span();
        let mut base = self.or_expr()?;
        while self.eat(TokenKind::With) {
            let steps = self.steps()?;
            self.expect(TokenKind::Assign)?;
            let value = self.or_expr()?;
            let mut parts = vec![base.id, value.id];
            for step in &steps {
                if let StepKind::Computed(expr) | StepKind::Index(expr) = &step.kind {
                    parts.push(expr.id);
                }
            }
            let kind = ExprKind::With {
                base: Box::new(base),
                steps,
                value: Box::new(value),
            };
            base = self.make(start, &parts, kind)?;
        }
        Ok(base)
    }

    /// Operators from `||` inward.
    pub(super) fn or_expr(&mut self) -> Parse<Expr> {
        self.binary(LEVEL_OR)
    }

    fn binary(&mut self, min_level: u8) -> Parse<Expr> {
        let start = self.span();
        let mut left = if self.kind() == TokenKind::Not && min_level <= LEVEL_NOT {
            self.prefix(UnaryOp::Not, |parser| parser.binary(LEVEL_NOT))?
        } else {
            self.unary()?
        };
        let mut compared = false;
        while let Some((op, level)) = binary_op(self.kind()) {
            if level < min_level {
                break;
            }
            let op_span = self.span();
            if level == LEVEL_COMPARE {
                if compared {
                    return Err(Box::new(
                        Issue::new(Code::SynNonassoc, op_span)
                            .hint("join two comparisons with `&&`"),
                    ));
                }
                compared = true;
            }
            self.advance();
            // `++` takes everything to its right, `not` may follow `&&` and `||` only.
            let right = match op {
                BinaryOp::Append => self.nested(|parser| parser.binary(level))?,
                _ => self.binary(level + 1)?,
            };
            let parts = [left.id, right.id];
            let kind = ExprKind::Binary {
                op,
                op_span,
                left: Box::new(left),
                right: Box::new(right),
            };
            left = self.make(start, &parts, kind)?;
            // What was a comparison operand is complete once a looser operator came.
            if level < LEVEL_COMPARE {
                compared = false;
            }
        }
        Ok(left)
    }

    fn prefix(
        &mut self,
        op: UnaryOp,
        operand: impl FnOnce(&mut Self) -> Parse<Expr>,
    ) -> Parse<Expr> {
        let start = self.advance().span;
        let operand = self.nested(operand)?;
        let id = operand.id;
        let kind = ExprKind::Unary {
            op,
            operand: Box::new(operand),
        };
        self.make(start, &[id], kind)
    }

    fn unary(&mut self) -> Parse<Expr> {
        match self.kind() {
            TokenKind::Minus => self.prefix(UnaryOp::Negate, Self::unary),
            TokenKind::Try => self.prefix(UnaryOp::Try, Self::unary),
            _ => self.postfix(),
        }
    }
}
