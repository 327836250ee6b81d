//! Who calls, and what they may do: pure functions without a clock, a network or a store.
//!
//! # Data flow
//!
//! ```text
//! bearer token ──Verifier::verify──► Caller ─┐
//! grants of the workspace ── Workspace ──────┼─ allow ──► yes / no
//! route of the request ── Permission, Target ┘
//! ```
//!
//! # Main types
//!
//! * [`KeySet`], [`Verifier`]: public keys, the process key, and the rules that a token must meet.
//! * [`Caller`]: the identity behind a request: user, kind of token, running agent.
//! * [`Subject`], [`Role`], [`Resource`], [`Grant`]: what an owner writes down.
//! * [`Permission`], [`Target`], [`Workspace`], [`allow`]: the decision.
//!
//! A token that fails any check is an error and never "anonymous".

mod caller;
mod decision;
mod grant;
#[cfg(feature = "tokens")]
mod keys;
mod subject;
#[cfg(feature = "tokens")]
mod token;

pub use caller::{Caller, RunningAgent, TokenKind, User};
pub use decision::{Permission, Target, Workspace, allow, is_server_admin, touches};
pub use grant::{BadGrant, Grant, Resource, Role};
#[cfg(feature = "tokens")]
pub use keys::{BadKeySet, KeySet};
pub use subject::Subject;
#[cfg(feature = "tokens")]
pub use token::{Issuers, PROCESS_KEY_ID, Refusal, Verifier, process_token};
