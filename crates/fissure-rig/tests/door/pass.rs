//! Everything that HTTP can do passes through the door as it is, and at once.

use std::error::Error as _;
use std::io::{Read, Write};
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::Duration;

use fissure_facts::traffic::{Content, Side};
use fissure_facts::{HttpVersion, Protocol};
use fissure_rig::door::{Certificate, Passed, Table};
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::client::conn::http2;
use hyper::{Request, Response, Version};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, crypto::ring};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use super::app::{app, echo, full, noting, raw};
use super::{connect, door, hear, opened, statuses};

#[test]
fn the_app_sees_the_request_as_it_was_and_who_asked() {
    let door = door(app(echo));
    let heard = door.talk(
        b"PUT /a%2Fb;c?d=%20&e HTTP/1.1\r\nHost: shop.test:1\r\nConnection: close, X-Mine\r\nX-Mine: 1\r\nX-Kept: 2\r\n\
          X-Forwarded-For: 6.6.6.6\r\nKeep-Alive: 5\r\nContent-Length: 3\r\n\r\nabc",
        |_| false,
    );
    for part in [
        "PUT /a%2Fb;c?d=%20&e HTTP/1.1\n",
        "\nhost: shop.test:1\n",
        "\nx-kept: 2\n",
        "\nx-forwarded-for: 127.0.0.1\n",
        "\nx-forwarded-proto: http\n",
        "\nx-forwarded-host: shop.test:1\n",
        "\nforwarded: for=127.0.0.1;proto=http;host=\"shop.test:1\"\n",
        "\ntraceparent: 00-",
        "\nabc",
    ] {
        assert!(heard.contains(part), "{part:?} is not in {heard}");
    }
    for part in ["6.6.6.6", "x-mine", "keep-alive", "connection: close, X-Mine"] {
        assert!(!heard.contains(part), "{part:?} is in {heard}");
    }
}

#[test]
fn names_keep_their_case_both_ways() {
    let (app, notes) = noting();
    let door = door(app);
    door.talk(b"GET / HTTP/1.1\r\nHost: x\r\nX-MiXed: 1\r\nConnection: close\r\n\r\n", |_| false);
    let reached = String::from_utf8(notes.lock().unwrap().clone()).unwrap();
    assert!(reached.contains("X-MiXed: 1"), "{reached}");
}

#[test]
fn answers_without_a_body_leave_the_connection_in_step() {
    let door = door(app(async |request: Request<Incoming>| {
        let builder = match request.uri().path() {
            "/204" => Response::builder().status(204),
            "/304" => Response::builder().status(304).header("etag", "\"1\""),
            _ => Response::builder().header("x-is", request.method().as_str()),
        };
        builder.body(full(if request.uri().path() == "/" { "hello" } else { "" })).unwrap()
    }));
    let asked = "HEAD / HTTP/1.1\r\nHost: x\r\n\r\nGET /204 HTTP/1.1\r\nHost: x\r\n\r\n\
                 GET /304 HTTP/1.1\r\nHost: x\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    let heard = door.talk(asked.as_bytes(), |_| false);
    assert_eq!(statuses(&heard), [200, 204, 304, 200], "{heard}");
    assert_eq!(heard.matches("hello").count(), 1, "{heard}");
    assert!(heard.to_lowercase().contains("x-is: head"), "{heard}");
    assert_eq!(heard.to_lowercase().matches("content-length: 5").count(), 2, "{heard}");
}

/// An app that switches protocols and then sends back what it gets.
fn switching(status_line: &'static str) -> std::net::SocketAddr {
    raw(move |mut stream| {
        let mut some = [0; 4096];
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let n = stream.read(&mut some[..1]).unwrap();
            head.extend_from_slice(&some[..n]);
        }
        let head = String::from_utf8(head).unwrap().to_lowercase();
        let asked = head.contains("upgrade: websocket") && head.contains("connection: upgrade");
        assert!(asked || head.starts_with("connect"), "{head}");
        stream.write_all(format!("HTTP/1.1 {status_line}\r\n\r\n").as_bytes()).unwrap();
        while let Ok(n @ 1..) = stream.read(&mut some) {
            stream.write_all(&some[..n]).unwrap();
        }
    })
}

const WEBSOCKET: &[u8] =
    b"GET /live HTTP/1.1\r\nHost: x\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n\
    Sec-WebSocket-Key: a\r\n\r\n";

