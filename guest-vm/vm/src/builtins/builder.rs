//! Arrays and maps under construction, and boxes: mutable objects that library
//! functions written in Mix use inside and do not hand out.

use crate::failure::Failure;
use crate::heap::{Map, Opaque, Value};
use crate::surroundings::Surroundings;

use super::Builtin;
use super::args;

pub(super) fn find(name: &str) -> Option<Builtin> {
    Some(match name {
        "#builder_new" => |_, _| Ok(Value::opaque(Opaque::Builder(Default::default()))),
        "#builder_push" => push,
        "#builder_push_any" => push_any,
        "#builder_append" => append,
        "#builder_shift" => shift,
        "#builder_array" => array,
        "#map_builder_new" => |_, _| Ok(Value::opaque(Opaque::MapBuilder(Default::default()))),
        "#map_builder_put" => map_put,
        "#map_builder_map" => map_built,
        "#box_new" => box_new,
        "#box_get" => box_get,
        "#box_set" => box_set,
        _ => return None,
    })
}

fn is_not(what: &str) -> Failure {
    Failure::new("ERR_EXPECTED_OPAQUE", format!("expected a {what}"))
}

type Items = std::cell::RefCell<std::collections::VecDeque<Value>>;

fn items(value: &Value) -> Result<&Items, Failure> {
    match args::opaque(value)? {
        Opaque::Builder(items) => Ok(items),
        _ => Err(is_not("builder")),
    }
}

/// The values of a builder, which is empty afterwards.
pub(super) fn take_items(builder: &Value) -> Result<Vec<Value>, Failure> {
    Ok(std::mem::take(&mut *items(builder)?.borrow_mut()).into())
}

fn push(_: &mut Surroundings, args: &mut [Value]) -> Result<Value, Failure> {
    let element = args[1].take();
    push_value(&args[0], element)?;
    Ok(Value::Null)
}

/// Adds a value that must not be undefined.
pub(crate) fn push_value(builder: &Value, mut element: Value) -> Result<(), Failure> {
    let element = args::defined(&mut element, "the element")?;
    items(builder)?.borrow_mut().push_back(element);
    Ok(())
}

fn push_any(_: &mut Surroundings, args: &mut [Value]) -> Result<Value, Failure> {
    let value = args[1].take();
    items(&args[0])?.borrow_mut().push_back(value);
    Ok(Value::Null)
}

fn append(_: &mut Surroundings, args: &mut [Value]) -> Result<Value, Failure> {
    let more = args::take_array(&mut args[1])?.into_items();
    items(&args[0])?.borrow_mut().extend(more);
    Ok(Value::Null)
}

/// The first value, removed; undefined without one.
fn shift(_: &mut Surroundings, args: &mut [Value]) -> Result<Value, Failure> {
    Ok(items(&args[0])?
        .borrow_mut()
        .pop_front()
        .unwrap_or_default())
}

fn array(_: &mut Surroundings, args: &mut [Value]) -> Result<Value, Failure> {
    take_items(&args[0]).map(Value::array)
}

fn map_put(_: &mut Surroundings, args: &mut [Value]) -> Result<Value, Failure> {
    let value = args::defined(&mut args[2], "the value")?;
    let key = args::text(&args[1])?.clone();
    match args::opaque(&args[0])? {
        Opaque::MapBuilder(entries) => {
            entries.borrow_mut().insert(key, value);
            Ok(Value::Null)
        }
        _ => Err(is_not("map builder")),
    }
}

fn map_built(_: &mut Surroundings, args: &mut [Value]) -> Result<Value, Failure> {
    match args::opaque(&args[0])? {
        Opaque::MapBuilder(entries) => {
            let entries = std::mem::take(&mut *entries.borrow_mut());
            Ok(Value::Map(Map::of_entries(entries.into_iter().collect())))
        }
        _ => Err(is_not("map builder")),
    }
}

fn box_new(_: &mut Surroundings, args: &mut [Value]) -> Result<Value, Failure> {
    Ok(Value::opaque(Opaque::new_box(args[0].take())))
}

fn box_get(_: &mut Surroundings, args: &mut [Value]) -> Result<Value, Failure> {
    match args::opaque(&args[0])? {
        Opaque::Box(content) => Ok(content.borrow().clone()),
        _ => Err(is_not("box")),
    }
}

fn box_set(_: &mut Surroundings, args: &mut [Value]) -> Result<Value, Failure> {
    let value = args[1].take();
    match args::opaque(&args[0])? {
        Opaque::Box(content) => {
            // The old value is dropped after the borrow ends.
            let old = content.replace(value);
            drop(old);
            Ok(Value::Null)
        }
        _ => Err(is_not("box")),
    }
}
