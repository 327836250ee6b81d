//! To whom a grant is given.

use std::fmt;

/// Who a grant, or a list of administrators, names.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Subject {
    /// `user/<email>`, in lower case.
    Email(String),
    /// `user/sub:<sub>`
    Sub(String),
    /// `domain/<host>`, in lower case: e-mails of exactly this host.
    Domain(String),
    /// `agent/<server>:<ws>.<app>.<agent>`
    Agent {
        /// Server name.
        server: String,
        /// Workspace.
        workspace: String,
        /// App; may contain dots.
        app: String,
        /// Agent; may contain dots.
        agent: String,
    },
    /// Any valid token.
    AllUsers,
    /// Everyone.
    Anonymous,
}

impl Subject {
    /// Reads the text form; `None` if it has no known form.
    pub fn parse(text: &str) -> Option<Subject> {
        if text.len() > 512 || text.chars().any(char::is_control) {
            return None;
        }
        match text.split_once('/') {
            None if text == "all-users" => Some(Subject::AllUsers),
            None if text == "anonymous" => Some(Subject::Anonymous),
            Some(("user", name)) => user(name),
            Some(("domain", host)) => host_name(host).map(Subject::Domain),
            Some(("agent", name)) => agent(name),
            _ => None,
        }
    }

    /// What a text that is no subject should have been.
    pub fn wanted(text: &str) -> &'static str {
        match text.split_once('/') {
            Some(("user", _)) => {
                "a user is named by an e-mail address, as user/ada@example.com, or by what its tokens have as sub, as user/sub:42"
            }
            Some(("domain", _)) => "a domain is that of e-mail addresses, as domain/example.com",
            Some(("agent", _)) => "an agent is named as agent/SERVER:WORKSPACE.APP.AGENT",
            _ => "there are user/…, domain/…, agent/…, all-users and anonymous",
        }
    }
}

fn user(name: &str) -> Option<Subject> {
    if let Some(sub) = name.strip_prefix("sub:") {
        return (!sub.is_empty() && sub.len() <= 256).then(|| Subject::Sub(sub.to_owned()));
    }
    let (local, host) = name.split_once('@')?;
    let fits = !local.is_empty() && !host.is_empty() && !host.contains('@') && !name.contains(' ');
    fits.then(|| Subject::Email(name.to_ascii_lowercase()))
}

fn host_name(host: &str) -> Option<String> {
    let labels_fit = host.split('.').all(|label| {
        !label.is_empty()
            && label
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    });
    (labels_fit && host.len() <= 253).then(|| host.to_ascii_lowercase())
}

fn agent(name: &str) -> Option<Subject> {
    let (server, path) = name.rsplit_once(':')?;
    let parts: Vec<&str> = path.split('.').collect();
    let [workspace, app, agent] = parts[..] else {
        return None;
    };
    let part = |text: &str| (!text.is_empty()).then(|| text.replace("%2E", "."));
    if server.is_empty() || server.contains('/') {
        return None;
    }
    Some(Subject::Agent {
        server: server.to_ascii_lowercase(),
        workspace: part(workspace)?,
        app: part(app)?,
        agent: part(agent)?,
    })
}

impl fmt::Display for Subject {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Subject::Email(email) => write!(out, "user/{email}"),
            Subject::Sub(sub) => write!(out, "user/sub:{sub}"),
            Subject::Domain(host) => write!(out, "domain/{host}"),
            Subject::Agent {
                server,
                workspace,
                app,
                agent,
            } => {
                let dots = |text: &str| text.replace('.', "%2E");
                write!(
                    out,
                    "agent/{server}:{workspace}.{}.{}",
                    dots(app),
                    dots(agent)
                )
            }
            Subject::AllUsers => out.write_str("all-users"),
            Subject::Anonymous => out.write_str("anonymous"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_is_read_and_written() {
        for text in [
            "user/ada@example.com",
            "user/sub:auth0|42",
            "domain/example.com",
            "agent/mix.example.com:local.my%2Eapp.report",
            "agent/127.0.0.1:8000:local.movies.report",
            "all-users",
            "anonymous",
        ] {
            let subject = Subject::parse(text).expect(text);
            assert_eq!(subject.to_string(), text);
        }
    }

    #[test]
    fn unknown_forms_are_refused() {
        for text in [
            "",
            "user/",
            "user/ada",
            "user/a@b@c",
            "user/sub:",
            "domain/",
            "domain/a..b",
            "domain/ex ample.com",
            "agent/x",
            "agent/:a.b.c",
            "agent/s:a.b",
            "agent/s:a.b.c.d",
            "agent/s:a..c",
            "group/x",
            "everyone",
            "user/a\n@b",
        ] {
            assert_eq!(Subject::parse(text), None, "{text}");
        }
    }
}
