//! The command line itself: versions, usage errors and exit codes.

use std::process::{Command, Stdio};

fn mixer(arguments: &[&str]) -> (i32, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_mixer"))
        .args(arguments)
        .output()
        .expect("the program was built for this test");
    (
        output.status.code().unwrap_or(-1),
        String::from_utf8_lossy(&output.stdout).into_owned(),
        String::from_utf8_lossy(&output.stderr).into_owned(),
    )
}

#[test]
fn the_version_is_that_of_the_package() {
    let (code, stdout, _) = mixer(&["--version"]);
    assert_eq!(code, 0);
    assert_eq!(
        stdout.trim(),
        format!("mixer {}", env!("CARGO_PKG_VERSION"))
    );
}

#[test]
fn wrong_usage_exits_with_two() {
    for arguments in [
        &["no-such-command"] as &[&str],
        &["eval"],
        &["serve"],
        &["run", "--no-such-flag"],
        &["build", "a.mix", "-o", "a.zip"],
    ] {
        let (code, stdout, stderr) = mixer(arguments);
        assert_eq!(code, 2, "{arguments:?}: {stderr}");
        assert!(stdout.is_empty() && !stderr.is_empty(), "{arguments:?}");
    }
}

#[test]
fn a_flag_that_this_server_cannot_honour_is_refused() {
    for (arguments, reason) in [
        (&["--enable-commands"] as &[&str], "no sandbox"),
        (
            &["--remote-compile-server", "https://c.example.com"],
            "do not compile",
        ),
        (
            &["--http-proxy", "socks5://proxy:1080"],
            "a proxy is http://",
        ),
        (&["--query-max-bytes", "65MiB"], "64MiB"),
        (&["--query-max-bytes", "0"], "1 byte at least"),
        (&["--agent-memory", "1"], "4MiB at least"),
        (&["--db-memory", "1MiB"], "16MiB at least"),
        (
            &["--files-origin", "https://files.example.com/path"],
            "HOST",
        ),
        (&["--files-origin", "files.example.com"], "HOST"),
        (&["--otlp-endpoint", "collector"], "--otlp-endpoint"),
        (&["--db-sync", "sometimes"], "full"),
        (&["--max-runs", "2001"], "at most 2000"),
        (&["--max-runs", "0"], "from 1 on"),
        (&["--port", "70000"], "not too large"),
        (&["--base-url", "mix.example.com"], "HOST"),
        (&["--base-url", "https://u:p@mix.example.com"], "HOST"),
        (&["--server-name", "mix/example"], "letters"),
        (&["--workspace-creator", "domain/com"], "public suffix"),
        (&["--server-admin", "domain/com"], "public suffix"),
        (
            &["--server-admin", "user/root"],
            "or by what its tokens have as sub, as user/sub:42",
        ),
        (
            &["--workspace-creator", "ada@example.com"],
            "there are user/…",
        ),
        (&["--cors-origin", "https://a.example.com/path"], "SCHEME"),
    ] {
        let all = [&["serve", "--ws-dir", "/nowhere/ws"], arguments].concat();
        let (code, stdout, stderr) = mixer(&all);
        assert_eq!(code, 2, "{arguments:?}: {stderr}");
        assert!(
            stdout.is_empty() && stderr.contains(reason),
            "{arguments:?}: {stderr}"
        );
    }
}

#[test]
fn a_variable_of_a_flag_without_value_is_a_switch() {
    for (value, code, told) in [
        ("1", 2, "no sandbox"),
        ("true", 2, "no sandbox"),
        // The next thing that is wrong.
        ("0", 3, "/nowhere/ws"),
        ("yes", 2, "true, false, 1 or 0"),
    ] {
        let output = Command::new(env!("CARGO_BIN_EXE_mixer"))
            .args(["serve", "--ws-dir", "/dev/null/nowhere/ws"])
            .env("MIXER_ENABLE_COMMANDS", value)
            .output()
            .expect("the program was built for this test");
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{value}: {stderr}");
        assert!(stderr.contains(told), "{value}: {stderr}");
    }
}

#[test]
fn passwords_are_not_shown_with_the_configuration() {
    let proxy = "http://ada:parole@proxy.example.com:3128";
    let shown = ["--print-config", "--http-proxy", proxy];
    let (code, stdout, stderr) = mixer(&[&["serve", "--ws-dir", "ws"][..], &shown].concat());
    assert_eq!(code, 0, "{stderr}");
    assert!(
        stdout.contains("http-proxy") && !stdout.contains("parole"),
        "{stdout}"
    );
}

