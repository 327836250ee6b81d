//! Strings of the heap.

use std::cell::{Cell, OnceCell};
use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::Deref;
use std::rc::Rc;

use super::room;
use crate::failure::Failure;

/// A string, shared. Positions count Unicode scalar values; texts that are all
/// ASCII, the usual case, find them without a search, others after an index of
/// the text was made once. Appending to a text that nobody else holds happens in place.
#[derive(Clone)]
pub struct Text(Rc<Node>);

struct Node {
    text: String,
    /// Number of scalar values plus one; 0 while unknown.
    scalars: Cell<u32>,
    /// Byte offset of every [`STRIDE`]-th scalar value, made when first needed.
    offsets: OnceCell<Box<[usize]>>,
    /// Constants of one program have different contents.
    constant: bool,
}

/// Distance between the offsets that are kept; shorter texts are searched.
const STRIDE: usize = 64;

impl Node {
    fn offsets(&self) -> &[usize] {
        self.offsets.get_or_init(|| {
            let offsets = self.text.char_indices().map(|(offset, _)| offset);
            offsets.step_by(STRIDE).collect()
        })
    }
}

impl Text {
    /// A text with this content.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(Rc::new(Node {
            text: text.into(),
            scalars: Cell::new(0),
            offsets: OnceCell::new(),
            constant: false,
        }))
    }

    /// The content.
    #[must_use]
    #[inline]
    pub fn as_str(&self) -> &str {
        &self.0.text
    }

    /// Number of Unicode scalar values.
    #[must_use]
    pub fn scalars(&self) -> usize {
        match self.0.scalars.get() {
            0 => {
                let count = self.0.text.chars().count();
                // A longer text is counted anew each time.
                if let Ok(known) = u32::try_from(count + 1) {
                    self.0.scalars.set(known);
                }
                count
            }
            known => known as usize - 1,
        }
    }

    /// Byte offset of the scalar value number `position`; the length in bytes if there are fewer.
    #[must_use]
    pub fn offset(&self, position: usize) -> usize {
        let text = &self.0.text;
        if self.scalars() == text.len() {
            return position.min(text.len());
        }
        let start = if text.len() <= STRIDE {
            0
        } else {
            match self.0.offsets().get(position / STRIDE) {
                Some(start) => *start,
                None => return text.len(),
            }
        };
        let left = if start == 0 {
            position
        } else {
            position % STRIDE
        };
        text[start..]
            .char_indices()
            .nth(left)
            .map_or(text.len(), |(offset, _)| start + offset)
    }

    /// Number of the scalar value that starts at a byte offset.
    #[must_use]
    pub fn position(&self, offset: usize) -> usize {
        let text = &self.0.text;
        if self.scalars() == text.len() {
            return offset;
        }
        if text.len() <= STRIDE {
            return text
                .get(..offset)
                .map_or(0, |before| before.chars().count());
        }
        let offsets = self.0.offsets();
        // The first offset is 0, so one is never beyond.
        let known = offsets.partition_point(|start| *start <= offset) - 1;
        text.get(offsets[known]..offset)
            .map_or(0, |before| known * STRIDE + before.chars().count())
    }

    /// Appends to the text, in place if it is not shared.
    pub fn push_str(&mut self, more: &str) -> Result<(), Failure> {
        match Rc::get_mut(&mut self.0) {
            Some(node) => {
                if node.text.capacity() - node.text.len() < more.len() {
                    room::reserve_text(&mut node.text, more.len())?;
                }
                node.text.push_str(more);
                node.scalars.set(0);
                node.offsets.take();
            }
            None => {
                let length = self.0.text.len().saturating_add(more.len());
                room::check(length)?;
                let mut text = String::with_capacity(length);
                text.push_str(&self.0.text);
                text.push_str(more);
                *self = Self::new(text);
            }
        }
        Ok(())
    }

    /// False if a look at length and last byte shows that the texts differ.
    #[must_use]
    #[inline]
    pub fn is_probably(&self, other: &Self) -> bool {
        let (a, b) = (self.0.text.as_bytes(), other.0.text.as_bytes());
        a.len() == b.len() && a.last() == b.last()
    }

    /// True if the text is held by others too.
    #[inline(always)]
    pub(crate) fn is_shared(&self) -> bool {
        Rc::strong_count(&self.0) > 1
    }

    /// A text that is the only constant with this content.
    pub(crate) fn constant(text: &str) -> Self {
        Self(Rc::new(Node {
            text: text.into(),
            scalars: Cell::new(0),
            offsets: OnceCell::new(),
            constant: true,
        }))
    }

    /// Equality, if it shows without looking at all bytes.
    #[inline(always)]
    pub(crate) fn is_same_constant(&self, other: &Self) -> Option<bool> {
        if self.is_same_object(other) {
            Some(true)
        } else if (self.0.constant && other.0.constant) || !self.is_probably(other) {
            Some(false)
        } else {
            None
        }
    }

    /// True if both are the same object, which implies equality.
    #[must_use]
    #[inline]
    pub fn is_same_object(&self, other: &Self) -> bool {
        Rc::ptr_eq(&self.0, &other.0)
    }
}

impl Deref for Text {
    type Target = str;
    fn deref(&self) -> &str {
        self.as_str()
    }
}

impl std::borrow::Borrow<str> for Text {
    fn borrow(&self) -> &str {
        self.as_str()
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}

impl From<String> for Text {
    fn from(text: String) -> Self {
        Self::new(text)
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl PartialEq for Text {
    fn eq(&self, other: &Self) -> bool {
        self.is_same_object(other) || self.as_str() == other.as_str()
    }
}

impl Eq for Text {}

impl PartialOrd for Text {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Text {
    fn cmp(&self, other: &Self) -> Ordering {
        if self.is_same_object(other) {
            Ordering::Equal
        } else {
            self.as_str().cmp(other.as_str())
        }
    }
}

impl Hash for Text {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_str().hash(state);
    }
}
