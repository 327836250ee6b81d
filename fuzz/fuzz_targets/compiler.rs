//! Any source: it has issues, or its program verifies and runs without a panic.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mix_compiler::{CompileOptions, SourceFile, compile};

fuzz_target!(|text: &str| {
    let files = [SourceFile::new("fuzz.mix", text)];
    let compilation = compile(&files, &CompileOptions::default());
    let defects = compilation.errors.iter();
    for issue in defects {
        assert_ne!(
            issue.code.as_str(),
            "INTERNAL_COMPILER",
            "{}",
            issue.message()
        );
    }
    if let Some(program) = &compilation.program {
        mix_fuzz::run(&mix_bytecode::encode(program), true);
    }
});
