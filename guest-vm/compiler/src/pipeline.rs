//! The phases in order: parse, check, generate.

mod parsing;

pub use parsing::{imports, source_addresses};

use crate::analysis::{Analysis, Candidate, NameUse};
use crate::check::CheckOptions;
use crate::codegen::{self, Goal};
use crate::core;
use crate::documentation::{self, ModuleDocumentation};
use crate::issue::{Code, Issue, Severity, render};
use crate::large_stack::on_large_stack;
use crate::libraries;
use crate::syntax::ast::{
    Def, DefForm, Ident, Import, Module, Phrase, PhraseKind, SessionItem, Symbol, Unit, UnitItem,
};
use crate::syntax::parser::{self, NodeIds};
use crate::syntax::source::SourceMap;
use crate::syntax::span::Span;
use crate::tables::{HashMap, HashSet};
use mix_bytecode::library::{self, Library};
use parsing::load_library;
use std::collections::BTreeMap;

/// A source text with the name shown in messages.
#[derive(Debug, Clone)]
pub struct SourceFile {
    /// Usually a path.
    pub name: String,
    /// The text; UTF-8 is checked by the compiler.
    pub text: Vec<u8>,
}

impl SourceFile {
    /// A source.
    pub fn new(name: impl Into<String>, text: impl Into<Vec<u8>>) -> Self {
        SourceFile {
            name: name.into(),
            text: text.into(),
        }
    }
}

/// What is built.
#[derive(Debug, Clone, Default)]
pub struct CompileOptions {
    /// Names of modules that must be agents (have a cell `output`).
    pub agents: Vec<String>,
    /// Names of the modules the executable is for; all given ones if empty.
    pub entries: Vec<String>,
    /// Compiled libraries whose modules can be imported.
    pub libraries: Vec<Library>,
    /// The texts behind the addresses of `_source_` modules ([`source_addresses`]), or why there
    /// is none.
    pub texts: BTreeMap<String, Result<Vec<u8>, String>>,
}

/// What a compilation delivers.
#[derive(Debug)]
pub struct Compilation {
    /// The linked program; `None` if there are errors, or if only checking was asked for.
    pub program: Option<mix_bytecode::Program>,
    /// Issues that stop the build.
    pub errors: Vec<Issue>,
    /// Other issues.
    pub warnings: Vec<Issue>,
    /// The texts that the issues refer to.
    pub sources: SourceMap,
}

impl Compilation {
    /// `{"errors":[…],"warnings":[…]}`
    pub fn report(&self) -> serde_json::Value {
        render::report(&self.errors, &self.warnings, &self.sources)
    }

    /// All issues for people, errors first.
    pub fn text(&self) -> String {
        self.issues_shown(render::to_text)
    }

    /// The same with the colours of a terminal.
    pub fn terminal_text(&self) -> String {
        self.issues_shown(render::to_terminal)
    }

    /// An empty line stands between two issues.
    fn issues_shown(&self, show: fn(&Issue, &SourceMap) -> String) -> String {
        let issues = self.errors.iter().chain(&self.warnings);
        let shown: Vec<String> = issues.map(|issue| show(issue, &self.sources)).collect();
        shown.join("\n")
    }
}

/// Compiles the modules of some sources. A program that uses libraries has yet to be linked
/// with them ([`mix_bytecode::link`]).
pub fn compile(files: &[SourceFile], options: &CompileOptions) -> Compilation {
    on_large_stack(|| Build::new(options).units(files, true), failed)
}

/// Compiles some sources into a library for other programs; its `.mixlib`, if there are no errors.
pub fn compile_library(
    files: &[SourceFile],
    name: &str,
    version: &str,
    options: &CompileOptions,
) -> (Compilation, Option<Vec<u8>>) {
    on_large_stack(
        || Build::new(options).library(files, name, version),
        |issue| (failed(issue), None),
    )
}

/// Finds the errors and warnings of some sources.
pub fn check(files: &[SourceFile], options: &CompileOptions) -> Compilation {
    on_large_stack(|| Build::new(options).units(files, false), failed)
}

