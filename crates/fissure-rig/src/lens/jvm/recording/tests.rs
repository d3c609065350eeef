//! A writer of small recordings, for the reader.

use proptest::prelude::*;

use super::*;

fn number(mut n: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    for _ in 0..8 {
        let low = (n & 0x7f) as u8;
        n >>= 7;
        if n == 0 {
            bytes.push(low);
            return bytes;
        }
        bytes.push(low | 0x80);
    }
    bytes.push(n as u8);
    bytes
}

fn text(text: &str) -> Vec<u8> {
    [vec![3], number(text.len() as u64), text.as_bytes().to_vec()].concat()
}

fn event(id: u64, content: &[u8]) -> Vec<u8> {
    let body = [number(id), content.to_vec()].concat();
    // Sizes are written in four bytes, as the JVM does.
    let size = body.len() as u64 + 4;
    let padded = (0..4).map(|i| (size >> (7 * i)) as u8 & 0x7f | if i < 3 { 0x80 } else { 0 });
    padded.chain(body).collect()
}

/// An element of metadata: name, attributes, children.
struct Tag(&'static str, Vec<(&'static str, String)>, Vec<Tag>);

fn class(name: &str, id: u32, fields: &[(&str, u32, bool, bool)]) -> Tag {
    let fields = fields.iter().map(|(name, of, pooled, many)| {
        let mut attributes = vec![("name", (*name).to_owned()), ("class", of.to_string())];
        attributes.extend(pooled.then(|| ("constantPool", "true".to_owned())));
        attributes.extend(many.then(|| ("dimension", "1".to_owned())));
        Tag("field", attributes, Vec::new())
    });
    Tag("class", vec![("name", name.to_owned()), ("id", id.to_string())], fields.collect())
}

fn written(tag: &Tag, texts: &mut Vec<String>) -> Vec<u8> {
    fn index(text: &str, texts: &mut Vec<String>) -> Vec<u8> {
        let at = texts.iter().position(|t| t == text).unwrap_or_else(|| {
            texts.push(text.to_owned());
            texts.len() - 1
        });
        number(at as u64)
    }
    let Tag(name, attributes, children) = tag;
    let mut bytes = index(name, texts);
    bytes.extend(number(attributes.len() as u64));
    for (key, value) in attributes {
        bytes.extend(index(key, texts));
        bytes.extend(index(value, texts));
    }
    bytes.extend(number(children.len() as u64));
    for child in children {
        bytes.extend(written(child, texts));
    }
    bytes
}

/// A chunk with one sample in `Cart.total`, line 7, whose names stand in two pools.
fn recording(name: &str) -> Vec<u8> {
    let types = vec![
        class("long", 10, &[]),
        class("java.lang.String", 11, &[]),
        class("Symbol", 12, &[("string", 11, false, false)]),
        class("Frame", 13, &[("method", 12, true, false), ("line", 10, false, false)]),
        class("Trace", 14, &[("frames", 13, false, true)]),
        class("jdk.Sample", 15, &[("start", 10, false, false), ("trace", 14, true, false)]),
    ];
    let root = Tag("root", Vec::new(), vec![Tag("metadata", Vec::new(), types)]);
    let mut texts = Vec::new();
    let tree = written(&root, &mut texts);
    let listed: Vec<u8> = texts.iter().flat_map(|t| text(t)).collect();
    let metadata =
        event(0, &[number(1), number(2), number(3), number(texts.len() as u64), listed, tree].concat());

    let pool = |delta: i64, of: u64, key: u64, value: Vec<u8>| {
        let head = [
            number(1),
            number(2),
            number(delta as u64),
            vec![0],
            number(1),
            number(of),
            number(1),
            number(key),
        ];
        event(1, &[head.concat(), value].concat())
    };
    let symbols = pool(0, 12, 5, text(name));
    let traces = pool(-(symbols.len() as i64), 14, 9, [number(1), number(5), number(7)].concat());
    let sample = event(15, &[number(1 << 60), number(9)].concat());
    let pools_at = HEADER_BYTES + sample.len() + symbols.len();
    let metadata_at = pools_at + traces.len();
    let size = metadata_at + metadata.len();
    let mut bytes = b"FLR\0\0\x02\0\x01".to_vec();
    for number in [size, pools_at, metadata_at, 0, 0, 0, 2_000_000_000] {
        bytes.extend((number as u64).to_be_bytes());
    }
    bytes.extend([0; 4]);
    [bytes, sample, symbols, traces, metadata].concat()
}

fn samples(bytes: &[u8]) -> Vec<(String, i64)> {
    let chunks = chunks(bytes, "jdk.Sample");
    let of = |chunk: &Chunk| -> Vec<(String, i64)> {
        let frames = chunk.events().flat_map(|event| chunk.many(event, &["trace", "frames"]));
        frames
            .map(|frame| {
                let name = chunk.text(frame, &["method", "string"]).unwrap_or_default();
                (name.to_owned(), chunk.number(frame, &["line"]).unwrap_or(-1))
            })
            .collect()
    };
    chunks.iter().flat_map(of).collect()
}

#[test]
fn a_sample_is_found_through_the_pools_of_every_chunk() {
    let both = [recording("Cart.total"), recording("Cart.price")].concat();
    assert_eq!(samples(&both), [("Cart.total".to_owned(), 7), ("Cart.price".to_owned(), 7)]);
    assert_eq!(chunks(&both, "jdk.Other").iter().map(|chunk| chunk.events().count()).sum::<usize>(), 0);
}

#[test]
fn ticks_are_of_the_clock_that_the_recording_names() {
    let read = chunks(&recording("Cart.total"), "jdk.Sample");
    assert_eq!(read[0].us(380_000_000), Some(190_000));
    assert_eq!(read[0].us(-1), None);
}

#[test]
fn what_came_before_the_end_of_a_torn_recording_counts() {
    let first = recording("Cart.total");
    let torn = [first.clone(), first[..first.len() - 1].to_vec()].concat();
    assert_eq!(samples(&torn).len(), 1);
    assert_eq!(samples(b""), []);
    assert_eq!(samples(b"FLR\0"), []);
}

proptest! {
    #[test]
    fn any_name_survives(name in "\\PC{1,30}") {
        prop_assert_eq!(samples(&recording(&name)), [(name, 7)]);
    }

    #[test]
    fn a_broken_recording_is_read_as_far_as_it_goes(at in 0usize..900, bytes in prop::collection::vec(any::<u8>(), 1..9), cut in 0usize..900) {
        let mut recording = recording("Cart.total");
        for (i, byte) in bytes.iter().enumerate() {
            if let Some(place) = recording.get_mut(at + i) {
                *place = *byte;
            }
        }
        recording.truncate(recording.len().saturating_sub(cut / 4));
        let _ = samples(&recording);
    }

    #[test]
    fn any_bytes_are_no_trouble(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = samples(&bytes);
        let _ = samples(&[b"FLR\0\0\x02\0\x01".to_vec(), bytes].concat());
    }

    #[test]
    fn numbers_are_read_as_they_were_written(n in any::<i64>()) {
        let bytes = number(n as u64);
        let mut cursor = Cursor::new(&bytes);
        prop_assert_eq!(cursor.number(), Some(n));
        prop_assert_eq!(cursor.left(), 0);
    }
}
