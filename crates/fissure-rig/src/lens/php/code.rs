//! PHP's functions: name, file, and the line of an instruction.

use std::collections::HashMap;
use std::sync::Arc;

use super::engine::Call;
use super::layout::Layout;
use crate::lens::memory::{Memory, half_word_in, word_in};

/// The kinds of a function, in its first byte: of C, of PHP, and what `eval` has made.
const OF_C: u8 = 1;
const OF_PHP: u8 = 2;
const EVALUATED: u8 = 4;
/// In every function.
const NAME: u64 = 8;
const CLASS: u64 = 16;
const HEAD_BYTES: u64 = 24;
/// In a class, a text, an extension.
const NAME_OF_CLASS: u64 = 8;
const LENGTH: u64 = 16;
const TEXT: u64 = 24;
const NAME_OF_EXTENSION: u64 = 32;
const EXTENSION_BYTES: u64 = 24;
/// An instruction, and its line in it.
const INSTRUCTION_BYTES: u64 = 32;
const LINE: u64 = 24;
/// No function is longer.
const INSTRUCTIONS_MAX: u32 = 1 << 24;
/// More places are forgotten: an app has fewer.
const PLACES_MAX: usize = 1 << 16;

/// Where a call is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Place {
    pub function: String,
    /// Empty where the function is written in C.
    pub file: String,
    pub line: u32,
    /// Whose the function is that is written in C.
    pub extension: String,
}

/// What a function is known by: without a cache of code PHP makes all functions anew for every request, and others may then stand
/// at the same address. Those that are the same in all of this are one.
type Marks = [u64; 6];

/// The places that were met so far.
#[derive(Debug)]
pub(super) struct Functions {
    layout: &'static Layout,
    known: HashMap<(Marks, u64), Arc<Place>>,
}

impl Functions {
    pub fn new(layout: &'static Layout) -> Self {
        Self { layout, known: HashMap::new() }
    }

    /// None when there is no such thing: the call changed while it was read.
    pub fn place(&mut self, memory: &impl Memory, call: Call) -> Option<Arc<Place>> {
        let head = memory.bytes(call.function, HEAD_BYTES)?;
        let marks = match *head.first()? {
            OF_C => self.of_c(memory, call, &head),
            OF_PHP | EVALUATED => self.of_php(memory, call, &head),
            _ => None,
        }?;
        if let Some(place) = self.known.get(&marks) {
            return Some(Arc::clone(place));
        }
        let ([_, name, class, file, extension, _], at) = marks;
        let function = named(&text(memory, name)?, &class_name(memory, class)?);
        let place = if file == 0 {
            Place { function, extension: extension_name(memory, extension)?, ..Place::default() }
        } else {
            let (file, line) = outside_of_eval(&text(memory, file)?, memory.half_word(at, LINE)?);
            Place { function, file, line, ..Place::default() }
        };
        if self.known.len() >= PLACES_MAX {
            self.known.clear();
        }
        let place = Arc::new(place);
        self.known.insert(marks, Arc::clone(&place));
        Some(place)
    }

    fn of_c(&self, memory: &impl Memory, call: Call, head: &[u8]) -> Option<(Marks, u64)> {
        let extension = memory.word(call.function, self.layout.extension)?;
        Some(([word_in(head, 0)?, word_in(head, NAME)?, word_in(head, CLASS)?, 0, extension, 0], 0))
    }

    fn of_php(&self, memory: &impl Memory, call: Call, head: &[u8]) -> Option<(Marks, u64)> {
        let Layout { count, instructions, file, .. } = *self.layout;
        let rest = memory.bytes(call.function.checked_add(count)?, file.checked_sub(count)? + 16)?;
        let first = word_in(&rest, instructions.checked_sub(count)?)?;
        let count_of = half_word_in(&rest, 0)?;
        (0 < count_of && count_of <= INSTRUCTIONS_MAX).then_some(())?;
        let end = first.checked_add(INSTRUCTION_BYTES * u64::from(count_of))?;
        ((first..end).contains(&call.at) && (call.at - first).is_multiple_of(INSTRUCTION_BYTES))
            .then_some(())?;
        let (file, lines) = (word_in(&rest, file - count)?, word_in(&rest, file - count + 8)?);
        (file != 0).then_some(())?;
        // Code that is not kept moves from request to request, so where an instruction is counts, too.
        Some(([word_in(head, 0)?, word_in(head, NAME)?, word_in(head, CLASS)?, file, first, lines], call.at))
    }
}

