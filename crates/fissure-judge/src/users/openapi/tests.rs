//! Descriptions as frameworks write them, and the journeys that are drawn up.

use fissure_facts::journey::{Body, ExpectedStatus, JourneyStep, Piece, Template, unbound_variables};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn shown(template: &Template) -> String {
    let piece = |piece: &Piece| match piece {
        Piece::Text(text) => text.clone(),
        Piece::Variable(name) | Piece::JsonString(name) | Piece::JsonValue(name) => format!("{{{{{name}}}}}"),
        Piece::NewUuid => "{{newUuid}}".to_owned(),
        Piece::NewDate => "{{newDate}}".to_owned(),
        Piece::Literal(value) => value.to_string(),
    };
    template.0.iter().map(piece).collect()
}

fn body(step: &JourneyStep) -> String {
    match &step.body {
        Body::Text { text, .. } => shown(text).split_whitespace().collect(),
        Body::Form(fields) => {
            fields.iter().map(|(n, v)| format!("{n}={}", shown(v))).collect::<Vec<_>>().join("&")
        }
        Body::Multipart(parts) => parts.iter().map(|part| part.name.clone()).collect::<Vec<_>>().join("&"),
        other => format!("{other:?}"),
    }
}

fn lines(drawn: &Drawn) -> Vec<String> {
    let steps = drawn.journeys.iter().flat_map(|learned| &learned.journey.steps);
    steps.map(|step| format!("{} {}", step.method, shown(&step.target))).collect()
}

fn order() -> Value {
    json!({"type": "object", "required": ["item", "customer_id"], "properties": {
        "id": {"type": "integer", "readOnly": true},
        "customer_id": {"type": "integer"},
        "item": {"type": "string", "minLength": 2},
        "count": {"type": "integer", "default": 1, "minimum": 1}
    }})
}

/// A shop in the way FastAPI writes it: customers, their orders, a login.
fn shop() -> Value {
    let json_of = |schema: Value| json!({"content": {"application/json": {"schema": schema}}});
    let id =
        |name: &str| json!([{"name": name, "in": "path", "required": true, "schema": {"type": "integer"}}]);
    let bearer = json!([{"OAuth2PasswordBearer": []}]);
    json!({
        "openapi": "3.1.0",
        "servers": [{"url": "https://shop.example/api/{version}", "variables": {"version": {"default": "v2"}}}],
        "paths": {
            "/health": {"get": {"responses": {"200": {}}}},
            "/register": {"post": {"requestBody": json_of(json!({"$ref": "#/components/schemas/Person"})), "responses": {"201": {}}}},
            "/token": {"post": {
                "requestBody": {"content": {"application/x-www-form-urlencoded": {"schema": {"type": "object", "required": ["username", "password"], "properties": {
                    "grant_type": {"anyOf": [{"type": "string", "pattern": "^password$"}, {"type": "null"}]},
                    "username": {"type": "string"}, "password": {"type": "string"}}}}}},
                "responses": {"200": json_of(json!({"type": "object", "properties": {"access_token": {"type": "string"}}}))}}},
            "/customers/": {"post": {"requestBody": json_of(json!({"type": "object", "required": ["email"], "properties": {"email": {"type": "string", "format": "email"}}})),
                "responses": {"201": json_of(json!({"type": "object", "properties": {"id": {"type": "integer"}, "email": {"type": "string"}}}))}}},
            "/orders/": {
                "get": {"security": bearer, "responses": {"200": json_of(json!({"type": "array", "items": {"$ref": "#/components/schemas/Order"}}))}},
                "post": {"security": bearer, "requestBody": json_of(json!({"$ref": "#/components/schemas/Order"})),
                    "responses": {"201": json_of(json!({"$ref": "#/components/schemas/Order"}))}}},
            "/orders/{order_id}": {
                "parameters": id("order_id"),
                "get": {"security": bearer, "responses": {"200": json_of(json!({"$ref": "#/components/schemas/Order"}))}},
                "put": {"security": bearer, "requestBody": json_of(json!({"$ref": "#/components/schemas/Order"})), "responses": {"200": {}}},
                "delete": {"security": bearer, "responses": {"204": {}}}},
            "/reports/{name}": {"get": {"parameters": [{"name": "name", "in": "path", "required": true, "schema": {"type": "string"}}], "responses": {"200": {}}}}
        },
        "components": {
            "schemas": {"Order": order(), "Person": {"type": "object", "required": ["username", "password"], "properties": {
                "username": {"type": "string", "maxLength": 20}, "password": {"type": "string", "format": "password"}}}},
            "securitySchemes": {"OAuth2PasswordBearer": {"type": "oauth2", "flows": {"password": {"tokenUrl": "token", "scopes": {}}}}}
        }
    })
}

