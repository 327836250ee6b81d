//! The examples in the doc comments of the library, as blocks.
//!
//! Each has a result (`expression  //= result`). One that is a function is called: with the
//! appstate in an action (`appstate -> expression`), with other parameters by a test of the real
//! program, which has what their names say ([`SURROUNDINGS`]). That test runs also what needs a
//! user, a server or a broker ([`place`]).

use crate::case_file::{self, Block};
use crate::families;
use crate::session::{Compiled, compiled};
use anyhow::Result;

/// An example of the library.
#[derive(Debug)]
pub struct Example {
    /// `module.name` of what it is an example of.
    pub of: String,
    /// As it is written.
    pub text: String,
}

/// The examples of all public names of the library.
#[must_use]
pub fn all() -> Vec<Example> {
    let documented = mix_stdlib::modules()
        .iter()
        .filter_map(|module| mix_compiler::library_documentation(module.name));
    let mut examples = Vec::new();
    for module in documented {
        for item in module.items {
            let of = format!("{}.{}", module.name, item.name);
            examples.extend(item.examples.into_iter().map(|text| Example {
                of: of.clone(),
                text,
            }));
        }
    }
    examples
}

/// Where an example is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// By the native VM.
    Native,
    /// By the VM component with its families.
    Component,
    /// By an agent on a server.
    Server,
}

/// What examples are functions of, beside the appstate: a database of another server, a connection,
/// a module and a command with their files.
pub const SURROUNDINGS: &[&str] = &[
    "d",
    "client",
    "library",
    "moduleBytes",
    "program",
    "programBytes",
];

/// Functions of families that do nothing without a server, a user or somebody to talk to.
const OF_SERVERS: &[&str] = &[
    "$db_makeAnonymousLink",
    "$db_waitChange",
    "$file_register",
    "$http_",
    "$mqtt_",
    "$secrets_",
    "$token_",
    "$wasi_",
    "$wasm_",
    "$websocket_",
];

/// Where an example is run.
pub fn place(text: &str) -> Result<Place> {
    let given = parameters(text);
    if given.iter().any(|name| SURROUNDINGS.contains(name)) {
        return Ok(Place::Server);
    }
    let mut place = Place::Native;
    for block in blocks(text) {
        if let Compiled::Program(program, _) = compiled(&block)? {
            let of_server = |name: &str| OF_SERVERS.iter().any(|start| name.starts_with(start));
            let mut imports = program.imports.iter().map(|import| &*import.name);
            // A program brings the agents that it calls with it, and asks no server for others.
            let is_program = text.starts_with("module ");
            if !is_program && imports.clone().any(of_server) {
                return Ok(Place::Server);
            }
            if !imports.all(|name| families::has(name) || of_server(name)) {
                place = Place::Component;
            }
        }
    }
    Ok(place)
}

/// The parameters of an example that is a function.
#[must_use]
pub fn parameters(text: &str) -> Vec<&str> {
    let Some((head, _)) = text.split_once("->") else {
        return Vec::new();
    };
    let names = head.trim().trim_start_matches('(').trim_end_matches(')');
    let names: Vec<&str> = names.split(',').map(str::trim).collect();
    let is_given = |name: &&str| *name == "appstate" || SURROUNDINGS.contains(name);
    match names.iter().all(is_given) {
        true => names,
        false => Vec::new(),
    }
}

/// The expressions of an example with their results.
#[must_use]
pub fn steps(text: &str) -> Vec<(String, &str)> {
    let mut steps = Vec::new();
    let mut expression = String::new();
    for line in text.lines() {
        match line.split_once("  //= ") {
            Some((last, result)) => {
                expression.push_str(last);
                steps.push((std::mem::take(&mut expression), result));
            }
            None => {
                expression.push_str(line);
                expression.push('\n');
            }
        }
    }
    steps
}

/// The blocks of an example.
#[must_use]
pub fn blocks(text: &str) -> Vec<Block> {
    let steps = steps(text).into_iter();
    let texts = steps.map(|(expression, result)| match parameters(&expression)[..] {
        ["appstate"] => in_action(&expression, result),
        _ => format!("{expression}  //= {result}"),
    });
    texts.flat_map(|block| case_file::parse(&block)).collect()
}

/// An action that calls the function.
fn in_action(function: &str, result: &str) -> String {
    let (target, cell) = match result.starts_with('!') {
        true => ("let _", ""),
        false => ("shown", "shown = "),
    };
    format!(
        "module example\n  var cell shown : data = \"nothing\"\n  \
         cell go = action (v) {{ {target} = ({function})(appstate) }}\nmodule end\n\
         #load example  //= shown = \"nothing\"\n\
         #invoke example.go $agent_environment null  //= {cell}{result}\n"
    )
}
