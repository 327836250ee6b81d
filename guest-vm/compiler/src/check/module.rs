//! Modules: loading on demand, phrases in text order, instances.

use super::env::{
    CaseInfo, Checked, FunctionScope, ImportInfo, Member, MemberKind, ModuleInfo, Place, Stop,
};
use super::lambda::{body, is_value};
use super::suggest::suggest;
use super::types::{Node, Range, Ty};
use super::{Checker, Current, ModuleKey, ModuleState};
use crate::core::{
    self, AliasCell, Cell, CellKind, Expr, ExprKind, ForeignArm, ForeignFunction, ForeignKind,
    Function, FunctionName, Instancing, ModuleId, ModuleParam, Slot, SlotId, SlotKind,
};
use crate::issue::{Code, Issue};
use crate::syntax::ast::{
    self, CellForm, CellSort, Const, ConstKind, DefForm, Ident, Phrase, PhraseKind, Symbol,
    UnitItem,
};
use crate::syntax::span::Span;
use std::collections::{HashMap, HashSet};
use std::rc::Rc;

/// Modules that may import each other in a chain.
const MAX_IMPORT_DEPTH: usize = 200;

impl Checker<'_> {
    /// Checks all modules of the given units.
    pub(super) fn run(&mut self, units: &[ast::Unit]) {
        let mut names: Vec<(Symbol, Span)> = Vec::new();
        for unit in units {
            self.register(unit, false, Some(&mut names));
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

    /// Makes the modules of a unit known by name.
    fn register(
        &mut self,
        unit: &ast::Unit,
        library: bool,
        mut names: Option<&mut Vec<(Symbol, Span)>>,
    ) {
        for item in &unit.items {
            let (name, state) = match item {
                UnitItem::Module(module) => {
                    (&module.name, ModuleState::Waiting(Rc::new(module.clone())))
                }
                UnitItem::ModuleAlias(alias) => {
                    (&alias.name, ModuleState::Alias(Rc::new(alias.clone())))
                }
            };
            let key = (library, name.text.clone());
            if self.states.contains_key(&key) {
                self.issues.push(
                    Issue::new(Code::ModAmbiguous, name.span)
                        .with("name", &name.text)
                        .hint("two of the given files define a module of this name"),
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
        let key = (true, Symbol::from(name));
        if self.states.contains_key(&key) {
            return Ok(true);
        }
        match (self.loader)(name) {
            None => Ok(false),
            Some(Ok(unit)) => {
                self.register(&unit, true, None);
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
        let given = (false, name.clone());
        if !self.cur.library && self.states.contains_key(&given) {
            return self.require_key(given, span);
        }
        if self.load(name)? {
            return self.require_key((true, name.clone()), span);
        }
        let known: Vec<Symbol> = self.states.keys().map(|(_, name)| name.clone()).collect();
        let issue = Issue::new(Code::ModUnknown, span).with("name", name);
        Err(match suggest(name, known.iter().map(|name| &**name)) {
            Some(hint) => issue.hint(format!("did you mean {hint}?")).into(),
            None => issue.into(),
        })
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

    fn type_binds(&mut self, id: ModuleId, binds: &[ast::TypeBind]) -> Checked<Vec<(Ty, Ty)>> {
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

    fn check_module(&mut self, module: &Rc<ast::Module>, key: ModuleKey) -> Checked<ModuleId> {
        let library = key.0;
        self.states.insert(key.clone(), ModuleState::Running);
        self.path.push(key.clone());
        let level = std::mem::replace(&mut self.types.level, 1);
        let outer = std::mem::replace(&mut self.cur, Current::empty());
        self.cur.library = library;
        // Imported modules first: whether they have state decides whether this one has.
        // Errors are reported at the phrase, unless they lie in the imported module itself.
        for phrase in &module.phrases {
            if let PhraseKind::Import(import) = &phrase.kind {
                let _ = self.require(&import.module.text, import.module.span);
            }
        }
        let mut instancing = self.instancing(module);
        let mut again = None;
        let id = loop {
            let id = self.module_pass(module, library, instancing, again);
            if self.cur.needs_instance && instancing == Instancing::Shared {
                instancing = Instancing::PerImport;
                again = Some(id);
                continue;
            }
            break id;
        };
        let done = std::mem::replace(&mut self.cur, outer);
        self.issues.extend(done.issues);
        self.failed |= done.failed;
        self.types.level = level;
        self.path.pop();
        self.states.insert(key, ModuleState::Done(id));
        Ok(id)
    }

    /// Whether a module has state of its own.
    fn instancing(&mut self, module: &ast::Module) -> Instancing {
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

    fn module_pass(
        &mut self,
        module: &ast::Module,
        library: bool,
        instancing: Instancing,
        again: Option<ModuleId>,
    ) -> ModuleId {
        let id = again.unwrap_or(ModuleId(self.program.modules.len() as u32));
        let name = module.name.text.clone();
        self.cur = Current::empty();
        self.cur.id = id;
        self.cur.name = name.clone();
        self.cur.library = library;
        self.cur.is_static = module.is_static || module.phrases.iter().any(is_singleton);
        let blank = core::Module {
            name: name.clone(),
            instancing,
            library,
            params: Vec::new(),
            slots: Vec::new(),
            actions: Vec::new(),
            observers: Vec::new(),
            initializer: None,
            checks: Vec::new(),
            meta: module.meta.clone(),
            with_cells: false,
            span: module.span,
        };
        let info = ModuleInfo {
            name,
            instancing,
            params: Vec::new(),
            type_vars: Vec::new(),
            members: HashMap::new(),
            types: HashMap::new(),
            broken_types: HashSet::new(),
        };
        match again {
            Some(_) => {
                self.program.modules[id.0 as usize] = blank;
                self.infos[id.0 as usize] = info;
            }
            None => {
                self.program.modules.push(blank);
                self.infos.push(info);
            }
        }
        self.types.start_phrase();
        if let Err(stop) = self.header(module) {
            self.report(stop);
        }
        self.allocate_slots(module);
        for phrase in &module.phrases {
            self.phrase_in_module(phrase);
        }
        self.finish_module(module);
        id
    }

    fn header(&mut self, module: &ast::Module) -> Checked<()> {
        let at = self.cur.id.0 as usize;
        if module.source.is_some() {
            return Err(Issue::new(Code::ModSource, module.name.span)
                .with("name", &module.name.text)
                .with(
                    "why",
                    "modules from addresses are not supported by this compiler yet",
                )
                .into());
        }
        if self.cur.is_static && !module.params.is_empty() {
            return Err(Issue::new(Code::ModStaticParams, module.params[0].span).into());
        }
        for var in &module.type_vars {
            let rigid = self.types.add(Node::Rigid {
                name: var.text.clone(),
                range: Range::Any,
            });
            self.infos[at].type_vars.push((var.text.clone(), rigid));
        }
        self.start_type_names();
        for (index, param) in module.params.iter().enumerate() {
            let ty = match &param.ty {
                Some(ty) => self.hint(ty)?,
                None => self.types.fresh(),
            };
            self.infos[at].params.push(ty);
            let unnamed = &*param.name.text == "_";
            if unnamed {
                continue;
            }
            if self.infos[at].members.contains_key(&param.name.text) {
                return Err(Issue::new(Code::NameDupParam, param.name.span)
                    .with("name", &param.name.text)
                    .into());
            }
            let slot = self.new_slot(&param.name, true, SlotKind::Param(index as u32));
            self.infos[at].members.insert(
                param.name.text.clone(),
                Member {
                    kind: MemberKind::Param,
                    slot,
                    private: true,
                    ty,
                    declared: false,
                    defined: true,
                    meta: None,
                },
            );
        }
        Ok(())
    }

    fn start_type_names(&mut self) {
        let vars = self.infos[self.cur.id.0 as usize].type_vars.clone();
        self.cur.type_names = vars.into_iter().collect();
    }

    fn new_slot(&mut self, name: &Ident, private: bool, kind: SlotKind) -> SlotId {
        self.cur.slots.push(Slot {
            name: name.text.clone(),
            private,
            kind,
            span: name.span,
        });
        let slot = SlotId(self.cur.slots.len() as u32 - 1);
        self.cur.slot_of.insert(name.text.clone(), slot);
        slot
    }

    /// Gives every name its slot, in the order of the last definitions: instances are
    /// created in that order.
    fn allocate_slots(&mut self, module: &ast::Module) {
        let mut last: HashMap<&Symbol, usize> = HashMap::new();
        for (index, phrase) in module.phrases.iter().enumerate() {
            for (name, _, defines) in defined_names(phrase) {
                if defines || !last.contains_key(&name.text) {
                    last.insert(&name.text, index);
                }
            }
        }
        for (index, phrase) in module.phrases.iter().enumerate() {
            for (name, private, _) in defined_names(phrase) {
                if last.get(&name.text) == Some(&index)
                    && !self.cur.slot_of.contains_key(&name.text)
                {
                    self.new_slot(name, private, SlotKind::Broken);
                }
            }
        }
    }

    /// Records an issue of the module under work.
    fn report(&mut self, stop: Stop) {
        match stop {
            Stop::Issue(issue) => {
                self.cur.failed = true;
                self.cur.issues.push(*issue);
            }
            Stop::Silent => self.cur.failed = true,
        }
    }

    /// Records a warning.
    pub(super) fn warn(&mut self, issue: Issue) {
        if self.cur.pragmas.wants(issue.code)
            && !self.cur.library
            && !self.cur.issues.contains(&issue)
        {
            self.cur.issues.push(issue);
        }
    }

    fn phrase_in_module(&mut self, phrase: &Phrase) {
        self.types.start_phrase();
        self.types.level = 1;
        self.start_type_names();
        self.cur.functions.clear();
        self.cur.waits.clear();
        self.cur.sums.clear();
        self.cur.dependencies.clear();
        self.cur.defining = None;
        self.cur.declaring = None;
        self.cur.this_cell = None;
        self.cur.defining_type = None;
        let outcome = self.phrase(phrase);
        let outcome = outcome.and_then(|()| {
            self.settle_above(0)?;
            self.verify_sums()
        });
        if let Err(stop) = outcome {
            self.report(stop);
            self.poison(phrase);
        }
    }

    /// The names of a phrase with an error are known, but using them says nothing.
    fn poison(&mut self, phrase: &Phrase) {
        let at = self.cur.id.0 as usize;
        for (name, private, _) in defined_names(phrase) {
            let slot = match self.cur.slot_of.get(&name.text) {
                Some(slot) => *slot,
                None => self.new_slot(name, private, SlotKind::Broken),
            };
            match self.infos[at].members.get_mut(&name.text) {
                // A declared type is good enough for the users of the name.
                Some(member) if member.declared => member.defined = true,
                _ => {
                    self.infos[at].members.insert(
                        name.text.clone(),
                        Member {
                            kind: MemberKind::Broken,
                            slot,
                            private: false,
                            ty: Ty::DATA,
                            declared: false,
                            defined: true,
                            meta: None,
                        },
                    );
                }
            }
        }
        match &phrase.kind {
            PhraseKind::Type(def) => {
                self.infos[at].broken_types.insert(def.name.text.clone());
            }
            PhraseKind::Broken(broken) => {
                for name in &broken.types {
                    self.infos[at].broken_types.insert(name.text.clone());
                }
            }
            _ => {}
        }
    }

    fn phrase(&mut self, phrase: &Phrase) -> Checked<()> {
        match &phrase.kind {
            PhraseKind::Import(import) => self.import(import),
            PhraseKind::Declare(declare) => {
                let mut types = Vec::new();
                for param in &declare.params {
                    types.push(match &param.ty {
                        Some(ty) => self.hint(ty)?,
                        None => Ty::DATA,
                    });
                }
                self.cur
                    .declared_views
                    .insert(declare.module.text.clone(), types);
                Ok(())
            }
            PhraseKind::Def(def) => self.def(def, phrase.span),
            PhraseKind::ForeignDef(def) => self.foreign_def(def, phrase.span),
            PhraseKind::Cell(cell) => self.cell(cell, phrase.span),
            PhraseKind::Alias(alias) => {
                self.alias(&alias.name, &alias.target, None, false, true, phrase.span)
            }
            PhraseKind::Initializer(block) => {
                self.no_cells_forbidden(phrase.span)?;
                let (function, _) =
                    self.effect_body(FunctionName::Initializer, phrase.span, |checker| {
                        checker.do_block(block, block.span, None)
                    })?;
                self.cur.initializer = Some(function);
                Ok(())
            }
            PhraseKind::Observer(observer) => self.observer(observer, phrase.span),
            PhraseKind::Case(def) => self.case_def(def),
            PhraseKind::Type(def) => self.type_definition(def, phrase.span),
            PhraseKind::Pragma(constant) => {
                let mut pragmas = self.cur.pragmas.clone();
                let outcome = pragmas.apply(constant);
                self.cur.pragmas = pragmas;
                outcome.map_err(Stop::from)
            }
            PhraseKind::ModuleAlias(alias) => {
                let (id, mut binds) = self.require(&alias.target.text, alias.target.span)?;
                binds.extend(self.type_binds(id, &alias.type_binds)?);
                self.import_member(&alias.name, id, binds, None, alias.span)
            }
            PhraseKind::Broken(_) => Err(Stop::Silent),
        }
    }

    /// Checks that a name may be defined as a sort of thing; gives the declared type.
    fn may_define(&mut self, name: &Ident, sort: &'static str) -> Checked<Option<Ty>> {
        let Some(member) = self.own_member(&name.text) else {
            return Ok(None);
        };
        if matches!(member.kind, MemberKind::Broken) {
            return Ok(None);
        }
        if member.kind.sort() != sort {
            return Err(Issue::new(Code::NameKind, name.span)
                .with("name", &name.text)
                .with("old", member.kind.sort())
                .with("new", sort)
                .into());
        }
        if member.defined {
            self.warn(Issue::new(Code::WarnRedefined, name.span).with("name", &name.text));
        }
        Ok(member.declared.then_some(member.ty))
    }

    fn slot_for(&mut self, name: &Ident, private: bool) -> SlotId {
        match self.cur.slot_of.get(&name.text) {
            Some(slot) => *slot,
            None => self.new_slot(name, private, SlotKind::Broken),
        }
    }

    fn define(
        &mut self,
        name: &Ident,
        private: bool,
        kind: MemberKind,
        ty: Ty,
        meta: Option<Const>,
        slot_kind: SlotKind,
    ) {
        let slot = self.slot_for(name, private);
        let at = self.cur.id.0 as usize;
        let old = self.infos[at].members.get(&name.text).cloned();
        let declared = old.as_ref().is_some_and(|old| old.declared);
        let private = private || (declared && old.as_ref().is_some_and(|old| old.private));
        let entry = &mut self.cur.slots[slot.0 as usize];
        entry.kind = slot_kind;
        entry.private = private;
        entry.span = name.span;
        self.infos[at].members.insert(
            name.text.clone(),
            Member {
                kind,
                slot,
                private,
                ty,
                declared,
                defined: true,
                meta: meta.or(old.and_then(|old| old.meta)),
            },
        );
    }

    fn declare(
        &mut self,
        name: &Ident,
        private: bool,
        kind: MemberKind,
        ty: Ty,
        meta: Option<Const>,
    ) {
        let slot = self.slot_for(name, private);
        let at = self.cur.id.0 as usize;
        let defined = self.infos[at]
            .members
            .get(&name.text)
            .is_some_and(|member| member.defined && !matches!(member.kind, MemberKind::Broken));
        self.cur.slots[slot.0 as usize].private = private;
        self.cur.slots[slot.0 as usize].span = name.span;
        self.infos[at].members.insert(
            name.text.clone(),
            Member {
                kind,
                slot,
                private,
                ty,
                declared: true,
                defined,
                meta,
            },
        );
    }

    /// Runs a check inside a body without parameters.
    fn in_body<T>(
        &mut self,
        place: Place,
        appstate: bool,
        run: impl FnOnce(&mut Self) -> Checked<T>,
    ) -> Checked<(T, FunctionScope)> {
        self.cur.functions.push(FunctionScope::new(place, false));
        if appstate {
            self.offer_appstate();
        }
        let outcome = run(self);
        let settled = if outcome.is_ok() {
            self.settle()
        } else {
            Ok(())
        };
        let scope = self.close_function();
        let value = outcome?;
        settled?;
        Ok((value, scope))
    }

    fn effect_body(
        &mut self,
        name: FunctionName,
        span: Span,
        run: impl FnOnce(&mut Self) -> Checked<(Expr, Ty)>,
    ) -> Checked<(Function, Ty)> {
        let ((expr, ty), scope) = self.in_body(Place::Effect, true, run)?;
        Ok((body(name, scope, expr, span), ty))
    }

    fn def(&mut self, def: &ast::Def, span: Span) -> Checked<()> {
        let place = if self.cur.is_static {
            Place::StaticDef
        } else {
            Place::Def
        };
        match &def.form {
            DefForm::Declaration { ty, meta } => {
                self.may_declare(&def.name, "def")?;
                let ty = self.declared_type(ty)?;
                self.declare(&def.name, def.private, MemberKind::Def, ty, meta.clone());
                Ok(())
            }
            DefForm::Effect { body: e } => {
                let ((expr, _), scope) = self.in_body(place, false, |checker| checker.infer(e))?;
                let function = body(FunctionName::Effect, scope, expr, span);
                self.new_slot(&def.name, true, SlotKind::Effect(function));
                Ok(())
            }
            DefForm::Value { ty, meta, body: e } => {
                let declared = self.may_define(&def.name, "def")?;
                let general = is_value(e);
                self.definition(
                    def,
                    declared,
                    general,
                    meta.clone(),
                    place,
                    span,
                    |checker, expected| match (expected, ty) {
                        (Some(expected), None) => Ok((checker.check(e, expected)?, expected)),
                        (Some(expected), Some(hint)) => {
                            let hint = checker.hint(hint)?;
                            let expr = checker.check(e, hint)?;
                            Ok((checker.coerce(expr, hint, expected, e.span)?, expected))
                        }
                        (None, Some(hint)) => {
                            let hint = checker.hint(hint)?;
                            Ok((checker.check(e, hint)?, hint))
                        }
                        (None, None) => checker.infer(e),
                    },
                )
            }
            DefForm::Function {
                params,
                result,
                body: e,
            } => {
                let declared = self.may_define(&def.name, "def")?;
                self.definition(
                    def,
                    declared,
                    true,
                    None,
                    place,
                    span,
                    |checker, expected| {
                        let (expr, ty) =
                            checker.shorthand(params, result.as_ref(), e, expected, span)?;
                        match expected {
                            Some(expected) => {
                                Ok((checker.coerce(expr, ty, expected, span)?, expected))
                            }
                            None => Ok((expr, ty)),
                        }
                    },
                )
            }
        }
    }

    fn may_declare(&mut self, name: &Ident, sort: &'static str) -> Checked<()> {
        if let Some(member) = self.own_member(&name.text)
            && !matches!(member.kind, MemberKind::Broken)
            && member.kind.sort() != sort
        {
            return Err(Issue::new(Code::NameKind, name.span)
                .with("name", &name.text)
                .with("old", member.kind.sort())
                .with("new", sort)
                .into());
        }
        Ok(())
    }

    #[allow(clippy::too_many_arguments)]
    fn definition(
        &mut self,
        def: &ast::Def,
        declared: Option<Ty>,
        general: bool,
        meta: Option<Const>,
        place: Place,
        span: Span,
        run: impl FnOnce(&mut Self, Option<Ty>) -> Checked<(Expr, Ty)>,
    ) -> Checked<()> {
        let expected = declared.map(|declared| {
            let rigid = self.types.rigid_copy(declared);
            self.cur.declaring = Some((def.name.text.clone(), declared));
            rigid
        });
        self.cur.defining = Some(def.name.text.clone());
        let general = general || declared.is_some();
        if general {
            self.types.level = 2;
        }
        let outcome = self.in_body(place, false, |checker| run(checker, expected));
        if general {
            if outcome.is_ok() {
                self.settle_above(1)?;
            }
            self.types.level = 1;
        }
        let ((expr, ty), scope) = outcome?;
        self.refuse_appstate(ty, span)?;
        self.moderate(ty, span)?;
        let ty = match declared {
            Some(declared) => declared,
            None => {
                if general {
                    self.types.generalize(ty);
                }
                ty
            }
        };
        let slot_kind = self.def_slot(&def.name.text, expr, scope, span);
        self.define(&def.name, def.private, MemberKind::Def, ty, meta, slot_kind);
        Ok(())
    }

    /// A function slot if the right side is a function as it stands, else a value slot.
    fn def_slot(
        &mut self,
        name: &Symbol,
        expr: Expr,
        scope: FunctionScope,
        span: Span,
    ) -> SlotKind {
        match expr.kind {
            ExprKind::Lambda(function) if function.captures.is_empty() => {
                let mut function = *function;
                function.name = FunctionName::Def(name.clone());
                SlotKind::Function(function)
            }
            kind => SlotKind::Value(body(
                FunctionName::Def(name.clone()),
                scope,
                Expr {
                    kind,
                    span: expr.span,
                },
                span,
            )),
        }
    }

    fn foreign_def(&mut self, def: &ast::ForeignDef, span: Span) -> Checked<()> {
        self.may_define(&def.name, "def")?;
        let ty = self.declared_type(&def.ty)?;
        let arity = self.types.arity(ty);
        let (params, _) = self.types.peel(ty, 1);
        let nullary = arity == 1
            && params
                .first()
                .is_some_and(|param| self.types.find(*param) == Ty::NULL);
        let host = def.host.text.clone();
        let kind = if host.starts_with('#') {
            if !self.cur.library {
                return Err(Issue::new(Code::NameUnbound, def.host.span)
                    .with("name", &host)
                    .hint("names starting with # are builtins of the standard library")
                    .into());
            }
            ForeignKind::Builtin
        } else {
            ForeignKind::Import
        };
        let mut arms = Vec::new();
        for arm in &def.arms {
            let rigid = self.types.rigid_copy(ty);
            let (expr, scope) =
                self.in_body(Place::Def, false, |checker| checker.check(&arm.body, rigid))?;
            arms.push(ForeignArm {
                environment: arm.environment.text.clone(),
                body: body(FunctionName::Def(def.name.text.clone()), scope, expr, span),
            });
        }
        let slot = SlotKind::Foreign(ForeignFunction {
            host,
            kind,
            arity,
            nullary,
            arms,
        });
        self.define(&def.name, def.private, MemberKind::Def, ty, None, slot);
        Ok(())
    }

    fn case_def(&mut self, def: &ast::CaseDef) -> Checked<()> {
        for case in &def.cases {
            self.may_define(&case.name, "case")?;
            let argument = match &case.argument {
                Some(ty) => Some(self.declared_type(ty)?),
                None => None,
            };
            let full_name: Symbol = if self.cur.name.is_empty()
                || self.options.session.as_deref() == Some(&*self.cur.name)
            {
                case.name.text.clone()
            } else {
                format!("{}.{}", self.cur.name, case.name.text).into()
            };
            if full_name.len() > 256 {
                return Err(Issue::new(Code::SynNesting, case.name.span)
                    .with("what", "a case name")
                    .with("limit", 256)
                    .into());
            }
            let info = CaseInfo {
                full_name: full_name.clone(),
                argument,
                private: def.private,
            };
            let slot = SlotKind::Case {
                full_name,
                has_argument: argument.is_some(),
            };
            self.define(
                &case.name,
                def.private,
                MemberKind::Case(info),
                Ty::DATA,
                None,
                slot,
            );
        }
        Ok(())
    }

    fn import(&mut self, import: &ast::Import) -> Checked<()> {
        let (id, mut binds) = self.require(&import.module.text, import.module.span)?;
        binds.extend(self.type_binds(id, &import.type_binds)?);
        let name = import.binding.as_ref().unwrap_or(&import.module);
        self.import_member(name, id, binds, import.args.as_deref(), import.module.span)
    }

    fn import_member(
        &mut self,
        name: &Ident,
        id: ModuleId,
        binds: Vec<(Ty, Ty)>,
        args: Option<&[ast::Expr]>,
        span: Span,
    ) -> Checked<()> {
        let params = self.infos[id.0 as usize].params.clone();
        let args = args.unwrap_or(&[]);
        if args.len() > params.len() {
            return Err(Issue::new(Code::TypeNotFunction, span)
                .with("type", format!("module {}", self.infos[id.0 as usize].name))
                .into());
        }
        self.may_define(name, "import")?;
        self.cur.dependencies.clear();
        let (values, scope) = self.in_body(Place::Formula, false, |checker| {
            let mut values = Vec::new();
            for (arg, param) in args.iter().zip(&params) {
                let param = checker.substitute(*param, &binds);
                values.push(checker.check(arg, param)?);
            }
            Ok(values)
        })?;
        let mut dependencies = std::mem::take(&mut self.cur.dependencies);
        dependencies.sort();
        dependencies.dedup();
        let info = ImportInfo {
            module: id,
            binds,
            missing: params.len() - args.len(),
            reactive: !dependencies.is_empty(),
        };
        let shared = self.infos[id.0 as usize].instancing != Instancing::PerImport;
        let kind = if shared {
            ExprKind::Instance(id)
        } else {
            ExprKind::Instantiate {
                module: id,
                args: values,
            }
        };
        let function = body(
            FunctionName::Def(name.text.clone()),
            scope,
            Expr { kind, span },
            span,
        );
        let slot = SlotKind::Import(core::Import {
            module: id,
            body: function,
            dependencies,
        });
        self.define(name, true, MemberKind::Import(info), Ty::DATA, None, slot);
        Ok(())
    }

    fn no_cells_forbidden(&mut self, span: Span) -> Checked<()> {
        if self.cur.pragmas.with_cells == Some(false) {
            return Err(Issue::new(Code::CellForbidden, span).into());
        }
        Ok(())
    }

    fn cell(&mut self, cell: &ast::Cell, span: Span) -> Checked<()> {
        self.no_cells_forbidden(span)?;
        let kind = match cell.sort {
            CellSort::Formula => CellKind::Formula,
            CellSort::Var => CellKind::Var,
            CellSort::Live => CellKind::Live,
        };
        let member = MemberKind::Cell {
            assignable: kind == CellKind::Var,
            alias: false,
        };
        match &cell.form {
            CellForm::Declaration { ty, meta } => {
                self.may_declare(&cell.name, "cell")?;
                let ty = self.hint(ty)?;
                self.types.default_to_data(ty);
                self.declare(&cell.name, cell.private, member, ty, meta.clone());
                Ok(())
            }
            CellForm::Value { ty, meta, body: e } => {
                if kind == CellKind::Live {
                    self.live_source(e, span)?;
                }
                self.cell_definition(
                    cell,
                    kind,
                    member,
                    meta.clone(),
                    span,
                    is_action(e),
                    |checker, expected| match (expected, ty) {
                        (Some(expected), None) => Ok((checker.check(e, expected)?, expected)),
                        (expected, Some(hint)) => {
                            let hint = checker.hint(hint)?;
                            let expr = checker.check(e, hint)?;
                            match expected {
                                Some(expected) => {
                                    Ok((checker.coerce(expr, hint, expected, e.span)?, expected))
                                }
                                None => Ok((expr, hint)),
                            }
                        }
                        (None, None) => checker.infer(e),
                    },
                )
            }
            CellForm::Function {
                params,
                result,
                body: e,
            } => self.cell_definition(
                cell,
                kind,
                member,
                None,
                span,
                false,
                |checker, expected| {
                    let (expr, ty) =
                        checker.shorthand(params, result.as_ref(), e, expected, span)?;
                    match expected {
                        Some(expected) => Ok((checker.coerce(expr, ty, expected, span)?, expected)),
                        None => Ok((expr, ty)),
                    }
                },
            ),
            CellForm::Link { ty, target } => self.alias(
                &cell.name,
                target,
                ty.as_ref(),
                true,
                kind == CellKind::Var,
                span,
            ),
        }
    }

    /// A live cell must be a pipeline that starts with a query or stream source.
    fn live_source(&mut self, e: &ast::Expr, span: Span) -> Checked<()> {
        let mut at = e;
        loop {
            at = match &at.kind {
                ast::ExprKind::Pipe { value, .. } => value,
                ast::ExprKind::Hint { value, .. } => value,
                ast::ExprKind::Call { callee, .. } => callee,
                _ => break,
            };
        }
        if let ast::ExprKind::Field { base, name, .. } = &at.kind
            && let ast::ExprKind::Name(module) = &base.kind
        {
            let source = match &**module {
                "db" => matches!(&*name.text, "head" | "all" | "query"),
                "co" => matches!(&*name.text, "consume" | "consumeWithActions"),
                _ => false,
            };
            if source {
                return Ok(());
            }
        }
        Err(Issue::new(Code::CellLive, span).into())
    }

    #[allow(clippy::too_many_arguments)]
    fn cell_definition(
        &mut self,
        cell: &ast::Cell,
        kind: CellKind,
        member: MemberKind,
        meta: Option<Const>,
        span: Span,
        action: bool,
        run: impl FnOnce(&mut Self, Option<Ty>) -> Checked<(Expr, Ty)>,
    ) -> Checked<()> {
        let name = &cell.name;
        let declared = self.may_define(name, "cell")?;
        let own_ty = match declared {
            Some(ty) => ty,
            None => self.types.fresh(),
        };
        // The cell is known to its own formula, for `c'` and `thisCell`.
        if declared.is_none() {
            self.declare(name, cell.private, member.clone(), own_ty, meta.clone());
            self.mark_undeclared(name);
        }
        self.cur.this_cell = Some((name.text.clone(), own_ty));
        self.cur.dependencies.clear();
        let ((expr, ty), scope) =
            self.in_body(Place::Formula, false, |checker| run(checker, declared))?;
        let mut dependencies = std::mem::take(&mut self.cur.dependencies);
        self.settle_above(0)?;
        self.refuse_appstate(ty, span)?;
        self.moderate(ty, span)?;
        if declared.is_none() && !self.types.attempt(|types| types.unify(own_ty, ty)) {
            return Err(self.mismatch(ty, own_ty, span));
        }
        if self.cur.pragmas.strict
            && self.types.mentions(
                ty,
                &|node| matches!(node, Node::Var { level, .. } if *level != super::types::GENERIC),
            )
        {
            return Err(Issue::new(Code::TypeNeedsHint, span)
                .with("what", format!("cell {}", name.text))
                .into());
        }
        self.types.default_to_data(ty);
        dependencies.sort();
        dependencies.dedup();
        if kind == CellKind::Var {
            dependencies.clear();
        }
        let number = match (&expr.kind, action) {
            (ExprKind::Action { number, .. }, true) => Some(*number),
            _ => None,
        };
        let formula = body(FunctionName::Cell(name.text.clone()), scope, expr, span);
        let private = cell.private;
        let slot = SlotKind::Cell(Cell {
            kind,
            public: !private,
            formula,
            dependencies,
            action: number,
        });
        let ty = declared.unwrap_or(own_ty);
        self.define(name, private, member, ty, meta, slot);
        Ok(())
    }

    fn mark_undeclared(&mut self, name: &Ident) {
        let at = self.cur.id.0 as usize;
        if let Some(member) = self.infos[at].members.get_mut(&name.text) {
            member.declared = false;
            member.defined = true;
        }
    }

    fn alias(
        &mut self,
        name: &Ident,
        target: &ast::Expr,
        hint: Option<&ast::TypeExpr>,
        public: bool,
        wants_var: bool,
        span: Span,
    ) -> Checked<()> {
        self.no_cells_forbidden(span)?;
        let declared = self.may_define(name, "cell")?;
        if declared.is_some() && !public {
            let member = self.own_member(&name.text);
            if member.is_some_and(|member| !member.private) {
                return Err(Issue::new(Code::CellAliasPublic, name.span)
                    .with("name", &name.text)
                    .hint(format!(
                        "declare it private: private cell {} : T",
                        name.text
                    ))
                    .into());
            }
        }
        self.cur.dependencies.clear();
        let ((expr, ty), scope) = self.in_body(Place::Formula, false, |checker| {
            match checker.cell_named(target) {
                Some((_, member)) => Ok(checker.cell_link(&member, target.span)),
                None => checker.infer(target),
            }
        })?;
        let mut dependencies = std::mem::take(&mut self.cur.dependencies);
        dependencies.sort();
        dependencies.dedup();
        let (content, assignable) =
            self.link_content(ty, &format!("alias {}", name.text), target.span)?;
        let mut content = content;
        if let Some(hint) = hint {
            let hint = self.hint(hint)?;
            if !self.types.attempt(|types| types.subtype(content, hint)) {
                return Err(self.mismatch(hint, content, target.span));
            }
            content = hint;
        }
        if let Some(declared) = declared {
            if !self.types.attempt(|types| types.subtype(content, declared)) {
                return Err(self.mismatch(declared, content, target.span));
            }
            content = declared;
        }
        self.types.default_to_data(content);
        if public && wants_var && !assignable {
            return Err(Issue::new(Code::CellReadonly, target.span)
                .with("name", format!("behind {}", name.text))
                .into());
        }
        let assignable = assignable && wants_var;
        let function = body(FunctionName::Cell(name.text.clone()), scope, expr, span);
        let slot = SlotKind::Alias(AliasCell {
            public,
            assignable,
            link: function,
            dependencies,
        });
        let member = MemberKind::Cell {
            assignable,
            alias: true,
        };
        self.define(name, !public, member, content, None, slot);
        Ok(())
    }

    fn observer(&mut self, observer: &ast::Observer, span: Span) -> Checked<()> {
        self.no_cells_forbidden(span)?;
        let mut watched = Vec::new();
        let mut names = Vec::new();
        for name in &observer.watched {
            let member = self.own_member(&name.text);
            match member.map(|member| (member.kind, member.slot)) {
                Some((MemberKind::Cell { .. }, slot)) => watched.push(slot),
                Some((MemberKind::Broken, _)) => return Err(self.silent()),
                Some(_) => {
                    return Err(Issue::new(Code::CellExpected, name.span)
                        .with("what", "on")
                        .into());
                }
                None => return Err(self.unbound(&name.text, name.span)),
            }
            names.push(name.text.to_string());
        }
        let label: Symbol = names.join(",").into();
        let guard = match &observer.guard {
            Some(guard) => {
                let (expr, scope) = self.in_body(Place::Guard, false, |checker| {
                    checker.check_bool(guard, super::arithmetic::Operand::Condition)
                })?;
                Some(body(
                    FunctionName::Observer(label.clone()),
                    scope,
                    expr,
                    guard.span,
                ))
            }
            None => None,
        };
        let (function, _) = self.effect_body(FunctionName::Observer(label), span, |checker| {
            checker.do_block(&observer.body, observer.body.span, None)
        })?;
        self.cur.observers.push(core::Observer {
            watched,
            guard,
            body: function,
            span,
        });
        Ok(())
    }

    fn finish_module(&mut self, module: &ast::Module) {
        self.types.start_phrase();
        let at = self.cur.id.0 as usize;
        let mut missing: Vec<(Span, Symbol)> = self.infos[at]
            .members
            .iter()
            .filter(|(_, member)| !member.defined)
            .map(|(name, member)| (self.cur.slots[member.slot.0 as usize].span, name.clone()))
            .collect();
        missing.sort_by_key(|(span, _)| span.start);
        for (span, name) in missing {
            self.report(
                Issue::new(Code::NameNotDefined, span)
                    .with("name", name)
                    .into(),
            );
        }
        if let Some(cycle) = super::cycles::cell_cycle(&self.cur.slots) {
            let path: Vec<String> = cycle
                .iter()
                .map(|slot| self.cur.slots[slot.0 as usize].name.to_string())
                .collect();
            let span = self.cur.slots[cycle[0].0 as usize].span;
            self.report(
                Issue::new(Code::CellCycle, span)
                    .with("path", path.join(" -> "))
                    .into(),
            );
        }
        let agent = meta_says_agent(module.meta.as_ref())
            || self
                .options
                .agents
                .iter()
                .any(|name| **name == *module.name.text);
        let output = self.own_member("output").is_some_and(|member| {
            matches!(member.kind, MemberKind::Cell { .. } | MemberKind::Broken)
        });
        if agent && !output {
            self.report(
                Issue::new(Code::ModAgentOutput, module.name.span)
                    .with("name", &module.name.text)
                    .hint("add: cell output = ...")
                    .into(),
            );
        }
        // What is still unknown of parameters and values is data.
        for ty in self.infos[at].params.clone() {
            self.types.default_to_data(ty);
        }
        let types: Vec<Ty> = self.infos[at]
            .members
            .values()
            .map(|member| member.ty)
            .collect();
        for ty in types {
            self.types.default_to_data(ty);
        }
        let params = self.infos[at].params.clone();
        let mut checked_params = Vec::new();
        for (index, param) in module.params.iter().enumerate() {
            let check = params.get(index).and_then(|ty| self.types.runtime(*ty));
            checked_params.push(ModuleParam {
                name: param.name.text.clone(),
                slot: self.cur.slot_of.get(&param.name.text).copied(),
                check,
            });
        }
        let done = &mut self.program.modules[at];
        done.params = checked_params;
        done.slots = std::mem::take(&mut self.cur.slots);
        done.actions = std::mem::take(&mut self.cur.actions)
            .into_iter()
            .flatten()
            .collect();
        done.observers = std::mem::take(&mut self.cur.observers);
        done.initializer = self.cur.initializer.take();
        done.checks = std::mem::take(&mut self.cur.checks);
        done.with_cells = self.cur.pragmas.with_cells == Some(true);
    }
}

fn too_deep(span: Span) -> Stop {
    Issue::new(Code::SynNesting, span)
        .with("what", "the chain of imports")
        .with("limit", MAX_IMPORT_DEPTH)
        .into()
}

fn is_action(e: &ast::Expr) -> bool {
    matches!(e.kind, ast::ExprKind::Action { .. })
}

fn is_singleton(phrase: &Phrase) -> bool {
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

fn meta_says_agent(meta: Option<&Const>) -> bool {
    let Some(Const {
        kind: ConstKind::Object(entries),
        ..
    }) = meta
    else {
        return false;
    };
    entries.iter().any(|(name, value)| {
        &*name.text == "modType"
            && matches!(&value.kind, ConstKind::Str(text) if &**text == "agent")
    })
}

/// The names with slots that a phrase declares or defines: (name, private, defines).
fn defined_names(phrase: &Phrase) -> Vec<(&Ident, bool, bool)> {
    match &phrase.kind {
        PhraseKind::Def(def) => match def.form {
            DefForm::Effect { .. } => Vec::new(),
            DefForm::Declaration { .. } => vec![(&def.name, def.private, false)],
            _ => vec![(&def.name, def.private, true)],
        },
        PhraseKind::ForeignDef(def) => vec![(&def.name, def.private, true)],
        PhraseKind::Cell(cell) => {
            let defines = !matches!(cell.form, CellForm::Declaration { .. });
            vec![(&cell.name, cell.private, defines)]
        }
        PhraseKind::Alias(alias) => vec![(&alias.name, true, true)],
        PhraseKind::Case(def) => def
            .cases
            .iter()
            .map(|case| (&case.name, def.private, true))
            .collect(),
        PhraseKind::Import(import) => vec![(
            import.binding.as_ref().unwrap_or(&import.module),
            true,
            true,
        )],
        PhraseKind::ModuleAlias(alias) => vec![(&alias.name, true, true)],
        PhraseKind::Broken(broken) => broken
            .names
            .iter()
            .map(|name| (name, false, true))
            .collect(),
        _ => Vec::new(),
    }
}
