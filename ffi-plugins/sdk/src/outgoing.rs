//! Answers in the form in which they leave.

use std::cell::Cell;
use std::ops::{Deref, DerefMut};

use mix_value::packed::{Packed, Packing};

use crate::{Encoded, Failure, IntoValue};

thread_local! {
    /// Whether the function at work is asked for blocks.
    static IN_BLOCKS: Cell<bool> = const { Cell::new(false) };
}

/// A value in its wire form, written where its caller takes it from: in bytes or in blocks, as it was asked for.
/// For functions that have the wire form of long answers, such as stored records: an [`Encoded`] is copied once more
/// where blocks are wanted.
#[derive(Debug)]
pub struct Outgoing(Form);

#[derive(Debug)]
enum Form {
    Bytes(Vec<u8>),
    Blocks(Packing),
}

impl Outgoing {
    /// Nothing yet, with room for so many bytes.
    #[must_use]
    pub fn with_room(bytes: usize) -> Outgoing {
        Outgoing(match IN_BLOCKS.get() {
            false => Form::Bytes(Vec::with_capacity(bytes)),
            true => Form::Blocks(Packing::with_room(bytes)),
        })
    }

    /// A copy of these bytes.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Outgoing {
        let mut copy = Outgoing::with_room(bytes.len());
        copy.extend(bytes);
        copy
    }

    /// A list of bytes in the place of whatever was written, with room for so many: short values go as bytes.
    #[inline(always)]
    pub(crate) fn begin_bytes(&mut self, room: usize) -> &mut Vec<u8> {
        self.0 = Form::Bytes(Vec::with_capacity(room));
        match &mut self.0 {
            Form::Bytes(bytes) => bytes,
            Form::Blocks(_) => unreachable!("it was made bytes just now"),
        }
    }

    /// Adds bytes.
    pub fn extend(&mut self, more: &[u8]) {
        match &mut self.0 {
            Form::Bytes(bytes) => bytes.extend_from_slice(more),
            Form::Blocks(blocks) => blocks.extend(more),
        }
    }

    /// As a list of bytes.
    #[must_use]
    #[inline]
    pub fn into_bytes(self) -> Vec<u8> {
        match self.0 {
            Form::Bytes(bytes) => bytes,
            Form::Blocks(blocks) => blocks.to_vec(),
        }
    }

    pub(crate) fn into_packed(self) -> Packed {
        match self.0 {
            Form::Bytes(bytes) => Packed::new(&bytes),
            Form::Blocks(blocks) => blocks.finish(),
        }
    }
}

/// Runs a function that never waits whose answer is wanted in blocks.
pub(crate) fn in_blocks<R>(work: impl FnOnce() -> R) -> R {
    let before = IN_BLOCKS.replace(true);
    let done = work();
    IN_BLOCKS.set(before);
    done
}

impl Deref for Outgoing {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match &self.0 {
            Form::Bytes(bytes) => bytes,
            Form::Blocks(blocks) => blocks,
        }
    }
}

impl DerefMut for Outgoing {
    fn deref_mut(&mut self) -> &mut [u8] {
        match &mut self.0 {
            Form::Bytes(bytes) => bytes,
            Form::Blocks(blocks) => blocks,
        }
    }
}

impl From<Encoded> for Outgoing {
    fn from(Encoded(bytes): Encoded) -> Outgoing {
        Outgoing(Form::Bytes(bytes))
    }
}

impl Default for Outgoing {
    /// Nothing yet.
    fn default() -> Outgoing {
        Outgoing(Form::Bytes(Vec::new()))
    }
}

impl IntoValue for Outgoing {
    fn encode(self) -> Result<Encoded, Failure> {
        Ok(Encoded(self.into_bytes()))
    }

    fn hand_over(self, to: &mut Outgoing) -> Result<(), Failure> {
        *to = self;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_the_same_in_either_form() {
        for length in 0..200_u8 {
            let bytes: Vec<u8> = (0..length).collect();
            let (first, rest) = bytes.split_at(usize::from(length) / 3);
            let written = || {
                let mut outgoing = Outgoing::of(first);
                outgoing.extend(rest);
                outgoing
            };
            for made in [written(), in_blocks(written)] {
                assert_eq!(*made, *bytes);
                assert_eq!(*made.into_packed(), *bytes);
            }
            let encoded = in_blocks(|| written().encode());
            assert_eq!(encoded, Ok(Encoded(bytes.clone())));
        }
        assert!(!IN_BLOCKS.get());
    }
}
