//! Instructions that need the whole machine: streams that must be pulled,
//! values that must be computed first, instances, cells, foreign functions.

use mix_bytecode::Op;

use super::window::{clear, take_range};
use crate::boundary::Host;
use crate::failure::Failure;
use crate::heap::Value;
use crate::heap::value::InstanceId;
use crate::machine::{Machine, Native, Next, Ret, Routine};
use crate::routine::{Busy, Retry};
use crate::sheet::SlotState;

impl Machine {
    /// Instructions that need the whole machine.
    pub(super) fn slow(
        &mut self,
        routine: &mut Routine,
        host: &mut dyn Host,
        op: Op,
    ) -> Result<Next, Failure> {
        let Some(frame) = routine.frames.last() else {
            return Err(Failure::internal("no frame"));
        };
        let base = frame.base as usize;
        let instance = frame.instance;
        let at = |index: u16| base + usize::from(index);
        match op {
            Op::Next { dst, src } | Op::NextJump { dst, src, .. } => {
                match routine.stack[at(src.0)].clone() {
                    Value::Stream(stream) => self.pull(routine, host, &stream, Ret::Reg(dst.0)),
                    other => Err(Failure::not_a("RT_NOT_A_STREAM", "a stream", &other)),
                }
            }
            Op::CallBuiltin {
                count,
                dst,
                base: args,
                builtin,
            } => {
                let mut arguments = take_range(&mut routine.stack[base..], args.0, count);
                self.call_builtin(routine, host, builtin.0, &mut arguments, Ret::Reg(dst.0))
            }
            Op::CallForeign {
                count,
                dst,
                base: args,
                import,
            } => {
                if let Some(index) = self.at_once(import.0) {
                    let first = at(args.0);
                    let arguments = &mut routine.stack[first..first + usize::from(count)];
                    let result = self.call_at_once(host, index, arguments);
                    clear(arguments);
                    routine.stack[at(dst.0)] = result?;
                    return Ok(Next::Run);
                }
                let arguments = take_range(&mut routine.stack[base..], args.0, count);
                self.call_foreign(routine, host, import.0, &arguments, Ret::Reg(dst.0))
            }
            Op::LoadSlot { slot, .. } => self.evaluate_slot(routine, instance, slot.0, true),
            Op::LoadStatic { module, slot, .. } => {
                self.evaluate_slot(routine, InstanceId(module.0), slot.0, true)
            }
            Op::NewInstance {
                count,
                dst,
                base: args,
                module,
            } => {
                let arguments = take_range(&mut routine.stack[base..], args.0, count);
                self.instantiate(routine, module.0, arguments, Ret::Reg(dst.0))
            }
            op => self.cell_instruction(routine, host, op),
        }
    }

    /// Runs the expression of a value def; the reading instruction is run again if `again`.
    pub(crate) fn evaluate_slot(
        &mut self,
        routine: &mut Routine,
        instance: InstanceId,
        slot: u32,
        again: bool,
    ) -> Result<Next, Failure> {
        if let SlotState::Evaluating = self.sheet.slot(instance, slot) {
            let what = Busy::Slot(instance, slot);
            if !routine.computes(&what) {
                if again && let Some(frame) = routine.frames.last_mut() {
                    frame.pc -= 1;
                    return Ok(self.wait_for(what, Retry::Instruction));
                }
                routine.natives.push(Native::SlotAgain { instance, slot });
                return Ok(self.wait_for(what, Retry::Native));
            }
        }
        let init = self.sheet.begin_slot(&self.loaded, instance, slot)?;
        if again && let Some(frame) = routine.frames.last_mut() {
            frame.pc -= 1;
        }
        routine.natives.push(Native::Slot {
            instance,
            slot,
            again,
        });
        self.enter(routine, init, instance, None, Vec::new(), Native::RET)
    }
}
