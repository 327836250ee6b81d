//! Streams, memory and calls of hostile plugins.

use super::program;
use mix_system_tests::{Finished, hostile, response_json, run_mixer, what_survives};
use serde_json::json;

fn streams(what: &str, dropped: bool, more: &[&str]) -> Finished {
    let params = json!({"what": what, "dropped": dropped}).to_string();
    let file = program("streams.mix");
    let first = ["run", &file, "streams", "--plugin", &hostile(), "--params"];
    let first = first.into_iter().chain([params.as_str()]);
    run_mixer(first.chain(more.iter().copied()))
}

#[test]
fn a_stream_that_breaks_ends_its_reader_only() {
    for (what, code) in [
        ("trap", "ERR_INTERNAL: "),
        ("garbage", "ERR_INTERNAL: "),
        ("flood", "ERR_TOO_LARGE: "),
    ] {
        let done = streams(what, false, &[]);
        assert_eq!(done.code, 0, "{what}: {}", done.stderr);
        let output = response_json(done.stdout.as_bytes());
        assert_eq!(output["of"]["first"], 1, "{what}");
        let rest = output["of"]["rest"].as_str().unwrap_or_default();
        assert!(rest.starts_with(code), "{what}: {output}");
        assert_eq!(output["then"], "still here", "{what}");
    }
}

#[test]
fn an_endless_stream_ends_with_the_run() {
    let done = streams("babble", false, &["--timeout", "2s"]);
    assert_eq!(done.code, 124, "{}{}", done.stdout, done.stderr);
}

#[test]
fn a_stream_that_is_dropped_is_let_go() {
    for what in ["trap", "garbage", "babble"] {
        let done = streams(what, true, &[]);
        assert_eq!(done.code, 0, "{what}: {}", done.stderr);
        let output = response_json(done.stdout.as_bytes());
        assert_eq!(output["of"], json!({"first": 1}), "{what}");
        assert_eq!(output["then"], "still here", "{what}");
    }
    // One that works on for nobody is ended with the run at the latest.
    let done = streams("spins", true, &["--timeout", "5s"]);
    assert!(
        done.code == 0 || done.code == 124,
        "{}{}",
        done.stdout,
        done.stderr
    );
}

#[test]
fn memory_and_calls_of_a_plugin_are_bounded() {
    // Its reply has 65 MiB: it can be made in one limit, and not in the other.
    for (limit, part) in [
        ("memory:256MiB,time:1m", "larger than"),
        ("memory:64MiB,time:1m", "ran out of memory in"),
    ] {
        let output = what_survives("flood", limit);
        let caught = output["caught"].as_str().unwrap_or_default();
        assert!(
            caught.starts_with("ERR_TOO_LARGE: ") && caught.contains(part),
            "{output}"
        );
        assert_eq!(output["then"], "still here");
    }
    for (limit, places) in [("calls:1", 1), ("calls:3", 3)] {
        let grant = format!("mix_test_plugin_hostile={limit}");
        let params = json!({ "many": places }).to_string();
        let done = run_mixer([
            "run",
            &program("calls.mix"),
            "calls",
            "--plugin",
            &hostile(),
            "--params",
            &params,
            "--grant",
            &grant,
        ]);
        assert_eq!(done.code, 0, "{}", done.stderr);
        let text = response_json(done.stdout.as_bytes());
        let text = text.as_str().unwrap_or_default();
        let expected = format!("ERR_TOO_LARGE: {places} functions of plugin");
        assert!(text.starts_with(&expected), "{text}");
    }
}
