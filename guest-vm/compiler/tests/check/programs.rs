//! Programs that must be accepted, programs that must not, and their codes.

use crate::{expression_errors, module_errors};

fn accepted(expressions: &[&str]) {
    for text in expressions {
        assert_eq!(expression_errors(text), Vec::<String>::new(), "{text}");
    }
}

fn refused(expressions: &[(&str, &str)]) {
    for (text, code) in expressions {
        assert_eq!(expression_errors(text), vec![code.to_string()], "{text}");
    }
}

#[test]
fn values_of_unknown_shape_are_used_freely() {
    accepted(&[
        "let f(r) = r.items |> array.map(i -> i.n + 1); f({items: [{n: 1}]})",
        "let f(r) = if (r.ok) r.name else 5; f({ok: true, name: \"x\"})",
        "let f(x) = x.a.b.c; f({a: {b: {c: 1}}}) + 1",
        "let f = x -> x + 1; [f(1), f(\"a\")]",
        "let add = a -> b -> a + b; add(1)(2)",
        "array.reduce((x, acc) -> acc + x.n, 0, [{n: 1}])",
        "array.reduce((x, acc) -> if (acc === null) x.n else acc + x.n, null, [{n: 1}])",
        "array.reduce((x, acc) -> acc with .(x.k) = 1, {}, [{k: \"a\"}])",
        "map.getWithDefault(\"a\", null, {a: 5})",
        "map.getWithDefault(\"a\", 0, {a: \"x\", b: 1})",
        "array.contains(null, [1, 2])",
        "let rows = string.parseJSON(\"[]\"); rows |> array.filter(.n > 1) |> array.map({.n, x: .n * 2})",
        "let d : data = [\"a\"]; d |> array.map(string.uppercase)",
        "let d : data = [\"a\"]; array.map(string.uppercase, d)",
        "let f(x, y) = if (x > y) x else null; f(1, 2)",
        "let f(x) = {a: x, b: 1}; f(1).a + f(\"s\").a",
        "let f(x) = {a: x}; f(1) + {c: 2}",
        "let f(x) = [x, x]; array.length(f(1))",
        "map.keys({a: 1, b: \"x\"})",
        "let r : {a: number, b: string} = {a: 1, b: \"x\"}; map.keys(r)",
        "let r : {a: number} = {a: 1, b: 2}; r.b",
        "do { var m = {}; m.x = 1; for (let k in [\"a\"]) { m.(k) = m.x } return m }",
        "do { let f(x) = x * 2; var s = 0; for (let i = 0; i < 3; i = i + 1) { s = s + f(i) } return s }",
        "recurse((me, t) -> if (t.l?) me(t.l) + 1 else 0)({l: {}})",
        "[1, 2][] |> stream.map(x -> [x, x + 1]) |> stream.toArray",
        "[{a: 1}][] |> stream.filter(.a > 0) |> stream.toArray |> array.map(.a)",
        "result.map2((a, b) -> a + b, ok(1), ok(2))",
        "option.map(x -> x + 1, some(1))",
        "result.withDefault(null, try number.parse(\"1\"))",
        "(x -> x.a | _ -> 1)({a: 2})",
        "let [a, {k: b}] = [1, {k: 2}]; a + b",
        "let pair = [x -> x, 1]; pair[0](pair[1])",
        "let ops = {inc: x -> x + 1, n: 2}; ops.inc(ops.n)",
        "do { switch ({kind: \"a\", n: 1}) { case {kind: \"a\", n: n}: return n case _: return 0 } }",
        "array.map(ok^, [ok(1)])",
        "let f(cb) = if (cb === undefined) 0 else cb(1); f(x -> x + 1)",
        "(x: string -> x + \"!\")(\"a\")",
        "let k = \"a\"; {(k): 1, b: \"x\"}.(k)",
        "let x = 5; x |> number.add(1) |> number.mul(2)",
        "recurse((me, n) -> 1 + me(n + 1))(0)",
        "recurse((me, n) -> \"a\" + me(n))(0)",
        "let xs : array(number) = [1]; array.reduce(number.add, 0, xs + [2])",
        "let m : map(number) = {a: 1}; string.length((m + {b: \"x\"}).b)",
        "let f(x) = if (x > 0) \"pos\" else if (x == 0) null else x; [f(1), f(-1)]",
        "let f(x) = number.add(1, if (x > 0) 5 else fail(\"no\")); f(1)",
    ]);
}

