//! An app inside another program: the world that it sees, and the family of the example.

use super::*;
use anyhow::anyhow;
use mix_component_tests::contract::{Failure, Function, Reply};
use mix_component_tests::{component as component_of, linker, store};
use mix_runtime::programs::Executable;
use mix_runtime::standalone::description::Description;
use mix_runtime::standalone::{Recipe, build};
use mix_sandbox::state::GuestState;
use std::path::Path;
use wasmtime::component::Linker;

mod world {
    wasmtime::component::bindgen!({
        path: ["../../wit/ffi", "../../wit/embed"],
        world: "mix:embed/embedded",
        exports: { default: async },
    });
}

/// The output of the agent `shop` of an app with these imports.
async fn shop(linker: &Linker<GuestState>, component: &[u8]) -> Result<String> {
    call_agent(linker, component, "shop", r#"{"item":"apples"}"#).await
}

/// The output of an agent of an app with these imports.
pub(super) async fn call_agent(
    linker: &Linker<GuestState>,
    component: &[u8],
    agent: &str,
    params: &str,
) -> Result<String> {
    let mut store = store(&Surroundings::default())?;
    let component = component_of(component)?;
    let app = world::Embedded::instantiate_async(&mut store, &component, linker).await?;
    let (agent, params) = (agent.to_owned(), params.to_owned());
    let agents = app.mix_embed_agents();
    let output = store
        .run_concurrent(async |store| agents.call_run(store, agent, params).await)
        .await??;
    output.map_err(|failure| anyhow!("{}: {}", failure.code, failure.message))
}

/// The component of a program of the repository.
async fn built(path: &str, open_family: bool) -> Result<Vec<u8>> {
    let path = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../..")).join(path);
    built_of(&std::fs::read_to_string(path)?, Vec::new(), open_family).await
}

/// The component of a program with these plugins.
pub(super) async fn built_of(
    source: &str,
    plugins: Vec<(String, Vec<u8>)>,
    open_family: bool,
) -> Result<Vec<u8>> {
    let program = Executable::read(executable(source))?;
    let recipe = Recipe {
        app: "app".to_owned(),
        programs: vec![("app".to_owned(), program)],
        plugins,
        open_family,
        ..Recipe::default()
    };
    build(&recipe).await
}

/// A family of functions that never wait, found by their names when they are called first.
fn add_functions(linker: &mut Linker<GuestState>, names: &'static [&str]) -> Result<()> {
    type Called = std::result::Result<Vec<u8>, Failure>;
    let mut family = linker.instance("mix:ffi/family@0.1.1")?;
    family.func_wrap("describe", |_, ()| {
        let functions = names.iter().map(|name| Function {
            name: (*name).to_owned(),
            params: 1,
            waits: false,
            doc: String::new(),
        });
        Ok((functions.collect::<Vec<_>>(),))
    })?;
    family.func_wrap("call", |_, (function, _): (u32, Vec<u8>)| {
        // The number of the function as a MessagePack number.
        let called: Called = Ok(vec![function as u8]);
        Ok((called,))
    })?;
    family.func_wrap_concurrent("start", |_, (_, _): (u32, Vec<u8>)| {
        Box::pin(async move {
            let failure = Failure {
                code: "ERR_INTERNAL".to_owned(),
                message: "it does not wait".to_owned(),
                detail: None,
            };
            Ok((Err::<Reply, Failure>(failure),))
        })
    })?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn functions_of_the_program_around_an_app_are_found_when_they_are_called() -> Result<()> {
    let component = built("examples/embed/app/shop.mix", true).await?;
    assert!(Description::of(&component)?.preinitialized);
    let mut linker_of_two = linker()?;
    add_functions(&mut linker_of_two, &["$host_other", "$host_stock"])?;
    let found = shop(&linker_of_two, &component).await?;
    assert_eq!(found, r#"{"item":"apples","left":1,"order":true}"#);
    let mut linker_of_one = linker()?;
    add_functions(&mut linker_of_one, &["$host_other"])?;
    let missing = shop(&linker_of_one, &component).await;
    let missing = missing.expect_err("nobody has it").to_string();
    assert!(
        missing.contains("ERR_FFI_MISSING") && missing.contains("$host_stock"),
        "{missing}"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_is_driven_as_streams() -> Result<()> {
    let component = built("tests/system/programs/streams/streams.mix", false).await?;
    let mut machine = Machine::new(&component, &Surroundings::default()).await?;
    let messages = [
        r#"{"type":"load","module":"counter","id":1}"#,
        r#"{"type":"jump"}"#,
        r#"{"type":"input","cell":"count","value":5,"id":2}"#,
        r#"{"type":"invoke","name":"counter.fails","id":3}"#,
        r#"{"type":"run","agent":"nobody","id":4}"#,
    ];
    let told = machine.talk(messages.map(str::to_owned).to_vec()).await?;
    let place = |part: &str| {
        let found = told.iter().position(|text| text.contains(part));
        found.unwrap_or_else(|| panic!("{part}: {told:#?}"))
    };
    // Each message is answered to its end before the next one is taken.
    let order = [
        r#""id":1"#,
        "bad_param",
        r#""value":10"#,
        r#""id":2"#,
        "RT_FAIL",
        r#""id":3"#,
        r#""id":4"#,
    ];
    let places = order.map(place);
    assert!(places.is_sorted(), "{told:#?}");
    assert_eq!(
        told.iter()
            .filter(|text| text.contains(r#""type":"done""#))
            .count(),
        5
    );
    Ok(())
}
