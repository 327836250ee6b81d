//! Writes a segment.

use std::io;

use mix_value::varcode;
use roaring::RoaringBitmap;

use super::block::{Builder, Span, TARGET, TARGET_ALONE, write_span};
use super::{FEW, Part, Trailer, Tree, filter};
use crate::fields;
use crate::folder::FolderFile;
use crate::index::rows::Rows;
use crate::index::term::Path;

/// Where the bytes of a segment go, one after the other.
pub(crate) enum Sink {
    Memory(Vec<u8>),
    File {
        file: Box<dyn FolderFile>,
        /// Bytes written to the file.
        written: u64,
        buffer: Vec<u8>,
    },
}

const BUFFER: usize = 256 << 10;

impl Sink {
    pub fn file(file: Box<dyn FolderFile>) -> Sink {
        Sink::File {
            file,
            written: 0,
            buffer: Vec::new(),
        }
    }

    fn position(&self) -> u64 {
        match self {
            Sink::Memory(bytes) => bytes.len() as u64,
            Sink::File {
                written, buffer, ..
            } => written + buffer.len() as u64,
        }
    }

    /// Writes bytes that are a whole segment.
    pub fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.write(bytes)?;
        self.flush()?;
        match self {
            Sink::File { file, .. } => file.sync(),
            Sink::Memory(_) => Ok(()),
        }
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Sink::Memory(all) => all.extend_from_slice(bytes),
            Sink::File { buffer, .. } => {
                buffer.extend_from_slice(bytes);
                if buffer.len() >= BUFFER {
                    self.flush()?;
                }
            }
        }
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        if let Sink::File {
            file,
            written,
            buffer,
        } = self
        {
            file.write_at(*written, buffer)?;
            *written += buffer.len() as u64;
            buffer.clear();
        }
        Ok(())
    }

    /// Writes bytes and their checksum.
    fn checked(&mut self, bytes: &[u8]) -> io::Result<Span> {
        let span = Span {
            offset: self.position(),
            // Blocks and bitmaps over u32 stay far below 4 GiB.
            len: bytes.len() as u32,
        };
        self.write(bytes)?;
        self.write(&crc32c::crc32c(bytes).to_le_bytes())?;
        Ok(span)
    }
}

/// Levels of one tree, the leaves first.
#[derive(Default)]
struct Levels {
    levels: Vec<Builder>,
    terms: u64,
}

impl Levels {
    /// Closes the block of a level and enters it into the level above.
    fn close(&mut self, level: usize, sink: &mut Sink) -> io::Result<Span> {
        self.levels[level].close();
        let span = sink.checked(&self.levels[level].bytes)?;
        if self.levels.len() == level + 1 {
            self.levels.push(Builder::default());
        }
        let first = std::mem::take(&mut self.levels[level].first);
        self.levels[level].clear();
        let above = &mut self.levels[level + 1];
        above.key(&first);
        write_span(&mut above.bytes, span);
        if above.is_full(TARGET) {
            self.close(level + 1, sink)?;
        }
        Ok(span)
    }

    fn finish(mut self, sink: &mut Sink) -> io::Result<Tree> {
        let mut level = 0;
        let mut root = Span::default();
        let mut height = 0;
        while level < self.levels.len() {
            if !self.levels[level].is_empty() {
                let top = self.levels[level + 1..].iter().all(Builder::is_empty);
                if top {
                    self.levels[level].close();
                    root = sink.checked(&self.levels[level].bytes)?;
                    height = level as u32 + 1;
                    break;
                }
                self.close(level, sink)?;
            }
            level += 1;
        }
        Ok(Tree {
            root,
            height,
            terms: self.terms,
        })
    }
}

/// Writes a segment, term by term in ascending order in each part.
pub(crate) struct SegmentWriter {
    sink: Sink,
    trailer: Trailer,
    parts: [Levels; 2],
    blob: Vec<u8>,
    /// What the terms of ids and of revisions begin with.
    filtered: [Vec<u8>; 2],
    /// Hashes of such terms.
    hashes: Vec<u64>,
}

