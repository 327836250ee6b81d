//! What a plugin inside a composed component is given.
//!
//! Inside `mixer` a plugin has a store of its own, and the host gives that store what was granted.
//! In a composed component there is one store for all, and whatever one part imports the others
//! could import as well. So a plugin is kept from what it was not granted by a component in front
//! of it ([`super::refusal`]): the imports that reach outside are connected to that
//! one instead of the host, and it refuses.
//!
//! | what a plugin imports | it was granted | it gets |
//! |---|---|---|
//! | folders (`wasi:filesystem/preopens`) | | none |
//! | requests (`wasi:http/outgoing-handler`, `client`, `handler`) | `http` | those of the host |
//! | | nothing | a refusal |
//! | sockets and names (`wasi:sockets`), what is not known here | | a refusal |
//! | variables (`wasi:cli/environment`) | `env:NAME` | that one of the host |
//! | | nothing | none |
//! | standard streams, clocks, random bytes, handles it was given | | those of the host |

use super::refusal::{self, Refusal};
use crate::manifest::{Grant, Need};
use anyhow::{Context, Result, bail};
use wit_component::{DecodedWasm, decode};
use wit_parser::{WorldItem, WorldKey};

/// What a plugin gets of what reaches outside.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Given {
    /// Outbound requests, to any host.
    pub http: bool,
    /// Variables of the host, by name.
    pub variables: Vec<String>,
}

impl Given {
    /// As its operator would grant it.
    pub fn to_texts(&self) -> Vec<String> {
        let http = self.http.then(|| Need::Http(None).to_string());
        let variables = self.variables.iter();
        let variables = variables.map(|name| Need::Variable(name.clone()).to_string());
        http.into_iter().chain(variables).collect()
    }
}

/// What of its needs a plugin gets inside a component; an error that names what is missing, or
/// what a component cannot keep to what is granted.
pub fn given(name: &str, needs: &[Need], grants: &[Grant]) -> Result<Given> {
    let mine: Vec<&Grant> = grants.iter().filter(|grant| grant.plugin == name).collect();
    if mine.iter().any(|grant| grant.has_limits()) {
        bail!(
            "limits of memory, time and calls hold for plugins of `mixer run` and `mixer serve`; in a component {name} shares those of the whole: leave them out"
        );
    }
    let mut given = Given::default();
    for need in needs {
        if !mine.iter().any(|grant| grant.gives(need)) {
            bail!("it needs {need}, which is not granted: add --grant {name}={need}");
        }
        match need {
            Need::Http(_) => {
                let any = Need::Http(None);
                if !mine.iter().any(|grant| grant.names(&any)) {
                    bail!(
                        "a component cannot keep its requests to one host: grant {name}=http if it may ask any, or use it with `mixer serve --plugin`"
                    );
                }
                given.http = true;
            }
            Need::Folder => bail!(
                "it needs a folder of its own, which a component cannot keep apart from the folders of its host: use it with `mixer serve --plugin`"
            ),
            Need::Variable(variable) if given.variables.contains(variable) => {}
            Need::Variable(variable) => given.variables.push(variable.clone()),
        }
    }
    Ok(given)
}

/// What of a host is harmless: clocks, random bytes, standard streams, waiting for handles that it was
/// given, and the contract itself.
const HARMLESS: [&str; 6] = [
    "mix:ffi/",
    "mix:packed/",
    "wasi:cli/",
    "wasi:clocks/",
    "wasi:io/",
    "wasi:random/",
];

/// Shapes, and what is done with a file, a request or a socket that nobody gets.
const SHAPES: [&str; 6] = [
    "wasi:filesystem/types",
    "wasi:http/types",
    "wasi:sockets/network",
    "wasi:sockets/instance-network",
    "wasi:sockets/tcp",
    "wasi:sockets/udp",
];

/// How an imported interface is kept from a plugin; `None`: it is not. What is not known is kept.
fn refusal(interface: &str, given: &Given) -> Option<Refusal> {
    let name = interface.split('@').next().unwrap_or(interface);
    if name == "wasi:cli/environment" {
        return Some(Refusal::Variables);
    }
    let is_open = SHAPES.contains(&name)
        || HARMLESS.iter().any(|package| name.starts_with(package))
        || given.http && name.starts_with("wasi:http/");
    (!is_open).then_some(Refusal::All)
}

/// A component that stands in front of a plugin, and the interfaces that the plugin gets from it.
pub struct Front {
    /// The component.
    pub component: Vec<u8>,
    /// Names of the interfaces.
    pub interfaces: Vec<String>,
}

