//! Records as lines of comma-separated values.
//!
//! The first line has the names. A cell without content is an absent member.
//! Numbers, `true`, `false`, `null`, and arrays and objects in EscJSON are
//! those values; a text that would be read as one of them is written as a JSON
//! string, in quotes of its own. Everything else is text.

use std::collections::HashSet;
use std::io::{Read, Write};

use mix_store::transfer::Held;
use mix_value::{Map, Value, escjson};

use crate::csv_quotes::Quotes;
use crate::failure::Failure;
use crate::output::text;
use crate::say;

/// The column of values that are no maps.
const VALUE: &str = "value";

/// Names of all members, in the order in which they are met.
pub(crate) fn names<'a>(values: impl Iterator<Item = &'a Value>) -> Vec<String> {
    let mut names = Vec::new();
    let mut known = HashSet::new();
    for value in values {
        note_names(value, &mut names, &mut known);
    }
    names
}

/// Adds the names of the members of a value.
pub(crate) fn note_names(value: &Value, names: &mut Vec<String>, known: &mut HashSet<String>) {
    let mut note = |name: &str| {
        if !known.contains(name) {
            known.insert(name.to_owned());
            names.push(name.to_owned());
        }
    };
    match value {
        Value::Map(map) => map.keys().for_each(|key| note(key)),
        _ => note(VALUE),
    }
}

pub(crate) fn write_head<W: Write>(
    writer: &mut csv::Writer<W>,
    names: &[String],
) -> Result<(), Failure> {
    if names.is_empty() {
        return Ok(());
    }
    writer
        .write_record(names)
        .map_err(|error| Failure::io("writing CSV", error))
}

pub(crate) fn write<W: Write>(
    writer: &mut csv::Writer<W>,
    names: &[String],
    value: &Value,
) -> Result<(), Failure> {
    let cells: Vec<String> = names
        .iter()
        .map(|name| match value {
            Value::Map(map) => map.get(name.as_str()).map_or(Ok(String::new()), cell),
            other if name == VALUE => cell(other),
            _ => Ok(String::new()),
        })
        .collect::<Result<_, _>>()?;
    writer
        .write_record(&cells)
        .map_err(|error| Failure::io("writing CSV", error))
}

/// The cell of a value.
fn cell(value: &Value) -> Result<String, Failure> {
    match value {
        Value::String(plain) if matches!(meaning(plain), Ok(Some(Value::String(same))) if same == *plain) => {
            Ok(plain.to_string())
        }
        other => text(other),
    }
}

/// What a cell means; none for an empty one. Which of two members of one name is meant, nobody can tell.
fn meaning(cell: &str) -> Result<Option<Value>, escjson::ParseError> {
    if cell.is_empty() {
        return Ok(None);
    }
    let looks_like_json = cell.starts_with(['[', '{', '"', '-'])
        || cell.as_bytes()[0].is_ascii_digit()
        || matches!(cell, "true" | "false" | "null");
    let parsing = escjson::Options {
        duplicates: escjson::Duplicates::Refuse,
        ..escjson::Options::default()
    };
    let parsed = looks_like_json.then(|| escjson::parse_with(cell, &parsing));
    if let Some(Err(error)) = &parsed
        && matches!(error.kind, escjson::ParseErrorKind::DuplicateKey(_))
    {
        return Err(error.clone());
    }
    if let Some(Ok(value)) = parsed {
        let is_plain_number = matches!(value, Value::Int(_) | Value::Float(_) | Value::BigInt(_));
        // 1.50 or 00120 may be a price or an article number: only the text that a number
        // has itself is one.
        if !is_plain_number || escjson::format(&value).as_deref() == Ok(cell) {
            return Ok(Some(value));
        }
    }
    Ok(Some(Value::from(cell)))
}

/// How cells are read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cells {
    /// What stands between them.
    pub delimiter: u8,
    /// Every one is text.
    pub all_text: bool,
}

