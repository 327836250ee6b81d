//! Library functions at doubling sizes: the factor by which the time grows is
//! about 2 for linear work, a little more for sorting, and 4 if something is quadratic.

use anyhow::{Result, anyhow};
use mix_vm::{NoFunctions, Options, Vm};

use crate::clock::Start;
use crate::mix;

/// Sizes, each twice the one before; the last is a little over a million.
const SIZES: [u32; 5] = [1 << 16, 1 << 17, 1 << 18, 1 << 19, 1 << 20];

/// What is made once, and what is measured on it.
struct Case {
    name: &'static str,
    /// Expression over `n`.
    made: &'static str,
    /// Expression over `a`, the value of `made`.
    measured: &'static str,
}

const CASES: &[Case] = &[
    Case {
        name: "array.map",
        made: "array.enumerate(n)",
        measured: "array.length(array.map(x -> x + 1, a))",
    },
    Case {
        name: "array.filter",
        made: "array.enumerate(n)",
        measured: "array.length(array.filter(x -> x % 2 == 0, a))",
    },
    Case {
        name: "array.reduce",
        made: "array.enumerate(n)",
        measured: "array.reduce((x, s) -> x + s, 0, a)",
    },
    Case {
        name: "array.reverse",
        made: "array.enumerate(n)",
        measured: "array.length(array.reverse(a))",
    },
    Case {
        name: "array.sort",
        made: "array.enumerate(n) |> array.map(x -> (x * 7919) % 1000003)",
        measured: "array.length(array.sort(x -> x, a))",
    },
    Case {
        name: "array.sortBy",
        made: "array.enumerate(n) |> array.map(x -> (x * 7919) % 1000003)",
        measured: "array.length(array.sortBy((x, y) -> x > y, a))",
    },
    Case {
        name: "array +, one by one",
        made: "n",
        measured: "do { var b : array(number) = []; for (let i = 0; i < a; i = i + 1) { b = b + [i] } return array.length(b) }",
    },
    Case {
        name: "array update",
        made: "array.enumerate(n)",
        measured: "do { var b = a; for (let i = 0; i < array.length(a); i = i + 1) { b[i] = i + 1 } return array.length(b) }",
    },
    Case {
        name: "map.map",
        made: "array.enumerate(n) |> array.map(x -> [\"k\" + x, x]) |> map.ofArray",
        measured: "map.length(map.map(x -> x + 1, a))",
    },
    Case {
        name: "map, key by key",
        made: "n",
        measured: "do { var m : map(number) = {}; for (let i = 0; i < a; i = i + 1) { m.(\"k\" + i) = i } return map.length(m) }",
    },
    Case {
        name: "map.keys",
        made: "array.enumerate(n) |> array.map(x -> [\"k\" + x, x]) |> map.ofArray",
        measured: "array.length(map.keys(a))",
    },
    Case {
        name: "string +, piece by piece",
        made: "n",
        measured: "do { var s = \"\"; for (let i = 0; i < a; i = i + 1) { s = s + \"ab\" } return string.length(s) }",
    },
    Case {
        name: "string.splitSep",
        made: "string.concat(\",\", array.map(x -> \"\" + x, array.enumerate(n)))",
        measured: "array.length(string.splitSep(\",\", a))",
    },
    Case {
        name: "string.concat",
        made: "array.map(x -> \"\" + x, array.enumerate(n))",
        measured: "string.length(string.concat(\",\", a))",
    },
    Case {
        name: "string.replaceAll",
        made: "string.concat(\",\", array.map(x -> \"\" + x, array.enumerate(n)))",
        measured: "string.length(string.replaceAll(\",\", \"; \", a))",
    },
    Case {
        name: "string.formatJSON",
        made: "array.map(x -> {id: x, name: \"n\" + x}, array.enumerate(n))",
        measured: "string.length(string.formatJSON(a))",
    },
    Case {
        name: "string.parseJSON",
        made: "string.formatJSON(array.map(x -> {id: x, name: \"n\" + x}, array.enumerate(n)))",
        measured: "array.length(string.parseJSON(a))",
    },
    Case {
        name: "stream map, filter",
        made: "array.enumerate(n)",
        measured: "a[] |> stream.map(x -> x + 1) |> stream.filter(x -> x % 2 == 0) |> stream.reduce((x, s) -> x + s, 0)",
    },
    Case {
        name: "stream to array",
        made: "array.enumerate(n)",
        measured: "array.length(stream.toArray(a[]))",
    },
];

/// Prints the table; with names, only of these functions.
pub fn print(only: &[String]) -> Result<()> {
    print!("{:<26}", "function");
    for size in SIZES {
        print!("{size:>12}");
    }
    println!("{:>10}", "growth");
    for case in CASES {
        if !only.is_empty() && !only.iter().any(|name| name == case.name) {
            continue;
        }
        print!("{:<26}", case.name);
        let mut times = Vec::new();
        for size in SIZES {
            let whole = seconds(case, size, true)?;
            let made = seconds(case, size, false)?;
            let time = (whole - made).max(1e-6);
            print!("{:>12}", format!("{:.1} ms", time * 1e3));
            times.push(time);
        }
        let doublings = (times.len() - 1) as f64;
        let growth = (times[times.len() - 1] / times[0]).powf(1.0 / doublings);
        println!("{growth:>10.2}");
    }
    Ok(())
}

/// The fastest of three runs, with or without what is measured.
fn seconds(case: &Case, size: u32, measured: bool) -> Result<f64> {
    let last = if measured { case.measured } else { "null" };
    let source = format!(
        "module bench(p)\n  cell output = do {{ let n = {size}; let a = {}; return {last} }}\nmodule end\n",
        case.made
    );
    let executable = mix::executable("growth.mix", &source)?;
    let vm = Vm::load(&executable, &NoFunctions, &Options::default())
        .map_err(|issue| anyhow!("{}: {issue}", case.name))?;
    let mut best = f64::MAX;
    for _ in 0..3 {
        let start = Start::now();
        mix::run(&vm, mix::encode("")?)?;
        best = best.min(start.elapsed().as_secs_f64());
    }
    Ok(best)
}
