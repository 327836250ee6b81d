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
        (&["--query-max-bytes", "0"], "is no size"),
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
        (&["--base-url", "mix.example.com"], "HOST"),
        (&["--base-url", "https://u:p@mix.example.com"], "HOST"),
        (&["--server-name", "mix/example"], "letters"),
        (&["--workspace-creator", "domain/com"], "public suffix"),
        (&["--server-admin", "domain/com"], "public suffix"),
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
            "cannot be written: Is a directory",
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
