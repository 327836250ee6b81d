//! What a plugin says it needs, and what its operator grants it.
//!
//! The manifest is a custom section `mix-plugin` of the component: JSON with `name`, `version`
//! and `needs`. The operator grants with `--grant NAME=…`. An instance gets what is in both, and
//! a plugin that needs what is not granted does not start.
//!
//! | need | grant | what an instance gets |
//! |---|---|---|
//! | `http`, `http:HOST` | `http`, `http:HOST` | outbound requests through the guard, to the hosts in both |
//! | `folder` | `folder` | a folder of its own for each app, at `/data` |
//! | `env:NAME` | `env:NAME` | that variable of this program |
//! | | `memory:SIZE`, `time:D`, `calls:N` | other limits than the usual ones |

use anyhow::{Context, Result, anyhow, bail};
use mix_sandbox::outbound::hosts::{HostPattern, Hosts};
use serde::Deserialize;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// Name of the section.
pub const SECTION: &str = "mix-plugin";

/// Deepest nesting of components and modules that is searched for the section.
const DEEPEST: usize = 8;

/// What a plugin says about itself.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Manifest {
    /// Its name, by which it is granted things.
    pub name: Option<String>,
    /// Its own version.
    pub version: Option<String>,
    /// What it cannot do without.
    pub needs: Vec<Need>,
}

/// What a plugin can need.
const KINDS: &str = "http, http:HOST, folder, env:NAME";

/// Something beyond its own memory that a plugin works with.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum Need {
    /// Outbound requests; without a pattern to any host.
    Http(Option<HostPattern>),
    /// A folder of its own.
    Folder,
    /// A variable.
    Variable(String),
}

impl FromStr for Need {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Need, String> {
        match text.split_once(':') {
            None if text == "http" => Ok(Need::Http(None)),
            None if text == "folder" => Ok(Need::Folder),
            Some(("http", host)) => Ok(Need::Http(Some(host.parse()?))),
            Some(("env", name)) if is_variable(name) => Ok(Need::Variable(name.to_owned())),
            _ => Err(format!("{text:?} is none of {KINDS}")),
        }
    }
}

impl TryFrom<String> for Need {
    type Error = String;

    fn try_from(text: String) -> std::result::Result<Need, String> {
        text.parse()
    }
}

impl fmt::Display for Need {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Need::Http(None) => f.write_str("http"),
            Need::Http(Some(host)) => write!(f, "http:{host}"),
            Need::Folder => f.write_str("folder"),
            Need::Variable(name) => write!(f, "env:{name}"),
        }
    }
}

