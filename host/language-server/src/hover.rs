//! What a name is: its type and its documentation.

use crate::definition::name_at;
use crate::documents::Documents;
use crate::position::Lines;
use lsp_types::{Hover, HoverContents, MarkupContent, MarkupKind, Position, Uri};
use mix_compiler::analysis::{Analysis, NameKind, NameUse};
use mix_compiler::documentation::{Item, ModuleDocumentation};
use mix_compiler::library_documentation;
use std::collections::HashMap;

/// Documentation of library modules that were asked for.
#[derive(Debug, Default)]
pub struct Library {
    modules: HashMap<String, Option<ModuleDocumentation>>,
}

impl Library {
    /// The documentation of a module of the library; there are few, so they are kept.
    pub fn module(&mut self, name: &str) -> Option<&ModuleDocumentation> {
        mix_stdlib::source(name)?;
        self.modules
            .entry(name.to_owned())
            .or_insert_with(|| library_documentation(name))
            .as_ref()
    }
}

/// What is said of the name at a position.
pub fn of(
    documents: &mut Documents,
    library: &mut Library,
    uri: &Uri,
    position: Position,
) -> Option<Hover> {
    let text = documents.get(uri)?.text.clone();
    let lines = Lines::new(&text);
    let byte = lines.byte(position);
    let analysis = documents.analysis(uri)?;
    let name = name_at(analysis, byte)?;
    let (signature, about) = described(analysis, library, name)?;
    let mut value = format!("```mix\n{signature}\n```");
    if !about.is_empty() {
        value.push_str("\n\n");
        value.push_str(&about);
    }
    Some(Hover {
        contents: HoverContents::Markup(MarkupContent {
            kind: MarkupKind::Markdown,
            value,
        }),
        range: Some(lines.range(name.span.start, name.span.end)),
    })
}

/// The signature of a name, and the text about it.
pub fn described(
    analysis: &Analysis,
    library: &mut Library,
    name: &NameUse,
) -> Option<(String, String)> {
    if name.kind == NameKind::Module {
        let module = module(analysis, library, &name.name)?;
        return Some((module.signature.clone(), module.text.clone()));
    }
    let item = name
        .module
        .as_deref()
        .and_then(|module| item(analysis, library, module, &name.name, name.kind));
    if let Some(item) = item {
        return Some((item.signature.clone(), item.text.clone()));
    }
    let ty = name.ty.as_deref();
    let signature = match (name.kind, ty) {
        (NameKind::Local | NameKind::Field, Some(ty)) => format!("{} : {ty}", name.name),
        (NameKind::Def, Some(ty)) => format!("def {} : {ty}", name.name),
        (NameKind::Cell, Some(ty)) => format!("cell {} : {ty}", name.name),
        (NameKind::Case, Some(ty)) => format!("case {} : {ty}", name.name),
        (NameKind::Predefined, _) => name.name.clone(),
        (_, Some(ty)) => format!("{} : {ty}", name.name),
        (_, None) => return None,
    };
    Some((signature, String::new()))
}

fn module<'a>(
    analysis: &'a Analysis,
    library: &'a mut Library,
    name: &str,
) -> Option<&'a ModuleDocumentation> {
    let own = analysis.modules.iter().find(|module| module.name == name);
    match own {
        Some(module) => Some(module),
        None => library.module(name),
    }
}

/// A member of a module with its documentation.
pub fn item<'a>(
    analysis: &'a Analysis,
    library: &'a mut Library,
    of: &str,
    name: &str,
    kind: NameKind,
) -> Option<&'a Item> {
    let wants_type = kind == NameKind::Type;
    let items = &module(analysis, library, of)?.items;
    let is_type = |item: &&Item| item.kind == mix_compiler::documentation::ItemKind::Type;
    let named = || items.iter().filter(|item| item.name == name);
    // A type and a value may have the same name.
    named()
        .find(|item| is_type(item) == wants_type)
        .or_else(|| named().next())
}
