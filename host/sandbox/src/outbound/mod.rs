//! Outbound HTTP of guests: judged, pinned, pooled.
//!
//! Every request of a guest goes through [`Outbound::send`]: the URL is judged
//! by [`guard`], the name is resolved once, every answer is judged, and the
//! connection goes to one of the judged addresses and to no other.

pub mod ask;
mod client_tls;
pub mod guard;
pub mod home;
pub mod hosts;
mod proxy;
mod resolver;
pub mod traffic;
mod transfer;

pub use proxy::Proxy;
pub use transfer::TransferError;

use crate::outbound::client_tls::Identity;
use crate::outbound::home::{Home, Mark};
use crate::outbound::hosts::Hosts;
use crate::outbound::resolver::{GuardedResolver, PeerChecked, Refused};
use crate::outbound::traffic::{Traffic, counted};
use http_body_util::BodyExt;
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use std::error::Error as StdError;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};
use wasmtime_wasi_http::{Error, RequestOptions, WasiBody, WasiHttpHooks};

/// Oldest connection that is used again.
const POOL_AGE: Duration = Duration::from_secs(60);

/// Time to connect if the guest sets none.
const CONNECT_LIMIT: Duration = Duration::from_secs(30);

/// Time to the first byte if the guest sets none.
const ANSWER_LIMIT: Duration = Duration::from_secs(300);

/// Headers of an answer; how long they may be together is up to whoever reads them.
const MOST_HEADERS: usize = 1_000;

/// Connections that are kept for further requests to the same host.
const POOL_SIZE: usize = 64;

type HttpClient = Client<HttpsConnector<PeerChecked>, WasiBody>;

/// Outbound requests of all guests.
pub struct Outbound {
    dangerous: bool,
    proxy: Option<Proxy>,
    own: Arc<RwLock<Vec<SocketAddr>>>,
    client: Mutex<Option<(Instant, HttpClient)>>,
    /// Who vouches for servers, if not those whom the process trusts.
    roots: Option<Arc<rustls::RootCertStore>>,
}

impl Outbound {
    /// `dangerous` lifts the rules about schemes, hosts and addresses.
    pub fn new(dangerous: bool) -> Arc<Outbound> {
        Outbound::through(None, dangerous)
    }

    /// The same, all connections going through a proxy if there is one.
    pub fn through(proxy: Option<Proxy>, dangerous: bool) -> Arc<Outbound> {
        Arc::new(Outbound {
            dangerous,
            proxy,
            own: Arc::new(RwLock::new(Vec::new())),
            client: Mutex::new(None),
            roots: None,
        })
    }

    /// An address of this server, which guests may not reach.
    pub fn add_own_address(&self, address: SocketAddr) {
        self.own
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .push(address);
    }

