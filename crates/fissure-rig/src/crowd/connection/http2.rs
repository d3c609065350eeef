//! One HTTP/2 connection of one user; each request is a stream of its own on it, also while another stays open.
//!
//! The connection has a task of its own: the app may speak at any time (pings, settings, window updates), and streams
//! that stay open need it while the user is busy with something else. The task ends with the last stream and sender.

use std::cell::OnceCell;
use std::error::Error as _;
use std::fmt::Display;
use std::rc::Rc;

use bytes::Bytes;
use fissure_facts::HttpVersion;
use fissure_facts::fact::ErrorClass;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http2;
use hyper::header::{HOST, HeaderValue};
use hyper::rt::Executor;
use hyper::{Request, Response, Uri, Version};
use hyper_util::rt::TokioIo;
use tokio::task::{spawn_local, yield_now};

use super::stream::Stream;
use super::{Broken, Failure, Keep, Reply};
use crate::crowd::draft::Draft;

/// Bounds the head of an answer, unpacked.
const HEAD_BYTES_MAX: u32 = 64 << 10;
/// What the app may send ahead on one stream and on all of them: bounds the memory of a connection.
const STREAM_BYTES_MAX: u32 = 1 << 20;
const CONNECTION_BYTES_MAX: u32 = 4 << 20;

pub(super) struct Http2 {
    sender: http2::SendRequest<Full<Bytes>>,
    /// Why the connection ended, once it has ended with an error.
    ended: Rc<OnceCell<hyper::Error>>,
}

/// Runs hyper's own futures beside the users.
#[derive(Clone)]
struct Beside;

impl<F: Future<Output = ()> + 'static> Executor<F> for Beside {
    fn execute(&self, future: F) {
        spawn_local(future);
    }
}

impl Http2 {
    pub(super) async fn over(stream: Stream) -> Result<Self, Failure> {
        let (sender, driver) = http2::Builder::new(Beside)
            .max_header_list_size(HEAD_BYTES_MAX)
            .initial_stream_window_size(STREAM_BYTES_MAX)
            .initial_connection_window_size(CONNECTION_BYTES_MAX)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(|e| broken(&e).failure)?;
        let ended = Rc::new(OnceCell::new());
        let end = Rc::clone(&ended);
        spawn_local(async move {
            if let Err(error) = driver.await {
                let _ = end.set(error);
            }
        });
        Ok(Self { sender, ended })
    }

    pub(super) fn is_ready(&self) -> bool {
        self.sender.is_ready()
    }

    pub(super) async fn exchange(&mut self, draft: &Draft<'_>, keep: Keep) -> Result<Reply, Broken> {
        let (head, mut incoming) = self.send(draft).await?.into_parts();
        let (version, status) = (HttpVersion::Two, head.status.as_u16());
        let mut reply = Reply { version, status, headers: head.headers, ..Reply::default() };
        while let Some(frame) = incoming.frame().await {
            let data = frame.map_err(|e| broken(&e).in_the_middle())?.into_data();
            let taken = data.map_or(Ok(()), |data| reply.take_body(&data, keep));
            taken.map_err(|failure| failure.broken(Again::No))?;
        }
        Ok(reply)
    }

    /// Sends a request and gives its answer as soon as its head is here.
    pub(super) async fn send(&mut self, draft: &Draft<'_>) -> Result<Response<Incoming>, Broken> {
        let request = with_pseudo_headers(draft).map_err(|failure| failure.broken(Again::No))?;
        match self.sender.send_request(request).await {
            Ok(response) => Ok(response),
            Err(error) if h2_error(&error).is_some() => Err(broken(&error)),
            // The connection ended with the request still in the queue; its task knows why, and has it said by now.
            Err(error) => {
                yield_now().await;
                Err(broken(self.ended.get().unwrap_or(&error)))
            }
        }
    }
}

