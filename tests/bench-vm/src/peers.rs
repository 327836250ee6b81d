//! QuickJS and Lua 5.4. A program defines a function `main` that is given the input.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow};

use crate::cases::Case;
use crate::clock::{Runs, Start};
use crate::program::{Measured, Program};
use crate::{Engine, Run};

/// QuickJS.
pub struct QuickJs;

impl Engine for QuickJs {
    fn name(&self) -> &'static str {
        "QuickJS"
    }

    fn prepare<'a>(&'a self, program: &'a Program) -> Result<Option<Run<'a>>> {
        let Some(source) = program.source("js")? else {
            return Ok(None);
        };
        let runtime = rquickjs::Runtime::new()?;
        runtime.set_max_stack_size(64 << 20);
        let context = rquickjs::Context::full(&runtime)?;
        context
            .with(|context| context.eval::<(), _>(source.as_str()))
            .with_context(|| format!("{}.js", program.name))?;
        Ok(Some(Box::new(move || {
            context.with(|context| {
                let main: rquickjs::Function = context.globals().get("main")?;
                let start = Start::now();
                let text: rquickjs::Coerced<String> = main
                    .call((program.input.as_str(),))
                    .map_err(|error| anyhow!("{error}: {:?}", context.catch()))?;
                let time = start.elapsed();
                Ok(Measured { time, text: text.0 })
            })
        })))
    }
}

/// Lua 5.4, in a process of its own.
pub struct Lua;

impl Engine for Lua {
    fn name(&self) -> &'static str {
        "Lua 5.4"
    }

    fn prepare<'a>(&'a self, program: &'a Program) -> Result<Option<Run<'a>>> {
        let Some(file) = program.file("lua") else {
            return Ok(None);
        };
        let mut peer = Peer::start(&file, &program.input)?;
        Ok(Some(Box::new(move || peer.run())))
    }
}

/// A Lua program that is run on demand.
struct Peer {
    process: Child,
    requests: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Peer {
    fn start(file: &Path, input: &str) -> Result<Peer> {
        let program = std::env::current_exe()?.with_file_name("mix-bench-lua");
        let mut process = Command::new(&program)
            .arg(file)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("{} is not built (see `make bench-vm`)", program.display()))?;
        let mut requests = process.stdin.take().context("a pipe to Lua")?;
        let answers = process.stdout.take().context("a pipe from Lua")?;
        write!(requests, "{}\n{input}", input.len())?;
        Ok(Peer {
            process,
            requests,
            answers: BufReader::new(answers),
        })
    }

    fn run(&mut self) -> Result<Measured> {
        writeln!(self.requests)?;
        let mut line = String::new();
        self.answers.read_line(&mut line)?;
        let (nanos, length) = line.trim().split_once(' ').context("Lua has failed")?;
        let mut text = vec![0; length.parse()?];
        self.answers.read_exact(&mut text)?;
        Ok(Measured {
            time: Duration::from_nanos(nanos.parse()?),
            text: String::from_utf8(text)?,
        })
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // It may be gone already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Seconds that QuickJS takes for the same case with its own builtins, and the result.
pub fn measure(case: &Case, size: u32) -> Result<(f64, String)> {
    let runtime = rquickjs::Runtime::new()?;
    let context = rquickjs::Context::full(&runtime)?;
    let (made, measured) = case.script;
    let source =
        format!("const n = {size}; const a = {made}; function measured() {{ return {measured} }}");
    context.with(|context| {
        let failed = |error| anyhow!("{}: {error}: {:?}", case.name, context.catch());
        context.eval::<(), _>(source).map_err(failed)?;
        let measured: rquickjs::Function = context.globals().get("measured")?;
        let mut best = f64::MAX;
        let mut text = String::new();
        for () in Runs::new() {
            let start = Start::now();
            let result: rquickjs::Coerced<String> = measured.call(()).map_err(failed)?;
            best = best.min(start.elapsed().as_secs_f64());
            text = result.0;
        }
        Ok((best, text))
    })
}
