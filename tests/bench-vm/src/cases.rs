//! Library functions on `n` elements: what `growth` doubles and `library` puts beside QuickJS.
//!
//! A case makes a value first and measures an expression over it. Both languages
//! compute the same number from it, which is compared.

/// One use of the library.
pub struct Case {
    /// How tables call it.
    pub name: &'static str,
    /// Mix: expression over `n`.
    pub made: &'static str,
    /// Mix: expression over `a`, the value of `made`.
    pub measured: &'static str,
    /// JavaScript: what `made` is there, and what the builtins of that language do for `measured`.
    #[cfg_attr(
        not(feature = "peers"),
        expect(dead_code, reason = "only a peer runs it")
    )]
    pub script: (&'static str, &'static str),
}

const NUMBERS: &str = "array.enumerate(n)";
const NUMBERS_JS: &str = "Array.from({length: n}, (_, i) => i)";
const MIXED: &str = "array.initialize(n, x -> (x * 7919) % 1000003)";
const MIXED_JS: &str = "Array.from({length: n}, (_, x) => (x * 7919) % 1000003)";
const TEXTS: &str = "array.initialize(n, x -> \"k\" + x)";
const TEXTS_JS: &str = "Array.from({length: n}, (_, x) => \"k\" + x)";
const MAP: &str = "map.ofStreamPairs(stream.initialize(n, x -> [\"k\" + x, x]))";
const MAP_JS: &str = "Object.fromEntries(Array.from({length: n}, (_, x) => [\"k\" + x, x]))";
const TEXT: &str = "string.concat(\",\", array.initialize(n, x -> \"\" + x))";
const TEXT_JS: &str = "Array.from({length: n}, (_, x) => \"\" + x).join(\",\")";
const RECORDS: &str = "array.initialize(n, x -> {id: x, name: \"n\" + x})";
const RECORDS_JS: &str = "Array.from({length: n}, (_, x) => ({id: x, name: \"n\" + x}))";

/// Short for a [`Case`].
const fn case(
    name: &'static str,
    (made, script_made): (&'static str, &'static str),
    measured: &'static str,
    script_measured: &'static str,
) -> Case {
    Case {
        name,
        made,
        measured,
        script: (script_made, script_measured),
    }
}

