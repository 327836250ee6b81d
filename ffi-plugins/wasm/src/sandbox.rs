//! A module and its instance.

use mix_plugin_sdk::Failure;
use wasmi::{
    CompilationMode, Config, Engine, Export, ExternType, Func, FuncType, Instance, Linker, Memory,
    Module, Store, ValType,
};

use crate::limits::{Clock, LARGEST_MODULE, START_FUEL, Stopped, first_line, wasm};
use crate::wasi::{self, World};

/// A loaded module.
pub struct Sandbox {
    module: Module,
    /// The instance of a library; none after a trap, and none for a command, which gets a
    /// fresh one each time.
    live: Option<Live>,
}

/// An instance in its store.
pub struct Live {
    /// The store.
    pub store: Store<World>,
    /// The instance.
    pub instance: Instance,
}

impl Sandbox {
    /// A module whose functions are called.
    pub async fn library(bytes: &[u8]) -> Result<Sandbox, Failure> {
        let mut sandbox = Sandbox::compile(bytes)?;
        sandbox.live = Some(sandbox.instantiate(World::default()).await?);
        Ok(sandbox)
    }

    /// A module that is run as a program.
    pub fn command(bytes: &[u8]) -> Result<Sandbox, Failure> {
        let sandbox = Sandbox::compile(bytes)?;
        match sandbox.module.get_export("_start") {
            Some(ExternType::Func(_)) => Ok(sandbox),
            _ => Err(wasm(
                "the module is no WASI command: it does not export a function _start",
            )),
        }
    }

    fn compile(bytes: &[u8]) -> Result<Sandbox, Failure> {
        if bytes.len() > LARGEST_MODULE {
            return Err(Failure::new(
                "ERR_TOO_LARGE",
                format!(
                    "the module has {} bytes, {LARGEST_MODULE} are allowed",
                    bytes.len()
                ),
            ));
        }
        // The fourth pair of bytes tells modules (0) from components (1).
        if bytes.get(..4) == Some(b"\0asm") && bytes.get(6..8) == Some(&[1, 0]) {
            return Err(wasm("this is a component; a core module is needed"));
        }
        let module = Module::new(&engine(), bytes)
            .map_err(|error| wasm(format!("the module is invalid: {}", first_line(&error))))?;
        Ok(Sandbox { module, live: None })
    }

    /// The same module without an instance.
    pub fn clone_module(&self) -> Sandbox {
        Sandbox {
            module: self.module.clone(),
            live: None,
        }
    }

    /// A fresh instance.
    pub async fn instantiate(&self, world: World) -> Result<Live, Failure> {
        let engine = self.module.engine().clone();
        let mut store = Store::new(&engine, world);
        store.limiter(|world| &mut world.limits);
        store.set_fuel(START_FUEL).map_err(unusable)?;
        let mut linker = Linker::new(&engine);
        wasi::add_to(&mut linker, &self.module)?;
        let instance = linker
            .instantiate_and_start(&mut store, &self.module)
            .map_err(unusable)?;
        let mut live = Live { store, instance };
        // Libraries of WASI set themselves up here.
        if let Some(initialize) = live.function("_initialize", &[], &[]) {
            Clock::start()
                .run(&mut live.store, initialize, &[], &mut [])
                .await
                .map_err(|stopped| stopped.failure("_initialize"))?;
        }
        Ok(live)
    }

    /// Names of the functions that take and give values.
    pub fn value_functions(&self) -> Vec<String> {
        let wanted = value_function();
        let exports = self.module.exports();
        let fitting = exports.filter(|export| export.ty().func() == Some(&wanted));
        fitting.map(|export| export.name().to_owned()).collect()
    }

    /// Bytes of the memories that its instance shows.
    pub fn held(&self) -> usize {
        let Some(Live { store, instance }) = &self.live else {
            return 0;
        };
        let memories = instance.exports(store).filter_map(Export::into_memory);
        memories.map(|memory| memory.data_size(store)).sum()
    }

    /// The instance, made anew if the last one trapped.
    pub async fn live(&mut self) -> Result<&mut Live, Failure> {
        let live = match self.live.take() {
            Some(live) => live,
            None => self.instantiate(World::default()).await?,
        };
        Ok(self.live.insert(live))
    }

    /// Drops the instance: after a trap its memory is in an unknown state.
    pub fn discard(&mut self) {
        self.live = None;
    }
}

impl Live {
    /// An exported function of exactly this type.
    pub fn function(&self, name: &str, params: &[ValType], results: &[ValType]) -> Option<Func> {
        let function = self.instance.get_func(&self.store, name)?;
        let wanted = FuncType::new(params.iter().copied(), results.iter().copied());
        (function.ty(&self.store) == wanted).then_some(function)
    }

    /// The memory that values are passed through.
    pub fn memory(&self) -> Option<Memory> {
        self.instance.get_memory(&self.store, "memory")
    }
}

/// Why a module has no instance.
fn unusable(error: wasmi::Error) -> Failure {
    let ran = error.as_trap_code().is_some() || error.i32_exit_status().is_some();
    match Stopped::from(error) {
        Stopped::TooSlow => Failure::new(
            "ERR_TIMEOUT",
            "the start function of the module takes too long: what takes longer belongs into _initialize",
        ),
        Stopped::Trap(reason) if !ran => {
            wasm(format!("the module cannot be instantiated: {reason}"))
        }
        stopped => stopped.failure("instantiating the module"),
    }
}

/// `(ptr, len) -> ptr << 32 | len`
fn value_function() -> FuncType {
    FuncType::new([ValType::I32, ValType::I32], [ValType::I64])
}

fn engine() -> Engine {
    let mut config = Config::default();
    config
        .consume_fuel(true)
        .ignore_custom_sections(true)
        // All functions at once: translating one when it is first called takes fuel, and where that
        // ends in the middle of a translation the interpreter cannot go on.
        .compilation_mode(CompilationMode::Eager);
    Engine::new(&config)
}
