//! Loading a program in an instance that reaches nothing.

use super::shape::{MEMORY, Shape, shown};
use crate::bindings::Link;
use anyhow::{Context, Result, anyhow};
use wasm_encoder::MemoryType;
use wasmtime::{Engine, Instance, Linker, Memory, Store, StoreLimits, StoreLimitsBuilder};
use wasmtime::{TypedFunc, Val};

/// What loading may take.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Linear memory.
    pub memory: usize,
    /// Ticks of the engine's clock.
    pub ticks: u64,
}

/// A function that takes an executable and foreign functions.
pub struct Loader {
    /// Name of the export of the core module.
    pub export: &'static str,
    /// Where in its result the texts of a refusal are.
    pub texts: &'static [usize],
}

/// `linking.load-linked` of the VM: code, class and message are the beginning of an issue.
pub const LOAD_LINKED: Loader = Loader {
    export: "mix:vm/linking@0.1.0#load-linked",
    texts: &[4, 20],
};

/// `preparation.load` of the VM for hosts without async.
pub const PREPARE: Loader = Loader {
    export: "mix:embed/preparation@0.1.0#load",
    texts: &[4],
};

/// Name under which the VM's code imports its memory.
pub const MEMORY_FROM: &str = "vm-memory";

/// The VM's core module, compiled: its code, and its memory as it is in the beginning.
#[derive(Clone)]
pub struct Machine {
    /// Imports the memory.
    pub code: wasmtime::Module,
    /// Holds the memory.
    pub memory: wasmtime::Module,
    globals: Vec<u32>,
    has_initialize: bool,
}

/// The state of an instance that has loaded a program.
pub struct State {
    /// All of the memory.
    pub memory: Vec<u8>,
    /// Its pages.
    pub pages: u64,
    /// The mutable globals, in their order.
    pub globals: Vec<Val>,
    /// True if the globals are what they were before.
    pub same_globals: bool,
}

impl State {
    /// The type of a memory that begins with this content.
    pub fn memory_type(&self, before: MemoryType) -> MemoryType {
        MemoryType {
            minimum: self.pages,
            ..before
        }
    }
}

impl Machine {
    /// Compiles a core module.
    pub fn compile(engine: &Engine, shape: &Shape) -> Result<Machine> {
        Ok(Machine {
            code: wasmtime::Module::new(engine, shape.code(MEMORY_FROM)?)?,
            memory: wasmtime::Module::new(engine, shape.memory()?)?,
            globals: shape.globals.clone(),
            has_initialize: shape.initialize.is_some(),
        })
    }

    /// True if instances need a call before their first one.
    pub fn has_initialize(&self) -> bool {
        self.has_initialize
    }

    /// The state after loading this program, or why the VM refuses it. An error says why it cannot be
    /// loaded beforehand: it asks its host for something, or needs more than it may take.
    pub fn load(
        &self,
        engine: &Engine,
        loader: &Loader,
        executable: &[u8],
        links: &[Link],
        bounds: Bounds,
    ) -> Result<std::result::Result<State, String>> {
        let limits = StoreLimitsBuilder::new().memory_size(bounds.memory).build();
        let mut store = Store::new(engine, limits);
        store.limiter(|limits| limits);
        store.set_epoch_deadline(bounds.ticks);
        let holder = Instance::new(&mut store, &self.memory, &[])?;
        let mut linker = Linker::new(engine);
        linker.instance(&mut store, MEMORY_FROM, holder)?;
        linker.define_unknown_imports_as_traps(&self.code)?;
        let instance = linker.instantiate(&mut store, &self.code)?;
        let mut loading = Loading::new(store, instance)?;
        if self.has_initialize {
            let initialize: TypedFunc<(), ()> =
                instance.get_typed_func(&mut loading.store, "_initialize")?;
            initialize.call(&mut loading.store, ())?;
        }
        let before = loading.globals(&self.globals)?;
        if let Some(refused) = loading.load(loader, executable, links)? {
            return Ok(Err(refused));
        }
        let globals = loading.globals(&self.globals)?;
        let same = |(before, after): (&Val, &Val)| match (before, after) {
            (Val::I32(before), Val::I32(after)) => before == after,
            (Val::I64(before), Val::I64(after)) => before == after,
            // Only numbers of these kinds are compared; others count as changed.
            _ => false,
        };
        Ok(Ok(State {
            same_globals: before.iter().zip(&globals).all(same),
            globals,
            pages: loading.memory.size(&loading.store),
            memory: loading.memory.data(&loading.store).to_vec(),
        }))
    }
}

/// An instance of the module, called as the component around it would.
struct Loading {
    store: Store<StoreLimits>,
    instance: Instance,
    memory: Memory,
    allocate: TypedFunc<(i32, i32, i32, i32), i32>,
}

impl Loading {
    fn new(mut store: Store<StoreLimits>, instance: Instance) -> Result<Loading> {
        let memory = instance
            .get_memory(&mut store, MEMORY)
            .context("the VM shows no memory")?;
        let allocate = instance.get_typed_func(&mut store, "cabi_realloc")?;
        Ok(Loading {
            store,
            instance,
            memory,
            allocate,
        })
    }

