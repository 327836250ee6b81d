//! Blocks: runs of sorted keys, each written as what differs from the one before.
//!
//! ```text
//! block = entries , CRC-32C of them (4 bytes)
//! entry = varcode(bytes shared with the key before) , varcode(bytes that follow) , bytes , payload
//! ```

use mix_value::varcode;

use super::Damaged;

/// A block grows up to about this size.
pub(super) const TARGET: usize = 8 << 10;
/// Bytes of the checksum behind a block.
pub(super) const SUM: usize = 4;

/// Where a block or bitmap lies in its file, without its checksum.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Span {
    pub offset: u64,
    pub len: u32,
}

/// Builds a block.
#[derive(Default)]
pub(super) struct Builder {
    pub bytes: Vec<u8>,
    /// The first key.
    pub first: Vec<u8>,
    last: Vec<u8>,
}

impl Builder {
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    pub fn is_full(&self) -> bool {
        self.bytes.len() >= TARGET
    }

    /// Adds a key greater than all before; the caller appends the payload to `bytes`.
    pub fn key(&mut self, key: &[u8]) {
        let shared = if self.bytes.is_empty() {
            self.first = key.to_vec();
            0
        } else {
            let pairs = key.iter().zip(&self.last);
            pairs.take_while(|(a, b)| a == b).count()
        };
        varcode::write(&mut self.bytes, shared as u64);
        varcode::write(&mut self.bytes, (key.len() - shared) as u64);
        self.bytes.extend_from_slice(&key[shared..]);
        self.last.truncate(shared);
        self.last.extend_from_slice(&key[shared..]);
    }

    pub fn clear(&mut self) {
        self.bytes.clear();
    }
}

/// Reads the entries of a block.
pub(super) struct Entries<'a> {
    rest: &'a [u8],
    /// The key of the last entry read.
    pub key: Vec<u8>,
}

impl<'a> Entries<'a> {
    pub fn new(block: &'a [u8]) -> Entries<'a> {
        Entries {
            rest: block,
            key: Vec::with_capacity(64),
        }
    }

    pub fn is_done(&self) -> bool {
        self.rest.is_empty()
    }

    /// Goes to a key, whose payload is to be read then; false if it is not
    /// there. `skip` passes over the payload of another. The key itself is not
    /// kept.
    pub fn find(
        &mut self,
        wanted: &[u8],
        skip: impl Fn(&mut Entries<'a>) -> Result<(), Damaged>,
    ) -> Result<bool, Damaged> {
        // Bytes that the key before, which is less, has in common with `wanted`.
        let mut common = 0;
        while !self.is_done() {
            let (shared, len) = (self.number()? as usize, self.number()? as usize);
            let bytes = self.bytes(len)?;
            if shared < common {
                // It differs from the key before where that was still like `wanted`.
                return Ok(false);
            }
            if shared == common {
                let rest = &wanted[common..];
                let more = bytes.iter().zip(rest).take_while(|(a, b)| a == b).count();
                common += more;
                match bytes[more..].first().cmp(&rest[more..].first()) {
                    std::cmp::Ordering::Less => {}
                    std::cmp::Ordering::Equal => return Ok(true),
                    std::cmp::Ordering::Greater => return Ok(false),
                }
            }
            skip(self)?;
        }
        Ok(false)
    }

    /// Reads the next key; its payload is to be read then.
    pub fn next_key(&mut self) -> Result<(), Damaged> {
        let (shared, len) = (self.number()? as usize, self.number()? as usize);
        let bytes = self.bytes(len)?;
        if shared > self.key.len() {
            return Err(Damaged);
        }
        self.key.truncate(shared);
        self.key.extend_from_slice(bytes);
        Ok(())
    }

    #[inline]
    pub fn number(&mut self) -> Result<u64, Damaged> {
        if let [byte @ 0..0x80, rest @ ..] = self.rest {
            self.rest = rest;
            return Ok(u64::from(*byte));
        }
        let (number, len) = varcode::read(self.rest).map_err(|_| Damaged)?;
        self.rest = &self.rest[len..];
        Ok(number)
    }

    pub fn bytes(&mut self, len: usize) -> Result<&'a [u8], Damaged> {
        let (bytes, rest) = self.rest.split_at_checked(len).ok_or(Damaged)?;
        self.rest = rest;
        Ok(bytes)
    }

    pub fn span(&mut self) -> Result<Span, Damaged> {
        Ok(Span {
            offset: self.number()?,
            len: u32::try_from(self.number()?).map_err(|_| Damaged)?,
        })
    }
}

/// Writes a span as a payload.
pub(super) fn write_span(out: &mut Vec<u8>, span: Span) {
    varcode::write(out, span.offset);
    varcode::write(out, u64::from(span.len));
}
