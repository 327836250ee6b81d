//! Programs that are loaded already, as memories that runs are given copy-on-write.
//!
//! The image of a program is a module of its own that holds a memory and no code: to compile it is
//! to copy it. The engine maps it into each run; what a run costs are the pages that it touches.
//! The first run of a program loads it, the second one has its image made beside it, and those that begin when it is there use it.
//!
//! Images are told apart by the content of programs: what is installed in the place of another
//! program has another image, and nothing but memory is kept of a program that is gone. There are
//! at most [`MOST_IMAGES`] of them, with as many bytes as the operator says; those that were used last stay.

use super::loading::{Bounds, LOAD_LINKED, Machine};
use super::parts::{CODE, MEMORY};
use super::shape::{Shape, memory_with};
use crate::bindings::Link;
use crate::programs::{Digest, Executable};
use anyhow::{Result, anyhow, ensure};
use mix_sandbox::state::GuestState;
use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use tokio::sync::Semaphore;
use wasm_encoder::MemoryType;
use wasmtime::Engine;
use wasmtime::component::{Component, InstancePre, Linker};

/// Images of one form of the VM at most; each takes a file handle.
pub const MOST_IMAGES: usize = 256;

/// Programs that were run once, or have no image, at most; then they are forgotten.
const MOST_NOTED: usize = 10_000;

/// What loading may take: programs that need more are loaded by each run, within its limits.
const BOUNDS: Bounds = Bounds {
    memory: 128 << 20,
    ticks: 500,
};

/// A VM in parts, and the programs that it has loaded.
pub struct Images {
    engine: Engine,
    machine: Machine,
    /// The memory before a program is loaded.
    memory: MemoryType,
    component: Component,
    /// Everything that the component imports but the memory.
    linker: Linker<GuestState>,
    kept: Mutex<Kept<InstancePre<GuestState>>>,
    /// One image is made at a time.
    making: Arc<Semaphore>,
    runs: AtomicU64,
}

struct Kept<P> {
    images: HashMap<Digest, Image<P>>,
    bytes: usize,
    most_bytes: usize,
    /// Counts looks: the order in which images were used.
    clock: u64,
    /// Programs that were run once.
    seen: HashSet<Digest>,
    /// Programs that cannot be loaded beforehand.
    refused: HashSet<Digest>,
}

struct Image<P> {
    pre: P,
    bytes: usize,
    used: u64,
    /// The program as it was read last; once nobody has it any more the image may go.
    program: Weak<Executable>,
}

/// How much is kept, and how often it was of use.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Images.
    pub images: usize,
    /// Their bytes.
    pub bytes: usize,
    /// Runs that began with one.
    pub runs: u64,
}

impl Images {
    /// The VM whose core module is `shape`. `component` is the rest of it, with other components around it
    /// or not; `linker` has all that it imports but code and memory. `most_bytes` of images are kept.
    pub fn new(
        engine: &Engine,
        shape: &Shape,
        component: Component,
        mut linker: Linker<GuestState>,
        most_bytes: usize,
    ) -> Result<Images> {
        let machine = Machine::compile(engine, shape)?;
        linker.root().module(CODE, &machine.code)?;
        linker.allow_shadowing(true);
        Ok(Images {
            engine: engine.clone(),
            machine,
            memory: shape.memory_type(),
            component,
            linker,
            kept: Mutex::new(Kept::new(most_bytes)),
            making: Arc::new(Semaphore::new(1)),
            runs: AtomicU64::new(0),
        })
    }

    /// The VM without a program.
    pub fn empty(&self) -> Result<InstancePre<GuestState>> {
        self.with_memory(&self.machine.memory)
    }

    /// The VM with this program, if its image is there; else it may be made for later runs.
    pub fn of(
        self: &Arc<Self>,
        program: &Arc<Executable>,
        links: impl FnOnce() -> Vec<Link>,
    ) -> Option<InstancePre<GuestState>> {
        let digest = program.digest();
        {
            let mut kept = self.kept();
            if let Some(pre) = kept.find(&digest, program) {
                self.runs.fetch_add(1, Ordering::Relaxed);
                return Some(pre);
            }
            if kept.most_bytes == 0 || kept.refused.contains(&digest) {
                return None;
            }
            if kept.seen.len() >= MOST_NOTED {
                kept.seen.clear();
            }
            if kept.seen.insert(digest) {
                return None;
            }
        }
        // Another one is being made: a later run tries again.
        let turn = self.making.clone().try_acquire_owned().ok()?;
        let (images, program, links) = (self.clone(), program.clone(), links());
        tokio::task::spawn_blocking(move || {
            images.make(&program, &links);
            drop(turn);
        });
        None
    }

