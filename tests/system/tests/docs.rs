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

/// The paths in the first column of the table of rooms; `a/{b,c}` stands for several.
fn rooms(page: &str) -> Vec<String> {
    let (_, from) = page.split_once("\n## Rooms\n").expect("rooms");
    let table = from.split("\n## ").next().unwrap_or(from);
    let cells = table.lines().filter_map(|line| line.strip_prefix("| `"));
    let paths = cells.filter_map(|cell| Some(cell.split_once('`')?.0));
    let several = |path: &str| match path.split_once('{') {
        None => vec![path.to_owned()],
        Some((folder, names)) => {
            let names = names.trim_end_matches('}').split(',');
            names.map(|name| format!("{folder}{name}")).collect()
        }
    };
    paths.flat_map(several).collect()
}

#[test]
fn the_map_of_the_house_has_all_rooms_and_no_others() {
    let root = repository();
    let read = |name: &str| std::fs::read_to_string(root.join(name)).expect("readable text");
    let rooms = rooms(&read("docs/ARCHITECTURE.md"));
    for room in &rooms {
        assert!(root.join(room).exists(), "{room} is not there");
    }
    let manifest = read("Cargo.toml");
    let (_, rest) = manifest.split_once("members = [").expect("a workspace");
    let (members, _) = rest.split_once(']').expect("a list");
    let members: Vec<&str> = members.split('"').skip(1).step_by(2).collect();
    assert!(members.len() > 50, "{members:?}");
    for member in members {
        let inside =
            |room: &String| room == member || room.ends_with('/') && member.starts_with(room);
        assert!(rooms.iter().any(inside), "{member} is not on the map");
    }
}
