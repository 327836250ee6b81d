//! Reading the files: recovery when a database is opened, and what others
//! wrote since the last turn.

use std::sync::Arc;

use mix_value::msgpack::{Reader, Token};
use roaring::RoaringBitmap;

use super::bare::{bare, read_bare};
use super::lease::{Entered, Pulse};
use super::previous::{Previous, read_previous};
use super::seal::{newest_begun, read_state, without_log};
use super::{COMPLETE, DataFiles, Disk, Open, newest, read_header};
use crate::base::{self, Base};
use crate::data;
use crate::error::{Doing, Result, StoreError};
use crate::fields;
use crate::folder::{Folder, FolderFile, read_to_end, read_whole};
use crate::ids::{Id, id_of};
use crate::log::{Frame, FrameKind, HEADER_LEN, Header, log_name, read_frames};
use crate::state::{State, state_name};
use crate::table::{Follows, NewRow, Overrides, Table};
use crate::time::parse_time;

impl Disk {
    /// Brings `table` up to date with the log of `fence`, whose lease is held and which is written anew.
    pub(super) fn catch_up_anew(&mut self, fence: u64, table: &mut Arc<Table>) -> Result<()> {
        let entered = self.entered(fence)?;
        self.catch_up(entered, table)
    }

    /// The log of a fence whose lease is held.
    fn entered(&self, fence: u64) -> Result<Entered> {
        let name = log_name(fence);
        let file = self
            .folder
            .open(&name, true)
            .doing(|| format!("opening {name}"))?;
        let header = read_header(&*file, fence)?;
        Ok(Entered {
            fence,
            file,
            header,
        })
    }

    /// Brings `table` up to date with the log of a fence, whose lease is held.
    pub(super) fn catch_up(&mut self, mut entered: Entered, table: &mut Arc<Table>) -> Result<()> {
        let fence = entered.fence;
        let name = log_name(fence);
        if entered.header.is_none() {
            self.seal(fence, 0)?;
            entered = self.entered(fence)?;
        }
        let missing = || StoreError::Corrupt(format!("{name} has no header"));
        let header = entered.header.ok_or_else(missing)?;
        let file = entered.file;
        let known = self.open.take();
        if let Some(known) = known.filter(|known| known.header == header) {
            let bytes = read_to_end(&*file, known.end).doing(|| format!("reading {name}"))?;
            let read = read_frames(&bytes, known.sequence, &header)?;
            let end = known.end + read.end as u64;
            let is_torn = read.end < bytes.len();
            if is_torn {
                file.set_len(end).doing(|| format!("truncating {name}"))?;
            }
            let sequence = read
                .frames
                .last()
                .map_or(known.sequence, |frame| frame.sequence);
            let (mut named, mut durable) = (known.named, known.durable);
            if is_torn || !read.frames.is_empty() {
                // Before readers see them: whoever wrote them may not have synced them.
                self.sync_taken_over(fence, &*file)?;
                (named, durable) = (true, sequence);
            }
            for frame in &read.frames {
                apply(table, frame)?;
            }
            self.open = Some(Open {
                file,
                end,
                sequence,
                durable,
                named,
                ..known
            });
            return Ok(());
        }
        let state = match read_state(&*self.folder)? {
            Some(state) => state,
            None => self.create(&header, &*file)?,
        };
        let mut pulse = self.pulse();
        let (loaded, warnings) = load_stored(&*self.folder, &state, &mut pulse)?;
        self.warnings.extend(warnings);
        let bytes = read_to_end(&*file, HEADER_LEN as u64).doing(|| format!("reading {name}"))?;
        let (end, sequence) = load_log(&loaded, &state, &header, &bytes)?;
        if end < bytes.len() {
            self.warnings.push(format!(
                "{} bytes of an unfinished commit were cut off {name}",
                bytes.len() - end
            ));
            file.set_len((HEADER_LEN + end) as u64)
                .doing(|| format!("truncating {name}"))?;
        }
        if !bytes.is_empty() {
            // What is in the log may never have been synced by the one who wrote it; and what
            // was cut off must not come back behind the next commit.
            self.sync_taken_over(fence, &*file)?;
        }
        self.sync_exchange()?;
        let data = DataFiles::open(&*self.folder)?;
        self.previous = read_previous(&*self.folder, &mut self.warnings);
        if self.overtaken(fence)? {
            // The folder may have been exchanged meanwhile, and the files be those of another.
            return Err(StoreError::LeaseLost);
        }
        self.leftovers_noted = false;
        self.is_known = true;
        *table = Arc::new(loaded);
        self.open = Some(Open {
            data,
            header,
            file,
            end: (HEADER_LEN + end) as u64,
            sequence,
            durable: sequence,
            named: end > 0,
            state,
        });
        Ok(())
    }

