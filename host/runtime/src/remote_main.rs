//! The main database of a run on another server ([`mix_remote_database`]): who makes the requests for
//! it, and the way back to the VM. What they ask is on the tape of the run.

use crate::bindings::Failure;
use crate::contract;
use crate::instance::{Started, failure};
use crate::run_context::RunContext;
use crate::stream::{HostReply, Incoming};
use futures::future::BoxFuture;
use mix_remote_database::{Answer, REQUEST, RemoteMain, Requests, no_requests};
use std::sync::Arc;

/// Where the variables of a run say that its main database is.
pub fn of(environment: &[(&'static str, String)], app: &str) -> Option<RemoteMain> {
    RemoteMain::of(environment.iter().map(|(_, text)| text.as_str()), app)
}

/// The answer of the server.
pub fn start<'a>(
    remote: &'a RemoteMain,
    context: &'a Arc<RunContext>,
    function: &'a str,
    args: Vec<u8>,
) -> BoxFuture<'a, Started> {
    Box::pin(async move {
        let answer = remote.start(&OfRun(context), function, &args).await;
        Ok(match answer.map_err(at_boundary)? {
            Answer::One(bytes) => HostReply::One(bytes),
            Answer::Many(items) => HostReply::Many(Incoming::of(items)),
        })
    })
}

/// How what is used in the place of a function turns back that a server answers.
pub fn waits() -> Failure {
    failure(contract::WAITS, "another server answers".to_owned())
}

/// The response whose body came in pieces.
pub fn whole(parts: Vec<Vec<u8>>) -> Result<Vec<u8>, Failure> {
    mix_remote_database::whole(parts).map_err(at_boundary)
}

/// The family `http` of a run.
struct OfRun<'a>(&'a Arc<RunContext>);

impl Requests for OfRun<'_> {
    async fn request(&self, args: Vec<u8>) -> Result<Vec<u8>, mix_remote_database::Failure> {
        let target = self.0.assembly.find(REQUEST).ok_or_else(no_requests)?;
        match self
            .0
            .start_inside(target, args)
            .await
            .map_err(of_boundary)?
        {
            HostReply::One(bytes) => Ok(bytes),
            HostReply::Many(parts) => {
                let parts = parts.collect().await.map_err(of_boundary)?;
                mix_remote_database::whole(parts)
            }
        }
    }

    fn token(&self) -> Option<u64> {
        self.0.token()
    }
}

fn at_boundary(failure: mix_remote_database::Failure) -> Failure {
    Failure {
        code: failure.code,
        message: failure.message,
        detail: failure.detail,
    }
}

fn of_boundary(failure: Failure) -> mix_remote_database::Failure {
    mix_remote_database::Failure {
        code: failure.code,
        message: failure.message,
        detail: failure.detail,
    }
}
