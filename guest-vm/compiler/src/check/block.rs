//! Statement blocks.

use super::Checker;
use super::bind::Bound;
use super::env::{Checked, MemberKind, ReturnSlot, Stop};
use super::lookup::Found;
use super::types::{Node, Ty};
use crate::core::{
    Block, Expr, ExprKind, LocalId, Pattern, PatternKind, PlaceRoot, Statement, StatementKind,
    SwitchArm,
};
use crate::issue::{Code, Issue};
use crate::syntax::ast::{self, For, LValue, Symbol};
use crate::syntax::span::Span;

impl Checker<'_> {
    /// `do { … }`
    pub(super) fn do_block(
        &mut self,
        block: &ast::Block,
        span: Span,
        expected: Option<Ty>,
    ) -> Checked<(Expr, Ty)> {
        let first_local = self.function().locals.len();
        self.function().returns.push(ReturnSlot {
            expected,
            joined: None,
        });
        let outcome = self.block(block);
        let slot = self.function().returns.pop();
        let block_code = outcome?;
        let mut ty = match (expected, slot.and_then(|slot| slot.joined)) {
            (Some(ty), _) => ty,
            (None, Some(joined)) => joined,
            (None, None) => Ty::NULL,
        };
        if expected.is_none() && !ends_with_return(block) && self.types.find(ty) != Ty::NULL {
            // Falling off the end gives null; types without null are left as they are.
            self.settle()?;
            if let Some(joined) = self.types.join(ty, Ty::NULL, self.cur.pragmas.strict) {
                ty = joined;
            }
        }
        self.check_escape(first_local, ty, span)?;
        Ok((
            Expr {
                span,
                kind: ExprKind::Do(block_code),
            },
            ty,
        ))
    }

    /// Functions that share a `var` of this block must not leave it.
    fn check_escape(&mut self, first_local: usize, ty: Ty, span: Span) -> Checked<()> {
        let function = self.function();
        // Variables of enclosing functions are theirs to check.
        let taken = |index: usize| {
            let mut captures = function.captures.iter();
            captures.any(|capture| capture.inner.0 as usize == index)
        };
        let boxed = (first_local..function.locals.len()).find_map(|index| {
            let local = &function.locals[index];
            let own = local.boxed && !local.name.starts_with('_') && !taken(index);
            own.then(|| local.name.clone())
        });
        let Some(name) = boxed else {
            return Ok(());
        };
        self.settle()?;
        let leaves = self
            .types
            .mentions(ty, &|node| matches!(node, Node::Fun(..) | Node::Stream(_)));
        if leaves {
            return Err(Issue::new(Code::TypeVarEscape, span)
                .with("name", &name)
                .hint(format!(
                    "the function would change {name} after the block has ended; \
                     give it a copy: `let copy = {name};`"
                ))
                .into());
        }
        Ok(())
    }

    /// Statements in a scope of their own.
    pub(super) fn block(&mut self, block: &ast::Block) -> Checked<Block> {
        let mark = self.enter_scope();
        let outcome = self.statements(block);
        self.leave_scope(mark);
        outcome
    }

    fn statements(&mut self, block: &ast::Block) -> Checked<Block> {
        let mut statements = Vec::new();
        for statement in &block.statements {
            let span = statement.span;
            let kind = self.statement(statement)?;
            if let Some(kind) = kind {
                statements.push(Statement { kind, span });
            }
        }
        Ok(Block { statements })
    }

    fn statement(&mut self, statement: &ast::Statement) -> Checked<Option<StatementKind>> {
        let span = statement.span;
        Ok(Some(match &statement.kind {
            ast::StatementKind::Let(bind) => match self.bind(bind, span)? {
                Bound::Alias => return Ok(None),
                Bound::Name(local, value) => StatementKind::Bind { local, value },
                Bound::Pattern(pattern, value) => StatementKind::BindPattern { pattern, value },
            },
            ast::StatementKind::Var { name, ty, value } => {
                let (value, ty) = match ty {
                    Some(ty) => {
                        let ty = self.hint(ty)?;
                        (self.for_program(|c| c.check(value, ty))?, ty)
                    }
                    None => self.infer(value)?,
                };
                self.refuse_appstate(ty, span)?;
                let local = self.bind_local(&name.text, ty, true, Some(name.span));
                StatementKind::Bind { local, value }
            }
            ast::StatementKind::Assign { target, value } => self.assignment(target, value)?,
            ast::StatementKind::Return(value) => {
                StatementKind::Return(self.returned(value.as_ref(), span)?)
            }
            ast::StatementKind::If(statement) => {
                let condition = self.check_bool(&statement.condition)?;
                let then = self.block(&statement.then)?;
                let otherwise = match &statement.otherwise {
                    Some(block) => Some(self.block(block)?),
                    None => None,
                };
                StatementKind::If {
                    condition,
                    then,
                    otherwise,
                }
            }
            ast::StatementKind::While { condition, body } => {
                let condition = self.check_bool(condition)?;
                StatementKind::While {
                    condition,
                    body: self.block(body)?,
                    step: None,
                }
            }
            ast::StatementKind::For(kind) => self.for_statement(kind, span)?,
            ast::StatementKind::Switch { subject, cases } => self.switch(subject, cases, span)?,
            ast::StatementKind::Block(block) => StatementKind::Block(self.block(block)?),
            ast::StatementKind::Expr(e) => StatementKind::Expr(self.infer(e)?.0),
        }))
    }

    fn for_statement(&mut self, statement: &For, span: Span) -> Checked<StatementKind> {
        let mark = self.enter_scope();
        let outcome = match statement {
            For::Counting {
                is_var,
                name,
                start,
                condition,
                step_target,
                step_value,
                body,
            } => self.counting(
                *is_var,
                name,
                (start, condition, step_target, step_value),
                body,
                span,
            ),
            For::Each {
                is_var,
                pattern,
                subject,
                body,
            } => self.each(*is_var, pattern, subject, body),
        };
        self.leave_scope(mark);
        outcome
    }

    fn returned(&mut self, value: Option<&ast::Expr>, span: Span) -> Checked<Option<Expr>> {
        let Some(slot) = self.function().returns.last() else {
            return Err(Issue::new(Code::SynStatement, span)
                .with("what", "return")
                .into());
        };
        let expected = slot.expected;
        let joined = slot.joined;
        match (value, expected) {
            (None, None) => {
                let ty = match joined {
                    None => Ty::NULL,
                    Some(so_far) => self.join_branches(so_far, Ty::NULL, span)?,
                };
                self.set_joined(ty);
                Ok(None)
            }
            (None, Some(expected)) => {
                let null = self.null(span);
                Ok(Some(self.coerce(null, Ty::NULL, expected, span)?))
            }
            (Some(value), Some(expected)) => Ok(Some(self.check(value, expected)?)),
            (Some(value), None) => {
                let (expr, ty) = self.infer(value)?;
                self.refuse_appstate(ty, value.span)?;
                let ty = match joined {
                    None => ty,
                    Some(so_far) => self.join_branches(so_far, ty, value.span)?,
                };
                self.set_joined(ty);
                Ok(Some(expr))
            }
        }
    }

    fn set_joined(&mut self, ty: Ty) {
        if let Some(slot) = self.function().returns.last_mut() {
            slot.joined = Some(ty);
        }
    }

    /// Appstate must not be stored or returned.
    pub(super) fn refuse_appstate(&mut self, ty: Ty, span: Span) -> Checked<()> {
        let holds = match self.types.node(ty) {
            Node::Appstate => true,
            Node::Tuple(_) | Node::Record(_) | Node::Array(_) | Node::Map(_) => {
                let parts = self.types.children(ty);
                parts
                    .into_iter()
                    .any(|part| matches!(self.types.node(part), Node::Appstate))
            }
            _ => false,
        };
        if holds && !self.cur.library {
            return Err(Issue::new(Code::CellAppstateEscape, span)
                .hint("pass it on as an argument; it is valid only while the action runs")
                .into());
        }
        Ok(())
    }

    fn counting(
        &mut self,
        is_var: bool,
        name: &ast::Ident,
        (start, condition, step_target, step_value): (&ast::Expr, &ast::Expr, &LValue, &ast::Expr),
        body: &ast::Block,
        span: Span,
    ) -> Checked<StatementKind> {
        let (start, ty) = self.infer(start)?;
        let header = self.bind_local(&name.text, ty, true, Some(name.span));
        let condition = self.check_bool(condition)?;
        let step = self.assignment(step_target, step_value)?;
        let mut statements = Vec::new();
        if !is_var {
            // The body sees a copy, so that functions made in it keep the value of their round.
            let copy = self.bind_local(&name.text, ty, false, None);
            statements.push(Statement {
                kind: StatementKind::Bind {
                    local: copy,
                    value: Expr {
                        span,
                        kind: ExprKind::Local(header),
                    },
                },
                span,
            });
        }
        statements.extend(self.block(body)?.statements);
        let loop_kind = StatementKind::While {
            condition,
            body: Block { statements },
            step: Some(Box::new(Statement {
                kind: step,
                span: step_target.span,
            })),
        };
        Ok(StatementKind::Block(Block {
            statements: vec![
                Statement {
                    kind: StatementKind::Bind {
                        local: header,
                        value: start,
                    },
                    span,
                },
                Statement {
                    kind: loop_kind,
                    span,
                },
            ],
        }))
    }

    fn each(
        &mut self,
        is_var: bool,
        pattern: &ast::Pattern,
        subject: &ast::Expr,
        body: &ast::Block,
    ) -> Checked<StatementKind> {
        let (subject_expr, ty) = self.array_operand(subject)?;
        self.settle()?;
        let element = match self.types.node(ty) {
            Node::Array(element) | Node::Stream(element) => element,
            Node::Tuple(_) | Node::Labeled(_) => {
                let mut joined: Option<Ty> = None;
                for part in self.types.children(ty) {
                    joined = Some(match joined {
                        None => part,
                        Some(so_far) => self.join_branches(so_far, part, subject.span)?,
                    });
                }
                joined.unwrap_or(Ty::DATA)
            }
            // A stream or an array: which one shows when it runs.
            Node::Data | Node::Var { .. } | Node::Plus(..) | Node::Rigid { .. } => Ty::DATA,
            Node::Any => Ty::ANY,
            _ => {
                let element = self.types.fresh();
                let stream = self.types.stream(element);
                return Err(self.mismatch(stream, ty, subject.span));
            }
        };
        let pattern = match &pattern.kind {
            ast::PatternKind::Name(name) if is_var => Pattern {
                kind: PatternKind::Bind(self.bind_local(name, element, true, Some(pattern.span))),
                span: pattern.span,
            },
            _ => self.pattern(pattern, element, &mut Vec::new())?,
        };
        let body = self.block(body)?;
        Ok(StatementKind::ForEach {
            pattern,
            subject: subject_expr,
            body,
        })
    }

    fn switch(
        &mut self,
        subject: &ast::Expr,
        cases: &[ast::SwitchCase],
        span: Span,
    ) -> Checked<StatementKind> {
        let (subject_expr, ty) = self.infer(subject)?;
        self.settle()?;
        let patterns: Vec<&ast::Pattern> = cases.iter().map(|case| &case.pattern).collect();
        if self.types.is_var(ty) && !self.types.is_soft(ty) {
            let wanted = self.pattern_type(&patterns, span)?;
            if !self.types.attempt(|types| types.unify(ty, wanted)) {
                return Err(self.mismatch(wanted, ty, subject.span));
            }
        }
        let mut arms = Vec::new();
        for case in cases {
            let mark = self.enter_scope();
            let pattern = self.pattern(&case.pattern, ty, &mut Vec::new())?;
            let guard = match &case.guard {
                Some(guard) => Some(self.check_bool(guard)?),
                None => None,
            };
            let body = self.block(&case.body)?;
            self.leave_scope(mark);
            arms.push(SwitchArm {
                pattern,
                guard,
                body,
            });
        }
        if self.cur.pragmas.wants(Code::WarnNonexhaustive) && !self.cur.library {
            let open: Vec<&ast::Pattern> = cases
                .iter()
                .filter(|case| case.guard.is_none())
                .map(|case| &case.pattern)
                .collect();
            self.warn_missing(&open, ty, span);
        }
        Ok(StatementKind::Switch {
            subject: subject_expr,
            arms,
        })
    }

    /// `place = value`
    fn assignment(&mut self, target: &LValue, value: &ast::Expr) -> Checked<StatementKind> {
        let (root, ty) = self.place_root(target)?;
        let assigned = if target.steps.is_empty() {
            let value = self.for_program(|c| c.check(value, ty));
            value.map(|value| (Vec::new(), value))
        } else {
            self.update(ty, &target.steps, value)
                .map(|(steps, value, _)| (steps, value))
        };
        let (steps, value_expr) =
            assigned.map_err(|stop| self.narrow_begin(stop, target, &root, ty))?;
        self.refuse_appstate(ty, target.span)?;
        Ok(StatementKind::Assign {
            root,
            steps,
            value: value_expr,
        })
    }

    /// What is assigned does not fit because of what the variable begins as.
    fn narrow_begin(&mut self, stop: Stop, target: &LValue, root: &PlaceRoot, ty: Ty) -> Stop {
        let ty = match self.types.node(ty) {
            Node::Case(..) => "T",
            Node::Tuple(_) => "array(T)",
            Node::Record(fields) if fields.is_empty() => "map(T)",
            _ => return stop,
        };
        let word = match root {
            PlaceRoot::Local(_) => "var",
            PlaceRoot::Cell(_) => "var cell",
            PlaceRoot::Link(_) => return stop,
        };
        match stop {
            Stop::Issue(issue)
                if matches!(
                    issue.code,
                    Code::TypeMismatch | Code::TypeNoField | Code::TypeComputedKey
                ) =>
            {
                let name = &target.name.text;
                issue
                    .hint(format!(
                        "{name} has the type of what it begins as; give it a wider one: `{word} {name} : {ty} = …`"
                    ))
                    .into()
            }
            other => other,
        }
    }

    fn place_root(&mut self, target: &LValue) -> Checked<(PlaceRoot, Ty)> {
        let name = &target.name.text;
        let span = target.name.span;
        let found = if target.through_self {
            match self.use_member(name) {
                Some(member) => Found::Own(name.clone(), member),
                None => return Err(self.unbound(name, span)),
            }
        } else {
            self.lookup(name, span).map_err(|stop| match stop {
                Stop::Issue(issue) if issue.code == Code::NameUnbound => issue
                    .hint_if(Some(format!("bind it first: var {name} = …")))
                    .into(),
                other => other,
            })?
        };
        let immutable = |hint: String| -> super::env::Stop {
            Issue::new(Code::NameImmutable, span)
                .with("name", name)
                .hint(hint)
                .into()
        };
        let fixed_local =
            || format!("only what `var` binds is assigned: bind it with `var {name} = …`");
        match found {
            Found::Local {
                depth,
                id,
                ty,
                mutable: true,
            } => {
                let copied = self.cur.functions[depth + 1..]
                    .iter()
                    .any(|function| function.by_value);
                if copied {
                    return Err(Issue::new(Code::SynActionVar, span)
                        .with("name", name)
                        .hint(format!(
                            "an action runs later, with a copy of {name}; keep what it changes in a `var cell`"
                        ))
                        .into());
                }
                let local: LocalId = self.capture(depth, id);
                Ok((PlaceRoot::Local(local), ty))
            }
            Found::Local { depth, id, ty, .. } => match self.types.node(ty) {
                Node::Link(content, true) => {
                    self.need_appstate(name, span)?;
                    let link = self.read_local(depth, id, span);
                    Ok((PlaceRoot::Link(link), content))
                }
                Node::Link(_, false) => Err(readonly_link(name, span)),
                _ => Err(immutable(fixed_local())),
            },
            Found::Own(name, member) => match member.kind {
                MemberKind::Broken => Err(self.silent()),
                MemberKind::Cell { assignable, .. } => {
                    if !assignable {
                        return Err(Issue::new(Code::CellReadonly, span)
                            .with("name", &name)
                            .note(
                                self.cur.slots[member.slot.0 as usize].span,
                                "it is defined here, by a formula",
                            )
                            .hint(format!("what is assigned is a `var cell {name}`"))
                            .into());
                    }
                    self.need_appstate(&name, span)?;
                    Ok((PlaceRoot::Cell(member.slot), member.ty))
                }
                MemberKind::Param | MemberKind::Def => match self.types.node(member.ty) {
                    Node::Link(content, true) => {
                        self.need_appstate(&name, span)?;
                        let link = self.own_slot(member.slot, span);
                        Ok((PlaceRoot::Link(link), content))
                    }
                    Node::Link(_, false) => Err(readonly_link(&name, span)),
                    _ => Err(immutable(match member.kind {
                        MemberKind::Def => {
                            format!("a def never changes; state is kept in `var cell {name} = …`")
                        }
                        _ => "a parameter never changes; copy it to a `var`".to_string(),
                    })),
                },
                _ => Err(immutable(
                    "only `var` names and `var cell`s are assigned".to_string(),
                )),
            },
            _ => Err(immutable(
                "only `var` names and `var cell`s are assigned".to_string(),
            )),
        }
    }

    pub(super) fn need_appstate(&mut self, name: &Symbol, span: Span) -> Checked<()> {
        if self.has_appstate() {
            return Ok(());
        }
        Err(Issue::new(Code::CellNeedsAppstate, span)
            .with("name", name)
            .hint("cells are assigned in actions, observers, initializers and functions with a parameter appstate")
            .into())
    }
}

fn readonly_link(name: &Symbol, span: Span) -> super::env::Stop {
    Issue::new(Code::CellReadonly, span)
        .with("name", format!("behind {name}"))
        .hint("a link through which a cell is assigned has a type `link(T)<var>`")
        .into()
}

/// The block cannot fall off its end.
fn ends_with_return(block: &ast::Block) -> bool {
    let Some(last) = block.statements.last() else {
        return false;
    };
    match &last.kind {
        ast::StatementKind::Return(_) => true,
        ast::StatementKind::Block(block) => ends_with_return(block),
        ast::StatementKind::If(statement) => {
            ends_with_return(&statement.then)
                && statement.otherwise.as_ref().is_some_and(ends_with_return)
        }
        ast::StatementKind::Switch { cases, .. } => {
            cases.iter().all(|case| ends_with_return(&case.body))
        }
        ast::StatementKind::While { condition, .. } => {
            matches!(condition.kind, ast::ExprKind::Bool(true))
        }
        _ => false,
    }
}
