//! Tokens to syntax tree, by recursive descent with one error per phrase.
//!
//! - `module`: units, sessions, modules; where recovery happens
//! - `phrase`: definitions
//! - `statement`: blocks and assignments
//! - `expression`, `operand`, `literal`: the expression grammar
//! - `pattern`, `types`, `constant`: the smaller grammars
//! - `brackets`, `recover`: matching brackets and the end of a bad phrase
//! - `habits`: what was meant by a token that fits nowhere
//!
//! Inside a phrase the first error ends the parse of that phrase; the phrase is
//! kept as [`PhraseKind::Broken`](crate::syntax::ast::PhraseKind::Broken) with the
//! names it would have defined. Nesting is bounded, so that hostile text cannot
//! exhaust the stack of this or a later phase.

mod brackets;
mod constant;
mod expression;
mod habits;
mod lambda;
mod literal;
mod module;
mod operand;
mod pattern;
mod phrase;
mod recover;
mod statement;
mod types;

use super::ast::*;
use super::lexer::{self, Mode, Token, TokenKind, Tokens};
use super::source::SourceMap;
use super::span::{SourceId, Span};
use crate::issue::{Code, Issue};
use crate::tables::HashMap;
use std::sync::Arc;

/// How deep text may nest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Depth {
    /// Brackets, lambdas, blocks and the like may nest this deep. A block of a statement counts as
    /// two or three levels.
    pub nesting: u32,
    /// A tree may be this high: bounds chains such as `a + b + c …` and `f(x)(y)…`.
    pub height: u32,
}

impl Depth {
    /// What every phase stands on an ordinary stack.
    pub const SHALLOW: Depth = Depth {
        nesting: 400,
        height: 4_000,
    };

    /// What every phase stands on the stack of a compilation: well over 10,000 brackets of any sort.
    pub const DEEP: Depth = Depth {
        nesting: 32_000,
        height: 48_000,
    };
}

thread_local! {
    static DEPTH: std::cell::Cell<Depth> = const { std::cell::Cell::new(Depth::SHALLOW) };
}

/// What is parsed on this thread may nest so deep from now on. Whoever allows more than
/// [`Depth::SHALLOW`] vouches for a stack that later phases stand it on, too.
pub fn allow_depth(depth: Depth) {
    DEPTH.set(depth);
}

/// Hands out the node numbers of a compilation.
#[derive(Debug, Default)]
pub struct NodeIds {
    next: u32,
}

impl NodeIds {
    /// The next unused number.
    pub fn fresh(&mut self) -> NodeId {
        self.next += 1;
        NodeId(self.next - 1)
    }

    /// How many were handed out.
    pub fn count(&self) -> usize {
        self.next as usize
    }
}

/// Parses a source file and installs its line mappings.
pub fn parse_unit(
    sources: &mut SourceMap,
    source: SourceId,
    ids: &mut NodeIds,
) -> (Unit, Vec<Issue>) {
    let (text, tokens) = tokens_of(sources, source, Mode::Unit);
    let mut parser = Parser::new(source, &text, &tokens, ids);
    let items = parser.unit();
    (Unit { items }, parser.issues)
}

/// Parses REPL input and installs its line mappings.
pub fn parse_session(
    sources: &mut SourceMap,
    source: SourceId,
    ids: &mut NodeIds,
) -> (Vec<SessionItem>, Vec<Issue>) {
    let (text, tokens) = tokens_of(sources, source, Mode::Session);
    let mut parser = Parser::new(source, &text, &tokens, ids);
    let items = parser.session();
    (items, parser.issues)
}

fn tokens_of(sources: &mut SourceMap, source: SourceId, mode: Mode) -> (Arc<str>, Tokens) {
    let (name, text) = sources.get(source).map_or_else(
        || (Arc::from(""), Arc::from("")),
        |source| (source.name.clone(), source.text.clone()),
    );
    let mut tokens = lexer::tokenize(source, &name, &text, mode);
    sources.set_mappings(source, std::mem::take(&mut tokens.mappings));
    (text, tokens)
}

