//! Names: what an identifier stands for.

use super::env::{
    CaseInfo, Checked, FunctionScope, Member, MemberKind, Place, ScopeTarget, Stop, TypeInfo,
};
use super::types::{Range, Ty, Types};
use super::{Checker, suggest::suggest};
use crate::core::{self, Capture, Expr, ExprKind, Local, LocalId, ModuleId};
use crate::issue::{Code, Issue};
use crate::pipeline::GLOBALS;
use crate::syntax::ast::Symbol;
use crate::syntax::span::Span;
use crate::tables::HashMap;

/// The predefined forms that are no ordinary functions.
pub const FORMS: &[&str] = &[
    "link",
    "contents",
    "cellVersion",
    "cellAge",
    "cellUpdated",
    "cellChanged",
    "cellSelect",
    "cellSelectNotNull",
    "cellSelectNotUnset",
    "cellName",
    "inCellName",
    "isCellAlive",
    "onRefresh",
    "onView",
    "never",
    "thisCell",
    "newConstCell",
    "newVarCell",
    "freeze",
    "cellMutate",
    "dependentLink",
    "mapLinkArray",
    "cellSessionScope",
    "cellScreenScope",
    "polyFunction",
    "currentInstanceId",
    // Heads of live cells; no program can write these names.
    LIVE_QUERY,
    LIVE_STREAM,
    LIVE_ACTIONS,
];

/// The query that a live cell starts with.
pub const LIVE_QUERY: &str = "$liveQuery";

/// The stream that a live cell starts with.
pub const LIVE_STREAM: &str = "$liveStream";

/// The same, whose lists of next actions are run.
pub const LIVE_ACTIONS: &str = "$liveActions";

/// What a name stands for.
#[derive(Debug, Clone)]
pub enum Found {
    /// A local of the function at that depth.
    Local {
        depth: usize,
        id: LocalId,
        ty: Ty,
        mutable: bool,
    },
    /// The permission of an effect body.
    Appstate,
    /// A name of the module being checked.
    Own(Symbol, Member),
    /// A predefined case.
    Case(CaseInfo),
    /// A predefined form.
    Form(&'static str),
    /// A predefined function.
    Prelude(ModuleId, Member),
    /// A definition of the session, seen from a module that was entered there.
    Entered(ModuleId, Member),
    /// A library module.
    Module(ModuleId),
}

/// The predefined cases and types.
pub fn predefined(
    types: &mut Types,
) -> (
    HashMap<&'static str, CaseInfo>,
    HashMap<&'static str, TypeInfo>,
) {
    let mut cases = HashMap::default();
    for name in ["some", "ok", "error", "unset"] {
        let argument = (name != "unset").then(|| types.generic(Some("A".into()), Range::Any));
        cases.insert(
            name,
            CaseInfo {
                full_name: Symbol::from(name),
                argument,
                private: false,
            },
        );
    }
    let mut named = HashMap::default();
    let content = types.generic(Some("A".into()), Range::Any);
    let body = types.union(vec![("some".into(), Some(content))], true);
    named.insert(
        "option",
        TypeInfo {
            params: vec![content],
            body,
        },
    );
    let error = types.generic(Some("E".into()), Range::Any);
    let content = types.generic(Some("A".into()), Range::Any);
    let body = types.union(
        vec![("error".into(), Some(error)), ("ok".into(), Some(content))],
        false,
    );
    named.insert(
        "result",
        TypeInfo {
            params: vec![error, content],
            body,
        },
    );
    (cases, named)
}

impl Checker<'_> {
    /// Something poisoned was used: the phrase stops without an issue of its own.
    pub(super) fn silent(&mut self) -> Stop {
        self.cur.failed = true;
        Stop::Silent
    }

    /// Whether the module being checked stands for a session.
    pub(super) fn is_session(&self) -> bool {
        self.cur.name.is_empty()
            || &*self.cur.name == GLOBALS
            || self.options.session.as_deref() == Some(&*self.cur.name)
    }

    /// The module with the definitions of the session, if the module being checked was entered there.
    pub(super) fn session_globals(&self) -> Option<ModuleId> {
        let entered = &self.options.session_modules;
        if entered.is_empty() || self.cur.library || self.cur.linked.is_some() {
            return None;
        }
        if !entered.contains(&self.cur.name) {
            return None;
        }
        match self
            .states
            .get(&(super::Origin::Given, Symbol::from(GLOBALS)))
        {
            // A module with a state of its own has no instance here.
            Some(super::ModuleState::Done(id))
                if self.infos[id.0 as usize].instancing == core::Instancing::Shared =>
            {
                Some(*id)
            }
            _ => None,
        }
    }

