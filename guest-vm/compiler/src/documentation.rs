//! The documentation of modules: what each offers, with the type and the doc comment.
//!
//! A doc comment is a run of lines that start with `///`, right above a phrase or the line
//! `module NAME`. The comment above a declaration (`def f : T`) documents the definition that
//! follows. Lines that are indented by four spaces, or stand between two lines of three
//! backticks, are examples.

use crate::syntax::ast::{
    CaseDef, Cell, CellForm, CellSort, Def, DefForm, Expr, ExprKind, Module, Phrase, PhraseKind,
    Symbol, TypeExpr, Unit, UnitItem,
};
use crate::syntax::source::{Location, SourceMap};
use crate::syntax::span::Span;
use crate::tables::HashMap;

/// A module with what it offers.
#[derive(Debug, Clone)]
pub struct ModuleDocumentation {
    /// Its name.
    pub name: String,
    /// Its first line: `module row(k: number)`.
    pub signature: String,
    /// The doc comment, without the slashes; empty if there is none.
    pub text: String,
    /// The examples in the doc comment.
    pub examples: Vec<String>,
    /// Public names in text order.
    pub items: Vec<Item>,
    /// Where it starts.
    pub location: Location,
    /// The same in its source.
    pub span: Span,
}

/// A public name of a module.
#[derive(Debug, Clone)]
pub struct Item {
    /// The name.
    pub name: String,
    /// What it is.
    pub kind: ItemKind,
    /// As one would declare it: `def f : A -> array(A)`, `case c(number)`, `type t = a | b`.
    pub signature: String,
    /// Names of the parameters, where the definition gives them.
    pub params: Vec<String>,
    /// The doc comment, without the slashes; empty if there is none.
    pub text: String,
    /// The examples in the doc comment.
    pub examples: Vec<String>,
    /// Where its name stands.
    pub location: Location,
    /// The same in its source.
    pub span: Span,
}

/// What a name of a module is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ItemKind {
    /// A value or function.
    Def,
    /// A cell or link to one.
    Cell,
    /// A case.
    Case,
    /// A type.
    Type,
}

/// The types that checking found, by module and name.
pub(crate) type Signatures = HashMap<Symbol, HashMap<Symbol, String>>;

/// Collects the documentation of the modules of some units.
pub(crate) fn collect(
    units: &[Unit],
    sources: &SourceMap,
    signatures: &Signatures,
) -> Vec<ModuleDocumentation> {
    collected(units, sources, signatures, false)
}

/// The same with private names.
pub(crate) fn collect_all(
    units: &[Unit],
    sources: &SourceMap,
    signatures: &Signatures,
) -> Vec<ModuleDocumentation> {
    collected(units, sources, signatures, true)
}

fn collected(
    units: &[Unit],
    sources: &SourceMap,
    signatures: &Signatures,
    private: bool,
) -> Vec<ModuleDocumentation> {
    let mut modules = Vec::new();
    for unit in units {
        for item in &unit.items {
            if let UnitItem::Module(module) = item {
                let none = HashMap::default();
                let collector = Collector {
                    sources,
                    types: signatures.get(&module.name.text).unwrap_or(&none),
                    private,
                };
                modules.push(collector.module(module));
            }
        }
    }
    modules
}

struct Collector<'a> {
    sources: &'a SourceMap,
    /// Inferred types of the names of the module.
    types: &'a HashMap<Symbol, String>,
    /// Private names count too.
    private: bool,
}

