//! Damaged programs: whatever is left out, doubled or exchanged, the compiler reports
//! errors or delivers a program, and never stops unexpectedly.

use crate::worked_examples::EXAMPLES;
use mix_compiler::{CompileOptions, SourceFile};

/// A small generator of pseudo-random numbers (xorshift), the same on every run.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % bound.max(1) as u64) as usize
    }
}

/// Cuts a text into words, strings and single characters.
fn tokens(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut rest = text.chars().peekable();
    while let Some(first) = rest.next() {
        let mut token = String::from(first);
        if first.is_alphanumeric() || first == '_' {
            while let Some(next) = rest.next_if(|c| c.is_alphanumeric() || *c == '_') {
                token.push(next);
            }
        } else if first == '"' {
            for next in rest.by_ref() {
                token.push(next);
                if next == '"' {
                    break;
                }
            }
        }
        found.push(token);
    }
    found
}

fn damage(text: &str, random: &mut Random) -> String {
    let mut parts = tokens(text);
    for _ in 0..1 + random.below(3) {
        if parts.is_empty() {
            break;
        }
        let (at, other) = (random.below(parts.len()), random.below(parts.len()));
        match random.below(4) {
            0 => {
                parts.remove(at);
            }
            1 => parts.insert(at, parts[other].clone()),
            2 => parts.swap(at, other),
            _ => parts[at] = parts[other].clone(),
        }
    }
    parts.concat()
}

#[test]
fn damaged_programs_are_refused_or_compiled() {
    let rounds = std::env::var("MUTATION_ROUNDS")
        .ok()
        .and_then(|rounds| rounds.parse().ok())
        .unwrap_or(20);
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    for _ in 0..rounds {
        for (number, _, text, _) in EXAMPLES {
            let text = damage(text, &mut random);
            let options = CompileOptions::default();
            let as_modules =
                mix_compiler::compile(&[SourceFile::new("test.mix", text.as_str())], &options);
            let as_session =
                mix_compiler::compile_expression(&format!("{text}\n;;\nnull"), &[], &options);
            for result in [as_modules, as_session] {
                let internal = result
                    .errors
                    .iter()
                    .any(|issue| issue.code.as_str() == "INTERNAL_COMPILER");
                assert!(!internal, "{number}: {text}\n{}", result.text());
                assert!(
                    result.program.is_some() || !result.errors.is_empty(),
                    "{number}: no program and no error: {text}"
                );
            }
        }
    }
}

/// The programs behind the golden messages, damaged further: what is said about them can
/// always be shown, and a module without a program has an error that says why.
#[test]
fn damaged_mistakes_are_explained() {
    let rounds = std::env::var("MUTATION_ROUNDS")
        .ok()
        .and_then(|rounds| rounds.parse().ok())
        .unwrap_or(5);
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/messages/cases");
    let mut programs = Vec::new();
    for entry in std::fs::read_dir(folder).expect("the folder of messages") {
        let path = entry.expect("an entry").path();
        if path.extension().is_some_and(|end| end == "mix")
            && let Ok(text) = std::fs::read_to_string(&path)
            && text.len() < 2_000
        {
            programs.push((path, text));
        }
    }
    programs.sort();
    let mut random = Random(0x2545_f491_4f6c_dd1d);
    for _ in 0..rounds {
        for (path, text) in &programs {
            let text = damage(text, &mut random);
            let files = [SourceFile::new("test.mix", text.as_str())];
            let result = mix_compiler::compile(&files, &CompileOptions::default());
            let shown = result.text();
            let internal = shown.contains("INTERNAL_COMPILER");
            assert!(!internal, "{}: {text}\n{shown}", path.display());
            assert!(
                result.program.is_some() || !result.errors.is_empty(),
                "{}: no program and no error: {text}",
                path.display()
            );
            assert!(result.terminal_text().len() >= shown.len());
            assert!(result.report().is_object());
            let documented = mix_compiler::documentation(&files);
            assert!(documented.modules.len() <= text.matches("module").count());
        }
    }
}
