//! Tells of most ids that a segment does not have them, so that looking for a
//! record does not read a block of every segment.
//!
//! ```text
//! filter = pages of 4096 bytes, each followed by its CRC-32C
//! page   = 64 groups of 512 bits
//! ```
//!
//! The hash of a term picks a group and sets six bits in it.

use super::block::SUM;

/// Bytes of a page, without its checksum.
pub(super) const PAGE: usize = 4096;
/// Bytes of a page in the file.
pub(super) const STRIDE: u64 = (PAGE + SUM) as u64;
/// Pages that are read and kept together.
pub(super) const CHUNK: usize = 8;
/// Bits for each term.
const BITS: usize = 10;
const GROUP: usize = 64;
const PROBES: usize = 6;

/// The hash of a term.
pub(crate) fn hash(term: &[u8]) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64 ^ term.len() as u64;
    for eight in term.chunks(8) {
        let mut word = [0; 8];
        word[..eight.len()].copy_from_slice(eight);
        hash =
            (hash.rotate_left(23) ^ u64::from_le_bytes(word)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
    hash ^= hash >> 32;
    hash.wrapping_mul(0xd6e8_feb8_6659_fd93)
}

/// The pages of the filter over some hashes.
pub(super) fn build(hashes: &[u64]) -> Vec<u8> {
    let pages = (hashes.len() * BITS).div_ceil(PAGE * 8);
    let mut bytes = vec![0; pages * PAGE];
    for hash in hashes {
        let (page, group) = place(*hash, pages);
        let group = &mut bytes[page * PAGE + group * GROUP..][..GROUP];
        for bit in bits(*hash) {
            group[bit / 8] |= 1 << (bit % 8);
        }
    }
    bytes
}

/// The page of a hash, of so many, and its group there.
pub(super) fn place(hash: u64, pages: usize) -> (usize, usize) {
    // The upper half picks the page, so the product stays far below 2^64.
    let page = ((hash >> 32) * pages as u64) >> 32;
    (page as usize, (hash >> 26) as usize % (PAGE / GROUP))
}

/// Whether a term with this hash may be there, by its page.
pub(super) fn may_have(page: &[u8], group: usize, hash: u64) -> bool {
    let Some(group) = page.get(group * GROUP..).and_then(|rest| rest.get(..GROUP)) else {
        return true;
    };
    bits(hash).all(|bit| group[bit / 8] & 1 << (bit % 8) != 0)
}

/// Six places in a group, nine bits each.
fn bits(hash: u64) -> impl Iterator<Item = usize> {
    let mixed = (hash ^ hash >> 29).wrapping_mul(0xa24b_aed4_963e_e407);
    let mixed = mixed ^ mixed >> 32;
    (0..PROBES).map(move |n| (mixed >> (9 * n)) as usize % (GROUP * 8))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_there_is_never_missed_and_most_else_is() {
        for count in [1, 100, 50_000] {
            let of = |number: u64| hash(&number.to_be_bytes());
            let hashes: Vec<u64> = (0..count).map(of).collect();
            let bytes = build(&hashes);
            let pages = bytes.len() / PAGE;
            let seen = |hash: u64| {
                let (page, group) = place(hash, pages);
                may_have(&bytes[page * PAGE..][..PAGE], group, hash)
            };
            assert!(hashes.iter().all(|hash| seen(*hash)));
            let wrong = (count..count + 50_000).filter(|n| seen(of(*n))).count();
            assert!(wrong < 50_000 / 20, "{wrong} of 50000 beside {count}");
        }
    }
}
