//! The instruction set.
//!
//! A register machine. Every function owns a window of registers: the
//! parameters come first, all others start as `undefined`. A decoded
//! instruction is sixteen bytes; in the executable it is an opcode byte followed
//! by its operands in compact form.
//!
//! Conventions:
//! - Arguments of calls lie in neighbouring registers `base .. base+count` and
//!   are *moved* into the callee: afterwards these registers are `undefined`.
//!   The same holds for the parts of a new array, record or closure.
//! - "Own" functions and slots belong to the instance that runs; a *stateless*
//!   module (no parameters, no cells) has one instance for the whole program.
//! - Instructions check their operands at run time and raise the codes of the
//!   language; the names in brackets are those codes.
//! - Tail calls replace the frame. They must not be used in formulas of cells,
//!   bodies of actions, observers and initializers (their frame must be seen
//!   in the stack trace), nor between `try_begin` and `try_end`.

use crate::operand::{
    Base, BuiltinId, Capture, ConstId, Dst, FuncId, ImportId, Input, ModuleId, Operand, OptReg,
    PathId, PatternId, Reg, Relocation, ShapeId, SlotId, Target, TypeId, Visitor,
};

macro_rules! instructions {
    ($(
        $(#[$doc:meta])*
        $code:literal $name:ident $text:literal { $( $field:ident : $kind:ident ),* }
    )*) => {
        /// One decoded instruction.
        #[allow(missing_docs, reason = "operands are described with their instruction")]
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(align(16))]
        pub enum Op {
            $( $(#[$doc])* $name { $( $field: $kind ),* }, )*
        }

        impl Op {
            /// The byte that stands for this instruction in an executable.
            #[must_use]
            pub fn opcode(&self) -> u8 {
                match self { $( Op::$name { .. } => $code, )* }
            }

            /// The name that the disassembler prints.
            #[must_use]
            pub fn mnemonic(&self) -> &'static str {
                match self { $( Op::$name { .. } => $text, )* }
            }

            /// Shows all operands to `visitor`, in the order of their declaration.
            pub fn visit<V: Visitor + ?Sized>(&self, visitor: &mut V) {
                match *self { $( Op::$name { $( $field ),* } => {
                    let _ = &visitor;
                    $( $field.visit(stringify!($field), visitor); )*
                } )* }
            }

            /// Reads register `to` wherever the instruction plainly reads `from`.
            pub fn replace_read(&mut self, from: Reg, to: Reg) {
                match self { $( Op::$name { $( $field ),* } => {
                    let _ = (from, to);
                    $( $field.rename(from, to); )*
                } )* }
            }

            /// Renumbers all operands.
            pub fn relocate<R: Relocation + ?Sized>(&mut self, to: &R) {
                match self { $( Op::$name { $( $field ),* } => {
                    let _ = to;
                    $( $field.relocate(to); )*
                } )* }
            }

            /// Appends the file form.
            pub fn encode(&self, out: &mut Vec<u8>) {
                out.push(self.opcode());
                match *self { $( Op::$name { $( $field ),* } => {
                    $( $field.encode(out); )*
                } )* }
            }

            /// Reads one instruction; `None` if it is malformed.
            pub fn decode(input: &mut Input<'_>) -> Option<Self> {
                match input.byte()? {
                    $( $code => Some(Op::$name { $( $field: $kind::decode(input)? ),* }), )*
                    _ => None,
                }
            }
        }

        /// Opcode and mnemonic of every instruction.
        pub const INSTRUCTIONS: &[(u8, &str)] = &[ $( ($code, $text) ),* ];
    };
}

instructions! {
    // ---- moves and constants
    /// Copies a register.
    0x01 Move "move" { dst: Dst, src: Reg }
    /// Moves a register; `src` becomes undefined. (Made by the optimiser from `Move`.)
    0x02 Take "take" { dst: Dst, src: Reg }
    /// Loads a constant.
    0x03 LoadConst "const" { dst: Dst, value: ConstId }
    /// Loads a small integer.
    0x04 LoadInt "int" { dst: Dst, value: i32 }
    /// Loads `undefined`.
    0x05 LoadUndefined "undefined" { dst: Dst }
    /// Loads `null`.
    0x06 LoadNull "null" { dst: Dst }
    /// Loads a bool.
    0x07 LoadBool "bool" { dst: Dst, value: bool }
    /// Loads a captured variable of the running closure.
    0x08 LoadCapture "capture" { dst: Dst, capture: Capture }
    /// Puts a value into a new box: a variable that closures share by reference.
    0x09 NewBox "new_box" { dst: Dst, src: Reg }
    /// Reads a box.
    0x0a LoadBox "load_box" { dst: Dst, src: Reg }
    /// Writes a box. [RT_UNDEFINED_STORED]
    0x0b StoreBox "store_box" { target: Reg, src: Reg, place: ConstId }
    /// Fails if the value is undefined; `place` says where it was to be stored. [RT_UNDEFINED_STORED]
    0x0c CheckStored "check_stored" { src: Reg, place: ConstId }

    // ---- operators (language 4.3)
    /// `a + b`. [RT_OPERAND]
    0x10 Add "add" { dst: Dst, a: Reg, b: Reg }
    /// `a + b` where `a` is used no more: extends a uniquely owned left side in place.
    0x11 AddTake "add_take" { dst: Dst, a: Reg, b: Reg }
    /// `a - b`. [RT_OPERAND]
    0x12 Sub "sub" { dst: Dst, a: Reg, b: Reg }
    /// `a * b`. [RT_OPERAND]
    0x13 Mul "mul" { dst: Dst, a: Reg, b: Reg }
    /// `a / b`. [RT_OPERAND]
    0x14 Div "div" { dst: Dst, a: Reg, b: Reg }
    /// `a % b`. [RT_OPERAND]
    0x15 Rem "rem" { dst: Dst, a: Reg, b: Reg }
    /// `a + number`.
    0x16 AddInt "add_int" { dst: Dst, a: Reg, number: i32 }
    /// `a - number`.
    0x17 SubInt "sub_int" { dst: Dst, a: Reg, number: i32 }
    /// `- src`. [RT_OPERAND]
    0x18 Neg "neg" { dst: Dst, src: Reg }
    /// `not src`, Kleene. [RT_OPERAND]
    0x19 Not "not" { dst: Dst, src: Reg }
    /// `a && b` of two evaluated sides. [RT_OPERAND]
    0x1a And "and" { dst: Dst, a: Reg, b: Reg }
    /// `a || b` of two evaluated sides. [RT_OPERAND]
    0x1b Or "or" { dst: Dst, a: Reg, b: Reg }
    /// `a ++ b`, two streams. [RT_OPERAND]
    0x1c Concat "concat" { dst: Dst, a: Reg, b: Reg }
    /// `src?`: is it defined.
    0x1d IsDefined "is_defined" { dst: Dst, src: Reg }
    /// `a == b`. [RT_NOT_COMPARABLE]
    0x20 Eq "eq" { dst: Dst, a: Reg, b: Reg }
    /// `a != b`.
    0x21 Ne "ne" { dst: Dst, a: Reg, b: Reg }
    /// `a < b`.
    0x22 Lt "lt" { dst: Dst, a: Reg, b: Reg }
    /// `a <= b`.
    0x23 Le "le" { dst: Dst, a: Reg, b: Reg }
    /// `a > b`.
    0x24 Gt "gt" { dst: Dst, a: Reg, b: Reg }
    /// `a >= b`.
    0x25 Ge "ge" { dst: Dst, a: Reg, b: Reg }
    /// `a === b`.
    0x26 Same "same" { dst: Dst, a: Reg, b: Reg }
    /// `a !== b`.
    0x27 NotSame "not_same" { dst: Dst, a: Reg, b: Reg }
    /// `a ==:ci b`. [RT_OPERAND]
    0x28 EqCi "eq_ci" { dst: Dst, a: Reg, b: Reg }
    /// `a !=:ci b`.
    0x29 NeCi "ne_ci" { dst: Dst, a: Reg, b: Reg }
    /// `a <:ci b`.
    0x2a LtCi "lt_ci" { dst: Dst, a: Reg, b: Reg }
    /// `a <=:ci b`.
    0x2b LeCi "le_ci" { dst: Dst, a: Reg, b: Reg }
    /// `a >:ci b`.
    0x2c GtCi "gt_ci" { dst: Dst, a: Reg, b: Reg }
    /// `a >=:ci b`.
    0x2d GeCi "ge_ci" { dst: Dst, a: Reg, b: Reg }

    // ---- jumps
    /// Jumps.
    0x30 Jump "jump" { target: Target }
    /// Condition of `if`, `while`, `for`: jumps when false. [RT_CONDITION]
    0x31 JumpUnless "jump_unless" { src: Reg, target: Target }
    /// The same, jumps when true. [RT_CONDITION]
    0x32 JumpIf "jump_if" { src: Reg, target: Target }
    /// Guard (`when`): jumps when false or undefined. [RT_CONDITION]
    0x33 JumpUnlessGuard "jump_unless_guard" { src: Reg, target: Target }
    /// Left side of `&&`: jumps when false, goes on when true or undefined. [RT_OPERAND]
    0x34 AndJump "and_jump" { src: Reg, target: Target }
    /// Left side of `||`: jumps when true, goes on when false or undefined. [RT_OPERAND]
    0x35 OrJump "or_jump" { src: Reg, target: Target }
    /// Jumps when undefined.
    0x36 JumpIfUndefined "jump_if_undefined" { src: Reg, target: Target }
    /// Jumps when defined.
    0x37 JumpIfDefined "jump_if_defined" { src: Reg, target: Target }
    /// Jumps unless the value is exactly `true` (comparison patterns); never fails.
    0x38 JumpUnlessTrue "jump_unless_true" { src: Reg, target: Target }
    /// Condition `a == b`: jumps when false. [RT_CONDITION]
    0x40 JumpUnlessEq "jump_unless_eq" { a: Reg, b: Reg, target: Target }
    /// Condition `a != b`.
    0x41 JumpUnlessNe "jump_unless_ne" { a: Reg, b: Reg, target: Target }
    /// Condition `a < b`.
    0x42 JumpUnlessLt "jump_unless_lt" { a: Reg, b: Reg, target: Target }
    /// Condition `a <= b`.
    0x43 JumpUnlessLe "jump_unless_le" { a: Reg, b: Reg, target: Target }
    /// Condition `a > b`.
    0x44 JumpUnlessGt "jump_unless_gt" { a: Reg, b: Reg, target: Target }
    /// Condition `a >= b`.
    0x45 JumpUnlessGe "jump_unless_ge" { a: Reg, b: Reg, target: Target }
    /// Condition `a == number`.
    0x48 JumpUnlessEqInt "jump_unless_eq_int" { a: Reg, number: i16, target: Target }
    /// Condition `a != number`.
    0x49 JumpUnlessNeInt "jump_unless_ne_int" { a: Reg, number: i16, target: Target }
    /// Condition `a < number`.
    0x4a JumpUnlessLtInt "jump_unless_lt_int" { a: Reg, number: i16, target: Target }
    /// Condition `a <= number`.
    0x4b JumpUnlessLeInt "jump_unless_le_int" { a: Reg, number: i16, target: Target }
    /// Condition `a > number`.
    0x4c JumpUnlessGtInt "jump_unless_gt_int" { a: Reg, number: i16, target: Target }
    /// Condition `a >= number`.
    0x4d JumpUnlessGeInt "jump_unless_ge_int" { a: Reg, number: i16, target: Target }

    // ---- pattern tests: never fail, jump when the value does not match
    /// `a === b` with functions and streams simply not matching.
    0x50 JumpUnlessSame "jump_unless_same" { a: Reg, b: Reg, target: Target }
    /// An array with `min ..= max` elements (65535: no upper limit).
    0x51 JumpUnlessArray "jump_unless_array" { src: Reg, min: u16, max: u16, target: Target }
    /// A map.
    0x52 JumpUnlessMap "jump_unless_map" { src: Reg, target: Target }
    /// A case of that name, constant or with an argument.
    0x53 JumpUnlessCase "jump_unless_case" { argument: bool, src: Reg, name: ConstId, target: Target }
    /// `matches(src, type)` of language 5.6.
    0x54 JumpUnlessMatches "jump_unless_matches" { src: Reg, type_id: TypeId, target: Target }
    /// Element of a matched array; undefined outside.
    0x55 ArrayItem "array_item" { dst: Dst, src: Reg, index: u32 }
    /// Elements of a matched array, by an array pattern, into `count` registers from `base`.
    0x56 Destructure "destructure" { count: u8, src: Reg, base: Base, pattern: PatternId }
    /// Member of a matched map; undefined if missing.
    0x57 MapItem "map_item" { dst: Dst, src: Reg, key: ConstId }
    /// Argument of a matched case; undefined if constant.
    0x58 CaseItem "case_item" { dst: Dst, src: Reg }
    /// No arm, `case` or `let` pattern matched. [RT_MATCH]
    0x59 FailMatch "fail_match" { src: Reg }

    // ---- functions
    /// Calls an own function with exactly its parameters.
    0x60 Call "call" { count: u8, dst: Dst, base: Base, function: FuncId }
    /// Calls a function of a stateless module.
    0x61 CallStatic "call_static" { count: u8, dst: Dst, base: Base, function: FuncId }
    /// Calls a function of the instance in a register.
    0x62 CallMember "call_member" { count: u8, dst: Dst, instance: Reg, base: Base, function: FuncId }
    /// Applies any function value to any number (>= 1) of arguments. [RT_NOT_FUNCTION]
    0x63 Apply "apply" { count: u8, dst: Dst, callee: Reg, base: Base }
    /// Tail call of an own function.
    0x64 TailCall "tail_call" { count: u8, base: Base, function: FuncId }
    /// Tail call of a function of a stateless module.
    0x65 TailCallStatic "tail_call_static" { count: u8, base: Base, function: FuncId }
    /// Tail call of a function of the instance in a register.
    0x66 TailCallMember "tail_call_member" { count: u8, instance: Reg, base: Base, function: FuncId }
    /// Tail form of `Apply`.
    0x67 TailApply "tail_apply" { count: u8, callee: Reg, base: Base }
    /// Calls a builtin with exactly its arguments.
    0x68 CallBuiltin "call_builtin" { count: u8, dst: Dst, base: Base, builtin: BuiltinId }
    /// Calls a foreign function with exactly its arguments.
    0x69 CallForeign "call_foreign" { count: u8, dst: Dst, base: Base, import: ImportId }
    /// Ends the function.
    0x6a Return "return" { src: Reg }
    /// Function value of an own or stateless function; `count` captured values from `base`.
    0x6b MakeClosure "closure" { count: u8, dst: Dst, base: Base, function: FuncId }
    /// Function value of a def of the instance in a register.
    0x6c MakeMember "member_closure" { dst: Dst, instance: Reg, function: FuncId }
    /// Constructor of a case with an argument, as a function value.
    0x6d MakeConstructor "constructor" { dst: Dst, name: ConstId }
    /// A builtin as a function value.
    0x6e MakeBuiltin "builtin" { dst: Dst, builtin: BuiltinId }
    /// A foreign function as a function value.
    0x6f MakeForeign "foreign" { dst: Dst, import: ImportId }
    /// A module that needs parameters, as a function value that makes instances.
    0x70 MakeModule "module_function" { dst: Dst, module: ModuleId }

    // ---- data
    /// Case with an argument. [RT_UNDEFINED_STORED]
    0x78 NewCase "new_case" { dst: Dst, src: Reg, name: ConstId }
    /// `name^`: the argument of a case of that name. [RT_CASE]
    0x79 CaseArgument "case_argument" { dst: Dst, src: Reg, name: ConstId }
    /// Array of `length` neighbouring registers. [RT_UNDEFINED_STORED]
    0x7a NewArray "new_array" { dst: Dst, base: Base, length: u16 }
    /// Appends to an array that was just built. [RT_UNDEFINED_STORED]
    0x7b ArrayPush "array_push" { target: Reg, src: Reg }
    /// Map with constant keys; the values lie in the order of the key list. [RT_UNDEFINED_STORED]
    0x7c NewMap "new_map" { count: u8, dst: Dst, base: Base, shape: ShapeId }
    /// Adds an entry to a map that was just built. [RT_KEY, RT_UNDEFINED_STORED]
    0x7d MapPut "map_put" { target: Reg, key: Reg, src: Reg }
    /// `src.key`. [RT_NOT_A_MAP]
    0x7e GetField "field" { dst: Dst, src: Reg, key: ConstId }
    /// `src.(key)`. [RT_NOT_A_MAP, RT_KEY]
    0x7f GetKey "key" { dst: Dst, src: Reg, key: Reg }
    /// `src[index]`. [RT_INDEX, RT_NOT_AN_ARRAY]
    0x80 GetIndex "index" { dst: Dst, src: Reg, index: Reg }
    /// `src[index]?`. [RT_NOT_AN_ARRAY]
    0x81 HasIndex "has_index" { dst: Dst, src: Reg, index: Reg }
    /// `src[#index of length]`. [RT_TUPLE]
    0x82 TupleItem "tuple_item" { dst: Dst, src: Reg, index: u16, length: u32 }
    /// `src[from..to]` as a stream. [RT_NOT_AN_ARRAY, RT_INDEX]
    0x83 Slice "slice" { dst: Dst, src: Reg, from: OptReg, to: OptReg }
    /// `target with path = src`, in place: `target` holds the base and receives the result.
    /// The keys and indices that the path asks for lie in `count` registers from `base`.
    /// [RT_PATH, RT_INDEX, RT_KEY, RT_UNDEFINED_STORED]
    0x84 Update "update" { count: u8, target: Dst, base: Base, src: Reg, path: PathId }
    /// Asserts a type. [RT_TYPE]
    0x85 Assert "assert" { src: Reg, type_id: TypeId }
    /// Wraps a value into a stream of one element; a stream stays. [RT_UNDEFINED_STORED]
    0x86 MakeStream "make_stream" { dst: Dst, src: Reg }
    /// What `for (.. in src)` runs over. [RT_NOT_A_STREAM]
    0x87 Iterate "iterate" { dst: Dst, src: Reg }
    /// Pulls the next element; undefined at the end. [RT_NOT_A_STREAM]
    0x88 Next "next" { dst: Dst, src: Reg }
    /// `ok(src)`; undefined stays undefined.
    0x89 WrapOk "wrap_ok" { dst: Dst, src: Reg }

    // ---- errors
    /// Starts a guarded region: an error inside puts `error(text)` into `dst` and goes to `target`.
    0x90 TryBegin "try_begin" { dst: Dst, target: Target }
    /// Ends the innermost guarded region.
    0x91 TryEnd "try_end" { }

    // ---- instances
    /// Own slot: a parameter, import or value def (evaluated when first read). [RT_DEF_CYCLE]
    0x98 LoadSlot "slot" { dst: Dst, slot: SlotId }
    /// Slot of a stateless module. [RT_DEF_CYCLE]
    0x99 LoadStatic "static_slot" { dst: Dst, module: ModuleId, slot: SlotId }
    /// Slot of the instance in a register; of a cell slot the link to the cell. [RT_DEF_CYCLE]
    0x9a LoadMember "member_slot" { dst: Dst, instance: Reg, slot: SlotId }
    /// New instance of a module. [RT_PARAM]
    0x9b NewInstance "new_instance" { count: u8, dst: Dst, base: Base, module: ModuleId }
    /// The one instance of a static module in this view, or of a stateless module.
    0x9c StaticInstance "static_instance" { dst: Dst, module: ModuleId }
    /// The instance that runs.
    0x9d OwnInstance "own_instance" { dst: Dst }
    /// `currentInstanceId()` of the instance that runs.
    0x9e InstanceNumber "instance_number" { dst: Dst }

    // ---- cells
    /// Value of an own cell. [RT_CELL_CYCLE]
    0xa0 LoadCell "cell" { dst: Dst, slot: SlotId }
    /// Link to an own cell.
    0xa1 LoadLink "link" { dst: Dst, slot: SlotId }
    /// `contents(link)`. [RT_CELL_CYCLE]
    0xa2 Contents "contents" { dst: Dst, link: Reg }
    /// Previous value of the cell behind a link.
    0xa3 Previous "previous" { dst: Dst, link: Reg }
    /// 0 `cellVersion`, 1 `cellAge`, 2 `cellUpdated`, 3 `cellChanged`, 4 `cellName`, 5 `inCellName`, 6 `isCellAlive`.
    0xa4 CellInfo "cell_info" { what: u8, dst: Dst, link: Reg }
    /// `cellSelect` over `count` links; mode 0 plain, 1 NotNull, 2 NotUnset.
    0xa5 CellSelect "cell_select" { count: u8, dst: Dst, base: Base, mode: u8 }
    /// Link to the cell whose formula runs (`thisCell`).
    0xa6 ThisCell "this_cell" { dst: Dst }
    /// Assigns the cell behind a link. [RT_UNDEFINED_STORED, RT_CELL_DEAD, RT_EFFECT_IN_FORMULA]
    0xa7 Assign "assign" { link: Reg, src: Reg }
    /// `freeze` of the cell behind a link.
    0xa8 Freeze "freeze" { link: Reg }
    /// `newConstCell` / `newVarCell`: a new cell, as a link.
    0xa9 NewCell "new_cell" { dst: Dst, src: Reg, variable: bool }
    /// Action value: the function of the action with `count` captured values from `base`.
    0xaa MakeAction "action" { count: u8, dst: Dst, base: Base, function: FuncId }
    /// Value of the event cells `onRefresh`, `onView`, `never`: null.
    0xab LoadEvent "event" { dst: Dst, event: u8 }
    /// The opaque value `appstate`.
    0xac LoadAppstate "appstate" { dst: Dst }
    /// `dependentLink(make, subject)`: a link that is kept until `subject(null)` changes.
    0xad DependentLink "dependent_link" { dst: Dst, make: Reg, subject: Reg }
    /// `mapLinkArray(make, subject)`: link to the contents of the links of all rows. [RT_INDEX]
    0xae MapLinkArray "map_link_array" { dst: Dst, make: Reg, subject: Reg }
    /// `cellSessionScope`, `cellScreenScope`: shares the cell behind a link with other views.
    0xaf ExtendScope "extend_scope" { link: Reg, session: bool }
    /// Connects the live cell whose formula runs with its source. Mode 0: the changes of
    /// `make(key)`, made once for each key; gives null. Modes 1 and 2: the latest element of the
    /// stream `make(null)`; before the first one the formula ends with null. [RT_NOT_A_STREAM]
    0xb0 Live "live" { dst: Dst, key: Reg, make: Reg, mode: u8 }

    // ---- what the optimiser makes of frequent pairs
    /// Condition of a loop `a == b`: jumps when true. [RT_CONDITION]
    0xc0 JumpWhenEq "jump_when_eq" { a: Reg, b: Reg, target: Target }
    /// Condition of a loop `a != b`: jumps when true. [RT_CONDITION]
    0xc1 JumpWhenNe "jump_when_ne" { a: Reg, b: Reg, target: Target }
    /// Condition of a loop `a < b`: jumps when true. [RT_CONDITION]
    0xc2 JumpWhenLt "jump_when_lt" { a: Reg, b: Reg, target: Target }
    /// Condition of a loop `a <= b`: jumps when true. [RT_CONDITION]
    0xc3 JumpWhenLe "jump_when_le" { a: Reg, b: Reg, target: Target }
    /// Condition of a loop `a > b`: jumps when true. [RT_CONDITION]
    0xc4 JumpWhenGt "jump_when_gt" { a: Reg, b: Reg, target: Target }
    /// Condition of a loop `a >= b`: jumps when true. [RT_CONDITION]
    0xc5 JumpWhenGe "jump_when_ge" { a: Reg, b: Reg, target: Target }
    /// Condition of a loop `a == number`: jumps when true. [RT_CONDITION]
    0xc6 JumpWhenEqInt "jump_when_eq_int" { a: Reg, number: i16, target: Target }
    /// Condition of a loop `a != number`: jumps when true. [RT_CONDITION]
    0xc7 JumpWhenNeInt "jump_when_ne_int" { a: Reg, number: i16, target: Target }
    /// Condition of a loop `a < number`: jumps when true. [RT_CONDITION]
    0xc8 JumpWhenLtInt "jump_when_lt_int" { a: Reg, number: i16, target: Target }
    /// Condition of a loop `a <= number`: jumps when true. [RT_CONDITION]
    0xc9 JumpWhenLeInt "jump_when_le_int" { a: Reg, number: i16, target: Target }
    /// Condition of a loop `a > number`: jumps when true. [RT_CONDITION]
    0xca JumpWhenGtInt "jump_when_gt_int" { a: Reg, number: i16, target: Target }
    /// Condition of a loop `a >= number`: jumps when true. [RT_CONDITION]
    0xcb JumpWhenGeInt "jump_when_ge_int" { a: Reg, number: i16, target: Target }
    /// `a * number`. [RT_OPERAND]
    0xcc MulInt "mul_int" { dst: Dst, a: Reg, number: i32 }
    /// `a / number`. [RT_OPERAND]
    0xcd DivInt "div_int" { dst: Dst, a: Reg, number: i32 }
    /// `a % number`. [RT_OPERAND]
    0xce RemInt "rem_int" { dst: Dst, a: Reg, number: i32 }
    /// `src[index].key`. [RT_INDEX, RT_NOT_AN_ARRAY, RT_NOT_A_MAP]
    0xcf GetIndexField "index_field" { dst: Dst, src: Reg, index: Reg, key: ConstId }
    /// Moves a register that must not be undefined; `place` says where it was to be stored. [RT_UNDEFINED_STORED]
    0xd0 TakeStored "take_stored" { dst: Dst, src: Reg, place: ConstId }
    /// `a + [item]` where `a` is used no more; both are moved. [RT_OPERAND, RT_UNDEFINED_STORED]
    0xd1 AddItem "add_item" { dst: Dst, a: Reg, item: Reg }
    /// `a == number`. [RT_NOT_COMPARABLE]
    0xd2 EqInt "eq_int" { dst: Dst, a: Reg, number: i32 }
    /// `a != number`.
    0xd3 NeInt "ne_int" { dst: Dst, a: Reg, number: i32 }
    /// `a < number`.
    0xd4 LtInt "lt_int" { dst: Dst, a: Reg, number: i32 }
    /// `a <= number`.
    0xd5 LeInt "le_int" { dst: Dst, a: Reg, number: i32 }
    /// `a > number`.
    0xd6 GtInt "gt_int" { dst: Dst, a: Reg, number: i32 }
    /// `a >= number`.
    0xd7 GeInt "ge_int" { dst: Dst, a: Reg, number: i32 }
    /// Ends the function with `a + b`. [RT_OPERAND]
    0xd8 ReturnAdd "return_add" { a: Reg, b: Reg }
    /// Ends the function with `a - b`. [RT_OPERAND]
    0xd9 ReturnSub "return_sub" { a: Reg, b: Reg }
    /// Ends the function with `a * b`. [RT_OPERAND]
    0xda ReturnMul "return_mul" { a: Reg, b: Reg }
    /// Ends the function with `a / b`. [RT_OPERAND]
    0xdb ReturnDiv "return_div" { a: Reg, b: Reg }
    /// Ends the function with `a + number`. [RT_OPERAND]
    0xdc ReturnAddInt "return_add_int" { a: Reg, number: i32 }
    /// Calls a function, own or not as in `call` and `call_static`, with `count` arguments and
    /// `a - number` as the last one. [RT_OPERAND]
    0xdd CallSubInt "call_sub_int" { own: bool, count: u8, dst: Dst, base: Base, a: Reg, number: i16, function: FuncId }
    /// Pulls the next element and jumps if it is there at once; otherwise, also if it comes
    /// later, the next instruction sees it, or undefined at the end. [RT_NOT_A_STREAM]
    0xde NextJump "next_jump" { dst: Dst, src: Reg, target: Target }
    /// Adds a value to the array under construction in a register, as the builtin
    /// `#builder_push`; `src` becomes undefined.
    0xdf Push "push" { target: Reg, src: Reg }
    /// Condition that the builtin `#truth` has checked: jumps when false.
    0xe0 JumpUnlessTruth "jump_unless_truth" { src: Reg, target: Target }
}

/// Registers that an instruction handles as one range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    /// First register.
    pub base: u16,
    /// Number of registers.
    pub count: u16,
    /// True if the instruction writes them, false if it consumes them.
    pub writes: bool,
}