/// Result of parsing a part of a phrase; the error ends the phrase.
type Parse<T> = Result<T, Box<Issue>>;

struct Parser<'a> {
    source: SourceId,
    text: &'a str,
    tokens: &'a Tokens,
    /// Partner of every matched bracket token.
    partners: Vec<Option<u32>>,
    at: usize,
    ids: &'a mut NodeIds,
    /// Height of the tree under every node made by this parser, by number since `first_id`.
    heights: Vec<u32>,
    first_id: u32,
    depth: u32,
    /// Constants around the one that is read.
    constants: u32,
    limit: Depth,
    /// Highest tree made since the start of the innermost open block.
    peak: u32,
    /// An implicit projection was read for which no slot is closed yet.
    projection: Option<Span>,
    /// `: T` is no hint here (guard of a `switch` case).
    no_hint: bool,
    issues: Vec<Issue>,
    /// The names that were read: those with one text share it.
    names: HashMap<&'a str, Symbol>,
}

impl<'a> Parser<'a> {
    fn new(source: SourceId, text: &'a str, tokens: &'a Tokens, ids: &'a mut NodeIds) -> Self {
        let first_id = ids.next;
        Parser {
            source,
            text,
            tokens,
            partners: brackets::partners(&tokens.tokens),
            at: 0,
            ids,
            heights: Vec::new(),
            first_id,
            depth: 0,
            constants: 0,
            limit: DEPTH.get(),
            peak: 0,
            projection: None,
            no_hint: false,
            issues: Vec::new(),
            names: HashMap::default(),
        }
    }

    fn token(&self) -> Token {
        self.tokens.tokens[self.at]
    }

    fn kind(&self) -> TokenKind {
        self.token().kind
    }

    /// Kind of a later token; the end repeats.
    fn peek(&self, offset: usize) -> TokenKind {
        let last = self.tokens.tokens.len() - 1;
        self.tokens.tokens[(self.at + offset).min(last)].kind
    }

    fn span(&self) -> Span {
        self.token().span
    }

    /// The span of the token before the current one.
    fn previous_span(&self) -> Span {
        match self.at {
            0 => Span::new(self.source, 0, 0),
            at => self.tokens.tokens[at - 1].span,
        }
    }

    /// From the start of `start` to the end of the last read token.
    fn since(&self, start: Span) -> Span {
        Span::new(
            self.source,
            start.start,
            self.previous_span().end.max(start.start),
        )
    }

    /// Moves on; never past the end.
    fn advance(&mut self) -> Token {
        let token = self.token();
        if token.kind != TokenKind::End {
            self.at += 1;
        }
        token
    }

    fn eat(&mut self, kind: TokenKind) -> bool {
        let found = self.kind() == kind;
        if found {
            self.advance();
        }
        found
    }

    fn expect(&mut self, kind: TokenKind) -> Parse<Span> {
        if self.kind() == kind {
            return Ok(self.advance().span);
        }
        self.unexpected(&format!("`{}`", kind.spelling().unwrap_or("?")))
    }

