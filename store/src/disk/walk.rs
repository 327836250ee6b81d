//! Reading the files row by row, past all damage: what `check` reports and
//! `fix` recovers from.

use roaring::RoaringBitmap;

use super::load::read_flags;
use super::previous::{PREV, Previous};
use super::seal::read_state;
use super::{newest, read_header};
use crate::data::{self, body_of};
use crate::error::{Doing, Result, StoreError};
use crate::fields;
use crate::folder::{Folder, FolderFile, read_exact_at, read_to_end};
use crate::log::{Frame, FrameKind, HEADER_LEN, log_name};
use crate::raw;
use crate::state::State;
use crate::table::Overrides;

/// No row with its length is longer: a record of 16 MiB.
const MAX_FRAMED: u64 = (16 << 20) + 16;
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
        if first > walked.rows {
            for row in walked.rows..first {
                walked.find(&name, Some(row), "is lost with its commit", true);
            }
        }
        for (number, framed) in rows.iter().enumerate() {
            // Frames count their rows in u32, and theirs follow the first.
            let row = first.saturating_add(number as u32);
            if row < walked.rows {
                continue;
            }
            walked.rows = row.saturating_add(1);
            match body_of(framed) {
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

/// A file of fixed entries after a header, read piece by piece.
struct Entries {
    file: Option<Box<dyn FolderFile>>,
    width: u64,
    count: u64,
    piece: Vec<u8>,
    from: u64,
}

impl Entries {
    const PIECE: u64 = 8192;

    fn open(
        folder: &dyn Folder,
        walked: &mut Walked,
        name: &str,
        header: [u8; 4],
        width: u64,
    ) -> Result<Entries> {
        let file = match folder.open(name, false) {
            Ok(file) => Some(file),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                walked.find(name, None, "is missing", false);
                None
            }
            Err(error) => return Err(error).doing(|| format!("opening {name}")),
        };
        let mut count = 0;
        if let Some(file) = &file {
            let len = file.len().doing(|| format!("reading {name}"))?;
            count = len.saturating_sub(4) / width;
            let mut found = [0; 4];
            if len < 4 || read_exact_at(&**file, 0, &mut found).is_err() || found != header {
                walked.find(name, None, "has a wrong header", false);
            }
        }
        Ok(Entries {
            file,
            width,
            count,
            piece: Vec::new(),
            from: 0,
        })
    }

    /// An entry as a number; none beyond the end.
    fn get(&mut self, at: u64) -> Result<Option<u64>> {
        let Some(file) = &self.file else {
            return Ok(None);
        };
        if at >= self.count {
            return Ok(None);
        }
        let held = self.piece.len() as u64 / self.width;
        if at < self.from || at >= self.from + held {
            let count = Entries::PIECE.min(self.count - at);
            self.piece.resize((count * self.width) as usize, 0);
            read_exact_at(&**file, 4 + at * self.width, &mut self.piece)
                .doing(|| "reading offsets or checksums".into())?;
            self.from = at;
        }
        let start = ((at - self.from) * self.width) as usize;
        let mut number = [0; 8];
        let width = self.width as usize;
        number[..width].copy_from_slice(&self.piece[start..start + width]);
        Ok(Some(u64::from_le_bytes(number)))
    }
}

/// The checkpointed rows. Without a state those count that the log does not have.
fn walk_data(
    folder: &dyn Folder,
    walked: &mut Walked,
    first_logged: Option<u32>,
    visit: &mut Visit<'_>,
) -> Result<()> {
    let mut offsets = Entries::open(folder, walked, data::OFF, data::OFF_HEADER, 8)?;
    let mut sums = Entries::open(folder, walked, data::CRC, data::CRC_HEADER, 4)?;
    let file = match folder.open(data::DAT, false) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            walked.find(data::DAT, None, "is missing", false);
            return Ok(());
        }
        Err(error) => return Err(error).doing(|| format!("opening {}", data::DAT)),
    };
    let len = file.len().doing(|| format!("reading {}", data::DAT))?;
    let (rows, end) = match &walked.state {
        Some(state) => (u64::from(state.rows), state.dat_len),
        None => {
            let known = offsets.count.max(sums.count).min(u64::from(u32::MAX));
            (
                first_logged.map_or(known, |first| known.min(u64::from(first))),
                len,
            )
        }
    };
    if len < end {
        walked.find(
            data::DAT,
            None,
            format!("has {len} bytes instead of {end}"),
            false,
        );
    }
    for (name, entries) in [(data::OFF, &offsets), (data::CRC, &sums)] {
        if entries.file.is_some() && entries.count < rows {
            let what = format!("has {} rows instead of {rows}", entries.count);
            walked.find(name, None, what, false);
        }
    }
    let end = end.min(len);
    let mut cursor = Some(0);
    for row in 0..rows {
        let number = row as u32;
        let (here, next) = (offsets.get(row)?, offsets.get(row + 1)?);
        let next = if row + 1 == rows { Some(end) } else { next };
        let sum = sums.get(row)?.map(|sum| sum as u32);
        // A row begins where the one before ends; a wrong offset is named.
        let starts = [here, cursor.filter(|cursor| here != Some(*cursor))];
        let mut taken = None;
        for start in starts.into_iter().flatten() {
            if let Some(row) = row_at(&*file, start, next, end, number, sum)? {
                taken = Some((start, row));
                break;
            }
        }
        walked.rows = number.saturating_add(1);
        let Some((
            start,
            RowAt {
                framed,
                body_from,
                crc_is_wrong,
            },
        )) = taken
        else {
            let file = if here.is_none() || here != cursor && cursor.is_some() {
                data::OFF
            } else {
                data::DAT
            };
            walked.find(file, Some(number), "does not match its checksum", true);
            cursor = next.filter(|next| here.is_some_and(|here| here < *next) && *next <= end);
            continue;
        };
        if here != Some(start) || cursor.is_some_and(|cursor| cursor != start) {
            walked.find(data::OFF, Some(number), "has a wrong offset", false);
        }
        if crc_is_wrong {
            walked.find(
                data::CRC,
                Some(number),
                "has a wrong checksum; the row is intact",
                false,
            );
        }
        if body_from == 0 {
            walked.find(
                data::DAT,
                Some(number),
                "has a wrong length; the row is intact",
                false,
            );
        }
        cursor = Some(start + framed.1);
        visit(walked, number, &framed.0)?;
    }
    if rows > 0 && cursor.is_some_and(|cursor| cursor != end) && walked.state.is_some() {
        walked.find(data::DAT, None, "has bytes that belong to no row", false);
    }
    Ok(())
}

