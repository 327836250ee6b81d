//! Connections: how many there may be, what they may take, and how they end when the server does.

use crate::incoming::MAX_HEADERS;
use crate::patience::{Returning, lend};
use crate::tls::Tls;
use crate::{Server, handler};
use anyhow::Result;
use futures::future::BoxFuture;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::GracefulShutdown;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Time for runs to end after the signal to stop.
const FAREWELL: Duration = Duration::from_secs(30);

/// Time after that for what is written last: the activity log, spans, the checkpoints of records. Nothing
/// acknowledged is lost without them, so a server does not hang on what they wait for.
const LAST_WRITES: Duration = Duration::from_secs(5);

/// Time for the headers of a request.
const HEADER_LIMIT: Duration = Duration::from_secs(10);

/// Largest head of a request that is read at all; of those that are, the greater ones are told so.
const HEADER_BYTES: usize = 2 * MAX_HEADERS;

/// Headers of a request. An array for them is made for each request, so there is an end long before they have no room.
const HEADERS: usize = 1_000;

/// Connections at once; more wait in the queue of the system.
pub(crate) const MAX_CONNECTIONS: usize = 4096;

/// A client of HTTP/2 that says nothing for so long is asked whether it is there, and has as long to answer.
const ALIVE: Duration = Duration::from_secs(20);

/// Serves a connection to its end.
async fn talk<S>(
    connection: impl Future<Output = Result<(), Box<dyn std::error::Error + Send + Sync>>>,
    stream: Returning<S>,
    _place: Option<OwnedSemaphorePermit>,
) where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let Err(error) = connection.await else {
        return;
    };
    tracing::debug!(%error, "connection ended");
    let cause = error.downcast_ref::<hyper::Error>();
    if cause.is_some_and(hyper::Error::is_timeout) {
        stream.finish(slow_answer().as_bytes()).await;
    }
}

/// The answer to a request whose head has not come.
fn slow_answer() -> String {
    let id = handler::random_text(22);
    let body = format!(
        r#"{{"error":{{"code":"slow_request","status":408,"message":"the head of the request came too slowly","requestId":"{id}"}}}}"#
    );
    let headers = [
        ("content-type", "application/json; charset=utf-8"),
        ("cache-control", "no-store"),
        ("x-content-type-options", "nosniff"),
        ("x-request-id", &id),
        ("connection", "close"),
        ("content-length", &body.len().to_string()),
    ];
    let headers = headers.map(|(name, value)| format!("{name}: {value}\r\n"));
    format!(
        "HTTP/1.1 408 Request Timeout\r\n{}\r\n{body}",
        headers.concat()
    )
}

/// Limits of connections.
fn builder() -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_LIMIT)
        .max_headers(HEADERS)
        .max_buf_size(HEADER_BYTES);
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(ALIVE)
        .keep_alive_timeout(ALIVE)
        .max_header_list_size(HEADER_BYTES as u32)
        .max_concurrent_streams(128);
    builder
}

/// The signals that a server minds. They are minded from the moment they are made.
pub(crate) struct Minded {
    hangup: Signal,
    terminate: Signal,
    interrupt: Signal,
}

impl Minded {
    pub(crate) fn new() -> Result<Minded> {
        Ok(Minded {
            hangup: signal(SignalKind::hangup())?,
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }
}

/// Serves connections until a signal comes. The future is boxed so that all code that serves is
/// compiled with this crate, once, and not with each program that polls it.
pub(crate) fn accept(
    server: &Arc<Server>,
    listener: TcpListener,
    tls: Option<Arc<Tls>>,
    signals: Minded,
) -> BoxFuture<'_, Result<()>> {
    Box::pin(async move {
        let Minded {
            mut hangup,
            mut terminate,
            mut interrupt,
        } = signals;
        let graceful = GracefulShutdown::new();
        let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
        loop {
            let accepting = async {
                // The semaphore is never closed.
                let place = places.clone().acquire_owned().await.ok();
                listener
                    .accept()
                    .await
                    .map(|(stream, peer)| (stream, peer, place))
            };
            tokio::select! {
                accepted = accepting => match accepted {
                    Ok((stream, peer, place)) => {
                        // Small answers shall not wait for more.
                        let _ = stream.set_nodelay(true);
                        let server = server.clone();
                        let client = peer.ip();
                        let service = service_fn(move |request| handler::handle(server.clone(), request, client));
                        let watcher = graceful.watcher();
                        match &tls {
                            None => {
                                let (stream, returning) = lend(stream, HEADER_LIMIT);
                                let connection = builder().serve_connection_with_upgrades(TokioIo::new(stream), service).into_owned();
                                tokio::spawn(talk(watcher.watch(connection), returning, place));
                            }
                            Some(tls) => {
                                let acceptor = tls.acceptor();
                                tokio::spawn(async move {
                                    let shaking = tokio::time::timeout(HEADER_LIMIT, acceptor.accept(stream));
                                    let Ok(Ok(stream)) = shaking.await else {
                                        tracing::debug!("no TLS connection");
                                        return;
                                    };
                                    let (stream, returning) = lend(stream, HEADER_LIMIT);
                                    let connection = builder().serve_connection_with_upgrades(TokioIo::new(stream), service).into_owned();
                                    talk(watcher.watch(connection), returning, place).await;
                                });
                            }
                        }
                    }
                    Err(error) => {
                        // Out of file handles, most likely: pause instead of spinning.
                        tracing::warn!(%error, "a connection cannot be accepted");
                        tokio::time::sleep(Duration::from_millis(50)).await;
                    }
                },
                _ = hangup.recv() => {
                    if let Some(tls) = &tls {
                        tls.reload();
                    }
                }
                _ = terminate.recv() => break,
                _ = interrupt.recv() => break,
            }
        }
        tracing::info!("shutting down");
        server.stopping.store(true, Ordering::Release);
        server.ending.send_replace(true);
        drop(listener);
        tokio::spawn(async move {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            std::process::exit(1);
        });
        let farewell = async {
            // Connections are kept as long as there are runs, to say that nothing new is begun.
            server.occupancy.emptied().await;
            graceful.shutdown().await;
            // What the last requests left at work: asynchronous runs have no connection.
            server.occupancy.emptied().await;
        };
        if tokio::time::timeout(FAREWELL, farewell).await.is_err() {
            tracing::warn!("some runs did not end in time");
        }
        let logged = async {
            let sent = async {
                if let Some(telemetry) = server.telemetry.get() {
                    telemetry.sent().await;
                }
            };
            tokio::join!(server.activities.written(), sent);
        };
        // A collector that says nothing takes no time from the records.
        if tokio::time::timeout(LAST_WRITES / 2, logged).await.is_err() {
            tracing::warn!("the last activities or spans were not written in time");
        }
        let flushed = server.assembly.flush();
        if tokio::time::timeout(LAST_WRITES / 2, flushed)
            .await
            .is_err()
        {
            tracing::warn!("some databases had no checkpoint: their next start reads more");
        }
        Ok(())
    })
}
