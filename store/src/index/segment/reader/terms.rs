//! The rows of a term, and of the terms between two keys.

use std::sync::Arc;

use roaring::RoaringBitmap;

use super::super::block::{Entries, Span};
use super::super::passing::Passing;
use super::super::{Damaged, FEW, Part};
use super::Segment;
use crate::error::Result;
use crate::index::rows::Rows;

impl Segment {
    /// The rows of a term.
    pub fn get(&self, part: Part, term: &[u8], visit: &mut dyn FnMut(Rows<'_>)) -> Result<()> {
        self.get_from(part, term, true, visit)
    }

    /// The rows of a term; `keep`: its leaf is kept in the cache.
    pub(super) fn get_from(
        &self,
        part: Part,
        term: &[u8],
        keep: bool,
        visit: &mut dyn FnMut(Rows<'_>),
    ) -> Result<()> {
        let Some(span) = self.leaf_of(part, term)? else {
            return Ok(());
        };
        let block = match keep {
            true => self.leaf(span)?,
            false => self.load(span)?,
        };
        let payload = self.entries(&block, span, |entries| {
            let found = entries.find(term, skip_rows)?;
            Ok(found.then(|| entries.position()))
        })?;
        match payload {
            Some(payload) => self.rows_at(&block, payload, span, None, visit),
            None => Ok(()),
        }
    }

    /// Whether there is a term in `from..to`.
    pub fn has_between(&self, part: Part, from: &[u8], to: &[u8]) -> Result<bool> {
        let mut start: Arc<[u8]> = from.into();
        while let Some((span, next)) = self.descend(part, &start)? {
            let block = self.leaf(span)?;
            let found = self.entries(&block, span, |entries| {
                entries.seek(from, skip_rows)?;
                if entries.is_done() {
                    return Ok(None);
                }
                entries.next_key()?;
                Ok(Some(*entries.key < *to))
            })?;
            match (found, next) {
                (Some(found), _) => return Ok(found),
                (None, Some(next)) if *next < *to => start = self.further(&start, next, span)?,
                (None, _) => break,
            }
        }
        Ok(false)
    }

    /// Shows rows whose payload is at a place in a leaf; `passing`: long lists are read with it.
    pub(in crate::index::segment) fn rows_at(
        &self,
        block: &[u8],
        payload: usize,
        at: Span,
        passing: Option<&mut Passing>,
        visit: &mut dyn FnMut(Rows<'_>),
    ) -> Result<()> {
        let mut entries = Entries::new(block).map_err(|Damaged| self.damaged(at.offset))?;
        entries
            .go_to(payload)
            .map_err(|Damaged| self.damaged(at.offset))?;
        match passing {
            None => self.rows(&mut entries, at, visit),
            Some(passing) => self.rows_with(&mut entries, at, visit, |span| {
                Ok(Arc::new(self.rows_of(&passing.list(self, span)?, span)?))
            }),
        }
    }

    fn rows(
        &self,
        entries: &mut Entries<'_>,
        at: Span,
        visit: &mut dyn FnMut(Rows<'_>),
    ) -> Result<()> {
        self.rows_with(entries, at, visit, |span| self.bitmap(span))
    }

    fn rows_with(
        &self,
        entries: &mut Entries<'_>,
        at: Span,
        visit: &mut dyn FnMut(Rows<'_>),
        list: impl FnOnce(Span) -> Result<Arc<RoaringBitmap>>,
    ) -> Result<()> {
        let broken = |Damaged| self.damaged(at.offset);
        let count = entries.number().map_err(broken)? as usize;
        if count > FEW {
            let span = entries.span().map_err(broken)?;
            visit(Rows::Many(&*list(span)?));
            return Ok(());
        }
        let mut few = [0; FEW];
        let mut row = self.trailer.first;
        for slot in &mut few[..count] {
            let gap = entries.number().map_err(broken)?;
            row = u32::try_from(gap)
                .ok()
                .and_then(|gap| row.checked_add(gap))
                .ok_or_else(|| self.damaged(at.offset))?;
            *slot = row;
        }
        visit(Rows::Few(&few[..count]));
        Ok(())
    }

    /// The rows of all terms of `from..to`; short lists of several terms come together.
    pub fn rows_between(
        &self,
        part: Part,
        from: &[u8],
        to: &[u8],
        visit: &mut dyn FnMut(Rows<'_>),
    ) -> Result<()> {
        let mut few = Vec::new();
        let mut start: Arc<[u8]> = from.into();
        while let Some((span, next)) = self.descend(part, &start)? {
            let block = self.leaf(span)?;
            let broken = |Damaged| self.damaged(span.offset);
            // Keys are compared at the two ends alone.
            let whole = next.as_ref().is_some_and(|next| **next <= *to);
            let end = self.entries(&block, span, |entries| {
                if whole {
                    return Ok(usize::MAX);
                }
                entries.seek(to, skip_rows)?;
                Ok(entries.position())
            })?;
            let mut entries = Entries::new(&block).map_err(broken)?;
            entries.seek(&start, skip_rows).map_err(broken)?;
            while !entries.is_done() && entries.position() < end {
                entries.skip_key().map_err(broken)?;
                let count = entries.number().map_err(broken)? as usize;
                if count > FEW {
                    let list = entries.span().map_err(broken)?;
                    visit(Rows::Many(&*self.bitmap(list)?));
                } else {
                    self.few_rows(&mut entries, count, &mut few)
                        .map_err(broken)?;
                }
            }
            visit(Rows::Few(&few));
            few.clear();
            match next {
                Some(next) if *next < *to => start = self.further(&start, next, span)?,
                _ => break,
            }
        }
        Ok(())
    }

    /// Appends a list of so many rows that stands beside its term.
    #[inline]
    fn few_rows(
        &self,
        entries: &mut Entries<'_>,
        count: usize,
        rows: &mut Vec<u32>,
    ) -> std::result::Result<(), Damaged> {
        let mut row = self.trailer.first;
        for _ in 0..count {
            let gap = u32::try_from(entries.number()?).map_err(|_| Damaged)?;
            row = row.checked_add(gap).ok_or(Damaged)?;
            rows.push(row);
        }
        Ok(())
    }

    /// All terms of `from..to` that pass `keep`, with their rows.
    pub fn scan(
        &self,
        part: Part,
        from: &[u8],
        to: &[u8],
        keep: &mut dyn FnMut(&[u8]) -> bool,
        visit: &mut dyn FnMut(&[u8], Rows<'_>),
    ) -> Result<()> {
        let mut start: Arc<[u8]> = from.into();
        while let Some((span, next)) = self.descend(part, &start)? {
            let block = self.leaf(span)?;
            let broken = |Damaged| self.damaged(span.offset);
            let mut entries = Entries::new(&block).map_err(broken)?;
            entries.seek(&start, skip_rows).map_err(broken)?;
            while !entries.is_done() {
                entries.next_key().map_err(broken)?;
                if *entries.key >= *to {
                    return Ok(());
                }
                if !keep(&entries.key) {
                    skip_rows(&mut entries).map_err(broken)?;
                    continue;
                }
                let key = std::mem::take(&mut entries.key);
                self.rows(&mut entries, span, &mut |rows| visit(&key, rows))?;
                entries.key = key;
            }
            match next {
                Some(next) if *next < *to => start = self.further(&start, next, span)?,
                _ => break,
            }
        }
        Ok(())
    }
}

pub(in crate::index::segment) fn skip_rows(
    entries: &mut Entries<'_>,
) -> std::result::Result<(), Damaged> {
    let count = entries.number()? as usize;
    if count > FEW {
        entries.span()?;
    } else {
        for _ in 0..count {
            entries.number()?;
        }
    }
    Ok(())
}
