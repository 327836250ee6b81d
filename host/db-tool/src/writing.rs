//! Commands that write records.

use std::io::{BufRead, BufReader, ErrorKind, Read};
use std::path::Path;

use mix_store::transfer::{Format, ImportOptions, Records, reading_array, unmarked};
use mix_store::{SaveOptions, StoreError, id_argument, import_image};
use mix_value::{Ref, Value, escjson};

use crate::Terminal;
use crate::args::{FileFormat, ImportArgs};
use crate::csv_records;
use crate::failure::Failure;
use crate::output::Printer;
use crate::progress;
use crate::reading::format_of;
use crate::target::Target;

/// Largest text of records that are saved at once; the records of a commit have a quarter of it.
const LARGEST: u64 = 256 << 20;

/// Largest file of a format that is read as a whole.
const LARGEST_WHOLE: u64 = 2 << 30;

fn save_options(names: &[String]) -> Result<SaveOptions, Failure> {
    let options = SaveOptions::default()
        .with_names(names.iter().map(String::as_str))
        .map_err(|error| Failure {
            code: 2,
            ..Failure::from(error)
        })?;
    Ok(options.with_actor("_rmx_system"))
}

pub(crate) fn save(
    target: &Target,
    file: &Path,
    options: &[String],
    printer: &mut Printer<'_>,
) -> Result<(), Failure> {
    let options = save_options(options)?;
    let mut text = String::new();
    mix_input_file::limited(open(file)?, LARGEST)
        .read_to_string(&mut text)
        .map_err(|error| match error.kind() {
            ErrorKind::InvalidData => Failure::work(format!(
                "bad_value: {}: the text is not UTF-8",
                file.display()
            )),
            _ => Failure::io(file.display(), error),
        })?;
    let records = records_of(unmarked(&text), file)?;
    if let Some(rehearsal) = target.rehearsal()? {
        rehearsal.check_save(&records, &options)?;
    }
    let saved = target.create()?.save(records, &options)?;
    for record in saved {
        printer.line(record.id()?.as_str())?;
    }
    Ok(())
}

/// An array of records, one record, or one record per line.
fn records_of(text: &str, file: &Path) -> Result<Vec<Value>, Failure> {
    let whole = match escjson::parse_with(text, &reading_array()) {
        Ok(Value::Array(records)) => return Ok(records),
        Ok(record) => return Ok(vec![record]),
        Err(error) => error,
    };
    let bad =
        |code: &str, what: String| Failure::work(format!("{code}: {}: {what}", file.display()));
    let lines = text.lines().filter(|line| !line.trim().is_empty());
    if text.trim_start().starts_with('[') || lines.count() < 2 {
        return Err(match whole.kind {
            escjson::ParseErrorKind::TooDeep(_) => {
                let error = StoreError::TooDeep {
                    path: String::new(),
                };
                bad(error.code(), error.to_string())
            }
            _ => bad("bad_value", whole.to_string()),
        });
    }
    let lines = Records::new(Format::Jsonl, Box::new(text.as_bytes()))?;
    lines
        .map(|record| record.map_err(|error| bad(error.code(), error.to_string())))
        .collect()
}

fn open(file: &Path) -> Result<Box<dyn BufRead>, Failure> {
    if file == Path::new("-") {
        return Ok(Box::new(BufReader::new(std::io::stdin())));
    }
    let opened = mix_input_file::open(file).map_err(|error| Failure::io(file.display(), error))?;
    Ok(Box::new(BufReader::new(opened)))
}

/// Refs of ids given as text.
pub(crate) fn refs(ids: &[String]) -> Result<Vec<Ref>, Failure> {
    let refs: Result<Vec<Ref>, _> = ids
        .iter()
        .map(|id| id_argument(&Value::from(id.as_str())))
        .collect();
    Ok(refs?)
}

