//! Calling an exported function.
//!
//! The arguments go as an EscJSON array into memory that `mix_alloc` gives; the function
//! answers `ptr << 32 | len` of `{"ok":value}` or `{"err":"text"}`. `mix_free` takes both back.

use mix_plugin_sdk::mix_value::escjson;
use mix_plugin_sdk::{Failure, Value};
use wasmi::{Val, ValType};

use crate::limits::{Clock, LONGEST_TEXT, Stopped, wasm};
use crate::sandbox::{Live, Sandbox};

/// Calls a function and gives its value.
pub async fn call(
    sandbox: &mut Sandbox,
    name: &str,
    arguments: Vec<Value>,
) -> Result<Value, Failure> {
    let text = escjson::format(&Value::Array(arguments)).map_err(|error| {
        Failure::new(
            "ERR_NOT_SERIALIZABLE",
            format!("an argument of {name} has no text form: {error}"),
        )
    })?;
    if text.len() > LONGEST_TEXT {
        return Err(Failure::new(
            "ERR_NOT_SERIALIZABLE",
            format!("the arguments of {name} are longer than {LONGEST_TEXT} bytes"),
        ));
    }
    match exchange(sandbox.live().await?, name, &text).await {
        Ok(answer) => understand(name, &answer),
        Err(Trouble::Stopped(stopped)) => {
            sandbox.discard();
            Err(stopped.failure(name))
        }
        Err(Trouble::Misuse(reason)) => {
            sandbox.discard();
            Err(wasm(format!("{name}: {reason}")))
        }
    }
}

enum Trouble {
    /// The module did not come to an end.
    Stopped(Stopped),
    /// It does not keep to the rules.
    Misuse(String),
}

impl From<Stopped> for Trouble {
    fn from(stopped: Stopped) -> Trouble {
        Trouble::Stopped(stopped)
    }
}

fn misuse(reason: impl Into<String>) -> Trouble {
    Trouble::Misuse(reason.into())
}

/// Bytes in, bytes out.
async fn exchange(live: &mut Live, name: &str, text: &str) -> Result<Vec<u8>, Trouble> {
    const I32: ValType = ValType::I32;
    let memory = live
        .memory()
        .ok_or_else(|| misuse("the module exports no memory"))?;
    let allocate = live
        .function("mix_alloc", &[I32], &[I32])
        .ok_or_else(|| misuse("the module exports no mix_alloc of type (i32) -> i32"))?;
    let function = live
        .function(name, &[I32, I32], &[ValType::I64])
        .ok_or_else(|| misuse("the module exports no such function of type (i32, i32) -> i64"))?;
    let free = live.function("mix_free", &[I32, I32], &[]);

    let clock = Clock::start();
    let length = Val::I32(text.len() as i32);
    let mut place = [Val::I32(0)];
    let asked = std::slice::from_ref(&length);
    clock
        .run(&mut live.store, allocate, asked, &mut place)
        .await?;
    let [Val::I32(pointer)] = place else {
        return Err(misuse("mix_alloc gives no pointer"));
    };
    memory
        .write(&mut live.store, pointer as u32 as usize, text.as_bytes())
        .map_err(|_| misuse("mix_alloc gives a place outside of the memory"))?;

    let mut packed = [Val::I64(0)];
    let given = [Val::I32(pointer), length];
    clock
        .run(&mut live.store, function, &given, &mut packed)
        .await?;
    let [Val::I64(packed)] = packed else {
        return Err(misuse("it gives no place of an answer"));
    };
    let (start, size) = ((packed as u64 >> 32) as usize, packed as u32 as usize);
    if size > LONGEST_TEXT {
        return Err(misuse(format!(
            "its answer is longer than {LONGEST_TEXT} bytes"
        )));
    }
    let answer = memory
        .data(&live.store)
        .get(start..start + size)
        .ok_or_else(|| misuse("its answer lies outside of the memory"))?
        .to_vec();
    if let Some(free) = free {
        clock.run(&mut live.store, free, &given, &mut []).await?;
        let taken = [Val::I32(start as i32), Val::I32(size as i32)];
        clock.run(&mut live.store, free, &taken, &mut []).await?;
    }
    Ok(answer)
}

