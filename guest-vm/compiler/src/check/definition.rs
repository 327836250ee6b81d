//! Phrases that define values: `def`, `foreign def`, `case`, `import`.

use super::Checker;
use super::env::{CaseInfo, Checked, FunctionScope, ImportInfo, Member, MemberKind, Place};
use super::lambda::body;
use super::types::Ty;
use crate::core::{
    self, Expr, ExprKind, ForeignArm, ForeignFunction, ForeignKind, Function, FunctionName,
    Instancing, ModuleId, SlotId, SlotKind,
};
use crate::issue::{Code, Issue};
use crate::syntax::ast::{self, Const, DefForm, Ident, Symbol};
use crate::syntax::span::Span;

impl Checker<'_> {
    /// Checks that a name may be defined as a sort of thing; gives the declared type.
    pub(super) fn may_define(&mut self, name: &Ident, sort: &'static str) -> Checked<Option<Ty>> {
        let Some(member) = self.own_member(&name.text) else {
            return Ok(None);
        };
        if matches!(member.kind, MemberKind::Broken) {
            return Ok(None);
        }
        if member.kind.sort() != sort {
            return Err(self.another_kind(name, &member, sort));
        }
        // `module P = M[A = T]` and an `import P` after it are one definition.
        let same = sort == "import" && self.cur.aliased.contains(&name.text);
        if member.defined && !same {
            let first = self.cur.slots[member.slot.0 as usize].span;
            self.warn(
                Issue::new(Code::WarnRedefined, name.span)
                    .with("name", &name.text)
                    .note(first, "it was defined here")
                    .hint("the last definition holds everywhere, also above"),
            );
        }
        Ok(member.declared.then_some(member.ty))
    }

    pub(super) fn slot_for(&mut self, name: &Ident, private: bool) -> SlotId {
        match self.cur.slot_of.get(&name.text) {
            Some(slot) => *slot,
            None => self.new_slot(name, private, SlotKind::Broken),
        }
    }

    pub(super) fn define(
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

    pub(super) fn declare(
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
    pub(super) fn in_body<T>(
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

    pub(super) fn effect_body(
        &mut self,
        name: FunctionName,
        span: Span,
        run: impl FnOnce(&mut Self) -> Checked<(Expr, Ty)>,
    ) -> Checked<(Function, Ty)> {
        let ((expr, ty), scope) = self.in_body(Place::Effect, true, run)?;
        Ok((body(name, scope, expr, span), ty))
    }

    pub(super) fn def(&mut self, def: &ast::Def, span: Span) -> Checked<()> {
        let place = if self.cur.is_static {
            Place::StaticDef
        } else if &*def.name.text == crate::pipeline::RESULT {
            // An expression of a session reads cells at their current value.
            Place::Guard
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
                if let Some(slot) = self.cur.effects.get(&def.name.span) {
                    self.cur.slots[slot.0 as usize].kind = SlotKind::Effect(function);
                }
                Ok(())
            }
            DefForm::Value { ty, meta, body: e } => {
                let declared = self.may_define(&def.name, "def")?;
                let general = self.is_value(e);
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

    pub(super) fn may_declare(&mut self, name: &Ident, sort: &'static str) -> Checked<()> {
        if let Some(member) = self.own_member(&name.text)
            && !matches!(member.kind, MemberKind::Broken)
            && member.kind.sort() != sort
        {
            return Err(self.another_kind(name, &member, sort));
        }
        Ok(())
    }

    fn another_kind(&self, name: &Ident, member: &Member, sort: &str) -> super::env::Stop {
        Issue::new(Code::NameKind, name.span)
            .with("name", &name.text)
            .with("old", member.kind.sort())
            .with("new", sort)
            .note(
                self.cur.slots[member.slot.0 as usize].span,
                "the name is taken here",
            )
            .into()
    }

    #[allow(clippy::too_many_arguments)]
    pub(super) fn definition(
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
        self.cur.defining_params = match &def.form {
            DefForm::Function { params, .. } => params.len().max(1),
            _ => 1,
        };
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
    pub(super) fn def_slot(
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

    pub(super) fn foreign_def(&mut self, def: &ast::ForeignDef, span: Span) -> Checked<()> {
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
        let own_arms = !arms.is_empty()
            && self.infos[self.cur.id.0 as usize].instancing != core::Instancing::Shared;
        let foreign = SlotKind::Foreign(ForeignFunction {
            host,
            kind,
            arity,
            nullary,
            arms,
        });
        let slot = if own_arms {
            // Replacements may read the instance, so the function is a value of it.
            let hidden = Ident {
                text: format!("$foreign {}", def.name.text).into(),
                span: def.name.span,
            };
            let hidden = self.new_slot(&hidden, true, foreign);
            SlotKind::Value(core::Function::from((
                Expr {
                    span,
                    kind: ExprKind::Slot(hidden),
                },
                span,
            )))
        } else {
            foreign
        };
        self.define(&def.name, def.private, MemberKind::Def, ty, None, slot);
        Ok(())
    }

    pub(super) fn case_def(&mut self, def: &ast::CaseDef) -> Checked<()> {
        for case in &def.cases {
            self.may_define(&case.name, "case")?;
            let argument = match &case.argument {
                Some(ty) => Some(self.declared_type(ty)?),
                None => None,
            };
            let full_name: Symbol = if self.is_session() {
                case.name.text.clone()
            } else {
                format!("{}.{}", self.cur.name, case.name.text).into()
            };
            if full_name.len() > 256 {
                return Err(Issue::new(Code::SynNesting, case.name.span)
                    .with("what", "the name of the case is too long")
                    .with("limit", "256 bytes with its module")
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

    pub(super) fn import(&mut self, import: &ast::Import) -> Checked<()> {
        // A name that the module itself gave to another one.
        let own = match self.own_member(&import.module.text) {
            Some(Member {
                kind: MemberKind::Import(info),
                defined: true,
                ..
            }) if self.cur.aliased.contains(&import.module.text) => Some((info.module, info.binds)),
            _ => None,
        };
        let (id, mut binds) = match own {
            Some(known) => known,
            None => self.require(&import.module.text, import.module.span)?,
        };
        self.record_module(id, import.module.span);
        binds.extend(self.type_binds(id, &import.type_binds)?);
        let name = import.binding.as_ref().unwrap_or(&import.module);
        self.import_member(name, id, binds, import.args.as_deref(), import.module.span)
    }

    pub(super) fn import_member(
        &mut self,
        name: &Ident,
        id: ModuleId,
        mut binds: Vec<(Ty, Ty)>,
        args: Option<&[ast::Expr]>,
        span: Span,
    ) -> Checked<()> {
        let params = self.infos[id.0 as usize].params.clone();
        let args = args.unwrap_or(&[]);
        if args.len() > params.len() {
            let count = params.len();
            let s = if count == 1 { "" } else { "s" };
            return Err(Issue::new(Code::TypeNotFunction, span)
                .with("type", format!("module {}", self.infos[id.0 as usize].name))
                .hint(format!(
                    "it has {count} parameter{s}, and {} are given",
                    args.len()
                ))
                .into());
        }
        self.may_define(name, "import")?;
        self.cur.dependencies.clear();
        let given = binds.len();
        if !args.is_empty() {
            self.open_type_vars(id, &mut binds);
        }
        let (values, scope) = self.in_body(Place::Formula, false, |checker| {
            let mut values = Vec::new();
            for (arg, param) in args.iter().zip(&params) {
                let param = checker.substitute(*param, &binds);
                values.push(checker.check(arg, param)?);
            }
            Ok(values)
        })?;
        self.settle()?;
        // What the arguments say nothing of stays open.
        let mut number = 0;
        binds.retain(|(_, ty)| {
            number += 1;
            number <= given || !self.types.is_var(*ty)
        });
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
}
