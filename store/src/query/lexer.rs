//! Splits query text into tokens.

use std::sync::Arc;

use super::error::QueryError;

const KEYWORDS: [&str; 14] = [
    "and",
    "or",
    "not",
    "all",
    "in",
    "like",
    "contains",
    "exists",
    "after",
    "true",
    "false",
    "null",
    "undefined",
    "ref",
];

/// Punctuation and operators, longest first.
const SYMBOLS: [&str; 24] = [
    "==", "!=", "<=", ">=", "&&", "||", "??", "**", "<", ">", "!", "|", "(", ")", "[", "]", "{",
    "}", ",", ":", ".", "+", "-", "*",
];
const MORE_SYMBOLS: [&str; 2] = ["/", "%"];

#[derive(Debug, Clone, PartialEq)]
pub(super) enum TokenKind {
    Ident(Arc<str>),
    Keyword(&'static str),
    /// The decoded text.
    Str(Arc<str>),
    /// The text of a number without sign.
    Number(Arc<str>),
    /// The name after `$`.
    Param(Arc<str>),
    Symbol(&'static str),
    End,
    /// No token begins or ends well here; tokens stop.
    Bad(QueryError),
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Token {
    pub(super) kind: TokenKind,
    /// Offset of the first character.
    pub(super) start: usize,
    /// Offset after the last character.
    pub(super) end: usize,
}

/// Whether a name can be written without quotes.
pub(super) fn is_word(name: &str) -> bool {
    let starts = name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_');
    let goes_on = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    starts && name.bytes().all(goes_on) && !KEYWORDS.contains(&name)
}

/// All tokens. The last one is [`TokenKind::End`] or [`TokenKind::Bad`]: a bad
/// one is an error only if the parser gets that far.
pub(super) fn tokens(text: &str) -> Vec<Token> {
    let mut lexer = Lexer {
        chars: text.chars().collect(),
        position: 0,
    };
    let mut tokens = Vec::new();
    loop {
        lexer.skip_space();
        let start = lexer.position;
        let kind = lexer.token().unwrap_or_else(TokenKind::Bad);
        let last = matches!(kind, TokenKind::End | TokenKind::Bad(_));
        tokens.push(Token {
            kind,
            start,
            end: lexer.position,
        });
        if last {
            return tokens;
        }
    }
}

struct Lexer {
    chars: Vec<char>,
    position: usize,
}

impl Lexer {
    fn peek(&self) -> Option<char> {
        self.chars.get(self.position).copied()
    }

    fn skip_space(&mut self) {
        while matches!(self.peek(), Some(' ' | '\t' | '\n' | '\r')) {
            self.position += 1;
        }
    }

    fn token(&mut self) -> Result<TokenKind, QueryError> {
        let Some(first) = self.peek() else {
            return Ok(TokenKind::End);
        };
        match first {
            '"' => self.string(),
            '0'..='9' => Ok(self.number()),
            '$' => self.param(),
            'a'..='z' | 'A'..='Z' | '_' => {
                let name = self.ident();
                match KEYWORDS.into_iter().find(|keyword| *keyword == name) {
                    Some(keyword) => Ok(TokenKind::Keyword(keyword)),
                    None => Ok(TokenKind::Ident(name.into())),
                }
            }
            _ => self.symbol(first),
        }
    }

    fn symbol(&mut self, first: char) -> Result<TokenKind, QueryError> {
        for symbol in SYMBOLS.into_iter().chain(MORE_SYMBOLS) {
            if self.chars[self.position..]
                .iter()
                .copied()
                .take(symbol.len())
                .eq(symbol.chars())
            {
                self.position += symbol.len();
                return Ok(TokenKind::Symbol(symbol));
            }
        }
        Err(match first {
            '=' => QueryError::expected(self.position, "`==`"),
            '&' => QueryError::expected(self.position, "`&&`"),
            '?' => QueryError::expected(self.position, "`??`"),
            other => QueryError::syntax(
                self.position,
                &format!("unexpected character {other:?}"),
                "a query token",
            ),
        })
    }

    fn ident(&mut self) -> String {
        let start = self.position;
        while self
            .peek()
            .is_some_and(|c| c.is_ascii_alphanumeric() || c == '_')
        {
            self.position += 1;
        }
        self.chars[start..self.position].iter().collect()
    }

    fn param(&mut self) -> Result<TokenKind, QueryError> {
        self.position += 1;
        let starts = self
            .peek()
            .is_some_and(|c| c.is_ascii_alphabetic() || c == '_');
        let start = self.position;
        let name = if starts { self.ident() } else { String::new() };
        if name.is_empty() || KEYWORDS.contains(&name.as_str()) {
            return Err(QueryError::expected(start, "parameter name"));
        }
        Ok(TokenKind::Param(name.into()))
    }

    fn digits(&mut self) -> bool {
        let start = self.position;
        while self.peek().is_some_and(|c| c.is_ascii_digit()) {
            self.position += 1;
        }
        self.position > start
    }

    /// A JSON number. What does not belong to one is left for the next token.
    fn number(&mut self) -> TokenKind {
        let start = self.position;
        if self.peek() == Some('0') {
            self.position += 1;
        } else {
            self.digits();
        }
        let integral = self.position;
        if self.peek() == Some('.') {
            self.position += 1;
            if !self.digits() {
                self.position = integral;
            }
        }
        let mantissa = self.position;
        if matches!(self.peek(), Some('e' | 'E')) {
            self.position += 1;
            if matches!(self.peek(), Some('+' | '-')) {
                self.position += 1;
            }
            if !self.digits() {
                self.position = mantissa;
            }
        }
        TokenKind::Number(
            self.chars[start..self.position]
                .iter()
                .collect::<String>()
                .into(),
        )
    }

    fn string(&mut self) -> Result<TokenKind, QueryError> {
        let start = self.position;
        let unterminated = || QueryError::syntax(start, "unterminated string", "closing quote");
        self.position += 1;
        let mut text = String::new();
        loop {
            let at = self.position;
            let c = self.peek().ok_or_else(unterminated)?;
            self.position += 1;
            match c {
                '"' => return Ok(TokenKind::Str(text.into())),
                '\\' => {
                    let escape = self.peek().ok_or_else(unterminated)?;
                    self.position += 1;
                    text.push(match escape {
                        '"' | '\\' | '/' => escape,
                        'b' => '\u{8}',
                        'f' => '\u{c}',
                        'n' => '\n',
                        'r' => '\r',
                        't' => '\t',
                        'u' => self.unicode_escape(at)?,
                        _ => return Err(QueryError::syntax(at, "invalid escape", "JSON escape")),
                    });
                }
                '\u{0}'..='\u{1f}' => {
                    return Err(QueryError::syntax(
                        at,
                        "control character in a string",
                        "escape",
                    ));
                }
                c => text.push(c),
            }
        }
    }

    fn unicode_escape(&mut self, at: usize) -> Result<char, QueryError> {
        let invalid = || QueryError::syntax(at, "invalid escape", "4 hexadecimal digits");
        let first = self.hex4().ok_or_else(invalid)?;
        if let Some(c) = char::from_u32(first) {
            return Ok(c);
        }
        let unpaired = || QueryError::syntax(at, "unpaired surrogate", "surrogate pair");
        let follows = self.chars[self.position..].starts_with(&['\\', 'u']);
        if first >= 0xdc00 || !follows {
            return Err(unpaired());
        }
        self.position += 2;
        match self.hex4().ok_or_else(invalid)? {
            second @ 0xdc00..=0xdfff => {
                char::from_u32(0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00))
                    .ok_or_else(unpaired)
            }
            _ => Err(unpaired()),
        }
    }

    fn hex4(&mut self) -> Option<u32> {
        let digits = self.chars.get(self.position..self.position + 4)?;
        let mut number = 0;
        for digit in digits {
            number = number * 16 + digit.to_digit(16)?;
        }
        self.position += 4;
        Some(number)
    }
}