impl Collector<'_> {
    fn module(&self, module: &Module) -> ModuleDocumentation {
        let (text, examples) = self.comment(module.span);
        let mut items: Vec<Item> = Vec::new();
        let mut by_name: HashMap<(String, bool), usize> = HashMap::default();
        for phrase in &module.phrases {
            for item in self.items(phrase) {
                let key = (item.name.clone(), item.kind == ItemKind::Type);
                match by_name.get(&key) {
                    // The definition of something declared before.
                    Some(index) => {
                        let known = &mut items[*index];
                        if known.params.is_empty() {
                            known.params = item.params;
                        }
                        if known.text.is_empty() {
                            known.text = item.text;
                            known.examples = item.examples;
                        }
                    }
                    None => {
                        by_name.insert(key, items.len());
                        items.push(item);
                    }
                }
            }
        }
        let params: Vec<String> = module
            .params
            .iter()
            .map(|param| self.written(param.span))
            .collect();
        let vars: Vec<&str> = module.type_vars.iter().map(|var| &*var.text).collect();
        let mut signature = match module.is_static {
            true => format!("static module {}", module.name.text),
            false => format!("module {}", module.name.text),
        };
        if !vars.is_empty() {
            signature.push_str(&format!("[{}]", vars.join(", ")));
        }
        if !params.is_empty() {
            signature.push_str(&format!("({})", params.join(", ")));
        }
        ModuleDocumentation {
            name: module.name.text.to_string(),
            signature,
            text,
            examples,
            items,
            location: self.sources.locate(module.name.span),
            span: module.name.span,
        }
    }

    /// The names of a phrase that count.
    fn items(&self, phrase: &Phrase) -> Vec<Item> {
        match &phrase.kind {
            PhraseKind::Def(def) if self.private || !def.private => {
                self.def(def, phrase).into_iter().collect()
            }
            PhraseKind::ForeignDef(def) if self.private || !def.private => {
                let ty = self.written(def.ty.span);
                let signature = format!("def {} : {ty}", def.name.text);
                vec![self.item(&def.name, ItemKind::Def, signature, Vec::new(), phrase)]
            }
            PhraseKind::Cell(cell) if self.private || !cell.private => {
                vec![self.cell(cell, phrase)]
            }
            PhraseKind::Case(cases) => self.cases(cases, phrase),
            PhraseKind::Type(def) => {
                let signature = self.written(phrase.span);
                vec![self.item(&def.name, ItemKind::Type, signature, Vec::new(), phrase)]
            }
            _ => Vec::new(),
        }
    }

    fn def(&self, def: &Def, phrase: &Phrase) -> Option<Item> {
        let (ty, params) = match &def.form {
            DefForm::Effect { .. } => return None,
            DefForm::Declaration { ty, .. } => (Some(ty), Vec::new()),
            DefForm::Value { ty, body, .. } => (ty.as_ref().or(hint(body)), Vec::new()),
            DefForm::Function { params, .. } => {
                let names = params.iter().map(|param| param.name.text.to_string());
                (None, names.collect())
            }
        };
        let signature = self.typed("def", &def.name.text, ty);
        Some(self.item(&def.name, ItemKind::Def, signature, params, phrase))
    }

    fn cell(&self, cell: &Cell, phrase: &Phrase) -> Item {
        let word = match cell.sort {
            CellSort::Formula => "cell",
            CellSort::Var => "var cell",
            CellSort::Live => "live cell",
        };
        let ty = match &cell.form {
            CellForm::Declaration { ty, .. } => Some(ty),
            CellForm::Value { ty, body, .. } => ty.as_ref().or(hint(body)),
            CellForm::Link { ty, .. } => ty.as_ref(),
            CellForm::Function { .. } => None,
        };
        let signature = self.typed(word, &cell.name.text, ty);
        self.item(&cell.name, ItemKind::Cell, signature, Vec::new(), phrase)
    }

    fn cases(&self, cases: &CaseDef, phrase: &Phrase) -> Vec<Item> {
        cases
            .cases
            .iter()
            .map(|case| {
                let signature = match &case.argument {
                    Some(ty) => format!("case {}({})", case.name.text, self.written(ty.span)),
                    None => format!("case {}", case.name.text),
                };
                self.item(&case.name, ItemKind::Case, signature, Vec::new(), phrase)
            })
            .collect()
    }

    /// The type as it is written, else as it was found.
    fn typed(&self, word: &str, name: &Symbol, written: Option<&TypeExpr>) -> String {
        match (written, self.types.get(name)) {
            (Some(ty), _) => format!("{word} {name} : {}", self.written(ty.span)),
            (None, Some(found)) => format!("{word} {name} : {found}"),
            (None, None) => format!("{word} {name}"),
        }
    }

    fn item(
        &self,
        name: &crate::syntax::ast::Ident,
        kind: ItemKind,
        signature: String,
        params: Vec<String>,
        phrase: &Phrase,
    ) -> Item {
        let (text, examples) = self.comment(phrase.span);
        Item {
            name: name.text.to_string(),
            kind,
            signature,
            params,
            text,
            examples,
            location: self.sources.locate(name.span),
            span: name.span,
        }
    }

    /// Source text on one line.
    fn written(&self, span: Span) -> String {
        let text = self.text(span.start as usize, span.end as usize, span);
        text.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    fn text(&self, from: usize, to: usize, span: Span) -> &str {
        self.sources
            .get(span.source)
            .and_then(|source| source.text.get(from..to))
            .unwrap_or("")
    }

    /// The doc comment right above a place, and its examples.
    fn comment(&self, span: Span) -> (String, Vec<String>) {
        let lines = doc_lines(self.sources, span);
        (joined(&lines), examples(&lines))
    }
}

/// The doc comment right above a place, without the slashes; empty if there is none.
pub(crate) fn doc_comment(sources: &SourceMap, span: Span) -> String {
    joined(&doc_lines(sources, span))
}

fn doc_lines(sources: &SourceMap, span: Span) -> Vec<&str> {
    let source = sources.get(span.source);
    let above = source.and_then(|source| source.text.get(..span.start as usize));
    let (above, own_line) = above
        .and_then(|above| above.rsplit_once('\n'))
        .unwrap_or(("", ""));
    if !own_line.trim().is_empty() {
        return Vec::new();
    }
    let mut lines: Vec<&str> = above
        .rsplit('\n')
        .map_while(|line| line.trim().strip_prefix("///"))
        .map(|line| line.strip_prefix(' ').unwrap_or(line))
        .collect();
    lines.reverse();
    lines
}

fn joined(lines: &[&str]) -> String {
    lines.join("\n").trim().to_string()
}

/// The hint that a right side is.
fn hint(body: &Expr) -> Option<&TypeExpr> {
    match &body.kind {
        ExprKind::Hint { ty, .. } => Some(ty),
        _ => None,
    }
}

/// Indented and fenced parts of a doc comment.
fn examples(lines: &[&str]) -> Vec<String> {
    let mut examples: Vec<String> = Vec::new();
    let mut open: Vec<&str> = Vec::new();
    let mut fenced = false;
    for line in lines {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
            close(&mut open, &mut examples);
        } else if fenced {
            open.push(line);
        } else if let Some(code) = line.strip_prefix("    ") {
            open.push(code);
        } else {
            close(&mut open, &mut examples);
        }
    }
    close(&mut open, &mut examples);
    examples
}

fn close(open: &mut Vec<&str>, examples: &mut Vec<String>) {
    let text = open.join("\n");
    open.clear();
    if !text.trim().is_empty() {
        examples.push(text.trim_end().to_string());
    }
}
