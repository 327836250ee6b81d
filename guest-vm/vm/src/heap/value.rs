//! The value of a register: sixteen bytes, numbers unboxed.

use std::any::Any;
use std::cell::RefCell;
use std::fmt;
use std::rc::Rc;

use super::map::Map;
use super::release::release;
use super::room;
use super::stream::Stream;
use super::text::Text;
use crate::failure::Failure;

/// Any value of a running program.
///
/// The kind takes a whole word: a value is written and read as two words, and
/// what was just written can be read without waiting for it to reach memory.
///
/// The numbers of the kinds are chosen for the loop of the interpreter: those
/// of the heap are in a row, so that one comparison tells; ints and floats are
/// far apart, so that telling them from others is two comparisons and no jump
/// through a table, which is what WebAssembly makes of neighbours.
#[derive(Clone, Debug, Default)]
#[repr(u64)]
pub enum Value {
    /// `undefined`.
    #[default]
    Undefined = 0,
    /// `null`.
    Null = 1,
    /// A bool.
    Bool(bool) = 2,
    /// An int.
    Int(i64) = 32,
    /// A float.
    Float(f64) = 64,
    /// A link to a cell.
    Link(CellId) = 4,
    /// A module instance.
    Instance(InstanceId) = 5,
    /// The permission value `appstate`.
    Appstate = 6,
    /// A number that names an object of the host.
    Handle(u64) = 7,
    // From here on values refer to the heap.
    /// A string.
    Text(Text) = 128,
    /// A record reference; never empty.
    Ref(Text) = 129,
    /// Bytes.
    Binary(Rc<Vec<u8>>) = 130,
    /// An array or tuple.
    Array(Array) = 131,
    /// A map or record.
    Map(Map) = 132,
    /// A case.
    Case(Case) = 133,
    /// A function.
    Function(Rc<Function>) = 134,
    /// A stream.
    Stream(Rc<Stream>) = 135,
    /// An access credential.
    Token(Rc<mix_value::Token>) = 136,
    /// A mutable or library-made object.
    Opaque(Rc<Opaque>) = 137,
}

/// Number of a cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CellId(pub u32);

/// Number of a module instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct InstanceId(pub u32);

const _: () = assert!(size_of::<Value>() <= 16, "a value is two words");
const _: () = assert!(
    size_of::<Option<Value>>() <= 16,
    "and so is an optional one"
);

impl Value {
    /// A string.
    #[must_use]
    pub fn text(text: impl Into<Text>) -> Self {
        Value::Text(text.into())
    }

    /// An array.
    #[must_use]
    pub fn array(items: Vec<Value>) -> Self {
        Value::Array(Array::new(items))
    }

    /// Bytes.
    #[must_use]
    #[inline(always)]
    pub fn binary(bytes: Vec<u8>) -> Self {
        Value::Binary(Rc::new(bytes))
    }

    /// A case with an argument.
    #[must_use]
    pub fn case(name: impl Into<Text>, argument: Value) -> Self {
        Value::Case(Case::new(name.into(), Some(argument)))
    }

    /// A constant case.
    #[must_use]
    pub fn constant(name: impl Into<Text>) -> Self {
        Value::Case(Case::new(name.into(), None))
    }

    /// An opaque object of the library.
    #[must_use]
    pub fn opaque(object: Opaque) -> Self {
        Value::Opaque(Rc::new(object))
    }

    /// An int if the float is one exactly, else the float.
    #[must_use]
    pub fn number(number: f64) -> Self {
        match mix_value::number::float_to_int(number) {
            Some(int) => Value::Int(int),
            None => Value::Float(number),
        }
    }

    /// True for `undefined`.
    #[must_use]
    #[inline]
    pub fn is_undefined(&self) -> bool {
        matches!(self, Value::Undefined)
    }

    /// True for values that refer to nothing: to drop one takes no work.
    #[must_use]
    #[inline(always)]
    pub fn is_plain(&self) -> bool {
        !matches!(
            self,
            Value::Text(_)
                | Value::Ref(_)
                | Value::Binary(_)
                | Value::Array(_)
                | Value::Map(_)
                | Value::Case(_)
                | Value::Function(_)
                | Value::Stream(_)
                | Value::Token(_)
                | Value::Opaque(_)
        )
    }

