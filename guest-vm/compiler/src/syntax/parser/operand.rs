//! Postfix operators, `with` steps and assignable places.

use super::{Parse, Parser};
use crate::issue::{Code, Issue};
use crate::syntax::ast::*;
use crate::syntax::lexer::TokenKind;
use crate::syntax::span::Span;

/// What stands between `[` and `]`.
enum Bracket {
    Label(Ident),
    Tuple { index: u32, of: u32 },
    Index(Expr),
    Slice(Option<Expr>, Option<Expr>),
}

impl Parser<'_> {
    pub(super) fn postfix(&mut self) -> Parse<Expr> {
        let start = self.span();
        let mut base = self.primary()?;
        loop {
            let id = base.id;
            let (kind, parts) = match self.kind() {
                TokenKind::ParenOpen => {
                    self.advance();
                    let args = self.args()?;
                    let mut parts = vec![id];
                    parts.extend(args.iter().map(|arg| arg.id));
                    let callee = Box::new(base);
                    (ExprKind::Call { callee, args }, parts)
                }
                TokenKind::Dot => {
                    self.advance();
                    self.dot(base)?
                }
                TokenKind::BracketOpen => {
                    self.advance();
                    let bracket = self.inside_brackets(Self::bracket)?;
                    bracket_kind(base, bracket)
                }
                TokenKind::Question => {
                    self.advance();
                    (ExprKind::IsDefined(Box::new(base)), vec![id])
                }
                TokenKind::Quote => {
                    self.advance();
                    (ExprKind::Previous(Box::new(base)), vec![id])
                }
                TokenKind::Caret => {
                    self.advance();
                    (ExprKind::Extract(Box::new(base)), vec![id])
                }
                TokenKind::Colon if !self.no_hint => {
                    self.advance();
                    let ty = self.type_atom()?;
                    let parts = vec![id, ty.id];
                    let value = Box::new(base);
                    let ty = Box::new(ty);
                    (ExprKind::Hint { value, ty }, parts)
                }
                _ => return Ok(base),
            };
            base = self.make(start, &parts, kind)?;
        }
    }

    /// Arguments after the opening parenthesis; each is a slot.
    pub(super) fn args(&mut self) -> Parse<Vec<Expr>> {
        self.inside_brackets(|parser| parser.list(TokenKind::ParenClose, Self::slot_expr))
    }

    /// After `base .`
    fn dot(&mut self, base: Expr) -> Parse<(ExprKind, Vec<NodeId>)> {
        let id = base.id;
        let base = Box::new(base);
        if let Some(name) = self.string() {
            let quoted = true;
            return Ok((ExprKind::Field { base, name, quoted }, vec![id]));
        }
        if self.eat(TokenKind::ParenOpen) {
            let key = self.inside_brackets(Self::expr)?;
            self.expect(TokenKind::ParenClose)?;
            let parts = vec![id, key.id];
            let key = Box::new(key);
            return Ok((ExprKind::ComputedField { base, key }, parts));
        }
        if self.eat(TokenKind::BracketOpen) {
            let label = self.label()?;
            return Ok((ExprKind::Label { base, label }, vec![id]));
        }
        if self.eat(TokenKind::Star) {
            return Ok((ExprKind::Follow(base), vec![id]));
        }
        if !self.kind().is_name() {
            return self.unexpected("a field name, `\"…\"`, `(` or `[#`");
        }
        let name = self.take_ident();
        let quoted = false;
        Ok((ExprKind::Field { base, name, quoted }, vec![id]))
    }

    /// `#name ]`
    fn label(&mut self) -> Parse<Ident> {
        self.expect(TokenKind::Hash)?;
        let label = self.name()?;
        self.expect(TokenKind::BracketClose)?;
        Ok(label)
    }

    /// After `[` of an access.
    fn bracket(&mut self) -> Parse<Bracket> {
        if self.eat(TokenKind::BracketClose) {
            return Ok(Bracket::Slice(None, None));
        }
        if self.eat(TokenKind::Hash) {
            if let TokenKind::Int(_) = self.kind() {
                let index = self.small_number("a position")?;
                if !self.is_contextual("of") {
                    return self.unexpected("`of` and the length of the tuple");
                }
                self.advance();
                let of = self.small_number("the length of the tuple")?;
                self.expect(TokenKind::BracketClose)?;
                return Ok(Bracket::Tuple { index, of });
            }
            let label = self.name()?;
            self.expect(TokenKind::BracketClose)?;
            return Ok(Bracket::Label(label));
        }
        let from = match self.kind() {
            TokenKind::DotDot => None,
            _ => Some(self.expr()?),
        };
        if !self.eat(TokenKind::DotDot) {
            if self.kind() != TokenKind::BracketClose {
                return self.unexpected_after_expression("`]` or `..`");
            }
            self.advance();
            return match from {
                Some(index) => Ok(Bracket::Index(index)),
                None => Ok(Bracket::Slice(None, None)),
            };
        }
        let to = match self.kind() {
            TokenKind::BracketClose => None,
            _ => Some(self.expr()?),
        };
        self.expect(TokenKind::BracketClose)?;
        Ok(Bracket::Slice(from, to))
    }

    fn small_number(&mut self, what: &str) -> Parse<u32> {
        let TokenKind::Int(index) = self.kind() else {
            return self.unexpected(what);
        };
        match u32::try_from(self.tokens.ints[index as usize]) {
            Ok(number) => {
                self.advance();
                Ok(number)
            }
            Err(_) => self.unexpected("a smaller number"),
        }
    }

    /// The path of a `with` expression; at least one step.
    pub(super) fn steps(&mut self) -> Parse<Vec<Step>> {
        let mut steps = Vec::new();
        loop {
            let start = self.span();
            let kind = match self.kind() {
                TokenKind::Dot => {
                    self.advance();
                    self.dot_step()?
                }
                TokenKind::BracketOpen => {
                    self.advance();
                    match self.inside_brackets(Self::bracket)? {
                        Bracket::Label(label) => StepKind::Label(label),
                        Bracket::Tuple { index, of } => StepKind::TupleIndex { index, of },
                        Bracket::Index(index) => StepKind::Index(index),
                        Bracket::Slice(..) => return Err(self.no_place(self.since(start))),
                    }
                }
                _ if steps.is_empty() => {
                    return self.unexpected("`.` or `[` and the place to change");
                }
                _ => return Ok(steps),
            };
            let span = self.since(start);
            steps.push(Step { kind, span });
        }
    }

    fn dot_step(&mut self) -> Parse<StepKind> {
        if let Some(name) = self.string() {
            return Ok(StepKind::Field(name));
        }
        if self.eat(TokenKind::ParenOpen) {
            let key = self.inside_brackets(Self::expr)?;
            self.expect(TokenKind::ParenClose)?;
            return Ok(StepKind::Computed(key));
        }
        if self.eat(TokenKind::BracketOpen) {
            return Ok(StepKind::Label(self.label()?));
        }
        Ok(StepKind::Field(self.name()?))
    }

    fn no_place(&self, span: Span) -> Box<Issue> {
        Box::new(
            Issue::new(Code::SynUnexpected, span)
                .with("found", "expression")
                .with("expected", "a variable with `.field` or `[index]` steps"),
        )
    }

    /// Turns an expression on the left of `=` into the place it names.
    pub(super) fn place(&mut self, expr: Expr) -> Parse<LValue> {
        let span = expr.span;
        let mut steps = Vec::new();
        let mut current = expr;
        let (through_self, name) = loop {
            let step_span = current.span;
            let (base, kind) = match current.kind {
                ExprKind::Name(text) => {
                    let span = current.span;
                    break (false, Ident { text, span });
                }
                ExprKind::SelfName(name) => break (true, name),
                ExprKind::Field { base, name, .. } => (base, StepKind::Field(name)),
                ExprKind::ComputedField { base, key } => (base, StepKind::Computed(*key)),
                ExprKind::Label { base, label } => (base, StepKind::Label(label)),
                ExprKind::TupleIndex { base, index, of } => {
                    (base, StepKind::TupleIndex { index, of })
                }
                ExprKind::Index { base, index } => (base, StepKind::Index(*index)),
                _ => return Err(self.no_place(current.span)),
            };
            let span = Span::new(step_span.source, base.span.end, step_span.end);
            steps.push(Step { kind, span });
            current = *base;
        };
        steps.reverse();
        Ok(LValue {
            id: self.node(&[])?,
            through_self,
            name,
            steps,
            span,
        })
    }
}

fn bracket_kind(base: Expr, bracket: Bracket) -> (ExprKind, Vec<NodeId>) {
    let mut parts = vec![base.id];
    let base = Box::new(base);
    let kind = match bracket {
        Bracket::Label(label) => ExprKind::Label { base, label },
        Bracket::Tuple { index, of } => ExprKind::TupleIndex { base, index, of },
        Bracket::Index(index) => {
            parts.push(index.id);
            let index = Box::new(index);
            ExprKind::Index { base, index }
        }
        Bracket::Slice(from, to) => {
            parts.extend(from.iter().chain(&to).map(|part| part.id));
            ExprKind::Slice {
                base,
                from: from.map(Box::new),
                to: to.map(Box::new),
            }
        }
    };
    (kind, parts)
}
