//! Editing on a terminal: history, phrases over several lines, completion.

use super::{Shared, is_complete, lock};
use anyhow::Result;
use reedline::{
    ColumnarMenu, Completer, CompletionResult, DefaultPrompt, DefaultPromptSegment, Emacs,
    FileBackedHistory, KeyCode, KeyModifiers, MenuBuilder, Reedline, ReedlineEvent, ReedlineMenu,
    Signal, Span, Suggestion, ValidationResult, Validator, default_emacs_keybindings,
};
use std::path::PathBuf;

/// Phrases that are remembered.
const HISTORY: usize = 1000;

const MENU: &str = "names";

/// A line editor that knows when a phrase is complete.
pub struct Editor {
    line: Reedline,
    prompt: DefaultPrompt,
}

impl Editor {
    /// An editor for this REPL, with the history of earlier sessions.
    pub fn new(repl: &Shared) -> Editor {
        let mut keys = default_emacs_keybindings();
        keys.add_binding(
            KeyModifiers::NONE,
            KeyCode::Tab,
            ReedlineEvent::UntilFound(vec![
                ReedlineEvent::Menu(MENU.to_owned()),
                ReedlineEvent::MenuNext,
            ]),
        );
        let menu = ColumnarMenu::default().with_name(MENU);
        let mut line = Reedline::create()
            .with_validator(Box::new(Phrases(repl.clone())))
            .with_completer(Box::new(Names(repl.clone())))
            .with_quick_completions(true)
            .with_partial_completions(true)
            .with_menu(ReedlineMenu::EngineCompleter(Box::new(menu)))
            .with_edit_mode(Box::new(Emacs::new(keys)));
        // Without a place for it the session has no history of earlier ones; that is all.
        if let Some(history) =
            history_file().and_then(|path| FileBackedHistory::with_file(HISTORY, path).ok())
        {
            line = line.with_history(Box::new(history));
        }
        let prompt = DefaultPrompt::new(
            DefaultPromptSegment::Basic("mix".to_owned()),
            DefaultPromptSegment::Empty,
        );
        Editor { line, prompt }
    }

    /// The next phrase; `None` at the end of input. Ctrl-C forgets the phrase.
    pub fn read(&mut self) -> Result<Option<String>> {
        loop {
            match self.line.read_line(&self.prompt)? {
                Signal::Success(text) if text.trim().is_empty() => {}
                Signal::Success(text) => return Ok(Some(text)),
                Signal::CtrlD => return Ok(None),
                _ => {}
            }
        }
    }
}

/// `$XDG_STATE_HOME/mixer/history`, readable for the user only.
fn history_file() -> Option<PathBuf> {
    let state = match std::env::var_os("XDG_STATE_HOME") {
        Some(folder) => PathBuf::from(folder),
        None => PathBuf::from(std::env::var_os("HOME")?).join(".local/state"),
    };
    let folder = state.join("mixer");
    mix_runtime::workspace::private_folder(&folder).ok()?;
    Some(folder.join("history"))
}

struct Phrases(Shared);

impl Validator for Phrases {
    fn validate(&self, text: &str) -> ValidationResult {
        if is_complete(&self.0, text) {
            ValidationResult::Complete
        } else {
            ValidationResult::Incomplete
        }
    }
}

struct Names(Shared);

impl Completer for Names {
    fn complete(&mut self, line: &str, cursor: usize) -> CompletionResult {
        let candidates = lock(&self.0).complete(line, cursor);
        let suggestions: Vec<Suggestion> = candidates
            .into_iter()
            .map(|candidate| Suggestion {
                value: candidate.text,
                description: Some(candidate.about).filter(|about| !about.is_empty()),
                span: Span::new(candidate.start, cursor),
                append_whitespace: false,
                ..Suggestion::default()
            })
            .collect();
        CompletionResult::fresh(suggestions)
    }
}