/// `{"ok":value}` or `{"err":"text"}`.
fn understand(name: &str, answer: &[u8]) -> Result<Value, Failure> {
    let text = std::str::from_utf8(answer)
        .map_err(|_| wasm(format!("{name}: its answer is not UTF-8")))?;
    let value = escjson::parse(text)
        .map_err(|error| wasm(format!("{name}: its answer is no EscJSON: {error}")))?;
    let Value::Map(mut map) = value else {
        return Err(wasm(format!("{name}: its answer is no object")));
    };
    match (map.remove("ok"), map.remove("err")) {
        (Some(value), None) => Ok(value),
        (None, Some(Value::String(text))) => Err(wasm(&*text)),
        _ => Err(wasm(format!(
            "{name}: its answer is neither {{\"ok\":…}} nor {{\"err\":\"…\"}}"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::finished;

    /// `echo` gives its arguments back, the others misbehave as their names say.
    const MODULE: &str = r#"
        (module
            (memory (export "memory") 1)
            (global $calls (mut i32) (i32.const 0))
            (data (i32.const 8) "{\"ok\":")
            (data (i32.const 600) "{\"err\":\"too bad\"}")
            (data (i32.const 640) "{\"ok\":1,\"err\":\"x\"}")
            (func (export "mix_alloc") (param i32) (result i32) (i32.const 1024))
            (func (export "echo") (param $at i32) (param $size i32) (result i64)
                (memory.copy (i32.const 14) (local.get $at) (local.get $size))
                (i32.store8 (i32.add (i32.const 14) (local.get $size)) (i32.const 125))
                (i64.or (i64.shl (i64.const 8) (i64.const 32))
                    (i64.add (i64.const 7) (i64.extend_i32_u (local.get $size)))))
            (func (export "count") (param i32 i32) (result i64)
                (global.set $calls (i32.add (global.get $calls) (i32.const 1)))
                (i32.store8 (i32.const 14) (i32.add (i32.const 48) (global.get $calls)))
                (i32.store8 (i32.const 15) (i32.const 125))
                (i64.or (i64.shl (i64.const 8) (i64.const 32)) (i64.const 8)))
            (func (export "refuse") (param i32 i32) (result i64)
                (i64.or (i64.shl (i64.const 600) (i64.const 32)) (i64.const 17)))
            (func (export "both") (param i32 i32) (result i64)
                (i64.or (i64.shl (i64.const 640) (i64.const 32)) (i64.const 18)))
            (func (export "trap") (param i32 i32) (result i64) unreachable)
            (func (export "spin") (param i32 i32) (result i64) (loop (br 0)) (i64.const 0))
            (func $deep (export "deep") (param i32 i32) (result i64)
                (call $deep (local.get 0) (local.get 1)))
            (func (export "outside") (param i32 i32) (result i64) (i64.const -1))
            (func (export "beyond") (param i32 i32) (result i64)
                (i64.or (i64.shl (i64.const 65530) (i64.const 32)) (i64.const 100)))
            (func (export "garbage") (param i32 i32) (result i64) (i64.const 3))
            (func (export "grow") (param i32 i32) (result i64)
                (drop (memory.grow (i32.const 65000)))
                (i32.store8 (i32.const 100000000) (i32.const 1))
                (i64.const 0))
            (func (export "other") (param i32) (result i32) (i32.const 0)))
    "#;

    fn sandbox() -> Sandbox {
        finished(Sandbox::library(&wat::parse_str(MODULE).unwrap())).unwrap()
    }

    fn code(sandbox: &mut Sandbox, name: &str) -> String {
        run(sandbox, name, vec![]).unwrap_err().to_string()
    }

    fn run(sandbox: &mut Sandbox, name: &str, arguments: Vec<Value>) -> Result<Value, Failure> {
        finished(call(sandbox, name, arguments))
    }

    #[test]
    fn values_go_in_and_out() {
        let mut sandbox = sandbox();
        let values = vec![
            Value::Int(1),
            Value::Float(1.5),
            Value::string("ü \" \u{0}"),
            Value::binary(b"\x00\xff".as_slice()),
            Value::map([("a", Value::Null)]),
        ];
        let answer = run(&mut sandbox, "echo", values.clone()).unwrap();
        assert_eq!(answer, Value::Array(values));
        for count in 1..4 {
            assert_eq!(
                run(&mut sandbox, "count", vec![]).unwrap(),
                Value::Int(count)
            );
        }
    }

    #[test]
    fn a_trap_ends_the_instance_and_the_next_call_gets_a_fresh_one() {
        let mut sandbox = sandbox();
        assert_eq!(run(&mut sandbox, "count", vec![]).unwrap(), Value::Int(1));
        assert_eq!(run(&mut sandbox, "count", vec![]).unwrap(), Value::Int(2));
        assert!(code(&mut sandbox, "trap").starts_with("ERR_WASM: trap trapped"));
        assert_eq!(run(&mut sandbox, "count", vec![]).unwrap(), Value::Int(1));
    }

    #[test]
    fn misbehaviour_is_an_error_of_its_own() {
        let mut sandbox = sandbox();
        assert_eq!(code(&mut sandbox, "refuse"), "ERR_WASM: too bad");
        for (name, part) in [
            ("both", "neither"),
            ("outside", "longer than"),
            ("beyond", "outside of the memory"),
            ("garbage", "no EscJSON"),
            ("grow", "trapped"),
            ("deep", "trapped"),
            ("other", "no such function"),
            ("nothing", "no such function"),
            ("memory", "no such function"),
        ] {
            let text = code(&mut sandbox, name);
            assert!(
                text.starts_with("ERR_WASM: ") && text.contains(part),
                "{name}: {text}"
            );
        }
        let handle = run(&mut sandbox, "echo", vec![Value::Handle(1)]);
        assert_eq!(handle.unwrap_err().code, "ERR_NOT_SERIALIZABLE");
    }

    #[test]
    fn what_does_not_end_is_ended() {
        let mut sandbox = sandbox();
        let live = finished(sandbox.live()).unwrap();
        let spin = live
            .function("spin", &[ValType::I32; 2], &[ValType::I64])
            .unwrap();
        let over = Clock::ended();
        let stopped = finished(over.run(
            &mut live.store,
            spin,
            &[Val::I32(0), Val::I32(0)],
            &mut [Val::I64(0)],
        ));
        assert_eq!(stopped.unwrap_err().failure("spin").code, "ERR_TIMEOUT");
    }

    /// More nops than there is fuel between two looks at the clock, for all that is done with them.
    fn long_function(head: &str, tail: &str) -> String {
        format!("{head} {} {tail}", "nop ".repeat(1_450_000))
    }

    #[test]
    fn long_functions_are_called_however_much_ran_before() {
        let rest = "(i64.or (i64.shl (i64.const 8) (i64.const 32)) (i64.const 8)))";
        let text = format!(
            r#"(module
                (type $long (func (result i64)))
                (memory (export "memory") 1)
                (data (i32.const 8) "{{\"ok\":1}}")
                (table funcref (elem $far))
                (func (export "mix_alloc") (param i32) (result i32) (i32.const 1024))
                {}
                {}
                (func (export "indirect") (param i32 i32) (result i64) (local $count i32)
                    (loop $more
                        (local.set $count (i32.add (local.get $count) (i32.const 1)))
                        (br_if $more (i32.lt_u (local.get $count) (i32.const 400000))))
                    (call_indirect (type $long) (i32.const 0))))"#,
            long_function("(func $far (type $long)", rest),
            long_function("(func (export \"near\") (param i32 i32) (result i64)", rest),
        );
        let mut sandbox = finished(Sandbox::library(&wat::parse_str(text).unwrap())).unwrap();
        for name in ["near", "indirect"] {
            assert_eq!(run(&mut sandbox, name, vec![]).unwrap(), Value::Int(1));
        }
    }

    #[test]
    fn others_go_on_while_a_module_computes() {
        use std::task::{Context, Waker};
        let mut sandbox = sandbox();
        let mut work = std::pin::pin!(call(&mut sandbox, "spin", vec![]));
        let mut context = Context::from_waker(Waker::noop());
        for _ in 0..3 {
            assert!(work.as_mut().poll(&mut context).is_pending());
        }
    }

    #[test]
    fn only_modules_are_loaded() {
        let refuse = |bytes: &[u8]| finished(Sandbox::library(bytes)).err().unwrap().to_string();
        assert!(refuse(b"").starts_with("ERR_WASM: the module is invalid"));
        assert!(refuse(b"\0asm\x01\0\0\0garbage").starts_with("ERR_WASM: the module is invalid"));
        assert!(refuse(b"\0asm\x0d\0\x01\0").contains("component"));
        assert!(refuse(&vec![0; crate::limits::LARGEST_MODULE + 1]).starts_with("ERR_TOO_LARGE"));
        let module = |text: &str| wat::parse_str(text).unwrap();
        let foreign = refuse(&module(r#"(module (import "env" "f" (func)))"#));
        assert!(
            foreign.contains("env") && foreign.contains('f'),
            "{foreign}"
        );
        let large = refuse(&module("(module (memory 65536))"));
        assert!(
            large.starts_with("ERR_WASM: the module cannot be instantiated"),
            "{large}"
        );
        let started =
            |body: &str| refuse(&module(&format!("(module (func $s {body}) (start $s))")));
        let slow = started("(loop (br 0))");
        assert!(
            slow.starts_with("ERR_TIMEOUT: the start function"),
            "{slow}"
        );
        let trapped = started("unreachable");
        assert!(
            trapped.starts_with("ERR_WASM: instantiating the module trapped"),
            "{trapped}"
        );
        // An instance without the functions for passing values.
        let mut bare = finished(Sandbox::library(&module(
            r#"(module (func (export "f") (param i32 i32) (result i64) (i64.const 0)))"#,
        )))
        .unwrap();
        assert_eq!(bare.value_functions(), ["f"]);
        assert!(code(&mut bare, "f").contains("no memory"));
    }
}
