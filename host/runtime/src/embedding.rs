//! Components of the embedding world (`wit/embed`) that somebody else has made: they are run as they are.
//!
//! A component that `mixer build` makes carries its programs, and those are run on the VM. Any other that exports
//! `mix:embed/agents` is asked for the names of its agents when its file is first read, and gets a fresh instance in each
//! run, with the time and the memory of any run. It is given no folder, no outbound connection and no variable but
//! those of the operator (`--env`). If it imports `mix:ffi/family`, the foreign functions of its run stand behind
//! that, with the rights that a program has there: records and files of its app, requests within the rules.

use crate::bindings::{AGENTS, Issue};
use crate::contract;
use crate::interfaces::Interfaces;
use crate::program_log;
use crate::run::{Outcome, RunRequest};
use crate::vm::add_family;
use anyhow::{Context, Result, anyhow, bail};
use mix_sandbox::engine;
use mix_sandbox::linker::linker;
use mix_sandbox::state::{Grants, GuestState, while_others_work};
use mix_value::{Value, escjson, msgpack};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::Semaphore;
use wasmtime::component::{
    Component, ComponentExportIndex, ComponentType, InstancePre, Lift, TypedFunc,
};
use wasmtime::{Engine, Store};

/// Largest component that is compiled.
const MAX_COMPONENT: usize = 64 << 20;
/// Most agents of one.
const MAX_AGENTS: usize = 1_000;
/// Time and memory for telling their names.
const NAMES_LIMIT: Duration = Duration::from_secs(5);
const NAMES_MEMORY: usize = 256 << 20;
/// Most components that tell them at a time.
const MAX_ASKED: usize = 8;

/// A component, ready to be instantiated.
pub struct EmbeddingCode {
    /// Names of its agents.
    pub agents: Vec<String>,
    pre: InstancePre<GuestState>,
    run: ComponentExportIndex,
}

/// `mix:embed/agents.failure`
#[derive(Debug, ComponentType, Lift)]
#[component(record)]
struct Failure {
    code: String,
    message: String,
    stack: Vec<String>,
}

type Run = TypedFunc<(String, String), (std::result::Result<String, Failure>,)>;

/// The export of a component by which it is one of the embedding world; an error for one of another version.
pub fn export(component: &[u8]) -> Result<Option<String>> {
    let exports = Interfaces::of(component)?.exports;
    let interface = |name: &str| name.split('@').next().map(str::to_owned);
    if let Some(export) = contract::compatible(AGENTS, exports.iter().map(String::as_str)) {
        return Ok(Some(export.to_owned()));
    }
    match exports
        .iter()
        .find(|name| interface(name) == interface(AGENTS))
    {
        Some(other) => {
            bail!("it exports {other}, and this version runs {AGENTS}: build it against wit/embed")
        }
        None => Ok(None),
    }
}

/// Fails if an instance would take more room than there is for a run: enough of them, and the runs of others had none.
fn check_room(component: &Component) -> Result<()> {
    let (most, most_tables) = (
        engine::INSTANCES_OF_RUN,
        engine::INSTANCES_OF_RUN * engine::INNER_INSTANCES,
    );
    // What imports modules or components cannot be linked anyway.
    let Some(needed) = component.resources_required() else {
        return Ok(());
    };
    if needed.num_memories > most || needed.num_tables > most_tables {
        bail!(
            "it has {} memories and {} tables, and {most} and {most_tables} are allowed",
            needed.num_memories,
            needed.num_tables
        );
    }
    Ok(())
}

impl EmbeddingCode {
    /// Compiles a component and asks it for its agents; `None` for one that is none of the embedding world.
    pub fn load(component: &[u8]) -> Result<Option<EmbeddingCode>> {
        let Some(export) = export(component)? else {
            return Ok(None);
        };
        if component.len() > MAX_COMPONENT {
            bail!("it is larger than {MAX_COMPONENT} bytes");
        }
        while_others_work(|| {
            // A thread that belongs to no runtime can have one of its own.
            std::thread::scope(|scope| {
                let loading = scope.spawn(|| EmbeddingCode::ready(component, &export));
                let done = loading.join();
                done.unwrap_or_else(|_| Err(anyhow!("it cannot be compiled")))
            })
        })
        .map(Some)
    }

    fn ready(bytes: &[u8], export: &str) -> Result<EmbeddingCode> {
        let engine = engine::engine()?;
        let pre = compiled(&engine, bytes)?;
        let component = pre.component();
        let function = |name: &str| {
            let agents = component.get_export_index(None, export);
            agents
                .and_then(|agents| component.get_export_index(Some(&agents), name))
                .with_context(|| format!("{export} has no {name}"))
        };
        let (names, run) = (function("names")?, function("run")?);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let agents = runtime.block_on(names_of(&engine, &pre, names, run))?;
        Ok(EmbeddingCode { agents, pre, run })
    }

