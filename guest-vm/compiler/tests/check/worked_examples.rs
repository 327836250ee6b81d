//! The worked examples of the language description: which compile, and which errors the others give.

use crate::{expression_errors, module_errors};

/// What the text of an example is.
#[derive(Clone, Copy)]
pub enum Sort {
    /// Modules of a file.
    Modules,
    /// An expression.
    Expression,
    /// Definitions of a session.
    Phrases,
}

use Sort::{Expression, Modules, Phrases};

/// (number, sort, text, code of the error or nothing)
pub const EXAMPLES: &[(&str, Sort, &str, &str)] = &[
    ("E01", Expression, r##"1 + 2 * 3"##, ""),
    (
        "E02",
        Expression,
        r##"string.length("caf\u00e9 \u{1F600}")"##,
        "",
    ),
    ("E03", Expression, r##""""C:\dir "x"!""""##, ""),
    (
        "E04",
        Expression,
        r##"1E3 /* a float */ + 0.50   // tail"##,
        "",
    ),
    ("E05", Expression, r##"{type: 1, if: 2}.if"##, ""),
    ("E06", Expression, r##"9223372036854775807 + 1"##, ""),
    ("E07", Expression, r##""abc"##, "LEX_STRING"),
    ("E08", Expression, r##"12ab"##, "LEX_NUMBER"),
    ("E09", Expression, r##""\q""##, "LEX_ESCAPE"),
    (
        "E10",
        Modules,
        r##"module m1 def x = 10 ;; [0] ;; module end"##,
        "SYN_EXPR_PHRASE",
    ),
    ("E11", Expression, r##"7 / 2"##, ""),
    ("E12", Expression, r##"6 / 2"##, ""),
    ("E13", Expression, r##"-7 % 4"##, ""),
    ("E14", Expression, r##"[1 / 0, 0 / 0]"##, ""),
    ("E15", Expression, r##""n=" + 4 + 0.5"##, ""),
    ("E16", Expression, r##"1 + null"##, ""),
    ("E17", Expression, r##"{a:1, b:2} + {b:9}"##, ""),
    ("E18", Expression, r##"true + 1"##, "TYPE_OPERATOR"),
    ("E19", Expression, r##"let x : data = true; x + 1"##, ""),
    (
        "E20",
        Expression,
        r##"[1 == 1.0, 1 == "1", null < -5, [1, 2] < [1, 3]]"##,
        "",
    ),
    ("E21", Expression, r##""a" < 1"##, ""),
    ("E22", Expression, r##""Mix" ==:ci "mIX""##, ""),
    ("E23", Expression, r##"not 1 == 2"##, ""),
    ("E24", Expression, r##"1 < 2 < 3"##, "SYN_NONASSOC"),
    ("E25", Expression, r##"2 + 3 |> (n -> n * 10)"##, ""),
    (
        "E26",
        Expression,
        r##"{a:1} with .b = 2 with .a = 5 |> map.keys"##,
        "",
    ),
    ("E27", Expression, r##"[1, 2, 3] with [1] = 20"##, ""),
    ("E28", Expression, r##"{a:1} with .x.y = 2"##, ""),
    ("E29", Expression, r##"{a: {b: 1}}.a.c.d"##, ""),
    (
        "E30",
        Expression,
        r##"[undefined === undefined, undefined === null, {}.x?, [5][0]?, [5][3]?]"##,
        "",
    ),
    (
        "E31",
        Expression,
        r##"[false && undefined, true || fail("never")]"##,
        "",
    ),
    ("E32", Expression, r##"undefined && true"##, ""),
    ("E33", Expression, r##"not undefined"##, ""),
    ("E34", Expression, r##"[1, {}.x]"##, ""),
    ("E35", Expression, r##"withDefault("-", {}.name)"##, ""),
    (
        "E36",
        Expression,
        r##"array.filter(r -> r.n > 1, [{n:1}, {n:5}, {}])"##,
        "",
    ),
    ("E37", Expression, r##"if ({}.ready) 1 else 2"##, ""),
    ("E38", Expression, r##"[5, 6][2]"##, ""),
    ("E39", Expression, r##"null.a.b"##, ""),
    (
        "E40",
        Expression,
        r##"let f(a, b) = a - b; 3 |> f(10)"##,
        "",
    ),
    (
        "E41",
        Expression,
        r##"let f(a, b, c) = [a, b, c]; f(1)(2, 3)"##,
        "",
    ),
    ("E42", Expression, r##"array.map({.n, k: 0}, [{n:7}])"##, ""),
    (
        "E43",
        Expression,
        r##"array.filter(.tag == "a" && .n > 1, [{tag:"a", n:1}, {tag:"a", n:2}])"##,
        "",
    ),
    (
        "E44",
        Expression,
        r##"recurse((me, n) -> if (n <= 1) 1 else n * me(n - 1))(5)"##,
        "",
    ),
    (
        "E45",
        Expression,
        r##"(null -> "none" | some(v) -> "got " + v)(some(3))"##,
        "",
    ),
    (
        "E46",
        Expression,
        r##"(x -> 1 | (a, b) -> 2)"##,
        "SYN_ARITY",
    ),
    ("E47", Expression, r##"if (1 < 2) "y""##, "SYN_ELSE"),
    ("E48", Expression, r##"3(4)"##, "TYPE_NOT_FUNCTION"),
    (
        "E49",
        Expression,
        r##"do { var sum = 0; for (let v in [1, 2, 3]) { sum = sum + v } return sum }"##,
        "",
    ),
    (
        "E50",
        Expression,
        r##"do { for (let i = 0; i < 9; i = i + 1) { if (i * i > 10) { return i } } }"##,
        "",
    ),
    (
        "E51",
        Expression,
        r##"do { var m = {a: [1, 2]}; m.a[1] = 9; m.b = true; return m }"##,
        "",
    ),
    (
        "E52",
        Expression,
        r##"do { let x = 1; x = 2 }"##,
        "NAME_IMMUTABLE",
    ),
    (
        "E53",
        Expression,
        r##"do { var k = 1; return (x -> x + k) }"##,
        "TYPE_VAR_ESCAPE",
    ),
    ("E54", Expression, r##"[1, return 2]"##, "SYN_STATEMENT"),
    ("E55", Expression, r##"do { 5 }"##, ""),
    ("E56", Expression, r##"try fail("bad")"##, ""),
    ("E57", Expression, r##"try (6 * 7)"##, ""),
    (
        "E58",
        Expression,
        r##"do { switch (3) { case n when n > 5: return "big" case 3: return "three" case _: return "other" } }"##,
        "",
    ),
    (
        "E59",
        Expression,
        r##"do { switch (1) { case 2: debug("x") } }"##,
        "",
    ),
    (
        "E60",
        Expression,
        r##"(["(", ~multiple xs, ")"] -> xs | _ -> null)(["(", 1, 2, ")"])"##,
        "",
    ),
    (
        "E61",
        Expression,
        r##"([a, ~optional b, c] -> [a, withDefault("-", b), c])([1, 3])"##,
        "",
    ),
    (
        "E62",
        Expression,
        r##"({kind:"box", size?:s} -> s? | _ -> null)({kind:"box", x:1})"##,
        "",
    ),
    (
        "E63",
        Expression,
        r##"array.map((n < 0 -> "neg" | n == 0 -> "zero" | n >= 1 && n < 10 -> "digit" | _ -> "big"), [-2, 0, 7, 70])"##,
        "",
    ),
    (
        "E64",
        Expression,
        r##"array.map((type(string) -> "s" | x @ type(number) -> "n" + x | null -> "0" | _ -> "?"), ["a", 2, null, true])"##,
        "",
    ),
    ("E65", Expression, r##"let [x, y] = [1, 2, 3]; x"##, ""),
    (
        "E66",
        Expression,
        r##"let [[a, _], {k: b}] = [[1, 2], {k: 3}]; a + b"##,
        "",
    ),
    ("E67", Expression, r##"([x, x] -> x)"##, "NAME_DUP_PATTERN"),
    (
        "E68",
        Expression,
        r##"stream.toArray(1 ++ 2 ++ [3, 4][])"##,
        "",
    ),
    (
        "E69",
        Expression,
        r##"let s = [1, 2, 3][] in let a = stream.first(s); [a, stream.toArray(s)]"##,
        "",
    ),
    (
        "E70",
        Expression,
        r##"[10, 20, 30][1..9] |> stream.map(x -> x + 1) |> stream.toArray"##,
        "",
    ),
    ("E71", Expression, r##"type({a:number}, {a:1, b:"x"})"##, ""),
    (
        "E72",
        Expression,
        r##"[1, "x"] |> type(array(number))"##,
        "",
    ),
    ("E73", Expression, r##"type({p:number}, {p:null})"##, ""),
    ("E74", Expression, r##"type([_,_], [1, 2, 3])"##, ""),
    (
        "E75",
        Expression,
        r##"type(number -> number)"##,
        "TYPE_NOT_ASSERTABLE",
    ),
    (
        "E76",
        Expression,
        r##"let f(x:number) = x + 1; f({a:"s"}.a)"##,
        "",
    ),
    (
        "E77",
        Expression,
        r##"let f(x:number) = x + 1; f("s")"##,
        "TYPE_MISMATCH",
    ),
    (
        "E78",
        Expression,
        r##"let v : result(string, number) = error("x"); ok^(v)"##,
        "",
    ),
    (
        "E79",
        Expression,
        r##"let v : option(number) = some(8); some^(v)"##,
        "",
    ),
    (
        "E80",
        Phrases,
        r##"type bad = number | string"##,
        "TYPE_BAD_UNION",
    ),
    (
        "E81",
        Modules,
        r##"module m2 def incr(n) = n + 1  cell c = [incr(1), incr("x")] module end"##,
        "",
    ),
    (
        "E82",
        Modules,
        r##"module m3 def id : A -> A  def id(x) = x + 1 module end"##,
        "TYPE_GENERALITY",
    ),
    (
        "E83",
        Modules,
        r##"module m4 _pragma_ {strictTyping:true} def f(c:bool) = if (c) 1 else "a" module end"##,
        "TYPE_BRANCH",
    ),
    (
        "E84",
        Modules,
        r##"module m5 _pragma_ {strictTyping:true} def f(r:{a:number}) = r.b module end"##,
        "TYPE_NO_FIELD",
    ),
    (
        "E85",
        Modules,
        r##"module m6 _pragma_ {autoMakeStream:false} def s = 1 ++ 2 module end"##,
        "TYPE_MISMATCH",
    ),
    (
        "E86",
        Modules,
        r##"module m7 var cell x = null  cell set = action { x = 1 } module end"##,
        "TYPE_MISMATCH",
    ),
    (
        "E87",
        Modules,
        r##"module shapes
  case square(number) | circle({r:number}) | unknown
  type shape = square | circle | unknown
  def area : shape -> number
  def area = (self.square(s) -> s * s | circle({r:r}) -> 3 * r * r | self.unknown -> null)
  cell areas = array.map(area, [square(3), circle({r:2}), unknown])  cell raw = circle({r:1})
module end"##,
        "",
    ),
    (
        "E88",
        Modules,
        r##"module col private case rgb(array(number)) def mk(n) = rgb([n, n, n]) module end
module use1 import col  cell red = col.rgb^(col.mk(7))[0] module end"##,
        "",
    ),
    (
        "E89",
        Modules,
        r##"module col private case rgb(array(number)) module end module use2 import col  cell c = col.rgb([1, 2, 3]) module end"##,
        "NAME_PRIVATE",
    ),
    (
        "E90",
        Modules,
        r##"module people
  type person = [#name: string, #age: number]
  cell p = [#age: 30, #name: "Mo"]:person  cell n = ([#age: 30, #name: "Mo"]:person)[#name]  cell k = [7, 8][#1 of 2]
module end"##,
        "",
    ),
    (
        "E91",
        Modules,
        r##"module Box[A] def wrap : A -> array(A)  def wrap(x) = [x]:array module end
module use3 import Box[A=string]  cell w = Box.wrap(1) module end"##,
        "TYPE_MISMATCH",
    ),
    (
        "E92",
        Modules,
        r##"module re def x : data  def y(u) = x  def x = 1  def x = 2  cell c = y(null) module end"##,
        "",
    ),
    (
        "E93",
        Phrases,
        r##"def fact(n) = if (n < 2) 1 else n * fact(n - 1)"##,
        "NAME_UNDECLARED_RECURSION",
    ),
    (
        "E94",
        Phrases,
        r##"def f(x) = if (x) { return 1 } else { return 2 }"##,
        "SYN_STATEMENT",
    ),
    (
        "E95",
        Phrases,
        r##"def f([a, b]) = a"##,
        "SYN_PARAM_PATTERN",
    ),
    (
        "E96",
        Modules,
        r##"module pm(x:number, y:number) def sum = x + y module end
module use4 import pm(1)  cell s = pm(2).sum module end"##,
        "",
    ),
    (
        "E97",
        Modules,
        r##"module tag(s:string) def me = s + currentInstanceId() module end
module use5 import tag  def a = tag("x")  def b = tag("y")  cell ids = [a.me, b.me] module end"##,
        "",
    ),
    (
        "E98",
        Modules,
        r##"module pr private def k = 1 module end  module use6 import pr  def v = pr.k module end"##,
        "NAME_PRIVATE",
    ),
    (
        "E99",
        Modules,
        r##"module q _pragma_ {colour:true} module end"##,
        "PRAGMA_UNKNOWN",
    ),
    (
        "E100",
        Phrases,
        r##"#line 40 "gen.mix"
def a = b"##,
        "NAME_UNBOUND",
    ),
    (
        "E101",
        Modules,
        r##"module counter
  var cell n = 0  cell double = n * 2  cell version = cellVersion(double)
  cell inc = action (k) { n = n + k }
module end"##,
        "",
    ),
    (
        "E102",
        Modules,
        r##"module prev var cell x = 1  cell d = if (x'?) x - x' else 0 module end"##,
        "",
    ),
    (
        "E103",
        Modules,
        r##"module once
  var cell a = 0  var cell log = [] : array(number)
  on a when a'? do { log = log + [a]; a = a + 1 }
module end"##,
        "",
    ),
    (
        "E104",
        Modules,
        r##"module ini(seed:number) var cell v = 1  cell w = v + 100  initializer { v = seed * 2 } module end"##,
        "",
    ),
    (
        "E105",
        Modules,
        r##"module nodep var cell a = 1  var cell b = 10  cell sum = a + contents(b) module end"##,
        "",
    ),
    (
        "E106",
        Modules,
        r##"module m8 var cell n = 0  def big(x) = x > n module end"##,
        "CELL_IN_DEF",
    ),
    (
        "E107",
        Modules,
        r##"module m9 var cell n = 0  def set(x) { n = x } module end"##,
        "CELL_NEEDS_APPSTATE",
    ),
    (
        "E108",
        Modules,
        r##"module m10 cell b : number  cell a = b + 1  cell b = a + 1 module end"##,
        "CELL_CYCLE",
    ),
    (
        "E109",
        Modules,
        r##"module m11 cell a = 1  cell t = action { a = 2 } module end"##,
        "CELL_READONLY",
    ),
    (
        "E110",
        Modules,
        r##"module m12 live cell x = array.length([]) module end"##,
        "CELL_LIVE",
    ),
    (
        "E111",
        Modules,
        r##"module m13 cell c = {}.x module end"##,
        "",
    ),
    (
        "E112",
        Modules,
        r##"module Field(l:link(string)<var>)
  private cell v : string  alias v = l
  cell view = "<" + v + ">"
module end
module Form
  var cell title = "a"  import Field(title)
  cell link(view) = link(Field.view)
  cell set = action (s) { title = s + "!" }
module end"##,
        "",
    ),
    (
        "E113",
        Modules,
        r##"module src var cell n = 1 module end
module dst import src  var cell link(m) = link(src.n)  cell ten = m * 10 module end"##,
        "",
    ),
    (
        "E114",
        Modules,
        r##"module Row(k:number) cell label = "row " + k module end
module Table import Row  var cell k = 1  alias cur = Row(k).label  cell out = cur + "!" module end"##,
        "",
    ),
    (
        "E115",
        Modules,
        r##"module sel var cell p = 1  var cell q = 2  cell last = cellSelect(p, q) module end"##,
        "",
    ),
    (
        "E116",
        Modules,
        r##"module fz var cell a = 1  cell b = a * 10  cell stop = action { freeze(b) } module end"##,
        "",
    ),
    (
        "E117",
        Modules,
        r##"module both
  var cell lo = 0  var cell hi = 0  var cell hits = 0
  on (lo, hi) when cellChanged(hi) && cellChanged(lo) do { hits = hits + 1 }
module end"##,
        "",
    ),
    (
        "E118",
        Modules,
        r##"static module store
  var cell items = []  def all() = items
  def put(appstate, x) { items = items + [x] }
module end
module use7 import store  var cell n = 0  cell add = action (x) { store.put(appstate, x); n = array.length(store.all()) } module end"##,
        "",
    ),
    (
        "E119",
        Modules,
        r##"module menu1 cell menu = [{label:"go", onTap: action { debug("x") }}] module end"##,
        "",
    ),
    (
        "E120",
        Modules,
        r##"module chain
  var cell a = 0  var cell seen = 0  cell double = a * 2
  cell second = action { seen = double }
  cell first = action { a = 21; pushNextActions(appstate, [second]) }
module end"##,
        "",
    ),
    (
        "E121",
        Modules,
        r##"module rb var cell n = 1  cell go = action { n = 5; fail("stop") } module end"##,
        "",
    ),
    (
        "E122",
        Modules,
        r##"module greet(p:data) var cell m_params = p  cell output = "hi " + m_params.name module end"##,
        "",
    ),
    (
        "E123",
        Modules,
        r##"module st
  def inner(x) = 1 + fail("no " + x)
  def outer(x) = 1 + inner(x)
  cell c = outer("go")
module end"##,
        "",
    ),
    ("E124", Expression, r##"unset"##, ""),
    (
        "E125",
        Expression,
        r##"_escJSON_ {_rmx_type:"{tag}case:ok", _rmx_value:"hi"}"##,
        "",
    ),
    (
        "E126",
        Expression,
        r##"_escJSON_ {_rmx_type:"{tag}ref", _rmx_value:"r1"}"##,
        "",
    ),
    (
        "E127",
        Expression,
        r##"_escJSON_ {_rmx_type:"{tag}int", _rmx_value:"42"} + 1"##,
        "",
    ),
    (
        "E128",
        Expression,
        r##"{_rmx_type: "{tag}note", n: 1}"##,
        "",
    ),
    (
        "E129",
        Expression,
        r##"_escJSON_ {_rmx_type:"{str}{tag}x"}"##,
        "",
    ),
    (
        "E130",
        Expression,
        r##"_escJSON_ {_rmx_type:"{tag}zzz"}"##,
        "SYN_ESCJSON",
    ),
    ("E131", Expression, r##"string.formatJSON(some(1))"##, ""),
    (
        "E132",
        Expression,
        r##"string.formatEscJSON(x -> x)"##,
        "TYPE_MISMATCH",
    ),
    (
        "E133",
        Expression,
        r##"string.parseEscJSON("{\"_rmx_type\":\"{tag}float\",\"_rmx_value\":\"0x1.8p+1\"}")"##,
        "",
    ),
    (
        "E134",
        Expression,
        r##"string.parseJSON("{\"_rmx_type\":\"{tag}nan\"}")"##,
        "",
    ),
];

#[test]
fn worked_examples_compile_or_give_their_error() {
    let mut wrong = Vec::new();
    for (number, sort, text, code) in EXAMPLES {
        let found = match sort {
            Modules => module_errors(text),
            Expression => expression_errors(text),
            Phrases => expression_errors(&format!("{text}\n;;\nnull")),
        };
        let expected: Vec<&str> = if code.is_empty() {
            Vec::new()
        } else {
            vec![code]
        };
        if found != expected {
            wrong.push(format!("{number}: expected {expected:?}, found {found:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
