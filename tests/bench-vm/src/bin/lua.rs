//! Runs a Lua program for `mix-bench-vm`, which starts it.
//!
//! It is a program of its own because of what Lua is built with: in one build with the engine of
//! the component, the features of crates that both use would have the engine compiled again.
//!
//! Given the file of the program, it reads a line with the length of the input and the input; then for
//! each further line `main` is called, and a line with nanoseconds and length and the text are written.

use std::io::{BufRead, Read, Write};

use anyhow::{Context, Result, anyhow};

#[path = "../clock.rs"]
mod clock;

fn main() -> Result<()> {
    let file = std::env::args().nth(1).context("no program is given")?;
    let source = std::fs::read_to_string(&file).with_context(|| format!("{file}: not read"))?;
    let mut requests = std::io::stdin().lock();
    let mut line = String::new();
    requests.read_line(&mut line)?;
    let mut input = vec![0; line.trim().parse()?];
    requests.read_exact(&mut input)?;
    let input = String::from_utf8(input)?;

    let lua = mlua::Lua::new();
    let failed = |error: mlua::Error| anyhow!("{error}");
    lua.load(source).exec().map_err(failed)?;
    let main: mlua::Function = lua.globals().get("main").map_err(failed)?;
    let mut out = std::io::stdout().lock();
    for request in requests.lines() {
        request?;
        let start = clock::Start::now();
        let text: mlua::String = main.call(input.as_str()).map_err(failed)?;
        let time = start.elapsed();
        let text = text.as_bytes();
        writeln!(out, "{} {}", time.as_nanos(), text.len())?;
        out.write_all(&text)?;
        out.flush()?;
    }
    Ok(())
}
