//! The VM in its two forms, and which of them a program needs.
//!
//! [`Vms::of`] picks: a program that uses functions behind the host only, or none at all,
//! runs on the VM alone, which is one component with one memory. Any other program runs on
//! the VM composed with the families that keep no state over runs, so that calling
//! them does not pass through the host. Both are compiled when first needed; where both are, an agent
//! that reaches none of these families runs on the VM alone, whatever else its program uses ([`Vms::of_agent`]).
//!
//! Foreign functions are looked up here, once for all runs; a run is told the numbers of those
//! that its program uses (`mix:vm/linking`).
//!
//! The VM is instantiated in parts, so that a program that was loaded before is there from the start
//! ([`crate::snapshot`]). A VM given with `--mixrt-wasm` that cannot be taken apart loads its program in each run.

use crate::assembly::Policy;
use crate::bindings::{
    Action, Answer, BINDING, Caller, Event, FAMILY, Failure, Function, Issue, LINKING, Link,
    PROGRAM, Reply, SESSION, SHORT, ShortValue, Summary, UNUSED_BINDING, UNUSED_FAMILY,
    UNUSED_PACKED_FAMILY, copy, packed,
};
use crate::compose::{self, Hostless};
use crate::contract;
use crate::guests;
use crate::plugin::LARGEST_COMPONENT;
use crate::programs::Executable;
use crate::run_context::{AtHand, RunContext};
use crate::snapshot::images::{Counts, Images};
use crate::snapshot::parts::Parts;
use crate::snapshot::shape::Shape;
use crate::stream::{HostReply, Offered};
use anyhow::{Context, Result, bail};
use mix_sandbox::linker::linker;
use mix_sandbox::state::{Grants, GuestState};
use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::future::ready;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};
use tokio::sync::OnceCell;
use wasmparser::Parser;
use wasmtime::component::{
    Component, ComponentExportIndex, Instance, InstancePre, Linker, StreamReader, TypedFunc,
};
use wasmtime::{Engine, Store};

/// Time for the VM to tell its functions.
const DESCRIBE_LIMIT: Duration = Duration::from_secs(5);

/// Result of loading a program.
type LoadResult = std::result::Result<Summary, Issue>;

/// A session of a loaded program: actions in, events out.
pub type Run = TypedFunc<(StreamReader<Action>,), (StreamReader<Event>,)>;

/// Both forms of the VM.
pub struct Vms {
    engine: Engine,
    replacement: Option<PathBuf>,
    /// Memory of a form for programs that are kept loaded.
    image_bytes: usize,
    hostless: Hostless,
    /// Functions behind the host, in the order of their numbers.
    host: Vec<Link>,
    /// Their names.
    names: HashSet<String>,
    alone: OnceCell<VmCode>,
    composed: OnceCell<VmCode>,
}

/// The VM, ready to be instantiated.
pub struct VmCode {
    /// The component with its imports filled, without a program.
    pre: InstancePre<GuestState>,
    /// The same with programs; none if it cannot be taken apart.
    images: Option<Arc<Images>>,
    /// Functions that it reaches, by name.
    functions: HashMap<String, Link>,
    /// Of the VM alone: functions of the composed one, for programs whose agents do not reach them here.
    elsewhere: OnceLock<HashMap<String, Link>>,
    load: ComponentExportIndex,
    load_linked: Option<ComponentExportIndex>,
    /// `session.run`
    run: ComponentExportIndex,
    /// `binding.bind` of the families that want to know their caller.
    bind: Vec<ComponentExportIndex>,
}

impl Vms {
    /// `hostless`: the families that are composed with the VM. `functions`: those behind the host.
    pub fn new(
        engine: &Engine,
        policy: &Policy,
        hostless: Hostless,
        functions: &[Function],
    ) -> Vms {
        Vms {
            engine: engine.clone(),
            replacement: policy.vm.clone(),
            // Either form of the VM has half of it.
            image_bytes: policy.snapshot_memory / 2,
            hostless,
            host: functions.iter().zip(0..).map(link).collect(),
            names: functions.iter().map(|one| one.name.clone()).collect(),
            alone: OnceCell::new(),
            composed: OnceCell::new(),
        }
    }

