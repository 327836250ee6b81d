//! The functions that the VM itself supplies to the standard library.
//!
//! Each file holds the builtins of one library module and a `find` that maps
//! names (`"#array_length"`) to functions. All names stand with their number of
//! arguments in [`mix_bytecode::builtins`]; a test checks that both agree.
//!
//! A builtin gets exactly that many arguments and owns them: it may
//! [`take`](crate::heap::Value::take) them and change what it alone holds in place.
//! It never calls Mix code and never waits. The few rows that must
//! (`#stream_next` and its kin) are performed by the interpreter itself.
//!
//! - [`args`]: reading arguments, with the codes of the library
//! - [`expect`]: checks for functions written in Mix; [`prelude`]: predefined functions
//! - [`boolean`], [`number`], [`string`], [`binary`], [`json`], [`url`], [`random`]:
//!   scalars, where any undefined argument makes the result undefined
//! - [`array`], [`keys`], [`map`], [`container`], [`builder`]: containers
//! - [`regex`]: patterns; [`bitset`]: sets of integers; [`calendar`]: dates and times
//! - [`csv`], [`mime`], [`xml`]: formats of texts
//! - [`records`], [`host`], [`topic`]: what goes to families of foreign functions
//! - [`metrics`]: counters, profile and levels of tracing

#![allow(
    clippy::mutable_key_type,
    reason = "a text only caches its length; its order and hash are those of the content"
)]

pub(crate) mod args;
mod array;
mod binary;
mod bitset;
mod boolean;
pub(crate) mod builder;
mod calendar;
mod calendar_format;
mod container;
mod csv;
mod expect;
mod host;
mod json;
mod keys;
mod map;
mod metrics;
mod mime;
mod mime_parameters;
mod number;
mod number_pattern;
mod number_text;
mod prelude;
mod random;
mod records;
mod regex;
mod string;
mod topic;
mod url;
mod xml;

pub use regex::constant as regex_constant;

use crate::failure::Failure;
use crate::heap::Value;
use crate::surroundings::Surroundings;

/// A builtin.
pub type Builtin = fn(&mut Surroundings, &mut [Value]) -> Result<Value, Failure>;

/// The builtin with that name, unless the interpreter performs it.
#[must_use]
pub fn find(name: &str) -> Option<Builtin> {
    const MODULES: &[fn(&str) -> Option<Builtin>] = &[
        expect::find,
        prelude::find,
        array::find,
        builder::find,
        map::find,
        string::find,
        number::find,
        keys::find,
        boolean::find,
        binary::find,
        json::find,
        container::find,
        url::find,
        host::find,
        records::find,
        random::find,
        regex::find,
        bitset::find,
        calendar::find,
        csv::find,
        mime::find,
        xml::find,
        topic::find,
        metrics::find,
    ];
    MODULES.iter().find_map(|find| find(name))
}

#[cfg(test)]
mod tests {
    use crate::interpreter::intrinsic;

    #[test]
    fn every_row_of_the_table_is_implemented() {
        for row in mix_bytecode::builtins::BUILTINS {
            assert!(
                super::find(row.name).is_some() != intrinsic::find(row.name).is_some(),
                "{} must be a builtin or an intrinsic",
                row.name
            );
        }
    }
}
