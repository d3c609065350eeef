//! Bodies, each in the plainest spelling that is read back as the same.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use fissure_facts::journey::{self, Body, Template};

use super::text::{as_it_is, file_name, one_line};

/// Longer bytes are a file of their own.
const INLINE_MAX: usize = 2_000;

/// The files that a journey sends, each once.
pub struct Files {
    folder: String,
    list: Vec<(String, Vec<u8>)>,
}

impl Files {
    pub fn new(folder: &str) -> Self {
        Self { folder: folder.to_owned(), list: Vec::new() }
    }

    pub fn into_list(self) -> Vec<(String, Vec<u8>)> {
        self.list
    }

    /// The path of a file with this name and content. Names stay what the app is told, so equal ones get folders.
    pub fn keep(&mut self, name: &str, bytes: &[u8]) -> String {
        let plain: String =
            name.chars().map(|c| if c.is_control() || "/\\".contains(c) { '_' } else { c }).collect();
        let plain = if plain.trim_matches(['.', ' ']).is_empty() { "file".to_owned() } else { plain };
        for number in 1.. {
            let path = match number {
                1 => format!("{}/{plain}", self.folder),
                number => format!("{}/{number}/{plain}", self.folder),
            };
            match self.list.iter().find(|(known, _)| *known == path) {
                Some((_, held)) if held == bytes => return path,
                Some(_) => {}
                None => {
                    self.list.push((path.clone(), bytes.to_vec()));
                    return path;
                }
            }
        }
        plain
    }
}

/// A body that is not a section.
pub fn bare(body: &Body, files: &mut Files) -> Option<String> {
    match body {
        Body::None | Body::Form(_) | Body::Multipart(_) => None,
        Body::Bytes(bytes) => Some(inline_or_file(bytes, files)),
        Body::Text { content_type, text } => {
            let spellings = spellings(*content_type, text);
            let is_right = |written: &String| is_read_back(written, body);
            let last = spellings.last().cloned();
            spellings.into_iter().find(is_right).or(last)
        }
    }
}

/// A message, where text of several lines would be moved to the right by the marks before them.
pub fn in_line(body: &Body, files: &mut Files) -> String {
    match body {
        Body::Text { content_type: None, text } => one_line(text),
        body => bare(body, files).unwrap_or_else(|| "``".to_owned()),
    }
}

fn inline_or_file(bytes: &[u8], files: &mut Files) -> String {
    if bytes.len() <= INLINE_MAX {
        return format!("base64,{};", BASE64.encode(bytes));
    }
    format!("file,{};", file_name(&files.keep("body.bin", bytes)))
}

/// From the plainest on.
fn spellings(content_type: Option<&str>, text: &Template) -> Vec<String> {
    let mut spellings = Vec::new();
    let language = match content_type {
        Some("application/json") => "json",
        Some("application/xml") => "xml",
        _ => "",
    };
    if let Some(written) = as_it_is(text) {
        if language == "json" {
            spellings.push(written.clone());
        }
        if !written.contains("```") && (!language.is_empty() || written.contains('\n')) {
            spellings.push(format!("```{language}\n{written}```"));
        }
    }
    spellings.push(one_line(text));
    spellings
}

fn is_read_back(written: &str, body: &Body) -> bool {
    let text = format!("POST {{{{base}}}}/\n{written}\n");
    let read = journey::parse("", &text, &|_| Err(std::io::ErrorKind::NotFound.into()));
    read.is_ok_and(|journey| matches!(journey.steps.as_slice(), [step] if format!("{:?}", step.body) == format!("{body:?}")))
}