    /// The VM for a program that uses these foreign functions.
    pub async fn of(&self, foreign: &[String]) -> Result<&VmCode> {
        if foreign.iter().all(|name| self.names.contains(name)) {
            self.alone().await
        } else {
            self.composed().await
        }
    }

    /// The VM for runs of an agent. That of its program will do, but an instance of the VM alone costs less.
    pub async fn of_agent(&self, program: &Executable, agent: &str) -> Result<&VmCode> {
        if let (Some(alone), Some(composed)) = (self.alone.get(), self.composed.get())
            && alone.load_linked.is_some()
            && !self.asks_families(program, agent)
        {
            alone.elsewhere.get_or_init(|| composed.functions.clone());
            return Ok(alone);
        }
        self.of(&program.foreign).await
    }

    /// True if an agent can reach functions of the families that are composed with the VM.
    pub fn asks_families(&self, program: &Executable, agent: &str) -> bool {
        let mut foreign = program.foreign_of(agent);
        foreign.any(|name| !self.names.contains(name))
    }

    /// The VM without families.
    pub async fn alone(&self) -> Result<&VmCode> {
        self.alone
            .get_or_try_init(|| async {
                let engine = self.engine.clone();
                let replacement = self.replacement.clone();
                let image_bytes = self.image_bytes;
                let made = tokio::task::spawn_blocking(move || {
                    let vm = vm_bytes(replacement.as_deref(), guests::VM)?;
                    VmCode::of(&engine, &vm, image_bytes, |vm| Ok(vm.to_vec()))
                });
                let mut code = made.await??;
                code.functions = self.numbered_from(0);
                Ok(code)
            })
            .await
    }

    /// The VM with the families that need no host.
    pub async fn composed(&self) -> Result<&VmCode> {
        self.composed
            .get_or_try_init(|| async {
                let engine = self.engine.clone();
                let replacement = self.replacement.clone();
                let image_bytes = self.image_bytes;
                let hostless = self.hostless.clone();
                let made = tokio::task::spawn_blocking(move || {
                    let vm = vm_bytes(replacement.as_deref(), guests::VM_COMPOSED)?;
                    VmCode::of(&engine, &vm, image_bytes, |vm| match replacement {
                        None => compose::cached_runtime(vm, &hostless),
                        Some(_) => compose::runtime(vm, &hostless),
                    })
                });
                let mut code = made.await??;
                code.functions = code.link(&self.engine, self).await?;
                Ok(code)
            })
            .await
    }

    /// How many programs are loaded already, and how often that was of use.
    pub fn snapshots(&self) -> Counts {
        let forms = [self.alone.get(), self.composed.get()];
        let images = forms.into_iter().flatten().flat_map(|code| &code.images);
        images.fold(Counts::default(), |sum, images| {
            let own = images.counts();
            Counts {
                images: sum.images + own.images,
                bytes: sum.bytes + own.bytes,
                runs: sum.runs + own.runs,
            }
        })
    }

    fn numbered_from(&self, first: u32) -> HashMap<String, Link> {
        let numbered = |link: &Link| Link {
            number: first + link.number,
            ..link.clone()
        };
        self.host
            .iter()
            .map(|link| (link.name.clone(), numbered(link)))
            .collect()
    }
}

impl VmCode {
    /// A VM in parts if it can be taken apart; `compose` puts other components around it.
    fn of(
        engine: &Engine,
        vm: &[u8],
        image_bytes: usize,
        compose: impl FnOnce(&[u8]) -> Result<Vec<u8>>,
    ) -> Result<VmCode> {
        match Parts::of(vm) {
            Ok(parts) => VmCode::prepare(
                engine,
                &compose(&parts.rest)?,
                Some((&parts.shape, image_bytes)),
            ),
            Err(error) => {
                let error = format!("{error:#}");
                tracing::debug!(error, "the VM stays whole: each run loads its program");
                VmCode::prepare(engine, &compose(vm)?, None)
            }
        }
    }

