//! The examples in the doc comments of the library, as blocks.
//!
//! An example with a result (`expression  //= result`) is a block. One that is a function of
//! the appstate (`appstate -> expression`) is called in an action. Examples without a result
//! need something that no test host has: a server, a user, a screen.

use crate::case_file::{self, Block};
use crate::families;
use crate::session::{Compiled, compiled};
use anyhow::Result;
use mix_bytecode::Program;

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

/// The blocks of an example; none if it has no result.
#[must_use]
pub fn blocks(text: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut expression = String::new();
    for line in text.lines() {
        let Some((last, result)) = line.split_once("  //= ") else {
            expression.push_str(line);
            expression.push('\n');
            continue;
        };
        expression.push_str(last);
        let block = match of_appstate(&expression) {
            false => format!("{expression}  //= {result}"),
            true => in_action(&expression, result),
        };
        blocks.extend(case_file::parse(&block));
        expression.clear();
    }
    blocks
}

/// Is it a function of the appstate?
fn of_appstate(expression: &str) -> bool {
    expression.starts_with("appstate ->") || expression.starts_with("(appstate) ->")
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

/// Whether the families of the native runs have all functions that a block uses.
pub fn is_native(block: &Block) -> Result<bool> {
    Ok(match compiled(block)? {
        Compiled::Program(program, _) => has_all(&program),
        Compiled::Refused(..) => true,
    })
}

fn has_all(program: &Program) -> bool {
    program
        .imports
        .iter()
        .all(|import| families::has(&import.name))
}
