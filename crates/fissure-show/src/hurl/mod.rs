//! Journeys as `.hurl` text, which our parser reads back to the same journey and the real `hurl` plays.

mod answer;
mod body;
mod live;
mod text;

use std::fmt::Write as _;

use fissure_facts::HttpVersion;
use fissure_facts::journey::{Body, Journey, JourneyStep, Part, PartContent, Template};

use body::Files;
use text::{key, url, value};

/// A journey as text, with the files that it sends.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Written {
    pub text: String,
    /// Path beside the journey, and what is in it.
    pub files: Vec<(String, Vec<u8>)>,
}

/// Writes a journey. `head` stands above it and `notes` above each step, as comments; files go into the folder `files`.
pub fn write(journey: &Journey, head: &[String], notes: &[Vec<String>], files: &str) -> Written {
    let mut out = String::new();
    comments(&mut out, head);
    let mut files = Files::new(files);
    for (n, step) in journey.steps.iter().enumerate() {
        if n > 0 {
            out.push('\n');
        }
        comments(&mut out, notes.get(n).map_or(&[], Vec::as_slice));
        match live::write(step, &mut files) {
            Some(lines) => out.push_str(&lines),
            None => {
                request(&mut out, step, &mut files);
                answer::write(&mut out, step);
            }
        }
    }
    Written { text: out, files: files.into_list() }
}

fn comments(out: &mut String, lines: &[String]) {
    for line in lines {
        let line: String = line.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        let _ = writeln!(out, "# {}", line.trim());
    }
}

fn request(out: &mut String, step: &JourneyStep, files: &mut Files) {
    let _ = writeln!(out, "{} {{{{base}}}}{}", step.method, url(&step.target));
    pairs(out, &step.headers);
    section(out, "Query", &step.query);
    match &step.body {
        Body::Form(fields) => section(out, "Form", fields),
        Body::Multipart(parts) => multipart(out, parts, files),
        Body::None | Body::Text { .. } | Body::Bytes(_) => {}
    }
    section(out, "Cookies", &step.cookies);
    if let Some((user, password)) = &step.basic_auth {
        let _ = writeln!(out, "[BasicAuth]\n{}: {}", text::template_key(user), value(password));
    }
    options(out, step);
    if let Some(written) = body::bare(&step.body, files) {
        let _ = writeln!(out, "{written}");
    }
}

fn section(out: &mut String, name: &str, of: &[(String, Template)]) {
    if !of.is_empty() {
        let _ = writeln!(out, "[{name}]");
        pairs(out, of);
    }
}

fn pairs(out: &mut String, of: &[(String, Template)]) {
    for (name, template) in of {
        let _ = writeln!(out, "{}", format!("{}: {}", key(name), value(template)).trim_end());
    }
}

fn multipart(out: &mut String, parts: &[Part], files: &mut Files) {
    out.push_str("[Multipart]\n");
    for part in parts {
        let written = match &part.content {
            PartContent::Text(text) => {
                let text = value(text);
                // What begins like a file is none.
                text.strip_prefix("file,").map_or(text.clone(), |rest| format!("\\u{{66}}ile,{rest}"))
            }
            PartContent::File { file_name, content_type, bytes } => {
                let path = files.keep(file_name, bytes);
                format!("file,{}; {}", text::file_name(&path), value(&Template::text(content_type)))
            }
        };
        let _ = writeln!(out, "{}", format!("{}: {written}", key(&part.name)).trim_end());
    }
}

fn options(out: &mut String, step: &JourneyStep) {
    let mut lines = Vec::new();
    for (name, template) in &step.variables {
        lines.push(format!("variable: {name}={}", text::variable(template)));
    }
    let think_ms = step.think.as_millis();
    if think_ms > 0 {
        lines.push(match think_ms % 1_000 {
            0 => format!("delay: {}s", think_ms / 1_000),
            _ => format!("delay: {think_ms}ms"),
        });
    }
    if step.follow_redirects {
        lines.push("location: true".to_owned());
    }
    match step.http {
        Some(HttpVersion::One) => lines.push("http1.1: true".to_owned()),
        Some(HttpVersion::Two) => lines.push("http2: true".to_owned()),
        None => {}
    }
    if !lines.is_empty() {
        let _ = writeln!(out, "[Options]\n{}", lines.join("\n"));
    }
}
