//! Merges neighbouring segments into one, in steps of bounded work.

use std::sync::Arc;

use roaring::RoaringBitmap;

use super::{Part, Segment, SegmentWriter, Sink, TermCursor};
use crate::error::{Doing, Result};
use crate::index::rows::Rows;

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
    /// Those that have a term, by that term, and by their place among the inputs.
    order: Vec<usize>,
    /// Those that went on since, and have yet to find their places in the order.
    moved: Vec<usize>,
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
        let cursors = inputs
            .iter()
            .flat_map(|input| Part::BOTH.map(|part| (Arc::clone(input), part)))
            .map(|(input, part)| (part, TermCursor::passing(input, part)))
            .collect();
        let unchanged = superseded.range(first..end).next().is_none();
        Ok(Merge {
            order: Vec::with_capacity(inputs.len() * 2),
            moved: (0..inputs.len() * 2).collect(),
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
        self.put_in_order()?;
        let mut present = self.order.iter().map(|at| self.cursors[*at].1.term());
        let Some(Some(term)) = present.next() else {
            return Ok(false);
        };
        let same = 1 + present.take_while(|other| *other == Some(term)).count();
        self.term.clear();
        self.term.extend_from_slice(term);
        self.moved.extend(self.order.drain(..same));
        let Merge {
            present,
            past,
            superseded,
            ..
        } = self;
        present.clear();
        past.clear();
        let changed = !self.unchanged;
        for at in &self.moved {
            let (part, cursor) = &mut self.cursors[*at];
            cursor.rows_passed(&mut |rows| match (*part, rows) {
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

    /// Puts the cursors that went on back into the order, but those at their ends.
    fn put_in_order(&mut self) -> Result<()> {
        for at in self.moved.drain(..) {
            if self.cursors[at].1.fill()? {
                let place = |at: usize| (self.cursors[at].1.term(), at);
                let wanted = place(at);
                let before = |other: &usize| place(*other) < wanted;
                self.order.insert(self.order.partition_point(before), at);
            }
        }
        Ok(())
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
