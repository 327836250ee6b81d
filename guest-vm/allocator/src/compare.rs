//! Comparing bytes, eight at a time.
//!
//! The C library of components compares byte by byte, which is several times slower where texts and
//! keys have more than a few bytes in common. In a component that has this crate, what compares
//! slices and strings ends up here: the linker takes the first definition it finds.

/// How two runs of bytes of the same length compare: less than zero, zero or more, as in C.
///
/// # Safety
///
/// There are `len` bytes to read at both places.
#[inline(always)]
unsafe fn compare(one: *const u8, other: *const u8, len: usize) -> i32 {
    // SAFETY: every read lies below `len`.
    unsafe {
        let word = |at: usize| order(read(one, at), read(other, at));
        let half = |at: usize| order(read_half(one, at), read_half(other, at));
        if len >= 8 {
            let mut at = 0;
            while at + 8 <= len {
                let found = word(at);
                if found != 0 {
                    return found;
                }
                at += 8;
            }
            // The last eight bytes once more: those of them that were compared are equal.
            return if at == len { 0 } else { word(len - 8) };
        }
        if len >= 4 {
            let found = half(0);
            return if found != 0 { found } else { half(len - 4) };
        }
        let mut at = 0;
        while at < len {
            let (a, b) = (*one.add(at), *other.add(at));
            if a != b {
                return i32::from(a) - i32::from(b);
            }
            at += 1;
        }
        0
    }
}

#[inline(always)]
fn order(one: u64, other: u64) -> i32 {
    i32::from(one > other) - i32::from(one < other)
}

/// Eight bytes as a number that sorts like them.
#[inline(always)]
unsafe fn read(bytes: *const u8, at: usize) -> u64 {
    // SAFETY: that of the caller.
    u64::from_be(unsafe { bytes.add(at).cast::<u64>().read_unaligned() })
}

/// Four bytes as such a number.
#[inline(always)]
unsafe fn read_half(bytes: *const u8, at: usize) -> u64 {
    // SAFETY: that of the caller.
    u32::from_be(unsafe { bytes.add(at).cast::<u32>().read_unaligned() }).into()
}

/// As in C.
#[cfg(target_arch = "wasm32")]
#[unsafe(no_mangle)]
#[inline(never)]
unsafe extern "C" fn memcmp(one: *const u8, other: *const u8, len: usize) -> i32 {
    // SAFETY: that of the caller.
    unsafe { compare(one, other, len) }
}

/// As in C: zero if all bytes are the same.
#[cfg(target_arch = "wasm32")]
#[unsafe(no_mangle)]
#[inline(never)]
unsafe extern "C" fn bcmp(one: *const u8, other: *const u8, len: usize) -> i32 {
    // SAFETY: that of the caller.
    unsafe { compare(one, other, len) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_compare_as_slices_do() {
        let bytes: Vec<u8> = (0..40_u32).map(|n| (n * 37 % 251) as u8).collect();
        for len in 0..bytes.len() {
            for start in 0..bytes.len() - len {
                let one = &bytes[start..start + len];
                let mut other = one.to_vec();
                // SAFETY: both have that length.
                assert_eq!(unsafe { compare(one.as_ptr(), other.as_ptr(), len) }, 0);
                for at in 0..len {
                    for byte in [0, 1, 0x7f, 0x80, 0xff, one[at].wrapping_add(1)] {
                        other[at] = byte;
                        // What follows the first difference does not count.
                        for behind in [0, 0xff] {
                            if let Some(next) = other.get_mut(at + 1) {
                                *next = behind;
                            }
                            // SAFETY: as above.
                            let found = unsafe { compare(one.as_ptr(), other.as_ptr(), len) };
                            assert_eq!(found.cmp(&0), one.cmp(&other), "{one:?} {other:?}");
                        }
                    }
                    other.copy_from_slice(one);
                }
            }
        }
    }
}