    /// A definition of the session around the module being checked.
    pub(super) fn session_member(&self, name: &str) -> Option<(ModuleId, Member)> {
        let id = self.session_globals()?;
        let member = self.infos[id.0 as usize].members.get(name)?;
        let is_global = matches!(member.kind, MemberKind::Def | MemberKind::Case(_));
        (is_global && !member.private).then(|| (id, member.clone()))
    }

    /// Whether the session around the module being checked defines a name that is not global.
    fn is_hidden_in_session(&self, name: &str) -> bool {
        let session = self.options.session.as_deref().map(Symbol::from);
        let state = session.and_then(|name| self.states.get(&(super::Origin::Given, name)));
        let Some(super::ModuleState::Waiting(session)) = state else {
            return false;
        };
        let mut defined = session.phrases.iter().flat_map(super::defined_names);
        self.options.session_modules.contains(&self.cur.name)
            && defined.any(|(defined, ..)| *defined.text == *name)
    }

    /// The case that is global under a name: one of a session, or a predefined one.
    pub(super) fn global_case(&self, name: &str) -> Option<CaseInfo> {
        let of_session = match self.is_session() {
            true => self.own_member(name),
            false => self.session_member(name).map(|(_, member)| member),
        };
        match of_session.map(|member| member.kind) {
            Some(MemberKind::Case(case)) => Some(case),
            _ => self.predefined_cases.get(name).cloned(),
        }
    }

    /// A name of the module being checked.
    pub(super) fn own_member(&self, name: &str) -> Option<Member> {
        self.infos[self.cur.id.0 as usize]
            .members
            .get(name)
            .cloned()
    }

    /// What an unqualified name stands for.
    pub(super) fn lookup(&mut self, name: &Symbol, span: Span) -> Checked<Found> {
        let found = self.resolve(name, span)?;
        self.record_use(name, span, &found);
        Ok(found)
    }

    fn resolve(&mut self, name: &Symbol, span: Span) -> Checked<Found> {
        if let Some(found) = self.lookup_local(name) {
            return Ok(found);
        }
        if let Some(member) = self.use_member(name) {
            return Ok(Found::Own(name.clone(), member));
        }
        if let Some(found) = self.lookup_predefined(name, span)? {
            return Ok(found);
        }
        if self.cur.defining.as_ref() == Some(name) {
            return Err(Issue::new(Code::NameUndeclaredRecursion, span)
                .with("name", name)
                .hint(self.recursion_hint(name))
                .into());
        }
        if let Some(id) = self.library_module(name, span)? {
            return Ok(Found::Module(id));
        }
        Err(self.unbound(name, span))
    }

    fn lookup_local(&mut self, name: &str) -> Option<Found> {
        let functions = self.cur.functions.iter_mut().enumerate().rev();
        let (depth, target) = functions
            .filter_map(|(depth, function)| Some((depth, function.scope.find(name)?)))
            .next()?;
        Some(match target {
            ScopeTarget::Local { id, ty, mutable } => Found::Local {
                depth,
                id,
                ty,
                mutable,
            },
            ScopeTarget::Appstate => Found::Appstate,
            ScopeTarget::Cell(cell) => {
                let member = self.use_member(&cell)?;
                Found::Own(cell, member)
            }
        })
    }

    /// What `global.name` stands for.
    pub(super) fn lookup_predefined(&mut self, name: &str, span: Span) -> Checked<Option<Found>> {
        if let Some((id, member)) = self.session_member(name) {
            return Ok(Some(match member.kind {
                MemberKind::Case(case) => Found::Case(case),
                _ => Found::Entered(id, member),
            }));
        }
        if let Some(case) = self.predefined_cases.get(name) {
            return Ok(Some(Found::Case(case.clone())));
        }
        if let Some(form) = FORMS.iter().find(|form| **form == name) {
            return Ok(Some(Found::Form(form)));
        }
        if &*self.cur.name != "prelude"
            && let Some(id) = self.library_module("prelude", span)?
        {
            let member = self.infos[id.0 as usize].members.get(name).cloned();
            if let Some(member) = member
                && !member.private
            {
                return Ok(Some(Found::Prelude(id, member)));
            }
        }
        Ok(None)
    }

