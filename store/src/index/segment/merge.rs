//! Merges neighbouring segments into one, in steps of bounded work.

use std::collections::VecDeque;
use std::sync::Arc;

use roaring::RoaringBitmap;

use super::{Part, Segment, SegmentWriter, Sink};
use crate::error::{Doing, Result};
use crate::index::rows::Rows;
use crate::index::tail::Posting;
use crate::index::term::after;

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
    cursors: Vec<Cursor>,
    writer: SegmentWriter,
}

/// The terms of one part of one segment.
struct Cursor {
    input: usize,
    part: Part,
    /// Terms read ahead.
    terms: VecDeque<(Vec<u8>, Posting)>,
    /// Where to read on; none at the end.
    next: Option<Vec<u8>>,
}

impl Cursor {
    fn fill(&mut self, segment: &Segment) -> Result<()> {
        if !self.terms.is_empty() {
            return Ok(());
        }
        let Some(from) = self.next.take() else {
            return Ok(());
        };
        self.terms = segment.first_terms(self.part, &from, &END)?.into();
        self.next = self.terms.back().map(|(term, _)| after(term));
        Ok(())
    }
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
        let cursors = (0..inputs.len())
            .flat_map(|input| Part::BOTH.map(|part| (input, part)))
            .map(|(input, part)| Cursor {
                input,
                part,
                terms: VecDeque::new(),
                next: Some(Vec::new()),
            })
            .collect();
        Ok(Merge {
            inputs,
            name,
            temporary,
            superseded,
            cursors,
            writer,
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
        for cursor in &mut self.cursors {
            cursor.fill(&self.inputs[cursor.input])?;
        }
        for cursor in &self.cursors {
            if let Some((term, _)) = cursor.terms.front()
                && least.is_none_or(|least| **term < *least)
            {
                least = Some(term);
            }
        }
        let Some(term) = least.map(<[u8]>::to_vec) else {
            return Ok(false);
        };
        let (mut present, mut past) = (Gathered::default(), Gathered::default());
        for cursor in &mut self.cursors {
            let Some((_, posting)) = cursor.terms.pop_front_if(|(front, _)| *front == term) else {
                continue;
            };
            match (cursor.part, posting) {
                (Part::Past, posting) => past.add(posting.rows()),
                (Part::Present, Posting::Few(rows)) => {
                    for row in rows {
                        if self.superseded.contains(row) {
                            past.add(Rows::Few(&[row]));
                        } else {
                            present.add(Rows::Few(&[row]));
                        }
                    }
                }
                (Part::Present, Posting::Many(rows)) => {
                    if rows.is_disjoint(&self.superseded) {
                        present.add(Rows::Many(&rows));
                    } else {
                        past.add(Rows::Many(&(&rows & &*self.superseded)));
                        present.add(Rows::Many(&(rows - &*self.superseded)));
                    }
                }
            }
        }
        let name = &self.name;
        present
            .write(&mut self.writer, Part::Present, &term)
            .and_then(|()| past.write(&mut self.writer, Part::Past, &term))
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

    fn write(mut self, writer: &mut SegmentWriter, part: Part, term: &[u8]) -> std::io::Result<()> {
        if self.many.is_empty() {
            self.few.sort_unstable();
            return writer.add(part, term, Rows::Few(&self.few));
        }
        self.many.extend(self.few);
        writer.add(part, term, Rows::Many(&self.many))
    }
}
