//! What the OpenAPI document says about each action of the interface.

use crate::route::Action;

/// What the document says about an action.
pub(super) struct About {
    pub(super) tag: &'static str,
    pub(super) summary: &'static str,
    /// Names and types of query parameters.
    pub(super) query: &'static [(&'static str, &'static str)],
    pub(super) body: Body,
    pub(super) success: &'static [(u16, Answer)],
}

/// Bodies of requests.
#[derive(Clone, Copy)]
pub(super) enum Body {
    None,
    /// Any JSON value, forms included where stated.
    Any,
    /// Bytes.
    Bytes,
    /// Bytes, or an object that says where they lie.
    BytesOr(&'static [(&'static str, &'static str, bool)]),
    /// An object with these members: name, type, required.
    Object(&'static [(&'static str, &'static str, bool)]),
}

/// Bodies of responses.
#[derive(Clone, Copy)]
pub(super) enum Answer {
    Empty,
    Text,
    Bytes,
    Value,
    Object,
    Array,
    Events,
    /// A value of this type, as JSON or as MessagePack.
    Packed(&'static str),
    /// A file, as what it is.
    File,
    /// A file, or what is in a folder.
    Content,
    /// A part of a page.
    Page,
    /// What an agent gives: a value, or the events of its run.
    Run,
}

const RUN: &[(&str, &str)] = &[
    ("timeout", "integer"),
    ("include_raw_body", "boolean"),
    ("inputEscEnabled", "boolean"),
    ("outputEscEnabled", "boolean"),
    ("field", "string"),
    ("async", "boolean"),
];

const PROVIDER: &[(&str, &str, bool)] = &[
    ("id", "string?", false),
    ("type", "string", true),
    ("name", "string", true),
    ("client_id", "string", true),
    ("client_secret", "string?", false),
    ("auth_url", "string?", false),
    ("token_url", "string?", false),
    ("userinfo_url", "string?", false),
    ("endpoint", "string?", false),
    ("domain", "string?", false),
    ("callback", "string?", false),
    ("default", "boolean?", false),
    ("store_token", "boolean?", false),
    ("offline", "boolean?", false),
    ("scopes", "array?", false),
    ("token_extras", "array?", false),
    ("redirects", "array?", false),
    ("token_lifetime", "integer?", false),
    ("force_refresh_after", "integer?", false),
    ("auth_url_params", "object?", false),
    ("headers", "object?", false),
];

const QUERY: &[(&str, &str)] = &[
    ("query", "string"),
    ("queryAST", "string"),
    ("params", "string"),
    ("includeDeleted", "boolean"),
    ("includeSuperseded", "boolean"),
    ("includeHistory", "boolean"),
    ("skip", "integer"),
    ("limit", "integer"),
    ("asOf", "string"),
];

/// What is said about an action.
pub(super) fn about(action: Action) -> About {
    use Answer::{
        Array, Bytes, Content, Empty, Events, File, Object, Packed, Page, Run, Text, Value,
    };
    let made = |tag, summary, query, body, success| About {
        tag,
        summary,
        query,
        body,
        success,
    };
    let server = "Server";
    let workspaces = "Workspaces";
    let apps = "Apps and metadata";
    let agents = "Agents and grants";
    let documents = "Documents and queries";
    let signals = "Signals and topics";
    let sign_in = "Sign-in";
    let tools = "Tools";
    let packages = "Packages";
    let files = "Files";
    match action {
        Action::Root => made(
            server,
            "Program and version",
            &[],
            Body::None,
            &[(200, Text)],
        ),
        Action::Health => made(
            server,
            "The server is up",
            &[],
            Body::None,
            &[(200, Object)],
        ),
        Action::Ready => made(
            server,
            "The server can serve",
            &[],
            Body::None,
            &[(200, Object), (503, Object)],
        ),
        Action::OpenApi => made(server, "This document", &[], Body::None, &[(200, Object)]),
        Action::Swagger => made(
            server,
            "This document as pages (Swagger UI)",
            &[],
            Body::None,
            &[(200, Page), (308, Empty)],
        ),
        Action::ListWorkspaces => made(
            workspaces,
            "Workspaces in which the caller has a grant",
            &[],
            Body::None,
            &[(200, Object)],
        ),
        Action::CreateWorkspace => made(
            workspaces,
            "A new workspace",
            &[],
            Body::Object(&[("name", "string?", false)]),
            &[(201, Object)],
        ),
        Action::GetWorkspace => made(
            workspaces,
            "Apps that the caller has a grant for",
            &[],
            Body::None,
            &[(200, Object)],
        ),
        Action::PatchWorkspace => made(
            workspaces,
            "Changes org or owner",
            &[],
            Body::Object(&[("org", "string?", false), ("owner", "string?", false)]),
            &[(200, Object)],
        ),
        Action::DeleteWorkspace => made(
            workspaces,
            "Deletes a workspace",
            &[],
            Body::None,
            &[(204, Empty)],
        ),
        Action::FlushWorkspace => made(
            workspaces,
            "Drops cached programs, makes records durable",
            &[],
            Body::None,
            &[(204, Empty)],
        ),
        Action::GetApp => made(
            apps,
            "What the caller may run",
            &[],
            Body::None,
            &[(200, Object)],
        ),
        Action::CreateApp => made(apps, "A new app", &[], Body::Any, &[(201, Object)]),
        Action::DeleteApp => made(apps, "Deletes an app", &[], Body::None, &[(204, Empty)]),
        Action::GetAppMeta | Action::GetAppmeta => made(
            apps,
            "Metadata of an app",
            &[],
            Body::None,
            &[(200, Packed("object"))],
        ),
        Action::GetRuntime => made(
            apps,
            "Settings of the app's runtime",
            &[],
            Body::None,
            &[(200, Packed("object"))],
        ),
        Action::ListAppmeta => made(
            apps,
            "Metadata of all visible apps",
            &[],
            Body::None,
            &[(200, Packed("array"))],
        ),
        Action::PutAppmeta => made(
            apps,
            "Replaces metadata; makes the app if it is absent",
            &[],
            Body::Any,
            &[(200, Object), (201, Object)],
        ),
        Action::PatchAppmeta => made(
            apps,
            "Merges metadata; null removes",
            &[],
            Body::Any,
            &[(200, Object)],
        ),
        Action::ListGrants => made(agents, "Grants", &[], Body::None, &[(200, Array)]),
        Action::AddGrant => made(
            agents,
            "A new grant",
            &[],
            Body::Object(&[
                ("subject", "string", true),
                ("role", "string", true),
                ("resource", "string?", false),
            ]),
            &[(200, Object), (201, Object)],
        ),
        Action::GetGrant => made(agents, "A grant", &[], Body::None, &[(200, Object)]),
        Action::DeleteGrant => made(agents, "Revokes a grant", &[], Body::None, &[(204, Empty)]),
        Action::DescribeAgent => made(
            agents,
            "Parameters and output",
            &[],
            Body::None,
            &[(200, Object)],
        ),
        Action::RunAgent => made(
            agents,
            "Runs an agent, an alias or a registered query",
            RUN,
            Body::Any,
            &[(200, Run), (202, Object)],
        ),
        Action::PostDocuments => made(
            documents,
            "Saves records",
            &[("options", "string")],
            Body::Any,
            &[(201, Text)],
        ),
        Action::DeleteDocuments => made(
            documents,
            "Deletes records",
            &[("ids", "string")],
            Body::None,
            &[(200, Packed("object"))],
        ),
        Action::GetDocument => made(
            documents,
            "A record",
            &[],
            Body::None,
            &[(200, Packed("object"))],
        ),
        Action::DeleteDocument => made(
            documents,
            "Deletes a record",
            &[],
            Body::None,
            &[(204, Empty)],
        ),
        Action::Save => made(
            documents,
            "Saves, upserts or deletes as one commit",
            &[],
            Body::Object(&[
                ("records", "array", false),
                ("record", "any", false),
                ("op", "string", false),
                ("options", "array", false),
                ("projection", "any", false),
                ("want", "string", false),
            ]),
            &[(200, Packed("object"))],
        ),
        Action::Query => made(
            documents,
            "Runs a query",
            QUERY,
            Body::Object(&[
                ("query", "string", false),
                ("queryAST", "array", false),
                ("params", "object", false),
                ("includeDeleted", "boolean", false),
                ("includeSuperseded", "boolean", false),
                ("includeHistory", "boolean", false),
                ("skip", "integer", false),
                ("limit", "integer", false),
                ("asOf", "any", false),
                ("label", "string", false),
                ("explain", "boolean", false),
            ]),
            &[(200, Packed("any")), (304, Empty)],
        ),
        Action::ParseQuery => made(
            documents,
            "Clauses and parameters of a query",
            &[("query", "string"), ("queryAST", "string")],
            Body::Object(&[("query", "string", false), ("queryAST", "array", false)]),
            &[(200, Packed("object"))],
        ),
        Action::PutQuery => made(
            documents,
            "Registers a query",
            &[],
            Body::Object(&[
                ("name", "string", false),
                ("ast", "array", false),
                ("query", "string", false),
                ("description", "string", false),
                ("db", "string", false),
                ("skip", "integer", false),
                ("limit", "integer", false),
                ("include_superseded", "boolean", false),
                ("include_deleted", "boolean", false),
                ("params", "object", false),
            ]),
            &[(200, Object), (201, Object)],
        ),
        Action::DeleteQuery => made(
            documents,
            "Deletes a registered query",
            &[],
            Body::None,
            &[(204, Empty)],
        ),
        Action::RunQuery => made(
            documents,
            "Runs a registered query",
            RUN,
            Body::Any,
            // With `field` that member alone, or null.
            &[(200, Packed("any"))],
        ),
        Action::Raw => made(
            documents,
            "The bytes of a member",
            &[("data", "string")],
            Body::None,
            &[(200, File)],
        ),
        Action::Metrics => made(
            server,
            "Measurements in the text form of Prometheus",
            &[],
            Body::None,
            &[(200, Text)],
        ),
        Action::Install => made(
            packages,
            "Installs a package",
            &[
                ("force", "boolean"),
                ("dry_run", "boolean"),
                ("platform", "string"),
                ("surface", "string"),
            ],
            Body::BytesOr(&[
                ("url", "string", true),
                ("token", "string?", false),
                ("force", "boolean?", false),
                ("dry_run", "boolean?", false),
                ("platform", "string?", false),
                ("surface", "string?", false),
            ]),
            &[(200, Object)],
        ),
        Action::PushExport => made(
            packages,
            "Sends the whole workspace to another server",
            &[],
            Body::Object(&[
                ("url", "string", true),
                ("ws", "string?", false),
                ("token", "string?", false),
            ]),
            &[(200, Object)],
        ),
        Action::Export => made(
            packages,
            "The whole workspace as a package",
            &[("history", "boolean")],
            Body::None,
            &[(200, Bytes)],
        ),
        Action::Import => made(
            packages,
            "A workspace from an exported one",
            &[
                ("ws", "string"),
                ("replace", "boolean"),
                ("grants", "boolean"),
            ],
            Body::BytesOr(&[
                ("url", "string", true),
                ("token", "string?", false),
                ("ws", "string?", false),
            ]),
            &[(201, Object)],
        ),
        Action::WorkspaceKeys | Action::ServerKeys => made(
            sign_in,
            "Public keys of the tokens that are issued",
            &[],
            Body::None,
            &[(200, Object)],
        ),
        Action::ListAuthConfigs => made(
            sign_in,
            "Providers through which users sign in, or the one of a name",
            &[("name", "string")],
            Body::None,
            &[(200, Value)],
        ),
        Action::AddAuthConfig => made(
            sign_in,
            "A new provider",
            &[],
            Body::Object(PROVIDER),
            &[(201, Object)],
        ),
        Action::GetAuthConfig => made(sign_in, "A provider", &[], Body::None, &[(200, Object)]),
        Action::PutAuthConfig => made(
            sign_in,
            "Describes a provider anew",
            &[],
            Body::Object(PROVIDER),
            &[(200, Object)],
        ),
        Action::PatchAuthConfig => made(
            sign_in,
            "Changes a provider; null removes",
            &[],
            Body::Any,
            &[(200, Object)],
        ),
        Action::DeleteAuthConfig => made(
            sign_in,
            "Deletes a provider",
            &[],
            Body::None,
            &[(204, Empty)],
        ),
        Action::BeginSignIn => made(
            sign_in,
            "Sends the browser to the provider",
            &[("redirect", "string")],
            Body::None,
            &[(302, Empty)],
        ),
        Action::ReturnSignIn => made(
            sign_in,
            "Where the provider sends the browser back to",
            &[("state", "string"), ("code", "string"), ("error", "string")],
            Body::None,
            &[(302, Empty)],
        ),
        Action::ExchangeToken => made(
            sign_in,
            "A token of the workspace for one of the provider",
            &[("idToken", "string"), ("accessToken", "string")],
            Body::Object(&[
                ("idToken", "string?", false),
                ("accessToken", "string?", false),
            ]),
            &[(200, Object)],
        ),
        Action::OriginalToken => made(
            sign_in,
            "The token that the provider has given for the caller",
            &[("token", "string")],
            Body::Object(&[]),
            &[(200, Object)],
        ),
        Action::CountActivities => made(
            workspaces,
            "Counts entries of the activity log",
            &[],
            Body::Object(&[
                ("subject", "string?", false),
                ("activity", "string?", false),
                ("start", "any", false),
                ("end", "any", false),
            ]),
            &[(200, Object)],
        ),
        Action::Modify => made(
            documents,
            "Work on the records of an app as a whole",
            &[],
            Body::Object(&[
                ("op", "string", true),
                ("rows", "array", false),
                ("superseded", "boolean", false),
                ("deleted", "boolean", false),
                ("ids", "array", false),
                ("cutoff", "any", false),
                ("keepHistory", "boolean", false),
                ("keepDeleted", "boolean", false),
            ]),
            &[(200, Object)],
        ),
        Action::GetFile => made(
            files,
            "The content of a file",
            &[("_rmx_exp", "string"), ("_rmx_sig", "string")],
            Body::None,
            &[(200, File), (206, File), (302, Empty), (304, Empty)],
        ),
        Action::GetContent => made(
            files,
            "A file, or what a folder holds",
            &[
                ("path", "string"),
                ("recursive", "boolean"),
                ("after", "string"),
            ],
            Body::None,
            &[(200, Content), (206, File), (304, Empty)],
        ),
        Action::PutContent => made(
            files,
            "Writes a file",
            &[("path", "string"), ("force", "boolean")],
            Body::Bytes,
            &[(200, Object), (201, Object)],
        ),
        Action::PostContent => made(
            files,
            "Writes a file from a form (path, data, force)",
            &[],
            Body::Any,
            &[(200, Object), (201, Object)],
        ),
        Action::DeleteContent => made(
            files,
            "Deletes a file, or all files below a folder",
            &[("path", "string")],
            Body::None,
            &[(204, Empty)],
        ),
        Action::GetProps => made(
            files,
            "What is known about a file",
            &[("path", "string")],
            Body::None,
            &[(200, Object)],
        ),
        Action::PatchProps => made(
            files,
            "Renames a file",
            &[("path", "string"), ("change_path", "string")],
            Body::None,
            &[(200, Object)],
        ),
        Action::CopyFile => made(
            files,
            "Copies a file",
            &[
                ("src", "string"),
                ("src_app", "string"),
                ("path", "string"),
                ("force", "boolean"),
            ],
            Body::None,
            &[(200, Object), (201, Object)],
        ),
        Action::RegisterFile => made(
            files,
            "Reserves a path for an upload; a form (path, reg_url, reg_metadata)",
            &[],
            Body::Any,
            &[(201, Object)],
        ),
        Action::CreateLink => made(
            files,
            "A link that runs an endpoint with the rights of its maker",
            &[],
            Body::Object(&[("endpoint", "string", true), ("expires", "any", false)]),
            &[(201, Object)],
        ),
        Action::FollowLink => made(
            files,
            "What the endpoint of the link answers",
            &[],
            Body::Any,
            &[(200, Run), (206, File), (302, Empty), (304, Empty)],
        ),
        Action::DeleteLink => made(files, "Deletes a link", &[], Body::None, &[(204, Empty)]),
        Action::Upload => made(
            files,
            "Uploads the file that a ticket is for",
            &[],
            Body::Bytes,
            &[(201, Object)],
        ),
        Action::Session => made(
            agents,
            "An interactive session over a WebSocket connection",
            &[
                ("args", "string"),
                ("calls", "boolean"),
                ("token", "string"),
            ],
            Body::None,
            &[(101, Empty)],
        ),
        Action::Subscribe => made(
            signals,
            "The messages of a topic, as they come",
            &[("token", "string")],
            Body::None,
            &[(200, Events)],
        ),
        Action::CreateSignal => made(
            signals,
            "A new signal",
            &[],
            Body::Object(&[("timeout", "integer?", false)]),
            &[(201, Object)],
        ),
        Action::AwaitSignal => made(
            signals,
            "Waits for a signal",
            &[("timeout", "integer")],
            Body::None,
            &[(200, Object)],
        ),
        Action::SetSignal => made(signals, "Sets a signal", &[], Body::Any, &[(204, Empty)]),
        Action::CancelSignal => made(
            signals,
            "Cancels a signal",
            &[],
            Body::None,
            &[(204, Empty)],
        ),
        Action::Mcp => made(
            tools,
            "A message of the Model Context Protocol",
            &[("app", "string")],
            Body::Any,
            &[(200, Object), (202, Empty)],
        ),
    }
}
