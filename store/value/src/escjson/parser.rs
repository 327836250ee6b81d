//! Text to values.

use std::sync::Arc;

use super::{
    Duplicates, MAX_PARSE_DEPTH, Mode, Options, ParseError, ParseErrorKind, UndefinedMembers, tags,
};
use crate::{Map, Value};

/// Tagged objects that are scalars (a ref, a binary in a blob) nest deeper in
/// the text than the value they stand for.
const TAG_LEVELS: usize = 2;

pub(super) struct Parser<'a> {
    text: &'a str,
    position: usize,
    options: Options,
    path: Vec<Step>,
}

enum Step {
    Key(Arc<str>),
    Index(usize),
}

impl<'a> Parser<'a> {
    pub(super) fn new(text: &'a str, options: &Options) -> Parser<'a> {
        let options = Options {
            max_depth: options.max_depth.min(MAX_PARSE_DEPTH),
            ..*options
        };
        Parser {
            text,
            position: 0,
            options,
            path: Vec::new(),
        }
    }

    pub(super) fn parse(mut self) -> Result<Value, ParseError> {
        self.skip_space();
        let value = self.value(0)?;
        self.end()?;
        Ok(value)
    }

    pub(super) fn parse_items(mut self, each: impl FnMut(Value)) -> Result<bool, ParseError> {
        self.skip_space();
        if self.peek() != Some(b'[') {
            return self.parse().map(|_| false);
        }
        self.items(0, each)?;
        self.end()?;
        Ok(true)
    }

    fn end(&mut self) -> Result<(), ParseError> {
        self.skip_space();
        if self.position < self.text.len() {
            return Err(self.error(ParseErrorKind::TrailingText));
        }
        Ok(())
    }

    /// Parses a value below `depth` containers.
    fn value(&mut self, depth: usize) -> Result<Value, ParseError> {
        match self.peek() {
            Some(b'{') => self.object(depth),
            Some(b'[') => self.array(depth),
            Some(b'"') => Ok(Value::from(self.string()?)),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b't') => self.word("true", Value::Bool(true)),
            Some(b'f') => self.word("false", Value::Bool(false)),
            Some(b'n') => self.word("null", Value::Null),
            Some(_) => Err(self.error(ParseErrorKind::Expected("a value"))),
            None => Err(self.error(ParseErrorKind::UnexpectedEnd)),
        }
    }

    fn word(&mut self, word: &'static str, value: Value) -> Result<Value, ParseError> {
        if self.text[self.position..].starts_with(word) {
            self.position += word.len();
            Ok(value)
        } else {
            Err(self.error(ParseErrorKind::Expected("a value")))
        }
    }

    fn array(&mut self, depth: usize) -> Result<Value, ParseError> {
        let mut items = Vec::new();
        self.items(depth, |item| items.push(item))?;
        Ok(Value::Array(items))
    }

    fn items(&mut self, depth: usize, mut each: impl FnMut(Value)) -> Result<(), ParseError> {
        if depth >= self.options.max_depth {
            return Err(self.error(ParseErrorKind::TooDeep(self.options.max_depth)));
        }
        self.position += 1;
        let mut count = 0;
        self.skip_space();
        if self.peek() == Some(b']') {
            self.position += 1;
            return Ok(());
        }
        loop {
            self.skip_space();
            let start = self.position;
            self.path.push(Step::Index(count));
            let item = self.value(depth + 1)?;
            if item.is_undefined() && self.options.undefined_members != UndefinedMembers::Anywhere {
                return Err(self.error_at(start, ParseErrorKind::Undefined));
            }
            self.path.pop();
            each(item);
            count += 1;
            self.skip_space();
            match self.peek() {
                Some(b',') => self.position += 1,
                Some(b']') => {
                    self.position += 1;
                    return Ok(());
                }
                Some(_) => return Err(self.error(ParseErrorKind::Expected("`,` or `]`"))),
                None => return Err(self.error(ParseErrorKind::UnexpectedEnd)),
            }
        }
    }

