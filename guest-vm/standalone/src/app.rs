//! The app that is built in.

use std::cell::{Cell, OnceCell};
use std::collections::{BTreeMap, HashMap};

use mix_http_api::RunOutcome;
use mix_http_api::described::Parameter;
use mix_value::{Value, escjson};

use crate::bindings::mix::app::{contents, descriptions};
use crate::bindings::mix::ffi::types::Caller;
use crate::bindings::mix::ffi::{binding, family};
use crate::bindings::mix::vm::types::{Issue, ModuleInfo, Summary};
use crate::bindings::mix::vm::{built_in, program};
use crate::settings;

/// The program that has a module.
#[derive(Clone, Copy)]
enum Home {
    /// The one that the VM has from the start.
    BuiltIn,
    /// The executable of that number.
    Executable(usize),
}

/// A module that can be pushed.
struct Module {
    home: Home,
    agent: bool,
}

/// What an instance knows of its app.
pub struct App {
    /// Its name.
    pub name: String,
    executables: Vec<contents::Executable>,
    modules: BTreeMap<String, Module>,
    /// Why an executable offers none of its agents.
    damage: Option<RunOutcome>,
    /// The executable that the VM holds.
    loaded: Cell<Option<usize>>,
    /// Numbers of the functions of the families, asked for when the first one is needed.
    functions: OnceCell<HashMap<String, u32>>,
    /// What the agents say of themselves, read when somebody asks.
    about: OnceCell<Value>,
}

thread_local! {
    static APP: OnceCell<App> = const { OnceCell::new() };
}

/// Looks at the app; the first time it is read and everything is bound to it.
pub fn with<T>(look: impl FnOnce(&App) -> T) -> T {
    APP.with(|app| look(app.get_or_init(App::new)))
}

impl App {
    fn new() -> App {
        let contents::App { name, executables } = contents::read();
        binding::bind(&Caller {
            workspace: settings::workspace(),
            app: name.clone(),
            agent: String::new(),
            user: "anonymous".to_string(),
            deadline: 0,
        });
        let mut app = App {
            name,
            executables,
            modules: BTreeMap::new(),
            damage: None,
            loaded: Cell::new(None),
            functions: OnceCell::new(),
            about: OnceCell::new(),
        };
        app.list_modules();
        app
    }

    fn list_modules(&mut self) {
        // A VM that has a program comes without executables.
        if self.executables.is_empty()
            && let Some(summary) = built_in::loaded()
        {
            self.add_modules(summary, Home::BuiltIn);
        }
        for index in 0..self.executables.len() {
            let executable = &self.executables[index];
            match program::load(&executable.code) {
                Ok(summary) => {
                    self.loaded.set(Some(index));
                    self.add_modules(summary, Home::Executable(index));
                }
                Err(issue) => self.damage = Some(not_loaded(&executable.name, issue)),
            }
        }
    }

    fn add_modules(&mut self, summary: Summary, home: Home) {
        for ModuleInfo { name, agent, .. } in summary.modules {
            // Of several with one name the last agent.
            if agent || !self.modules.contains_key(&name) {
                self.modules.insert(name, Module { home, agent });
            }
        }
    }

    /// Names of the agents.
    pub fn agents(&self) -> Vec<String> {
        let agents = self.modules.iter().filter(|(_, module)| module.agent);
        agents.map(|(name, _)| name.clone()).collect()
    }

    /// Puts the program of an agent into the VM. Sessions that run keep theirs.
    pub fn load(&self, agent: &str) -> Result<(), RunOutcome> {
        match self.modules.get(agent) {
            Some(Module { home, agent: true }) => self.put(*home),
            _ => Err(self.damage.clone().unwrap_or(RunOutcome::NoSuchAgent)),
        }
    }

    /// The same for any module. The VM itself says what is wrong with one that is not there.
    pub fn load_module(&self, module: &str) -> Result<(), RunOutcome> {
        match self.modules.get(module) {
            Some(module) => self.put(module.home),
            None => self.damage.clone().map_or(Ok(()), Err),
        }
    }

    fn put(&self, home: Home) -> Result<(), RunOutcome> {
        let Home::Executable(index) = home else {
            return Ok(());
        };
        if self.loaded.get() != Some(index) {
            let executable = &self.executables[index];
            program::load(&executable.code).map_err(|issue| not_loaded(&executable.name, issue))?;
            self.loaded.set(Some(index));
        }
        Ok(())
    }

    /// What an agent says of itself, and what its callers send.
    pub fn described(&self, agent: &str) -> (String, Vec<Parameter>) {
        let about = self.about.get_or_init(|| {
            let text = descriptions::about();
            escjson::parse_plain(&text).unwrap_or(Value::Null)
        });
        let named = |one: &&Value| text_of(one, "name") == agent;
        let agents = about.as_array().unwrap_or_default();
        let Some(agent) = agents.iter().find(named) else {
            return (String::new(), Vec::new());
        };
        let params = agent.get("params").and_then(Value::as_array);
        let params = params.unwrap_or_default().iter().map(|param| Parameter {
            name: text_of(param, "name").to_string(),
            kind: text_of(param, "type").to_string(),
            optional: param.get("optional") == Some(&Value::Bool(true)),
        });
        (text_of(agent, "description").to_string(), params.collect())
    }

    /// Number of a foreign function.
    pub fn function(&self, name: &str) -> Option<u32> {
        let functions = self.functions.get_or_init(|| {
            let described = family::describe().into_iter().zip(0u32..);
            described
                .map(|(function, number)| (function.name, number))
                .collect()
        });
        functions.get(name).copied()
    }
}

fn text_of<'a>(map: &'a Value, member: &str) -> &'a str {
    map.get(member).and_then(Value::as_str).unwrap_or_default()
}

fn not_loaded(name: &str, issue: Issue) -> RunOutcome {
    eprintln!("error: program {name}: {}: {}", issue.code, issue.message);
    match issue.code.as_str() {
        "ERR_FFI_MISSING" => RunOutcome::MissingFunction(issue.message),
        _ => RunOutcome::IncompatibleCode(issue.message),
    }
}
