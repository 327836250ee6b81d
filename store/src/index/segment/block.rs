//! Blocks: runs of sorted keys, each written as what differs from the one before.
//!
//! ```text
//! block = entries , places (2 bytes each) , number of places (2 bytes)
//! entry = varcode(bytes shared with the key before) , varcode(bytes that follow) , bytes , payload
//! ```
//!
//! Every sixteenth entry shares nothing with the one before. The places say
//! where those entries begin, so that a key is found without reading all.

use mix_value::varcode;

use super::Damaged;

/// A block grows up to about this size.
pub(super) const TARGET: usize = 8 << 10;
/// And one of terms that are looked for one at a time, all over the segment, up to this one.
pub(super) const TARGET_ALONE: usize = 2 << 10;
/// Bytes of the checksum behind a block.
pub(super) const SUM: usize = 4;

/// Where a block or bitmap lies in its file, without its checksum.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Span {
    pub offset: u64,
    pub len: u32,
}

/// Entries of which the first is written whole.
pub(super) const RUN: usize = 16;

/// Builds a block.
#[derive(Default)]
pub(super) struct Builder {
    pub bytes: Vec<u8>,
    /// The first key.
    pub first: Vec<u8>,
    last: Vec<u8>,
    /// Where runs begin.
    places: Vec<u8>,
    entries: usize,
}

impl Builder {
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// True if it has reached a size.
    pub fn is_full(&self, target: usize) -> bool {
        self.bytes.len() >= target
    }

    /// Adds a key greater than all before; the caller appends the payload to `bytes`.
    pub fn key(&mut self, key: &[u8]) {
        if self.bytes.is_empty() {
            self.first = key.to_vec();
        }
        let shared = if self.entries.is_multiple_of(RUN) {
            // An entry begins before the block is full, far below 64 KiB.
            self.places.extend((self.bytes.len() as u16).to_le_bytes());
            0
        } else {
            shared_bytes(key, &self.last)
        };
        self.entries += 1;
        varcode::write(&mut self.bytes, shared as u64);
        varcode::write(&mut self.bytes, (key.len() - shared) as u64);
        self.bytes.extend_from_slice(&key[shared..]);
        self.last.truncate(shared);
        self.last.extend_from_slice(&key[shared..]);
    }

    /// Writes the places behind the entries: the block is whole.
    pub fn close(&mut self) {
        let count = self.places.len() as u16 / 2;
        self.bytes.append(&mut self.places);
        self.bytes.extend(count.to_le_bytes());
    }

    pub fn clear(&mut self) {
        self.bytes.clear();
        self.places.clear();
        self.entries = 0;
    }
}

/// Number of bytes that two keys have in common at their beginning.
fn shared_bytes(a: &[u8], b: &[u8]) -> usize {
    let len = a.len().min(b.len());
    let mut at = 0;
    while at + 8 <= len {
        // Eight bytes each, so both have a chunk.
        let (x, y) = (word(&a[at..]), word(&b[at..]));
        if x != y {
            return at + (x ^ y).trailing_zeros() as usize / 8;
        }
        at += 8;
    }
    while at < len && a[at] == b[at] {
        at += 1;
    }
    at
}

fn word(bytes: &[u8]) -> u64 {
    let mut word = [0; 8];
    word.copy_from_slice(&bytes[..8]);
    u64::from_le_bytes(word)
}

/// Reads the entries of a block.
pub(super) struct Entries<'a> {
    /// All entries.
    all: &'a [u8],
    places: &'a [[u8; 2]],
    rest: &'a [u8],
    /// The key of the last entry read.
    pub key: Vec<u8>,
}

