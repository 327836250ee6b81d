//! The server that a run is on, as its requests reach it: see `mix-sandbox`.

pub use mix_sandbox::outbound::home::{Answering, Authorizing, CALLERS_TOKEN, Home, InsideBody};
