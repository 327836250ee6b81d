//! Why two types do not fit and what could be done about it: the help of type errors.

use super::Checker;
use super::display::{ELIDED, Names};
use super::suggest::suggest;
use super::types::{Node, Ty};
use crate::syntax::ast::Symbol;

/// Types shorter than this are shown whole.
const SHORT: usize = 60;

/// How a formula reads a cell of another module.
const BEHIND_LINK: &str = "`alias d = l` names the cell behind a link, and formulas follow it; `contents(l)` is its value at the moment";

impl Checker<'_> {
    /// The texts of two types that do not fit; of large ones only what differs.
    pub(super) fn show_pair(&mut self, expected: Ty, found: Ty) -> (String, String) {
        let mut names = Names::default();
        let whole = (
            self.types.show_with(expected, &mut names),
            self.types.show_with(found, &mut names),
        );
        if whole.0.len().max(whole.1.len()) <= SHORT {
            return whole;
        }
        let (expected, found) = self.difference(expected, found, 0);
        let mut names = Names::default();
        (
            self.types.show_with(expected, &mut names),
            self.types.show_with(found, &mut names),
        )
    }

    /// The two types with the parts left out that are the same in both.
    fn difference(&mut self, left: Ty, right: Ty, depth: u32) -> (Ty, Ty) {
        let (left, right) = (self.types.find(left), self.types.find(right));
        if depth > 20 || !self.types.step() {
            return (left, right);
        }
        if self.same_text(left, right) {
            let dots = Node::Opaque(ELIDED.into(), Vec::new().into());
            let dots = self.types.add(dots);
            return (dots, dots);
        }
        match (self.types.node(left), self.types.node(right)) {
            (Node::Record(a), Node::Record(b)) => self.record_difference(&a, &b, depth),
            (Node::Tuple(a), Node::Tuple(b)) if a.len() == b.len() => {
                let mut parts = (Vec::new(), Vec::new());
                for (a, b) in a.iter().zip(b.iter()) {
                    let (a, b) = self.difference(*a, *b, depth + 1);
                    parts.0.push(a);
                    parts.1.push(b);
                }
                (
                    self.types.add(Node::Tuple(parts.0.into())),
                    self.types.add(Node::Tuple(parts.1.into())),
                )
            }
            (Node::Array(a), Node::Array(b)) => {
                let (a, b) = self.difference(a, b, depth + 1);
                (self.types.array(a), self.types.array(b))
            }
            (Node::Map(a), Node::Map(b)) => {
                let (a, b) = self.difference(a, b, depth + 1);
                (self.types.map(a), self.types.map(b))
            }
            (Node::Stream(a), Node::Stream(b)) => {
                let (a, b) = self.difference(a, b, depth + 1);
                (self.types.stream(a), self.types.stream(b))
            }
            (Node::Fun(a, b), Node::Fun(c, d)) => {
                let (a, c) = self.difference(a, c, depth + 1);
                let (b, d) = self.difference(b, d, depth + 1);
                (self.types.fun(a, b), self.types.fun(c, d))
            }
            _ => (left, right),
        }
    }

    /// Only the fields that differ, or that one of them lacks.
    fn record_difference(
        &mut self,
        left: &[(Symbol, Ty)],
        right: &[(Symbol, Ty)],
        depth: u32,
    ) -> (Ty, Ty) {
        let mut kept = (Vec::new(), Vec::new());
        let mut dropped = false;
        for (name, a) in left {
            match right.iter().find(|(other, _)| other == name) {
                Some((_, b)) if self.same_text(*a, *b) => dropped = true,
                Some((_, b)) => {
                    let (a, b) = self.difference(*a, *b, depth + 1);
                    kept.0.push((name.clone(), a));
                    kept.1.push((name.clone(), b));
                }
                None => kept.0.push((name.clone(), *a)),
            }
        }
        for (name, b) in right {
            if !left.iter().any(|(other, _)| other == name) {
                kept.1.push((name.clone(), *b));
            }
        }
        let mut record = |mut fields: Vec<(Symbol, Ty)>| {
            fields.sort_by(|a, b| a.0.cmp(&b.0));
            if dropped {
                fields.push((ELIDED.into(), Ty::NULL));
            }
            self.types.add(Node::Record(fields.into()))
        };
        (record(kept.0), record(kept.1))
    }

    fn same_text(&mut self, left: Ty, right: Ty) -> bool {
        let mut names = Names::default();
        let left = self.types.show_with(left, &mut names);
        left == self.types.show_with(right, &mut names)
    }

    /// What could be done about a value of type `found` where `expected` is needed.
    pub(super) fn mend(&mut self, expected: Ty, found: Ty) -> Option<String> {
        let (wanted, had) = (self.types.node(expected), self.types.node(found));
        Some(match (&wanted, &had) {
            (Node::Number, Node::String) => {
                "a text becomes a number with `number.parse(s)`".to_string()
            }
            (Node::String, Node::Number) => "a number becomes a text with `\"\" + n`".to_string(),
            (Node::Opaque(name, _), Node::String) if &**name == "regexp" => {
                "a pattern is written `~regex \"…\"`, or made of a text with `regex.mustCompile(s)`"
                    .to_string()
            }
            (Node::Bool, Node::Number) => {
                "compare it, as in `n != 0`; an order is `a > b`".to_string()
            }
            (Node::Bool, Node::String) => "compare it, as in `s != \"\"`".to_string(),
            (Node::Bool, Node::Array(_)) => "compare it, as in `array.length(a) > 0`".to_string(),
            (Node::Appstate, _) => {
                "what changes something takes `appstate` first, which is there in actions, observers, \
                 initializers and functions with a parameter appstate"
                    .to_string()
            }
            (Node::Null, _) => {
                "nothing but null fits: give the value a wider type where it is defined, \
                 as in `var cell x : number = null`"
                    .to_string()
            }
            (_, Node::Data) if self.may_be_data(expected) => {
                let shown = self.types.show(expected);
                format!("check it when the program runs: `x |> type({shown})`")
            }
            (Node::Link(..), _) if self.cell_content(expected, found) => {
                "pass the cell, not its value: `link(c)`".to_string()
            }
            (_, Node::Link(content, _)) => {
                let content = *content;
                match self.fits(content, expected) {
                    true => BEHIND_LINK.to_string(),
                    false => return None,
                }
            }
            (Node::Stream(_), Node::Array(_) | Node::Tuple(_)) => {
                "an array becomes a stream with `a[]`".to_string()
            }
            (Node::Stream(element), _) => {
                let element = *element;
                match self.fits(found, element) {
                    true => "one value becomes a stream with `[x][]`".to_string(),
                    false => return None,
                }
            }
            (Node::Array(_), Node::Stream(_)) => {
                "a stream becomes an array with `stream.toArray(s)`".to_string()
            }
            (Node::Array(a), Node::Array(b)) | (Node::Map(a), Node::Map(b)) => {
                let (a, b) = (*a, *b);
                return match self.types.node(b) {
                    Node::Fun(..) | Node::Record(_) => self.mend(a, b),
                    _ => None,
                };
            }
            (Node::Array(_) | Node::Tuple(_), Node::String) => {
                "`string.splitSep(separator, s)` makes an array of a text; \
                 `string.sub(start, end, s)` is a part of it"
                    .to_string()
            }
            (Node::Labeled(labels), Node::Tuple(have)) if labels.len() == have.len() => {
                let labels: Vec<String> = labels
                    .iter()
                    .take(4)
                    .map(|(label, _)| format!("#{label}: …"))
                    .collect();
                format!("write the labels: `[{}]`", labels.join(", "))
            }
            (Node::Array(element), _) => {
                let element = *element;
                match !self.types.is_var(element) && self.fits(found, element) {
                    true => "put it in an array: `[x]`".to_string(),
                    false => return None,
                }
            }
            (Node::Fun(..), Node::Fun(..)) => return self.mend_function(expected, found),
            (Node::Fun(..), _) => "a function is needed here, as in `x -> …`".to_string(),
            (_, Node::Fun(_, result)) => {
                let result = *result;
                match self.last_result_fits(result, expected) {
                    Some(count) => format!(
                        "this is a function that still waits for {count} argument{}",
                        if count == 1 { "" } else { "s" }
                    ),
                    None => "this is a function; call it with its arguments".to_string(),
                }
            }
            (Node::Record(want), Node::Record(have)) => {
                let (want, have) = (want.clone(), have.clone());
                return self.mend_record(&want, &have);
            }
            (Node::Tuple(want), Node::Tuple(have)) if want.len() != have.len() => format!(
                "{} element{} needed, {} found",
                want.len(),
                if want.len() == 1 { " is" } else { "s are" },
                have.len()
            ),
            (Node::Case(..) | Node::Union(..), _) => return self.mend_union(expected, found),
            (_, Node::Union(cases, nullable)) => {
                let (cases, nullable) = (cases.clone(), *nullable);
                let mut holder = None;
                for (name, argument) in cases.iter() {
                    if let Some(argument) = *argument
                        && (holder.is_none() || self.fits(argument, expected))
                    {
                        holder = Some((name.clone(), argument));
                    }
                }
                match holder {
                    Some((name, argument)) if self.fits(argument, expected) || cases.len() > 1 => {
                        let name = self.types.local_name(&name);
                        let rest = match (nullable, cases.len()) {
                            (true, 1) => "null -> …".to_string(),
                            _ => "_ -> …".to_string(),
                        };
                        format!("take the value out: `({name}(v) -> v | {rest})(x)`")
                    }
                    _ => return None,
                }
            }
            _ => return None,
        })
    }

    /// What could be done about two types that cannot be added.
    pub(super) fn mend_sum(&mut self, left: Ty, right: Ty) -> Option<String> {
        for (one, other) in [(left, right), (right, left)] {
            match self.types.node(one) {
                Node::Array(element) if self.fits(other, element) => {
                    return Some("a value is added to an array as an array: `a + [x]`".to_string());
                }
                Node::Fun(..) => {
                    return Some("one side is a function; call it with its arguments".to_string());
                }
                Node::Stream(_) => return Some("streams are joined with `++`".to_string()),
                Node::Union(..) | Node::Case(..) | Node::Link(..) => {
                    let number = matches!(
                        self.types.node(other),
                        Node::Union(..) | Node::Case(..) | Node::Link(..)
                    );
                    let other = if number { Ty::NUMBER } else { other };
                    return self.mend(other, one);
                }
                Node::Record(_) | Node::Map(_) | Node::Array(_) | Node::Tuple(_)
                    if matches!(self.types.node(other), Node::String) =>
                {
                    return Some("`string.formatJSON(x)` makes a text of data".to_string());
                }
                Node::Bool => {
                    return Some(
                        "`+` adds numbers and joins texts, arrays and maps; \
                         a bool becomes a text with `bool.toString(b)`"
                            .to_string(),
                    );
                }
                _ => {}
            }
        }
        Some("`+` adds numbers and joins texts, arrays and maps".to_string())
    }

    fn cell_content(&mut self, link: Ty, found: Ty) -> bool {
        match self.types.node(link) {
            Node::Link(content, _) => self.fits(found, content),
            _ => false,
        }
    }

    /// Whether one type is a subtype of the other; nothing is learnt from it.
    pub(super) fn fits(&mut self, from: Ty, to: Ty) -> bool {
        let mark = self.types.mark();
        let fits = self.types.subtype(from, to);
        self.types.undo(mark);
        fits
    }

    /// How many arguments are missing until a function gives a type.
    fn last_result_fits(&mut self, result: Ty, expected: Ty) -> Option<usize> {
        let mut at = result;
        for count in 1..6 {
            if !self.types.is_var(at) && self.fits(at, expected) {
                return Some(count);
            }
            match self.types.node(at) {
                Node::Fun(_, to) => at = to,
                _ => return None,
            }
        }
        None
    }

    fn mend_function(&mut self, expected: Ty, found: Ty) -> Option<String> {
        let wanted = self.types.arity(expected);
        let had = self.types.arity(found);
        if had > wanted {
            let s = if wanted == 1 { "" } else { "s" };
            return Some(format!(
                "the function is called with {wanted} argument{s} and takes {had}"
            ));
        }
        let (needs, _) = self.types.peel(expected, wanted as usize);
        let (takes, _) = self.types.peel(found, wanted as usize);
        for (index, (need, take)) in needs.into_iter().zip(takes).enumerate() {
            if !self.fits(need, take) {
                let (given, taken) = self.show_pair(need, take);
                let mend = match self.fits(take, need) {
                    true => "; `x -> f(x)` checks what is given",
                    false => "",
                };
                return Some(format!(
                    "parameter {} of the function is given {given} and takes {taken}{mend}",
                    index + 1
                ));
            }
        }
        None
    }

    fn mend_record(&mut self, want: &[(Symbol, Ty)], have: &[(Symbol, Ty)]) -> Option<String> {
        let missing: Vec<&Symbol> = want
            .iter()
            .map(|(name, _)| name)
            .filter(|name| !have.iter().any(|(had, _)| had == *name))
            .collect();
        if let Some(first) = missing.first() {
            let spare = have
                .iter()
                .map(|(name, _)| name)
                .filter(|name| !want.iter().any(|(wanted, _)| wanted == *name));
            return Some(match suggest(first, spare.map(|name| &**name)) {
                Some(typed) => format!("field {first} is missing; is it {typed}?"),
                None => {
                    let names: Vec<&str> = missing.iter().take(5).map(|name| &***name).collect();
                    let (s, are) = if missing.len() == 1 {
                        ("", "is")
                    } else {
                        ("s", "are")
                    };
                    format!("field{s} {} {are} missing", names.join(", "))
                }
            });
        }
        for (name, wanted) in want {
            let Some((_, had)) = have.iter().find(|(had, _)| had == name) else {
                continue;
            };
            if !self.fits(*had, *wanted) {
                let (wanted, had) = self.show_pair(*wanted, *had);
                return Some(format!("field {name} is {had} and should be {wanted}"));
            }
        }
        None
    }

    fn mend_union(&mut self, expected: Ty, found: Ty) -> Option<String> {
        let (wanted, _) = self.types.members(expected);
        if matches!(self.types.node(found), Node::Case(..) | Node::Union(..)) {
            let (had, _) = self.types.members(found);
            let strange = had
                .iter()
                .find(|(name, _)| !wanted.iter().any(|(other, _)| other == name))?;
            let strange = self.types.local_name(&strange.0);
            return Some(format!("case {strange} is none of them"));
        }
        if module_of_cases(&wanted) == Some("calendar") {
            return match self.types.node(found) {
                Node::String => Some("`calendar.parse(s)` reads a date or a time".to_string()),
                _ => None,
            };
        }
        let fitting: Vec<Symbol> = wanted
            .iter()
            .filter_map(|(name, argument)| Some((name.clone(), (*argument)?)))
            .filter(|(_, argument)| self.fits(found, *argument))
            .map(|(name, _)| name)
            .collect();
        let name = match fitting.iter().find(|name| &***name != "error") {
            Some(name) => name,
            None => fitting.first()?,
        };
        let name = self.types.local_name(name);
        Some(format!("make it a case: `{name}(x)`"))
    }

    /// The library module with the functions for values of a type.
    pub(super) fn module_of_values(&mut self, ty: Ty) -> Option<&'static str> {
        Some(match self.types.node(ty) {
            Node::String => "string",
            Node::Number | Node::Word => "number",
            Node::Array(_) | Node::Tuple(_) | Node::Labeled(_) => "array",
            Node::Map(_) | Node::Record(_) => "map",
            Node::Stream(_) => "stream",
            Node::Bool => "bool",
            Node::Binary => "binary",
            Node::Case(..) | Node::Union(..) => {
                let (cases, _) = self.types.members(ty);
                return module_of_cases(&cases);
            }
            _ => return None,
        })
    }

    /// How many arguments a function of the library takes.
    fn parameters_of(&mut self, place: &str) -> Option<usize> {
        let (module, name) = place.split_once('.')?;
        let id = self.library_module(module, crate::syntax::span::Span::default());
        let id = id.ok()??;
        let member = self.infos[id.0 as usize].members.get(name)?;
        if member.private {
            return None;
        }
        let ty = member.ty;
        Some(self.types.peel(ty, usize::MAX).0.len())
    }

    /// `x.length` where x has no fields: what may be meant.
    pub(super) fn mend_field(&mut self, ty: Ty, name: &str) -> Option<String> {
        let module = self.module_of_values(ty);
        if let Some(module) = module {
            let place = format!("{module}.{name}");
            if let Some(parameters) = self.parameters_of(&place) {
                return Some(match parameters {
                    1 => format!("values have no methods: write `{place}(x)`"),
                    _ => format!(
                        "values have no methods: write `{place}(…, x)`, with the value last"
                    ),
                });
            }
            if let Some(hint) = super::familiar::member(module, name) {
                return Some(hint.to_string());
            }
        }
        match self.types.node(ty) {
            Node::Case(case, Some(_)) => {
                let case = self.types.local_name(&case);
                Some(format!("the argument of the case is `{case}^(x)`"))
            }
            Node::Union(..) => Some("match its cases first".to_string()),
            Node::Link(..) => Some(BEHIND_LINK.to_string()),
            Node::Fun(..) => Some("this is a function; call it first".to_string()),
            Node::Number | Node::Bool | Node::String | Node::Word => {
                Some("only records, maps and data have fields".to_string())
            }
            Node::Stream(_) => Some("`stream.first(s)` takes the next element".to_string()),
            Node::Array(_) | Node::Tuple(_) => {
                Some("an element is `a[0]`; all elements change with `array.map`".to_string())
            }
            _ => None,
        }
    }
}

/// The library module that such cases belong to.
fn module_of_cases(cases: &[(Symbol, Option<Ty>)]) -> Option<&'static str> {
    let all = |of: fn(&str) -> bool| cases.iter().all(|(name, _)| of(name));
    if cases.is_empty() {
        None
    } else if all(|name| name.starts_with("calendar.")) {
        Some("calendar")
    } else if all(|name| name == "some") {
        Some("option")
    } else if all(|name| name == "ok" || name == "error") {
        Some("result")
    } else {
        None
    }
}