    /// `parts`: the core module of a VM in parts, and the memory for its images.
    fn prepare(engine: &Engine, bytes: &[u8], parts: Option<(&Shape, usize)>) -> Result<VmCode> {
        let component = Component::new(engine, bytes)?;
        let mut linker = linker(engine)?;
        add_family(&mut linker)?;
        add_unused(&mut linker)?;
        let (pre, images) = match parts {
            None => (linker.instantiate_pre(&component)?, None),
            Some((shape, most)) => {
                let images = Images::new(engine, shape, component.clone(), linker, most)?;
                (images.empty()?, Some(Arc::new(images)))
            }
        };
        let function = |interface: &str, name: &str| {
            let instance = component
                .get_export_index(None, interface)
                .with_context(|| format!("the VM does not export {interface}"))?;
            component
                .get_export_index(Some(&instance), name)
                .with_context(|| format!("{interface} has no {name}"))
        };
        Ok(VmCode {
            pre,
            images,
            functions: HashMap::new(),
            elsewhere: OnceLock::new(),
            load: function(PROGRAM, "load")?,
            load_linked: function(LINKING, "load-linked").ok(),
            run: function(SESSION, "run")?,
            bind: (0..compose::SLOTS)
                .map(compose::binding)
                .chain([BINDING.to_owned()])
                .filter_map(|interface| function(&interface, "bind").ok())
                .collect(),
        })
    }

    /// A fresh instance that has this program, on behalf of this caller.
    pub async fn start(
        &self,
        store: &mut Store<GuestState>,
        who: &Caller,
        program: &Arc<Executable>,
    ) -> wasmtime::Result<std::result::Result<Run, Issue>> {
        let images = self.images.as_ref();
        let with_program = images.and_then(|images| images.of(program, || self.links(program)));
        let has_program = with_program.is_some();
        let pre = with_program.as_ref().unwrap_or(&self.pre);
        let instance = pre.instantiate_async(&mut *store).await?;
        for bind in &self.bind {
            let bind: TypedFunc<(Caller,), ()> = instance.get_typed_func(&mut *store, bind)?;
            bind.call_async(&mut *store, (who.clone(),)).await?;
        }
        if !has_program && let Err(issue) = self.load(store, &instance, program).await? {
            return Ok(Err(issue));
        }
        Ok(Ok(instance.get_typed_func(&mut *store, self.run)?))
    }

    /// Gives a program to a fresh instance of this VM.
    async fn load(
        &self,
        store: &mut Store<GuestState>,
        instance: &Instance,
        program: &Executable,
    ) -> wasmtime::Result<LoadResult> {
        let (loaded,) = match &self.load_linked {
            Some(index) => {
                let load: TypedFunc<(&[u8], &[Link]), (LoadResult,)> =
                    instance.get_typed_func(&mut *store, index)?;
                let links = self.links(program);
                load.call_async(&mut *store, (&program.bytes, &links))
                    .await?
            }
            // A VM that was built before there was linking asks for all functions itself.
            None => {
                let load: TypedFunc<(&[u8],), (LoadResult,)> =
                    instance.get_typed_func(&mut *store, self.load)?;
                load.call_async(&mut *store, (&program.bytes,)).await?
            }
        };
        Ok(loaded)
    }

    /// Where the functions are that a program uses.
    fn links(&self, program: &Executable) -> Vec<Link> {
        let foreign = program.foreign.iter();
        foreign
            .filter_map(|name| self.link_of(name))
            .flat_map(|link| self.with_those_beside(link))
            .cloned()
            .collect()
    }

    fn link_of(&self, name: &str) -> Option<&Link> {
        let here = self.functions.get(name);
        // The host has no function of that number: a call of it fails.
        here.or_else(|| self.elsewhere.get()?.get(name))
    }

    /// A function, and those that are used in its place.
    fn with_those_beside<'a>(&'a self, link: &'a Link) -> impl Iterator<Item = &'a Link> {
        let names = link.waits.then(|| contract::beside(&link.name));
        let beside = names.into_iter().flatten();
        std::iter::once(link).chain(beside.filter_map(|name| self.functions.get(&name)))
    }

