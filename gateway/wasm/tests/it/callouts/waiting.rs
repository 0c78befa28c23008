//! What happens while a guest waits, and whom it believes.

use std::convert::Infallible;

use http_body_util::Full;
use hyper::{body::Incoming, service::service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo};

use super::*;

#[test]
fn waiting_is_no_time_on_the_cpu_and_holds_no_thread() {
    let engine = loopback();
    let address = server(|_, stream| {
        thread::sleep(Duration::from_millis(100));
        drop(stream.write_all(b"HTTP/1.1 200 X\r\ncontent-length: 0\r\n\r\n"));
    });
    let plugin = plugin_on(
        &engine,
        &sender(&format!("http://{address}/"), 5000),
        |spec| {
            spec.grants.http = vec![address.to_string()];
            spec.limits.time = Duration::from_millis(1);
        },
    );
    let filter = filter(&attach(&plugin));
    let calls: Vec<_> = (0..3)
        .map(|_| match filter.on_request(exchange()) {
            Asked::Later(answer) => answer,
            Asked::Done(_) => panic!("it waits"),
        })
        .collect();
    runtime().block_on(async {
        let local = tokio::task::LocalSet::new();
        let calls: Vec<_> = calls
            .into_iter()
            .map(|call| local.spawn_local(call))
            .collect();
        local
            .run_until(async {
                for call in calls {
                    let (_, verdict) = call.await.unwrap();
                    assert!(
                        matches!(verdict, Ok(RequestVerdict::Respond(_))),
                        "{verdict:?}"
                    );
                }
            })
            .await;
    });
}

#[test]
fn a_client_that_leaves_ends_the_request_of_the_guest() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let plugin = plugin_on(
        &loopback(),
        &sender(&format!("http://{address}/"), 9000),
        |spec| {
            spec.grants.http = vec![address.to_string()];
        },
    );
    let filter = filter(&attach(&plugin));
    let Asked::Later(mut call) = filter.on_request(exchange()) else {
        panic!("it waits");
    };
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    assert!(call.as_mut().poll(&mut context).is_pending());
    let (mut stream, _) = listener.accept().unwrap();
    drop(call);
    eventually("the instance is gone", || {
        plugin.shared().instances().alive == 0
    });
    stream
        .set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    let mut rest = Vec::new();
    stream
        .read_to_end(&mut rest)
        .expect("the connection is closed");
}

#[test]
fn a_server_over_tls_must_have_a_certificate_that_is_believed() {
    let pair = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let certificate = pair.cert.der().clone();
    let key = rustls::pki_types::PrivatePkcs8KeyDer::from(pair.signing_key.serialize_der());
    let tls = rustls::ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.clone()], key.into())
        .unwrap();
    let tls = Arc::new(tls);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let connection = rustls::ServerConnection::new(Arc::clone(&tls)).unwrap();
            let mut stream = rustls::StreamOwned::new(connection, stream.unwrap());
            let mut head = [0; 4096];
            if stream.read(&mut head).is_ok() {
                drop(stream.write_all(b"HTTP/1.1 204 X\r\n\r\n"));
            }
        }
    });
    let grant = format!("localhost:{port}");
    let url = format!("https://{grant}/");
    let believing = own_engine(|settings| {
        settings.http.allow_loopback = true;
        settings.http.roots = wasm::Roots::Only(vec![certificate.to_vec()]);
    });
    assert_eq!(status(&believing, &url, &grant), 204);
    let other = format!("127.0.0.1:{port}");
    assert_eq!(
        status(&believing, &format!("https://{other}/"), &other),
        CONNECT
    );
    assert_eq!(
        status(&loopback(), &url, &grant),
        CONNECT,
        "nobody known has signed it"
    );
}

#[test]
fn a_server_may_speak_http2() {
    let pair = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let certificate = pair.cert.der().clone();
    let key = rustls::pki_types::PrivatePkcs8KeyDer::from(pair.signing_key.serialize_der());
    let mut tls = rustls::ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.clone()], key.into())
        .unwrap();
    tls.alpn_protocols = vec![b"h2".to_vec()];
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let serve = async move {
        listener.set_nonblocking(true).unwrap();
        let listener = tokio::net::TcpListener::from_std(listener).unwrap();
        let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(tls));
        let (stream, _) = listener.accept().await.unwrap();
        let stream = acceptor.accept(stream).await.unwrap();
        let answer = |request: http::Request<Incoming>| async move {
            let version = format!("{:?} {}", request.version(), request.uri());
            Ok::<_, Infallible>(http::Response::new(Full::new(bytes::Bytes::from(version))))
        };
        let server = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
        drop(
            server
                .serve_connection(TokioIo::new(stream), service_fn(answer))
                .await,
        );
    };
    thread::spawn(move || runtime().block_on(serve));
    let engine = own_engine(|settings| {
        settings.http.allow_loopback = true;
        settings.http.roots = wasm::Roots::Only(vec![certificate.to_vec()]);
    });
    let grant = format!("localhost:{port}");
    let (status, body) = ask(
        &engine,
        &sender(&format!("https://{grant}/a"), 5000),
        &grant,
    );
    assert_eq!(status, 200);
    assert_eq!(
        String::from_utf8_lossy(&body),
        format!("HTTP/2.0 https://{grant}/a")
    );
}