impl Op {
    /// The range of neighbouring registers that the instruction consumes or writes.
    #[must_use]
    pub fn range(&self) -> Option<Range> {
        let (base, count, writes) = match *self {
            Op::Call { base, count, .. }
            | Op::CallStatic { base, count, .. }
            | Op::CallMember { base, count, .. }
            | Op::Apply { base, count, .. }
            | Op::TailCall { base, count, .. }
            | Op::TailCallStatic { base, count, .. }
            | Op::TailCallMember { base, count, .. }
            | Op::TailApply { base, count, .. }
            | Op::CallBuiltin { base, count, .. }
            | Op::CallForeign { base, count, .. }
            | Op::MakeClosure { base, count, .. }
            | Op::NewMap { base, count, .. }
            | Op::Update { base, count, .. }
            | Op::NewInstance { base, count, .. }
            | Op::CellSelect { base, count, .. }
            | Op::MakeAction { base, count, .. }
            | Op::CallSubInt { base, count, .. } => (base, u16::from(count), false),
            Op::NewArray { base, length, .. } => (base, length, false),
            Op::Destructure { base, count, .. } => (base, u16::from(count), true),
            _ => return None,
        };
        Some(Range {
            base: base.0,
            count,
            writes,
        })
    }

    /// The jump target, if the instruction has one.
    #[must_use]
    pub fn target(&self) -> Option<Target> {
        self.clone().target_mut().copied()
    }

