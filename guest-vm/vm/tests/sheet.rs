//! Modules of the language specification (section 10): cells, observers,
//! actions, agents, errors.

mod support;

use mix_vm::{Action, Event, Session};
use support::{events, load, text, told, value};

/// Does what a REPL command asks and gives what it prints.
fn act(session: &mut Session, command: &str) -> String {
    let mut words = command.splitn(3, ' ');
    let (verb, name) = (
        words.next().unwrap_or_default(),
        words.next().unwrap_or_default(),
    );
    let rest = words.next().unwrap_or_default();
    session.act(match verb {
        "load" => Action::Load {
            module: name.into(),
            args: value(&format!("[{}]", rest.replace(' ', ","))),
        },
        "input" => Action::Input {
            cell: name.into(),
            value: value(rest),
        },
        "invoke" => Action::Invoke {
            name: name.into(),
            env: "$agent_environment".into(),
            arg: value(if rest.is_empty() { "null" } else { rest }),
            next_actions: value("[]"),
        },
        "agent" => Action::RunAgent {
            agent: name.into(),
            params: value(rest),
        },
        other => panic!("unknown command {other}"),
    });
    told(&events(session))
}

fn check(source: &str, script: &[(&str, &str)]) {
    let mut session = load(source);
    for (command, expected) in script {
        assert_eq!(
            act(&mut session, command),
            *expected,
            "{command} in {source}"
        );
    }
}

