//! Requests of guests to other servers.

mod waiting;

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::mpsc,
    thread,
};

use proxy::filter::{Filter, RequestVerdict};

use super::{guests::*, *};

/// Sends one request, and answers with the status that it got, or with 500 and the number of the
/// error. The body is what it got.
fn sender(url: &str, timeout: u32) -> Guest {
    let length = url.len();
    Guest {
        world: "import portcullis:filter/http-client@0.1.0;",
        pages: 40,
        own: format!(
            r#"(import "portcullis:filter/http-client@0.1.0" "send" (func $send (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32)))
            (data (i32.const 1024) "GET") (data (i32.const 1028) "x-sent") (data (i32.const 1040) "yes")
            (data (i32.const 1044) "\04\04\00\00\06\00\00\00\10\04\00\00\03\00\00\00")
            (data (i32.const 1100) "{url}")
            (func $get
                (call $send (i32.const 1024) (i32.const 3) (i32.const 1100) (i32.const {length})
                    (i32.const 1044) (i32.const 1) (i32.const 0) (i32.const 0) (i32.const 0)
                    (i32.const {timeout}) (i32.const 2048)))"#
        ),
        ..Guest::on_request(
            "(call $get) (call $drop-request (local.get $req))
            (i32.store8 (i32.const 3000) (i32.const 1))
            (i32.store16 (i32.const 3004) (i32.load16_u (i32.const 2052)))
            (i32.store (i32.const 3016) (i32.load (i32.const 2064)))
            (i32.store (i32.const 3020) (i32.load (i32.const 2068)))
            (if (i32.load8_u (i32.const 2048)) (then
                (i32.store16 (i32.const 3004) (i32.add (i32.const 500) (i32.load8_u (i32.const 2052))))
                (i32.store (i32.const 3020) (i32.const 0))))
            (i32.const 3000)",
        )
    }
}

const DENIED: u16 = 500;
const TIMEOUT: u16 = 501;
const CONNECT: u16 = 502;
const TOO_LARGE: u16 = 503;
const PROTOCOL: u16 = 504;

/// Answers each connection's first request with what the function makes of its head.
fn server(answer: impl Fn(&str, &mut TcpStream) + Send + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("its address");
    thread::spawn(move || {
        for stream in listener.incoming() {
            let (mut stream, mut head) = (stream.expect("a connection"), Vec::new());
            let mut byte = [0];
            while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).is_ok_and(|read| read == 1)
            {
                head.push(byte[0]);
            }
            answer(&String::from_utf8_lossy(&head), &mut stream);
        }
    });
    address
}

fn loopback() -> Engine {
    own_engine(|settings| settings.http.allow_loopback = true)
}

fn ask(engine: &Engine, guest: &Guest, grant: &str) -> (u16, Vec<u8>) {
    let plugin = plugin_on(engine, guest, |spec| {
        spec.grants.http = vec![grant.to_owned()];
    });
    let (_, verdict) = later(filter(&attach(&plugin)).on_request(exchange()));
    match verdict {
        Ok(RequestVerdict::Respond(answer)) => (answer.status().as_u16(), answer.body().to_vec()),
        other => panic!("{other:?}"),
    }
}

fn status(engine: &Engine, url: &str, grant: &str) -> u16 {
    ask(engine, &sender(url, 5000), grant).0
}

#[test]
fn a_guest_asks_another_server_and_gets_its_answer() {
    let address = server(|head, stream| {
        assert!(head.starts_with("GET /path?q HTTP/1.1\r\n"), "{head}");
        assert!(head.contains("x-sent: yes\r\n"), "{head}");
        stream
            .write_all(b"HTTP/1.1 203 X\r\ncontent-length: 4\r\n\r\nbody")
            .unwrap();
    });
    let url = format!("http://{address}/path?q");
    let answer = ask(&loopback(), &sender(&url, 5000), &address.to_string());
    assert_eq!(answer, (203, b"body".to_vec()));
}

#[test]
fn a_host_that_is_not_granted_is_denied() {
    let engine = loopback();
    let (send, asked) = mpsc::channel();
    let address = server(move |_, _| send.send(()).unwrap());
    let port = address.port();
    let url = format!("http://{address}/");
    for grant in [
        "127.0.0.1",
        "127.0.0.2",
        "localhost",
        &format!("localhost:{port}"),
    ] {
        assert_eq!(status(&engine, &url, grant), DENIED, "{grant}");
    }
    for url in [
        format!("ftp://{address}/"),
        format!("http://u@{address}/"),
        "/".to_owned(),
    ] {
        assert_eq!(status(&engine, &url, &address.to_string()), DENIED, "{url}");
    }
    assert!(asked.try_recv().is_err(), "it was never asked");
}

