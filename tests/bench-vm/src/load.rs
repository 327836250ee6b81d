//! What the library costs a program when it starts: reading, verifying and linking the
//! executable, in which the parts of the library that the program uses lie.
//!
//! With the component the whole start is measured too: a fresh instance, loading, and a session
//! that gives a constant; then the same with a program that is kept loaded, whose instance begins
//! with a copy-on-write memory. What the first row has less than another is the price of its library. The last
//! row is a program of a megabyte.

use anyhow::{Result, anyhow};
use mix_vm::{NoFunctions, Options, Vm};

use crate::clock::Start;
use crate::{large, mix};

/// Programs that give a constant, and what of the library they bring.
const STARTS: [(&str, &str); 4] = [
    ("no library", "\"hello\""),
    ("string.uppercase", "string.uppercase(\"hello\")"),
    (
        "arrays, maps, streams",
        "do { let a = array.map(x -> x + 1, array.enumerate(3)); \
         let m = map.map(x -> x, {a: 1}); \
         return \"\" + array.length(array.sort(x -> x, array.filter(x -> x > 0, a))) + map.length(m) \
           + stream.length(stream.filter(x -> x > 0, stream.map(x -> x, a[]))) }",
    ),
    (
        "calendar, CSV, JSON",
        "do { let t = calendar.parse(\"2024-05-06\"); let rows = csv.parse(\"a,b\"); \
         return string.formatJSON({day: datacase(t), rows: rows}) }",
    ),
];

/// Runs of each; the fastest counts.
const RUNS: u32 = 200;

/// Prints the table.
pub fn print() -> Result<()> {
    #[cfg(feature = "component")]
    let (component, keeping) = (
        crate::component::Component::new()?,
        crate::component::Component::keeping(256 << 20)?,
    );
    print!("{:<26}{:>10}{:>12}", "program", "bytes", "load");
    #[cfg(feature = "component")]
    print!("{:>20}{:>16}", "start in component", "kept loaded");
    println!();
    let small = STARTS.map(|(name, value)| {
        let source = format!("module bench(p)\n  cell output = {value}\nmodule end\n");
        (name, source)
    });
    for (name, source) in small
        .into_iter()
        .chain([("a megabyte", large::source("bench"))])
    {
        let executable = mix::executable("load.mix", &source)?;
        let loading = fastest(|| {
            let start = Start::now();
            Vm::load(&executable, &NoFunctions, &Options::default())
                .map_err(|issue| anyhow!("{name}: {issue}"))?;
            Ok(start.elapsed().as_secs_f64())
        })?;
        let loading = format!("{:.3} ms", loading * 1e3);
        print!("{name:<26}{:>10}{loading:>12}", executable.len());
        #[cfg(feature = "component")]
        {
            let mut run = component.run_of(name, executable.clone(), mix::encode("")?)?;
            let start = fastest(|| Ok(run()?.time.as_secs_f64()))?;
            let start = format!("{:.3} ms", start * 1e3);
            let mut run = keeping.run_of(name, executable, mix::encode("")?)?;
            let kept = fastest(|| Ok(run()?.time.as_secs_f64()))?;
            let kept = format!("{:.3} ms", kept * 1e3);
            print!("{start:>20}{kept:>16}");
        }
        println!();
    }
    Ok(())
}

fn fastest(mut run: impl FnMut() -> Result<f64>) -> Result<f64> {
    let mut best = f64::MAX;
    for _ in 0..RUNS {
        best = best.min(run()?);
    }
    Ok(best)
}