/// The same on the stack of a compilation that runs already.
pub(crate) fn check_here(files: &[SourceFile], options: &CompileOptions) -> Compilation {
    Build::new(options).units(files, false)
}

/// Finds what an editor wants to know of some sources.
pub fn analyze(files: &[SourceFile], options: &CompileOptions) -> Analysis {
    on_large_stack(
        || Build::new(options).analysis(files),
        |issue| Analysis {
            compilation: failed(issue),
            uses: Vec::new(),
            candidates: Vec::new(),
            modules: Vec::new(),
        },
    )
}

/// Compiles session input (definitions, modules and one expression, the last part) into a
/// program whose `expression` computes the value. The modules of `files` can be imported.
pub fn compile_expression(
    text: &str,
    files: &[SourceFile],
    options: &CompileOptions,
) -> Compilation {
    on_large_stack(|| Build::new(options).expression(text, files), failed)
}

/// The documentation of the modules of some sources, and the issues found on the way: what has
/// an error is documented without its type.
pub fn documentation(files: &[SourceFile]) -> Documented {
    on_large_stack(
        || Build::new(&CompileOptions::default()).documented(files),
        |issue| Documented {
            modules: Vec::new(),
            issues: vec![issue],
        },
    )
}

/// The documentation of a module of the standard library, `None` if there is none of that name.
pub fn library_documentation(name: &str) -> Option<ModuleDocumentation> {
    mix_stdlib::source(name)?;
    on_large_stack(
        || Build::new(&CompileOptions::default()).library_module(name),
        |_| None,
    )
}

/// What [`documentation`] delivers.
#[derive(Debug)]
pub struct Documented {
    /// The modules in text order.
    pub modules: Vec<ModuleDocumentation>,
    /// Errors and warnings.
    pub issues: Vec<Issue>,
}

/// The name of the module that stands for a session.
pub(crate) const SESSION: &str = "";

/// The name of the module of what the modules of a session see of it. No program can use the name.
pub(crate) const GLOBALS: &str = "$session";

/// The def that holds the value of the expression of a session. No program can use the name.
pub(crate) const RESULT: &str = "$expression";

pub(crate) fn failed(issue: Issue) -> Compilation {
    Compilation {
        program: None,
        errors: vec![issue],
        warnings: Vec::new(),
        sources: SourceMap::new(),
    }
}

pub(crate) struct Build<'o> {
    options: &'o CompileOptions,
    pub sources: SourceMap,
    pub ids: NodeIds,
    pub issues: Vec<Issue>,
    /// Names of the session with their types.
    pub session_types: Vec<(String, String)>,
    /// Names are recorded for editors.
    record: bool,
    /// What was recorded.
    uses: Vec<NameUse>,
    candidates: Vec<Candidate>,
    /// Modules whose text could not be had, and why.
    pub unloaded: HashMap<String, String>,
    /// Modules that see the definitions of a session, which are those of [`GLOBALS`].
    pub session_modules: HashSet<Symbol>,
}

impl<'o> Build<'o> {
    pub fn new(options: &'o CompileOptions) -> Self {
        Build {
            options,
            sources: SourceMap::new(),
            ids: NodeIds::default(),
            issues: Vec::new(),
            session_types: Vec::new(),
            record: false,
            uses: Vec::new(),
            candidates: Vec::new(),
            unloaded: HashMap::default(),
            session_modules: HashSet::default(),
        }
    }

    fn units(mut self, files: &[SourceFile], generate: bool) -> Compilation {
        let units = self.parse(files);
        let core = self.check(&units, None);
        let entries = &self.options.entries;
        for name in entries {
            let known = units.iter().flat_map(|unit| &unit.items).any(
                |item| matches!(item, UnitItem::Module(module) if *module.name.text == **name),
            );
            if !known {
                let issue = Issue::new(Code::ModUnknown, Span::default()).with("name", name);
                self.issues.push(issue);
            }
        }
        let goal = generate.then_some(Goal::Modules(entries));
        self.finish(core, goal)
    }

