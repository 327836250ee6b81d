//! Conformance: the rules of the language and of the library as small Mix
//! programs with their expected results beside them.
//!
//! The files lie in `language/` and `stdlib/`; [`case_file`] describes their
//! format. Each block is compiled with the compiler and run on the native VM
//! ([`session`]), and what happened is compared with what is expected
//! ([`expect`]). `language/rules.txt` lists the rules of the language ([`rules`]): every
//! block of `language/` names those it checks, and every rule has a block.
//! Blocks that cannot pass yet are listed in `known-gaps.txt`; a
//! block there that passes is an error, so that the list cannot rot.
//!
//! `cargo run -p mix-conformance -- FILE…` shows the results of some files.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

pub mod case_file;
pub mod example;
pub mod expect;
pub mod families;
pub mod rules;
pub mod session;

/// The result of a block.
#[derive(Debug)]
pub struct Verdict {
    /// `folder/file.mix NAME`
    pub id: String,
    /// Where it stands, for people.
    pub place: String,
    /// What differed; `None` if all is as expected.
    pub difference: Option<String>,
}

/// The folder with the files.
#[must_use]
pub fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// All files, in order.
pub fn files() -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for section in ["language", "stdlib"] {
        let folder = folder().join(section);
        for entry in std::fs::read_dir(&folder).with_context(|| folder.display().to_string())? {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == "mix") {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

/// The name of a block: `folder/file.mix NAME`.
#[must_use]
pub fn id(path: &Path, block: &case_file::Block) -> String {
    let shown = path.strip_prefix(folder()).unwrap_or(path);
    format!("{} {}", shown.display(), block.name)
}

/// Runs all blocks of a file.
pub fn run_file(path: &Path) -> Result<Vec<Verdict>> {
    let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
    let blocks = case_file::parse(&text);
    Ok(blocks
        .iter()
        .map(|block| Verdict {
            id: id(path, block),
            place: format!("{}:{}", path.display(), block.line),
            difference: difference(block),
        })
        .collect())
}

/// What in a block is not as expected when the VM runs natively.
fn difference(block: &case_file::Block) -> Option<String> {
    match session::run(block) {
        Ok(run) => compare(block, &run),
        Err(error) => Some(format!("{error:#}")),
    }
}

/// What differs between a run and what its block expects.
#[must_use]
pub fn compare(block: &case_file::Block, run: &session::Run) -> Option<String> {
    let source = (block.expected.as_ref(), run.source.as_ref());
    if let (Some(expected), Some(step)) = source
        && !expect::fits(expected, &step.outcome, &run.warnings, &step.log)
    {
        return Some(format!(
            "expected {expected}\n     got {}",
            shown(step, run)
        ));
    }
    for ((command, expected), step) in block.commands.iter().zip(&run.commands) {
        if !expect::fits(expected, &step.outcome, &run.warnings, &step.log) {
            return Some(format!(
                "{command}\n  expected {expected}\n       got {}",
                shown(step, run)
            ));
        }
    }
    None
}

fn shown(step: &session::Did, run: &session::Run) -> String {
    let mut text = format!("{:?}", step.outcome);
    if !step.log.is_empty() {
        text.push_str(&format!(" log {:?}", step.log));
    }
    if !run.warnings.is_empty() {
        text.push_str(&format!(" warnings {:?}", run.warnings));
    }
    text
}

/// Blocks that cannot pass yet, with the reason of each.
pub fn known_gaps() -> Result<BTreeMap<String, String>> {
    let path = folder().join("known-gaps.txt");
    let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    let mut gaps = BTreeMap::new();
    for line in text.lines() {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (id, reason) = line
            .split_once(" : ")
            .with_context(|| format!("known-gaps.txt: no reason in {line:?}"))?;
        gaps.insert(id.trim().to_owned(), reason.trim().to_owned());
    }
    Ok(gaps)
}