/// All of them.
pub const CASES: &[Case] = &[
    case(
        "array.initialize",
        ("n", "n"),
        "array.length(array.initialize(a, x -> x + 1))",
        "Array.from({length: a}, (_, x) => x + 1).length",
    ),
    case(
        "array.map",
        (NUMBERS, NUMBERS_JS),
        "array.length(array.map(x -> x + 1, a))",
        "a.map(x => x + 1).length",
    ),
    case(
        "array.filter",
        (NUMBERS, NUMBERS_JS),
        "array.length(array.filter(x -> x % 2 == 0, a))",
        "a.filter(x => x % 2 == 0).length",
    ),
    case(
        "array.reduce",
        (NUMBERS, NUMBERS_JS),
        "array.reduce((x, s) -> x + s, 0, a)",
        "a.reduce((s, x) => x + s, 0)",
    ),
    case(
        "array.flatMap",
        (NUMBERS, NUMBERS_JS),
        "array.length(array.flatMap(x -> [x, x], a))",
        "a.flatMap(x => [x, x]).length",
    ),
    case(
        "array.exists",
        (NUMBERS, NUMBERS_JS),
        "if (array.exists(x -> x < 0, a)) 1 else 0",
        "a.some(x => x < 0) ? 1 : 0",
    ),
    case(
        "array.contains",
        (TEXTS, TEXTS_JS),
        "if (array.contains(\"none\", a)) 1 else 0",
        "a.includes(\"none\") ? 1 : 0",
    ),
    case(
        "array.rev",
        (NUMBERS, NUMBERS_JS),
        "array.length(array.rev(a))",
        "a.slice().reverse().length",
    ),
    case(
        "array.add",
        (NUMBERS, NUMBERS_JS),
        "array.length(array.add(a, a))",
        "a.concat(a).length",
    ),
    case(
        "array.skipn",
        (NUMBERS, NUMBERS_JS),
        "array.length(array.skipn(10, a))",
        "a.slice(10).length",
    ),
    case(
        "array.sort",
        (MIXED, MIXED_JS),
        "array.length(array.sort(x -> x, a))",
        "a.slice().sort((x, y) => x - y).length",
    ),
    case(
        "array.sort, texts",
        (TEXTS, TEXTS_JS),
        "array.length(array.sort(x -> x, a))",
        "a.slice().sort().length",
    ),
    case(
        "array.sortBy",
        (MIXED, MIXED_JS),
        "array.length(array.sortBy((x, y) -> x < y, a))",
        "a.slice().sort((x, y) => x - y).length",
    ),
    case(
        "array +, one by one",
        ("n", "n"),
        "do { var b : array(number) = []; for (let i = 0; i < a; i = i + 1) { b = b + [i] } return array.length(b) }",
        "(() => { const b = []; for (let i = 0; i < a; i++) b.push(i); return b.length })()",
    ),
    case(
        "array update",
        (NUMBERS, NUMBERS_JS),
        "do { var b = a; for (let i = 0; i < array.length(a); i = i + 1) { b[i] = i + 1 } return array.length(b) }",
        "(() => { const b = a.slice(); for (let i = 0; i < a.length; i++) b[i] = i + 1; return b.length })()",
    ),
    case(
        "map.map",
        (MAP, MAP_JS),
        "map.length(map.map(x -> x + 1, a))",
        "Object.keys(Object.fromEntries(Object.entries(a).map(([k, x]) => [k, x + 1]))).length",
    ),
    case(
        "map.filter",
        (MAP, MAP_JS),
        "map.length(map.filter(x -> x % 2 == 0, a))",
        "Object.keys(Object.fromEntries(Object.entries(a).filter(([k, x]) => x % 2 == 0))).length",
    ),
    case(
        "map.add",
        (MAP, MAP_JS),
        "map.length(map.add(a, a))",
        "Object.keys({...a, ...a}).length",
    ),
    case(
        "map.keys",
        (MAP, MAP_JS),
        "array.length(map.keys(a))",
        "Object.keys(a).length",
    ),
    case(
        "map.values",
        (MAP, MAP_JS),
        "array.length(map.values(a))",
        "Object.values(a).length",
    ),
    case(
        "map.bindings",
        (MAP, MAP_JS),
        "array.length(map.bindings(a))",
        "Object.entries(a).length",
    ),
    case(
        "map, key by key",
        ("n", "n"),
        "do { var m : map(number) = {}; for (let i = 0; i < a; i = i + 1) { m.(\"k\" + i) = i } return map.length(m) }",
        "(() => { const m = {}; for (let i = 0; i < a; i++) m[\"k\" + i] = i; return Object.keys(m).length })()",
    ),
    case(
        "set.ofArray",
        (TEXTS, TEXTS_JS),
        "set.length(set.ofArray(a))",
        "new Set(a).size",
    ),
    case(
        "string +, piece by piece",
        ("n", "n"),
        "do { var s = \"\"; for (let i = 0; i < a; i = i + 1) { s = s + \"ab\" } return string.length(s) }",
        // `+=` takes a time that grows with the square of the number of pieces there.
        "Array.from({length: a}, () => \"ab\").join(\"\").length",
    ),
    case(
        "string.splitSep",
        (TEXT, TEXT_JS),
        "array.length(string.splitSep(\",\", a))",
        "a.split(\",\").length",
    ),
    case(
        "string.concat",
        (TEXTS, TEXTS_JS),
        "string.length(string.concat(\",\", a))",
        "a.join(\",\").length",
    ),
    case(
        "string.replaceAll",
        (TEXT, TEXT_JS),
        "string.length(string.replaceAll(\",\", \"; \", a))",
        "a.replaceAll(\",\", \"; \").length",
    ),
    case(
        "string.indexOfLeft",
        (TEXT, TEXT_JS),
        "withDefault(-1, string.indexOfLeft(\"none\", a))",
        "a.indexOf(\"none\")",
    ),
    case(
        "string.uppercase",
        (TEXT, TEXT_JS),
        "string.length(string.uppercase(a))",
        "a.toUpperCase().length",
    ),
    case(
        "string.trim, each",
        (TEXTS, TEXTS_JS),
        "array.length(array.map(x -> string.trim(x), a))",
        "a.map(x => x.trim()).length",
    ),
    case(
        "string.sub, each",
        (TEXTS, TEXTS_JS),
        "array.length(array.map(x -> string.sub(0, 2, x), a))",
        "a.map(x => x.substring(0, 2)).length",
    ),
    case(
        "number.parse, each",
        (
            "array.initialize(n, x -> \"\" + x)",
            "Array.from({length: n}, (_, x) => \"\" + x)",
        ),
        "array.length(array.map(x -> number.parse(x), a))",
        "a.map(x => parseFloat(x)).length",
    ),
    case(
        "number.toString, each",
        (NUMBERS, NUMBERS_JS),
        "array.length(array.map(x -> number.toString(x), a))",
        "a.map(x => String(x)).length",
    ),
    case(
        "string.formatJSON",
        (RECORDS, RECORDS_JS),
        "string.length(string.formatJSON(a))",
        "JSON.stringify(a).length",
    ),
    case(
        "string.parseJSON",
        (
            "string.formatJSON(array.initialize(n, x -> {id: x, name: \"n\" + x}))",
            "JSON.stringify(Array.from({length: n}, (_, x) => ({id: x, name: \"n\" + x})))",
        ),
        "array.length(string.parseJSON(a))",
        "JSON.parse(a).length",
    ),
    case(
        "stream map, filter",
        (NUMBERS, NUMBERS_JS),
        "a[] |> stream.map(x -> x + 1) |> stream.filter(x -> x % 2 == 0) |> stream.reduce((x, s) -> x + s, 0)",
        "a.map(x => x + 1).filter(x => x % 2 == 0).reduce((s, x) => x + s, 0)",
    ),
    case(
        "stream.toArray",
        (NUMBERS, NUMBERS_JS),
        "array.length(stream.toArray(a[]))",
        "[...a].length",
    ),
    case(
        "lists by key",
        (NUMBERS, NUMBERS_JS),
        "(do { var m = {}; for (let x in a) { let k = \"k\" + x % 10; m.(k) = withDefault([], m.(k)) + [x] } return array.length(m.k3) })",
        "a.reduce((m, x) => { (m['k' + x % 10] ??= []).push(x); return m }, {}).k3.length",
    ),
    case(
        "array.reduce, with",
        (NUMBERS, NUMBERS_JS),
        "array.length(array.reduce((x, s) -> s with [x] = s[x] + 1, a, a))",
        "a.reduce((s, x) => { s[x] = s[x] + 1; return s }, a.slice()).length",
    ),
    case(
        "regex.findAll, looking far",
        (
            "string.concat(\"\", array.initialize(n, x -> \"a\"))",
            "'a'.repeat(n)",
        ),
        "array.length(regex.findAll(-1, ~regex \"a.*z|a\", a))",
        // Its own search for the first alternative would take hours.
        "a.match(/a/g).length",
    ),
];
