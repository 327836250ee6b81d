//! What the grammar accepts, and the tree it gives.

use super::{dump, session, shown, unit};

const CASES: &[(&str, &str)] = &[
    // ---- precedence and associativity (language 2.4)
    ("1 + 2 * 3", "(+ 1 (* 2 3))"),
    ("1 - 2 - 3", "(- (- 1 2) 3)"),
    ("a ++ b ++ c + d", "(++ a (++ b (+ c d)))"),
    ("not a == b && c || d", "(|| (&& (not (== a b)) c) d)"),
    ("-a * b", "(* (neg a) b)"),
    ("try f(x) |> g", "(|> (try (f <- x)) g)"),
    ("x |> f |> g(1)", "(|> (|> x f) (g <- 1))"),
    (
        "m with .a = 1 with .b[0] = c || d |> f",
        "(|> (with (with m .a 1) .b[0] (|| c d)) f)",
    ),
    ("a[1][2](3).f", "(a[1][2] <- 3).f"),
    ("a[0..1]", "a[0..1]"),
    ("a[..q]", "a[..q]"),
    ("a[p..]", "a[p..]"),
    ("a[]", "a[..]"),
    ("a[5][3]?", "a[5][3]?"),
    ("x - x'", "(- x x')"),
    ("ok^(v)", "(ok^ <- v)"),
    ("f()", "(f <- )"),
    ("m.\"a b\".(k).type", "m.a b.(k).type"),
    ("t[#1 of 2]", "t[#1 of 2]"),
    ("t.[#case] + t[#l]", "(+ t[#case] t[#l])"),
    ("a < b && c >=:ci d", "(&& (< a b) (>=:ci c d))"),
    // ---- hints (G3, G4)
    ("{a:1}:m.a", "(: {a:1} m.a)"),
    ("({a:1}:m).a", "(: {a:1} m).a"),
    ("[1]:array(number)", "(: [1] array(number))"),
    ("x : (number -> string)", "(: x (-> number string))"),
    // ---- lambdas (G1, G2)
    ("x -> x + 1", "(fn (x) (+ x 1))"),
    ("(a, b) -> a", "(fn (a b) a)"),
    ("() -> 1", "(fn () 1)"),
    ("(a:number, _) -> a", "(fn (a:number _) a)"),
    (
        "x when x > 1 -> x | _ -> 0",
        "(fn (x) when (> x 1) x | (_) 0)",
    ),
    (
        "f(x -> y -> x | z -> 1, 2)",
        "(f <- (fn (x) (fn (y) x | (z) 1)) 2)",
    ),
    (
        "(null -> 1 | some(v) -> v)(w)",
        "((fn (null) 1 | ('some(v)) v) <- w)",
    ),
    ("[a, b] -> a", "(fn ([a b]) a)"),
    ("-1 -> 2", "(fn (-1) 2)"),
    ("f((x) -> x)", "(f <- (fn (x) x))"),
    // ---- projections (G7)
    ("f(.a, .b + 1)", "(f <- (slot .a) (slot (+ .b 1)))"),
    ("f({.n, k: 0})", "(f <- (slot {n:.n k:0}))"),
    (
        "rows |> array.map(.tag == \"a\" && .n > 1)",
        "(|> rows (array.map <- (slot (&& (== .tag \"a\") (> .n 1)))))",
    ),
    ("r |> .name", "(|> r (slot .name))"),
    ("f(g(.x), 1)", "(f <- (g <- (slot .x)) 1)"),
    ("f(x -> .y)", "(f <- (fn (x) (slot .y)))"),
    ("def f = .a.b[0]", "(def f (slot .a.b[0]))"),
    ("f(.a |> g)", "(f <- (slot (|> .a g)))"),
    ("f((.a))", "(f <- (slot .a))"),
    // ---- let, if
    ("let x = 1; x", "(let x 1 in x)"),
    ("let [x, y] = p in x", "(let [x y] p in x)"),
    ("let f(a, b) : number = a; f", "(let f (a b):number a in f)"),
    ("let alias c = d; c", "(let alias c d in c)"),
    ("let {a, b?: c} = m; c", "(let {a:a b?:c} m in c)"),
    ("if (a) b else if (c) d else e", "(if a b (if c d e))"),
    ("if (a) {b: 1} else {}", "(if a {b:1} {})"),
    // ---- literals
    (
        "{type: 1, \"x y\": 2, (k): 3, v}",
        "{type:1 x y:2 (k):3 v:v}",
    ),
    ("[#a: 1, #if: 2]", "[#a:1 #if:2]"),
    ("\"\"\"C:\\dir \"x\"!\"\"\"", "\"C:\\\\dir \\\"x\\\"!\""),
    ("\"caf\\u00e9 \\u{1F600} \\uD83D\\uDE00\"", "\"café 😀 😀\""),
    ("9223372036854775807", "9223372036854775807"),
    ("9223372036854775808", "9.223372036854776e18"),
    ("1E3 /* a float */ + 0.50 // tail", "(+ 1000.0 0.5)"),
    ("type([_,_], x)", "(type [_ _] x)"),
    ("x |> type(array(number))", "(|> x (type array(number)))"),
    ("~regex \"a+b\"", "(regex \"a+b\")"),
    ("self.x + global.if", "(+ self.x global.if)"),
    ("appView M(1, .a)", "(appView M 1 (slot .a))"),
    ("action (k) { n = n + k }", "(action (k) {(set n (+ n k))})"),
    ("action { f(_) }", "(action (_) {(f <- _)})"),
    // ---- statements
    (
        "do { var s = 0; for (let v in a) { s = s + v } return s }",
        "(do {(var s 0) (each v a {(set s (+ s v))}) (return s)})",
    ),
    (
        "do { for (let i = 0; i < 9; i = i + 1) { f(i) }; }",
        "(do {(for i 0 (< i 9) (i (+ i 1)) {(f <- i)})})",
    ),
    (
        "do { m.a[1].(k) = 9; self.c = 1; return }",
        "(do {(set m.a[1].(k) 9) (set self.c 1) (return)})",
    ),
    (
        "do { if (a) { b } else if (c) { d } while (e) { f } { g } }",
        "(do {(if a {b} {(if c {d})}) (while e {f}) {g}})",
    ),
    (
        "do { if (a) b else c; let x = 1 in x }",
        "(do {(if a b c) (let x 1 in x)})",
    ),
    (
        "do { switch (v) { case n when n > 5: return 1 case [x, ~multiple _]: f(x); g case _: } }",
        "(do {(switch v (n when (> n 5) {(return 1)}) ([x *_] {(f <- x) g}) (_ {}))})",
    ),
    (
        "do { switch (v) { case a when (b:number) > 1: x } }",
        "(do {(switch v (a when (> (: b number) 1) {x}))})",
    ),
    // ---- patterns
    ("x @ type(number) -> x", "(fn (x@(type number)) x)"),
    (
        "n >= 1 && n < 10 || _ == k -> n",
        "(fn ((or (and (>= n 1) (< n 10)) (== _ k))) n)",
    ),
    ("self.c(q.d) -> 1", "(fn ('self.c('q.d)) 1)"),
    (
        "{k?: [~optional a, b], \"x y\": _} -> a",
        "(fn ({k?:[?a b] x y:_}) a)",
    ),
    ("undefined -> 1", "(fn (undefined) 1)"),
    // ---- phrases
    ("def f(x) : number = x", "(def f (x):number x)"),
    ("def f(x) { return x }", "(def f (x) (do {(return x)}))"),
    (
        "private def f : A -> B * -> [#a:C@datarange]",
        "(private declare-def f:(-> A (-> (* B) [#a:C@Data])))",
    ),
    (
        "def x : ~forall A, B : A -> <\"q\"> = 1",
        "(def x:(forall A B (-> A <q>)) 1)",
    ),
    (
        "def f : (A + B) -> (module type M) = g",
        "(def f:(-> (+ A B) (module M)) g)",
    ),
    ("def _ = f(1)", "(def _ (f <- 1))"),
    (
        "def a = b def c = d ;; def e = f;;",
        "(def a b)(def c d)(def e f)",
    ),
    (
        "def a = b type t(A) = c(A) | d",
        "(def a b)(type t (A) c(A) d)",
    ),
    (
        "foreign def f : a -> b = \"$h\" (serverEnvironment -> x |> f | webEnvironment -> g)",
        "(foreign f:(-> a b) \"$h\" (serverEnvironment (|> x f)) (webEnvironment g))",
    ),
    (
        "cell link(m) : link(T)<var> = link(src.n)",
        "(cell-link m:link(T)<var> (link <- src.n))",
    ),
    (
        "var cell link(m) = l  live cell q = db.all(c)  private cell f(x) = x",
        "(var-cell-link m l)(live-cell q (db.all <- c))(cell f (x) x)",
    ),
    (
        "on a when a'? do { b = 1 }",
        "(on (a) when a'? {(set b 1)})",
    ),
    (
        "on (lo, hi) do { } on () do { }",
        "(on (lo hi) {})(on () {})",
    ),
    (
        "case square(number) | unknown",
        "(case square(number) unknown)",
    ),
    (
        "import p = pm[A=string](1, c)",
        "(import p=pm[A=string] (1 c))",
    ),
    ("declare M(x:number, _)", "(declare M x:number _)"),
    ("alias cur = Row(k).label", "(alias cur (Row <- k).label)"),
    ("module P = M[A=number]", "(module-alias P M)"),
    (
        "_pragma_ {strictTyping: true}",
        "(pragma strictTyping=Bool(true))",
    ),
    ("#load M 1 {\"a\":2}", "#load <M 1 {\"a\":2}>"),
    (
        "def x = 1\n#invoke a.b \"e\" 5\nx",
        "(def x 1)#invoke <a.b \"e\" 5>x",
    ),
    (
        "static module s[A](x:A) _meta_ {a:1} def y = x module end",
        "(static module s[A] (x:A) (def y x))",
    ),
];

#[test]
fn trees() {
    for (source, expected) in CASES {
        let (items, issues, sources) = session(source);
        assert_eq!(shown(&issues, &sources), Vec::<String>::new(), "{source}");
        let found: String = items.iter().map(dump::item).collect();
        assert_eq!(&found, expected, "{source}");
    }
}

#[test]
fn library_modules() {
    for module in mix_stdlib::modules() {
        let (parsed, issues, sources) = unit(module.source);
        assert_eq!(
            shown(&issues, &sources),
            Vec::<String>::new(),
            "{}",
            module.name
        );
        assert_eq!(parsed.items.len(), 1, "{}", module.name);
    }
}

#[test]
fn several_modules_in_a_file_and_no_end_after_the_last() {
    let (unit, issues, sources) =
        unit("module a def x = 1 module end ;; module b = a[T=string] module c cell y = 2");
    assert_eq!(shown(&issues, &sources), Vec::<String>::new());
    assert_eq!(unit.items.len(), 3);
}