/// Reads records.
pub(crate) fn read(input: impl Read, cells: Cells) -> Result<Held, Failure> {
    let mut reader = csv::ReaderBuilder::new()
        .delimiter(cells.delimiter)
        .from_reader(Quotes::new(input, cells.delimiter));
    let bad = |error: csv::Error| match error.into_kind() {
        csv::ErrorKind::Io(error) if error.kind() == std::io::ErrorKind::InvalidData => {
            Failure::work(format!("bad_value: {error}"))
        }
        csv::ErrorKind::Io(error) => Failure::io("reading CSV", error),
        kind => {
            let position = match &kind {
                csv::ErrorKind::UnequalLengths { pos, .. } | csv::ErrorKind::Utf8 { pos, .. } => {
                    pos.as_ref().map_or(0, csv::Position::line)
                }
                _ => 0,
            };
            let what = match &kind {
                csv::ErrorKind::UnequalLengths {
                    expected_len, len, ..
                } => format!("{len} cells under {expected_len} names"),
                csv::ErrorKind::Utf8 { .. } => "not UTF-8".into(),
                other => format!("{other:?}"),
            };
            Failure::work(format!("bad_value: line {position}: {what}"))
        }
    };
    let names: Vec<String> = reader
        .headers()
        .map_err(bad)?
        .iter()
        .map(str::to_owned)
        .collect();
    let mut known = HashSet::new();
    if let Some(twice) = names.iter().find(|name| !known.insert(*name)) {
        let what = format!("bad_value: line 1: the name {twice:?} stands over two columns");
        return Err(Failure::work(what));
    }
    if let [only] = &*names
        && only.contains([',', ';', '\t', '|'])
    {
        say(format_args!(
            "warning: the file has one column with the name {only:?}; `--delimiter` says what stands between cells"
        ));
    }
    let mut records = Held::default();
    for row in reader.records() {
        let row = row.map_err(bad)?;
        let mut map = Map::new();
        for (name, cell) in names.iter().zip(&row) {
            let value = if cells.all_text {
                (!cell.is_empty()).then(|| Value::from(cell))
            } else {
                meaning(cell).map_err(|error| {
                    let line = row.position().map_or(0, csv::Position::line);
                    Failure::work(format!("bad_value: line {line}, {name:?}: {error}"))
                })?
            };
            if let Some(value) = value {
                map.insert(name.as_str().into(), value);
            }
        }
        records.push(&Value::Map(map))?;
    }
    Ok(records)
}

#[cfg(test)]
mod tests {
    use super::*;

    const COMMAS: Cells = Cells {
        delimiter: b',',
        all_text: false,
    };

    #[test]
    fn values_come_back() {
        let text = r#"[{"a":1,"b":"x"},{"a":"1","b":"true","c":[1,"a,b"]},{"a":1.5,"b":"\"q\"","c":{"d":null}},
            {"a":"007","b":"1.50","c":true},{"a":"{broken","b":"line\nbreak","c":{"_rmx_type":"{tag}ref","_rmx_value":"x"}},{"a":"-","b":null}]"#;
        let Ok(Value::Array(values)) = escjson::parse(text) else {
            panic!("an array")
        };
        let names = names(values.iter());
        assert_eq!(names, ["a", "b", "c"]);
        let mut out = Vec::new();
        {
            let mut writer = csv::Writer::from_writer(&mut out);
            write_head(&mut writer, &names).expect("writes");
            for value in &values {
                write(&mut writer, &names, value).expect("writes");
            }
        }
        let values_of = |held: Held| {
            held.iter()
                .map(|record| record.expect("held"))
                .collect::<Vec<_>>()
        };
        assert_eq!(values_of(read(&*out, COMMAS).expect("reads")), values);
        let texts = Cells {
            all_text: true,
            ..COMMAS
        };
        let all_text = read(&b"a,b\n1,\n"[..], texts).expect("reads");
        assert_eq!(values_of(all_text), [Value::map([("a", Value::from("1"))])]);
    }

    #[test]
    fn bad_lines_are_named() {
        for (text, expected) in [
            ("a,b\n1\n", "line 2"),
            ("a,a\n1,2\n", "line 1: the name \"a\""),
            ("a\n1\n\"2\n3\n", "line 3: the quote"),
        ] {
            let failure = read(text.as_bytes(), COMMAS).expect_err(text);
            assert!(failure.message.contains(expected), "{failure}");
            assert_eq!(failure.code, 1);
        }
        let failure = read(&b"a\n\xff\n"[..], COMMAS).expect_err("not UTF-8");
        assert!(failure.message.contains("not UTF-8"), "{failure}");
    }
}