    /// Connections are kept apart by scheme, host and port; a new pool replaces the old one before its connections get too old.
    fn client(&self) -> Result<HttpClient, Error> {
        let mut slot = self.client.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, client)) = slot
            .as_ref()
            .filter(|(made, _)| made.elapsed() < POOL_AGE / 2)
        {
            return Ok(client.clone());
        }
        let client = self.new_client(POOL_SIZE, None)?;
        *slot = Some((Instant::now(), client.clone()));
        Ok(client)
    }

    /// A client that keeps `idle` connections to a host.
    fn new_client(&self, idle: usize, identity: Option<Identity>) -> Result<HttpClient, Error> {
        Ok(Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(POOL_AGE / 2)
            .pool_max_idle_per_host(idle)
            .http1_max_headers(MOST_HEADERS)
            .http1_allow_obsolete_multiline_headers_in_responses(true)
            .build(self.connector(identity)?))
    }

    /// Connects to judged addresses only.
    fn connector(&self, identity: Option<Identity>) -> Result<HttpsConnector<PeerChecked>, Error> {
        let mut connector = HttpConnector::new_with_resolver(GuardedResolver {
            dangerous: self.dangerous,
            own: self.own.clone(),
        });
        connector.enforce_http(false);
        connector.set_nodelay(true);
        connector.set_connect_timeout(Some(CONNECT_LIMIT));
        Ok(hyper_rustls::HttpsConnectorBuilder::new()
            .with_tls_config(self.tls(identity)?)
            .https_or_http()
            .enable_http1()
            .wrap_connector(PeerChecked {
                connector,
                proxy: self.proxy.clone(),
                dangerous: self.dangerous,
                own: self.own.clone(),
            }))
    }

    fn tls(&self, identity: Option<Identity>) -> Result<rustls::ClientConfig, Error> {
        let roots = self.roots.clone().unwrap_or_else(mix_trust::roots);
        let config = mix_trust::client_config_of(roots).map_err(|_| Error::TlsProtocolError)?;
        match identity {
            None => Ok(config.with_no_client_auth()),
            Some(Identity { chain, key }) => config
                .with_client_auth_cert(chain, key)
                .map_err(|_| client_tls::refused("the client certificate and its key do not fit")),
        }
    }

    /// Sends a request of a guest, with its client certificate if it has one.
    async fn send(
        &self,
        mut request: http::Request<WasiBody>,
        options: Option<RequestOptions>,
        identity: Option<Identity>,
    ) -> Result<http::Response<WasiBody>, Error> {
        let uri = request.uri();
        if self.dangerous {
            tracing::warn!(
                host = uri.host().unwrap_or_default(),
                "outbound request without the address rules"
            );
        }
        guard::check_uri(uri, self.dangerous, &self.own_addresses()).map_err(|reason| {
            tracing::info!(%reason, "outbound request refused");
            match reason {
                guard::Reason::Address => Error::DestinationIpProhibited,
                guard::Reason::Parse => Error::HttpRequestUriInvalid,
                _ => Error::HttpRequestDenied,
            }
        })?;
        // The client writes the version that the connection has.
        *request.version_mut() = http::Version::HTTP_11;
        let wait = options
            .and_then(|options| options.first_byte_timeout)
            .unwrap_or(ANSWER_LIMIT);
        // A connection that has an identity serves no other request.
        let client = match identity {
            None => self.client()?,
            identity => self.new_client(0, identity)?,
        };
        let sending = client.request(request);
        let response = match tokio::time::timeout(wait, sending).await {
            Ok(Ok(response)) => response,
            Ok(Err(error)) => return Err(translate(error)),
            Err(_) => return Err(Error::HttpResponseTimeout),
        };
        Ok(response.map(|body| body.map_err(broken).boxed_unsync()))
    }

    /// Judges a target by what can be told without resolving its name.
    pub fn judge(&self, uri: &http::Uri) -> Result<(), guard::Reason> {
        guard::check_uri(uri, self.dangerous, &self.own_addresses())
    }

    /// Sends a request that asks for another protocol, on a connection of its own, which goes to whoever takes it over.
    /// Its target is judged by [`Outbound::judge`] before, unless it is the server that the run is on.
    /// `token`: the number of a token of the run that proves who asks.
    pub async fn upgrade(
        &self,
        home: Option<&Arc<dyn Home>>,
        mut request: http::Request<()>,
        token: Option<u64>,
    ) -> Result<http::Response<hyper::body::Incoming>, Error> {
        let empty = http_body_util::Empty::new();
        if let Some(home) = home {
            if home.is_own(request.uri()) {
                let request = request.map(|()| empty);
                return home::upgrade(home.clone(), request, token).await;
            }
            let mark = token.map_or(Mark::Usual, Mark::Token);
            home::sign(home, &mut request, mark).await?;
        } else if token.is_some() {
            return Err(Error::HttpRequestDenied);
        }
        self.judge(request.uri())
            .map_err(|_| Error::HttpRequestDenied)?;
        let empty = empty.map_err(|never| match never {});
        let request = request.map(|()| empty.boxed_unsync());
        let client = self.new_client(0, None)?;
        client.request(request).await.map_err(translate)
    }

    fn own_addresses(&self) -> Vec<SocketAddr> {
        self.own
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

/// The kind of failure that a guest can make use of.
fn translate(error: hyper_util::client::legacy::Error) -> Error {
    let mut cause: Option<&(dyn StdError + 'static)> = Some(&error);
    while let Some(at) = cause {
        if let Some(refused) = at.downcast_ref::<Refused>() {
            return match refused {
                Refused::Address => Error::DestinationIpProhibited,
                Refused::NoAnswer => Error::DnsError {
                    rcode: None,
                    info_code: None,
                },
            };
        }
        if let Some(reason) = at.downcast_ref::<rustls::Error>() {
            tracing::info!(%reason, "no TLS connection to the server that is asked");
            return Error::TlsCertificateError;
        }
        if let Some(http) = at.downcast_ref::<hyper::Error>() {
            if http.is_parse_too_large() {
                return Error::HttpResponseHeaderSectionSize(None);
            }
            if http.is_incomplete_message() {
                return Error::ConnectionTerminated;
            }
        }
        if let Some(io) = at.downcast_ref::<std::io::Error>() {
            match io.kind() {
                std::io::ErrorKind::ConnectionRefused => return Error::ConnectionRefused,
                std::io::ErrorKind::TimedOut => return Error::ConnectionTimeout,
                std::io::ErrorKind::ConnectionReset | std::io::ErrorKind::BrokenPipe => {
                    return Error::ConnectionTerminated;
                }
                // What TLS and the resolver say comes wrapped, more than once.
                _ => {
                    if let Some(inner) = io.get_ref() {
                        cause = Some(inner);
                        continue;
                    }
                }
            }
        }
        cause = at.source();
    }
    if error.is_connect() {
        Error::DestinationUnavailable
    } else {
        Error::HttpProtocolError
    }
}

/// Why a body does not go on.
fn broken(error: hyper::Error) -> Error {
    use std::io::ErrorKind;
    let mut cause: Option<&(dyn StdError + 'static)> = Some(&error);
    while let Some(at) = cause {
        let ended = match at.downcast_ref::<std::io::Error>() {
            Some(io) => matches!(
                io.kind(),
                ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset | ErrorKind::BrokenPipe
            ),
            None => at
                .downcast_ref::<hyper::Error>()
                .is_some_and(hyper::Error::is_incomplete_message),
        };
        if ended {
            return Error::HttpResponseIncomplete;
        }
        cause = at.source();
    }
    error.into()
}

/// The outbound requests that one guest may send.
#[derive(Clone)]
pub struct Egress {
    /// How they are sent.
    pub outbound: Arc<Outbound>,
    /// Where they may go.
    pub hosts: Hosts,
    /// The server that the guest is on; none: it is reached by nobody.
    pub home: Option<Arc<dyn Home>>,
    /// What they count for, with their answers.
    pub traffic: Option<Arc<Traffic>>,
}

impl Egress {
    /// Requests to all hosts that the rules about addresses allow.
    pub fn anywhere(outbound: Arc<Outbound>, traffic: Option<Arc<Traffic>>) -> Egress {
        Egress {
            outbound,
            hosts: Hosts::Any,
            home: None,
            traffic,
        }
    }

    async fn send(
        &self,
        mut request: http::Request<WasiBody>,
        options: Option<RequestOptions>,
    ) -> Result<http::Response<WasiBody>, Error> {
        let identity = client_tls::take(request.headers_mut())?;
        let mark = home::take_marks(&mut request);
        if let Some(home) = &self.home {
            if home.is_own(request.uri()) {
                return home::ask(home.clone(), request, mark.token()).await;
            }
            home::sign(home, &mut request, mark).await?;
        }
        let uri = request.uri();
        let host = uri.host().unwrap_or_default();
        let port = uri.port_u16().or(match uri.scheme_str() {
            Some("http" | "ws") => Some(80),
            _ => None,
        });
        if !self.hosts.allow(host, port) {
            tracing::info!(host, "outbound request refused: not a host that is granted");
            return Err(Error::HttpRequestDenied);
        }
        let Some(traffic) = &self.traffic else {
            return self.outbound.send(request, options, identity).await;
        };
        traffic.count(0)?;
        let request = request.map(|body| counted(body, traffic.clone()));
        let answer = self.outbound.send(request, options, identity).await?;
        Ok(answer.map(|body| counted(body, traffic.clone())))
    }
}

/// Outbound requests of one store.
pub struct OutboundHooks {
    egress: Option<Egress>,
}

impl OutboundHooks {
    /// Without an [`Egress`] every request is refused.
    pub fn new(egress: Option<Egress>) -> Self {
        OutboundHooks { egress }
    }
}

type Driver = Box<dyn Future<Output = Result<(), Error>> + Send>;
type Sending = Box<dyn Future<Output = Result<(http::Response<WasiBody>, Driver), Error>> + Send>;

impl WasiHttpHooks for OutboundHooks {
    fn send_request(
        &mut self,
        request: http::Request<WasiBody>,
        options: Option<RequestOptions>,
        _done: Driver,
    ) -> Sending {
        let egress = self.egress.clone();
        Box::new(async move {
            let egress = egress.ok_or(Error::HttpRequestDenied)?;
            let response = egress.send(request, options).await?;
            // The pool drives its connections itself.
            let driver: Driver = Box::new(async { Ok(()) });
            Ok((response, driver))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustls::pki_types::pem::PemObject;
    use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
    use std::io::{Read, Write};

    /// A server that speaks TLS with a certificate that nobody vouches for; its port.
    fn untrusted() -> u16 {
        let certificate = CertificateDer::from(include_bytes!("testdata/untrusted.der").as_slice());
        let key = PrivatePkcs8KeyDer::from(include_bytes!("testdata/untrusted.key").as_slice());
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(vec![certificate], key.into())
            .expect("a certificate with its key");
        let config = Arc::new(config);
        serve(move |stream| {
            let tls = rustls::ServerConnection::new(config.clone()).expect("a connection");
            let mut stream = rustls::StreamOwned::new(tls, stream);
            let _ = stream.read(&mut [0; 1024]);
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
        })
    }

    fn serve(answer: impl Fn(std::net::TcpStream) + Send + 'static) -> u16 {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        std::thread::spawn(move || listener.incoming().flatten().for_each(answer));
        port
    }

    async fn send(url: String) -> Result<u16, Error> {
        let body = http_body_util::Empty::new().map_err(|never| match never {});
        let request = http::Request::get(url).body(body.boxed_unsync());
        let request = request.expect("a request");
        // Addresses of this machine are open; certificates count all the same.
        let sent = Outbound::new(true).send(request, None, None).await;
        sent.map(|response| response.status().as_u16())
    }

    #[tokio::test]
    async fn certificates_must_be_vouched_for() {
        let port = untrusted();
        let sent = send(format!("https://localhost:{port}/")).await;
        assert!(matches!(sent, Err(Error::TlsCertificateError)), "{sent:?}");
    }

    fn trusting() -> Outbound {
        Outbound {
            dangerous: true,
            own: Arc::default(),
            client: Mutex::new(None),
            roots: Some(test_roots()),
            proxy: None,
        }
    }

    #[tokio::test]
    async fn certificates_are_for_the_name_that_is_asked_for() {
        let port = asking();
        let pem = include_str!("testdata/client.pem").replace('\n', "\t");
        let egress = Egress::anywhere(Arc::new(trusting()), None);
        // The certificate of the server is for `localhost`, and so is that of nobody else.
        for (host, good) in [("localhost", true), ("127.0.0.1", false)] {
            let body = http_body_util::Empty::new().map_err(|never| match never {});
            let request = http::Request::get(format!("https://{host}:{port}/"))
                .header("x-rmx-client-tls", &pem)
                .body(body.boxed_unsync())
                .expect("a request");
            let sent = egress.send(request, None).await;
            match good {
                true => assert!(sent.is_ok(), "{sent:?}"),
                false => assert!(matches!(sent, Err(Error::TlsCertificateError)), "{sent:?}"),
            }
        }
    }

    #[tokio::test]
    async fn older_protocols_are_not_spoken() {
        // The answer of a server that knows TLS 1.1 at most: a handshake record with its hello.
        let port = serve(|mut stream| {
            let _ = stream.read(&mut [0; 4096]);
            let mut hello = vec![2, 0, 0, 38, 3, 2];
            hello.extend([7; 32]);
            hello.extend([0, 0xc0, 0x13, 0]);
            let mut record = vec![22, 3, 2, 0, hello.len() as u8];
            record.extend(hello);
            let _ = stream.write_all(&record);
            let _ = stream.read(&mut [0; 4096]);
        });
        let sent = send(format!("https://localhost:{port}/")).await;
        assert!(matches!(sent, Err(Error::TlsCertificateError)), "{sent:?}");
    }

    /// A server that answers each request with the number of its connection, and keeps it open.
    fn counting() -> u16 {
        let connections = std::sync::atomic::AtomicUsize::new(0);
        serve(move |mut stream| {
            let number = connections.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            std::thread::spawn(move || {
                let mut request = [0; 4096];
                while matches!(stream.read(&mut request), Ok(1..)) {
                    let head = format!("HTTP/1.1 2{number:02} OK\r\ncontent-length: 0\r\n\r\n");
                    if stream.write_all(head.as_bytes()).is_err() {
                        return;
                    }
                }
            });
        })
    }

    async fn connection(outbound: &Outbound, url: &str) -> u16 {
        let body = http_body_util::Empty::new().map_err(|never| match never {});
        let request = http::Request::get(url).body(body.boxed_unsync());
        let answer = outbound.send(request.expect("a request"), None, None).await;
        let answer = answer.expect("an answer");
        let status = answer.status().as_u16() - 200;
        // Read to its end, so that the connection is free again.
        answer.into_body().collect().await.expect("a body");
        status
    }

    #[tokio::test]
    async fn connections_are_used_again_for_a_while_by_the_same_target_only() {
        let (port, other) = (counting(), counting());
        let outbound = Outbound::new(true);
        let url = format!("http://localhost:{port}/");
        assert_eq!(connection(&outbound, &url).await, 0);
        assert_eq!(connection(&outbound, &url).await, 0);
        // Another name is another target, even at the same address, and so is another port.
        let alias = format!("http://127.0.0.1:{port}/");
        assert_eq!(connection(&outbound, &alias).await, 1);
        let elsewhere = format!("http://localhost:{other}/");
        assert_eq!(connection(&outbound, &elsewhere).await, 0);
        // Connections that might be too old soon are left to themselves.
        if let Some((made, _)) = &mut *outbound.client.lock().expect("a client") {
            *made = made.checked_sub(POOL_AGE / 2).expect("a time");
        }
        assert_eq!(connection(&outbound, &url).await, 2);
    }

    /// A server that asks for client certificates; its port.
    fn asking() -> u16 {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let pem = include_bytes!("testdata/server.pem");
        let chain = vec![CertificateDer::from_pem_slice(pem).expect("a certificate")];
        let key = PrivateKeyDer::from_pem_slice(pem).expect("a key");
        let clients = rustls::server::WebPkiClientVerifier::builder_with_provider(
            test_roots(),
            provider.clone(),
        );
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_client_cert_verifier(clients.build().expect("roots"))
            .with_single_cert(chain, key)
            .expect("a certificate with its key");
        let config = Arc::new(config);
        serve(move |stream| {
            let tls = rustls::ServerConnection::new(config.clone()).expect("a connection");
            let mut stream = rustls::StreamOwned::new(tls, stream);
            let mut head = [0; 4096];
            let read = stream.read(&mut head).unwrap_or(0);
            let told = String::from_utf8_lossy(&head[..read]).contains("x-rmx");
            let status = if told { "500 No" } else { "200 OK" };
            let _ = stream
                .write_all(format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n").as_bytes());
        })
    }

    fn test_roots() -> Arc<rustls::RootCertStore> {
        let mut roots = rustls::RootCertStore::empty();
        let root = CertificateDer::from_pem_slice(include_bytes!("testdata/root.pem"));
        roots
            .add(root.expect("a certificate"))
            .expect("a root certificate");
        Arc::new(roots)
    }

    #[tokio::test]
    async fn client_certificates_are_shown_to_the_server_only() {
        let url = format!("https://localhost:{}/", asking());
        let outbound = trusting();
        let egress = Egress::anywhere(Arc::new(outbound), None);
        let pem = include_str!("testdata/client.pem").replace('\n', "\t");
        let swapped = include_str!("testdata/client.pem").replacen("PRIVATE KEY", "OTHER KEY", 1);
        for (header, status) in [
            (Some(pem), Some(200)),
            (None, None),
            (Some(swapped.replace('\n', "\t")), None),
        ] {
            let body = http_body_util::Empty::new().map_err(|never| match never {});
            let mut request = http::Request::get(&url);
            if let Some(header) = &header {
                request = request.header("x-rmx-client-tls", header);
            }
            let request = request.body(body.boxed_unsync()).expect("a request");
            let sent = egress.send(request, None).await;
            let found = sent.map(|response| response.status().as_u16());
            assert_eq!(found.as_ref().ok().copied(), status, "{found:?}");
        }
    }

    #[tokio::test]
    async fn what_speaks_no_tls_is_not_spoken_to() {
        let port = serve(|mut stream| {
            let _ = stream.read(&mut [0; 1024]);
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
        });
        let sent = send(format!("http://localhost:{port}/")).await;
        assert!(matches!(sent, Ok(200)), "{sent:?}");
        let sent = send(format!("https://localhost:{port}/")).await;
        assert!(matches!(sent, Err(Error::TlsCertificateError)), "{sent:?}");
    }
}