#[test]
fn a_name_that_leads_to_a_denied_address_is_denied() {
    let (send, asked) = mpsc::channel();
    let address = server(move |_, _| send.send(()).unwrap());
    let port = address.port();
    let closed = own_engine(|_| {});
    let hosts = [
        "127.0.0.1",
        "localhost",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "2130706433",
        "0.0.0.0",
        "[::]",
    ];
    for host in hosts {
        let grant = format!("{host}:{port}");
        assert_eq!(
            status(&closed, &format!("http://{grant}/"), &grant),
            DENIED,
            "{host}"
        );
    }
    // Those that no setting opens, and one that a setting closes.
    let open = loopback();
    open.deny(vec![[127, 0, 0, 1].into()]);
    for host in [
        "169.254.169.254",
        "[fe80::1]",
        "[::ffff:169.254.169.254]",
        "224.0.0.1",
        "127.0.0.1",
    ] {
        let grant = format!("{host}:{port}");
        assert_eq!(
            status(&open, &format!("http://{grant}/"), &grant),
            DENIED,
            "{host}"
        );
    }
    assert!(asked.try_recv().is_err(), "it was never asked");
}

#[test]
fn a_redirect_is_an_answer_and_is_not_followed() {
    let (send, asked) = mpsc::channel();
    let target = server(move |_, _| send.send(()).unwrap());
    let address = server(move |_, stream| {
        write!(
            stream,
            "HTTP/1.1 302 X\r\nlocation: http://{target}/\r\ncontent-length: 0\r\n\r\n"
        )
        .unwrap();
    });
    let url = format!("http://{address}/");
    assert_eq!(status(&loopback(), &url, &address.to_string()), 302);
    assert!(asked.try_recv().is_err(), "it was never asked");
}

#[test]
fn what_goes_wrong_is_a_typed_error() {
    let engine = loopback();
    let answering = |answer: Vec<u8>| {
        let address = server(move |_, stream| drop(stream.write_all(&answer)));
        status(&engine, &format!("http://{address}/"), &address.to_string())
    };
    let large = |size: usize| {
        let mut answer = format!("HTTP/1.1 200 X\r\ncontent-length: {size}\r\n\r\n").into_bytes();
        answer.resize(answer.len() + size, b'x');
        answer
    };
    assert_eq!(answering(large(1 << 20)), 200);
    assert_eq!(answering(large((1 << 20) + 1)), TOO_LARGE);
    let field = "y".repeat(100_000);
    assert_eq!(
        answering(format!("HTTP/1.1 200 X\r\nx: {field}\r\n\r\n").into()),
        TOO_LARGE
    );
    assert_eq!(answering(b"no http\r\n\r\n".to_vec()), PROTOCOL);
    assert_eq!(
        answering(b"HTTP/1.1 200 X\r\ncontent-length: 9\r\n\r\nx".to_vec()),
        PROTOCOL
    );

    let free = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    assert_eq!(
        status(&engine, &format!("http://{free}/"), &free.to_string()),
        CONNECT
    );

    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = silent.local_addr().unwrap();
    let guest = sender(&format!("http://{address}/"), 50);
    assert_eq!(ask(&engine, &guest, &address.to_string()).0, TIMEOUT);
}

#[test]
fn a_hook_sends_four_requests_and_configure_none() {
    let engine = loopback();
    let address =
        server(|_, stream| drop(stream.write_all(b"HTTP/1.1 200 X\r\ncontent-length: 0\r\n\r\n")));
    let fault = |guest: Guest| {
        let plugin = plugin_on(&engine, &guest, |spec| {
            spec.grants.http = vec![address.to_string()];
        });
        let attachment = plugin.attach("default", "site/filter", "{}".to_owned())?;
        let (_, verdict) = later(filter(&attachment).on_request(exchange()));
        Ok::<_, Failure>(verdict.unwrap_err())
    };
    let five = Guest {
        on_request: Some(format!("{} {NEXT}", "(call $get)".repeat(5))),
        ..sender(&format!("http://{address}/"), 5000)
    };
    assert_eq!(fault(five).unwrap().word(), "plugin-trap");
    let early = Guest {
        configure: "(call $get) i32.const 16".to_owned(),
        ..sender(&format!("http://{address}/"), 5000)
    };
    let failure = fault(early).unwrap_err();
    assert!(failure.to_string().contains("for hooks"), "{failure}");
}

#[test]
fn without_the_grant_it_is_not_loaded() {
    let refused = Plugin::new(engine(), spec(load(&sender("http://a/", 1)).unwrap()))
        .err()
        .unwrap();
    assert!(
        refused.to_string().contains("http: [api.example.com]"),
        "{refused}"
    );
}
