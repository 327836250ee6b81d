//! Merges neighbouring segments into one, in steps of bounded work.

use std::sync::Arc;

use roaring::RoaringBitmap;

use super::{Part, Segment, SegmentWriter, Sink, TermCursor};
use crate::error::{Doing, Result};
use crate::index::rows::Rows;

/// Greater than every term.
const END: [u8; 8] = [0xff; 8];

/// A merge under way.
pub(crate) struct Merge {
    pub inputs: Vec<Arc<Segment>>,
    /// Name the result will have.
    pub name: String,
    /// Name of the file it is written to; empty in memory.
    pub temporary: String,
    /// Rows superseded when the merge began.
    superseded: Arc<RoaringBitmap>,
    /// No row of the inputs was superseded.
    unchanged: bool,
    cursors: Vec<(Part, TermCursor)>,
    writer: SegmentWriter,
    /// The term being written, and its rows.
    term: Vec<u8>,
    present: Gathered,
    past: Gathered,
}

impl Merge {
    /// Begins to merge neighbours. `superseded` holds all rows that rows below
    /// `split` superseded.
    pub fn new(
        inputs: Vec<Arc<Segment>>,
        sink: Sink,
        temporary: String,
        generation: [u8; 8],
        split: u32,
        superseded: Arc<RoaringBitmap>,
    ) -> Result<Merge> {
        let first = inputs.first().map_or(0, |segment| segment.first());
        let end = inputs.last().map_or(0, |segment| segment.end());
        let name = super::super::segment_name(first, end);
        let writer = SegmentWriter::new(sink, generation, first, end - first, split)
            .doing(|| format!("writing {name}"))?;
        let (from, to) = (Arc::default(), Arc::from(END));
        let cursors = inputs
            .iter()
            .flat_map(|input| Part::BOTH.map(|part| (Arc::clone(input), part)))
            .map(|(input, part)| (part, TermCursor::new(input, part, &from, &to, false)))
            .collect();
        let unchanged = superseded.range(first..end).next().is_none();
        Ok(Merge {
            inputs,
            name,
            temporary,
            superseded,
            unchanged,
            cursors,
            writer,
            term: Vec::new(),
            present: Gathered::default(),
            past: Gathered::default(),
        })
    }

    /// Writes about `bytes` more; true when all terms are written.
    pub fn step(&mut self, bytes: u64) -> Result<bool> {
        let until = self.writer.position().saturating_add(bytes);
        // A term may leave nothing to write, so terms count too.
        let mut terms = bytes / 8 + 1;
        while self.writer.position() < until && terms > 0 {
            terms -= 1;
            if !self.next_term()? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn next_term(&mut self) -> Result<bool> {
        let mut least: Option<&[u8]> = None;
        for (_, cursor) in &mut self.cursors {
            cursor.fill()?;
        }
        for (_, cursor) in &self.cursors {
            if let Some(term) = cursor.term()
                && least.is_none_or(|least| term < least)
            {
                least = Some(term);
            }
        }
        let Some(term) = least else {
            return Ok(false);
        };
        self.term.clear();
        self.term.extend_from_slice(term);
        let Merge {
            present,
            past,
            superseded,
            ..
        } = self;
        present.clear();
        past.clear();
        let changed = !self.unchanged;
        for (part, cursor) in &mut self.cursors {
            if cursor.term() != Some(&*self.term) {
                continue;
            }
            cursor.rows(&mut |rows| match (*part, rows) {
                (Part::Past, rows) => past.add(rows),
                (Part::Present, Rows::Few(rows)) if changed => {
                    for row in rows {
                        if superseded.contains(*row) {
                            past.few.push(*row);
                        } else {
                            present.few.push(*row);
                        }
                    }
                }
                (Part::Present, Rows::Many(rows)) if changed && !rows.is_disjoint(superseded) => {
                    past.add(Rows::Many(&(rows & &**superseded)));
                    present.add(Rows::Many(&(rows - &**superseded)));
                }
                (Part::Present, rows) => present.add(rows),
            })?;
            cursor.advance();
        }
        let name = &self.name;
        present
            .write(&mut self.writer, Part::Present, &self.term)
            .and_then(|()| past.write(&mut self.writer, Part::Past, &self.term))
            .doing(|| format!("writing {name}"))?;
        Ok(true)
    }

    /// Ends the merge, when all terms are written.
    pub fn finish(self) -> Result<Sink> {
        let mut replaced = Vec::new();
        let mut tombstones = RoaringBitmap::new();
        for segment in &self.inputs {
            replaced.extend(segment.replaced()?);
            tombstones |= &*segment.tombstones()?;
        }
        let name = self.name;
        self.writer
            .finish(&replaced, &tombstones)
            .doing(|| format!("writing {name}"))
    }
}

/// Rows of one term from several segments.
#[derive(Default)]
struct Gathered {
    few: Vec<u32>,
    many: RoaringBitmap,
}

impl Gathered {
    fn add(&mut self, rows: Rows<'_>) {
        match rows {
            Rows::Few(rows) => self.few.extend_from_slice(rows),
            Rows::Many(rows) if self.many.is_empty() => self.many = rows.clone(),
            Rows::Many(rows) => self.many |= rows,
        }
    }

    fn clear(&mut self) {
        self.few.clear();
        if !self.many.is_empty() {
            self.many.clear();
        }
    }

    fn write(
        &mut self,
        writer: &mut SegmentWriter,
        part: Part,
        term: &[u8],
    ) -> std::io::Result<()> {
        if self.many.is_empty() {
            // Inputs are in row order, but for rows that became past ones.
            if !self.few.is_sorted() {
                self.few.sort_unstable();
            }
            return writer.add(part, term, Rows::Few(&self.few));
        }
        self.many.extend(self.few.drain(..));
        writer.add(part, term, Rows::Many(&self.many))
    }
}