struct RowAt {
    /// The body and the bytes it takes with its length.
    framed: (Vec<u8>, u64),
    /// 0 if the length before the body is damaged.
    body_from: usize,
    crc_is_wrong: bool,
}

/// The row at a place, if it is intact in one way or another.
fn row_at(
    file: &dyn FolderFile,
    start: u64,
    next: Option<u64>,
    end: u64,
    row: u32,
    sum: Option<u32>,
) -> Result<Option<RowAt>> {
    let plausible = |next: &u64| *next > start && *next <= end && *next - start <= MAX_FRAMED;
    let mut lengths: Vec<u64> = next
        .filter(plausible)
        .map(|next| next - start)
        .into_iter()
        .collect();
    if start < end {
        let mut prefix = [0; 10];
        let here = usize::try_from((end - start).min(10)).unwrap_or(10);
        read_exact_at(file, start, &mut prefix[..here])
            .doing(|| format!("reading {}", data::DAT))?;
        if let Ok((len, size)) = mix_value::varcode::read(&prefix[..here]) {
            let len = len.saturating_add(size as u64);
            if plausible(&start.saturating_add(len)) && !lengths.contains(&len) {
                lengths.push(len);
            }
        }
    }
    for len in lengths {
        // At most MAX_FRAMED.
        let mut framed = vec![0; len as usize];
        read_exact_at(file, start, &mut framed).doing(|| format!("reading {}", data::DAT))?;
        let crc = crc32c::crc32c(&framed);
        if let Some(body) = body_of(&framed) {
            let crc_is_wrong = sum != Some(crc);
            if !crc_is_wrong || is_near(crc, sum) && is_whole(body, row) {
                let from = framed.len() - body.len();
                let body = body.to_vec();
                return Ok(Some(RowAt {
                    framed: (body, len),
                    body_from: from,
                    crc_is_wrong,
                }));
            }
            continue;
        }
        // The length alone may be damaged: with the right one the checksum fits again.
        for size in 1..=4 {
            let Some(body) = framed.get(size..) else {
                break;
            };
            let mut again = Vec::with_capacity(framed.len());
            data::write_row(&mut again, body);
            if again.len() == framed.len() && sum == Some(crc32c::crc32c(&again)) {
                let body = body.to_vec();
                return Ok(Some(RowAt {
                    framed: (body, len),
                    body_from: 0,
                    crc_is_wrong: false,
                }));
            }
        }
    }
    Ok(None)
}

/// Whether the checksum itself may be what is damaged: it is missing, wiped, or
/// differs by so few bits as no single flipped bit of a row makes it differ.
fn is_near(crc: u32, sum: Option<u32>) -> bool {
    match sum {
        None | Some(0 | u32::MAX) => true,
        Some(sum) => (crc ^ sum).count_ones() <= 2,
    }
}

/// Whether a body is that of this row and its content matches its own hash.
fn is_whole(body: &[u8], row: u32) -> bool {
    let number =
        raw::member(body, fields::ROW).and_then(|bytes| mix_value::msgpack::decode(bytes).ok());
    number.and_then(|number| number.as_int()) == Some(i64::from(row))
        && super::check::content_matches(body).is_ok()
}

/// Flags and translation of watermarks.
fn other_files(folder: &dyn Folder, walked: &mut Walked) -> Result<()> {
    let flags = walked.state.as_ref().map(|state| state.flags.clone());
    if let Some(name) = flags.filter(|name| !name.is_empty()) {
        walked.flags = read_flags(folder, &name);
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
    let fence = newest(folder, "write.log.")?;
    if fence > 0
        && let Ok(file) = folder.open(&log_name(fence), false)
        && let Err(error @ StoreError::Corrupt(_)) = read_header(&*file, fence)
    {
        let known = walked
            .findings
            .iter()
            .any(|finding| finding.file == log_name(fence));
        if !known {
            walked.find(&log_name(fence), None, error.to_string(), false);
        }
    }
    Ok(())
}