pub(crate) fn delete(
    target: &Target,
    ids: &[String],
    printer: &mut Printer<'_>,
) -> Result<(), Failure> {
    let refs = refs(ids)?;
    let deleted = target.write()?.delete(&refs, "_rmx_system")?;
    let mut missing = Vec::new();
    for (id, record) in ids.iter().zip(deleted) {
        match record {
            Some(record) => printer.line(record.id()?.as_str())?,
            None => missing.push(id.as_str()),
        }
    }
    if missing.is_empty() {
        Ok(())
    } else {
        Err(Failure::work(format!("not_found: {}", missing.join(", "))))
    }
}

pub(crate) fn import(
    target: &Target,
    args: ImportArgs,
    terminal: Terminal,
    printer: &mut Printer<'_>,
) -> Result<(), Failure> {
    target.refuse_if_read_only()?;
    let is_stdin = args.file == Path::new("-");
    let format = match args.format {
        Some(format) => format,
        None if is_stdin => FileFormat::Jsonl,
        None => format_of(&args.file)?,
    };
    if format != FileFormat::Csv && (args.text || args.delimiter.is_some()) {
        return Err(Failure::usage("--text and --delimiter are for CSV"));
    }
    if format == FileFormat::Image {
        if args.stream || args.exact || !args.options.is_empty() {
            return Err(Failure::usage(
                "an image is taken as it is: no --stream, --exact or --options",
            ));
        }
        let rows = import_image(&args.file, target.path())?;
        return printer.line(&format!("{rows} rows imported"));
    }
    let mut options = ImportOptions {
        save: save_options(&args.options)?,
        stream: args.stream,
        exact: args.exact,
    };
    let total = (!is_stdin)
        .then(|| std::fs::metadata(&args.file).ok())
        .flatten()
        .map(|metadata| metadata.len());
    let bar = progress::bytes(total, terminal.progress);
    let input = BufReader::new(bar.wrap_read(open(&args.file)?));
    let read = |input| {
        let whole = match format {
            FileFormat::Json => Format::Json,
            FileFormat::Mp => Format::Mp,
            _ => return Ok(Records::new(Format::Jsonl, Box::new(input))?),
        };
        let input = BufReader::new(mix_input_file::limited(input, LARGEST_WHOLE));
        Records::new(whole, Box::new(input)).map_err(|error| match error {
            StoreError::Io { source, .. } if source.kind() == ErrorKind::FileTooLarge => {
                let what = format!("{source} at once; --format jsonl is read line by line");
                Failure::io(args.file.display(), what)
            }
            other => Failure::from(other),
        })
    };
    let cells = csv_records::Cells {
        delimiter: args.delimiter.unwrap_or(b','),
        all_text: args.text,
    };
    let mut saved_so_far = 0;
    let mut progress = |saved| {
        saved_so_far = saved;
        bar.set_message(format!("{saved} records"));
    };
    let rehearsal = target.rehearsal()?;
    let imported = if args.stream && format != FileFormat::Csv {
        let mut records = read(input)?;
        if rehearsal.is_some() {
            // Of what is saved while it is read, what is read first.
            records = records.begun()?;
        }
        target.create()?.import(records, &options, &mut progress)
    } else {
        let records = match format {
            FileFormat::Csv => csv_records::read(input, cells)?,
            _ => read(input)?.hold()?,
        };
        let is_checked = match rehearsal {
            Some(rehearsal) if !args.stream => {
                rehearsal.check_import(&records, &options)?;
                true
            }
            _ => false,
        };
        let database = target.create()?;
        // As long as it is as empty as that of the rehearsal, nothing else would come of another one.
        options.stream |= is_checked && database.view().bound() == 0;
        database.import_held(&records, &options, &mut progress)
    };
    bar.finish_and_clear();
    let count = imported.map_err(|error| {
        let mut failure = Failure::from(error);
        // An exact import is saved as a whole, or not at all.
        if saved_so_far > 0 && !options.exact {
            let saved = format!("; {saved_so_far} records were saved before");
            failure.message.push_str(&saved);
        }
        failure
    })?;
    printer.line(&format!("{count} records imported"))
}
