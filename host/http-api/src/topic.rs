//! Topics as they are read over HTTP: `cloud/{server}/ws/{ws}/app/{app}/…`.

use crate::error::ApiError;
use crate::names;
use mix_file_path::percent;

/// Longest path of a topic.
const MAX_PATH: usize = 512;

/// Who reads a topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Audience {
    /// The user of that name.
    User(String),
    /// Whoever has a token.
    Shared,
    /// Everybody.
    Public,
}

/// A topic of an app.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Topic {
    /// Name of the server it belongs to.
    pub server: String,
    /// Workspace.
    pub workspace: String,
    /// App.
    pub app: String,
    /// Who reads it.
    pub audience: Audience,
    /// What follows.
    pub key: String,
}

impl Topic {
    /// Reads a decoded path that begins with `/`.
    pub(crate) fn parse(path: &str) -> Result<Topic, ApiError> {
        let bad = |why: &str| Err(ApiError::new(400, "bad_topic", why));
        if path.len() > MAX_PATH {
            return bad("the topic is longer than 512 bytes");
        }
        if path.contains("//") || path.ends_with('/') {
            return bad("a topic has no empty parts");
        }
        let parts: Vec<&str> = path.split('/').skip(1).collect();
        let ["cloud", server, "ws", ws, "app", app, rest @ ..] = parts.as_slice() else {
            return bad("a topic is cloud/SERVER/ws/WS/app/APP/…");
        };
        if !names::is_workspace_name(ws) || !names::is_app_name(app) {
            return bad("the topic has a malformed workspace or app");
        }
        let (audience, key) = match rest {
            ["public", "application", key @ ..] => (Audience::Public, key),
            ["shared", "application", key @ ..] => (Audience::Shared, key),
            ["user", user, key @ ..] => (Audience::User((*user).to_owned()), key),
            _ => {
                return bad(
                    "after the app comes public/application, shared/application or user/USER",
                );
            }
        };
        if key.is_empty() {
            return bad("the topic has no path");
        }
        // They stand for parts at a broker; the name of a user is escaped there.
        if key
            .iter()
            .chain([server])
            .any(|part| part.contains(['+', '#']))
        {
            return bad("the path of a topic has no + and no #");
        }
        Ok(Topic {
            server: (*server).to_owned(),
            workspace: (*ws).to_owned(),
            app: (*app).to_owned(),
            audience,
            key: key.join("/"),
        })
    }

    /// Its path at the broker, where programs publish under this name of the server.
    pub fn broker_path(&self, server: &str) -> String {
        let app = format!("/cloud/{server}/ws/{}/app/{}", self.workspace, self.app);
        let key = &self.key;
        match &self.audience {
            Audience::User(user) => format!("{app}/user/{}/{key}", escaped_part(user)),
            Audience::Shared => format!("{app}/shared/application/{key}"),
            Audience::Public => format!("{app}/public/application/{key}"),
        }
    }
}

/// The name of a user as a part of a topic: percent-escaped as modules do it.
pub fn escaped_part(name: &str) -> String {
    percent::encode(name, b"-_.~*!()'")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topics_have_an_audience_and_a_path_at_the_broker() {
        let app = "/cloud/h:80/ws/w/app/shop";
        for (path, broker) in [
            ("user/ada@x.org/in/box", "user/ada%40x.org/in/box"),
            ("user/ada+lists@x.org/in", "user/ada%2Blists%40x.org/in"),
            ("shared/application/k", "shared/application/k"),
            ("public/application/k", "public/application/k"),
        ] {
            let topic = Topic::parse(&format!("{app}/{path}")).expect("a topic");
            assert_eq!(topic.server, "h:80");
            let expected = format!("/cloud/other/ws/w/app/shop/{broker}");
            assert_eq!(topic.broker_path("other"), expected);
        }
    }

    #[test]
    fn malformed_topics_have_a_code() {
        let long = format!(
            "/cloud/h/ws/w/app/shop/public/application/{}",
            "k".repeat(500)
        );
        for bad in [
            "/cloud/h/ws/w/app/shop/public/application",
            "/cloud/h/ws/w/app/shop/public/application/",
            "/cloud/h/ws/w/app/shop/public/application/a//b",
            "/cloud/h/ws/w/app/shop/public/application/a+b",
            "/cloud/h/ws/w/app/shop/public/application/#",
            "/cloud/h/ws/w/app/shop/private/application/k",
            "/cloud/h/ws/w/app/shop/user/ada",
            "/cloud/h/ws/w.x/app/shop/public/application/k",
            "/org/o/ws/w/shared/k",
            "/k",
            &long,
        ] {
            assert_eq!(Topic::parse(bad).expect_err(bad).code, "bad_topic");
        }
    }
}
