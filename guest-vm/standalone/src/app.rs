//! The app that is built in.

use std::cell::{Cell, OnceCell};
use std::collections::HashMap;

use mix_http_api::RunOutcome;

use crate::bindings::mix::app::contents;
use crate::bindings::mix::ffi::types::Caller;
use crate::bindings::mix::ffi::{binding, family};
use crate::bindings::mix::vm::program;
use crate::bindings::mix::vm::types::Issue;
use crate::settings;

/// What an instance knows of its app.
pub struct App {
    /// Its name.
    pub name: String,
    executables: Vec<contents::Executable>,
    /// Which executable has an agent.
    agents: HashMap<String, usize>,
    /// Why an executable offers none of its agents.
    damage: Option<RunOutcome>,
    /// The executable that the VM holds.
    loaded: Cell<Option<usize>>,
    /// Functions of the families: number and whether they wait.
    functions: HashMap<String, u32>,
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
        let described = family::describe().into_iter().zip(0u32..);
        let mut app = App {
            name,
            executables,
            agents: HashMap::new(),
            damage: None,
            loaded: Cell::new(None),
            functions: described
                .map(|(function, number)| (function.name, number))
                .collect(),
        };
        app.list_agents();
        app
    }

    fn list_agents(&mut self) {
        for (index, executable) in self.executables.iter().enumerate() {
            match program::load(&executable.code) {
                Ok(summary) => {
                    self.loaded.set(Some(index));
                    let agents = summary.modules.into_iter().filter(|module| module.agent);
                    self.agents
                        .extend(agents.map(|module| (module.name, index)));
                }
                Err(issue) => self.damage = Some(not_loaded(&executable.name, issue)),
            }
        }
    }

    /// Puts the program of an agent into the VM. Sessions that run keep theirs.
    pub fn load(&self, agent: &str) -> Result<(), RunOutcome> {
        let Some(&index) = self.agents.get(agent) else {
            return Err(self.damage.clone().unwrap_or(RunOutcome::NoSuchAgent));
        };
        if self.loaded.get() != Some(index) {
            let executable = &self.executables[index];
            program::load(&executable.code).map_err(|issue| not_loaded(&executable.name, issue))?;
            self.loaded.set(Some(index));
        }
        Ok(())
    }

    /// Number of a foreign function.
    pub fn function(&self, name: &str) -> Option<u32> {
        self.functions.get(name).copied()
    }
}

fn not_loaded(name: &str, issue: Issue) -> RunOutcome {
    eprintln!("error: program {name}: {}: {}", issue.code, issue.message);
    match issue.code.as_str() {
        "ERR_FFI_MISSING" => RunOutcome::MissingFunction(issue.message),
        _ => RunOutcome::IncompatibleCode(issue.message),
    }
}
