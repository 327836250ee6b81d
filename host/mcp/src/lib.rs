//! The Model Context Protocol as pure functions: no sockets, no engine.
//!
//! Agents are offered as tools to programs that speak the protocol (JSON-RPC 2.0; tools only, no
//! prompts and no resources). The driver reads messages from standard input or from HTTP bodies,
//! and runs agents; what a message means and what its answer looks like is decided here.
//!
//! ```text
//! bytes ──message::parse──► Incoming ──Session::step──► Step::Reply(text)        send it
//!                                                       Step::Nothing
//!                                                       Step::List(id, cursor) ─► tools::page ─► text
//!                                                       Step::Call(..) ─► schema::check, run ─► outcome ─► text
//!                                                       Step::Cancel(id)
//! ```
//!
//! * [`message`]: requests, notifications, answers, error codes.
//! * [`Session`]: what one client has agreed on, and what comes next.
//! * [`tools`]: which tools there are under which names, a page at a time.
//! * [`schema`]: whether arguments fit a tool's schema.
//! * [`outcome`]: what a run gave, as the content of an answer.

pub mod message;
pub mod outcome;
pub mod schema;
mod session;
pub mod tools;

pub use session::{Call, Session, Step, is_spoken, spoken};
