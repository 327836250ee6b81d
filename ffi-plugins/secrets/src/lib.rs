//! The family `secrets`: values of a user, encrypted at rest.
//!
//! ```text
//! operator ──► workspace key ──wraps──► data key of a user ──seals──► one file per secret
//! ```
//!
//! * [`key`]: keys, and how something is sealed under one (AES-256-GCM, every sealed piece bound
//!   to its workspace, user and name, so that files cannot change places);
//! * [`source`]: where the workspace key comes from;
//! * [`vault`]: the folder of a user;
//! * [`token`]: the functions on tokens.
//!
//! Neither a key nor a path of the host ever becomes part of a value, a log line or a message.
//! A key lives in this component only; programs run in another one.

mod key;
mod source;
mod token;
mod vault;

use mix_plugin_sdk::{Failure, Value, caller, family};

/// The vault of the caller, for a secret that the caller may name.
fn opened(name: &str) -> Result<vault::Vault, Failure> {
    let who = caller();
    vault::check_owner(&who, name)?;
    vault::of(&who)
}

async fn set(name: String, value: String) -> Result<String, Failure> {
    let value = zeroize::Zeroizing::new(value);
    opened(&name)?.set(&name, &value)?;
    Ok(name)
}

async fn get(name: String) -> Result<String, Failure> {
    opened(&name)?.get(&name)
}

async fn list() -> Result<Vec<Value>, Failure> {
    let names = vault::of(&caller())?.list()?;
    Ok(names.into_iter().map(Value::string).collect())
}

async fn delete(name: String) -> Result<String, Failure> {
    opened(&name)?.delete(&name)?;
    Ok(name)
}

family! {
    bound;
    /// Keeps a value under a name of 1 to 256 characters and returns the name.
    start "$secrets_set" = set(String, String);
    /// The value of a secret.
    start "$secrets_get" = get(String);
    /// The names of all secrets of the user, ascending.
    start "$secrets_list" = list();
    /// Removes a secret and returns its name.
    start "$secrets_delete" = delete(String);
    /// The token that an auth plugin keeps for the user.
    start "$secrets_get_token" = token::get(String);
    /// Removes the token of an auth plugin.
    start "$secrets_delete_token" = token::delete(String);
    /// A further field of what the provider of a token answered.
    start "$secrets_token_extra" = token::extra(String, Value);
    /// The token of the caller; the empty token without one.
    call "$token_current" = token::current();
    /// The token that stands for none.
    call "$token_empty" = token::empty();
    /// The text of a token, for an authorisation header.
    start "$token_string" = token::text(Value);
}
