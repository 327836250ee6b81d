//! JSON constants: `_meta_`, `_pragma_`, `_source_` and `_escJSON_`.

use super::{Depth, Parse, Parser};
use crate::issue::{Code, Issue};
use crate::syntax::ast::{Const, ConstKind, Ident};
use crate::syntax::lexer::TokenKind;

impl Parser<'_> {
    pub(super) fn constant(&mut self) -> Parse<Const> {
        // A value made of it leaves the compiler, and with it the stack for deep trees.
        let limit = Depth::SHALLOW.nesting;
        if self.constants >= limit {
            return Err(self.too_deep(limit));
        }
        self.constants += 1;
        let constant = self.nested(Self::constant_here);
        self.constants -= 1;
        constant
    }

    fn constant_here(&mut self) -> Parse<Const> {
        let start = self.span();
        let kind = match self.kind() {
            TokenKind::Null => self.word(ConstKind::Null),
            TokenKind::True => self.word(ConstKind::Bool(true)),
            TokenKind::False => self.word(ConstKind::Bool(false)),
            TokenKind::Int(index) => self.word(ConstKind::Int(self.tokens.ints[index as usize])),
            TokenKind::Float(index) => {
                self.word(ConstKind::Float(self.tokens.floats[index as usize]))
            }
            TokenKind::Str(index) => {
                self.word(ConstKind::Str(self.tokens.strings[index as usize].clone()))
            }
            TokenKind::Minus => {
                self.advance();
                match self.kind() {
                    TokenKind::Int(index) => {
                        self.word(ConstKind::Int(-self.tokens.ints[index as usize]))
                    }
                    TokenKind::Float(index) => {
                        self.word(ConstKind::Float(-self.tokens.floats[index as usize]))
                    }
                    _ => return self.unexpected("a number"),
                }
            }
            TokenKind::BracketOpen => {
                self.advance();
                ConstKind::Array(self.list(TokenKind::BracketClose, Self::constant_part)?)
            }
            TokenKind::BraceOpen => {
                self.advance();
                ConstKind::Object(self.list(TokenKind::BraceClose, Self::constant_entry)?)
            }
            TokenKind::Error(_) | TokenKind::End => return self.unexpected("a constant"),
            _ => return Err(Box::new(self.not_constant())),
        };
        Ok(Const {
            kind,
            span: self.since(start),
        })
    }

    fn word(&mut self, kind: ConstKind) -> ConstKind {
        self.advance();
        kind
    }

    fn constant_entry(&mut self) -> Parse<(Ident, Const)> {
        let key = match self.string() {
            Some(key) => key,
            None => self.name()?,
        };
        self.expect(TokenKind::Colon)?;
        Ok((key, self.constant_part()?))
    }

    fn not_constant(&self) -> Issue {
        Issue::new(Code::SynConst, self.span())
            .hint("constants are literals, arrays and objects of them; nothing is computed here")
    }

    /// A constant inside another one: what follows it there is no operator.
    fn constant_part(&mut self) -> Parse<Const> {
        let constant = self.constant()?;
        match self.kind() {
            TokenKind::Comma
            | TokenKind::BraceClose
            | TokenKind::BracketClose
            | TokenKind::End
            | TokenKind::Error(_) => Ok(constant),
            _ => Err(Box::new(self.not_constant())),
        }
    }
}
