//! One function: its registers, its places, and the way into and out of it.

use super::link::Linker;
use super::walk;
use crate::core::{self, CellView, Expr, ExprKind, LocalId, SlotId};
use crate::syntax::span::Span;
use mix_bytecode::{
    BuildError, Capture, Dst, FuncId, Function, FunctionBuilder, Label, ModuleId, Op, Place, Reg,
};

/// How a function is entered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sort {
    /// By calls; its frame may be replaced by tail calls.
    Plain,
    /// By the spreadsheet; its frame must be seen in stack traces.
    Frame,
    /// As the formula of a cell, which cannot be `undefined`.
    Formula,
    /// The action of that number of its module.
    Action(u32),
}

/// Where the value of an expression goes.
#[derive(Debug, Clone, Copy)]
pub(super) enum Want {
    /// Into a register.
    To(Dst),
    /// It is the result of the function.
    Return,
}

/// An open statement block with a value.
pub(super) struct OpenBlock {
    /// What `return` does with its operand.
    pub want: Want,
    /// Where `return` continues, if not out of the function.
    pub end: Option<Label>,
}

/// A local of the function.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct LocalState {
    /// Its register, once it is bound; the register of the box if it is boxed.
    pub reg: Option<Reg>,
    /// It cannot be `undefined`.
    pub defined: bool,
}

/// The translation of one function.
pub(super) struct FunctionCode<'l, 'a> {
    pub linker: &'l mut Linker<'a>,
    /// The module the function belongs to.
    pub module: core::ModuleId,
    pub function: &'a core::Function,
    pub sort: Sort,
    pub b: FunctionBuilder,
    /// The number of the function.
    pub id: FuncId,
    /// Its first instruction.
    pub start: Label,
    pub locals: Vec<LocalState>,
    pub blocks: Vec<OpenBlock>,
    /// Failing patterns: where they jump, the examined register, the place.
    pub failures: Vec<(Label, Reg, Option<Place>)>,
    /// A cell whose value a register holds at present.
    pub held: Option<(SlotId, Reg)>,
}

impl<'l, 'a> FunctionCode<'l, 'a> {
    pub fn new(
        linker: &'l mut Linker<'a>,
        module: core::ModuleId,
        (module_id, id): (ModuleId, FuncId),
        function: &'a core::Function,
        sort: Sort,
    ) -> Self {
        let is_action = matches!(sort, Sort::Action(_));
        let (params, captures) = match is_action {
            // The first parameter is the argument, the others are captured.
            true => (1, function.params.len().saturating_sub(1)),
            false => (function.params.len(), function.captures.len()),
        };
        if params > 255 || captures > 255 {
            let what = "parameters or captured variables of a function";
            linker.limit(what, 255, function.span);
        }
        let name = function.name.to_string();
        let mut b = FunctionBuilder::new(
            // Names made by the compiler are marked with `$`; people need not see it.
            name.trim_start_matches('$'),
            module_id,
            params.min(255) as u8,
            captures.min(255) as u8,
        );
        let start = b.label();
        b.bind(start);
        FunctionCode {
            linker,
            module,
            function,
            sort,
            b,
            id,
            start,
            locals: vec![LocalState::default(); function.locals.len()],
            blocks: Vec::new(),
            failures: Vec::new(),
            held: None,
        }
    }

    pub fn generate(mut self) -> Result<Function, BuildError> {
        let function = self.function;
        let span = function.span;
        self.enter();
        if let Sort::Action(number) = self.sort {
            let name = self.action_name(number);
            self.b.set_action(name);
        }
        match (self.sort, &function.name) {
            (Sort::Formula, name) if !self.is_defined(&function.body) => {
                let place = name.to_string();
                let value = self.b.fresh();
                self.expr(&function.body, Dst(value.0));
                if self.b.is_open() {
                    self.check_stored(value, &place, function.body.span);
                    self.return_value(value);
                }
            }
            _ => self.result(&function.body),
        }
        if self.b.is_open() {
            // Only a label without jumps can stand here; the code must end all the same.
            let null = self.b.fresh();
            self.b.emit(Op::LoadNull { dst: Dst(null.0) });
            self.return_value(null);
        }
        for (label, src, place) in std::mem::take(&mut self.failures) {
            self.b.bind(label);
            self.b.at(place);
            self.b.emit(Op::FailMatch { src });
        }
        self.at(span);
        self.b.finish()
    }

