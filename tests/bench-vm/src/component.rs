//! Mix in its component, run as `mixer` runs an agent: a fresh instance, the
//! program loaded into it, one session. All of that is in the time.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, bail};
use mix_runtime::assembly::{Assembly, Policy};
use mix_runtime::programs::Executable;
use mix_runtime::run::{self, Outcome, RunRequest};
use mix_runtime::workspace::Place;
use mix_sandbox::outbound::Outbound;

use crate::clock::Start;
use crate::program::{Measured, Program};
use crate::{Engine, Run, mix};

/// Linear memory of a run.
const MEMORY: usize = 2 << 30;

/// The component under the engine that serves.
pub struct Component {
    runtime: tokio::runtime::Runtime,
    assembly: Arc<Assembly>,
    folder: tempfile::TempDir,
}

impl Component {
    /// Makes the engine ready. Every run loads its program.
    pub fn new() -> Result<Self> {
        Self::keeping(0)
    }

    /// The same with this memory for programs that are kept loaded.
    pub fn keeping(snapshot_memory: usize) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()?;
        let policy = Policy {
            db_memory: 64 << 20,
            snapshot_memory,
            ..Policy::default()
        };
        let assembly = runtime.block_on(Assembly::new(&policy, Outbound::new(false)))?;
        Ok(Self {
            runtime,
            assembly: Arc::new(assembly),
            folder: tempfile::tempdir()?,
        })
    }

    /// Agent `bench` of an executable, ready to be run.
    pub fn run_of<'a>(
        &'a self,
        name: &'a str,
        executable: Vec<u8>,
        params: Vec<u8>,
    ) -> Result<Run<'a>> {
        let executable = Arc::new(Executable::read(executable)?);
        let place = Place::new(self.folder.path(), "local", "bench")?;
        Ok(Box::new(move || {
            let request = RunRequest {
                place: place.clone(),
                agent: "bench".to_owned(),
                params: params.clone(),
                program: Arc::clone(&executable),
                user: "anonymous".to_owned(),
                timeout: Duration::from_secs(120),
                memory: MEMORY,
                environment: Vec::new(),
                allowed: None,
                progress: None,
                neighbours: None,
            };
            let start = Start::now();
            let outcome = self.runtime.block_on(run::run(&self.assembly, request));
            let time = start.elapsed();
            match outcome {
                Outcome::Output(value) => Ok(Measured {
                    time,
                    text: mix::text_of(&value)?,
                }),
                other => bail!("{name}: {other:?}"),
            }
        }))
    }
}

impl Engine for Component {
    fn name(&self) -> &'static str {
        "Mix component"
    }

    fn prepare<'a>(&'a self, program: &'a Program) -> Result<Option<Run<'a>>> {
        let Some(executable) = mix::compile(program)? else {
            return Ok(None);
        };
        let params = mix::encode(&program.input)?;
        self.run_of(&program.name, executable, params).map(Some)
    }
}
