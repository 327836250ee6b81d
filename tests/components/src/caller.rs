//! A family composed with a component that calls it: calls as those of a program in a composed
//! component, with no host between.

use anyhow::{Context as _, Result, anyhow};
use wasmtime::Store;
use wasmtime::component::{ComponentType, Instance, Lower, TypedFunc};

use crate::composition::compose_caller;
use crate::contract::Function;
use crate::state::{Surroundings, component, linker, store};
use mix_sandbox::state::GuestState;

/// The interface of `mix-test-caller`.
const CALLER: &str = "mix:test/caller";

/// A function, and its short way if it has one.
#[derive(ComponentType, Lower, Clone, Copy, Debug)]
#[component(record)]
pub struct Way {
    function: u32,
    #[component(name = "short-way")]
    short_way: Option<u32>,
}

/// The functions that give the items of a stream in parts.
#[derive(ComponentType, Lower, Clone, Copy, Debug)]
#[component(record)]
pub struct Parts {
    first: Way,
    next: Way,
}

/// A call, ready to be made.
#[derive(ComponentType, Lower, Clone, Debug)]
#[component(record)]
pub struct Call {
    way: Way,
    parts: Option<Parts>,
    args: Vec<u8>,
}

/// Makes calls.
type CallAll = TypedFunc<(u32,), (Result<u64, String>,)>;

/// A family and its caller.
pub struct Caller {
    store: Store<GuestState>,
    instance: Instance,
    functions: Vec<Function>,
}

impl Caller {
    /// Composes a family with its caller and instantiates both.
    pub async fn new(family: &[u8], surroundings: &Surroundings<'_>) -> Result<Caller> {
        let component = component(&compose_caller(family)?)?;
        let mut store = store(surroundings)?;
        let instance = linker()?.instantiate_async(&mut store, &component).await?;
        let mut caller = Caller {
            store,
            instance,
            functions: Vec::new(),
        };
        let index = caller.index("mix:ffi/family@0.1.1", "describe")?;
        let describe: TypedFunc<(), (Vec<Function>,)> =
            instance.get_typed_func(&mut caller.store, index)?;
        (caller.functions,) = describe.call_async(&mut caller.store, ()).await?;
        Ok(caller)
    }

    fn index(
        &mut self,
        interface: &str,
        function: &str,
    ) -> Result<wasmtime::component::ComponentExportIndex> {
        let interface = self
            .instance
            .get_export_index(&mut self.store, None, interface)
            .with_context(|| format!("no export {interface}"))?;
        self.instance
            .get_export_index(&mut self.store, Some(&interface), function)
            .with_context(|| format!("no function {function}"))
    }

    /// A call by name with encoded arguments, in parts if the function has them.
    pub fn call(&self, name: &str, args: Vec<u8>) -> Result<Call> {
        let find = |name: &str| {
            let mut functions = self.functions.iter().zip(0..);
            functions.find_map(|(function, number)| (function.name == name).then_some(number))
        };
        let way = |ending: &str| {
            let name = format!("{name}{ending}");
            let function = find(&name)?;
            let short_way = find(&format!("{name}?"));
            Some(Way {
                function,
                short_way,
            })
        };
        let parts = way(">").zip(way(">>"));
        Ok(Call {
            way: way("").with_context(|| format!("no function {name}"))?,
            parts: parts.map(|(first, next)| Parts { first, next }),
            args,
        })
    }

    /// Hands over the calls to make.
    pub async fn prepare(&mut self, calls: &[Call]) -> Result<()> {
        let index = self.index(CALLER, "prepare")?;
        let prepare: TypedFunc<(&[Call],), ()> =
            self.instance.get_typed_func(&mut self.store, index)?;
        prepare.call_async(&mut self.store, (calls,)).await?;
        Ok(())
    }

    /// Makes the prepared calls one after another, so many times, and reads the bytes of every answer; gives the
    /// number of values that came.
    pub async fn call_all(&mut self, times: usize) -> Result<u64> {
        let index = self.index(CALLER, "call-all")?;
        let call_all: CallAll = self.instance.get_typed_func(&mut self.store, index)?;
        let (values,) = call_all
            .call_async(&mut self.store, (times as u32,))
            .await?;
        values.map_err(|failure| anyhow!(failure))
    }
}