    /// Makes what another writer left in a log durable. If that fails, a later
    /// sync may report success for what is lost already: the log is written anew.
    fn sync_taken_over(&mut self, fence: u64, file: &dyn FolderFile) -> Result<()> {
        let synced = file
            .sync()
            .doing(|| format!("syncing {}", log_name(fence)))
            .and_then(|()| self.folder.sync().doing(|| "syncing the folder".into()));
        if synced.is_err() {
            self.raise_above(fence);
        }
        synced
    }

    /// Makes an exchange of folders durable that its program did not end: what is
    /// committed here must not vanish with the name of the folder.
    fn sync_exchange(&self) -> Result<()> {
        let Some(app) = &self.app else { return Ok(()) };
        let unfinished = self
            .folder
            .exists(COMPLETE)
            .doing(|| format!("looking for {COMPLETE}"))?;
        if unfinished {
            app.sync().doing(|| "syncing the app folder".into())?;
        }
        Ok(())
    }

    /// The state of a database that has none: a new one, or bare files to adopt.
    fn create(&mut self, header: &Header, log: &dyn FolderFile) -> Result<State> {
        let log_len = log.len().doing(|| "reading the write log".into())?;
        if log_len > HEADER_LEN as u64 || header.base > 0 {
            return Err(StoreError::Corrupt(
                "there is a write log without a state".into(),
            ));
        }
        if let Some(state) = self.adopt(header)? {
            return Ok(state);
        }
        if let Some(name) = self.options.name.clone()
            && !self
                .folder
                .exists("name.txt")
                .doing(|| "looking for name.txt".into())?
        {
            self.write_whole("name.txt", format!("{name}\n").as_bytes())?;
        }
        data::create_files(&*self.folder)?;
        let state = State {
            fence: header.fence,
            generation: header.generation,
            rows: 0,
            dat_len: 0,
            sequence: 0,
            time: 0,
            flags: String::new(),
            segments: Vec::new(),
        };
        self.write_whole(&state_name(header.fence), &state.encode())?;
        Ok(state)
    }

    /// Takes over `db.off` and `db.dat` without a state and checksums.
    fn adopt(&mut self, header: &Header) -> Result<Option<State>> {
        let Some(found) = bare(&*self.folder, &mut |_, _| Ok(()))? else {
            return Ok(None);
        };
        self.warnings.extend(found.warning);
        for name in [data::DAT, data::OFF] {
            // Nobody knows whether they were synced when they were put here.
            let file = self.folder.open(name, true);
            file.and_then(|file| file.sync())
                .doing(|| format!("syncing {name}"))?;
        }
        self.write_whole(data::CRC, &found.sums)?;
        let state = State {
            fence: header.fence,
            generation: header.generation,
            rows: found.rows,
            dat_len: found.len as u64,
            sequence: 0,
            time: found.time,
            flags: String::new(),
            segments: Vec::new(),
        };
        self.write_whole(&state_name(header.fence), &state.encode())?;
        Ok(Some(state))
    }
}

/// What a reader without a lock sees.
pub(crate) struct Snapshot {
    pub table: Table,
    pub generation: [u8; 8],
    pub previous: Option<Arc<Previous>>,
    pub warnings: Vec<String>,
}

/// A fixed snapshot of the files, without any lock.
pub(crate) fn read_only(folder: &dyn Folder) -> Result<Snapshot> {
    for _ in 0..3 {
        let logs_before = newest(folder, "write.log.")?;
        let Some(state) = read_state(folder)? else {
            let found = match had_state(folder, logs_before)? {
                true => Err(StoreError::Corrupt("there is no state".into())),
                false => read_bare(folder),
            };
            // Whoever begins a database, or takes bare files over, has made one meanwhile.
            if read_state(folder)?.is_some() {
                continue;
            }
            return found?.ok_or_else(|| StoreError::NoSuchDb("in this folder".into()));
        };
        let read = snapshot(folder, &state, logs_before);
        // Files that a writer changed meanwhile need not fit together.
        if read_state(folder)?.as_ref() == Some(&state)
            && newest(folder, "write.log.")? == logs_before
        {
            return read;
        }
    }
    Err(StoreError::Busy)
}

