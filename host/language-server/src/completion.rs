//! What could be written at the cursor.
//!
//! A name that nobody writes is put where the cursor is; checking the text then tells what is
//! visible there: locals, members of the module before the dot, fields of the record. A text
//! that is being written is often unfinished; then it is ended in the ways of [`unfinished`].
//!
//! [`unfinished`]: crate::unfinished

use crate::documents::Documents;
use crate::hover::{Library, item};
use crate::position::Lines;
use crate::unfinished;
use lsp_types::{
    CompletionItem, CompletionItemKind, CompletionResponse, Documentation, MarkupContent,
    MarkupKind, Position, Uri,
};
use mix_compiler::analysis::{CURSOR, Candidate, NameKind};
use mix_compiler::syntax::lexer::KEYWORDS;

/// What could be written at a position.
pub fn of(
    documents: &Documents,
    library: &mut Library,
    uri: &Uri,
    position: Position,
) -> Option<CompletionResponse> {
    let text = &documents.get(uri)?.text;
    let byte = Lines::new(text).byte(position);
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let before = &text[..byte];
    let start = byte - before.chars().rev().take_while(|c| is_word(*c)).count();
    let end = byte + text[byte..].chars().take_while(|c| is_word(*c)).count();
    let marked = format!("{}{CURSOR}{}", &text[..start], &text[end..]);
    let mut analysis = documents.analyze(uri, marked);
    for text in unfinished::endings(&text[..start], CURSOR, &text[end..]) {
        if !analysis.candidates.is_empty() {
            break;
        }
        analysis = documents.analyze(uri, text);
    }
    let base = before[..start].strip_suffix('.').map(|left| {
        let from = left.len() - left.chars().rev().take_while(|c| is_word(*c)).count();
        left[from..].to_owned()
    });
    let mut items: Vec<CompletionItem> = Vec::new();
    for candidate in &analysis.candidates {
        let documentation = base.as_deref().and_then(|module| {
            item(&analysis, library, module, &candidate.name, candidate.kind)
                .map(|item| (item.signature.clone(), item.text.clone()))
        });
        items.push(shown(candidate, documentation));
    }
    if base.is_none() {
        let modules = mix_stdlib::modules().iter().map(|module| module.name);
        let own = analysis.modules.iter().map(|module| module.name.as_str());
        for name in modules.filter(|name| *name != "prelude").chain(own) {
            if !items.iter().any(|item| item.label == name) {
                items.push(plain(name, CompletionItemKind::MODULE));
            }
        }
        // No word of the language stands where a type does.
        let is_type = |candidate: &Candidate| candidate.kind == NameKind::Type;
        if !analysis.candidates.iter().any(is_type) {
            let words = KEYWORDS.iter();
            items.extend(words.map(|word| plain(word, CompletionItemKind::KEYWORD)));
        }
    }
    items.sort_by(|a, b| a.label.cmp(&b.label));
    Some(CompletionResponse::Array(items))
}

fn plain(name: &str, kind: CompletionItemKind) -> CompletionItem {
    CompletionItem {
        label: name.to_owned(),
        kind: Some(kind),
        ..CompletionItem::default()
    }
}

fn shown(candidate: &Candidate, documentation: Option<(String, String)>) -> CompletionItem {
    let is_function = candidate.ty.as_ref().is_some_and(|ty| ty.contains("->"));
    let kind = match candidate.kind {
        NameKind::Def | NameKind::Local if is_function => CompletionItemKind::FUNCTION,
        NameKind::Local => CompletionItemKind::VARIABLE,
        NameKind::Def => CompletionItemKind::CONSTANT,
        NameKind::Cell => CompletionItemKind::PROPERTY,
        NameKind::Case => CompletionItemKind::ENUM_MEMBER,
        NameKind::Type => CompletionItemKind::STRUCT,
        NameKind::Module => CompletionItemKind::MODULE,
        NameKind::Field => CompletionItemKind::FIELD,
        NameKind::Predefined => CompletionItemKind::KEYWORD,
    };
    let (detail, text) = match documentation {
        Some((signature, text)) => (Some(signature), text),
        None => (candidate.ty.clone(), String::new()),
    };
    CompletionItem {
        detail,
        documentation: (!text.is_empty()).then_some(Documentation::MarkupContent(MarkupContent {
            kind: MarkupKind::Markdown,
            value: text,
        })),
        ..plain(&candidate.name, kind)
    }
}
