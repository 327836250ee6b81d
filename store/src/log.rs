//! The write log: a header and one frame for each commit.

use crate::error::{Result, StoreError};

pub(crate) const HEADER_LEN: usize = 56;
const FRAME_HEAD: usize = 48;
const HEADER_MAGIC: [u8; 4] = *b"MXWL";
const FRAME_MAGIC: [u8; 4] = *b"MXWF";
const FORMAT: u32 = 2;
/// Longest body of a frame.
pub(crate) const MAX_BODY: usize = 64 << 20;
/// The log takes part in a folder swap.
pub(crate) const SWAP: u32 = 1;

/// No fence and no commit has a number so high: what claims to is no frame and no log of the store.
pub(crate) const NO_NUMBER: u64 = 1 << 53;

/// Name of the log at a fence.
pub(crate) fn log_name(fence: u64) -> String {
    format!("write.log.{fence}")
}

/// Header of a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Header {
    pub fence: u64,
    pub previous: u64,
    /// Last sequence taken over from the log of the previous fence.
    pub seal: u64,
    /// Sequence before the first frame.
    pub base: u64,
    pub generation: [u8; 8],
    pub flags: u32,
}

impl Header {
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(HEADER_LEN);
        out.extend(HEADER_MAGIC);
        out.extend(FORMAT.to_le_bytes());
        for field in [self.fence, self.previous, self.seal, self.base] {
            out.extend(field.to_le_bytes());
        }
        out.extend(self.generation);
        out.extend(self.flags.to_le_bytes());
        out.extend(crc32c::crc32c(&out).to_le_bytes());
        out
    }

    pub fn decode(bytes: &[u8]) -> Result<Header> {
        let damaged = || StoreError::Corrupt("the header of the write log is damaged".into());
        let bytes: &[u8; HEADER_LEN] = bytes.first_chunk().ok_or_else(damaged)?;
        if bytes[..4] != HEADER_MAGIC || crc32c::crc32c(&bytes[..52]) != u32_at(bytes, 52) {
            return Err(damaged());
        }
        if u32_at(bytes, 4) != FORMAT {
            return Err(StoreError::UnsupportedFormat(format!(
                "{} of the write log",
                u32_at(bytes, 4)
            )));
        }
        let mut generation = [0; 8];
        generation.copy_from_slice(&bytes[40..48]);
        if !generation.iter().all(u8::is_ascii_alphanumeric) {
            return Err(damaged());
        }
        let [fence, previous, seal, base] = [8, 16, 24, 32].map(|at| u64_at(bytes, at));
        if [fence, previous, seal, base]
            .iter()
            .any(|number| *number >= NO_NUMBER)
        {
            return Err(damaged());
        }
        Ok(Header {
            fence,
            previous,
            seal,
            base,
            generation,
            flags: u32_at(bytes, 48),
        })
    }
}

/// What a frame does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FrameKind {
    Append,
    Flags,
}

/// One commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Frame<'a> {
    pub kind: FrameKind,
    pub fence: u64,
    pub sequence: u64,
    pub durable: u64,
    pub first_row: u64,
    pub count: u32,
    pub body: &'a [u8],
}

impl<'a> Frame<'a> {
    /// Bytes of the frame on disk.
    pub fn len(&self) -> usize {
        FRAME_HEAD + self.body.len() + 4
    }

    pub fn encode_into(&self, out: &mut Vec<u8>) {
        let start = out.len();
        out.extend(FRAME_MAGIC);
        out.extend([if self.kind == FrameKind::Append { 1 } else { 2 }, 0, 0, 0]);
        for field in [self.fence, self.sequence, self.durable, self.first_row] {
            out.extend(field.to_le_bytes());
        }
        out.extend(self.count.to_le_bytes());
        // Bodies are limited to MAX_BODY before they come here.
        out.extend((self.body.len() as u32).to_le_bytes());
        out.extend_from_slice(self.body);
        let crc = crc32c::crc32c(&out[start..]);
        out.extend(crc.to_le_bytes());
    }

