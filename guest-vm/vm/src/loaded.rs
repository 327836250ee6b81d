//! A program made ready to run: verified, linked, constants on the heap.

#![allow(
    clippy::result_large_err,
    reason = "an issue is made once for a program, never on a hot path"
)]

use std::cell::Cell;
use std::collections::BTreeMap;
use std::rc::Rc;

use mix_bytecode::{Constant, Op, PathStep, Program};

use crate::base_case::BaseCase;
use crate::boundary::{FunctionTable, Issue, Linked, parts, short_way};
use crate::builtins::{self, Builtin};
use crate::heap::{Map, Shape, Text, Value};
use crate::interpreter::intrinsic::{self, Intrinsic};
use crate::sheet::layout::Layout;
use crate::vm::{MemoryLimit, Options};

/// A program ready to run.
#[derive(Debug)]
pub(crate) struct Loaded {
    pub program: Program,
    pub constants: Vec<Value>,
    pub shapes: Vec<Rc<Shape>>,
    pub builtins: Vec<Entry>,
    pub foreign: Vec<Foreign>,
    /// Who reads and watches whom, for each module.
    pub layouts: Vec<Layout>,
    /// For each constant that is a key a guess where in a map it is.
    pub guesses: Vec<Cell<u8>>,
    /// The update paths.
    pub paths: Vec<Box<[Step]>>,
    /// What each function answers at once.
    pub base_cases: Vec<BaseCase>,
    pub memory: Option<MemoryLimit>,
}

/// A step of an update path, ready to run.
#[derive(Debug)]
pub(crate) enum Step {
    /// To a field, with a guess where in a map it is.
    Field(Text, Cell<u8>),
    /// To the key in the next register.
    Key,
    /// To the index in the next register.
    Index,
    /// To an element of a tuple of known length.
    Tuple,
}

/// How a builtin is run.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Entry {
    Function(Builtin),
    /// One that the loop of the interpreter performs itself for the usual kind of argument.
    Quick(Quick, Builtin),
    Intrinsic(Intrinsic),
    /// Not used by the program.
    Unused,
}

/// A builtin that the loop of the interpreter knows.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Quick {
    /// Number of items of an array.
    Length,
    /// A bool, as the library checks it.
    Truth,
    /// Square root.
    Sqrt,
    /// Largest int that is not above.
    Floor,
    /// Adds a value to an array under construction.
    Push,
    /// The value, which must not be undefined.
    Defined,
    /// What a box holds.
    BoxGet,
    /// Puts a value into a box.
    BoxSet,
}

impl Quick {
    fn find(name: &str) -> Option<Self> {
        Some(match name {
            "#array_length" | "#array_size" => Quick::Length,
            "#truth" => Quick::Truth,
            "#number_sqrt" => Quick::Sqrt,
            "#floor" => Quick::Floor,
            "#builder_push" => Quick::Push,
            "#defined" => Quick::Defined,
            "#box_get" => Quick::BoxGet,
            "#box_set" => Quick::BoxSet,
            _ => return None,
        })
    }
}

/// What is tried before a function that waits is started.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Short {
    /// Its number at the host.
    pub index: u32,
    /// It gives all items of a stream.
    pub is_stream: bool,
}

impl Short {
    fn find(functions: &dyn FunctionTable, name: &str, of: &Linked) -> Option<Short> {
        let find = |ending: &str| {
            let short = functions.find(&format!("{name}{ending}"))?;
            // That of another family would take calls that are not meant for it.
            let fits = !short.waits && short.params == of.params && short.family == of.family;
            fits.then_some(Short {
                index: short.index,
                is_stream: ending == short_way::ITEMS,
            })
        };
        if !of.waits {
            return None;
        }
        find(short_way::VALUE).or_else(|| find(short_way::ITEMS))
    }
}

/// How a function is reached that may wait.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Way {
    /// Its number at the host.
    pub index: u32,
    pub short: Option<Short>,
}

/// The functions that give the items of a stream in parts.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Parts {
    pub first: Way,
    pub next: Way,
}

