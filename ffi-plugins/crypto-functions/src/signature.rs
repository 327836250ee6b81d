//! RSA signatures.

use mix_plugin_sdk::{Bytes, Failure};
use rsa::pkcs8::DecodePrivateKey;
use rsa::{Pkcs1v15Sign, RsaPrivateKey};
use sha2::{Digest, Sha256};

/// Longest key as text; one of 16384 bits has 13 KB.
const LONGEST_PEM: usize = 64 * 1024;

/// RSASSA-PKCS1-v1_5 with SHA-256 under a private key in PKCS#8 PEM.
pub fn rsa_sha256(pem: Bytes, message: Bytes) -> Result<Vec<u8>, Failure> {
    let bad_key = |reason: &str| {
        Failure::new(
            "ERR_CRYPTO",
            format!("not a private key in PKCS#8 PEM: {reason}"),
        )
    };
    if pem.len() > LONGEST_PEM {
        return Err(bad_key("too long"));
    }
    let text = std::str::from_utf8(&pem).map_err(|_| bad_key("not text"))?;
    // The parser's own words may quote the key: they are not passed on.
    let key = RsaPrivateKey::from_pkcs8_pem(text.trim())
        .map_err(|_| bad_key("malformed, or another kind of key"))?;
    // Blinded with random numbers, so that time tells nothing about the key.
    key.sign_with_rng(
        &mut rand_core::OsRng,
        Pkcs1v15Sign::new::<Sha256>(),
        &Sha256::digest(&message),
    )
    .map_err(|error| Failure::new("ERR_CRYPTO", format!("signing failed: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A key made for this test, and signatures that OpenSSL made with it
    /// (`openssl dgst -sha256 -sign`).
    const KEY: &str = include_str!("../tests/rsa-2048.pem");
    const SIGNATURE: &[u8] = include_bytes!("../tests/rsa-2048-abc.sig");
    const OTHER_KINDS: [&str; 3] = [
        include_str!("../tests/rsa-2048-pkcs1.pem"),
        include_str!("../tests/p256.pem"),
        include_str!("../tests/rsa-2048-public.pem"),
    ];

    #[test]
    fn signs_as_openssl_does() {
        let signature = rsa_sha256(KEY.as_bytes().into(), b"abc"[..].into()).unwrap();
        assert_eq!(signature, SIGNATURE);
        let padded = format!("\n{KEY}\n\n");
        assert_eq!(
            rsa_sha256(padded.as_bytes().into(), b"abc"[..].into()).unwrap(),
            SIGNATURE
        );
    }

    #[test]
    fn anything_else_is_refused() {
        let mut bad: Vec<Vec<u8>> =
            vec![vec![], b"key".to_vec(), vec![0xff; 10], vec![b'-'; 1 << 20]];
        bad.extend(OTHER_KINDS.iter().map(|pem| pem.as_bytes().to_vec()));
        bad.push(KEY.as_bytes()[..KEY.len() / 2].to_vec());
        bad.push(KEY.replace('A', "B").into_bytes());
        for pem in bad {
            assert_eq!(
                rsa_sha256(pem.into(), b"abc"[..].into()).unwrap_err().code,
                "ERR_CRYPTO"
            );
        }
    }
}