fn is_variable(name: &str) -> bool {
    !name.is_empty()
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

impl Manifest {
    /// The manifest of a component; an empty one if it has none.
    pub fn of(component: &[u8]) -> Result<Manifest> {
        let Some(section) = section(component, DEEPEST) else {
            return Ok(Manifest::default());
        };
        let manifest = serde_json::Deserializer::from_slice(section)
            .into_iter::<serde_json::Map<String, serde_json::Value>>()
            .next()
            .ok_or_else(|| anyhow!("it is empty"))
            .and_then(|members| Ok(serde_json::from_value(members?.into())?));
        manifest.with_context(|| format!("its manifest (section {SECTION}) is malformed"))
    }
}

/// The first section of the name, in the component itself or in what is inside.
fn section(bytes: &[u8], depth: usize) -> Option<&[u8]> {
    let is_component = *bytes.get(6)? == 1;
    let mut rest = bytes.get(8..)?;
    let mut inside = Vec::new();
    while let Some((&id, after)) = rest.split_first() {
        let (size, after) = leb128(after)?;
        let content = after.get(..size)?;
        rest = &after[size..];
        match id {
            0 => {
                let (length, named) = leb128(content)?;
                if named.get(..length)? == SECTION.as_bytes() {
                    return Some(&named[length..]);
                }
            }
            // Core modules and components of a component.
            1 | 4 if is_component => inside.push(content),
            _ => {}
        }
    }
    if depth == 0 {
        return None;
    }
    inside.into_iter().find_map(|one| section(one, depth - 1))
}

fn leb128(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let mut value = 0u32;
    for (place, &byte) in bytes.iter().enumerate().take(5) {
        value |= u32::from(byte & 0x7f).checked_shl(7 * place as u32)?;
        if byte & 0x80 == 0 {
            return Some((value as usize, &bytes[place + 1..]));
        }
    }
    None
}

/// A component with a manifest of its own in place of none.
pub fn embed(component: &[u8], manifest: &str) -> Vec<u8> {
    let mut content = Vec::new();
    write_leb128(&mut content, SECTION.len());
    content.extend(SECTION.as_bytes());
    content.extend(manifest.as_bytes());
    let mut bytes = component.to_vec();
    bytes.push(0);
    write_leb128(&mut bytes, content.len());
    bytes.extend(content);
    bytes
}

fn write_leb128(bytes: &mut Vec<u8>, mut value: usize) {
    loop {
        let low = (value & 0x7f) as u8;
        value >>= 7;
        if value == 0 {
            bytes.push(low);
            return;
        }
        bytes.push(low | 0x80);
    }
}

/// What the operator gives a plugin: the argument of `--grant`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Grant {
    /// Name of the plugin.
    pub plugin: String,
    needs: Vec<Need>,
    limits: GivenLimits,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct GivenLimits {
    memory: Option<usize>,
    time: Option<Duration>,
    calls: Option<usize>,
}

/// What an instance may use up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Linear memory.
    pub memory: usize,
    /// Time of a function that never waits.
    pub time: Duration,
    /// Functions that wait, in flight at the same time.
    pub calls: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            memory: 256 << 20,
            time: Duration::from_secs(1),
            calls: 1000,
        }
    }
}

/// What a plugin is really given.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Allowance {
    /// The hosts that it may send requests to; `None`: no requests.
    pub http: Option<Hosts>,
    /// True if it has a folder.
    pub folder: bool,
    /// Variables with their values.
    pub variables: Vec<(String, String)>,
    /// Limits.
    pub limits: Limits,
}

impl Allowance {
    /// That of the families of the library: how many functions are in flight is up to
    /// the runs, which have limits of their own.
    pub fn of_family() -> Allowance {
        let limits = Limits {
            calls: usize::MAX,
            ..Limits::default()
        };
        Allowance {
            limits,
            ..Allowance::default()
        }
    }
}

impl Grant {
    /// True if it sets a limit.
    pub fn has_limits(&self) -> bool {
        self.limits != GivenLimits::default()
    }

    /// Is exactly this granted?
    pub fn names(&self, need: &Need) -> bool {
        self.needs.contains(need)
    }

    /// Does it cover a need? A need of any host is met by any host that is granted.
    pub fn gives(&self, need: &Need) -> bool {
        self.needs.iter().any(|given| match (given, need) {
            (Need::Http(None), Need::Http(_)) | (Need::Http(_), Need::Http(None)) => true,
            (Need::Http(Some(given)), Need::Http(Some(needed))) => given.covers(needed),
            _ => given == need,
        })
    }

    /// `NAME=http:api.example.com,folder,env:REGION,memory:64MiB,time:500ms,calls:16`, all parts optional.
    pub fn parse(
        text: &str,
        size: impl Fn(&str) -> std::result::Result<u64, String>,
        duration: impl Fn(&str) -> std::result::Result<Duration, String>,
    ) -> std::result::Result<Grant, String> {
        let (plugin, given) = text
            .split_once('=')
            .map(|(plugin, given)| (plugin.trim(), given.trim()))
            .filter(|(plugin, given)| !plugin.is_empty() && !given.is_empty())
            .ok_or("a grant is NAME=http,http:HOST,folder,env:NAME,memory:SIZE,time:D,calls:N")?;
        let mut grant = Grant {
            plugin: plugin.to_owned(),
            ..Grant::default()
        };
        for part in given
            .split(',')
            .map(str::trim)
            .filter(|part| !part.is_empty())
        {
            match part.split_once(':') {
                Some(("memory", value)) => grant.limits.memory = Some(size(value)? as usize),
                Some(("time", value)) => grant.limits.time = Some(duration(value)?),
                Some(("calls", value)) => {
                    let calls = value.parse().ok().filter(|calls| *calls > 0);
                    grant.limits.calls =
                        Some(calls.ok_or_else(|| format!("{value:?} is no number of calls"))?);
                }
                _ => grant.needs.push(part.parse().map_err(|error: String| {
                    // A grant may say more than a need.
                    match error.ends_with(KINDS) {
                        true => format!("{error}, memory:SIZE, time:D, calls:N"),
                        false => error,
                    }
                })?),
            }
        }
        Ok(grant)
    }
}

