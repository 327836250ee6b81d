//! Modules: loading on demand, phrases in text order, instances.

use super::env::{Checked, Member, MemberKind, ModuleInfo, Stop};
use super::load::is_singleton;
use super::types::{Node, Range, Ty};
use super::{Checker, Current, Origin};
use crate::core::{self, FunctionName, Instancing, ModuleId, ModuleParam, Slot, SlotId, SlotKind};
use crate::issue::{Class, Code, Issue};
use crate::syntax::ast::{
    self, CellForm, Const, ConstKind, DefForm, Ident, Phrase, PhraseKind, Symbol,
};
use crate::syntax::span::Span;
use crate::tables::{HashMap, HashSet};

impl Checker<'_> {
    pub(super) fn module_pass(
        &mut self,
        module: &ast::Module,
        origin: Origin,
        instancing: Instancing,
        again: Option<ModuleId>,
    ) -> ModuleId {
        let library = origin == Origin::Standard;
        let linked = match origin {
            Origin::Linked(index) => Some(index),
            _ => None,
        };
        let id = again.unwrap_or(ModuleId(self.program.modules.len() as u32));
        let name = module.name.text.clone();
        self.cur = Current::empty();
        self.cur.id = id;
        self.cur.name = name.clone();
        self.types.here = name.clone();
        self.cur.library = library;
        self.cur.linked = linked;
        self.cur.is_static = module.is_static || module.phrases.iter().any(is_singleton);
        let blank = core::Module {
            name: name.clone(),
            instancing,
            library,
            external: linked,
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
            members: HashMap::default(),
            types: HashMap::default(),
            broken_types: HashSet::default(),
        };
        match again {
            Some(_) => {
                self.program.modules[id.0 as usize] = blank;
                self.infos[id.0 as usize] = info;
            }
            None => {
                self.program.modules.push(blank);
                self.types.module_names.push(info.name.clone());
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

    pub(super) fn header(&mut self, module: &ast::Module) -> Checked<()> {
        let at = self.cur.id.0 as usize;
        if self.cur.is_static && !module.params.is_empty() {
            return Err(Issue::new(Code::ModStaticParams, module.params[0].span)
                .hint("a static module has one instance for all who import it; drop `static` or the parameters")
                .into());
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
                    .hint("every parameter has a name of its own")
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

    pub(super) fn start_type_names(&mut self) {
        let vars = self.infos[self.cur.id.0 as usize].type_vars.clone();
        self.cur.type_names = vars.into_iter().collect();
    }

    pub(super) fn new_slot(&mut self, name: &Ident, private: bool, kind: SlotKind) -> SlotId {
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
    pub(super) fn allocate_slots(&mut self, module: &ast::Module) {
        for phrase in &module.phrases {
            match &phrase.kind {
                PhraseKind::Type(def) => {
                    let name = def.name.text.clone();
                    self.cur.types_to_come.insert(name, def.name.span);
                }
                PhraseKind::Cell(cell) => {
                    self.cur.cells_to_come.insert(cell.name.text.clone());
                }
                PhraseKind::Case(def) => {
                    for case in &def.cases {
                        let name = case.name.text.clone();
                        self.cur.types_to_come.insert(name, case.name.span);
                    }
                }
                _ => {}
            }
        }
        let mut last: HashMap<&Symbol, usize> = HashMap::default();
        for (index, phrase) in module.phrases.iter().enumerate() {
            for (name, _, defines) in defined_names(phrase) {
                if defines || !last.contains_key(&name.text) {
                    last.insert(&name.text, index);
                }
            }
        }
        for (index, phrase) in module.phrases.iter().enumerate() {
            // `def _ = e` is evaluated in its turn, too.
            if let PhraseKind::Def(ast::Def {
                name,
                form: ast::DefForm::Effect { .. },
                ..
            }) = &phrase.kind
            {
                let slot = self.new_slot(name, true, SlotKind::Broken);
                self.cur.effects.insert(name.span, slot);
            }
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
    pub(super) fn report(&mut self, stop: Stop) {
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
            && self.cur.warned.insert((issue.code, issue.span))
        {
            self.cur.issues.push(issue);
        }
    }

    pub(super) fn phrase_in_module(&mut self, phrase: &Phrase) {
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
        self.cur.unused.clear();
        self.cur.case_like.clear();
        let outcome = self.phrase(phrase);
        let outcome = outcome.and_then(|()| {
            self.settle_above(0)?;
            self.verify_sums()
        });
        self.settle_records();
        match outcome {
            Ok(()) => self.warn_unused_locals(),
            Err(stop) => {
                let follows = matches!(&stop, Stop::Issue(issue)
                    if issue.code.class() == Class::Type && self.lacks_declaration(phrase));
                self.report(if follows { Stop::Silent } else { stop });
                self.poison(phrase);
            }
        }
    }

    /// Whether a phrase defines a name whose declaration failed.
    fn lacks_declaration(&self, phrase: &Phrase) -> bool {
        !self.cur.undeclared.is_empty()
            && defined_names(phrase)
                .iter()
                .any(|(name, ..)| self.cur.undeclared.contains(&name.text))
    }

    /// The names of a phrase with an error are known, but using them says nothing.
    pub(super) fn poison(&mut self, phrase: &Phrase) {
        let at = self.cur.id.0 as usize;
        for (name, private, defines) in defined_names(phrase) {
            // One that is no phrase at all is more likely the declaration of a definition to come.
            if !defines || matches!(phrase.kind, PhraseKind::Broken(_)) {
                self.cur.undeclared.insert(name.text.clone());
            }
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
            PhraseKind::Case(def) => {
                for case in &def.cases {
                    self.infos[at].broken_types.insert(case.name.text.clone());
                }
            }
            _ => {}
        }
    }

    pub(super) fn phrase(&mut self, phrase: &Phrase) -> Checked<()> {
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
            PhraseKind::Type(def) => self.type_definition(def),
            PhraseKind::Pragma(constant) => {
                let mut pragmas = self.cur.pragmas.clone();
                let outcome = pragmas.apply(constant);
                self.cur.pragmas = pragmas;
                outcome.map_err(Stop::from)
            }
            PhraseKind::ModuleAlias(alias) => {
                let (id, mut binds) = self.require(&alias.target.text, alias.target.span)?;
                self.record_module(id, alias.target.span);
                binds.extend(self.type_binds(id, &alias.type_binds)?);
                self.cur.aliased.insert(alias.name.text.clone());
                self.import_member(&alias.name, id, binds, None, alias.span)
            }
            PhraseKind::Broken(_) => Err(Stop::Silent),
        }
    }

    pub(super) fn finish_module(&mut self, module: &ast::Module) {
        self.types.start_phrase();
        let at = self.cur.id.0 as usize;
        let mut missing: Vec<(Span, Symbol, &str)> = self.infos[at]
            .members
            .iter()
            .filter(|(_, member)| !member.defined)
            .map(|(name, member)| {
                let span = self.cur.slots[member.slot.0 as usize].span;
                (span, name.clone(), member.kind.sort())
            })
            .collect();
        missing.sort_by_key(|(span, ..)| span.start);
        for (span, name, sort) in missing {
            self.report(
                Issue::new(Code::NameNotDefined, span)
                    .with("name", &name)
                    .hint(format!("add the definition: {sort} {name} = …"))
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
                    .hint("break the circle: read one of them with `contents(c)`, or keep it in a `var cell`")
                    .into(),
            );
        }
        self.warn_unused_members(module);
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
                    .hint("an agent answers with its cell: cell output = …")
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
        self.inputs();
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

impl Checker<'_> {
    /// What outsiders may assign to the cells of the module that is done.
    fn inputs(&mut self) {
        let at = self.cur.id.0 as usize;
        for slot in &mut self.cur.slots {
            let input = match &mut slot.kind {
                SlotKind::Cell(cell) if cell.kind == core::CellKind::Var => &mut cell.input,
                SlotKind::Alias(alias) if alias.assignable => &mut alias.input,
                _ => continue,
            };
            if let Some(member) = self.infos[at].members.get(&slot.name) {
                *input = self.types.runtime(member.ty);
            }
        }
    }
}

pub(super) fn meta_says_agent(meta: Option<&Const>) -> bool {
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
pub(crate) fn defined_names(phrase: &Phrase) -> Vec<(&Ident, bool, bool)> {
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