/// Whether the log tells that there was a state: that of a database that is being begun, or of
/// bare files that are being taken over, has no commits.
pub(super) fn had_state(folder: &dyn Folder, newest: u64) -> Result<bool> {
    let Some((header, file)) = newest_begun(folder, newest)? else {
        return Ok(false);
    };
    let len = file
        .len()
        .doing(|| format!("reading {}", log_name(header.fence)))?;
    Ok(header.base > 0 || len > HEADER_LEN as u64)
}

/// The rows of a state and of the newest log that is not empty.
fn snapshot(folder: &dyn Folder, state: &State, newest: u64) -> Result<Snapshot> {
    let (table, mut warnings) = load_stored(folder, state, &mut Pulse::silent())?;
    // Whoever makes a state has begun a log before, and the newest one stays.
    let (header, file) = newest_begun(folder, newest)?.ok_or_else(without_log)?;
    let bytes = read_to_end(&*file, HEADER_LEN as u64)
        .doing(|| format!("reading {}", log_name(header.fence)))?;
    let (end, _) = load_log(&table, state, &header, &bytes)?;
    if end < bytes.len() {
        warnings.push(format!(
            "{} bytes of an unfinished commit were ignored",
            bytes.len() - end
        ));
    }
    let previous = read_previous(folder, &mut warnings);
    Ok(Snapshot {
        table,
        generation: state.generation,
        previous,
        warnings,
    })
}

/// The checkpointed rows and flags.
fn load_stored(
    folder: &dyn Folder,
    state: &State,
    pulse: &mut Pulse,
) -> Result<(Table, Vec<String>)> {
    let (base, mut warnings) = Base::open(folder, state)?;
    let table = Table::new(base);
    base::load(&table, state.rows, state.dat_len, &mut || pulse.beat())?;
    warnings.extend(table.take_warnings());
    if !state.flags.is_empty() {
        match read_flags(folder, &state.flags)? {
            Some((superseded, deleted)) => {
                table.add_overrides(differences(&table, &superseded, &deleted)?)
            }
            None => warnings.push(format!(
                "{} is missing or damaged; the flags were derived",
                state.flags
            )),
        }
    }
    Ok((table, warnings))
}

/// Applies the frames of a log that the state does not contain; gives the
/// bytes of good frames and the last sequence.
fn load_log(table: &Table, state: &State, header: &Header, bytes: &[u8]) -> Result<(usize, u64)> {
    if header.generation != state.generation {
        return Err(StoreError::Corrupt(
            "write log and state are of different generations".into(),
        ));
    }
    if header.base > state.sequence {
        return Err(StoreError::Corrupt(
            "the write log begins after the state".into(),
        ));
    }
    let read = read_frames(bytes, header.base, header)?;
    let sequence = read
        .frames
        .last()
        .map_or(header.base, |frame| frame.sequence);
    if sequence < state.sequence {
        return Err(StoreError::Corrupt(
            "the write log ends before the state".into(),
        ));
    }
    for frame in read
        .frames
        .iter()
        .filter(|frame| frame.sequence > state.sequence)
    {
        apply(table, frame)?;
    }
    Ok((read.end, sequence))
}

/// Appends the rows, or sets the flags, of a commit.
pub(super) fn apply(table: &Table, frame: &Frame<'_>) -> Result<()> {
    let damaged = |what: &str| StoreError::Corrupt(format!("commit {} {what}", frame.sequence));
    if frame.kind == FrameKind::Flags {
        let overrides =
            Overrides::decode(frame.body).ok_or_else(|| damaged("has malformed flags"))?;
        table.add_overrides(overrides);
        return Ok(());
    }
    let rows = data::split_rows(frame.body).ok_or_else(|| damaged("has malformed rows"))?;
    let first = table.len();
    if frame.first_row != u64::from(first) || frame.count as usize != rows.len() {
        return Err(damaged("does not follow the rows before it"));
    }
    let mut new = Vec::with_capacity(rows.len());
    for (number, framed) in rows.into_iter().enumerate() {
        let body = data::body_of(framed).ok_or_else(|| damaged("has malformed rows"))?;
        let row = first.saturating_add(number as u32);
        new.push(new_row(
            row,
            body,
            crc32c::crc32c(framed),
            framed.len() as u32,
        )?);
    }
    table.append(new)
}

