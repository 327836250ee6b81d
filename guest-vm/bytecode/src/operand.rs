//! Operands of instructions: newtypes, so that a register is never taken for
//! a constant, and the visitor through which the verifier, the optimiser and
//! the disassembler look at any instruction.

macro_rules! index {
    ($(#[$doc:meta])* $name:ident($inner:ty), $method:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(pub $inner);

        impl $name {
            /// The number as an index.
            #[inline(always)]
            #[must_use]
            pub const fn index(self) -> usize {
                self.0 as usize
            }
        }

        impl Operand for $name {
            fn visit<V: Visitor + ?Sized>(self, field: &'static str, visitor: &mut V) {
                visitor.$method(field, self);
            }
            fn encode(self, out: &mut Vec<u8>) {
                write_unsigned(out, u64::from(self.0));
            }
            fn decode(input: &mut Input<'_>) -> Option<Self> {
                Some(Self(<$inner>::try_from(input.unsigned()?).ok()?))
            }
            fn relocate<R: Relocation + ?Sized>(&mut self, to: &R) {
                to.$method(self);
            }
            fn rename(&mut self, from: Reg, to: Reg) {
                // Only registers that are read plainly.
                if matches!(stringify!($method).as_bytes(), b"read" | b"read_optional")
                    && self.0 == <$inner>::from(from.0)
                {
                    self.0 = <$inner>::from(to.0);
                }
            }
        }
    };
}

index!(
    /// A register that is read.
    Reg(u16), read
);
index!(
    /// A register that is written.
    Dst(u16), write
);
index!(
    /// The first of several neighbouring registers; the instruction says how many.
    Base(u16), base
);
index!(
    /// A register that may be absent (`OptReg::NONE`).
    OptReg(u16), read_optional
);
index!(
    /// Entry of the constant table.
    ConstId(u32), constant
);
index!(
    /// Entry of the function table.
    FuncId(u32), function
);
index!(
    /// Entry of the module table.
    ModuleId(u32), module
);
index!(
    /// Entry of the table of foreign functions.
    ImportId(u32), import
);
index!(
    /// Entry of the table of builtins (see [`crate::builtins`]).
    BuiltinId(u32), builtin
);
index!(
    /// Entry of the table of key lists.
    ShapeId(u32), shape
);
index!(
    /// Entry of the table of update paths.
    PathId(u32), path
);
index!(
    /// Entry of the table of array patterns.
    PatternId(u32), pattern
);
index!(
    /// Entry of the table of run-time types.
    TypeId(u32), type_id
);
index!(
    /// Slot of a module instance.
    SlotId(u32), slot
);
index!(
    /// Jump target: the number of an instruction of the same function (inside
    /// a builder: the number of a label).
    Target(u32), target
);
index!(
    /// Captured variable of the running function.
    Capture(u16), capture
);

impl OptReg {
    /// No register.
    pub const NONE: OptReg = OptReg(u16::MAX);

    /// The register, if there is one.
    #[must_use]
    pub fn get(self) -> Option<Reg> {
        (self != Self::NONE).then_some(Reg(self.0))
    }
}

impl From<Option<Reg>> for OptReg {
    fn from(reg: Option<Reg>) -> Self {
        reg.map_or(Self::NONE, |r| OptReg(r.0))
    }
}

impl From<Reg> for Dst {
    fn from(reg: Reg) -> Self {
        Dst(reg.0)
    }
}

impl From<Reg> for Base {
    fn from(reg: Reg) -> Self {
        Base(reg.0)
    }
}

/// Looks at the operands of one instruction, in order.
pub trait Visitor {
    /// A register is read.
    fn read(&mut self, field: &'static str, reg: Reg);
    /// A register is written.
    fn write(&mut self, field: &'static str, reg: Dst);
    /// Start of a range of registers; its length is a later operand.
    fn base(&mut self, field: &'static str, base: Base);
    /// An optional register is read.
    fn read_optional(&mut self, field: &'static str, reg: OptReg) {
        if let Some(reg) = reg.get() {
            self.read(field, reg);
        }
    }
    /// A constant.
    fn constant(&mut self, field: &'static str, id: ConstId);
    /// A function.
    fn function(&mut self, field: &'static str, id: FuncId);
    /// A module.
    fn module(&mut self, field: &'static str, id: ModuleId);
    /// A foreign function.
    fn import(&mut self, field: &'static str, id: ImportId);
    /// A builtin.
    fn builtin(&mut self, field: &'static str, id: BuiltinId);
    /// A key list.
    fn shape(&mut self, field: &'static str, id: ShapeId);
    /// An update path.
    fn path(&mut self, field: &'static str, id: PathId);
    /// An array pattern.
    fn pattern(&mut self, field: &'static str, id: PatternId);
    /// A run-time type.
    fn type_id(&mut self, field: &'static str, id: TypeId);
    /// A slot of an instance.
    fn slot(&mut self, field: &'static str, id: SlotId);
    /// A jump target.
    fn target(&mut self, field: &'static str, target: Target);
    /// A captured variable.
    fn capture(&mut self, field: &'static str, capture: Capture);
    /// A plain number.
    fn number(&mut self, field: &'static str, number: i64);
}

/// Renumbers the operands of instructions that move from one program into another. What is
/// not named keeps its number: registers, slots, labels and builtins mean the same everywhere.
pub trait Relocation {
    /// A register is read.
    fn read(&self, _: &mut Reg) {}
    /// A register is written.
    fn write(&self, _: &mut Dst) {}
    /// Start of a range of registers.
    fn base(&self, _: &mut Base) {}
    /// An optional register.
    fn read_optional(&self, _: &mut OptReg) {}
    /// A constant.
    fn constant(&self, id: &mut ConstId);
    /// A function.
    fn function(&self, id: &mut FuncId);
    /// A module.
    fn module(&self, id: &mut ModuleId);
    /// A foreign function.
    fn import(&self, id: &mut ImportId);
    /// A builtin.
    fn builtin(&self, _: &mut BuiltinId) {}
    /// A key list.
    fn shape(&self, id: &mut ShapeId);
    /// An update path.
    fn path(&self, id: &mut PathId);
    /// An array pattern.
    fn pattern(&self, id: &mut PatternId);
    /// A run-time type.
    fn type_id(&self, id: &mut TypeId);
    /// A slot of an instance.
    fn slot(&self, _: &mut SlotId) {}
    /// A jump target.
    fn target(&self, _: &mut Target) {}
    /// A captured variable.
    fn capture(&self, _: &mut Capture) {}
}

/// What can stand in a field of an instruction.
pub trait Operand: Copy {
    /// Hands the operand to the visitor.
    fn visit<V: Visitor + ?Sized>(self, field: &'static str, visitor: &mut V);
    /// Appends the operand in its file form.
    fn encode(self, out: &mut Vec<u8>);
    /// Reads the file form; `None` if it is malformed.
    fn decode(input: &mut Input<'_>) -> Option<Self>;
    /// Reads register `to` where `from` was read.
    fn rename(&mut self, from: Reg, to: Reg) {
        let _ = (from, to);
    }
    /// Takes the number that the operand has in another program.
    fn relocate<R: Relocation + ?Sized>(&mut self, to: &R) {
        let _ = to;
    }
}

macro_rules! plain_unsigned {
    ($($t:ty),*) => {$(
        impl Operand for $t {
            fn visit<V: Visitor + ?Sized>(self, field: &'static str, visitor: &mut V) {
                visitor.number(field, i64::from(self));
            }
            fn encode(self, out: &mut Vec<u8>) {
                write_unsigned(out, u64::from(self));
            }
            fn decode(input: &mut Input<'_>) -> Option<Self> {
                Self::try_from(input.unsigned()?).ok()
            }
        }
    )*};
}
plain_unsigned!(u8, u16, u32);

macro_rules! plain_signed {
    ($($t:ty),*) => {$(
        impl Operand for $t {
            fn visit<V: Visitor + ?Sized>(self, field: &'static str, visitor: &mut V) {
                visitor.number(field, i64::from(self));
            }
            fn encode(self, out: &mut Vec<u8>) {
                write_signed(out, i64::from(self));
            }
            fn decode(input: &mut Input<'_>) -> Option<Self> {
                Self::try_from(input.signed()?).ok()
            }
        }
    )*};
}
plain_signed!(i16, i32);

impl Operand for bool {
    fn visit<V: Visitor + ?Sized>(self, field: &'static str, visitor: &mut V) {
        visitor.number(field, i64::from(self));
    }
    fn encode(self, out: &mut Vec<u8>) {
        out.push(u8::from(self));
    }
    fn decode(input: &mut Input<'_>) -> Option<Self> {
        match input.byte()? {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        }
    }
}

/// A byte string that is read from front to back, never past its end.
#[derive(Clone, Debug)]
pub struct Input<'a> {
    bytes: &'a [u8],
    position: usize,
}

impl<'a> Input<'a> {
    /// Reads `bytes` from their start.
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, position: 0 }
    }

    /// Bytes read so far.
    #[must_use]
    pub fn position(&self) -> usize {
        self.position
    }

    /// Bytes not yet read.
    #[must_use]
    pub fn remaining(&self) -> usize {
        self.bytes.len() - self.position
    }

    /// One byte.
    pub fn byte(&mut self) -> Option<u8> {
        let byte = *self.bytes.get(self.position)?;
        self.position += 1;
        Some(byte)
    }

    /// The next `length` bytes.
    pub fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let end = self.position.checked_add(length)?;
        let part = self.bytes.get(self.position..end)?;
        self.position = end;
        Some(part)
    }

    /// An unsigned LEB128 number of minimal length.
    pub fn unsigned(&mut self) -> Option<u64> {
        let mut number = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 {
                return None;
            }
            number |= bits << shift;
            if byte & 0x80 == 0 {
                // The minimal form has no trailing zero group.
                return (shift == 0 || byte != 0).then_some(number);
            }
        }
        None
    }

    /// A signed number in zigzag form.
    pub fn signed(&mut self) -> Option<i64> {
        let raw = self.unsigned()?;
        Some((raw >> 1).cast_signed() ^ -(raw & 1).cast_signed())
    }
}

/// Appends an unsigned LEB128 number.
pub fn write_unsigned(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push((number as u8 & 0x7f) | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// Appends a signed number in zigzag form.
pub fn write_signed(out: &mut Vec<u8>, number: i64) {
    write_unsigned(out, ((number << 1) ^ (number >> 63)).cast_unsigned());
}
