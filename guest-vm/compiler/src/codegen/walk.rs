//! Questions that need a look at all parts of an expression.

use crate::core::{
    Block, CellForm, Expr, ExprKind, ModuleId, PlaceRoot, SlotId, Statement, StatementKind, Step,
    StepKind,
};

/// Which event cells a formula reads: bit 0 `onRefresh`, bit 1 `onView`.
pub(super) fn events(expr: &Expr) -> u8 {
    let mut events = 0;
    visit(expr, true, &mut |part| {
        if let ExprKind::CellForm { form, .. } = &part.kind {
            match form {
                CellForm::OnRefresh => events |= 1,
                CellForm::OnView => events |= 2,
                _ => {}
            }
        }
        true
    });
    events
}

/// What an expression names of its own module, and other modules.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Named {
    /// A slot.
    Slot(SlotId),
    /// An action.
    Action(u32),
    /// Another module.
    Module(ModuleId),
}

/// Shows what the expression names of module `own`, lambdas included.
pub(crate) fn named(expr: &Expr, own: ModuleId, see: &mut dyn FnMut(Named)) {
    visit(expr, true, &mut |part| {
        match &part.kind {
            ExprKind::Slot(slot) | ExprKind::CellLink(slot) | ExprKind::CellRead { slot, .. } => {
                see(Named::Slot(*slot))
            }
            ExprKind::Static { module, slot } if *module == own => see(Named::Slot(*slot)),
            ExprKind::Static { module, .. }
            | ExprKind::Member { module, .. }
            | ExprKind::MemberLink { module, .. }
            | ExprKind::Instance(module)
            | ExprKind::Instantiate { module, .. } => see(Named::Module(*module)),
            ExprKind::Action { number, .. } => see(Named::Action(*number)),
            _ => {}
        }
        true
    });
}

/// Shows the cells of its own module that the expression, or a function it makes, may assign:
/// those that it assigns by name, and those whose links it passes on.
pub(crate) fn assigned(expr: &Expr, see: &mut dyn FnMut(SlotId)) {
    visit(expr, true, &mut |part| {
        if let ExprKind::CellLink(slot) = &part.kind {
            see(*slot);
        }
        true
    });
}

/// Can evaluating the expression assign a variable of the running function?
pub(super) fn may_assign(expr: &Expr) -> bool {
    let mut found = false;
    visit(expr, false, &mut |part| {
        found |= matches!(part.kind, ExprKind::Do(_));
        !found
    });
    found
}

/// Shows every part to `see`, which says whether to go on inside it. Without
/// `lambdas` the bodies of functions made by the expression are left out.
fn visit(expr: &Expr, lambdas: bool, see: &mut dyn FnMut(&Expr) -> bool) {
    if !see(expr) {
        return;
    }
    let mut go = |part: &Expr| visit(part, lambdas, see);
    match &expr.kind {
        ExprKind::Constant(_)
        | ExprKind::Appstate
        | ExprKind::Local(_)
        | ExprKind::Slot(_)
        | ExprKind::Static { .. }
        | ExprKind::Instance(_)
        | ExprKind::Constructor(_)
        | ExprKind::Regex(_)
        | ExprKind::CellRead { .. }
        | ExprKind::CellLink(_)
        | ExprKind::InstanceId => {}
        ExprKind::Member { instance, .. } | ExprKind::MemberLink { instance, .. } => go(instance),
        ExprKind::Instantiate { args, .. }
        | ExprKind::CellForm { args, .. }
        | ExprKind::AppView { args, .. }
        | ExprKind::Array(args) => args.iter().for_each(go),
        ExprKind::Action { captured, .. } => captured.iter().for_each(go),
        ExprKind::Call { callee, args } => {
            go(callee);
            args.iter().for_each(go);
        }
        ExprKind::Lambda(lambda) => {
            if lambdas {
                go(&lambda.body);
            }
        }
        ExprKind::Map(entries) => {
            for (key, value) in entries {
                go(key);
                go(value);
            }
        }
        ExprKind::Case { argument, .. } => {
            if let Some(argument) = argument {
                go(argument);
            }
        }
        ExprKind::Extract { value, .. }
        | ExprKind::Try(value)
        | ExprKind::IsDefined(value)
        | ExprKind::MakeStream(value)
        | ExprKind::Assert { value, .. }
        | ExprKind::Unary { operand: value, .. }
        | ExprKind::Field { base: value, .. }
        | ExprKind::TupleIndex { base: value, .. } => go(value),
        ExprKind::Let { value, body, .. } => {
            go(value);
            go(body);
        }
        ExprKind::If {
            condition,
            then,
            otherwise,
        } => {
            go(condition);
            go(then);
            go(otherwise);
        }
        ExprKind::Logical { left, right, .. } | ExprKind::Binary { left, right, .. } => {
            go(left);
            go(right);
        }
        ExprKind::ComputedField { base, key: index }
        | ExprKind::Index { base, index }
        | ExprKind::IndexIsDefined { base, index } => {
            go(base);
            go(index);
        }
        ExprKind::Slice { base, from, to } => {
            go(base);
            from.iter().chain(to).for_each(|part| go(part));
        }
        ExprKind::Update { base, steps, value } => {
            go(base);
            steps.iter().filter_map(step_key).for_each(&mut go);
            go(value);
        }
        ExprKind::Match { subjects, arms } => {
            subjects.iter().for_each(&mut go);
            for arm in arms {
                arm.guard.iter().for_each(&mut go);
                go(&arm.body);
            }
        }
        ExprKind::Do(block) => visit_block(block, lambdas, see),
    }
}

