//! A VM to run programs on.

use anyhow::{Context as _, Result, bail};
use wasmtime::Store;
use wasmtime::component::{
    Component, ComponentNamedList, Instance, Lift, Lower, StreamReader, TypedFunc,
};

use crate::collect::collect;
use crate::state::{Surroundings, component, linker, store};
use crate::vm_contract::{Action, Event, Issue, Summary};
use mix_sandbox::state::GuestState;

const PROGRAM: &str = "mix:vm/program@0.1.0";
const SESSION: &str = "mix:vm/session@0.1.0";
const AGENTS: &str = "mix:embed/agents@0.1.0";

/// An instance of a component that exports the interfaces of the VM.
pub struct Machine {
    store: Store<GuestState>,
    instance: Instance,
}

impl Machine {
    /// Compiles and instantiates a component.
    pub async fn new(bytes: &[u8], surroundings: &Surroundings<'_>) -> Result<Machine> {
        Machine::of(&component(bytes)?, surroundings).await
    }

    /// Instantiates a compiled component.
    pub async fn of(component: &Component, surroundings: &Surroundings<'_>) -> Result<Machine> {
        let mut store = store(surroundings)?;
        let instance = linker()?.instantiate_async(&mut store, component).await?;
        Ok(Machine { store, instance })
    }

    /// Loads an executable.
    pub async fn load(&mut self, executable: &[u8]) -> Result<Result<Summary, Issue>> {
        let load = self.export::<(Vec<u8>,), (Result<Summary, Issue>,)>(PROGRAM, "load")?;
        let (result,) = load
            .call_async(&mut self.store, (executable.to_vec(),))
            .await?;
        Ok(result)
    }

    /// Runs one session of these actions and gives its events.
    pub async fn run(&mut self, actions: Vec<Action>) -> Result<Vec<Event>> {
        let mut sessions = self.run_all(vec![actions]).await?;
        sessions.pop().context("one result for one session")
    }

    /// Runs several sessions at the same time.
    pub async fn run_all(&mut self, sessions: Vec<Vec<Action>>) -> Result<Vec<Vec<Event>>> {
        let run = self.export::<(StreamReader<Action>,), (StreamReader<Event>,)>(SESSION, "run")?;
        self.store
            .run_concurrent(async |accessor| -> Result<Vec<Vec<Event>>> {
                let mut running = Vec::new();
                for actions in sessions {
                    let actions = accessor.with(|access| StreamReader::new(access, actions))?;
                    let (events,) = run.call_concurrent(accessor, (actions,)).await?;
                    running.push(accessor.with(|access| collect(events, access, usize::MAX))?);
                }
                let mut all = Vec::new();
                for events in running {
                    all.push(events.items().await);
                }
                Ok(all)
            })
            .await?
    }

    /// A session of the embedded app: messages, and everything that it answers.
    pub async fn talk(&mut self, messages: Vec<String>) -> Result<Vec<String>> {
        let session =
            self.export::<(StreamReader<String>,), (StreamReader<String>,)>(AGENTS, "session")?;
        self.store
            .run_concurrent(async |accessor| -> Result<Vec<String>> {
                let messages = accessor.with(|access| StreamReader::new(access, messages))?;
                let (told,) = session.call_concurrent(accessor, (messages,)).await?;
                let told = accessor.with(|access| collect(told, access, usize::MAX))?;
                Ok(told.items().await)
            })
            .await?
    }

    fn export<P, R>(&mut self, interface: &str, function: &str) -> Result<TypedFunc<P, R>>
    where
        P: ComponentNamedList + Lower,
        R: ComponentNamedList + Lift,
    {
        let Some(interface_index) =
            self.instance
                .get_export_index(&mut self.store, None, interface)
        else {
            bail!("no export {interface}");
        };
        let index = self
            .instance
            .get_export_index(&mut self.store, Some(&interface_index), function)
            .with_context(|| format!("no function {function} in {interface}"))?;
        Ok(self.instance.get_typed_func(&mut self.store, index)?)
    }
}
