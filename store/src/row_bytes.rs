//! Bytes of a row, perhaps among those of its neighbours.

use std::sync::Arc;

/// The encoded bytes of one row, or others that are kept. Cloning shares them.
#[derive(Clone)]
pub struct RowBytes {
    /// The bytes of several rows, read together.
    block: Arc<[u8]>,
    from: usize,
    len: usize,
}

impl RowBytes {
    /// So many bytes, written by `fill` where they stay.
    pub(crate) fn filled<E>(
        len: usize,
        fill: impl FnOnce(&mut [u8]) -> Result<(), E>,
    ) -> Result<Arc<[u8]>, E> {
        let mut bytes: Arc<[u8]> = std::iter::repeat_n(0, len).collect();
        // Nobody else has it yet, so it can always be written.
        if let Some(bytes) = Arc::get_mut(&mut bytes) {
            fill(bytes)?;
        }
        Ok(bytes)
    }

    /// How many bytes these are.
    #[inline]
    pub(crate) fn size(&self) -> usize {
        self.len
    }

    /// A part of a block; none if it does not lie in it.
    #[inline]
    pub(crate) fn part(block: &Arc<[u8]>, from: usize, len: usize) -> Option<RowBytes> {
        let end = from.checked_add(len)?;
        (end <= block.len()).then(|| RowBytes {
            block: Arc::clone(block),
            from,
            len,
        })
    }
}

impl std::ops::Deref for RowBytes {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        // Every constructor has seen that the part lies in the block.
        &self.block[self.from..][..self.len]
    }
}

impl AsRef<[u8]> for RowBytes {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl From<Arc<[u8]>> for RowBytes {
    fn from(block: Arc<[u8]>) -> RowBytes {
        RowBytes {
            from: 0,
            len: block.len(),
            block,
        }
    }
}

impl From<Vec<u8>> for RowBytes {
    fn from(bytes: Vec<u8>) -> RowBytes {
        Arc::<[u8]>::from(bytes).into()
    }
}

impl PartialEq for RowBytes {
    fn eq(&self, other: &RowBytes) -> bool {
        **self == **other
    }
}

impl Eq for RowBytes {}

impl std::fmt::Debug for RowBytes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "RowBytes({} bytes)", self.len)
    }
}
