//! `sanswarm listen --metrics`: the node's counters over HTTP, for Prometheus.

use core::{convert::Infallible, net::SocketAddr, time::Duration};
use std::{sync::Arc, time::SystemTime};

use hyper::{
    Method, Request, Response, StatusCode,
    body::Incoming,
    header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderValue},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use sanswarm_tokio::Node;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
};

use crate::failure::Failure;

mod page;

/// Scrapers that are answered at once; more wait to be accepted. Stops: connections that are opened and left.
const SCRAPERS_MAX: usize = 8;

/// Bytes of a request's head, at least what hyper asks for.
const HEAD_BYTES_MAX: usize = 8 << 10;

/// How long a connection has for its request and the answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long to wait after an accept has failed: most likely there is no descriptor left.
const ACCEPT_AGAIN: Duration = Duration::from_millis(100);

/// The text format of Prometheus in version 0.0.4.
const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// A socket on which metrics are to be served.
#[derive(Debug)]
pub(crate) struct Exporter {
    listener: TcpListener,
    start: SystemTime,
}

impl Exporter {
    pub(crate) async fn bind(address: SocketAddr) -> Result<Self, Failure> {
        let listener = TcpListener::bind(address).await.map_err(|cause| Failure::Metrics { address, cause })?;
        Ok(Self { listener, start: now() })
    }

    /// Where they are.
    pub(crate) fn url(&self) -> Result<String, Failure> {
        let address = self.listener.local_addr().map_err(Failure::Runtime)?;
        Ok(format!("http://{address}/metrics"))
    }

    /// Serves the counters of a node until it is dropped.
    pub(crate) async fn serve(self, node: Node) {
        let places = Arc::new(Semaphore::new(SCRAPERS_MAX));
        loop {
            let Ok(place) = places.clone().acquire_owned().await else { return };
            let Ok((socket, _)) = self.listener.accept().await else {
                tokio::time::sleep(ACCEPT_AGAIN).await;
                continue;
            };
            let (node, start) = (node.clone(), self.start);
            tokio::spawn(async move {
                // Whoever takes longer gets nothing.
                let _ = tokio::time::timeout(PATIENCE, answer(socket, node, start)).await;
                drop(place);
            });
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "the time of day at which the process began is one of the metrics")]
fn now() -> SystemTime {
    SystemTime::now()
}

/// One request, one answer.
async fn answer(socket: TcpStream, node: Node, start: SystemTime) -> hyper::Result<()> {
    let service = service_fn(|request: Request<Incoming>| {
        let node = node.clone();
        async move { Ok::<_, Infallible>(respond(&request, &node, start).await) }
    });
    http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(PATIENCE)
        .max_buf_size(HEAD_BYTES_MAX)
        .keep_alive(false)
        .serve_connection(TokioIo::new(socket), service)
        .await
}

async fn respond(request: &Request<Incoming>, node: &Node, start: SystemTime) -> Response<String> {
    if request.uri().path() != "/metrics" {
        return plain(StatusCode::NOT_FOUND, "the metrics are at /metrics\n");
    }
    if ![Method::GET, Method::HEAD].contains(request.method()) {
        let mut response = plain(StatusCode::METHOD_NOT_ALLOWED, "GET and HEAD only\n");
        response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        return response;
    }
    let Some(counters) = node.counters().await else {
        return plain(StatusCode::SERVICE_UNAVAILABLE, "the node has ended\n");
    };
    let mut response = plain(StatusCode::OK, "");
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(TEXT));
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    *response.body_mut() = page::page(&counters, node.id(), start);
    response
}

fn plain(status: StatusCode, text: &str) -> Response<String> {
    let mut response = Response::new(text.to_owned());
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    response
}

/// What an address of `--metrics` may look like; names are not asked for.
pub(crate) fn address(text: &str) -> Option<SocketAddr> {
    text.parse().ok()
}
