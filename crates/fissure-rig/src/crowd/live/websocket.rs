//! A WebSocket (RFC 6455), on a connection of its own.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};

use bytes::Bytes;
use fissure_facts::fact::ErrorClass;
use futures_util::{Sink, Stream as _};
use hyper::header::{CONNECTION, CONTENT_LENGTH, HOST, HeaderValue, UPGRADE};
use hyper::{HeaderMap, Request, Uri};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::error::{CapacityError, ProtocolError};
use tokio_tungstenite::tungstenite::handshake::client::generate_key;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, Message};

use super::inbox::{Feed, Received};
use crate::crowd::connection::{Failure, Stream};
use crate::crowd::dispatch::Outstanding;
use crate::crowd::draft::Draft;
use crate::crowd::timer::monotonic_ns;

const MESSAGE_BYTES_MAX: usize = 4 << 20;
/// Each socket holds one buffer of this size.
const READ_BYTES: usize = 4 << 10;

pub(super) struct WebSocket {
    frames: WebSocketStream<Stream>,
    /// Counts for the choice of replicas as long as it is open.
    _outstanding: Outstanding,
}

impl WebSocket {
    /// Asks the app to go over to WebSocket; gives the headers of its 101.
    pub(super) async fn open(
        stream: Stream,
        draft: &Draft<'_>,
        outstanding: Outstanding,
    ) -> Result<(Self, HeaderMap), Failure> {
        let config = WebSocketConfig::default()
            .read_buffer_size(READ_BYTES)
            .write_buffer_size(0)
            .max_write_buffer_size(MESSAGE_BYTES_MAX)
            .max_message_size(Some(MESSAGE_BYTES_MAX))
            .max_frame_size(Some(MESSAGE_BYTES_MAX));
        let request = upgrade(draft)?;
        let opened = tokio_tungstenite::client_async_with_config(request, stream, Some(config)).await;
        let (frames, response) = opened.map_err(failure)?;
        Ok((Self { frames, _outstanding: outstanding }, response.into_parts().0.headers))
    }

    pub(super) async fn send(&mut self, data: Bytes, is_text: bool) -> Result<(), Failure> {
        let message = match std::str::from_utf8(&data) {
            Ok(text) if is_text => Message::text(text),
            _ => Message::Binary(data),
        };
        poll_fn(|cx| Pin::new(&mut self.frames).poll_ready(cx)).await.map_err(failure)?;
        Pin::new(&mut self.frames).start_send(message).map_err(failure)?;
        poll_fn(|cx| Pin::new(&mut self.frames).poll_flush(cx)).await.map_err(failure)
    }

    /// Says goodbye and waits until the app has done so too.
    pub(super) async fn close(&mut self) -> Result<(), Failure> {
        match poll_fn(|cx| self.poll_goodbye(cx, CloseCode::Normal)).await {
            Ok(()) | Err(Error::ConnectionClosed | Error::AlreadyClosed) => {}
            Err(error) => return Err(failure(error)),
        }
        loop {
            match poll_fn(|cx| Pin::new(&mut self.frames).poll_next(cx)).await {
                // How the app then ends the connection does not matter.
                Some(Ok(Message::Close(_))) | None => return Ok(()),
                Some(Err(Error::ConnectionClosed | Error::AlreadyClosed)) => return Ok(()),
                Some(Err(error)) => return Err(failure(error)),
                Some(Ok(_)) => {} // what was on its way
            }
        }
    }

    fn poll_goodbye(&mut self, cx: &mut Context<'_>, code: CloseCode) -> Poll<Result<(), Error>> {
        ready!(Pin::new(&mut self.frames).poll_ready(cx))?;
        let frame = CloseFrame { code, reason: "".into() };
        Pin::new(&mut self.frames).start_send(Message::Close(Some(frame)))?;
        Pin::new(&mut self.frames).poll_flush(cx)
    }
}

impl Drop for WebSocket {
    /// Says that the user leaves, if that is possible at once, as a browser does when its window is closed.
    fn drop(&mut self) {
        let _ = self.poll_goodbye(&mut Context::from_waker(Waker::noop()), CloseCode::Away);
    }
}

impl Feed for WebSocket {
    /// Pings are answered on the way.
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Result<Received, Failure>> {
        loop {
            let data = match ready!(Pin::new(&mut self.frames).poll_next(cx)) {
                Some(Ok(Message::Text(text))) => Bytes::from(text),
                Some(Ok(Message::Binary(data))) => data,
                Some(Ok(Message::Close(frame))) => {
                    let why = frame.map(|f| format!(" (code {}, `{}`)", u16::from(f.code), f.reason));
                    let sentence = format!("the app closed the WebSocket{}", why.unwrap_or_default());
                    return Poll::Ready(Err(Failure { class: ErrorClass::Reset, sentence }));
                }
                Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => continue,
                Some(Err(error)) => return Poll::Ready(Err(failure(error))),
                None => return Poll::Ready(Err(failure(Error::ConnectionClosed))),
            };
            return Poll::Ready(Ok(Received { at_ns: monotonic_ns(), kind: None, data }));
        }
    }
}

fn upgrade(draft: &Draft<'_>) -> Result<Request<()>, Failure> {
    let (mut head, _) = draft.request()?.into_parts();
    let host = head.headers.get(HOST).map(HeaderValue::as_bytes).unwrap_or_default();
    let scheme = if draft.protocol.tls { "wss" } else { "ws" };
    let uri = Uri::builder().scheme(scheme).authority(host).path_and_query(draft.target.as_ref()).build();
    head.uri = uri.map_err(|e| Failure {
        class: ErrorClass::Crowd,
        sentence: format!("`{}` cannot be the address of a WebSocket ({e})", draft.target),
    })?;
    head.headers.remove(CONTENT_LENGTH);
    head.headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    head.headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    head.headers.insert("sec-websocket-version", HeaderValue::from_static("13"));
    let key = HeaderValue::try_from(generate_key());
    head.headers.extend(key.ok().map(|key| (hyper::header::SEC_WEBSOCKET_KEY, key)));
    Ok(Request::from_parts(head, ()))
}

fn failure(error: Error) -> Failure {
    let (class, sentence) = match error {
        Error::Http(response) => (
            ErrorClass::Status,
            format!("expected status 101, the beginning of a WebSocket, got {}", response.status().as_u16()),
        ),
        Error::ConnectionClosed
        | Error::AlreadyClosed
        | Error::Io(_)
        | Error::Protocol(
            ProtocolError::ResetWithoutClosingHandshake
            | ProtocolError::HandshakeIncomplete
            | ProtocolError::SendAfterClosing,
        ) => (ErrorClass::Reset, format!("the app closed the connection of the WebSocket ({error})")),
        Error::Capacity(CapacityError::MessageTooLong { .. }) => (
            ErrorClass::TooLarge,
            format!("a message is larger than {} MB, more than the crowd reads", MESSAGE_BYTES_MAX >> 20),
        ),
        Error::WriteBufferFull(_) => {
            (ErrorClass::Crowd, format!("a message to be sent is larger than {} MB", MESSAGE_BYTES_MAX >> 20))
        }
        _ => (ErrorClass::Malformed, format!("the app broke the rules of WebSocket ({error})")),
    };
    Failure { class, sentence }
}
