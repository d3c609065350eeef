//! A running shop, and a browser of about a hundred lines to look at it.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

/// The shop's own program, started in a folder; stopped when dropped.
pub struct Running {
    child: Child,
    port: u16,
    folder: PathBuf,
    /// Kept so that the folder is removed at the end.
    _scratch: Option<tempfile::TempDir>,
}

impl Running {
    pub fn start_anew() -> Self {
        let scratch = tempfile::tempdir().unwrap();
        let mut shop = Self::start_in(scratch.path());
        shop._scratch = Some(scratch);
        shop
    }

    pub fn start_in(folder: &Path) -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut child = Command::new(env!("CARGO_BIN_EXE_photo-shop"))
            .current_dir(folder)
            .env("PORT", port.to_string())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // Its one line of output says that it listens.
        let mut line = String::new();
        BufReader::new(child.stderr.take().unwrap()).read_line(&mut line).unwrap();
        assert!(line.contains(&format!("127.0.0.1:{port}")), "{line}");
        Self { child, port, folder: folder.to_owned(), _scratch: None }
    }

    pub fn browser(&self) -> Browser {
        Browser { port: self.port, cookies: BTreeMap::new() }
    }

    pub fn terminate(&mut self) -> ExitStatus {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
        self.child.wait().unwrap()
    }

    pub fn restart(&mut self) {
        self.terminate();
        let mut anew = Self::start_in(&self.folder);
        std::mem::swap(&mut self.child, &mut anew.child);
        std::mem::swap(&mut self.port, &mut anew.port);
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub struct Answer {
    pub status: u16,
    headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    pub fn text(&self) -> String {
        String::from_utf8(self.body.clone()).unwrap()
    }
}

#[derive(Clone)]
pub struct Browser {
    port: u16,
    cookies: BTreeMap<String, String>,
}

impl Browser {
    pub fn moved_to(&mut self, shop: &Running) {
        self.port = shop.port;
    }

    pub fn get(&mut self, path: &str) -> Answer {
        self.ask("GET", path, "text/plain", b"")
    }

    pub fn post_form(&mut self, path: &str, fields: &[(&str, &str)]) -> Answer {
        let fields: Vec<String> = fields.iter().map(|(name, value)| format!("{name}={value}")).collect();
        self.ask("POST", path, "application/x-www-form-urlencoded", fields.join("&").as_bytes())
    }

    /// The token of the form on the page at `path`.
    pub fn csrf(&mut self, path: &str) -> String {
        between(&self.get(path).text(), "name=\"csrf\" value=\"", "\"").to_owned()
    }

    pub fn login(&mut self, name: &str) {
        let csrf = self.csrf("/login");
        let answer = self.post_form("/login", &[("csrf", &csrf), ("name", name), ("password", name)]);
        assert_eq!(answer.status, 303, "{}", answer.text());
    }

    pub fn upload(&mut self, csrf: &str, title: &str, photo: &[u8]) -> Answer {
        let mut body = Vec::new();
        for (name, value) in [("csrf", csrf), ("title", title)] {
            write!(body, "--cut\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
                .unwrap();
        }
        write!(
            body,
            "--cut\r\nContent-Disposition: form-data; name=\"photo\"; filename=\"sample.jpg\"\r\n\
             Content-Type: image/jpeg\r\n\r\n"
        )
        .unwrap();
        body.extend(photo);
        body.extend(b"\r\n--cut--\r\n");
        self.ask("POST", "/photos", "multipart/form-data; boundary=cut", &body)
    }

    fn ask(&mut self, method: &str, path: &str, content_type: &str, body: &[u8]) -> Answer {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        // Against a hang only.
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        let cookies: Vec<String> =
            self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nHost: shop\r\nConnection: close\r\nCookie: {}\r\n\
             Content-Type: {content_type}\r\nContent-Length: {}\r\n\r\n",
            cookies.join("; "),
            body.len()
        )
        .unwrap();
        // A server that refuses a long body early may hang up before it has read all of it.
        let _ = stream.write_all(body);

        let mut reader = BufReader::new(stream);
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        let status = line.split(' ').nth(1).unwrap().parse().unwrap();
        let mut headers = Vec::new();
        loop {
            line.clear();
            reader.read_line(&mut line).unwrap();
            let Some((name, value)) = line.trim_end().split_once(": ") else { break };
            headers.push((name.to_owned(), value.to_owned()));
        }
        for (_, cookie) in headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case("set-cookie")) {
            let (name, value) = cookie.split(';').next().unwrap().split_once('=').unwrap();
            self.cookies.insert(name.to_owned(), value.to_owned());
        }
        let length = headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("content-length"));
        let mut body = Vec::new();
        match length {
            Some((_, length)) => {
                body.resize(length.parse().unwrap(), 0);
                reader.read_exact(&mut body).unwrap();
            }
            None => {
                reader.read_to_end(&mut body).unwrap();
            }
        }
        Answer { status, headers, body }
    }
}

/// What stands between `before` and the next `after`.
pub fn between<'a>(text: &'a str, before: &str, after: &str) -> &'a str {
    let start = text.find(before).unwrap_or_else(|| panic!("no {before:?} in {text}")) + before.len();
    let length = text[start..].find(after).unwrap();
    &text[start..start + length]
}