    /// A library module that needs no import.
    pub(super) fn library_module(&mut self, name: &str, span: Span) -> Checked<Option<ModuleId>> {
        // A library module under way sees itself by `self` only.
        if self.cur.library && *self.cur.name == *name {
            return Ok(None);
        }
        if let Some(id) = self.library_ids.get(name) {
            return Ok(Some(*id));
        }
        if !self.load(name)? {
            return Ok(None);
        }
        let key = (super::Origin::Standard, Symbol::from(name));
        let (id, _) = self.require_key(key.clone(), span)?;
        if let Some(super::ModuleState::Done(_)) = self.states.get(&key) {
            self.library_ids.insert(key.1, id);
        }
        Ok(Some(id))
    }

    /// The issue for an unknown name.
    pub(super) fn unbound(&mut self, name: &Symbol, span: Span) -> Stop {
        self.record_visible(name);
        let issue = Issue::new(Code::NameUnbound, span).with("name", name);
        if self
            .states
            .keys()
            .any(|(origin, known)| *origin != super::Origin::Standard && known == name)
        {
            return issue
                .hint(format!("import the module first: import {name}"))
                .into();
        }
        if let Some(slot) = self.cur.slot_of.get(name) {
            let place = self.cur.slots[slot.0 as usize].span;
            return issue
                .note(place, "it is defined here, further down")
                .hint(format!(
                    "move that definition up, or declare it before its use: {} {name} : T",
                    match self.cur.cells_to_come.contains(name) {
                        true => "cell",
                        false => "def",
                    }
                ))
                .into();
        }
        if let Some((_, case)) = self.cur.case_like.iter().find(|(param, _)| param == name) {
            let qualifier = match self.predefined_cases.contains_key(&**case) {
                true => "global",
                false => "self",
            };
            return issue
                .hint(format!(
                    "`let {case}({name}) = …` defines a function {case}; \
                     to take the case apart write `let {qualifier}.{case}({name}) = …`"
                ))
                .into();
        }
        if self.is_session() && matches!(&**name, "exit" | "quit" | "help") {
            let command = if &**name == "help" { "help" } else { "quit" };
            return issue.hint(format!("write `#{command}`")).into();
        }
        if self.is_hidden_in_session(name) {
            return issue
                .hint("modules do not see the cells of the session, nor what uses cells or modules: give the module a parameter")
                .into();
        }
        if let Some(hint) = super::familiar::name(name) {
            return issue.hint(hint).into();
        }
        if !self.may_suggest() {
            return issue.into();
        }
        let mut known: Vec<Symbol> = Vec::new();
        for function in &self.cur.functions {
            known.extend(function.scope.names().cloned());
        }
        known.extend(self.infos[self.cur.id.0 as usize].members.keys().cloned());
        known.extend(self.predefined_cases.keys().map(|name| Symbol::from(*name)));
        if let Some(super::ModuleState::Done(id)) = self
            .states
            .get(&(super::Origin::Standard, Symbol::from("prelude")))
        {
            known.extend(
                self.infos[id.0 as usize]
                    .members
                    .iter()
                    .filter(|(_, member)| !member.private)
                    .map(|(name, _)| name.clone()),
            );
        }
        let modules = mix_stdlib::modules().iter().map(|module| module.name);
        let near = suggest(name, known.iter().map(|name| &**name).chain(modules));
        let places = super::familiar::library_members(name);
        let elsewhere = match &places[..] {
            [] => None,
            [place] => Some(format!("did you mean {place}?")),
            [many @ .., last] => {
                let shown: Vec<&str> = many.iter().take(3).map(String::as_str).collect();
                Some(format!("did you mean {} or {last}?", shown.join(", ")))
            }
        };
        issue
            .hint_if(elsewhere)
            .hint_if(near.map(|near| format!("did you mean {near}?")))
            .into()
    }

    /// Whether to look for near names once more.
    pub(super) fn may_suggest(&mut self) -> bool {
        let may = self.suggestions > 0;
        self.suggestions = self.suggestions.saturating_sub(1);
        may
    }

    fn recursion_hint(&self, name: &Symbol) -> String {
        match self.cur.slot_of.contains_key(name) {
            true => {
                let letters = ["A", "B", "C", "D", "E"];
                let count = (self.cur.defining_params + 1).min(letters.len());
                format!(
                    "declare it before, with its type: def {name} : {}",
                    letters[..count].join(" -> ")
                )
            }
            false => format!("a local function is recursive with `recurse(({name}, n) -> …)`"),
        }
    }

