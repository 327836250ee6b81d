//! An agent that gives a constant, in a program of about a megabyte.

use std::fmt::Write;

/// Its source. No call of a function is left out, so the program keeps them all.
pub fn source(agent: &str) -> String {
    let mut text = String::new();
    for module in 0..100 {
        let _ = writeln!(text, "module part{module}");
        for function in 0..100 {
            let _ = writeln!(
                text,
                "  def f{function}(a, b) = do {{ var sum = 0; var i = 0; \
                 while (i < b) {{ sum = sum + a * i + {function}; i = i + 1 }} \
                 return {{kind: \"f{function} of part {module}\", value: sum, rest: [a, b, i]}} }}"
            );
        }
        let calls: Vec<_> = (0..100).map(|n| format!("f{n}(x, {n})")).collect();
        let _ = writeln!(text, "  def all(x) = [{}]\nmodule end\n", calls.join(", "));
    }
    let _ = writeln!(text, "module {agent}(p:data)");
    for module in 0..100 {
        let _ = writeln!(text, "  import part{module}");
    }
    let calls: Vec<_> = (0..100).map(|n| format!("part{n}.all(1)")).collect();
    let _ = writeln!(
        text,
        "  var cell m_params = p\n  def everything() = [{}]\n  \
         cell output = if (m_params == \"all\") everything() else {{ok: true}}\nmodule end",
        calls.join(", ")
    );
    text
}
