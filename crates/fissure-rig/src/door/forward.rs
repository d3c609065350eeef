//! One request on its way to the app, and the answer on its way back.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use fissure_facts::traffic::{Message, Side};
use hyper::body::{Body as _, Incoming};
use hyper::ext::{Protocol, on_informational};
use hyper::header::{
    CONNECTION, CONTENT_TYPE, EXPECT, HOST, HeaderMap, HeaderValue, SEC_WEBSOCKET_ACCEPT,
    SEC_WEBSOCKET_EXTENSIONS, UPGRADE,
};
use hyper::http::request::Parts;
use hyper::http::uri::{Authority, PathAndQuery, Scheme};
use hyper::upgrade::OnUpgrade;
use hyper::{Method, Request, Response, StatusCode, Uri, Version};
use hyper_util::rt::TokioIo;

use super::Inside;
use super::body::{Answer, Hold, Lender, Lent};
use super::gate::{REFUSED, Word};
use super::headers::{self, Origin};
use super::messages::{Heard, Overheard};
use super::pool::{Busy, Lease, Place};
use super::witness::{Draft, Passed};

/// How often a request is sent once more at most: once for a connection that had become stale, once for an app that
/// went away meanwhile.
const REPLAYS_MAX: u32 = 2;
/// An app that knows nothing of `100 Continue` is sent the body after this, as clients do.
const CONTINUE_WITHIN: Duration = Duration::from_secs(1);

/// Host, who asked in four of them, the trace, and two that ask for another protocol.
const ADDED_HEADERS: usize = 8;

/// A client's connection.
pub(super) struct Visit {
    pub(super) inside: Arc<Inside>,
    pub(super) client: IpAddr,
    client_text: String,
    pub(super) is_tls: bool,
    pub(super) word: Word,
    /// For the host that was asked for last.
    origin: Mutex<Option<Origin>>,
}

/// Tells the gate how a request for another protocol was answered, whatever happens.
struct Switch<'a> {
    word: Option<&'a Word>,
    agreed: bool,
}

impl Drop for Switch<'_> {
    fn drop(&mut self) {
        if let Some(word) = self.word {
            word.decide(self.agreed);
        }
    }
}

/// What is said instead of an answer of the app's.
struct Problem {
    status: StatusCode,
    why: String,
}

/// Why a request is not let in.
enum Refused {
    /// It is told so.
    Told(Problem),
    /// It is malformed (RFC 9113 8.1.1): its stream ends at once.
    Malformed,
}

fn problem(status: StatusCode, why: impl Into<String>) -> Problem {
    Problem { status, why: why.into() }
}

impl Problem {
    fn answer(self) -> Response<Answer> {
        let mut answer = Response::new(Answer::own(format!("fissure's front door: {}.\n", self.why)));
        *answer.status_mut() = self.status;
        answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
        answer
    }
}

impl Visit {
    pub(super) fn new(inside: Arc<Inside>, client: IpAddr, is_tls: bool, word: Word) -> Self {
        Self { inside, client, client_text: client.to_string(), is_tls, word, origin: Mutex::default() }
    }

    pub(super) async fn answer(
        self: Arc<Self>,
        request: Request<Incoming>,
    ) -> Result<Response<Answer>, h2::Error> {
        let asked_to_switch = request.version() < Version::HTTP_2 && headers::asks_to_switch(&request);
        let mut switch = Switch { word: asked_to_switch.then_some(&self.word), agreed: false };
        match self.check(&request) {
            Ok(()) => {}
            Err(Refused::Told(problem)) => return Ok(problem.answer()),
            Err(Refused::Malformed) => return Err(h2::Reason::PROTOCOL_ERROR.into()),
        }
        let (mut head, body) = request.into_parts();
        let is_extended = head.version == Version::HTTP_2 && head.method == Method::CONNECT;
        let accept = is_extended.then(|| headers::open_websocket(&mut head, rand::random()));
        let inside = &self.inside;
        let draft = Draft::new(&inside.witness, inside.keeps_bodies, inside.opened, &self.client_text, &head);
        match self.forward(head, body, &draft, &mut switch, accept).await {
            Ok(answer) => Ok(answer),
            Err(problem) => {
                draft.fail(&problem.why);
                Ok(problem.answer())
            }
        }
    }