    /// The running function.
    pub(super) fn function(&mut self) -> &mut FunctionScope {
        if self.cur.functions.is_empty() {
            self.cur
                .functions
                .push(FunctionScope::new(Place::Def, false));
        }
        let last = self.cur.functions.len() - 1;
        &mut self.cur.functions[last]
    }

    /// A new visible local; `span` is where the user wrote its name.
    pub(super) fn bind_local(
        &mut self,
        name: &Symbol,
        ty: Ty,
        mutable: bool,
        span: Option<Span>,
    ) -> LocalId {
        let id = self.new_local(name, mutable);
        self.name_local(name, id, ty, mutable, span);
        id
    }

    /// Starts a nested function.
    pub(super) fn open_function(&mut self, by_value: bool) {
        let place = match self.cur.functions.last() {
            Some(function) => function.place,
            None => Place::Def,
        };
        self.cur.functions.push(FunctionScope::new(place, by_value));
    }

    /// The local of the running function for a local of an enclosing one.
    pub(super) fn capture(&mut self, depth: usize, id: LocalId) -> LocalId {
        let mut at = id;
        for inner in depth + 1..self.cur.functions.len() {
            let outer_local = self.cur.functions[inner - 1].locals[at.0 as usize].clone();
            let by_value = self.cur.functions[inner].by_value;
            let known = self.cur.functions[inner]
                .captures
                .iter()
                .find(|capture| capture.outer == at)
                .map(|capture| capture.inner);
            at = match known {
                Some(local) => local,
                None => {
                    let shared = outer_local.mutable && !by_value;
                    if shared {
                        self.cur.functions[inner - 1].locals[at.0 as usize].boxed = true;
                    }
                    let of_library = self.cur.functions[inner - 1].of_library.contains(&at);
                    let function = &mut self.cur.functions[inner];
                    function.locals.push(Local {
                        name: outer_local.name.clone(),
                        mutable: shared,
                        boxed: shared,
                    });
                    let local = LocalId(function.locals.len() as u32 - 1);
                    if of_library {
                        function.of_library.insert(local);
                    }
                    function.captures.push(Capture {
                        outer: at,
                        inner: local,
                    });
                    local
                }
            };
        }
        at
    }

    /// Reads a local.
    pub(super) fn read_local(&mut self, depth: usize, id: LocalId, span: Span) -> Expr {
        let local = self.capture(depth, id);
        Expr {
            span,
            kind: ExprKind::Local(local),
        }
    }

    /// The innermost appstate as an expression, if one is in scope.
    pub(super) fn innermost_appstate(&mut self, span: Span) -> Option<Expr> {
        for depth in (0..self.cur.functions.len()).rev() {
            let Some(name) = self.cur.functions[depth].appstates.last().cloned() else {
                continue;
            };
            return Some(match self.cur.functions[depth].scope.find(&name)? {
                ScopeTarget::Local { id, .. } => self.read_local(depth, id, span),
                _ => Expr {
                    span,
                    kind: ExprKind::Appstate,
                },
            });
        }
        None
    }

    /// Whether code here may change state.
    pub(super) fn has_appstate(&self) -> bool {
        self.cur
            .functions
            .iter()
            .any(|function| !function.appstates.is_empty())
    }

    /// Where the running code stands.
    pub(super) fn place(&self) -> Place {
        self.cur
            .functions
            .last()
            .map_or(Place::Def, |function| function.place)
    }

    /// Reads a def, param or import of the module being checked.
    pub(super) fn own_slot(&self, slot: core::SlotId, span: Span) -> Expr {
        let kind = if self.infos[self.cur.id.0 as usize].instancing == core::Instancing::Shared {
            ExprKind::Static {
                module: self.cur.id,
                slot,
            }
        } else {
            ExprKind::Slot(slot)
        };
        Expr { span, kind }
    }

    /// Whether a member is an import that may be used here.
    pub(super) fn visible_import(
        &mut self,
        name: &Symbol,
        member: &Member,
        span: Span,
    ) -> Checked<()> {
        if let MemberKind::Import(import) = &member.kind
            && import.reactive
        {
            if matches!(self.place(), Place::Def | Place::StaticDef) && !self.has_appstate() {
                return Err(Issue::new(Code::CellInDef, span).with("name", name).into());
            }
            if self.place() == Place::Formula {
                self.cur.dependencies.push(member.slot);
            }
        }
        Ok(())
    }
}
