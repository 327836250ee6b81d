//! What could be typed next.

use mix_compiler::session;
use mix_compiler::syntax::lexer::KEYWORDS;
use mix_value::{Value, msgpack};

use crate::command::COMMANDS;
use crate::repl::Repl;

/// Predefined names.
const PREDEFINED: &[&str] = &[
    "debug",
    "fail",
    "withDefault",
    "noDefault",
    "datacase",
    "floor",
    "ceil",
    "recurse",
    "recurse2",
    "some",
    "ok",
    "error",
    "unset",
    "currentInstanceId",
];

/// A completion.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Candidate {
    /// The whole word that stands in place of the one being typed.
    pub text: String,
    /// Its type or meaning, empty if not known.
    pub about: String,
    /// Byte position in the line at which the word starts.
    pub start: usize,
}

impl Repl {
    /// What the word before the cursor (a byte position) could become.
    #[must_use]
    pub fn complete(&self, line: &str, cursor: usize) -> Vec<Candidate> {
        let Some(before) = line.get(..cursor) else {
            return Vec::new();
        };
        if before.starts_with('#') {
            let commands = COMMANDS.iter().map(|(form, about)| {
                let word = form.split(' ').next().unwrap_or(form);
                (word.to_string(), (*about).to_string())
            });
            return chosen(commands, before, 0);
        }
        let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let start = before.len() - before.chars().rev().take_while(|c| is_word(*c)).count();
        let word = &before[start..];
        if let Some(left) = before[..start].strip_suffix('.') {
            let from = left.len() - left.chars().rev().take_while(|c| is_word(*c)).count();
            return chosen(self.members(&left[from..]).into_iter(), word, start);
        }
        let own = self.types.iter().cloned();
        let fixed = KEYWORDS.iter().chain(PREDEFINED);
        let fixed = fixed.map(|name| ((*name).to_string(), String::new()));
        let library = mix_stdlib::modules().iter();
        let library = library.map(|module| (module.name.to_string(), "module".to_string()));
        let given = self.files.iter().flat_map(|file| {
            let text = String::from_utf8_lossy(&file.text);
            session::members(&text)
        });
        let given = given.map(|(name, _)| (name, "module".to_string()));
        let linked = self.interfaces();
        let linked = linked.map(|(name, _)| (name.to_string(), "module".to_string()));
        let names = own.chain(fixed).chain(library).chain(given).chain(linked);
        chosen(names, word, start)
    }

    /// The modules of the compiled libraries with the texts of their interfaces.
    fn interfaces(&self) -> impl Iterator<Item = (&str, &str)> {
        let interfaces = self
            .options
            .libraries
            .iter()
            .flat_map(|library| &library.interfaces);
        interfaces.map(|(name, text)| (&**name, &**text))
    }

    /// Members of a module, or keys of a map that a name of the session holds.
    fn members(&self, base: &str) -> Vec<(String, String)> {
        if let Some(bytes) = self.values.get(base)
            && let Ok(Value::Map(map)) = msgpack::decode(bytes)
        {
            return map
                .keys()
                .map(|key| (key.to_string(), String::new()))
                .collect();
        }
        let texts = self
            .files
            .iter()
            .map(|file| String::from_utf8_lossy(&file.text).into_owned())
            .chain(self.interfaces().map(|(_, text)| text.to_string()))
            .chain(mix_stdlib::source(base).map(str::to_string));
        for text in texts {
            for (module, names) in session::members(&text) {
                if module == base {
                    return names
                        .into_iter()
                        .map(|name| (name, String::new()))
                        .collect();
                }
            }
        }
        Vec::new()
    }
}

fn chosen(
    names: impl Iterator<Item = (String, String)>,
    word: &str,
    start: usize,
) -> Vec<Candidate> {
    let mut found: Vec<Candidate> = names
        .filter(|(name, _)| name.starts_with(word) && !name.starts_with('$'))
        .map(|(text, about)| Candidate { text, about, start })
        .collect();
    found.sort();
    found.dedup_by(|a, b| a.text == b.text);
    found
}
