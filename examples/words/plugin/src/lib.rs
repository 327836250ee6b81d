//! Example plugin: a family of two functions on texts, one that answers at once and one
//! that answers with a lazy stream.

use mix_plugin_sdk::{Failure, Many, plugin};

/// Longest text that is looked at, in bytes.
const LIMIT: usize = 1 << 20;

#[plugin]
mod words {
    use super::*;

    /// Number of words in a text.
    pub fn count(text: String) -> Result<i64, Failure> {
        check(&text)?;
        Ok(text.split_whitespace().count() as i64)
    }

    /// The words of a text in lower case, one by one.
    #[mix("string -> stream(string)")]
    pub async fn each(text: String) -> Result<Many, Failure> {
        check(&text)?;
        let words: Vec<String> = text.split_whitespace().map(str::to_lowercase).collect();
        Ok(Many::of(words))
    }

    fn check(text: &str) -> Result<(), Failure> {
        if text.len() > LIMIT {
            return Err(Failure::new(
                "ERR_TOO_LARGE",
                format!("the text has {} bytes, {LIMIT} are allowed", text.len()),
            ));
        }
        Ok(())
    }
}
