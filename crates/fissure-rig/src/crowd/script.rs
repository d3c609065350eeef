//! A journey, prepared once so that each of thousands of users pays as little as possible for playing it.

use std::borrow::Cow;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use fissure_facts::fact::ErrorClass;
use fissure_facts::journey::{Body, Journey, JourneyStep, Piece, Query, StepKind, Template, Variables};
use fissure_facts::{Protocol, Route};
use hyper::header::{
    ACCEPT, AUTHORIZATION, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, COOKIE, HOST, HeaderName, HeaderValue,
    TRANSFER_ENCODING, USER_AGENT,
};
use hyper::{HeaderMap, Method};
use tokio::sync::Semaphore;

use super::connection::{Failure, Keep};
use super::dispatch::{Dispatch, Role};
use super::draft::{CommonHeaders, Draft, uri};
use super::jar::Jar;
use super::written::Draws;
use crate::journey::{MissingVariable, body_bytes, needs_body, render, set_variables, target};

/// A journey ready to be played.
pub(super) struct Script {
    pub(super) name: String,
    pub(super) steps: Vec<ScriptStep>,
}

pub(super) struct ScriptStep {
    pub(super) step: JourneyStep,
    /// Number of its route in the recorder.
    pub(super) route: usize,
    pub(super) role: Arc<Role>,
    pub(super) protocol: Protocol,
    pub(super) limit: Option<Arc<Semaphore>>,
    /// How often it is repeated in a row.
    pub(super) times: u32,
    pub(super) think_ns: u64,
    pub(super) keep: Keep,
    pub(super) reads_url: bool,
    /// Which readings look for what it wrote, when everything is over.
    pub(super) readings: Rc<[usize]>,
    method: Method,
    /// Headers that are the same for every user, and those that are not.
    common: CommonHeaders,
    own_headers: Vec<(HeaderName, Template)>,
    /// What the journey says about cookies, besides the jar.
    cookies: Vec<(Option<String>, Template)>,
    /// Target and body, if no variable is in them.
    target: Option<String>,
    body: Option<Bytes>,
}

/// What differs from user to user in a request.
pub(super) struct Personal<'a> {
    pub(super) variables: &'a mut Variables,
    pub(super) jar: &'a Jar,
    pub(super) random: &'a mut Draws,
}

/// How a journey is to be played in this window.
pub(super) struct Setting<'a> {
    pub(super) dispatch: &'a Dispatch,
    pub(super) protocol: Protocol,
    pub(super) think_max: Duration,
    /// Connections are closed behind each answer.
    pub(super) closes: bool,
    pub(super) times: &'a dyn Fn(&Route) -> u32,
    pub(super) route_number: &'a mut dyn FnMut(&Route) -> usize,
}

impl Script {
    pub(super) fn prepare(journey: Journey, setting: &mut Setting<'_>) -> Result<Self, String> {
        let name = journey.name;
        let steps = journey.steps.into_iter().map(|step| {
            let line = step.line;
            ScriptStep::prepare(step, setting).map_err(|e| format!("{name}, line {line}: {e}"))
        });
        let steps = steps.collect::<Result<_, _>>()?;
        Ok(Self { name, steps })
    }

    /// The pauses of a visit, added up.
    pub(super) fn pauses_s(&self) -> f64 {
        self.steps.iter().map(|step| step.think_ns as f64).sum::<f64>() / 1e9
    }

    /// Shortens all pauses alike until a visit pauses no longer than this.
    pub(super) fn pause_at_most(&mut self, visit_max_s: f64) {
        let share = visit_max_s / self.pauses_s();
        if share < 1.0 {
            self.steps.iter_mut().for_each(|step| step.think_ns = (step.think_ns as f64 * share) as u64);
        }
    }
}