impl Parts {
    fn find(functions: &dyn FunctionTable, name: &str, of: &Linked) -> Option<Parts> {
        let find = |ending: &str, params: u8| {
            let name = format!("{name}{ending}");
            let part = functions.find(&name)?;
            // Those of another family would take calls that are not meant for it.
            let fits = part.waits && part.params == params && part.family == of.family;
            fits.then(|| Way {
                index: part.index,
                short: Short::find(functions, &name, &part).filter(|short| !short.is_stream),
            })
        };
        // The first argument says whom the further parts are asked of.
        if !of.waits || of.params == 0 {
            return None;
        }
        Some(Parts {
            first: find(parts::FIRST, of.params)?,
            next: find(parts::NEXT, parts::NEXT_PARAMS)?,
        })
    }
}

/// How a foreign function is run.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Foreign {
    Linked {
        index: u32,
        waits: bool,
        short: Option<Short>,
        parts: Option<Parts>,
    },
    /// Its replacement for this environment: a function without parameters.
    Arm(u32),
    /// A replacement that belongs to the instance that names the function.
    OwnArm(u32),
}

impl Loaded {
    /// Reads, verifies and links an executable.
    pub fn new(
        executable: &[u8],
        functions: &dyn FunctionTable,
        options: &Options,
    ) -> Result<Self, Issue> {
        let refused =
            |error: &dyn std::fmt::Display| Issue::new("ERR_EXECUTABLE", error.to_string());
        let program = mix_bytecode::decode(executable).map_err(|error| refused(&error))?;
        mix_bytecode::verify(&program)
            .map_err(|error| refused(&format!("executable does not verify: {error}")))?;
        Self::of_program(program, functions, options)
    }

    /// Links a verified program.
    pub fn of_program(
        program: Program,
        functions: &dyn FunctionTable,
        options: &Options,
    ) -> Result<Self, Issue> {
        let environment = options.environment.as_str();
        let mut texts = Texts::default();
        let constants = program
            .constants
            .iter()
            .map(|of| constant(of, &mut texts))
            .collect::<Result<Vec<_>, _>>()?;
        let shapes = program
            .shapes
            .iter()
            .map(|keys| {
                Shape::new(
                    keys.iter()
                        .map(|key| text(&constants, key.index()))
                        .collect(),
                )
            })
            .collect();
        let foreign = program
            .imports
            .iter()
            .map(|import| {
                if let Some(linked) = functions.find(&import.name) {
                    if linked.params != import.params {
                        return Err(Issue::new(
                            "ERR_FFI_MISSING",
                            format!(
                                "foreign function {} takes {} arguments here, the program passes {}; used by {}",
                                import.name,
                                linked.params,
                                import.params,
                                import.used_by.join(", ")
                            ),
                        ));
                    }
                    return Ok(Foreign::Linked {
                        index: linked.index,
                        waits: linked.waits,
                        short: Short::find(functions, &import.name, &linked),
                        parts: Parts::find(functions, &import.name, &linked),
                    });
                }
                let arm = import.arms.iter().find(|(name, _)| &**name == environment);
                let of = |function: mix_bytecode::FuncId| {
                    let module = program.functions[function.index()].module;
                    match program.modules[module.index()].kind {
                        mix_bytecode::ModuleKind::Stateless => Foreign::Arm(function.0),
                        _ => Foreign::OwnArm(function.0),
                    }
                };
                arm.map(|(_, function)| of(*function)).ok_or_else(|| {
                    missing_function(&import.name, &import.used_by)
                })
            })
            .collect::<Result<_, _>>()?;
        let mut entries = vec![Entry::Unused; mix_bytecode::builtins::BUILTINS.len()];
        for function in &program.functions {
            for op in &function.code {
                if let Op::CallBuiltin { builtin, .. } | Op::MakeBuiltin { builtin, .. } = op {
                    let row = &mix_bytecode::builtins::BUILTINS[builtin.index()];
                    if matches!(entries[builtin.index()], Entry::Unused) {
                        entries[builtin.index()] = entry(row.name)?;
                    }
                }
            }
        }
        let guesses = constants.iter().map(|_| Cell::new(0)).collect();
        let layouts = program.modules.iter().map(Layout::of).collect();
        let paths = program.paths.iter().map(|path| {
            let steps = path.iter().map(|step| match step {
                PathStep::Field(name) => Step::Field(text(&constants, name.index()), Cell::new(0)),
                PathStep::Key => Step::Key,
                PathStep::Index => Step::Index,
                PathStep::Tuple { .. } => Step::Tuple,
            });
            steps.collect()
        });
        let paths = paths.collect();
        let functions = program.functions.iter();
        let base_cases = functions.map(|of| BaseCase::of(of, &constants)).collect();
        Ok(Self {
            layouts,
            paths,
            base_cases,
            program,
            constants,
            shapes,
            builtins: entries,
            foreign,
            guesses,
            memory: options.memory,
        })
    }