pub(crate) fn new_row(row: u32, body: &[u8], crc: u32, len: u32) -> Result<NewRow> {
    let facts =
        row_facts(body).ok_or_else(|| StoreError::Corrupt(format!("row {row} is no record")))?;
    Ok(NewRow {
        id: facts.id,
        rev: facts.rev,
        time: facts.time,
        deleted: facts.deleted,
        mark: facts.mark,
        body: body.into(),
        crc,
        len,
        // Only the first version of a record has no previous one.
        follows: if facts.has_previous {
            Follows::Newest
        } else {
            Follows::Nothing
        },
    })
}

pub(super) struct Facts {
    has_previous: bool,
    id: Id,
    rev: Id,
    pub time: i64,
    deleted: bool,
    /// Where the mark of superseded rows goes.
    mark: usize,
}

/// What the table needs to know of a row, in one pass.
pub(super) fn row_facts(body: &[u8]) -> Option<Facts> {
    let mut reader = Reader::new(body);
    let Ok(Token::MapStart(count)) = reader.next() else {
        return None;
    };
    let (mut id, mut rev, mut time, mut deleted) = (None, None, None, false);
    let mut has_previous = false;
    let mut mark = None;
    for _ in 0..count {
        let begin = reader.position();
        let Ok(Token::Key(key)) = reader.next() else {
            return None;
        };
        if mark.is_none() && key > fields::SUPERSEDED {
            mark = Some(begin);
        }
        match key {
            fields::ID => match reader.next() {
                Ok(Token::Ref(text)) => id = id_of(text),
                _ => return None,
            },
            fields::REV => match reader.next() {
                Ok(Token::Ref(text)) => rev = id_of(text),
                _ => return None,
            },
            fields::MODIFIED_AT => match reader.next() {
                Ok(Token::Str(text)) => time = parse_time(text),
                _ => return None,
            },
            fields::DELETED => match reader.next() {
                Ok(Token::Bool(flag)) => deleted = flag,
                _ => return None,
            },
            fields::PREVIOUS => {
                has_previous = true;
                reader.skip_value().ok()?;
            }
            _ => reader.skip_value().ok()?,
        }
    }
    Some(Facts {
        has_previous,
        id: id?,
        rev: rev?,
        time: time?,
        deleted,
        mark: mark.unwrap_or(body.len()),
    })
}

/// The two bitmaps of a flags file; none if it is missing or damaged.
pub(super) fn read_flags(
    folder: &dyn Folder,
    name: &str,
) -> Result<Option<(RoaringBitmap, RoaringBitmap)>> {
    Ok(read_whole(folder, name)?.and_then(|bytes| decode_flags(&bytes)))
}

fn decode_flags(bytes: &[u8]) -> Option<(RoaringBitmap, RoaringBitmap)> {
    let (checked, crc) = bytes.split_last_chunk::<4>()?;
    let rest = checked.strip_prefix(&super::checkpoint::FLAGS_HEADER)?;
    if crc32c::crc32c(checked) != u32::from_le_bytes(*crc) {
        return None;
    }
    let (superseded, rest) = read_bitmap(rest)?;
    let (deleted, rest) = read_bitmap(rest)?;
    rest.is_empty().then_some((superseded, deleted))
}

fn read_bitmap(bytes: &[u8]) -> Option<(RoaringBitmap, &[u8])> {
    let (len, rest) = bytes.split_first_chunk::<4>()?;
    let (bitmap, rest) = rest.split_at_checked(u32::from_le_bytes(*len) as usize)?;
    Some((RoaringBitmap::deserialize_from(bitmap).ok()?, rest))
}

/// Where flags of a file differ from the derived ones.
pub(super) fn differences(
    table: &Table,
    superseded: &RoaringBitmap,
    deleted: &RoaringBitmap,
) -> Result<Overrides> {
    let derived = table.mended(|| table.flags(table.len()))?;
    let changed = |flags: &RoaringBitmap, derived: &RoaringBitmap| {
        let rows = (flags ^ derived).into_iter();
        rows.map(|row| (row, flags.contains(row))).collect()
    };
    Ok(Overrides {
        superseded: changed(superseded, &derived.superseded),
        deleted: changed(deleted, &derived.deleted),
    })
}