    fn object(&mut self, depth: usize) -> Result<Value, ParseError> {
        let start = self.position;
        let limit = self.options.max_depth;
        let slack = if self.options.mode == Mode::Tagged {
            TAG_LEVELS
        } else {
            0
        };
        if depth >= limit + slack {
            return Err(self.error(ParseErrorKind::TooDeep(limit)));
        }
        let map = self.members(depth)?;
        let value = match self.options.mode {
            Mode::Plain => Value::Map(map),
            Mode::Tagged => tags::interpret(map).map_err(|kind| self.error_at(start, kind))?,
        };
        if depth >= limit && matches!(value, Value::Map(_) | Value::Case(_)) {
            return Err(self.error_at(start, ParseErrorKind::TooDeep(limit)));
        }
        match value {
            // Members stay undefined until here, so that tags can see them.
            Value::Map(mut map) if self.options.undefined_members == UndefinedMembers::Drop => {
                map.retain(|_, member| !member.is_undefined());
                Ok(Value::Map(map))
            }
            value => Ok(value),
        }
    }

    fn members(&mut self, depth: usize) -> Result<Map, ParseError> {
        self.position += 1;
        let mut map = Map::new();
        self.skip_space();
        if self.peek() == Some(b'}') {
            self.position += 1;
            return Ok(map);
        }
        loop {
            self.skip_space();
            let start = self.position;
            match self.peek() {
                Some(b'"') => {}
                Some(_) => return Err(self.error(ParseErrorKind::Expected("a key string"))),
                None => return Err(self.error(ParseErrorKind::UnexpectedEnd)),
            }
            let key: Arc<str> = self.string()?.into();
            self.skip_space();
            match self.peek() {
                Some(b':') => self.position += 1,
                Some(_) => return Err(self.error(ParseErrorKind::Expected("`:`"))),
                None => return Err(self.error(ParseErrorKind::UnexpectedEnd)),
            }
            self.skip_space();
            self.path.push(Step::Key(Arc::clone(&key)));
            let member = self.value(depth + 1)?;
            self.path.pop();
            if map.insert(Arc::clone(&key), member).is_some()
                && self.options.duplicates == Duplicates::Refuse
            {
                let shown = key.chars().take(60).collect();
                return Err(self.error_at(start, ParseErrorKind::DuplicateKey(shown)));
            }
            self.skip_space();
            match self.peek() {
                Some(b',') => self.position += 1,
                Some(b'}') => {
                    self.position += 1;
                    return Ok(map);
                }
                Some(_) => return Err(self.error(ParseErrorKind::Expected("`,` or `}`"))),
                None => return Err(self.error(ParseErrorKind::UnexpectedEnd)),
            }
        }
    }

