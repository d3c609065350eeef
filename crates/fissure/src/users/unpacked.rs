//! Bodies without their content coding, so that values can be found in them.

use std::io::Read;

use fissure_facts::Exchange;
use flate2::read::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};

/// A page with values in it is smaller; what unpacks to more is cut.
const BYTES_MAX: u64 = 8 << 20;

/// Unpacks every answer; gives how many are packed in a way that is not read.
pub fn unpack(exchanges: &mut [Exchange]) -> usize {
    let mut unread = 0;
    for answer in exchanges.iter_mut().filter_map(|exchange| exchange.answer.as_mut()) {
        let coding = answer.header("content-encoding").unwrap_or_default().trim().to_ascii_lowercase();
        if coding.is_empty() || coding == "identity" || answer.body.bytes.is_empty() {
            continue;
        }
        let packed = std::mem::take(&mut answer.body.bytes);
        let is_zlib = packed.first().is_some_and(|byte| byte & 0x0f == 8);
        let unpacked = match coding.as_str() {
            "gzip" | "x-gzip" => whole(MultiGzDecoder::new(&packed[..])),
            "deflate" if is_zlib => whole(ZlibDecoder::new(&packed[..])),
            "deflate" => whole(DeflateDecoder::new(&packed[..])),
            _ => None,
        };
        unread += usize::from(unpacked.is_none());
        answer.body.bytes = unpacked.unwrap_or_default();
        answer.headers.retain(|(name, _)| !name.eq_ignore_ascii_case("content-encoding"));
    }
    unread
}

/// What could be read; a recording may hold only the beginning.
fn whole(reader: impl Read) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    let read = reader.take(BYTES_MAX).read_to_end(&mut out);
    (read.is_ok() || !out.is_empty()).then_some(out)
}
