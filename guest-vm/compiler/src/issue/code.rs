//! All compile-time codes with their message templates (one table).

/// Class of an issue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Class {
    /// Tokens.
    Lex,
    /// Grammar.
    Syntax,
    /// Names and scopes.
    Name,
    /// Types.
    Type,
    /// Cells and effects.
    Cell,
    /// Modules and libraries.
    Module,
    /// Pragmas.
    Pragma,
    /// Not an error.
    Warning,
    /// A defect of the compiler itself.
    Internal,
}

impl Class {
    /// The name used in the issue format.
    pub fn as_str(self) -> &'static str {
        match self {
            Class::Lex => "lex",
            Class::Syntax => "syntax",
            Class::Name => "name",
            Class::Type => "type",
            Class::Cell => "cell",
            Class::Module => "module",
            Class::Pragma => "pragma",
            Class::Warning => "warning",
            Class::Internal => "internal",
        }
    }
}

macro_rules! codes {
    ($($variant:ident $class:ident $code:literal $template:literal,)*) => {
        /// A stable issue code.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Code {
            $(#[doc = concat!("`", $code, "`: ", $template)] $variant,)*
        }

        impl Code {
            /// Every code.
            pub const ALL: &'static [Code] = &[$(Code::$variant,)*];

            /// The code as printed.
            pub fn as_str(self) -> &'static str {
                match self { $(Code::$variant => $code,)* }
            }

            /// Its class.
            pub fn class(self) -> Class {
                match self { $(Code::$variant => Class::$class,)* }
            }

            /// The message with `{placeholders}`.
            pub fn template(self) -> &'static str {
                match self { $(Code::$variant => $template,)* }
            }
        }
    };
}