    /// A copy that calls nothing, so that the loop of the interpreter stays free of calls.
    #[must_use]
    #[inline(always)]
    pub(crate) fn share(&self) -> Value {
        match self {
            // These fill both words.
            Value::Int(number) => Value::Int(*number),
            Value::Float(number) => Value::Float(*number),
            Value::Handle(handle) => Value::Handle(*handle),
            Value::Undefined => whole(Value::Undefined),
            Value::Null => whole(Value::Null),
            Value::Bool(value) => whole(Value::Bool(*value)),
            Value::Link(cell) => whole(Value::Link(*cell)),
            Value::Instance(instance) => whole(Value::Instance(*instance)),
            Value::Appstate => whole(Value::Appstate),
            Value::Text(text) => whole(Value::Text(text.clone())),
            Value::Ref(text) => whole(Value::Ref(text.clone())),
            Value::Binary(bytes) => whole(Value::Binary(Rc::clone(bytes))),
            Value::Array(array) => whole(Value::Array(array.clone())),
            Value::Map(map) => whole(Value::Map(map.clone())),
            Value::Case(case) => whole(Value::Case(case.clone())),
            Value::Function(function) => whole(Value::Function(Rc::clone(function))),
            Value::Stream(stream) => whole(Value::Stream(Rc::clone(stream))),
            Value::Token(token) => whole(Value::Token(Rc::clone(token))),
            Value::Opaque(object) => whole(Value::Opaque(Rc::clone(object))),
        }
    }

    /// Drops the value unless it is the last reference to its object, which is given back.
    /// Calls nothing: where the count is known to be higher, nothing is freed.
    #[inline(always)]
    pub(crate) fn loosen(self) -> Option<Value> {
        macro_rules! loosen {
            ($object:expr, $shared:expr) => {
                if $shared {
                    drop(self);
                    None
                } else {
                    Some(self)
                }
            };
        }
        match &self {
            Value::Text(text) | Value::Ref(text) => loosen!(text, text.is_shared()),
            Value::Binary(bytes) => loosen!(bytes, Rc::strong_count(bytes) > 1),
            Value::Array(array) => loosen!(array, Rc::strong_count(&array.0) > 1),
            Value::Map(map) => loosen!(map, map.is_shared()),
            Value::Case(case) => loosen!(case, Rc::strong_count(&case.0) > 1),
            Value::Function(function) => loosen!(function, Rc::strong_count(function) > 1),
            Value::Stream(stream) => loosen!(stream, Rc::strong_count(stream) > 1),
            Value::Token(token) => loosen!(token, Rc::strong_count(token) > 1),
            Value::Opaque(object) => loosen!(object, Rc::strong_count(object) > 1),
            _ => {
                std::mem::forget(self);
                None
            }
        }
    }

    /// True for values that hold other values.
    #[must_use]
    #[inline]
    pub fn is_nested(&self) -> bool {
        matches!(
            self,
            Value::Array(_)
                | Value::Map(_)
                | Value::Case(_)
                | Value::Function(_)
                | Value::Stream(_)
                | Value::Opaque(_)
        )
    }

    /// Name of the kind for messages: the `datacase` text, or `undefined`.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Value::Undefined => "undefined",
            Value::Null => "null",
            Value::Bool(_) => "bool",
            Value::Int(_) | Value::Float(_) => "number",
            Value::Text(_) => "string",
            Value::Ref(_) => "ref",
            Value::Binary(_) => "binary",
            Value::Array(_) => "array",
            Value::Map(_) => "object",
            Value::Case(_) => "case",
            Value::Function(_) => "function",
            Value::Stream(_) => "stream",
            Value::Token(_) => "token",
            Value::Link(_)
            | Value::Instance(_)
            | Value::Appstate
            | Value::Handle(_)
            | Value::Opaque(_) => "opaque",
        }
    }

    /// The content of a string or the id of a ref.
    #[must_use]
    pub fn as_text(&self) -> Option<&Text> {
        match self {
            Value::Text(text) | Value::Ref(text) => Some(text),
            _ => None,
        }
    }

    /// The value, leaving undefined.
    #[must_use]
    pub fn take(&mut self) -> Value {
        std::mem::take(self)
    }
}

