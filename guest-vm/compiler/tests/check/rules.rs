//! The rules of types in both modes: `rules.txt`.

use crate::module_errors;

#[test]
fn every_rule_holds() {
    let mut count = 0;
    let mut wrong = Vec::new();
    for line in include_str!("rules.txt").lines() {
        if line.is_empty() || line.starts_with("//") {
            continue;
        }
        let (mode, rest) = line.split_once(' ').expect("a mode");
        let (program, code) = rest.rsplit_once('|').expect("a bar");
        let pragma = match mode {
            "S" => "_pragma_ {strictTyping: true}",
            "N" => "",
            other => panic!("mode {other}"),
        };
        let mut phrases = program.trim().to_string();
        for word in ["def", "cell", "type", "case"] {
            phrases = phrases.replace(&format!("; {word} "), &format!("\n{word} "));
        }
        let found = module_errors(&format!("module m\n{pragma}\n{phrases}\nmodule end\n"));
        let expected: Vec<&str> = Some(code.trim())
            .filter(|code| !code.is_empty())
            .into_iter()
            .collect();
        if found != expected {
            wrong.push(format!("{line}: found {found:?}"));
        }
        count += 1;
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(count > 180, "only {count} rules");
}