#[test]
fn a_flag_that_a_configuration_has_twice_is_refused() {
    let scratch = tempfile::tempdir().expect("a folder");
    let file = scratch.path().join("server.json");
    std::fs::write(&file, r#"{"max-runs": 1, "max-runs": 2}"#).expect("writes");
    let file = file.to_str().expect("a name in UTF-8");
    let start = [
        "serve",
        "--ws-dir",
        "ws",
        "--print-config",
        "--config",
        file,
    ];
    let (code, stdout, stderr) = mixer(&start);
    assert!(code == 2 && stdout.is_empty(), "{code}: {stdout}");
    assert!(stderr.contains("duplicate key \"max-runs\""), "{stderr}");
}

#[test]
fn a_configuration_has_the_flags_of_all_commands_too() {
    let scratch = tempfile::tempdir().expect("a folder");
    let file = scratch.path().join("server.json");
    let text = r#"{"max-runs": 7, "log-format": "pretty", "ca-file": "/nowhere/ca.pem"}"#;
    std::fs::write(&file, text).expect("writes");
    let file = file.to_str().expect("a name in UTF-8");
    let start = ["--ws-dir", "ws", "--print-config", "--config", file];
    // What stands before the command is the value of a flag, not the command.
    for before in [&["serve"][..], &["--color", "never", "-q", "serve"]] {
        let (code, stdout, stderr) = mixer(&[before, &start].concat());
        assert_eq!(code, 0, "{before:?}: {stderr}");
        let shown: serde_json::Value = serde_json::from_str(&stdout).expect("JSON");
        for (flag, value) in [
            ("max-runs", "7"),
            ("log-format", "pretty"),
            ("ca-file", "/nowhere/ca.pem"),
        ] {
            let expected = serde_json::json!({"from": "file", "value": value});
            assert_eq!(shown[flag], expected, "{before:?}: {stdout}");
        }
    }
    let (code, _, stderr) = mixer(&["serve", "--ws-dir", "ws", "--config", file]);
    assert!(
        code == 3 && stderr.contains("--ca-file /nowhere/ca.pem: "),
        "{code} {stderr}"
    );
}

#[test]
fn a_home_that_is_none_costs_time_only() {
    let evaluated = |variable: &str| {
        Command::new(env!("CARGO_BIN_EXE_mixer"))
            .args(["eval", "1 + 1"])
            .env_remove("MIXER_CACHE_DIR")
            .env_remove("XDG_CACHE_HOME")
            .env(variable, "/dev/null/none")
            .output()
            .expect("the program was built for this test")
    };
    let homeless = evaluated("HOME");
    assert_eq!(homeless.stdout, b"2\n", "{homeless:?}");
    assert_eq!(homeless.status.code(), Some(0));
    let named = evaluated("MIXER_CACHE_DIR");
    assert!(!named.status.success() && named.stdout.is_empty());
    let said = String::from_utf8_lossy(&named.stderr);
    assert!(said.contains("MIXER_CACHE_DIR"), "{said}");
}

#[test]
fn a_certificate_without_its_key_is_told_as_that() {
    let scratch = tempfile::tempdir().expect("a folder");
    let file = scratch.path().join("c.pem");
    let text = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    std::fs::write(&file, text).expect("writes");
    let file = file.to_str().expect("a name in UTF-8");
    let ws_dir = scratch.path().join("ws").display().to_string();
    let place = ["serve", "--port", "0", "--ws-dir", &ws_dir];
    let (code, _, stderr) =
        mixer(&[&place[..], &["--tls-certs", file, "--tls-key", file]].concat());
    assert!(
        code == 3 && stderr.contains("c.pem holds no private key"),
        "{code} {stderr}"
    );
}

#[test]
fn what_is_no_file_is_not_replaced_by_an_output() {
    use std::os::unix::fs::FileTypeExt;
    let scratch = tempfile::tempdir().expect("a folder");
    let at = |name: &str| scratch.path().join(name).display().to_string();
    std::fs::write(
        at("a.mix"),
        "module a(p:data)\n  cell output = 1\nmodule end\n",
    )
    .expect("writes");
    let made = Command::new("mkfifo").arg(at("pipe.mixexe")).status();
    assert!(made.is_ok_and(|status| status.success()));
    let reading = std::thread::spawn({
        let pipe = at("pipe.mixexe");
        move || std::fs::read(pipe).expect("reads")
    });
    std::os::unix::fs::symlink("real.mixexe", at("link.mixexe")).expect("links");
    for output in ["pipe.mixexe", "link.mixexe"] {
        let (code, _, stderr) = mixer(&["build", &at("a.mix"), "-o", &at(output)]);
        assert_eq!(code, 0, "{stderr}");
    }
    let pipe = std::fs::metadata(at("pipe.mixexe")).expect("is there");
    assert!(pipe.file_type().is_fifo());
    let through = reading.join().expect("ends");
    assert!(!through.is_empty());
    assert_eq!(
        through,
        std::fs::read(at("real.mixexe")).expect("the file behind the link")
    );
}

#[test]
fn missing_input_exits_with_three() {
    let (code, _, stderr) = mixer(&["check", "/nowhere/app"]);
    assert_eq!(code, 3, "{stderr}");
    assert!(stderr.contains("/nowhere/app"), "{stderr}");
}

#[test]
fn what_is_no_component_or_name_is_said_in_one_line() {
    let scratch = tempfile::tempdir().expect("a scratch folder");
    let text = scratch.path().join("text.wasm");
    std::fs::write(&text, "text").expect("written");
    let source = scratch.path().join("agent.mix");
    let agent = "module agent(p:data)\n  cell output = 1\nmodule end\n";
    std::fs::write(&source, agent).expect("written");
    let [text, source, folder] =
        [&text, &source, scratch.path()].map(|path| path.display().to_string());
    for (arguments, code, told) in [
        (
            &["wasm", "inspect", &text][..],
            1,
            "text.wasm: it is no WebAssembly module",
        ),
        (
            &["plugin", "check", &text],
            1,
            "plugin text is no WebAssembly component",
        ),
        (
            &["serve", "--ws-dir", &folder, "--mixrt-wasm", &text],
            2,
            "text.wasm is no WebAssembly component",
        ),
        (
            &["install", &source, "--ws-dir", &folder, "--app", "a"],
            2,
            "\"a\" is no app name: 2 to 128 letters",
        ),
        (
            &["install", &source, "--ws-dir", &folder, "--ws", "a.b"],
            2,
            "\"a.b\" is no workspace name: 1 to 64 letters",
        ),
        (
            &["build", &source, "-o", &folder],
            3,
            "cannot be written: is a directory",
        ),
        (&["run", &source], 2, "the agent is missing: mixer run"),
        (&["run", "agent"], 2, "needs --ws-dir and --app"),
    ] {
        let (found, stdout, stderr) = mixer(arguments);
        assert_eq!((found, &*stdout), (code, ""), "{arguments:?}: {stderr}");
        assert!(
            stderr.contains(told) && stderr.lines().count() == 1,
            "{arguments:?}: {stderr}"
        );
    }
    let (code, _, stderr) = mixer(&["check", &source, &source]);
    assert_eq!(code, 0, "given twice it is meant once: {stderr}");
}

#[test]
fn whoever_stops_reading_ends_a_command_quietly() {
    for arguments in [
        &["--help"][..],
        &["check", "--json", "absent.mix"],
        &["plugin", "--help"],
        &["eval", "\"a\""],
    ] {
        let mut child = Command::new(env!("CARGO_BIN_EXE_mixer"))
            .args(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("mixer starts");
        // Nobody reads.
        drop(child.stdout.take());
        let done = child.wait_with_output().expect("it ends");
        let errors = String::from_utf8_lossy(&done.stderr);
        assert!(!errors.contains("panicked"), "{arguments:?}: {errors}");
        assert!(
            done.status.code().is_some_and(|code| code < 100),
            "{arguments:?}"
        );
        assert!(
            !errors.contains("standard output"),
            "{arguments:?}: {errors}"
        );
    }
}

#[test]
fn an_install_that_is_refused_makes_no_workspace() {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let file = |name: &str, content: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, content).expect("writes");
        path.display().to_string()
    };
    let ws_dir = folder.path().join("ws").display().to_string();
    let none = folder.path().join("none.remix").display().to_string();
    for (package, code) in [(file("bad.remix", "this is no zip file"), 1), (none, 3)] {
        let (exit, _, said) = mixer(&["install", &package, "--ws-dir", &ws_dir, "--ws", "new"]);
        assert_eq!(exit, code, "{said}");
        assert!(!folder.path().join("ws").exists(), "{said}");
    }
}

