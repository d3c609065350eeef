//! A page beside the front door, on a port of its own: on loopback, and only for who knows the word in its address.

use std::convert::Infallible;
use std::io;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{
    ALLOW, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HOST, HeaderName, HeaderValue,
    REFERRER_POLICY,
};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tokio::task::{AbortHandle, JoinSet};

/// What a page may do: nothing from elsewhere, and its address with the word goes nowhere.
const HEADERS: [(HeaderName, &str); 4] = [
    (CONTENT_TYPE, "text/html; charset=utf-8"),
    (CACHE_CONTROL, "no-store"),
    (REFERRER_POLICY, "no-referrer"),
    (
        CONTENT_SECURITY_POLICY,
        "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'; \
         base-uri 'none'; frame-ancestors 'none'",
    ),
];

/// A page that is made anew for everybody who asks; closed on drop.
pub struct Page {
    url: String,
    serving: AbortHandle,
}

struct Shown {
    path: String,
    /// Under other names nobody is served: a page from elsewhere could have led its reader here.
    hosts: [String; 2],
    text: Box<dyn Fn() -> String + Send + Sync>,
}

impl Page {
    /// Serves what `text` gives under a path that nobody can guess from `secret`'s 128 bits. Runs on the current tokio
    /// runtime.
    pub fn open(secret: u128, text: impl Fn() -> String + Send + Sync + 'static) -> io::Result<Self> {
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let listener = TcpListener::from_std(listener)?;
        let path = format!("/{secret:032x}/");
        let url = format!("http://{address}{path}");
        let hosts = [address.to_string(), format!("localhost:{}", address.port())];
        let shown = Arc::new(Shown { path, hosts, text: Box::new(text) });
        let serving = tokio::spawn(accept(listener, shown)).abort_handle();
        Ok(Self { url, serving })
    }

    /// With the secret: whoever has it may look.
    pub fn url(&self) -> &str {
        &self.url
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn accept(listener: TcpListener, shown: Arc<Shown>) {
    // Dropped with this future, which ends them.
    let mut readers = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let Ok((stream, _)) = accepted else {
                    // Out of files or of memory: what ends gives some back.
                    tokio::time::sleep(Duration::from_millis(10)).await;
                    continue;
                };
                let shown = Arc::clone(&shown);
                let service = service_fn(move |request: Request<Incoming>| {
                    let answer = shown.answer(&request);
                    async move { Ok::<_, Infallible>(answer) }
                });
                let mut builder = http1::Builder::new();
                let connection = builder.timer(TokioTimer::new()).serve_connection(TokioIo::new(stream), service);
                readers.spawn(async move {
                    let _ = connection.await; // a reader who breaks off is no news
                });
            }
            Some(_) = readers.join_next() => {}
        }
    }
}

impl Shown {
    fn answer(&self, request: &Request<Incoming>) -> Response<Full<Bytes>> {
        let host = request.headers().get(HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
        let is_here = self.hosts.iter().any(|known| known == host) && request.uri().path() == self.path;
        let (status, text) = match *request.method() {
            _ if !is_here => (StatusCode::NOT_FOUND, "There is nothing here.\n".to_owned()),
            Method::GET | Method::HEAD => (StatusCode::OK, (self.text)()),
            _ => (StatusCode::METHOD_NOT_ALLOWED, "This page can only be read.\n".to_owned()),
        };
        let mut answer = Response::new(Full::new(text.into()));
        *answer.status_mut() = status;
        for (name, value) in HEADERS {
            answer.headers_mut().insert(name, HeaderValue::from_static(value));
        }
        if status == StatusCode::METHOD_NOT_ALLOWED {
            answer.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        }
        answer
    }
}
