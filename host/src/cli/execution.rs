//! Runs that commands make.

use super::Exit;
use super::runtime;
use super::select::GuestFlags;
use mix_runtime::environment;
use mix_runtime::neighbours;
use mix_runtime::programs::Executable;
use mix_runtime::run::{self, Outcome, RunRequest};
use mix_runtime::tape::Tape;
use mix_runtime::workspace::Place;
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;

/// Nothing, in its wire form.
const NULL: u8 = 0xc0;

/// A run that nobody in particular asks for, without parameters, which may reach all that there is.
/// An agent without a name is an expression.
pub fn request(
    guests: &GuestFlags,
    place: Place,
    agent: &str,
    program: Arc<Executable>,
    timeout: Duration,
) -> Result<RunRequest, Exit> {
    Ok(RunRequest {
        environment: environment::of_command(&place, agent, guests.environment()?),
        place,
        agent: agent.to_owned(),
        params: vec![NULL],
        program,
        user: "anonymous".to_owned(),
        timeout,
        memory: guests.agent_memory as usize,
        allowed: None,
        progress: None,
        neighbours: Some(Arc::new(neighbours::All)),
    })
}

/// Runs it. What it has written is on disk then.
pub fn outcome(
    guests: &GuestFlags,
    tape: Option<Tape>,
    request: RunRequest,
) -> Result<Outcome, Exit> {
    runtime()?.block_on(async {
        let assembly = guests.assemble_with(tape, None).await?;
        let outcome = run::run(&assembly, request).await;
        assembly.flush().await;
        Ok(outcome)
    })
}

/// A folder of workspaces that is gone with the command.
pub fn scratch() -> Result<TempDir, Exit> {
    tempfile::Builder::new()
        .prefix("mixer-")
        .tempdir()
        .map_err(Exit::io)
}
