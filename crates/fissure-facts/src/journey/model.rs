//! The parsed form of a journey.

use std::collections::BTreeMap;
use std::time::Duration;

use regex::Regex;

use super::json_path::JsonPath;
use super::xpath::XPath;
use crate::run::OutlineStep;
use crate::{HttpVersion, JourneyOutline, Route};

/// What one user does: requests in order.
#[derive(Debug, Clone)]
pub struct Journey {
    /// Path of the file as the configuration names it.
    pub name: String,
    pub steps: Vec<JourneyStep>,
}

/// One request and what is expected of its answer.
#[derive(Debug, Clone)]
pub struct JourneyStep {
    /// Line of the request in the file, from 1.
    pub line: u32,
    pub kind: StepKind,
    pub route: Route,
    /// Think time before the request (`[Options] delay`), before it is cut to `think_max`.
    pub think: Duration,
    pub method: String,
    /// Path and query behind `{{base}}`, beginning with a slash.
    pub target: Template,
    pub headers: Vec<(String, Template)>,
    /// `[Query]`: added to the target, percent-encoded.
    pub query: Vec<(String, Template)>,
    /// `[Cookies]`: sent besides the user's jar.
    pub cookies: Vec<(String, Template)>,
    pub basic_auth: Option<(Template, Template)>,
    pub body: Body,
    /// `[Options] variable`: set before the request is made.
    pub variables: Vec<(String, Template)>,
    /// `[Options] http2: true` or `http1.1: true`; `None` as the app is spoken to otherwise.
    pub http: Option<HttpVersion>,
    /// `[Options] location: true`: redirects are followed inside the step, and its latency includes them.
    pub follow_redirects: bool,
    /// The status on the `HTTP` line; `None` for `HTTP *` and when there is no answer part (then below 400 is right).
    pub status: ExpectedStatus,
    /// `HTTP/1.1` or `HTTP/2` on that line.
    pub version: Option<HttpVersion>,
    /// Headers below the `HTTP` line: the answer must have them, with these values.
    pub expected_headers: Vec<(String, Template)>,
    pub captures: Vec<Capture>,
    pub asserts: Vec<Assert>,
}

/// What a step does.
#[derive(Debug, Clone)]
pub enum StepKind {
    /// Sends a request and reads its answer.
    Request,
    /// `WEBSOCKET`: opens a WebSocket, which stays open.
    WebSocket,
    /// `EVENTS`: opens a stream of server-sent events.
    Events,
    /// `SEND`: the body goes over the WebSocket, and an answer is waited for if one is expected.
    Send(Option<Expected>),
    /// `RECEIVE`: what comes by itself is waited for.
    Receive(Expected),
    /// `CLOSE`.
    Close(Source),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    WebSocket,
    Events,
}

/// A message or an event that is waited for; captures and asserts look at it.
#[derive(Debug, Clone)]
pub struct Expected {
    pub from: Source,
    /// The type of the event; `None` takes every one.
    pub event: Option<String>,
    /// The time limit of requests when absent.
    pub within: Option<Duration>,
    /// How many must fit until it is the one, from 1.
    pub nth: u32,
    /// `[Where]`: what does not fit is passed over.
    pub wanted: Vec<Assert>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExpectedStatus {
    /// No answer part was written: anything below 400.
    Unsaid,
    /// `HTTP *`.
    Any,
    Exactly(u16),
}

/// Text with `{{variables}}`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Template(pub Vec<Piece>);

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    Text(String),
    /// `{{name}}`: a capture, a column of the users' data, or an option variable.
    Variable(String),
    /// `{{newUuid}}`: a fresh random UUID (v4) at every use.
    NewUuid,
    /// `{{newDate}}`: the time now, RFC 3339.
    NewDate,
    /// `{{name}}` inside a string of a JSON body: quotes and backslashes of its value are escaped.
    JsonString(String),
    /// `{{name}}` in the place of a value of a JSON body: must be a number, a boolean or null.
    JsonValue(String),
    /// A number, boolean or null that an option gives to a variable; text keeps its own type.
    Literal(serde_json::Value),
}