    fn library(
        mut self,
        files: &[SourceFile],
        name: &str,
        version: &str,
    ) -> (Compilation, Option<Vec<u8>>) {
        let units = self.parse(files);
        let options = self.check_options(None);
        let shown = self.sources.clone();
        let (sources, ids) = (&mut self.sources, &mut self.ids);
        let mut loader = |name: &str| load_library(name, sources, ids);
        let (result, interfaces) = crate::check::interfaces(&units, &shown, &options, &mut loader);
        self.issues.extend(result.issues);
        let mut exports = Vec::new();
        let used = self.options.libraries.clone();
        let compilation = self.finish_with(result.program, Some(Goal::Library), &mut exports);
        let Some(program) = &compilation.program else {
            return (compilation, None);
        };
        let boxed = |(name, text): (String, String)| (name.into(), text.into());
        let file = library::encode(&library::Parts {
            name: name.into(),
            version: version.into(),
            standard_library: libraries::standard_library().into(),
            interfaces: interfaces.into_iter().map(boxed).collect(),
            exports,
            program: program.clone(),
        });
        match libraries::defect(&file, used) {
            Some(issue) => (failed(issue), None),
            None => (compilation, Some(file)),
        }
    }

    fn documented(mut self, files: &[SourceFile]) -> Documented {
        let units = self.parse(files);
        let (signatures, issues) = self.signatures(&units, false);
        self.issues.extend(issues);
        Documented {
            modules: documentation::collect(&units, &self.sources, &signatures),
            issues: self.issues,
        }
    }

    fn analysis(mut self, files: &[SourceFile]) -> Analysis {
        self.record = true;
        let units = self.parse(files);
        let core = self.check(&units, None);
        let mut uses = std::mem::take(&mut self.uses);
        let candidates = std::mem::take(&mut self.candidates);
        // What was recorded last at a place is the most certain.
        uses.reverse();
        uses.sort_by_key(|found| (found.span.source, found.span.start, found.span.end));
        uses.dedup_by_key(|found| found.span);
        let mut signatures = documentation::Signatures::default();
        for found in &uses {
            if let (Some(module), Some(ty), true) = (
                &found.module,
                &found.ty,
                found.definition == Some(found.span),
            ) {
                let types = signatures.entry(module.as_str().into()).or_default();
                types.insert(found.name.as_str().into(), ty.clone());
            }
        }
        let modules = documentation::collect_all(&units, &self.sources, &signatures);
        Analysis {
            compilation: self.finish(core, None),
            uses,
            candidates,
            modules,
        }
    }

    fn library_module(mut self, name: &str) -> Option<ModuleDocumentation> {
        let text = mix_stdlib::source(name)?;
        let file = SourceFile::new(format!("<library>/{name}.mix"), text);
        let units = self.parse(&[file]);
        let (signatures, _) = self.signatures(&units, true);
        let modules = documentation::collect(&units, &self.sources, &signatures);
        modules.into_iter().find(|module| module.name == name)
    }

    fn signatures(
        &mut self,
        units: &[Unit],
        library: bool,
    ) -> (documentation::Signatures, Vec<Issue>) {
        let (sources, ids) = (&mut self.sources, &mut self.ids);
        let mut loader = |name: &str| load_library(name, sources, ids);
        crate::check::signatures(units, library, &mut loader)
    }