    /// Parameters and captured values into their locals.
    fn enter(&mut self) {
        let function = self.function;
        self.at(function.span);
        let mut params = function.params.iter();
        let direct = match self.sort {
            Sort::Action(_) => 1,
            _ => function.params.len(),
        };
        for (index, local) in params.by_ref().take(direct).enumerate() {
            self.bind_register(*local, Reg(index.min(254) as u16));
        }
        let captured = params.chain(function.captures.iter().map(|capture| &capture.inner));
        for (index, local) in captured.enumerate() {
            let reg = self.b.fresh();
            self.b.emit(Op::LoadCapture {
                dst: Dst(reg.0),
                capture: Capture(index as u16),
            });
            // A captured box stays a box; a captured value of an action gets none.
            self.locals[local.0 as usize].reg = Some(reg);
        }
    }

    /// The name outsiders see: `Module.cell` if the action is the right side of a cell.
    fn action_name(&mut self, number: u32) -> String {
        let module = self.linker.program.module(self.module);
        match self.linker.cell_of_action(self.module, number) {
            Some(slot) => {
                let cell = &module.slots[slot.0 as usize].name;
                format!("{}.{cell}", module.name)
            }
            None => format!("$closure_{}_{number}", module.name),
        }
    }

    /// Place of the instructions emitted next.
    pub fn at(&mut self, span: Span) {
        let place = self.linker.place(span);
        self.b.at(place);
    }

    pub fn emit_at(&mut self, span: Span, op: Op) {
        self.at(span);
        self.b.emit(op);
    }

    /// Makes a register that holds the value of a local the place of the local.
    fn bind_register(&mut self, local: LocalId, reg: Reg) {
        let info = &self.function.locals[local.0 as usize];
        let reg = match info.boxed {
            true => {
                let boxed = self.b.fresh();
                self.b.emit(Op::NewBox {
                    dst: Dst(boxed.0),
                    src: reg,
                });
                boxed
            }
            false => reg,
        };
        self.locals[local.0 as usize].reg = Some(reg);
    }

    pub fn is_mutable(&self, local: LocalId) -> bool {
        self.function.locals[local.0 as usize].mutable
    }

    pub fn is_boxed(&self, local: LocalId) -> bool {
        self.function.locals[local.0 as usize].boxed
    }

    /// The register of a bound local.
    pub fn register(&mut self, local: LocalId, span: Span) -> Reg {
        match self.locals[local.0 as usize].reg {
            Some(reg) => reg,
            None => {
                let name = &self.function.locals[local.0 as usize].name;
                self.linker
                    .internal(span, format!("local {name} is not bound"));
                Reg(0)
            }
        }
    }

    /// Binds a local to a value that lies in a register. The register must keep
    /// the value as long as the local lives, unless `fleeting`.
    pub fn bind(&mut self, local: LocalId, value: Reg, fleeting: bool) {
        let info = &self.function.locals[local.0 as usize];
        let (mutable, boxed) = (info.mutable, info.boxed);
        match self.locals[local.0 as usize].reg {
            // Both sides of `||` in a pattern bind the same register.
            Some(reg) if !boxed => self.b.copy(Dst(reg.0), value),
            _ if boxed => {
                let reg = match self.locals[local.0 as usize].reg {
                    Some(reg) => reg,
                    None => self.b.fresh(),
                };
                self.b.emit(Op::NewBox {
                    dst: Dst(reg.0),
                    src: value,
                });
                self.locals[local.0 as usize].reg = Some(reg);
            }
            _ if mutable || fleeting => {
                let reg = self.b.fresh();
                self.b.copy(Dst(reg.0), value);
                self.locals[local.0 as usize].reg = Some(reg);
            }
            _ => self.locals[local.0 as usize].reg = Some(value),
        }
    }

    /// Computes a value straight into the register of a new local.
    pub fn bind_value(&mut self, local: LocalId, value: &'a Expr) {
        let defined = self.is_defined(value);
        if self.is_boxed(local) {
            let mark = self.b.mark();
            let boxed = self.b.fresh();
            let inner = self.operand(value);
            self.b.emit(Op::NewBox {
                dst: Dst(boxed.0),
                src: inner,
            });
            self.b.release(mark + 1);
            self.locals[local.0 as usize] = LocalState {
                reg: Some(boxed),
                defined,
            };
            return;
        }
        let reg = match &value.kind {
            ExprKind::Local(source)
                if !self.is_mutable(*source)
                    && !self.is_boxed(*source)
                    && !self.is_mutable(local) =>
            {
                self.register(*source, value.span)
            }
            _ => {
                let reg = self.b.fresh();
                self.expr(value, Dst(reg.0));
                reg
            }
        };
        self.locals[local.0 as usize] = LocalState {
            reg: Some(reg),
            defined,
        };
    }

