//! A step's request.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use fissure_facts::HttpVersion;
use fissure_facts::journey::{Body, JourneyStep, Part, PartContent, Piece};
use serde_json::Value;

use super::js;
use super::writer::{Refusal, Writer};

/// Whole numbers beyond are not exact in JavaScript (ECMA-262, Number.MAX_SAFE_INTEGER).
const EXACT_MAX: u64 = (1 << 53) - 1;

impl Writer<'_> {
    /// `[Options] variable`.
    pub(super) fn variables(&mut self, step: &JourneyStep) -> Result<(), Refusal> {
        for (name, template) in &step.variables {
            let value = match template.0.as_slice() {
                [Piece::Literal(literal)] => {
                    if !is_exact(literal) {
                        return Err(Refusal::new(
                            step.line,
                            &format!("k6 would not write the number {literal} like this: put it in quotes"),
                        ));
                    }
                    literal.to_string()
                }
                _ => js::template(template),
            };
            // Inside of the request, so that a variable without a value is a mistake of this step.
            self.line(&format!("  {} = {value};", js::value_of(name)));
        }
        Ok(())
    }

    pub(super) fn ask(&mut self, step: &JourneyStep) -> Result<(), Refusal> {
        self.refuse_versions(step)?;
        let (line, route) = (step.line, js::string(&step.route.to_string()));
        self.line(&format!("user.ask({line}, {route}, () => {{"));
        self.variables(step)?;
        let body = self.body(&step.body);
        if matches!(step.body, Body::Multipart(_)) {
            self.line("  const boundary = \"fissure\" + newUuid();");
        }
        self.line("  return {");
        self.line(&format!("    method: {},", js::string(&step.method)));
        let query =
            if step.query.is_empty() { String::new() } else { format!(", {}", js::pairs(&step.query)) };
        self.line(&format!("    target: address({}{query}),", js::template(&step.target)));
        let headers = headers(step)?;
        if !headers.is_empty() {
            self.line("    headers: {");
            for (name, value) in headers {
                self.line(&format!("      {}: {value},", js::string(&name)));
            }
            self.line("    },");
        }
        if let Some(body) = body {
            self.line(&format!("    body: {body},"));
        }
        if let Some(keep) = Self::keep(step)? {
            self.line(&format!("    keep: \"{keep}\","));
        }
        if step.follow_redirects {
            self.line("    follow: true,");
        }
        self.line("  };");
        self.line("});");
        Ok(())
    }

    fn refuse_versions(&self, step: &JourneyStep) -> Result<(), Refusal> {
        let protocol = self.export.protocol;
        let no = |sentence: &str| Err(Refusal::new(step.line, sentence));
        match step.http.or(protocol.http) {
            Some(HttpVersion::Two) if !protocol.tls => no("k6 speaks HTTP/2 only over TLS"),
            Some(HttpVersion::One) if protocol.tls => {
                no("over TLS k6 speaks HTTP/2 to whoever offers it; it cannot be kept to HTTP/1.1")
            }
            _ => Ok(()),
        }
    }

    fn body(&mut self, body: &Body) -> Option<String> {
        match body {
            Body::None => None,
            Body::Text { text, .. } => Some(js::template(text)),
            Body::Form(fields) => Some(format!("form({})", js::pairs(fields))),
            Body::Multipart(parts) => {
                let parts: Vec<String> = parts.iter().map(|part| self.part(part)).collect();
                Some(format!("multipart(boundary, [{}])", parts.join(", ")))
            }
            Body::Bytes(bytes) => Some(self.file(bytes)),
        }
    }

    fn part(&mut self, part: &Part) -> String {
        let content = match &part.content {
            PartContent::Text(text) => js::template(text),
            PartContent::File { file_name, content_type, bytes } => {
                let bytes = self.file(bytes);
                format!(
                    "{{ file: {}, type: {}, bytes: {bytes} }}",
                    js::string(file_name),
                    js::string(content_type)
                )
            }
        };
        format!("[{}, {content}]", js::string(&part.name))
    }

    /// The name of a constant that holds these bytes.
    fn file(&mut self, bytes: &[u8]) -> String {
        self.constant("file", format!("encoding.b64decode({})", js::string(&BASE64.encode(bytes))))
    }
}

/// Names and expressions, as the crowd would send them.
fn headers(step: &JourneyStep) -> Result<Vec<(String, String)>, Refusal> {
    let mut headers: Vec<(String, String)> = Vec::new();
    let mut cookies = Vec::new();
    let is = |a: &str, b: &str| a.eq_ignore_ascii_case(b);
    for (name, value) in &step.headers {
        if ["Connection", "Content-Length", "Transfer-Encoding"].iter().any(|own| is(own, name)) {
            continue; // framing is k6's own business, as it is the crowd's
        }
        if is(name, "Cookie") {
            cookies.push(js::template(value));
            continue;
        }
        if is(name, "Host") {
            return Err(Refusal::new(
                step.line,
                "the header `Host` is not translated: k6 takes it from BASE",
            ));
        }
        if headers.iter().any(|(known, _)| is(known, name)) {
            return Err(Refusal::new(step.line, &format!("k6 cannot send the header `{name}` twice")));
        }
        headers.push((name.clone(), js::template(value)));
    }
    for (name, value) in &step.cookies {
        cookies.push(format!("{} + {}", js::string(&format!("{name}=")), js::template(value)));
    }
    if !cookies.is_empty() {
        // k6 adds those of the jar.
        headers.push(("Cookie".to_owned(), cookies.join(" + \"; \" + ")));
    }
    if let Some((user, password)) = &step.basic_auth {
        headers.retain(|(name, _)| !is(name, "Authorization"));
        headers.push((
            "Authorization".to_owned(),
            format!("basic({}, {})", js::template(user), js::template(password)),
        ));
    }
    let implied = match &step.body {
        Body::Text { content_type, .. } => content_type.map(js::string),
        Body::Form(_) => Some(js::string("application/x-www-form-urlencoded")),
        Body::Multipart(_) => {
            headers.retain(|(name, _)| !is(name, "Content-Type"));
            Some("\"multipart/form-data; boundary=\" + boundary".to_owned())
        }
        Body::None | Body::Bytes(_) => None,
    };
    if let Some(implied) = implied.filter(|_| !headers.iter().any(|(name, _)| is(name, "Content-Type"))) {
        headers.push(("Content-Type".to_owned(), implied));
    }
    // Two ways to write one name would be two headers beside each other.
    for (name, _) in &mut headers {
        if is(name, "Accept") {
            "Accept".clone_into(name);
        }
    }
    Ok(headers)
}

/// JavaScript holds and writes it as the journey does.
fn is_exact(value: &Value) -> bool {
    match value {
        Value::Number(n) if n.is_f64() => n.as_f64().is_some_and(|f| f.fract() != 0.0 && f.abs() >= 1e-6),
        Value::Number(n) => {
            n.as_i64().map_or(n.as_u64(), |i| Some(i.unsigned_abs())).is_some_and(|n| n <= EXACT_MAX)
        }
        _ => true,
    }
}
