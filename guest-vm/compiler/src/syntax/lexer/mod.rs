//! Text to tokens.
//!
//! The whole text is cut into tokens at once. Bad text becomes a token of kind
//! [`TokenKind::Error`] that carries its issue: the parser reports it when it
//! gives up the phrase, so that there is one error per phrase.

mod directive;
mod string;
mod token;

pub use token::{KEYWORDS, Token, TokenKind};

use super::ast::Symbol;
use super::source::LineMapping;
use super::span::{SourceId, Span};
use crate::issue::{Code, Issue};
use std::sync::{Arc, OnceLock};

/// What kind of text is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// A source file.
    Unit,
    /// REPL input: `#word` in column 1 is a command.
    Session,
}

/// The tokens of a text; the last one is always [`TokenKind::End`].
#[derive(Debug, Default)]
pub struct Tokens {
    /// In text order.
    pub tokens: Vec<Token>,
    /// Values of whole numbers.
    pub ints: Vec<i64>,
    /// Values of other numbers.
    pub floats: Vec<f64>,
    /// Decoded strings.
    pub strings: Vec<Symbol>,
    /// Issues of error tokens.
    pub errors: Vec<Issue>,
    /// Line mappings made by directives.
    pub mappings: Vec<LineMapping>,
}

/// Cuts a text into tokens.
pub fn tokenize(source: SourceId, file: &Arc<str>, text: &str, mode: Mode) -> Tokens {
    let mut lexer = Lexer {
        source,
        text,
        at: 0,
        mode,
        out: Tokens::default(),
        directives: directive::Directives::new(file.clone()),
        counted: (0, 1),
    };
    if text.starts_with('\u{feff}') {
        lexer.at = '\u{feff}'.len_utf8();
    }
    lexer.run();
    lexer.out.mappings = lexer.directives.finish();
    lexer.out
}

struct Lexer<'a> {
    source: SourceId,
    text: &'a str,
    at: usize,
    mode: Mode,
    out: Tokens,
    directives: directive::Directives,
    /// An offset and its physical line.
    counted: (usize, u32),
}

fn is_name_start(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || byte == b'_'
}