#[test]
fn certain_errors_are_found() {
    refused(&[
        ("1 - \"a\"", "TYPE_MISMATCH"),
        ("not 5", "TYPE_MISMATCH"),
        ("if (1) 2 else 3", "TYPE_MISMATCH"),
        ("string.length(5)", "TYPE_MISMATCH"),
        ("array.map(5, [1])", "TYPE_MISMATCH"),
        ("array.mpa(x -> x, [1])", "NAME_MEMBER"),
        ("arry.map(x -> x, [1])", "NAME_UNBOUND"),
        ("let f(x) = f(x); f(1)", "NAME_UNDECLARED_RECURSION"),
        ("5.a", "TYPE_NO_FIELD"),
        ("(x -> x)[0]", "TYPE_MISMATCH"),
        ("(x -> x) == (x -> x)", "TYPE_NOT_COMPARABLE"),
        ("(x -> x(x))", "TYPE_INFINITE"),
        ("if (true) 1 else (x -> x)", "TYPE_BRANCH"),
        ("{a: 1, a: 2}", "NAME_DUP_KEY"),
        ("let f(a, a) = a; f(1, 2)", "NAME_DUP_PARAM"),
        ("([a] || [a, b] -> a)([1])", "SYN_PATTERN"),
        ("([x > 1, x < 3] -> x)([1, 2])", "NAME_DUP_PATTERN"),
        ("let x : nummer = 1; x", "TYPE_UNKNOWN"),
        ("let x : array(number, string) = []; x", "TYPE_ARITY"),
        ("type(A, 1)", "TYPE_NOT_ASSERTABLE"),
        ("x^(1)", "NAME_UNBOUND"),
        ("array^(1)", "NAME_CASE"),
        ("unset^(1)", "NAME_NO_ARG"),
        ("_", "NAME_WILDCARD"),
        ("[#a: 1]", "TYPE_LABELS"),
        ("([#a: 1]:[#a: number])[#b]", "TYPE_LABELS"),
    ]);
}

#[test]
fn strict_mode_is_strict() {
    let module = |body: &str| format!("module m _pragma_ {{strictTyping: true}} {body} module end");
    for body in [
        "def f(x: number) = x + 1",
        "def t = [1, \"a\"] def first = t[0] + 1",
        "def r = {a: 1, b: \"x\"} def s = r.a * 2",
        "def xs : array(number) def xs = [1, 2]",
        "def f(x: option(number)) = (null -> 0 | some(n) -> n)(x)",
        "def ap : (~forall A: A -> A) -> [number, string] def ap(f) = [f(1), f(\"a\")]",
        "def id(x) = x def ap(f: (~forall A: A -> A)) = f(1) def use = ap(polyFunction(id))",
    ] {
        assert_eq!(module_errors(&module(body)), Vec::<String>::new(), "{body}");
    }
    for (body, code) in [
        ("def f(d: data): number = d", "TYPE_MISMATCH"),
        ("def f(d: data) = d * 2", "TYPE_MISMATCH"),
        ("def f(d: data) = if (d) 1 else 2", "TYPE_MISMATCH"),
        (
            "def f(r: {a: number}, k: string) = r.(k)",
            "TYPE_COMPUTED_KEY",
        ),
        ("def f(r) = r.a", "TYPE_NEEDS_HINT"),
        ("def f(r: {a: number}) = r with .b = 1", "TYPE_NO_FIELD"),
        ("def s : stream(number) def s = 1", "TYPE_MISMATCH"),
        ("cell c = undefined", "TYPE_NEEDS_HINT"),
    ] {
        assert_eq!(
            module_errors(&module(body)),
            vec![code.to_string()],
            "{body}"
        );
    }
    assert_eq!(
        module_errors("module m def ap(f: (~forall A: A -> A)) = f(1) module end"),
        vec!["TYPE_FORALL".to_string()]
    );
}

