//! How a command ends when it does not end well.

use super::output;
use mix_projects::WriteError;
use std::fmt;

/// A failure of a command: exit code and what is printed.
#[derive(Debug)]
pub struct Exit {
    code: u8,
    /// Lines for standard error; empty if everything is said already.
    message: String,
}

impl Exit {
    /// The work failed.
    pub fn failed(message: impl fmt::Display) -> Exit {
        Exit {
            code: 1,
            message: message.to_string(),
        }
    }

    /// The work failed and the reasons are printed already.
    pub fn reported() -> Exit {
        Exit {
            code: 1,
            message: String::new(),
        }
    }

    /// Wrong usage.
    pub fn usage(message: impl fmt::Display) -> Exit {
        Exit {
            code: 2,
            message: format!("error: {message}"),
        }
    }

    /// Input, output or network.
    pub fn io(message: impl fmt::Display) -> Exit {
        Exit {
            code: 3,
            message: format!("error: {message}"),
        }
    }

    /// Not permitted.
    pub fn forbidden(message: impl fmt::Display) -> Exit {
        Exit {
            code: 4,
            message: message.to_string(),
        }
    }

    /// Locked or busy.
    pub fn busy(message: impl fmt::Display) -> Exit {
        Exit {
            code: 5,
            message: message.to_string(),
        }
    }

    /// Time limit.
    pub fn timed_out(message: impl fmt::Display) -> Exit {
        Exit {
            code: 124,
            message: message.to_string(),
        }
    }

    /// A failure that a tool has put into words, with its exit code.
    pub fn with_code(code: u8, message: impl fmt::Display) -> Exit {
        Exit {
            code,
            message: message.to_string(),
        }
    }

    /// Prints the message and gives the exit code.
    pub fn report(self) -> u8 {
        if !self.message.is_empty() {
            output::messages(&format!("{}\n", self.message));
        }
        self.code
    }
}

impl From<WriteError> for Exit {
    fn from(error: WriteError) -> Exit {
        match error {
            WriteError::NotEmpty(_) => Exit::usage(error),
            WriteError::Io { .. } => Exit::io(error),
        }
    }
}

impl From<anyhow::Error> for Exit {
    fn from(error: anyhow::Error) -> Exit {
        Exit::failed(format!("error: {error:#}"))
    }
}
