//! Down the tree of a part, to the leaf that has a key.

use std::sync::Arc;

use super::super::Part;
use super::super::block::Span;
use super::super::cache::Cached;
use super::super::interior::Interior;
use super::Segment;
use crate::error::Result;

/// A leaf, and a key where another one begins.
type Found = (Span, Option<Arc<[u8]>>);

/// A leaf, and the block with the one behind it, with the number of that one there.
type Place = (Span, Option<(Arc<Interior>, usize)>);

impl Segment {
    /// The leaf that holds the first term at or after `key`, if there is one,
    /// and the first key of the leaf behind it.
    pub(in crate::index::segment) fn descend(
        &self,
        part: Part,
        key: &[u8],
    ) -> Result<Option<Found>> {
        let place = self.place(part, key)?;
        Ok(place.map(|(span, next)| {
            let next = next.map(|(block, at)| block.first(at).into());
            (span, next)
        }))
    }

    fn place(&self, part: Part, key: &[u8]) -> Result<Option<Place>> {
        let tree = self.trailer.trees[part as usize];
        if tree.height == 0 {
            return Ok(None);
        }
        let (mut span, mut next) = (tree.root, None);
        for _ in 1..tree.height {
            let block = self.interior(span)?;
            // A key before all others belongs into the first block.
            let at = block.count_up_to(key).saturating_sub(1);
            span = block.child(at);
            if at + 1 < block.len() {
                next = Some((block, at + 1));
            }
        }
        Ok(Some((span, next)))
    }

    /// The leaf that holds a term, if any does.
    pub(super) fn leaf_of(&self, part: Part, term: &[u8]) -> Result<Option<Span>> {
        let tree = self.trailer.trees[part as usize];
        if tree.height == 0 {
            return Ok(None);
        }
        let child = |block: &Interior| block.child(block.count_up_to(term).saturating_sub(1));
        let mut span = tree.root;
        for _ in 1..tree.height {
            let known = self
                .cache
                .look(self.number, span.offset, |cached| match cached {
                    Cached::Interior(block) => Some(child(block)),
                    _ => None,
                });
            span = match known.flatten() {
                Some(span) => span,
                None => child(&*self.interior(span)?),
            };
        }
        Ok(Some(span))
    }

    /// The leaf with the last term before `key`, and its own first key, if it
    /// is known; none if all terms are beyond.
    pub(in crate::index::segment) fn last_leaf(
        &self,
        part: Part,
        key: &[u8],
    ) -> Result<Option<Found>> {
        let tree = self.trailer.trees[part as usize];
        if tree.height == 0 {
            return Ok(None);
        }
        let (mut span, mut first) = (tree.root, None);
        for level in 1..tree.height {
            let block = self.interior(span)?;
            let Some(at) = block.count_below(key).checked_sub(1) else {
                return Ok(None);
            };
            if level + 1 == tree.height {
                first = Some(block.first(at).into());
            }
            span = block.child(at);
        }
        Ok(Some((span, first)))
    }

    /// The first key of the next leaf, which is behind the present one in every good segment.
    pub(super) fn further(&self, start: &[u8], next: Arc<[u8]>, span: Span) -> Result<Arc<[u8]>> {
        if *next > *start {
            Ok(next)
        } else {
            Err(self.damaged(span.offset))
        }
    }
}
