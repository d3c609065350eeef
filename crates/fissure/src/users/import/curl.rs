//! Command lines of curl, as browsers copy them ("Copy as cURL") and as people write them; one request each.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use fissure_facts::traffic::{Answered, Asked, Content, Exchange};

use super::har::{encoded, split_url};
use super::{Imported, Wrong};

/// Between two commands a person pauses for a second.
const PAUSE_US: u64 = 1_000_000;

pub fn read(text: &str) -> Result<Imported, Wrong> {
    let mut imported = Imported::default();
    let mut exchanges = Vec::new();
    for (line, words) in commands(text)? {
        let (origin, mut exchange) = command(&words).map_err(|sentence| Wrong::at(line, sentence))?;
        exchange.at_us = exchanges.len() as u64 * PAUSE_US;
        exchanges.push((origin, exchange));
    }
    imported.of_one_host(exchanges);
    Ok(imported)
}

/// The words of each command, with the line on which it begins; quoting as in a shell (POSIX.1-2017, 2.2), and `$'...'`.
fn commands(text: &str) -> Result<Vec<(usize, Vec<String>)>, Wrong> {
    let mut commands = Vec::new();
    let (mut words, mut word, mut line, mut began) = (Vec::new(), None::<String>, 1, 1);
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\n' | ';' | '|' | '&' => {
                words.extend(word.take());
                if !words.is_empty() {
                    commands.push((began, std::mem::take(&mut words)));
                }
                line += usize::from(c == '\n');
            }
            c if c.is_whitespace() => words.extend(word.take()),
            '#' if word.is_none() => while chars.next_if(|c| *c != '\n').is_some() {},
            _ => {
                if words.is_empty() && word.is_none() {
                    began = line;
                }
                let opened = line;
                let is_dollar = c == '$' && chars.peek() == Some(&'\'');
                match c {
                    '\\' => match chars.next() {
                        Some('\n') => line += 1,
                        Some('\r') if chars.next_if_eq(&'\n').is_some() => line += 1,
                        Some(c) => word.get_or_insert_default().push(c),
                        None => {}
                    },
                    '\'' | '"' | '$' if c != '$' || is_dollar => {
                        let quote = if is_dollar { chars.next().unwrap_or('\'') } else { c };
                        let into = word.get_or_insert_default();
                        loop {
                            let Some(c) = chars.next() else {
                                return Err(Wrong::at(opened, format!("the quote {quote} is never closed")));
                            };
                            line += usize::from(c == '\n');
                            if c == quote {
                                break;
                            }
                            match (c, quote) {
                                ('\\', '\'') if is_dollar => into.extend(ansi(&mut chars)),
                                ('\\', '"') => match chars.next() {
                                    Some('\n') => line += 1,
                                    Some(c) if "\"\\$`".contains(c) => into.push(c),
                                    Some(c) => into.extend(['\\', c]),
                                    None => {}
                                },
                                _ => into.push(c),
                            }
                        }
                    }
                    c => word.get_or_insert_default().push(c),
                }
            }
        }
    }
    words.extend(word);
    if !words.is_empty() {
        commands.push((began, words));
    }
    Ok(commands)
}

/// An escape of `$'...'`.
fn ansi(chars: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Option<char> {
    let digits = |most: usize, chars: &mut std::iter::Peekable<std::str::Chars<'_>>| {
        let mut code = 0;
        for _ in 0..most {
            let Some(digit) = chars.peek().and_then(|c| c.to_digit(16)) else { break };
            code = code * 16 + digit;
            chars.next();
        }
        char::from_u32(code)
    };
    match chars.next()? {
        'n' => Some('\n'),
        'r' => Some('\r'),
        't' => Some('\t'),
        'u' => digits(4, chars),
        'x' => digits(2, chars),
        c => Some(c),
    }
}

#[derive(Default)]
struct Command {
    method: Option<String>,
    url: Option<String>,
    headers: Vec<(String, String)>,
    data: Vec<String>,
    parts: Vec<(String, String)>,
    is_json: bool,
    into_query: bool,
    is_head: bool,
}

/// Options with a value that change nothing of what is asked.
const WITH_VALUE: &[&str] = &[
    "-o",
    "--output",
    "-m",
    "--max-time",
    "--connect-timeout",
    "-w",
    "--write-out",
    "--retry",
    "-x",
    "--proxy",
    "--cacert",
    "-c",
    "--cookie-jar",
    "--resolve",
    "--limit-rate",
    "-D",
    "--dump-header",
    "--max-redirs",
    "-E",
    "--cert",
    "--key",
];