    /// Numbers of the functions of the families that are composed with the VM, and of those
    /// behind the host. The host tells none of its own to a store without a run.
    async fn link(&self, engine: &Engine, vms: &Vms) -> Result<HashMap<String, Link>> {
        let grants = Grants {
            memory: 64 << 20,
            ..Grants::default()
        };
        let mut store = GuestState::store(engine, grants)?;
        store.data_mut().deadline = Some(Instant::now() + DESCRIBE_LIMIT);
        let instance = self.pre.instantiate_async(&mut store).await?;
        let mut describe = async |interface: &str| -> Result<Option<Vec<Function>>> {
            let Some(family) = instance.get_export_index(&mut store, None, interface) else {
                return Ok(None);
            };
            let describe = instance.get_export_index(&mut store, Some(&family), "describe");
            let describe = describe.with_context(|| format!("{interface} has no describe"))?;
            let describe: TypedFunc<(), (Vec<Function>,)> =
                instance.get_typed_func(&mut store, describe)?;
            let (functions,) = describe.call_async(&mut store, ()).await?;
            Ok(Some(functions))
        };
        // Behind a switchboard the host comes last: its functions follow those of the others.
        if let Some(composed) = describe(FAMILY).await? {
            let mut links = vms.numbered_from(composed.len() as u32);
            let composed = composed.iter().zip(0..).map(link);
            links.extend(composed.map(|link| (link.name.clone(), link)));
            return Ok(links);
        }
        let mut links = vms.numbered_from(0);
        for slot in 0..compose::SLOTS {
            let Some(functions) = describe(&compose::slot(slot)).await? else {
                continue;
            };
            for (function, number) in functions.iter().zip(0..) {
                let link = link((function, compose::slot_function(slot, number)));
                links.insert(link.name.clone(), link);
            }
        }
        Ok(links)
    }
}

