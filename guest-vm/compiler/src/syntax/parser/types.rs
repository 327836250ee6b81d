//! Type expressions.

use super::{Parse, Parser};
use crate::syntax::ast::{Ident, NodeId, Param, TypeExpr, TypeKind, TypeRange};
use crate::syntax::lexer::TokenKind;
use crate::syntax::span::Span;

impl Parser<'_> {
    /// A complete type.
    pub(super) fn type_expr(&mut self) -> Parse<TypeExpr> {
        self.nested(Self::type_here)
    }

    fn type_here(&mut self) -> Parse<TypeExpr> {
        if self.kind() != TokenKind::Tilde {
            return self.function_type();
        }
        let start = self.advance().span;
        if !self.is_contextual("forall") {
            return self.unexpected("`forall`");
        }
        self.advance();
        let mut vars = vec![self.type_var()?];
        while self.eat(TokenKind::Comma) {
            vars.push(self.type_var()?);
        }
        self.expect(TokenKind::Colon)?;
        let body = self.function_type()?;
        let id = body.id;
        self.make_type(start, &[id], TypeKind::Forall(vars, Box::new(body)))
    }

    /// A name that starts with an upper-case letter.
    pub(super) fn type_var(&mut self) -> Parse<Ident> {
        if self.is_upper() {
            return Ok(self.take_ident());
        }
        self.unexpected("a type variable (a name with a capital letter)")
    }

    fn make_type(&mut self, start: Span, parts: &[NodeId], kind: TypeKind) -> Parse<TypeExpr> {
        let id = self.node(parts)?;
        let span = self.since(start);
        Ok(TypeExpr { id, kind, span })
    }

    fn function_type(&mut self) -> Parse<TypeExpr> {
        let start = self.span();
        let param = self.sum_type()?;
        if !self.eat(TokenKind::Arrow) {
            return Ok(param);
        }
        let result = self.nested(Self::function_type)?;
        let parts = [param.id, result.id];
        self.make_type(
            start,
            &parts,
            TypeKind::Function(Box::new(param), Box::new(result)),
        )
    }

    fn sum_type(&mut self) -> Parse<TypeExpr> {
        let start = self.span();
        let first = self.star_type()?;
        if self.kind() != TokenKind::Plus {
            return Ok(first);
        }
        let mut terms = vec![first];
        while self.eat(TokenKind::Plus) {
            terms.push(self.star_type()?);
        }
        let parts: Vec<NodeId> = terms.iter().map(|term| term.id).collect();
        self.make_type(start, &parts, TypeKind::Sum(terms))
    }

    fn star_type(&mut self) -> Parse<TypeExpr> {
        let start = self.span();
        let mut ty = self.type_atom()?;
        while self.eat(TokenKind::Star) {
            let id = ty.id;
            ty = self.make_type(start, &[id], TypeKind::Stream(Box::new(ty)))?;
        }
        Ok(ty)
    }

    /// A type without outer operators, as in hints.
    pub(super) fn type_atom(&mut self) -> Parse<TypeExpr> {
        let start = self.span();
        match self.kind() {
            TokenKind::Underscore => {
                self.advance();
                self.make_type(start, &[], TypeKind::Wildcard)
            }
            TokenKind::Null => {
                self.advance();
                self.make_type(start, &[], TypeKind::Null)
            }
            TokenKind::BracketOpen => {
                self.advance();
                self.bracket_type(start)
            }
            TokenKind::BraceOpen => {
                self.advance();
                let fields = self.list(TokenKind::BraceClose, Self::field_type)?;
                let parts: Vec<NodeId> = fields.iter().map(|(_, ty)| ty.id).collect();
                self.make_type(start, &parts, TypeKind::Record(fields))
            }
            TokenKind::ParenOpen => {
                self.advance();
                if self.kind() == TokenKind::Module {
                    self.advance();
                    self.expect(TokenKind::Type)?;
                    let module = self.ident("the name of a module")?;
                    self.expect(TokenKind::ParenClose)?;
                    return self.make_type(start, &[], TypeKind::ModuleType(module));
                }
                let mut ty = self.type_expr()?;
                self.expect(TokenKind::ParenClose)?;
                ty.span = self.since(start);
                Ok(ty)
            }
            TokenKind::Less => {
                self.advance();
                let Some(name) = self.string() else {
                    return self.unexpected("the name of an opaque type (a string)");
                };
                self.expect(TokenKind::Greater)?;
                self.make_type(start, &[], TypeKind::Opaque(name.text))
            }
            TokenKind::Ident => self.named_type(),
            TokenKind::Int(_) | TokenKind::Float(_) | TokenKind::Str(_) => {
                let next = self.tokens.tokens.get(self.at + 1);
                let hint = match next.is_some_and(|token| token.kind == TokenKind::Bar) {
                    true => {
                        "a value is no type: take `string` or `number`, or name the cases: `case add | mul  type op = add | mul`"
                    }
                    false => {
                        "after `:` stands a type; arguments are given in their order, without names"
                    }
                };
                Err(Box::new(
                    self.unexpected_issue("a type").hint_if(Some(hint)),
                ))
            }
            _ => self.unexpected("a type"),
        }
    }

    fn named_type(&mut self) -> Parse<TypeExpr> {
        let start = self.span();
        let is_upper = self.is_upper();
        let mut name = self.take_ident();
        let mut module = None;
        if self.kind() == TokenKind::Dot {
            self.advance();
            module = Some(std::mem::replace(&mut name, self.ident("a type name")?));
        } else if is_upper && self.eat(TokenKind::At) {
            let range = match self.kind() {
                TokenKind::Ident => self.text_of(self.span()),
                _ => "",
            };
            let range = match range {
                "datarange" => TypeRange::Data,
                "wordrange" => TypeRange::Word,
                _ => return self.unexpected("`datarange` or `wordrange`"),
            };
            self.advance();
            return self.make_type(start, &[], TypeKind::Ranged { name, range });
        }
        let mut args = Vec::new();
        if self.eat(TokenKind::ParenOpen) {
            args.push(self.type_expr()?);
            while self.eat(TokenKind::Comma) {
                args.push(self.type_expr()?);
            }
            self.expect(TokenKind::ParenClose)?;
        }
        let is_link = module.is_none() && &*name.text == "link";
        let is_var = is_link && self.eat(TokenKind::VarMark);
        let parts: Vec<NodeId> = args.iter().map(|arg| arg.id).collect();
        self.make_type(
            start,
            &parts,
            TypeKind::Named {
                module,
                name,
                args,
                is_var,
            },
        )
    }

    fn bracket_type(&mut self, start: Span) -> Parse<TypeExpr> {
        if self.kind() == TokenKind::Hash {
            let labels = self.list(TokenKind::BracketClose, |parser| {
                parser.expect(TokenKind::Hash)?;
                let label = parser.name()?;
                parser.expect(TokenKind::Colon)?;
                Ok((label, parser.type_expr()?))
            })?;
            let parts: Vec<NodeId> = labels.iter().map(|(_, ty)| ty.id).collect();
            return self.make_type(start, &parts, TypeKind::LabeledTuple(labels));
        }
        let elements = self.list(TokenKind::BracketClose, Self::type_expr)?;
        let parts: Vec<NodeId> = elements.iter().map(|ty| ty.id).collect();
        self.make_type(start, &parts, TypeKind::Tuple(elements))
    }

    fn field_type(&mut self) -> Parse<(Ident, TypeExpr)> {
        let name = match self.string() {
            Some(name) => name,
            None => self.name()?,
        };
        self.expect(TokenKind::Colon)?;
        Ok((name, self.type_expr()?))
    }

    /// `: T`, if it is there.
    pub(super) fn annotation(&mut self) -> Parse<Option<TypeExpr>> {
        match self.eat(TokenKind::Colon) {
            true => Ok(Some(self.type_expr()?)),
            false => Ok(None),
        }
    }

    /// The parameters of `owner` after the opening parenthesis.
    pub(super) fn params(&mut self, owner: &Ident) -> Parse<Vec<Param>> {
        let mut index = 0;
        self.list(TokenKind::ParenClose, |parser| {
            index += 1;
            parser.param(owner, index)
        })
    }

    fn param(&mut self, owner: &Ident, index: usize) -> Parse<Param> {
        use crate::issue::{Code, Issue};
        let start = self.span();
        let plain = matches!(self.kind(), TokenKind::Ident | TokenKind::Underscore)
            && matches!(
                self.peek(1),
                TokenKind::Colon | TokenKind::Comma | TokenKind::ParenClose
            );
        if !plain {
            let looks_like_pattern = matches!(
                self.kind(),
                TokenKind::BracketOpen
                    | TokenKind::BraceOpen
                    | TokenKind::ParenOpen
                    | TokenKind::Ident
                    | TokenKind::Underscore
                    | TokenKind::Null
                    | TokenKind::True
                    | TokenKind::False
                    | TokenKind::Undefined
                    | TokenKind::Int(_)
                    | TokenKind::Float(_)
                    | TokenKind::Str(_)
                    | TokenKind::Minus
            );
            if !looks_like_pattern {
                return self.unexpected("a parameter name");
            }
            let end = match self.partners[self.at] {
                Some(partner) => self.tokens.tokens[partner as usize].span,
                None => start,
            };
            return Err(Box::new(
                Issue::new(Code::SynParamPattern, start.to(end))
                    .with("index", index)
                    .with("name", &owner.text)
                    .hint(
                        if self.kind() == TokenKind::Ident && self.peek(1) == TokenKind::Ident {
                            "the type stands after the name, as in `x: number`"
                        } else if self.kind() == TokenKind::Ident
                            && self.peek(1) == TokenKind::Assign
                        {
                            "parameters have no default values: give all arguments, or define a second function"
                        } else {
                            "take it apart in the body with `let`, or define it as a lambda"
                        },
                    ),
            ));
        }
        let name = self.take_ident();
        let ty = self.annotation()?;
        Ok(Param {
            name,
            ty,
            span: self.since(start),
        })
    }
}
