//! Runs without a server around them.

use mix_runtime::assembly::{Assembly, Policy};
use mix_runtime::programs::Installed;
use mix_runtime::run::{self, Outcome, RunRequest};
use mix_runtime::workspace::Place;
use mix_sandbox::outbound::Outbound;
use mix_sandbox::state::{Grants, GuestState};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

type Done<T> = Result<T, Box<dyn std::error::Error>>;

/// How often each is done; the first ones make the image of the program.
const TIMES: usize = 500;
const MEMORY: usize = 256 << 20;

/// Medians of a run.
pub struct Run {
    /// Until its instance is there and has the program: what is left until the first instruction is to
    /// hand over the parameters.
    pub instance: Duration,
    /// Until it has answered and is gone.
    pub whole: Duration,
}

/// Runs an agent of an installed app over and over, in this process.
pub fn run(ws_dir: &Path, app: &str, agent: &str) -> Done<Run> {
    let runtime = tokio::runtime::Runtime::new()?;
    let place = Place::new(ws_dir, "local", app)?;
    let program = Installed::new(u64::MAX)
        .find(&place, agent)
        .map_err(|_| "the app is not installed")?;
    let params = mix_value::msgpack::encode(&mix_value::Value::Map(mix_value::Map::new()))?;
    runtime.block_on(async {
        let policy = Policy {
            db_memory: MEMORY,
            snapshot_memory: MEMORY,
            wasm_memory: MEMORY,
            ..Policy::default()
        };
        let assembly = Arc::new(Assembly::new(&policy, Outbound::new(false)).await?);
        let request = || RunRequest {
            place: place.clone(),
            agent: agent.to_owned(),
            params: params.clone(),
            program: program.clone(),
            user: "anonymous".to_owned(),
            timeout: Duration::from_secs(60),
            memory: MEMORY,
            environment: Vec::new(),
            allowed: None,
            progress: None,
            neighbours: None,
        };
        let mut whole = Vec::new();
        for _ in 0..TIMES {
            let begin = Instant::now();
            match run::run(&assembly, request()).await {
                Outcome::Output(_) => whole.push(begin.elapsed()),
                other => return Err(format!("{agent}: {other:?}").into()),
            }
        }
        let who = run::caller(&place, agent, "anonymous", None);
        let mut instance = Vec::new();
        for _ in 0..TIMES {
            let begin = Instant::now();
            let vm = assembly.vms.of(&program.foreign).await?;
            let grants = Grants {
                memory: MEMORY,
                ..Grants::default()
            };
            let mut store = GuestState::store(&assembly.engine, grants)?;
            store.data_mut().deadline = Some(begin + Duration::from_secs(60));
            vm.start(&mut store, &who, &program)
                .await?
                .map_err(|issue| issue.message)?;
            instance.push(begin.elapsed());
        }
        let median = |mut times: Vec<Duration>| {
            times.sort_unstable();
            times.get(TIMES / 2).copied().unwrap_or_default()
        };
        Ok(Run {
            instance: median(instance),
            whole: median(whole),
        })
    })
}
