//! Mix in the native library: module `bench`, run as an agent.

use anyhow::{Result, anyhow, bail};
use mix_compiler::{CompileOptions, SourceFile};
use mix_vm::{Action, Event, NoFunctions, NoHost, Options, Step, Vm};

use crate::cases::Case;
use crate::clock::{Runs, Start};
use crate::program::{Measured, Program};
use crate::{Engine, Run};

/// The native library.
pub struct Native;

impl Engine for Native {
    fn name(&self) -> &'static str {
        "Mix native"
    }

    fn prepare<'a>(&'a self, program: &'a Program) -> Result<Option<Run<'a>>> {
        let Some(executable) = compile(program)? else {
            return Ok(None);
        };
        let vm = Vm::load(&executable, &NoFunctions, &Options::default())
            .map_err(|issue| anyhow!("{issue}"))?;
        let params = encode(&program.input)?;
        Ok(Some(Box::new(move || {
            let start = Start::now();
            let value = run(&vm, params.clone())?;
            let time = start.elapsed();
            let text = text_of(&value)?;
            Ok(Measured { time, text })
        })))
    }
}

/// The executable of a program.
pub fn compile(program: &Program) -> Result<Option<Vec<u8>>> {
    let Some(source) = program.source("mix")? else {
        return Ok(None);
    };
    executable(&format!("{}.mix", program.name), &source).map(Some)
}

/// The executable of a source text.
pub fn executable(name: &str, source: &str) -> Result<Vec<u8>> {
    let files = [SourceFile::new(name, source)];
    let compilation = mix_compiler::compile(&files, &CompileOptions::default());
    match &compilation.program {
        Some(program) => {
            if std::env::var_os("MIX_DISASSEMBLE").is_some() {
                eprintln!("{}", mix_bytecode::disassemble::disassemble(program));
            }
            Ok(mix_bytecode::encode(program))
        }
        None => bail!("{}", compilation.text()),
    }
}

/// A text as an encoded parameter.
pub fn encode(text: &str) -> Result<Vec<u8>> {
    Ok(mix_value::msgpack::encode(&mix_value::Value::String(
        text.into(),
    ))?)
}

/// The text of an encoded result.
pub fn text_of(bytes: &[u8]) -> Result<String> {
    let value = mix_vm::wire::decode(bytes).map_err(|error| anyhow!("{error}"))?;
    Ok(mix_vm::text_form::log_text(&value).to_string())
}

/// Runs agent `bench` once.
pub fn run(vm: &Vm, params: Vec<u8>) -> Result<Vec<u8>> {
    let mut session = vm.session();
    session.act(Action::RunAgent {
        agent: "bench".into(),
        params,
    });
    loop {
        match session.run(&mut NoHost, u64::MAX) {
            Step::Event(Event::Result(value)) => return Ok(value),
            Step::Event(Event::Issue(issue)) => bail!("{issue}"),
            Step::Event(Event::Log(line)) => eprintln!("{line}"),
            Step::Event(_) | Step::Ready => {}
            Step::Waiting(_) | Step::Listening(_) | Step::Idle => {
                bail!("the agent ended without a result")
            }
        }
    }
}

/// Seconds that the measured part of a case takes on `size` elements, and its result:
/// the fastest run, less the fastest of what is made before, both in turn.
pub fn measure(case: &Case, size: u32) -> Result<(f64, String)> {
    let (whole, made) = (load(case, size, case.measured)?, load(case, size, "null")?);
    let (mut least_whole, mut least_made) = (f64::MAX, f64::MAX);
    let mut text = String::new();
    for () in Runs::new() {
        let (value, time) = timed(&whole)?;
        least_whole = least_whole.min(time);
        least_made = least_made.min(timed(&made)?.1);
        text = text_of(&value)?;
    }
    Ok(((least_whole - least_made).max(1e-6), text))
}

fn load(case: &Case, size: u32, last: &str) -> Result<Vm> {
    let source = format!(
        "module bench(p)\n  cell output = do {{ let n = {size}; let a = {}; return {last} }}\nmodule end\n",
        case.made
    );
    let executable = executable("library.mix", &source)?;
    Vm::load(&executable, &NoFunctions, &Options::default())
        .map_err(|issue| anyhow!("{}: {issue}", case.name))
}

fn timed(vm: &Vm) -> Result<(Vec<u8>, f64)> {
    let start = Start::now();
    let value = run(vm, encode("")?)?;
    Ok((value, start.elapsed().as_secs_f64()))
}