fn command(words: &[String]) -> Result<(String, Exchange), String> {
    let mut words = words.iter().map(String::as_str).filter(|w| *w != "$");
    let name = words.next().unwrap_or_default();
    if !matches!(name.rsplit('/').next(), Some("curl" | "curl.exe")) {
        return Err(format!("`{name}` is not curl: every command of such a file is one"));
    }
    let mut command = Command::default();
    let mut pending: Vec<String> = words.map(str::to_owned).collect();
    pending.reverse();
    while let Some(word) = pending.pop() {
        if let Some((name, value)) = word.split_once('=').filter(|(name, _)| name.starts_with("--")) {
            pending.push(value.to_owned());
            option(&mut command, name, &mut pending)?;
        } else if word.starts_with("--") || (word.len() == 2 && word.starts_with('-')) {
            option(&mut command, &word, &mut pending)?;
        } else if let Some(letters) = word.strip_prefix('-').filter(|l| !l.is_empty()) {
            // `-XPOST` is a letter with its value, `-sSL` are three letters.
            let first = letters.chars().next().unwrap_or_default();
            let rest = letters[first.len_utf8()..].to_owned();
            if "XHdFbueA".contains(first) {
                pending.push(rest);
            } else {
                pending.push(format!("-{rest}"));
            }
            option(&mut command, &format!("-{first}"), &mut pending)?;
        } else if word != "-" {
            command.url.get_or_insert(word);
        }
    }
    command.exchange()
}

fn option(command: &mut Command, name: &str, pending: &mut Vec<String>) -> Result<(), String> {
    let mut value = || pending.pop().ok_or_else(|| format!("`{name}` has no value"));
    match name {
        "-X" | "--request" => command.method = Some(value()?.to_ascii_uppercase()),
        "--url" => command.url = Some(value()?),
        "-H" | "--header" => {
            let line = value()?;
            if let Some((name, value)) = line.split_once(':') {
                command.headers.push((name.trim().to_owned(), value.trim().to_owned()));
            }
        }
        "-d" | "--data" | "--data-ascii" | "--data-binary" | "--data-raw" => {
            let data = value()?;
            if data.starts_with('@') && name != "--data-raw" {
                return Err(format!("`{name} {data}` reads a file: put what is in it on the command line"));
            }
            command.data.push(data);
        }
        "--data-urlencode" => {
            let data = value()?;
            command.data.push(match data.split_once('=') {
                Some(("", text)) => encoded(text),
                Some((name, text)) => format!("{name}={}", encoded(text)),
                None => encoded(&data),
            });
        }
        "--json" => {
            command.is_json = true;
            command.data.push(value()?);
        }
        "-F" | "--form" | "--form-string" => {
            let part = value()?;
            let (field, text) = part.split_once('=').ok_or_else(|| format!("`{name} {part}` has no `=`"))?;
            if name != "--form-string" && text.starts_with(['@', '<']) {
                return Err(format!(
                    "`{name} {part}` sends a file, which is not here: record the upload instead"
                ));
            }
            command.parts.push((field.to_owned(), text.to_owned()));
        }
        "-b" | "--cookie" => command.headers.push(("Cookie".to_owned(), value()?)),
        "-u" | "--user" => {
            let pair = value()?;
            command.headers.push(("Authorization".to_owned(), format!("Basic {}", BASE64.encode(pair))));
        }
        "--oauth2-bearer" => {
            command.headers.push(("Authorization".to_owned(), format!("Bearer {}", value()?)));
        }
        "-A" | "--user-agent" => command.headers.push(("User-Agent".to_owned(), value()?)),
        "-e" | "--referer" => command.headers.push(("Referer".to_owned(), value()?)),
        "-G" | "--get" => command.into_query = true,
        "-I" | "--head" => command.is_head = true,
        "-K" | "--config" | "-T" | "--upload-file" => {
            return Err(format!("`{name}` reads a file, which is not here"));
        }
        name if WITH_VALUE.contains(&name) => drop(value()?),
        // The others are about printing, or about how curl connects.
        _ => {}
    }
    Ok(())
}

