//! Plugins as operators and authors meet them: `mixer plugin`, grants, versions, replaced families.

use std::path::{Path, PathBuf};

use mix_system_tests::{
    Finished, components, declared, repository, response_json, run_mixer, what_survives,
};
use serde_json::json;

fn words() -> Vec<u8> {
    std::fs::read(components().join("mix_example_words.wasm")).expect("`make examples` built it")
}

/// A plugin in a scratch folder.
struct Plugin {
    _folder: tempfile::TempDir,
    path: PathBuf,
}

impl Plugin {
    fn of(bytes: &[u8]) -> Plugin {
        let folder = tempfile::tempdir().expect("a scratch folder");
        let path = folder.path().join("made.wasm");
        std::fs::write(&path, bytes).expect("a writable folder");
        Plugin {
            _folder: folder,
            path,
        }
    }

    /// The words plugin with another manifest in front of its own.
    fn with_manifest(manifest: &str) -> Plugin {
        Plugin::of(&declared(&words(), manifest))
    }

    /// The words plugin as if it had been built for another version of the contract.
    fn of_version(version: &[u8; 5]) -> Plugin {
        let mut bytes = words();
        let (needle, mut place) = (b"@0.1.1", 0);
        while place + needle.len() <= bytes.len() {
            let before = &bytes[place.saturating_sub(32)..place];
            if bytes[place..].starts_with(needle)
                && before.windows(8).any(|part| part == b"mix:ffi/")
            {
                bytes[place + 1..place + 6].copy_from_slice(version);
            }
            place += 1;
        }
        Plugin::of(&bytes)
    }

    fn path(&self) -> String {
        self.path.display().to_string()
    }

    /// Counts words with it.
    fn run(&self, more: &[&str]) -> Finished {
        let (program, path) = (repository().join("examples/words/words.mix"), self.path());
        let program = program.display().to_string();
        let params = json!({"text": "the cat and the hat"}).to_string();
        let first = [
            "run",
            &program,
            "frequency",
            "--plugin",
            &path,
            "--params",
            &params,
        ];
        run_mixer(first.into_iter().chain(more.iter().copied()))
    }
}

#[track_caller]
fn assert_counts(done: &Finished) {
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert_eq!(response_json(done.stdout.as_bytes())["total"], 5);
}

#[track_caller]
fn assert_refused(done: &Finished, code: i32, parts: &[&str]) {
    assert_eq!(done.code, code, "{}{}", done.stdout, done.stderr);
    for part in parts {
        assert!(
            done.stderr.contains(part),
            "{part} is missing in: {}",
            done.stderr
        );
    }
}

#[test]
fn a_plugin_for_a_compatible_version_keeps_working() {
    assert_counts(&Plugin::of_version(b"0.1.0").run(&[]));
    let other = Plugin::of_version(b"0.1.7");
    assert_counts(&other.run(&[]));
    let about = run_mixer(["plugin", "inspect", &other.path()]);
    assert!(
        about.stdout.contains("contract mix:ffi 0.1.7"),
        "{}",
        about.stdout
    );
    // In the other assembly too.
    let out = other.path.with_file_name("composed.wasm");
    let program = repository().join("examples/words/words.mix");
    let done = run_mixer([
        "compose".as_ref(),
        program.as_os_str(),
        "--plugin".as_ref(),
        other.path.as_os_str(),
        "-o".as_ref(),
        out.as_os_str(),
    ]);
    assert_eq!(done.code, 0, "{}", done.stderr);
}

