//! `mixer repl` with its phrases on standard input.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Command, Stdio};

use mix_system_tests::mixer;

/// Lines that the REPL prints for this input, and how it ended.
fn repl(arguments: &[&str], input: &str) -> (Option<i32>, Vec<String>) {
    let mut child = Command::new(mixer())
        .arg("repl")
        .args(arguments)
        .env("RUST_LOG", "off")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("mixer can be started");
    let mut stdin = child.stdin.take().expect("stdin is piped");
    stdin
        .write_all(input.as_bytes())
        .expect("the REPL reads its input");
    drop(stdin);
    let output = child.wait_with_output().expect("the REPL ends");
    let text = String::from_utf8(output.stdout).expect("text");
    (
        output.status.code(),
        text.lines().map(str::to_owned).collect(),
    )
}

fn lines(input: &str) -> Vec<String> {
    let (code, lines) = repl(&[], input);
    assert_eq!(code, Some(0), "{lines:?}");
    lines
}

#[test]
fn definitions_stay_and_the_last_one_wins() {
    let printed = lines(
        "def rate = 2\ndef twice(n) = n * rate\ntwice(21)\ndef rate = 3\ntwice(21)\n[1, undefined === undefined]\nx -> x\n",
    );
    let warned = printed.iter().any(|line| line.contains("WARN_REDEFINED"));
    assert!(warned, "{printed:?}");
    let values: Vec<&str> = printed
        .iter()
        .map(String::as_str)
        .filter(|line| ["42", "63", "[1,true]", "<function>"].contains(line))
        .collect();
    assert_eq!(values, ["42", "63", "[1,true]", "<function>"]);
}

#[test]
fn cells_follow_inputs_and_views_survive_later_phrases() {
    let printed = lines(
        "module counter\n  var cell n = 0\n  cell double = n * 2\n  cell inc = action (k) { n = n + k }\nmodule end\n#load counter\n#mark first\n#invoke counter.inc \"$agent_environment\" 5\ndef other = 1\n#input counter.n 7\n",
    );
    // The action is a closure with an environment of this session.
    let cells: Vec<&String> = printed
        .iter()
        .filter(|line| !line.starts_with("inc = "))
        .collect();
    let expected = [
        "n = 0",
        "double = 0",
        "--- first",
        "n = 5",
        "double = 10",
        "n = 7",
        "double = 14",
    ];
    assert_eq!(cells, expected);
}

#[test]
fn mistakes_are_told_and_the_session_goes_on() {
    let printed = lines(
        "lenght(1)\n1 + 1\nfail(\"no luck\")\nstream.first(co.channelToStream(co.channelCreate()))\n2 + 2\n:nonsense\n:type 1 + 1\n",
    );
    let text = printed.join("\n");
    assert!(
        text.contains("error ERR_DEADLOCK: no routine can go on: the main routine waits for"),
        "{text}"
    );
    assert!(text.contains("error NAME_UNBOUND"), "{text}");
    assert!(text.contains("error RT_FAIL: no luck"), "{text}");
    assert!(text.contains("`:nonsense`"), "{text}");
    assert!(
        printed.contains(&"2".to_owned()) && printed.contains(&"4".to_owned()),
        "{text}"
    );
    assert_eq!(printed.last().map(String::as_str), Some("number"), "{text}");
}

#[test]
fn an_endless_loop_ends_with_its_phrase() {
    let (code, printed) = repl(
        &["--timeout", "1s"],
        "def spin() = do { while (true) { let x = 1 } }\nspin()\n6 * 7\n#quit\n1\n",
    );
    assert_eq!(code, Some(0));
    let text = printed.join("\n");
    assert!(text.contains("RT_TIMEOUT"), "{text}");
    assert_eq!(printed.last().map(String::as_str), Some("42"), "{text}");
}

#[test]
fn a_compiled_library_can_be_imported() {
    let folder = tempfile::tempdir().expect("a folder");
    let source = folder.path().join("vat.mix");
    let text = "module vat case normal def gross = ((self.normal, n) -> n * 1.2) module end";
    std::fs::write(&source, text).expect("a file");
    let library = folder.path().join("vat-1.0.mixlib");
    let built = Command::new(mixer())
        .args(["build", "--lib", "vat-1.0", "-o"])
        .args([&library, &source])
        .status()
        .expect("mixer can be started");
    assert!(built.success());
    std::fs::remove_file(&source).expect("the source is not needed any more");
    let library = library.display().to_string();
    let (code, printed) = repl(
        &["--file", &library],
        "import vat\ndef taxed = vat.gross(vat.normal)\ntaxed(100)\nmodule shop import vat cell c = vat.gross(vat.normal, 10) module end\n#load shop\n",
    );
    assert_eq!(code, Some(0));
    assert_eq!(printed, ["120", "c = 12"]);
}