/// The same value, of whose sixteen bytes the compiler believes that all are written.
///
/// Kinds without a payload, and pointers of 32 bits, leave some unwritten. Where such values meet
/// others, WebAssembly has a variable that is not set on their way; the engine takes what it held
/// in the round of the loop before, and carries it along through all instructions for that. Each
/// place where values meet then costs two copies an instruction.
#[inline(always)]
pub(crate) fn whole(value: Value) -> Value {
    if cfg!(target_family = "wasm") {
        std::hint::black_box(value)
    } else {
        value
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Value::Bool(value)
    }
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Value::Int(value)
    }
}

impl From<Text> for Value {
    fn from(value: Text) -> Self {
        Value::Text(value)
    }
}

impl From<&str> for Value {
    fn from(value: &str) -> Self {
        Value::Text(value.into())
    }
}

impl From<String> for Value {
    fn from(value: String) -> Self {
        Value::Text(value.into())
    }
}

/// An array, shared; changed in place when nobody else holds it.
#[derive(Clone, Debug)]
pub struct Array(Rc<ArrayNode>);

#[derive(Clone, Debug)]
struct ArrayNode {
    items: Vec<Value>,
}

impl Drop for ArrayNode {
    fn drop(&mut self) {
        release(std::mem::take(&mut self.items));
    }
}

impl Array {
    /// An array of these items.
    #[must_use]
    pub fn new(items: Vec<Value>) -> Self {
        Self(Rc::new(ArrayNode { items }))
    }

    pub(super) fn node(&self) -> &Rc<impl Sized> {
        &self.0
    }

    /// The items.
    #[must_use]
    #[inline]
    pub fn items(&self) -> &[Value] {
        &self.0.items
    }

    /// The items, to be changed; copied first if the array is shared.
    pub fn items_mut(&mut self) -> &mut Vec<Value> {
        &mut Rc::make_mut(&mut self.0).items
    }

    /// The items, to be changed by adding some; copied first if the array is shared.
    pub fn items_to_grow(&mut self, more: usize) -> Result<&mut Vec<Value>, Failure> {
        if Rc::get_mut(&mut self.0).is_none() {
            // The copy has room for what comes, so that it is not copied again.
            let count = self.0.items.len().saturating_add(more);
            room::check_values::<Value>(count)?;
            let mut items = Vec::with_capacity(count);
            items.extend_from_slice(&self.0.items);
            *self = Self::new(items);
        }
        let items = self.items_mut();
        if items.capacity() - items.len() < more {
            room::reserve(items, more)?;
        }
        Ok(items)
    }

    /// The items, if nothing else holds the array.
    pub fn unshared(&mut self) -> Option<&mut Vec<Value>> {
        Rc::get_mut(&mut self.0).map(|node| &mut node.items)
    }

    /// One item, to be changed; the items are copied first if the array is shared.
    #[inline]
    pub(crate) fn item_mut(&mut self, index: usize) -> Option<&mut Value> {
        if index >= self.0.items.len() {
            return None;
        }
        Rc::make_mut(&mut self.0).items.get_mut(index)
    }

    /// The items, to be changed, if nobody else holds the array.
    #[inline(always)]
    pub(crate) fn own_items(&mut self) -> Option<&mut Vec<Value>> {
        Some(&mut Rc::get_mut(&mut self.0)?.items)
    }

    /// The items without a copy if nobody else holds the array.
    #[must_use]
    pub fn into_items(mut self) -> Vec<Value> {
        match Rc::get_mut(&mut self.0) {
            Some(node) => std::mem::take(&mut node.items),
            None => self.0.items.clone(),
        }
    }

    /// True if both are the same object.
    #[must_use]
    pub fn is_same_object(&self, other: &Self) -> bool {
        Rc::ptr_eq(&self.0, &other.0)
    }
}

/// A case value.
#[derive(Clone, Debug)]
pub struct Case(Rc<CaseNode>);

