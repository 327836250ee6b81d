//! Varcode: unsigned LEB128, at most 10 bytes, minimal length required.

/// Why bytes are no varcode.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum VarcodeError {
    /// The input ends inside the number.
    #[error("varcode is cut off")]
    Truncated,
    /// Longer than necessary, or beyond 64 bits.
    #[error("malformed varcode")]
    Malformed,
}

/// Appends a number.
pub fn write(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// Bytes a number takes.
pub fn len(number: u64) -> usize {
    (64 - (number | 1).leading_zeros() as usize).div_ceil(7)
}

/// Reads a number at the start of `input`; gives it and its length.
pub fn read(input: &[u8]) -> Result<(u64, usize), VarcodeError> {
    let mut number = 0_u64;
    for (index, byte) in input.iter().take(10).enumerate() {
        let group = u64::from(byte & 0x7f);
        if index == 9 && group > 1 {
            return Err(VarcodeError::Malformed);
        }
        number |= group << (7 * index);
        if byte & 0x80 == 0 {
            if *byte == 0 && index > 0 {
                return Err(VarcodeError::Malformed);
            }
            return Ok((number, index + 1));
        }
    }
    if input.len() >= 10 {
        Err(VarcodeError::Malformed)
    } else {
        Err(VarcodeError::Truncated)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_and_reads_the_examples() {
        let mut max = vec![0xff; 9];
        max.push(1);
        for (number, bytes) in [
            (0, vec![0]),
            (127, vec![0x7f]),
            (128, vec![0x80, 1]),
            (300, vec![0xac, 2]),
            (16383, vec![0xff, 0x7f]),
            (16384, vec![0x80, 0x80, 1]),
            (u64::from(u32::MAX), vec![0xff, 0xff, 0xff, 0xff, 0x0f]),
            (u64::MAX, max),
        ] {
            let mut out = Vec::new();
            write(&mut out, number);
            assert_eq!(out, bytes);
            assert_eq!(len(number), bytes.len());
            assert_eq!(read(&bytes), Ok((number, bytes.len())));
            assert_eq!(
                read(&bytes[..bytes.len() - 1]),
                Err(VarcodeError::Truncated)
            );
        }
    }

    #[test]
    fn refuses_what_is_not_minimal() {
        assert_eq!(read(&[0x80, 0]), Err(VarcodeError::Malformed));
        assert_eq!(read(&[0xff; 11]), Err(VarcodeError::Malformed));
        let mut beyond = vec![0xff; 9];
        beyond.push(2);
        assert_eq!(read(&beyond), Err(VarcodeError::Malformed));
    }
}
