//! The messages of a WebSocket, read from the bytes that pass through a tunnel (RFC 6455 5). Nothing is held up or changed.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use fissure_facts::traffic::Content;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Of one message.
const KEPT_BYTES_MAX: usize = 64 << 10;
/// Of all messages of one side.
const ALL_KEPT_BYTES_MAX: usize = 1 << 20;
/// A frame's head is not longer.
const HEAD_BYTES_MAX: usize = 14;

/// A whole message, or the beginning of a long one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Heard {
    pub(super) is_binary: bool,
    pub(super) body: Content,
}

/// Listens to one side.
#[derive(Debug)]
pub(super) struct Ear {
    /// Of the frame that begins, as long as it is not whole.
    head: Vec<u8>,
    frame: Option<Frame>,
    message: Option<Heard>,
    /// How many bytes of the message came.
    came: u64,
    room: usize,
    /// What comes is no longer understood: another extension, or no WebSocket at all.
    is_lost: bool,
}

#[derive(Debug, Clone, Copy)]
struct Frame {
    left: u64,
    mask: [u8; 4],
    /// How many bytes of its payload were read.
    read: usize,
    is_last: bool,
    /// Ping, pong and close stand between the frames of a message.
    is_control: bool,
}

impl Ear {
    pub(super) fn new() -> Self {
        Self {
            head: Vec::new(),
            frame: None,
            message: None,
            came: 0,
            room: ALL_KEPT_BYTES_MAX,
            is_lost: false,
        }
    }

    /// Reads on; tells each message when its last byte has come.
    pub(super) fn hear(&mut self, mut bytes: &[u8], mut tell: impl FnMut(Heard)) {
        while !self.is_lost && !bytes.is_empty() {
            let Some(mut frame) = self.frame.take() else {
                let (first, rest) = (bytes[0], &bytes[1..]);
                bytes = rest;
                self.head.push(first);
                self.begin();
                self.end(&mut tell);
                continue;
            };
            let length = usize::try_from(frame.left).unwrap_or(usize::MAX).min(bytes.len());
            if !frame.is_control {
                self.keep(&bytes[..length], frame);
            }
            bytes = &bytes[length..];
            frame.left -= length as u64;
            frame.read = frame.read.wrapping_add(length);
            self.frame = Some(frame);
            self.end(&mut tell);
        }
    }

    /// Begins a frame if its head is whole.
    fn begin(&mut self) {
        let [first, second, rest @ ..] = &self.head[..] else { return };
        let length_bytes = match second & 0x7f {
            126 => 2,
            127 => 8,
            _ => 0,
        };
        let is_masked = second & 0x80 != 0;
        let mask_bytes = if is_masked { 4 } else { 0 };
        if rest.len() < length_bytes + mask_bytes {
            debug_assert!(self.head.len() < HEAD_BYTES_MAX);
            return;
        }
        let long = rest[..length_bytes].iter().fold(0, |sum, &byte| sum << 8 | u64::from(byte));
        let left = if length_bytes == 0 { u64::from(second & 0x7f) } else { long };
        let mut mask = [0; 4];
        mask[..mask_bytes].copy_from_slice(&rest[length_bytes..length_bytes + mask_bytes]);
        let (is_last, reserved, code) = (first & 0x80 != 0, first & 0x70, first & 0x0f);
        match (code, self.message.is_some()) {
            _ if reserved != 0 => self.is_lost = true,
            (1 | 2, false) => {
                self.message = Some(Heard { is_binary: code == 2, body: Content::default() });
                self.came = 0;
            }
            (0, true) | (8..=10, _) => {}
            _ => self.is_lost = true,
        }
        self.frame = Some(Frame { left, mask, read: 0, is_last, is_control: code >= 8 });
        self.head.clear();
    }

    fn keep(&mut self, bytes: &[u8], frame: Frame) {
        let Some(message) = &mut self.message else { return };
        self.came += bytes.len() as u64;
        let kept = &mut message.body.bytes;
        let room = (KEPT_BYTES_MAX - kept.len()).min(self.room).min(bytes.len());
        let mask = frame.mask.iter().cycle().skip(frame.read % 4);
        kept.extend(bytes[..room].iter().zip(mask).map(|(byte, mask)| byte ^ mask));
        self.room -= room;
    }