#[test]
fn a_websocket_is_a_tunnel_once_the_app_has_agreed() {
    let door = door(switching(
        "101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: b",
    ));
    let mut stream = door.connect();
    stream.write_all(&[WEBSOCKET, b"\0at once"].concat()).unwrap();
    let heard = hear(&mut stream, |heard| heard.ends_with("\0at once"));
    assert!(
        heard.starts_with("HTTP/1.1 101") && heard.to_lowercase().contains("upgrade: websocket"),
        "{heard}"
    );
    stream.write_all(b"GET / nonsense\n\n\0").unwrap();
    assert_eq!(hear(&mut stream, |heard| heard.len() >= 17), "GET / nonsense\n\n\0");
    // Half a tunnel may end before the other.
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    assert_eq!(hear(&mut stream, |_| false), "");
    let exchange = door.exchange();
    assert_eq!((exchange.request.target.as_str(), exchange.answer.unwrap().status), ("/live", 101));
}

#[test]
fn a_websocket_that_the_app_refuses_is_an_ordinary_answer() {
    let door = door(switching("403 Forbidden\r\nContent-Length: 0"));
    let mut stream = door.connect();
    stream.write_all(&[WEBSOCKET, WEBSOCKET].concat()).unwrap();
    let heard = hear(&mut stream, |heard| statuses(heard).len() == 2);
    assert!(!heard.contains(" 101 "), "{heard}");
}

#[test]
fn connect_makes_a_tunnel_to_the_app_and_to_nobody_else() {
    let door = door(switching("200 OK"));
    let mut stream = door.connect();
    stream.write_all(b"CONNECT elsewhere.test:443 HTTP/1.1\r\nHost: elsewhere.test:443\r\n\r\n").unwrap();
    let heard = hear(&mut stream, |heard| heard.ends_with("\r\n\r\n"));
    assert_eq!(statuses(&heard), [200], "{heard}");
    stream.write_all(b"ping").unwrap();
    assert_eq!(hear(&mut stream, |heard| heard == "ping"), "ping");
}

