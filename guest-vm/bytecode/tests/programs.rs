//! A program built by hand: optimised code, file form, hostile files.

use mix_bytecode::disassemble::disassemble;
use mix_bytecode::program::MAX_DESCRIPTION;
use mix_bytecode::{
    Base, Constant, Described, FunctionBuilder, Module, ModuleId, ModuleKind, Op, Program,
    ProgramBuilder, decode, encode, verify,
};
use proptest::prelude::*;

/// `fib(n) = if (n < 2) n else fib(n - 1) + fib(n - 2)` as a generator emits it.
fn fib() -> Program {
    let mut program = ProgramBuilder::new();
    let module = program.declare_module();
    let id = program.declare_function();
    let mut code = FunctionBuilder::new("fib", module, 1, 0);
    let n = code.param(0);
    let otherwise = code.label();
    let (two, small) = (code.fresh(), code.fresh());
    code.emit(Op::LoadInt {
        dst: two.into(),
        value: 2,
    });
    code.emit(Op::Lt {
        dst: small.into(),
        a: n,
        b: two,
    });
    code.emit(Op::JumpUnless {
        src: small,
        target: otherwise.target(),
    });
    code.emit(Op::Return { src: n });
    code.bind(otherwise);
    let (first, second) = (code.fresh(), code.fresh());
    for (result, less) in [(first, 1), (second, 2)] {
        let (argument, number) = (code.fresh(), code.fresh());
        code.emit(Op::LoadInt {
            dst: number.into(),
            value: less,
        });
        code.emit(Op::Sub {
            dst: argument.into(),
            a: n,
            b: number,
        });
        code.emit(Op::CallStatic {
            count: 1,
            dst: result.into(),
            base: Base(argument.0),
            function: id,
        });
    }
    code.emit(Op::Add {
        dst: first.into(),
        a: first,
        b: second,
    });
    code.emit(Op::Return { src: first });
    program.define_function(id, code.finish().expect("well-formed"));
    program.define_module(
        module,
        Module {
            name: "m".into(),
            kind: ModuleKind::Stateless,
            params: Vec::new(),
            slots: Vec::new(),
            steps: Vec::new(),
            observers: Vec::new(),
            initializer: None,
        },
    );
    program.entry(module);
    program.constant(Constant::Float(0.5));
    program.finish().expect("all is defined")
}

#[test]
fn comparisons_and_small_integers_are_fused() {
    let program = fib();
    verify(&program).expect("verifies");
    let text = disassemble(&program);
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    assert_eq!(
        lines,
        [
            "module m ; m0 Stateless",
            "function f0 m.fib ; params 1 captures 0 registers 2",
            "0  jump_unless_lt_int r0, number=2, -> 2",
            "1  return r0",
            "2  call_sub_int own=0, count=0, r1, r0.., r0, number=1, f0 fib",
            "3  call_sub_int own=0, count=0, r0, r0.., r0, number=2, f0 fib",
            "4  return_add r1, r0",
        ]
    );
}

#[test]
fn a_program_reads_back_as_it_was_written() {
    let program = fib();
    assert_eq!(decode(&encode(&program)), Ok(program));
}

#[test]
fn descriptions_of_modules_are_an_optional_last_section() {
    let mut program = fib();
    let without = encode(&program);
    let described = |module: u32| Described {
        module: ModuleId(module),
        text: "Counts rabbits.\nSlowly.".into(),
    };
    program.descriptions.push(described(0));
    let with = encode(&program);
    assert!(with.len() > without.len());
    assert_eq!(decode(&with), Ok(program.clone()));
    assert_eq!(verify(&program), Ok(()));
    let long = Described {
        text: "x".repeat(MAX_DESCRIPTION + 1).into(),
        ..described(0)
    };
    for bad in [described(9), long] {
        program.descriptions[0] = bad;
        let error = verify(&program).expect_err("refused").to_string();
        assert!(error.contains("descriptions"), "{error}");
    }
    let mut builder = ProgramBuilder::new();
    let module = builder.declare_module();
    builder.describe(module, "");
    builder.describe(module, &"\u{e4}".repeat(MAX_DESCRIPTION));
    builder.define_module(module, program.modules[0].clone());
    let built = builder.finish().expect("one module");
    assert_eq!(built.descriptions.len(), 1);
    assert_eq!(built.descriptions[0].text.len(), MAX_DESCRIPTION);
}

#[test]
fn the_verifier_names_the_place() {
    let mut program = fib();
    program.functions[0].code[0] = Op::Jump {
        target: mix_bytecode::Target(99),
    };
    let error = verify(&program).expect_err("the target does not exist");
    assert_eq!(
        error.to_string(),
        "function 0 (fib), instruction 0 (jump): there is no instruction 99"
    );
}

proptest! {
    #[test]
    fn any_body_is_read_or_refused(body in proptest::collection::vec(any::<u8>(), 0..400)) {
        let mut file = encode(&fib());
        file.truncate(8 + 4);
        file.extend_from_slice(&u32::try_from(body.len()).unwrap_or(0).to_le_bytes());
        file.extend_from_slice(&mix_bytecode::checksum::crc32c(&body).to_le_bytes());
        file.extend_from_slice(&body);
        if let Ok(program) = decode(&file) {
            let _ = verify(&program);
        }
    }

    #[test]
    fn any_bytes_are_read_or_refused(file in proptest::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(decode(&file).is_err());
    }
}
