//! What modules offer, with types and comments.

use mix_compiler::documentation::{Item, ItemKind};
use mix_compiler::{SourceFile, documentation, library_documentation};

fn item<'i>(items: &'i [Item], name: &str, kind: ItemKind) -> &'i Item {
    items
        .iter()
        .find(|item| item.name == name && item.kind == kind)
        .unwrap_or_else(|| panic!("no {name}"))
}

const SHOP: &str = r#"/// What is sold,
/// and for how much.
///
///     shop.total([1, 2])
module shop(currency: string)
  // no doc comment
  type row = {name: string, price: number}

  /// Sums up.
  /// ```
  /// total([{name: "a", price: 1}])
  /// ```
  /// That is all.
  def total : array(row) -> number
  def total(rows) = array.reduce((r, sum) -> sum + r.price, 0, rows)

  /// far away

  cell spare = 1 /// about something else
  def label(r: row) = r.name + currency
  private def hidden(x) = x
  /// One or the other.
  case sent(string) | waiting
  /// The open rows.
  var cell open = [] : array(row)
  cell count = array.length(open)
  def broken = nothing_like_it
module end
"#;

#[test]
fn modules_are_described() {
    let documented = documentation(&[SourceFile::new("shop.mix", SHOP)]);
    assert_eq!(documented.issues.len(), 1, "{:?}", documented.issues);
    let shop = &documented.modules[0];
    assert_eq!(shop.signature, "module shop(currency: string)");
    assert_eq!(shop.text.lines().next(), Some("What is sold,"));
    assert_eq!(shop.examples, ["shop.total([1, 2])"]);
    assert_eq!(shop.location.start_line, 5);

    let names: Vec<&str> = shop.items.iter().map(|item| item.name.as_str()).collect();
    assert_eq!(
        names,
        [
            "row", "total", "spare", "label", "sent", "waiting", "open", "count", "broken"
        ]
    );
    let total = item(&shop.items, "total", ItemKind::Def);
    assert_eq!(total.signature, "def total : array(row) -> number");
    assert_eq!(total.params, ["rows"]);
    assert!(total.text.starts_with("Sums up."), "{}", total.text);
    assert_eq!(total.examples, ["total([{name: \"a\", price: 1}])"]);

    // A comment that stands away from the definition does not belong to it.
    let label = item(&shop.items, "label", ItemKind::Def);
    assert_eq!(label.text, "");
    assert_eq!(
        label.signature,
        "def label : {name: string, price: number} -> string"
    );
    let row = item(&shop.items, "row", ItemKind::Type);
    assert_eq!(row.signature, "type row = {name: string, price: number}");
    assert_eq!(row.text, "");
    let sent = item(&shop.items, "sent", ItemKind::Case);
    assert_eq!(sent.signature, "case sent(string)");
    assert_eq!(sent.text, "One or the other.");
    let open = item(&shop.items, "open", ItemKind::Cell);
    assert_eq!(open.signature, "var cell open : array(row)");
    let count = item(&shop.items, "count", ItemKind::Cell);
    assert_eq!(count.signature, "cell count : number");
    // Without its type, because of the error.
    let broken = item(&shop.items, "broken", ItemKind::Def);
    assert!(
        broken.signature.starts_with("def broken"),
        "{}",
        broken.signature
    );
}

#[test]
fn library_modules_are_described() {
    for module in mix_stdlib::modules() {
        let documented = library_documentation(module.name).expect("a module");
        assert_eq!(documented.name, module.name);
        for item in &documented.items {
            assert!(!item.signature.is_empty());
        }
    }
    let string = library_documentation("string").expect("a module");
    assert!(!string.text.is_empty());
    let length = item(&string.items, "length", ItemKind::Def);
    assert_eq!(length.signature, "def length : string -> number");
    assert!(!length.text.is_empty());
    assert!(library_documentation("noSuchModule").is_none());
}