#[test]
fn a_plugin_of_the_first_release_keeps_working() {
    let plugin = components().join("mix_test_plugin_escapes.wasm");
    let plugin = plugin.display().to_string();
    let about = run_mixer(["plugin", "check", &plugin]);
    assert_eq!(about.code, 0, "{}", about.stderr);
    assert!(
        about
            .stdout
            .contains("plugin mix_test_plugin_escapes for mix:ffi 0.1.0"),
        "{}",
        about.stdout
    );
    let program = repository().join("tests/system/programs/escapes/escapes.mix");
    let program = program.display().to_string();
    let params = json!({"tries": [["variables", ""]]}).to_string();
    let run = [
        "run", &program, "tries", "--plugin", &plugin, "--params", &params,
    ];
    let done = run_mixer(run);
    assert_eq!(
        (done.code, done.stdout.trim()),
        (0, r#"[{"ok":{}}]"#),
        "{}",
        done.stderr
    );
    // In the other assembly too.
    let folder = tempfile::tempdir().expect("a scratch folder");
    let out = folder.path().join("composed.wasm").display().to_string();
    let done = run_mixer(["compose", &program, "--plugin", &plugin, "-o", &out]);
    assert_eq!(done.code, 0, "{}", done.stderr);
}

#[test]
fn what_a_plugin_says_it_needs_is_refused_or_granted() {
    let plugin = components().join("mix_test_plugin_needy.wasm");
    let plugin = plugin.display().to_string();
    let folder = tempfile::tempdir().expect("a scratch folder");
    let program = folder.path().join("echo.mix");
    std::fs::write(
        &program,
        "module echo(p:data)\n  foreign def echo : data -> data = \"$needy_echo\"\n  var cell m_params = p\n  \
         cell output = echo(m_params)\nmodule end\n",
    )
    .expect("a writable folder");
    let program = program.display().to_string();
    let run = |grant: &str| {
        run_mixer([
            "run", &program, "echo", "--plugin", &plugin, "--params", "[1]", "--grant", grant,
        ])
    };
    let name = "mix_test_plugin_needy";
    assert_refused(
        &run(&format!("{name}=folder")),
        2,
        &["--grant mix_test_plugin_needy=http:api.example.com"],
    );
    assert_refused(
        &run(&format!("{name}=http")),
        2,
        &["--grant mix_test_plugin_needy=folder"],
    );
    let done = run(&format!("{name}=http:*.example.com,folder"));
    assert_eq!(
        (done.code, done.stdout.trim()),
        (0, "[1]"),
        "{}",
        done.stderr
    );
    let about = run_mixer(["plugin", "inspect", &plugin]);
    assert!(
        about.stdout.contains("needs http:api.example.com: refused"),
        "{}",
        about.stdout
    );
}

#[test]
fn a_plugin_for_another_version_is_refused_with_both_named() {
    let other = Plugin::of_version(b"0.2.0");
    let parts = ["mix:ffi/family@0.2.0", "mix:ffi/family@0.1.1"];
    assert_refused(&other.run(&[]), 2, &parts);
    assert_refused(&run_mixer(["plugin", "check", &other.path()]), 1, &parts);
    let out = other.path.with_file_name("composed.wasm");
    let program = repository().join("examples/words/words.mix");
    let done = run_mixer([
        "compose".as_ref(),
        program.as_os_str(),
        "--plugin".as_ref(),
        other.path.as_os_str(),
        "-o".as_ref(),
        out.as_os_str(),
    ]);
    assert_refused(&done, 1, &parts);
}

#[test]
fn a_short_way_for_a_function_of_another_family_is_refused() {
    // Two functions of the same length: the second would be asked before the record store is.
    let (own, stolen) = (b"$needy_echo", b"$db_get_on?");
    let mut bytes = std::fs::read(components().join("mix_test_plugin_needy.wasm"))
        .expect("`make test` built it");
    let mut places = 0;
    for place in 0..bytes.len() - own.len() {
        if bytes[place..].starts_with(own) {
            bytes[place..place + own.len()].copy_from_slice(stolen);
            places += 1;
        }
    }
    assert!(places > 0, "the name of the function is not in the plugin");
    let thief = Plugin::of(&bytes);
    let (path, out) = (thief.path(), thief.path.with_file_name("out.wasm"));
    let out = out.display().to_string();
    let program = repository().join("examples/words/words.mix");
    let program = program.display().to_string();
    let family = format!("secrets={path}");
    let parts = ["$db_get_on?", "no function that waits"];
    assert_refused(&thief.run(&[]), 2, &parts);
    assert_refused(&run_mixer(["plugin", "check", &path]), 1, &parts);
    for more in [
        &["--plugin", &path][..],
        &["--plugin", &path, "--open-family"],
        &["--family", &family],
    ] {
        for first in [["compose", &program], ["build", &program]] {
            let all = first.iter().copied().chain(more.iter().copied());
            assert_refused(&run_mixer(all.chain(["-o", &out])), 1, &parts);
        }
    }
}

#[test]
fn a_plugin_gets_what_it_needs_and_is_granted() {
    let needy = Plugin::with_manifest(r#"{"name":"needy","needs":["http","folder"]}"#);
    assert_refused(
        &needy.run(&[]),
        2,
        &["needy", "needs http", "--grant needy=http"],
    );
    assert_refused(
        &needy.run(&["--grant", "needy=http"]),
        2,
        &["--grant needy=folder"],
    );
    assert_refused(
        &needy.run(&["--grant", "words=http,folder"]),
        2,
        &["needs http"],
    );
    assert_counts(&needy.run(&["--grant", "needy=http,folder"]));
    assert_counts(&needy.run(&[
        "--grant",
        "needy=http",
        "--grant",
        "needy=folder,memory:32MiB",
    ]));
    let about = run_mixer([
        "plugin",
        "inspect",
        &needy.path(),
        "--grant",
        "needy=http,calls:7",
    ]);
    for part in [
        "needs http: granted",
        "needs folder: refused",
        "--grant needy=folder",
        "7 in flight",
    ] {
        assert!(
            about.stdout.contains(part),
            "{part} is missing in {}",
            about.stdout
        );
    }
    let about = run_mixer(["plugin", "inspect", &needy.path(), "--json"]);
    let about = response_json(about.stdout.as_bytes());
    assert_eq!(about["needs"][0], json!({"need": "http", "granted": false}));
    assert_eq!(about["functions"][0]["name"], "$words_count");
}

#[test]
fn a_plugin_does_not_take_the_name_of_another_one() {
    // It would get what the other one was granted, and its folder.
    let needy = std::fs::read(components().join("mix_test_plugin_needy.wasm")).expect("a plugin");
    let words = Plugin::of(&words());
    for name in ["words", "http", "core"] {
        let manifest = json!({"name": name}).to_string();
        let other = Plugin::of(&declared(&needy, &manifest));
        let grant = format!("{name}=http,folder");
        let done = words.run(&["--plugin", &other.path(), "--grant", &grant]);
        assert_refused(&done, 2, &["two plugins are named", name]);
    }
}

#[test]
fn wrong_manifests_and_grants_are_refused() {
    for manifest in ["{", r#"{"needs":["disk"]}"#, r#"{"colour":1}"#] {
        let plugin = Plugin::with_manifest(manifest);
        assert_refused(&plugin.run(&[]), 2, &["manifest"]);
    }
    let plain = Plugin::of(&words());
    assert_refused(
        &plain.run(&["--grant", "nobody=http"]),
        2,
        &["no plugin nobody"],
    );
    assert_refused(&plain.run(&["--grant", "words=disk"]), 2, &["none of http"]);
    for empty in ["=http", "words=", " = "] {
        assert_refused(
            &plain.run(&["--grant", empty]),
            2,
            &["a grant is NAME=http"],
        );
    }
    // Families get what they get.
    for family in [
        "http=http:api.example.com",
        "db=memory:64KiB",
        "core=calls:1",
    ] {
        let done = plain.run(&["--grant", family]);
        assert_refused(&done, 2, &["nothing can be granted", "family"]);
    }
    let about = run_mixer(["plugin", "inspect", &plain.path(), "--grant", "nobody=http"]);
    assert_refused(&about, 2, &["no plugin nobody", "this one is words"]);
    assert_counts(&plain.run(&["--grant", "words=time:2s"]));
    // A plugin of one page cannot even start, which ends its call and nothing else.
    let done = plain.run(&["--grant", "words=memory:64KiB"]);
    assert_refused(&done, 1, &["ERR_INTERNAL", "words"]);
}

#[test]
fn a_c_project_has_its_side_of_the_contract_written() {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let at = |name: &str| folder.path().join(name).display().to_string();
    let done = run_mixer(["plugin", "new", "demo", "--lang", "c", "--dir", &at("demo")]);
    assert_eq!(done.code, 0, "{}", done.stderr);
    let (wit, bindings) = (at("demo/wit"), at("demo/bindings"));
    for _ in 0..2 {
        let done = run_mixer(["plugin", "c-bindings", &wit, "-o", &bindings]);
        assert_eq!(done.code, 0, "{}", done.stderr);
    }
    let header = std::fs::read_to_string(at("demo/bindings/plugin.h")).expect("a header");
    assert!(header.contains("exports_mix_ffi_family_start"), "{header}");

    let out = at("out.wasm");
    for (module, code, told) in [
        (wat::parse_str("(module)"), 1, "plugin_component_type.o"),
        (Ok(words()), 1, "a component already"),
        (Ok(b"text".to_vec()), 1, "no WebAssembly module"),
    ] {
        std::fs::write(at("core.wasm"), module.expect("a module")).expect("written");
        let done = run_mixer(["plugin", "component", &at("core.wasm"), "-o", &out]);
        assert_refused(&done, code, &["core.wasm", told]);
    }
    let done = run_mixer(["plugin", "component", &at("none.wasm"), "-o", &out]);
    assert_refused(&done, 3, &["none.wasm"]);
    assert!(!folder.path().join("out.wasm").exists());
    let done = run_mixer(["plugin", "c-bindings", &at("none"), "-o", &bindings]);
    assert_refused(&done, 1, &["none"]);
}

#[test]
fn limits_of_a_plugin_are_those_that_it_was_granted() {
    let caught = what_survives("hang", "time:50ms");
    let text = caught["caught"].as_str().unwrap_or_default();
    assert!(text.starts_with("ERR_TIMEOUT: "), "{text}");
}

#[test]
fn tests_of_a_plugin_fail_where_it_is_wrong() {
    let plugin = Plugin::of(&words());
    let tests = plugin.path.with_file_name("tests.mix");
    std::fs::write(
        &tests,
        "module t\n  import words\n  def testGood() = words.count(\"a b\") == 2\n  \
         def testBad() = words.count(\"a b\")\n  def testFails() = fail(\"no\") == 1\nmodule end\n",
    )
    .expect("a writable folder");
    let run = |tests: &Path| {
        let tests = tests.display().to_string();
        run_mixer(["plugin", "test", &plugin.path(), &tests])
    };
    let done = run(&tests);
    assert_eq!(done.code, 1, "{}", done.stderr);
    for part in [
        "ok      t.testGood",
        "FAILED  t.testBad: it gives 2",
        "FAILED  t.testFails: RT_FAIL",
        "3 tests, 2 failed",
    ] {
        assert!(
            done.stdout.contains(part),
            "{part} is missing in {}",
            done.stdout
        );
    }
    std::fs::write(&tests, "module t\n  def testX() = nothing\nmodule end\n")
        .expect("a writable folder");
    assert_refused(&run(&tests), 1, &["NAME_UNBOUND"]);
    std::fs::write(&tests, "module t\nmodule end\n").expect("a writable folder");
    assert_refused(&run(&tests), 2, &["begins with `test`"]);
}

#[test]
fn what_is_no_plugin_is_named() {
    for (bytes, part) in [
        (&b""[..], "no WebAssembly component"),
        (&b"\0asm\x01\0\0\0"[..], "mixer plugin component"),
        (
            &b"\0asm\x0d\0\x01\0"[..],
            "does not export mix:ffi/family@0.1.1",
        ),
    ] {
        let plugin = Plugin::of(bytes);
        assert_refused(&run_mixer(["plugin", "check", &plugin.path()]), 1, &[part]);
    }
    assert_refused(
        &run_mixer(["plugin", "check", "/nowhere.wasm"]),
        3,
        &["/nowhere.wasm"],
    );
}

#[test]
fn what_is_to_replace_a_family_has_its_functions() {
    let check = |family: &str, name: &str| {
        let file = components().join(name).display().to_string();
        run_mixer(["plugin", "check", "--family", family, &file])
    };
    for family in ["core", "crypto", "db", "files", "http", "secrets", "wasm"] {
        let done = check(family, &format!("mix_plugin_{family}.wasm"));
        assert_eq!(done.code, 0, "{family}: {}", done.stderr);
    }
    let done = check("files", "mix_plugin_files_memory.wasm");
    assert_eq!(done.code, 0, "{}", done.stderr);
    for (family, missing) in [
        ("crypto", "it has no $crypto_md5 (arguments: 1)"),
        ("mqtt", "it has no $mqtt_publish (arguments: 3)"),
        ("websocket", "it has no $websocket_is_down (arguments: 1)"),
    ] {
        let done = check(family, "mix_example_words.wasm");
        assert_refused(&done, 1, &[missing]);
        // Nothing else is wrong with it.
        assert!(!done.stderr.contains("$words"), "{}", done.stderr);
    }
    assert_refused(
        &check("nosuch", "mix_example_words.wasm"),
        2,
        &["there is no family nosuch to be replaced", "secrets"],
    );
}

#[test]
fn a_project_is_written_once_and_under_a_good_name() {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let dir = folder.path().join("made").display().to_string();
    for (lang, file) in [
        ("rust", "src/lib.rs"),
        ("js", "plugin.js"),
        ("python", "plugin.py"),
        ("c", "plugin.c"),
    ] {
        let dir = format!("{dir}-{lang}");
        let new = ["plugin", "new", "demo", "--lang", lang, "--dir", &dir];
        let done = run_mixer(new);
        assert_eq!(done.code, 0, "{}", done.stderr);
        for file in [file, "tests.mix", "README.md"] {
            let text = std::fs::read_to_string(Path::new(&dir).join(file)).expect("it is written");
            assert!(
                !text.contains("PLUGIN_NAME") && text.contains("demo"),
                "{file}"
            );
        }
        assert_refused(&run_mixer(new), 2, &["not empty"]);
    }
    for (name, why) in [
        ("", "no name of a plugin"),
        ("Demo", "no name of a plugin"),
        ("1x", "no name of a plugin"),
        ("a-b", "no name of a plugin"),
        ("../x", "no name of a plugin"),
        ("http", "a family of the library"),
        ("module", "a word of the language"),
    ] {
        let dir = format!("{dir}-x");
        let done = run_mixer(["plugin", "new", name, "--lang", "js", "--dir", &dir]);
        assert_refused(&done, 2, &[why]);
        assert!(!Path::new(&dir).exists());
    }
}

/// The output of agent `main` of a program with a test plugin behind the host.
fn output_with(plugin: &str, source: &str) -> Finished {
    let folder = tempfile::tempdir().expect("a scratch folder");
    std::fs::write(folder.path().join("main.mix"), source).expect("a writable folder");
    let plugin = components().join(format!("mix_test_plugin_{plugin}.wasm"));
    let (folder, plugin) = (folder.path().display(), plugin.display());
    let (folder, plugin) = (folder.to_string(), plugin.to_string());
    run_mixer(["run", &folder, "main", "--plugin", &plugin])
}

#[test]
fn values_of_any_length_reach_a_plugin_and_come_back() {
    let echoes = r#"
module main(p:data)
  foreign def echo : data -> data = "$hostile_echo"
  def textOf(length) = string.concat("", array.initialize(length, i -> "" + i % 10))
  def differs(length) = echo(textOf(length)) != textOf(length)
  // Short ones after long ones too.
  def lengths = array.initialize(80, i -> i) + [4096, 300001, 1, 2, 33, 3, 4]
  cell output = array.filter(differs, lengths)
module end
"#;
    let done = output_with("hostile", echoes);
    assert_eq!(done.stdout.trim(), "[]", "{}", done.stderr);
}

#[test]
fn a_plugin_that_lies_about_a_short_answer_fails_alone() {
    let asks = r#"
module main(p:data)
  foreign def claims : null -> data = "$forger_claims"
  foreign def claimsWaiting : null -> data = "$forger_claims_waiting"
  foreign def claimsAll : null -> data = "$forger_claims_all"
  foreign def pads : null -> data = "$forger_pads"
  def textOf = ok(_) -> "ok" | error(text) -> text
  // The instance is made by the first one.
  cell output = [textOf(try claimsWaiting()), textOf(try claims()), textOf(try claimsAll()), pads(), pads()]
module end
"#;
    let done = output_with("forger", asks);
    let expected = r#"["ERR_INTERNAL: called with bytes","ERR_INTERNAL: the reply of $forger_claims (plugin mix_test_plugin_forger) is no Mix value: a packed value of 33 bytes came in 1 blocks of 32 bytes","ERR_INTERNAL: called with bytes",true,true]"#;
    assert_eq!(done.stdout.trim(), expected, "{}", done.stderr);
}
