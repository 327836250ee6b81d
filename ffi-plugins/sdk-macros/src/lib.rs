//! The attribute [`macro@plugin`]: a module of plain functions becomes a family of foreign functions.
//!
//! * [`options`]: what stands behind `#[plugin(…)]`;
//! * [`signature`]: a Rust function as a foreign function, or what is wrong with it;
//! * [`expand`]: the module with everything that makes a component of it.
//!
//! The expansion is a call of `mix_plugin_sdk::family!`, which can also be written by hand.

mod expand;
mod options;
mod signature;

use proc_macro::TokenStream;

/// Makes a plugin of a module: every `pub fn` of it becomes a foreign function.
///
/// ```ignore
/// #[mix_plugin_sdk::plugin]
/// mod words {
///     /// Number of words in a text.
///     pub fn count(text: String) -> f64 {
///         text.split_whitespace().count() as f64
///     }
/// }
/// ```
///
/// * The function is called `$words_count` in Mix: the module, then the function.
/// * A `pub fn` never waits, a `pub async fn` may. Functions that are not `pub` are helpers.
/// * What `///` says is what programmers read about the function. A type of its own for
///   Mix is given with `#[mix("string -> array(number)")]`.
/// * `#[plugin(name = "text")]` gives another first part of the names, `#[plugin(caller)]` tells the plugin
///   on whose behalf it works, `#[plugin(needs("http", "folder", "env:REGION"))]` declares what it needs.
#[proc_macro_attribute]
pub fn plugin(options: TokenStream, module: TokenStream) -> TokenStream {
    expand::plugin(options.into(), module.into())
        .unwrap_or_else(|error| error.into_compile_error())
        .into()
}
