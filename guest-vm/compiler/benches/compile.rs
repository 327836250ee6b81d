//! Lines per second of processor time of the compiler: `cargo bench -p mix-compiler`, or
//! `cargo bench -p mix-compiler -- LINES` for programs of another size.
//!
//! The program is made up of the phrases that programs are made of: record types, cases,
//! functions with declared and inferred types, lambdas over library functions, pattern
//! matching, blocks, cells and actions; many modules that import each other, and, as a second
//! program, one module of the same length.

use mix_compiler::{CompileOptions, SourceFile, check, compile};
use rustix::time::{ClockId, clock_gettime};
use std::fmt::Write;
use std::time::Duration;

/// Phrases of one topic; `{n}` is its number.
const TOPIC: &str = r#"
  // Orders of kind {n}: what was bought, by whom, and what is still open.
  type order{n} = {id: string, customer: string, lines: array({sku: string, amount: number, price: number}), paid: bool}
  case sent{n}({carrier: string, code: string}) | waiting{n} | lost{n}(string)
  type state{n} = sent{n} | waiting{n} | lost{n}

  /// The sum of one order.
  def total{n} : order{n} -> number
  def total{n}(o) = array.reduce((line, sum) -> sum + line.amount * line.price, 0, o.lines)

  def label{n}(o: order{n}) =
    if (o.paid) "order " + o.id + " of " + o.customer
    else "open: " + total{n}(o)

  def stateText{n} : state{n} -> string
  def stateText{n} = (sent{n}({carrier: c, code: k}) -> c + " " + k | self.waiting{n} -> "waits" | lost{n}(why) -> why)

  private def _row(x) = {id: "{n}", customer: "", lines: [], paid: false} : order{n}

  def open{n}(orders) = orders
    |> array.filter(.paid == false && .id != _row(null).id)
    |> array.map(o -> {id: o.id, sum: total{n}(o), name: string.uppercase(o.customer)})
    |> array.sortBy((a, b) -> a.sum > b.sum)

  def summary{n}(orders: array(order{n}), limit: number) = do {
    var sum = 0;
    var names = [] : array(string);
    for (let o in orders) {
      let part = total{n}(o);
      if (part > limit && not o.paid) {
        sum = sum + part;
        names = names + [o.customer];
      } else if (part < 0) {
        fail("order " + o.id + " is negative");
      }
    }
    switch (array.length(names)) {
      case 0: return {sum: 0, text: "nothing open"}
      case n when n > 10: return {sum: sum, text: "many"}
      case _: return {sum: sum, text: string.concat(", ", names)}
    }
  }

  var cell orders{n} = [] : array(order{n})
  cell sums{n} = array.map(total{n}, orders{n})
  cell view{n} = {
    title: "Orders {n}",
    rows: array.map(o -> {text: label{n}(o), onTap: action { orders{n} = array.filter(x -> x.id != o.id, orders{n}) }}, orders{n}),
    total: array.reduce((a, b) -> a + b, 0, sums{n})
  }
  cell add{n} = action (o) { orders{n} = orders{n} + [o |> type(order{n})] }
"#;

/// Modules of some topics each, every one importing the one before.
fn modules(lines: usize, topics_per_module: usize) -> Vec<SourceFile> {
    let lines_of_topic = TOPIC.lines().count();
    let mut files = Vec::new();
    let mut written = 0;
    let mut topic = 0;
    while written < lines {
        let index = files.len();
        let mut text = format!("module part{index}\n");
        if index > 0 {
            let _ = writeln!(text, "  import part{}", index - 1);
        }
        for _ in 0..topics_per_module {
            if written >= lines {
                break;
            }
            let name = topic.to_string();
            text.push_str(
                &TOPIC
                    .replace("{n}", &name)
                    .replace("_row", &format!("row{name}")),
            );
            topic += 1;
            written += lines_of_topic;
        }
        text.push_str("module end\n");
        files.push(SourceFile::new(format!("part{index}.mix"), text));
    }
    files
}

/// What the process has computed so far: what else the machine does counts little.
fn computed() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(
        time.tv_sec.unsigned_abs(),
        time.tv_nsec.unsigned_abs() as u32,
    )
}

/// The shortest of some runs.
fn best(runs: usize, mut work: impl FnMut()) -> Duration {
    let times = (0..runs).map(|_| {
        let start = computed();
        work();
        computed().saturating_sub(start)
    });
    times.min().unwrap_or_default()
}

fn report(name: &str, files: &[SourceFile]) {
    let options = CompileOptions::default();
    let lines: usize = files
        .iter()
        .map(|file| file.text.iter().filter(|byte| **byte == b'\n').count())
        .sum();
    let compiled = compile(files, &options);
    assert!(compiled.errors.is_empty(), "{}", compiled.text());
    let checking = best(3, || drop(check(files, &options)));
    let whole = best(3, || drop(compile(files, &options)));
    let speed = |time: Duration| lines as f64 / time.as_secs_f64();
    println!(
        "{name:<24} {lines:>8} lines  check {:>7.1} ms {:>9.0} lines/s  compile {:>7.1} ms {:>9.0} lines/s",
        checking.as_secs_f64() * 1e3,
        speed(checking),
        whole.as_secs_f64() * 1e3,
        speed(whole),
    );
}

fn main() {
    // Cargo passes `--bench`.
    let lines = std::env::args()
        .skip(1)
        .find_map(|arg| arg.parse().ok())
        .unwrap_or(100_000);
    report("many modules", &modules(lines, 10));
    report("one module", &modules(lines, usize::MAX));
    let agent = "module hello(p: data)\n  var cell m_params = p\n  \
                 cell output = string.uppercase(\"hello \" + m_params.name)\nmodule end\n";
    report("a small agent", &[SourceFile::new("hello.mix", agent)]);
}
