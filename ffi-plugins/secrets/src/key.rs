//! Keys, and what is sealed under them.

use std::fmt;

use aes_gcm::aead::{Aead, KeyInit, Payload};
use aes_gcm::{Aes256Gcm, Nonce};
use hmac::{Hmac, Mac};
use mix_plugin_sdk::Failure;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

/// Bytes of a key.
pub const KEY: usize = 32;
/// First bytes of everything sealed: the format and its version.
const MAGIC: [u8; 4] = *b"MXS1";
const NONCE: usize = 12;
const TAG: usize = 16;
/// Magic and key id.
const HEADER: usize = 8;

/// A key of AES-256.
#[derive(Clone)]
pub struct Key(Zeroizing<[u8; KEY]>);

impl fmt::Debug for Key {
    /// Never shows what is inside.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(..)")
    }
}

/// What a sealed piece belongs to. It opens in the same place only.
#[derive(Debug, Clone, Copy)]
pub struct Context<'a> {
    /// What the piece is: another kind never opens as this one.
    pub kind: &'a str,
    /// Workspace, user, name: what applies.
    pub place: &'a [&'a str],
}

impl Context<'_> {
    /// Each part with its length, so that no two contexts have the same bytes.
    fn bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        for part in std::iter::once(&self.kind).chain(self.place) {
            bytes.extend((part.len() as u64).to_be_bytes());
            bytes.extend(part.as_bytes());
        }
        bytes
    }
}

/// Why something sealed does not open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Closed {
    /// Sealed under the key of this id.
    OtherKey(u32),
    /// Not as it was written.
    Damaged,
}

impl Key {
    /// A key that was made elsewhere.
    pub fn new(bytes: [u8; KEY]) -> Key {
        Key(Zeroizing::new(bytes))
    }

    /// A fresh key.
    pub fn random() -> Result<Key, Failure> {
        let mut bytes = [0; KEY];
        random(&mut bytes)?;
        Ok(Key::new(bytes))
    }

    /// The bytes, to be sealed or written to the file of the workspace key.
    pub fn bytes(&self) -> &[u8; KEY] {
        &self.0
    }

    /// Tells keys apart without telling them.
    pub fn id(&self) -> u32 {
        let digest = Sha256::new()
            .chain_update("mix secrets key id")
            .chain_update(self.bytes())
            .finalize();
        u32::from_be_bytes([digest[0], digest[1], digest[2], digest[3]])
    }

    /// A name for a file that reveals nothing of the text.
    pub fn hide(&self, purpose: &str, text: &str) -> String {
        // A key of its own for this use.
        let derived = Zeroizing::new(mac(self.bytes(), purpose.as_bytes()));
        hex(&mac(&*derived, text.as_bytes())[..20])
    }

    /// Encrypts under a fresh nonce and binds the result to its place.
    pub fn seal(&self, context: Context<'_>, text: &[u8]) -> Result<Vec<u8>, Failure> {
        let mut sealed = [&MAGIC[..], &self.id().to_be_bytes(), &[0; NONCE]].concat();
        random(&mut sealed[HEADER..])?;
        let additional = additional(&sealed[..HEADER], context);
        let payload = Payload {
            msg: text,
            aad: &additional,
        };
        let encrypted = self
            .cipher()
            .encrypt(Nonce::from_slice(&sealed[HEADER..]), payload)
            .map_err(|_| Failure::range("the value is too long"))?;
        sealed.extend(encrypted);
        Ok(sealed)
    }

    /// Undoes [`Key::seal`] in the same place.
    pub fn open(&self, context: Context<'_>, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, Closed> {
        if sealed.len() < HEADER + NONCE + TAG || sealed[..4] != MAGIC {
            return Err(Closed::Damaged);
        }
        let (header, rest) = sealed.split_at(HEADER);
        let id = u32::from_be_bytes([header[4], header[5], header[6], header[7]]);
        if id != self.id() {
            return Err(Closed::OtherKey(id));
        }
        let (nonce, encrypted) = rest.split_at(NONCE);
        let payload = Payload {
            msg: encrypted,
            aad: &additional(header, context),
        };
        self.cipher()
            .decrypt(Nonce::from_slice(nonce), payload)
            .map(Zeroizing::new)
            .map_err(|_| Closed::Damaged)
    }

    fn cipher(&self) -> Aes256Gcm {
        Aes256Gcm::new(self.bytes().into())
    }
}

fn additional(header: &[u8], context: Context<'_>) -> Vec<u8> {
    [header, &context.bytes()].concat()
}

fn mac(key: &[u8], text: &[u8]) -> [u8; 32] {
    // HMAC takes keys of any length.
    let mut mac = <Hmac<Sha256> as Mac>::new_from_slice(key).expect("a key of any length will do");
    mac.update(text);
    mac.finalize().into_bytes().into()
}

/// Bytes of the system's generator.
pub fn random(bytes: &mut [u8]) -> Result<(), Failure> {
    getrandom::getrandom(bytes)
        .map_err(|_| Failure::new("ERR_IO", "this host gives no random bytes"))
}

/// Two digits a byte.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: Context<'_> = Context {
        kind: "secret",
        place: &["local", "ada", "key"],
    };

    #[test]
    fn what_is_sealed_opens_in_its_place_only() {
        let key = Key::new([7; KEY]);
        let sealed = key.seal(HERE, b"text").unwrap();
        assert_eq!(*key.open(HERE, &sealed).unwrap(), b"text");
        assert_ne!(sealed, key.seal(HERE, b"text").unwrap());
        assert!(!sealed.windows(4).any(|four| four == b"text"));
        for place in [
            &["local", "ada", "kex"][..],
            &["local", "adak", "ey"],
            &["local", "ada"],
            &["other", "ada", "key"],
        ] {
            let elsewhere = Context { place, ..HERE };
            assert_eq!(key.open(elsewhere, &sealed), Err(Closed::Damaged));
        }
        let kind = Context {
            kind: "token",
            ..HERE
        };
        assert_eq!(key.open(kind, &sealed), Err(Closed::Damaged));
        let other = Key::new([8; KEY]);
        assert_eq!(other.open(HERE, &sealed), Err(Closed::OtherKey(key.id())));
    }

    #[test]
    fn every_flipped_bit_and_every_cut_is_noticed() {
        let key = Key::new([7; KEY]);
        let sealed = key.seal(HERE, b"text").unwrap();
        for bit in 0..sealed.len() * 8 {
            let mut broken = sealed.clone();
            broken[bit / 8] ^= 1 << (bit % 8);
            assert!(key.open(HERE, &broken).is_err(), "bit {bit}");
        }
        for length in 0..sealed.len() {
            assert!(key.open(HERE, &sealed[..length]).is_err(), "{length} bytes");
        }
    }

    #[test]
    fn nothing_shows_a_key() {
        let key = Key::new(*b"abcdefghijklmnopqrstuvwxyz012345");
        assert_eq!(format!("{key:?}"), "Key(..)");
        assert_ne!(key.hide("name", "a"), key.hide("name", "b"));
        assert_ne!(key.hide("name", "a"), key.hide("user", "a"));
        assert_eq!(key.hide("name", "a").len(), 40);
    }
}