fn is_name_part(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// The punctuation that begins with a byte, longest first.
fn punctuation_from(first: u8) -> &'static [(&'static str, TokenKind)] {
    static BY_BYTE: OnceLock<Vec<Vec<(&'static str, TokenKind)>>> = OnceLock::new();
    let by_byte = BY_BYTE.get_or_init(|| {
        let of = |byte: u8| {
            let all = token::PUNCTUATION.iter();
            all.filter(|(text, _)| text.as_bytes()[0] == byte)
                .copied()
                .collect()
        };
        (0..=127).map(of).collect()
    });
    by_byte.get(usize::from(first)).map_or(&[], Vec::as_slice)
}

impl Lexer<'_> {
    fn run(&mut self) {
        while self.skip_space() {
            let start = self.at;
            match self.text.as_bytes()[start] {
                b'#' if self.in_first_column() && self.command_or_directive() => {}
                byte if is_name_start(byte) => self.name(),
                byte if byte.is_ascii_digit() => self.number(),
                b'"' => self.string(),
                _ => self.punctuation(),
            }
        }
        let end = self.text.len();
        self.push(TokenKind::End, end, end);
    }

    fn byte(&self, offset: usize) -> u8 {
        self.text
            .as_bytes()
            .get(self.at + offset)
            .copied()
            .unwrap_or(0)
    }

    fn span(&self, start: usize, end: usize) -> Span {
        Span::new(self.source, start as u32, end as u32)
    }

    fn push(&mut self, kind: TokenKind, start: usize, end: usize) {
        let span = self.span(start, end);
        self.out.tokens.push(Token { kind, span });
    }

    fn error(&mut self, issue: Issue, start: usize, end: usize) {
        let index = self.out.errors.len() as u32;
        self.out.errors.push(issue);
        self.push(TokenKind::Error(index), start, end);
    }

    fn in_first_column(&self) -> bool {
        let before = &self.text[..self.at];
        before.is_empty() || before.ends_with('\n') || before == "\u{feff}"
    }

    /// Skips white space and comments; false at the end of the text.
    fn skip_space(&mut self) -> bool {
        loop {
            match self.byte(0) {
                b' ' | b'\t' | b'\r' | b'\n' | 0x0c => self.at += 1,
                b'/' if self.byte(1) == b'/' => {
                    let rest = &self.text[self.at..];
                    self.at += rest.find('\n').unwrap_or(rest.len());
                }
                b'/' if self.byte(1) == b'*' => {
                    let start = self.at;
                    match self.text[start + 2..].find("*/") {
                        Some(length) => self.at = start + 2 + length + 2,
                        None => {
                            self.at = self.text.len();
                            let span = self.span(start, start + 2);
                            let issue = Issue::new(Code::LexComment, span)
                                .hint("block comments do not nest; close it with `*/`");
                            self.error(issue, start, self.at);
                        }
                    }
                }
                _ => return self.at < self.text.len(),
            }
        }
    }

    fn name(&mut self) {
        let start = self.at;
        while is_name_part(self.byte(0)) {
            self.at += 1;
        }
        let word = &self.text[start..self.at];
        let kind = match word {
            "_" => TokenKind::Underscore,
            _ => TokenKind::keyword(word).unwrap_or(TokenKind::Ident),
        };
        self.push(kind, start, self.at);
    }

    fn digits(&mut self) {
        while self.byte(0).is_ascii_digit() {
            self.at += 1;
        }
    }

    fn number(&mut self) {
        let start = self.at;
        self.digits();
        let mut is_int = true;
        if self.byte(0) == b'.' && self.byte(1).is_ascii_digit() {
            is_int = false;
            self.at += 1;
            self.digits();
        }
        if matches!(self.byte(0), b'e' | b'E') {
            let sign = usize::from(matches!(self.byte(1), b'+' | b'-'));
            if self.byte(1 + sign).is_ascii_digit() {
                is_int = false;
                self.at += 1 + sign;
                self.digits();
            }
        }
        let malformed = is_name_part(self.byte(0));
        while is_name_part(self.byte(0)) {
            self.at += 1;
        }
        let text = &self.text[start..self.at];
        let value = text.parse::<f64>().unwrap_or(f64::INFINITY);
        if malformed || !value.is_finite() {
            let issue = Issue::new(Code::LexNumber, self.span(start, self.at))
                .with("text", shorten(text))
                .hint(number_hint(text));
            self.error(issue, start, self.at);
            return;
        }
        let int = if is_int {
            text.parse::<i64>().ok()
        } else {
            None
        };
        let kind = match int {
            Some(int) => {
                self.out.ints.push(int);
                TokenKind::Int(self.out.ints.len() as u32 - 1)
            }
            None => {
                self.out.floats.push(value);
                TokenKind::Float(self.out.floats.len() as u32 - 1)
            }
        };
        self.push(kind, start, self.at);
    }

    fn string(&mut self) {
        let start = self.at;
        let read = string::read(&self.text[start..]);
        self.at = start + read.length;
        match read.result {
            Ok(text) => {
                self.out.strings.push(Arc::from(text));
                let kind = TokenKind::Str(self.out.strings.len() as u32 - 1);
                self.push(kind, start, self.at);
            }
            Err(error) => {
                let span = self.span(start + error.start, start + error.end);
                let mut issue = Issue::new(error.code, span);
                if error.code == Code::LexEscape {
                    issue = issue.with("text", &self.text[start + error.start..start + error.end]);
                }
                self.error(issue.hint(error.hint), start, self.at);
            }
        }
    }

    fn punctuation(&mut self) {
        let start = self.at;
        let rest = &self.text[start..];
        let first = rest.as_bytes()[0];
        let found = punctuation_from(first).iter().find(|(text, _)| {
            rest.starts_with(text)
                && (!text.ends_with(":ci")
                    || !rest
                        .as_bytes()
                        .get(text.len())
                        .copied()
                        .is_some_and(is_name_part))
        });
        if let Some((text, kind)) = found {
            self.at += text.len();
            self.push(*kind, start, self.at);
            return;
        }
        let character = rest.chars().next().unwrap_or('\u{fffd}');
        self.at += character.len_utf8();
        let issue = Issue::new(Code::LexBadChar, self.span(start, self.at))
            .with("char", printable(character));
        let issue = match character {
            '$' if !rest[1..].starts_with(|c: char| c.is_ascii_alphanumeric()) => {
                issue.hint("arguments stand in parentheses: `f(x)`; texts are joined with `+`")
            }
            '$' => issue.hint("names starting with `$` belong to the implementation"),
            '!' if self.text[..start].ends_with('=') => issue.hint("unequal is written `!=`"),
            '!' if rest[1..].starts_with(['(', '[', '{'])
                && self.text[..start].ends_with(|c: char| c.is_ascii_alphanumeric()) =>
            {
                issue
                    .hint("there are no macros: `debug(x)` writes to the log, `[a, b]` is an array")
            }
            '!' => issue.hint("negation is written `not`"),
            '&' => issue.hint("the conjunction is written `&&`; texts are joined with `+`"),
            '|' => issue.hint("the disjunction is written `||`"),
            '`' => issue.hint("strings are written with double quotes: \"…\""),
            '\\' => issue.hint("a lambda is written `x -> …`"),
            '\u{2018}'..='\u{201f}' | '\u{ab}' | '\u{bb}' => {
                issue.hint("strings are written with straight double quotes: \"…\"")
            }
            '\u{a0}' | '\u{2000}'..='\u{200f}' | '\u{feff}' => {
                issue.hint("this invisible character is no space; replace it by one")
            }
            '×' | '·' => issue.hint("multiplication is written `*`"),
            '−' | '–' | '—' => issue.hint("the minus sign is written `-`"),
            '≠' => issue.hint("write `!=`"),
            '≤' => issue.hint("write `<=`"),
            '≥' => issue.hint("write `>=`"),
            '→' => issue.hint("write `->`"),
            character if character.is_alphabetic() => {
                issue.hint("names consist of the letters a to z, digits and `_`")
            }
            _ => issue,
        };
        self.error(issue, start, self.at);
    }

    /// A `#` in column 1; false if it is an ordinary token.
    fn command_or_directive(&mut self) -> bool {
        let start = self.at;
        let line_end = self.text[start..]
            .find('\n')
            .map_or(self.text.len(), |length| start + length);
        let line = self.text[start..line_end].trim_end();
        let word_end = line[1..]
            .bytes()
            .position(|byte| !is_name_part(byte))
            .map_or(line.len(), |length| length + 1);
        let word = &line[1..word_end];
        let is_directive = match self.mode {
            Mode::Unit => matches!(word, "line" | "push" | "pop"),
            Mode::Session => word == "line",
        };
        if is_directive {
            self.at = line_end;
            // Directives come in text order: only the lines since the last one are counted.
            let (counted, first) = self.counted;
            let physical = first + self.text[counted..start].matches('\n').count() as u32;
            self.counted = (start, physical);
            if !self.directives.apply(word, &line[word_end..], physical) {
                let end = start + line.len();
                let issue = Issue::new(Code::LexDirective, self.span(start, end))
                    .with("text", shorten(line))
                    .hint(match word {
                        "pop" => "`#pop` stands alone on its line, after a `#push`",
                        "push" => "write `#push N \"file\"`",
                        _ => "write `#line N` or `#line N \"file\"`, with N from 1",
                    });
                self.error(issue, start, end);
            }
            return true;
        }
        if self.mode == Mode::Session && word.bytes().next().is_some_and(is_name_start) {
            self.at = line_end;
            self.push(TokenKind::Command, start, start + line.len());
            return true;
        }
        false
    }
}