    /// The jump target, to be changed.
    pub fn target_mut(&mut self) -> Option<&mut Target> {
        match self {
            Op::Jump { target }
            | Op::JumpUnless { target, .. }
            | Op::JumpIf { target, .. }
            | Op::JumpUnlessGuard { target, .. }
            | Op::AndJump { target, .. }
            | Op::OrJump { target, .. }
            | Op::JumpIfUndefined { target, .. }
            | Op::JumpIfDefined { target, .. }
            | Op::JumpUnlessTrue { target, .. }
            | Op::JumpUnlessEq { target, .. }
            | Op::JumpUnlessNe { target, .. }
            | Op::JumpUnlessLt { target, .. }
            | Op::JumpUnlessLe { target, .. }
            | Op::JumpUnlessGt { target, .. }
            | Op::JumpUnlessGe { target, .. }
            | Op::JumpUnlessEqInt { target, .. }
            | Op::JumpUnlessNeInt { target, .. }
            | Op::JumpUnlessLtInt { target, .. }
            | Op::JumpUnlessLeInt { target, .. }
            | Op::JumpUnlessGtInt { target, .. }
            | Op::JumpUnlessGeInt { target, .. }
            | Op::JumpWhenEq { target, .. }
            | Op::JumpWhenEqInt { target, .. }
            | Op::JumpWhenNe { target, .. }
            | Op::JumpWhenNeInt { target, .. }
            | Op::JumpWhenLt { target, .. }
            | Op::JumpWhenLtInt { target, .. }
            | Op::JumpWhenLe { target, .. }
            | Op::JumpWhenLeInt { target, .. }
            | Op::JumpWhenGt { target, .. }
            | Op::JumpWhenGtInt { target, .. }
            | Op::JumpWhenGe { target, .. }
            | Op::JumpWhenGeInt { target, .. }
            | Op::JumpUnlessSame { target, .. }
            | Op::JumpUnlessArray { target, .. }
            | Op::JumpUnlessMap { target, .. }
            | Op::JumpUnlessCase { target, .. }
            | Op::JumpUnlessMatches { target, .. }
            | Op::NextJump { target, .. }
            | Op::JumpUnlessTruth { target, .. }
            | Op::TryBegin { target, .. } => Some(target),
            _ => None,
        }
    }

    /// True if control never reaches the next instruction.
    #[must_use]
    pub fn ends_flow(&self) -> bool {
        matches!(self, Op::Jump { .. } | Op::FailMatch { .. }) || self.leaves()
    }

    /// True if the function is left: by a return or a tail call.
    #[must_use]
    pub fn leaves(&self) -> bool {
        self.is_tail_call()
            || matches!(
                self,
                Op::Return { .. }
                    | Op::ReturnAdd { .. }
                    | Op::ReturnSub { .. }
                    | Op::ReturnMul { .. }
                    | Op::ReturnDiv { .. }
                    | Op::ReturnAddInt { .. }
            )
    }

    /// True for calls that replace the frame.
    #[must_use]
    pub fn is_tail_call(&self) -> bool {
        matches!(
            self,
            Op::TailCall { .. }
                | Op::TailCallStatic { .. }
                | Op::TailCallMember { .. }
                | Op::TailApply { .. }
        )
    }
}

const _: () = assert!(size_of::<Op>() == 16, "found by a shift");
