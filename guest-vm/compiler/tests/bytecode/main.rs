//! Golden tests of code generation: what small functions become.
//!
//! The text is that of the disassembler without instruction numbers and places.

use mix_bytecode::disassemble::disassemble;
use mix_compiler::{CompileOptions, SourceFile, compile};

/// The instructions of every function of module `m`, by name.
fn functions(body: &str) -> Vec<(String, Vec<String>)> {
    let file = SourceFile::new("m.mix", format!("module m {body} module end"));
    let result = compile(&[file], &CompileOptions::default());
    let program = match result.program {
        Some(program) => program,
        None => panic!("{}", result.text()),
    };
    assert_eq!(mix_bytecode::verify(&program), Ok(()));
    let mut functions: Vec<(String, Vec<String>)> = Vec::new();
    for line in disassemble(&program).lines() {
        if let Some(head) = line.strip_prefix("function ") {
            let name = head.split(" ; ").next().unwrap_or_default();
            let name = name.split_once(' ').map_or(name, |(_, name)| name);
            functions.push((name.to_string(), Vec::new()));
        } else if let Some((_, code)) = functions.last_mut() {
            let text = line.split(" ; ").next().unwrap_or_default().trim();
            let text = text.trim_start_matches(|c: char| c.is_ascii_digit()).trim();
            code.push(text.to_string());
        }
    }
    functions
}

fn code_of(body: &str, function: &str) -> String {
    let functions = functions(body);
    let found = functions
        .iter()
        .find(|(name, _)| name == &format!("m.{function}"));
    match found {
        Some((_, code)) => code.join("\n"),
        None => panic!("no function {function} in {functions:?}"),
    }
}

#[test]
fn recursion_is_one_direct_call() {
    let body =
        "def f : number -> number def f(n) = if (n < 2) n else f(n - 1) + f(n - 2) cell c = f(1)";
    assert_eq!(
        code_of(body, "f"),
        "jump_unless_lt_int r0, number=2, -> 2\n\
         return r0\n\
         call_sub_int own=1, count=0, r1, r0.., r0, number=1, f1 f\n\
         call_sub_int own=1, count=0, r0, r0.., r0, number=2, f1 f\n\
         return_add r1, r0"
    );
}

#[test]
fn tail_calls_replace_the_frame() {
    let body = "def g : number -> number def g(n) = n \
                def f : number -> number def f(n) = if (n == 0) 0 else g(n - 1) cell c = f(1)";
    let code = code_of(body, "f");
    assert!(code.contains("tail_call count=1"), "{code}");
    // The frame of a cell must be seen in stack traces.
    let code = code_of(body, "cell c");
    assert!(!code.contains("tail_call"), "{code}");
}

#[test]
fn a_function_that_calls_itself_last_is_a_loop() {
    let body = "def f : number -> number -> number \
                def f(n, sum) = if (n == 0) sum else f(n - 1, sum + n) cell c = f(9, 0)";
    assert_eq!(
        code_of(body, "f"),
        "jump_unless_eq_int r0, number=0, -> 2\n\
         return r1\n\
         sub_int r2, r0, number=1\n\
         add_take r1, r1, r0\n\
         take r0, r2\n\
         jump_unless_eq_int r0, number=0, -> 2\n\
         jump -> 1"
    );
}

#[test]
fn loops_append_in_place() {
    let body = "def f(n) { var a = []; for (let i = 0; i < n; i = i + 1) { a = a + [i] } return a } cell c = f(1)";
    let code = code_of(body, "f");
    assert!(code.contains("add_item r1, r1, "), "{code}");
}

#[test]
fn constant_data_is_one_constant() {
    let code = code_of("cell c = {a: [1, 2, {b: null}], d: \"x\"}", "cell c");
    assert_eq!(code.lines().count(), 2, "{code}");
}

#[test]
fn conditions_that_are_never_undefined_are_plain_jumps() {
    let body = "def f(a:number, b) = if (a? && b?) 1 else 2 cell c = f(1, 2)";
    let code = code_of(body, "f");
    assert!(!code.contains("and"), "{code}");
    let body = "def f(a:bool, b:bool) = if (a && b) 1 else 2 cell c = f(true, true)";
    let code = code_of(body, "f");
    assert!(code.contains("and_jump"), "{code}");
}

#[test]
fn only_what_is_reached_is_linked() {
    let names: Vec<String> =
        functions("def unused(x) = string.length(x) def used(x) = x cell c = used(1)")
            .into_iter()
            .map(|(name, _)| name)
            .collect();
    assert_eq!(names, ["m.cell c", "m.used"]);
}

#[test]
fn a_match_shares_the_register_of_its_subject() {
    let body = "case some1(number) def f = (some1(x) -> x | _ -> 0) cell c = f(some1(1))";
    assert_eq!(
        code_of(body, "f"),
        "jump_unless_case argument=1, r0, \"m.some1\", -> 3\n\
         case_item r0, r0\n\
         return r0\n\
         int r0, value=0\n\
         return r0"
    );
}