    fn number(&mut self) -> Result<Value, ParseError> {
        let start = self.position;
        if self.peek() == Some(b'-') {
            self.position += 1;
        }
        match self.peek() {
            Some(b'0') => self.position += 1,
            Some(b'1'..=b'9') => self.digits(),
            Some(_) => return Err(self.error(ParseErrorKind::Expected("a digit"))),
            None => return Err(self.error(ParseErrorKind::UnexpectedEnd)),
        }
        let mut integral = true;
        if self.peek() == Some(b'.') {
            integral = false;
            self.position += 1;
            self.some_digits()?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            integral = false;
            self.position += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.position += 1;
            }
            self.some_digits()?;
        }
        let text = &self.text[start..self.position];
        if integral && let Ok(int) = text.parse::<i64>() {
            return Ok(Value::Int(int));
        }
        match text.parse::<f64>() {
            Ok(float) if float.is_finite() => Ok(Value::Float(float)),
            _ => Err(self.error_at(start, ParseErrorKind::NumberRange)),
        }
    }

    fn digits(&mut self) {
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.position += 1;
        }
    }

    fn some_digits(&mut self) -> Result<(), ParseError> {
        match self.peek() {
            Some(b'0'..=b'9') => {
                self.digits();
                Ok(())
            }
            Some(_) => Err(self.error(ParseErrorKind::Expected("a digit"))),
            None => Err(self.error(ParseErrorKind::UnexpectedEnd)),
        }
    }

    /// Parses a string; the cursor is on its opening quote.
    fn string(&mut self) -> Result<String, ParseError> {
        self.position += 1;
        let mut out = String::new();
        let mut clean = self.position;
        loop {
            match self.peek() {
                Some(b'"') => {
                    out.push_str(&self.text[clean..self.position]);
                    self.position += 1;
                    return Ok(out);
                }
                Some(b'\\') => {
                    out.push_str(&self.text[clean..self.position]);
                    out.push(self.escape()?);
                    clean = self.position;
                }
                Some(0..=0x1f) => return Err(self.error(ParseErrorKind::ControlCharacter)),
                Some(_) => self.position += 1,
                None => return Err(self.error(ParseErrorKind::UnexpectedEnd)),
            }
        }
    }

    /// Parses an escape; the cursor is on its backslash.
    fn escape(&mut self) -> Result<char, ParseError> {
        let start = self.position;
        self.position += 1;
        let escaped = match self.peek() {
            Some(b'"') => '"',
            Some(b'\\') => '\\',
            Some(b'/') => '/',
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => return self.unicode_escape(start),
            Some(_) => return Err(self.error_at(start, ParseErrorKind::InvalidEscape)),
            None => return Err(self.error(ParseErrorKind::UnexpectedEnd)),
        };
        self.position += 1;
        Ok(escaped)
    }

    fn unicode_escape(&mut self, start: usize) -> Result<char, ParseError> {
        self.position += 1;
        let first = self.hex4(start)?;
        let code = match first {
            0xd800..=0xdbff => {
                let unpaired = ParseErrorKind::UnpairedSurrogate;
                if !self.text[self.position..].starts_with("\\u") {
                    return Err(self.error_at(start, unpaired));
                }
                self.position += 2;
                let second = self.hex4(start)?;
                if !(0xdc00..=0xdfff).contains(&second) {
                    return Err(self.error_at(start, unpaired));
                }
                0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00)
            }
            code => code,
        };
        // Only a lone low surrogate is no character here.
        char::from_u32(code).ok_or_else(|| self.error_at(start, ParseErrorKind::UnpairedSurrogate))
    }

    fn hex4(&mut self, start: usize) -> Result<u32, ParseError> {
        let Some(digits) = self.text.as_bytes().get(self.position..self.position + 4) else {
            return Err(self.error(ParseErrorKind::UnexpectedEnd));
        };
        let mut code = 0;
        for digit in digits {
            match char::from(*digit).to_digit(16) {
                Some(digit) => code = code << 4 | digit,
                None => return Err(self.error_at(start, ParseErrorKind::InvalidEscape)),
            }
        }
        self.position += 4;
        Ok(code)
    }

    fn skip_space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.position += 1;
        }
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.position).copied()
    }

    fn error(&self, kind: ParseErrorKind) -> ParseError {
        self.error_at(self.position, kind)
    }

    fn error_at(&self, offset: usize, kind: ParseErrorKind) -> ParseError {
        let mut path = String::new();
        for step in &self.path {
            // A path in a message is for people; a hostile one must not fill the log.
            if path.len() > 300 {
                path.push('…');
                break;
            }
            match step {
                Step::Key(key) => {
                    path.push('.');
                    path.extend(key.chars().take(60));
                }
                Step::Index(index) => {
                    path.push('[');
                    path.push_str(&index.to_string());
                    path.push(']');
                }
            }
        }
        ParseError { offset, path, kind }
    }
}
