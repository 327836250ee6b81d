//! Any text: tokens lie in the text, in order, and nothing panics.
#![no_main]

use std::sync::Arc;

use libfuzzer_sys::fuzz_target;
use mix_compiler::syntax::lexer::{Mode, tokenize};
use mix_compiler::syntax::span::SourceId;

fuzz_target!(|text: &str| {
    let file: Arc<str> = "fuzz.mix".into();
    for mode in [Mode::Unit, Mode::Session] {
        let tokens = tokenize(SourceId(0), &file, text, mode);
        let mut last = 0;
        for token in &tokens.tokens {
            let (start, end) = (token.span.start as usize, token.span.end as usize);
            assert!(last <= start && start <= end && end <= text.len());
            assert!(text.is_char_boundary(start) && text.is_char_boundary(end));
            last = end;
        }
    }
});