impl SegmentWriter {
    /// A segment over the rows `first..first + rows`, of which those superseded
    /// by rows below `split` go into the part of the past.
    pub fn new(
        mut sink: Sink,
        generation: [u8; 8],
        first: u32,
        rows: u32,
        split: u32,
    ) -> io::Result<SegmentWriter> {
        sink.write(&super::HEADER)?;
        Ok(SegmentWriter {
            sink,
            trailer: Trailer {
                generation,
                first,
                rows,
                split,
                ..Trailer::default()
            },
            parts: [Levels::default(), Levels::default()],
            blob: Vec::new(),
            filtered: [fields::ID, fields::REV].map(|field| {
                let mut path = Path::default();
                path.push(field);
                path.value(&[])
            }),
            hashes: Vec::new(),
        })
    }

    /// Adds a term; nothing if it has no rows.
    pub fn add(&mut self, part: Part, term: &[u8], rows: Rows<'_>) -> io::Result<()> {
        let count = match rows {
            Rows::Few(rows) => rows.len() as u64,
            Rows::Many(rows) => rows.len(),
        };
        if count == 0 {
            return Ok(());
        }
        let mut target = TARGET;
        if self.filtered.iter().any(|start| term.starts_with(start)) {
            self.hashes.push(filter::hash(term));
            target = TARGET_ALONE;
        }
        let few: Vec<u32>;
        let few = match rows {
            Rows::Few(rows) if rows.len() <= FEW => Some(rows),
            Rows::Many(rows) if count <= FEW as u64 => {
                few = rows.iter().collect();
                Some(&*few)
            }
            _ => None,
        };
        let blob = match few {
            Some(_) => None,
            None => {
                self.blob.clear();
                match rows {
                    Rows::Many(rows) => rows.serialize_into(&mut self.blob)?,
                    rows => rows.to_bitmap().serialize_into(&mut self.blob)?,
                }
                Some(self.sink.checked(&self.blob)?)
            }
        };
        let levels = &mut self.parts[part as usize];
        levels.terms += 1;
        if levels.levels.is_empty() {
            levels.levels.push(Builder::default());
        }
        let leaf = &mut levels.levels[0];
        leaf.key(term);
        varcode::write(&mut leaf.bytes, count);
        if let Some(few) = few {
            let mut before = self.trailer.first;
            for row in few {
                varcode::write(&mut leaf.bytes, u64::from(row.wrapping_sub(before)));
                before = *row;
            }
        }
        if let Some(span) = blob {
            write_span(&mut leaf.bytes, span);
        }
        if leaf.is_full(target) {
            levels.close(0, &mut self.sink)?;
        }
        Ok(())
    }

    /// Bytes so far.
    pub fn position(&self) -> u64 {
        self.sink.position()
    }

    /// Ends the segment. `replaced`: rows and the rows each of them superseded.
    pub fn finish(
        mut self,
        replaced: &[(u32, u32)],
        tombstones: &RoaringBitmap,
    ) -> io::Result<Sink> {
        let [now, past] = self.parts;
        self.trailer.trees = [now.finish(&mut self.sink)?, past.finish(&mut self.sink)?];
        let mut pairs = Vec::with_capacity(replaced.len() * 8);
        for (row, previous) in replaced {
            pairs.extend(row.to_le_bytes());
            pairs.extend(previous.to_le_bytes());
        }
        let mut bitmap = |rows: &RoaringBitmap, sink: &mut Sink| -> io::Result<Span> {
            self.blob.clear();
            rows.serialize_into(&mut self.blob)?;
            sink.checked(&self.blob)
        };
        let superseded: RoaringBitmap = replaced.iter().map(|(_, previous)| *previous).collect();
        self.trailer.superseded = bitmap(&superseded, &mut self.sink)?;
        self.trailer.tombstones = bitmap(tombstones, &mut self.sink)?;
        self.trailer.replaced = self.sink.checked(&pairs)?;
        let pages = filter::build(&self.hashes);
        self.trailer.filter = Span {
            offset: self.sink.position(),
            // Ten bits for each of less than 2^33 terms, which is more than there are.
            len: pages.len() as u32,
        };
        for page in pages.chunks(filter::PAGE) {
            self.sink.checked(page)?;
        }
        let trailer = self.trailer.encode();
        self.sink.write(&trailer)?;
        self.sink.flush()?;
        if let Sink::File { file, .. } = &self.sink {
            file.sync()?;
        }
        Ok(self.sink)
    }
}