#[test]
fn what_is_made_is_read_changed_and_taken_away_by_its_own_user() {
    let drawn = journeys(&shop()).unwrap();
    let orders = &drawn.journeys.iter().find(|learned| learned.journey.name == "orders").unwrap().journey;
    let steps: Vec<String> =
        orders.steps.iter().map(|s| format!("{} {}", s.method, shown(&s.target))).collect();
    assert_eq!(
        steps,
        [
            "GET /api/v2/health",
            "POST /api/v2/register",
            "POST /api/v2/token",
            "GET /api/v2/orders/",
            "POST /api/v2/customers/",
            "POST /api/v2/orders/",
            "GET /api/v2/orders/{{order_id}}",
            "PUT /api/v2/orders/{{order_id}}",
            "DELETE /api/v2/orders/{{order_id}}",
        ]
    );
    assert_eq!(body(&orders.steps[2]), "username={{username}}&password=Correct-horse-7");
    assert_eq!(body(&orders.steps[5]), r#"{"customer_id":{{customer_id}},"item":"item","count":1}"#);
    assert_eq!(orders.steps[5].status, ExpectedStatus::Exactly(201));
    assert_eq!(shown(&orders.steps[5].headers[0].1), "Bearer {{access_token}}");
    assert_eq!(orders.steps[6].asserts.len(), 1);
    assert_eq!(shown(&orders.steps[1].variables[0].1), "ada{{unique}}");
    assert_eq!(unbound_variables(orders, &[]), []);
    assert_eq!(drawn.journeys.len(), 1, "what only makes ready is no journey of its own");
    assert_eq!(
        drawn.left_out,
        [(
            "GET /reports/{name}".to_owned(),
            "nothing gives `name`: no operation makes it, and there is no example".to_owned()
        )]
    );
}

#[test]
fn every_success_that_is_described_is_one() {
    let of = |method: &str, responses: Value| {
        let description = json!({"openapi": "3.0.3", "paths": {"/a": {method: {"responses": responses}}}});
        let step = journeys(&description).unwrap().journeys.remove(0).journey.steps.remove(0);
        let bounds: Vec<String> =
            step.asserts.iter().map(|assert| format!("{:?}", assert.predicate)).collect();
        (step.status, bounds.join(" "))
    };
    let status = |responses: Value| of("get", responses);
    let between = |bounds: &str| (ExpectedStatus::Any, bounds.to_owned());
    assert_eq!(
        status(json!({"200": {}, "201": {}, "307": {}, "422": {}})),
        between("GreaterOrEqual(Number(200.0)) LessOrEqual(Number(201.0))")
    );
    assert_eq!(
        status(json!({"2XX": {}})),
        between("GreaterOrEqual(Number(200.0)) LessOrEqual(Number(299.0))")
    );
    assert_eq!(status(json!({"204": {}, "303": {}})), (ExpectedStatus::Exactly(204), String::new()));
    assert_eq!(status(json!({"303": {}})), (ExpectedStatus::Exactly(303), String::new()));
    assert_eq!(status(json!({"default": {}})), (ExpectedStatus::Unsaid, String::new()));
    // What a framework writes for whoever says nothing.
    assert_eq!(status(json!({"200": {}})), (ExpectedStatus::Exactly(200), String::new()));
    assert_eq!(
        of("post", json!({"200": {}})),
        between("GreaterOrEqual(Number(200.0)) LessOrEqual(Number(299.0))")
    );
    assert_eq!(of("post", json!({"201": {}})), (ExpectedStatus::Exactly(201), String::new()));
}

#[test]
fn nothing_is_taken_out_of_a_list_that_may_be_empty() {
    let list = |least: u64| {
        json!({"openapi": "3.0.3", "paths": {
            "/states": {"get": {"responses": {"200": {"content": {"application/json": {"schema": {
                "type": "array", "minItems": least, "items": {"type": "object", "properties": {"id": {"type": "integer"}}}}}}}}}},
            "/states/{id}": {"get": {"parameters": [{"name": "id", "in": "path", "required": true, "schema": {"type": "integer"}}], "responses": {"200": {}}}}}})
    };
    let drawn = journeys(&list(0)).unwrap();
    assert_eq!(lines(&drawn), ["GET /states"]);
    assert!(drawn.journeys[0].journey.steps[0].captures.is_empty());
    assert_eq!(drawn.left_out.len(), 1);
    assert_eq!(lines(&journeys(&list(1)).unwrap()), ["GET /states", "GET /states/{{state_id}}"]);
}

#[test]
fn links_say_where_a_parameter_comes_from() {
    let description = json!({"openapi": "3.0.3", "paths": {
        "/start": {"post": {"operationId": "start", "responses": {"201": {"links": {"status": {"operationId": "job", "parameters": {"job": "$response.body#/ticket/nr"}}}}}}},
        "/jobs/{job}": {"get": {"operationId": "job", "parameters": [{"name": "job", "in": "path", "required": true, "schema": {}}], "responses": {"200": {}}}}
    }});
    assert_eq!(lines(&journeys(&description).unwrap()), ["POST /start", "GET /jobs/{{job}}"]);
}

#[test]
fn keys_and_passwords_are_variables_that_a_person_gives() {
    let description = json!({"openapi": "3.0.3", "security": [{"key": []}], "paths": {
        "/a": {"get": {"responses": {"200": {}}}},
        "/b": {"get": {"security": [{"basic": []}], "responses": {"200": {}}}}},
        "components": {"securitySchemes": {
            "key": {"type": "apiKey", "in": "header", "name": "X-Api-Key"}, "basic": {"type": "http", "scheme": "basic"}}}});
    let drawn = journeys(&description).unwrap();
    let steps: Vec<&JourneyStep> = drawn.journeys.iter().flat_map(|l| &l.journey.steps).collect();
    assert_eq!(shown(&steps[0].headers[0].1), "{{x_api_key}}");
    assert_eq!(steps[1].basic_auth.as_ref().map(|(user, _)| shown(user)).unwrap(), "{{username}}");
    let notes: Vec<&String> = drawn.journeys.iter().flat_map(|l| l.notes.iter().flatten()).collect();
    assert!(notes.iter().any(|note| note.contains("`x_api_key` a column of [users] data")), "{notes:?}");
}

#[test]
fn files_go_into_forms_of_several_parts() {
    let description = json!({"openapi": "3.1.0", "paths": {"/photos": {"post": {
        "requestBody": {"content": {"multipart/form-data": {"schema": {"type": "object", "required": ["photo", "title"], "properties": {
            "photo": {"type": "string", "format": "binary"}, "title": {"type": "string"}}}}}},
        "responses": {"201": {}}}}}});
    let drawn = journeys(&description).unwrap();
    let Body::Multipart(parts) = &drawn.journeys[0].journey.steps[0].body else { panic!("{drawn:?}") };
    assert!(format!("{:?}", parts[0].content).contains("dot.png"), "{parts:?}");
}

#[test]
fn what_is_wrong_is_said_with_its_place() {
    for (description, sentence) in [
        (json!({"swagger": "2.0"}), "#/swagger: this is a description of version 2"),
        (json!({"openapi": "4.0.0", "paths": {}}), "#/openapi: version 4.0.0 is not read"),
        (json!({"openapi": "3.0.0"}), "#/paths: there is no object `paths`"),
        (json!({"openapi": "3.0.0", "paths": {}}), "#/paths: there is no operation"),
        (
            json!({"openapi": "3.0.0", "paths": {"/a": {"get": 5}}}),
            "#/paths/~1a/get: an operation is an object",
        ),
        (json!({"openapi": "3.0.0", "paths": {"a": {}}}), "#/paths/a: a path begins with a slash"),
        (
            json!({"openapi": "3.0.0", "paths": {"/a": {"post": {"requestBody": {"$ref": "b.yaml#/x"}}}}}),
            "#/paths/~1a/post/requestBody: `b.yaml#/x` is in another file",
        ),
        (
            json!({"openapi": "3.0.0", "paths": {"/a": {"post": {"requestBody": {"content": {"application/json": {"schema": {"$ref": "#/x"}}}}}}}}),
            "`#/x` leads nowhere",
        ),
        (
            json!({"openapi": "3.0.0", "security": [{"who": []}], "paths": {"/a": {"get": {}}}}),
            "#/paths/~1a/get: the security scheme `who` is described nowhere",
        ),
    ] {
        let wrong = journeys(&description).unwrap_err().to_string();
        assert!(wrong.contains(sentence), "{wrong}");
    }
}

/// Any JSON, with words of descriptions in it.
fn json_like() -> impl Strategy<Value = Value> {
    let words = prop::sample::select(vec![
        "$ref",
        "type",
        "properties",
        "items",
        "allOf",
        "oneOf",
        "required",
        "schema",
        "content",
        "application/json",
        "get",
        "post",
        "parameters",
        "name",
        "in",
        "path",
        "query",
        "responses",
        "200",
        "links",
        "example",
        "enum",
        "format",
        "pattern",
        "minLength",
        "maxLength",
        "requestBody",
        "security",
        "minItems",
        "id",
    ]);
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        prop::sample::select(vec![
            "string",
            "object",
            "array",
            "integer",
            "#/paths",
            "#/paths/~1a~1{b}",
            "#",
            "uuid",
            "^a+$",
            "path"
        ])
        .prop_map(Value::from),
        "\\PC{0,8}".prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 40, 5, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((words.clone().prop_map(str::to_owned), inner), 0..5)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn no_description_makes_it_panic(item in json_like(), operation in json_like(), schema in json_like()) {
        let body = json!({"content": {"application/json": {"schema": schema}}});
        for description in [
            json!({"openapi": "3.0.0", "paths": {"/a/{b}": item, "/a": {"post": operation}}}),
            json!({"openapi": "3.1.0", "paths": {
                "/a": {"post": {"requestBody": body, "responses": {"200": body}}}, "/a/{b}": {"get": {"responses": {"200": body}}, "put": {"requestBody": body}}}}),
        ] {
            if let Ok(drawn) = journeys(&description) {
                for learned in &drawn.journeys {
                    prop_assert_eq!(learned.notes.len(), learned.journey.steps.len());
                    prop_assert_eq!(unbound_variables(&learned.journey, &["token".to_owned()]), vec![]);
                }
            }
        }
    }
}
