//! Runs the agent `shop` of the embedded app, with a stock of our own. Made ready by:
//! mixer build app --open-family -o shop.wasm
mod machine;
mod session;
mod stock;

use machine::Machine;
use wasmtime::component::Component;
use wasmtime::{Config, Engine, Error, Result, Store};

wasmtime::component::bindgen!({
    path: ["wit/ffi", "wit/embed"],
    world: "mix:embed/embedded",
    exports: { default: async },
});

#[tokio::main]
async fn main() -> Result<()> {
    let engine = Engine::new(Config::new().wasm_component_model_async(true))?;
    let component = Component::from_file(&engine, "shop.wasm")?;
    let mut linker = machine::linker(&engine)?;
    stock::add(&mut linker)?;
    let mut store = Store::new(&engine, Machine::default());
    let app = Embedded::instantiate_async(&mut store, &component, &linker).await?;
    let (agent, params) = ("shop".to_owned(), r#"{"item":"apples"}"#.to_owned());
    let agents = app.mix_embed_agents();
    let output = store
        .run_concurrent(async |store| agents.call_run(store, agent, params).await)
        .await??
        .map_err(|failure| Error::msg(format!("{}: {}", failure.code, failure.message)))?;
    println!("{output}");
    // A view that lives on between messages.
    let load = r#"{"type":"load","module":"basket"}"#.to_owned();
    let input = r#"{"type":"input","cell":"items","value":["apple","pear"]}"#.to_owned();
    store
        .run_concurrent(async |store| session::talk(store, agents, vec![load, input]).await)
        .await?
}
