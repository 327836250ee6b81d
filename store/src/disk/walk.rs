//! Reading the files row by row, past all damage: what `check` reports and
//! `fix` recovers from.

mod rows;

use roaring::RoaringBitmap;

use super::load::read_flags;
use super::previous::{PREV, Previous};
use super::seal::read_state;
use super::{newest, numbered, read_header};
use crate::data;
use crate::error::{Doing, Result, StoreError};
use crate::folder::{Folder, read_to_end};
use crate::log::{Frame, FrameKind, HEADER_LEN, log_name};
use crate::state::State;
use crate::table::Overrides;
use rows::walk_data;

/// Most findings that are kept; there is no end to what a lost file gives.
const MOST: usize = 10_000;

/// Something wrong in the files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Name of the file.
    pub file: String,
    /// The row, if it is about one.
    pub row: Option<u32>,
    /// What is wrong.
    pub what: String,
    /// True if the row cannot be recovered.
    pub lost: bool,
}

impl std::fmt::Display for Finding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.row {
            Some(row) => write!(f, "{} row {row}: {}", self.file, self.what),
            None => write!(f, "{}: {}", self.file, self.what),
        }
    }
}

/// What a walk found besides the rows.
#[derive(Default)]
pub(crate) struct Walked {
    pub findings: Vec<Finding>,
    pub state: Option<State>,
    /// Row numbers from 0 to here exist or are lost.
    pub rows: u32,
    /// Flags of the checkpointed rows, if some were set by hand.
    pub flags: Option<(RoaringBitmap, RoaringBitmap)>,
    /// Flags set by hand since.
    pub overrides: Overrides,
}

impl Walked {
    pub fn find(&mut self, file: &str, row: Option<u32>, what: impl Into<String>, lost: bool) {
        if self.findings.len() < MOST {
            self.findings.push(Finding {
                file: file.into(),
                row,
                what: what.into(),
                lost,
            });
        }
    }
}

impl Walked {
    /// Rows in succession of which nothing is left.
    fn find_missing(&mut self, file: &str, first: u32, count: u64, how: &str) {
        let what = match count {
            1 => format!("is {how}"),
            _ => format!("is {how}, and so are the {} rows behind it", count - 1),
        };
        self.find(file, Some(first), what, true);
    }
}

/// What is done with a row: its number and its body.
pub(crate) type Visit<'a> = dyn FnMut(&mut Walked, u32, &[u8]) -> Result<()> + 'a;

/// Calls `visit` with every row whose bytes are intact, in order.
pub(crate) fn walk(folder: &dyn Folder, visit: &mut Visit<'_>) -> Result<Walked> {
    let mut walked = Walked::default();
    match read_state(folder) {
        Ok(Some(state)) => walked.state = Some(state),
        Ok(None) => walked.find("db.state", None, "is missing", false),
        Err(error @ (StoreError::Corrupt(_) | StoreError::UnsupportedFormat(_))) => {
            let name = format!("db.state.{}", newest(folder, "db.state.")?);
            walked.find(&name, None, error.to_string(), false);
        }
        Err(error) => return Err(error),
    }
    let (name, log) = newest_log(folder)?;
    let logged = log_rows(&mut walked, &name, &log);
    walk_data(
        folder,
        &mut walked,
        logged.first().map(|rows| rows.0),
        visit,
    )?;
    for (first, rows) in logged {
        if let Some(gap @ 1..) = first.checked_sub(walked.rows) {
            walked.find_missing(&name, walked.rows, gap.into(), "lost with its commit");
        }
        for (number, framed) in rows.iter().enumerate() {
            // Frames count their rows in u32, and theirs follow the first.
            let row = first.saturating_add(number as u32);
            if row < walked.rows {
                continue;
            }
            walked.rows = row.saturating_add(1);
            match data::body_of(framed) {
                Some(body) => visit(&mut walked, row, body)?,
                None => walked.find(&name, Some(row), "has a wrong length", true),
            }
        }
    }
    other_files(folder, &mut walked)?;
    Ok(walked)
}