    /// The frame at the start of `bytes`, if a complete and correct one is there.
    pub fn decode(bytes: &'a [u8]) -> Option<Frame<'a>> {
        let head: &[u8; FRAME_HEAD] = bytes.first_chunk()?;
        let kind = match head[4] {
            1 => FrameKind::Append,
            2 => FrameKind::Flags,
            _ => return None,
        };
        let body_len = u32_at(head, 44) as usize;
        if head[..4] != FRAME_MAGIC || head[5..8] != [0; 3] || body_len > MAX_BODY {
            return None;
        }
        let whole = bytes.get(..FRAME_HEAD + body_len + 4)?;
        let (checked, crc) = whole.split_at(FRAME_HEAD + body_len);
        if crc32c::crc32c(checked) != u32_at(crc, 0) {
            return None;
        }
        let [fence, sequence, durable] = [8, 16, 24].map(|at| u64_at(head, at));
        if [fence, sequence, durable]
            .iter()
            .any(|number| *number >= NO_NUMBER)
        {
            return None;
        }
        Some(Frame {
            kind,
            fence,
            sequence,
            durable,
            first_row: u64_at(head, 32),
            count: u32_at(head, 40),
            body: &checked[FRAME_HEAD..],
        })
    }
}

/// The frames of a log up to its end, which is either the end of the bytes or
/// a torn tail.
pub(crate) struct Frames<'a> {
    pub frames: Vec<Frame<'a>>,
    /// Bytes of good frames.
    pub end: usize,
}

/// Reads the frames that follow commit `base`.
///
/// The first place without the right frame is a torn tail, unless a frame
/// behind it shows that the missing one had been acknowledged, or the seal in
/// the header says so.
pub(crate) fn read_frames<'a>(bytes: &'a [u8], base: u64, header: &Header) -> Result<Frames<'a>> {
    let mut frames = Vec::new();
    let mut position = 0;
    let mut expected = base + 1;
    let mut fence = 0;
    while position < bytes.len() {
        let found = Frame::decode(&bytes[position..]).filter(|frame| {
            frame.sequence == expected && frame.fence >= fence && frame.fence <= header.fence
        });
        let Some(frame) = found else { break };
        fence = frame.fence;
        position += frame.len();
        expected += 1;
        frames.push(frame);
    }
    if expected <= header.seal || acknowledged_later(&bytes[position..], expected, header.fence) {
        return Err(StoreError::Corrupt(format!(
            "commit {expected} is damaged in the write log"
        )));
    }
    Ok(Frames {
        frames,
        end: position,
    })
}

/// True if a valid frame somewhere in `bytes` knows that commit `sequence` was
/// durable.
///
/// Bytes that merely look like a frame can be anything, also what a user
/// stored. So a frame must fit what could have followed the missing one, and
/// the work is bounded: a tail that takes too much of it counts as damaged.
fn acknowledged_later(bytes: &[u8], sequence: u64, fence: u64) -> bool {
    let mut rest = bytes;
    let mut budget = bytes.len().saturating_mul(64);
    while let Some(at) = rest.windows(4).position(|window| window == FRAME_MAGIC) {
        rest = &rest[at..];
        if let Some(claimed) = claims(rest, sequence, fence, bytes.len()) {
            budget = match budget.checked_sub(claimed) {
                Some(left) => left,
                None => return true,
            };
            if Frame::decode(rest).is_some() {
                return true;
            }
        }
        rest = &rest[1..];
    }
    false
}

