//! Instructions that are rare, or whose work outweighs everything around it.

use std::rc::Rc;

use mix_bytecode::Op;

use super::step::{Flow, Running};
use super::window::take_range;
use crate::access;
use crate::compare;
use crate::conform;
use crate::failure::Failure;
use crate::heap::value::InstanceId;
use crate::heap::{Callable, Function, Opaque, Stream, Value};
use crate::machine::Machine;
use crate::operators::{self, Relation};
use crate::text_form;

/// Performs an instruction that the loop does not handle itself.
#[inline(never)]
pub(super) fn perform(
    machine: &mut Machine,
    running: Running<'_>,
    r: &mut [Value],
    op: &Op,
) -> Result<Flow, Failure> {
    let Running {
        loaded,
        function,
        instance,
        ..
    } = running;
    let functions = &loaded.program.functions[..];
    let constants = &loaded.constants[..];
    match *op {
        Op::NewBox { dst, src } => {
            let value = r[src.index()].clone();
            r[dst.index()] = Value::opaque(Opaque::new_box(value));
        }
        Op::Neg { dst, src } => {
            let value = operators::negate(&r[src.index()])?;
            r[dst.index()] = value;
        }
        Op::Not { dst, src } => {
            let value = operators::not(&r[src.index()])?;
            r[dst.index()] = value;
        }
        Op::And { dst, a, b } => {
            let value = operators::kleene(true, &r[a.index()], &r[b.index()])?;
            r[dst.index()] = value;
        }
        Op::Or { dst, a, b } => {
            let value = operators::kleene(false, &r[a.index()], &r[b.index()])?;
            r[dst.index()] = value;
        }
        Op::Concat { dst, a, b } => {
            let value = operators::concat(&r[a.index()], &r[b.index()])?;
            r[dst.index()] = value;
        }
        Op::IsDefined { dst, src } => {
            let defined = !r[src.index()].is_undefined();
            r[dst.index()] = Value::Bool(defined);
        }
        Op::Same { dst, a, b } => {
            let same = compare::same(&r[a.index()], &r[b.index()])?;
            r[dst.index()] = Value::Bool(same);
        }
        Op::NotSame { dst, a, b } => {
            let same = compare::same(&r[a.index()], &r[b.index()])?;
            r[dst.index()] = Value::Bool(!same);
        }
        Op::EqCi { dst, a, b } => {
            let value = operators::equality_ci(false, &r[a.index()], &r[b.index()])?;
            r[dst.index()] = value;
        }
        Op::NeCi { dst, a, b } => {
            let value = operators::equality_ci(true, &r[a.index()], &r[b.index()])?;
            r[dst.index()] = value;
        }
        Op::LtCi { dst, a, b } => {
            let value = operators::relation_ci(Relation::Lt, &r[a.index()], &r[b.index()])?;
            r[dst.index()] = value;
        }
        Op::LeCi { dst, a, b } => {
            let value = operators::relation_ci(Relation::Le, &r[a.index()], &r[b.index()])?;
            r[dst.index()] = value;
        }
        Op::GtCi { dst, a, b } => {
            let value = operators::relation_ci(Relation::Gt, &r[a.index()], &r[b.index()])?;
            r[dst.index()] = value;
        }
        Op::GeCi { dst, a, b } => {
            let value = operators::relation_ci(Relation::Ge, &r[a.index()], &r[b.index()])?;
            r[dst.index()] = value;
        }

        Op::JumpUnlessSame { a, b, target } => {
            if !compare::same(&r[a.index()], &r[b.index()]).unwrap_or(false) {
                return Ok(Flow::Jump(target));
            }
        }
        Op::JumpUnlessMatches {
            src,
            type_id,
            target,
        } => {
            if !conform::matches(&loaded.program, &r[src.index()], type_id) {
                return Ok(Flow::Jump(target));
            }
        }
        Op::Destructure {
            count,
            src,
            base,
            pattern,
        } => {
            let array = r[src.index()].clone();
            let start = usize::from(base.0);
            let places = &mut r[start..start + usize::from(count)];
            let elements = &loaded.program.patterns[pattern.index()];
            access::destructure(elements, &array, places)?;
        }
        Op::FailMatch { src } => {
            let shown = text_form::brief(&r[src.index()]);
            return Err(
                Failure::new("RT_MATCH", format!("no pattern matches {shown}"))
                    .with("value", shown),
            );
        }

        Op::MakeClosure {
            count,
            dst,
            base: args,
            function: target,
        } => {
            let code = &functions[target.index()];
            let captures = take_range(r, args.0, count);
            // A function of another module belongs to a stateless one.
            let home = if code.module == function.module {
                instance
            } else {
                InstanceId(code.module.0)
            };
            r[dst.index()] = Value::Function(Rc::new(Function {
                arity: code.params,
                target: Callable::Closure {
                    function: target.0,
                    instance: home,
                    captures,
                },
            }));
        }
        Op::MakeMember {
            dst,
            instance: of,
            function: target,
        } => {
            let code = &functions[target.index()];
            let home = machine.sheet.instance_of(&r[of.index()], code.module)?;
            if code.params == 0 {
                return Err(Failure::internal("function without parameters"));
            }
            r[dst.index()] = Value::Function(Rc::new(Function {
                arity: code.params,
                target: Callable::Closure {
                    function: target.0,
                    instance: home,
                    captures: Vec::new(),
                },
            }));
        }
        Op::MakeConstructor { dst, name } => {
            let target = Callable::Constructor(loaded.text(name));
            r[dst.index()] = Value::Function(Rc::new(Function { arity: 1, target }));
        }
        Op::MakeBuiltin { dst, builtin } => {
            let arity = mix_bytecode::builtins::get(builtin).map_or(1, |row| row.params);
            let target = Callable::Builtin(builtin.0);
            r[dst.index()] = Value::Function(Rc::new(Function {
                arity: arity.max(1),
                target,
            }));
        }
        Op::MakeForeign { dst, import } => {
            let arity = loaded.program.imports[import.index()].params;
            let target = Callable::Foreign(import.0);
            r[dst.index()] = Value::Function(Rc::new(Function {
                arity: arity.max(1),
                target,
            }));
        }
        Op::MakeModule { dst, module } => {
            // Verified to be 1 to 255.
            let arity = loaded.program.modules[module.index()].params.len() as u8;
            let target = Callable::Module(module.0);
            r[dst.index()] = Value::Function(Rc::new(Function { arity, target }));
        }

        Op::CaseArgument { dst, src, name } => {
            let argument = match (&r[src.index()], &constants[name.index()]) {
                (Value::Case(case), Value::Text(name)) if case.name() == name => {
                    case.argument().cloned()
                }
                _ => None,
            };
            match argument {
                Some(argument) => r[dst.index()] = argument,
                None => {
                    let name = loaded.text(name);
                    let message = format!("value is not a case {name}");
                    let failure = Failure::new("RT_CASE", message);
                    return Err(failure.with("name", name));
                }
            }
        }
        Op::ArrayPush { target, src } => {
            let value = r[src.index()].clone();
            match &mut r[target.index()] {
                Value::Array(array) if value.is_undefined() => {
                    return Err(Failure::undefined_element(array.items().len()));
                }
                Value::Array(array) => array.items_to_grow(1)?.push(value),
                _ => return Err(Failure::internal("array expected")),
            }
        }
        Op::MapPut { target, key, src } => {
            let value = r[src.index()].clone();
            let key = match &r[key.index()] {
                Value::Text(key) => key.clone(),
                other => return Err(access::key_failure(other)),
            };
            if value.is_undefined() {
                return Err(Failure::undefined_member(&key));
            }
            match &mut r[target.index()] {
                Value::Map(map) => map.insert(key, value),
                _ => return Err(Failure::internal("map expected")),
            }
        }
        Op::GetKey { dst, src, key } => {
            let value = access::key(&r[src.index()], &r[key.index()])?;
            r[dst.index()] = value;
        }
        Op::HasIndex { dst, src, index } => {
            let has = access::has_index(&r[src.index()], &r[index.index()])?;
            r[dst.index()] = Value::Bool(has);
        }
        Op::TupleItem {
            dst,
            src,
            index,
            length,
        } => {
            let value = access::tuple_item(&r[src.index()], u32::from(index), length)?;
            r[dst.index()] = value;
        }
        Op::Slice { dst, src, from, to } => {
            let from = from.get().map(|from| &r[from.index()]);
            let to = to.get().map(|to| &r[to.index()]);
            let value = access::slice(&r[src.index()], from, to)?;
            r[dst.index()] = value;
        }
        Op::Assert { src, type_id } => {
            conform::assert(&loaded.program, &r[src.index()], type_id)?;
        }
        Op::MakeStream { dst, src } => {
            let value = match &r[src.index()] {
                Value::Undefined => {
                    return Err(Failure::undefined_stored("a stream"));
                }
                Value::Stream(stream) => Value::Stream(Rc::clone(stream)),
                other => Value::Stream(Stream::singleton(other.clone())),
            };
            r[dst.index()] = value;
        }
        Op::Iterate { dst, src } => {
            let value = match &r[src.index()] {
                Value::Stream(stream) => Value::Stream(Rc::clone(stream)),
                Value::Array(array) => {
                    let end = array.items().len();
                    Value::Stream(Stream::of_array(array.clone(), 0, end))
                }
                other => {
                    let failure = Failure::not_a("RT_NOT_A_STREAM", "a stream", other);
                    return Err(failure);
                }
            };
            r[dst.index()] = value;
        }
        Op::WrapOk { dst, src } => {
            let value = r[src.index()].clone();
            r[dst.index()] = if value.is_undefined() {
                Value::Undefined
            } else {
                Value::case("ok", value)
            };
        }

        Op::OwnInstance { dst } => r[dst.index()] = Value::Instance(instance),
        Op::InstanceNumber { dst } => {
            let number = machine.sheet.number(instance);
            r[dst.index()] = Value::Int(number);
        }
        Op::LoadEvent { dst, .. } => r[dst.index()] = Value::Null,
        Op::LoadAppstate { dst } => r[dst.index()] = Value::Appstate,

        // Instructions that need the whole machine, and those of the loop itself.
        _ => return Ok(Flow::Slow),
    }
    Ok(Flow::Next)
}
