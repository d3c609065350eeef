//! Servers of the tests' own that speak TLS and HTTP/2, by the libraries that the web runs on.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::thread;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

/// Hands every connection to `act`, all on one thread, until the test's process ends.
pub fn listen(act: impl AsyncFn(TcpStream) + 'static + Send) -> SocketAddr {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build_local(Default::default());
        runtime.unwrap().block_on(async {
            let act = std::rc::Rc::new(act);
            let listener = TcpListener::from_std(listener).unwrap();
            while let Ok((stream, _)) = listener.accept().await {
                let act = std::rc::Rc::clone(&act);
                tokio::task::spawn_local(async move { act(stream).await });
            }
        });
    });
    address
}

/// A certificate that nobody signed, for a name that nobody asks for.
pub fn acceptor(protocols: &[&str]) -> TlsAcceptor {
    let made = rcgen::generate_simple_self_signed(["elsewhere.test".to_owned()]).unwrap();
    let key = PrivateKeyDer::Pkcs8(made.signing_key.serialize_der().into());
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    config.alpn_protocols = protocols.iter().map(|p| p.as_bytes().to_vec()).collect();
    TlsAcceptor::from(Arc::new(config))
}

#[derive(Debug, Default)]
pub struct Counted {
    pub connections: AtomicUsize,
    pub requests: AtomicUsize,
}

/// The version of each request, and its authority, are its answer.
pub async fn echo(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let host = request.headers().get("host").map(|h| h.to_str().unwrap().to_owned());
    let authority = request.uri().authority().map(ToString::to_string).or(host).unwrap_or_default();
    let text = format!("{:?} {} {authority}", request.version(), request.uri().path());
    Ok(Response::new(Full::new(Bytes::from(text))))
}

/// Speaks what was agreed on over TLS, or `http2` in the clear.
pub fn serve(tls: Option<TlsAcceptor>, http2: bool) -> (SocketAddr, Arc<Counted>) {
    let counted = Arc::new(Counted::default());
    let own = Arc::clone(&counted);
    let address = listen(async move |stream| {
        own.connections.fetch_add(1, SeqCst);
        match &tls {
            None => talk(stream, http2, &own).await,
            Some(acceptor) => {
                let Ok(stream) = acceptor.accept(stream).await else { return };
                let http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
                talk(stream, http2, &own).await;
            }
        }
    });
    (address, counted)
}

async fn talk(stream: impl AsyncRead + AsyncWrite + Unpin + 'static, http2: bool, counted: &Counted) {
    let io = TokioIo::new(stream);
    let service = service_fn(|request| {
        counted.requests.fetch_add(1, SeqCst);
        echo(request)
    });
    let _ = if http2 {
        hyper::server::conn::http2::Builder::new(TokioExecutor::new()).serve_connection(io, service).await
    } else {
        hyper::server::conn::http1::Builder::new().serve_connection(io, service).await
    };
}
