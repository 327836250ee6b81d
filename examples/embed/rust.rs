//! Runs the agent `shop` of an embedded app in a program with wasmtime.
use wasmtime::component::{Accessor, Component, Linker};
use wasmtime::{Error, Result, Store};

wasmtime::component::bindgen!({
    path: ["../../wit/ffi", "../../wit/embed"],
    world: "mix:embed/embedded",
    exports: { default: async },
});

/// What `mixer build app -o shop.wasm` makes; the linker has WASI, as for any component, and with
/// `--open-family` the functions of `family.rs`.
pub async fn shop<T: Send>(
    linker: &Linker<T>,
    mut store: Store<T>,
    component: &Component,
) -> Result<String> {
    let app = Embedded::instantiate_async(&mut store, component, linker).await?;
    let run = async |store: &Accessor<T>| {
        let params = r#"{"item":"apples"}"#.to_owned();
        let agents = app.mix_embed_agents();
        agents.call_run(store, "shop".to_owned(), params).await
    };
    let output = store.run_concurrent(run).await??;
    output.map_err(|failure| Error::msg(format!("{}: {}", failure.code, failure.message)))
}
