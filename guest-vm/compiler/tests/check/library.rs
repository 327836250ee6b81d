//! Every module of the standard library passes the checker.

use mix_compiler::{CompileOptions, SourceFile};

#[test]
fn library_modules_have_no_errors() {
    for module in mix_stdlib::modules() {
        let name = module.name;
        if name == "prelude" {
            continue;
        }
        let text = format!("module user import {name} def it = {name} module end");
        let files = [SourceFile::new("user.mix", text)];
        let result = mix_compiler::check(&files, &CompileOptions::default());
        assert!(result.errors.is_empty(), "{name}:\n{}", result.text());
    }
}
