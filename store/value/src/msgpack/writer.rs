//! Event writer.

use super::{
    EXT_BIGINT, EXT_CASE, EXT_HANDLE, EXT_REF, EXT_TOKEN, EXT_UNDEFINED, EncodeError, NAN_BITS,
    TOKEN_REFERENCE, TOKEN_SEALED,
};
use crate::{BigInt, Token};

/// Appends values to a buffer, event by event, always in the shortest form.
///
/// The caller writes exactly as many elements as it announced, and map keys
/// as strings, each once, in ascending byte order.
pub struct Writer<'a> {
    out: &'a mut Vec<u8>,
}

/// Place of a case that is being written; given back to [`Writer::case_end`].
#[must_use = "a case is complete only after case_end"]
pub struct OpenCase {
    start: usize,
}

impl<'a> Writer<'a> {
    /// Appends to `out`.
    pub fn new(out: &'a mut Vec<u8>) -> Writer<'a> {
        Writer { out }
    }

    /// Bytes in the buffer so far.
    pub fn position(&self) -> usize {
        self.out.len()
    }

    /// Writes undefined.
    pub fn undefined(&mut self) {
        self.out.extend([0xc7, 0, EXT_UNDEFINED]);
    }

    /// Writes null.
    pub fn null(&mut self) {
        self.out.push(0xc0);
    }

    /// Writes a bool.
    pub fn bool(&mut self, b: bool) {
        self.out.push(if b { 0xc3 } else { 0xc2 });
    }

    /// Writes an int.
    pub fn int(&mut self, i: i64) {
        let out = &mut *self.out;
        match i {
            0..=0x7f => out.push(i as u8),
            -32..=-1 => out.push(i as i8 as u8),
            0x80..=0xff => out.extend([0xcc, i as u8]),
            0x100..=0xffff => tagged(out, 0xcd, (i as u16).to_be_bytes()),
            0x1_0000..=0xffff_ffff => tagged(out, 0xce, (i as u32).to_be_bytes()),
            0x1_0000_0000.. => tagged(out, 0xcf, i.to_be_bytes()),
            -0x80..=-33 => out.extend([0xd0, i as i8 as u8]),
            -0x8000..=-0x81 => tagged(out, 0xd1, (i as i16).to_be_bytes()),
            -0x8000_0000..=-0x8001 => tagged(out, 0xd2, (i as i32).to_be_bytes()),
            _ => tagged(out, 0xd3, i.to_be_bytes()),
        }
    }

    /// Writes a float, also when it is integral.
    pub fn float(&mut self, f: f64) {
        let bits = if f.is_nan() { NAN_BITS } else { f.to_bits() };
        tagged(self.out, 0xcb, bits.to_be_bytes());
    }

    /// Writes an integer beyond 64 bits.
    pub fn big_int(&mut self, big: &BigInt) {
        let bytes = big.to_signed_bytes();
        // At most 4096 bytes, so the length always fits.
        ext_header(self.out, EXT_BIGINT, bytes.len() as u32);
        self.out.extend_from_slice(&bytes);
    }

    /// Writes a string.
    pub fn str(&mut self, text: &str) -> Result<(), EncodeError> {
        let len = length(text.len())?;
        let out = &mut *self.out;
        match len {
            0..=31 => out.push(0xa0 | len as u8),
            32..=0xff => out.extend([0xd9, len as u8]),
            0x100..=0xffff => tagged(out, 0xda, (len as u16).to_be_bytes()),
            _ => tagged(out, 0xdb, len.to_be_bytes()),
        }
        out.extend_from_slice(text.as_bytes());
        Ok(())
    }

    /// Writes a binary.
    pub fn bin(&mut self, bytes: &[u8]) -> Result<(), EncodeError> {
        let len = length(bytes.len())?;
        let out = &mut *self.out;
        match len {
            0..=0xff => out.extend([0xc4, len as u8]),
            0x100..=0xffff => tagged(out, 0xc5, (len as u16).to_be_bytes()),
            _ => tagged(out, 0xc6, len.to_be_bytes()),
        }
        out.extend_from_slice(bytes);
        Ok(())
    }

    /// Begins an array; `len` values follow.
    pub fn array(&mut self, len: usize) -> Result<(), EncodeError> {
        let len = length(len)?;
        match len {
            0..=15 => self.out.push(0x90 | len as u8),
            16..=0xffff => tagged(self.out, 0xdc, (len as u16).to_be_bytes()),
            _ => tagged(self.out, 0xdd, len.to_be_bytes()),
        }
        Ok(())
    }

    /// Begins a map; `len` pairs of key string and value follow.
    pub fn map(&mut self, len: usize) -> Result<(), EncodeError> {
        let len = length(len)?;
        match len {
            0..=15 => self.out.push(0x80 | len as u8),
            16..=0xffff => tagged(self.out, 0xde, (len as u16).to_be_bytes()),
            _ => tagged(self.out, 0xdf, len.to_be_bytes()),
        }
        Ok(())
    }

    /// Writes a ref of 1 to 256 bytes.
    pub fn ref_(&mut self, id: &str) -> Result<(), EncodeError> {
        ext_header(self.out, EXT_REF, length(id.len())?);
        self.out.extend_from_slice(id.as_bytes());
        Ok(())
    }

    /// Writes a handle.
    pub fn handle(&mut self, handle: u64) {
        ext_header(self.out, EXT_HANDLE, 8);
        self.out.extend(handle.to_be_bytes());
    }

    /// Writes a token.
    pub fn token(&mut self, token: &Token) -> Result<(), EncodeError> {
        match token {
            Token::Sealed(body) => {
                ext_header(self.out, EXT_TOKEN, length(body.len().saturating_add(1))?);
                self.out.push(TOKEN_SEALED);
                self.out.extend_from_slice(body);
            }
            Token::Reference(number) => {
                ext_header(self.out, EXT_TOKEN, 9);
                self.out.push(TOKEN_REFERENCE);
                self.out.extend(number.to_be_bytes());
            }
        }
        Ok(())
    }

    /// Begins a case. The argument, if there is one, is written next, then
    /// [`Writer::case_end`] is called with the result.
    pub fn case_begin(&mut self, name: &str) -> Result<OpenCase, EncodeError> {
        let start = self.out.len();
        self.str(name)?;
        Ok(OpenCase { start })
    }

    /// Ends a case: puts the header, whose size depends on what was written,
    /// before its payload.
    pub fn case_end(&mut self, case: OpenCase) -> Result<(), EncodeError> {
        let payload = length(self.out.len() - case.start)?;
        let (header, len) = ext_bytes(EXT_CASE, payload);
        self.out
            .splice(case.start..case.start, header.into_iter().take(len));
        Ok(())
    }

    /// Appends a value that is already encoded.
    pub fn raw(&mut self, encoded: &[u8]) {
        self.out.extend_from_slice(encoded);
    }
}

fn length(len: usize) -> Result<u32, EncodeError> {
    u32::try_from(len).map_err(|_| EncodeError::TooLarge)
}

fn tagged<const N: usize>(out: &mut Vec<u8>, tag: u8, bytes: [u8; N]) {
    out.push(tag);
    out.extend(bytes);
}

fn ext_header(out: &mut Vec<u8>, kind: u8, len: u32) {
    let (header, used) = ext_bytes(kind, len);
    out.extend_from_slice(&header[..used]);
}

/// The shortest header of an extension, and how many of its bytes count.
fn ext_bytes(kind: u8, len: u32) -> ([u8; 6], usize) {
    let [_, _, hi, lo] = len.to_be_bytes();
    match len {
        1 => ([0xd4, kind, 0, 0, 0, 0], 2),
        2 => ([0xd5, kind, 0, 0, 0, 0], 2),
        4 => ([0xd6, kind, 0, 0, 0, 0], 2),
        8 => ([0xd7, kind, 0, 0, 0, 0], 2),
        16 => ([0xd8, kind, 0, 0, 0, 0], 2),
        0..=0xff => ([0xc7, lo, kind, 0, 0, 0], 3),
        0x100..=0xffff => ([0xc8, hi, lo, kind, 0, 0], 4),
        _ => {
            let [b0, b1, b2, b3] = len.to_be_bytes();
            ([0xc9, b0, b1, b2, b3, kind], 6)
        }
    }
}