    /// What is kept.
    pub fn counts(&self) -> Counts {
        let kept = self.kept();
        Counts {
            images: kept.images.len(),
            bytes: kept.bytes,
            runs: self.runs.load(Ordering::Relaxed),
        }
    }

    fn kept(&self) -> MutexGuard<'_, Kept<InstancePre<GuestState>>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn make(&self, program: &Arc<Executable>, links: &[Link]) {
        let digest = program.digest();
        if self.kept().images.contains_key(&digest) {
            return;
        }
        let made = self.image(program, links);
        let mut kept = self.kept();
        kept.seen.remove(&digest);
        match made {
            Ok((pre, bytes)) => {
                kept.clock += 1;
                let image = Image {
                    pre,
                    bytes,
                    used: kept.clock,
                    program: Arc::downgrade(program),
                };
                kept.keep(digest, image);
            }
            Err(error) => {
                let error = format!("{error:#}");
                tracing::debug!(error, "a program is loaded by each of its runs");
                if kept.refused.len() >= MOST_NOTED {
                    kept.refused.clear();
                }
                kept.refused.insert(digest);
            }
        }
    }

    fn image(
        &self,
        program: &Executable,
        links: &[Link],
    ) -> Result<(InstancePre<GuestState>, usize)> {
        let memory = self.memory(&program.bytes, links)?;
        // The module and the file that is mapped.
        let bytes = 2 * memory.len();
        ensure!(bytes <= self.kept().most_bytes, "its image is too large");
        let module = wasmtime::Module::new(&self.engine, &memory)?;
        // Not by the first run that uses it.
        module.initialize_copy_on_write_image()?;
        Ok((self.with_memory(&module)?, bytes))
    }

    /// The module that holds the memory of a VM with this program.
    fn memory(&self, executable: &[u8], links: &[Link]) -> Result<Vec<u8>> {
        let state = self
            .machine
            .load(&self.engine, &LOAD_LINKED, executable, links, BOUNDS)?
            .map_err(|refused| anyhow!(refused))?;
        ensure!(
            state.same_globals,
            "loading changes globals, which are those of the code"
        );
        Ok(memory_with(state.memory_type(self.memory), &state.memory))
    }

    fn with_memory(&self, memory: &wasmtime::Module) -> Result<InstancePre<GuestState>> {
        let mut linker = self.linker.clone();
        linker.root().module(MEMORY, memory)?;
        Ok(linker.instantiate_pre(&self.component)?)
    }
}

impl<P: Clone> Kept<P> {
    fn new(most_bytes: usize) -> Kept<P> {
        Kept {
            images: HashMap::new(),
            bytes: 0,
            most_bytes,
            clock: 0,
            seen: HashSet::new(),
            refused: HashSet::new(),
        }
    }

    fn find(&mut self, digest: &Digest, program: &Arc<Executable>) -> Option<P> {
        self.clock += 1;
        let image = self.images.get_mut(digest)?;
        image.used = self.clock;
        if image.program.as_ptr() != Arc::as_ptr(program) {
            image.program = Arc::downgrade(program);
        }
        Some(image.pre.clone())
    }

    /// Makes room and keeps an image.
    fn keep(&mut self, digest: Digest, image: Image<P>) {
        let gone = self
            .images
            .extract_if(|_, old| old.program.strong_count() == 0);
        let freed: usize = gone.map(|(_, old)| old.bytes).sum();
        self.bytes -= freed;
        while self.images.len() >= MOST_IMAGES
            || self.bytes + image.bytes > self.most_bytes && !self.images.is_empty()
        {
            let oldest = self.images.iter().min_by_key(|(_, old)| old.used);
            let Some(oldest) = oldest.map(|(digest, _)| *digest) else {
                break;
            };
            self.remove(&oldest);
        }
        self.remove(&digest);
        self.bytes += image.bytes;
        self.images.insert(digest, image);
    }