/// What stands between a plugin and its host; none if it imports nothing that reaches outside.
pub fn front(plugin: &[u8], given: &Given) -> Result<Option<Front>> {
    let DecodedWasm::Component(mut resolve, world) = decode(plugin)? else {
        bail!("it is the description of an interface, not a component");
    };
    let mut kept = Vec::new();
    let mut refused = Vec::new();
    let all = std::mem::take(&mut resolve.worlds[world].imports);
    for (key, item) in all {
        let name = resolve.name_world_key(&key);
        match refusal(&name, given) {
            Some(how) if !matches!(item, WorldItem::Type { .. }) => refused.push((key, item, how)),
            _ => kept.push((key, item)),
        }
    }
    if refused.is_empty() {
        return Ok(None);
    }
    let interfaces = refused
        .iter()
        .map(|(key, ..)| resolve.name_world_key(key))
        .collect();
    // The variables themselves come from the host, if there are any to come.
    let is_asked = |how: &Refusal| *how == Refusal::Variables && !given.variables.is_empty();
    let asked = refused.iter().filter(|(.., how)| is_asked(how));
    let imports: Vec<(WorldKey, WorldItem)> = asked
        .map(|(key, item, _)| (key.clone(), item.clone()))
        .chain(kept)
        .collect();
    resolve.worlds[world].imports = imports.into_iter().collect();
    resolve.worlds[world].exports = refused
        .iter()
        .map(|(key, item, _)| (key.clone(), item.clone()))
        .collect();
    let component = refusal::component(&resolve, world, &given.variables)
        .context("what it imports cannot be kept from it")?;
    Ok(Some(Front {
        component,
        interfaces,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn grants(text: &str) -> Vec<Grant> {
        let all = text.split(';').filter(|one| !one.is_empty());
        all.map(|one| {
            let size = |_: &str| Ok(1);
            Grant::parse(one, size, |_| Ok(Duration::from_secs(1))).expect("a grant")
        })
        .collect()
    }

    fn given_of(needs: &[&str], granted: &str) -> Result<Given, String> {
        let needs: Vec<Need> = needs
            .iter()
            .map(|need| need.parse().expect("a need"))
            .collect();
        given("p", &needs, &grants(granted)).map_err(|error| error.to_string())
    }

    #[test]
    fn needs_are_met_as_far_as_a_component_can() {
        assert_eq!(given_of(&[], ""), Ok(Given::default()));
        let both = given_of(&["http:a.org", "env:KEY"], "p=http;p=env:KEY,env:OTHER").unwrap();
        assert_eq!((both.http, both.variables), (true, vec!["KEY".to_owned()]));
        for (need, granted, part) in [
            ("http", "", "--grant p=http"),
            ("env:KEY", "p=env:OTHER", "--grant p=env:KEY"),
            ("http", "other=http", "--grant p=http"),
            ("http", "p=http:a.org", "one host"),
            ("folder", "p=folder", "folder of its own"),
            ("http", "p=http,memory:1", "limits"),
        ] {
            let error = given_of(&[need], granted).unwrap_err();
            assert!(error.contains(part), "{error}");
        }
    }

    #[test]
    fn what_reaches_outside_is_kept() {
        let nothing = Given::default();
        let http = Given {
            http: true,
            ..Given::default()
        };
        for (interface, with_nothing, with_http) in [
            ("wasi:filesystem/preopens@0.2.6", true, true),
            ("wasi:filesystem/types@0.3.0", false, false),
            ("wasi:http/outgoing-handler@0.2.6", true, false),
            ("wasi:http/client@0.3.0", true, false),
            ("wasi:http/types@0.3.0", false, false),
            ("wasi:sockets/tcp-create-socket@0.2.6", true, true),
            ("wasi:sockets/types@0.3.0", true, true),
            ("wasi:cli/environment@0.2.6", true, true),
            ("wasi:cli/stderr@0.2.6", false, false),
            ("wasi:random/random@0.2.6", false, false),
            ("mix:ffi/types@1.0.0", false, false),
            ("mix:packed/types@0.1.0", false, false),
            // What is not known is kept from it.
            ("wasi:keyvalue/store@0.2.0", true, true),
            ("wasi:http-extras/client@0.3.0", true, true),
            ("elsewhere", true, true),
        ] {
            assert_eq!(
                refusal(interface, &nothing).is_some(),
                with_nothing,
                "{interface}"
            );
            assert_eq!(
                refusal(interface, &http).is_some(),
                with_http,
                "{interface}"
            );
        }
    }
}
