//! Hashes and message authentication.

use hmac::{Hmac, Mac};
use mix_plugin_sdk::{Bytes, Failure};
use sha1::Sha1;
use sha2::{Digest, Sha256};

/// MD5, 16 bytes.
pub fn md5(data: Bytes) -> Vec<u8> {
    md5::Md5::digest(&data).to_vec()
}

/// SHA-1, 20 bytes.
pub fn sha1(data: Bytes) -> Vec<u8> {
    Sha1::digest(&data).to_vec()
}

/// SHA-256, 32 bytes.
pub fn sha256(data: Bytes) -> Vec<u8> {
    Sha256::digest(&data).to_vec()
}

/// HMAC-SHA-1, 20 bytes.
pub fn hmac_sha1(key: Bytes, message: Bytes) -> Result<Vec<u8>, Failure> {
    authenticate::<Hmac<Sha1>>(&key, &message)
}

/// HMAC-SHA-256, 32 bytes.
pub fn hmac_sha256(key: Bytes, message: Bytes) -> Result<Vec<u8>, Failure> {
    authenticate::<Hmac<Sha256>>(&key, &message)
}

fn authenticate<M: Mac + hmac::digest::KeyInit>(
    key: &[u8],
    message: &[u8],
) -> Result<Vec<u8>, Failure> {
    // HMAC takes keys of any length; the error is that of the trait.
    let mut mac = <M as Mac>::new_from_slice(key)
        .map_err(|error| Failure::new("ERR_CRYPTO", format!("key of a message code: {error}")))?;
    mac.update(message);
    Ok(mac.finalize().into_bytes().to_vec())
}

#[cfg(test)]
mod tests {
    use hex_literal::hex;

    use super::*;

    fn b(bytes: &[u8]) -> Bytes {
        bytes.into()
    }

    /// RFC 1321, appendix A.5.
    #[test]
    fn md5_vectors() {
        for (text, sum) in [
            ("", hex!("d41d8cd98f00b204e9800998ecf8427e")),
            ("a", hex!("0cc175b9c0f1b6a831c399e269772661")),
            ("abc", hex!("900150983cd24fb0d6963f7d28e17f72")),
            ("message digest", hex!("f96b697d7cb7938d525a2f31aaf161d0")),
            (
                "abcdefghijklmnopqrstuvwxyz",
                hex!("c3fcd3d76192e4007dfb496cca67e13b"),
            ),
            (
                "12345678901234567890123456789012345678901234567890123456789012345678901234567890",
                hex!("57edf4a22be3c955ac49da2e2107b67a"),
            ),
        ] {
            assert_eq!(md5(b(text.as_bytes())), sum, "{text}");
        }
    }

    /// RFC 3174, section 7.3.
    #[test]
    fn sha1_vectors() {
        let cases: [(Vec<u8>, [u8; 20]); 4] = [
            (
                b"abc".to_vec(),
                hex!("a9993e364706816aba3e25717850c26c9cd0d89d"),
            ),
            (
                b"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq".to_vec(),
                hex!("84983e441c3bd26ebaae4aa1f95129e5e54670f1"),
            ),
            (
                vec![b'a'; 1_000_000],
                hex!("34aa973cd4c4daa4f61eeb2bdbad27316534016f"),
            ),
            (
                b"01234567".repeat(80),
                hex!("dea356a2cddd90c7a7ecedc5ebb563934f460452"),
            ),
        ];
        for (text, sum) in cases {
            assert_eq!(sha1(b(&text)), sum);
        }
    }

    /// FIPS 180-4 examples of NIST.
    #[test]
    fn sha256_vectors() {
        let cases: [(Vec<u8>, [u8; 32]); 4] = [
            (
                vec![],
                hex!("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
            ),
            (
                b"abc".to_vec(),
                hex!("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
            ),
            (
                b"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq".to_vec(),
                hex!("248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"),
            ),
            (
                vec![b'a'; 1_000_000],
                hex!("cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"),
            ),
        ];
        for (text, sum) in cases {
            assert_eq!(sha256(b(&text)), sum);
        }
    }

    /// RFC 2202 (SHA-1) and RFC 4231 (SHA-256).
    #[test]
    fn hmac_vectors() {
        let sha1 = |key: &[u8], message: &[u8]| hmac_sha1(b(key), b(message)).unwrap();
        assert_eq!(
            sha1(&[0x0b; 20], b"Hi There"),
            hex!("b617318655057264e28bc0b6fb378c8ef146be00")
        );
        assert_eq!(
            sha1(b"Jefe", b"what do ya want for nothing?"),
            hex!("effcdf6ae5eb2fa2d27416d5f184df9c259a7c79")
        );
        assert_eq!(
            sha1(
                &[0xaa; 80],
                b"Test Using Larger Than Block-Size Key - Hash Key First"
            ),
            hex!("aa4ae5e15272d00e95705637ce8a3b55ed402112")
        );
        let sha256 = |key: &[u8], message: &[u8]| hmac_sha256(b(key), b(message)).unwrap();
        assert_eq!(
            sha256(&[0x0b; 20], b"Hi There"),
            hex!("b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7")
        );
        assert_eq!(
            sha256(b"Jefe", b"what do ya want for nothing?"),
            hex!("5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843")
        );
        assert_eq!(
            sha256(&[0xaa; 20], &[0xdd; 50]),
            hex!("773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe")
        );
        assert_eq!(
            sha256(
                &[0xaa; 131],
                b"Test Using Larger Than Block-Size Key - Hash Key First"
            ),
            hex!("60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54")
        );
    }
}
