//! What many recursive functions do first: answer the last of all calls.
//!
//! `def fib(n) = if (n < 2) n else …` begins with a comparison of its parameter and the
//! answer for ints on one side of it. Half of all calls of such a function end there. A call
//! that computes the argument itself (`call_sub_int`) looks here before it makes a frame: it
//! needs none for these, and for all other ints the function begins behind its comparison.
//!
//! Only ints are decided here, which a comparison with a number never refuses. All else, and
//! with it all errors, happens in the frame of the function.

use mix_bytecode::{Function, Op, Reg};

use crate::heap::Value;

/// What a function gives at once for some ints in its last parameter.
#[derive(Debug)]
pub(crate) struct BaseCase {
    /// The least of these ints.
    low: i64,
    /// How many they are; 0 if the function does not begin so.
    count: u64,
    /// What it gives; none: its argument.
    pub answer: Option<Value>,
    /// Where it goes on with other ints.
    pub otherwise: u32,
}

impl BaseCase {
    /// The base case of a function of a verified program.
    pub fn of(function: &Function, constants: &[Value]) -> Self {
        Self::find(function, constants).unwrap_or(Self {
            low: 0,
            count: 0,
            answer: None,
            otherwise: 0,
        })
    }

    fn find(function: &Function, constants: &[Value]) -> Option<Self> {
        let first = function.code.first()?;
        let (compared, (holds, fails)) = sides(first)?;
        if compared.0 != u16::from(function.params.checked_sub(1)?) {
            return None;
        }
        let target = first.target()?;
        let answer = |at: usize| answer(function.code.get(at..)?, compared, constants);
        let (range, answer, otherwise) = match answer(1) {
            Some(answer) => (holds, answer, target.0),
            None => (fails, answer(target.index())?, 1),
        };
        let (low, high) = range?;
        Some(Self {
            low,
            // Never all ints, so it does not overflow.
            count: high.wrapping_sub(low) as u64 + 1,
            answer,
            otherwise,
        })
    }

    /// Is this int one of them?
    #[inline(always)]
    pub fn holds(&self, int: i64) -> bool {
        (int.wrapping_sub(self.low) as u64) < self.count
    }
}

/// The least and the greatest of a range of ints; none if those meant are no range.
type Range = Option<(i64, i64)>;

/// The register that a conditional jump compares, the ints for which it goes on, and those for
/// which it jumps.
fn sides(op: &Op) -> Option<(Reg, (Range, Range))> {
    let below = |number: i16| Some((i64::MIN, i64::from(number) - 1));
    let from = |number: i16| Some((i64::from(number), i64::MAX));
    let up_to = |number: i16| Some((i64::MIN, i64::from(number)));
    let above = |number: i16| Some((i64::from(number) + 1, i64::MAX));
    let only = |number: i16| Some((i64::from(number), i64::from(number)));
    Some(match *op {
        Op::JumpUnlessLtInt { a, number, .. } => (a, (below(number), from(number))),
        Op::JumpUnlessLeInt { a, number, .. } => (a, (up_to(number), above(number))),
        Op::JumpUnlessGtInt { a, number, .. } => (a, (above(number), up_to(number))),
        Op::JumpUnlessGeInt { a, number, .. } => (a, (from(number), below(number))),
        Op::JumpUnlessEqInt { a, number, .. } => (a, (only(number), None)),
        Op::JumpUnlessNeInt { a, number, .. } => (a, (None, only(number))),
        _ => return None,
    })
}

/// What code gives that does nothing but end the function: a constant, or (none) the register.
fn answer(code: &[Op], compared: Reg, constants: &[Value]) -> Option<Option<Value>> {
    let (value, dst) = match *code.first()? {
        Op::Return { src } if src == compared => return Some(None),
        Op::LoadInt { dst, value } => (Value::Int(i64::from(value)), dst),
        Op::LoadBool { dst, value } => (Value::Bool(value), dst),
        Op::LoadNull { dst } => (Value::Null, dst),
        Op::LoadConst { dst, value } => (constants.get(value.index())?.clone(), dst),
        _ => return None,
    };
    match code.get(1)? {
        Op::Return { src } if src.0 == dst.0 => Some(Some(value)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use mix_bytecode::{Dst, ModuleId, Target};

    use super::*;

    fn function(code: Vec<Op>) -> Function {
        Function {
            name: "f".into(),
            module: ModuleId(0),
            params: 1,
            captures: 0,
            registers: 2,
            action: None,
            code,
            lines: Vec::new(),
        }
    }

    fn held(of: &BaseCase) -> Vec<i64> {
        let ints = [i64::MIN, -1, 0, 1, 2, 3, i64::MAX];
        ints.into_iter().filter(|int| of.holds(*int)).collect()
    }

    fn give(src: u16) -> Op {
        Op::Return { src: Reg(src) }
    }

    #[test]
    fn a_parameter_below_a_number() {
        let (a, number, target) = (Reg(0), 2, Target(2));
        let op = Op::JumpUnlessLtInt { a, number, target };
        let case = BaseCase::of(&function(vec![op, give(0), give(1)]), &[]);
        assert_eq!(held(&case), [i64::MIN, -1, 0, 1]);
        assert!(case.answer.is_none());
        assert_eq!(case.otherwise, 2);
    }

    #[test]
    fn a_constant_for_one_number() {
        let (a, number, dst) = (Reg(0), 0, Dst(1));
        let load = Op::LoadInt { dst, value: 7 };
        let target = Target(3);
        let op = Op::JumpUnlessEqInt { a, number, target };
        let code = vec![op, load, give(1), give(0)];
        let case = BaseCase::of(&function(code), &[]);
        assert_eq!(held(&case), [0]);
        assert!(matches!(case.answer, Some(Value::Int(7))));
        // The other way round: the answer is where the jump goes.
        let target = Target(2);
        let op = Op::JumpUnlessNeInt { a, number, target };
        let call = Op::LoadNull { dst };
        let code = vec![op, call, load, give(1)];
        let case = BaseCase::of(&function(code), &[]);
        assert_eq!(held(&case), [0]);
        assert!(matches!(case.answer, Some(Value::Int(7))));
        assert_eq!(case.otherwise, 1);
    }

    #[test]
    fn ends_of_the_ints() {
        let (a, number, target) = (Reg(0), 2, Target(2));
        let up = Op::JumpUnlessGeInt { a, number, target };
        let case = BaseCase::of(&function(vec![up, give(0), give(1)]), &[]);
        assert_eq!(held(&case), [2, 3, i64::MAX]);
        let down = Op::JumpUnlessGtInt { a, number, target };
        let case = BaseCase::of(&function(vec![down, give(1), give(0)]), &[]);
        assert_eq!(held(&case), [i64::MIN, -1, 0, 1, 2]);
        assert_eq!(case.otherwise, 1);
    }

    #[test]
    fn other_functions_have_none() {
        let (number, target) = (2, Target(2));
        let unequal = Op::JumpUnlessNeInt {
            a: Reg(0),
            number,
            target,
        };
        let other = Op::JumpUnlessLtInt {
            a: Reg(1),
            number,
            target,
        };
        for code in [
            vec![give(0)],
            // Ints that are no range.
            vec![unequal, give(0), give(1)],
            // Not the parameter.
            vec![other, give(0), give(1)],
        ] {
            assert!(held(&BaseCase::of(&function(code), &[])).is_empty());
        }
    }
}