#[derive(Debug, Clone)]
pub enum Body {
    None,
    /// A JSON body, a multi-line or one-line string. `content_type` is what the language implies for it, if anything.
    Text {
        content_type: Option<&'static str>,
        text: Template,
    },
    /// `[Form]`: application/x-www-form-urlencoded.
    Form(Vec<(String, Template)>),
    /// `[Multipart]`.
    Multipart(Vec<Part>),
    /// `base64,...;`, `hex,...;` and `file,...;` (read when the journey was loaded).
    Bytes(Vec<u8>),
}

#[derive(Debug, Clone)]
pub struct Part {
    pub name: String,
    pub content: PartContent,
}

#[derive(Debug, Clone)]
pub enum PartContent {
    Text(Template),
    File { file_name: String, content_type: String, bytes: Vec<u8> },
}

/// `name: query filters`.
#[derive(Debug, Clone)]
pub struct Capture {
    pub line: u32,
    pub name: String,
    pub query: Query,
    pub filters: Vec<Filter>,
}

/// `query filters predicate`.
#[derive(Debug, Clone)]
pub struct Assert {
    pub line: u32,
    pub query: Query,
    pub filters: Vec<Filter>,
    /// `not` before the predicate.
    pub not: bool,
    pub predicate: Predicate,
}

/// What is looked at in an answer.
#[derive(Debug, Clone)]
pub enum Query {
    Status,
    /// The body as text.
    Body,
    /// Length of the body in bytes is `bytes count`.
    Bytes,
    /// The URL after redirects.
    Url,
    Header(String),
    /// `cookie "name"` or `cookie "name[Attribute]"` of this answer's Set-Cookie.
    Cookie {
        name: String,
        attribute: Option<String>,
    },
    JsonPath(JsonPath),
    /// In a page.
    XPath(XPath),
    Regex(Regex),
    /// A variable of the user.
    Variable(String),
    /// Milliseconds.
    Duration,
}

impl Query {
    /// The body must be there.
    pub fn reads_body(&self) -> bool {
        matches!(self, Self::Body | Self::Bytes | Self::JsonPath(_) | Self::XPath(_) | Self::Regex(_))
    }
}

#[derive(Debug, Clone)]
pub enum Filter {
    Count,
    Nth(i64),
    First,
    Last,
    Regex(Regex),
    Replace {
        old: String,
        new: Template,
    },
    ReplaceRegex {
        pattern: Regex,
        new: Template,
    },
    Split(String),
    ToInt,
    ToFloat,
    ToString,
    UrlDecode,
    UrlEncode,
    HtmlUnescape,
    HtmlEscape,
    Base64Decode,
    Base64Encode,
    /// Bytes to text. The character set is one of `utf-8` and `iso-8859-1`.
    Decode(Charset),
    JsonPath(JsonPath),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Charset {
    Utf8,
    Latin1,
}

#[derive(Debug, Clone)]
pub enum Predicate {
    Equals(Operand),
    NotEquals(Operand),
    /// A number, or a variable that holds one; so with the next three.
    Greater(Operand),
    GreaterOrEqual(Operand),
    Less(Operand),
    LessOrEqual(Operand),
    StartsWith(Template),
    EndsWith(Template),
    Contains(Template),
    Matches(Regex),
    Exists,
    IsEmpty,
    IsInteger,
    IsFloat,
    IsNumber,
    IsBoolean,
    IsString,
    IsCollection,
}

/// The right-hand side of `==`, `!=`, `>` and their kin.
#[derive(Debug, Clone)]
pub enum Operand {
    Text(Template),
    Number(f64),
    Boolean(bool),
    Null,
    /// `{{name}}` without quotes: the variable with its own type.
    Variable(String),
}

/// Values a user carries through a journey.
pub type Variables = BTreeMap<String, serde_json::Value>;

impl StepKind {
    pub fn expected(&self) -> Option<&Expected> {
        match self {
            Self::Send(expected) => expected.as_ref(),
            Self::Receive(expected) => Some(expected),
            _ => None,
        }
    }
}

impl Journey {
    /// What the judge needs to know of it, with think times cut to `think_max`.
    pub fn outline(&self, weight: f64, think_max: Duration) -> JourneyOutline {
        JourneyOutline {
            name: self.name.clone(),
            weight,
            steps: self
                .steps
                .iter()
                .map(|s| OutlineStep {
                    route: s.route.clone(),
                    think_s: s.think.min(think_max).as_secs_f64(),
                })
                .collect(),
        }
    }
}
