//! Compiled libraries: every block of several modules behaves the same when all modules but the
//! last are a library that the last one is linked with.

use mix_bytecode::library::{self, Library};
use mix_bytecode::link;
use mix_compiler::syntax::ast::UnitItem;
use mix_compiler::syntax::parser::{NodeIds, parse_unit};
use mix_compiler::syntax::source::SourceMap;
use mix_compiler::{CompileOptions, SourceFile, compile, compile_library};
use mix_conformance::case_file::{self, Block};
use mix_conformance::{compare, files, id, session};

/// The text of a block up to its last module, and that module, unless commands name others.
fn split(block: &Block) -> Option<(String, String)> {
    let mut sources = SourceMap::new();
    let source = sources.add("block", block.source.as_str());
    let (unit, issues) = parse_unit(&mut sources, source, &mut NodeIds::default());
    let [.., UnitItem::Module(_), UnitItem::Module(last)] = &unit.items[..] else {
        return None;
    };
    let at = last.span.start as usize;
    let views = block.commands.iter().filter_map(|(command, _)| {
        let rest = command
            .strip_prefix("#load ")
            .or(command.strip_prefix("#push "));
        rest.or(command.strip_prefix("#agent "))?.split(' ').next()
    });
    if views.into_iter().any(|view| view != &*last.name.text) {
        return None;
    }
    // A directive would count the lines of one text only.
    let whole =
        issues.is_empty() && !block.source.contains("#line") && !block.source.contains("#push");
    whole.then(|| {
        // Lines keep their numbers, for stacks.
        let before = &block.source[..at];
        let lines = "\n".repeat(before.matches('\n').count());
        let column = " ".repeat(
            before
                .rsplit('\n')
                .next()
                .map_or(0, |line| line.chars().count()),
        );
        (before.to_owned(), lines + &column + &block.source[at..])
    })
}

fn library(text: &str, name: &str, version: &str, used: &[Library]) -> Result<Library, String> {
    let options = CompileOptions {
        libraries: used.to_vec(),
        ..CompileOptions::default()
    };
    let files = [SourceFile::new("test.mix", text)];
    let (compilation, file) = compile_library(&files, name, version, &options);
    let file = file.ok_or_else(|| compilation.text())?;
    library::decode(&file).map_err(|error| error.to_string())
}

fn program(text: &str, libraries: &[Library]) -> Result<mix_bytecode::Program, String> {
    let options = CompileOptions {
        libraries: libraries.to_vec(),
        ..CompileOptions::default()
    };
    let compilation = compile(&[SourceFile::new("test.mix", text)], &options);
    compilation
        .program
        .clone()
        .ok_or_else(|| compilation.text())
}

fn difference(block: &Block, first: &str, last: &str) -> Option<String> {
    let libraries = match library(first, "first", "1", &[]) {
        Ok(library) => [library],
        // Modules that import the last one cannot be a library without it.
        Err(problem) if problem.contains(" MOD_UNKNOWN ") => return None,
        Err(problem) => return Some(problem),
    };
    let outcome = Ok(()).and_then(|()| {
        let program = program(last, &libraries)?;
        // Through the file form, as it would be found beside its library.
        let program = mix_bytecode::decode(&mix_bytecode::encode(&program))
            .map_err(|error| error.to_string())?;
        let linked = link(program, &libraries).map_err(|error| error.to_string())?;
        mix_bytecode::verify(&linked).map_err(|error| error.to_string())?;
        session::run_program(block, linked, Vec::new()).map_err(|error| format!("{error:#}"))
    });
    match outcome {
        Ok(run) => compare(block, &run),
        Err(problem) => Some(problem),
    }
}

