//! The functions of family `crypto`, for the components that have them: the family itself, and `mix-embedded`.
//!
//! All are functions of their arguments, except where randomness is the point: they never wait, hold no
//! state and need nothing but the system's generator. The algorithms are those of the RustCrypto project;
//! here are only the shapes that the library's module `crypto` fixes, and published test vectors.

mod cipher;
mod digest;
pub mod random;
mod signature;
#[cfg(test)]
mod wycheproof_tests;

use mix_plugin_sdk::{Bytes, functions};

functions! {
    /// The functions.
    pub FUNCTIONS;
    /// MD5 of a binary: 16 bytes. For old protocols only.
    call "$crypto_md5" = digest::md5(Bytes);
    /// SHA-1 of a binary: 20 bytes. For old protocols only.
    call "$crypto_sha1" = digest::sha1(Bytes);
    /// SHA-256 of a binary: 32 bytes.
    call "$crypto_sha256" = digest::sha256(Bytes);
    /// HMAC-SHA-1 of a message under a key: 20 bytes.
    call "$crypto_hmac_sha1" = digest::hmac_sha1(Bytes, Bytes);
    /// HMAC-SHA-256 of a message under a key: 32 bytes.
    call "$crypto_hmac_sha256" = digest::hmac_sha256(Bytes, Bytes);
    /// RSASSA-PKCS1-v1_5 signature with SHA-256 under a private key in PKCS#8 PEM.
    call "$crypto_rsa_sha256" = signature::rsa_sha256(Bytes, Bytes);
    /// AES-256-GCM: key, additional data, text; gives nonce, encrypted text and tag.
    call "$crypto_aes_gcm_encrypt" = cipher::encrypt(Bytes, Bytes, Bytes);
    /// Undoes `$crypto_aes_gcm_encrypt`.
    call "$crypto_aes_gcm_decrypt" = cipher::decrypt(Bytes, Bytes, Bytes);
    /// Bytes of the system's generator, at most 1 MiB.
    call "$crypto_random_bytes" = random::bytes(i64);
}
