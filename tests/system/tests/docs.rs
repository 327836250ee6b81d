//! Every command that README and docs show is run, and prints what they say.

use mix_system_tests::{Console, components, examples, mixer, repository};

#[test]
fn every_command_of_the_documentation_works_as_shown() {
    let root = repository();
    let mut pages = vec![root.join("README.md")];
    let docs = std::fs::read_dir(root.join("docs")).expect("there is a docs folder");
    pages.extend(
        docs.flatten()
            .map(|entry| entry.path())
            .filter(|path| path.extension().is_some_and(|end| end == "md")),
    );
    pages.sort();
    let mut commands = 0;
    let mut wrong = Vec::new();
    for page in pages {
        let text = std::fs::read_to_string(&page).expect("a page is readable text");
        let folder = tempfile::tempdir().expect("a scratch folder");
        // Pages speak of the checkout as the current folder.
        let mut console = Console::start(folder.path());
        console.run(&format!(
            "cp -r {}/examples . && mkdir scratch bin && ln -s {} bin/wasmtime && export PATH=$PWD/bin:$PATH MIX_PLUGINS={}",
            root.display(),
            mixer().with_file_name("stock-wasmtime").display(),
            components().display()
        ));
        for example in examples(&text) {
            if example.command.starts_with("make ") || example.command.starts_with("git ") {
                continue; // The set-up itself: this test is part of it.
            }
            commands += 1;
            if let Err(difference) = console.check(&example) {
                wrong.push(format!("{}:{difference}", page.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(commands > 0, "no page shows a command");
}
