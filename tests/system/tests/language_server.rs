//! `mixer lsp` as an editor talks to it: messages of the protocol on standard input and output.

use mix_system_tests::mixer;
use serde_json::{Value, json};
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// An editor with a server of its own.
struct Editor {
    server: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
    asked: u64,
    /// Notifications that came while an answer was waited for.
    told: Vec<Value>,
}

impl Editor {
    fn start() -> Editor {
        let mut server = Command::new(mixer())
            .args(["lsp", "--stdio"])
            .env("RUST_LOG", "off")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("mixer can be started");
        let input = server.stdin.take();
        let output = BufReader::new(server.stdout.take().expect("stdout is piped"));
        let mut editor = Editor {
            server,
            input,
            output,
            asked: 0,
            told: Vec::new(),
        };
        let answer = editor.ask("initialize", json!({"capabilities": {}}));
        assert_eq!(answer["result"]["serverInfo"]["name"], "mixer");
        assert_eq!(answer["result"]["capabilities"]["hoverProvider"], true);
        editor.tell("initialized", json!({}));
        editor
    }

    fn send(&mut self, message: &Value) {
        let text = message.to_string();
        let input = self.input.as_mut().expect("the server listens");
        write!(input, "Content-Length: {}\r\n\r\n{text}", text.len()).expect("it reads");
        input.flush().expect("it reads");
    }

    fn tell(&mut self, method: &str, params: Value) {
        self.send(&json!({"jsonrpc": "2.0", "method": method, "params": params}));
    }

    fn read(&mut self) -> Value {
        let mut length = 0;
        loop {
            let mut line = String::new();
            let read = self.output.read_line(&mut line).expect("a header");
            assert!(read > 0, "the server ended");
            let line = line.trim_end();
            if line.is_empty() {
                break;
            }
            if let Some(number) = line.strip_prefix("Content-Length: ") {
                length = number.parse().expect("a length");
            }
        }
        let mut body = vec![0; length];
        self.output.read_exact(&mut body).expect("the body");
        serde_json::from_slice(&body).expect("JSON")
    }

    fn ask(&mut self, method: &str, params: Value) -> Value {
        self.asked += 1;
        let id = self.asked;
        self.send(&json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}));
        loop {
            let message = self.read();
            if message["id"] == id {
                return message;
            }
            self.told.push(message);
        }
    }

    fn open(&mut self, path: &Path, text: &str) {
        let document =
            json!({"uri": address(path), "languageId": "mix", "version": 1, "text": text});
        self.tell("textDocument/didOpen", json!({"textDocument": document}));
    }

    fn change(&mut self, path: &Path, version: u32, text: &str) {
        self.tell(
            "textDocument/didChange",
            json!({
                "textDocument": {"uri": address(path), "version": version},
                "contentChanges": [{"text": text}],
            }),
        );
    }

    /// The issues of this state of a document.
    fn issues(&mut self, path: &Path, version: u32) -> Vec<Value> {
        loop {
            let message = match self.told.is_empty() {
                true => self.read(),
                false => self.told.remove(0),
            };
            let params = &message["params"];
            if message["method"] == "textDocument/publishDiagnostics"
                && params["uri"] == address(path)
                && params["version"] == version
            {
                return params["diagnostics"].as_array().cloned().expect("a list");
            }
        }
    }

    /// What is asked about a place: line and column from 0.
    fn at(&mut self, method: &str, path: &Path, line: u32, character: u32) -> Value {
        let params = json!({
            "textDocument": {"uri": address(path)},
            "position": {"line": line, "character": character},
        });
        self.ask(method, params)["result"].take()
    }

    fn hover(&mut self, path: &Path, line: u32, character: u32) -> String {
        let found = self.at("textDocument/hover", path, line, character);
        found["contents"]["value"].as_str().unwrap_or("").to_owned()
    }

    /// Label and detail of what could be written.
    fn completions(&mut self, path: &Path, line: u32, character: u32) -> Vec<(String, String)> {
        let found = self.at("textDocument/completion", path, line, character);
        let items = found.as_array().cloned().unwrap_or_default();
        let text = |item: &Value, key: &str| item[key].as_str().unwrap_or("").to_owned();
        items
            .iter()
            .map(|item| (text(item, "label"), text(item, "detail")))
            .collect()
    }

    fn end(mut self) {
        let answer = self.ask("shutdown", Value::Null);
        assert!(answer.get("error").is_none(), "{answer}");
        self.tell("exit", Value::Null);
        drop(self.input.take());
        let status = self.server.wait().expect("the server ends");
        assert!(status.success(), "{status}");
    }
}

fn address(path: &Path) -> String {
    format!("file://{}", path.display())
}

