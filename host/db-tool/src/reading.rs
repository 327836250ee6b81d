//! Commands that only read.

use std::collections::HashSet;
use std::io::Write;
use std::path::Path;

use mix_output_file::OutputFile;
use mix_store::query::{Pipeline, QueryOptions};
use mix_store::time::{format_time, parse_moment};
use mix_store::transfer::{ExportOptions, Format};
use mix_store::{AsOf, Database, fields, id_argument};
use mix_value::{Map, Value, escjson};

use crate::args::{ExportArgs, FileFormat, ParseArgs, QueryArgs};
use crate::csv_records;
use crate::failure::Failure;
use crate::output::Printer;
use crate::progress;
use crate::target::Target;
use crate::{Terminal, say};

/// Versions of a record that are read together.
const TOGETHER: usize = 16;

pub(crate) fn stat(target: &Target, printer: &mut Printer<'_>) -> Result<(), Failure> {
    let database = target.read()?;
    let view = database.view();
    let stat = view.stat()?;
    let count = |number: u64| Value::Int(i64::try_from(number).unwrap_or(i64::MAX));
    printer.value(&Value::map([
        ("name", database.name().map_or(Value::Null, Value::from)),
        ("rows", count(stat.rows)),
        ("live", count(stat.live)),
        ("bytes", count(stat.bytes)),
        ("watermark", Value::from(view.watermark())),
    ]))
}

pub(crate) fn get(
    target: &Target,
    ids: &[String],
    printer: &mut Printer<'_>,
) -> Result<(), Failure> {
    for id in ids {
        id_argument(&Value::from(id.as_str()))?;
    }
    let database = target.read()?;
    let view = database.view();
    let (mut missing, mut deleted) = (Vec::new(), Vec::new());
    let mut values = Vec::new();
    for id in ids {
        match view.get(id)? {
            Some(record) => values.push(Ok(record.value()?)),
            None if view.versions(id)?.is_empty() => missing.push(id.as_str()),
            None => deleted.push(id.as_str()),
        }
    }
    printer.values(values.into_iter())?;
    let said = [("not_found", missing), ("deleted", deleted)]
        .into_iter()
        .filter(|(_, ids)| !ids.is_empty())
        .map(|(what, ids)| format!("{what}: {}", ids.join(", ")))
        .collect::<Vec<_>>();
    match said.is_empty() {
        true => Ok(()),
        false => Err(Failure::work(said.join("; "))),
    }
}

pub(crate) fn history(target: &Target, id: &str, printer: &mut Printer<'_>) -> Result<(), Failure> {
    id_argument(&Value::from(id))?;
    let database = target.read()?;
    let view = database.view();
    let mut rows = view.versions(id)?;
    if rows.is_empty() {
        return Err(Failure::work(format!("not_found: no record {id}")));
    }
    rows.reverse();
    // Records are as large as they like, so only some at a time.
    let records = rows
        .chunks(TOGETHER)
        .flat_map(|rows| match view.records(rows) {
            Ok(records) => records.into_iter().map(Ok).collect(),
            Err(error) => vec![Err(error)],
        });
    printer.values(records.map(|record| Ok(record?.value()?)))
}

pub(crate) fn watermark(target: &Target, printer: &mut Printer<'_>) -> Result<(), Failure> {
    printer.line(&target.read()?.watermark())
}

/// The AST of a text, or the text of an AST.
pub(crate) fn parse(args: &ParseArgs, printer: &mut Printer<'_>) -> Result<(), Failure> {
    match (&args.text, &args.ast) {
        (Some(text), None) => {
            let tree = Pipeline::parse(text)?.to_value();
            // undefined has a text too, though it is no result.
            printer.line(&crate::output::tree(&tree)?)
        }
        (None, Some(ast)) => {
            let pipeline = Pipeline::from_value(&ast_of(ast)?)?;
            let none = || Failure::work("no_text: no query text stands for exactly this AST");
            printer.line(&pipeline.to_text().ok_or_else(none)?)
        }
        _ => Err(Failure::usage("give the query as text or as --ast")),
    }
}

pub(crate) fn query(
    target: &Target,
    args: QueryArgs,
    printer: &mut Printer<'_>,
) -> Result<(), Failure> {
    let pipeline = match (&args.text, &args.ast) {
        (Some(text), None) => Pipeline::parse(text)?,
        (None, Some(ast)) => Pipeline::from_value(&ast_of(ast)?)?,
        _ => return Err(Failure::usage("give the query as text or as --ast")),
    };
    let params = match &args.params {
        None => Map::new(),
        Some(params) => match json("--params", params)? {
            Value::Map(map) => map,
            _ => return Err(Failure::usage("--params must be a JSON object")),
        },
    };
    let as_of = args.as_of.as_deref().map(moment).transpose()?;
    let options = QueryOptions {
        params,
        skip: args.skip.unwrap_or(0),
        limit: args.limit,
        include_deleted: args.deleted,
        include_superseded: args.history,
        as_of,
        ..QueryOptions::default()
    };
    let database = target.read()?;
    if args.explain {
        let moment = options.as_of.as_ref().map(AsOf::from_value).transpose()?;
        let view = database.view_as_of(moment.as_ref())?;
        let plan = view.explain(&pipeline, &options)?;
        return printer.line(&crate::output::tree(&plan)?);
    }
    let results = database.query(&pipeline, &options)?.map(|item| {
        item?
            .into_value()
            .map_err(|error| Failure::work(format!("db_corrupt: {error}")))
    });
    printer.values(results)
}