impl ScriptStep {
    fn prepare(step: JourneyStep, setting: &mut Setting<'_>) -> Result<Self, String> {
        let method: Method =
            step.method.parse().map_err(|_| format!("`{}` is not a method of HTTP", step.method))?;
        let mut headers = HeaderMap::new();
        headers.insert(HOST, value_of(&setting.dispatch.host)?);
        headers.insert(USER_AGENT, HeaderValue::from_static("fissure"));
        headers.insert(ACCEPT, HeaderValue::from_static("*/*"));
        if setting.closes && matches!(step.kind, StepKind::Request) {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        let (mut own_headers, mut cookies) = (Vec::new(), Vec::new());
        // A header that the journey names goes before ours; named twice, it is sent twice.
        let mut named: Vec<HeaderName> = Vec::new();
        for (name, template) in &step.headers {
            let name: HeaderName =
                name.parse().map_err(|_| format!("`{name}` is not the name of a header"))?;
            if [CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING].contains(&name) {
                continue; // framing is the crowd's own business
            }
            if name == COOKIE {
                cookies.push((None, template.clone()));
                continue;
            }
            if !named.contains(&name) {
                headers.remove(&name);
                named.push(name.clone());
            }
            match constant(template) {
                Some(text) => drop(headers.append(name, value_of(&text)?)),
                None => own_headers.push((name, template.clone())),
            }
        }
        cookies.extend(step.cookies.iter().map(|(name, value)| (Some(name.clone()), value.clone())));

        let is_multipart = matches!(step.body, Body::Multipart(_));
        if step.basic_auth.is_some() {
            headers.remove(AUTHORIZATION);
            own_headers.retain(|(name, _)| name != AUTHORIZATION);
        }
        if is_multipart {
            // Only its implied type knows its boundary.
            headers.remove(CONTENT_TYPE);
            own_headers.retain(|(name, _)| name != CONTENT_TYPE);
        }
        if let Some(implied) = implied_content_type(&step.body).filter(|_| !named.contains(&CONTENT_TYPE)) {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(implied));
        }

        let nothing = Variables::new();
        let (mut no_random, no_date) = (|| 0, String::new);
        let mut target_of_all = None;
        if constant(&step.target).is_some() && step.query.iter().all(|(_, t)| constant(t).is_some()) {
            let text = target(&step, &nothing, &mut no_random, &no_date).map_err(|e| e.to_string())?;
            uri(&text).map_err(|f| f.sentence)?;
            target_of_all = Some(text);
        }
        let mut body_of_all = None;
        if is_constant(&step.body) {
            let (_, body) =
                body_bytes(&step.body, &nothing, &mut no_random, &no_date).map_err(|e| e.to_string())?;
            body_of_all = Some(body);
        }
        let reads_url = step.captures.iter().map(|c| &c.query).chain(step.asserts.iter().map(|a| &a.query));
        let reads_url = reads_url.into_iter().any(|q| matches!(q, Query::Url));
        Ok(Self {
            route: (setting.route_number)(&step.route),
            role: setting.dispatch.role_of(&step.route),
            protocol: Protocol { http: step.http.or(setting.protocol.http), ..setting.protocol },
            limit: setting.dispatch.limit_of(&step.route),
            // Nothing comes a second time because it is waited for, and what is closed stays closed.
            times: match step.kind {
                StepKind::Receive(_) | StepKind::Close(_) => 1,
                _ => (setting.times)(&step.route),
            },
            think_ns: step.think.min(setting.think_max).as_nanos() as u64,
            keep: Keep {
                headers: step.follow_redirects
                    || !(step.captures.is_empty()
                        && step.asserts.is_empty()
                        && step.expected_headers.is_empty()),
                body: needs_body(&step),
            },
            reads_url,
            readings: Rc::default(),
            method,
            common: CommonHeaders::new(headers),
            own_headers,
            cookies,
            target: target_of_all,
            body: body_of_all,
            step,
        })
    }

    pub(super) fn sets_variables(&self) -> bool {
        !(self.step.captures.is_empty() && self.step.variables.is_empty())
    }