#[test]
fn values_without_a_text_form_are_named() {
    let printed =
        lines("auth.emptyToken()\n~regex \"a+\"\n[1][]\nx -> x\nvar cell n = 1\nlink(n)\narray\n");
    let expected = [
        "<token>",
        "<opaque>",
        "<stream>",
        "<function>",
        "n = 1",
        "<link n>",
        "<module array>",
    ];
    assert_eq!(printed, expected);
}

#[test]
fn an_observer_runs_when_what_it_watches_is_updated() {
    let printed = lines(
        "var cell n = 1\non n do { debug(\"seen \" + n) }\nn\n_pragma_ {warningFilter: \"-redefined\"}\nvar cell n = 2\nn\n",
    );
    assert_eq!(printed, ["n = 1", "1", "n = 2", "seen 2", "2"]);
}

/// The last value of a cell that was printed.
fn last<'a>(printed: &'a [String], cell: &str) -> Option<&'a str> {
    let start = format!("{cell} = ");
    printed
        .iter()
        .rev()
        .find_map(|line| line.strip_prefix(&start))
}

#[test]
fn live_cells_go_on_while_nothing_is_entered() {
    let (timeout, pause) = ("5s", std::time::Duration::from_millis(6_500));
    let mut child = Command::new(mixer())
        .args(["repl", "--timeout", timeout])
        .env("RUST_LOG", "off")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("mixer can be started");
    let mut stdin = child.stdin.take().expect("stdin is piped");
    let module = "module ticks
  def beats = co.channelFrom(emit -> do { for (let k in array.enumerate(1000)) { emit(k); co.sleep(0.1) } return null })
  live cell beat = co.consume(co.channelToStream(beats))
  var cell n = 0
module end
#load ticks
";
    let enter = |stdin: &mut std::process::ChildStdin, text: &str| {
        stdin
            .write_all(text.as_bytes())
            .expect("the REPL reads its input");
    };
    enter(&mut stdin, module);
    let mut printed = BufReader::new(child.stdout.take().expect("stdout is piped"));
    let mut text = String::new();
    while !text.contains("beat = 0") {
        let read = printed.read_line(&mut text).expect("text");
        assert_ne!(read, 0, "{text}");
    }
    // Longer than an interaction may take.
    std::thread::sleep(pause);
    enter(&mut stdin, "#mark later\n#input ticks.n 4\n");
    drop(stdin);
    printed.read_to_string(&mut text).expect("text");
    child.wait().expect("the REPL ends");
    let (_, after) = text.split_once("--- later\n").expect("the mark");
    assert!(after.contains("beat = "), "{text}");
    assert!(after.contains("n = 4\n"), "{text}");
    assert!(!text.contains("error"), "{text}");
}

#[test]
fn a_live_cell_that_never_pauses_keeps_nothing_back() {
    let printed = lines(
        "module counts\n  live cell k = co.consume(stream.enumUnbound())\n  var cell n = 0\nmodule end\n#load counts\n#input counts.n 4\n",
    );
    assert_eq!(last(&printed, "n"), Some("4"), "{printed:?}");
    assert!(last(&printed, "k") > Some("0"), "{printed:?}");
    let failed = printed.iter().any(|line| line.contains("error"));
    assert!(!failed, "{printed:?}");
}

#[test]
fn live_cells_over_queries_follow_the_commits() {
    for database in ["null", "db.localInMemDB(\"more\")", "minidb.DB"] {
        let mut input = format!(
            "module watch\n  live cell names = db.head({database}) |> db.filter(r -> r.kind == \"t\") |> db.map(.n) |> db.toArray\n  \
             cell count = array.length(names)\n  \
             cell save = action (r) {{ db.saveOneStm(appstate, {database}, r) }}\n  \
             cell wait = action (n) {{ co.sleep(0.1) }}\nmodule end\n#load watch\n"
        );
        for record in [
            r#"{"kind":"t","n":"a"}"#,
            r#"{"kind":"u","n":"x"}"#,
            r#"{"kind":"t","n":"b"}"#,
        ] {
            input += &format!("#invoke watch.save \"$agent_environment\" {record}\n");
            // What was committed arrives while no action runs.
            for _ in 0..10 {
                input += "#invoke watch.wait \"$agent_environment\" null\n";
            }
        }
        let printed = lines(&input);
        assert_eq!(
            last(&printed, "names"),
            Some(r#"["a","b"]"#),
            "{database}: {printed:?}"
        );
        assert_eq!(last(&printed, "count"), Some("2"), "{database}");
    }
}

#[test]
fn the_library_describes_itself() {
    let printed = lines(":doc array.map\n:doc option\n:doc withDefault\n:doc array.nosuch\n:doc\n");
    let text = printed.join("\n");
    for part in [
        "def map : (S -> T) -> array(S) -> array(T)\n",
        "  //= ",
        "module option\n",
        "create, withDefault, ",
        "def withDefault : A -> A -> A\n",
        "error: the library has no array.nosuch",
        "`:doc` needs a name",
    ] {
        assert!(text.contains(part), "no {part:?} in {text}");
    }
}
