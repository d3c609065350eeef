//! A cache in front of the app, as small as a cache can be: an answer to a GET is kept for a moment, and who asks for it while
//! it is being fetched waits for it instead of asking, too.
//!
//! It is a process of its own (the same executable) on the app's CPUs, so that what a cache costs is in what is measured of one.
//! Only answers that are anybody's are kept: those with a status of 200, without a cookie, that do not say otherwise
//! (`Cache-Control: no-store`, `private`, `Vary`); and only for requests without credentials. Nothing is written to disk.

use std::collections::HashMap;
use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::{
    ACCEPT_ENCODING, AUTHORIZATION, CACHE_CONTROL, CONNECTION, HOST, HeaderMap, SET_COOKIE,
    TRANSFER_ENCODING, VARY,
};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Mutex;

/// The hidden subcommand.
pub const CACHE: &str = "__cache";
/// The port on which it listens.
pub const PORT: &str = "PORT";
/// The app's address, `http://127.0.0.1:PORT`.
pub const UPSTREAM: &str = "WEB_URL";
/// How long an answer is kept, in milliseconds.
pub const KEEPS_MS: &str = "FISSURE_CACHE_MS";
/// More answers than this are not kept; then it begins anew.
const MOST_ANSWERS: usize = 10_000;

/// One answer, while it is fresh. Locked while it is being fetched.
type Place = Rc<Mutex<Option<(Instant, Response<Full<Bytes>>)>>>;

struct Cache {
    upstream: SocketAddr,
    keeps: Duration,
    places: std::cell::RefCell<HashMap<String, Place>>,
    idle: std::cell::RefCell<Vec<SendRequest<Full<Bytes>>>>,
}

/// The cache's process: answers until it is ended. What it needs to know is in its environment.
pub fn child() -> i32 {
    let read = |name: &str| std::env::var(name).ok();
    let port = read(PORT).and_then(|port| port.parse::<u16>().ok());
    let upstream = read(UPSTREAM).and_then(|url| url.strip_prefix("http://")?.parse().ok());
    let keeps_ms = read(KEEPS_MS).and_then(|ms| ms.parse().ok());
    let (Some(port), Some(upstream), Some(keeps_ms)) = (port, upstream, keeps_ms) else { return 64 };
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else { return 69 };
    let cache = Cache {
        upstream,
        keeps: Duration::from_millis(keeps_ms),
        places: std::cell::RefCell::default(),
        idle: std::cell::RefCell::default(),
    };
    match tokio::task::LocalSet::new().block_on(&runtime, listen(port, Rc::new(cache))) {
        Ok(()) => 0,
        Err(_) => 69,
    }
}

async fn listen(port: u16, cache: Rc<Cache>) -> std::io::Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        let _ = stream.set_nodelay(true);
        let cache = Rc::clone(&cache);
        let serve = service_fn(move |request| {
            let cache = Rc::clone(&cache);
            async move { Ok::<_, Infallible>(cache.answer(request).await) }
        });
        let connection = hyper::server::conn::http1::Builder::new()
            .timer(TokioTimer::new())
            .serve_connection(TokioIo::new(stream), serve);
        tokio::task::spawn_local(connection);
    }
}

impl Cache {
    async fn answer(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        if request.method() != Method::GET || request.headers().contains_key(AUTHORIZATION) {
            return self.ask(request).await;
        }
        let target = request.uri().path_and_query().map_or("/", |t| t.as_str());
        let coding = request.headers().get(ACCEPT_ENCODING).and_then(|v| v.to_str().ok()).unwrap_or_default();
        let key = format!("{target} {coding}");
        let place = {
            let mut places = self.places.borrow_mut();
            if places.len() >= MOST_ANSWERS {
                places.clear();
            }
            Rc::clone(places.entry(key).or_default())
        };
        let mut kept = place.lock().await;
        if let Some((since, answer)) = &*kept
            && since.elapsed() < self.keeps
        {
            return answer.clone();
        }
        let answer = self.ask(request).await;
        *kept = is_anybodys(&answer).then(|| (Instant::now(), answer.clone()));
        answer
    }

