//! Module `csv`: records of comma-separated values (RFC 4180, stdlib D81).

use super::Builtin;
use super::args;
use crate::failure::Failure;
use crate::heap::Value;
use crate::surroundings::Surroundings;

pub(super) fn find(name: &str) -> Option<Builtin> {
    Some(match name {
        "#csv_parse" => parse,
        "#csv_format" => format,
        _ => return None,
    })
}

/// The separator: one character that has no other meaning.
fn separator(value: &Value) -> Result<char, Failure> {
    let mut chars = args::text(value)?.chars();
    match (chars.next(), chars.next()) {
        (Some(c), None) if !matches!(c, '"' | '\r' | '\n') => Ok(c),
        _ => Err(Failure::range(
            "a separator is one character, neither a quote nor a line end",
        )),
    }
}

/// The fields between separators and line ends.
struct Reader<'a> {
    rest: &'a str,
    separator: char,
    line: usize,
}

/// What ended a field.
#[derive(PartialEq)]
enum End {
    Separator,
    Line,
    Text,
}

impl<'a> Reader<'a> {
    fn bad(&self, line: usize, what: &str) -> Failure {
        Failure::new("ERR_PARSE", format!("line {line}: {what}"))
    }

    /// Takes a separator, a line end or the end of the text.
    fn end(&mut self) -> Option<End> {
        if self.rest.is_empty() {
            return Some(End::Text);
        }
        if let Some(rest) = self.rest.strip_prefix(self.separator) {
            self.rest = rest;
            return Some(End::Separator);
        }
        let after = self
            .rest
            .strip_prefix("\r\n")
            .or_else(|| self.rest.strip_prefix(['\r', '\n']))?;
        self.rest = after;
        self.line += 1;
        Some(End::Line)
    }

    fn quoted(&mut self, text: &'a str) -> Result<String, Failure> {
        let start = self.line;
        let mut field = String::new();
        let mut rest = text;
        loop {
            let Some(at) = rest.find('"') else {
                return Err(self.bad(start, "a quoted field does not end"));
            };
            field.push_str(&rest[..at]);
            rest = &rest[at + 1..];
            match rest.strip_prefix('"') {
                Some(after) => {
                    field.push('"');
                    rest = after;
                }
                None => break,
            }
        }
        self.line += lines(&field);
        self.rest = rest;
        Ok(field)
    }

    fn field(&mut self) -> Result<(String, End), Failure> {
        if let Some(quoted) = self.rest.strip_prefix('"') {
            let field = self.quoted(quoted)?;
            let line = self.line;
            return match self.end() {
                Some(end) => Ok((field, end)),
                None => Err(self.bad(line, "there is text after a closing quote")),
            };
        }
        let at = self
            .rest
            .find([self.separator, '\r', '\n'])
            .unwrap_or(self.rest.len());
        let field = self.rest[..at].to_owned();
        self.rest = &self.rest[at..];
        // Only what `end` takes, or the end of the text, stops the search above.
        Ok((field, self.end().unwrap_or(End::Text)))
    }
}

/// Line ends in a quoted field.
fn lines(field: &str) -> usize {
    let bytes = field.as_bytes();
    let lone = |at: usize| bytes[at] == b'\r' && bytes.get(at + 1) != Some(&b'\n');
    (0..bytes.len())
        .filter(|at| bytes[*at] == b'\n' || lone(*at))
        .count()
}

/// `(separator, text)`: the records.
fn parse(_: &mut Surroundings, args: &mut [Value]) -> Result<Value, Failure> {
    let separator = separator(&args[0])?;
    let text = args::text(&args[1])?.as_str();
    let mut reader = Reader {
        rest: text.strip_prefix('\u{feff}').unwrap_or(text),
        separator,
        line: 1,
    };
    let mut records = Vec::new();
    while !reader.rest.is_empty() {
        let mut record = Vec::new();
        loop {
            let (field, end) = reader.field()?;
            record.push(Value::text(field));
            if end != End::Separator {
                break;
            }
        }
        records.push(Value::array(record));
    }
    Ok(Value::array(records))
}

/// The text of records, each ended by CRLF.
fn format(_: &mut Surroundings, args: &mut [Value]) -> Result<Value, Failure> {
    let mut out = String::new();
    for record in args::array(&args[0])?.items() {
        let fields = args::array(record)?.items();
        for (index, field) in fields.iter().enumerate() {
            let field = args::text(field)?.as_str();
            if index > 0 {
                out.push(',');
            }
            let quoted = field.contains([',', '"', '\r', '\n'])
                || field.starts_with(' ')
                || field.ends_with(' ')
                || (field.is_empty() && fields.len() == 1);
            if quoted {
                out.push('"');
                out.push_str(&field.replace('"', "\"\""));
                out.push('"');
            } else {
                out.push_str(field);
            }
        }
        out.push_str("\r\n");
    }
    Ok(Value::text(out))
}