fn vm_bytes(replacement: Option<&Path>, own: &'static [u8]) -> Result<Cow<'static, [u8]>> {
    match replacement {
        None => Ok(Cow::Borrowed(own)),
        Some(path) => {
            let bytes = mix_input_file::read(path, LARGEST_COMPONENT);
            let bytes = bytes.with_context(|| format!("{} cannot be read", path.display()))?;
            if !Parser::is_component(&bytes) {
                bail!("{} is no WebAssembly component", path.display());
            }
            Ok(Cow::Owned(bytes))
        }
    }
}

fn link((function, number): (&Function, u32)) -> Link {
    Link {
        name: function.name.clone(),
        number,
        params: function.params,
        waits: function.waits,
    }
}

/// The family that the VM imports, with all plugins of the host behind it.
pub(crate) fn add_family(linker: &mut Linker<GuestState>) -> Result<()> {
    add_short(linker)?;
    let mut family = linker.instance(FAMILY)?;
    family.func_wrap("describe", |context, (): ()| {
        let functions = match owner(context.data()) {
            // What the programmer reads about a function is of no use in a run.
            Some(run) => run
                .assembly
                .functions
                .iter()
                .map(|function| Function {
                    doc: String::new(),
                    ..copy(function)
                })
                .collect(),
            None => Vec::new(),
        };
        Ok((functions,))
    })?;
    family.func_wrap_async("call", |mut context, (function, args): (u32, Vec<u8>)| {
        type Called = std::result::Result<Vec<u8>, Failure>;
        type Calling = Box<dyn Future<Output = wasmtime::Result<(Called,)>> + Send>;
        let deadline = context.data().deadline;
        let Some(at_hand) = at_hand(context.data_mut()) else {
            let result: Called = Err(unknown(function));
            return Box::new(ready(Ok((result,)))) as Calling;
        };
        match at_hand.call_in_place(function, args, deadline) {
            Ok(result) => Box::new(ready(Ok((result,)))),
            Err(args) => {
                let run = at_hand.run.clone();
                Box::new(async move { Ok((run.call(function, args, deadline).await,)) })
            }
        }
    })?;
    family.func_wrap_concurrent("start", |accessor, (function, args): (u32, Vec<u8>)| {
        Box::pin(async move {
            let run = accessor.with(|mut access| owner(access.data_mut()).cloned());
            let started = match &run {
                Some(run) => run.start(function, args).await,
                None => Err(unknown(function)),
            };
            let result: std::result::Result<Reply, Failure> = match started {
                Err(failure) => Err(failure),
                Ok(HostReply::One(value)) => Ok(Reply::One(value)),
                Ok(HostReply::Many(incoming)) => {
                    let reader = accessor
                        .with(|access| StreamReader::new(access, Offered::new(incoming)))?;
                    Ok(Reply::Many(reader))
                }
            };
            Ok((result,))
        })
    })?;
    Ok(())
}

/// The way for short values to the same plugins.
fn add_short(linker: &mut Linker<GuestState>) -> Result<()> {
    let mut short = linker.instance(SHORT)?;
    short.func_wrap(
        "call",
        |mut context, (function, args): (u32, ShortValue)| {
            let deadline = context.data().deadline;
            let answer = match at_hand(context.data_mut()) {
                Some(at_hand) => at_hand.call_short(function, args, deadline),
                None => Answer::Declined,
            };
            Ok((answer,))
        },
    )?;
    short.func_wrap("take", |mut context, (): ()| {
        let result = match at_hand(context.data_mut()) {
            Some(at_hand) => at_hand.take_kept(),
            None => Err(unknown(0)),
        };
        Ok((result,))
    })?;
    Ok(())
}

/// The run that a VM belongs to.
fn owner(state: &GuestState) -> Option<&Arc<RunContext>> {
    state.owner().map(|AtHand { run, .. }| run)
}

fn at_hand(state: &mut GuestState) -> Option<&mut AtHand> {
    state.owner_mut()
}

/// What stands behind the free slots of the composed VM, and of a switchboard.
pub(crate) fn add_unused(linker: &mut Linker<GuestState>) -> Result<()> {
    let mut family = linker.instance(UNUSED_FAMILY)?;
    family.func_wrap("describe", |_, (): ()| Ok((Vec::<Function>::new(),)))?;
    family.func_wrap("call", |_, (function, _): (u32, Vec<u8>)| {
        let result: std::result::Result<Vec<u8>, Failure> = Err(unknown(function));
        Ok((result,))
    })?;
    family.func_wrap_concurrent("start", |_, (function, _): (u32, Vec<u8>)| {
        Box::pin(async move {
            let result: std::result::Result<Reply, Failure> = Err(unknown(function));
            Ok((result,))
        })
    })?;
    let mut family = linker.instance(UNUSED_PACKED_FAMILY)?;
    family.func_wrap("describe", |_, (): ()| Ok((Vec::<Function>::new(),)))?;
    family.func_wrap("call", |_, (function, _): (u32, Vec<u8>)| {
        let result: std::result::Result<Vec<u8>, Failure> = Err(unknown(function));
        Ok((result,))
    })?;
    type Args = (u32, u32, Vec<packed::Block>);
    family.func_wrap("call-packed", |_, (function, ..): Args| {
        let result: std::result::Result<packed::Packed, Failure> = Err(unknown(function));
        Ok((result,))
    })?;
    family.func_wrap_concurrent("start", |_, (function, _): (u32, packed::Packed)| {
        Box::pin(async move {
            let result: std::result::Result<packed::Reply, Failure> = Err(unknown(function));
            Ok((result,))
        })
    })?;
    let mut binding = linker.instance(UNUSED_BINDING)?;
    binding.func_wrap("bind", |_, (_,): (Caller,)| Ok(()))?;
    Ok(())
}

/// The VM links names to numbers itself, so this is a fault of the VM.
pub fn unknown(function: u32) -> Failure {
    crate::instance::failure(
        "ERR_FFI_MISSING",
        format!("there is no foreign function number {function}"),
    )
}