#[test]
fn no_command_reads_without_end() {
    let scratch = tempfile::tempdir().expect("a folder");
    let at = |name: &str| scratch.path().join(name).display().to_string();
    let made = Command::new("mkfifo").arg(at("pipe")).status();
    assert!(made.is_ok_and(|status| status.success()));
    std::fs::create_dir(at("folder")).expect("a folder");
    std::fs::write(at("a.mix"), "module a(p:data) cell output = p module end").expect("writes");
    for ending in ["mixexe", "mixlib", "wasm", "mix"] {
        let name = at(&format!("endless.{ending}"));
        std::os::unix::fs::symlink("/dev/zero", name).expect("links");
    }
    let (agent, ws, out) = (at("a.mix"), at("ws"), at("out"));
    let place = ["--path", &at("db")].map(str::to_owned);
    let place: Vec<&str> = place.iter().map(String::as_str).collect();
    // `FILE` stands for what is read.
    let commands: [&[&str]; 25] = [
        &["check", "FILE"],
        &["build", "FILE", "-o", &out],
        &["install", "FILE", "--ws-dir", &ws, "--app", "a"],
        &["run", "--params", "@FILE", &agent, "a"],
        &["run", "--replay", "FILE", &agent, "a"],
        &["run", "--plugin", "FILE", &agent, "a"],
        &["run", "--family", "http=FILE", &agent, "a"],
        &["run", "--ca-file", "FILE", &agent, "a"],
        &["serve", "--config", "FILE"],
        &["serve", "--ws-dir", &ws, "--secrets-key", "file:FILE"],
        &[
            "serve",
            "--ws-dir",
            &ws,
            "--tls-certs",
            "FILE",
            "--tls-key",
            "FILE",
        ],
        &["plugin", "check", "FILE"],
        &["plugin", "inspect", "FILE"],
        &["plugin", "bindings", "FILE"],
        &["plugin", "component", "FILE", "-o", &out],
        &["wasm", "inspect", "FILE"],
        &["inspect", "FILE"],
        &["disasm", "FILE"],
        &["error-decode", "FILE"],
        &["error-decode", &agent, "--debug", "FILE"],
        &["db", "save", "FILE", place[0], place[1]],
        &[
            "db", "import", "FILE", "--format", "json", place[0], place[1],
        ],
        &["db", "import", "FILE", "--format", "mp", place[0], place[1]],
        &[
            "db", "import", "FILE", "--format", "csv", place[0], place[1],
        ],
        &[
            "db", "import", "FILE", "--format", "jsonl", place[0], place[1],
        ],
    ];
    let told = |command: &[&str], file: &str| {
        let output = Command::new("timeout")
            .args(["60", env!("CARGO_BIN_EXE_mixer")])
            .args(command.iter().map(|one| one.replace("FILE", file)))
            .stdin(Stdio::null())
            .output()
            .expect("it is started");
        let code = output.status.code().unwrap_or(-1);
        (code, String::from_utf8_lossy(&output.stderr).into_owned())
    };
    for command in commands {
        // These read a value or a program at a time, and the first one is none.
        let is_read_in_parts = matches!(command, ["db", "import", .., "jsonl", _, _])
            || matches!(command, ["error-decode", _, "--debug", _]);
        // Of these 2 GiB are read, which takes its time and memory.
        let is_much = command.contains(&"json") || command.contains(&"mp");
        if !is_much {
            let (code, said) = told(command, "/dev/zero");
            assert!(
                code != 0 && code != 124 && (is_read_in_parts || said.contains("larger than")),
                "{command:?}: {code} {said}"
            );
        }
        if matches!(command, ["error-decode", _, "--debug", _]) {
            continue;
        }
        let (code, said) = told(command, &at("pipe"));
        assert!(
            matches!(code, 2 | 3) && said.contains("it is a named pipe"),
            "{command:?}: {code} {said}"
        );
        // Some commands read whole folders.
        if matches!(command[0], "check" | "build" | "install") {
            continue;
        }
        let (code, said) = told(command, &at("folder"));
        assert!(
            matches!(code, 2 | 3) && said.contains("it is a folder"),
            "{command:?}: {code} {said}"
        );
    }
    for ending in ["mixexe", "mixlib", "wasm", "mix"] {
        let (code, said) = told(&["check", "FILE"], &at(&format!("endless.{ending}")));
        assert!(
            code == 3 && said.contains("larger than"),
            "{ending}: {code} {said}"
        );
    }
    // What a shell makes of `<(command)` is read like a file.
    let script = format!(
        "'{}' run '{agent}' a --params @<(echo '{{\"n\":1}}')",
        env!("CARGO_BIN_EXE_mixer")
    );
    let output = Command::new("bash").args(["-c", &script]).output();
    let output = output.expect("bash is there");
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "{\"n\":1}");
}

#[test]
fn errors_of_building_a_component_name_the_file_that_was_given() {
    let scratch = tempfile::tempdir().expect("a folder");
    let source = scratch.path().join("wrong.mix");
    std::fs::write(
        &source,
        "module wrong(p:data)\n  cell output = 1 +\nmodule end\n",
    )
    .expect("writes");
    let output = scratch.path().join("wrong.wasm");
    let (code, _, stderr) = mixer(&[
        "build",
        &source.display().to_string(),
        "-o",
        &output.display().to_string(),
    ]);
    assert_eq!(code, 1, "{stderr}");
    assert!(stderr.contains(" wrong.mix:2:20: "), "{stderr}");
}
