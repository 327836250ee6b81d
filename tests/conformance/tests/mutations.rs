//! Damaged programs: the conformance blocks with a few tokens removed, doubled,
//! swapped or replaced. Whatever the compiler makes of one, it is no crash and no
//! internal error, and what it compiles passes the verifier and runs without one.
//!
//! The same programs in every run; `MIX_MUTATIONS=N` makes more of them.

use anyhow::{Context, Result};
use mix_compiler::{Compilation, CompileOptions, SourceFile, compile, compile_expression};
use mix_conformance::case_file;
use mix_vm::{Action, Event, NoFunctions, NoHost, Options, Step, Vm};

/// Programs of a usual run: a few seconds.
const USUAL: u64 = 3000;

/// Steps after which a program is stopped.
const BUDGET: u64 = 100_000;

/// A small generator of pseudo-random numbers.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % limit.max(1) as u64) as usize
    }
}

#[test]
fn damaged_programs_are_refused_or_run() -> Result<()> {
    let count = match std::env::var("MIX_MUTATIONS") {
        Ok(text) => text.parse().context("MIX_MUTATIONS")?,
        Err(_) => USUAL,
    };
    let corpus = corpus()?;
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let mut compiled = 0;
    for _ in 0..count {
        let text = damaged(&corpus, &mut random);
        let is_module = ["module", "static"]
            .iter()
            .any(|word| text.trim_start().starts_with(word));
        let options = CompileOptions::default();
        let result = match is_module {
            true => compile(&[SourceFile::new("damaged.mix", text.as_str())], &options),
            false => compile_expression(&text, &[], &options),
        };
        compiled += u64::from(result.program.is_some());
        check(&text, result, is_module)?;
    }
    assert!(compiled > 0, "some damaged programs are still programs");
    println!("{count} programs, {compiled} of them compiled");
    Ok(())
}

fn check(text: &str, result: Compilation, is_module: bool) -> Result<()> {
    let internal = result
        .errors
        .iter()
        .any(|issue| issue.code.as_str() == "INTERNAL_COMPILER");
    assert!(!internal, "{}\n{text}", result.text());
    let Some(program) = result.program else {
        assert!(
            !result.errors.is_empty(),
            "refused without a reason:\n{text}"
        );
        return Ok(());
    };
    let verified = mix_bytecode::verify(&program);
    assert!(verified.is_ok(), "{verified:?}\n{text}");
    let bytes = mix_bytecode::encode(&program);
    // Programs with foreign functions are refused here.
    let Ok(vm) = Vm::load(&bytes, &NoFunctions, &Options::default()) else {
        return Ok(());
    };
    let mut session = vm.session();
    session.set_budget(Some(BUDGET));
    if is_module {
        for module in vm.summary().modules {
            let nothing = mix_value::Value::Array(Vec::new());
            session.act(Action::Load {
                module: module.name,
                args: mix_value::msgpack::encode(&nothing)?,
            });
        }
    } else {
        session.act(Action::Evaluate);
    }
    loop {
        match session.run(&mut NoHost, BUDGET) {
            Step::Idle | Step::Listening(_) | Step::Waiting(_) => return Ok(()),
            Step::Event(Event::Issue(issue)) => {
                assert_ne!(issue.code, "RT_INTERNAL", "{}\n{text}", issue.text());
            }
            _ => {}
        }
    }
}

/// The sources of all conformance blocks, as tokens.
fn corpus() -> Result<Vec<Vec<String>>> {
    let mut corpus = Vec::new();
    for file in mix_conformance::files()? {
        let text = std::fs::read_to_string(&file).with_context(|| file.display().to_string())?;
        let blocks = case_file::parse(&text);
        corpus.extend(blocks.iter().map(|block| pieces(&block.source)));
    }
    corpus.retain(|tokens| !tokens.is_empty());
    Ok(corpus)
}

/// Cuts a text into words, strings, runs of operator characters and single characters.
fn pieces(text: &str) -> Vec<String> {
    let class = |character: char| match character {
        '_' => 0,
        _ if character.is_alphanumeric() => 0,
        '-' | '=' | '<' | '>' | '|' | '&' | '+' | '.' => 1,
        _ => 2,
    };
    let mut pieces: Vec<String> = Vec::new();
    let mut last = 2;
    let mut in_string = false;
    for character in text.chars() {
        let now = class(character);
        match pieces.last_mut() {
            Some(piece) if in_string || (now == last && now != 2) => piece.push(character),
            _ => pieces.push(character.to_string()),
        }
        last = now;
        if character == '"' {
            in_string = !in_string;
            last = 2;
        }
    }
    pieces
}

fn damaged(corpus: &[Vec<String>], random: &mut Random) -> String {
    let mut tokens = corpus[random.below(corpus.len())].clone();
    for _ in 0..=random.below(3) {
        if tokens.is_empty() {
            break;
        }
        let at = random.below(tokens.len());
        let other = &corpus[random.below(corpus.len())];
        match random.below(5) {
            0 => {
                tokens.remove(at);
            }
            1 => tokens.insert(at, tokens[at].clone()),
            2 => {
                let with = random.below(tokens.len());
                tokens.swap(at, with);
            }
            3 => tokens[at] = other[random.below(other.len())].clone(),
            _ => {
                let from = random.below(other.len());
                let until = (from + 1 + random.below(6)).min(other.len());
                tokens.splice(at..at, other[from..until].iter().cloned());
            }
        }
    }
    tokens.concat()
}
