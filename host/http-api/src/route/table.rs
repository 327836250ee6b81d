//! The route table.

/// What a method does with a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "the names say it, and TABLE says where")]
pub enum Action {
    Root,
    Health,
    Ready,
    OpenApi,
    ListWorkspaces,
    CreateWorkspace,
    GetWorkspace,
    PatchWorkspace,
    DeleteWorkspace,
    FlushWorkspace,
    GetApp,
    CreateApp,
    DeleteApp,
    GetAppMeta,
    GetRuntime,
    ListAppmeta,
    GetAppmeta,
    PutAppmeta,
    PatchAppmeta,
    ListGrants,
    AddGrant,
    GetGrant,
    DeleteGrant,
    DescribeAgent,
    RunAgent,
    PostDocuments,
    DeleteDocuments,
    GetDocument,
    DeleteDocument,
    Save,
    Query,
    ParseQuery,
    PutQuery,
    DeleteQuery,
    RunQuery,
    Raw,
    CreateSignal,
    AwaitSignal,
    SetSignal,
    CancelSignal,
    Mcp,
    Install,
    Export,
    PushExport,
    Import,
    Modify,
    GetFile,
    GetContent,
    PutContent,
    PostContent,
    DeleteContent,
    GetProps,
    PatchProps,
    CopyFile,
    RegisterFile,
    Upload,
    CreateLink,
    FollowLink,
    DeleteLink,
    Metrics,
    Subscribe,
    Session,
    Swagger,
    CountActivities,
    WorkspaceKeys,
    ServerKeys,
    ListAuthConfigs,
    AddAuthConfig,
    GetAuthConfig,
    PutAuthConfig,
    PatchAuthConfig,
    DeleteAuthConfig,
    BeginSignIn,
    ReturnSignIn,
    ExchangeToken,
    OriginalToken,
}

/// A path and its methods; GET includes HEAD.
pub(crate) struct Resource {
    /// `{ws}`, `{app}`, `{agent}`, `{name}` and `{id}` stand for one segment each.
    pub pattern: &'static str,
    pub methods: &'static [(&'static str, Action)],
}

