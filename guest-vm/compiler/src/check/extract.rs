//! `c^`: the argument of a case.

use super::Checker;
use super::env::{Checked, MemberKind};
use super::lookup::Found;
use super::types::{Node, Ty};
use crate::core::{Expr, ExprKind};
use crate::issue::{Code, Issue};
use crate::syntax::ast;
use crate::syntax::span::Span;

impl Checker<'_> {
    /// The case that `c^` names; it must have an argument.
    pub(super) fn case_of(&mut self, e: &ast::Expr) -> Checked<super::env::CaseInfo> {
        let shown = |e: &ast::Expr| match &e.kind {
            ast::ExprKind::Name(name) => name.to_string(),
            ast::ExprKind::SelfName(name) | ast::ExprKind::GlobalName(name) => {
                name.text.to_string()
            }
            ast::ExprKind::Field { name, .. } => name.text.to_string(),
            _ => "this expression".to_string(),
        };
        let info = match &e.kind {
            ast::ExprKind::Name(name) => match self.lookup(name, e.span)? {
                Found::Case(case) => Some(case),
                Found::Own(_, member) => match member.kind {
                    MemberKind::Case(case) => Some(case),
                    MemberKind::Broken => return Err(self.silent()),
                    _ => None,
                },
                _ => None,
            },
            ast::ExprKind::SelfName(name) => {
                let member = self.use_member(&name.text);
                if let Some(member) = &member {
                    self.record_member(self.cur.id, &name.text, member, name.span);
                }
                match member.map(|member| member.kind) {
                    Some(MemberKind::Case(case)) => Some(case),
                    _ => None,
                }
            }
            ast::ExprKind::GlobalName(name) => self.global_case(&name.text),
            ast::ExprKind::Field { base, name, .. } => match self.module_named(base)? {
                Some(super::reference::ModuleRef::Module {
                    id,
                    binds,
                    name: module,
                    ..
                }) => match self.visible_member(id, &module, name)?.kind {
                    MemberKind::Case(case) => Some(self.case_of_module(&case, id, &binds)),
                    _ => None,
                },
                None => None,
            },
            _ => None,
        };
        let Some(info) = info else {
            return Err(Issue::new(Code::NameCase, e.span)
                .hint("`c^` takes the argument out of a value of case c")
                .with("name", shown(e))
                .into());
        };
        if info.argument.is_none() {
            return Err(Issue::new(Code::NameNoArg, e.span)
                .with("name", self.types.local_name(&info.full_name))
                .hint("a constant case holds no value")
                .into());
        }
        Ok(info)
    }

    /// The type of the argument of a case in a value of some type.
    pub(super) fn extracted(
        &mut self,
        case: &super::env::CaseInfo,
        ty: Ty,
        span: Span,
    ) -> Checked<Ty> {
        self.settle()?;
        match self.types.node(ty) {
            Node::Data | Node::Plus(..) => return Ok(Ty::DATA),
            Node::Any => return Ok(Ty::ANY),
            Node::Var { soft: true, .. } => {
                self.types.bind(ty, Ty::DATA);
                return Ok(Ty::DATA);
            }
            Node::Case(..) | Node::Union(..) => {
                let (members, _) = self.types.members(ty);
                if let Some((_, Some(argument))) = members
                    .into_iter()
                    .find(|(name, _)| *name == case.full_name)
                {
                    return Ok(argument);
                }
            }
            Node::Var { .. } => {
                let argument = match case.argument {
                    Some(argument) => self.instantiate(argument, span),
                    None => Ty::NULL,
                };
                let wanted = self.types.case(&case.full_name, Some(argument));
                if self.types.attempt(|types| types.unify(ty, wanted)) {
                    return Ok(argument);
                }
            }
            _ => {}
        }
        let argument = match case.argument {
            Some(argument) => self.instantiate(argument, span),
            None => Ty::NULL,
        };
        let wanted = self.types.case(&case.full_name, Some(argument));
        Err(self.mismatch(wanted, ty, span))
    }

    /// `c^` as a function value.
    pub(super) fn infer_extract(&mut self, case: &ast::Expr, span: Span) -> Checked<(Expr, Ty)> {
        let info = self.case_of(case)?;
        let declared = match info.argument {
            Some(argument) => self.instantiate(argument, span),
            None => Ty::NULL,
        };
        let from = self.types.case(&info.full_name, Some(declared));
        let ty = self.types.fun(from, declared);
        Ok((self.extract_lambda(&info, span), ty))
    }

    /// The function behind `c^`.
    pub(super) fn extract_lambda(&mut self, info: &super::env::CaseInfo, span: Span) -> Expr {
        self.open_function(false);
        let param = self.new_local("_case", false);
        let body = Expr {
            span,
            kind: ExprKind::Extract {
                full_name: info.full_name.clone(),
                value: Box::new(Expr {
                    span,
                    kind: ExprKind::Local(param),
                }),
            },
        };
        let scope = self.close_function();
        let lambda = super::lambda::close(scope, vec![param], body, span);
        Expr {
            span,
            kind: ExprKind::Lambda(Box::new(lambda)),
        }
    }
}
