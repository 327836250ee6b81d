//! Runtime errors of Mix programs: a stable code, a message, the facts in it.

use std::borrow::Cow;
use std::fmt;

use crate::boundary::{Location, TraceFrame};
use crate::heap::{Text, Value};
use crate::text_form;

/// A runtime error.
#[derive(Clone)]
pub struct Failure(Box<Content>);

#[derive(Clone)]
struct Content {
    code: Cow<'static, str>,
    message: String,
    params: Vec<(&'static str, Value)>,
    /// Where it was raised first, if it was raised again elsewhere.
    first: Option<(Vec<TraceFrame>, Option<Location>)>,
}

impl Failure {
    /// An error with a code and a one-line message.
    #[must_use]
    pub fn new(code: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        Self(Box::new(Content {
            code: code.into(),
            message: message.into(),
            params: Vec::new(),
            first: None,
        }))
    }

    /// Adds a fact: a placeholder of the message template and its value.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<Value>) -> Self {
        self.0.params.push((name, value.into()));
        self
    }

    /// The same error, its message beginning with what it is about.
    #[must_use]
    pub(crate) fn about(mut self, what: &str) -> Self {
        self.0.message = format!("{what}: {}", self.0.message);
        self
    }

    /// The error as it was raised first: its stack comes before that of where it is raised again.
    pub(crate) fn after(mut self, trace: Vec<TraceFrame>, location: Option<Location>) -> Self {
        self.0.first = Some((trace, location));
        self
    }

    /// Where it was raised first.
    pub(crate) fn first(&self) -> Option<&(Vec<TraceFrame>, Option<Location>)> {
        self.0.first.as_ref()
    }

    /// The stable code.
    #[must_use]
    pub fn code(&self) -> &str {
        &self.0.code
    }

    /// The message.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// The facts in the message.
    #[must_use]
    pub fn params(&self) -> &[(&'static str, Value)] {
        &self.0.params
    }

    /// `CODE: message`; of `fail` the message alone.
    #[must_use]
    pub fn text(&self) -> String {
        if self.0.code == "RT_FAIL" {
            self.0.message.clone()
        } else {
            format!("{}: {}", self.0.code, self.0.message)
        }
    }

    /// False for errors that `try` must let pass.
    #[must_use]
    pub fn is_catchable(&self) -> bool {
        !matches!(&*self.0.code, "RT_TIMEOUT" | "RT_MEMORY" | "RT_INTERNAL")
    }

    /// `RT_FAIL`.
    #[must_use]
    pub fn fail(message: &str) -> Self {
        Self::new("RT_FAIL", message).with("message", message)
    }

    /// `RT_INTERNAL`: the program does what a compiler never emits.
    #[must_use]
    pub fn internal(detail: &str) -> Self {
        Self::new("RT_INTERNAL", format!("internal error {detail}")).with("detail", detail)
    }

    /// `RT_OPERAND` of an operator with two sides.
    #[must_use]
    pub fn operand(op: &'static str, left: &Value, right: &Value) -> Self {
        let (left, right) = (left.kind(), right.kind());
        Self::new(
            "RT_OPERAND",
            format!("{op} does not apply to {left} and {right}"),
        )
        .with("op", op)
        .with("left", left)
        .with("right", right)
    }

    /// `RT_OPERAND` of an operator with one side, or where the other is not evaluated.
    #[must_use]
    pub fn one_operand(op: &'static str, operand: &Value) -> Self {
        let kind = operand.kind();
        Self::new("RT_OPERAND", format!("{op} does not apply to {kind}"))
            .with("op", op)
            .with("left", kind)
    }

    /// `RT_CONDITION`.
    #[must_use]
    pub fn condition(value: &Value) -> Self {
        let kind = value.kind();
        Self::new("RT_CONDITION", format!("condition is {kind}, not bool")).with("kind", kind)
    }

    /// `RT_UNDEFINED_STORED`.
    #[must_use]
    pub fn undefined_stored(place: &str) -> Self {
        Self::new(
            "RT_UNDEFINED_STORED",
            format!("undefined cannot be stored in {place}"),
        )
        .with("where", place)
    }

    /// The same of a member of a map.
    #[must_use]
    pub fn undefined_member(key: &Text) -> Self {
        let key = text_form::brief(&Value::Text(key.clone()));
        Self::undefined_stored(&format!("member {key} of a map"))
    }

    /// The same of an element of an array, by its index.
    #[must_use]
    pub fn undefined_element(index: usize) -> Self {
        Self::undefined_stored(&format!("element {index} of an array"))
    }

    /// `RT_NOT_A_MAP`, `RT_NOT_AN_ARRAY`, `RT_NOT_A_STREAM`.
    #[must_use]
    pub fn not_a(code: &'static str, what: &str, value: &Value) -> Self {
        let kind = value.kind();
        Self::new(code, format!("{kind} is not {what}")).with("kind", kind)
    }

    /// `RT_NOT_COMPARABLE`.
    #[must_use]
    pub fn not_comparable(value: &Value) -> Self {
        let kind = value.kind();
        Self::new("RT_NOT_COMPARABLE", format!("{kind} cannot be compared")).with("kind", kind)
    }

    /// `RT_PARAM`, with what is wrong about the parameter.
    #[must_use]
    pub fn bad_parameter(name: &str, module: &str, why: &str) -> Self {
        Self::new(
            "RT_PARAM",
            format!("bad parameter {name} for module {module}: {why}"),
        )
        .with("name", name)
        .with("module", module)
    }

    /// `ERR_EXPECTED_X`: a builtin got a value of another kind.
    #[must_use]
    pub fn expected(code: &'static str, what: &str, value: &Value) -> Self {
        let kind = value.kind();
        let found = described(value);
        Self::new(code, format!("expected {what}, found {found}")).with("kind", kind)
    }

    /// `ERR_UNDEFINED`: a builtin got undefined where a value is needed.
    #[must_use]
    pub fn undefined(what: &str) -> Self {
        Self::new("ERR_UNDEFINED", format!("{what} is undefined"))
    }

    /// `ERR_RANGE`.
    #[must_use]
    pub fn range(message: impl Into<String>) -> Self {
        Self::new("ERR_RANGE", message)
    }
}

/// What a message calls a value of the wrong kind: of cases it is the name that tells them apart.
pub(crate) fn described(value: &Value) -> String {
    match value {
        Value::Case(case) => format!("case {}", case.name().as_str()),
        other => other.kind().to_owned(),
    }
}

impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.0.code, self.0.message)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text())
    }
}

impl std::error::Error for Failure {}
