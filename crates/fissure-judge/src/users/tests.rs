//! Traffic as browsers and programs make it, and the journeys that come of it.

use fissure_facts::journey::{Body, Journey, Piece, Predicate, Query, Template};
use fissure_facts::traffic::{Answered, Asked, Content, Exchange, Message, Side};
use proptest::prelude::*;

use super::*;

/// A request of a browser and what it got, a second after the one before.
fn seen(n: u64, line: &str, sent: &str, status: u16, headers: &[(&str, &str)], body: &str) -> Exchange {
    let (method, target) = line.split_once(' ').unwrap();
    let own =
        |pairs: &[(&str, &str)]| pairs.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
    let kind = match sent.chars().next() {
        None => "",
        Some('{') => "application/json",
        Some(_) => "application/x-www-form-urlencoded",
    };
    let mut asked: Vec<(String, String)> = own(&[("Host", "127.0.0.1:8000"), ("User-Agent", "browser")]);
    if !kind.is_empty() {
        asked.push(("Content-Type".to_owned(), kind.to_owned()));
    }
    Exchange {
        at_us: n * 1_000_000,
        client: "127.0.0.1".to_owned(),
        request: Asked {
            method: method.to_owned(),
            target: target.to_owned(),
            headers: asked,
            body: Content::whole(sent),
        },
        answer: Some(Answered { status, headers: own(headers), body: Content::whole(body) }),
        took_us: 10_000,
    }
}

const HTML: (&str, &str) = ("Content-Type", "text/html; charset=utf-8");
const JSON: (&str, &str) = ("Content-Type", "application/json");

fn only(exchanges: &[Exchange]) -> Journey {
    let mut learned = learn(exchanges, &[], &[]);
    assert_eq!(learned.journeys.len(), 1, "{learned:#?}");
    learned.journeys.remove(0).journey
}

fn shown(template: &Template) -> String {
    let piece = |piece: &Piece| match piece {
        Piece::Text(text) => text.clone(),
        Piece::Variable(name) | Piece::JsonString(name) | Piece::JsonValue(name) => format!("{{{{{name}}}}}"),
        Piece::NewUuid => "{{newUuid}}".to_owned(),
        other => format!("{other:?}"),
    };
    template.0.iter().map(piece).collect()
}

fn form(journey: &Journey, step: usize) -> Vec<(String, String)> {
    let Body::Form(fields) = &journey.steps[step].body else { panic!("{:?}", journey.steps[step].body) };
    fields.iter().map(|(name, value)| (name.clone(), shown(value))).collect()
}

#[test]
fn a_token_of_a_form_and_the_id_of_what_was_made_are_carried() {
    let form_page = |token: &str| {
        format!(
            "<title>New note</title><form><input type=\"hidden\" name=\"csrf\" id=x value=\"{token}\"><input name=title>"
        )
    };
    let exchanges = [
        seen(1, "GET /notes/new", "", 200, &[HTML], &form_page("9f8e7d6c5b4a3921")),
        seen(
            2,
            "POST /notes",
            "csrf=9f8e7d6c5b4a3921&title=Hello+you",
            302,
            &[("Location", "/notes/17")],
            "",
        ),
        seen(3, "GET /notes/17", "", 200, &[HTML], &form_page("0011aabbccddeeff")),
        seen(
            5,
            "POST /notes/17/edit",
            "csrf=0011aabbccddeeff&title=Bye",
            302,
            &[("Location", "/notes/17")],
            "",
        ),
    ];
    let journey = only(&exchanges);
    assert_eq!(
        form(&journey, 1),
        [("csrf".to_owned(), "{{csrf_token}}".to_owned()), ("title".to_owned(), "Hello you".to_owned())]
    );
    assert_eq!(shown(&journey.steps[2].target), "/notes/{{note_id}}");
    assert_eq!(shown(&journey.steps[3].target), "/notes/{{note_id}}/edit");
    assert_eq!(form(&journey, 3)[0].1, "{{csrf_token}}");
    let captures = |n: usize| journey.steps[n].captures.iter().map(|c| c.name.as_str()).collect::<Vec<_>>();
    assert_eq!(
        [captures(0), captures(1), captures(2), captures(3)],
        [vec!["csrf_token"], vec!["note_id"], vec!["csrf_token"], vec![]]
    );
    assert!(matches!(&journey.steps[1].captures[0].query, Query::Header(name) if name == "Location"));
    assert_eq!(journey.steps[3].route.to_string(), "POST /notes/{note_id}/edit");
    assert_eq!(journey.steps[3].think.as_millis(), 1_900);
}