/// Line and column, from 0, of a text within a text.
fn place(text: &str, part: &str) -> (u32, u32) {
    let at = text.find(part).expect("the part is there");
    let before = &text[..at];
    let line = before.matches('\n').count() as u32;
    let column = before.rsplit('\n').next().unwrap_or("");
    (line, column.encode_utf16().count() as u32)
}

const SHOP: &str = "\
module shop
  import prices

  /// What a customer pays.
  private def total(items) = array.reduce((item, sum) -> sum + prices.gross(item.net), 0, items)

  type basket = {owner: string, lines: array(data)}
  case empty | full(basket)

  var cell basket : basket = {owner: \"Ada 😀\", lines: []}
  /// Kept up to date.
  cell due = do {
    let label = \"due by \"; let rate = 2;
    return label + basket.owner + rate * total(basket.lines)
  }
module end
";

const PRICES: &str = "\
module prices
  /// With tax.
  def gross : number -> number
  def gross(net) = net * 1.2
module end
";

#[test]
fn names_are_explained_found_and_completed() {
    let folder = tempfile::tempdir().expect("a folder");
    let (shop, prices) = (
        folder.path().join("shop.mix"),
        folder.path().join("prices.mix"),
    );
    fs::write(&prices, PRICES).expect("a file");
    let mut editor = Editor::start();
    editor.open(&shop, SHOP);
    assert_eq!(editor.issues(&shop, 1), Vec::<Value>::new());

    // Type and documentation, of private names, locals, other modules and the library.
    let hover = |editor: &mut Editor, part: &str, inner: &str| {
        let (line, column) = place(SHOP, part);
        let inner = part.find(inner).expect("inside") as u32;
        editor.hover(&shop, line, column + inner)
    };
    let said = hover(&mut editor, "* total(", "total");
    assert!(
        said.contains("def total : array(A@datarange) -> ") || said.contains("def total : "),
        "{said}"
    );
    assert!(said.contains("What a customer pays."), "{said}");
    let said = hover(&mut editor, "label + basket", "label");
    assert!(said.contains("label : string"), "{said}");
    let said = hover(&mut editor, "let rate = 2", "rate");
    assert!(said.contains("rate : number"), "{said}");
    let said = hover(&mut editor, "prices.gross(", "gross");
    assert!(said.contains("def gross : number -> number"), "{said}");
    assert!(said.contains("With tax."), "{said}");
    let said = hover(&mut editor, "array.reduce(", "reduce");
    assert!(said.contains("def reduce : "), "{said}");
    let said = hover(&mut editor, "= array.reduce(", "array");
    assert!(said.contains("module array"), "{said}");
    let said = hover(&mut editor, "basket.owner", "owner");
    assert!(said.contains("owner : string"), "{said}");
    let said = hover(&mut editor, "cell due =", "due");
    assert!(
        said.contains("cell due : string") && said.contains("Kept up to date."),
        "{said}"
    );
    let said = hover(&mut editor, "full(basket)", "basket");
    assert!(said.contains("type basket = {owner: string"), "{said}");
    let said = hover(&mut editor, "return label", "return");
    assert_eq!(said, "");

    // Definitions, here and in the file beside.
    let definition = |editor: &mut Editor, part: &str, inner: &str| {
        let (line, column) = place(SHOP, part);
        let inner = part.find(inner).expect("inside") as u32;
        editor.at("textDocument/definition", &shop, line, column + inner)
    };
    let found = definition(&mut editor, "label + basket", "label");
    assert_eq!(found["uri"], address(&shop));
    let (line, column) = place(SHOP, "label = ");
    let start = &found["range"]["start"];
    assert_eq!(start, &json!({"line": line, "character": column}));
    let found = definition(&mut editor, "prices.gross(", "gross");
    assert_eq!(found["uri"], address(&prices));
    let found = definition(&mut editor, "import prices", "prices");
    assert_eq!(found["uri"], address(&prices));
    assert_eq!(found["range"]["start"], json!({"line": 0, "character": 7}));
    let found = definition(&mut editor, "full(basket)", "basket");
    assert_eq!(
        found["range"]["start"]["line"],
        place(SHOP, "type basket").0
    );
    assert!(definition(&mut editor, "= array.reduce(", "reduce").is_null());

    // Completion in a text that cannot be compiled as it is.
    let complete = |editor: &mut Editor, version: u32, line: &str| {
        let text = SHOP.replace(
            "  cell due = do {",
            &format!("  {line}\n  cell due = do {{"),
        );
        editor.change(&shop, version, &text);
        let (at, column) = place(&text, line);
        editor.completions(&shop, at, column + line.len() as u32)
    };
    let has = |found: &[(String, String)], label: &str, detail: &str| {
        found
            .iter()
            .any(|(name, about)| name == label && about.contains(detail))
    };
    let found = complete(&mut editor, 2, "cell a = array.");
    assert!(
        has(&found, "map", "->") && has(&found, "reduce", "->"),
        "{found:?}"
    );
    assert!(!has(&found, "shop", ""), "{found:?}");
    let found = complete(&mut editor, 3, "cell a = basket.o");
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(
        has(&found, "owner", "string") && has(&found, "lines", "array"),
        "{found:?}"
    );
    let found = complete(&mut editor, 4, "cell a = (customer -> custo");
    assert!(has(&found, "customer", ""), "{found:?}");
    let found = complete(&mut editor, 5, "def q(amount : number) = am");
    assert!(has(&found, "amount", "number"), "{found:?}");
    assert!(has(&found, "total", "->") && has(&found, "some", "") && has(&found, "string", ""));
    let found = complete(&mut editor, 6, "def q(amount) = prices.");
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(has(&found, "gross", "number -> number"), "{found:?}");
    // Types, where a type stands: those of this module and of the language, and modules that have some.
    for (version, line) in [
        (7, "var cell a : bas"),
        (8, "def q : number -> bas"),
        (9, "def q(a : array(bas"),
        (10, "case other(bas"),
        (11, "type other = {a: string, b: bas"),
    ] {
        let found = complete(&mut editor, version, line);
        let names = ["basket", "binary", "option", "http"];
        assert!(
            names.iter().all(|name| has(&found, name, "")),
            "{line}: {found:?}"
        );
        let values = ["total", "empty", "while", "due"];
        assert!(
            !values.iter().any(|name| has(&found, name, "")),
            "{line}: {found:?}"
        );
    }
    let found = complete(&mut editor, 12, "def q : http.res");
    assert!(has(&found, "response", "type response"), "{found:?}");
    assert!(!has(&found, "get", "") && !has(&found, "basket", ""));
    editor.end();
}

#[test]
fn issues_follow_the_text() {
    let folder = tempfile::tempdir().expect("a folder");
    let (shop, prices) = (
        folder.path().join("shop.mix"),
        folder.path().join("prices.mix"),
    );
    fs::write(&prices, PRICES).expect("a file");
    let mut editor = Editor::start();
    let wrong = SHOP.replace("label + basket", "lable + basket");
    editor.open(&shop, &wrong);
    let issues = editor.issues(&shop, 1);
    assert_eq!(issues.len(), 1, "{issues:?}");
    let issue = &issues[0];
    assert_eq!(issue["code"], "NAME_UNBOUND");
    assert_eq!(issue["severity"], 1);
    let (line, column) = place(&wrong, "lable");
    let range = json!({
        "start": {"line": line, "character": column},
        "end": {"line": line, "character": column + 5},
    });
    assert_eq!(issue["range"], range);
    let message = issue["message"].as_str().expect("a text");
    assert!(message.contains("did you mean label?"), "{message}");

    editor.change(&shop, 2, SHOP);
    assert_eq!(editor.issues(&shop, 2), Vec::<Value>::new());

    // The module beside, as the editor has it, not as it is on disk.
    editor.open(&prices, &PRICES.replace("gross", "grown"));
    let issues = editor.issues(&shop, 2);
    assert_eq!(issues[0]["code"], "NAME_MEMBER", "{issues:?}");
    editor.tell(
        "textDocument/didClose",
        json!({"textDocument": {"uri": address(&prices)}}),
    );
    assert_eq!(editor.issues(&shop, 2), Vec::<Value>::new());

    // Columns are those of the protocol, which counts this character twice.
    editor.change(&shop, 3, "module shop def s = \"😀\" + nothere module end");
    let issues = editor.issues(&shop, 3);
    assert_eq!(
        issues[0]["range"]["start"],
        json!({"line": 0, "character": 27})
    );

    // Text that is no Mix at all is told, not died of.
    editor.change(&shop, 4, "\u{0}{{{[[(\"");
    assert!(!editor.issues(&shop, 4).is_empty());
    assert!(editor.at("textDocument/hover", &shop, 0, 2).is_null());
    assert!(editor.at("textDocument/hover", &shop, 99, 99).is_null());
    let answer = editor.ask("textDocument/rename", json!({}));
    assert_eq!(answer["error"]["code"], -32601);
    let answer = editor.ask("textDocument/hover", json!({"position": 5}));
    assert_eq!(answer["error"]["code"], -32602);
    editor.end();
}

#[test]
fn a_malformed_message_is_what_the_server_ends_with() {
    let mut editor = Editor::start();
    let mut input = editor.input.take().expect("the server listens");
    input
        .write_all(b"Content-Length: 9\r\n\r\n{bad json")
        .expect("it reads");
    drop(input);
    let mut said = String::new();
    let mut errors = editor.server.stderr.take().expect("stderr is piped");
    errors.read_to_string(&mut said).expect("text");
    assert!(!editor.server.wait().expect("the server ends").success());
    assert!(
        said.contains("malformed") && said.contains("{bad json"),
        "{said}"
    );
}