/// HTTP/2 has `:scheme` and `:authority` in the place of `Host` (RFC 9113, section 8.3.1).
fn with_pseudo_headers(draft: &Draft<'_>) -> Result<Request<Full<Bytes>>, Failure> {
    let mut request = draft.request()?;
    let host = request.headers_mut().remove(HOST);
    let authority = host.as_ref().map(HeaderValue::as_bytes).unwrap_or_default();
    let path = request.uri().path_and_query().map_or("/", |target| target.as_str());
    let uri =
        Uri::builder().scheme(draft.protocol.scheme()).authority(authority).path_and_query(path).build();
    *request.uri_mut() = uri.map_err(|e| Failure {
        class: ErrorClass::Crowd,
        sentence: format!("the request cannot be written as HTTP/2 ({e})"),
    })?;
    *request.version_mut() = Version::HTTP_2;
    Ok(request)
}

/// What a failed request leaves open.
#[derive(Clone, Copy)]
enum Again {
    /// Somebody worked on it, or may have.
    No,
    /// The connection was gone before anything of the answer came.
    IfIdempotent,
    /// The app says that it did not begin to work on it (RFC 9113, section 8.7), or it was never sent.
    Yes,
}

impl Failure {
    fn broken(self, again: Again) -> Broken {
        let (nothing_read, nothing_written) = match again {
            Again::No => (false, false),
            Again::IfIdempotent => (true, false),
            Again::Yes => (true, true),
        };
        Broken { failure: self, nothing_read, nothing_written }
    }
}

impl Broken {
    /// When the head of the answer was here already.
    fn in_the_middle(self) -> Self {
        let Failure { class, sentence } = self.failure;
        let class = if class == ErrorClass::Reset { ErrorClass::CutShort } else { class };
        Failure { class, sentence }.broken(Again::No)
    }
}

fn broken(error: &hyper::Error) -> Broken {
    let failure = |class: ErrorClass, sentence: String| Failure { class, sentence };
    let closed =
        |why: &dyn Display| format!("the app closed the connection before its answer was whole ({why})");
    let Some(reason) = h2_error(error) else {
        if error.is_user() {
            let sentence = format!("the crowd could not write the request ({error})");
            return failure(ErrorClass::Crowd, sentence).broken(Again::No);
        }
        let again = if error.is_canceled() { Again::Yes } else { Again::IfIdempotent };
        return failure(ErrorClass::Reset, closed(error)).broken(again);
    };
    let code = reason.reason().map_or_else(|| reason.to_string(), |code| format!("{code:?}: {code}"));
    if reason.is_io() {
        return failure(ErrorClass::Reset, closed(reason)).broken(Again::IfIdempotent);
    }
    if reason.is_remote() {
        let (sentence, is_untouched) = if reason.is_go_away() {
            // Streams that the app did work on are answered before it leaves.
            let is_untouched = reason.reason() == Some(h2::Reason::NO_ERROR);
            (format!("the app took leave of the connection with GOAWAY ({code})"), is_untouched)
        } else {
            let is_untouched = reason.reason() == Some(h2::Reason::REFUSED_STREAM);
            (format!("the app reset the stream with RST_STREAM ({code})"), is_untouched)
        };
        return failure(ErrorClass::Reset, sentence).broken(if is_untouched {
            Again::Yes
        } else {
            Again::No
        });
    }
    let (class, whose) = if reason.is_library() {
        (ErrorClass::Malformed, "the app broke the rules of HTTP/2")
    } else {
        (ErrorClass::Crowd, "the crowd could not send the request over HTTP/2")
    };
    failure(class, format!("{whose} ({code})")).broken(Again::No)
}

fn h2_error(error: &hyper::Error) -> Option<&h2::Error> {
    let mut source = error.source();
    while let Some(inner) = source {
        if let Some(found) = inner.downcast_ref() {
            return Some(found);
        }
        source = inner.source();
    }
    None
}
