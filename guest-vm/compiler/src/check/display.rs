//! How types are shown to the user.

use super::types::{GENERIC, Node, Range, Ty, Types};
use std::fmt::Write;

/// Names given to unnamed variables within one message.
#[derive(Default)]
pub struct Names {
    vars: Vec<Ty>,
    /// Nothing is left out.
    whole: bool,
}

/// Name of the field, or of the opaque type, for what is left out.
pub const ELIDED: &str = "…";

/// Longest text of a type in a message.
const LIMIT: usize = 400;

impl Types {
    /// The text of a type.
    pub fn show(&mut self, ty: Ty) -> String {
        self.show_with(ty, &mut Names::default())
    }

    /// The whole text of a type, as source.
    pub fn written(&mut self, ty: Ty) -> String {
        let mut text = String::new();
        let mut names = Names {
            whole: true,
            ..Names::default()
        };
        self.write(ty, &mut names, &mut text, 0, 0);
        text
    }

    /// The text of a type, naming variables consistently over several calls.
    pub fn show_with(&mut self, ty: Ty, names: &mut Names) -> String {
        let mut text = String::new();
        self.write(ty, names, &mut text, 0, 0);
        if text.len() > LIMIT {
            let end = (0..=LIMIT)
                .rev()
                .find(|at| text.is_char_boundary(*at))
                .unwrap_or(0);
            text.truncate(end);
            text.push_str(" ...");
        }
        text
    }

    /// `level`: 0 function types may stand bare, 1 they need parentheses, 2 unions and sums too.
    fn write(&mut self, ty: Ty, names: &mut Names, out: &mut String, level: u8, depth: u32) {
        if !names.whole && (out.len() > LIMIT || depth > 40) {
            out.push_str("...");
            return;
        }
        let at = self.find(ty);
        let node = self.node(at);
        match node {
            Node::Bound(_) => {}
            Node::Var {
                range, name, level, ..
            } => {
                let name = match name {
                    Some(name) if level == GENERIC => name.to_string(),
                    _ => {
                        let index = names.vars.iter().position(|t| *t == at).unwrap_or_else(|| {
                            names.vars.push(at);
                            names.vars.len() - 1
                        });
                        variable_name(index)
                    }
                };
                out.push_str(&name);
                out.push_str(range_suffix(range));
            }
            Node::Rigid { name, range } => {
                out.push_str(&name);
                out.push_str(range_suffix(range));
            }
            Node::Null => out.push_str("null"),
            Node::Bool => out.push_str("bool"),
            Node::Number => out.push_str("number"),
            Node::String => out.push_str("string"),
            Node::Word => out.push_str("word"),
            Node::Data => out.push_str("data"),
            Node::Binary => out.push_str("binary"),
            Node::Ref => out.push_str("db.ref"),
            Node::Token => out.push_str("token"),
            Node::Appstate => out.push_str("appstate"),
            Node::Any => out.push_str("any"),
            Node::Opaque(name, args) => {
                let _ = write!(out, "{name}");
                if !args.is_empty() {
                    self.write_list("(", &args, ")", names, out, depth);
                }
            }
            Node::Array(t) => self.write_list("array(", &[t], ")", names, out, depth),
            Node::Map(t) => self.write_list("map(", &[t], ")", names, out, depth),
            Node::Stream(t) => self.write_list("stream(", &[t], ")", names, out, depth),
            Node::Link(t, var) => {
                self.write_list("link(", &[t], ")", names, out, depth);
                if var {
                    out.push_str("<var>");
                }
            }
            Node::Tuple(parts) => self.write_list("[", &parts, "]", names, out, depth),
            Node::Labeled(fields) => {
                out.push('[');
                for (index, (label, ty)) in fields.iter().enumerate() {
                    let comma = if index == 0 { "" } else { ", " };
                    let _ = write!(out, "{comma}#{label}: ");
                    self.write(*ty, names, out, 0, depth + 1);
                }
                out.push(']');
            }
            Node::Record(fields) => self.write_record(&fields, names, out, depth),
            Node::Case(name, argument) => {
                out.push_str(self.local_name(&name));
                if let Some(argument) = argument {
                    self.write_list("(", &[argument], ")", names, out, depth);
                }
            }
            Node::Union(cases, nullable) => {
                if self.write_known_union(&cases, nullable, names, out, depth) {
                    return;
                }
                if level > 1 {
                    out.push('(');
                }
                for (index, (name, argument)) in cases.iter().enumerate() {
                    let bar = if index == 0 { "" } else { " | " };
                    let _ = write!(out, "{bar}{}", self.local_name(name));
                    if let Some(argument) = argument {
                        self.write_list("(", &[*argument], ")", names, out, depth);
                    }
                }
                if nullable {
                    out.push_str(" | null");
                }
                if level > 1 {
                    out.push(')');
                }
            }
            Node::Fun(from, to) => {
                if level > 0 {
                    out.push('(');
                }
                self.write(from, names, out, 1, depth + 1);
                out.push_str(" -> ");
                self.write(to, names, out, 0, depth + 1);
                if level > 0 {
                    out.push(')');
                }
            }
            Node::Module(id, _) => match self.module_names.get(id as usize) {
                Some(name) => {
                    let _ = write!(out, "(module type {name})");
                }
                None => out.push_str("module instance"),
            },
            Node::Plus(a, b) => {
                self.write(a, names, out, 2, depth + 1);
                out.push_str(" + ");
                self.write(b, names, out, 2, depth + 1);
            }
            Node::Forall(body) => {
                out.push_str("~forall: ");
                self.write(body, names, out, 1, depth + 1);
            }
        }
    }