    /// Ends the frame, and with it the message, if nothing is left of it.
    fn end(&mut self, tell: &mut impl FnMut(Heard)) {
        if self.is_lost || self.frame.is_none_or(|frame| frame.left > 0) {
            return;
        }
        let Some(frame) = self.frame.take() else { return };
        if frame.is_last
            && !frame.is_control
            && let Some(mut message) = self.message.take()
        {
            if (message.body.bytes.len() as u64) < self.came {
                message.body.cut_from = Some(self.came);
            }
            tell(message);
        }
    }
}

/// One end of a tunnel, of which everything that it says is told.
pub(super) struct Overheard<S, T> {
    stream: S,
    ear: Option<(Ear, T)>,
}

impl<S, T: FnMut(Heard)> Overheard<S, T> {
    /// Without `tell` nobody listens.
    pub(super) fn new(stream: S, tell: Option<T>) -> Self {
        Self { stream, ear: tell.map(|tell| (Ear::new(), tell)) }
    }
}

impl<S: AsyncRead + Unpin, T: FnMut(Heard) + Unpin> AsyncRead for Overheard<S, T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buf))?;
        if let Some((ear, tell)) = &mut self.ear {
            ear.hear(&buf.filled()[before..], tell);
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin, T: Unpin> AsyncWrite for Overheard<S, T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tokio_tungstenite::tungstenite::protocol::frame::Frame as Written;
    use tokio_tungstenite::tungstenite::protocol::frame::FrameHeader;
    use tokio_tungstenite::tungstenite::protocol::frame::coding::{Control, Data, OpCode};

    use super::*;

    fn heard(bytes: &[u8], step: usize) -> Vec<Heard> {
        let (mut ear, mut all) = (Ear::new(), Vec::new());
        for some in bytes.chunks(step) {
            ear.hear(some, |message| all.push(message));
        }
        all
    }

    /// As the library of the crowd writes it.
    fn written(code: OpCode, is_final: bool, mask: Option<[u8; 4]>, payload: &[u8]) -> Vec<u8> {
        let header = FrameHeader { is_final, opcode: code, mask, ..FrameHeader::default() };
        let mut out = Vec::new();
        Written::from_payload(header, payload.to_vec().into()).format(&mut out).unwrap();
        out
    }

    #[test]
    fn a_long_message_is_kept_in_part_and_all_of_them_up_to_a_sum() {
        let long = written(OpCode::Data(Data::Binary), true, None, &vec![7; 100_000]);
        let all = heard(&long.repeat(20), 4096);
        assert_eq!((all.len(), all[0].body.bytes.len(), all[0].is_binary), (20, KEPT_BYTES_MAX, true));
        assert!(all.iter().all(|message| message.body.cut_from == Some(100_000)));
        let sum: usize = all.iter().map(|message| message.body.bytes.len()).sum();
        assert_eq!(sum, ALL_KEPT_BYTES_MAX);
    }

    #[test]
    fn what_is_no_websocket_tells_nothing() {
        assert_eq!(heard(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", 7), []);
        // A compressed message: an extension that nobody here knows.
        assert_eq!(heard(&[0xc1, 0x01, b'a', 0x81, 0x01, b'b'], 2), []);
    }

    proptest! {
        #[test]
        fn messages_come_out_as_they_were_written_wherever_the_network_cuts_them(
            messages in prop::collection::vec((any::<bool>(), prop::collection::vec(any::<u8>(), 0..300), 1..5usize), 1..6),
            mask: Option<[u8; 4]>, step in 1..50usize,
        ) {
            let mut bytes = Vec::new();
            let mut expected = Vec::new();
            for (is_binary, payload, parts) in &messages {
                let size = payload.len().div_ceil(*parts).max(1);
                let mut chunks: Vec<&[u8]> = payload.chunks(size).collect();
                if chunks.is_empty() {
                    chunks.push(&[]);
                }
                for (n, chunk) in chunks.iter().enumerate() {
                    let data = match (n, is_binary) {
                        (0, true) => Data::Binary,
                        (0, false) => Data::Text,
                        _ => Data::Continue,
                    };
                    bytes.extend(written(OpCode::Data(data), n + 1 == chunks.len(), mask, chunk));
                    bytes.extend(written(OpCode::Control(Control::Ping), true, mask, b"there?"));
                }
                expected.push(Heard { is_binary: *is_binary, body: Content::whole(payload.clone()) });
            }
            prop_assert_eq!(heard(&bytes, step), expected);
        }

        #[test]
        fn no_bytes_make_it_panic(bytes: Vec<u8>, step in 1..9usize) {
            heard(&bytes, step);
        }
    }
}
