//! Encoded values in blocks, as they cross between components that are composed with each other
//! (`wit/packed`).

use std::ops::{Deref, DerefMut};

/// 32 bytes; the record `block` of the contract.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, bytemuck::Pod, bytemuck::Zeroable)]
pub struct Block {
    /// The first eight bytes, the first one the lowest.
    pub a: u64,
    /// The next eight.
    pub b: u64,
    /// The next eight.
    pub c: u64,
    /// The last eight.
    pub d: u64,
}

/// Bytes in a block.
const BYTES: usize = size_of::<Block>();

/// Blocks that [`with_blocks`] keeps on the stack, because most arguments fit into them.
const SHORT: usize = 4;

/// At most 32 bytes; the record `short-value` of the contract.
#[derive(Clone, Copy, Debug, Default)]
pub struct Short {
    /// How many they are, if it is true.
    pub size: u32,
    /// They, and whatever stands behind them.
    pub bytes: Block,
}

impl Short {
    /// A copy of these bytes, if they are few enough.
    #[must_use]
    #[inline]
    pub fn new(bytes: &[u8]) -> Option<Short> {
        if !Short::fits(bytes) {
            return None;
        }
        // Word by word: to copy the bytes is a call of the engine for each value, and words that are read from
        // bytes just written are waited for.
        let (whole, rest) = bytes.as_chunks::<{ size_of::<u64>() }>();
        let mut words = [0; BYTES / size_of::<u64>()];
        for (word, bytes) in words.iter_mut().zip(whole) {
            *word = u64::from_le_bytes(*bytes);
        }
        if let Some(word) = words.get_mut(whole.len()) {
            *word = part_of_word(rest);
        }
        let [a, b, c, d] = words;
        Some(Short {
            size: size(bytes),
            bytes: Block { a, b, c, d },
        })
    }

    /// Whether so many bytes are few enough.
    #[must_use]
    #[inline]
    pub fn fits(bytes: &[u8]) -> bool {
        bytes.len() <= BYTES
    }

    /// What came over a boundary; none if it says that it has more bytes than there are.
    #[must_use]
    #[inline]
    pub fn get(&self) -> Option<&[u8]> {
        bytemuck::bytes_of(&self.bytes).get(..self.size as usize)
    }
}

/// Fewer than eight bytes, the first one the lowest.
#[inline]
fn part_of_word(bytes: &[u8]) -> u64 {
    let at = |index: usize| u64::from(bytes[index]) << (8 * index);
    match (bytes.first_chunk(), bytes.last_chunk()) {
        // From four bytes on two halves, which overlap.
        (Some(first), Some(last)) => {
            let last = u64::from(u32::from_le_bytes(*last));
            u64::from(u32::from_le_bytes(*first)) | last << (8 * (bytes.len() - 4))
        }
        _ if bytes.is_empty() => 0,
        _ => at(0) | at(bytes.len() / 2) | at(bytes.len() - 1),
    }
}

/// Bytes in blocks, always as many blocks as they need.
#[derive(Clone, Debug)]
pub struct Packed {
    size: u32,
    blocks: Vec<Block>,
}

/// Fewer blocks than the size needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a packed value of {size} bytes came in {blocks} blocks of {BYTES} bytes")]
pub struct TooFewBlocks {
    size: u32,
    blocks: usize,
}

impl Packed {
    /// A copy of these bytes, fewer than 2^32: all that a memory of WebAssembly holds.
    #[must_use]
    pub fn new(bytes: &[u8]) -> Packed {
        let (whole, rest) = bytes.as_chunks::<BYTES>();
        let mut blocks = Vec::with_capacity(bytes.len().div_ceil(BYTES));
        blocks.extend(whole.iter().map(|bytes| bytemuck::cast::<_, Block>(*bytes)));
        if !rest.is_empty() {
            let mut last = Block::default();
            bytemuck::bytes_of_mut(&mut last)[..rest.len()].copy_from_slice(rest);
            blocks.push(last);
        }
        Packed {
            size: size(bytes),
            blocks,
        }
    }

    /// What came over a boundary.
    ///
    /// # Errors
    /// The size is that of more blocks.
    pub fn received(size: u32, blocks: Vec<Block>) -> Result<Packed, TooFewBlocks> {
        if size as usize > blocks.len() * BYTES {
            return Err(TooFewBlocks {
                size,
                blocks: blocks.len(),
            });
        }
        Ok(Packed { size, blocks })
    }

    /// Size in bytes and blocks, for sending.
    #[must_use]
    pub fn into_parts(self) -> (u32, Vec<Block>) {
        (self.size, self.blocks)
    }
}

/// Bytes that are written one behind the other into blocks, so that they are sent without another copy.
#[derive(Clone, Debug, Default)]
pub struct Packing {
    blocks: Vec<Block>,
    /// Bytes written so far; there are just as many blocks as they need.
    size: usize,
}

impl Packing {
    /// Nothing yet, with room for so many bytes.
    #[must_use]
    pub fn with_room(bytes: usize) -> Packing {
        Packing {
            blocks: Vec::with_capacity(bytes.div_ceil(BYTES)),
            size: 0,
        }
    }

