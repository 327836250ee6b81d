//! Interfaces: what a compiled library tells compilers of its modules, as Mix source.
//!
//! A module keeps its head, imports, types and cases as they were written. Every public def and
//! cell is declared with the type that was found and defined as `undefined`, functions with as
//! many parameters as they have: checking this text gives others what checking the module would
//! have given them. Its code is never used, the functions of the library are called instead.

use super::Checker;
use crate::core::{self, SlotKind};
use crate::syntax::ast::{self, CellForm, DefForm, PhraseKind, Symbol, TypeExpr, Unit, UnitItem};
use crate::syntax::source::SourceMap;
use crate::syntax::span::Span;
use crate::tables::HashMap;
use std::fmt::Write;

impl Checker<'_> {
    /// The interfaces of checked modules.
    pub(super) fn interfaces(
        &mut self,
        units: &[Unit],
        sources: &SourceMap,
    ) -> Vec<(String, String)> {
        let mut all = Vec::new();
        for item in units.iter().flat_map(|unit| &unit.items) {
            match item {
                UnitItem::Module(module) => {
                    let found = self
                        .program
                        .entries
                        .iter()
                        .find(|id| self.program.module(**id).name == module.name.text);
                    if let Some(id) = found.copied() {
                        let text = self.interface(module, id, sources);
                        all.push((module.name.text.to_string(), text));
                    }
                }
                UnitItem::ModuleAlias(alias) => {
                    let text = written(sources, alias.span).to_owned() + "\n";
                    all.push((alias.name.text.to_string(), text));
                }
            }
        }
        all
    }

    fn interface(
        &mut self,
        module: &ast::Module,
        id: core::ModuleId,
        sources: &SourceMap,
    ) -> String {
        let at = id.0 as usize;
        self.types.start_phrase();
        self.types.here = module.name.text.clone();
        let mut out = self.head(module, at, sources);
        // Declared types may say more than those that were found: they are kept as written.
        let mut declared: HashMap<&Symbol, &TypeExpr> = HashMap::default();
        let mut metas: HashMap<&Symbol, Span> = HashMap::default();
        for phrase in &module.phrases {
            let (name, ty, meta) = match &phrase.kind {
                PhraseKind::Def(def) => match &def.form {
                    DefForm::Declaration { ty, meta } => (&def.name, Some(ty), meta),
                    DefForm::Value { meta, .. } => (&def.name, None, meta),
                    _ => continue,
                },
                PhraseKind::Cell(cell) => match &cell.form {
                    CellForm::Declaration { ty, meta } => (&cell.name, Some(ty), meta),
                    CellForm::Value { meta, .. } => (&cell.name, None, meta),
                    _ => continue,
                },
                PhraseKind::Import(import) => {
                    out.push_str("import ");
                    if let Some(binding) = &import.binding {
                        let _ = write!(out, "{} = ", binding.text);
                    }
                    out.push_str(&import.module.text);
                    self.binds(&import.type_binds, sources, &mut out);
                    out.push('\n');
                    continue;
                }
                PhraseKind::Case(_) | PhraseKind::Type(_) | PhraseKind::ModuleAlias(_) => {
                    let _ = writeln!(out, "{}", written(sources, phrase.span));
                    continue;
                }
                PhraseKind::ForeignDef(def) if !def.private && def.arms.is_empty() => {
                    let _ = writeln!(out, "{}", written(sources, phrase.span));
                    continue;
                }
                _ => continue,
            };
            if let Some(ty) = ty {
                declared.insert(&name.text, ty);
            }
            if let Some(meta) = meta {
                metas.insert(&name.text, meta.span);
            }
        }
        for (index, slot) in self.program.module(id).slots.clone().iter().enumerate() {
            let newest = self.program.module(id).find(&slot.name);
            if slot.private || newest != Some(core::SlotId(index as u32)) {
                continue;
            }
            let Some(member) = self.infos[at].members.get(&slot.name) else {
                continue;
            };
            let found = member.ty;
            let ty = match declared.get(&slot.name) {
                Some(ty) => written(sources, ty.span).to_owned(),
                None => self.types.written(found),
            };
            let meta = match metas.get(&slot.name) {
                Some(span) => format!(" {}", meta_text(sources, *span)),
                None => String::new(),
            };
            define(&mut out, slot, &ty, &meta);
        }
        out.push_str("module end\n");
        out
    }

    /// `module M[A](x: T)` with what follows it.
    fn head(&mut self, module: &ast::Module, at: usize, sources: &SourceMap) -> String {
        let mut out = match module.is_static {
            true => format!("static module {}", module.name.text),
            false => format!("module {}", module.name.text),
        };
        if !module.type_vars.is_empty() {
            let vars: Vec<&str> = module.type_vars.iter().map(|var| &*var.text).collect();
            let _ = write!(out, "[{}]", vars.join(", "));
        }
        if !module.params.is_empty() {
            let mut params = Vec::new();
            for (param, ty) in module.params.iter().zip(self.infos[at].params.clone()) {
                params.push(format!("{}: {}", param.name.text, self.types.written(ty)));
            }
            let _ = write!(out, "({})", params.join(", "));
        }
        if let Some(meta) = &module.meta {
            let _ = write!(out, " {}", meta_text(sources, meta.span));
        }
        out.push('\n');
        if !module.is_static && module.phrases.iter().any(super::load::is_singleton) {
            out.push_str("_pragma_ {singleton: true}\n");
        }
        out
    }

    fn binds(&self, binds: &[ast::TypeBind], sources: &SourceMap, out: &mut String) {
        let binds: Vec<String> = binds
            .iter()
            .map(|bind| format!("{} = {}", bind.name.text, written(sources, bind.ty.span)))
            .collect();
        if !binds.is_empty() {
            let _ = write!(out, "[{}]", binds.join(", "));
        }
    }
}

