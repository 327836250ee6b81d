//! Example plugin: a family of two functions on texts, one that answers at once and one
//! that answers with a lazy stream.

use mix_plugin_sdk::{Failure, Many, family};

/// Longest text that is looked at, in bytes.
const LIMIT: usize = 1 << 20;

fn check(text: &str) -> Result<(), Failure> {
    if text.len() > LIMIT {
        return Err(Failure::new(
            "ERR_TOO_LARGE",
            format!("the text has {} bytes, {LIMIT} are allowed", text.len()),
        ));
    }
    Ok(())
}

fn count(text: String) -> Result<i64, Failure> {
    check(&text)?;
    Ok(text.split_whitespace().count() as i64)
}

async fn each(text: String) -> Result<Many, Failure> {
    check(&text)?;
    let words: Vec<String> = text.split_whitespace().map(str::to_lowercase).collect();
    Ok(Many::of(words))
}

family! {
    /// Number of words in a text.
    call "$words_count" = count(String);
    /// The words of a text in lower case, one by one.
    start "$words_each" = each(String);
}
