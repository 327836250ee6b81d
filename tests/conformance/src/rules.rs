//! The map from the rules of the language to the blocks that check them.
//!
//! `language/rules.txt` has one rule a line: a number, optionally with a name for one of
//! several rules of a section (`4.3/plus`), and a few words. A block names its rules in its
//! header (`// § 4.3/plus § 2.4 title`); a rule `7.2/CODE` or `7.3/CODE` is also checked by
//! a block that expects that code, a rule `7.4/NAME` by one that expects the warning.
//! A line that ends in `-> FILE: TEXT` is checked elsewhere: by the test in that file of the
//! repository in which the text occurs.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Context, Result};

use crate::case_file::{self, Block};

/// Sections whose rules are codes.
const CODES: &[&str] = &["7.2", "7.3"];

/// The rules and where each is checked.
#[derive(Debug, Default)]
pub struct Map {
    /// Blocks by rule.
    pub rules: BTreeMap<String, Vec<String>>,
    /// What is wrong with the map.
    pub faults: Vec<String>,
    /// Number of blocks.
    pub blocks: usize,
}

/// Reads the list and all blocks of `language/`.
pub fn map() -> Result<Map> {
    let folder = crate::folder();
    let list = folder.join("language/rules.txt");
    let text = std::fs::read_to_string(&list).with_context(|| list.display().to_string())?;
    let mut map = Map::default();
    for line in text.lines() {
        if line.trim().is_empty() || line.starts_with('#') {
            continue;
        }
        let (rule, words) = line.split_once(' ').unwrap_or((line, ""));
        let mut tests = Vec::new();
        if let Some((_, elsewhere)) = words.split_once("-> ") {
            match tested(&folder.join("../.."), elsewhere) {
                Ok(()) => tests.push(elsewhere.to_owned()),
                Err(error) => map.faults.push(format!("rules.txt: {rule}: {error:#}")),
            }
        }
        if map.rules.insert(rule.to_owned(), tests).is_some() {
            map.faults.push(format!("rules.txt: {rule} stands twice"));
        }
    }
    let mut ids = BTreeSet::new();
    for file in crate::files()? {
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        if file
            .parent()
            .is_none_or(|folder| !folder.ends_with("language"))
        {
            continue;
        }
        let text = std::fs::read_to_string(&file).with_context(|| file.display().to_string())?;
        for block in case_file::parse(&text) {
            let id = format!("{name} {}", block.name);
            map.add(&block, &id);
            if !ids.insert(id.clone()) {
                map.faults.push(format!("{id}: two blocks have this name"));
            }
        }
    }
    let empty = map.rules.iter().filter(|(_, blocks)| blocks.is_empty());
    let missing: Vec<String> = empty
        .map(|(rule, _)| format!("{rule} has no case"))
        .collect();
    map.faults.extend(missing);
    Ok(map)
}

/// Is there a test with that text in that file?
fn tested(root: &Path, elsewhere: &str) -> Result<()> {
    let (file, text) = elsewhere
        .split_once(": ")
        .context("a place elsewhere is `FILE: TEXT`")?;
    let content = std::fs::read_to_string(root.join(file)).with_context(|| file.to_owned())?;
    anyhow::ensure!(content.contains(text), "{file} does not contain {text:?}");
    Ok(())
}

impl Map {
    fn add(&mut self, block: &Block, id: &str) {
        self.blocks += 1;
        if block.rules.is_empty() {
            self.faults.push(format!("{id} names no rule"));
        }
        for rule in &block.rules {
            if !self.note(rule, id) {
                self.faults.push(format!("{id}: there is no rule {rule}"));
            }
        }
        let commands = block.commands.iter().map(|(_, expected)| expected);
        for expected in block.expected.iter().chain(commands) {
            for code in codes(expected, "!") {
                for section in CODES {
                    self.note(&format!("{section}/{code}"), id);
                }
            }
            // The text form of an error that is caught.
            for code in codes(expected, "\"_rmx_value\":\"") {
                self.note(&format!("7.3/{code}"), id);
            }
            // A warning of the compiler, or one of the run in the log.
            for mark in [" with WARN_", " with LOG WARN_"] {
                for name in codes(expected, mark) {
                    self.note(&format!("7.4/{name}"), id);
                }
            }
        }
    }

    /// Notes a block for a rule, and for the section that the rule is a part of.
    fn note(&mut self, rule: &str, id: &str) -> bool {
        let Some(blocks) = self.rules.get_mut(rule) else {
            return false;
        };
        if blocks.last().is_none_or(|last| last != id) {
            blocks.push(id.to_owned());
        }
        if let Some((section, _)) = rule.split_once('/') {
            self.note(section, id);
        }
        true
    }

    /// One line a rule: its number of blocks and their names.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = String::new();
        for (rule, blocks) in &self.rules {
            let shown = blocks.iter().take(4).cloned().collect::<Vec<_>>();
            // Writing to a string cannot fail.
            let _ = writeln!(text, "{rule} ({}): {}", blocks.len(), shown.join("; "));
        }
        text
    }
}

/// Words of capitals after each occurrence of `mark`.
fn codes<'a>(text: &'a str, mark: &'a str) -> impl Iterator<Item = &'a str> {
    text.match_indices(mark).map(move |(at, _)| {
        let rest = &text[at + mark.len()..];
        let end = rest
            .find(|c: char| !(c.is_ascii_uppercase() || c == '_'))
            .unwrap_or(rest.len());
        &rest[..end]
    })
}