fn define(out: &mut String, slot: &core::Slot, ty: &str, meta: &str) {
    let name = &slot.name;
    let _ = match &slot.kind {
        SlotKind::Function(function) => {
            let params = vec!["_"; function.params.len()].join(", ");
            writeln!(
                out,
                "def {name} : {ty}{meta}\ndef {name}({params}) = undefined"
            )
        }
        // Without replacements it stands there as written.
        SlotKind::Foreign(foreign) if !foreign.arms.is_empty() => {
            let params = vec!["_"; foreign.arity as usize].join(", ");
            match foreign.arity {
                0 => writeln!(out, "def {name} : {ty}{meta}\ndef {name} = undefined"),
                _ => writeln!(
                    out,
                    "def {name} : {ty}{meta}\ndef {name}({params}) = undefined"
                ),
            }
        }
        SlotKind::Value(_) => writeln!(out, "def {name} : {ty}{meta}\ndef {name} = undefined"),
        SlotKind::Cell(cell) => {
            let var = match cell.kind {
                core::CellKind::Var => "var ",
                _ => "",
            };
            writeln!(out, "{var}cell {name} : {ty}{meta} = undefined")
        }
        SlotKind::Alias(alias) => {
            let var = match alias.assignable {
                true => "var ",
                false => "",
            };
            writeln!(out, "{var}cell {name} : {ty} = undefined")
        }
        _ => Ok(()),
    };
}

fn written(sources: &SourceMap, span: Span) -> &str {
    sources
        .get(span.source)
        .and_then(|source| source.text.get(span.start as usize..span.end as usize))
        .unwrap_or("")
}

/// `_meta_ {…}`
fn meta_text(sources: &SourceMap, span: Span) -> String {
    let text = written(sources, span);
    match text.starts_with("_meta_") {
        true => text.to_owned(),
        false => format!("_meta_ {text}"),
    }
}