    /// Runs an agent to its end; `store` is that of the run.
    pub async fn run(
        &self,
        store: &mut Store<GuestState>,
        request: &RunRequest,
    ) -> wasmtime::Result<Outcome> {
        let params = match msgpack::decode(&request.params) {
            Ok(Value::Null) => String::new(),
            Ok(params) => escjson::format(&params).map_err(wasmtime::Error::new)?,
            Err(error) => return Ok(Outcome::Broken(format!("parameters: {error}"))),
        };
        let instance = self.pre.instantiate_async(&mut *store).await?;
        let run: Run = instance.get_typed_func(&mut *store, self.run)?;
        let call = (request.agent.clone(), params);
        let (result,) = store
            .run_concurrent(async |accessor| run.call_concurrent(accessor, call).await)
            .await??;
        for line in store.data().stderr().lines() {
            program_log::write(line, &request.place, &request.agent);
        }
        Ok(match result {
            Ok(output) => match escjson::parse(&output).map(|value| msgpack::encode(&value)) {
                Ok(Ok(bytes)) => Outcome::Output(bytes),
                Ok(Err(error)) => issue("ERR_NOT_SERIALIZABLE", error.to_string()),
                Err(error) => issue(
                    "ERR_NOT_SERIALIZABLE",
                    format!("the output of the component is no EscJSON: {error}"),
                ),
            },
            Err(failure) => issue(&failure.code, with_stack(failure.message, &failure.stack)),
        })
    }
}

/// The component with what it imports.
fn compiled(engine: &Engine, bytes: &[u8]) -> Result<InstancePre<GuestState>> {
    // Compiling takes all processors: one at a time. What a component does by itself afterwards keeps nobody else.
    static COMPILING: Mutex<()> = Mutex::new(());
    let mut linker = linker(engine)?;
    add_family(&mut linker)?;
    let _one = COMPILING.lock().unwrap_or_else(PoisonError::into_inner);
    let component = Component::new(engine, bytes).map_err(first_line)?;
    check_room(&component)?;
    linker.instantiate_pre(&component).map_err(first_line)
}

async fn names_of(
    engine: &Engine,
    pre: &InstancePre<GuestState>,
    names: ComponentExportIndex,
    run: ComponentExportIndex,
) -> Result<Vec<String>> {
    static ASKED: Semaphore = Semaphore::const_new(MAX_ASKED);
    let _seat = ASKED.acquire().await?;
    let grants = Grants {
        memory: NAMES_MEMORY,
        ..Grants::default()
    };
    let mut store = GuestState::store(engine, grants)?;
    store.data_mut().deadline = Some(Instant::now() + NAMES_LIMIT);
    let asking = async {
        let instance = pre.instantiate_async(&mut store).await?;
        // Of another shape it is refused before anybody runs it.
        let _: Run = instance.get_typed_func(&mut store, run)?;
        let names: TypedFunc<(), (Vec<String>,)> = instance.get_typed_func(&mut store, names)?;
        names.call_async(&mut store, ()).await
    };
    let asked = tokio::time::timeout(2 * NAMES_LIMIT, asking).await;
    let told = asked.map_err(|_| anyhow!("it does not say which agents it has"))?;
    let (names,) = told.map_err(|error| {
        let error = first_line(error);
        error.context("it does not say which agents it has")
    })?;
    if names.len() > MAX_AGENTS {
        bail!("it has {} agents, more than {MAX_AGENTS}", names.len());
    }
    if let Some(bad) = names.iter().find(|name| !mix_http_api::is_agent_name(name)) {
        let shown: String = bad.chars().take(60).collect();
        bail!("{shown:?} is no name of an agent");
    }
    Ok(names)
}

/// What the engine says, without its backtrace.
fn first_line(error: wasmtime::Error) -> anyhow::Error {
    let text = format!("{error:#}");
    anyhow!("{}", text.lines().next().unwrap_or_default())
}

/// Frames of a component are text, unlike those of the VM.
fn with_stack(message: String, stack: &[String]) -> String {
    match stack.is_empty() {
        true => message,
        false => format!("{message} (at {})", stack.join(" < ")),
    }
}

/// Why there is no output.
fn issue(code: &str, message: String) -> Outcome {
    Outcome::Issue(Box::new(failed(code, message)))
}

/// A failure that has no place in a source.
pub fn failed(code: &str, message: String) -> Issue {
    Issue {
        code: code.to_owned(),
        class: "runtime".to_owned(),
        message,
        // An empty map.
        params: vec![0x80],
        location: None,
        mix_stack: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instance_has_the_room_of_a_run() {
        let engine = engine::engine().expect("an engine");
        let room = |what: &str, number: usize| {
            let instances = "(core instance (instantiate $m))".repeat(number);
            let text = format!("(component (core module $m {what}) {instances})");
            let bytes = wat::parse_str(text).expect("a text of a component");
            let component = Component::new(&engine, bytes).expect("a component");
            check_room(&component).map_err(|error| error.to_string())
        };
        assert_eq!(room("(memory 1)", 8), Ok(()));
        assert_eq!(room("(table 1 funcref)", 32), Ok(()));
        let refused = room("(memory 1) (table 1 funcref)", 9);
        assert!(
            refused
                .as_ref()
                .is_err_and(|text| text.contains("9 memories")),
            "{refused:?}"
        );
        assert!(room("(table 1 funcref)", 33).is_err());
    }
}