    fn expression(mut self, text: &str, files: &[SourceFile]) -> Compilation {
        let mut units = self.parse(files);
        let source = self.sources.add("<expression>", text);
        let (items, issues) = parser::parse_session(&mut self.sources, source, &mut self.ids);
        self.issues.extend(issues);
        let name = |text: &str, span: Span| Ident {
            text: Symbol::from(text),
            span,
        };
        let whole = Span::new(source, 0, text.len() as u32);
        let mut phrases = Vec::new();
        let mut modules = Vec::new();
        let mut has_result = false;
        let last_expression = items
            .iter()
            .rposition(|item| matches!(item, SessionItem::Expr(_)));
        for (index, item) in items.into_iter().enumerate() {
            match item {
                SessionItem::Phrase(phrase) => phrases.push(phrase),
                SessionItem::Expr(body) => {
                    let span = body.span;
                    let is_result = Some(index) == last_expression;
                    has_result |= is_result;
                    let form = match is_result {
                        true => DefForm::Value {
                            ty: None,
                            meta: None,
                            body,
                        },
                        false => DefForm::Effect { body },
                    };
                    let kind = PhraseKind::Def(Def {
                        private: false,
                        name: name(if is_result { RESULT } else { "_" }, span),
                        form,
                    });
                    phrases.push(Phrase { kind, span });
                }
                SessionItem::Module(module) => {
                    if module.params.is_empty() {
                        let kind = PhraseKind::Import(Import {
                            binding: None,
                            module: module.name.clone(),
                            type_binds: Vec::new(),
                            args: None,
                        });
                        let span = module.name.span;
                        phrases.push(Phrase { kind, span });
                    }
                    modules.push(UnitItem::Module(module.into()));
                }
                SessionItem::Command(command) => self.issues.push(
                    Issue::new(Code::SynUnexpected, command.span)
                        .with("found", "a command")
                        .with("expected", "an expression"),
                ),
            }
        }
        let session = Module {
            is_static: false,
            name: name(SESSION, whole),
            type_vars: Vec::new(),
            params: Vec::new(),
            meta: None,
            source: None,
            phrases,
            span: whole,
        };
        units.push(Unit { items: modules });
        units.push(Unit {
            items: vec![UnitItem::Module(session.into())],
        });
        let core = self.check(&units, Some(SESSION.to_string()));
        let goal = Goal::Expression {
            module: SESSION,
            name: RESULT,
        };
        let failed = self
            .issues
            .iter()
            .any(|issue| issue.severity() == Severity::Error);
        if !has_result && !failed {
            self.issues.push(
                Issue::new(Code::SynUnexpected, whole.after())
                    .with("found", "end of text")
                    .with("expected", "an expression"),
            );
        }
        self.finish(core, Some(goal))
    }

    pub fn check(&mut self, units: &[Unit], session: Option<String>) -> Option<core::Program> {
        let options = self.check_options(session);
        let (sources, ids) = (&mut self.sources, &mut self.ids);
        let mut loader = |name: &str| load_library(name, sources, ids);
        let result = crate::check::check(units, &options, &mut loader);
        self.issues.extend(result.issues);
        self.session_types = result.session_types;
        self.uses = result.uses;
        self.candidates = result.candidates;
        result.program
    }

    fn check_options(&mut self, session: Option<String>) -> CheckOptions {
        let linked =
            libraries::interfaces(&self.options.libraries, &mut self.sources, &mut self.ids);
        CheckOptions {
            agents: self.options.agents.clone(),
            session,
            linked,
            session_modules: std::mem::take(&mut self.session_modules),
            unloaded: std::mem::take(&mut self.unloaded),
            record: self.record,
        }
    }

    pub fn finish(self, core: Option<core::Program>, goal: Option<Goal>) -> Compilation {
        self.finish_with(core, goal, &mut Vec::new())
    }

    fn finish_with(
        mut self,
        core: Option<core::Program>,
        goal: Option<Goal>,
        exports: &mut Vec<library::Export>,
    ) -> Compilation {
        let is_error = |issue: &Issue| issue.severity() == Severity::Error;
        let mut program = None;
        if let Some(goal) = goal
            && !self.issues.iter().any(is_error)
        {
            match core {
                Some(core) => {
                    match codegen::generate(&core, &self.sources, &self.options.libraries, goal) {
                        Ok(generated) => {
                            program = Some(generated.program);
                            *exports = generated.exports;
                        }
                        Err(issues) => self.issues.extend(issues),
                    }
                }
                None => self.issues.push(
                    Issue::new(Code::CompilerInternal, Span::default())
                        .with("detail", "checking found no error but no program either"),
                ),
            }
        }
        // In text order: what is read first is mended first.
        self.issues
            .sort_by_key(|issue| (issue.span.source, issue.span.start));
        let (errors, warnings) = self.issues.into_iter().partition(is_error);
        Compilation {
            program,
            errors,
            warnings,
            sources: self.sources,
        }
    }
}
