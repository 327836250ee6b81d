//! Calls: direct ones where the callee is known, the general one elsewhere.

use super::function::{FunctionCode, LocalState};
use super::link::{Host, wire_arity};
use crate::core::{
    self, Expr, ExprKind, ForeignFunction, Instancing, Lambda, ModuleId, SlotId, SlotKind,
};
use crate::syntax::ast::Symbol;
use crate::syntax::span::Span;
use mix_bytecode::{Base, Dst, FuncId, Op, Reg};

/// Most arguments of one call instruction.
const MAX_ARGS: usize = 255;

/// What a call reaches.
enum Callee<'a> {
    Own(FuncId),
    Static(FuncId),
    Member(FuncId, &'a Expr),
    /// A function of the one instance of a static module.
    OneInstance(FuncId, ModuleId),
    Builtin(mix_bytecode::BuiltinId),
    /// With the number of arguments that cross the boundary.
    Import(mix_bytecode::ImportId, u32),
    Constructor(&'a Symbol),
}

impl<'a> FunctionCode<'_, 'a> {
    /// `callee(args)`, into a register or as the result of the function.
    pub fn call(&mut self, span: Span, callee: &'a Expr, args: &'a [Expr], dst: Option<Dst>) {
        match self.known(callee) {
            Some((target, params)) if params <= args.len() && params <= MAX_ARGS => {
                let (direct, rest) = args.split_at(params);
                if rest.is_empty() {
                    return self.direct(span, target, direct, dst);
                }
                // Surplus arguments are applied to the result.
                let function = self.b.fresh();
                self.direct(span, target, direct, Some(Dst(function.0)));
                self.apply(span, function, rest, dst);
            }
            _ if let ExprKind::Lambda(lambda) = &callee.kind
                && lambda.params.len() == args.len() =>
            {
                self.inline(lambda, args, dst);
            }
            _ => {
                let later: Vec<&Expr> = args.iter().collect();
                let function = self.operand_before(callee, &later);
                self.apply(span, function, args, dst);
            }
        }
    }

    /// A lambda that is called where it is written, as in `x |> (a -> … | b -> …)`: its
    /// code becomes part of this function, and no function value is made.
    fn inline(&mut self, lambda: &'a Lambda, args: &'a [Expr], dst: Option<Dst>) {
        // The arguments are evaluated before the code of the lambda sees its own locals.
        let arguments: Vec<Reg> = args.iter().map(|arg| self.stable_operand(arg)).collect();
        let captured: Vec<Reg> = lambda
            .captures
            .iter()
            .map(|capture| self.register(capture.outer, lambda.span))
            .collect();
        let function = std::mem::replace(&mut self.function, lambda);
        let fresh = vec![LocalState::default(); lambda.locals.len()];
        let locals = std::mem::replace(&mut self.locals, fresh);
        for (capture, reg) in lambda.captures.iter().zip(captured) {
            // A captured box stays a box; any other captured value never changes.
            self.locals[capture.inner.0 as usize].reg = Some(reg);
        }
        for (param, reg) in lambda.params.iter().zip(arguments) {
            self.bind(*param, reg, false);
        }
        match dst {
            Some(dst) => self.expr(&lambda.body, dst),
            None => self.result(&lambda.body),
        }
        self.function = function;
        self.locals = locals;
    }

    /// A callee whose code is known, and its number of parameters.
    fn known(&mut self, callee: &'a Expr) -> Option<(Callee<'a>, usize)> {
        let program = self.linker.program;
        let (module, slot, instance) = match &callee.kind {
            ExprKind::Slot(slot) => (self.module, *slot, None),
            ExprKind::Static { module, slot } => (*module, *slot, None),
            ExprKind::Member {
                instance,
                module,
                slot,
            } => (*module, *slot, Some(&**instance)),
            ExprKind::Constructor(name) => return Some((Callee::Constructor(name), 1)),
            _ => return None,
        };
        match &program.slot(module, slot).kind {
            SlotKind::Function(function) => {
                let params = function.params.len();
                let id = self.linker.function_of(module, slot)?;
                let shared = program.module(module).instancing == Instancing::Shared;
                let target = match instance {
                    _ if shared => Callee::Static(id),
                    Some(instance) => Callee::Member(id, instance),
                    None if module == self.module => Callee::Own(id),
                    None => Callee::OneInstance(id, module),
                };
                Some((target, params))
            }
            SlotKind::Foreign(foreign) if foreign.arity > 0 => {
                let host = self
                    .linker
                    .host(module, foreign, self.module, callee.span)?;
                let target = match host {
                    Host::Builtin(id) => Callee::Builtin(id),
                    Host::Import(id) => Callee::Import(id, wire_arity(foreign)),
                };
                Some((target, foreign.arity as usize))
            }
            SlotKind::Case {
                full_name,
                has_argument: true,
            } => Some((Callee::Constructor(full_name), 1)),
            _ => None,
        }
    }

    fn direct(&mut self, span: Span, target: Callee<'a>, args: &'a [Expr], dst: Option<Dst>) {
        let count = args.len() as u8;
        let instance = match target {
            Callee::Member(_, instance) => {
                let later: Vec<&Expr> = args.iter().collect();
                self.operand_before(instance, &later)
            }
            Callee::OneInstance(_, module) => self.one_instance(span, module),
            _ => Reg(0),
        };
        let base = self.arguments(args);
        self.at(span);
        if let (Callee::Own(function) | Callee::Static(function), None) = (&target, dst)
            && *function == self.id
        {
            // A loop: the arguments are the parameters of the next round.
            for index in 0..u16::from(count) {
                self.b.copy(Dst(index), Reg(base.0 + index));
            }
            return self.b.jump(self.start);
        }
        let op = match (target, dst) {
            (Callee::Own(function), Some(dst)) => Op::Call {
                count,
                dst,
                base,
                function,
            },
            (Callee::Own(function), None) => Op::TailCall {
                count,
                base,
                function,
            },
            (Callee::Static(function), Some(dst)) => Op::CallStatic {
                count,
                dst,
                base,
                function,
            },
            (Callee::Static(function), None) => Op::TailCallStatic {
                count,
                base,
                function,
            },
            (Callee::Member(function, _) | Callee::OneInstance(function, _), Some(dst)) => {
                Op::CallMember {
                    count,
                    dst,
                    instance,
                    base,
                    function,
                }
            }
            (Callee::Member(function, _) | Callee::OneInstance(function, _), None) => {
                Op::TailCallMember {
                    count,
                    instance,
                    base,
                    function,
                }
            }
            // Functions of the host have no frame to replace.
            (target, None) => {
                let result = self.b.fresh();
                self.host_call(span, target, base, count, Dst(result.0));
                return self.return_value(result);
            }
            (target, Some(dst)) => return self.host_call(span, target, base, count, dst),
        };
        self.b.emit(op);
    }

    fn host_call(&mut self, span: Span, target: Callee<'a>, base: Base, count: u8, dst: Dst) {
        let op = match target {
            Callee::Builtin(builtin) => Op::CallBuiltin {
                count,
                dst,
                base,
                builtin,
            },
            Callee::Import(import, wire) => Op::CallForeign {
                count: wire.min(255) as u8,
                dst,
                base,
                import,
            },
            Callee::Constructor(name) => {
                let src = Reg(base.0);
                let name = self.linker.out.string(name);
                Op::NewCase { dst, src, name }
            }
            _ => return self.linker.internal(span, "no host function"),
        };
        self.b.emit(op);
    }

    /// Evaluates arguments into neighbouring registers.
    pub fn arguments(&mut self, args: &'a [Expr]) -> Base {
        let base = self.b.fresh_range(args.len().min(60_000) as u16);
        for (index, arg) in args.iter().enumerate().take(60_000) {
            self.expr(arg, Dst(base.0 + index as u16));
        }
        base
    }

    fn apply(&mut self, span: Span, function: Reg, args: &'a [Expr], dst: Option<Dst>) {
        let mut callee = function;
        let mut chunks = args.chunks(MAX_ARGS).peekable();
        while let Some(chunk) = chunks.next() {
            let base = self.arguments(chunk);
            let count = chunk.len() as u8;
            self.at(span);
            match dst {
                _ if chunks.peek().is_some() => {
                    let next = self.b.fresh();
                    let dst = Dst(next.0);
                    self.b.emit(Op::Apply {
                        count,
                        dst,
                        callee,
                        base,
                    });
                    callee = next;
                }
                Some(dst) => self.b.emit(Op::Apply {
                    count,
                    dst,
                    callee,
                    base,
                }),
                None => self.b.emit(Op::TailApply {
                    count,
                    callee,
                    base,
                }),
            }
        }
    }

    /// The one instance of a static module.
    pub fn one_instance(&mut self, span: Span, module: ModuleId) -> Reg {
        let reg = self.b.fresh();
        let dst = Dst(reg.0);
        let op = match module == self.module {
            true => Op::OwnInstance { dst },
            false => Op::StaticInstance {
                dst,
                module: self.linker.module(module).id,
            },
        };
        self.emit_at(span, op);
        reg
    }

    /// A def of the instance in a register, as a value.
    pub fn member(&mut self, span: Span, module: ModuleId, slot: SlotId, instance: Reg, dst: Dst) {
        let op = match self.linker.function_of(module, slot) {
            Some(function) => Op::MakeMember {
                dst,
                instance,
                function,
            },
            None => Op::LoadMember {
                dst,
                instance,
                slot: self.linker.slot(module, slot),
            },
        };
        self.emit_at(span, op);
    }

    pub fn instantiate(&mut self, span: Span, module: ModuleId, args: &'a [Expr], dst: Dst) {
        let params = self.linker.program.module(module).params.len();
        let id = self.linker.module(module).id;
        if args.len() > params {
            return self
                .linker
                .internal(span, "too many arguments for a module");
        }
        if args.len() == params && params <= MAX_ARGS {
            let base = self.arguments(args);
            let count = params as u8;
            let op = Op::NewInstance {
                count,
                dst,
                base,
                module: id,
            };
            return self.emit_at(span, op);
        }
        self.emit_at(span, Op::MakeModule { dst, module: id });
        if !args.is_empty() {
            let function = self.b.fresh();
            self.b.copy(Dst(function.0), Reg(dst.0));
            self.apply(span, function, args, Some(dst));
        }
    }

    /// A foreign def that is not called at once.
    pub fn foreign_value(
        &mut self,
        span: Span,
        owner: core::ModuleId,
        foreign: &'a ForeignFunction,
        dst: Dst,
    ) {
        let Some(host) = self.linker.host(owner, foreign, self.module, span) else {
            return;
        };
        let base = Base(dst.0);
        let op = match (host, foreign.arity) {
            // A foreign value: read by a call without arguments.
            (Host::Builtin(builtin), 0) => Op::CallBuiltin {
                count: 0,
                dst,
                base,
                builtin,
            },
            (Host::Import(import), 0) => Op::CallForeign {
                count: 0,
                dst,
                base,
                import,
            },
            (Host::Builtin(builtin), _) => Op::MakeBuiltin { dst, builtin },
            (Host::Import(import), _) => Op::MakeForeign { dst, import },
        };
        self.emit_at(span, op);
    }
}