#[test]
fn modules_know_each_other() {
    for (text, codes) in [
        (
            "module a import b module end module b import a module end",
            vec!["MOD_CYCLE"],
        ),
        ("module a import nothing module end", vec!["MOD_UNKNOWN"]),
        (
            "module a(x: number) module end module b import a cell c = a.x module end",
            vec!["NAME_MEMBER"],
        ),
        (
            "module a(x: number) def y = x module end module b import a cell c = a.y module end",
            vec!["MOD_PARAMS"],
        ),
        (
            "static module a(x: number) module end",
            vec!["MOD_STATIC_PARAMS"],
        ),
        (
            "module a def x : number module end",
            vec!["NAME_NOT_DEFINED"],
        ),
        (
            "module a def x = 1 cell x = 2 module end",
            vec!["NAME_KIND"],
        ),
        (
            "module a def x = y def z = x module end",
            vec!["NAME_UNBOUND"],
        ),
        (
            "module a _meta_ {modType: \"agent\"} def x = 1 module end",
            vec!["MOD_AGENT_OUTPUT"],
        ),
        (
            "module a type t = array(t) module end",
            vec!["TYPE_RECURSIVE"],
        ),
        (
            "module a case c type t = c | c module end",
            vec!["TYPE_DUP_CASE"],
        ),
        (
            "module a _pragma_ {withCells: false} cell c = 1 module end",
            vec!["CELL_FORBIDDEN"],
        ),
        (
            "module a var cell n = 0 action module end",
            vec!["SYN_UNEXPECTED"],
        ),
        (
            "module a var cell n = 0 cell c = action { var k = 1; let f = action { k = 2 } } module end",
            vec!["SYN_ACTION_VAR"],
        ),
        (
            "module a cell c = 1 alias d = 5 module end",
            vec!["CELL_EXPECTED"],
        ),
        (
            "module a cell c : number alias c = link(c) module end",
            vec!["CELL_ALIAS_PUBLIC"],
        ),
        ("module a on q do {} module end", vec!["NAME_UNBOUND"]),
        (
            "module a def q = 1 on q do {} module end",
            vec!["CELL_EXPECTED"],
        ),
        (
            "module a cell c = action { return appstate } module end",
            vec!["CELL_APPSTATE_ESCAPE"],
        ),
        (
            "module a(l: link(string)<var>) cell set = action (v) { l = v } module end",
            vec![],
        ),
        (
            "module a cell c = 1 def f(appstate) { return c } module end",
            vec![],
        ),
        (
            "module a def f : null -> number def g() = f() def f() = 1 module end",
            vec![],
        ),
        (
            "module a[T] case box(T) def get : T -> T def get(x) = x module end module b import a[T = number] def x = a.get(1) + 1 module end",
            vec![],
        ),
    ] {
        assert_eq!(module_errors(text), codes, "{text}");
    }
}

#[test]
fn one_error_does_not_cause_others() {
    let text = "module m def a = nope def b = a + 1 cell c = b type t = missing def d : t def d = a module end";
    assert_eq!(module_errors(text), vec!["NAME_UNBOUND", "TYPE_UNKNOWN"]);
}

#[test]
fn own_modules_may_be_named_like_library_modules() {
    let text = "module util def twice(x) = x * 2 module end \
                module array def map = 5 module end \
                module user import util def a = util.twice(2) def b = array.map(x -> x, [1]) module end";
    assert_eq!(module_errors(text), Vec::<String>::new());
    let text = "module user import array def b = array.map(x -> x, [1]) module end \
                module array def map = 5 module end";
    assert_eq!(module_errors(text), vec!["TYPE_NOT_FUNCTION"]);
}

#[test]
fn messages_name_types_as_they_are_written() {
    let text = |body: &str| -> String {
        let files = [mix_compiler::SourceFile::new(
            "t.mix",
            format!("module m {body} module end"),
        )];
        let result = mix_compiler::check(&files, &mix_compiler::CompileOptions::default());
        result
            .errors
            .iter()
            .map(|issue| issue.message())
            .collect::<Vec<_>>()
            .join("; ")
    };
    for (body, message) in [
        (
            "def f(x: {a: number, b: array(string)}) = x * 2",
            "expected number, found {a: number, b: array(string)}",
        ),
        (
            "def f : (number -> string) -> null def f(g) = g(\"a\")",
            "expected number, found string",
        ),
        (
            "case c(number) type t = c | null def f(x: t): stream(bool) = x.a",
            "type c(number) | null has no field a",
        ),
        (
            "def f(x: array(A), y: map(B)) = if (true) f2(x) else y def f2 = 1",
            "unknown name f2",
        ),
        (
            "def id : A -> A def id(x) = 1",
            "id is less general than declared: A -> A",
        ),
        (
            "type t = [#a: number, #b: string] def f(x: t) = x[#c]",
            "labels need a known labeled tuple type with exactly these labels",
        ),
    ] {
        assert_eq!(text(body), message, "{body}");
    }
}

#[test]
fn an_app_of_all_parts_has_no_errors_and_no_warnings() {
    let files = [mix_compiler::SourceFile::new(
        "app.mix",
        include_str!("app.mix"),
    )];
    let result = mix_compiler::compile(&files, &mix_compiler::CompileOptions::default());
    assert_eq!(result.text(), "");
    assert!(result.program.is_some());
}

/// The field of a value of unknown type is known once the type is: a `let` does not make it general.
#[test]
fn fields_of_parameters_can_be_named() {
    accepted(&[
        "let f(n) = do { let x = n.a; let y = n.b; return x }; f({a: 1, b: 2})",
        "let f(n) = do { let x = n.a; return x + 1 }; f({a: 1})",
        "let f(n) = let x = n.a; [x + 1, x + \"a\"]; f({a: 1})",
        "let f(n) = let x = n.a; x.b.c + n.d; f({a: {b: {c: 1}}, d: 2})",
        "let f(n) = let x = [n.a, n.b]; x; f({a: 1, b: 2})",
    ]);
}

