//! Runs the agent `shop` of the embedded app, with a stock of our own: what
//! `mixer build app --open-family -o shop.wasm` makes, in a program with wasmtime.
use anyhow::{Result, anyhow};
use mix::ffi::types::{Failure, Function, Reply};
use mix_value::{Value, msgpack};
use wasmtime::component::{Component, Linker};
use wasmtime::{Engine, Store};

wasmtime::component::bindgen!({ path: ["../../wit/ffi", "../../wit/embed"], world: "mix:embed/embedded-with-family", exports: { default: async } });

type Called = Result<Vec<u8>, Failure>;

fn stock(args: &[u8]) -> Result<Vec<u8>> {
    let args = msgpack::decode(args)?;
    let item = args.as_array().and_then(|args| args.first()?.as_str());
    Ok(msgpack::encode(&Value::Int(if item == Some("apples") {
        2
    } else {
        12
    }))?)
}

/// `T` and its linker bring WASI, as for any component.
pub async fn shop<T: Send>(
    engine: &Engine,
    linker: &mut Linker<T>,
    mut store: Store<T>,
    component: &[u8],
) -> Result<String> {
    let mut family = linker.instance("mix:ffi/family@0.1.1")?;
    family.func_wrap("describe", |_, ()| {
        let name = "$host_stock".to_owned();
        Ok((vec![Function {
            name,
            params: 1,
            waits: true,
            doc: String::new(),
        }],))
    })?;
    family.func_wrap("call", |_, (_, args): (u32, Vec<u8>)| {
        Ok((Called::Ok(stock(&args)?),))
    })?;
    family.func_wrap_concurrent("start", |_, (_, args): (u32, Vec<u8>)| {
        Box::pin(async move { Ok((Result::<Reply, Failure>::Ok(Reply::One(stock(&args)?)),)) })
    })?;
    let component = Component::new(engine, component)?;
    let app = EmbeddedWithFamily::instantiate_async(&mut store, &component, linker).await?;
    let call = async |store: &wasmtime::component::Accessor<T>| {
        app.mix_embed_agents()
            .call_run(store, "shop".into(), r#"{"item":"apples"}"#.into())
            .await
    };
    let output = store.run_concurrent(call).await??;
    output.map_err(|failure| anyhow!("{}: {}", failure.code, failure.message))
}