/// What a plugin gets: all that it needs, or an error that names what is missing.
pub fn allow(name: &str, manifest: &Manifest, grants: &[Grant]) -> Result<Allowance> {
    let mine: Vec<&Grant> = grants.iter().filter(|grant| grant.plugin == name).collect();
    let mut allowance = Allowance::default();
    let is_granted = |need: &Need| mine.iter().any(|grant| grant.gives(need));
    let missing: Vec<String> = (manifest.needs.iter())
        .filter(|need| !is_granted(need))
        .map(Need::to_string)
        .collect();
    match &missing[..] {
        [] => {}
        [one] => bail!("it needs {one}, which is not granted: add --grant {name}={one}"),
        several => {
            let all = several.join(",");
            bail!("it needs {all}, which are not granted: add --grant {name}={all}");
        }
    }
    for need in &manifest.needs {
        match need {
            Need::Http(Some(host)) => allowance.http.get_or_insert_default().add(host.clone()),
            // Any host will do, so it is the operator who says which.
            Need::Http(None) => {
                let granted = mine.iter().flat_map(|grant| &grant.needs);
                let hosts = allowance.http.get_or_insert_default();
                for given in granted {
                    match given {
                        Need::Http(Some(host)) => hosts.add(host.clone()),
                        Need::Http(None) => *hosts = Hosts::Any,
                        _ => {}
                    }
                }
            }
            Need::Folder => allowance.folder = true,
            Need::Variable(variable) => {
                let value = std::env::var(variable)
                    .map_err(|_| anyhow!("it needs {need}, but {variable} is not set"))?;
                allowance.variables.push((variable.clone(), value));
            }
        }
    }
    for GivenLimits {
        memory,
        time,
        calls,
    } in mine.iter().map(|grant| &grant.limits)
    {
        let limits = &mut allowance.limits;
        limits.memory = memory.unwrap_or(limits.memory);
        limits.time = time.unwrap_or(limits.time);
        limits.calls = calls.unwrap_or(limits.calls);
    }
    Ok(allowance)
}

#[cfg(test)]
mod tests {
    use super::*;

    const COMPONENT: &[u8] = b"\0asm\x0d\0\x01\0";

    fn grant(text: &str) -> std::result::Result<Grant, String> {
        Grant::parse(
            text,
            |size| size.parse().map_err(|_| format!("{size:?} is no size")),
            |time| Ok(Duration::from_millis(time.parse().map_err(|_| "no time")?)),
        )
    }

    #[test]
    fn a_manifest_is_found_where_it_is() {
        assert_eq!(Manifest::of(COMPONENT).unwrap(), Manifest::default());
        let text = r#"{"name":"words","needs":["http","env:REGION"]}"#;
        let with = embed(COMPONENT, text);
        let manifest = Manifest::of(&with).unwrap();
        assert_eq!(manifest.name.as_deref(), Some("words"));
        assert_eq!(
            manifest.needs,
            [Need::Http(None), Need::Variable("REGION".into())]
        );
        // Inside of a component, and behind other sections.
        let mut outer = COMPONENT.to_vec();
        outer.extend([0, 3, 1, b'x', 9, 4]);
        write_leb128(&mut outer, with.len());
        outer.extend(&with);
        assert_eq!(Manifest::of(&outer).unwrap(), manifest);
        for bad in ["", "[]", r#"{"needs":["disk"]}"#, r#"{"color":1}"#] {
            assert!(Manifest::of(&embed(COMPONENT, bad)).is_err(), "{bad}");
        }
        // What is cut off holds no manifest and does no harm.
        for length in 0..outer.len() {
            let _ = Manifest::of(&outer[..length]);
        }
    }