#[test]
fn modules_behave_the_same_in_a_library() {
    let mut tried = 0;
    let mut failures = String::new();
    for path in files().expect("the files are there") {
        let text = std::fs::read_to_string(&path).expect("it is readable");
        for block in case_file::parse(&text) {
            let refused = |expected: &str| {
                expected.starts_with("!TYPE")
                    || expected.starts_with("!NAME")
                    || expected.contains(" with WARN")
            };
            let shown = block.commands.iter().map(|(_, expected)| expected.as_str());
            if block
                .expected
                .as_ref()
                .is_some_and(|text| text.starts_with('!'))
                || shown.clone().any(refused)
                || block.commands.is_empty()
            {
                continue;
            }
            // Agents are called by the names of modules of the program itself.
            if block.source.contains(" agent.") {
                continue;
            }
            let Some((first, last)) = split(&block) else {
                continue;
            };
            tried += 1;
            if let Some(difference) = difference(&block, &first, &last) {
                failures.push_str(&format!("{}\n  {difference}\n", id(&path, &block)));
            }
        }
    }
    assert!(tried > 60, "only {tried} blocks have several modules");
    assert!(failures.is_empty(), "{failures}");
}

const SHAPES: &str = "module shapes
  case square(number) | circle({r: number})
  private case secret(number)
  type shape = square | circle
  def area : shape -> number
  def area = (self.square(s) -> s * s | circle({r: r}) -> 3 * r * r)
  def hide(n) = secret(n)
  def scale(k, list) = array.map((x -> x * k), list)
  private def hidden = 1
module end";

fn value(program: mix_bytecode::Program, libraries: &[Library]) -> Result<String, String> {
    let linked = link(program, libraries).map_err(|error| error.to_string())?;
    let text = "#load app  //= (any)";
    let block = case_file::parse(&format!("module app module end\n{text}"));
    let run = session::run_program(&block[0], linked, Vec::new());
    Ok(format!(
        "{:?}",
        run.map_err(|error| error.to_string())?.commands[0].outcome
    ))
}

