//! The HTTP interface as pure functions: no sockets, no clock, no engine.
//!
//! `mixer serve` and the front of a composed component answer the same request
//! with the same bytes because both only do the input and output around this crate.
//!
//! # Data flow
//!
//! ```text
//! Head ──plan()──► Plan::Reply(Response)                       done
//!                  Plan::Body(NeedsBody)  ── bytes ──► Step::Reply(Response)
//!                   token, need: the driver decides    Step::Run(AgentRun)    ── RunOutcome ──► Response
//!                                                      Step::Call(FamilyCall) ── Result<Value, CallFailure> ──► Response
//!                                                      Step::Manage(Managed)  ── Result<Done, ApiError> ──► Response
//! ```
//!
//! A driver reads the request head, asks [`plan`], verifies the token, decides whether the [`Need`]
//! is met, looks whether the place exists, reads as much of the body as
//! [`NeedsBody::limit`] allows, and gets a [`Step`]: a finished response, an
//! agent to run, a function of the record store to call, or a job of the server's own. What came
//! out of it is given to `finish`, which makes the response.
//!
//! # Main types
//!
//! * [`Settings`]: what the operator configured, as far as answers depend on it.
//! * [`Head`]: method, target and headers of a request.
//! * [`Response`]: status, headers, body.
//! * [`ApiError`]: every failure with its stable code.
//! * [`AgentRun`], [`RunOutcome`]: a run of an agent and what became of it.
//! * [`FamilyCall`], [`CallFailure`]: a call of the record store.
//! * [`Managed`], [`Job`], [`Done`]: what is the server's own.
//! * [`alias`]: further names of agents; [`registered`]: queries with a name; [`described`]: what is told about either.
//! * [`dialog`]: the messages of an interactive session.
//! * [`Topic`], [`event`]: what is read as a stream of events.
//! * [`Route`], [`Action`], [`Need`]: a resource, what is done with it, what that needs.

mod access;
pub mod alias;
mod body;
mod call_failure;
mod conditional;
mod control;
mod cors;
pub mod described;
pub mod dialog;
mod error;
mod fixed;
mod form;
mod head;
mod json;
mod manage;
mod multipart;
mod names;
mod openapi;
mod params;
mod plan;
mod records;
pub mod registered;
mod response;
mod route;
mod run;
mod sse;
mod topic;

pub use access::{Access, Need, scope};
pub use call_failure::CallFailure;
pub use conditional::Precondition;
pub use error::ApiError;
pub use fixed::FixedRequest;
pub use head::Head;
pub use manage::{
    ACTIVITIES, ActivityFilter, Content, Done, Elsewhere, HIDDEN, Job, Maintenance, Managed,
    Purpose, SignIn, checked_provider, is_inside, is_linkable,
};
pub use names::{
    APP_NAME, LOGGING_APP, WORKSPACE_NAME, is_agent_name, is_app_name, is_workspace_name,
};
pub use plan::{Docs, Facts, NeedsBody, Plan, Settings, Step, plan, refuse};
pub use records::FamilyCall;
pub use response::{Response, is_files_origin};
pub use route::{Action, Route};
pub use run::{AgentRun, RunOutcome};
pub use sse::{PING, RETRY, event};
pub use topic::{Audience, Topic, escaped_part};

/// Decoding of a GET query or an urlencoded body (names and values in order), and of one part of a path.
pub use form::{parse_pairs, percent_decode};