    /// Can the value not be `undefined`? False if that is not known.
    pub fn is_defined(&self, expr: &Expr) -> bool {
        match &expr.kind {
            ExprKind::Constant(constant) => !matches!(constant, core::Constant::Undefined),
            // A `var` never holds undefined: storing it is an error.
            ExprKind::Local(local) => {
                self.is_mutable(*local) || self.locals[local.0 as usize].defined
            }
            ExprKind::Array(_)
            | ExprKind::Map(_)
            | ExprKind::Case { .. }
            | ExprKind::Lambda(_)
            | ExprKind::IsDefined(_)
            | ExprKind::IndexIsDefined { .. }
            | ExprKind::Action { .. }
            | ExprKind::AppView { .. }
            | ExprKind::Slice { .. }
            | ExprKind::Constructor(_)
            | ExprKind::Regex(_)
            | ExprKind::MakeStream(_)
            | ExprKind::CellLink(_)
            | ExprKind::InstanceId => true,
            ExprKind::Binary { op, left, right } => {
                use core::{BinaryOp, CompareOp};
                match op {
                    BinaryOp::Compare(CompareOp::Same | CompareOp::NotSame) => true,
                    BinaryOp::Compare(CompareOp::Equal | CompareOp::NotEqual)
                    | BinaryOp::Add
                    | BinaryOp::Subtract
                    | BinaryOp::Multiply
                    | BinaryOp::Divide
                    | BinaryOp::Remainder
                    | BinaryOp::Append => self.is_defined(left) && self.is_defined(right),
                    BinaryOp::Compare(_) => false,
                }
            }
            ExprKind::Unary { operand, .. } => self.is_defined(operand),
            ExprKind::Logical { left, right, .. } => {
                self.is_defined(left) && self.is_defined(right)
            }
            ExprKind::If {
                then, otherwise, ..
            } => self.is_defined(then) && self.is_defined(otherwise),
            ExprKind::Assert { value, .. } => self.is_defined(value),
            _ => false,
        }
    }

    /// The register that holds the value of an expression, for the instruction emitted next.
    pub fn operand(&mut self, expr: &'a Expr) -> Reg {
        if let ExprKind::Local(local) = expr.kind
            && !self.is_boxed(local)
        {
            return self.register(local, expr.span);
        }
        if let Some(register) = self.held_value(expr) {
            return register;
        }
        let reg = self.b.fresh();
        self.expr(expr, Dst(reg.0));
        reg
    }

    /// Like [`Self::operand`], computed in the register of the result where one is needed.
    /// No other register then keeps a part of a value alive that is changed later.
    pub fn operand_in(&mut self, expr: &'a Expr, dst: Dst) -> Reg {
        if let ExprKind::Local(local) = expr.kind
            && !self.is_boxed(local)
        {
            return self.register(local, expr.span);
        }
        if let Some(register) = self.held_value(expr) {
            return register;
        }
        self.expr(expr, dst);
        Reg(dst.0)
    }

    /// The register of a cell whose value a register holds at present.
    fn held_value(&self, expr: &Expr) -> Option<Reg> {
        let (cell, register) = self.held?;
        let is_cell = matches!(&expr.kind, ExprKind::CellRead { slot, view: CellView::Value } if *slot == cell);
        is_cell.then_some(register)
    }

    /// Like [`Self::operand`], for an operand after which others are evaluated that
    /// might assign the variable it is.
    pub fn operand_before(&mut self, expr: &'a Expr, later: &[&'a Expr]) -> Reg {
        if let ExprKind::Local(local) = expr.kind
            && self.is_mutable(local)
            && later.iter().any(|expr| walk::may_assign(expr))
        {
            let reg = self.b.fresh();
            self.expr(expr, Dst(reg.0));
            return reg;
        }
        self.operand(expr)
    }

    /// A copy of the value that later assignments do not change.
    pub fn stable_operand(&mut self, expr: &'a Expr) -> Reg {
        if let ExprKind::Local(local) = expr.kind
            && self.is_mutable(local)
        {
            let reg = self.b.fresh();
            self.expr(expr, Dst(reg.0));
            return reg;
        }
        self.operand(expr)
    }

    /// Leaves the function with a value.
    pub fn return_value(&mut self, src: Reg) {
        self.b.emit(Op::Return { src });
    }

    /// May calls replace the frame of this function?
    pub fn tail_calls(&self) -> bool {
        self.sort == Sort::Plain
    }

    /// A label for a match that fails for good.
    pub fn failure(&mut self, src: Reg, span: Span) -> Label {
        let label = self.b.label();
        let place = self.linker.place(span);
        self.failures.push((label, src, place));
        label
    }
}
