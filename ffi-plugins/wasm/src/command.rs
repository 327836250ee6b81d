//! Running a WASI command.

use mix_plugin_sdk::{Failure, Map, Value};

use crate::limits::{Clock, LONGEST_TEXT, Stopped, wasm};
use crate::sandbox::Sandbox;
use crate::wasi::World;

/// Bytes of standard error that an error shows.
const TAIL: usize = 2000;

/// Runs the command in a fresh instance; gives standard output and standard error.
pub async fn run(
    sandbox: &Sandbox,
    stdin: String,
    environment: &Map,
    arguments: &[Value],
) -> Result<(String, String), Failure> {
    // The name of the program comes first; it has none.
    let mut given = vec!["program".to_owned()];
    for argument in arguments {
        given.push(text("an argument", argument)?.to_owned());
    }
    let mut variables = Vec::with_capacity(environment.len());
    for (name, value) in environment {
        let value = text("a variable", value)?;
        if name.is_empty() || name.contains(['=', '\0']) {
            return Err(Failure::range(format!("{name:?} is no name of a variable")));
        }
        variables.push(format!("{name}={value}"));
    }
    let total: usize = given.iter().chain(&variables).map(String::len).sum();
    if total > LONGEST_TEXT {
        return Err(Failure::range("arguments and environment are too long"));
    }

    let world = World::new(stdin.into_bytes(), given, variables);
    let mut live = sandbox.instantiate(world).await?;
    let start = live
        .function("_start", &[], &[])
        .ok_or_else(|| wasm("the function _start of a command takes and gives nothing"))?;
    let ended = Clock::start()
        .run(&mut live.store, start, &[], &mut [])
        .await;
    let world = live.store.into_data();
    match ended {
        Ok(()) | Err(Stopped::Exit(0)) => Ok((
            utf8("standard output", world.stdout)?,
            utf8("standard error", world.stderr)?,
        )),
        Err(Stopped::Exit(code)) => Err(wasm(format!(
            "the program ended with code {code}{}",
            tail(&world.stderr)
        ))),
        Err(Stopped::TooSlow) => Err(Stopped::TooSlow.failure("the program")),
        Err(stopped) => {
            let mut failure = stopped.failure("the program");
            failure.message += &tail(&world.stderr);
            Err(failure)
        }
    }
}

fn text<'a>(what: &str, value: &'a Value) -> Result<&'a str, Failure> {
    match value {
        Value::String(text) if text.contains('\0') => {
            Err(Failure::range(format!("{what} contains a NUL")))
        }
        Value::String(text) => Ok(text),
        other => Err(Failure::new(
            "ERR_EXPECTED_STRING",
            format!("{what} must be a string, not {}", other.kind()),
        )),
    }
}

fn utf8(what: &str, bytes: Vec<u8>) -> Result<String, Failure> {
    String::from_utf8(bytes).map_err(|_| {
        Failure::new(
            "ERR_UTF8",
            format!("the {what} of the program is not UTF-8"),
        )
    })
}