    /// The name of a case as the module being checked writes it.
    pub fn local_name<'n>(&self, name: &'n str) -> &'n str {
        let own = name
            .strip_prefix(&*self.here)
            .and_then(|rest| rest.strip_prefix('.'));
        own.unwrap_or(name)
    }

    fn write_record(
        &mut self,
        fields: &[(crate::syntax::ast::Symbol, Ty)],
        names: &mut Names,
        out: &mut String,
        depth: u32,
    ) {
        out.push('{');
        for (index, (name, ty)) in fields.iter().enumerate() {
            if index > 0 {
                out.push_str(", ");
            }
            if &**name == ELIDED {
                out.push_str(ELIDED);
                continue;
            }
            match is_name(name) {
                true => out.push_str(name),
                false => {
                    let _ = write!(out, "{}", serde_json::Value::from(&**name));
                }
            }
            out.push_str(": ");
            self.write(*ty, names, out, 0, depth + 1);
        }
        out.push('}');
    }

    /// `option(T)` and `result(E, T)` by their names.
    fn write_known_union(
        &mut self,
        cases: &[(crate::syntax::ast::Symbol, Option<Ty>)],
        nullable: bool,
        names: &mut Names,
        out: &mut String,
        depth: u32,
    ) -> bool {
        match (cases, nullable) {
            ([(some, Some(content))], true) if &**some == "some" => {
                self.write_list("option(", &[*content], ")", names, out, depth);
            }
            ([(error, Some(why)), (ok, Some(value))], false)
                if &**error == "error" && &**ok == "ok" =>
            {
                self.write_list("result(", &[*why, *value], ")", names, out, depth);
            }
            _ => return false,
        }
        true
    }

    fn write_list(
        &mut self,
        open: &str,
        parts: &[Ty],
        close: &str,
        names: &mut Names,
        out: &mut String,
        depth: u32,
    ) {
        out.push_str(open);
        for (index, part) in parts.iter().enumerate() {
            if index > 0 {
                out.push_str(", ");
            }
            self.write(*part, names, out, 0, depth + 1);
        }
        out.push_str(close);
    }
}

/// Whether a key can stand without quotes.
fn is_name(key: &str) -> bool {
    let mut chars = key.chars();
    chars
        .next()
        .is_some_and(|c| c.is_ascii_alphabetic() || c == '_')
        && chars.all(|c| c.is_ascii_alphanumeric() || c == '_')
}

fn range_suffix(range: Range) -> &'static str {
    match range {
        Range::Any => "",
        Range::Data => "@datarange",
        Range::Word => "@wordrange",
    }
}

fn variable_name(index: usize) -> String {
    let letter = char::from(b'A' + (index % 26) as u8);
    match index / 26 {
        0 => letter.to_string(),
        round => format!("{letter}{round}"),
    }
}
