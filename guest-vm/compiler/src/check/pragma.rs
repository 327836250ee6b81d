//! Pragmas: the switches of a module.

use crate::issue::{Code, Issue, WARNINGS};
use crate::syntax::ast::{Const, ConstKind};
use crate::tables::HashMap;

/// The values of all pragmas at a place.
#[derive(Debug, Clone)]
pub struct Pragmas {
    /// Insert run-time assertions for downcasts.
    pub auto_type_assertion: bool,
    /// Turn values into streams where streams are expected.
    pub auto_make_stream: bool,
    /// Turn cell names into links where links are expected.
    pub auto_make_link: bool,
    /// Container literals get concrete types.
    pub strict_containers: bool,
    /// Strict mode.
    pub strict: bool,
    /// `withCells`, if set.
    pub with_cells: Option<bool>,
    /// A static module.
    pub singleton: bool,
    warnings: HashMap<&'static str, bool>,
}

impl Default for Pragmas {
    fn default() -> Self {
        Pragmas {
            auto_type_assertion: true,
            auto_make_stream: true,
            auto_make_link: true,
            strict_containers: false,
            strict: false,
            with_cells: None,
            singleton: false,
            warnings: HashMap::default(),
        }
    }
}

impl Pragmas {
    /// Whether a warning is wanted.
    pub fn wants(&self, code: Code) -> bool {
        WARNINGS
            .iter()
            .find(|(_, warning, _)| *warning == code)
            .is_none_or(|(name, _, default)| *self.warnings.get(name).unwrap_or(default))
    }

    /// Applies a `_pragma_` phrase.
    pub fn apply(&mut self, constant: &Const) -> Result<(), Issue> {
        let ConstKind::Object(entries) = &constant.kind else {
            return Err(Issue::new(Code::PragmaValue, constant.span)
                .with("name", "_pragma_")
                .hint("write an object, for example _pragma_ {strictTyping: true}"));
        };
        for (name, value) in entries {
            let bad = || Issue::new(Code::PragmaValue, value.span).with("name", &name.text);
            if &*name.text == "warningFilter" {
                let ConstKind::Str(list) = &value.kind else {
                    return Err(bad().hint("write a text such as \"unused,-redefined\""));
                };
                self.filter(list).map_err(|name| {
                    let names = || WARNINGS.iter().map(|(name, ..)| *name);
                    let near = super::suggest::suggest(&name, names());
                    let known = names().collect::<Vec<_>>().join(", ");
                    bad()
                        .hint_if(near.map(|near| format!("did you mean {near}?")))
                        .hint_if(Some(format!("the warnings are {known}")))
                })?;
                continue;
            }
            let known = [
                "autoTypeAssertion",
                "autoMakeStream",
                "autoMakeLink",
                "strictContainerTyping",
                "strictTyping",
                "withCells",
                "singleton",
            ];
            if !known.contains(&&*name.text) {
                let hint = super::suggest::suggest(&name.text, known.iter().copied());
                let issue = Issue::new(Code::PragmaUnknown, name.span).with("name", &name.text);
                return Err(match hint {
                    _ if &*name.text == "strict" => issue.hint("did you mean strictTyping?"),
                    Some(hint) => issue.hint(format!("did you mean {hint}?")),
                    None => issue.hint(format!(
                        "the pragmas are {} and warningFilter",
                        known.join(", ")
                    )),
                });
            }
            let ConstKind::Bool(on) = value.kind else {
                return Err(bad().hint("write true or false"));
            };
            match &*name.text {
                "autoTypeAssertion" => self.auto_type_assertion = on,
                "autoMakeStream" => self.auto_make_stream = on,
                "autoMakeLink" => self.auto_make_link = on,
                "strictContainerTyping" => self.strict_containers = on,
                "strictTyping" => {
                    self.strict = on;
                    self.auto_type_assertion = !on;
                    self.auto_make_stream = !on;
                    self.auto_make_link = !on;
                    self.strict_containers = on;
                }
                "withCells" => self.with_cells = Some(on),
                _ => self.singleton = on,
            }
        }
        Ok(())
    }

    fn filter(&mut self, list: &str) -> Result<(), String> {
        for item in list
            .split(',')
            .map(str::trim)
            .filter(|item| !item.is_empty())
        {
            let (on, name) = match item.strip_prefix('-') {
                Some(name) => (false, name),
                None => (true, item.strip_prefix('+').unwrap_or(item)),
            };
            let (known, _, _) = WARNINGS
                .iter()
                .find(|(known, _, _)| *known == name)
                .ok_or_else(|| name.to_string())?;
            self.warnings.insert(known, on);
        }
        Ok(())
    }
}