    /// What the gate has refused, and what HTTP/2 can smuggle (RFC 9113 8).
    fn check(&self, request: &Request<Incoming>) -> Result<(), Refused> {
        let tell = |why| (self.inside.witness)(Passed::Refused { client: self.client, why });
        let refuse = |status: u16, why: &'static str| {
            tell(why);
            let status = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_REQUEST);
            Err(Refused::Told(problem(status, format!("this request is refused, {why}"))))
        };
        if request.method().as_str() == REFUSED {
            let refusal = self.word.refusal();
            return refuse(
                refusal.map_or(400, |r| r.status),
                refusal.map_or("its method is taken", |r| r.why),
            );
        }
        if request.version() != Version::HTTP_2 {
            return Ok(());
        }
        let malformed = |why: &'static str| {
            tell(why);
            Err(Refused::Malformed)
        };
        let host = request.headers().get(HOST).map(HeaderValue::as_bytes);
        let authority = request.uri().authority().map(|a| a.as_str().as_bytes());
        if let (Some(host), Some(authority)) = (host, authority)
            && !host.eq_ignore_ascii_case(authority)
        {
            return malformed("its `:authority` names another host than its Host");
        }
        if host.or(authority).is_none() {
            return malformed("it names no host");
        }
        if request.headers().get_all(HOST).iter().nth(1).is_some() {
            return malformed("it has more than one Host");
        }
        if headers::has_blanks_around_a_value(request.headers()) {
            return malformed("a header's value begins or ends with a blank");
        }
        if request.method() == Method::CONNECT {
            return match request.extensions().get::<Protocol>().map(Protocol::as_str) {
                _ if authority.is_none() => malformed("it is a CONNECT to nobody"),
                None => refuse(501, "tunnels are for HTTP/1.1"),
                Some(protocol) if !protocol.eq_ignore_ascii_case("websocket") => {
                    refuse(501, "over HTTP/2 only WebSockets are opened")
                }
                Some(_) if self.inside.pool.speaks_http2() => {
                    refuse(501, "the app speaks HTTP/2 only, in which the door opens no WebSockets")
                }
                Some(_) => Ok(()),
            };
        }
        Ok(())
    }

    async fn forward(
        &self,
        mut head: Parts,
        body: Incoming,
        draft: &Arc<Draft>,
        switch: &mut Switch<'_>,
        accept: Option<String>,
    ) -> Result<Response<Answer>, Problem> {
        let inside = &self.inside;
        let is_http2 = head.version == Version::HTTP_2;
        let client_upgrade = head.extensions.remove::<OnUpgrade>();
        let host = self.dress(&mut head, switch.word.is_some() || accept.is_some())?;

        let expects =
            head.headers.get(EXPECT).is_some_and(|v| v.as_bytes().eq_ignore_ascii_case(b"100-continue"));
        let hold = (expects && !body.is_end_stream()).then(Arc::<Hold>::default);
        let lender = Lender::new(body, Arc::clone(draft), hold.clone());
        let (response, lease) = self.send(head, &lender, hold.as_ref()).await?;
        let (mut head, body) = response.into_parts();
        headers::keep_redirects_here(&mut head.headers, lease.address().port(), self.is_tls, &host);
        draft.answers(&head);

        let upgrade = head.extensions.remove::<OnUpgrade>();
        let protocol = head.headers.get(UPGRADE).cloned();
        headers::remove_hop_by_hop(&mut head.headers);
        head.version = Version::HTTP_11;
        if hold.is_some_and(|hold| !hold.is_lifted()) && !is_http2 {
            // Nobody knows whether the client sends its body after this answer, so nothing can follow it.
            head.headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        if let Some(upgrade) = upgrade {
            let Some(client) = client_upgrade else {
                return Err(problem(
                    StatusCode::BAD_GATEWAY,
                    "the app changes the protocol, which nobody asked for",
                ));
            };
            let is_websocket = protocol.as_ref().is_some_and(headers::is_websocket);
            if let Some(accept) = accept {
                let accepted = head.headers.remove(SEC_WEBSOCKET_ACCEPT);
                if accepted.is_none_or(|accepted| accepted.as_bytes() != accept.as_bytes()) {
                    return Err(problem(
                        StatusCode::BAD_GATEWAY,
                        "the app accepts another WebSocket than the one that was asked for",
                    ));
                }
                head.status = StatusCode::OK;
            } else if let Some(protocol) = protocol {
                headers::ask_to_switch(&mut head.headers, protocol);
            }
            switch.agreed = true;
            draft.finish();
            let opened_us = (is_websocket && inside.keeps_bodies).then(|| draft.at_us());
            tokio::spawn(inside.tunnel(client, upgrade, lease.into_busy(), opened_us));
            return Ok(Response::from_parts(head, Answer::own("")));
        }
        if head.status == StatusCode::SWITCHING_PROTOCOLS {
            return Err(problem(
                StatusCode::BAD_GATEWAY,
                "the app changes the protocol, which nobody asked for",
            ));
        }
        if accept.is_some() && head.status.is_success() {
            // Over HTTP/2 this would say that the WebSocket is open.
            return Err(problem(StatusCode::BAD_GATEWAY, "the app opens no WebSocket here"));
        }
        Ok(Response::from_parts(head, Answer::from_app(body, Arc::clone(draft), lender, lease)))
    }

    /// Makes the request the door's own; gives the host for which it is.
    fn dress(&self, head: &mut Parts, asked_to_switch: bool) -> Result<HeaderValue, Problem> {
        let bad = |why: &str| problem(StatusCode::BAD_REQUEST, why);
        let authority = head.uri.authority().and_then(|a| HeaderValue::from_str(a.as_str()).ok());
        let known = head.headers.get(HOST).cloned().or(authority);
        // HTTP/1.0 may leave it out.
        let host = known.unwrap_or_else(|| self.inside.host.clone());
        let protocol = asked_to_switch.then(|| headers::wanted_protocol(&head.headers)).flatten();
        if protocol.is_some() && self.inside.keeps_bodies {
            // So that the messages can be read; compression saves nothing on loopback.
            head.headers.remove(SEC_WEBSOCKET_EXTENSIONS);
        }
        if self.inside.keeps_bodies {
            headers::ask_for_what_is_read(&mut head.headers);
        }
        headers::remove_hop_by_hop(&mut head.headers);
        head.headers.reserve(ADDED_HEADERS);
        headers::join_cookies(&mut head.headers);
        self.say_who_asked(&mut head.headers, &host);
        headers::trace(&mut head.headers, rand::random(), rand::random());
        if self.inside.pool.speaks_http2() {
            let path = head.uri.path_and_query().cloned().unwrap_or_else(|| PathAndQuery::from_static("/"));
            let authority =
                Authority::try_from(host.as_bytes()).map_err(|_| bad("its Host is not a host"))?;
            let mut parts = hyper::http::uri::Parts::default();
            let is_tls = self.inside.pool.is_tls();
            parts.scheme = Some(if is_tls { Scheme::HTTPS } else { Scheme::HTTP });
            (parts.authority, parts.path_and_query) = (Some(authority), Some(path));
            head.uri = Uri::from_parts(parts).map_err(|_| bad("its target is not a path"))?;
            head.headers.remove(HOST);
            head.version = Version::HTTP_2;
            return Ok(host);
        }
        if let Some(protocol) = protocol {
            headers::ask_to_switch(&mut head.headers, protocol);
        }
        if head.method != Method::CONNECT {
            let path = head.uri.path_and_query().cloned().unwrap_or_else(|| PathAndQuery::from_static("/"));
            head.uri = Uri::from(path);
        }
        head.headers.entry(HOST).or_insert_with(|| host.clone());
        head.version = Version::HTTP_11;
        Ok(host)
    }

    fn say_who_asked(&self, headers: &mut HeaderMap, host: &HeaderValue) {
        let mut origin = self.origin.lock().unwrap_or_else(PoisonError::into_inner);
        if !origin.as_ref().is_some_and(|origin| origin.is_of(host)) {
            *origin = None;
        }
        let origin = origin.get_or_insert_with(|| Origin::new(self.client, self.is_tls, host));
        headers::say_who_asked(headers, origin, self.inside.behind_proxy);
    }

    /// Sends the request and, where nobody can notice, sends it again: when nothing of it was sent, or when it changes
    /// nothing the second time (RFC 9110 9.2.2), nothing of its body was sent and nothing of an answer came.
    async fn send(
        &self,
        head: Parts,
        lender: &Lender,
        hold: Option<&Arc<Hold>>,
    ) -> Result<(Response<Incoming>, Lease), Problem> {
        let inside = &self.inside;
        let is_idempotent = head.method.is_idempotent();
        let mut attempt = 0;
        loop {
            let busy = inside.choose(head.method.as_str(), head.uri.path())?;
            let busy = if attempt == 0 { busy.reuse(is_idempotent) } else { Err(busy) };
            let mut lease = match busy {
                Ok(lease) => lease,
                Err(busy) => {
                    let connected = inside.pool.connect(busy, inside.patience).await;
                    connected.map_err(|why| problem(StatusCode::BAD_GATEWAY, why))?
                }
            };
            let mut request = Request::from_parts(head.clone(), lender.lend());
            if let Some(hold) = hold {
                wait_for_continue(&mut request, hold);
            }
            let failed = match lease.send(request).await {
                Ok(response) => return Ok((response, lease)),
                Err(failed) => failed,
            };
            if lender.has_failed() {
                let why = self.word.refusal().map_or("its body broke off", |r| r.why);
                (inside.witness)(Passed::Refused { client: self.client, why });
                return Err(problem(StatusCode::BAD_REQUEST, format!("this request is refused, {why}")));
            }
            let may_repeat =
                failed.was_unsent || (is_idempotent && failed.was_unheard && !lender.was_touched());
            if !may_repeat || attempt == REPLAYS_MAX {
                return Err(problem(
                    StatusCode::BAD_GATEWAY,
                    format!("the app gave no answer ({})", failed.why),
                ));
            }
            attempt += 1;
        }
    }
}