codes! {
    LexBadChar Lex "LEX_BAD_CHAR" "unexpected character {char}",
    LexComment Lex "LEX_COMMENT" "block comment is never closed",
    LexNumber Lex "LEX_NUMBER" "malformed number {text}",
    LexString Lex "LEX_STRING" "string is never closed",
    LexEscape Lex "LEX_ESCAPE" "bad escape {text}",
    LexDirective Lex "LEX_DIRECTIVE" "bad directive {text}",
    SynUnexpected Syntax "SYN_UNEXPECTED" "unexpected {found}, expected {expected}",
    SynStatement Syntax "SYN_STATEMENT" "{what} is a statement; use it in a do block",
    SynElse Syntax "SYN_ELSE" "an if expression needs else",
    SynNonassoc Syntax "SYN_NONASSOC" "comparisons do not chain",
    SynExprPhrase Syntax "SYN_EXPR_PHRASE" "an expression is not allowed at module level",
    SynPattern Syntax "SYN_PATTERN" "bad pattern: {why}",
    SynParamPattern Syntax "SYN_PARAM_PATTERN" "parameter {index} of {name} must be a plain name",
    SynVarPattern Syntax "SYN_VAR_PATTERN" "var cannot destructure; use let",
    SynConst Syntax "SYN_CONST" "a constant is required here",
    SynEscjson Syntax "SYN_ESCJSON" "bad escaped constant: {why}",
    SynRegex Syntax "SYN_REGEX" "bad regular expression: {why}",
    SynInitializer Syntax "SYN_INITIALIZER" "initializer must come last and only once",
    SynCaseName Syntax "SYN_CASE_NAME" "case name {name} must start with a lower-case letter",
    SynArity Syntax "SYN_ARITY" "the arms take different numbers of parameters",
    SynActionVar Syntax "SYN_ACTION_VAR" "an action cannot assign the captured variable {name}",
    SynModule Syntax "SYN_MODULE" "{what} is not allowed here",
    SynQuery Syntax "SYN_QUERY" "{what} cannot become a query clause: {why}",
    // Not in the language description: what this compiler cannot translate yet
    // is refused with its name, never translated wrongly.
    SynLimit Syntax "SYN_LIMIT" "too many {what}: the limit is {limit}",
    // Not in the language description: bounds the recursion of every later phase.
    SynNesting Syntax "SYN_NESTING" "{what}: the limit is {limit}",
    NameUnbound Name "NAME_UNBOUND" "unknown name {name}",
    NameUndeclaredRecursion Name "NAME_UNDECLARED_RECURSION" "{name} refers to itself without a declaration",
    NameNotDefined Name "NAME_NOT_DEFINED" "{name} is declared but not defined",
    NameDupParam Name "NAME_DUP_PARAM" "parameter {name} occurs twice",
    NameDupPattern Name "NAME_DUP_PATTERN" "pattern variable {name} occurs twice",
    NameDupKey Name "NAME_DUP_KEY" "key {name} occurs twice",
    NameKind Name "NAME_KIND" "{name} is already a {old}, cannot become a {new}",
    NamePrivate Name "NAME_PRIVATE" "{name} is private in {module}",
    NameMember Name "NAME_MEMBER" "module {module} has no member {name}",
    NameCase Name "NAME_CASE" "{name} is not a case",
    NameNoArg Name "NAME_NO_ARG" "case {name} has no argument",
    NameImmutable Name "NAME_IMMUTABLE" "{name} cannot be assigned",
    NameWildcard Name "NAME_WILDCARD" "_ is an expression only where appstate is in scope",
    TypeMismatch Type "TYPE_MISMATCH" "expected {expected}, found {found}",
    TypeBranch Type "TYPE_BRANCH" "branches have unrelated types {first} and {second}",
    TypeOperator Type "TYPE_OPERATOR" "{op} does not apply to {left} and {right}",
    TypeNotComparable Type "TYPE_NOT_COMPARABLE" "values of type {type} cannot be compared",
    TypeNotFunction Type "TYPE_NOT_FUNCTION" "{type} is not a function",
    TypeNoField Type "TYPE_NO_FIELD" "type {type} has no field {field}",
    TypeComputedKey Type "TYPE_COMPUTED_KEY" "a record type has no computed keys",
    TypeNeedsHint Type "TYPE_NEEDS_HINT" "the type of {what} is not known; add a hint",
    TypeGenerality Type "TYPE_GENERALITY" "{name} is less general than declared: {declared}",
    TypeNotAssertable Type "TYPE_NOT_ASSERTABLE" "{type} cannot be checked at run time",
    TypeUnknown Type "TYPE_UNKNOWN" "unknown type {name}",
    TypeArity Type "TYPE_ARITY" "type {name} takes {expected} arguments",
    TypeRecursive Type "TYPE_RECURSIVE" "type {name} refers to itself",
    TypeDupCase Type "TYPE_DUP_CASE" "case {name} occurs twice in the union",
    TypeBadUnion Type "TYPE_BAD_UNION" "{type} cannot be part of a union",
    TypeLabels Type "TYPE_LABELS" "labels need a known labeled tuple type with exactly these labels",
    TypeVarEscape Type "TYPE_VAR_ESCAPE" "a function capturing var {name} leaves its block",
    TypeInfinite Type "TYPE_INFINITE" "infinite type",
    TypeForall Type "TYPE_FORALL" "~forall needs strict typing",
    CellInDef Cell "CELL_IN_DEF" "cell {name} is not accessible in a def",
    CellCycle Cell "CELL_CYCLE" "cells depend on each other: {path}",
    CellExpected Cell "CELL_EXPECTED" "{what} needs the name of a cell",
    CellReadonly Cell "CELL_READONLY" "cell {name} cannot be assigned",
    CellNeedsAppstate Cell "CELL_NEEDS_APPSTATE" "assigning {name} needs appstate",
    CellAppstateEscape Cell "CELL_APPSTATE_ESCAPE" "appstate cannot be stored or returned",
    CellForbidden Cell "CELL_FORBIDDEN" "this module excludes cells",
    CellAliasPublic Cell "CELL_ALIAS_PUBLIC" "alias {name} was declared public",
    CellLive Cell "CELL_LIVE" "a live cell must start with a query or stream source",
    ModAgentOutput Module "MOD_AGENT_OUTPUT" "agent {name} has no cell output",
    ModUnknown Module "MOD_UNKNOWN" "unknown module {name}",
    ModCycle Module "MOD_CYCLE" "modules import each other: {path}",
    ModAmbiguous Module "MOD_AMBIGUOUS" "module {name} is in several libraries",
    ModParams Module "MOD_PARAMS" "module {name} needs its parameters first",
    ModStaticParams Module "MOD_STATIC_PARAMS" "a static module has no parameters",
    ModSource Module "MOD_SOURCE" "source of {name} cannot be loaded: {why}",
    PragmaUnknown Pragma "PRAGMA_UNKNOWN" "unknown pragma {name}",
    PragmaValue Pragma "PRAGMA_VALUE" "bad value for pragma {name}",
    WarnDeprecated Warning "WARN_DEPRECATED" "{name} is deprecated",
    WarnRenamed Warning "WARN_RENAMED" "{name} was renamed to {replacement}",
    WarnRedefined Warning "WARN_REDEFINED" "{name} is defined again",
    WarnNonexhaustive Warning "WARN_NONEXHAUSTIVE" "the arms do not cover {missing}",
    WarnUnreachable Warning "WARN_UNREACHABLE" "this arm is never reached",
    WarnShadowcase Warning "WARN_SHADOWCASE" "variable {name} hides the case {name}; qualify the case to match it",
    WarnNofield Warning "WARN_NOFIELD" "type {type} has no field {field}",
    WarnFrozenassign Warning "WARN_FROZENASSIGN" "cell {name} is frozen; the assignment is ignored",
    WarnUnused Warning "WARN_UNUSED" "{name} is never used",
    WarnDowncast Warning "WARN_DOWNCAST" "{found} is checked to be {expected} at run time",
    CompilerInternal Internal "INTERNAL_COMPILER" "internal error of the compiler: {detail}",
}

/// The names of the warnings as used in `warningFilter`, with their defaults.
pub const WARNINGS: &[(&str, Code, bool)] = &[
    ("deprecated", Code::WarnDeprecated, true),
    ("renamed", Code::WarnRenamed, true),
    ("redefined", Code::WarnRedefined, true),
    ("nonexhaustive", Code::WarnNonexhaustive, true),
    ("unreachable", Code::WarnUnreachable, true),
    ("shadowcase", Code::WarnShadowcase, true),
    ("nofield", Code::WarnNofield, true),
    ("frozenassign", Code::WarnFrozenassign, true),
    ("unused", Code::WarnUnused, false),
    ("downcast", Code::WarnDowncast, false),
];
