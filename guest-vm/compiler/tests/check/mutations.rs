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