/// The newest log that is not empty.
pub(crate) fn newest_log(folder: &dyn Folder) -> Result<(String, Vec<u8>)> {
    let mut fence = newest(folder, "write.log.")?;
    while fence > 0 {
        let name = log_name(fence);
        match folder.open(&name, false) {
            Ok(file) => {
                let bytes = read_to_end(&*file, 0).doing(|| format!("reading {name}"))?;
                if !bytes.is_empty() {
                    return Ok((name, bytes));
                }
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(error).doing(|| format!("opening {name}")),
        }
        fence -= 1;
    }
    Ok(("write.log".into(), Vec::new()))
}

/// The rows of the intact commits of a log that the state does not contain:
/// the first row, and all as they lie in the frame.
fn log_rows<'a>(walked: &mut Walked, name: &str, log: &'a [u8]) -> Vec<(u32, Vec<&'a [u8]>)> {
    if log.is_empty() {
        walked.find(name, None, "there is no write log with a header", false);
        return Vec::new();
    }
    let header = log
        .get(..HEADER_LEN)
        .ok_or_else(|| StoreError::Corrupt("has no whole header".into()))
        .and_then(crate::log::Header::decode);
    let contained = walked.state.as_ref().map(|state| state.sequence);
    let mut sequence = match &header {
        Ok(header) => {
            let wrong = walked.state.as_ref().is_some_and(|state| {
                state.generation != header.generation || state.sequence < header.base
            });
            if wrong {
                walked.find(name, None, "does not belong to the state", false);
            }
            Some(header.base)
        }
        Err(error) => {
            walked.find(name, None, error.to_string(), false);
            None
        }
    };
    let seal = header.as_ref().map_or(0, |header| header.seal);
    let mut rest = log.get(HEADER_LEN..).unwrap_or_default();
    let mut found = Vec::new();
    while !rest.is_empty() {
        let Some(frame) = Frame::decode(rest) else {
            let next = sequence.map_or(0, |last| last + 1);
            let skipped = next_frame(rest, sequence);
            if skipped < rest.len() || next <= seal {
                let what = format!("commit {next} or what follows it is damaged ({skipped} bytes)");
                walked.find(name, None, what, true);
            } else {
                let what =
                    format!("the last {skipped} bytes are no whole commit: unfinished, or damaged");
                walked.find(name, None, what, false);
            }
            rest = &rest[skipped..];
            continue;
        };
        rest = &rest[frame.len()..];
        if let Some(last) = sequence
            && frame.sequence != last + 1
        {
            let what = format!("commit {} follows commit {last}", frame.sequence);
            walked.find(name, None, what, false);
        }
        sequence = Some(frame.sequence);
        if contained.is_some_and(|contained| frame.sequence <= contained) {
            continue;
        }
        match frame.kind {
            FrameKind::Append => {
                match (u32::try_from(frame.first_row), data::split_rows(frame.body)) {
                    (Ok(first), Some(rows)) if rows.len() == frame.count as usize => {
                        found.push((first, rows));
                    }
                    _ => walked.find(
                        name,
                        None,
                        format!("commit {} has malformed rows", frame.sequence),
                        true,
                    ),
                }
            }
            FrameKind::Flags => match Overrides::decode(frame.body) {
                Some(added) => {
                    walked.overrides.superseded.extend(added.superseded);
                    walked.overrides.deleted.extend(added.deleted);
                }
                None => walked.find(
                    name,
                    None,
                    format!("commit {} has malformed flags", frame.sequence),
                    false,
                ),
            },
        }
    }
    found
}

/// Bytes up to the next intact frame with a later sequence, or all.
fn next_frame(bytes: &[u8], sequence: Option<u64>) -> usize {
    let mut at = 1;
    while let Some(next) = bytes[at.min(bytes.len())..]
        .windows(4)
        .position(|window| window == *b"MXWF")
    {
        at += next;
        let later = |frame: &Frame<'_>| sequence.is_none_or(|last| frame.sequence > last);
        if Frame::decode(&bytes[at..]).as_ref().is_some_and(later) {
            return at;
        }
        at += 1;
    }
    bytes.len()
}

/// Flags and translation of watermarks.
fn other_files(folder: &dyn Folder, walked: &mut Walked) -> Result<()> {
    let flags = walked.state.as_ref().map(|state| state.flags.clone());
    if let Some(name) = flags.filter(|name| !name.is_empty()) {
        walked.flags = read_flags(folder, &name)?;
        if walked.flags.is_none() {
            walked.find(&name, None, "is missing or damaged", false);
        }
    }
    if let Some(state) = &walked.state {
        for (name, what) in crate::base::verify_segments(folder, state) {
            walked.find(&name, None, what, false);
        }
    }
    match folder.open(PREV, false) {
        Ok(file) => {
            let bytes = read_to_end(&*file, 0).doing(|| format!("reading {PREV}"))?;
            if Previous::decode(&bytes).is_none() {
                walked.find(PREV, None, "is damaged", false);
            }
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(error).doing(|| format!("opening {PREV}")),
    }
    // An announced log of a writer that has not begun is no finding; one with half a header is.
    // The frames of lower ones count no more, but an overtaken writer follows their headers.
    for fence in numbered(folder, "write.log.")? {
        let name = log_name(fence);
        if let Ok(file) = folder.open(&name, false)
            && let Err(error @ StoreError::Corrupt(_)) = read_header(&*file, fence)
            && !walked.findings.iter().any(|finding| finding.file == name)
        {
            walked.find(&name, None, error.to_string(), false);
        }
    }
    Ok(())
}
