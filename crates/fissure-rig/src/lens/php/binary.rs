//! What the file that holds PHP says of itself: its version, and whether it was built for threads.

use std::path::Path;

use crate::lens::memory::read_as_seen;

/// PHP tells its version to every client, unless that is turned off: the text is in each build.
const VERSION: &[u8] = b"X-Powered-By: PHP/";
/// What an extension must fit: the number of the interface, and whether there are threads.
const INTERFACE: &[u8] = b"API";
const THREADS: [(&[u8], bool); 2] = [(b",NTS", false), (b",TS", true)];
/// The number between both.
const NUMBER_BYTES_MAX: usize = 16;
const VERSION_BYTES_MAX: usize = 40;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Binary {
    pub version: String,
    pub has_threads: bool,
}

impl Binary {
    /// None where the file does not hold PHP.
    pub fn read(pid: u32, file: &Path) -> Option<Self> {
        Self::of(&read_as_seen(pid, file)?)
    }

    fn of(bytes: &[u8]) -> Option<Self> {
        let behind = behind(bytes, VERSION).next()?;
        let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || b".-+~".contains(byte);
        let version: Vec<u8> = behind.iter().copied().take_while(is_part).take(VERSION_BYTES_MAX).collect();
        let version = String::from_utf8(version).ok().filter(|version| !version.is_empty())?;
        Some(Self { version, has_threads: has_threads(bytes) })
    }
}

fn has_threads(bytes: &[u8]) -> bool {
    let told = behind(bytes, INTERFACE).find_map(|rest| {
        let digits = rest.iter().take(NUMBER_BYTES_MAX).take_while(|byte| byte.is_ascii_digit()).count();
        let rest = rest.get(digits..).filter(|_| digits > 0)?;
        THREADS.iter().find(|(text, _)| rest.starts_with(text)).map(|(_, has_threads)| *has_threads)
    });
    told.unwrap_or(false)
}

/// What stands behind each place at which the text is found.
fn behind<'b>(bytes: &'b [u8], text: &'b [u8]) -> impl Iterator<Item = &'b [u8]> {
    let starts = bytes.windows(text.len()).enumerate().filter(move |(_, window)| *window == text);
    starts.filter_map(move |(at, _)| bytes.get(at + text.len()..))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_build_is_known_by_what_it_tells_its_clients_and_its_extensions() {
        let of = |text: &[u8]| Binary::of(text).map(|binary| (binary.version, binary.has_threads));
        let plain = b"API\0APIx\0API420220829,NTS\0X-Powered-By: PHP/8.2.31\0";
        assert_eq!(of(plain), Some(("8.2.31".to_owned(), false)));
        let threads = b"X-Powered-By: PHP/8.4.1-dev\0...API420240924,TS\0";
        assert_eq!(of(threads), Some(("8.4.1-dev".to_owned(), true)));
        assert_eq!(of(b"X-Powered-By: Express\0API420240924,TS\0"), None);
        assert_eq!(of(b"X-Powered-By: PHP/"), None);
    }

    proptest! {
        #[test]
        fn any_file_is_read_or_refused(bytes in "(API|X-Powered-By: PHP/|[0-9]{1,20}|,N?TS|\\PC){0,12}") {
            let _ = Binary::of(bytes.as_bytes());
        }
    }
}