    /// The request of this step for one user.
    pub(super) fn draft<'a>(&'a self, user: &mut Personal<'_>) -> Result<Draft<'a>, Failure> {
        let mut random = || user.random.next();
        set_variables(&self.step, user.variables, &mut random, &date_now)?;
        let target = match &self.target {
            Some(target) => Cow::Borrowed(target.as_str()),
            None => {
                let mut random = || user.random.next();
                let target = target(&self.step, user.variables, &mut random, &date_now)?;
                uri(&target)?;
                Cow::Owned(target)
            }
        };
        let mut own = Vec::new();
        for (name, template) in &self.own_headers {
            own.push((name.clone(), header_value(name.as_str(), user.text(template)?)?));
        }
        if let Some((name, password)) = &self.step.basic_auth {
            let pair = format!("{}:{}", user.text(name)?, user.text(password)?);
            own.push((
                AUTHORIZATION,
                header_value("Authorization", format!("Basic {}", BASE64.encode(pair)))?,
            ));
        }
        let body = match &self.body {
            Some(body) => body.clone(),
            None => {
                let mut random = || user.random.next();
                let (content_type, body) =
                    body_bytes(&self.step.body, user.variables, &mut random, &date_now)?;
                if let Some(implied) = content_type.filter(|_| matches!(self.step.body, Body::Multipart(_))) {
                    own.push((CONTENT_TYPE, header_value("Content-Type", implied)?));
                }
                body
            }
        };
        let (protocol, method) = (self.protocol, self.method.clone());
        let common = Cow::Borrowed(&self.common);
        let mut draft = Draft { protocol, method, target, common, own, cookies: None, body };
        draft.cookies = self.cookies_for(draft.path(), user)?;
        Ok(draft)
    }

    /// The Cookie header for a request for `path`: the jar, then what the journey adds.
    pub(super) fn cookies_for(
        &self,
        path: &str,
        user: &mut Personal<'_>,
    ) -> Result<Option<HeaderValue>, Failure> {
        let mut out = String::new();
        user.jar.write(path, &mut out);
        for (name, template) in &self.cookies {
            if !out.is_empty() {
                out.push_str("; ");
            }
            if let Some(name) = name {
                out.push_str(name);
                out.push('=');
            }
            out.push_str(&user.text(template)?);
        }
        if out.is_empty() { Ok(None) } else { header_value("Cookie", out).map(Some) }
    }
}

impl Personal<'_> {
    fn text(&mut self, template: &Template) -> Result<String, Failure> {
        Ok(render(template, self.variables, &mut || self.random.next(), &date_now)?)
    }
}

impl From<MissingVariable> for Failure {
    fn from(missing: MissingVariable) -> Self {
        Self { class: ErrorClass::Crowd, sentence: missing.to_string() }
    }
}

fn date_now() -> String {
    jiff::Timestamp::now().to_string()
}

/// The text of a template without variables.
fn constant(template: &Template) -> Option<String> {
    let mut out = String::new();
    for piece in &template.0 {
        let Piece::Text(text) = piece else { return None };
        out.push_str(text);
    }
    Some(out)
}

fn is_constant(body: &Body) -> bool {
    match body {
        Body::None | Body::Bytes(_) => true,
        Body::Text { text, .. } => constant(text).is_some(),
        Body::Form(fields) => fields.iter().all(|(_, t)| constant(t).is_some()),
        Body::Multipart(_) => false, // its boundary is drawn anew each time
    }
}

/// What a body says about itself before it is written.
fn implied_content_type(body: &Body) -> Option<&'static str> {
    match body {
        Body::Text { content_type, .. } => *content_type,
        Body::Form(_) => Some("application/x-www-form-urlencoded"),
        Body::None | Body::Bytes(_) | Body::Multipart(_) => None,
    }
}

fn value_of(text: &str) -> Result<HeaderValue, String> {
    HeaderValue::from_bytes(text.as_bytes()).map_err(|_| format!("`{text}` cannot be the value of a header"))
}

fn header_value(name: &str, text: String) -> Result<HeaderValue, Failure> {
    HeaderValue::from_maybe_shared(Bytes::from(text)).map_err(|_| Failure {
        class: ErrorClass::Crowd,
        // Not the value itself: it may be a secret.
        sentence: format!(
            "the value of the header {name} has a character that no header may have, such as a line end"
        ),
    })
}