/// The length of what claims to be a later frame at the start of `bytes`, if
/// the claim is possible.
fn claims(bytes: &[u8], missing: u64, fence: u64, tail: usize) -> Option<usize> {
    let head: &[u8; FRAME_HEAD] = bytes.first_chunk()?;
    let (sequence, durable) = (u64_at(head, 16), u64_at(head, 24));
    let len = (u32_at(head, 44) as usize).checked_add(FRAME_HEAD + 4)?;
    // No more frames can lie between than the tail has room for.
    let between = (tail / (FRAME_HEAD + 4)) as u64;
    let possible = u64_at(head, 8) <= fence
        && sequence > missing
        && sequence - missing <= between
        && durable >= missing
        && durable < sequence
        && len <= bytes.len();
    possible.then_some(len)
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    let mut field = [0; 4];
    field.copy_from_slice(&bytes[at..at + 4]);
    u32::from_le_bytes(field)
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    let mut field = [0; 8];
    field.copy_from_slice(&bytes[at..at + 8]);
    u64::from_le_bytes(field)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BODY: [u8; 14] = [
        4, 0x81, 0xa1, 0x61, 1, 8, 0x82, 0xa1, 0x61, 0xa1, 0x62, 0xa1, 0x63, 0xc0,
    ];

    fn frame(sequence: u64, durable: u64) -> Frame<'static> {
        Frame {
            kind: FrameKind::Append,
            fence: 1,
            sequence,
            durable,
            first_row: 0,
            count: 2,
            body: &BODY,
        }
    }

    fn header() -> Header {
        Header {
            fence: 1,
            previous: 0,
            seal: 0,
            base: 0,
            generation: *b"k3f9a0Zq",
            flags: 0,
        }
    }

    #[test]
    fn the_example_frame() {
        let mut out = Vec::new();
        frame(1, 0).encode_into(&mut out);
        let mut expected = vec![
            0x4d, 0x58, 0x57, 0x46, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0,
        ];
        expected.extend([0; 16]);
        expected.extend([2, 0, 0, 0, 14, 0, 0, 0]);
        expected.extend(BODY);
        expected.extend([0x30, 0xcf, 0xdc, 0x8a]);
        assert_eq!(out, expected);
        assert_eq!(Frame::decode(&out), Some(frame(1, 0)));
    }

    #[test]
    fn headers_round_trip_and_are_checked() {
        let bytes = header().encode();
        assert_eq!(bytes.len(), HEADER_LEN);
        assert_eq!(Header::decode(&bytes).expect("valid"), header());
        for at in 0..bytes.len() {
            let mut bad = bytes.clone();
            bad[at] ^= 1;
            assert!(Header::decode(&bad).is_err(), "byte {at}");
        }
    }

    #[test]
    fn numbers_beyond_all_commits_are_refused() {
        let far = [NO_NUMBER, i64::MAX as u64, u64::MAX];
        for number in far {
            let good = header();
            for bad in [
                Header {
                    fence: number,
                    ..good
                },
                Header {
                    previous: number,
                    ..good
                },
                Header {
                    seal: number,
                    ..good
                },
                Header {
                    base: number,
                    ..good
                },
            ] {
                assert!(Header::decode(&bad.encode()).is_err(), "{bad:?}");
            }
            let good = frame(1, 0);
            for bad in [
                Frame {
                    fence: number,
                    ..good.clone()
                },
                Frame {
                    sequence: number,
                    ..good.clone()
                },
                Frame {
                    durable: number,
                    ..good.clone()
                },
            ] {
                let mut bytes = Vec::new();
                bad.encode_into(&mut bytes);
                assert_eq!(Frame::decode(&bytes), None, "{bad:?}");
            }
        }
        let highest = Header {
            base: NO_NUMBER - 1,
            ..header()
        };
        let read = read_frames(&[], highest.base, &highest).expect("no frames");
        assert_eq!(read.frames.len(), 0);
    }

    #[test]
    fn torn_tails_are_cut_and_damage_is_reported() {
        let mut bytes = Vec::new();
        let mut ends = vec![0];
        for sequence in 1..=3 {
            frame(sequence, sequence - 1).encode_into(&mut bytes);
            ends.push(bytes.len());
        }
        for cut in 0..=bytes.len() {
            let read = read_frames(&bytes[..cut], 0, &header()).expect("a torn tail is no damage");
            let whole = ends.iter().filter(|end| **end <= cut).count() - 1;
            assert_eq!((read.frames.len(), read.end), (whole, ends[whole]));
        }
        // The third frame knows that the first two were durable.
        for at in ends[0]..ends[2] {
            let mut bad = bytes.clone();
            bad[at] ^= 0x40;
            assert!(read_frames(&bad, 0, &header()).is_err(), "byte {at}");
        }
        for at in ends[2]..ends[3] {
            let mut bad = bytes.clone();
            bad[at] ^= 0x40;
            assert_eq!(
                read_frames(&bad, 0, &header()).expect("tail").frames.len(),
                2,
                "byte {at}"
            );
        }
        let sealed = Header {
            seal: 3,
            ..header()
        };
        assert!(read_frames(&bytes[..ends[2]], 0, &sealed).is_err());
    }
}
