//! Patterns.

use super::{Parse, Parser};
use crate::issue::{Code, Issue};
use crate::syntax::ast::*;
use crate::syntax::lexer::TokenKind;
use crate::syntax::span::Span;

impl Parser<'_> {
    /// A complete pattern.
    pub(super) fn pattern(&mut self) -> Parse<Pattern> {
        self.nested(|parser| {
            let start = parser.span();
            let mut left = parser.and_pattern()?;
            while parser.eat(TokenKind::OrOr) {
                let right = parser.and_pattern()?;
                let parts = [left.id, right.id];
                let kind = PatternKind::Or(Box::new(left), Box::new(right));
                left = parser.make_pattern(start, &parts, kind)?;
            }
            Ok(left)
        })
    }

    fn make_pattern(&mut self, start: Span, parts: &[NodeId], kind: PatternKind) -> Parse<Pattern> {
        let id = self.node(parts)?;
        let span = self.since(start);
        Ok(Pattern { id, kind, span })
    }

    fn and_pattern(&mut self) -> Parse<Pattern> {
        let start = self.span();
        let mut left = self.as_pattern()?;
        while self.eat(TokenKind::AndAnd) {
            let right = self.as_pattern()?;
            let parts = [left.id, right.id];
            let kind = PatternKind::And(Box::new(left), Box::new(right));
            left = self.make_pattern(start, &parts, kind)?;
        }
        Ok(left)
    }

    fn as_pattern(&mut self) -> Parse<Pattern> {
        if self.kind() == TokenKind::Ident && self.peek(1) == TokenKind::At {
            let start = self.span();
            let name = self.take_ident();
            self.advance();
            let inner = self.primary_pattern()?;
            let id = inner.id;
            return self.make_pattern(start, &[id], PatternKind::As(name, Box::new(inner)));
        }
        self.primary_pattern()
    }

    fn primary_pattern(&mut self) -> Parse<Pattern> {
        let start = self.span();
        match self.kind() {
            TokenKind::Underscore => {
                self.advance();
                match compare_op(self.kind()) {
                    Some(op) => self.compare_pattern(start, None, op),
                    None => self.make_pattern(start, &[], PatternKind::Wildcard),
                }
            }
            TokenKind::Ident => self.name_pattern(),
            TokenKind::SelfWord | TokenKind::Global if self.peek(1) == TokenKind::Dot => {
                self.name_pattern()
            }
            TokenKind::Type if self.peek(1) == TokenKind::ParenOpen => {
                self.advance();
                self.expect(TokenKind::ParenOpen)?;
                let ty = self.type_expr()?;
                self.expect(TokenKind::ParenClose)?;
                let id = ty.id;
                self.make_pattern(start, &[id], PatternKind::Type(ty))
            }
            TokenKind::BracketOpen => {
                self.advance();
                self.array_pattern(start)
            }
            TokenKind::BraceOpen => {
                self.advance();
                let fields = self.list(TokenKind::BraceClose, Self::field_pattern)?;
                let parts: Vec<NodeId> = fields.iter().map(|field| field.pattern.id).collect();
                self.make_pattern(start, &parts, PatternKind::Record(fields))
            }
            TokenKind::ParenOpen => {
                self.advance();
                let mut inner = self.pattern()?;
                self.expect(TokenKind::ParenClose)?;
                inner.span = self.since(start);
                Ok(inner)
            }
            TokenKind::Tilde => Err(self.bad_pattern(
                start,
                "`~multiple` and `~optional` stand in array patterns only",
            )),
            _ => match self.pattern_literal()? {
                Some(literal) => self.make_pattern(start, &[], PatternKind::Literal(literal)),
                None => self.unexpected("a pattern"),
            },
        }
    }

    fn bad_pattern(&self, span: Span, why: &str) -> Box<Issue> {
        Box::new(Issue::new(Code::SynPattern, span).with("why", why))
    }

    fn pattern_literal(&mut self) -> Parse<Option<Literal>> {
        let literal = match self.kind() {
            TokenKind::Null => Literal::Null,
            TokenKind::True => Literal::Bool(true),
            TokenKind::False => Literal::Bool(false),
            TokenKind::Undefined => Literal::Undefined,
            TokenKind::Int(index) => Literal::Int(self.tokens.ints[index as usize]),
            TokenKind::Float(index) => Literal::Float(self.tokens.floats[index as usize]),
            TokenKind::Str(index) => Literal::Str(self.tokens.strings[index as usize].clone()),
            TokenKind::Minus => {
                self.advance();
                match self.kind() {
                    TokenKind::Int(index) => Literal::Int(-self.tokens.ints[index as usize]),
                    TokenKind::Float(index) => Literal::Float(-self.tokens.floats[index as usize]),
                    _ => return self.unexpected("a number"),
                }
            }
            _ => return Ok(None),
        };
        self.advance();
        Ok(Some(literal))
    }

    fn compare_pattern(
        &mut self,
        start: Span,
        subject: Option<Ident>,
        op: CompareOp,
    ) -> Parse<Pattern> {
        self.advance();
        let at = self.span();
        let right = if self.kind() == TokenKind::Ident {
            let name = self.take_ident();
            let id = self.node(&[])?;
            CompareRight::Name(name, id)
        } else {
            match self.pattern_literal()? {
                Some(literal) => CompareRight::Literal(literal, self.since(at)),
                None => return self.unexpected("a literal or a variable"),
            }
        };
        self.make_pattern(start, &[], PatternKind::Compare { subject, op, right })
    }

    /// A variable, comparison or case pattern.
    fn name_pattern(&mut self) -> Parse<Pattern> {
        let start = self.span();
        let first = self.kind();
        let is_upper = self.is_upper();
        let name = self.take_ident();
        if self.eat(TokenKind::Dot) {
            let qualifier = match first {
                TokenKind::SelfWord => Qualifier::SelfModule,
                TokenKind::Global => Qualifier::Global,
                _ => Qualifier::Module(name),
            };
            if self.is_upper() {
                return Err(self.bad_pattern(self.span(), "a case name starts with a small letter"));
            }
            let case = self.ident("the name of a case")?;
            return self.case_pattern(start, Some(qualifier), case);
        }
        if first != TokenKind::Ident {
            return self.unexpected("`.`");
        }
        if self.kind() == TokenKind::ParenOpen {
            if is_upper {
                return Err(self.bad_pattern(name.span, "a case name starts with a small letter"));
            }
            return self.case_pattern(start, None, name);
        }
        match compare_op(self.kind()) {
            Some(op) => self.compare_pattern(start, Some(name), op),
            None => self.make_pattern(start, &[], PatternKind::Name(name.text)),
        }
    }

    fn case_pattern(
        &mut self,
        start: Span,
        qualifier: Option<Qualifier>,
        name: Ident,
    ) -> Parse<Pattern> {
        let mut parts = Vec::new();
        let mut argument = None;
        if self.eat(TokenKind::ParenOpen) {
            if self.kind() == TokenKind::ParenClose {
                return Err(self.bad_pattern(
                    self.since(start),
                    "a case pattern with parentheses needs a pattern in them",
                ));
            }
            let inner = self.pattern()?;
            if self.kind() == TokenKind::Comma {
                return Err(self.bad_pattern(
                    self.span(),
                    "a case has one argument; match a tuple `[a, b]` or a record in it",
                ));
            }
            self.expect(TokenKind::ParenClose)?;
            parts.push(inner.id);
            argument = Some(Box::new(inner));
        }
        let kind = PatternKind::Case {
            qualifier,
            name,
            argument,
        };
        self.make_pattern(start, &parts, kind)
    }

    fn array_pattern(&mut self, start: Span) -> Parse<Pattern> {
        let mut parts = Vec::new();
        let mut has_multiple = false;
        let elements = self.list(TokenKind::BracketClose, |parser| {
            let at = parser.span();
            if !parser.eat(TokenKind::Tilde) {
                let pattern = parser.pattern()?;
                parts.push(pattern.id);
                return Ok(PatternElement::Plain(pattern));
            }
            let multiple = parser.is_contextual("multiple");
            if !multiple && !parser.is_contextual("optional") {
                return parser.unexpected("`multiple` or `optional`");
            }
            parser.advance();
            let name_at = parser.span();
            let kind = match parser.kind() {
                TokenKind::Underscore => {
                    parser.advance();
                    PatternKind::Wildcard
                }
                TokenKind::Ident => PatternKind::Name(parser.take_ident().text),
                _ => return parser.unexpected("a name or `_`"),
            };
            let pattern = parser.make_pattern(name_at, &[], kind)?;
            parts.push(pattern.id);
            if !multiple {
                return Ok(PatternElement::Optional(pattern));
            }
            if std::mem::replace(&mut has_multiple, true) {
                let span = parser.since(at);
                return Err(parser.bad_pattern(span, "only one `~multiple` is possible"));
            }
            Ok(PatternElement::Multiple(pattern))
        })?;
        self.make_pattern(start, &parts, PatternKind::Array(elements))
    }

    fn field_pattern(&mut self) -> Parse<PatternField> {
        let is_plain = self.kind() == TokenKind::Ident;
        let name = match self.string() {
            Some(name) => name,
            None => self.name()?,
        };
        let optional = self.eat(TokenKind::Question);
        let pattern = if self.eat(TokenKind::Colon) {
            self.pattern()?
        } else if is_plain {
            let id = self.node(&[])?;
            Pattern {
                id,
                kind: PatternKind::Name(name.text.clone()),
                span: name.span,
            }
        } else {
            return self.unexpected("`:`");
        };
        Ok(PatternField {
            name,
            optional,
            pattern,
        })
    }
}

/// The comparisons that patterns know.
fn compare_op(kind: TokenKind) -> Option<CompareOp> {
    match super::expression::compare_op(kind) {
        Some(CompareOp::Same | CompareOp::NotSame) => None,
        other => other,
    }
}
