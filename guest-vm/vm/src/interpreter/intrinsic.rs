//! Builtins that the interpreter performs itself, because they pull streams or
//! know cells and modules by name.

use crate::routine::{self, builtin::Co};

/// A builtin that may call Mix code or wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Intrinsic {
    /// `#stream_next`
    StreamNext,
    /// `#stream_is_empty`
    StreamIsEmpty,
    /// `#stream_generate`
    StreamGenerate,
    /// `#stream_lazy`
    StreamLazy,
    /// `#stream_to_array`
    StreamToArray,
    /// `#session_print`: the text that a read-eval-print loop shows.
    SessionPrint,
    /// `#session_keep`: the wire form as a binary, null for what has none.
    SessionKeep,
    /// `#agent_call`
    AgentCall,
    /// Of module `co`.
    Co(Co),
}

/// The intrinsic with that name.
#[must_use]
pub fn find(name: &str) -> Option<Intrinsic> {
    Some(match name {
        "#stream_next" => Intrinsic::StreamNext,
        "#stream_is_empty" => Intrinsic::StreamIsEmpty,
        "#stream_generate" => Intrinsic::StreamGenerate,
        "#stream_lazy" => Intrinsic::StreamLazy,
        "#stream_to_array" => Intrinsic::StreamToArray,
        "#session_print" => Intrinsic::SessionPrint,
        "#session_keep" => Intrinsic::SessionKeep,
        "#agent_call" => Intrinsic::AgentCall,
        other => return routine::builtin::find(other).map(Intrinsic::Co),
    })
}