    /// The app's answer; 502 where it gives none.
    async fn ask(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        self.try_to_ask(request).await.unwrap_or_else(|| {
            let mut answer =
                Response::new(Full::new(Bytes::from_static(b"The app did not answer the cache.\n")));
            *answer.status_mut() = StatusCode::BAD_GATEWAY;
            answer
        })
    }

    async fn try_to_ask(&self, request: Request<Incoming>) -> Option<Response<Full<Bytes>>> {
        let (mut head, body) = request.into_parts();
        let body = body.collect().await.ok()?.to_bytes();
        strip(&mut head.headers);
        head.headers.entry(HOST).or_insert(self.upstream.to_string().parse().ok()?);
        // A connection may have been closed while it was idle: once more on a new one.
        let idle = self.idle.borrow_mut().pop().filter(|sender| !sender.is_closed());
        let mut request = Request::from_parts(head, Full::new(body));
        if let Some(mut sender) = idle
            && sender.ready().await.is_ok()
        {
            match sender.try_send_request(request).await {
                Ok(answer) => return self.read(sender, answer).await,
                Err(mut failed) => request = failed.take_message()?,
            }
        }
        let stream = TcpStream::connect(self.upstream).await.ok()?;
        let _ = stream.set_nodelay(true);
        let (mut sender, connection) = handshake(TokioIo::new(stream)).await.ok()?;
        tokio::task::spawn_local(connection);
        let answer = sender.send_request(request).await.ok()?;
        self.read(sender, answer).await
    }

    async fn read(
        &self,
        sender: SendRequest<Full<Bytes>>,
        answer: Response<Incoming>,
    ) -> Option<Response<Full<Bytes>>> {
        let (mut head, body) = answer.into_parts();
        let body = body.collect().await.ok()?.to_bytes();
        strip(&mut head.headers);
        self.idle.borrow_mut().push(sender);
        Some(Response::from_parts(head, Full::new(body)))
    }
}

/// What speaks of one connection only (RFC 9110, section 7.6.1).
fn strip(headers: &mut HeaderMap) {
    headers.remove(CONNECTION);
    headers.remove(TRANSFER_ENCODING);
    headers.remove("keep-alive");
}

/// Nothing says that the answer is one user's only.
fn is_anybodys(answer: &Response<Full<Bytes>>) -> bool {
    let headers = answer.headers();
    let parts = |name| {
        let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
        values.flat_map(|value| value.split(',')).map(str::trim)
    };
    let says = |word: &str| parts(CACHE_CONTROL).any(|part| part.eq_ignore_ascii_case(word));
    answer.status() == StatusCode::OK
        && !headers.contains_key(SET_COOKIE)
        && parts(VARY).all(|name| name.eq_ignore_ascii_case("accept-encoding"))
        && !says("no-store")
        && !says("private")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_one_users_only_is_nobody_elses() {
        let answer = |status: u16, headers: &[(&str, &str)]| {
            let mut answer = Response::builder().status(status);
            for (name, value) in headers {
                answer = answer.header(*name, *value);
            }
            answer.body(Full::new(Bytes::new())).unwrap()
        };
        let plain = [("vary", "Accept-Encoding"), ("cache-control", "max-age=5")];
        assert!(is_anybodys(&answer(200, &plain)));
        for (status, headers) in [
            (404, &[][..]),
            (200, &[("set-cookie", "a=b")]),
            (200, &[("cache-control", "max-age=5, Private")]),
            (200, &[("cache-control", "no-store")]),
            (200, &[("vary", "accept-encoding, cookie")]),
        ] {
            assert!(!is_anybodys(&answer(status, headers)), "{status} {headers:?}");
        }
    }
}
