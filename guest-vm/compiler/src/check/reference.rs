//! Uses of names: from what a name stands for to an expression with a type.

use super::Checker;
use super::env::{CaseInfo, Checked, Member, MemberKind, Place};
use super::lookup::Found;
use super::suggest::{longer, suggest};
use super::types::{Node, Ty};
use crate::core::{CellView, Constant, Expr, ExprKind, Instancing, ModuleId};
use crate::issue::{Code, Issue};
use crate::syntax::ast::{self, ConstKind, Ident, Symbol};
use crate::syntax::span::Span;

/// What stands before the dot of `m.name`, if it is a module.
pub(super) enum ModuleRef {
    /// A shared or per-view module, or types and cases only.
    Module {
        id: ModuleId,
        binds: Vec<(Ty, Ty)>,
        /// An expression for the instance; `None` if the module is addressed directly.
        instance: Option<Expr>,
        /// Parameters are missing: only types and cases can be used.
        missing: bool,
        name: Symbol,
    },
}

impl Checker<'_> {
    pub(super) fn constant(&self, constant: Constant, span: Span) -> Expr {
        Expr {
            span,
            kind: ExprKind::Constant(constant),
        }
    }

    /// A quantified type at one use; its delayed sums are checked later.
    pub(super) fn instantiate(&mut self, ty: Ty, span: Span) -> Ty {
        let mut sums = Vec::new();
        let result = self.types.instantiate(ty, &mut sums);
        self.cur
            .sums
            .extend(sums.into_iter().map(|sum| (sum, span)));
        result
    }

    /// An unqualified name as an expression.
    pub(super) fn infer_name(&mut self, name: &Symbol, span: Span) -> Checked<(Expr, Ty)> {
        let found = self.lookup(name, span)?;
        self.use_found(found, name, span)
    }

    pub(super) fn use_found(
        &mut self,
        found: Found,
        name: &Symbol,
        span: Span,
    ) -> Checked<(Expr, Ty)> {
        match found {
            Found::Local { depth, id, ty, .. } => {
                let ty = self.instantiate(ty, span);
                Ok((self.read_local(depth, id, span), ty))
            }
            Found::Appstate => Ok((
                Expr {
                    span,
                    kind: ExprKind::Appstate,
                },
                Ty::APPSTATE,
            )),
            Found::Own(name, member) => self.use_own(&name, &member, span),
            Found::Case(case) => self.use_case(&case, span),
            Found::Form(form) => self.use_form(form, span),
            Found::Prelude(id, member) | Found::Entered(id, member) => {
                let ty = self.instantiate(member.ty, span);
                Ok((
                    Expr {
                        span,
                        kind: ExprKind::Static {
                            module: id,
                            slot: member.slot,
                        },
                    },
                    ty,
                ))
            }
            Found::Module(id) => {
                if self.infos[id.0 as usize].instancing == Instancing::PerImport {
                    return Err(Issue::new(Code::ModParams, span)
                        .with("name", name)
                        .hint(format!("import it with its arguments: import {name}(…)"))
                        .into());
                }
                let ty = self.module_type(id, &[]);
                Ok((
                    Expr {
                        span,
                        kind: ExprKind::Instance(id),
                    },
                    ty,
                ))
            }
        }
    }

    /// The type of instances of a module.
    pub(super) fn module_type(&mut self, id: ModuleId, binds: &[(Ty, Ty)]) -> Ty {
        let vars = self.infos[id.0 as usize].type_vars.clone();
        let args: Vec<Ty> = vars
            .iter()
            .map(|(_, var)| {
                binds
                    .iter()
                    .find(|(old, _)| old == var)
                    .map(|(_, new)| *new)
                    .unwrap_or_else(|| self.types.fresh())
            })
            .collect();
        self.types.add(Node::Module(id.0, args.into()))
    }

    fn use_own(&mut self, name: &Symbol, member: &Member, span: Span) -> Checked<(Expr, Ty)> {
        match &member.kind {
            MemberKind::Broken => Err(self.silent()),
            MemberKind::Param => Ok((self.own_slot(member.slot, span), member.ty)),
            MemberKind::Def => {
                self.warn_meta(name, &member.meta, span);
                let ty = self.instantiate(member.ty, span);
                Ok((self.own_slot(member.slot, span), ty))
            }
            MemberKind::Case(case) => self.use_case(case, span),
            MemberKind::Cell { .. } => self.read_cell(name, member, CellView::Value, span),
            MemberKind::Import(import) => {
                self.visible_import(name, member, span)?;
                let id = import.module;
                let shared = self.infos[id.0 as usize].instancing != Instancing::PerImport;
                let expr = if shared {
                    Expr {
                        span,
                        kind: ExprKind::Instance(id),
                    }
                } else {
                    self.own_slot(member.slot, span)
                };
                let mut binds = import.binds.clone();
                self.open_type_vars(id, &mut binds);
                let instance = self.module_type(id, &binds);
                let params = self.infos[id.0 as usize].params.clone();
                let missing: Vec<Ty> = params[params.len() - import.missing..].to_vec();
                let missing: Vec<Ty> = missing
                    .into_iter()
                    .map(|param| self.substitute(param, &binds))
                    .collect();
                Ok((expr, self.types.funs(&missing, instance)))
            }
        }
    }

    /// A case of another module with the type parameters of that module replaced.
    pub(super) fn case_of_module(
        &mut self,
        case: &CaseInfo,
        id: ModuleId,
        binds: &[(Ty, Ty)],
    ) -> CaseInfo {
        let mut case = case.clone();
        if let Some(argument) = case.argument
            && !self.infos[id.0 as usize].type_vars.is_empty()
        {
            let mut binds = binds.to_vec();
            self.open_type_vars(id, &mut binds);
            case.argument = Some(self.substitute(argument, &binds));
        }
        case
    }

    /// New variables for the type parameters of a module that nothing is known of.
    pub(super) fn open_type_vars(&mut self, id: ModuleId, binds: &mut Vec<(Ty, Ty)>) {
        for (_, var) in self.infos[id.0 as usize].type_vars.clone() {
            if !binds.iter().any(|(old, _)| *old == var) {
                let fresh = self.types.fresh();
                binds.push((var, fresh));
            }
        }
    }

    /// A type of another module with its type parameters replaced.
    pub(super) fn substitute(&mut self, ty: Ty, binds: &[(Ty, Ty)]) -> Ty {
        if binds.is_empty() {
            return ty;
        }
        self.types.rewrite(ty, &mut |_, at, _| {
            binds
                .iter()
                .find(|(old, _)| *old == at)
                .map(|(_, new)| *new)
        })
    }

    /// A case as a value or constructor.
    pub(super) fn use_case(&mut self, case: &CaseInfo, span: Span) -> Checked<(Expr, Ty)> {
        match case.argument {
            None => {
                let ty = self.types.case(&case.full_name, None);
                Ok((
                    Expr {
                        span,
                        kind: ExprKind::Case {
                            full_name: case.full_name.clone(),
                            argument: None,
                        },
                    },
                    ty,
                ))
            }
            Some(argument) => {
                let argument = self.instantiate(argument, span);
                let result = self.types.case(&case.full_name, Some(argument));
                Ok((
                    Expr {
                        span,
                        kind: ExprKind::Constructor(case.full_name.clone()),
                    },
                    self.types.fun(argument, result),
                ))
            }
        }
    }

    /// Reads a cell of the module being checked.
    pub(super) fn read_cell(
        &mut self,
        name: &Symbol,
        member: &Member,
        view: CellView,
        span: Span,
    ) -> Checked<(Expr, Ty)> {
        let MemberKind::Cell { assignable, alias } = member.kind else {
            return Err(Issue::new(Code::CellExpected, span)
                .with("what", name)
                .into());
        };
        match self.place() {
            _ if self.has_appstate() => {}
            Place::Formula | Place::Effect | Place::Guard => {}
            Place::StaticDef if assignable && !alias => {}
            Place::Def | Place::StaticDef => {
                if view != CellView::Contents {
                    return Err(Issue::new(Code::CellInDef, span)
                        .with("name", name)
                        .hint(format!(
                            "pass its value as an argument, or read it with contents({name})"
                        ))
                        .into());
                }
            }
        }
        let own = self
            .cur
            .this_cell
            .as_ref()
            .is_some_and(|(cell, _)| cell == name);
        if own && self.place() == Place::Formula && view == CellView::Value {
            return Err(Issue::new(Code::CellCycle, span)
                .with("path", format!("{name} -> {name}"))
                .hint(format!("{name}' is its value before the update"))
                .into());
        }
        if self.place() == Place::Formula && view != CellView::Contents && !own {
            self.cur.dependencies.push(member.slot);
        }
        let ty = match view {
            CellView::Value | CellView::Previous | CellView::Contents => member.ty,
            CellView::Version | CellView::Age => Ty::NUMBER,
            CellView::Updated | CellView::Changed => Ty::BOOL,
        };
        Ok((
            Expr {
                span,
                kind: ExprKind::CellRead {
                    slot: member.slot,
                    view,
                },
            },
            ty,
        ))
    }

    /// The cell that an expression names, if it is a plain name.
    pub(super) fn cell_named(&mut self, expr: &ast::Expr) -> Option<(Symbol, Member)> {
        let (name, through_self) = match &expr.kind {
            ast::ExprKind::Name(name) => (name.clone(), false),
            ast::ExprKind::SelfName(name) => (name.text.clone(), true),
            _ => return None,
        };
        if &*name == "thisCell" && !through_self && self.own_member(&name).is_none() {
            let (cell, _) = self.cur.this_cell.clone()?;
            let member = self.use_member(&cell)?;
            return Some((cell, member));
        }
        let found = if through_self {
            Found::Own(name.clone(), self.use_member(&name)?)
        } else {
            // Only names that are surely local or own: a lookup may load modules.
            match self.lookup(&name, expr.span).ok()? {
                found @ Found::Own(..) => found,
                _ => return None,
            }
        };
        match found {
            Found::Own(name, member) if matches!(member.kind, MemberKind::Cell { .. }) => {
                Some((name, member))
            }
            _ => None,
        }
    }

    /// The link to a cell of the module being checked.
    pub(super) fn cell_link(&mut self, member: &Member, span: Span) -> (Expr, Ty) {
        let assignable = matches!(
            member.kind,
            MemberKind::Cell {
                assignable: true,
                ..
            }
        );
        let ty = self.types.add(Node::Link(member.ty, assignable));
        (
            Expr {
                span,
                kind: ExprKind::CellLink(member.slot),
            },
            ty,
        )
    }

    /// The module an expression names, if it does.
    pub(super) fn module_named(&mut self, expr: &ast::Expr) -> Checked<Option<ModuleRef>> {
        let found = match &expr.kind {
            ast::ExprKind::Name(name) => self.lookup(name, expr.span)?,
            ast::ExprKind::SelfName(name) => match self.use_member(&name.text) {
                Some(member) => {
                    self.record_member(self.cur.id, &name.text, &member, name.span);
                    Found::Own(name.text.clone(), member)
                }
                None => return Ok(None),
            },
            _ => return Ok(None),
        };
        Ok(match found {
            Found::Module(id) => Some(ModuleRef::Module {
                id,
                binds: Vec::new(),
                instance: None,
                missing: self.infos[id.0 as usize].instancing == Instancing::PerImport,
                name: self.infos[id.0 as usize].name.clone(),
            }),
            Found::Own(name, member) => match &member.kind {
                MemberKind::Import(import) => {
                    self.visible_import(&name, &member, expr.span)?;
                    let id = import.module;
                    let direct = self.infos[id.0 as usize].instancing != Instancing::PerImport;
                    Some(ModuleRef::Module {
                        id,
                        binds: import.binds.clone(),
                        instance: (!direct).then(|| self.own_slot(member.slot, expr.span)),
                        missing: import.missing > 0,
                        name,
                    })
                }
                _ => None,
            },
            _ => None,
        })
    }

    /// `m.name` of a module.
    pub(super) fn member_of(
        &mut self,
        module: ModuleRef,
        name: &Ident,
        span: Span,
    ) -> Checked<(Expr, Ty)> {
        let ModuleRef::Module {
            id,
            mut binds,
            instance,
            missing,
            name: module_name,
        } = module;
        let member = self.visible_member(id, &module_name, name)?;
        if let MemberKind::Case(case) = &member.kind {
            if case.private && id != self.cur.id && case.argument.is_some() {
                let place = self.place_in(id, member.slot);
                return Err(private(name, &module_name, place));
            }
            let case = self.case_of_module(case, id, &binds);
            return self.use_case(&case, span);
        }
        if missing {
            return Err(Issue::new(Code::ModParams, span)
                .with("name", &module_name)
                .hint(format!(
                    "give them in the import, `import {module_name}(…)`, or here: `{module_name}(…).{}`",
                    name.text
                ))
                .into());
        }
        // Type parameters that the import leaves open are new at every use.
        self.open_type_vars(id, &mut binds);
        let ty = self.substitute(member.ty, &binds);
        self.warn_meta(&name.text, &member.meta, span);
        if matches!(member.kind, MemberKind::Cell { .. }) {
            let MemberKind::Cell { assignable, .. } = member.kind else {
                return Err(self.silent());
            };
            let instance = instance.unwrap_or(Expr {
                span,
                kind: ExprKind::Instance(id),
            });
            let ty = self.types.add(Node::Link(ty, assignable));
            return Ok((
                Expr {
                    span,
                    kind: ExprKind::MemberLink {
                        instance: Box::new(instance),
                        module: id,
                        slot: member.slot,
                    },
                },
                ty,
            ));
        }
        let ty = self.instantiate(ty, span);
        let kind = match instance {
            None => ExprKind::Static {
                module: id,
                slot: member.slot,
            },
            Some(instance) => ExprKind::Member {
                instance: Box::new(instance),
                module: id,
                slot: member.slot,
            },
        };
        Ok((Expr { span, kind }, ty))
    }

    /// A member of another module that may be named there.
    pub(super) fn visible_member(
        &mut self,
        id: ModuleId,
        module_name: &Symbol,
        name: &Ident,
    ) -> Checked<Member> {
        self.record_members(id, &name.text);
        let info = &self.infos[id.0 as usize];
        match info.members.get(&name.text) {
            Some(member) if matches!(member.kind, MemberKind::Broken) => Err(self.silent()),
            // What is private in a library module is no concern of its users: it is not there.
            Some(member) if self.can_be_named(id, member) => {
                let is_case = matches!(member.kind, MemberKind::Case(_));
                if member.private && !is_case && id != self.cur.id {
                    let place = self.place_in(id, member.slot);
                    return Err(private(name, module_name, place));
                }
                let member = member.clone();
                self.record_member(id, &name.text, &member, name.span);
                Ok(member)
            }
            _ => {
                let familiar = match self.program.modules[id.0 as usize].library {
                    true => super::familiar::member(module_name, &name.text),
                    false => None,
                };
                let offered = || {
                    let members = info.members.iter().filter(|(_, member)| {
                        !member.private
                            && !matches!(member.kind, MemberKind::Import(_) | MemberKind::Param)
                    });
                    members.map(|(name, _)| &**name)
                };
                let hint = suggest(&name.text, offered());
                let issue = Issue::new(Code::NameMember, name.span)
                    .with("module", module_name)
                    .with("name", &name.text);
                let elsewhere: Vec<String> = super::familiar::library_members(&name.text)
                    .into_iter()
                    .take(4)
                    .collect();
                let longer = match (&familiar, &hint, &*elsewhere) {
                    (None, None, []) => longer(&name.text, offered()),
                    _ => Vec::new(),
                };
                let longer: Vec<String> = longer
                    .into_iter()
                    .map(|name| format!("{module_name}.{name}"))
                    .collect();
                let longer = (!longer.is_empty()).then(|| longer.join(" or "));
                Err(issue
                    .hint_if(longer.map(|names| format!("did you mean {names}?")))
                    .hint_if(familiar)
                    .hint_if(hint.map(|hint| format!("did you mean {module_name}.{hint}?")))
                    .hint_if(
                        (!elsewhere.is_empty())
                            .then(|| format!("there is {}", elsewhere.join(", "))),
                    )
                    .into())
            }
        }
    }

    /// Imports and parameters of a module stay inside; of a library module private names too.
    fn can_be_named(&self, id: ModuleId, member: &Member) -> bool {
        let inner = matches!(member.kind, MemberKind::Import(_) | MemberKind::Param);
        let library = !self.cur.library && self.program.modules[id.0 as usize].library;
        !(inner || member.private && library)
    }

    /// Where a slot of a module is defined, if the user can see its source.
    pub(super) fn place_in(&self, id: ModuleId, slot: crate::core::SlotId) -> Option<Span> {
        let module = &self.program.modules[id.0 as usize];
        let slot = module.slots.get(slot.0 as usize)?;
        (!module.library && module.external.is_none()).then_some(slot.span)
    }

    /// Warnings that a definition's metadata asks for.
    fn warn_meta(&mut self, name: &Symbol, meta: &Option<ast::Const>, span: Span) {
        let Some(ast::Const {
            kind: ConstKind::Object(entries),
            ..
        }) = meta
        else {
            return;
        };
        let flag = |key: &str| {
            entries
                .iter()
                .any(|(k, v)| &*k.text == key && matches!(v.kind, ConstKind::Bool(true)))
        };
        let text = |key: &str| {
            entries.iter().find_map(|(k, v)| match &v.kind {
                ConstKind::Str(text) if &*k.text == key => Some(text.to_string()),
                ConstKind::Array(items) if &*k.text == key => {
                    let names = items.iter().filter_map(|item| match &item.kind {
                        ConstKind::Str(text) => Some(&**text),
                        _ => None,
                    });
                    let names: Vec<&str> = names.collect();
                    (!names.is_empty()).then(|| names.join(" or "))
                }
                _ => None,
            })
        };
        if flag("deprecated") && self.cur.pragmas.wants(Code::WarnDeprecated) {
            let mut issue = Issue::new(Code::WarnDeprecated, span).with("name", name);
            if let Some(alternatives) = text("alternatives") {
                issue = issue.hint(format!("use {alternatives}"));
            }
            self.warn(issue);
        }
        if flag("renamed") && self.cur.pragmas.wants(Code::WarnRenamed) {
            let replacement = text("replacement").unwrap_or_default();
            self.warn(
                Issue::new(Code::WarnRenamed, span)
                    .with("name", name)
                    .hint(format!("write {replacement}"))
                    .with("replacement", replacement),
            );
        }
    }
}

fn private(name: &Ident, module: &Symbol, place: Option<Span>) -> super::env::Stop {
    let issue = Issue::new(Code::NamePrivate, name.span)
        .with("name", &name.text)
        .with("module", module)
        .hint("use what the module offers, or remove `private` from the definition");
    match place {
        Some(place) => issue.note(place, "it is defined here").into(),
        None => issue.into(),
    }
}
