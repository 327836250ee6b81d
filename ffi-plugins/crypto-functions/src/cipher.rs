//! AES-256-GCM. Encrypted text is: 12 bytes random nonce, encrypted bytes, 16 bytes tag.

use aes_gcm::aead::{Aead, KeyInit, Payload};
use aes_gcm::{Aes256Gcm, Nonce};
use mix_plugin_sdk::{Bytes, Failure};

const NONCE: usize = 12;
const TAG: usize = 16;

fn cipher(key: &[u8]) -> Result<Aes256Gcm, Failure> {
    Aes256Gcm::new_from_slice(key).map_err(|_| {
        Failure::new(
            "ERR_CRYPTO",
            format!("the key must have 32 bytes, not {}", key.len()),
        )
    })
}

/// Encrypts under a fresh nonce.
pub fn encrypt(key: Bytes, additional: Bytes, text: Bytes) -> Result<Vec<u8>, Failure> {
    let mut nonce = [0; NONCE];
    crate::random::fill(&mut nonce)?;
    seal(&key, nonce, &additional, &text)
}

fn seal(
    key: &[u8],
    nonce: [u8; NONCE],
    additional: &[u8],
    text: &[u8],
) -> Result<Vec<u8>, Failure> {
    let sealed = cipher(key)?
        .encrypt(
            Nonce::from_slice(&nonce),
            Payload {
                msg: text,
                aad: additional,
            },
        )
        .map_err(|_| Failure::new("ERR_CRYPTO", "the text is too long to encrypt"))?;
    Ok([&nonce[..], &sealed].concat())
}

/// Decrypts and checks. A failed check says no more than that.
pub fn decrypt(key: Bytes, additional: Bytes, sealed: Bytes) -> Result<Vec<u8>, Failure> {
    let cipher = cipher(&key)?;
    if sealed.len() < NONCE + TAG {
        return Err(rejected());
    }
    let (nonce, text) = sealed.split_at(NONCE);
    cipher
        .decrypt(
            Nonce::from_slice(nonce),
            Payload {
                msg: text,
                aad: &additional,
            },
        )
        .map_err(|_| rejected())
}

fn rejected() -> Failure {
    Failure::new("ERR_CRYPTO", "decryption failed")
}

#[cfg(test)]
mod tests {
    use hex_literal::hex;

    use super::*;

    /// Test cases 13 to 16 of the GCM submission to NIST (McGrew and Viega).
    #[test]
    fn gcm_vectors() {
        let zero = [0; 32];
        assert_eq!(
            seal(&zero, [0; 12], b"", b"").unwrap()[12..],
            hex!("530f8afbc74536b9a963b4f1c4cb738b")
        );
        assert_eq!(
            seal(&zero, [0; 12], b"", &[0; 16]).unwrap()[12..],
            hex!("cea7403d4d606b6e074ec5d3baf39d18d0d1c8a799996bf0265b98b5d48ab919")
        );
        let key = hex!("feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308");
        let nonce = hex!("cafebabefacedbaddecaf888");
        let text = hex!(
            "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72
             1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b391aafd255"
        );
        let sealed = hex!(
            "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa
             8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662898015ad"
        );
        let got = seal(&key, nonce, b"", &text).unwrap();
        assert_eq!(got[12..76], sealed);
        assert_eq!(got[76..], hex!("b094dac5d93471bdec1a502270e3cc6c"));
        let additional = hex!("feedfacedeadbeeffeedfacedeadbeefabaddad2");
        let got = seal(&key, nonce, &additional, &text[..60]).unwrap();
        assert_eq!(got[12..72], sealed[..60]);
        assert_eq!(got[72..], hex!("76fc6ece0f4e1768cddf8853bb2d551b"));
    }

    #[test]
    fn round_trips_with_a_fresh_nonce() {
        let key: Bytes = [7; 32].into();
        let first = encrypt(key.clone(), b"aad"[..].into(), b"text"[..].into()).unwrap();
        let second = encrypt(key.clone(), b"aad"[..].into(), b"text"[..].into()).unwrap();
        assert_eq!(first.len(), 12 + 4 + 16);
        assert_ne!(first, second);
        assert_eq!(
            decrypt(key, b"aad"[..].into(), first.into()).unwrap(),
            b"text"
        );
    }

    #[test]
    fn every_flipped_bit_is_noticed() {
        let key: Bytes = [7; 32].into();
        let sealed = encrypt(key.clone(), b"aad"[..].into(), b"text"[..].into()).unwrap();
        for bit in 0..sealed.len() * 8 {
            let mut broken = sealed.clone();
            broken[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(
                decrypt(key.clone(), b"aad"[..].into(), broken.into()),
                Err(rejected())
            );
        }
        assert_eq!(
            decrypt(key.clone(), b"aae"[..].into(), sealed.clone().into()),
            Err(rejected())
        );
        assert_eq!(
            decrypt([8; 32].into(), b"aad"[..].into(), sealed.into()),
            Err(rejected())
        );
    }

    #[test]
    fn short_input_and_wrong_keys_are_refused() {
        for length in 0..28 {
            assert_eq!(
                decrypt([7; 32].into(), b""[..].into(), vec![0; length].into()),
                Err(rejected())
            );
        }
        for length in [0, 16, 24, 31, 33] {
            let failure =
                encrypt(vec![0; length].into(), b""[..].into(), b""[..].into()).unwrap_err();
            assert_eq!(failure.code, "ERR_CRYPTO");
        }
    }
}
