//! What editors ask of the checker: every name of the text with what it stands for, and what
//! could be written at the cursor. Nothing is recorded unless [`CheckOptions::record`] says so.
//!
//! [`CheckOptions::record`]: super::CheckOptions::record

use super::Checker;
use super::env::{Member, MemberKind, ScopeTarget};
use super::lookup::Found;
use super::type_expr::PREDEFINED;
use super::types::{Node, Ty};
use crate::analysis::{CURSOR, Candidate, NameKind, NameUse};
use crate::core::ModuleId;
use crate::syntax::ast::{Ident, Symbol};
use crate::syntax::span::Span;

/// A recorded name whose type is not shown yet: inference may still find out more.
pub(super) struct Pending {
    span: Span,
    name: Symbol,
    kind: NameKind,
    module: Option<Symbol>,
    definition: Option<Span>,
    ty: Option<Ty>,
}

/// Everything recorded.
#[derive(Default)]
pub(super) struct Records {
    pending: Vec<Pending>,
    pub uses: Vec<NameUse>,
    pub candidates: Vec<Candidate>,
}

impl Records {
    /// How much there is, for [`Records::forget`].
    pub fn mark(&self) -> (usize, usize, usize) {
        (self.pending.len(), self.uses.len(), self.candidates.len())
    }

    /// Removes what came after a mark.
    pub fn forget(&mut self, (pending, uses, candidates): (usize, usize, usize)) {
        self.pending.truncate(pending);
        self.uses.truncate(uses);
        self.candidates.truncate(candidates);
    }
}

