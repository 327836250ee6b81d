//! Ids, revisions and generations: random characters of `[0-9A-Za-z]`.

use crate::error::{Result, StoreError};

const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// An id or rev as the tables hold it.
pub(crate) type Id = [u8; 32];

/// Draws `N` characters uniformly from a cryptographic generator.
pub(crate) fn draw<const N: usize>() -> Result<[u8; N]> {
    Drawer::new(2).draw()
}

/// Draws many ids with few calls to the generator.
#[derive(Default)]
pub(crate) struct Drawer {
    random: Vec<u8>,
}

impl Drawer {
    /// So many random bytes are fetched at most at once.
    const MOST: usize = 4096;

    /// A drawer that is going to draw about `ids` ids.
    pub fn new(ids: usize) -> Drawer {
        Drawer {
            // An id takes 33 bytes on average.
            random: Vec::with_capacity(ids.saturating_mul(40).clamp(64, Drawer::MOST)),
        }
    }

    /// As [`draw`].
    pub fn draw<const N: usize>(&mut self) -> Result<[u8; N]> {
        let mut drawn = [0_u8; N];
        let mut filled = 0;
        while filled < N {
            if self.random.is_empty() {
                self.random.resize(self.random.capacity().max(64), 0);
                fill(&mut self.random)?;
            }
            while filled < N
                && let Some(byte) = self.random.pop()
            {
                if let Some(character) = character(byte) {
                    drawn[filled] = character;
                    filled += 1;
                }
            }
        }
        Ok(drawn)
    }
}

fn fill(bytes: &mut [u8]) -> Result<()> {
    getrandom::fill(bytes).map_err(|error| StoreError::Io {
        doing: "drawing a random id".into(),
        source: std::io::Error::other(error.to_string()),
    })
}

/// The character a random byte stands for.
fn character(byte: u8) -> Option<u8> {
    // 248 = 4 * 62: bytes above would make some characters more likely.
    (byte < 248).then(|| ALPHABET[usize::from(byte % 62)])
}

/// The bytes of a well-formed ref; none for a temporary one.
pub(crate) fn id_of(text: &str) -> Option<Id> {
    let bytes: Id = text.as_bytes().try_into().ok()?;
    // All of them are looked at, which takes fewer steps than to stop at the first bad one.
    let well_formed = bytes
        .iter()
        .fold(true, |all, byte| all & byte.is_ascii_alphanumeric());
    well_formed.then_some(bytes)
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
        let mut drawer = Drawer::new(3);
        let drawn: std::collections::HashSet<Id> =
            (0..1000).map(|_| drawer.draw().expect("random")).collect();
        assert_eq!(drawn.len(), 1000);
        assert!(drawn.iter().all(|id| id_of(text_of(id)) == Some(*id)));
        assert_eq!(id_of(text_of(&a)), Some(a));
        assert_eq!(id_of("p"), None);
        assert_eq!(id_of("aB3dE5gH7jK9mN1pQ3sT5vW7yZ9bC1d-"), None);
    }
}
