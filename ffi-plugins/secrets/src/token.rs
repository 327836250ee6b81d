//! Tokens: values that authorise and have no text of their own.
//!
//! Tokens of providers come into being when a user signs in. A server that keeps them answers the
//! functions that look for one itself; these here are for hosts without sign-in, and find nothing.

use mix_plugin_sdk::mix_value::Token;
use mix_plugin_sdk::{Failure, Value, caller};

use crate::vault;

/// The token that stands for none.
pub fn empty() -> Value {
    Value::Token(Token::Sealed([].into()))
}

/// The token of the caller, which the host keeps; the empty one without it.
pub fn current() -> Value {
    let number = std::env::var("MIXER_RUN_TOKEN").ok();
    match number.and_then(|number| number.parse().ok()) {
        Some(number) => Value::Token(Token::Reference(number)),
        None => empty(),
    }
}

/// Text of a token.
pub async fn text(token: Value) -> Result<String, Failure> {
    match token {
        Value::Token(Token::Sealed(body)) if body.is_empty() => Ok(String::new()),
        Value::Token(_) => Err(Failure::new(
            "ERR_PERMISSION",
            "this session may not turn tokens into text",
        )),
        other => Err(expected(&other)),
    }
}

/// The token of an auth plugin.
pub async fn get(plugin: String) -> Result<Value, Failure> {
    Err(none(&plugin))
}

/// Removes the token of an auth plugin.
pub async fn delete(plugin: String) -> Result<String, Failure> {
    Err(none(&plugin))
}

/// A further field of what the provider answered.
pub async fn extra(_field: String, token: Value) -> Result<Value, Failure> {
    match token {
        Value::Token(_) => Err(Failure::new(
            "ERR_NOT_FOUND",
            "no provider has answered with this token",
        )),
        other => Err(expected(&other)),
    }
}

fn none(plugin: &str) -> Failure {
    if vault::is_anonymous(&caller()) {
        return Failure::new(
            "ERR_PERMISSION",
            "anonymous users have no tokens: sign in first",
        );
    }
    Failure::new(
        "ERR_NOT_FOUND",
        format!("the user has no token of auth plugin {plugin:?}"),
    )
}

fn expected(other: &Value) -> Failure {
    if *other == Value::Undefined {
        return Failure::new("ERR_UNDEFINED", "a token is undefined");
    }
    Failure::new(
        "ERR_EXPECTED_TOKEN",
        format!("a token is needed, not {}", other.kind()),
    )
}