    /// Adds bytes, fewer than 2^32 in all.
    pub fn extend(&mut self, bytes: &[u8]) {
        let (from, end) = (self.size, self.size + bytes.len());
        self.blocks.resize(end.div_ceil(BYTES), Block::default());
        bytemuck::cast_slice_mut(&mut self.blocks)[from..end].copy_from_slice(bytes);
        self.size = end;
    }

    /// What was written.
    #[must_use]
    pub fn finish(self) -> Packed {
        Packed {
            size: self.size as u32,
            blocks: self.blocks,
        }
    }
}

impl Deref for Packing {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &bytemuck::cast_slice(&self.blocks)[..self.size]
    }
}

impl DerefMut for Packing {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut bytemuck::cast_slice_mut(&mut self.blocks)[..self.size]
    }
}

/// Packs bytes for one call, short ones without an allocation, which would be most of its cost.
pub fn with_blocks<R>(bytes: &[u8], send: impl FnOnce(u32, &[Block]) -> R) -> R {
    if bytes.len() > SHORT * BYTES {
        let Packed { size, blocks } = Packed::new(bytes);
        return send(size, &blocks);
    }
    let mut blocks = [Block::default(); SHORT];
    bytemuck::bytes_of_mut(&mut blocks)[..bytes.len()].copy_from_slice(bytes);
    send(size(bytes), &blocks[..bytes.len().div_ceil(BYTES)])
}

/// The length of a slice, which is below 2^32 in the memory of a component.
fn size(bytes: &[u8]) -> u32 {
    bytes.len() as u32
}

impl Deref for Packed {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // `received` checked that there are so many.
        &bytemuck::cast_slice(&self.blocks)[..self.size as usize]
    }
}

/// An encoded value in the form in which it came.
#[derive(Clone, Debug)]
pub enum Received {
    /// As a list of bytes.
    Bytes(Vec<u8>),
    /// In blocks.
    Packed(Packed),
    /// In one block, with a size that is true.
    Short(Short),
}

impl Default for Received {
    fn default() -> Received {
        Received::Bytes(Vec::new())
    }
}

impl Deref for Received {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        match self {
            Received::Bytes(bytes) => bytes,
            Received::Packed(packed) => packed,
            Received::Short(short) => short.get().unwrap_or_default(),
        }
    }
}

impl From<Vec<u8>> for Received {
    fn from(bytes: Vec<u8>) -> Received {
        Received::Bytes(bytes)
    }
}

impl From<Packed> for Received {
    fn from(packed: Packed) -> Received {
        Received::Packed(packed)
    }
}

impl TryFrom<Short> for Received {
    type Error = TooFewBlocks;

    #[inline]
    fn try_from(short: Short) -> Result<Received, TooFewBlocks> {
        match short.get() {
            Some(_) => Ok(Received::Short(short)),
            None => Err(TooFewBlocks {
                size: short.size,
                blocks: 1,
            }),
        }
    }
}

impl PartialEq for Received {
    fn eq(&self, other: &Received) -> bool {
        **self == **other
    }
}

impl Eq for Received {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_come_out_as_they_went_in() {
        for length in 0..200_u8 {
            let bytes: Vec<u8> = (1..=length).collect();
            let packed = Packed::new(&bytes);
            assert_eq!(&*packed, bytes);
            let (size, blocks) = packed.into_parts();
            assert_eq!(blocks.len(), usize::from(length).div_ceil(32));
            with_blocks(&bytes, |short_size, short| {
                assert_eq!((short_size, short), (size, &*blocks));
            });
            let mut packing = Packing::with_room(usize::from(length / 2));
            bytes.chunks(7).for_each(|part| packing.extend(part));
            assert_eq!(*packing, *bytes);
            let (packed_size, packed) = packing.finish().into_parts();
            assert_eq!((packed_size, &packed), (size, &blocks));
            let received = Packed::received(size, blocks);
            assert_eq!(received.as_deref(), Ok(&*bytes));
            let short = Short::new(&bytes);
            assert_eq!(short.is_some(), bytes.len() <= 32);
            if let Some(short) = short {
                assert_eq!(Received::try_from(short).as_deref(), Ok(&*bytes));
            }
        }
    }

    #[test]
    fn the_first_byte_is_the_lowest() {
        let (_, blocks) = Packed::new(&[1, 2, 0, 0, 0, 0, 0, 0, 3]).into_parts();
        assert_eq!((blocks[0].a, blocks[0].b), (0x0201, 3));
    }

    #[test]
    fn a_size_without_its_blocks_is_refused() {
        let refused = Packed::received(33, vec![Block::default()]);
        assert_eq!(
            refused
                .map_err(|refused| refused.to_string())
                .err()
                .as_deref(),
            Some("a packed value of 33 bytes came in 1 blocks of 32 bytes")
        );
        assert!(Packed::received(u32::MAX, Vec::new()).is_err());
        for size in [33, u32::MAX] {
            let short = Short {
                size,
                ..Short::default()
            };
            assert!(Received::try_from(short).is_err());
        }
        let more = vec![Block::default(); 3];
        assert_eq!(Packed::received(1, more).as_deref(), Ok(&[0][..]));
    }
}