/// What PHP calls the code of a file outside of its functions.
const OUTSIDE: &str = "{main}";
const CLOSURE: &str = "{closure}";

/// `App\Cart::total`. Closures are called after their namespace, or after where they stand.
fn named(function: &str, class: &str) -> String {
    if function.ends_with(CLOSURE) || function.starts_with("{closure:") {
        return CLOSURE.to_owned();
    }
    // Behind a zero stands where the class without a name is.
    let class = class.split('\0').next().unwrap_or_default();
    match (class, function) {
        (_, "") => OUTSIDE.to_owned(),
        ("", function) => function.to_owned(),
        (class, function) => format!("{class}::{function}"),
    }
}

/// `/app/page.php(12) : eval()'d code`: what is made of a text stands where the text is taken.
fn outside_of_eval(file: &str, line: u32) -> (String, u32) {
    let Some((outside, _)) = file.split_once(" : eval()'d code") else { return (file.to_owned(), line) };
    let place = outside.strip_suffix(')').and_then(|outside| outside.rsplit_once('('));
    let place = place.and_then(|(file, line)| Some((file.to_owned(), line.parse().ok()?)));
    place.unwrap_or_else(|| (outside.to_owned(), line))
}

fn class_name(memory: &impl Memory, class: u64) -> Option<String> {
    if class == 0 { Some(String::new()) } else { text(memory, memory.word(class, NAME_OF_CLASS)?) }
}

fn text(memory: &impl Memory, at: u64) -> Option<String> {
    if at == 0 {
        return Some(String::new());
    }
    memory.text(at.checked_add(TEXT)?, memory.word(at, LENGTH)?)
}

/// `ext/pdo_sqlite`, as PHP's sources have it. What belongs to none is a method that the engine made itself.
fn extension_name(memory: &impl Memory, extension: u64) -> Option<String> {
    if extension == 0 {
        return Some("ext/Core".to_owned());
    }
    let bytes = memory.bytes(memory.word(extension, NAME_OF_EXTENSION)?, EXTENSION_BYTES)?;
    let name = bytes.split(|byte| *byte == 0).next().unwrap_or_default();
    Some(format!("ext/{}", String::from_utf8_lossy(name)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_are_called_as_php_calls_them() {
        for (function, class, name) in [
            ("total", "", "total"),
            ("total", "App\\Cart", "App\\Cart::total"),
            ("", "", "{main}"),
            ("{closure}", "App\\Cart", "{closure}"),
            ("App\\{closure}", "", "{closure}"),
            ("{closure:App\\Cart::total():12}", "App\\Cart", "{closure}"),
            ("run", "class@anonymous\0/app/job.php:3$0", "class@anonymous::run"),
        ] {
            assert_eq!(named(function, class), name);
        }
    }

    #[test]
    fn what_is_evaluated_stands_where_its_text_is_taken() {
        let of = |file: &str| outside_of_eval(file, 3);
        assert_eq!(of("/app/page.php"), ("/app/page.php".to_owned(), 3));
        assert_eq!(of("/app/(a)/page.php(12) : eval()'d code"), ("/app/(a)/page.php".to_owned(), 12));
        let twice = "/app/page.php(12) : eval()'d code(1) : eval()'d code";
        assert_eq!(of(twice), ("/app/page.php".to_owned(), 12));
        assert_eq!(of("odd : eval()'d code"), ("odd".to_owned(), 3));
    }
}
