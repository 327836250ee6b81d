//! QuickJS and Lua 5.4. A program defines a function `main` that is given the input.

use anyhow::{Context as _, Result, anyhow};

use crate::cases::Case;
use crate::clock::Start;
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

/// Lua 5.4.
pub struct Lua;

impl Engine for Lua {
    fn name(&self) -> &'static str {
        "Lua 5.4"
    }

    fn prepare<'a>(&'a self, program: &'a Program) -> Result<Option<Run<'a>>> {
        let Some(source) = program.source("lua")? else {
            return Ok(None);
        };
        let lua = mlua::Lua::new();
        let failed = |error: mlua::Error| anyhow!("{error}");
        lua.load(source).exec().map_err(failed)?;
        let main: mlua::Function = lua.globals().get("main").map_err(failed)?;
        Ok(Some(Box::new(move || {
            // The state lives as long as the function.
            let _ = &lua;
            let start = Start::now();
            let text: mlua::String = main.call(program.input.as_str()).map_err(failed)?;
            let time = start.elapsed();
            let text = text.to_str().map_err(failed)?.to_owned();
            Ok(Measured { time, text })
        })))
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
        for _ in 0..3 {
            let start = Start::now();
            let result: rquickjs::Coerced<String> = measured.call(()).map_err(failed)?;
            best = best.min(start.elapsed().as_secs_f64());
            text = result.0;
        }
        Ok((best, text))
    })
}
