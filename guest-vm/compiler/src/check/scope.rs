//! The names visible in a function, and which of them are used.

use super::Checker;
use super::env::{Member, MemberKind, ScopeTarget};
use crate::core::{self, LocalId};
use crate::issue::{Code, Issue};
use crate::syntax::ast::{self, Symbol};
use crate::syntax::span::Span;
use crate::tables::{HashMap, HashSet};

/// A visible name.
#[derive(Debug, Clone)]
pub struct ScopeEntry {
    /// The name.
    pub name: Symbol,
    /// What it stands for.
    pub target: ScopeTarget,
    /// Where the user wrote it; `None` if the compiler made it up.
    pub span: Option<Span>,
    /// It was looked up.
    pub used: bool,
}

/// The visible names of a function, innermost last.
#[derive(Debug, Default)]
pub struct Scope {
    entries: Vec<ScopeEntry>,
    /// Positions by name, innermost last; only there once the scope is large.
    index: Option<HashMap<Symbol, Vec<u32>>>,
}

/// Scopes of more names than this have an index.
const SMALL: usize = 24;

impl Scope {
    /// How many names are visible.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Makes a name visible.
    pub fn push(&mut self, entry: ScopeEntry) {
        let position = self.entries.len() as u32;
        if let Some(index) = &mut self.index {
            index.entry(entry.name.clone()).or_default().push(position);
        }
        self.entries.push(entry);
        if self.index.is_none() && self.entries.len() > SMALL {
            let mut index: HashMap<Symbol, Vec<u32>> = HashMap::default();
            for (position, entry) in self.entries.iter().enumerate() {
                let places = index.entry(entry.name.clone()).or_default();
                places.push(position as u32);
            }
            self.index = Some(index);
        }
    }

    /// Forgets the names after the first `length` and hands them out.
    pub fn truncate(&mut self, length: usize) -> Vec<ScopeEntry> {
        if length >= self.entries.len() {
            return Vec::new();
        }
        let gone = self.entries.split_off(length);
        if let Some(index) = &mut self.index {
            for entry in gone.iter().rev() {
                if let Some(places) = index.get_mut(&entry.name) {
                    places.pop();
                }
            }
        }
        gone
    }

    /// What the innermost entry of a name stands for; it counts as used.
    pub fn find(&mut self, name: &str) -> Option<ScopeTarget> {
        let position = match &self.index {
            Some(index) => *index.get(name)?.last()? as usize,
            None => self
                .entries
                .iter()
                .rposition(|entry| &*entry.name == name)?,
        };
        let entry = &mut self.entries[position];
        entry.used = true;
        Some(entry.target.clone())
    }

    /// Where the innermost entry of a name was written; `None` if there is none.
    pub fn definition(&self, name: &str) -> Option<Option<Span>> {
        let mut entries = self.entries.iter().rev();
        entries
            .find(|entry| &*entry.name == name)
            .map(|entry| entry.span)
    }

    /// All visible names with what they stand for, innermost last.
    pub fn targets(&self) -> impl Iterator<Item = (&Symbol, &ScopeTarget)> {
        self.entries
            .iter()
            .map(|entry| (&entry.name, &entry.target))
    }

    /// All visible names.
    pub fn names(&self) -> impl Iterator<Item = &Symbol> {
        self.entries.iter().map(|entry| &entry.name)
    }
}

impl Checker<'_> {
    /// How many names are visible; for [`Checker::leave_scope`].
    pub(super) fn enter_scope(&mut self) -> (usize, usize) {
        let function = self.function();
        (function.scope.len(), function.appstates.len())
    }

    /// Forgets the names bound since.
    pub(super) fn leave_scope(&mut self, mark: (usize, usize)) {
        let function = self.function();
        let gone = function.scope.truncate(mark.0);
        function.appstates.truncate(mark.1);
        self.note_unused(gone);
    }

    /// Makes a local visible under a name; `span` is where the user wrote it.
    pub(super) fn name_local(
        &mut self,
        name: &Symbol,
        id: LocalId,
        ty: super::types::Ty,
        mutable: bool,
        span: Option<Span>,
    ) {
        self.record_local(name, span, ty);
        let function = self.function();
        function.scope.push(ScopeEntry {
            name: name.clone(),
            target: ScopeTarget::Local { id, ty, mutable },
            span,
            used: false,
        });
    }

    /// Remembers the names that go out of scope without a use.
    pub(super) fn note_unused(&mut self, gone: Vec<ScopeEntry>) {
        if self.cur.library || !self.cur.pragmas.wants(Code::WarnUnused) {
            return;
        }
        for entry in gone {
            if let Some(span) = entry.span
                && !entry.used
                && may_be_unused(&entry.name)
            {
                self.cur.unused.push((entry.name, span));
            }
        }
    }

    /// Warns of the unused locals of a phrase without errors.
    pub(super) fn warn_unused_locals(&mut self) {
        for (name, span) in std::mem::take(&mut self.cur.unused) {
            self.warn(unused(&name, span));
        }
    }

    /// Warns of private definitions and imports that nothing mentions. In a module with errors
    /// the mention may be in a phrase that was not read.
    pub(super) fn warn_unused_members(&mut self, module: &ast::Module) {
        if self.cur.library || self.cur.failed || !self.cur.pragmas.wants(Code::WarnUnused) {
            return;
        }
        let mut seen: HashSet<Symbol> = HashSet::default();
        for phrase in &module.phrases {
            if matches!(phrase.kind, ast::PhraseKind::Case(_)) {
                continue;
            }
            for (name, private, _) in super::module::defined_names(phrase) {
                let hidden = private
                    || self
                        .infos
                        .get(self.cur.id.0 as usize)
                        .and_then(|info| info.members.get(&name.text))
                        .is_some_and(|member| member.private);
                if hidden
                    && may_be_unused(&name.text)
                    && !self.cur.used.contains(&name.text)
                    && seen.insert(name.text.clone())
                {
                    self.warn(unused(&name.text, name.span));
                }
            }
        }
    }

    /// A member of the module being checked, because code mentions it.
    pub(super) fn use_member(&mut self, name: &Symbol) -> Option<Member> {
        let member = self.own_member(name)?;
        let hidden = member.private || matches!(member.kind, MemberKind::Import(_));
        if hidden && !self.cur.library {
            self.cur.used.insert(name.clone());
        }
        Some(member)
    }

    /// Ends a nested function.
    pub(super) fn close_function(&mut self) -> super::env::FunctionScope {
        let mut scope = self
            .cur
            .functions
            .pop()
            .unwrap_or_else(|| super::env::FunctionScope::new(super::env::Place::Def, false));
        let gone = scope.scope.truncate(0);
        self.note_unused(gone);
        scope
    }

    /// A new local of the running function that is not visible by name.
    pub(super) fn new_local(&mut self, name: &str, mutable: bool) -> LocalId {
        let function = self.function();
        function.locals.push(core::Local {
            name: Symbol::from(name),
            mutable,
            boxed: false,
        });
        LocalId(function.locals.len() as u32 - 1)
    }
}

fn may_be_unused(name: &str) -> bool {
    !name.starts_with('_') && name != "appstate"
}

fn unused(name: &Symbol, span: Span) -> Issue {
    Issue::new(Code::WarnUnused, span)
        .with("name", name)
        .hint("remove it, or start its name with `_`")
}
