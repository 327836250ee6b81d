//! Definitions and the other phrases of a module.

use super::{Parse, Parser};
use crate::issue::{Code, Issue};
use crate::syntax::ast::*;
use crate::syntax::lexer::TokenKind;

/// What follows the name in `def` and `cell`.
enum Rest {
    Declaration {
        ty: TypeExpr,
        meta: Option<Const>,
    },
    Value {
        ty: Option<TypeExpr>,
        meta: Option<Const>,
        body: Expr,
    },
    Function {
        params: Vec<Param>,
        result: Option<TypeExpr>,
        body: Expr,
    },
}

impl Parser<'_> {
    /// A phrase whose first keyword is the current token.
    pub(super) fn phrase(&mut self) -> Parse<Phrase> {
        let start = self.span();
        let private = self.eat(TokenKind::Private);
        let kind = match self.kind() {
            TokenKind::Def => self.def(private)?,
            TokenKind::Foreign => self.foreign_def(private)?,
            TokenKind::Cell => self.cell(private, CellSort::Formula)?,
            TokenKind::Var | TokenKind::Live => {
                let sort = match self.advance().kind {
                    TokenKind::Var => CellSort::Var,
                    _ => CellSort::Live,
                };
                self.cell(private, sort)?
            }
            TokenKind::Case => self.case_def(private)?,
            _ if private => {
                let issue = self.unexpected_issue(
                    "`def`, `cell`, `var cell`, `live cell`, `case` or `foreign def`",
                );
                let hint = (self.kind() == TokenKind::Type)
                    .then_some("types are always public: a type is only a name for its meaning");
                return Err(Box::new(issue.hint_if(hint)));
            }
            TokenKind::Import => self.import()?,
            TokenKind::Declare => {
                self.advance();
                let module = self.ident("the name of a module")?;
                self.expect(TokenKind::ParenOpen)?;
                let params = self.params(&module)?;
                PhraseKind::Declare(Declare { module, params })
            }
            TokenKind::Alias => {
                self.advance();
                let name = self.ident("the name of the alias")?;
                self.expect(TokenKind::Assign)?;
                let target = self.slot_expr()?;
                PhraseKind::Alias(Alias { name, target })
            }
            TokenKind::Initializer => {
                self.advance();
                PhraseKind::Initializer(self.block()?)
            }
            TokenKind::On => self.observer()?,
            TokenKind::Type => self.type_def()?,
            TokenKind::Pragma => {
                self.advance();
                PhraseKind::Pragma(self.constant()?)
            }
            TokenKind::Module => PhraseKind::ModuleAlias(self.module_alias()?),
            _ => return self.unexpected("a definition"),
        };
        Ok(Phrase {
            kind,
            span: self.since(start),
        })
    }

    fn def(&mut self, private: bool) -> Parse<PhraseKind> {
        self.advance();
        if self.kind() == TokenKind::Underscore {
            let name = self.take_ident();
            self.expect(TokenKind::Assign)?;
            let body = self.slot_expr()?;
            let form = DefForm::Effect { body };
            return Ok(PhraseKind::Def(Def {
                private,
                name,
                form,
            }));
        }
        let name = self.ident("the name of the definition")?;
        let form = match self.definition_rest(&name)? {
            Rest::Declaration { ty, meta } => DefForm::Declaration { ty, meta },
            Rest::Value { ty, meta, body } => DefForm::Value { ty, meta, body },
            Rest::Function {
                params,
                result,
                body,
            } => DefForm::Function {
                params,
                result,
                body,
            },
        };
        Ok(PhraseKind::Def(Def {
            private,
            name,
            form,
        }))
    }

    fn definition_rest(&mut self, name: &Ident) -> Parse<Rest> {
        if self.eat(TokenKind::ParenOpen) {
            let params = self.params(name)?;
            let result = self.annotation()?;
            let body = self.definition_body(result.is_some())?;
            return Ok(Rest::Function {
                params,
                result,
                body,
            });
        }
        let ty = self.annotation()?;
        let meta = match &ty {
            Some(_) => self.meta()?,
            None => None,
        };
        let has_body = matches!(self.kind(), TokenKind::Assign | TokenKind::BraceOpen);
        match ty {
            Some(ty) if !has_body => Ok(Rest::Declaration { ty, meta }),
            ty => {
                let body = self.definition_body(ty.is_some())?;
                Ok(Rest::Value { ty, meta, body })
            }
        }
    }

    /// `= e` or `{ … }`
    fn definition_body(&mut self, has_type: bool) -> Parse<Expr> {
        if self.eat(TokenKind::Assign) {
            return self.slot_expr();
        }
        let start = self.span();
        if self.kind() == TokenKind::BraceOpen {
            return self.do_block(start);
        }
        let issue = self.unexpected_issue(match has_type {
            true => "`=` or `{`",
            false => "`=`, `{` or `:`",
        });
        let hint = match self.kind() {
            TokenKind::Arrow => {
                Some("the type of the result stands after `:`, as in `def f(x) : number = …`")
            }
            _ if self.phrase_is_over() => None,
            TokenKind::Ident
                if self.on_line_of_previous()
                    && self.tokens.tokens[self.at - 1].kind == TokenKind::Ident =>
            {
                Some("parameters stand in parentheses: `def f(x) = …`")
            }
            _ => Some("`=` stands before the value of a definition"),
        };
        Err(Box::new(issue.hint_if(hint)))
    }

    pub(super) fn meta(&mut self) -> Parse<Option<Const>> {
        match self.eat(TokenKind::Meta) {
            true => Ok(Some(self.constant()?)),
            false => Ok(None),
        }
    }

    fn foreign_def(&mut self, private: bool) -> Parse<PhraseKind> {
        self.advance();
        self.expect(TokenKind::Def)?;
        let name = self.ident("the name of the definition")?;
        self.expect(TokenKind::Colon)?;
        let ty = self.type_expr()?;
        self.expect(TokenKind::Assign)?;
        let Some(host) = self.string() else {
            return self.unexpected("the name of the host function (a string)");
        };
        let mut arms = Vec::new();
        if self.eat(TokenKind::ParenOpen) {
            loop {
                arms.push(self.host_arm()?);
                if !self.eat(TokenKind::Bar) {
                    break;
                }
            }
            self.expect(TokenKind::ParenClose)?;
        }
        Ok(PhraseKind::ForeignDef(ForeignDef {
            private,
            name,
            ty,
            host,
            arms,
        }))
    }

    fn host_arm(&mut self) -> Parse<HostArm> {
        const ENVIRONMENTS: [&str; 5] = [
            "builderEnvironment",
            "serverEnvironment",
            "webEnvironment",
            "widgetEnvironment",
            "agentServerEnvironment",
        ];
        if !ENVIRONMENTS.iter().any(|name| self.is_contextual(name)) {
            return self.unexpected("the name of an environment (`agentServerEnvironment`, …)");
        }
        let environment = self.take_ident();
        self.expect(TokenKind::Arrow)?;
        let body = self.slot(Self::pipe_expr)?;
        Ok(HostArm { environment, body })
    }

    fn cell(&mut self, private: bool, sort: CellSort) -> Parse<PhraseKind> {
        self.expect(TokenKind::Cell)?;
        if self.is_contextual("link") && self.peek(1) == TokenKind::ParenOpen {
            self.advance();
            self.advance();
            let name = self.ident("the name of the cell")?;
            self.expect(TokenKind::ParenClose)?;
            let ty = self.annotation()?;
            self.expect(TokenKind::Assign)?;
            let target = self.slot_expr()?;
            let form = CellForm::Link { ty, target };
            return Ok(PhraseKind::Cell(Cell {
                private,
                sort,
                name,
                form,
            }));
        }
        let name = self.ident("the name of the cell")?;
        let form = match self.definition_rest(&name)? {
            Rest::Declaration { ty, meta } => CellForm::Declaration { ty, meta },
            Rest::Value { ty, meta, body } => CellForm::Value { ty, meta, body },
            Rest::Function {
                params,
                result,
                body,
            } => CellForm::Function {
                params,
                result,
                body,
            },
        };
        Ok(PhraseKind::Cell(Cell {
            private,
            sort,
            name,
            form,
        }))
    }

    fn case_def(&mut self, private: bool) -> Parse<PhraseKind> {
        self.advance();
        let mut cases = vec![self.case_decl()?];
        while self.eat(TokenKind::Bar) {
            cases.push(self.case_decl()?);
        }
        Ok(PhraseKind::Case(CaseDef { private, cases }))
    }

    fn case_decl(&mut self) -> Parse<CaseDecl> {
        let is_upper = self.is_upper();
        let name = self.ident("the name of a case")?;
        if is_upper {
            return Err(Box::new(
                Issue::new(Code::SynCaseName, name.span)
                    .with("name", &name.text)
                    .hint(format!("write `{}`", lower_first(&name.text))),
            ));
        }
        let argument = match self.eat(TokenKind::ParenOpen) {
            true => {
                let ty = self.type_expr()?;
                if self.kind() == TokenKind::Comma {
                    let issue = self.unexpected_issue("`)`");
                    return Err(Box::new(
                        issue.hint("a case has one argument; use a tuple or record for more"),
                    ));
                }
                self.expect(TokenKind::ParenClose)?;
                Some(ty)
            }
            false => None,
        };
        Ok(CaseDecl { name, argument })
    }

    fn type_def(&mut self) -> Parse<PhraseKind> {
        self.advance();
        let name = self.ident("the name of the type")?;
        let mut params = Vec::new();
        if self.eat(TokenKind::ParenOpen) {
            params.push(self.type_var()?);
            while self.eat(TokenKind::Comma) {
                params.push(self.type_var()?);
            }
            self.expect(TokenKind::ParenClose)?;
        }
        self.expect(TokenKind::Assign)?;
        let mut members = vec![self.type_expr()?];
        while self.eat(TokenKind::Bar) {
            members.push(self.type_expr()?);
        }
        Ok(PhraseKind::Type(TypeDef {
            name,
            params,
            members,
        }))
    }

    fn import(&mut self) -> Parse<PhraseKind> {
        self.advance();
        let mut module = self.ident("the name of a module")?;
        let mut binding = None;
        if self.eat(TokenKind::Assign) {
            let named = self.ident("the name of a module")?;
            binding = Some(std::mem::replace(&mut module, named));
        }
        let type_binds = self.type_binds()?;
        let args = match self.eat(TokenKind::ParenOpen) {
            true => Some(self.args()?),
            false => None,
        };
        Ok(PhraseKind::Import(Import {
            binding,
            module,
            type_binds,
            args,
        }))
    }

    /// `[A = T, …]`, if it is there.
    pub(super) fn type_binds(&mut self) -> Parse<Vec<TypeBind>> {
        let mut binds = Vec::new();
        if !self.eat(TokenKind::BracketOpen) {
            return Ok(binds);
        }
        loop {
            let name = self.type_var()?;
            self.expect(TokenKind::Assign)?;
            let ty = self.type_expr()?;
            binds.push(TypeBind { name, ty });
            if !self.eat(TokenKind::Comma) {
                break;
            }
        }
        self.expect(TokenKind::BracketClose)?;
        Ok(binds)
    }

    fn observer(&mut self) -> Parse<PhraseKind> {
        self.advance();
        let watched = match self.eat(TokenKind::ParenOpen) {
            true => self.list(TokenKind::ParenClose, |parser| {
                parser.ident("the name of a cell")
            })?,
            false => vec![self.ident("the name of a cell, or `(`")?],
        };
        let guard = match self.eat(TokenKind::When) {
            true => Some(self.slot_expr()?),
            false => None,
        };
        if !self.eat(TokenKind::Do) {
            return match self.unexpected_after_expression("`do`") {
                Err(issue) => Err(Box::new(
                    issue.hint_if(Some("write `on c do { … }` or `on (a, b) when … do { … }`")),
                )),
                other => other,
            };
        }
        let body = self.block()?;
        Ok(PhraseKind::Observer(Observer {
            watched,
            guard,
            body,
        }))
    }
}

/// The text with a small first letter.
pub(super) fn lower_first(text: &str) -> String {
    let mut characters = text.chars();
    match characters.next() {
        Some(first) => first.to_lowercase().chain(characters).collect(),
        None => String::new(),
    }
}
