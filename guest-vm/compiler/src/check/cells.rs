//! The predefined cell forms, actions and view requests.

use super::Checker;
use super::call::Arg;
use super::env::{Checked, MemberKind, Place, ScopeTarget};
use super::scope::ScopeEntry;
use super::types::{Node, Ty};
use crate::core::{self, CellForm, CellView, Expr, ExprKind, FunctionName};
use crate::issue::{Code, Issue};
use crate::syntax::ast::{self, Ident, Symbol};
use crate::syntax::span::Span;

impl Checker<'_> {
    /// A predefined form used without a call.
    pub(super) fn use_form(&mut self, form: &'static str, span: Span) -> Checked<(Expr, Ty)> {
        let nullary = match form {
            "onRefresh" => Some(CellForm::OnRefresh),
            "onView" => Some(CellForm::OnView),
            "never" => Some(CellForm::Never),
            _ => None,
        };
        if let Some(kind) = nullary {
            return Ok((cell_form(kind, Vec::new(), span), Ty::NULL));
        }
        match form {
            "thisCell" => {
                let Some((name, _)) = self.cur.this_cell.clone() else {
                    return Err(Issue::new(Code::CellExpected, span)
                        .with("what", "thisCell")
                        .into());
                };
                Err(Issue::new(Code::CellCycle, span)
                    .with("path", format!("{name} -> {name}"))
                    .hint("`thisCell'` is its value before the update")
                    .into())
            }
            "currentInstanceId" => {
                self.open_function(false);
                let param = self.new_local("_", false);
                let body = self.instance_id(span);
                let scope = self.close_function();
                let lambda = super::lambda::close(scope, vec![param], body, span);
                let ty = self.types.fun(Ty::NULL, Ty::NUMBER);
                Ok((
                    Expr {
                        span,
                        kind: ExprKind::Lambda(Box::new(lambda)),
                    },
                    ty,
                ))
            }
            _ => Err(Issue::new(Code::CellExpected, span)
                .with("what", form)
                .hint(format!("{form} is a form and must be applied: {form}(...)"))
                .into()),
        }
    }

    fn instance_id(&mut self, span: Span) -> Expr {
        if self.cur.name.is_empty() {
            // Expressions of a session are outside of modules.
            return self.constant(core::Constant::Int(0), span);
        }
        if self.infos[self.cur.id.0 as usize].instancing == core::Instancing::Shared {
            self.cur.needs_instance = true;
        }
        Expr {
            span,
            kind: ExprKind::InstanceId,
        }
    }

    /// A predefined form applied to arguments.
    pub(super) fn call_form(
        &mut self,
        form: &'static str,
        args: &[ast::Expr],
        span: Span,
    ) -> Checked<(Expr, Ty)> {
        let wrong = || -> super::env::Stop {
            Issue::new(Code::CellExpected, span)
                .with("what", form)
                .hint(format!(
                    "write {form}(c) with the name of a cell of this module"
                ))
                .into()
        };
        let one = |index: usize| args.get(index).ok_or_else(wrong);
        let view = match form {
            "cellVersion" => Some(CellView::Version),
            "cellAge" => Some(CellView::Age),
            "cellUpdated" => Some(CellView::Updated),
            "cellChanged" => Some(CellView::Changed),
            _ => None,
        };
        if let Some(view) = view {
            let Some((name, member)) = self.cell_named(one(0)?) else {
                return Err(wrong());
            };
            return self.read_cell(&name, &member, view, span);
        }
        match form {
            "currentInstanceId" => Ok((self.instance_id(span), Ty::NUMBER)),
            "link" => {
                if let ast::ExprKind::Name(name) = &one(0)?.kind
                    && &**name == "thisCell"
                    && let Some((_, ty)) = self.cur.this_cell.clone()
                {
                    let ty = self.types.add(Node::Link(ty, false));
                    return Ok((cell_form(CellForm::ThisLink, Vec::new(), span), ty));
                }
                if let Some((_, member)) = self.cell_named(one(0)?) {
                    return Ok(self.cell_link(&member, span));
                }
                // A member of an import is a link already.
                let (expr, ty) = self.infer(one(0)?)?;
                self.link_content(ty, form, one(0)?.span)?;
                Ok((expr, ty))
            }
            "contents" => {
                if let Some((name, member)) = self.cell_named(one(0)?) {
                    return self.read_cell(&name, &member, CellView::Contents, span);
                }
                let (link, ty) = self.infer(one(0)?)?;
                let (content, _) = self.link_content(ty, form, one(0)?.span)?;
                Ok((
                    cell_form(CellForm::ContentsOfLink, vec![link], span),
                    content,
                ))
            }
            "cellSelect" | "cellSelectNotNull" | "cellSelectNotUnset" => {
                let kind = match form {
                    "cellSelect" => CellForm::Select,
                    "cellSelectNotNull" => CellForm::SelectNotNull,
                    _ => CellForm::SelectNotUnset,
                };
                let mut links = Vec::new();
                let mut joined: Option<Ty> = None;
                one(0)?;
                for arg in args {
                    let Some((name, member)) = self.cell_named(arg) else {
                        return Err(wrong());
                    };
                    let (_, ty) = self.read_cell(&name, &member, CellView::Value, arg.span)?;
                    links.push(self.cell_link(&member, arg.span).0);
                    joined = Some(match joined {
                        None => ty,
                        Some(so_far) => self.join_branches(so_far, ty, arg.span)?,
                    });
                }
                Ok((cell_form(kind, links, span), joined.unwrap_or(Ty::DATA)))
            }
            "cellName" | "inCellName" | "isCellAlive" => {
                let (link, ty) = self.link_argument(one(0)?)?;
                self.link_content(ty, form, one(0)?.span)?;
                let (kind, ty) = match form {
                    "cellName" => (CellForm::Name, Ty::STRING),
                    "inCellName" => (CellForm::InnerName, Ty::STRING),
                    _ => (CellForm::IsAlive, Ty::BOOL),
                };
                Ok((cell_form(kind, vec![link], span), ty))
            }
            "newConstCell" | "newVarCell" => {
                if self.infos[self.cur.id.0 as usize].instancing == core::Instancing::Shared {
                    self.cur.needs_instance = true;
                }
                let (value, ty) = self.infer(one(0)?)?;
                let var = form == "newVarCell";
                let kind = if var {
                    CellForm::NewVar
                } else {
                    CellForm::NewConst
                };
                let ty = self.types.add(Node::Link(ty, var));
                Ok((cell_form(kind, vec![value], span), ty))
            }
            "freeze" => {
                if !self.has_appstate() {
                    return Err(Issue::new(Code::CellNeedsAppstate, span)
                        .with("name", "with freeze")
                        .hint("cells are frozen in actions, observers and initializers")
                        .into());
                }
                let (link, ty) = self.link_argument(one(0)?)?;
                self.link_content(ty, form, one(0)?.span)?;
                Ok((cell_form(CellForm::Freeze, vec![link], span), Ty::NULL))
            }
            "cellMutate" => {
                self.check(one(0)?, Ty::APPSTATE)?;
                let (link, ty) = self.link_argument(one(1)?)?;
                let (content, assignable) = self.link_content(ty, form, one(1)?.span)?;
                if !assignable {
                    return Err(Issue::new(Code::CellReadonly, one(1)?.span)
                        .with("name", "behind the link")
                        .into());
                }
                let value = self.check(one(2)?, content)?;
                Ok((
                    cell_form(CellForm::Mutate, vec![link, value], span),
                    Ty::NULL,
                ))
            }
            "cellSessionScope" | "cellScreenScope" => {
                self.check(one(0)?, Ty::APPSTATE)?;
                let (link, ty) = self.link_argument(one(1)?)?;
                let (_, assignable) = self.link_content(ty, form, one(1)?.span)?;
                if !assignable {
                    return Err(Issue::new(Code::CellReadonly, one(1)?.span)
                        .with("name", "behind the link")
                        .hint(format!("{form} shares a var cell of a static module"))
                        .into());
                }
                let kind = if form == "cellSessionScope" {
                    CellForm::SessionScope
                } else {
                    CellForm::ScreenScope
                };
                Ok((cell_form(kind, vec![link], span), Ty::NULL))
            }
            super::lookup::LIVE_QUERY => self.live_query(one(0)?, span),
            super::lookup::LIVE_STREAM => self.live_stream(one(0)?, CellForm::LiveStream, span),
            super::lookup::LIVE_ACTIONS => self.live_stream(one(0)?, CellForm::LiveActions, span),
            "dependentLink" => {
                let content = self.types.fresh();
                let link = self.types.add(Node::Link(content, false));
                let make_ty = self.types.fun(Ty::NULL, link);
                let make = self.check(one(0)?, make_ty)?;
                let any = self.types.fresh();
                let dep_ty = self.types.fun(Ty::NULL, any);
                let dep = self.check(one(1)?, dep_ty)?;
                Ok((
                    cell_form(CellForm::DependentLink, vec![make, dep], span),
                    link,
                ))
            }
            "mapLinkArray" => {
                let row = self.types.fresh();
                let content = self.types.fresh();
                let link = self.types.add(Node::Link(content, false));
                let rows_ty = self.types.array(row);
                let rows = self.check(one(1)?, rows_ty)?;
                let make_ty = self.types.funs(&[Ty::NUMBER, row], link);
                let make = self.check(one(0)?, make_ty)?;
                let contents = self.types.array(content);
                let ty = self.types.add(Node::Link(contents, false));
                Ok((
                    cell_form(CellForm::MapLinkArray, vec![make, rows], span),
                    ty,
                ))
            }
            "polyFunction" => self.poly_function(one(0)?),
            _ => self.use_form(form, span),
        }
    }

    /// `polyFunction(f)`: f with its type for all values of its variables.
    fn poly_function(&mut self, e: &ast::Expr) -> Checked<(Expr, Ty)> {
        if let ast::ExprKind::Name(name) = &e.kind {
            let (expr, _) = self.infer_name(name, e.span)?;
            let ty = match self.lookup(name, e.span)? {
                super::lookup::Found::Local { ty, .. } => Some(ty),
                super::lookup::Found::Own(_, member)
                | super::lookup::Found::Prelude(_, member)
                | super::lookup::Found::Entered(_, member) => Some(member.ty),
                _ => None,
            };
            if let Some(ty) = ty {
                return Ok((expr, self.types.add(Node::Forall(ty))));
            }
        }
        if !self.is_value(e) {
            return Err(Issue::new(Code::TypeNeedsHint, e.span)
                .with("what", "the argument of polyFunction")
                .hint("only names, lambdas, literals and constructors are polymorphic")
                .into());
        }
        self.types.level += 1;
        let outcome = self.infer(e);
        let settled = self.settle_above(self.types.level - 1);
        self.types.level -= 1;
        let (expr, ty) = outcome?;
        settled?;
        self.types.generalize(ty);
        Ok((expr, self.types.add(Node::Forall(ty))))
    }

    /// `db.head(d)` at the head of a live cell: the query, the changes of a database, and that of the query.
    fn live_query(&mut self, head: &ast::Expr, span: Span) -> Checked<(Expr, Ty)> {
        let (query, ty) = self.infer(head)?;
        let local = self.new_local("_query", false);
        let read = || Expr {
            span,
            kind: ExprKind::Local(local),
        };
        let db = match &head.kind {
            ast::ExprKind::Call { callee, .. } => match &callee.kind {
                ast::ExprKind::Field { base, .. } => &**base,
                _ => &**callee,
            },
            _ => head,
        };
        let member = |text: &str| ast::Expr {
            kind: ast::ExprKind::Field {
                base: Box::new(db.clone()),
                name: Ident {
                    text: Symbol::from(text),
                    span,
                },
                quoted: false,
            },
            ..head.clone()
        };
        let (changes, _) = self.infer(&member("changes"))?;
        let (of, of_ty) = self.infer(&member("database"))?;
        let args = vec![Arg::Done(read(), ty, span)];
        let (database, _) = self.apply(of, of_ty, args, span, span)?;
        let form = cell_form(CellForm::LiveQuery, vec![read(), changes, database], span);
        let kind = ExprKind::Let {
            local,
            value: Box::new(query),
            body: Box::new(form),
        };
        Ok((Expr { span, kind }, ty))
    }

    /// `co.consume(s)` at the head of a live cell.
    fn live_stream(
        &mut self,
        stream: &ast::Expr,
        form: CellForm,
        span: Span,
    ) -> Checked<(Expr, Ty)> {
        let content = self.types.fresh();
        let wanted = self.types.add(Node::Stream(content));
        self.open_function(false);
        let param = self.new_local("_", false);
        let outcome = self.check(stream, wanted);
        let scope = self.close_function();
        let make = Expr {
            span,
            kind: ExprKind::Lambda(Box::new(super::lambda::close(
                scope,
                vec![param],
                outcome?,
                span,
            ))),
        };
        Ok((cell_form(form, vec![make], span), content))
    }

    /// A cell name as its link, or an expression that is one.
    fn link_argument(&mut self, e: &ast::Expr) -> Checked<(Expr, Ty)> {
        match self.cell_named(e) {
            Some((_, member)) => Ok(self.cell_link(&member, e.span)),
            None => self.infer(e),
        }
    }

    /// The content type of a link and whether it is assignable.
    pub(super) fn link_content(&mut self, ty: Ty, what: &str, span: Span) -> Checked<(Ty, bool)> {
        match self.types.node(ty) {
            Node::Link(content, assignable) => Ok((content, assignable)),
            Node::Var { .. } => {
                let content = self.types.fresh();
                let link = self.types.add(Node::Link(content, false));
                self.types.attempt(|types| types.unify(ty, link));
                Ok((content, false))
            }
            _ => {
                let shown = self.types.show(ty);
                Err(Issue::new(Code::CellExpected, span)
                    .with("what", what)
                    .hint(format!("this is no cell and no link to one, but {shown}"))
                    .into())
            }
        }
    }

    /// `action (v) { … }`
    pub(super) fn action(
        &mut self,
        param: Option<&Ident>,
        body: &ast::Block,
        span: Span,
    ) -> Checked<(Expr, Ty)> {
        let number = self.cur.actions.len() as u32;
        // Actions inside this one get higher numbers.
        self.cur.actions.push(None);
        self.open_function(true);
        self.function().place = Place::Effect;
        self.offer_appstate();
        let argument = match param {
            Some(name) => self.bind_local(&name.text, Ty::DATA, false, Some(name.span)),
            None => self.new_local("_", false),
        };
        let outcome = self.do_block(body, body.span, None);
        let scope = self.close_function();
        let (body, _) = outcome?;
        let captures = scope.captures.clone();
        let mut params = vec![argument];
        params.extend(captures.iter().map(|capture| capture.inner));
        let function = core::Function {
            name: FunctionName::Action(number),
            params,
            locals: scope.locals,
            captures: Vec::new(),
            body: Box::new(body),
            span,
        };
        self.cur.actions[number as usize] = Some(core::Action { function, span });
        let captured = captures
            .into_iter()
            .map(|capture| Expr {
                span,
                kind: ExprKind::Local(capture.outer),
            })
            .collect();
        Ok((
            Expr {
                span,
                kind: ExprKind::Action { number, captured },
            },
            Ty::DATA,
        ))
    }

    /// Puts the name `appstate` in scope.
    pub(super) fn offer_appstate(&mut self) {
        let name = Symbol::from("appstate");
        let function = self.function();
        function.scope.push(ScopeEntry {
            name: name.clone(),
            target: ScopeTarget::Appstate,
            span: None,
            used: false,
        });
        function.appstates.push(name);
    }

    /// `appView M(args)`
    pub(super) fn app_view(
        &mut self,
        module: &Ident,
        args: &[ast::Expr],
        span: Span,
    ) -> Checked<(Expr, Ty)> {
        let params = match self.cur.declared_views.get(&module.text) {
            Some(params) => Some(params.clone()),
            None => match self.use_member(&module.text).map(|member| member.kind) {
                Some(MemberKind::Import(import)) => {
                    Some(self.infos[import.module.0 as usize].params.clone())
                }
                _ => None,
            },
        };
        if let Some(params) = &params
            && params.len() != args.len()
        {
            return Err(Issue::new(Code::ModParams, span)
                .with("name", &module.text)
                .hint(format!(
                    "it has {} parameters, and {} are given",
                    params.len(),
                    args.len()
                ))
                .into());
        }
        let mut values = Vec::new();
        for (index, arg) in args.iter().enumerate() {
            let wanted = params.as_ref().map_or(Ty::DATA, |params| params[index]);
            let value = self.check(arg, wanted)?;
            if !self.types.is_data_range(wanted) {
                return Err(self.mismatch(Ty::DATA, wanted, arg.span));
            }
            values.push(value);
        }
        Ok((
            Expr {
                span,
                kind: ExprKind::AppView {
                    module: module.text.clone(),
                    args: values,
                },
            },
            Ty::DATA,
        ))
    }
}

fn cell_form(form: CellForm, args: Vec<Expr>, span: Span) -> Expr {
    Expr {
        span,
        kind: ExprKind::CellForm { form, args },
    }
}