    fn globals(&mut self, numbers: &[u32]) -> Result<Vec<Val>> {
        let values = numbers.iter().map(|global| {
            self.instance
                .get_global(&mut self.store, &shown(*global))
                .map(|global| global.get(&mut self.store))
                .ok_or_else(|| anyhow!("global {global} is not shown"))
        });
        values.collect()
    }

    /// Puts bytes into the memory; the callee frees them.
    fn put(&mut self, bytes: &[u8], align: i32) -> Result<i32> {
        let length = i32::try_from(bytes.len())?;
        let place = self.allocate.call(&mut self.store, (0, 0, align, length))?;
        self.memory
            .write(&mut self.store, place as u32 as usize, bytes)?;
        Ok(place)
    }

    /// Calls the loader; says why it refuses the program, if it does.
    fn load(
        &mut self,
        loader: &Loader,
        executable: &[u8],
        links: &[Link],
    ) -> Result<Option<String>> {
        let code = self.put(executable, 1)?;
        // A record of name, number, number of arguments and whether it waits.
        let mut records = Vec::new();
        for link in links {
            let name = self.put(link.name.as_bytes(), 1)?;
            records.extend(name.to_le_bytes());
            records.extend((link.name.len() as u32).to_le_bytes());
            records.extend(link.number.to_le_bytes());
            records.extend([link.params, u8::from(link.waits), 0, 0]);
        }
        let records = self.put(&records, 4)?;
        let function: TypedFunc<(i32, i32, i32, i32), i32> = self
            .instance
            .get_typed_func(&mut self.store, loader.export)?;
        let arguments = (
            code,
            i32::try_from(executable.len())?,
            records,
            i32::try_from(links.len())?,
        );
        let result = function.call(&mut self.store, arguments)?;
        let refused = self.refusal(loader, result as u32 as usize)?;
        let free: TypedFunc<i32, ()> = self
            .instance
            .get_typed_func(&mut self.store, &format!("cabi_post_{}", loader.export))?;
        free.call(&mut self.store, result)?;
        Ok(refused)
    }

    /// The texts of a refusal, if that is what the result is.
    fn refusal(&self, loader: &Loader, result: usize) -> Result<Option<String>> {
        let word = |place: usize| -> Result<usize> {
            let mut bytes = [0; 4];
            self.memory.read(&self.store, place, &mut bytes)?;
            Ok(u32::from_le_bytes(bytes) as usize)
        };
        let text = |place: usize| -> Result<String> {
            let mut bytes = vec![0; word(place + 4)?.min(64 << 10)];
            self.memory.read(&self.store, word(place)?, &mut bytes)?;
            Ok(String::from_utf8_lossy(&bytes).into_owned())
        };
        if word(result)? & 0xff == 0 {
            return Ok(None);
        }
        let texts = loader.texts.iter().map(|place| text(result + place));
        Ok(Some(texts.collect::<Result<Vec<_>>>()?.join(": ")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mix_sandbox::engine::engine;

    const BOUNDS: Bounds = Bounds {
        memory: 2 << 20,
        ticks: 20,
    };

    /// A VM of this body of `load-linked`, which gets the executable at 1024.
    fn load(body: &str) -> Result<std::result::Result<State, String>> {
        let module = format!(
            r#"(module
                (import "wasi:random/random@0.2.0" "get-random-u64" (func $random (result i64)))
                (memory (export "memory") 1)
                (global $count (mut i32) (i32.const 7))
                (data (i32.const 512) "from the beginning")
                (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (i32.const 1024))
                (func (export "{export}") (param i32 i32 i32 i32) (result i32) {body} (i32.const 64))
                (func (export "cabi_post_{export}") (param i32)))"#,
            export = LOAD_LINKED.export
        );
        let module = wat::parse_str(module).expect("a module");
        let engine = engine()?;
        let machine = Machine::compile(&engine, &Shape::of(&module)?)?;
        machine.load(&engine, &LOAD_LINKED, b"program", &[], BOUNDS)
    }

    #[test]
    fn the_state_is_what_memory_and_globals_hold_at_the_end() {
        let body = "(i32.store8 (i32.const 2048) (i32.const 9))";
        let state = load(body).unwrap().expect("it loads");
        assert_eq!((state.pages, state.memory.len()), (1, 65_536));
        assert_eq!(&state.memory[512..530], b"from the beginning");
        assert_eq!(&state.memory[1024..1031], b"program");
        assert_eq!(state.memory[2048], 9);
        assert!(state.same_globals);
        let changed = load("(global.set $count (i32.const 8))").unwrap();
        assert!(!changed.expect("it loads").same_globals);
        let grown = load("(drop (memory.grow (i32.const 3)))").unwrap();
        assert_eq!(grown.expect("it loads").pages, 4);
    }

    #[test]
    fn what_asks_its_host_or_takes_too_much_is_not_loaded() {
        for body in [
            // A number from the host would be the same in all runs.
            "(i64.store (i32.const 0) (call $random))",
            "(loop (br 0))",
            "unreachable",
        ] {
            assert!(load(body).is_err(), "{body}");
        }
        // A memory that is refused says so to the program that wants it.
        let refused = "(i32.store (i32.const 0) (memory.grow (i32.const 100)))";
        let state = load(refused).unwrap().expect("it loads");
        assert_eq!((state.pages, &state.memory[..4]), (1, &[0xff; 4][..]));
    }
}
