//! The family `wasm`: WebAssembly modules that an agent brings with it.
//!
//! The modules run on an interpreter inside this component, so they are in a sandbox inside a
//! sandbox: what they could break out of is a component that holds nothing and may reach
//! nothing. It also works the same in every host, because nobody else has to compile
//! code that an agent brought. The price is speed: an interpreter is many times slower than
//! compiled code, so this is for functions and small programs, not for number crunching.
//!
//! * [`limits`]: memory, time, sizes; how long something may run, and that others go on meanwhile;
//! * [`sandbox`]: a module, and an instance of it that is made anew after a trap;
//! * [`function`]: calling an exported function with values as EscJSON;
//! * [`command`]: running a WASI command; [`wasi`]: what it finds around it, which is arguments,
//!   environment, standard streams, clock and random bytes, but no files and no network;
//! * [`loaded`]: the handles.

mod command;
mod function;
mod limits;
mod loaded;
mod sandbox;
mod wasi;

use mix_plugin_sdk::{Bytes, Failure, Handle, Map, Value, family};

async fn load(module: Bytes) -> Result<Handle, Failure> {
    loaded::make_room();
    Ok(loaded::add(sandbox::Sandbox::library(&module).await?))
}

fn has(library: Handle, name: String) -> Result<bool, Failure> {
    Ok(loaded::find(library)?.has(&name))
}

async fn call(library: Handle, name: String, arguments: Vec<Value>) -> Result<Value, Failure> {
    let loaded = loaded::find(library)?;
    let mut sandbox = loaded.sandbox.lock().await;
    function::call(&mut sandbox, &name, arguments).await
}

fn shutdown(library: Handle) {
    loaded::remove(library);
}

async fn wasi_load(module: Bytes) -> Result<Handle, Failure> {
    Ok(loaded::add(sandbox::Sandbox::command(&module)?))
}

async fn wasi_call(
    program: Handle,
    stdin: String,
    environment: Map,
    arguments: Vec<Value>,
) -> Result<Vec<Value>, Failure> {
    let loaded = loaded::find(program)?;
    // Its instance is made for the call, so others need not wait for the module.
    let sandbox = loaded.sandbox.lock().await.clone_module();
    let (stdout, stderr) = command::run(&sandbox, stdin, &environment, &arguments).await?;
    Ok(vec![Value::string(stdout), Value::string(stderr)])
}

family! {
    /// Compiles and instantiates a core module.
    start "$wasm_load" = load(Bytes);
    /// True if the module exports a function of that name that values can be passed to.
    call "$wasm_has" = has(Handle, String);
    /// Calls an exported function; arguments and result travel as EscJSON.
    start "$wasm_call" = call(Handle, String, Vec<Value>);
    /// Ends an instance.
    call "$wasm_shutdown" = shutdown(Handle);
    /// Compiles a WASI command.
    start "$wasi_load" = wasi_load(Bytes);
    /// Runs a WASI command with standard input, environment and arguments; gives its
    /// standard output and standard error.
    start "$wasi_call" = wasi_call(Handle, String, Map, Vec<Value>);
}