#[test]
fn events_come_as_they_are_sent_and_a_client_that_leaves_is_noticed() {
    let (next, wanted) = channel::<()>();
    let (left, gone) = channel::<()>();
    let both = std::sync::Mutex::new(Some((wanted, left)));
    let door = door(raw(move |mut stream| {
        let (wanted, left) = both.lock().unwrap().take().unwrap();
        let _ = stream.read(&mut [0; 4096]).unwrap();
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n").unwrap();
        for event in ["one", "two"] {
            wanted.recv().unwrap();
            stream.write_all(format!("data: {event}\n\n").as_bytes()).unwrap();
        }
        assert_eq!(stream.read(&mut [0; 64]).unwrap_or(0), 0);
        left.send(()).unwrap();
    }));
    let mut stream = door.connect();
    stream.write_all(b"GET /events HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    hear(&mut stream, |heard| heard.ends_with("\r\n\r\n"));
    for event in ["one", "two"] {
        next.send(()).unwrap();
        hear(&mut stream, |heard| heard.contains(&format!("data: {event}\n\n")));
    }
    drop(stream);
    gone.recv_timeout(Duration::from_secs(30)).unwrap();
    assert_eq!(door.exchange().answer.unwrap().body.bytes, b"data: one\n\ndata: two\n\n");
}

#[test]
fn bodies_stream_both_ways_at_once() {
    let door = door(app(async |request: Request<Incoming>| Response::new(request.into_body().boxed())));
    let mut stream = door.connect();
    stream.write_all(b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n").unwrap();
    for word in ["ping", "pong"] {
        stream.write_all(format!("4\r\n{word}\r\n").as_bytes()).unwrap();
        hear(&mut stream, |heard| heard.contains(word));
    }
    stream.write_all(b"0\r\n\r\n").unwrap();
    hear(&mut stream, |heard| heard.ends_with("0\r\n\r\n"));
}

/// The memory of a body is that of the sockets: who sends faster than the app reads has to wait.
#[test]
fn a_body_that_nobody_reads_is_not_gathered() {
    let door = door(raw(|mut stream| {
        let _ = stream.read(&mut [0; 512]);
        std::thread::sleep(Duration::from_secs(60));
    }));
    let mut stream = connect(door.address);
    stream.write_all(b"PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000000\r\n\r\n").unwrap();
    stream.set_write_timeout(Some(Duration::from_millis(500))).unwrap();
    let piece = vec![0; 1 << 20];
    let sent = (0..200).take_while(|_| stream.write_all(&piece).is_ok()).count();
    assert!(sent < 64, "the door took {sent} MiB that nobody wanted");
}

#[test]
fn large_bodies_arrive_whole() {
    let door = door(app(async |request: Request<Incoming>| Response::new(request.into_body().boxed())));
    let mut stream = door.connect();
    let length: usize = 20 << 20;
    let mut writer = stream.try_clone().unwrap();
    let head = format!("POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n");
    let sending = std::thread::spawn(move || {
        writer.write_all(head.as_bytes()).unwrap();
        let pattern: Vec<u8> = (0..length).map(|n| (n % 251) as u8).collect();
        writer.write_all(&pattern).unwrap();
    });
    let mut heard = Vec::new();
    stream.read_to_end(&mut heard).unwrap();
    sending.join().unwrap();
    let body = heard.windows(4).position(|w| w == b"\r\n\r\n").unwrap() + 4;
    assert_eq!(heard.len() - body, length);
    assert!(heard[body..].iter().enumerate().all(|(n, &b)| b == (n % 251) as u8));
}

const EXPECTING: &[u8] = b"POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n";

/// An app that says `first` on a head that expects something, and then reads the body if there was a `100`.
fn expecting(first: &'static str) -> std::net::SocketAddr {
    raw(move |mut stream| {
        let mut heard = Vec::new();
        let mut some = [0; 4096];
        while !heard.ends_with(b"\r\n\r\n") {
            let n = stream.read(&mut some).unwrap();
            heard.extend_from_slice(&some[..n]);
        }
        stream.write_all(first.as_bytes()).unwrap();
        if first.contains(" 100 ") {
            let n = stream.read(&mut some).unwrap();
            assert_eq!(&some[..n], b"abcd");
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").unwrap();
        }
        let _ = stream.read(&mut some);
    })
}

#[test]
fn a_client_that_waits_with_its_body_is_told_to_go_on_by_the_app() {
    let door = door(expecting("HTTP/1.1 100 Continue\r\n\r\n"));
    let mut stream = door.connect();
    stream.write_all(EXPECTING).unwrap();
    assert_eq!(statuses(&hear(&mut stream, |heard| heard.ends_with("\r\n\r\n"))), [100]);
    stream.write_all(b"abcd").unwrap();
    assert_eq!(statuses(&hear(&mut stream, |heard| heard.ends_with("\r\n\r\n"))), [200]);
}

#[test]
fn a_client_that_waits_with_its_body_is_refused_without_sending_it() {
    let door = door(expecting("HTTP/1.1 417 Expectation Failed\r\nContent-Length: 0\r\n\r\n"));
    let mut stream = door.connect();
    stream.write_all(EXPECTING).unwrap();
    assert_eq!(statuses(&hear(&mut stream, |_| false)), [417]);
}

#[test]
fn trailers_arrive_both_ways() {
    let door = door(app(async |request: Request<Incoming>| {
        let mut answer = Response::new(request.into_body().boxed());
        answer.headers_mut().insert("trailer", "x-sum".parse().unwrap());
        answer
    }));
    let heard = door.talk(
        b"POST / HTTP/1.1\r\nHost: x\r\nTE: trailers\r\nConnection: TE, close\r\nTrailer: X-Sum\r\n\
          Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\nX-Sum: 7\r\n\r\n",
        |_| false,
    );
    assert!(heard.to_lowercase().ends_with("0\r\nx-sum: 7\r\n\r\n"), "{heard}");
}

async fn over_http2<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
    stream: S,
    request: Request<Empty<bytes::Bytes>>,
) -> (u16, Version, String) {
    let (mut sender, connection) =
        http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let answer = sender.send_request(request).await.unwrap();
    let (status, version) = (answer.status().as_u16(), answer.version());
    let text = answer.into_body().collect().await.unwrap().to_bytes();
    (status, version, String::from_utf8_lossy(&text).into_owned())
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

fn asking(uri: String) -> hyper::http::request::Builder {
    Request::builder().uri(uri).version(Version::HTTP_2)
}

#[test]
fn http2_comes_in_and_http1_goes_on() {
    let door = door(app(echo));
    let (good, crossed) = block_on(async {
        let uri = format!("http://{}/a?b", door.address);
        let crumbs = asking(uri.clone()).header("cookie", "a=1").header("cookie", "b=2");
        let crossed = asking(uri).header("host", "other.test");
        let stream = || async { tokio::net::TcpStream::connect(door.address).await.unwrap() };
        let good = over_http2(stream().await, crumbs.body(Empty::new()).unwrap()).await;
        let (mut sender, connection) =
            http2::handshake(TokioExecutor::new(), TokioIo::new(stream().await)).await.unwrap();
        tokio::spawn(connection);
        let refused =
            sender.send_request(crossed.body(Empty::<bytes::Bytes>::new()).unwrap()).await.unwrap_err();
        let reason = refused.source().and_then(|e| e.downcast_ref::<h2::Error>()).and_then(h2::Error::reason);
        (good, reason)
    });
    assert_eq!((good.0, good.1), (200, Version::HTTP_2));
    let host = format!("\nhost: {}\n", door.address);
    for part in ["GET /a?b HTTP/1.1\n", "\ncookie: a=1; b=2\n", host.as_str()] {
        assert!(good.2.contains(part), "{part:?} is not in {}", good.2);
    }
    assert_eq!(crossed, Some(h2::Reason::PROTOCOL_ERROR));
}

/// RFC 8441: what a browser does that has an HTTP/2 connection already.
#[test]
fn a_websocket_over_http2_is_one_of_http1_for_the_app_and_its_messages_are_told() {
    let door = door(app(async |mut request: Request<Incoming>| {
        let key = request.headers()["sec-websocket-key"].as_bytes().to_vec();
        assert!(!request.headers().contains_key("sec-websocket-extensions"));
        tokio::spawn(async move {
            let mut stream = TokioIo::new(hyper::upgrade::on(&mut request).await.unwrap());
            let _ = tokio::io::copy(&mut stream, &mut tokio::io::sink()).await;
        });
        Response::builder()
            .status(101)
            .header("connection", "upgrade")
            .header("upgrade", "websocket")
            .header("sec-websocket-accept", derive_accept_key(&key))
            .body(full(""))
            .unwrap()
    }));
    let status = block_on(async {
        let tcp = tokio::net::TcpStream::connect(door.address).await.unwrap();
        let (mut sender, connection) = h2::client::handshake(tcp).await.unwrap();
        let mut connection = tokio::spawn(connection);
        // The door's settings say that it can.
        while !sender.is_extended_connect_protocol_enabled() {
            tokio::select! { _ = &mut connection => panic!("closed"), () = tokio::task::yield_now() => {} }
        }
        let mut request = Request::builder()
            .method("CONNECT")
            .uri(format!("http://{}/live", door.address))
            .header("sec-websocket-extensions", "permessage-deflate")
            .body(())
            .unwrap();
        request.extensions_mut().insert(h2::ext::Protocol::from_static("websocket"));
        let (answer, mut body) = sender.send_request(request, false).unwrap();
        let answer = answer.await.unwrap();
        let status = answer.status().as_u16();
        body.send_data(bytes::Bytes::from_static(b"\x81\x85\0\0\0\0hello"), true).unwrap();
        let mut back = answer.into_body();
        while back.data().await.is_some() {}
        status
    });
    assert_eq!(status, 200);
    let [Passed::Answered(exchange), Passed::Said(message)] = &door.passed(2)[..] else { panic!() };
    assert_eq!((exchange.request.method.as_str(), exchange.request.target.as_str()), ("GET", "/live"));
    assert_eq!((message.opened_us, message.from), (exchange.at_us, Side::Client));
    assert_eq!(message.body, Content::whole("hello"));
}

#[test]
fn tls_offers_both_versions_and_tells_the_app() {
    let folder = tempfile::tempdir().unwrap();
    let made = Certificate::in_folder(folder.path()).unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(made.file()).unwrap()).unwrap();
    let again = Certificate::in_folder(folder.path()).unwrap();
    let door = opened(Table::whole(app(echo)), Protocol::default(), Some(again));

    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let (_, version, text) = block_on(async {
        let connector = TlsConnector::from(Arc::new(config));
        let connector = connector.with_alpn(vec![b"h2".to_vec()]);
        let tcp = tokio::net::TcpStream::connect(door.address).await.unwrap();
        let stream = connector.connect(ServerName::try_from("localhost").unwrap(), tcp).await.unwrap();
        let request = asking("https://localhost/".to_owned()).body(Empty::new()).unwrap();
        over_http2(stream, request).await
    });
    assert_eq!(version, Version::HTTP_2);
    assert!(text.contains("x-forwarded-proto: https\n"), "{text}");
    // Who does not speak TLS is served, too.
    assert!(door.get("/").contains("x-forwarded-proto: http\n"));
}

#[test]
fn an_app_that_speaks_http2_only_is_spoken_to_in_it() {
    let protocol = Protocol { tls: false, http: Some(HttpVersion::Two) };
    let door = opened(Table::whole(app(echo)), protocol, None);
    for _ in 0..3 {
        let heard = door.get("/a?b");
        let line = format!("GET http://{}/a?b HTTP/2.0\n", door.address);
        assert!(heard.contains(&line), "{heard}");
    }
}

#[test]
fn an_app_that_is_not_there_is_said_to_be_so() {
    let door = opened(Table::default(), Protocol::default(), None);
    let heard = door.get("/");
    assert_eq!(statuses(&heard), [503], "{heard}");
    assert!(heard.contains("no process of the app serves this"), "{heard}");
}

#[test]
fn methods_of_ones_own_pass() {
    let door = door(app(echo));
    let heard = door.talk(b"PROPFIND / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", |_| false);
    assert!(heard.contains("PROPFIND / HTTP/1.1"), "{heard}");
}