    fn text_of(&self, span: Span) -> &'a str {
        &self.text[span.start as usize..span.end as usize]
    }

    /// A name that is no keyword.
    fn ident(&mut self, what: &str) -> Parse<Ident> {
        if self.kind() == TokenKind::Ident {
            return Ok(self.take_ident());
        }
        self.unexpected(what)
    }

    /// The current token as a name, whatever it is.
    fn take_ident(&mut self) -> Ident {
        let token = self.advance();
        Ident {
            text: self.symbol(token.span),
            span: token.span,
        }
    }

    /// The text of a name.
    fn symbol(&mut self, span: Span) -> Symbol {
        let text: &'a str = &self.text[span.start as usize..span.end as usize];
        let shared = self.names.entry(text).or_insert_with(|| Arc::from(text));
        shared.clone()
    }

    /// Any identifier or keyword.
    fn name(&mut self) -> Parse<Ident> {
        if self.kind().is_name() {
            return Ok(self.take_ident());
        }
        self.unexpected("a name")
    }

    /// The string literal at the current token, if it is one.
    fn string(&mut self) -> Option<Ident> {
        let TokenKind::Str(index) = self.kind() else {
            return None;
        };
        let span = self.advance().span;
        Some(Ident {
            text: self.tokens.strings[index as usize].clone(),
            span,
        })
    }

    fn is_contextual(&self, word: &str) -> bool {
        self.kind() == TokenKind::Ident && self.text_of(self.span()) == word
    }

    /// Is the current token an identifier that starts with an upper-case letter?
    fn is_upper(&self) -> bool {
        self.kind() == TokenKind::Ident
            && self
                .text_of(self.span())
                .starts_with(|first: char| first.is_ascii_uppercase())
    }

    /// `item {, item}` up to the closing bracket, which is consumed; possibly empty.
    fn list<T>(
        &mut self,
        close: TokenKind,
        mut item: impl FnMut(&mut Self) -> Parse<T>,
    ) -> Parse<Vec<T>> {
        let mut items = Vec::new();
        if self.eat(close) {
            return Ok(items);
        }
        loop {
            items.push(item(self)?);
            if self.eat(close) {
                return Ok(items);
            }
            let comma = self.separator(close)?;
            if self.kind() == close {
                let issue = self.unexpected_issue("an element after the comma");
                return Err(Box::new(match issue.code {
                    Code::SynUnexpected => Issue {
                        span: comma,
                        ..issue.hint("a list does not end with a comma")
                    },
                    _ => issue,
                }));
            }
        }
    }

    fn separator(&mut self, close: TokenKind) -> Parse<Span> {
        if self.kind() == TokenKind::Comma {
            return Ok(self.advance().span);
        }
        let expected = format!("`,` or `{}`", close.spelling().unwrap_or("?"));
        let starts_element = matches!(
            self.kind(),
            TokenKind::Ident | TokenKind::Int(_) | TokenKind::Float(_) | TokenKind::Str(_)
        ) || self.kind().is_open();
        match self.unexpected_after_expression(&expected) {
            Err(issue) if starts_element => Err(Box::new(
                issue.hint_if(Some("a comma is missing before this")),
            )),
            other => other,
        }
    }

    /// Runs `parse` one level deeper; refuses to go too deep.
    fn nested<T>(&mut self, parse: impl FnOnce(&mut Self) -> Parse<T>) -> Parse<T> {
        if self.depth >= self.limit.nesting {
            return Err(self.too_deep(self.limit.nesting));
        }
        self.depth += 1;
        let result = parse(self);
        self.depth -= 1;
        result
    }

    fn too_deep(&self, limit: u32) -> Box<Issue> {
        Box::new(
            Issue::new(Code::SynNesting, self.span())
                .with("what", "this text is nested too deeply")
                .with("limit", format!("{limit} levels"))
                .hint("give the inner parts names of their own"),
        )
    }

    /// A fresh node number for a tree one higher than its parts.
    fn node(&mut self, parts: &[NodeId]) -> Parse<NodeId> {
        let parts = parts.iter().map(|part| self.height(*part)).max();
        self.node_above(parts.unwrap_or(0))
    }

    /// A fresh node number for a tree over parts of that height.
    fn node_above(&mut self, parts: u32) -> Parse<NodeId> {
        let height = 1 + parts;
        if height > self.limit.height {
            return Err(self.too_deep(self.limit.height));
        }
        self.peak = self.peak.max(height);
        let id = self.ids.fresh();
        self.heights.push(height);
        Ok(id)
    }

    fn height(&self, id: NodeId) -> u32 {
        id.0.checked_sub(self.first_id)
            .and_then(|index| self.heights.get(index as usize))
            .copied()
            .unwrap_or(0)
    }

    fn unexpected<T>(&self, expected: &str) -> Parse<T> {
        Err(Box::new(self.unexpected_issue(expected)))
    }

    /// After a complete expression an `=` is an attempted assignment.
    fn unexpected_after_expression<T>(&self, expected: &str) -> Parse<T> {
        if self.kind() == TokenKind::Assign && self.habit().is_none() {
            return Err(Box::new(self.statement_issue("assignment", self.span())));
        }
        if self.kind() == TokenKind::Arrow {
            let issue = self.unexpected_issue(expected);
            return Err(Box::new(
                issue.hint("a lambda used as an operand needs parentheses around it"),
            ));
        }
        self.unexpected(expected)
    }

    fn unexpected_issue(&self, expected: &str) -> Issue {
        if let TokenKind::Error(index) = self.kind() {
            return self.tokens.errors[index as usize].clone();
        }
        if self.phrase_is_over() {
            // The place to mend is where the phrase stops, not where the next one starts.
            return Issue::new(Code::SynUnexpected, self.previous_span().after())
                .with("found", "end of the definition")
                .with("expected", expected)
                .hint_if(
                    (self.tokens.tokens[self.at - 1].kind == TokenKind::PlusPlus)
                        .then_some("`++` joins two streams; to count write `x = x + 1`"),
                );
        }
        let is_name = match expected {
            // Of a guard or a loop the pattern is missing.
            "a pattern" => !matches!(self.kind(), TokenKind::When | TokenKind::In),
            _ => expected.contains("name"),
        };
        let reserved = (self.kind().is_keyword() && is_name).then(|| {
            let word = self.text_of(self.span());
            format!("`{word}` is a reserved word; choose another name")
        });
        Issue::new(Code::SynUnexpected, self.span())
            .with("found", self.found())
            .with("expected", expected)
            .hint_if(reserved)
            .hint_if(self.habit())
            .hint_if(self.missing_call(expected))
    }

    /// `f x` where something else is due.
    fn missing_call(&self, expected: &str) -> Option<String> {
        let is_operand = matches!(
            self.kind(),
            TokenKind::Ident | TokenKind::Int(_) | TokenKind::Float(_) | TokenKind::Str(_)
        );
        (is_operand && expected.contains("`;`"))
            .then(|| self.bare_argument())
            .flatten()
    }

    /// The current token starts the next phrase, or ends the module, on a line of its own.
    fn phrase_is_over(&self) -> bool {
        let starts = match self.kind() {
            TokenKind::Def
            | TokenKind::Cell
            | TokenKind::Var
            | TokenKind::Live
            | TokenKind::Import
            | TokenKind::Declare
            | TokenKind::Module
            | TokenKind::Static
            | TokenKind::Alias
            | TokenKind::Foreign
            | TokenKind::Private
            | TokenKind::Pragma
            | TokenKind::Initializer
            | TokenKind::Type => self.at > 0 && self.starts_phrase(self.at),
            _ => false,
        };
        let before = self.previous_span();
        starts && self.text[before.end as usize..self.span().start as usize].contains('\n')
    }

    fn statement_issue(&self, what: &str, span: Span) -> Issue {
        let hint = match what {
            _ if self.follows_condition() => {
                "statements after a condition stand in braces: `if (…) { … } else { … }`"
            }
            "assignment" => "write `do { x = … }`, compare with `==`, or bind with `let x = …;`",
            "return" => "an expression needs no `return`; statements stand in `do { … }`",
            _ => "write `do { … }` around it",
        };
        Issue::new(Code::SynStatement, span)
            .with("what", what)
            .hint(hint)
    }

    /// The current token as shown in messages.
    fn found(&self) -> String {
        match self.kind() {
            TokenKind::End => "end of text".to_string(),
            TokenKind::Str(_) => "string".to_string(),
            TokenKind::Command => "command".to_string(),
            TokenKind::Ident | TokenKind::Int(_) | TokenKind::Float(_) => {
                let text = self.text_of(self.span());
                let short: String = text.chars().take(40).collect();
                format!("`{short}`")
            }
            kind => format!("`{}`", kind.spelling().unwrap_or("?")),
        }
    }
}
