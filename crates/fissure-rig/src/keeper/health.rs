//! One look at the app's health path, in whichever way it is to be spoken to.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use bytes::Bytes;
use fissure_facts::{HttpVersion, Protocol};
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::AbortHandle;
use tokio::time::timeout;

use crate::tls;

const HOST: &str = "127.0.0.1";
/// Loopback either connects at once or not at all.
const CONNECT_WITHIN: Duration = Duration::from_secs(2);
/// How much of the body of a 5xx is shown.
const BODY_CHARS: usize = 400;

/// What a look met.
pub(super) enum Met {
    Refused,
    Silent(String),
    Status5xx { status: u16, body_start: String },
    Answer,
}

/// Asks once, and waits as long as it takes: the first answer may take long (compilation, a cold cache).
pub(super) async fn ask(port: u16, protocol: Protocol, path: &str) -> Met {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let Ok(Ok(tcp)) = timeout(CONNECT_WITHIN, TcpStream::connect(address)).await else {
        return Met::Refused;
    };
    match answer(tcp, protocol, path).await {
        Ok((response, _connection)) if response.status().as_u16() < 500 => Met::Answer,
        Ok((response, _connection)) => {
            let status = response.status().as_u16();
            Met::Status5xx { status, body_start: body_start(response).await }
        }
        Err(what) => Met::Silent(what),
    }
}

/// How an app wants to be spoken to that did not understand `asked`; None when it understands nothing.
pub(super) async fn speaks_instead(port: u16, asked: Protocol, path: &str) -> Option<Protocol> {
    let ways = [
        Protocol::default(),
        Protocol { tls: true, http: None },
        Protocol { tls: false, http: Some(HttpVersion::Two) },
    ];
    for way in ways.into_iter().filter(|way| *way != asked) {
        let met = timeout(CONNECT_WITHIN, ask(port, way, path)).await;
        if matches!(met, Ok(Met::Answer | Met::Status5xx { .. })) {
            return Some(way);
        }
    }
    None
}

/// A connection lives as long as somebody needs what comes over it.
struct Driven(AbortHandle);

impl Drop for Driven {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn answer(
    tcp: TcpStream,
    protocol: Protocol,
    path: &str,
) -> Result<(Response<Incoming>, Driven), String> {
    let authority = tcp.peer_addr().map_err(|e| e.to_string())?.to_string();
    if protocol.tls {
        let stream = tls::shake_hands(tcp, HOST, protocol.offers()).await?;
        let version = tls::chosen(&stream);
        over(stream, version, &format!("https://{authority}{path}")).await
    } else {
        let version = protocol.http.unwrap_or(HttpVersion::One);
        over(tcp, version, &format!("http://{authority}{path}")).await
    }
    .map_err(|error| error.to_string())
}

async fn over(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    version: HttpVersion,
    url: &str,
) -> Result<(Response<Incoming>, Driven), Box<dyn std::error::Error + Send + Sync>> {
    let mut request = Request::get(url)
        .header("user-agent", "fissure")
        .header("accept", "*/*")
        .body(Empty::<Bytes>::new())?;
    let io = TokioIo::new(stream);
    Ok(match version {
        HttpVersion::One => {
            let (authority, target) = (request.uri().authority(), request.uri().path_and_query());
            let host = authority.map(|a| a.as_str().parse()).transpose()?;
            *request.uri_mut() = target.cloned().map(Into::into).unwrap_or_default();
            request.headers_mut().extend(host.map(|host| (hyper::header::HOST, host)));
            request.headers_mut().insert("connection", "close".parse()?);
            let (mut sender, connection) = http1::handshake(io).await?;
            let driven = Driven(tokio::spawn(connection).abort_handle());
            (sender.send_request(request).await?, driven)
        }
        HttpVersion::Two => {
            let (mut sender, connection) = http2::handshake(TokioExecutor::new(), io).await?;
            let driven = Driven(tokio::spawn(connection).abort_handle());
            (sender.send_request(request).await?, driven)
        }
    })
}

async fn body_start(mut response: Response<Incoming>) -> String {
    let mut body = Vec::new();
    while let Ok(Some(Ok(frame))) = timeout(Duration::from_secs(1), response.frame()).await {
        body.extend_from_slice(frame.data_ref().map_or(&[][..], |data| &data[..]));
        if body.len() > 4 * BODY_CHARS {
            break;
        }
    }
    let text = String::from_utf8_lossy(&body);
    let start: String = text.chars().filter(|c| !c.is_control()).take(BODY_CHARS).collect();
    if start.trim().is_empty() { "(empty)".to_owned() } else { start }
}
