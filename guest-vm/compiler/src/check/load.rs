//! Which modules there are: loading on demand, imports before importers, instances.

use super::env::{Checked, Stop};
use super::suggest::suggest;
use super::types::Ty;
use super::{Checker, Current, ModuleKey, ModuleState, Origin};
use crate::core::{Instancing, ModuleId};
use crate::fetched;
use crate::issue::{Code, Issue};
use crate::syntax::ast::{self, Const, ConstKind, DefForm, Phrase, PhraseKind, Symbol, UnitItem};
use crate::syntax::span::Span;
use std::rc::Rc;

/// Modules that may import each other in a chain.
pub(super) const MAX_IMPORT_DEPTH: usize = 200;
impl Checker<'_> {
    /// Checks all modules of the given units.
    pub(super) fn run(&mut self, units: &[ast::Unit]) {
        let mut names: Vec<(Symbol, Span)> = Vec::new();
        for index in 0..self.options.linked.len() {
            let options = self.options;
            self.register(&options.linked[index].unit, Origin::Linked(index), None);
        }
        for unit in units {
            self.register(unit, Origin::Given, Some(&mut names));
        }
        for (name, span) in names {
            match self.require(&name, span) {
                Ok((id, _)) => {
                    if !self.program.entries.contains(&id) {
                        self.program.entries.push(id);
                    }
                }
                Err(Stop::Issue(issue)) => self.issues.push(*issue),
                Err(Stop::Silent) => self.failed = true,
            }
        }
    }

    /// Checks all modules of the given units as modules of the library.
    pub(super) fn run_library(&mut self, units: &[ast::Unit]) {
        let mut names: Vec<(Symbol, Span)> = Vec::new();
        for unit in units {
            self.register(unit, Origin::Standard, Some(&mut names));
        }
        for (name, span) in names {
            match self.require_key((Origin::Standard, name), span) {
                Err(Stop::Issue(issue)) => self.issues.push(*issue),
                Err(Stop::Silent) => self.failed = true,
                Ok(_) => {}
            }
        }
    }

    /// Makes the modules of a unit known by name.
    pub(super) fn register(
        &mut self,
        unit: &ast::Unit,
        origin: Origin,
        mut names: Option<&mut Vec<(Symbol, Span)>>,
    ) {
        for item in &unit.items {
            let (name, state) = match item {
                UnitItem::Module(module) => (&module.name, ModuleState::Waiting(module.clone())),
                UnitItem::ModuleAlias(alias) => {
                    (&alias.name, ModuleState::Alias(Rc::new(alias.clone())))
                }
            };
            let key = (origin, name.text.clone());
            if self.states.contains_key(&key) {
                let first = match self.states.get(&key) {
                    Some(ModuleState::Waiting(module)) => Some(module.name.span),
                    Some(ModuleState::Alias(alias)) => Some(alias.name.span),
                    _ => None,
                };
                let first = first.unwrap_or(name.span);
                self.issues.push(
                    Issue::new(Code::ModAmbiguous, name.span)
                        .with("name", &name.text)
                        .note(first, "the first one is here")
                        .hint("two of the given modules have this name; rename one of them"),
                );
                continue;
            }
            if let (UnitItem::Module(_), Some(names)) = (item, names.as_deref_mut()) {
                names.push((name.text.clone(), name.span));
            }
            self.states.insert(key, state);
        }
    }

    /// Loads a standard library module; false if there is none of that name.
    pub(super) fn load(&mut self, name: &str) -> Checked<bool> {
        let key = (Origin::Standard, Symbol::from(name));
        if self.states.contains_key(&key) {
            return Ok(true);
        }
        match (self.loader)(name) {
            None => Ok(false),
            Some(Ok(unit)) => {
                self.register(&unit, Origin::Standard, None);
                Ok(self.states.contains_key(&key))
            }
            Some(Err(issues)) => {
                self.issues.extend(issues);
                self.states.insert(key, ModuleState::Failed);
                Err(self.silent())
            }
        }
    }

    /// The module an import names: one of those compiled together, else a library module.
    /// Library modules see the library only.
    pub(super) fn require(
        &mut self,
        name: &Symbol,
        span: Span,
    ) -> Checked<(ModuleId, Vec<(Ty, Ty)>)> {
        let given = (Origin::Given, name.clone());
        let is_given = !self.cur.library && self.cur.linked.is_none();
        if is_given && self.states.contains_key(&given) {
            return self.require_key(given, span);
        }
        if let Some(index) = self.linked_module(name, span)? {
            return self.require_key((Origin::Linked(index), name.clone()), span);
        }
        if self.load(name)? {
            return self.require_key((Origin::Standard, name.clone()), span);
        }
        let may_suggest = self.may_suggest();
        let given = self
            .states
            .keys()
            .filter(|(origin, _)| *origin != Origin::Standard);
        let near = match may_suggest {
            true => suggest(
                name,
                given
                    .map(|(_, name)| &**name)
                    .chain(mix_stdlib::modules().iter().map(|module| module.name)),
            ),
            false => None,
        };
        Err(Issue::new(Code::ModUnknown, span)
            .with("name", name)
            .hint_if(mix_stdlib::why_absent(name))
            .hint_if(near.map(|near| format!("did you mean {near}?")))
            .hint_if(Some(match self.options.linked.is_empty() {
                true => "modules come from the given files and the standard library",
                false => "modules come from the given files and libraries and the standard library",
            }))
            .into())
    }

    /// A module that is known by name, checked now if it was not yet.
    pub(super) fn require_key(
        &mut self,
        key: ModuleKey,
        span: Span,
    ) -> Checked<(ModuleId, Vec<(Ty, Ty)>)> {
        match self.states.get(&key).cloned() {
            Some(ModuleState::Done(id)) => Ok((id, Vec::new())),
            Some(ModuleState::Failed) | None => Err(self.silent()),
            Some(ModuleState::Running) => {
                let from = self
                    .path
                    .iter()
                    .position(|other| *other == key)
                    .unwrap_or(0);
                let mut path: Vec<String> = self.path[from..]
                    .iter()
                    .map(|(_, name)| name.to_string())
                    .collect();
                path.push(key.1.to_string());
                Err(Issue::new(Code::ModCycle, span)
                    .with("path", path.join(" -> "))
                    .hint("move what both need into a module that imports neither")
                    .into())
            }
            Some(ModuleState::Alias(alias)) => {
                if self.path.len() > MAX_IMPORT_DEPTH {
                    return Err(too_deep(span));
                }
                self.path.push(key);
                let target = self.require(&alias.target.text, alias.target.span);
                self.path.pop();
                let (id, mut binds) = target?;
                binds.extend(self.type_binds(id, &alias.type_binds)?);
                Ok((id, binds))
            }
            Some(ModuleState::Waiting(module)) => {
                if self.path.len() > MAX_IMPORT_DEPTH {
                    return Err(too_deep(span));
                }
                let id = self.check_module(&module, key)?;
                Ok((id, Vec::new()))
            }
        }
    }

    /// The library that a module comes from: the highest version that has it.
    fn linked_module(&self, name: &Symbol, span: Span) -> Checked<Option<usize>> {
        if self.cur.library {
            return Ok(None);
        }
        let libraries = &self.options.linked;
        let has = |index: &usize| {
            let key = (Origin::Linked(*index), name.clone());
            self.states.contains_key(&key)
        };
        let mut found: Vec<usize> = match self.cur.linked {
            None => (0..libraries.len()).filter(has).collect(),
            Some(own) if has(&own) => return Ok(Some(own)),
            Some(own) => libraries[own].uses.iter().copied().filter(has).collect(),
        };
        found.sort_by(|a, b| libraries[*b].version.cmp(&libraries[*a].version));
        let Some(first) = found.first().copied() else {
            return Ok(None);
        };
        match found.get(1) {
            Some(other) if libraries[*other].version == libraries[first].version => {
                let (one, two) = (&libraries[first].name, &libraries[*other].name);
                Err(Issue::new(Code::ModAmbiguous, span)
                    .with("name", name)
                    .hint(format!(
                        "both {one} and {two} have it; give one of them only, or a higher version"
                    ))
                    .into())
            }
            _ => Ok(Some(first)),
        }
    }

    /// An interface that cannot be read: warnings do not count.
    fn damaged_interface(&mut self, index: usize, module: &ast::Module, issues: &[Issue]) {
        let error = issues
            .iter()
            .find(|issue| issue.severity() == crate::issue::Severity::Error);
        if let Some(error) = error {
            let library = &self.options.linked[index].name;
            let detail = format!(
                "the interface of module {} in library {library} cannot be read: {}",
                module.name.text,
                error.message()
            );
            let issue = Issue::new(Code::CompilerInternal, Span::default());
            self.issues.push(issue.with("detail", detail));
        }
    }

    pub(super) fn type_binds(
        &mut self,
        id: ModuleId,
        binds: &[ast::TypeBind],
    ) -> Checked<Vec<(Ty, Ty)>> {
        let mut result = Vec::new();
        for bind in binds {
            let vars = self.infos[id.0 as usize].type_vars.clone();
            let Some((_, var)) = vars.iter().find(|(name, _)| *name == bind.name.text) else {
                return Err(Issue::new(Code::TypeUnknown, bind.name.span)
                    .with("name", &bind.name.text)
                    .into());
            };
            let ty = self.hint(&bind.ty)?;
            result.push((*var, ty));
        }
        Ok(result)
    }

    pub(super) fn check_module(
        &mut self,
        module: &Rc<ast::Module>,
        key: ModuleKey,
    ) -> Checked<ModuleId> {
        if module.source.is_some() {
            // Nothing is known of its names, so nothing is said of their users.
            let why = self.options.unloaded.get(&*module.name.text);
            let issue = Issue::new(Code::ModSource, module.name.span)
                .with("name", &module.name.text)
                .with("why", why.map_or(fetched::NOT_HERE, String::as_str));
            self.issues.push(issue);
            self.states.insert(key, ModuleState::Failed);
            return Err(self.silent());
        }
        let library = key.0 == Origin::Standard;
        let linked = match key.0 {
            Origin::Linked(index) => Some(index),
            _ => None,
        };
        self.states.insert(key.clone(), ModuleState::Running);
        self.path.push(key.clone());
        let level = std::mem::replace(&mut self.types.level, 1);
        let trail = self.types.set_aside();
        let outer = std::mem::replace(&mut self.cur, Current::empty());
        self.cur.library = library;
        self.cur.linked = linked;
        // Imported modules first: whether they have state decides whether this one has.
        // Errors are reported at the phrase, unless they lie in the imported module itself.
        for phrase in &module.phrases {
            if let PhraseKind::Import(import) = &phrase.kind {
                let _ = self.require(&import.module.text, import.module.span);
            }
        }
        let known = linked.and_then(|index| {
            let kinds = &self.options.linked[index].instancing;
            kinds.get(&*module.name.text).copied()
        });
        let mut instancing = known.unwrap_or_else(|| self.instancing(module));
        let mut again = None;
        let id = loop {
            let id = self.module_pass(module, key.0, instancing, again);
            if self.cur.needs_instance && instancing == Instancing::Shared && known.is_none() {
                instancing = Instancing::PerImport;
                again = Some(id);
                continue;
            }
            break id;
        };
        let done = std::mem::replace(&mut self.cur, outer);
        self.types.here = self.cur.name.clone();
        // An interface is no text of the user's: what may be wrong with it is the library's.
        match done
            .linked
            .filter(|_| done.failed || !done.issues.is_empty())
        {
            Some(index) => self.damaged_interface(index, module, &done.issues),
            None => self.issues.extend(done.issues),
        }
        self.failed |= done.failed;
        self.types.level = level;
        self.types.resume(trail);
        self.path.pop();
        self.states.insert(key, ModuleState::Done(id));
        Ok(id)
    }

    /// Whether a module has state of its own.
    pub(super) fn instancing(&mut self, module: &ast::Module) -> Instancing {
        let singleton = module.is_static || module.phrases.iter().any(is_singleton);
        let stateful = module.phrases.iter().any(|phrase| match &phrase.kind {
            PhraseKind::Cell(_)
            | PhraseKind::Alias(_)
            | PhraseKind::Initializer(_)
            | PhraseKind::Observer(_) => true,
            PhraseKind::Def(def) => matches!(def.form, DefForm::Effect { .. }),
            PhraseKind::Import(import) => {
                match self.require(&import.module.text, import.module.span) {
                    Ok((id, _)) => self.infos[id.0 as usize].instancing == Instancing::PerImport,
                    Err(_) => false,
                }
            }
            _ => false,
        });
        if !module.params.is_empty() && !singleton {
            Instancing::PerImport
        } else if !stateful {
            Instancing::Shared
        } else if singleton {
            Instancing::PerView
        } else {
            Instancing::PerImport
        }
    }
}

pub(super) fn too_deep(span: Span) -> Stop {
    Issue::new(Code::SynNesting, span)
        .with("what", "the chain of imports is too long")
        .with("limit", format!("{MAX_IMPORT_DEPTH} modules"))
        .into()
}

pub(super) fn is_singleton(phrase: &Phrase) -> bool {
    let PhraseKind::Pragma(Const {
        kind: ConstKind::Object(entries),
        ..
    }) = &phrase.kind
    else {
        return false;
    };
    entries.iter().any(|(name, value)| {
        &*name.text == "singleton" && matches!(value.kind, ConstKind::Bool(true))
    })
}