/// The body waits with its client until the app wants it.
fn wait_for_continue(request: &mut Request<Lent>, hold: &Arc<Hold>) {
    let lifts = Arc::clone(hold);
    on_informational(request, move |said| {
        if said.status() == StatusCode::CONTINUE {
            lifts.lift();
        }
    });
    let later = Arc::clone(hold);
    tokio::spawn(async move {
        tokio::time::sleep(CONTINUE_WITHIN).await;
        later.lift();
    });
}

impl Inside {
    fn choose(&self, method: &str, path: &str) -> Result<Busy, Problem> {
        Place::choose(self.table().serving(method, path))
            .ok_or_else(|| problem(StatusCode::SERVICE_UNAVAILABLE, "no process of the app serves this now"))
    }

    /// Bytes both ways until both have ended, or the door is closed. Of a WebSocket that was opened at `opened_us` the
    /// witness hears every message.
    fn tunnel(
        self: &Arc<Self>,
        client: OnUpgrade,
        app: OnUpgrade,
        busy: Busy,
        opened_us: Option<u64>,
    ) -> impl Future<Output = ()> + Send + 'static {
        let mut closing = self.closing.subscribe();
        let inside = Arc::clone(self);
        async move {
            let _busy = busy;
            let tell = |from| opened_us.map(|opened_us| inside.overhears(opened_us, from));
            let copied = async {
                let (Ok(client), Ok(app)) = tokio::join!(client, app) else { return };
                let mut client = Overheard::new(TokioIo::new(client), tell(Side::Client));
                let mut app = Overheard::new(TokioIo::new(app), tell(Side::App));
                // Either side may break off; the other then sees it.
                let _ = tokio::io::copy_bidirectional(&mut client, &mut app).await;
            };
            tokio::select! {
                () = copied => {}
                _ = closing.changed() => {}
            }
        }
    }

    fn overhears(&self, opened_us: u64, from: Side) -> impl FnMut(Heard) + Send + Unpin + use<> {
        let (witness, opened) = (Arc::clone(&self.witness), self.opened);
        move |heard| {
            let at_us = opened.elapsed().as_micros() as u64;
            let Heard { is_binary: binary, body } = heard;
            witness(Passed::Said(Message { at_us, opened_us, from, binary, body }));
        }
    }
}