#[derive(Debug)]
struct CaseNode {
    name: Text,
    argument: Value,
}

impl Drop for CaseNode {
    fn drop(&mut self) {
        if self.argument.is_nested() {
            release(vec![self.argument.take()]);
        }
    }
}

impl Case {
    /// A case; the argument is never undefined.
    #[must_use]
    pub fn new(name: Text, argument: Option<Value>) -> Self {
        Self(Rc::new(CaseNode {
            name,
            argument: argument.unwrap_or_default(),
        }))
    }

    pub(super) fn node(&self) -> &Rc<impl Sized> {
        &self.0
    }

    /// Its full name.
    #[must_use]
    pub fn name(&self) -> &Text {
        &self.0.name
    }

    /// Its argument, if it has one.
    #[must_use]
    pub fn argument(&self) -> Option<&Value> {
        (!self.0.argument.is_undefined()).then_some(&self.0.argument)
    }

    /// True if both are the same object.
    #[must_use]
    pub fn is_same_object(&self, other: &Self) -> bool {
        Rc::ptr_eq(&self.0, &other.0)
    }
}

/// A function value: something to run and how many arguments it still wants.
#[derive(Debug)]
pub struct Function {
    /// Arguments until it runs, at least one.
    pub arity: u8,
    /// What runs.
    pub target: Callable,
}

/// What a function value runs.
#[derive(Debug)]
pub enum Callable {
    /// A compiled function with the instance and the values it was made with.
    Closure {
        /// Number of the function.
        function: u32,
        /// Instance it runs in.
        instance: InstanceId,
        /// Captured values.
        captures: Vec<Value>,
    },
    /// A function with its first arguments.
    Partial {
        /// The function.
        callee: Rc<Function>,
        /// Arguments so far.
        arguments: Vec<Value>,
    },
    /// Makes a case.
    Constructor(Text),
    /// A builtin.
    Builtin(u32),
    /// A foreign function.
    Foreign(u32),
    /// Makes an instance of a module.
    Module(u32),
}

impl Drop for Function {
    fn drop(&mut self) {
        match &mut self.target {
            Callable::Closure { captures, .. } if !captures.is_empty() => {
                release(std::mem::take(captures));
            }
            Callable::Partial { callee, arguments } => {
                // A chain of partial applications hangs on the callee.
                let empty = Function {
                    arity: 1,
                    target: Callable::Builtin(0),
                };
                let mut values = std::mem::take(arguments);
                if matches!(
                    callee.target,
                    Callable::Partial { .. } | Callable::Closure { .. }
                ) {
                    values.push(Value::Function(std::mem::replace(callee, Rc::new(empty))));
                }
                release(values);
            }
            _ => {}
        }
    }
}

/// Objects that programs cannot look into.
pub enum Opaque {
    /// A variable shared by closures; may hold undefined.
    Box(RefCell<Value>),
    /// An array under construction.
    Builder(RefCell<std::collections::VecDeque<Value>>),
    /// A map under construction.
    MapBuilder(RefCell<std::collections::BTreeMap<Text, Value>>),
    /// Anything else of a builtin: compiled regular expression, bitset, memo.
    Object {
        /// Name for messages.
        name: &'static str,
        /// The object.
        object: Box<dyn Any>,
    },
}

impl Opaque {
    /// A box holding `value`.
    #[must_use]
    pub fn new_box(value: Value) -> Self {
        Opaque::Box(RefCell::new(value))
    }
}

impl fmt::Debug for Opaque {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Opaque::Box(_) => "box",
            Opaque::Builder(_) => "builder",
            Opaque::MapBuilder(_) => "map builder",
            Opaque::Object { name, .. } => name,
        })
    }
}

impl Drop for Opaque {
    fn drop(&mut self) {
        match self {
            Opaque::Box(value) => {
                let value = value.take();
                if value.is_nested() {
                    release(vec![value]);
                }
            }
            Opaque::Builder(items) => release(std::mem::take(items.get_mut()).into()),
            Opaque::MapBuilder(entries) => {
                release(std::mem::take(entries.get_mut()).into_values().collect());
            }
            Opaque::Object { .. } => {}
        }
    }
}
