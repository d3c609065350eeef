//! Bytes of a recording, read from front to back, never beyond their end.

/// None from any call: the recording is broken there.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cursor<'b> {
    bytes: &'b [u8],
}

impl<'b> Cursor<'b> {
    pub fn new(bytes: &'b [u8]) -> Self {
        Self { bytes }
    }

    pub fn left(&self) -> usize {
        self.bytes.len()
    }

    pub fn take(&mut self, count: usize) -> Option<&'b [u8]> {
        let (taken, rest) = self.bytes.split_at_checked(count)?;
        self.bytes = rest;
        Some(taken)
    }

    pub fn byte(&mut self) -> Option<u8> {
        Some(self.take(1)?[0])
    }

    /// Big-endian, as everything of a fixed size is.
    pub fn u64(&mut self) -> Option<u64> {
        Some(u64::from_be_bytes(self.take(8)?.try_into().ok()?))
    }

    /// A number in seven bits a byte, the lowest first; the ninth byte has eight.
    pub fn number(&mut self) -> Option<i64> {
        let mut number = 0;
        for place in 0..8 {
            let byte = self.byte()?;
            number |= i64::from(byte & 0x7f) << (7 * place);
            if byte & 0x80 == 0 {
                return Some(number);
            }
        }
        Some(number | i64::from(self.byte()?) << 56)
    }

    /// A number of things, each of which takes a byte at least.
    pub fn count(&mut self) -> Option<usize> {
        usize::try_from(self.number()?).ok().filter(|count| *count <= self.left())
    }

    /// How a text is written stands in its first byte.
    pub fn text(&mut self) -> Option<Text> {
        Some(match self.byte()? {
            0 | 1 => Text::Is(String::new()),
            2 => Text::InPool(self.number()?),
            3 => {
                let count = self.count()?;
                Text::Is(String::from_utf8_lossy(self.take(count)?).into_owned())
            }
            4 => {
                let units: Vec<u16> = (0..self.count()?)
                    .map(|_| self.number().and_then(|unit| u16::try_from(unit).ok()))
                    .collect::<Option<_>>()?;
                Text::Is(String::from_utf16_lossy(&units))
            }
            5 => {
                let count = self.count()?;
                Text::Is(self.take(count)?.iter().map(|&byte| char::from(byte)).collect())
            }
            _ => return None,
        })
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Text {
    Is(String),
    InPool(i64),
}
