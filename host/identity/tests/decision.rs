//! The decision against a model that is written as the rules are: sets and loops, nothing shared with the code.

use mix_identity::{
    Caller, Grant, Permission, RunningAgent, Subject, Target, TokenKind, User, Workspace, allow,
};
use proptest::prelude::*;
use proptest::sample::select;

const PERMISSIONS: [(Permission, &str); 7] = [
    (Permission::Run, "run"),
    (Permission::Export, "export"),
    (Permission::Read, "read"),
    (Permission::Write, "write"),
    (Permission::GrantPermissions, "grant_permissions"),
    (Permission::Delete, "delete"),
    (Permission::CreateDb, "create_db"),
];
const SUBJECTS: [&str; 9] = [
    "user/ada@example.com",
    "user/bo@example.com",
    "user/sub:42",
    "domain/example.com",
    "domain/other.org",
    "agent/here:local.shop.bill",
    "agent/here:local.shop.other",
    "all-users",
    "anonymous",
];
const ROLES: [&str; 4] = ["runner", "editor", "admin", "db/creator"];
const RESOURCES: [&str; 6] = [
    "workspace",
    "db/shop",
    "db/blog",
    "agent/shop/bill",
    "agent/blog/post",
    "command/convert",
];

fn caller() -> impl Strategy<Value = Caller> {
    let user = select(vec![
        None,
        Some(User::Email("ada@example.com".to_owned())),
        Some(User::Email("eve@sub.example.com".to_owned())),
        Some(User::Sub("42".to_owned())),
        Some(User::Sub("ada@example.com".to_owned())),
    ]);
    let agent = select(vec![
        None,
        Some(("here", "local", true)),
        Some(("here", "elsewhere", true)),
        Some(("there", "local", false)),
        Some(("here", "local", false)),
    ]);
    (user, agent, any::<bool>()).prop_map(|(user, agent, process)| Caller {
        kind: match (&user, process) {
            (None, _) => TokenKind::Anonymous,
            (Some(_), true) => TokenKind::Process,
            (Some(_), false) => TokenKind::KeySet,
        },
        user,
        agent: agent.map(|(server, workspace, here)| RunningAgent {
            servers: [server.to_owned()].into(),
            workspace: workspace.to_owned(),
            app: "shop".to_owned(),
            agent: "bill".to_owned(),
            here,
        }),
    })
}

fn target() -> impl Strategy<Value = (Target, &'static str)> {
    let app = |name: &str| Target::App(name.to_owned());
    let agent = |app: &str, name: &str| Target::Agent(app.to_owned(), name.to_owned());
    select(vec![
        (Target::Workspace, "workspace"),
        (app("shop"), "db/shop"),
        (app("blog"), "db/blog"),
        (agent("shop", "bill"), "agent/shop/bill"),
        (agent("shop", "other"), "agent/shop/other"),
        (agent("blog", "post"), "agent/blog/post"),
        (Target::Command("convert".to_owned()), "command/convert"),
    ])
}

/// Triples, also ones that cannot be granted: the decision must not rely on what was let in.
fn triple() -> impl Strategy<Value = (&'static str, &'static str, &'static str)> {
    (
        select(&SUBJECTS[..]),
        select(&ROLES[..]),
        select(&RESOURCES[..]),
    )
}

fn grant(triple: &(&str, &str, &str)) -> Grant {
    Grant {
        subject: Subject::parse(triple.0).expect("a subject"),
        role: mix_identity::Role::parse(triple.1).expect("a role"),
        resource: mix_identity::Resource::parse(triple.2).expect("a resource"),
    }
}

/// The texts of all subjects that the caller matches.
fn subjects(caller: &Caller) -> Vec<String> {
    let mut all = vec!["anonymous".to_owned()];
    if let Some(user) = &caller.user {
        let name = match user {
            User::Email(email) => email.clone(),
            User::Sub(sub) => format!("sub:{sub}"),
        };
        all.push("all-users".to_owned());
        all.push(format!("user/{name}"));
        if let User::Email(email) = user {
            let host = email.split('@').nth(1).expect("an e-mail has a host");
            all.push(format!("domain/{host}"));
        }
    }
    if let Some(agent) = &caller.agent {
        all.push(format!(
            "agent/{}:{}.{}.{}",
            agent.servers[0], agent.workspace, agent.app, agent.agent
        ));
    }
    all
}

fn model(
    caller: &Caller,
    permission: &str,
    exists: bool,
    owner: Option<&str>,
    triples: &[(&str, &str, &str)],
    target: &str,
    admins: &[&str],
) -> bool {
    let mine = subjects(caller);
    let has = |subject: &str| mine.iter().any(|one| one == subject);
    let is_command = target.starts_with("command/");
    if caller.kind != TokenKind::Anonymous && admins.iter().any(|admin| has(admin)) {
        return true;
    }
    if !exists {
        return false;
    }
    if let Some(owner) = owner
        && has(&format!("user/{owner}"))
        && !is_command
    {
        return true;
    }
    if let Some(agent) = &caller.agent
        && agent.here
        && agent.workspace == "local"
        && (target == "db/shop" || target.starts_with("agent/shop/"))
    {
        return true;
    }
    triples.iter().any(|(subject, role, resource)| {
        let permissions: &[&str] = match *role {
            "runner" => &["run"],
            "editor" => &["run", "export", "read", "write"],
            "admin" => &[
                "run",
                "export",
                "read",
                "write",
                "grant_permissions",
                "delete",
                "create_db",
            ],
            _ => &["create_db"],
        };
        let kind = resource.split('/').next().expect("a first part");
        let allowed_on: &[&str] = match *role {
            "runner" => &["agent", "db", "workspace", "command"],
            "editor" | "admin" => &["db", "workspace"],
            _ => &["workspace"],
        };
        let covers = match kind {
            "workspace" => !is_command,
            "db" => {
                let app = &resource[3..];
                target == *resource || target.starts_with(&format!("agent/{app}/"))
            }
            _ => target == *resource,
        };
        has(subject)
            && permissions.contains(&permission)
            && allowed_on.contains(&kind)
            && covers
            && (permission != "create_db" || target == "workspace")
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20_000))]
    #[test]
    fn the_decision_is_that_of_the_rules(
        caller in caller(),
        (permission, name) in select(&PERMISSIONS[..]),
        exists in prop::bool::weighted(0.9),
        owner in select(vec![None, None, Some("ada@example.com"), Some("sub:42"), Some("bo@example.com")]),
        triples in prop::collection::vec(triple(), 0..4),
        (target, text) in target(),
        admins in prop::collection::vec(select(&SUBJECTS[..5]), 0..2),
    ) {
        let workspace = Workspace {
            name: "local".to_owned(),
            exists,
            owner: owner.map(str::to_owned),
            grants: triples.iter().map(grant).collect(),
        };
        let server_admins: Vec<Subject> =
            admins.iter().map(|text| Subject::parse(text).expect("a subject")).collect();
        prop_assert_eq!(
            allow(&caller, permission, &workspace, &target, &server_admins),
            model(&caller, name, exists, owner, &triples, text, &admins)
        );
    }
}
