//! What the author of a plugin in Rust depends on.
//!
//! A plugin is a component that exports one *family* of foreign functions of the Mix
//! language (`mix:ffi/family` in `wit/ffi`). With this crate it is a list of plain Rust
//! functions:
//!
//! ```ignore
//! use mix_plugin_sdk::{Bytes, Failure, plugin};
//!
//! #[plugin]
//! mod demo {
//!     use super::*;
//!
//!     /// Repeats a text.
//!     pub fn repeat(text: String, times: i64) -> Result<String, Failure> {
//!         let times = usize::try_from(times).map_err(|_| Failure::range("times must not be negative"))?;
//!         Ok(text.repeat(times))
//!     }
//!
//!     /// Fetches what is stored under a key.
//!     pub async fn fetch(key: String) -> Result<Bytes, Failure> { /* may await */ }
//! }
//! ```
//!
//! These are `$demo_repeat` and `$demo_fetch`. The attribute [`macro@plugin`] writes the list of functions,
//! which can also be written by hand:
//!
//! ```ignore
//! family! {
//!     /// Repeats a text.
//!     call "$demo_repeat" = repeat(String, i64);
//!     /// Fetches what is stored under a key.
//!     start "$demo_fetch" = fetch(String);
//! }
//! ```
//!
//! * `call` functions never wait, `start` functions are `async` and may. Numbers follow the
//!   order of the list: only append.
//! * Arguments are [`FromArgument`] types. A wrong number or kind of argument never reaches
//!   the function: the caller gets `ERR_EXPECTED_X` or `ERR_UNDEFINED`.
//! * Results are [`IntoValue`] types, alone or in a `Result` with [`Failure`]. A `start`
//!   function may also answer [`Many`] values, as a lazy stream, by returning [`Answer`].
//! * A `call` function named as a `start` function with `?` behind is its *short way*, with `*` that of one
//!   that answers [`Many`]: it is called first, and says [`Failure::waits`] if it cannot answer at once.
//! * Functions named with `>` and `>>` behind the name of one that answers [`Many`] give its items in parts
//!   (`function.waits` in `wit/ffi`), which is cheaper where there are many.
//! * [`functions!`] makes a table that several components have; `family! { table PATH; … }` begins with it.
//! * `family! { bound; … }` exports `mix:ffi/binding` too; [`caller`] then says on whose
//!   behalf the instance works.
//! * [`shared_family!`] is for plugins whose one instance serves many runs at once, such as
//!   a record store: every function gets the session of its run as first parameter.
//!
//! The crate type of a plugin is `cdylib`, its target `wasm32-wasip2`.

mod answer;
mod argument;
pub mod bindings;
mod caller;
mod clock;
mod failure;
mod function;
mod handle;
mod inside;
mod macros;
mod outgoing;
mod result;
mod session;
mod short;

pub use answer::{Answer, Closed, IntoAnswer, Many, Sink};
pub use argument::{Arguments, Bytes, FromArgument, Incoming, Mismatch};
pub use caller::{Caller, caller};
pub use clock::sleep;
pub use failure::Failure;
pub use function::{Function, Run, Tables};
pub use handle::Handle;
pub use mix_plugin_sdk_macros::plugin;
pub use mix_value::{self, Map, Value};
pub use outgoing::Outgoing;
pub use result::{Encoded, IntoValue};

/// Used by the macros; not for authors.
#[doc(hidden)]
pub mod private {
    pub use crate::caller::{bind, bindings};
    pub use crate::function::{LocalFuture, call, call_packed, describe, start, start_packed};
    pub use crate::session::Sessions;
    pub use crate::short::{call_short, take_kept};
    pub use mix_value::packed::Block;
}

pub use wit_bindgen::spawn_local;
/// Lets other functions of the instance go on, for one that computes for long.
pub use wit_bindgen::yield_async as yield_now;