#[test]
fn a_program_uses_types_cases_and_functions_of_a_library() {
    let shapes = library(SHAPES, "shapes", "1.0", &[]).expect("it compiles");
    let text = "module app import shapes
        def total(list : array(shapes.shape)) = array.reduce((a, b) -> a + b, 0, array.map(shapes.area, list))
        cell a = [total([shapes.square(2), shapes.circle({r: 1})]), shapes.scale(2)([1, 2])[1], shapes.secret^(shapes.hide(5))]
      module end";
    let libraries = [shapes];
    let told = program(text, &libraries).and_then(|program| value(program, &libraries));
    assert_eq!(told, Ok(r#"Cells([("a", "[7,4,5]")])"#.to_owned()));
    for (wrong, code) in [
        ("cell a = shapes.area(5)", "TYPE_MISMATCH"),
        ("cell a = shapes.hidden", "NAME_"),
        ("cell a = shapes.secret(5)", "NAME_PRIVATE"),
        ("cell a = shapes.scal(5)", "did you mean shapes.scale?"),
    ] {
        let text = format!("module app import shapes {wrong} module end");
        let problem = program(&text, &libraries).expect_err(wrong);
        assert!(problem.contains(code), "{wrong}: {problem}");
    }
}

#[test]
fn the_highest_version_wins_and_two_of_one_version_are_refused() {
    let versions = ["1.9", "1.10", "1.2"].map(|version| {
        let text = format!("module m def v = {version:?} module end");
        library(&text, "lib", version, &[]).expect("it compiles")
    });
    let text = "module app import m cell a = m.v module end";
    let told = program(text, &versions).and_then(|program| value(program, &versions));
    assert_eq!(told, Ok(r#"Cells([("a", "\"1.10\"")])"#.to_owned()));
    let rival =
        library("module m def v = 0 module end", "other", "1.10", &[]).expect("it compiles");
    let [a, b, c] = versions;
    let libraries = [a, b, c, rival];
    let problem = program(text, &libraries).expect_err("two of them");
    assert!(problem.contains("MOD_AMBIGUOUS"), "{problem}");
    // A given module comes before all of them.
    let own = format!("{text} module m def v = 3 module end");
    let told = program(&own, &libraries).and_then(|program| value(program, &libraries));
    assert_eq!(told, Ok(r#"Cells([("a", "3")])"#.to_owned()));
}

#[test]
fn libraries_use_libraries_and_modules_of_one_name_stay_apart() {
    let low = "module util def name = \"low\" def twice(x) = 2 * x module end
        module low import util def f(x) = [util.name, util.twice(x)] module end";
    let low = library(low, "low", "1", &[]).expect("it compiles");
    let high = "module util def name = \"high\" module end
        module high import low import util def g(x) = [util.name, low.f(x)] module end";
    let high = library(high, "high", "1", std::slice::from_ref(&low)).expect("it compiles");
    let text = "module util def name = \"app\" module end
        module app import high import util cell a = [util.name, high.g(4)] module end";
    let libraries = [high, low];
    let told = program(text, &libraries).and_then(|program| value(program, &libraries));
    let expected = r#"Cells([("a", "[\"app\",[\"high\",[\"low\",8]]]")])"#;
    assert_eq!(told, Ok(expected.to_owned()));
    let problem = program(text, &libraries).and_then(|program| value(program, &libraries[..1]));
    let problem = problem.expect_err("one is missing");
    assert!(
        problem.contains("library low-1@") && problem.contains("is missing"),
        "{problem}"
    );
}

#[test]
fn another_content_is_another_library() {
    let first = [library("module m def v = 1 module end", "m", "1", &[]).expect("it compiles")];
    let second = [library("module m def v = 2 module end", "m", "1", &[]).expect("it compiles")];
    let built =
        program("module app import m cell a = m.v module end", &first).expect("it compiles");
    let problem = value(built.clone(), &second).expect_err("it is another one");
    assert!(problem.contains("library m-1@"), "{problem}");
    let mut older = first[0].clone();
    older.standard_library = "another".into();
    let problem = value(built.clone(), &[older]).expect_err("built with another library");
    assert!(problem.contains("another standard library"), "{problem}");
    // Not linked, it does not run.
    let problem = mix_bytecode::verify(&built)
        .expect_err("it is not linked")
        .to_string();
    assert!(
        problem.contains("is not linked with library m-1@"),
        "{problem}"
    );
}

#[test]
fn a_bare_import_links_the_library() {
    let libraries = [library("module m def v = 1 module end", "m", "1", &[]).expect("it compiles")];
    let built =
        program("module app import m cell a = 1 module end", &libraries).expect("it compiles");
    assert_eq!(built.externals.libraries.len(), 1);
    let built = program("module app cell a = 1 module end", &libraries).expect("it compiles");
    assert!(built.externals.libraries.is_empty());
}

#[test]
fn damaged_libraries_are_refused() {
    let options = CompileOptions::default();
    let files = [SourceFile::new("shapes.mix", SHAPES)];
    let (_, file) = compile_library(&files, "shapes", "1.0", &options);
    let file = file.expect("it compiles");
    let text = "module app import shapes cell a = shapes.scale(2, [1]) module end";
    let good = [library::decode(&file).expect("it is readable")];
    let built = program(text, &good).expect("it compiles");
    for at in 0..file.len() {
        let mut wrong = file.clone();
        wrong[at] ^= 1 << (at % 8);
        assert!(library::decode(&wrong).is_err(), "byte {at}");
        assert!(library::decode(&file[..at]).is_err(), "cut at {at}");
        // With a checksum that fits, it is another library or none, and nothing panics.
        let checksum = mix_bytecode::checksum::crc32c(&wrong[20..]).to_le_bytes();
        wrong[16..20].copy_from_slice(&checksum);
        if let Ok(mut other) = library::decode(&wrong) {
            other.id = good[0].id.clone();
            let _ =
                link(built.clone(), &[other.clone()]).map(|linked| mix_bytecode::verify(&linked));
            let options = CompileOptions {
                libraries: vec![other],
                ..CompileOptions::default()
            };
            if at % 16 == 0 {
                let _ = compile(&[SourceFile::new("app.mix", text)], &options);
            }
        }
    }
}