    #[test]
    fn all_that_is_missing_is_said_at_once() {
        let manifest = Manifest {
            name: None,
            version: None,
            needs: vec![
                Need::Folder,
                Need::Variable("REGION".to_owned()),
                Need::Http(None),
            ],
        };
        let refused = |grants: &[Grant]| allow("words", &manifest, grants).unwrap_err().to_string();
        let all = "it needs folder,env:REGION,http, which are not granted: add --grant words=folder,env:REGION,http";
        assert_eq!(refused(&[]), all);
        let one = "it needs http, which is not granted: add --grant words=http";
        assert_eq!(refused(&[grant("words=folder,env:REGION").unwrap()]), one);
        // A grant may say more than a need.
        let wrong = grant("words=magic").unwrap_err();
        assert!(
            wrong.ends_with("env:NAME, memory:SIZE, time:D, calls:N"),
            "{wrong}"
        );
    }

    #[test]
    fn only_what_is_needed_and_granted_is_given() {
        let manifest = Manifest {
            needs: vec![Need::Http(None)],
            ..Manifest::default()
        };
        let error = allow("words", &manifest, &[]).unwrap_err().to_string();
        assert!(error.contains("--grant words=http"), "{error}");
        let other = grant("other=http").unwrap();
        assert!(allow("words", &manifest, &[other]).is_err());
        let grants = [grant("words=http,folder,memory:1000,time:20,calls:3").unwrap()];
        let given = allow("words", &manifest, &grants).unwrap();
        assert!(given.http == Some(Hosts::Any) && !given.folder);
        let limits = Limits {
            memory: 1000,
            time: Duration::from_millis(20),
            calls: 3,
        };
        assert_eq!(given.limits, limits);
        let unset = Manifest {
            needs: vec![Need::Variable("MIX_NO_SUCH_VARIABLE".into())],
            ..Manifest::default()
        };
        let grants = [grant("words=env:MIX_NO_SUCH_VARIABLE").unwrap()];
        let error = allow("words", &unset, &grants).unwrap_err().to_string();
        assert!(error.contains("not set"), "{error}");
    }

    #[test]
    fn hosts_are_those_of_need_and_grant() {
        let given = |needs: &[&str], granted: &str| {
            let needs: Result<Vec<Need>, String> = needs.iter().map(|need| need.parse()).collect();
            let manifest = Manifest {
                needs: needs.expect("needs"),
                ..Manifest::default()
            };
            allow("words", &manifest, &[grant(granted).expect("a grant")])
                .map(|allowance| allowance.http.expect("requests"))
        };
        let one = given(&["http:api.example.com"], "words=http").unwrap();
        assert!(one.allow("api.example.com", Some(443)) && !one.allow("example.com", Some(443)));
        let one = given(&["http"], "words=http:*.example.com,http:b.org:8443").unwrap();
        assert!(one.allow("api.example.com", Some(443)) && one.allow("b.org", Some(8443)));
        assert!(!one.allow("b.org", Some(443)) && !one.allow("c.org", Some(443)));
        let one = given(&["http:api.example.com"], "words=http:*.example.com").unwrap();
        assert!(one.allow("api.example.com", Some(443)) && !one.allow("x.example.com", Some(443)));
        assert_eq!(
            given(&["http"], "words=http:a.org,http").unwrap(),
            Hosts::Any
        );
        for (need, granted) in [
            ("http:a.org", "words=http:b.org"),
            ("http:a.org", "words=http:a.org:8443"),
            ("http:*.a.org", "words=http:x.a.org"),
            ("http", "words=folder"),
        ] {
            let error = given(&[need], granted).unwrap_err().to_string();
            let mend = format!("--grant words={need}");
            assert!(error.contains(&mend), "{error}");
        }
    }

    #[test]
    fn malformed_grants_are_refused() {
        for bad in [
            "words=http:",
            "words=http:a b",
            "words=http:*",
            "words=http:a*.org",
            "words=http:a.org:0",
            "words=http:https://a.org",
            "words",
            "words=disk",
            "words=env:",
            "words=calls:0",
            "words=memory:x",
        ] {
            assert!(grant(bad).is_err(), "{bad}");
        }
    }
}
