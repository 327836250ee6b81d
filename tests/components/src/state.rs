//! Engine, linker, components and stores of the tests.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Mutex, OnceLock, PoisonError};

use anyhow::Result;
use mix_sandbox::outbound::{Egress, Outbound};
use mix_sandbox::state::{Grants, GuestState};
use sha2::{Digest, Sha256};
use wasmtime::component::{Component, Linker};
use wasmtime::{Engine, Store};

/// More than any test needs.
const MEMORY: usize = 1 << 30;

/// What an instance finds around it.
#[derive(Default)]
pub struct Surroundings<'a> {
    /// Environment variables.
    pub environment: &'a [(&'a str, &'a str)],
    /// Folders of the test and their names in the instance.
    pub folders: &'a [(&'a Path, &'a str)],
    /// File operations may block the thread, as where an instance has one of its own.
    pub own_thread: bool,
}

/// The engine of all tests.
pub fn engine() -> &'static Engine {
    static ENGINE: OnceLock<Engine> = OnceLock::new();
    ENGINE.get_or_init(|| mix_sandbox::engine::engine().expect("the engine starts"))
}

/// A component, compiled once for all tests of a program.
pub fn component(bytes: &[u8]) -> Result<Component> {
    static COMPILED: Mutex<Option<HashMap<[u8; 32], Component>>> = Mutex::new(None);
    let mut compiled = COMPILED.lock().unwrap_or_else(PoisonError::into_inner);
    let compiled = compiled.get_or_insert_default();
    let key = Sha256::digest(bytes).into();
    if let Some(component) = compiled.get(&key) {
        return Ok(component.clone());
    }
    let component = Component::new(engine(), bytes)?;
    compiled.insert(key, component.clone());
    Ok(component)
}

/// What components may import: WASI.
pub fn linker() -> Result<Linker<GuestState>> {
    mix_sandbox::linker::linker(engine())
}

/// A store with these surroundings.
pub fn store(surroundings: &Surroundings) -> Result<Store<GuestState>> {
    let environment = surroundings.environment.iter();
    GuestState::store(
        engine(),
        Grants {
            folders: surroundings.folders.to_vec(),
            environment: environment
                .map(|(name, value)| (*name, (*value).to_owned()))
                .collect(),
            // The servers of the tests are on loopback.
            outbound: Some(Egress::anywhere(Outbound::new(true), None)),
            memory: MEMORY,
            own_thread: surroundings.own_thread,
            ..Grants::default()
        },
    )
}
