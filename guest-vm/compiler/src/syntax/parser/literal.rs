//! Primary expressions: literals, names, containers and the word forms.

use super::habits::CHOOSE_CASE;
use super::{Parse, Parser};
use crate::issue::{Code, Issue};
use crate::syntax::ast::*;
use crate::syntax::escaped;
use crate::syntax::lexer::TokenKind;
use crate::syntax::span::Span;

impl Parser<'_> {
    pub(super) fn primary(&mut self) -> Parse<Expr> {
        let start = self.span();
        let kind = match self.kind() {
            TokenKind::Null => self.single(ExprKind::Null),
            TokenKind::True => self.single(ExprKind::Bool(true)),
            TokenKind::False => self.single(ExprKind::Bool(false)),
            TokenKind::Undefined => self.single(ExprKind::Undefined),
            TokenKind::Underscore => self.single(ExprKind::Wildcard),
            TokenKind::Int(index) => self.single(ExprKind::Int(self.tokens.ints[index as usize])),
            TokenKind::Float(index) => {
                self.single(ExprKind::Float(self.tokens.floats[index as usize]))
            }
            TokenKind::Str(index) => {
                self.single(ExprKind::Str(self.tokens.strings[index as usize].clone()))
            }
            TokenKind::Ident => ExprKind::Name(self.take_ident().text),
            TokenKind::SelfWord | TokenKind::Global => {
                let is_self = self.kind() == TokenKind::SelfWord;
                self.advance();
                self.expect(TokenKind::Dot)?;
                let name = self.name()?;
                match is_self {
                    true => ExprKind::SelfName(name),
                    false => ExprKind::GlobalName(name),
                }
            }
            TokenKind::ParenOpen => return self.parenthesised(),
            TokenKind::BracketOpen => {
                self.advance();
                return self.inside_brackets(|parser| parser.array(start));
            }
            TokenKind::BraceOpen => {
                self.advance();
                return self.inside_brackets(|parser| parser.map(start));
            }
            TokenKind::Dot => {
                self.advance();
                return self.projection(start);
            }
            TokenKind::Do => {
                self.advance();
                return self.do_block(start);
            }
            TokenKind::Action => return self.action(start),
            TokenKind::AppView => {
                self.advance();
                let module = self.ident("the name of a module")?;
                self.expect(TokenKind::ParenOpen)?;
                let args = self.args()?;
                let parts: Vec<NodeId> = args.iter().map(|arg| arg.id).collect();
                return self.make(start, &parts, ExprKind::AppView { module, args });
            }
            TokenKind::Type => return self.type_assertion(start),
            TokenKind::Tilde => self.regex()?,
            TokenKind::EscJson => {
                self.advance();
                let constant = self.constant()?;
                if let Err(why) = escaped::decode(&constant) {
                    return Err(Box::new(
                        Issue::new(Code::SynEscjson, constant.span)
                            .with("why", why)
                            .hint("text that only looks like a tag starts with `{str}`"),
                    ));
                }
                ExprKind::EscJson(Box::new(constant))
            }
            _ => return self.no_operand(),
        };
        self.make(start, &[], kind)
    }

    fn single(&mut self, kind: ExprKind) -> ExprKind {
        self.advance();
        kind
    }

    /// Something that starts no operand, with the error that explains it best.
    fn no_operand<T>(&mut self) -> Parse<T> {
        let what = match self.kind() {
            TokenKind::Return => "return",
            TokenKind::For => "for",
            TokenKind::While => "while",
            TokenKind::Switch => "switch",
            TokenKind::Var if self.peek(1) != TokenKind::Cell => "var",
            TokenKind::Let | TokenKind::If => {
                let issue = self.unexpected_issue("an operand");
                return Err(Box::new(
                    issue.hint("put it in parentheses to use it as an operand"),
                ));
            }
            kind => {
                let issue = self.unexpected_issue("an expression");
                let hint = match (issue.code, kind) {
                    (Code::SynUnexpected, TokenKind::Arrow) => {
                        Some("a lambda used as an operand needs parentheses around it")
                    }
                    (Code::SynUnexpected, kind) if kind.is_keyword() && !self.phrase_is_over() => {
                        Some(match kind {
                            TokenKind::Case => CHOOSE_CASE,
                            _ => "this is a reserved word, no name",
                        })
                    }
                    _ => None,
                };
                return Err(Box::new(issue.hint_if(hint)));
            }
        };
        Err(Box::new(self.statement_issue(what, self.span())))
    }

    fn parenthesised(&mut self) -> Parse<Expr> {
        let start = self.advance().span;
        // Pairs right inside one another are read at once, so that they may be many.
        let mut pairs = 1;
        while self.encloses_nothing_else() {
            self.advance();
            pairs += 1;
        }
        let mut inner = self.inside_brackets(Self::expr)?;
        for _ in 0..pairs {
            if self.kind() != TokenKind::ParenClose {
                return self.unexpected_after_expression("`)`");
            }
            self.advance();
        }
        inner.span = self.since(start);
        Ok(inner)
    }

    /// Whether the parentheses whose opening one was just read hold nothing but another pair.
    fn encloses_nothing_else(&self) -> bool {
        let partner = |at: usize| self.partners.get(at).copied().flatten();
        self.kind() == TokenKind::ParenOpen
            && match (partner(self.at - 1), partner(self.at)) {
                (Some(outer), Some(inner)) => outer == inner + 1,
                _ => false,
            }
    }

    /// `.name` as an operand, after the dot.
    fn projection(&mut self, start: Span) -> Parse<Expr> {
        let name = match self.string() {
            Some(name) => name,
            None if self.kind().is_name() => self.take_ident(),
            None => return self.unexpected("the field name of an implicit projection"),
        };
        self.projection.get_or_insert(start);
        self.make(start, &[], ExprKind::Projection(name))
    }

    fn array(&mut self, start: Span) -> Parse<Expr> {
        if self.kind() == TokenKind::Hash {
            let items = self.list(TokenKind::BracketClose, |parser| {
                parser.expect(TokenKind::Hash)?;
                let label = parser.name()?;
                parser.expect(TokenKind::Colon)?;
                Ok((label, parser.expr()?))
            })?;
            let parts: Vec<NodeId> = items.iter().map(|(_, item)| item.id).collect();
            return self.make(start, &parts, ExprKind::LabeledTuple(items));
        }
        let items = self.list(TokenKind::BracketClose, Self::expr)?;
        let parts: Vec<NodeId> = items.iter().map(|item| item.id).collect();
        self.make(start, &parts, ExprKind::Array(items))
    }

    fn map(&mut self, start: Span) -> Parse<Expr> {
        let entries = self.list(TokenKind::BraceClose, Self::entry)?;
        let mut parts = Vec::with_capacity(entries.len());
        for entry in &entries {
            parts.push(entry.value.id);
            if let MapKey::Computed(key) = &entry.key {
                parts.push(key.id);
            }
        }
        self.make(start, &parts, ExprKind::Map(entries))
    }

    fn entry(&mut self) -> Parse<MapEntry> {
        let start = self.span();
        let next = self.peek(1);
        if self.eat(TokenKind::Dot) {
            let value = self.projection(start)?;
            let name = match &value.kind {
                ExprKind::Projection(name) => name.clone(),
                _ => return self.unexpected("a field name"),
            };
            let key = MapKey::Constant(name);
            return Ok(MapEntry { key, value });
        }
        if self.eat(TokenKind::ParenOpen) {
            let key = MapKey::Computed(self.expr()?);
            self.expect(TokenKind::ParenClose)?;
            self.expect(TokenKind::Colon)?;
            let value = self.expr()?;
            return Ok(MapEntry { key, value });
        }
        if self.kind() == TokenKind::Ident && next != TokenKind::Colon {
            if next == TokenKind::Assign {
                self.advance();
                let issue = self.statement_issue("assignment", self.span());
                return Err(Box::new(issue.hint(
                    "in a map a key is followed by `:`; statements stand in `do { … }`",
                )));
            }
            let name = self.take_ident();
            let value = self.make(start, &[], ExprKind::Name(name.text.clone()))?;
            let key = MapKey::Constant(name);
            return Ok(MapEntry { key, value });
        }
        // `{ return 1 }` in expression position: the block of a statement was meant.
        if self.kind().is_keyword() && next != TokenKind::Colon {
            let what = match self.kind() {
                TokenKind::Return => "return",
                TokenKind::For => "for",
                TokenKind::While => "while",
                TokenKind::Switch => "switch",
                TokenKind::Var => "var",
                TokenKind::Let => "let",
                TokenKind::If => "if",
                _ => return self.unexpected("a key"),
            };
            let issue = self.statement_issue(what, self.span());
            let tried = self.at > 1 && self.tokens.tokens[self.at - 2].kind == TokenKind::Try;
            return Err(Box::new(issue.hint(match tried {
                true => "`try e` takes an expression and gives `ok(v)` or `error(text)`",
                false => "in an expression `{` starts a map; statements stand in `do { … }`",
            })));
        }
        let name = match self.string() {
            Some(name) => name,
            None if self.kind().is_name() => self.take_ident(),
            None => return self.unexpected("a key or `}`"),
        };
        if self.kind() != TokenKind::Colon {
            return self.unexpected("`:`");
        }
        self.advance();
        let key = MapKey::Constant(name);
        let value = self.expr()?;
        Ok(MapEntry { key, value })
    }

    /// `{ … }` as an expression.
    pub(super) fn do_block(&mut self, start: Span) -> Parse<Expr> {
        let (block, height) = self.block_and_height()?;
        let id = self.node_above(height)?;
        let span = self.since(start);
        let kind = ExprKind::Do(block);
        Ok(Expr { id, kind, span })
    }

    fn action(&mut self, start: Span) -> Parse<Expr> {
        self.advance();
        let mut param = None;
        if self.eat(TokenKind::ParenOpen) {
            if self.kind() == TokenKind::Ident {
                param = Some(Box::new(self.take_ident()));
            } else {
                self.eat(TokenKind::Underscore);
            }
            if self.kind() == TokenKind::Comma {
                let issue = self.unexpected_issue("`)`");
                return Err(Box::new(
                    issue.hint("an action has one argument; pass several in a record"),
                ));
            }
            self.expect(TokenKind::ParenClose)?;
        }
        let (body, height) = self.block_and_height()?;
        let id = self.node_above(height)?;
        let span = self.since(start);
        let kind = ExprKind::Action { param, body };
        Ok(Expr { id, kind, span })
    }

    fn type_assertion(&mut self, start: Span) -> Parse<Expr> {
        self.advance();
        self.expect(TokenKind::ParenOpen)?;
        let ty = Box::new(self.type_expr()?);
        let value = match self.eat(TokenKind::Comma) {
            true => Some(Box::new(self.inside_brackets(Self::expr)?)),
            false => None,
        };
        self.expect(TokenKind::ParenClose)?;
        let mut parts = vec![ty.id];
        parts.extend(value.iter().map(|value| value.id));
        self.make(start, &parts, ExprKind::TypeAssert { ty, value })
    }

    fn regex(&mut self) -> Parse<ExprKind> {
        self.advance();
        if !self.is_contextual("regex") {
            return self.unexpected("`regex`");
        }
        self.advance();
        let Some(pattern) = self.string() else {
            return self.unexpected("the pattern (a string)");
        };
        match mix_bytecode::pattern::translate(&pattern.text) {
            Ok(_) => Ok(ExprKind::Regex(pattern)),
            Err(why) => Err(Box::new(
                Issue::new(Code::SynRegex, pattern.span).with("why", why),
            )),
        }
    }
}