    /// A string constant of a verified program.
    pub fn text(&self, id: mix_bytecode::ConstId) -> Text {
        text(&self.constants, id.index())
    }

    /// The string constant itself.
    pub fn text_ref(&self, id: mix_bytecode::ConstId) -> Option<&Text> {
        match self.constants.get(id.index()) {
            Some(Value::Text(text)) => Some(text),
            _ => None,
        }
    }
}

fn text(constants: &[Value], index: usize) -> Text {
    match constants.get(index) {
        Some(Value::Text(text)) => text.clone(),
        // Verification admits strings only.
        _ => Text::new(""),
    }
}

fn entry(name: &str) -> Result<Entry, Issue> {
    if let Some(intrinsic) = intrinsic::find(name) {
        return Ok(Entry::Intrinsic(intrinsic));
    }
    let entry = |function| match Quick::find(name) {
        Some(quick) => Entry::Quick(quick, function),
        None => Entry::Function(function),
    };
    builtins::find(name).map(entry).ok_or_else(|| {
        Issue::new(
            "ERR_UNSUPPORTED",
            format!("builtin {name} is not part of this runtime"),
        )
    })
}

fn missing_function(name: &str, used_by: &[Box<str>]) -> Issue {
    // `$db_get_one` belongs to the family `db`.
    let family = name
        .trim_start_matches('$')
        .split('_')
        .next()
        .unwrap_or(name);
    Issue::new(
        "ERR_FFI_MISSING",
        format!(
            "foreign function {name} is missing: no plugin brings it (used by module {}); add the plugin of family {family}",
            used_by.join(", ")
        ),
    )
}

/// The texts among the constants, each once.
#[derive(Debug, Default)]
struct Texts {
    /// In order, so that loading asks for no random numbers: a program may be loaded before it runs.
    known: BTreeMap<Box<str>, Text>,
    /// Keys of the last map.
    shape: Option<Rc<Shape>>,
}

impl Texts {
    fn of(&mut self, text: &str) -> Text {
        if let Some(known) = self.known.get(text) {
            return known.clone();
        }
        let made = Text::constant(text);
        self.known.insert(text.into(), made.clone());
        made
    }
}

fn constant(constant: &Constant, texts: &mut Texts) -> Result<Value, Issue> {
    Ok(match constant {
        Constant::Int(number) => Value::Int(*number),
        Constant::Float(number) => Value::Float(*number),
        Constant::String(text) => Value::Text(texts.of(text)),
        Constant::Case(name) => Value::constant(texts.of(name)),
        Constant::Value(bytes) => {
            let value = crate::wire::decode(bytes).map_err(|error| {
                Issue::new(
                    "ERR_EXECUTABLE",
                    format!("a constant of the executable is malformed: {error}"),
                )
            })?;
            with_keys(value, texts)
        }
        Constant::Regex(pattern) => builtins::regex_constant(pattern)
            .map_err(|failure| Issue::new(failure.code(), failure.message()))?,
    })
}

/// The same value whose maps have the keys that instructions name.
fn with_keys(value: Value, texts: &mut Texts) -> Value {
    match value {
        Value::Array(array) => Value::array(
            array
                .into_items()
                .into_iter()
                .map(|item| with_keys(item, texts))
                .collect(),
        ),
        Value::Map(map) => {
            let keys: Vec<Text> = map.keys().map(|key| texts.of(key)).collect();
            let values = map.values().cloned();
            let values = values.map(|value| with_keys(value, texts)).collect();
            // Neighbours are often of one kind.
            let shape = match texts.shape.take() {
                Some(shape) if shape.keys() == keys => shape,
                _ => Shape::new(keys),
            };
            let map = Map::of_shape(&shape, values);
            texts.shape = Some(shape);
            Value::Map(map)
        }
        Value::Case(case) => match case.argument() {
            Some(argument) => {
                Value::case(texts.of(case.name()), with_keys(argument.clone(), texts))
            }
            None => Value::constant(texts.of(case.name())),
        },
        other => other,
    }
}
