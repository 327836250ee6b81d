//! Units, sessions and modules: the levels at which errors are recovered from.

use super::Parse;
use super::Parser;
use super::habits::DROPPED_VALUE;
use crate::issue::{Code, Issue};
use crate::syntax::ast::*;
use crate::syntax::lexer::TokenKind;
use crate::syntax::span::Span;
use std::sync::Arc;

impl Parser<'_> {
    pub(super) fn unit(&mut self) -> Vec<UnitItem> {
        let mut items = Vec::new();
        loop {
            match self.kind() {
                TokenKind::End => return items,
                TokenKind::SemiSemi => {
                    self.advance();
                }
                TokenKind::Module if self.is_module_alias() => {
                    let start = self.at;
                    match self.module_alias() {
                        Ok(alias) => items.push(UnitItem::ModuleAlias(alias)),
                        Err(issue) => {
                            self.give_up(start, *issue);
                        }
                    }
                }
                TokenKind::Module | TokenKind::Static if !self.is_module_end() => {
                    items.extend(
                        self.module(false)
                            .map(|module| UnitItem::Module(module.into())),
                    );
                }
                _ => self.outside_of_modules(),
            }
        }
    }

    /// Something between modules of a source file.
    fn outside_of_modules(&mut self) {
        let start = self.at;
        let span = self.span();
        let issue = if self.is_module_end() {
            Issue::new(Code::SynModule, span)
                .with("what", "`module end` without a module")
                .hint("the module was already ended, or its first line is missing")
        } else if self.starts_phrase(start) {
            Issue::new(Code::SynModule, span)
                .with("what", "a definition outside of a module")
                .hint("start the file with `module NAME`")
        } else if let Some(hint) = self.stray_here() {
            self.unexpected_issue("`module`")
                .hint(format!("start the file with `module NAME`; {hint}"))
        } else {
            let semicolon =
                (self.kind() == TokenKind::Semi).then_some("modules follow each other without `;`");
            self.unexpected_issue("`module`")
                .hint_if(semicolon)
                .hint_if(Some(
                    "a file holds modules: start it with `module NAME`; single expressions are for `mixer eval` and `mixer repl`",
                ))
        };
        self.give_up(start, issue);
        if self.at == start {
            self.advance();
        }
        // One report for everything up to the next module.
        while self.kind() != TokenKind::End
            && (!matches!(self.kind(), TokenKind::Module | TokenKind::Static)
                || self.is_module_end())
        {
            self.advance();
        }
    }

    pub(super) fn session(&mut self) -> Vec<SessionItem> {
        let mut items = Vec::new();
        loop {
            let start = self.at;
            match self.kind() {
                TokenKind::End => return items,
                TokenKind::SemiSemi => {
                    self.advance();
                }
                TokenKind::Command => {
                    let command = self.command();
                    items.push(SessionItem::Command(command));
                }
                TokenKind::Module | TokenKind::Static if !self.is_module_alias() => {
                    if self.is_module_end() {
                        let issue = Issue::new(Code::SynModule, self.span())
                            .with("what", "`module end` without a module");
                        self.give_up(start, issue);
                    } else {
                        items.extend(self.module(true).map(SessionItem::Module));
                    }
                }
                _ if self.starts_phrase(start) => match self.phrase() {
                    Ok(phrase) => items.push(SessionItem::Phrase(phrase)),
                    Err(issue) => items.push(SessionItem::Phrase(self.broken(start, *issue))),
                },
                _ => match self.session_expr() {
                    Ok(expr) => items.push(SessionItem::Expr(expr)),
                    Err(issue) => {
                        let issue = self.with_session_help(start, *issue);
                        self.give_up(start, issue);
                        if self.at == start {
                            self.advance();
                        }
                    }
                },
            }
        }
    }

    /// What the start of something that is no expression seems to mean in a session.
    fn with_session_help(&self, start: usize, issue: Issue) -> Issue {
        let name = self.tokens.tokens.get(start + 1);
        let name = name.filter(|name| name.kind == TokenKind::Ident);
        let name = name.map(|name| self.text_of(name.span));
        let (first, second) = (self.tokens.tokens[start], self.tokens.tokens.get(start + 1));
        let hint = match (first.kind, second.map(|token| token.kind)) {
            (TokenKind::Let, _) if issue.code == Code::SynUnexpected && issue.hint.is_none() => {
                let name = name.unwrap_or("x");
                format!(
                    "`def {name} = …` defines a name that stays; `let {name} = 1; {name} + 1` is one expression"
                )
            }
            (TokenKind::Var, _) if issue.code == Code::SynStatement => {
                match self.stray_word("var", name) {
                    Some(hint) => hint,
                    None => return issue,
                }
            }
            (TokenKind::Ident, Some(TokenKind::Assign)) if issue.code == Code::SynStatement => {
                let name = self.text_of(first.span);
                format!(
                    "`def {name} = …` defines a name, `var cell {name} = …` a cell, `#input {name} …` assigns one"
                )
            }
            _ => return issue,
        };
        issue.hint(hint)
    }

    fn session_expr(&mut self) -> Parse<Expr> {
        let expr = self.slot_expr()?;
        match self.kind() {
            TokenKind::Assign | TokenKind::Arrow | TokenKind::Comma | TokenKind::Bar => {
                self.unexpected_after_expression("the end of the expression")
            }
            kind if kind.is_close() => self.unexpected("the end of the expression"),
            TokenKind::Error(_) => self.unexpected("the end of the expression"),
            _ => Ok(expr),
        }
    }

    fn command(&mut self) -> ReplCommand {
        let span = self.advance().span;
        let line = self.text_of(span);
        let length = line[1..]
            .find(|character: char| !character.is_ascii_alphanumeric() && character != '_')
            .map_or(line.len(), |length| length + 1);
        let name = Ident {
            text: Arc::from(&line[1..length]),
            span: Span::new(span.source, span.start + 1, span.start + length as u32),
        };
        let rest = Arc::from(line[length..].trim());
        ReplCommand { name, rest, span }
    }

    fn broken(&mut self, start: usize, issue: Issue) -> Phrase {
        let first = self.tokens.tokens[start].span;
        let broken = self.give_up(start, issue);
        if self.at == start {
            self.advance();
        }
        Phrase {
            kind: PhraseKind::Broken(broken),
            span: self.since(first),
        }
    }

    /// `module A =`
    fn is_module_alias(&self) -> bool {
        self.kind() == TokenKind::Module
            && self.peek(1) == TokenKind::Ident
            && self.peek(2) == TokenKind::Assign
    }

    /// `module end`
    fn is_module_end(&self) -> bool {
        self.kind() == TokenKind::Module
            && self.peek(1) == TokenKind::Ident
            && self.text_of(self.tokens.tokens[self.at + 1].span) == "end"
            && !self.is_module_alias()
    }

    pub(super) fn module_alias(&mut self) -> Parse<ModuleAlias> {
        let start = self.expect(TokenKind::Module)?;
        let name = self.ident("the name of a module")?;
        self.expect(TokenKind::Assign)?;
        let target = self.ident("the name of a module")?;
        if self.kind() != TokenKind::BracketOpen {
            return self.unexpected("`[` and the type arguments");
        }
        let type_binds = self.type_binds()?;
        Ok(ModuleAlias {
            name,
            target,
            type_binds,
            span: self.since(start),
        })
    }

    /// A module with its phrases; `None` if its first line is bad.
    fn module(&mut self, must_end: bool) -> Option<Module> {
        let start = self.span();
        let start_at = self.at;
        let mut module = match self.module_head() {
            Ok(module) => module,
            Err(issue) => {
                self.give_up(start_at, *issue);
                // The phrases of a module without a name have no place to go: check them only for syntax.
                self.phrases(None);
                self.end_of_module();
                return None;
            }
        };
        let is_redirect = module.source.is_some();
        module.phrases = self.phrases(Some(is_redirect));
        let ended = self.end_of_module();
        if !ended && must_end {
            let issue = self.unexpected_issue("`module end`");
            self.issues.push(issue);
        }
        module.span = self.since(start);
        self.check_initializer(&module);
        Some(module)
    }

    fn end_of_module(&mut self) -> bool {
        let ended = self.is_module_end();
        if ended {
            self.advance();
            self.advance();
        }
        ended
    }

    fn module_head(&mut self) -> Parse<Module> {
        let start = self.span();
        let is_static = self.eat(TokenKind::Static);
        self.expect(TokenKind::Module)?;
        let name = self.ident("the name of the module")?;
        let mut module = Module {
            is_static,
            name,
            type_vars: Vec::new(),
            params: Vec::new(),
            meta: None,
            source: None,
            phrases: Vec::new(),
            span: start,
        };
        if self.eat(TokenKind::Source) {
            module.source = Some(self.constant()?);
            return Ok(module);
        }
        if self.eat(TokenKind::BracketOpen) {
            module.type_vars.push(self.type_var()?);
            while self.eat(TokenKind::Comma) {
                module.type_vars.push(self.type_var()?);
            }
            self.expect(TokenKind::BracketClose)?;
        }
        if self.eat(TokenKind::ParenOpen) {
            module.params = self.params(&module.name.clone())?;
        }
        module.meta = self.meta()?;
        Ok(module)
    }

    /// The phrases of a module up to its end. With `redirect` no phrase is allowed.
    fn phrases(&mut self, redirect: Option<bool>) -> Vec<Phrase> {
        let mut phrases = Vec::new();
        loop {
            let start = self.at;
            match self.kind() {
                TokenKind::End => return phrases,
                TokenKind::SemiSemi => {
                    self.advance();
                }
                TokenKind::Module if self.is_module_end() => return phrases,
                TokenKind::Module | TokenKind::Static if !self.is_module_alias() => {
                    // A module inside a module; reported once, its phrases are read as
                    // those of a module of its own so that they are checked for syntax.
                    let issue = Issue::new(Code::SynModule, self.span())
                        .with("what", "a module inside a module")
                        .hint("end the outer module with `module end` first");
                    self.issues.push(issue);
                    if self.module_head().is_err() {
                        self.at = start + 1;
                    }
                    self.depth = 0;
                    self.phrases(None);
                    self.end_of_module();
                }
                _ if redirect == Some(true) => {
                    let issue = Issue::new(Code::SynModule, self.span())
                        .with("what", "a phrase in a module with `_source_`");
                    phrases.push(self.broken(start, issue));
                }
                _ if self.starts_phrase(start) => {
                    let result = self.phrase().and_then(|phrase| self.complete(phrase));
                    phrases.push(match result {
                        Ok(phrase) => phrase,
                        Err(issue) => self.broken(start, *issue),
                    });
                }
                _ => {
                    let issue = self.stray_expression();
                    phrases.push(self.broken(start, issue));
                }
            }
        }
    }

    /// A phrase of a module ends where the next one can start.
    fn complete(&mut self, phrase: Phrase) -> Parse<Phrase> {
        let ends = matches!(self.kind(), TokenKind::End | TokenKind::SemiSemi)
            // What such a word starts is no part of the phrase: it is told of by itself.
            || matches!(self.kind(), TokenKind::Let | TokenKind::Var)
                && !self.on_line_of_previous()
            || self.starts_phrase(self.at);
        match ends {
            true => Ok(phrase),
            false => self.unexpected_end_of_phrase(),
        }
    }

    fn unexpected_end_of_phrase<T>(&self) -> Parse<T> {
        let hint = match self.kind() {
            TokenKind::Semi
                if self.peek(1) == TokenKind::End || self.starts_phrase(self.at + 1) =>
            {
                Some("definitions follow each other without `;`".to_string())
            }
            TokenKind::Semi => Some(DROPPED_VALUE.to_string()),
            TokenKind::Ident => self
                .stray_word(self.text_of(self.span()), None)
                .or_else(|| self.bare_argument()),
            TokenKind::Int(_) | TokenKind::Float(_) | TokenKind::Str(_) => self.bare_argument(),
            kind if kind.is_close() => Some("nothing is open that this closes".to_string()),
            _ => None,
        };
        match (
            self.unexpected_after_expression("the next definition"),
            hint,
        ) {
            (Err(issue), Some(hint)) => Err(Box::new(issue.hint_if(Some(hint)))),
            (result, _) => result,
        }
    }

    /// `f x` on one line.
    pub(super) fn bare_argument(&self) -> Option<String> {
        let before = self.previous_span();
        let between = &self.text[before.end as usize..self.span().start as usize];
        let previous = self.at.checked_sub(1).map(|at| self.tokens.tokens[at].kind);
        if between.contains('\n') || between.is_empty() {
            return None;
        }
        if previous == Some(TokenKind::ParenClose) {
            let hint = "arguments stand in one pair of parentheses: `f(a, b)`";
            return Some(hint.to_string());
        }
        let word = self.text_of(before);
        if matches!(word, "const" | "val" | "final" | "mut") && self.kind() == TokenKind::Ident {
            let name = self.text_of(self.span());
            return Some(format!(
                "`let {name} = …` binds a name, `var {name} = …` one that is assigned again"
            ));
        }
        (previous == Some(TokenKind::Ident)).then(|| {
            format!(
                "arguments stand in parentheses: `{}(…)`",
                self.text_of(before)
            )
        })
    }

    /// What the current token, at the level of definitions, seems to mean.
    fn stray_here(&self) -> Option<String> {
        let text = self.text_of(self.span());
        let next = self.tokens.tokens[(self.at + 1).min(self.tokens.tokens.len() - 1)];
        let named = (next.kind == TokenKind::Ident).then(|| self.text_of(next.span));
        if let Some(meant) = self.stray_word(text, named) {
            return Some(meant);
        }
        match (self.kind(), next.kind) {
            (TokenKind::Ident, TokenKind::Assign) => Some(format!(
                "a definition starts with a word: `def {text} = …`, or `cell {text} = …` in a spreadsheet"
            )),
            (TokenKind::Ident, TokenKind::Colon) => {
                Some(format!("a declaration starts with `def`: `def {text} : …`"))
            }
            _ => None,
        }
    }

    fn stray_expression(&mut self) -> Issue {
        let start = self.span();
        let meant = self.stray_here();
        if meant.is_none() && self.kind() == TokenKind::Semi {
            return self
                .unexpected_issue("a definition")
                .hint("definitions follow each other without `;`");
        }
        if meant.is_none() && (self.kind().is_close() || self.kind() == TokenKind::Hash) {
            return self.unexpected_issue("a definition");
        }
        let span = match self.slot_expr() {
            Ok(expr) => expr.span,
            Err(issue) if matches!(self.kind(), TokenKind::Error(_)) => return *issue,
            Err(_) => start,
        };
        match meant {
            Some(hint) => Issue::new(Code::SynExprPhrase, start).hint(hint),
            None => Issue::new(Code::SynExprPhrase, span)
                .hint("name it: `def NAME = …`, or run it for its effect: `def _ = …`"),
        }
    }

    /// The initializer is the last phrase, pragmas aside, and there is one.
    fn check_initializer(&mut self, module: &Module) {
        let mut seen = false;
        let mut first = module.span;
        for phrase in &module.phrases {
            match phrase.kind {
                PhraseKind::Initializer(_) if !seen => {
                    seen = true;
                    first = first_line(self.text, phrase.span);
                }
                PhraseKind::Pragma(_) | PhraseKind::Broken(_) => {}
                _ if seen => {
                    let second = matches!(phrase.kind, PhraseKind::Initializer(_));
                    self.issues.push(
                        Issue::new(Code::SynInitializer, first_line(self.text, phrase.span))
                            .note(first, "the initializer stands here")
                            .hint(match second {
                                true => "put the statements of both into one initializer",
                                false => "move this before the initializer",
                            }),
                    );
                    return;
                }
                _ => {}
            }
        }
    }
}

/// The part of a span up to the end of its first line.
fn first_line(text: &str, span: Span) -> Span {
    let inside = &text[span.start as usize..span.end as usize];
    let length = inside.find('\n').unwrap_or(inside.len());
    let length = inside[..length].trim_end().len();
    Span {
        end: span.start + length as u32,
        ..span
    }
}
