//! What the modules of a session see of it: its definitions, whose names are global (language 4.10, 8).
//!
//! They stand once more in a module of their own, because the module of the session imports those that are
//! entered. Left out is what a module cannot name: cells and what reads them, and what uses modules
//! that are entered or given.

use crate::issue::Severity;
use crate::pipeline::{Build, GLOBALS};
use crate::syntax::ast::{
    DefForm, Ident, Module, Phrase, PhraseKind, SessionItem, Symbol, Unit, UnitItem,
};
use crate::syntax::parser;
use crate::syntax::span::Span;
use crate::tables::HashSet;
use std::rc::Rc;

impl Build<'_> {
    /// Makes the definitions in the texts visible in the modules with these names. `given` are the
    /// units of files. Gives the unit to be compiled with the modules, if there is anything to see.
    pub(super) fn globals(
        &mut self,
        texts: &[&str],
        modules: HashSet<Symbol>,
        given: &[Unit],
    ) -> Option<Unit> {
        if modules.is_empty() {
            return None;
        }
        let mut phrases = Vec::new();
        for text in texts {
            let source = self.sources.add("<session>", *text);
            let (items, _) = parser::parse_session(&mut self.sources, source, &mut self.ids);
            phrases.extend(items.into_iter().filter_map(|item| match item {
                SessionItem::Phrase(phrase) if is_global(&phrase) => Some(phrase),
                _ => None,
            }));
        }
        let elsewhere = |phrase: &Phrase| match &phrase.kind {
            PhraseKind::Import(import) => names_unit(given, &import.module, &modules),
            PhraseKind::ModuleAlias(alias) => names_unit(given, &alias.target, &modules),
            _ => false,
        };
        phrases.retain(|phrase| !elsewhere(phrase));
        while !phrases.is_empty() {
            let unit = unit_of(phrases.clone());
            let errors = self.try_out(&unit);
            if errors.is_empty() {
                self.session_modules = modules;
                return Some(unit);
            }
            let before = phrases.len();
            phrases.retain(|phrase| !errors.iter().any(|at| overlap(*at, phrase.span)));
            if phrases.len() == before {
                return None;
            }
        }
        None
    }

    /// The places of what is wrong with a unit that stands alone.
    fn try_out(&mut self, unit: &Unit) -> Vec<Span> {
        let unloaded = self.unloaded.clone();
        let kept = (
            std::mem::take(&mut self.issues),
            std::mem::take(&mut self.session_types),
        );
        self.check(std::slice::from_ref(unit), None);
        let found = std::mem::replace(&mut self.issues, kept.0);
        self.session_types = kept.1;
        self.unloaded = unloaded;
        let errors = found
            .iter()
            .filter(|issue| issue.severity() == Severity::Error);
        errors.map(|issue| issue.span).collect()
    }
}

/// Whether a phrase defines something that is neither a cell nor an effect.
fn is_global(phrase: &Phrase) -> bool {
    match &phrase.kind {
        PhraseKind::Def(def) => !matches!(def.form, DefForm::Effect { .. }),
        PhraseKind::Import(_)
        | PhraseKind::ForeignDef(_)
        | PhraseKind::Case(_)
        | PhraseKind::Type(_)
        | PhraseKind::Pragma(_)
        | PhraseKind::ModuleAlias(_) => true,
        _ => false,
    }
}

fn names_unit(given: &[Unit], name: &Ident, modules: &HashSet<Symbol>) -> bool {
    modules.contains(&name.text)
        || given.iter().flat_map(|unit| &unit.items).any(|item| {
            let own = match item {
                UnitItem::Module(module) => &module.name,
                UnitItem::ModuleAlias(alias) => &alias.name,
            };
            own.text == name.text
        })
}

fn overlap(one: Span, other: Span) -> bool {
    one.source == other.source && one.start <= other.end && other.start <= one.end
}

fn unit_of(phrases: Vec<Phrase>) -> Unit {
    let span = phrases.first().map_or(Span::default(), |first| first.span);
    let module = Module {
        is_static: false,
        name: super::ident(GLOBALS, span),
        type_vars: Vec::new(),
        params: Vec::new(),
        meta: None,
        source: None,
        phrases,
        span,
    };
    Unit {
        items: vec![UnitItem::Module(Rc::new(module))],
    }
}