/// The expression a step evaluates, if it has one.
pub(super) fn step_key(step: &Step) -> Option<&Expr> {
    match &step.kind {
        StepKind::Computed(key) | StepKind::Index(key) => Some(key),
        StepKind::Field(_) | StepKind::TupleIndex { .. } => None,
    }
}

fn visit_block(block: &Block, lambdas: bool, see: &mut dyn FnMut(&Expr) -> bool) {
    for statement in &block.statements {
        visit_statement(statement, lambdas, see);
    }
}

fn visit_statement(statement: &Statement, lambdas: bool, see: &mut dyn FnMut(&Expr) -> bool) {
    match &statement.kind {
        StatementKind::Bind { value, .. }
        | StatementKind::BindPattern { value, .. }
        | StatementKind::Expr(value) => visit(value, lambdas, see),
        StatementKind::Assign { root, steps, value } => {
            match root {
                PlaceRoot::Link(link) => visit(link, lambdas, see),
                // Assigning a cell is assigning through a link to it.
                PlaceRoot::Cell(slot) => {
                    let (kind, span) = (ExprKind::CellLink(*slot), statement.span);
                    see(&Expr { kind, span });
                }
                PlaceRoot::Local(_) => {}
            }
            for key in steps.iter().filter_map(step_key) {
                visit(key, lambdas, see);
            }
            visit(value, lambdas, see);
        }
        StatementKind::Return(value) => {
            if let Some(value) = value {
                visit(value, lambdas, see);
            }
        }
        StatementKind::If {
            condition,
            then,
            otherwise,
        } => {
            visit(condition, lambdas, see);
            visit_block(then, lambdas, see);
            if let Some(otherwise) = otherwise {
                visit_block(otherwise, lambdas, see);
            }
        }
        StatementKind::While {
            condition,
            body,
            step,
        } => {
            visit(condition, lambdas, see);
            visit_block(body, lambdas, see);
            if let Some(step) = step {
                visit_statement(step, lambdas, see);
            }
        }
        StatementKind::ForEach { subject, body, .. } => {
            visit(subject, lambdas, see);
            visit_block(body, lambdas, see);
        }
        StatementKind::Switch { subject, arms } => {
            visit(subject, lambdas, see);
            for arm in arms {
                if let Some(guard) = &arm.guard {
                    visit(guard, lambdas, see);
                }
                visit_block(&arm.body, lambdas, see);
            }
        }
        StatementKind::Block(block) => visit_block(block, lambdas, see),
    }
}
