//! Lambdas: where one starts (rule G1), and its arms.

use super::{Parse, Parser};
use crate::issue::{Code, Issue};
use crate::syntax::ast::*;
use crate::syntax::lexer::TokenKind;

impl Parser<'_> {
    /// Does a lambda start here? Looks for `->` before anything that ends an operand.
    pub(super) fn lambda_starts(&self) -> bool {
        let tokens = &self.tokens.tokens;
        let mut at = self.at;
        loop {
            match tokens[at].kind {
                TokenKind::Arrow => return true,
                TokenKind::Comma
                | TokenKind::Semi
                | TokenKind::SemiSemi
                | TokenKind::Assign
                | TokenKind::Pipe
                | TokenKind::Bar
                | TokenKind::Command
                | TokenKind::End => return false,
                kind if kind.is_close() => return false,
                kind if kind.is_open() => match self.partners[at] {
                    Some(partner) => at = partner as usize + 1,
                    None => return false,
                },
                TokenKind::When
                | TokenKind::Type
                | TokenKind::SelfWord
                | TokenKind::Global
                | TokenKind::Null
                | TokenKind::True
                | TokenKind::False
                | TokenKind::Undefined
                | TokenKind::Not => at += 1,
                kind if kind.is_keyword() => return false,
                _ => at += 1,
            }
        }
    }

    pub(super) fn lambda(&mut self) -> Parse<Expr> {
        let start = self.span();
        let mut arms: Vec<LambdaArm> = vec![self.arm()?];
        while self.eat(TokenKind::Bar) {
            let arm = self.arm()?;
            if arm.params.len() != arms[0].params.len() {
                return Err(Box::new(Issue::new(Code::SynArity, arm.span).hint(
                    "an arm belongs to the innermost open lambda; put an inner lambda in parentheses",
                )));
            }
            arms.push(arm);
        }
        let mut parts = Vec::new();
        for arm in &arms {
            parts.push(arm.body.id);
            parts.extend(arm.guard.as_ref().map(|guard| guard.id));
            parts.extend(arm.params.iter().map(|param| param.pattern.id));
        }
        self.make(start, &parts, ExprKind::Lambda(Lambda { arms }))
    }

    fn arm(&mut self) -> Parse<LambdaArm> {
        let start = self.span();
        let params = if self.params_in_parentheses() {
            self.advance();
            self.list(TokenKind::ParenClose, Self::lambda_param)?
        } else {
            vec![self.lambda_param()?]
        };
        let guard = match self.eat(TokenKind::When) {
            true => Some(self.no_slot(Self::or_expr)?),
            false => None,
        };
        if self.kind() != TokenKind::Arrow {
            let issue = self.unexpected_issue("`->`");
            return Err(Box::new(issue.hint_if(Some(
                "before `->` stand names or patterns; a lambda as an operand needs parentheses",
            ))));
        }
        self.advance();
        let body = self.inside_brackets(Self::slot_expr)?;
        Ok(LambdaArm {
            params,
            guard,
            body,
            span: self.since(start),
        })
    }

    /// A group directly followed by `->` or `when` is the parameter list.
    fn params_in_parentheses(&self) -> bool {
        let Some(partner) = self.partners[self.at] else {
            return false;
        };
        let after = self.tokens.tokens[partner as usize + 1].kind;
        self.kind() == TokenKind::ParenOpen && matches!(after, TokenKind::Arrow | TokenKind::When)
    }

    fn lambda_param(&mut self) -> Parse<LambdaParam> {
        let pattern = self.pattern()?;
        let ty = match self.eat(TokenKind::Colon) {
            true => Some(self.type_atom()?),
            false => None,
        };
        Ok(LambdaParam { pattern, ty })
    }
}
