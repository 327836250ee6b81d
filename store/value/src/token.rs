//! Tokens: opaque access credentials.

use std::fmt;
use std::sync::Arc;

/// A credential. There is no clear form: it is either sealed, as kept in the
/// secrets store, or a reference to a credential the host keeps for this run.
#[derive(Clone, PartialEq, Eq)]
pub enum Token {
    /// Key id, nonce and ciphertext, as they lie in the secrets store.
    Sealed(Arc<[u8]>),
    /// Number of a token the host keeps for this run.
    Reference(u64),
}

impl fmt::Debug for Token {
    /// Never shows what is inside.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(..)")
    }
}
