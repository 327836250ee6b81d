//! Where to go on after a phrase with an error.

use super::Parser;
use crate::issue::{Code, Issue};
use crate::syntax::ast::{Broken, Ident};
use crate::syntax::lexer::TokenKind;
use std::sync::Arc;

impl Parser<'_> {
    /// Skips the rest of the phrase that started at token `start`, reports its one
    /// error, and tells which names it would have defined.
    pub(super) fn give_up(&mut self, start: usize, issue: Issue) -> Broken {
        let end = self.end_of_phrase(start);
        // Lexing comes before parsing: a bad token in the phrase is its error.
        let bad_token = self.tokens.tokens[start..end.max(start + 1)]
            .iter()
            .find_map(|token| match token.kind {
                TokenKind::Error(index) => Some(self.tokens.errors[index as usize].clone()),
                _ => None,
            });
        let issue = bad_token.unwrap_or_else(|| self.with_unclosed(start, issue));
        self.issues.push(issue);
        let broken = self.names_defined(start, end);
        self.at = end;
        self.depth = 0;
        self.projection = None;
        self.no_hint = false;
        broken
    }

    /// Names the bracket that was never closed, if the phrase ended while one was open.
    fn with_unclosed(&self, start: usize, issue: Issue) -> Issue {
        let ended =
            self.kind() == TokenKind::End || self.starts_phrase(self.at) || self.kind().is_close();
        if !ended || issue.code != Code::SynUnexpected {
            return issue;
        }
        let open = (start..self.at)
            .rev()
            .find(|at| self.tokens.tokens[*at].kind.is_open() && self.partners[*at].is_none());
        let Some(open) = open else {
            return issue;
        };
        let token = self.tokens.tokens[open];
        let mark = token.kind.spelling().unwrap_or("?");
        issue.note(token.span, format!("this `{mark}` is never closed"))
    }

    /// The token after the phrase that starts at `start`: `;;` or a phrase keyword outside brackets.
    fn end_of_phrase(&self, start: usize) -> usize {
        let tokens = &self.tokens.tokens;
        let mut at = start;
        // `private var cell` is one start: step over its words.
        while matches!(
            tokens[at].kind,
            TokenKind::Private | TokenKind::Var | TokenKind::Live | TokenKind::Foreign
        ) {
            at += 1;
        }
        if self.starts_phrase(at) {
            at += 1;
        }
        loop {
            match tokens[at].kind {
                TokenKind::End | TokenKind::SemiSemi | TokenKind::Command => return at,
                kind if kind.is_open() => match self.partners[at] {
                    Some(partner) => at = partner as usize + 1,
                    None => at += 1,
                },
                _ if at > start && self.starts_phrase(at) => return at,
                _ => at += 1,
            }
        }
    }

    /// Can the token at `at`, outside brackets, only be the start of a phrase?
    pub(super) fn starts_phrase(&self, at: usize) -> bool {
        let tokens = &self.tokens.tokens;
        let next = tokens.get(at + 1).map(|token| token.kind);
        let previous = at.checked_sub(1).map(|before| tokens[before].kind);
        if matches!(
            previous,
            Some(TokenKind::Dot | TokenKind::Hash | TokenKind::Let)
        ) {
            return false;
        }
        match tokens[at].kind {
            // `type alias t = …`
            TokenKind::Alias if previous == Some(TokenKind::Type) => false,
            TokenKind::Import
            | TokenKind::Declare
            | TokenKind::Def
            | TokenKind::Foreign
            | TokenKind::Cell
            | TokenKind::Alias
            | TokenKind::Initializer
            | TokenKind::On
            | TokenKind::Case
            | TokenKind::Module
            | TokenKind::Static
            | TokenKind::Pragma
            | TokenKind::Private => true,
            TokenKind::Var | TokenKind::Live => next == Some(TokenKind::Cell),
            TokenKind::Type => next == Some(TokenKind::Ident),
            _ => false,
        }
    }

    fn names_defined(&self, start: usize, end: usize) -> Broken {
        let tokens = &self.tokens.tokens;
        let ident = |at: usize| -> Option<Ident> {
            let token = tokens.get(at)?;
            (token.kind == TokenKind::Ident).then(|| Ident {
                text: Arc::from(self.text_of(token.span)),
                span: token.span,
            })
        };
        let mut at = start;
        while matches!(
            tokens[at].kind,
            TokenKind::Private | TokenKind::Var | TokenKind::Live | TokenKind::Foreign
        ) {
            at += 1;
        }
        let mut broken = Broken::default();
        match tokens[at].kind {
            TokenKind::Cell
                if self.text_of(tokens[at].span) == "cell"
                    && tokens
                        .get(at + 2)
                        .is_some_and(|token| token.kind == TokenKind::ParenOpen)
                    && ident(at + 1).is_some_and(|name| &*name.text == "link") =>
            {
                broken.names.extend(ident(at + 3));
            }
            TokenKind::Def | TokenKind::Cell | TokenKind::Alias => {
                broken.names.extend(ident(at + 1));
            }
            TokenKind::Import | TokenKind::Let => broken.names.extend(ident(at + 1)),
            // `var x = 1` at the level of definitions, of which `var` was stepped over.
            TokenKind::Ident if at > start => broken.names.extend(ident(at)),
            TokenKind::Ident => {
                let named = tokens.get(at + 1).map(|token| token.kind);
                broken.names.extend(match named {
                    Some(TokenKind::Assign | TokenKind::Colon) => ident(at),
                    _ => ident(at + 1),
                });
            }
            TokenKind::Type => broken.types.extend(ident(at + 1)),
            TokenKind::Case => {
                for (position, token) in tokens.iter().enumerate().take(end).skip(at) {
                    if matches!(token.kind, TokenKind::Case | TokenKind::Bar) {
                        broken.names.extend(ident(position + 1));
                        broken.types.extend(ident(position + 1));
                    }
                }
            }
            _ => {}
        }
        broken
    }
}