/// What may be meant by a number with letters in it.
fn number_hint(text: &str) -> String {
    let radix = |prefix: &str, radix: u32| {
        let digits = text.strip_prefix(prefix)?;
        u64::from_str_radix(digits, radix).ok()
    };
    let value = radix("0x", 16)
        .or_else(|| radix("0b", 2))
        .or_else(|| radix("0o", 8));
    if let Some(value) = value {
        return format!("numbers are decimal: {value}");
    }
    if text
        .bytes()
        .all(|byte| byte.is_ascii_digit() || byte == b'_')
    {
        return format!("numbers have no separators: {}", text.replace('_', ""));
    }
    if text
        .bytes()
        .any(|byte| is_name_start(byte) && !matches!(byte, b'e' | b'E'))
    {
        return "a name does not start with a digit; after a number comes a space or an operator"
            .to_string();
    }
    if text.ends_with(['e', 'E', '+', '-']) {
        return "the exponent has digits, as in 1e6".to_string();
    }
    "the largest number is about 1.8e308".to_string()
}

/// A character as shown in messages.
fn printable(character: char) -> String {
    if character.is_control() {
        format!("U+{:04X}", character as u32)
    } else {
        character.to_string()
    }
}

/// Keeps hostile input out of messages.
fn shorten(text: &str) -> String {
    const LIMIT: usize = 60;
    if text.chars().count() <= LIMIT {
        return text.to_string();
    }
    let mut short: String = text.chars().take(LIMIT).collect();
    short.push('…');
    short
}
