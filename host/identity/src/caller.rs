//! The identity behind a request.

use crate::subject::Subject;
use std::sync::Arc;

/// How the caller proved who it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenKind {
    /// No token.
    Anonymous,
    /// Signed by an external identity service.
    KeySet,
    /// Signed by this process.
    Process,
    /// Signed with the key of a workspace, at the end of signing in.
    Workspace,
}

/// A user name: an e-mail address in lower case, or the `sub` of a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum User {
    /// `ada@example.com`
    Email(String),
    /// The `sub` claim, byte for byte.
    Sub(String),
}

impl User {
    /// The name of claims: the e-mail, unless it is missing, unverified or malformed.
    pub fn of_claims(sub: &str, email: Option<&str>, email_verified: Option<bool>) -> User {
        let usable = email.filter(|email| {
            email_verified != Some(false)
                // The name of a user without e-mail begins like this.
                && !email.to_ascii_lowercase().starts_with("sub:")
                && email.split_once('@').is_some_and(|(local, host)| {
                    !local.is_empty() && !host.is_empty() && !host.contains('@')
                })
                && !email.chars().any(|c| c.is_control() || c.is_whitespace())
        });
        match usable {
            // Other letters stay: some of them would become letters of another address (the Kelvin sign a k).
            Some(email) => User::Email(email.to_ascii_lowercase()),
            None => User::Sub(sub.to_owned()),
        }
    }

    /// The text form: the e-mail or `sub:<sub>`.
    pub fn name(&self) -> String {
        match self {
            User::Email(email) => email.clone(),
            User::Sub(sub) => format!("sub:{sub}"),
        }
    }

    /// Host part of the e-mail.
    pub fn domain(&self) -> Option<&str> {
        match self {
            User::Email(email) => email.split_once('@').map(|(_, host)| host),
            User::Sub(_) => None,
        }
    }
}

/// Who makes a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// `None`: anonymous.
    pub user: Option<User>,
    /// How it is known.
    pub kind: TokenKind,
    /// The running agent that makes the call, if one does.
    pub agent: Option<RunningAgent>,
}

/// An agent that runs, with the names of its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunningAgent {
    /// Names of its server, any of which its subject may have; the first is the one it is told by.
    pub servers: Arc<[String]>,
    /// Workspace.
    pub workspace: String,
    /// App.
    pub app: String,
    /// Agent.
    pub agent: String,
    /// True: it runs on this server. False: another, trusted server vouches for it.
    pub here: bool,
}

impl RunningAgent {
    /// The agent as grants name it.
    pub fn subject(&self) -> Subject {
        Subject::Agent {
            server: self.servers.first().cloned().unwrap_or_default(),
            workspace: self.workspace.clone(),
            app: self.app.clone(),
            agent: self.agent.clone(),
        }
    }
}

impl Caller {
    /// A caller without a token.
    pub fn anonymous() -> Caller {
        Caller {
            user: None,
            kind: TokenKind::Anonymous,
            agent: None,
        }
    }

    /// The name as programs and records see it; `anonymous` without token.
    pub fn name(&self) -> String {
        match &self.user {
            Some(user) => user.name(),
            None => "anonymous".to_owned(),
        }
    }

    /// True if `subject` is one of the caller's subjects.
    pub fn is(&self, subject: &Subject) -> bool {
        match subject {
            Subject::Anonymous => true,
            Subject::AllUsers => self.user.is_some(),
            Subject::Email(email) => {
                matches!(&self.user, Some(User::Email(mine)) if mine.eq_ignore_ascii_case(email))
            }
            Subject::Sub(sub) => matches!(&self.user, Some(User::Sub(mine)) if mine == sub),
            Subject::Domain(host) => self
                .user
                .as_ref()
                .and_then(User::domain)
                .is_some_and(|mine| mine.eq_ignore_ascii_case(host)),
            Subject::Agent {
                server,
                workspace,
                app,
                agent,
            } => self.agent.as_ref().is_some_and(|running| {
                running
                    .servers
                    .iter()
                    .any(|known| known.eq_ignore_ascii_case(server))
                    && running.workspace == *workspace
                    && running.app == *app
                    && running.agent == *agent
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unusable_email_is_no_name() {
        let name = |email, verified| User::of_claims("42", email, verified).name();
        assert_eq!(name(Some("Ada@Example.com"), None), "ada@example.com");
        assert_eq!(name(Some("a@x"), Some(true)), "a@x");
        assert_ne!(name(Some("\u{212a}im@x"), None), "kim@x");
        for (email, verified) in [
            (Some("admin@x"), Some(false)),
            (Some("no-at"), None),
            (Some("a@b@c"), None),
            (Some("@x"), None),
            (Some("a@"), None),
            (Some("a b@x"), None),
            (Some("Sub:root@x"), None),
            (None, Some(true)),
        ] {
            assert_eq!(name(email, verified), "sub:42", "{email:?} {verified:?}");
        }
    }
}