fn tail(stderr: &[u8]) -> String {
    let text = String::from_utf8_lossy(&stderr[stderr.len().saturating_sub(TAIL)..]);
    match text.trim() {
        "" => String::new(),
        text => format!(": {text}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::finished;

    /// Copies its input to its output in small pieces, then behaves as its first argument says.
    const PROGRAM: &str = r#"
        (module
            (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
            (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
            (import "wasi_snapshot_preview1" "args_get" (func $args (param i32 i32) (result i32)))
            (import "wasi_snapshot_preview1" "args_sizes_get" (func $sizes (param i32 i32) (result i32)))
            (import "wasi_snapshot_preview1" "environ_get" (func $environ (param i32 i32) (result i32)))
            (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
            (import "wasi_snapshot_preview1" "path_open"
                (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
            (import "wasi_snapshot_preview1" "sock_accept" (func $accept (param i32 i32 i32) (result i32)))
            (import "wasi_snapshot_preview1" "fd_prestat_get" (func $prestat (param i32 i32) (result i32)))
            (import "wasi_snapshot_preview1" "fd_tell" (func $tell (param i32 i32) (result i32)))
            (import "wasi_snapshot_preview1" "fd_filestat_get" (func $status (param i32 i32) (result i32)))
            (memory (export "memory") 2)
            (data (i32.const 5000) "complaint")
            (func $say (param $fd i32) (param $at i32) (param $size i32)
                (i32.store (i32.const 0) (local.get $at))
                (i32.store (i32.const 4) (local.get $size))
                (drop (call $write (local.get $fd) (i32.const 0) (i32.const 1) (i32.const 8))))
            (func (export "_start") (local $letter i32)
                (block $end
                    (loop $more
                        (i32.store (i32.const 0) (i32.const 100))
                        (i32.store (i32.const 4) (i32.const 7))
                        (drop (call $read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 8)))
                        (br_if $end (i32.eqz (i32.load (i32.const 8))))
                        (call $say (i32.const 1) (i32.const 100) (i32.load (i32.const 8)))
                        (br $more)))
                (drop (call $sizes (i32.const 16) (i32.const 20)))
                (if (i32.lt_u (i32.load (i32.const 16)) (i32.const 2)) (then (return)))
                (drop (call $args (i32.const 200) (i32.const 1000)))
                (local.set $letter (i32.load8_u (i32.load (i32.const 204))))
                ;; e: the environment
                (if (i32.eq (local.get $letter) (i32.const 101)) (then
                    (drop (call $environ (i32.const 2000) (i32.const 2100)))
                    (call $say (i32.const 1) (i32.const 2100) (i32.const 3))))
                ;; x: a complaint and code 3
                (if (i32.eq (local.get $letter) (i32.const 120)) (then
                    (call $say (i32.const 2) (i32.const 5000) (i32.const 9))
                    (call $exit (i32.const 3))))
                ;; z: ends itself well
                (if (i32.eq (local.get $letter) (i32.const 122)) (then
                    (call $say (i32.const 2) (i32.const 5000) (i32.const 9))
                    (call $exit (i32.const 0))))
                ;; f: looks for files and sockets, the codes are its output
                (if (i32.eq (local.get $letter) (i32.const 102)) (then
                    (i32.store8 (i32.const 300) (call $open (i32.const 3) (i32.const 0) (i32.const 0)
                        (i32.const 0) (i32.const 0) (i64.const 0) (i64.const 0) (i32.const 0) (i32.const 0)))
                    (i32.store8 (i32.const 301) (call $accept (i32.const 3) (i32.const 0) (i32.const 0)))
                    (i32.store8 (i32.const 302) (call $prestat (i32.const 3) (i32.const 0)))
                    (call $say (i32.const 1) (i32.const 300) (i32.const 3))))
                ;; s: what its standard streams are; errors, and the type of a file
                (if (i32.eq (local.get $letter) (i32.const 115)) (then
                    (i32.store8 (i32.const 300) (call $tell (i32.const 1) (i32.const 400)))
                    (i32.store8 (i32.const 301) (call $status (i32.const 0) (i32.const 400)))
                    (i32.store8 (i32.const 302) (i32.load8_u (i32.const 416)))
                    (i32.store8 (i32.const 303) (call $status (i32.const 3) (i32.const 400)))
                    (call $say (i32.const 1) (i32.const 300) (i32.const 4))))
                ;; b: bytes that are no text
                (if (i32.eq (local.get $letter) (i32.const 98)) (then
                    (i32.store8 (i32.const 300) (i32.const 255))
                    (call $say (i32.const 1) (i32.const 300) (i32.const 1))))
                ;; w: writes without end
                (if (i32.eq (local.get $letter) (i32.const 119)) (then
                    (loop (call $say (i32.const 1) (i32.const 0) (i32.const 100000)) (br 0))))
                ;; p: a place outside of its memory
                (if (i32.eq (local.get $letter) (i32.const 112)) (then
                    (i32.store8 (i32.const 300) (call $write (i32.const 1) (i32.const -4) (i32.const 1) (i32.const 8)))
                    (call $say (i32.const 1) (i32.const 300) (i32.const 1))))
                ;; t: a trap
                (if (i32.eq (local.get $letter) (i32.const 116)) (then unreachable))))
    "#;

    fn start(
        stdin: &str,
        variables: &[(&str, &str)],
        arguments: &[&str],
    ) -> Result<(String, String), Failure> {
        let sandbox = Sandbox::command(&wat::parse_str(PROGRAM).unwrap()).unwrap();
        let environment = variables
            .iter()
            .map(|(name, value)| ((*name).into(), Value::string(*value)))
            .collect();
        let arguments: Vec<Value> = arguments.iter().map(|text| Value::string(*text)).collect();
        finished(run(&sandbox, stdin.to_owned(), &environment, &arguments))
    }

    #[test]
    fn input_arguments_and_environment_reach_the_program() {
        let text = "a text of some length, ü";
        assert_eq!(
            start(text, &[], &[]).unwrap(),
            (text.to_owned(), String::new())
        );
        let (out, _) = start("", &[("A", "1")], &["e"]).unwrap();
        assert_eq!(out, "A=1");
        let (out, err) = start("x", &[], &["z"]).unwrap();
        assert_eq!((out.as_str(), err.as_str()), ("x", "complaint"));
    }

    #[test]
    fn there_are_no_files_and_no_sockets() {
        let (out, _) = start("", &[], &["f"]).unwrap();
        assert_eq!(out.as_bytes(), [52, 52, 8]);
        let (out, _) = start("", &[], &["s"]).unwrap();
        assert_eq!(out.as_bytes(), [70, 0, 2, 8]);
    }

    #[test]
    fn what_the_host_does_for_a_program_takes_of_its_time() {
        let program = |call: &str| {
            let text = format!(
                r#"(module
                    (import "wasi_snapshot_preview1" "random_get" (func $random (param i32 i32) (result i32)))
                    (import "wasi_snapshot_preview1" "args_get" (func $args (param i32 i32) (result i32)))
                    (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
                    (memory (export "memory") 64)
                    (func (export "_start") (local $left i32)
                        (local.set $left (i32.const 2000))
                        (loop $more
                            (drop {call})
                            (br_if $more (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))))"#
            );
            Sandbox::command(&wat::parse_str(text).unwrap()).unwrap()
        };
        for call in [
            "(call $random (i32.const 0) (i32.const 100000))",
            "(call $args (i32.const 0) (i32.const 1000))",
            // No bytes, in many pieces.
            "(call $write (i32.const 1) (i32.const 65536) (i32.const 1024) (i32.const 0))",
        ] {
            let arguments = vec!["x".repeat(100_000)];
            let world = World::new(Vec::new(), arguments, Vec::new());
            let mut live = finished(program(call).instantiate(world)).unwrap();
            let start = live.function("_start", &[], &[]).unwrap();
            // Where the time is over, it is noticed at the first look at the clock.
            let ended = finished(Clock::ended().run(&mut live.store, start, &[], &mut []));
            assert!(matches!(ended, Err(Stopped::TooSlow)), "{call}");
        }
    }

    #[test]
    fn what_goes_wrong_says_so() {
        let fail = |argument: &str| start("", &[], &[argument]).unwrap_err();
        let exit = fail("x");
        assert_eq!(
            exit.to_string(),
            "ERR_WASM: the program ended with code 3: complaint"
        );
        assert_eq!(fail("t").code, "ERR_WASM");
        assert_eq!(fail("b").code, "ERR_UTF8");
        let flood = fail("w");
        assert!(
            flood.to_string().starts_with("ERR_WASM") && flood.message.contains("bytes"),
            "{flood}"
        );
        assert_eq!(start("", &[], &["p"]).unwrap().0.as_bytes(), [21]);
        assert_eq!(
            start("", &[("A=", "1")], &[]).unwrap_err().code,
            "ERR_RANGE"
        );
        assert_eq!(start("", &[], &["a\0b"]).unwrap_err().code, "ERR_RANGE");
        let library = wat::parse_str("(module)").unwrap();
        assert!(
            Sandbox::command(&library)
                .err()
                .unwrap()
                .message
                .contains("_start")
        );
    }
}