impl Checker<'_> {
    fn records_here(&self) -> bool {
        self.options.record && !self.cur.library && self.cur.linked.is_none()
    }

    /// A local where it gets its name.
    pub(super) fn record_local(&mut self, name: &Symbol, span: Option<Span>, ty: Ty) {
        let Some(span) = span.filter(|_| self.records_here()) else {
            return;
        };
        self.records.pending.push(Pending {
            span,
            name: name.clone(),
            kind: NameKind::Local,
            module: None,
            definition: Some(span),
            ty: Some(ty),
        });
    }

    /// A name where it is used.
    pub(super) fn record_use(&mut self, name: &Symbol, span: Span, found: &Found) {
        if !self.records_here() {
            return;
        }
        match found {
            Found::Local { ty, .. } => {
                let scopes = self.cur.functions.iter().rev();
                let definition = scopes
                    .filter_map(|function| function.scope.definition(name))
                    .next()
                    .flatten();
                self.push_use(name, span, NameKind::Local, definition, Some(*ty));
            }
            Found::Appstate => {
                self.push_use(name, span, NameKind::Local, None, Some(Ty::APPSTATE));
            }
            Found::Own(name, member) => self.record_member(self.cur.id, name, member, span),
            Found::Prelude(id, member) | Found::Entered(id, member) => {
                self.record_member(*id, name, member, span)
            }
            Found::Case(case) => {
                let ty = match case.argument {
                    Some(argument) => {
                        let result = self.types.case(&case.full_name, Some(argument));
                        self.types.fun(argument, result)
                    }
                    None => self.types.case(&case.full_name, None),
                };
                self.push_use(name, span, NameKind::Case, None, Some(ty));
            }
            Found::Form(_) => self.push_use(name, span, NameKind::Predefined, None, None),
            Found::Module(_) => self.push_use(name, span, NameKind::Module, None, None),
        }
    }

    /// A member of a module where it is used.
    pub(super) fn record_member(
        &mut self,
        id: ModuleId,
        name: &Symbol,
        member: &Member,
        span: Span,
    ) {
        if !self.records_here() {
            return;
        }
        let module = &self.program.modules[id.0 as usize];
        // The slots of the running module are not part of it yet.
        let slots = match id == self.cur.id {
            true => &self.cur.slots,
            false => &module.slots,
        };
        let visible = !module.library && module.external.is_none();
        let slot = slots.get(member.slot.0 as usize);
        let definition = slot.filter(|_| visible).map(|slot| slot.span);
        let (kind, ty) = match &member.kind {
            MemberKind::Param => (NameKind::Local, Some(member.ty)),
            MemberKind::Import(import) => {
                let imported = self.infos[import.module.0 as usize].name.clone();
                self.push_use(&imported, span, NameKind::Module, None, None);
                return;
            }
            MemberKind::Def => (NameKind::Def, Some(member.ty)),
            MemberKind::Case(_) => (NameKind::Case, None),
            MemberKind::Cell { .. } => (NameKind::Cell, Some(member.ty)),
            MemberKind::Broken => (NameKind::Def, None),
        };
        let module = self.infos[id.0 as usize].name.clone();
        self.records.pending.push(Pending {
            span,
            name: name.clone(),
            kind,
            module: Some(module),
            definition,
            ty,
        });
    }

    /// A field where it is read.
    pub(super) fn record_field(&mut self, name: &Ident, ty: Ty) {
        if self.records_here() {
            self.push_use(&name.text, name.span, NameKind::Field, None, Some(ty));
        }
    }

    /// A module where its name is written.
    pub(super) fn record_module(&mut self, id: ModuleId, span: Span) {
        if self.records_here() {
            let name = self.infos[id.0 as usize].name.clone();
            self.push_use(&name, span, NameKind::Module, None, None);
        }
    }

    /// A named type of a module where it is written.
    pub(super) fn record_type(&mut self, id: ModuleId, name: &Ident) {
        if !self.records_here() {
            return;
        }
        let module = self.infos[id.0 as usize].name.clone();
        self.records.pending.push(Pending {
            span: name.span,
            name: name.text.clone(),
            kind: NameKind::Type,
            module: Some(module),
            definition: None,
            ty: None,
        });
    }

    fn push_use(
        &mut self,
        name: &Symbol,
        span: Span,
        kind: NameKind,
        definition: Option<Span>,
        ty: Option<Ty>,
    ) {
        self.records.pending.push(Pending {
            span,
            name: name.clone(),
            kind,
            module: None,
            definition,
            ty,
        });
    }

    /// Shows the types of what the phrase that is done has recorded.
    pub(super) fn settle_records(&mut self) {
        for pending in std::mem::take(&mut self.records.pending) {
            let ty = pending.ty.map(|ty| self.types.show(ty));
            self.records.uses.push(NameUse {
                span: pending.span,
                name: pending.name.to_string(),
                kind: pending.kind,
                module: pending.module.map(|name| name.to_string()),
                definition: pending.definition,
                ty,
            });
        }
    }

    /// The definitions of the modules that are checked, with their types.
    pub(super) fn definitions(&mut self) -> Vec<NameUse> {
        let mut found = Vec::new();
        for id in 0..self.infos.len() {
            let module = &self.program.modules[id];
            if module.library || module.external.is_some() {
                continue;
            }
            let name = self.infos[id].name.clone();
            self.types.start_phrase();
            self.types.here = name.clone();
            let members: Vec<(Symbol, Member)> = self.infos[id]
                .members
                .iter()
                .map(|(name, member)| (name.clone(), member.clone()))
                .collect();
            for (member_name, member) in members {
                let kind = match &member.kind {
                    MemberKind::Param => NameKind::Local,
                    MemberKind::Def => NameKind::Def,
                    MemberKind::Cell { .. } => NameKind::Cell,
                    MemberKind::Case(_) => NameKind::Case,
                    MemberKind::Import(_) | MemberKind::Broken => continue,
                };
                let slots = &self.program.modules[id].slots;
                let Some(span) = slots.get(member.slot.0 as usize).map(|slot| slot.span) else {
                    continue;
                };
                let ty = (kind != NameKind::Case).then(|| self.types.show(member.ty));
                found.push(NameUse {
                    span,
                    name: member_name.to_string(),
                    kind,
                    module: Some(name.to_string()),
                    definition: Some(span),
                    ty,
                });
            }
        }
        found
    }

    /// The unknown name is the cursor: what is visible there.
    pub(super) fn record_visible(&mut self, name: &str) {
        if name != CURSOR || !self.records_here() {
            return;
        }
        let mut found: Vec<(Symbol, NameKind, Option<Ty>)> = Vec::new();
        for function in &self.cur.functions {
            for (name, target) in function.scope.targets() {
                let (kind, ty) = match target {
                    ScopeTarget::Local { ty, .. } => (NameKind::Local, Some(*ty)),
                    ScopeTarget::Cell(_) => (NameKind::Cell, None),
                    ScopeTarget::Appstate => (NameKind::Local, Some(Ty::APPSTATE)),
                };
                found.push((name.clone(), kind, ty));
            }
        }
        let mut modules = vec![self.cur.id];
        if let Some(super::ModuleState::Done(id)) = self
            .states
            .get(&(super::Origin::Standard, Symbol::from("prelude")))
        {
            modules.push(*id);
        }
        for id in modules {
            let own = id == self.cur.id;
            let members = self.infos[id.0 as usize].members.iter();
            found.extend(
                members
                    .filter(|(_, member)| own || !member.private)
                    .map(|(name, member)| (name.clone(), kind_of(member), type_of(member))),
            );
        }
        for (name, case) in &self.predefined_cases {
            let kind = NameKind::Case;
            found.push((Symbol::from(*name), kind, case.argument));
        }
        for form in super::lookup::FORMS {
            found.push((Symbol::from(*form), NameKind::Predefined, None));
        }
        self.offer(found);
    }

    /// The unknown member is the cursor: what the module offers.
    pub(super) fn record_members(&mut self, id: ModuleId, name: &str) {
        if name != CURSOR || !self.records_here() {
            return;
        }
        let members = self.infos[id.0 as usize].members.iter();
        let found = members
            .filter(|(_, member)| {
                !member.private && !matches!(member.kind, MemberKind::Import(_) | MemberKind::Param)
            })
            .map(|(name, member)| (name.clone(), kind_of(member), type_of(member)))
            .collect();
        self.offer(found);
    }

    /// The unknown type is the cursor: those that are visible there.
    pub(super) fn record_visible_types(&mut self, name: &str) {
        if name != CURSOR || !self.records_here() {
            return;
        }
        let of = |id: ModuleId| self.infos[id.0 as usize].types.keys().cloned();
        let mut found: Vec<Symbol> = of(self.cur.id).collect();
        found.extend(self.session_globals().into_iter().flat_map(of));
        found.extend(self.cur.type_names.keys().cloned());
        found.extend(PREDEFINED.iter().map(|name| Symbol::from(*name)));
        self.offer_types(found);
    }

    /// The unknown type of a module is the cursor: those that the module has.
    pub(super) fn record_types_of(&mut self, id: ModuleId, name: &str) {
        if name != CURSOR || !self.records_here() {
            return;
        }
        let found = self.infos[id.0 as usize].types.keys().cloned().collect();
        self.offer_types(found);
    }

    fn offer_types(&mut self, found: Vec<Symbol>) {
        let types = found.into_iter().map(|name| (name, NameKind::Type, None));
        self.offer(types.collect());
    }

    /// The field is the cursor: those that the type is known to have.
    pub(super) fn record_fields(&mut self, ty: Ty, name: &str) {
        if name != CURSOR || !self.records_here() {
            return;
        }
        if let Node::Record(fields) = self.types.node(ty) {
            let fields = fields.iter();
            let found = fields.map(|(name, ty)| (name.clone(), NameKind::Field, Some(*ty)));
            let found = found.collect();
            self.offer(found);
        }
    }

    fn offer(&mut self, found: Vec<(Symbol, NameKind, Option<Ty>)>) {
        for (name, kind, ty) in found {
            if name.starts_with('$') {
                continue;
            }
            let ty = ty.map(|ty| self.types.show(ty));
            // Inner names come later and hide outer ones.
            self.records
                .candidates
                .retain(|other| *other.name != *name || kind == NameKind::Predefined);
            self.records.candidates.push(Candidate {
                name: name.to_string(),
                kind,
                ty,
            });
        }
    }
}

fn kind_of(member: &Member) -> NameKind {
    match &member.kind {
        MemberKind::Param => NameKind::Local,
        MemberKind::Import(_) => NameKind::Module,
        MemberKind::Def | MemberKind::Broken => NameKind::Def,
        MemberKind::Case(_) => NameKind::Case,
        MemberKind::Cell { .. } => NameKind::Cell,
    }
}

fn type_of(member: &Member) -> Option<Ty> {
    match &member.kind {
        MemberKind::Import(_) | MemberKind::Broken => None,
        MemberKind::Case(case) => case.argument,
        _ => Some(member.ty),
    }
}
