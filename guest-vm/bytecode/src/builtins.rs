//! The table of builtins: what `foreign def x : T = "#name"` in the standard
//! library may name. Compiler, verifier and VM agree through it.
//!
//! Rows are appended, never moved or removed: their position is the number
//! written into executables, and [`crate::format::VERSION`] rises when an
//! existing row changes.

use crate::operand::BuiltinId;

/// One builtin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Builtin {
    /// Name with its `#`.
    pub name: &'static str,
    /// Number of arguments.
    pub params: u8,
}

/// Looks a builtin up by name.
#[must_use]
pub fn find(name: &str) -> Option<(BuiltinId, &'static Builtin)> {
    let index = BUILTINS.iter().position(|builtin| builtin.name == name)?;
    // The table is far shorter than 2^32.
    Some((BuiltinId(u32::try_from(index).ok()?), &BUILTINS[index]))
}

/// The builtin with this number.
#[must_use]
pub fn get(id: BuiltinId) -> Option<&'static Builtin> {
    BUILTINS.get(id.index())
}

const fn row(name: &'static str, params: u8) -> Builtin {
    Builtin { name, params }
}

/// All builtins.
pub const BUILTINS: &[Builtin] = &[
    // ---- control: the VM itself performs these, they may suspend
    // Next element of a stream, undefined at its end.
    row("#stream_next", 1),
    // True if a stream has no more elements; may compute one, which stays.
    row("#stream_is_empty", 1),
    // Stream whose elements are what the function gives, called with null, until it gives undefined.
    row("#stream_generate", 1),
    // Stream that the function gives at the first pull.
    row("#stream_lazy", 1),
    // All elements as an array.
    row("#stream_to_array", 1),
    // ---- errors
    // Raises RT_FAIL with a message.
    row("#fail", 1),
    // Raises a code with a message.
    row("#fail_code", 2),
    // ---- prelude
    row("#datacase", 1),
    row("#floor", 1),
    row("#ceil", 1),
    row("#debug", 1),
    // ---- arrays
    row("#array_length", 1),
    row("#array_get", 2),
    // ---- actions
    row("#get_next_actions", 1),
    row("#set_next_actions", 2),
    row("#push_next_actions", 2),
    row("#push_idle_actions", 2),
];
