//! What the compiler says: every program `cases/NAME.mix` beside the text of its issues,
//! `cases/NAME.expected`. With `MIX_UPDATE_MESSAGES=1` the expectations are written anew;
//! read what changed before keeping it.

use mix_compiler::issue::{Code, render};
use mix_compiler::{Compilation, CompileOptions, SourceFile, compile};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/messages/cases")
}

/// All programs by name.
fn cases() -> Vec<(String, Vec<u8>)> {
    let mut cases = Vec::new();
    for entry in fs::read_dir(folder()).expect("the folder of cases") {
        let path = entry.expect("an entry").path();
        if path.extension().is_some_and(|end| end == "mix") {
            let name = path.file_stem().expect("a name").to_string_lossy();
            cases.push((name.into_owned(), fs::read(&path).expect("a program")));
        }
    }
    cases.sort();
    cases
}

fn run(name: &str, text: Vec<u8>) -> Compilation {
    let files = [SourceFile::new(format!("{name}.mix"), text)];
    compile(&files, &CompileOptions::default())
}

#[test]
fn messages_are_as_written_down() {
    let update = std::env::var_os("MIX_UPDATE_MESSAGES").is_some();
    let mut wrong = Vec::new();
    for (name, text) in cases() {
        let shown = run(&name, text).text();
        let path = folder().join(format!("{name}.expected"));
        if update {
            fs::write(&path, shown).expect("the expectation is written");
            continue;
        }
        let expected = fs::read_to_string(&path).unwrap_or_default();
        if shown != expected {
            wrong.push(format!(
                "--- {name}: expected\n{expected}--- found\n{shown}"
            ));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} messages differ:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

#[test]
fn there_are_many_messages_and_no_expectation_without_a_program() {
    let names: BTreeSet<String> = cases().into_iter().map(|(name, _)| name).collect();
    assert!(names.len() >= 150, "only {} programs", names.len());
    for entry in fs::read_dir(folder()).expect("the folder of cases") {
        let path = entry.expect("an entry").path();
        if path.extension().is_some_and(|end| end == "expected") {
            let name = path.file_stem().expect("a name").to_string_lossy();
            assert!(names.contains(&*name), "{name}.expected has no program");
        }
    }
}

/// Codes that no source file given to the compiler can bring about.
const UNREACHABLE: &[Code] = &[
    // Logged when a program runs.
    Code::WarnFrozenassign,
    // A defect of the compiler.
    Code::CompilerInternal,
];

#[test]
fn every_code_has_a_message() {
    let mut seen = BTreeSet::new();
    for (name, text) in cases() {
        let compilation = run(&name, text);
        for issue in compilation.errors.iter().chain(&compilation.warnings) {
            seen.insert(issue.code.as_str());
        }
    }
    let missing: Vec<&str> = Code::ALL
        .iter()
        .filter(|code| !UNREACHABLE.contains(code) && !seen.contains(code.as_str()))
        .map(|code| code.as_str())
        .collect();
    assert!(missing.is_empty(), "no program shows {missing:?}");
}

#[test]
fn issues_are_well_formed() {
    for (name, text) in cases() {
        let compilation = run(&name, text);
        let issues = || compilation.errors.iter().chain(&compilation.warnings);
        assert!(issues().next().is_some(), "{name}: no issue");
        for issue in issues() {
            let message = issue.message();
            let code = issue.code.as_str();
            assert!(!message.is_empty(), "{name}: {code}");
            for (param, value) in &issue.params {
                let template = issue.code.template();
                assert!(
                    template.contains(&format!("{{{param}}}")),
                    "{name}: {code} has no {{{param}}}"
                );
                assert!(!value.is_empty(), "{name}: {code}: {param} is empty");
            }
            for part in issue.code.template().split('{').skip(1) {
                let param = part.split('}').next().unwrap_or_default();
                assert!(
                    issue.params.iter().any(|(known, _)| *known == param),
                    "{name}: {code} lacks {param}"
                );
            }
            let json = render::to_json(issue, &compilation.sources);
            let location = json["location"].as_array().expect("a location");
            let at = |index: usize| location[index].as_u64().expect("a number");
            assert!(
                (at(1), at(2)) <= (at(3), at(4)),
                "{name}: {code} ends before it starts"
            );
            assert_eq!(json["message"], message);
            assert_eq!(json["class"], issue.code.class().as_str());
        }
        let places: BTreeSet<_> = issues()
            .map(|issue| (issue.span, issue.code.as_str()))
            .collect();
        assert_eq!(places.len(), issues().count(), "{name}: said twice");
    }
}