const fn resource(pattern: &'static str, methods: &'static [(&'static str, Action)]) -> Resource {
    Resource { pattern, methods }
}

/// Every resource of version 1, literal segments before the parameters of the same place.
pub(crate) const TABLE: &[Resource] = &[
    resource("/", &[("GET", Action::Root)]),
    resource("/v1/health", &[("GET", Action::Health)]),
    resource("/v1/health/ready", &[("GET", Action::Ready)]),
    resource("/v1/_doc/openapi.json", &[("GET", Action::OpenApi)]),
    resource("/v1/swagger", &[("GET", Action::Swagger)]),
    resource("/v1/swagger/{path..}", &[("GET", Action::Swagger)]),
    resource(
        "/v1/ws",
        &[
            ("GET", Action::ListWorkspaces),
            ("POST", Action::CreateWorkspace),
        ],
    ),
    resource(
        "/v1/ws/{ws}",
        &[
            ("GET", Action::GetWorkspace),
            ("PATCH", Action::PatchWorkspace),
            ("DELETE", Action::DeleteWorkspace),
        ],
    ),
    resource("/v1/metrics", &[("GET", Action::Metrics)]),
    resource("/v1/ws/{ws}/flush", &[("POST", Action::FlushWorkspace)]),
    resource(
        "/v1/ws/{ws}/auth/jwks.json",
        &[("GET", Action::WorkspaceKeys)],
    ),
    resource("/v1/auth/jwks.json", &[("GET", Action::ServerKeys)]),
    resource(
        "/v1/ws/{ws}/auth/{name}/login",
        &[("GET", Action::BeginSignIn)],
    ),
    resource(
        "/v1/ws/{ws}/auth/{name}/callback",
        &[("GET", Action::ReturnSignIn)],
    ),
    resource(
        "/v1/ws/{ws}/auth/{name}/token",
        &[
            ("GET", Action::ExchangeToken),
            ("POST", Action::ExchangeToken),
        ],
    ),
    resource(
        "/v1/ws/{ws}/auth/{name}/originalToken",
        &[
            ("GET", Action::OriginalToken),
            ("POST", Action::OriginalToken),
        ],
    ),
    resource(
        "/v1/ws/{ws}/auth-configs",
        &[
            ("GET", Action::ListAuthConfigs),
            ("POST", Action::AddAuthConfig),
        ],
    ),
    resource(
        "/v1/ws/{ws}/auth-configs/{id}",
        &[
            ("GET", Action::GetAuthConfig),
            ("PUT", Action::PutAuthConfig),
            ("PATCH", Action::PatchAuthConfig),
            ("DELETE", Action::DeleteAuthConfig),
        ],
    ),
    resource("/v1/ws/{ws}/mcp", &[("POST", Action::Mcp)]),
    resource("/v1/ws/{ws}/install", &[("POST", Action::Install)]),
    resource(
        "/v1/ws/{ws}/export",
        &[("GET", Action::Export), ("POST", Action::PushExport)],
    ),
    resource("/v1/ws-import", &[("POST", Action::Import)]),
    resource(
        "/v1/ws/{ws}/activities/count",
        &[("POST", Action::CountActivities)],
    ),
    resource("/v1/ws/{ws}/appmeta", &[("GET", Action::ListAppmeta)]),
    resource(
        "/v1/ws/{ws}/appmeta/{app}",
        &[
            ("GET", Action::GetAppmeta),
            ("PUT", Action::PutAppmeta),
            ("PATCH", Action::PatchAppmeta),
        ],
    ),
    resource(
        "/v1/ws/{ws}/permissions",
        &[("GET", Action::ListGrants), ("POST", Action::AddGrant)],
    ),
    resource(
        "/v1/ws/{ws}/permissions/{id}",
        &[("GET", Action::GetGrant), ("DELETE", Action::DeleteGrant)],
    ),
    resource(
        "/v1/ws/{ws}/app/{app}",
        &[
            ("GET", Action::GetApp),
            ("POST", Action::CreateApp),
            ("DELETE", Action::DeleteApp),
        ],
    ),
    resource(
        "/v1/ws/{ws}/app/{app}/appMeta.json",
        &[("GET", Action::GetAppMeta)],
    ),
    resource(
        "/v1/ws/{ws}/app/{app}/runtime.json",
        &[("GET", Action::GetRuntime)],
    ),
    resource(
        "/v1/ws/{ws}/app/{app}/permissions",
        &[("GET", Action::ListGrants), ("POST", Action::AddGrant)],
    ),
    resource(
        "/v1/ws/{ws}/app/{app}/permissions/{id}",
        &[("GET", Action::GetGrant), ("DELETE", Action::DeleteGrant)],
    ),
    resource(
        "/v1/ws/{ws}/app/{app}/agent/{agent}",
        &[("GET", Action::DescribeAgent), ("POST", Action::RunAgent)],
    ),
    resource(
        "/v1/ws/{ws}/app/{app}/agent/{agent}/run",
        &[("GET", Action::RunAgent), ("POST", Action::RunAgent)],
    ),
    resource(
        "/v1/ws/{ws}/app/{app}/agent/{agent}/session",
        &[("GET", Action::Session)],
    ),
    resource(
        "/v1/ws/{ws}/app/{app}/agent/{agent}/permissions",
        &[("GET", Action::ListGrants), ("POST", Action::AddGrant)],
    ),
    resource(
        "/v1/ws/{ws}/app/{app}/agent/{agent}/permissions/{id}",
        &[("GET", Action::GetGrant), ("DELETE", Action::DeleteGrant)],
    ),
    resource(
        "/v1/ws/{ws}/app/{app}/documents",
        &[
            ("POST", Action::PostDocuments),
            ("DELETE", Action::DeleteDocuments),
        ],
    ),
    resource(
        "/v1/ws/{ws}/app/{app}/documents/{id}",
        &[
            ("GET", Action::GetDocument),
            ("DELETE", Action::DeleteDocument),
        ],
    ),
    resource("/v1/ws/{ws}/app/{app}/save", &[("POST", Action::Save)]),
    resource(
        "/v1/ws/{ws}/app/{app}/query",
        &[("GET", Action::Query), ("POST", Action::Query)],
    ),
    resource(
        "/v1/ws/{ws}/app/{app}/query/parse",
        &[
            ("GET", Action::ParseQuery),
            ("POST", Action::ParseQuery),
            // Answered with 400: the name is reserved.
            ("PUT", Action::PutQuery),
        ],
    ),
    resource(
        "/v1/ws/{ws}/app/{app}/query/{name}",
        &[
            ("GET", Action::RunQuery),
            ("POST", Action::RunQuery),
            ("PUT", Action::PutQuery),
            ("DELETE", Action::DeleteQuery),
        ],
    ),
    resource("/v1/ws/{ws}/app/{app}/raw/{id}", &[("GET", Action::Raw)]),
    resource("/v1/ws/{ws}/app/{app}/modify", &[("POST", Action::Modify)]),
    resource(
        "/v1/ws/{ws}/app/{app}/files/{path..}",
        &[("GET", Action::GetFile)],
    ),
    resource(
        "/v1/ws/{ws}/app/{app}/file-manager/content",
        &[
            ("GET", Action::GetContent),
            ("PUT", Action::PutContent),
            ("POST", Action::PostContent),
            ("DELETE", Action::DeleteContent),
        ],
    ),
    resource(
        "/v1/ws/{ws}/app/{app}/file-manager/props",
        &[("GET", Action::GetProps), ("PATCH", Action::PatchProps)],
    ),
    resource(
        "/v1/ws/{ws}/app/{app}/file-manager/copy",
        &[("POST", Action::CopyFile)],
    ),
    resource(
        "/v1/ws/{ws}/app/{app}/file-manager/register",
        &[("POST", Action::RegisterFile)],
    ),
    resource("/v1/upload/{id}", &[("PUT", Action::Upload)]),
    resource(
        "/v1/ws/{ws}/app/{app}/link",
        &[("POST", Action::CreateLink)],
    ),
    resource(
        "/v1/link/{id}",
        &[
            ("GET", Action::FollowLink),
            ("POST", Action::FollowLink),
            ("DELETE", Action::DeleteLink),
        ],
    ),
    resource("/v1/subscribe/{path..}", &[("GET", Action::Subscribe)]),
    resource("/v1/signals", &[("POST", Action::CreateSignal)]),
    resource(
        "/v1/signals/{id}",
        &[
            ("GET", Action::AwaitSignal),
            ("POST", Action::SetSignal),
            ("DELETE", Action::CancelSignal),
        ],
    ),
];

/// Paths of version 0, offered with the prefix `/v0` and without it.
pub(crate) const TABLE_V0: &[Resource] = &[
    resource(
        "/run-agent/{ws}/{app}/{agent}",
        &[("GET", Action::RunAgent), ("POST", Action::RunAgent)],
    ),
    resource(
        "/run-agent/{ws}/{app}/agents/{agent}",
        &[("GET", Action::RunAgent), ("POST", Action::RunAgent)],
    ),
    resource(
        "/ws",
        &[
            ("GET", Action::ListWorkspaces),
            ("POST", Action::CreateWorkspace),
        ],
    ),
    resource(
        "/ws/{ws}",
        &[
            ("GET", Action::GetWorkspace),
            ("DELETE", Action::DeleteWorkspace),
        ],
    ),
    resource(
        "/ws/{ws}/{app}",
        &[("GET", Action::GetApp), ("DELETE", Action::DeleteApp)],
    ),
    resource("/flush/{ws}", &[("POST", Action::FlushWorkspace)]),
    resource("/install-remix-file/{ws}", &[("POST", Action::Install)]),
    resource("/ws-export/{ws}", &[("GET", Action::Export)]),
    resource("/ws-import", &[("POST", Action::Import)]),
    resource("/grant-permission/{ws}", &[("POST", Action::AddGrant)]),
    resource("/subscribe/{path..}", &[("GET", Action::Subscribe)]),
    resource(
        "/count-activities/{ws}",
        &[("POST", Action::CountActivities)],
    ),
    resource("/query/{ws}/{app}", &[("POST", Action::PutQuery)]),
    resource(
        "/query/{ws}/{app}/{name}",
        &[("DELETE", Action::DeleteQuery)],
    ),
];
