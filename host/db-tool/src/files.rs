//! Commands about the files as a whole.

use std::path::Path;

use mix_store::time::parse_moment;
use mix_store::{Rewritten, peek_log};
use mix_value::Value;

use crate::failure::Failure;
use crate::output::Printer;
use crate::target::Target;
use crate::writing::refs;

fn count(number: u64) -> Value {
    Value::Int(i64::try_from(number).unwrap_or(i64::MAX))
}

pub(crate) fn log(target: &Target, printer: &mut Printer<'_>) -> Result<(), Failure> {
    let commits = peek_log(target.path())?;
    printer.values(commits.into_iter().map(|commit| {
        Ok(Value::map([
            ("commit", count(commit.sequence)),
            ("fence", count(commit.fence)),
            (
                "kind",
                Value::from(if commit.is_flags { "flags" } else { "rows" }),
            ),
            ("first_row", count(commit.first_row)),
            ("rows", count(u64::from(commit.rows))),
            ("bytes", count(commit.bytes)),
        ]))
    }))
}

pub(crate) fn compact(
    target: &Target,
    keep_history: bool,
    keep_deleted: bool,
    printer: &mut Printer<'_>,
) -> Result<(), Failure> {
    let done = target.write()?.compact(keep_history, keep_deleted)?;
    report(&done, printer)
}

pub(crate) fn prune(
    target: &Target,
    before: &str,
    printer: &mut Printer<'_>,
) -> Result<(), Failure> {
    let time = parse_moment(before).ok_or_else(|| {
        Failure::usage(format!(
            "--before {before:?} is no time (2026-01-31, 2026-01-31T12:00:00.000Z)"
        ))
    })?;
    let done = target.write()?.prune(time)?;
    report(&done, printer)
}

pub(crate) fn purge(
    target: &Target,
    ids: &[String],
    printer: &mut Printer<'_>,
) -> Result<(), Failure> {
    let refs = refs(ids)?;
    let done = target.write()?.purge(&refs)?;
    report(&done, printer)
}

fn report(done: &Rewritten, printer: &mut Printer<'_>) -> Result<(), Failure> {
    printer.value(&Value::map([
        ("rows_before", count(done.rows_before)),
        ("rows_after", count(done.rows_after)),
        ("bytes_before", count(done.bytes_before)),
        ("bytes_after", count(done.bytes_after)),
        ("watermark", Value::from(done.watermark.as_str())),
    ]))
}

pub(crate) fn check(target: &Target, printer: &mut Printer<'_>) -> Result<(), Failure> {
    let findings = mix_store::check(target.path())?;
    for finding in &findings {
        printer.line(&finding.to_string())?;
    }
    if findings.is_empty() {
        Ok(())
    } else {
        Err(Failure::findings())
    }
}

pub(crate) fn reindex(target: &Target) -> Result<(), Failure> {
    Ok(target.write()?.reindex()?)
}

pub(crate) fn fix(target: &Target, out: &Path, printer: &mut Printer<'_>) -> Result<(), Failure> {
    let fixed = mix_store::fix(target.path(), out)?;
    for finding in &fixed.findings {
        let kind = if finding.lost { "lost" } else { "damaged" };
        printer.line(&format!("{kind}: {finding}"))?;
    }
    printer.line(&format!("{} rows recovered", fixed.kept))
}

pub(crate) fn copy(target: &Target, out: &Path) -> Result<(), Failure> {
    Ok(target.read()?.copy_to(out)?)
}

pub(crate) fn flush(target: &Target) -> Result<(), Failure> {
    Ok(target.write()?.close()?)
}