/// Each switch of the typing modes on its own.
#[test]
fn pragmas_of_typing() {
    let cases: &[(&str, &str, &[&str])] = &[
        (
            "autoTypeAssertion: false",
            "def f(x: data) : number = x",
            &["TYPE_MISMATCH"],
        ),
        (
            "autoTypeAssertion: true",
            "def f(x: data) : number = x",
            &[],
        ),
        (
            "autoMakeStream: false",
            "def s = 1 ++ 2",
            &["TYPE_MISMATCH"],
        ),
        (
            "autoMakeStream: false",
            "def f(s: stream(number)) = s def g = f(1)",
            &["TYPE_MISMATCH"],
        ),
        ("autoMakeStream: true", "def s = 1 ++ 2", &[]),
        (
            "autoMakeLink: false",
            "cell c = 1 def f(l: link(number)) = l cell d = contents(f(c))",
            &["TYPE_MISMATCH"],
        ),
        (
            "autoMakeLink: true",
            "cell c = 1 def f(l: link(number)) = l cell d = contents(f(c))",
            &[],
        ),
        (
            "strictContainerTyping: true",
            "def a = [1, \"x\"] def b : [number, string] = a def c : number = a[1]",
            &["TYPE_MISMATCH"],
        ),
        (
            "strictContainerTyping: false",
            "def a = [1, \"x\"] def c : number = a[1]",
            &[],
        ),
        // Strict typing sets all four; one of them can be set back.
        (
            "strictTyping: true, autoTypeAssertion: true",
            "def f(x: data) : number = x",
            &[],
        ),
        (
            "strictTyping: true, autoMakeLink: true",
            "cell c = 1 def f(l: link(number)) = l cell d = contents(f(c))",
            &[],
        ),
        (
            "strictTyping: false",
            "def f(c: bool) = if (c) 1 else \"a\"",
            &[],
        ),
    ];
    for (pragma, phrases, codes) in cases {
        let text = format!("module m _pragma_ {{{pragma}}} {phrases} module end");
        assert_eq!(module_errors(&text), *codes, "{text}");
    }
    // A pragma holds from its place on.
    let text = "module m def f(x: data) : number = x _pragma_ {strictTyping: true} \
                def g(x: data) : number = x _pragma_ {strictTyping: false} \
                def h(x: data) : number = x module end";
    assert_eq!(module_errors(text), ["TYPE_MISMATCH"]);
}

/// Where values meet an expected type, in non-strict mode: what is converted, checked or refused.
#[test]
fn coercion_points() {
    accepted(&[
        // arguments, operands, right sides, assignments, results, branches, elements, constructors
        "let f(x: number) = x; let d : data = 1; f(d)",
        "let d : data = 1; d - 1",
        "let d : data = 1; let n : number = d; n",
        "do { let d : data = 1; var n = 0; n = d; return n }",
        "let f(x: data) : number = x; f(1)",
        "let d : data = 1; let n : number = if (true) d else 2; n",
        "let d : data = 1; let a : array(number) = [d, 2]; a",
        "let d : data = 1; let a : map(number) = {a: d}; a",
        "let d : data = 1; some(d) : option(number)",
        "let f(h: number -> data) = h(1); let g(x: data) = x; f(g)",
        "let f(h: data -> data) = h(1); let g(x: number) = x; f(x -> g(x))",
        "let d : data = [1]; array.map(x -> x + 1, d)",
        "let d : data = {a: 1}; let r : {a: number} = d; r.a",
        "let d : data = null; let n : number = d; n",
    ]);
    refused(&[
        ("let f(x: number) = x; f(x -> x)", "TYPE_MISMATCH"),
        // A downcast is for data: functions fit as they are, or not.
        (
            "let f(h: number -> number) = h(1); let g(x: data) = x; f(g)",
            "TYPE_MISMATCH",
        ),
        (
            "let f(h: data -> data) = h(1); let g(x: number) = x; f(g)",
            "TYPE_MISMATCH",
        ),
        ("let s : stream(number) = \"a\"; s", "TYPE_MISMATCH"),
        ("let n : null = 1; n", "TYPE_MISMATCH"),
        ("let d : data = 1; let n : null = d; n", "TYPE_MISMATCH"),
        ("let b : bool = 1; b", "TYPE_MISMATCH"),
        ("let w : word = true; w", "TYPE_MISMATCH"),
        ("let f : number -> number = 1; f", "TYPE_MISMATCH"),
        (
            "let d : data = 1; let f : number -> number = d; f",
            "TYPE_MISMATCH",
        ),
        ("let a : array(number) = [1, x -> x]; a", "TYPE_MISMATCH"),
        ("let d : data = [x -> x]; d", "TYPE_MISMATCH"),
    ]);
}