impl<'a> Entries<'a> {
    pub fn new(block: &'a [u8]) -> Result<Entries<'a>, Damaged> {
        let (before, count) = block.split_last_chunk::<2>().ok_or(Damaged)?;
        let places = usize::from(u16::from_le_bytes(*count)) * 2;
        let end = before.len().checked_sub(places).ok_or(Damaged)?;
        let (all, places) = before.split_at(end);
        Ok(Entries {
            all,
            places: places.as_chunks::<2>().0,
            rest: all,
            key: Vec::new(),
        })
    }

    pub fn is_done(&self) -> bool {
        self.rest.is_empty()
    }

    /// Bytes before the next entry.
    pub fn position(&self) -> usize {
        self.all.len() - self.rest.len()
    }

    /// Number of runs.
    pub fn runs(&self) -> usize {
        self.places.len()
    }

    /// Goes to the beginning of a run, or to the end behind the last one.
    pub fn go_to_run(&mut self, run: usize) -> Result<(), Damaged> {
        let place = match self.places.get(run) {
            Some(place) => usize::from(u16::from_le_bytes(*place)),
            None => self.all.len(),
        };
        self.rest = self.all.get(place..).ok_or(Damaged)?;
        self.key.clear();
        Ok(())
    }

    /// Where a run ends.
    pub fn run_end(&self, run: usize) -> Result<usize, Damaged> {
        let end = match self.places.get(run + 1) {
            Some(place) => usize::from(u16::from_le_bytes(*place)),
            None => self.all.len(),
        };
        if end > self.all.len() {
            return Err(Damaged);
        }
        Ok(end)
    }

    /// Goes to a place, behind a key.
    pub fn go_to(&mut self, position: usize) -> Result<(), Damaged> {
        self.rest = self.all.get(position..).ok_or(Damaged)?;
        Ok(())
    }

    /// The first key of a run.
    fn first_of(&self, run: usize) -> Result<&'a [u8], Damaged> {
        let place = usize::from(u16::from_le_bytes(self.places[run]));
        let mut at = Entries {
            all: self.all,
            places: self.places,
            rest: self.all.get(place..).ok_or(Damaged)?,
            key: Vec::new(),
        };
        if at.number()? != 0 {
            return Err(Damaged);
        }
        let len = at.number()? as usize;
        at.bytes(len)
    }

    /// The last run whose first key is less than `key`, or equal to it; the
    /// first one if there is none.
    pub fn run_of(&self, key: &[u8]) -> Result<usize, Damaged> {
        let (mut low, mut high) = (0, self.places.len());
        while low < high {
            let middle = low + (high - low) / 2;
            if self.first_of(middle)? <= key {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        Ok(low.saturating_sub(1))
    }

    /// Goes to the first entry whose key is not less than `key`, which is to be
    /// read then.
    pub fn seek(
        &mut self,
        key: &[u8],
        skip: impl Fn(&mut Entries<'a>) -> Result<(), Damaged>,
    ) -> Result<(), Damaged> {
        let run = self.run_of(key)?;
        self.go_to_run(run)?;
        while !self.is_done() {
            let (rest, before) = (self.rest, self.key.len());
            let shared = self.number()? as usize;
            let len = self.number()? as usize;
            let bytes = self.bytes(len)?;
            if shared > before {
                return Err(Damaged);
            }
            // Compared before it is taken, so that the entry can be read again.
            let known = key.get(..shared).map(|start| self.key[..shared].cmp(start));
            let less = match known {
                Some(std::cmp::Ordering::Equal) => bytes < &key[shared..],
                Some(order) => order.is_lt(),
                None => self.key[..shared] < *key,
            };
            if !less {
                self.rest = rest;
                return Ok(());
            }
            self.key.truncate(shared);
            self.key.extend_from_slice(bytes);
            skip(self)?;
        }
        Ok(())
    }

    /// Goes to a key, whose payload is to be read then; false if it is not
    /// there. `skip` passes over the payload of another. The key itself is not
    /// kept.
    pub fn find(
        &mut self,
        wanted: &[u8],
        skip: impl Fn(&mut Entries<'a>) -> Result<(), Damaged>,
    ) -> Result<bool, Damaged> {
        let run = self.run_of(wanted)?;
        self.go_to_run(run)?;
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
                let more = shared_bytes(bytes, rest);
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

    /// Passes over the next key.
    #[inline]
    pub fn skip_key(&mut self) -> Result<(), Damaged> {
        self.number()?;
        let len = self.number()? as usize;
        self.bytes(len)?;
        Ok(())
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

    #[inline]
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