/// What `--as-of` says: rows, a watermark, a time or the beginning of a day.
fn moment(text: &str) -> Result<Value, Failure> {
    if let Ok(rows) = text.parse::<u32>() {
        return Ok(Value::Int(rows.into()));
    }
    if let Some(time) = parse_moment(text) {
        return Ok(Value::from(format_time(time)));
    }
    match text.contains('.') {
        true => Ok(Value::from(text)),
        false => Err(Failure::usage(format!(
            "--as-of {text:?} is no watermark, no number of rows and no time (2026-01-31, 2026-01-31T12:00:00.000Z)"
        ))),
    }
}

/// A tree of a query, which may name undefined.
fn ast_of(text: &str) -> Result<Value, Failure> {
    let parsing = escjson::Options {
        undefined_members: escjson::UndefinedMembers::Anywhere,
        duplicates: escjson::Duplicates::Refuse,
        ..escjson::Options::default()
    };
    escjson::parse_with(text, &parsing).map_err(|error| Failure::usage(format!("--ast: {error}")))
}

fn json(flag: &str, text: &str) -> Result<Value, Failure> {
    let parsing = escjson::Options {
        duplicates: escjson::Duplicates::Refuse,
        ..escjson::Options::default()
    };
    escjson::parse_with(text, &parsing).map_err(|error| Failure::usage(format!("{flag}: {error}")))
}

pub(crate) fn export(
    target: &Target,
    args: ExportArgs,
    terminal: Terminal,
    printer: &mut Printer<'_>,
) -> Result<(), Failure> {
    let format = match (args.format, &args.file) {
        (Some(format), _) => format,
        (None, Some(file)) => format_of(file)?,
        (None, None) => FileFormat::Jsonl,
    };
    let database = target.read()?;
    if format == FileFormat::Image {
        let Some(folder) = &args.file else {
            return Err(Failure::usage("an image is a folder: say which"));
        };
        if args.query.is_some() || args.bare {
            return Err(Failure::usage(
                "an image has everything: no --query, no --bare",
            ));
        }
        database.export_image(folder)?;
        say(format_args!("{} rows", database.view().bound()));
        return Ok(());
    }
    let query = args.query.as_deref().map(Pipeline::parse).transpose()?;
    let options = ExportOptions {
        format: match format {
            FileFormat::Json => Format::Json,
            FileFormat::Mp => Format::Mp,
            _ => Format::Jsonl,
        },
        query,
        history: args.history,
        deleted: args.deleted,
        bare: args.bare,
    };
    let bar = progress::records(terminal.progress && args.file.is_some());
    let mut advance = |count: u64| bar.set_position(count);
    let count = match &args.file {
        None => write_export(&database, format, &options, printer.raw(), &mut advance)?,
        Some(file) => {
            let writing = |error| Failure::io(file.display(), error);
            let mut out = OutputFile::create(file).map_err(writing)?;
            let count = write_export(&database, format, &options, &mut out, &mut advance)?;
            out.finish().map_err(writing)?;
            count
        }
    };
    bar.finish_and_clear();
    if args.file.is_some() {
        say(format_args!("{count} records"));
    }
    Ok(())
}

fn write_export(
    database: &Database,
    format: FileFormat,
    options: &ExportOptions,
    out: &mut dyn Write,
    advance: &mut dyn FnMut(u64),
) -> Result<u64, Failure> {
    if format != FileFormat::Csv {
        return Ok(database.export(out, options, advance)?);
    }
    // CSV needs all names first, so the values are gone through twice.
    let view = database.view();
    let values = |each: &mut dyn FnMut(Value) -> Result<(), Failure>| -> Result<(), Failure> {
        let view = view.clone().including(options.deleted, options.history);
        let mut visit = |mut value: Value| {
            if let (true, Value::Map(map)) = (options.bare, &mut value) {
                map.retain(|key, _| !fields::is_engine_owned(key));
            }
            each(value)
        };
        if let Some(query) = &options.query {
            let query_options = QueryOptions {
                include_deleted: options.deleted,
                include_superseded: options.history,
                ..QueryOptions::default()
            };
            for item in view.query(query, &query_options)? {
                let value = item?.into_value();
                visit(value.map_err(|error| Failure::work(format!("db_corrupt: {error}")))?)?;
            }
            return Ok(());
        }
        for row in view.rows(0, usize::MAX)? {
            visit(view.record(row)?.value()?)?;
        }
        Ok(())
    };
    let (mut names, mut known) = (Vec::new(), HashSet::new());
    values(&mut |value| {
        csv_records::note_names(&value, &mut names, &mut known);
        Ok(())
    })?;
    let mut writer = csv::Writer::from_writer(out);
    csv_records::write_head(&mut writer, &names)?;
    let mut count = 0;
    values(&mut |value| {
        csv_records::write(&mut writer, &names, &value)?;
        count += 1;
        advance(count);
        Ok(())
    })?;
    writer
        .flush()
        .map_err(|error| Failure::io("writing CSV", error))?;
    Ok(count)
}

/// The format a file has by its ending.
pub(crate) fn format_of(file: &Path) -> Result<FileFormat, Failure> {
    if file.is_dir() {
        return Ok(FileFormat::Image);
    }
    let ending = file
        .extension()
        .map(|ending| ending.to_string_lossy().to_ascii_lowercase());
    match ending.as_deref() {
        Some("jsonl" | "ndjson") => Ok(FileFormat::Jsonl),
        Some("json") => Ok(FileFormat::Json),
        Some("csv") => Ok(FileFormat::Csv),
        Some("mp" | "msgpack") => Ok(FileFormat::Mp),
        _ => Err(Failure::usage(format!(
            "{}: the ending says no format; use --format jsonl, json, csv, mp or image",
            file.display()
        ))),
    }
}
