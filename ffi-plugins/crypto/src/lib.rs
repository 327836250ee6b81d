//! The family `crypto`: hashes, signatures, encryption, random bytes. All of it is crate
//! `mix-crypto-functions`, which other components share.

use mix_plugin_sdk::family;

#[global_allocator]
static ALLOCATOR: mix_allocator::Blocks = mix_allocator::Blocks::new();

family! {
    table mix_crypto_functions::FUNCTIONS;
}