impl Command {
    fn exchange(mut self) -> Result<(String, Exchange), String> {
        let url = self.url.take().ok_or("this command has no URL")?;
        let url = if url.contains("://") { url } else { format!("http://{url}") };
        let (origin, mut target) =
            split_url(&url).ok_or_else(|| format!("`{url}` is no URL of http or https"))?;
        let has = |headers: &[(String, String)], name: &str| {
            headers.iter().any(|(n, _)| n.eq_ignore_ascii_case(name))
        };
        let separator = if self.is_json { "" } else { "&" };
        let data = self.data.join(separator);
        let mut body = Vec::new();
        let mut kind = None;
        if !self.parts.is_empty() {
            const BOUNDARY: &str = "fissure-boundary";
            kind = Some(format!("multipart/form-data; boundary={BOUNDARY}"));
            self.headers.retain(|(name, _)| !name.eq_ignore_ascii_case("content-type"));
            for (name, text) in &self.parts {
                let head = format!(
                    "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{text}\r\n"
                );
                body.extend(head.into_bytes());
            }
            body.extend(format!("--{BOUNDARY}--\r\n").into_bytes());
        } else if self.into_query && !data.is_empty() {
            target.push(if target.contains('?') { '&' } else { '?' });
            target.push_str(&data);
        } else if !self.data.is_empty() {
            kind = Some(
                if self.is_json { "application/json" } else { "application/x-www-form-urlencoded" }
                    .to_owned(),
            );
            body = data.into_bytes();
        }
        if let Some(kind) = kind.filter(|_| !has(&self.headers, "content-type")) {
            self.headers.push(("Content-Type".to_owned(), kind));
        }
        if !has(&self.headers, "host") {
            self.headers.push(("Host".to_owned(), origin.split("://").nth(1).unwrap_or_default().to_owned()));
        }
        let implied = match (self.is_head, body.is_empty()) {
            (true, _) => "HEAD",
            (_, true) => "GET",
            _ => "POST",
        };
        let method = self.method.unwrap_or_else(|| implied.to_owned());
        let request = Asked { method, target, headers: self.headers, body: Content::whole(body) };
        // Nobody has been asked yet, so no status is expected: whatever is below 400 is right.
        let answer = Some(Answered::default());
        Ok((
            origin.to_owned(),
            Exchange { client: "curl".to_owned(), request, answer, ..Exchange::default() },
        ))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn only(text: &str) -> Asked {
        read(text).unwrap().exchanges.remove(0).request
    }

    #[test]
    fn what_browsers_copy_is_understood() {
        let asked = only(
            "curl 'http://127.0.0.1:8000/api/notes?x=1' \\\n  -H 'accept: */*' \\\n  -H 'content-type: application/json' \\\n  -b 'sid=1; b=2' \\\n  --data-raw $'{\"a\":\"it\\'s \\u0021\"}' \\\n  --compressed --insecure",
        );
        assert_eq!((asked.method.as_str(), asked.target.as_str()), ("POST", "/api/notes?x=1"));
        assert_eq!(asked.body, Content::whole(r#"{"a":"it's !"}"#));
        assert_eq!(asked.header("cookie"), Some("sid=1; b=2"));
    }

    #[test]
    fn what_people_write_is_understood() {
        for (line, method, target, body) in [
            ("curl -sSL localhost:8000", "GET", "/", ""),
            ("curl -XDELETE http://h/a/1", "DELETE", "/a/1", ""),
            ("curl http://h/a -d a=1 -d 'b=2 3'", "POST", "/a", "a=1&b=2 3"),
            ("curl -G http://h/a --data-urlencode 'q=a b'", "GET", "/a?q=a%20b", ""),
            ("curl --json '{\"a\":1}' --request=PUT http://h/a", "PUT", "/a", "{\"a\":1}"),
            ("curl -I \"http://h/\"", "HEAD", "/", ""),
        ] {
            let asked = only(line);
            assert_eq!(
                (asked.method.as_str(), asked.target.as_str(), &asked.body),
                (method, target, &Content::whole(body)),
                "{line}"
            );
        }
        assert_eq!(
            only("curl -u ann:secret http://h/").header("authorization"),
            Some("Basic YW5uOnNlY3JldA==")
        );
        assert!(
            only("curl -F a=1 http://h/").header("content-type").unwrap().starts_with("multipart/form-data")
        );
        assert_eq!(read("# two\ncurl http://h/a\ncurl http://h/b\n").unwrap().exchanges.len(), 2);
    }

    #[test]
    fn mistakes_have_their_line() {
        for (text, told) in [
            ("\ncurl 'http://h/", "line 2: the quote"),
            ("curl -d", "line 1: `-d` has no value"),
            ("curl http://h/\nwget http://h/", "line 2: `wget` is not curl"),
            ("curl -d @x.json http://h/", "reads a file"),
            ("curl ftp://h/", "no URL"),
        ] {
            let wrong = read(text).unwrap_err().to_string();
            assert!(wrong.contains(told), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(words in "curl [-XHdFbu'\"\\\\$ a-c:/@=\n#é]{0,40}", text in "\\PC{0,40}") {
            let _ = read(&words);
            let _ = read(&text);
        }
    }
}
