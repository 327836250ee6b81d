//! Printing results.

use std::io::Write;

use comfy_table::{ContentArrangement, Table, presets};
use mix_store::fields;
use mix_value::{Value, escjson};

use crate::args::Output;
use crate::csv_records;
use crate::failure::Failure;

/// Longest text of a cell of a table, in characters.
const CELL: usize = 60;
/// Terminals with fewer columns do not know their width, as those without a window.
const NARROWEST: u16 = 10;
/// The width that such a terminal is taken to have.
const USUAL: u16 = 80;

/// Prints values in the format that was asked for.
pub(crate) struct Printer<'a> {
    out: &'a mut dyn Write,
    output: Output,
}

impl<'a> Printer<'a> {
    pub fn new(out: &'a mut dyn Write, output: Output) -> Printer<'a> {
        Printer { out, output }
    }

    /// Where to write what has a format of its own.
    pub fn raw(&mut self) -> &mut dyn Write {
        self.out
    }

    /// One result that is no list.
    pub fn value(&mut self, value: &Value) -> Result<(), Failure> {
        match (self.output, value) {
            (Output::Table, Value::Map(map)) => {
                let mut table = new_table();
                for (key, member) in map {
                    table.add_row([key.to_string(), cell(member)?]);
                }
                self.line(&table.to_string())
            }
            (Output::Csv, _) => self.values([Ok(value.clone())].into_iter()),
            _ => self.line(&text(value)?),
        }
    }

    /// One line of text.
    pub fn line(&mut self, line: &str) -> Result<(), Failure> {
        writeln!(self.out, "{line}").map_err(|error| Failure::io("writing results", error))
    }

    /// Several results.
    pub fn values(
        &mut self,
        values: impl Iterator<Item = Result<Value, Failure>>,
    ) -> Result<(), Failure> {
        match self.output {
            Output::Jsonl => {
                for value in values {
                    self.line(&text(&value?)?)?;
                }
                Ok(())
            }
            Output::Json => {
                let mut separator = "[\n";
                for value in values {
                    let line = format!("{separator}{}", text(&value?)?);
                    write!(self.out, "{line}")
                        .map_err(|error| Failure::io("writing results", error))?;
                    separator = ",\n";
                }
                self.line(if separator == "[\n" { "[]" } else { "\n]" })
            }
            Output::Table => {
                let values: Vec<Value> = values.collect::<Result<_, _>>()?;
                self.table(&values)
            }
            Output::Csv => {
                let values: Vec<Value> = values.collect::<Result<_, _>>()?;
                let names = csv_records::names(values.iter());
                let mut writer = csv::Writer::from_writer(&mut *self.out);
                csv_records::write_head(&mut writer, &names)?;
                for value in &values {
                    csv_records::write(&mut writer, &names, value)?;
                }
                writer
                    .flush()
                    .map_err(|error| Failure::io("writing results", error))
            }
        }
    }

    fn table(&mut self, values: &[Value]) -> Result<(), Failure> {
        if values.is_empty() {
            return self.line("(no results)");
        }
        let mut names = csv_records::names(values.iter());
        // The other fields of the engine are for machines.
        let shown = [fields::ID, fields::ROW, fields::DELETED];
        names.retain(|name| !fields::is_engine_owned(name) || shown.contains(&name.as_str()));
        names.sort_by_key(|name| name != fields::ID);
        let mut table = new_table();
        table.set_header(&names);
        for value in values {
            let row: Vec<String> = match value {
                Value::Map(map) => names
                    .iter()
                    .map(|name| map.get(name.as_str()).map_or(Ok(String::new()), cell))
                    .collect::<Result<_, _>>()?,
                other => vec![cell(other)?],
            };
            table.add_row(row);
        }
        self.line(&table.to_string())
    }
}

fn new_table() -> Table {
    let mut table = Table::new();
    table
        .load_preset(presets::UTF8_HORIZONTAL_ONLY)
        .set_content_arrangement(ContentArrangement::Dynamic);
    if table.width().is_some_and(|width| width < NARROWEST) {
        table.set_width(USUAL);
    }
    table
}

/// The text of a value in a table: strings and refs as they are, without control characters.
fn cell(value: &Value) -> Result<String, Failure> {
    let full = match value {
        Value::String(text) => text.to_string(),
        Value::Ref(id) => id.as_str().to_owned(),
        other => text(other)?,
    };
    let mut shown: String = full
        .chars()
        .take(CELL)
        .map(|character| {
            if character.is_control() {
                ' '
            } else {
                character
            }
        })
        .collect();
    if full.chars().nth(CELL).is_some() {
        shown.push('…');
    }
    Ok(shown)
}

/// The EscJSON of an AST, in which undefined is a value like others.
pub(crate) fn tree(tree: &Value) -> Result<String, Failure> {
    escjson::format_tree(tree).map_err(|error| Failure::work(format!("not_json: {error}")))
}

/// The EscJSON of a value.
pub(crate) fn text(value: &Value) -> Result<String, Failure> {
    escjson::format(value).map_err(|error| Failure::work(format!("not_json: {error}")))
}
