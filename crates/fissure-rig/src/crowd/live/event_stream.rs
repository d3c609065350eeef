//! The format of server-sent events (the HTML standard, section 9.2.6). Pure: bytes come in pieces of any size.

use bytes::Bytes;

/// What belongs to one event may be this long together.
const EVENT_BYTES_MAX: usize = 1 << 20;

#[derive(Debug, PartialEq, Eq)]
pub(super) struct Event {
    /// `message` when the app names none.
    pub(super) kind: String,
    pub(super) data: Bytes,
}

#[derive(Debug, Default)]
pub(super) struct EventStream {
    /// The beginning of a line.
    line: Vec<u8>,
    kind: String,
    data: Vec<u8>,
    has_begun: bool,
    /// The last bytes ended with a carriage return, which a line feed may still belong to.
    after_return: bool,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) struct TooLong;

impl EventStream {
    /// Takes the next bytes and gives each event that they complete to `found`.
    pub(super) fn take(&mut self, mut bytes: &[u8], mut found: impl FnMut(Event)) -> Result<(), TooLong> {
        if !bytes.is_empty() && std::mem::take(&mut self.after_return) {
            bytes = bytes.strip_prefix(b"\n").unwrap_or(bytes);
        }
        while !bytes.is_empty() {
            let end = bytes.iter().position(|b| matches!(b, b'\n' | b'\r'));
            let line = &bytes[..end.unwrap_or(bytes.len())];
            if self.line.len() + self.kind.len() + self.data.len() + line.len() > EVENT_BYTES_MAX {
                return Err(TooLong);
            }
            self.line.extend_from_slice(line);
            let Some(end) = end else { break };
            if let Some(event) = self.end_line() {
                found(event);
            }
            let rest = &bytes[end + 1..];
            self.after_return = bytes[end] == b'\r' && rest.is_empty();
            bytes = rest.strip_prefix(b"\n").filter(|_| bytes[end] == b'\r').unwrap_or(rest);
        }
        Ok(())
    }

    fn end_line(&mut self) -> Option<Event> {
        let line = std::mem::take(&mut self.line);
        let mut line = &line[..];
        if !std::mem::replace(&mut self.has_begun, true) {
            line = line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line);
        }
        if line.is_empty() {
            return self.end_event();
        }
        let colon = line.iter().position(|b| *b == b':');
        let (field, value) = colon.map_or((line, &[][..]), |at| (&line[..at], &line[at + 1..]));
        let value = value.strip_prefix(b" ").unwrap_or(value);
        match field {
            b"event" => self.kind = String::from_utf8_lossy(value).into_owned(),
            b"data" => {
                self.data.extend_from_slice(value);
                self.data.push(b'\n');
            }
            // `id` and `retry` are about connecting again; an empty name is a comment.
            _ => {}
        }
        None
    }

    fn end_event(&mut self) -> Option<Event> {
        let (kind, mut data) = (std::mem::take(&mut self.kind), std::mem::take(&mut self.data));
        data.pop()?; // without data it is no event
        let kind = if kind.is_empty() { "message".to_owned() } else { kind };
        Some(Event { kind, data: data.into() })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(pieces: &[&[u8]]) -> Result<Vec<(String, String)>, TooLong> {
        let (mut stream, mut events) = (EventStream::default(), Vec::new());
        for piece in pieces {
            stream.take(piece, |e| events.push((e.kind, String::from_utf8_lossy(&e.data).into_owned())))?;
        }
        Ok(events)
    }

    #[test]
    fn events_are_read_as_the_standard_says() {
        for (text, events) in [
            ("data: a\n\n", &[("message", "a")][..]),
            ("\u{feff}data:a\r\ndata: b\r\rdata\n\n", &[("message", "a\nb"), ("message", "")]),
            (": comment\nid: 7\nretry: 10\nevent: order\ndata:  {\"n\": 1}\n\n", &[("order", " {\"n\": 1}")]),
            ("event: nothing\n\ndata: x\n\n", &[("message", "x")]),
            ("data: never ended\n", &[]),
            ("datas: a\nda: b\n:\n\n", &[]),
        ] {
            let got = read(&[text.as_bytes()]).unwrap();
            let wanted: Vec<_> = events.iter().map(|(k, d)| ((*k).to_owned(), (*d).to_owned())).collect();
            assert_eq!(got, wanted, "{text:?}");
        }
    }

    #[test]
    fn an_event_without_an_end_does_not_fill_the_memory() {
        let line = b"data: 0123456789\n".repeat(1000);
        let pieces: Vec<&[u8]> = std::iter::repeat_n(&line[..], 200).collect();
        assert_eq!(read(&pieces), Err(TooLong));
        assert_eq!(read(&[&vec![b'x'; EVENT_BYTES_MAX + 1]]), Err(TooLong));
    }

    #[test]
    fn a_piece_without_bytes_does_not_make_two_lines_of_one_line_end() {
        let event = ("message".to_owned(), "a\nb".to_owned());
        assert_eq!(read(&[b"data: a\r", b"", b"\ndata: b\n\n"]), Ok(vec![event]));
    }

    proptest! {
        #[test]
        fn it_does_not_matter_how_the_bytes_are_cut(
            lines in proptest::collection::vec("(data|event|id|:)?:? ?[a-c\u{e9}]{0,3}(\n|\r|\r\n)", 0..20),
            cuts in proptest::collection::vec(0usize..100, 0..10),
        ) {
            let text = lines.concat();
            let bytes = text.as_bytes();
            let mut at: Vec<usize> = cuts.into_iter().map(|c| c.min(bytes.len())).chain([0, bytes.len()]).collect();
            at.sort_unstable();
            let pieces: Vec<&[u8]> = at.windows(2).map(|w| &bytes[w[0]..w[1]]).collect();
            prop_assert_eq!(read(&pieces), read(&[bytes]));
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = read(&[&bytes]);
        }
    }
}