#[test]
fn a_bearer_token_and_ids_of_json_are_carried() {
    let token = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.dQw4w9WgXcQ";
    let mut exchanges = vec![
        seen(
            1,
            "POST /api/login",
            r#"{"email":"ann@example.org","password":"secret-1"}"#,
            200,
            &[JSON],
            &format!(r#"{{"data":{{"accessToken":"{token}"}}}}"#),
        ),
        seen(
            2,
            "POST /api/orders",
            r#"{"item":"tea","count":2}"#,
            201,
            &[JSON],
            r#"{"id":42,"state":"open"}"#,
        ),
        seen(
            3,
            "PATCH /api/orders/42",
            r#"{"id":42,"state":"paid"}"#,
            200,
            &[JSON],
            r#"{"id":42,"state":"paid"}"#,
        ),
    ];
    for exchange in &mut exchanges[1..] {
        exchange.request.headers.push(("authorization".to_owned(), format!("Bearer {token}")));
    }
    let journey = only(&exchanges);
    assert_eq!(shown(&journey.steps[1].headers[0].1), "Bearer {{access_token}}");
    assert_eq!(journey.steps[2].route.to_string(), "PATCH /api/orders/{order_id}");
    let Body::Text { text, .. } = &journey.steps[2].body else { panic!() };
    assert!(shown(text).contains("\"id\": {{order_id}}"), "{}", shown(text));
    let Body::Text { text, .. } = &journey.steps[0].body else { panic!() };
    assert!(shown(text).contains("ann@example.org"), "who logs in is the same for all: {}", shown(text));
}

#[test]
fn who_signs_up_is_somebody_else_each_time_and_logs_in_under_that_name() {
    let exchanges = [
        seen(
            1,
            "POST /register",
            "username=ann&email=ann%40example.org&password=secret-1&password2=secret-1",
            302,
            &[("Location", "/login")],
            "",
        ),
        seen(2, "POST /login", "username=ann&password=secret-1", 302, &[("Location", "/")], ""),
        seen(3, "GET /users/ann", "", 200, &[HTML], "<title>ann</title><h1>ann</h1>"),
    ];
    let journey = only(&exchanges);
    let variables: Vec<(String, String)> =
        journey.steps[0].variables.iter().map(|(n, t)| (n.clone(), shown(t))).collect();
    assert_eq!(
        variables,
        [
            ("username".to_owned(), "ann{{newUuid}}".to_owned()),
            ("email".to_owned(), "ann{{newUuid}}@example.org".to_owned())
        ]
    );
    assert_eq!(form(&journey, 1)[0].1, "{{username}}");
    assert_eq!(form(&journey, 1)[1].1, "secret-1");
    assert_eq!(shown(&journey.steps[2].target), "/users/{{username}}");
    assert_eq!(journey.steps[2].asserts.len(), 1);
}

#[test]
fn what_was_there_before_stays_as_the_person_sent_it() {
    let list = "<a href=\"/notes/3\">a</a><a href=\"/notes/4\">b</a><a href=\"/notes?page=2\">more</a>";
    let exchanges = [
        seen(1, "GET /notes", "", 200, &[HTML], list),
        seen(2, "GET /notes/4", "", 200, &[HTML], "<form action=\"/notes/4/like\">"),
        seen(3, "POST /notes/4/like", "n=1", 302, &[("Location", "/notes/4")], ""),
        seen(4, "GET /notes?page=2", "", 200, &[HTML], list),
    ];
    let journey = only(&exchanges);
    assert!(journey.steps.iter().all(|s| s.captures.is_empty() && s.variables.is_empty()), "{journey:#?}");
    assert_eq!(journey.steps[1].route.to_string(), "GET /notes/{id}");
    assert_eq!(shown(&journey.steps[3].target), "/notes?page=2");
}

#[test]
fn tokens_of_meta_tags_cookies_and_scripts_are_found_by_name() {
    let page = "<meta name=\"csrf-token\" content=\"aB3dE5fG7hJ9kL1m\"><script>var app = {\"nonce\": \"zX9cV7bN5mQ3wE1r\"};</script>";
    let mut exchanges = vec![
        seen(1, "GET /", "", 200, &[HTML, ("Set-Cookie", "XSRF-TOKEN=pO9iU7yT5rE3%3D%3D; Path=/")], page),
        seen(2, "POST /save", "a=1", 204, &[], ""),
    ];
    for (name, value) in [
        ("X-CSRF-Token", "aB3dE5fG7hJ9kL1m"),
        ("X-Nonce", "zX9cV7bN5mQ3wE1r"),
        ("X-XSRF-TOKEN", "pO9iU7yT5rE3=="),
    ] {
        exchanges[1].request.headers.push((name.to_owned(), value.to_owned()));
    }
    let journey = only(&exchanges);
    let captures: Vec<String> = journey.steps[0]
        .captures
        .iter()
        .map(|c| format!("{} {:?} {}", c.name, c.query, c.filters.len()))
        .collect();
    assert_eq!(captures.len(), 3, "{captures:?}");
    assert!(captures[0].starts_with("csrf_token Regex") && captures[0].contains("csrf"), "{captures:?}");
    assert!(captures[1].starts_with("x_nonce Regex") && captures[1].contains("nonce"), "{captures:?}");
    assert!(captures[2].starts_with("csrf_token_2 Cookie") && captures[2].ends_with(" 1"), "{captures:?}");
}

#[test]
fn a_short_number_is_not_taken_from_something_else_that_is_equal() {
    let page =
        "<form><input type=hidden name=revision_id value=1></form><p data-ping-url=\"/ping/note/24/1/\">";
    let exchanges = [
        seen(1, "POST /notes?n=1", "n=1", 302, &[("Location", "/notes/24/edit")], ""),
        seen(2, "GET /notes/24/edit", "", 200, &[HTML], page),
        seen(3, "POST /ping/note/24/1/", "a=1", 200, &[JSON], r#"{"session_id": 1}"#),
        seen(4, "POST /notes/24/edit", "revision_id=1", 302, &[("Location", "/notes/24/edit")], ""),
    ];
    let journey = only(&exchanges);
    let ping = shown(&journey.steps[2].target);
    assert!(ping.starts_with("/ping/note/{{note_id_2}}/{{id}}") && !ping.contains("/1"), "{ping}");
    assert!(journey.steps[2].captures.is_empty(), "{:?}", journey.steps[2].captures);
}

/// The sighting that somebody clicked was taken from the fourth row of the permissions, the "3" that they typed from a list, and the columns
/// that a script asks for from what may be read.
#[test]
fn an_equal_number_in_a_list_of_something_else_is_chance() {
    let permissions = r#"{"data":[{"id":1},{"id":4,"fields":["first_name"]}]}"#;
    let exchanges = [
        seen(1, "POST /presets", "{}", 200, &[JSON], r#"{"data":{"id":900}}"#),
        seen(2, "GET /permissions", "", 200, &[JSON], permissions),
        seen(3, "GET /items/places", "", 200, &[JSON], r#"{"data":[{"id":7,"number":3}]}"#),
        seen(4, "GET /items/sightings/4?fields=first_name", "", 200, &[JSON], "{}"),
        seen(5, "GET /items/places/7", "", 200, &[JSON], "{}"),
        seen(6, "POST /items/sightings", r#"{"number":3}"#, 200, &[JSON], r#"{"data":{"id":12}}"#),
        seen(7, "GET /items/sightings/12", "", 200, &[JSON], "{}"),
    ];
    let journey = only(&exchanges);
    assert_eq!(shown(&journey.steps[3].target), "/items/sightings/4?fields=first_name");
    assert_eq!(
        shown(&journey.steps[4].target),
        "/items/places/{{place_id}}",
        "the list of places told of it"
    );
    let Body::Text { text, .. } = &journey.steps[5].body else { panic!() };
    assert!(shown(text).contains("\"number\":3") || shown(text).contains("\"number\": 3"), "{}", shown(text));
    assert_eq!(shown(&journey.steps[6].target), "/items/sightings/{{sighting_id}}", "it was made");
}

#[test]
fn a_post_whose_addresses_a_script_puts_together_is_not_the_recorded_one() {
    let editor = "<form><input type='hidden' name='post_ID' value='25'></form><script>var lock = {\"activePostLock\":\"1795898660:1\"};</script>";
    let read =
        "<title>Roses &#8211; Town</title><form><input type=hidden name='comment_post_ID' value='25'></form>";
    let exchanges = [
        seen(1, "POST /tour", "step=1", 200, &[JSON], r#"[{"id":24},{"id":25}]"#),
        seen(2, "GET /post-new", "", 200, &[HTML], editor),
        seen(
            3,
            "POST /index.php?route=%2Fv2%2Fposts%2F25",
            r#"{"id":25,"width":25,"title":"Roses"}"#,
            200,
            &[JSON],
            r#"{"guid":"http://127.0.0.1:8000/?p=25"}"#,
        ),
        seen(4, "POST /unlock", "post_ID=25&active_post_lock=1795898660%3A1", 200, &[], ""),
        seen(5, "GET /?p=25", "", 200, &[HTML], read),
        seen(6, "POST /comments", "comment_post_ID=25&text=Mine+too", 302, &[("Location", "/?p=25#1")], ""),
        seen(7, "GET /list?page=25", "", 200, &[HTML], ""),
    ];
    let journey = only(&exchanges);
    assert_eq!(shown(&journey.steps[2].query[0].1), "/v2/posts/{{post_id}}");
    let Body::Text { text, .. } = &journey.steps[2].body else { panic!() };
    assert!(shown(text).contains("\"id\": {{post_id}}"), "not that of somebody in a list: {}", shown(text));
    assert!(shown(text).contains("\"width\": 25"), "another number that is equal: {}", shown(text));
    assert_eq!(form(&journey, 3)[0].1, "{{post_id}}");
    assert_eq!(form(&journey, 3)[1].1, "{{active_post_lock}}");
    assert_eq!(shown(&journey.steps[4].query[0].1), "{{post_id}}");
    assert_eq!(form(&journey, 5)[0].1, "{{comment_post_id}}", "the page hands it over itself");
    assert_eq!(shown(&journey.steps[6].target), "/list?page=25");
    // The number of a character is none of the title's.
    assert_eq!(journey.steps[4].asserts.len(), 1);
}

#[test]
fn who_logs_in_is_the_account_of_each_users_own_row() {
    let exchanges = [
        seen(1, "POST /login", "user=ada&pwd=secret-1", 302, &[("Location", "/users/ada")], ""),
        seen(2, "GET /users/ada", "", 200, &[HTML], "<title>ada</title>secret-1"),
    ];
    let row = |user: &str, role: &str| -> Row {
        [("account", user), ("word", "secret-1"), ("role", role)]
            .map(|(n, v)| (n.to_owned(), v.to_owned()))
            .into()
    };
    let learned = learn(&exchanges, &[], &[row("ben", "users"), row("ada", "users")]);
    let journey = &learned.journeys[0].journey;
    let login: Vec<String> = form(journey, 0).into_iter().map(|(_, value)| value).collect();
    assert_eq!(login, ["{{account}}", "{{word}}"]);
    assert_eq!(shown(&journey.steps[1].target), "/users/{{account}}");
    assert!(journey.steps.iter().all(|s| s.variables.is_empty()), "the users' data draw it: {journey:#?}");
    // Nobody's row: it stays who it was.
    let learned = learn(&exchanges, &[], &[row("ben", "users")]);
    assert_eq!(form(&learned.journeys[0].journey, 0)[0].1, "ada");
}

/// A home page with the eight newest had to show what each of fifty users had made.
#[test]
fn what_was_made_is_looked_for_where_it_is_asked_for_and_not_in_lists() {
    let page = "<title>Shop</title><a href='/posts/my-rose-1'>my-rose-1</a>";
    let exchanges = [
        seen(1, "GET /posts/new", "", 200, &[HTML], "<form>"),
        seen(2, "POST /posts", "slug=my-rose-1&text=Red", 302, &[("Location", "/")], ""),
        seen(3, "GET /", "", 200, &[HTML], page),
        seen(4, "GET /posts/my-rose-1", "", 200, &[HTML], page),
    ];
    let journey = only(&exchanges);
    let looked_for = |step: usize| {
        let asserts = journey.steps[step].asserts.iter();
        asserts
            .filter(|a| matches!(&a.predicate, Predicate::Contains(t) if shown(t).contains("{{slug}}")))
            .count()
    };
    assert_eq!(shown(&journey.steps[3].target), "/posts/{{slug}}");
    assert_eq!((looked_for(2), looked_for(3)), (0, 1), "{journey:#?}");
}

/// `/admin/` became `/{{name}}/` in fifty places, because the account was called admin.
#[test]
fn a_part_of_paths_that_is_called_like_the_account_is_no_account() {
    let exchanges = [
        seen(1, "GET /admin/login", "", 200, &[HTML], "<form>"),
        seen(2, "POST /admin/login", "user=admin&pwd=secret-1", 302, &[("Location", "/admin/")], ""),
        seen(3, "GET /admin/pages/", "", 200, &[HTML], "<title>pages</title>"),
    ];
    let row: Row =
        [("name", "admin"), ("word", "secret-1")].map(|(n, v)| (n.to_owned(), v.to_owned())).into();
    let learned = learn(&exchanges, &[], &[row]);
    let journey = &learned.journeys[0].journey;
    assert_eq!(form(journey, 1)[0].1, "{{name}}");
    assert_eq!(shown(&journey.steps[2].target), "/admin/pages/");
}

#[test]
fn what_is_said_over_a_websocket_gives_and_takes_values() {
    let ticket = "gK7dPq2LxW9zRt4V";
    let said = |at_ms: u64, from: Side, text: &str| Message {
        at_us: at_ms * 1_000,
        opened_us: 2_000_000,
        from,
        binary: false,
        body: Content::whole(text),
    };
    let exchanges = [
        seen(1, "GET /rooms", "", 200, &[JSON], &format!(r#"{{"ticket":"{ticket}"}}"#)),
        seen(2, &format!("GET /rooms/live?ticket={ticket}"), "", 101, &[], ""),
        seen(6, "POST /seats", r#"{"seat":"zX9cV7bN5mQ3wE1r"}"#, 201, &[JSON], "{}"),
        seen(7, "GET /silent", "", 101, &[], ""),
    ];
    let messages = [
        said(2_100, Side::App, r#"{"type":"hello"}"#),
        said(3_000, Side::Client, &format!(r#"{{"type":"join","ticket":"{ticket}"}}"#)),
        said(3_200, Side::App, r#"{"type":"joined","seat":"zX9cV7bN5mQ3wE1r"}"#),
        said(3_500, Side::App, r#"{"type":"tick"}"#),
        said(4_000, Side::Client, "bye"),
    ];
    let learned = learn(&exchanges, &messages, &[]);
    let steps = &learned.journeys[0].journey.steps;
    let routes: Vec<String> = steps.iter().map(|step| step.route.to_string()).collect();
    assert_eq!(
        routes,
        [
            "GET /rooms",
            "WEBSOCKET /rooms/live",
            "RECEIVE /rooms/live#hello",
            "SEND /rooms/live#join",
            "SEND /rooms/live",
            "POST /seats"
        ]
    );
    assert_eq!(shown(&steps[1].query[0].1), "{{ticket}}");
    let text = |step: &JourneyStep| match &step.body {
        Body::Text { text, .. } => shown(text),
        other => panic!("{other:?}"),
    };
    assert!(text(&steps[3]).contains(r#""ticket": "{{ticket}}""#), "{}", text(&steps[3]));
    assert_eq!((steps[3].captures[0].name.as_str(), text(&steps[4]).as_str()), ("seat", "bye"));
    assert!(text(&steps[5]).contains("{{seat}}"), "{}", text(&steps[5]));
    let wanted = |step: &JourneyStep| step.kind.expected().map(|expected| expected.wanted.len());
    assert_eq!([wanted(&steps[2]), wanted(&steps[3]), wanted(&steps[4])], [Some(1), Some(1), None]);
    assert_eq!(learned.left_out, [(LeftOut::Live, 1)].into(), "nothing was heard over it");
}

#[test]
fn what_nothing_explains_is_told() {
    let exchanges = [seen(
        1,
        "POST /pay",
        "key=gK7dPq2LxW9zRt4V&amount=3&id=3fa85f64-5717-4562-b3fc-2c963f66afa6",
        200,
        &[],
        "",
    )];
    let learned = learn(&exchanges, &[], &[]);
    assert_eq!(learned.journeys[0].notes[0].len(), 1, "{:?}", learned.journeys[0].notes);
    assert!(learned.journeys[0].notes[0][0].contains("`key`"));
    // A UUID of the client's own is made anew.
    assert_eq!(form(&learned.journeys[0].journey, 0)[2].1, "{{id}}");
}

#[test]
fn users_are_told_apart_and_those_who_do_the_same_are_one_journey() {
    let with = |mut exchange: Exchange, cookie: &str, client: &str| {
        exchange.client = client.to_owned();
        exchange.request.headers.push(("Cookie".to_owned(), cookie.to_owned()));
        exchange
    };
    let mut exchanges = Vec::new();
    for (n, sid) in ["aaa", "bbb"].iter().enumerate() {
        let n = n as u64;
        exchanges.push(seen(n + 1, "GET /", "", 200, &[HTML, ("Set-Cookie", &format!("sid={sid}"))], ""));
        exchanges[n as usize].request.headers.push(("Cookie".to_owned(), String::new()));
    }
    // Two visitors behind one address, mixed.
    exchanges.push(with(seen(4, "GET /cart", "", 200, &[HTML], ""), "sid=aaa", "127.0.0.1"));
    exchanges.push(with(seen(5, "GET /cart", "", 200, &[HTML], ""), "sid=bbb", "127.0.0.1"));
    // And one from elsewhere.
    let mut stranger = seen(6, "GET /about", "", 200, &[HTML], "");
    stranger.client = "192.0.2.7".to_owned();
    exchanges.push(stranger);
    let learned = learn(&exchanges, &[], &[]);
    let journeys: Vec<(&str, usize)> =
        learned.journeys.iter().map(|l| (l.journey.name.as_str(), l.journey.steps.len())).collect();
    assert!(journeys.contains(&("about", 1)), "{journeys:?}");
    assert_eq!(learned.journeys.iter().map(|l| l.users * l.journey.steps.len()).sum::<usize>(), 5);
}

#[test]
fn what_a_cache_holds_is_left_out_and_counted() {
    let css = ("Content-Type", "text/css");
    let exchanges = [
        seen(1, "GET /", "", 200, &[HTML], ""),
        seen(2, "GET /a.css", "", 200, &[css, ("ETag", "\"1\"")], ""),
        seen(3, "GET /made.css", "", 200, &[css, ("Cache-Control", "no-store")], ""),
        seen(4, "GET /favicon.ico", "", 404, &[], ""),
        seen(5, "GET /live", "", 101, &[], ""),
    ];
    let learned = learn(&exchanges, &[], &[]);
    assert_eq!(learned.journeys[0].journey.steps.len(), 2);
    assert_eq!(learned.left_out, [(LeftOut::Cached, 1), (LeftOut::Browsers, 1), (LeftOut::Live, 1)].into());
}

#[test]
fn what_is_new_for_each_user_is_short_and_drawn_before() {
    let page = "<title>Join</title><form><input name=login maxlength=16><input name=pw type=password><input name=pw2 type=password>";
    let exchanges = [
        seen(1, "GET /join", "", 200, &[HTML], page),
        seen(
            2,
            "POST /join",
            "login=grace&pw=secret-1&pw2=secret-1&mail=grace%40example.org&hide_mail=1&tracker=1",
            302,
            &[("Location", "/")],
            "",
        ),
        seen(3, "POST /things/1", "id=1", 200, &[], ""),
    ];
    let journey = only(&exchanges);
    let variables: Vec<(String, String)> =
        journey.steps[1].variables.iter().map(|(n, t)| (n.clone(), shown(t))).collect();
    assert_eq!(
        variables,
        [
            ("login".to_owned(), "grac{{unique}}".to_owned()),
            ("mail".to_owned(), "grace{{unique}}@example.org".to_owned())
        ]
    );
    assert_eq!(journey.steps[0].variables[0].0, "uuid");
    assert_eq!(journey.steps[0].captures.last().unwrap().name, "unique");
    // A ticked box is nobody's name.
    assert!(form(&journey, 1).contains(&("hide_mail".to_owned(), "1".to_owned())));
    assert_eq!(shown(&journey.steps[2].target), "/things/1");
}

/// Four journeys of four apps were all called after their logout, and one of a single-page front end after the presets that it saves.
#[test]
fn a_journey_is_called_after_what_it_is_for() {
    let form =
        |n: u64, path: &str, to: &str| seen(n, &format!("POST {path}"), "a=b", 303, &[("Location", to)], "");
    let issue = [form(0, "/login", "/"), form(1, "/issues", "/issues/7"), form(2, "/logout", "/")];
    assert_eq!(only(&issue).name, "post-issues");
    let change = |n: u64, line: &str| seen(n, line, r#"{"a":"b"}"#, 200, &[JSON], "{}");
    let single_page = [
        change(0, "POST /auth/login"),
        change(1, "PATCH /items/notes/7"),
        change(2, "POST /presets"),
        change(3, "POST /auth/logout"),
    ];
    assert_eq!(only(&single_page).name, "change-items-notes");
    assert_eq!(only(&issue[..1]).name, "post-login");
}

#[test]
fn a_name_that_was_typed_into_an_address_is_new_for_each_user_if_nothing_was_there() {
    let edit = |text: &str| {
        format!(
            "<title>town:roses</title><form><input type=hidden name=id value='town:roses'><textarea name=text>{text}</textarea></form>"
        )
    };
    let visit = |text: &str| {
        vec![
            seen(1, "GET /", "", 200, &[HTML], "<a href=/wiki/start>start</a>"),
            seen(2, "GET /wiki/town:roses", "", 200, &[HTML], "Nothing is here yet"),
            seen(3, "GET /wiki/town:roses?do=edit", "", 200, &[HTML], &edit(text)),
            seen(
                4,
                "POST /wiki/town:roses?do=edit",
                "id=town%3Aroses&text=Hello",
                302,
                &[("Location", "/wiki/town:roses")],
                "",
            ),
            seen(5, "GET /job.php?id=town%3Aroses&1795885546", "", 200, &[HTML], ""),
        ]
    };
    let journey = only(&visit(""));
    assert_eq!(shown(&journey.steps[1].target), "/wiki/{{name}}");
    assert_eq!(shown(&journey.steps[1].variables[0].1), "town:roses-{{unique}}");
    assert_eq!(form(&journey, 3)[0].1, "{{name}}");
    assert_eq!(shown(&journey.steps[4].query[0].1), "{{name}}");
    // A page that has a text is there, for everybody.
    let journey = only(&visit("It blooms"));
    assert_eq!(shown(&journey.steps[1].target), "/wiki/town:roses");
    // Nothing was there, says the status.
    let missing = [
        seen(1, "GET /kv/colour", "", 404, &[JSON], "{}"),
        seen(2, "PUT /kv/colour", r#"{"value":"red"}"#, 200, &[JSON], "{}"),
    ];
    assert_eq!(shown(&only(&missing).steps[1].target), "/kv/{{name}}");
}

#[test]
fn basic_authorization_is_a_name_and_a_password() {
    let mut exchanges = vec![
        seen(1, "PUT /users/ann", r#"{"name":"ann","password":"secret-1"}"#, 201, &[JSON], "{}"),
        seen(2, "GET /me", "", 200, &[JSON], "{}"),
    ];
    exchanges[1].request.headers.push(("Authorization".to_owned(), "Basic YW5uOnNlY3JldC0x".to_owned()));
    let journey = only(&exchanges);
    let (user, password) = journey.steps[1].basic_auth.as_ref().unwrap();
    assert_eq!((shown(user).as_str(), shown(password).as_str()), ("{{name}}", "secret-1"));
    assert!(journey.steps[1].headers.iter().all(|(name, _)| name != "Authorization"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn no_traffic_makes_it_panic(
        lines in proptest::collection::vec(("(GET|POST|PUT) /[a-c0-9/?&=%é{}:.-]{0,20}", "[a-f0-9&=%{}\":\\[\\],é-]{0,40}", 100u16..600, "\\PC{0,80}", "[a-z0-9/:;=<>\" -]{0,40}"), 0..6)
    ) {
        let exchanges: Vec<Exchange> = lines
            .iter()
            .enumerate()
            .map(|(n, (line, sent, status, page, header))| {
                seen(n as u64, line, sent, *status, &[HTML, ("Location", header), ("Set-Cookie", header)], page)
            })
            .collect();
        let learned = learn(&exchanges, &[], &[]);
        prop_assert!(learned.journeys.iter().all(|l| !l.journey.name.is_empty() && l.notes.len() == l.journey.steps.len()));
    }
}

fn named(mut exchange: Exchange, program: &str, cookie: &str) -> Exchange {
    for (name, value) in &mut exchange.request.headers {
        if name == "User-Agent" {
            program.clone_into(value);
        }
    }
    if !cookie.is_empty() {
        exchange.request.headers.push(("Cookie".to_owned(), cookie.to_owned()));
    }
    exchange
}

/// Beacons of an editor carried the browser's own name, its pages another: one user became two, whose session "is older than this recording".
#[test]
fn a_session_is_one_users_whatever_its_program_calls_itself() {
    const SESSION: &str = "sessionid=q8w7e6r5t4y3u2i1o0p9";
    let given = ("Set-Cookie", "sessionid=q8w7e6r5t4y3u2i1o0p9; Path=/; HttpOnly");
    let exchanges = [
        seen(1, "POST /login", "name=ann&password=pw", 302, &[given, ("Location", "/")], ""),
        named(seen(2, "GET /editor", "", 200, &[HTML], "<p>"), "browser", SESSION),
        named(seen(3, "POST /sessions/release", "id=1", 200, &[JSON], "{}"), "another name", SESSION),
    ];
    assert_eq!(people::split(&exchanges), [[0, 1, 2]]);
    // A cookie that anybody may have makes nobody one.
    let exchanges = [
        named(seen(1, "GET /a", "", 200, &[HTML], ""), "one", "lang=en"),
        named(seen(2, "GET /b", "", 200, &[HTML], ""), "two", "lang=en"),
    ];
    assert_eq!(people::split(&exchanges).len(), 2);
}

/// The editor's look at the page that was just published: its session is for the part of the app that makes pages.
#[test]
fn a_page_for_which_a_browser_has_no_cookie_is_no_strangers() {
    let given = ("Set-Cookie", "admin=q8w7e6r5t4y3u2i1o0p9; Path=/ghost; HttpOnly");
    let cookie = "admin=q8w7e6r5t4y3u2i1o0p9";
    let exchanges = |path: &str| {
        [
            seen(1, "POST /ghost/session", "name=ann&password=pw", 201, &[given], ""),
            named(seen(2, "POST /ghost/posts", "title=Kettle", 201, &[JSON], "{}"), "browser", cookie),
            seen(3, &format!("GET {path}"), "", 200, &[HTML], "<p>"),
        ]
    };
    assert_eq!(people::split(&exchanges("/kettle/")).len(), 1);
    assert_eq!(people::split(&exchanges("/ghost/posts")).len(), 2, "a browser would have sent it");
}

/// A name with a blank in the title and a line in the address; and a token that ends in `+\`, which a script writes as `+\\`.
#[test]
fn what_is_spelled_otherwise_is_not_the_same_for_everybody() {
    let token = "722e9c0b4d1f8a6e5c3b2a190807f6e5d4c385a";
    let script =
        format!("<script>{{\"csrfToken\":\"{token}+\\\\\"}}</script><title>Creating Moving desks</title>");
    let exchanges = [
        seen(1, "GET /index.php?title=Moving_desks&action=edit", "", 200, &[HTML], &script),
        seen(2, "POST /api.php", &format!("title=Moving_desks&token={token}%2B%5C"), 200, &[JSON], "{}"),
        seen(3, "GET /index.php/Moving_desks", "", 200, &[HTML], "<title>Moving desks</title>"),
    ];
    let journey = only(&exchanges);
    assert_eq!(form(&journey, 1)[1].1, "{{csrf_token}}\\", "{journey:#?}");
    let titles = journey.steps[2].asserts.iter().filter(
        |a| matches!(&a.predicate, Predicate::Contains(text) if shown(text).contains("Moving desks")),
    );
    assert_eq!(titles.count(), 0, "{journey:#?}");
}
