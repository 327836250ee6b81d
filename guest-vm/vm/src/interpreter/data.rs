//! Instructions that compute: moves, operators, comparisons, patterns, reading
//! and making data, for operands of every kind.

use mix_bytecode::{Op, PathId, Target};

use super::place;
use super::rare;
use super::step::{Flow, Running};
use crate::access;
use crate::builtins::builder;
use crate::failure::Failure;
use crate::heap::{Case, Map, Opaque, Value};
use crate::machine::Machine;
use crate::operators::{self, Arithmetic};

/// Performs an instruction that is no control.
pub(super) fn perform(
    machine: &mut Machine,
    running: Running<'_>,
    r: &mut [Value],
    op: &Op,
) -> Result<Flow, Failure> {
    let loaded = running.loaded;
    let constants = &loaded.constants[..];
    if let Some((relation, a, b, wanted, target)) = place::condition(op, r) {
        return match relation(a, &b)? {
            Value::Bool(holds) if holds == wanted => Ok(Flow::Jump(target)),
            Value::Bool(_) => Ok(Flow::Next),
            other => Err(Failure::condition(&other)),
        };
    }
    match *op {
        Op::Move { dst, src } => r[dst.index()] = r[src.index()].clone(),
        Op::Take { dst, src } => r[dst.index()] = r[src.index()].take(),
        Op::TakeStored { dst, src, place } => {
            let value = r[src.index()].take();
            if value.is_undefined() {
                return Err(Failure::undefined_stored(&loaded.text(place)));
            }
            r[dst.index()] = value;
        }
        Op::LoadConst { dst, value } => r[dst.index()] = constants[value.index()].clone(),
        Op::LoadInt { dst, value } => r[dst.index()] = Value::Int(i64::from(value)),
        Op::LoadUndefined { dst } => r[dst.index()] = Value::Undefined,
        Op::LoadNull { dst } => r[dst.index()] = Value::Null,
        Op::LoadBool { dst, value } => r[dst.index()] = Value::Bool(value),
        Op::LoadBox { dst, src } => {
            let value = match &r[src.index()] {
                Value::Opaque(object) => match &**object {
                    Opaque::Box(value) => value.borrow().clone(),
                    _ => Value::Undefined,
                },
                _ => return Err(Failure::internal("box expected")),
            };
            r[dst.index()] = value;
        }
        Op::StoreBox { target, src, place } => {
            let value = r[src.index()].clone();
            if value.is_undefined() {
                return Err(Failure::undefined_stored(&loaded.text(place)));
            }
            match &r[target.index()] {
                Value::Opaque(object) => match &**object {
                    Opaque::Box(slot) => drop(slot.replace(value)),
                    _ => return Err(Failure::internal("box expected")),
                },
                _ => return Err(Failure::internal("box expected")),
            }
        }
        Op::CheckStored { src, place } => {
            if r[src.index()].is_undefined() {
                return Err(Failure::undefined_stored(&loaded.text(place)));
            }
        }

        Op::Add { dst, a, b } => {
            r[dst.index()] = operators::add(r[a.index()].clone(), &r[b.index()])?;
        }
        Op::AddTake { dst, a, b } => {
            let left = r[a.index()].take();
            r[dst.index()] = operators::add(left, &r[b.index()])?;
        }
        Op::AddItem { dst, a, item } => {
            let item = r[item.index()].take();
            if item.is_undefined() {
                return Err(Failure::undefined_stored("an array"));
            }
            let mut left = r[a.index()].take();
            if let Value::Array(array) = &mut left {
                array.items_to_grow(1)?.push(item);
            } else {
                left = operators::add(left, &Value::array(vec![item]))?;
            }
            r[dst.index()] = left;
        }
        Op::AddInt { dst, a, number } => {
            let right = Value::Int(i64::from(number));
            r[dst.index()] = operators::add(r[a.index()].clone(), &right)?;
        }
        Op::Sub { dst, a, b } => {
            r[dst.index()] = operators::arithmetic(Arithmetic::Sub, &r[a.index()], &r[b.index()])?;
        }
        Op::Mul { dst, a, b } => {
            r[dst.index()] = operators::arithmetic(Arithmetic::Mul, &r[a.index()], &r[b.index()])?;
        }
        Op::Div { dst, a, b } => {
            r[dst.index()] = operators::arithmetic(Arithmetic::Div, &r[a.index()], &r[b.index()])?;
        }
        Op::Rem { dst, a, b } => {
            r[dst.index()] = operators::arithmetic(Arithmetic::Rem, &r[a.index()], &r[b.index()])?;
        }
        Op::SubInt { dst, a, number } => {
            let right = Value::Int(i64::from(number));
            r[dst.index()] = operators::arithmetic(Arithmetic::Sub, &r[a.index()], &right)?;
        }
        Op::MulInt { dst, a, number } => {
            let right = Value::Int(i64::from(number));
            r[dst.index()] = operators::arithmetic(Arithmetic::Mul, &r[a.index()], &right)?;
        }
        Op::DivInt { dst, a, number } => {
            let right = Value::Int(i64::from(number));
            r[dst.index()] = operators::arithmetic(Arithmetic::Div, &r[a.index()], &right)?;
        }
        Op::RemInt { dst, a, number } => {
            let right = Value::Int(i64::from(number));
            r[dst.index()] = operators::arithmetic(Arithmetic::Rem, &r[a.index()], &right)?;
        }
        Op::Eq { dst, a, b } => r[dst.index()] = place::EQ(&r[a.index()], &r[b.index()])?,
        Op::Ne { dst, a, b } => r[dst.index()] = place::NE(&r[a.index()], &r[b.index()])?,
        Op::Lt { dst, a, b } => r[dst.index()] = place::LT(&r[a.index()], &r[b.index()])?,
        Op::Le { dst, a, b } => r[dst.index()] = place::LE(&r[a.index()], &r[b.index()])?,
        Op::Gt { dst, a, b } => r[dst.index()] = place::GT(&r[a.index()], &r[b.index()])?,
        Op::Ge { dst, a, b } => r[dst.index()] = place::GE(&r[a.index()], &r[b.index()])?,

        Op::EqInt { dst, a, number } => {
            r[dst.index()] = place::EQ(&r[a.index()], &Value::Int(i64::from(number)))?;
        }
        Op::NeInt { dst, a, number } => {
            r[dst.index()] = place::NE(&r[a.index()], &Value::Int(i64::from(number)))?;
        }
        Op::LtInt { dst, a, number } => {
            r[dst.index()] = place::LT(&r[a.index()], &Value::Int(i64::from(number)))?;
        }
        Op::LeInt { dst, a, number } => {
            r[dst.index()] = place::LE(&r[a.index()], &Value::Int(i64::from(number)))?;
        }
        Op::GtInt { dst, a, number } => {
            r[dst.index()] = place::GT(&r[a.index()], &Value::Int(i64::from(number)))?;
        }
        Op::GeInt { dst, a, number } => {
            r[dst.index()] = place::GE(&r[a.index()], &Value::Int(i64::from(number)))?;
        }

        Op::JumpIfUndefined { src, target } => {
            return Ok(jump_if(r[src.index()].is_undefined(), target));
        }
        Op::JumpIfDefined { src, target } => {
            return Ok(jump_if(!r[src.index()].is_undefined(), target));
        }
        Op::JumpUnlessTrue { src, target } => {
            return Ok(jump_if(
                !matches!(r[src.index()], Value::Bool(true)),
                target,
            ));
        }
        Op::JumpUnlessArray {
            src,
            min,
            max,
            target,
        } => {
            let fits = match &r[src.index()] {
                Value::Array(array) => {
                    let length = array.items().len();
                    length >= usize::from(min) && (max == u16::MAX || length <= usize::from(max))
                }
                _ => false,
            };
            return Ok(jump_if(!fits, target));
        }
        Op::JumpUnlessMap { src, target } => {
            return Ok(jump_if(!matches!(r[src.index()], Value::Map(_)), target));
        }
        Op::JumpUnlessCase {
            argument,
            src,
            name,
            target,
        } => {
            let fits = match (&r[src.index()], &constants[name.index()]) {
                (Value::Case(case), Value::Text(name)) => {
                    case.name() == name && case.argument().is_some() == argument
                }
                _ => false,
            };
            return Ok(jump_if(!fits, target));
        }
        Op::ArrayItem { dst, src, index } => {
            let value = match &r[src.index()] {
                Value::Array(array) => array.items().get(index as usize),
                _ => None,
            };
            r[dst.index()] = value.cloned().unwrap_or_default();
        }
        Op::MapItem {
            dst,
            src,
            key: key_id,
        } => {
            let value = match (&r[src.index()], &constants[key_id.index()]) {
                (Value::Map(map), Value::Text(key)) => {
                    map.get_near(key, &loaded.guesses[key_id.index()])
                }
                _ => None,
            };
            r[dst.index()] = value.cloned().unwrap_or_default();
        }
        Op::CaseItem { dst, src } => {
            let value = match &r[src.index()] {
                Value::Case(case) => case.argument(),
                _ => None,
            };
            r[dst.index()] = value.cloned().unwrap_or_default();
        }

        Op::Push { target, src } => {
            let element = r[src.index()].take();
            let builder = r[target.index()].clone();
            builder::push_value(&builder, element)?;
        }
        Op::NewCase { dst, src, name } => {
            let argument = r[src.index()].clone();
            if argument.is_undefined() {
                return Err(Failure::undefined_stored("a case"));
            }
            r[dst.index()] = Value::Case(Case::new(loaded.text(name), Some(argument)));
        }
        Op::NewArray { dst, base, length } => {
            let items = moved(r, base.0, length, Failure::undefined_element)?;
            r[dst.index()] = Value::array(items);
        }
        Op::NewMap {
            count,
            dst,
            base,
            shape,
        } => {
            let shape = &loaded.shapes[shape.index()];
            let member = |at: usize| Failure::undefined_member(&shape.keys()[at]);
            let values = moved(r, base.0, u16::from(count), member)?;
            r[dst.index()] = Value::Map(Map::of_shape(shape, values));
        }
        Op::GetField {
            dst,
            src,
            key: key_id,
        } => {
            let Value::Text(key) = &constants[key_id.index()] else {
                return Err(Failure::internal("key is no string"));
            };
            let value = match &r[src.index()] {
                Value::Map(map) => map
                    .get_near(key, &loaded.guesses[key_id.index()])
                    .cloned()
                    .unwrap_or_default(),
                other => access::field(other, key)?,
            };
            r[dst.index()] = value;
        }
        Op::GetIndex { dst, src, index } => {
            r[dst.index()] = access::index(&r[src.index()], &r[index.index()])?;
        }
        Op::GetIndexField {
            dst,
            src,
            index,
            key: key_id,
        } => {
            let Value::Text(key) = &constants[key_id.index()] else {
                return Err(Failure::internal("key is no string"));
            };
            let value = match access::item(&r[src.index()], &r[index.index()]) {
                Some(Value::Map(map)) => map
                    .get_near(key, &loaded.guesses[key_id.index()])
                    .cloned()
                    .unwrap_or_default(),
                _ => access::field(&access::index(&r[src.index()], &r[index.index()])?, key)?,
            };
            r[dst.index()] = value;
        }
        Op::Update {
            count,
            target,
            base,
            src,
            path,
        } => {
            let start = usize::from(base.0);
            let keys = start..start + usize::from(count);
            let (target, path): (usize, PathId) = (usize::from(target.0), path);
            place::update(loaded, path, r, target, keys, usize::from(src.0))?;
        }
        _ => return rare::perform(machine, running, r, op),
    }
    Ok(Flow::Next)
}

fn jump_if(jumps: bool, target: Target) -> Flow {
    if jumps {
        Flow::Jump(target)
    } else {
        Flow::Next
    }
}

/// The values of a range, moved out, none of them undefined; `missing` tells which one is.
fn moved(
    r: &mut [Value],
    base: u16,
    count: u16,
    missing: impl Fn(usize) -> Failure,
) -> Result<Vec<Value>, Failure> {
    let start = usize::from(base);
    let part = &mut r[start..start + usize::from(count)];
    if let Some(at) = part.iter().position(Value::is_undefined) {
        return Err(missing(at));
    }
    Ok(part.iter_mut().map(Value::take).collect())
}
