//! The first phase: trees of sources, of the texts that they fetch, and of the library; what sources name.

use super::{Build, SourceFile};
use crate::fetched;
use crate::issue::{Code, Issue, Severity};
use crate::large_stack::on_large_stack;
use crate::syntax::ast::{Module, PhraseKind, Unit, UnitItem};
use crate::syntax::parser::{self, NodeIds};
use crate::syntax::source::SourceMap;
use crate::syntax::span::{SourceId, Span};
use std::collections::BTreeMap;

/// The addresses that `_source_` modules of some sources, and of texts that are known already,
/// name and that are not known yet.
pub fn source_addresses(
    files: &[SourceFile],
    known: &BTreeMap<String, Result<Vec<u8>, String>>,
) -> Vec<String> {
    let texts = known.values().flatten().map(Vec::as_slice);
    let texts: Vec<&[u8]> = files
        .iter()
        .map(|file| file.text.as_slice())
        .chain(texts)
        .filter(|text| text.windows(8).any(|part| part == b"_source_"))
        .collect();
    if texts.is_empty() {
        return Vec::new();
    }
    let work = || {
        let mut sources = SourceMap::new();
        let mut ids = NodeIds::default();
        let mut addresses: Vec<String> = Vec::new();
        for text in texts.into_iter().flat_map(std::str::from_utf8) {
            let source = sources.add("", text);
            let (unit, _) = parser::parse_unit(&mut sources, source, &mut ids);
            for item in unit.items {
                if let UnitItem::Module(module) = item
                    && let Some(address) = module.source.as_ref().and_then(fetched::address)
                    && !known.contains_key(address)
                    && !addresses.iter().any(|other| other == address)
                {
                    addresses.push(address.to_owned());
                }
            }
        }
        addresses
    };
    on_large_stack(work, |_| Vec::new())
}

/// The modules that a text defines, and those that it imports or gives other names.
pub fn imports(text: &[u8]) -> (Vec<String>, Vec<String>) {
    let Ok(text) = std::str::from_utf8(text) else {
        return (Vec::new(), Vec::new());
    };
    let work = || {
        let mut sources = SourceMap::new();
        let source = sources.add("", text);
        let (unit, _) = parser::parse_unit(&mut sources, source, &mut NodeIds::default());
        let (mut defined, mut wanted) = (Vec::new(), Vec::new());
        for item in &unit.items {
            match item {
                UnitItem::Module(module) => {
                    defined.push(module.name.text.to_string());
                    wanted.extend(module.phrases.iter().filter_map(|phrase| {
                        Some(match &phrase.kind {
                            PhraseKind::Import(import) => import.module.text.to_string(),
                            PhraseKind::ModuleAlias(alias) => alias.target.text.to_string(),
                            _ => return None,
                        })
                    }));
                }
                UnitItem::ModuleAlias(alias) => {
                    defined.push(alias.name.text.to_string());
                    wanted.push(alias.target.text.to_string());
                }
            }
        }
        (defined, wanted)
    };
    on_large_stack(work, |_| (Vec::new(), Vec::new()))
}

impl Build<'_> {
    pub fn parse(&mut self, files: &[SourceFile]) -> Vec<Unit> {
        let mut units = Vec::with_capacity(files.len());
        for file in files {
            match std::str::from_utf8(&file.text) {
                Ok(text) => {
                    let source = self.sources.add(file.name.as_str(), text);
                    let unit =
                        parse_into(&mut self.sources, source, &mut self.ids, &mut self.issues);
                    units.push(self.with_fetched(unit, 0));
                }
                Err(error) => {
                    let text = String::from_utf8_lossy(&file.text);
                    let source = self.sources.add(file.name.as_str(), &*text);
                    let at = error.valid_up_to();
                    let bytes = &file.text[at..file.text.len().min(at + 1)];
                    let span = Span::new(source, at as u32, at as u32);
                    let shown = bytes.first().map_or(0, |byte| *byte);
                    self.issues.push(
                        Issue::new(Code::LexBadChar, span)
                            .with("char", format!("byte {shown:#04x}"))
                            .hint("source text is UTF-8"),
                    );
                }
            }
        }
        units
    }

    /// Puts the texts of addresses in the places of the modules that name them.
    fn with_fetched(&mut self, unit: Unit, depth: u32) -> Unit {
        let mut items = Vec::with_capacity(unit.items.len());
        for item in unit.items {
            match item {
                UnitItem::Module(module) if module.source.is_some() => {
                    match self.fetched(&module, depth) {
                        Ok(unit) => items.extend(unit.items),
                        // The checker says so at the module, which stays for its name.
                        Err(why) => {
                            self.unloaded.insert(module.name.text.to_string(), why);
                            items.push(UnitItem::Module(module));
                        }
                    }
                }
                item => items.push(item),
            }
        }
        Unit { items }
    }

    fn fetched(&mut self, module: &Module, depth: u32) -> Result<Unit, String> {
        let constant = module.source.as_ref();
        let address = constant
            .and_then(fetched::address)
            .ok_or("write _source_ {url: \"https://…\"}")?;
        if depth >= fetched::MAX_DEPTH {
            return Err("its text names one more address, and so on without end".into());
        }
        let text = match self.options.texts.get(address) {
            None => return Err(fetched::NOT_HERE.into()),
            Some(Err(why)) => return Err(why.clone()),
            Some(Ok(text)) => String::from_utf8(text.clone()),
        };
        let text = text.map_err(|_| "its text is not UTF-8".to_owned())?;
        let source = self.sources.add(address, text);
        let unit = parse_into(&mut self.sources, source, &mut self.ids, &mut self.issues);
        let name = &module.name.text;
        let defines = |item: &UnitItem| match item {
            UnitItem::Module(module) => module.name.text == *name,
            UnitItem::ModuleAlias(alias) => alias.name.text == *name,
        };
        if !unit.items.iter().any(defines) {
            return Err(format!("the text at {address} has no module {name}"));
        }
        Ok(self.with_fetched(unit, depth + 1))
    }
}

/// The tree of a module of the standard library, or its issues.
pub(super) fn load_library(
    name: &str,
    sources: &mut SourceMap,
    ids: &mut NodeIds,
) -> Option<Result<Unit, Vec<Issue>>> {
    let text = mix_stdlib::source(name)?;
    let source = sources.add(format!("<library>/{name}.mix"), text);
    let (unit, issues) = parser::parse_unit(sources, source, ids);
    let broken = issues
        .iter()
        .any(|issue| issue.severity() == Severity::Error);
    Some(if broken { Err(issues) } else { Ok(unit) })
}

fn parse_into(
    sources: &mut SourceMap,
    source: SourceId,
    ids: &mut NodeIds,
    issues: &mut Vec<Issue>,
) -> Unit {
    let (unit, found) = parser::parse_unit(sources, source, ids);
    issues.extend(found);
    unit
}
