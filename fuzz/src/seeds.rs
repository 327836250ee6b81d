//! Writes what fuzzing begins with: the blocks of the conformance files and the programs of the
//! benchmark, as sources and as executables. usage: seeds FOLDER FILE…

// Instrumented code calls into the engine.
use libfuzzer_sys as _;
use mix_compiler::{CompileOptions, SourceFile, compile, compile_expression};
use std::path::Path;
use std::{env, fs, io};

/// Longer ones make fuzzing slow.
const LONGEST: usize = 16_384;

fn main() -> io::Result<()> {
    let mut arguments = env::args().skip(1);
    let folder = arguments.next().unwrap_or_else(|| "fuzz/corpus".to_owned());
    let folder = Path::new(&folder);
    for name in ["sources", "executables"] {
        fs::create_dir_all(folder.join(name))?;
    }
    let (mut sources, mut executables) = (0, 0);
    for file in arguments {
        let text = fs::read_to_string(&file)?;
        let blocks: Vec<&str> = match file.contains("conformance") {
            true => text.split("\n\n").collect(),
            false => vec![&text],
        };
        for block in blocks {
            // The expected results are no part of the language.
            let lines = block.lines().filter(|line| !line.starts_with(['#', '/']));
            let lines: Vec<&str> = lines
                .map(|line| line.split("  //= ").next().unwrap_or(line))
                .collect();
            let source = lines.join("\n");
            if source.trim().is_empty() || source.len() > LONGEST {
                continue;
            }
            fs::write(folder.join(format!("sources/{sources}")), &source)?;
            sources += 1;
            let options = CompileOptions::default();
            let whole = compile(&[SourceFile::new("seed.mix", source.as_str())], &options);
            let program = whole
                .program
                .or_else(|| compile_expression(&source, &[], &options).program);
            if let Some(program) = program {
                let executable = mix_bytecode::encode(&program);
                if executable.len() <= LONGEST {
                    fs::write(
                        folder.join(format!("executables/{executables}")),
                        executable,
                    )?;
                    executables += 1;
                }
            }
        }
    }
    println!("{sources} sources, {executables} executables");
    Ok(())
}