    fn remove(&mut self, digest: &Digest) {
        if let Some(old) = self.images.remove(digest) {
            self.bytes -= old.bytes;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::guests;
    use crate::programs::compile_expression;
    use crate::snapshot::parts::Parts;
    use crate::vm::{add_family, add_unused};
    use mix_compiler::CompileOptions;
    use mix_sandbox::engine::engine;
    use mix_sandbox::linker::linker;

    fn program(expression: &str) -> Arc<Executable> {
        let compiled = compile_expression(expression, &[], &CompileOptions::default());
        let executable = compiled.unwrap().executable.expect("it compiles");
        Arc::new(Executable::read(executable).unwrap())
    }

    #[test]
    fn nothing_of_the_place_or_the_moment_is_in_an_image() {
        let engine = engine().unwrap();
        let parts = Parts::of(guests::VM).unwrap();
        let machine = Machine::compile(&engine, &parts.shape).unwrap();
        let load = |expression: &str| {
            let program = program(expression);
            let state = machine.load(&engine, &LOAD_LINKED, &program.bytes, &[], BOUNDS);
            state.unwrap().expect("it loads")
        };
        let expression = r#"["the text of the program", 1 + 1]"#;
        let (first, second) = (load(expression), load(expression));
        assert!(first.same_globals);
        assert!(first.memory == second.memory, "two images differ");
        let holds = |text: &[u8]| first.memory.windows(text.len()).any(|part| part == text);
        assert!(holds(b"the text of the program"));
        for (name, value) in std::env::vars() {
            // What the VM was built with is in all of them.
            let of_vm = guests::VM.windows(value.len().max(1));
            if value.len() > 8 && !of_vm.into_iter().any(|part| part == value.as_bytes()) {
                assert!(!holds(value.as_bytes()), "{name} is in an image");
            }
        }
        let image = memory_with(first.memory_type(parts.shape.memory_type()), &first.memory);
        let image = wasmtime::Module::new(&engine, image).unwrap();
        assert_eq!(image.imports().count(), 0);
    }

    #[test]
    fn a_vm_that_cannot_be_taken_apart_is_told() {
        for vm in [&b"\0asm\x0d\0\x01\0"[..], guests::CORE, b"\0asm", b""] {
            assert!(Parts::of(vm).is_err());
        }
    }

    #[test]
    fn there_are_so_many_images_and_those_that_were_used_last() {
        let programs: Vec<_> = (0..4).map(|n| program(&n.to_string())).collect();
        const MOST_BYTES: usize = 300;
        let mut kept: Kept<usize> = Kept::new(MOST_BYTES);
        let image = |number: usize, used: u64, bytes: usize| Image {
            pre: number,
            bytes,
            used,
            program: Arc::downgrade(&programs[number]),
        };
        let digest = |number: usize| programs[number].digest();
        for number in 0..3 {
            kept.clock += 1;
            kept.keep(digest(number), image(number, kept.clock, MOST_BYTES / 3));
        }
        assert_eq!(kept.find(&digest(0), &programs[0]), Some(0));
        kept.keep(digest(3), image(3, kept.clock, MOST_BYTES / 3));
        // The second one was used before all others.
        assert_eq!(kept.find(&digest(1), &programs[1]), None);
        assert_eq!(kept.find(&digest(0), &programs[0]), Some(0));
        assert_eq!((kept.images.len(), kept.bytes), (3, MOST_BYTES / 3 * 3));
        // One that nobody has any more goes first.
        drop(programs);
        let new = program("5");
        let image = Image {
            pre: 5,
            bytes: 1,
            used: 0,
            program: Arc::downgrade(&new),
        };
        kept.keep(new.digest(), image);
        assert_eq!((kept.images.len(), kept.bytes), (1, 1));
    }

    #[tokio::test]
    async fn the_third_run_of_a_program_finds_it_loaded() {
        let engine = engine().unwrap();
        let parts = Parts::of(guests::VM).unwrap();
        let component = Component::new(&engine, &parts.rest).unwrap();
        let mut linker = linker(&engine).unwrap();
        add_family(&mut linker).unwrap();
        add_unused(&mut linker).unwrap();
        let images = Images::new(&engine, &parts.shape, component, linker, 64 << 20).unwrap();
        let images = Arc::new(images);
        let program = program("1 + 1");
        assert!(images.of(&program, Vec::new).is_none());
        // The second run has it made.
        assert!(images.of(&program, Vec::new).is_none());
        let _made = images.making.acquire().await.unwrap();
        let Counts {
            images: kept, runs, ..
        } = images.counts();
        assert_eq!((kept, runs), (1, 0));
        assert!(images.of(&program, Vec::new).is_some());
        assert_eq!(images.counts().runs, 1);
        // Another program of the same name is another one.
        let other = super::tests::program("1 + 2");
        assert!(images.of(&other, Vec::new).is_none());
    }
}
