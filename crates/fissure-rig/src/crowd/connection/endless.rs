//! An answer over HTTP/1.1 that does not end, read by hyper: speed matters little here, and the body comes as a stream.

use fissure_facts::fact::ErrorClass;
use hyper::Response;
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::task::spawn_local;

use super::Failure;
use super::stream::Stream;
use crate::crowd::draft::Draft;

/// Bounds the head of the answer.
const HEAD_BYTES_MAX: usize = 64 << 10;

/// The connection ends with the body.
pub(super) async fn answer(stream: Stream, draft: &Draft<'_>) -> Result<Response<Incoming>, Failure> {
    let mut builder = http1::Builder::new();
    builder.max_buf_size(HEAD_BYTES_MAX).title_case_headers(true);
    let (mut sender, driver) = builder.handshake(TokioIo::new(stream)).await.map_err(|e| failure(&e))?;
    // What ends it early is seen in the answer or in its body.
    spawn_local(async move { drop(driver.await) });
    sender.send_request(draft.request()?).await.map_err(|e| failure(&e))
}

fn failure(error: &hyper::Error) -> Failure {
    if error.is_parse() || error.is_parse_too_large() {
        return Failure {
            class: ErrorClass::Malformed,
            sentence: format!("the answer is not proper HTTP/1.1 ({error})"),
        };
    }
    Failure { class: ErrorClass::Reset, sentence: format!("the app did not answer ({error})") }
}
