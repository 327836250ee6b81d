//! Blocks, statements and `let` bindings.

use super::{Parse, Parser};
use crate::issue::{Code, Issue};
use crate::syntax::ast::*;
use crate::syntax::lexer::TokenKind;
use crate::syntax::span::Span;

impl Parser<'_> {
    /// `{ statements }`
    pub(super) fn block(&mut self) -> Parse<Block> {
        let start = self.expect(TokenKind::BraceOpen)?;
        self.nested(|parser| {
            let statements = parser.inside_brackets(Self::statements)?;
            if parser.kind() != TokenKind::BraceClose {
                return parser.no_separator();
            }
            parser.advance();
            Ok(Block {
                statements,
                span: parser.since(start),
            })
        })
    }

    /// A statement that does not end: mostly a `;` is missing at the end of its line.
    fn no_separator<T>(&self) -> Parse<T> {
        let before = self.previous_span();
        let between = &self.text[before.end as usize..self.span().start as usize];
        let after_statement = self.at > 0
            && !matches!(
                self.tokens.tokens[self.at - 1].kind,
                TokenKind::BraceOpen | TokenKind::Semi
            );
        match self.unexpected_after_expression("`;` or `}`") {
            Err(issue) if self.kind() == TokenKind::Case => {
                Err(Box::new(issue.hint("`case` stands in `switch (x) { … }`")))
            }
            Err(issue)
                if issue.code == Code::SynUnexpected
                    && after_statement
                    && between.contains('\n') =>
            {
                Err(Box::new(Issue {
                    span: before.after(),
                    ..issue.hint_if(Some("statements are separated by `;`"))
                }))
            }
            other => other,
        }
    }

    /// A block and its height.
    pub(super) fn block_and_height(&mut self) -> Parse<(Block, u32)> {
        let outer = std::mem::take(&mut self.peak);
        let block = self.block()?;
        let height = self.peak;
        self.peak = outer.max(height);
        Ok((block, height))
    }

    /// Statements up to a token that cannot start one.
    fn statements(&mut self) -> Parse<Vec<Statement>> {
        let mut statements = Vec::new();
        loop {
            while self.eat(TokenKind::Semi) {}
            if matches!(
                self.kind(),
                TokenKind::BraceClose | TokenKind::Case | TokenKind::End
            ) {
                return Ok(statements);
            }
            let statement = self.statement()?;
            let closed = matches!(
                statement.kind,
                StatementKind::If(_)
                    | StatementKind::While { .. }
                    | StatementKind::For(_)
                    | StatementKind::Switch { .. }
                    | StatementKind::Block(_)
            );
            statements.push(statement);
            if !closed && self.kind() != TokenKind::Semi {
                return Ok(statements);
            }
        }
    }

    fn statement(&mut self) -> Parse<Statement> {
        let start = self.span();
        let kind = match self.kind() {
            TokenKind::Let => self.let_statement()?,
            TokenKind::Var => {
                self.advance();
                self.var_statement()?
            }
            TokenKind::Return => {
                self.advance();
                let value = match self.kind() {
                    TokenKind::Semi | TokenKind::BraceClose | TokenKind::Case => None,
                    _ => Some(self.slot_expr()?),
                };
                StatementKind::Return(value)
            }
            TokenKind::If if self.is_if_statement() => {
                StatementKind::If(self.nested(Self::if_statement)?)
            }
            TokenKind::While => {
                self.advance();
                let condition = self.no_slot(Self::condition)?;
                let body = self.block()?;
                StatementKind::While { condition, body }
            }
            TokenKind::For => {
                self.advance();
                StatementKind::For(Box::new(self.for_statement()?))
            }
            TokenKind::Switch => {
                self.advance();
                self.nested(Self::switch_statement)?
            }
            TokenKind::BraceOpen => StatementKind::Block(self.block()?),
            _ => self.expression_statement()?,
        };
        Ok(Statement {
            kind,
            span: self.since(start),
        })
    }

    fn expression_statement(&mut self) -> Parse<StatementKind> {
        let expr = self.slot_expr()?;
        if !self.eat(TokenKind::Assign) {
            return Ok(StatementKind::Expr(expr));
        }
        let target = self.place(expr)?;
        let value = self.slot_expr()?;
        Ok(StatementKind::Assign { target, value })
    }

    /// `let … in e` is an expression statement.
    fn let_statement(&mut self) -> Parse<StatementKind> {
        let start = self.advance().span;
        let outer = self.projection.take();
        let bind = self.let_bind()?;
        if self.kind() != TokenKind::In {
            self.projection = outer;
            return Ok(StatementKind::Let(Box::new(bind)));
        }
        let expr = self.slot(|parser| parser.let_body(start, bind));
        self.projection = outer;
        Ok(StatementKind::Expr(expr?))
    }

    pub(super) fn let_bind(&mut self) -> Parse<LetBind> {
        if self.eat(TokenKind::Alias) {
            let name = self.ident("the name of the alias")?;
            self.expect(TokenKind::Assign)?;
            let value = self.slot_expr()?;
            return Ok(LetBind::Alias { name, value });
        }
        if self.kind() == TokenKind::Ident && self.peek(1) == TokenKind::ParenOpen {
            let name = self.take_ident();
            self.advance();
            let params = self.params(&name)?;
            let result = self.annotation()?;
            self.expect(TokenKind::Assign)?;
            let body = self.slot_expr()?;
            return Ok(LetBind::Function {
                name,
                params,
                result,
                body,
            });
        }
        let pattern = self.pattern()?;
        let ty = self.annotation()?;
        self.expect(TokenKind::Assign)?;
        let value = self.slot_expr()?;
        Ok(LetBind::Pattern { pattern, ty, value })
    }

    fn var_name(&mut self) -> Parse<Ident> {
        let start = self.span();
        let destructures = matches!(
            self.kind(),
            TokenKind::BracketOpen | TokenKind::BraceOpen | TokenKind::Underscore
        ) || (self.kind() == TokenKind::Ident
            && matches!(self.peek(1), TokenKind::ParenOpen | TokenKind::At));
        if destructures {
            let end = match self.partners[self.at] {
                Some(partner) => self.tokens.tokens[partner as usize].span,
                None => start,
            };
            return Err(Box::new(Issue::new(Code::SynVarPattern, start.to(end))));
        }
        self.ident("the name of a variable")
    }

    fn var_statement(&mut self) -> Parse<StatementKind> {
        let name = self.var_name()?;
        let ty = self.annotation()?;
        self.expect(TokenKind::Assign)?;
        let value = self.slot_expr()?;
        let ty = ty.map(Box::new);
        Ok(StatementKind::Var { name, ty, value })
    }

    /// `if (…) {`
    fn is_if_statement(&self) -> bool {
        let group = self.at + 1;
        match self.partners.get(group).copied().flatten() {
            Some(partner) => {
                self.tokens.tokens[group].kind == TokenKind::ParenOpen
                    && self.tokens.tokens[partner as usize + 1].kind == TokenKind::BraceOpen
            }
            None => false,
        }
    }

    fn if_statement(&mut self) -> Parse<IfStatement> {
        self.expect(TokenKind::If)?;
        let condition = self.no_slot(Self::condition)?;
        let then = self.block()?;
        let mut otherwise = None;
        if self.eat(TokenKind::Else) {
            otherwise = Some(match self.kind() {
                TokenKind::If => {
                    let start = self.span();
                    let kind = StatementKind::If(self.nested(Self::if_statement)?);
                    let span = self.since(start);
                    let statements = vec![Statement { kind, span }];
                    Block { statements, span }
                }
                _ => self.block()?,
            });
        }
        Ok(IfStatement {
            condition,
            then,
            otherwise,
        })
    }

    fn for_statement(&mut self) -> Parse<For> {
        self.expect(TokenKind::ParenOpen)?;
        let is_var = match self.kind() {
            TokenKind::Var => true,
            TokenKind::Let => false,
            _ => return self.unexpected("`let` or `var`"),
        };
        self.advance();
        let start = self.span();
        let pattern = match is_var {
            true => {
                let name = self.var_name()?;
                let id = self.node(&[])?;
                let kind = PatternKind::Name(name.text);
                let span = name.span;
                Pattern { id, kind, span }
            }
            false => self.pattern()?,
        };
        if self.eat(TokenKind::In) {
            let subject = self.no_slot(Self::expr)?;
            self.close_for()?;
            let body = self.block()?;
            return Ok(For::Each {
                is_var,
                pattern,
                subject,
                body,
            });
        }
        let PatternKind::Name(text) = pattern.kind else {
            return self.unexpected("`in`");
        };
        if self.kind() != TokenKind::Assign {
            return self.unexpected("`=` or `in`");
        }
        self.advance();
        let name = Ident { text, span: start };
        let first = self.slot_expr()?;
        self.expect(TokenKind::Semi)?;
        let condition = self.no_slot(Self::expr)?;
        self.expect(TokenKind::Semi)?;
        let step = self.no_slot(Self::expr)?;
        self.expect(TokenKind::Assign)?;
        let step_target = self.place(step)?;
        let step_value = self.slot_expr()?;
        self.close_for()?;
        let body = self.block()?;
        Ok(For::Counting {
            is_var,
            name,
            start: first,
            condition,
            step_target,
            step_value,
            body,
        })
    }

    fn close_for(&mut self) -> Parse<()> {
        if self.kind() != TokenKind::ParenClose {
            return self.unexpected_after_expression("`)`");
        }
        self.advance();
        Ok(())
    }

    fn switch_statement(&mut self) -> Parse<StatementKind> {
        let subject = self.no_slot(Self::condition)?;
        self.expect(TokenKind::BraceOpen)?;
        let mut cases = Vec::new();
        while self.kind() == TokenKind::Case {
            cases.push(self.inside_brackets(Self::switch_case)?);
        }
        if self.kind() != TokenKind::BraceClose {
            return self.unexpected("`case` or `}`");
        }
        self.advance();
        Ok(StatementKind::Switch { subject, cases })
    }

    fn switch_case(&mut self) -> Parse<SwitchCase> {
        let start: Span = self.advance().span;
        let pattern = self.pattern()?;
        let guard = match self.eat(TokenKind::When) {
            true => {
                self.no_hint = true;
                let guard = self.no_slot(Self::or_expr)?;
                self.no_hint = false;
                Some(guard)
            }
            false => None,
        };
        self.expect(TokenKind::Colon)?;
        let body_start = self.span();
        let statements = self.statements()?;
        if !matches!(self.kind(), TokenKind::Case | TokenKind::BraceClose) {
            return self.unexpected_after_expression("`;`, `case` or `}`");
        }
        let body = Block {
            statements,
            span: self.since(body_start),
        };
        Ok(SwitchCase {
            pattern,
            guard,
            body,
            span: self.since(start),
        })
    }
}
