//! Modules whose text lies at an address.

use mix_compiler::{CompileOptions, SourceFile, compile, source_addresses};
use std::collections::BTreeMap;

const SHOP: &str = "module app import shop cell output = shop.price(2) module end
module shop _source_ {url: \"https://example.org/shop.mix\"}";

fn errors(texts: &[(&str, Result<&str, &str>)]) -> Vec<String> {
    let texts = texts.iter().map(|(address, text)| {
        let text = text
            .map(|text| text.as_bytes().to_vec())
            .map_err(str::to_owned);
        ((*address).to_owned(), text)
    });
    let options = CompileOptions {
        texts: texts.collect(),
        ..CompileOptions::default()
    };
    let compilation = compile(&[SourceFile::new("app.mix", SHOP)], &options);
    let errors = compilation.errors.iter();
    errors
        .map(|issue| format!("{} {}", issue.code.as_str(), issue.message()))
        .collect()
}

#[test]
fn the_text_takes_the_place_of_the_module() {
    let none: [&str; 0] = [];
    let address = "https://example.org/shop.mix";
    let text = "module shop def price(n) = n * 2 module end";
    assert_eq!(errors(&[(address, Ok(text))]), none);
    // Through another address, and with another module beside it.
    let next = "module shop _source_ \"https://example.org/new.mix\" module end";
    let both = "module vat def rate = 2 module end module shop import vat def price(n) = n * vat.rate module end";
    let texts = [
        (address, Ok(next)),
        ("https://example.org/new.mix", Ok(both)),
    ];
    assert_eq!(errors(&texts), none);
}

#[test]
fn what_cannot_be_had_is_said() {
    let address = "https://example.org/shop.mix";
    let prefix = "MOD_SOURCE source of shop cannot be loaded: ";
    for (text, why) in [
        (Err("the answer is 404"), "the answer is 404"),
        (
            Ok("module other module end"),
            "the text at https://example.org/shop.mix has no module shop",
        ),
        (
            Ok("module shop _source_ \"https://example.org/shop.mix\" module end"),
            "its text names one more address, and so on without end",
        ),
    ] {
        assert_eq!(errors(&[(address, text)])[..1], [format!("{prefix}{why}")]);
    }
    assert_eq!(
        errors(&[])[..1],
        [format!("{prefix}texts from addresses are not fetched here")]
    );
    let broken = errors(&[(address, Ok("module shop def price(n) = n * module end"))]);
    assert!(broken[0].starts_with("SYN_UNEXPECTED"), "{broken:?}");
}

#[test]
fn addresses_are_found_step_by_step() {
    let files = [SourceFile::new("app.mix", SHOP)];
    let mut known = BTreeMap::new();
    assert_eq!(
        source_addresses(&files, &known),
        ["https://example.org/shop.mix"]
    );
    let next = b"module shop _source_ {url: \"https://example.org/new.mix\"}";
    known.insert("https://example.org/shop.mix".to_owned(), Ok(next.to_vec()));
    assert_eq!(
        source_addresses(&files, &known),
        ["https://example.org/new.mix"]
    );
    known.insert(
        "https://example.org/new.mix".to_owned(),
        Err("gone".to_owned()),
    );
    assert!(source_addresses(&files, &known).is_empty());
}
