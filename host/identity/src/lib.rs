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
//! * [`SigningKey`], [`OwnKey`]: the keys of workspaces and of the server, for the tokens that they issue.
//! * [`verify_origin`]: the agent of another server that asks, as that server vouches for it.
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
#[cfg(feature = "tokens")]
mod origin;
#[cfg(feature = "tokens")]
mod signing;
mod subject;
#[cfg(feature = "tokens")]
mod token;

pub use caller::{Caller, RunningAgent, TokenKind, User};
pub use decision::{Permission, Target, Workspace, allow, is_server_admin, touches};
pub use grant::{BadGrant, Grant, Resource, Role};
#[cfg(feature = "tokens")]
pub use keys::{BadKeySet, KeySet};
#[cfg(feature = "tokens")]
pub use origin::{origin_claims, verify_origin};
#[cfg(feature = "tokens")]
pub use signing::{OwnKey, SigningKey};
pub use subject::Subject;
#[cfg(feature = "tokens")]
pub use token::{
    Issuers, PROCESS_KEY_ID, Refusal, Verifier, claims, issuer, key_id, process_token, valid_until,
};
