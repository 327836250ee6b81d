//! Ids, revisions and generations: random characters of `[0-9A-Za-z]`.

use crate::error::{Result, StoreError};

const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// An id or rev as the tables hold it.
pub(crate) type Id = [u8; 32];

/// Draws `N` characters uniformly from a cryptographic generator.
pub(crate) fn draw<const N: usize>() -> Result<[u8; N]> {
    let mut drawn = [0_u8; N];
    let mut filled = 0;
    let mut random = [0_u8; 64];
    while filled < N {
        getrandom::fill(&mut random).map_err(|error| StoreError::Io {
            doing: "drawing a random id".into(),
            source: std::io::Error::other(error.to_string()),
        })?;
        // 248 = 4 * 62: bytes above would make some characters more likely.
        for byte in random.iter().filter(|byte| **byte < 248) {
            if filled == N {
                break;
            }
            drawn[filled] = ALPHABET[usize::from(byte % 62)];
            filled += 1;
        }
    }
    Ok(drawn)
}

/// The bytes of a well-formed ref; none for a temporary one.
pub(crate) fn id_of(text: &str) -> Option<Id> {
    let bytes: Id = text.as_bytes().try_into().ok()?;
    bytes.iter().all(u8::is_ascii_alphanumeric).then_some(bytes)
}

/// The text of drawn characters.
pub(crate) fn text_of(bytes: &[u8]) -> &str {
    // Drawn or checked characters are ASCII; the fallback is never reached.
    std::str::from_utf8(bytes).unwrap_or("")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_are_well_formed_and_differ() {
        let (a, b): (Id, Id) = (draw().expect("random"), draw().expect("random"));
        assert_ne!(a, b);
        assert_eq!(id_of(text_of(&a)), Some(a));
        assert_eq!(id_of("p"), None);
        assert_eq!(id_of("aB3dE5gH7jK9mN1pQ3sT5vW7yZ9bC1d-"), None);
    }
}
