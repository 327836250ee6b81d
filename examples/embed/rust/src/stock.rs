//! Our stock as a foreign function of the app, `$host_stock`.
use wasmtime::component::Linker;
use wasmtime::{Error, Result};

wasmtime::component::bindgen!({ path: "wit/ffi", world: "mix:ffi/plugin" });
use mix::ffi::types::{Failure, Function, Reply};

/// Arguments and result are MessagePack.
fn stock(args: &[u8]) -> Result<Vec<u8>> {
    let (item,): (String,) = rmp_serde::from_slice(args).map_err(Error::new)?;
    let left = if item == "apples" { 2 } else { 12 };
    rmp_serde::to_vec(&left).map_err(Error::new)
}

/// Implements `mix:ffi/family` for a component of `mixer build --open-family`.
pub fn add<T: Send + 'static>(linker: &mut Linker<T>) -> Result<()> {
    let mut family = linker.instance("mix:ffi/family@0.1.1")?;
    family.func_wrap("describe", |_, ()| {
        let stock = Function {
            name: "$host_stock".to_owned(),
            params: 1,
            waits: true,
            doc: String::new(),
        };
        Ok((vec![stock],))
    })?;
    family.func_wrap("call", |_, (_, args): (u32, Vec<u8>)| {
        Ok((Ok::<_, Failure>(stock(&args)?),))
    })?;
    family.func_wrap_concurrent("start", |_, (_, args): (u32, Vec<u8>)| {
        Box::pin(async move { Ok((Ok::<_, Failure>(Reply::One(stock(&args)?)),)) })
    })
}
