//! What a failed hook changed is undone, to the byte and in order.

use http::{HeaderValue, Request, Response};

use super::*;

pub(crate) struct NoServices;

impl Services for NoServices {
    fn has(&self, _backend: &str) -> bool {
        true
    }

    fn keeps_session(&self, _steering: &Steering, _endpoint: &str) -> bool {
        true
    }
}

fn exchange() -> Exchange {
    let request = Request::get("/path?query")
        .header("a", "1")
        .header("b", "2")
        .header("a", "3")
        .header("c", "4");
    let facts = Facts {
        scheme: "http",
        authority: http::HeaderValue::from_static("example.com"),
        client: IpAddr::from([192, 0, 2, 1]),
        port: 1,
        tls: false,
        sni: None,
        id: http::HeaderValue::from_static("id"),
        route: Arc::new(Route::default()),
    };
    let (request, ()) = request.body(()).unwrap().into_parts();
    let mut exchange = Exchange::new(request, facts, Arc::new(NoServices));
    let (response, ()) = Response::new(()).into_parts();
    exchange.response = Some(response);
    exchange
}

fn fields(exchange: &Exchange) -> Vec<(HeaderName, HeaderValue)> {
    let fields = exchange.request.headers.iter();
    fields
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}

#[test]
fn undoing_gives_back_every_field_in_its_place() {
    let changes = [
        (Change::Add, "new"),
        (Change::Remove, "a"),
        (Change::Set, "b"),
        (Change::Add, "c"),
        (Change::Set, "new"),
        (Change::Remove, "none"),
        (Change::Add, "newer"),
    ];
    // Every order that begins elsewhere.
    for start in 0..changes.len() {
        let mut exchange = exchange();
        let before = fields(&exchange);
        exchange.begin();
        for (change, name) in changes.iter().cycle().skip(start).take(changes.len()) {
            let changed = exchange.change(Message::Request, *change, name, b"x");
            assert_eq!(changed, Ok(()));
        }
        assert_ne!(fields(&exchange), before);
        exchange.undo();
        assert_eq!(fields(&exchange), before, "from {start}");
    }
}

#[test]
fn a_session_goes_on_where_its_endpoint_of_its_backend_answers() {
    let mut exchange = exchange();
    let resumed = Some(Resumed {
        attachment: 7,
        // FNV-1a of `web:80`.
        backend: 0xcef4_9d81,
    });
    exchange.steer(|steering| {
        steering.pin = Some(Pinned {
            endpoint: "e1".to_owned(),
            strict: false,
            resumed,
        });
    });
    assert!(!exchange.goes_on(7), "nobody has answered");
    let goes_on = |exchange: &mut Exchange, backend: &str, endpoint: &str| {
        exchange.answered_by = Some((backend.into(), endpoint.into()));
        exchange.goes_on(7)
    };
    assert!(goes_on(&mut exchange, "web:80", "e1"));
    assert!(!exchange.goes_on(8), "it is another's");
    assert!(!goes_on(&mut exchange, "web:80", "e2"));
    assert!(!goes_on(&mut exchange, "web:81", "e1"));
}

#[test]
fn undoing_gives_back_target_status_steering_and_state() {
    let mut exchange = exchange();
    exchange.keep(1, "old".to_owned(), b"1".to_vec()).unwrap();
    exchange.steer(|steering| steering.backend = Some("a:80".to_owned()));
    exchange.begin();

    exchange.set_path("/else").unwrap();
    exchange.set_path("/more").unwrap();
    exchange.set_status(404).unwrap();
    exchange
        .change(Message::Response, Change::Add, "set-cookie", b"a=b")
        .unwrap();
    exchange.steer(|steering| steering.backend = Some("b:80".to_owned()));
    exchange.keep(1, "old".to_owned(), b"2".to_vec()).unwrap();
    exchange.keep(1, "new".to_owned(), b"3".to_vec()).unwrap();
    assert_eq!(
        exchange.kept(2, "new"),
        None,
        "state is each attachment's own"
    );

    exchange.undo();
    assert_eq!(exchange.request.uri, "/path?query");
    let response = exchange.response.as_ref().unwrap();
    assert_eq!(response.status, 200);
    assert!(response.headers.is_empty());
    assert_eq!(exchange.steering.backend.as_deref(), Some("a:80"));
    assert_eq!(exchange.kept(1, "old"), Some(&b"1"[..]));
    assert_eq!(exchange.kept(1, "new"), None);
}

#[test]
fn what_is_refused_changes_nothing() {
    let mut exchange = exchange();
    exchange.begin();
    assert_eq!(exchange.set_status(199), Err(FieldError::InvalidValue));
    assert_eq!(exchange.set_status(600), Err(FieldError::InvalidValue));
    assert_eq!(exchange.set_path("//evil"), Err(FieldError::InvalidName));
    let before = fields(&exchange);
    let crlf = exchange.change(Message::Request, Change::Set, "a", b"x\r\ny: z");
    assert_eq!(crlf, Err(FieldError::InvalidValue));
    assert_eq!(fields(&exchange), before);
    for number in 0..16 {
        exchange.keep(1, number.to_string(), Vec::new()).unwrap();
    }
    let more = exchange.keep(1, "more".to_owned(), Vec::new());
    assert_eq!(more, Err(FieldError::TooMany));
}

#[test]
fn a_status_without_a_body_is_none_for_a_response_with_one() {
    let mut exchange = exchange();
    for status in [204, 205, 304] {
        assert_eq!(exchange.set_status(status), Err(FieldError::InvalidValue));
    }
    assert_eq!(exchange.set_status(404), Ok(()));
    let response = exchange.response.as_mut().unwrap();
    response.status = StatusCode::NOT_MODIFIED;
    assert_eq!(exchange.set_status(200), Err(FieldError::InvalidValue));
    assert_eq!(exchange.set_status(204), Ok(()));
}
