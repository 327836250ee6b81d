//! Any text as a source file and as input of the REPL.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mix_compiler::syntax::parser::{NodeIds, parse_session, parse_unit};
use mix_compiler::syntax::source::SourceMap;

fuzz_target!(|text: &str| {
    let mut sources = SourceMap::default();
    let source = sources.add("fuzz.mix", text);
    let _ = parse_unit(&mut sources, source, &mut NodeIds::default());
    let source = sources.add("fuzz", text);
    let _ = parse_session(&mut sources, source, &mut NodeIds::default());
});
