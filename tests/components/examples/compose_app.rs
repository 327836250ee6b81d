//! Composes an app of Mix sources into one component: `compose_app APP OUT.wasm SOURCE.mix…`

use anyhow::{Context, Result, ensure};
use mix_compiler::{CompileOptions, SourceFile, compile};
use mix_component_tests::{carrier, compose_app, guest};

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let app = arguments.next().context("name of the app")?;
    let out = arguments.next().context("file to write")?;
    let mut sources = Vec::new();
    for path in arguments {
        sources.push(SourceFile::new(path.as_str(), std::fs::read(&path)?));
    }
    ensure!(!sources.is_empty(), "no sources");
    let compilation = compile(&sources, &CompileOptions::default());
    let program = compilation
        .program
        .as_ref()
        .with_context(|| compilation.text())?;
    let code = mix_bytecode::encode(program);
    let families = [
        "mix_plugin_core",
        "mix_plugin_crypto",
        "mix_plugin_files",
        "mix_plugin_http",
        "mix_plugin_db",
    ];
    let families: Vec<_> = families.map(guest).into();
    let carrier = carrier(&app, &[("main", &code)], "[]")?;
    std::fs::write(out, compose_app(&families, carrier)?)?;
    Ok(())
}
