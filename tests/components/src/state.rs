//! Engine, linker and store of the tests.

use std::path::Path;
use std::sync::OnceLock;

use anyhow::Result;
use wasmtime::component::{Linker, ResourceTable};
use wasmtime::{Config, Engine, Store};
use wasmtime_wasi::{FsPerms, WasiCtx, WasiCtxBuilder, WasiCtxView, WasiView};
use wasmtime_wasi_http::{WasiHttpCtx, WasiHttpCtxView, WasiHttpView};

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

/// Data of a store.
pub struct State {
    wasi: WasiCtx,
    http: WasiHttpCtx,
    table: ResourceTable,
}

/// The engine of all tests.
pub fn engine() -> &'static Engine {
    static ENGINE: OnceLock<Engine> = OnceLock::new();
    ENGINE.get_or_init(|| {
        let mut config = Config::new();
        config
            .wasm_component_model(true)
            .wasm_component_model_async(true);
        Engine::new(&config).expect("the engine's configuration is fixed")
    })
}

pub(crate) fn linker() -> Result<Linker<State>> {
    let mut linker = Linker::new(engine());
    wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
    wasmtime_wasi::p3::add_to_linker(&mut linker)?;
    wasmtime_wasi_http::p3::add_to_linker(&mut linker)?;
    Ok(linker)
}

pub(crate) fn store(surroundings: &Surroundings) -> Result<Store<State>> {
    let mut wasi = WasiCtxBuilder::new();
    wasi.inherit_stderr();
    wasi.allow_blocking_current_thread(surroundings.own_thread);
    for (name, value) in surroundings.environment {
        wasi.env(name, value);
    }
    for (folder, name) in surroundings.folders {
        wasi.preopened_dir(folder, name, FsPerms::ReadWrite)?;
    }
    let state = State {
        wasi: wasi.build(),
        http: WasiHttpCtx::new(),
        table: ResourceTable::new(),
    };
    Ok(Store::new(engine(), state))
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView {
            ctx: &mut self.wasi,
            table: &mut self.table,
        }
    }
}

impl WasiHttpView for State {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        WasiHttpCtxView {
            hooks: wasmtime_wasi_http::default_hooks(),
            table: &mut self.table,
            ctx: &mut self.http,
        }
    }
}