#[test]
fn modules() {
    check(
        r#"module m2 def incr(n) = n + 1  cell c = [incr(1), incr("x")] module end"#,
        &[("load m2", r#"c = [2,"x1"]"#)],
    );
    check(
        "module re def x : data  def y(u) = x  def x = 1  def x = 2  cell c = y(null) module end",
        &[("load re", "c = 2")],
    );
    check(
        "module pm(x:number, y:number) def sum = x + y module end
         module use4 import pm(1)  cell s = pm(2).sum module end",
        &[("load use4", "s = 3")],
    );
    check(
        r#"module tag(s:string) def me = s + currentInstanceId() module end
           module use5 import tag  def a = tag("x")  def b = tag("y")  cell ids = [a.me, b.me] module end"#,
        &[("load use5", r#"ids = ["x1","y2"]"#)],
    );
    check(
        r#"module shapes
       case square(number) | circle({r:number}) | unknown
       type shape = square | circle | unknown
       def area : shape -> number
       def area = (self.square(s) -> s * s | circle({r:r}) -> 3 * r * r | self.unknown -> null)
       cell areas = array.map(area, [square(3), circle({r:2}), unknown])  cell raw = circle({r:1})
     module end"#,
        &[(
            "load shapes",
            r#"areas = [9,12,null] ; raw = {"_rmx_type":"{tag}case:shapes.circle","_rmx_value":{"r":1}}"#,
        )],
    );
    check(
        "module col private case rgb(array(number)) def mk(n) = rgb([n, n, n]) module end
         module use1 import col  cell red = col.rgb^(col.mk(7))[0] module end",
        &[("load use1", "red = 7")],
    );
    check(
        r#"module people
       type person = [#name: string, #age: number]
       cell p = [#age: 30, #name: "Mo"]:person  cell n = ([#age: 30, #name: "Mo"]:person)[#name]  cell k = [7, 8][#1 of 2]
     module end"#,
        &[("load people", r#"p = ["Mo",30] ; n = "Mo" ; k = 8"#)],
    );
}

#[test]
fn cells() {
    check(
        "module counter
       var cell n = 0  cell double = n * 2  cell version = cellVersion(double)
       cell inc = action (k) { n = n + k }
     module end",
        &[
            (
                "load counter",
                r#"n = 0 ; double = 0 ; version = 1 ; inc = {"_rmx_type":"msg_view_invoke","env":"$cloenv_1","name":"counter.inc"}"#,
            ),
            ("invoke counter.inc 5", "n = 5 ; double = 10 ; version = 2"),
        ],
    );
    check(
        "module prev var cell x = 1  cell d = if (x'?) x - x' else 0 module end",
        &[
            ("load prev", "x = 1 ; d = 0"),
            ("input prev.x 5", "x = 5 ; d = 4"),
        ],
    );
    check(
        "module once
       var cell a = 0  var cell log = [] : array(number)
       on a when a'? do { log = log + [a]; a = a + 1 }
     module end",
        &[
            ("load once", "a = 0 ; log = []"),
            ("input once.a 5", "a = 6 ; log = [5]"),
        ],
    );
    check(
        "module ini(seed:number) var cell v = 1  cell w = v + 100  initializer { v = seed * 2 } module end",
        &[("load ini 21", "v = 42 ; w = 142")],
    );
    check(
        "module nodep var cell a = 1  var cell b = 10  cell sum = a + contents(b) module end",
        &[
            ("load nodep", "a = 1 ; b = 10 ; sum = 11"),
            ("input nodep.b 20", "b = 20"),
            ("input nodep.a 2", "a = 2 ; sum = 22"),
        ],
    );
    check(
        "module m13 cell c = {}.x module end",
        &[(
            "load m13",
            "!RT_UNDEFINED_STORED undefined cannot be stored in cell c",
        )],
    );
    check(
        "module sel var cell p = 1  var cell q = 2  cell last = cellSelect(p, q) module end",
        &[
            ("load sel", "p = 1 ; q = 2 ; last = 1"),
            ("input sel.q 5", "q = 5 ; last = 5"),
        ],
    );
    check(
        "module both
       var cell lo = 0  var cell hi = 0  var cell hits = 0
       on (lo, hi) when cellChanged(hi) && cellChanged(lo) do { hits = hits + 1 }
     module end",
        &[
            ("load both", "lo = 0 ; hi = 0 ; hits = 1"),
            ("input both.lo 1", "lo = 1"),
            ("input both.hi 1", "hi = 1 ; hits = 2"),
        ],
    );
}

#[test]
fn links_and_aliases() {
    let mut form = load(
        r#"module Field(l:link(string)<var>)
       private cell v : string  alias v = l
       cell view = "<" + v + ">"
     module end
     module Form
       var cell title = "a"  import Field(title)
       cell link(view) = link(Field.view)
       cell set = action (s) { title = s + "!" }
     module end"#,
    );
    assert!(act(&mut form, "load Form").starts_with(r#"title = "a" ; view = "<a>" ; set"#));
    assert_eq!(
        act(&mut form, "invoke Form.set \"b\""),
        r#"title = "b!" ; view = "<b!>""#
    );
    check(
        "module src var cell n = 1 module end
     module dst import src  var cell link(m) = link(src.n)  cell ten = m * 10 module end",
        &[
            ("load dst", "m = 1 ; ten = 10"),
            ("input dst.m 4", "m = 4 ; ten = 40"),
        ],
    );
    check(
        r#"module Row(k:number) cell label = "row " + k module end
     module Table import Row  var cell k = 1  alias cur = Row(k).label  cell out = cur + "!" module end"#,
        &[
            ("load Table", r#"k = 1 ; out = "row 1!""#),
            ("input Table.k 2", r#"k = 2 ; out = "row 2!""#),
        ],
    );
}

#[test]
fn freezing_and_static_modules() {
    let mut frozen = load(
        "module fz var cell a = 1  cell b = a * 10  cell stop = action { freeze(b) } module end",
    );
    assert!(act(&mut frozen, "load fz").starts_with("a = 1 ; b = 10"));
    assert_eq!(act(&mut frozen, "invoke fz.stop"), "");
    assert_eq!(act(&mut frozen, "input fz.a 2"), "a = 2");
    let mut shared = load(
        r#"static module store
       var cell items = []  def all() = items
       def put(appstate, x) { items = items + [x] }
     module end
     module use7 import store  var cell n = 0  cell add = action (x) { store.put(appstate, x); n = array.length(store.all()) } module end"#,
    );
    assert!(act(&mut shared, "load use7").starts_with("n = 0"));
    assert_eq!(act(&mut shared, r#"invoke use7.add "i""#), "n = 1");
}

#[test]
fn actions_and_chains() {
    check(
        r#"module menu1 cell menu = [{label:"go", onTap: action { debug("x") }}] module end"#,
        &[(
            "load menu1",
            r#"menu = [{"label":"go","onTap":{"_rmx_type":"msg_view_invoke","env":"$cloenv_1","name":"$closure_menu1_0"}}]"#,
        )],
    );
    let mut chain = load(
        "module chain
       var cell a = 0  var cell seen = 0  cell double = a * 2
       cell second = action { seen = double }
       cell first = action { a = 21; pushNextActions(appstate, [second]) }
     module end",
    );
    act(&mut chain, "load chain");
    assert_eq!(
        act(&mut chain, "invoke chain.first"),
        "a = 21 ; double = 42 ; seen = 42"
    );
    assert_eq!(
        act(&mut chain, "invoke chain.third"),
        "!RT_NO_ACTION unknown action chain.third"
    );
}

#[test]
fn a_failing_interaction_changes_nothing() {
    let mut session = load(
        r#"module rb var cell n = 1  cell twice = n * 2  cell go = action { n = 5; fail("stop") }
           cell ok = action { n = n + 1 } module end"#,
    );
    act(&mut session, "load rb");
    assert_eq!(act(&mut session, "invoke rb.go"), "!RT_FAIL stop");
    assert_eq!(act(&mut session, "invoke rb.ok"), "n = 2 ; twice = 4");
}

#[test]
fn agents() {
    check(
        r#"module greet(p:data) var cell m_params = p  cell output = "hi " + m_params.name module end
           module silent(p:data) cell other = p module end"#,
        &[
            (r#"agent greet {"name":"Ada"}"#, r#"result "hi Ada""#),
            (r#"agent greet {"name":"Bo"}"#, r#"result "hi Bo""#),
            ("agent greet 1", "!RT_NOT_A_MAP number is not a map"),
            ("agent nobody 1", "!RT_NO_MODULE unknown module nobody"),
            (
                "agent silent 1",
                "!RT_AGENT_OUTPUT agent silent has no cell output",
            ),
        ],
    );
}

#[test]
fn the_stack_names_every_frame() {
    let mut session = load(
        r#"module st
       def inner(x) = 1 + fail("no " + x)
       def outer(x) = 1 + inner(x)
       cell c = outer("go")
     module end"#,
    );
    session.act(Action::Load {
        module: "st".into(),
        args: value("[]"),
    });
    let events = events(&mut session);
    let Some(Event::Issue(issue)) = events.first() else {
        panic!("{events:?}")
    };
    assert_eq!(issue.message, "no go");
    assert_eq!(text(&issue.params), r#"{"message":"no go"}"#);
    let frames: Vec<_> = issue
        .mix_stack
        .iter()
        .map(|f| (&*f.module, &*f.function, f.line))
        .collect();
    assert_eq!(
        frames,
        [("st", "inner", 2), ("st", "outer", 3), ("st", "cell c", 4)]
    );
    let place = issue
        .location
        .as_ref()
        .map(|l| (l.start_line, l.start_column));
    assert_eq!(place.map(|place| place.0), Some(2));
}
