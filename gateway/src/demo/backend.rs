//! The demo's backends: each answers with its cheese and with the request as it saw it.

use std::{
    convert::Infallible,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    thread,
    time::Duration,
};

use anyhow::Context;
use bytes::Bytes;
use http::{HeaderValue, Request, Response, header, request::Parts};
use http_body_util::{BodyExt, Full, Limited};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;

use super::CHEESES;

/// Starts them all on free ports, on a thread of their own.
pub(super) fn start() -> anyhow::Result<[(&'static str, SocketAddr); 3]> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let mut backends = CHEESES.map(|cheese| (cheese, SocketAddr::from((Ipv4Addr::LOCALHOST, 0))));
    for (cheese, address) in &mut backends {
        let listener = TcpListener::bind(*address)
            .context("cannot listen on 127.0.0.1 for the demo's backends")?;
        *address = listener.local_addr()?;
        listener.set_nonblocking(true)?;
        let _entered = runtime.enter();
        let listener = tokio::net::TcpListener::from_std(listener)?;
        runtime.spawn(serve(listener, cheese));
    }
    let forever = move || runtime.block_on(std::future::pending::<()>());
    thread::Builder::new()
        .name("backends".to_owned())
        .spawn(forever)?;
    Ok(backends)
}

async fn serve(listener: tokio::net::TcpListener, cheese: &'static str) {
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        let service = service_fn(move |request| answer(cheese, request));
        let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
        tokio::spawn(async move {
            // A connection that breaks is the gateway's to tell of.
            let _ = connection.await;
        });
    }
}

async fn answer(
    cheese: &'static str,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let body = Limited::new(body, 1 << 20).collect().await;
    let body = body.map_or_else(
        |_| "more than 1 MiB".to_owned(),
        |body| format!("{} bytes", body.to_bytes().len()),
    );
    let accept = head
        .headers
        .get(header::ACCEPT)
        .and_then(|accept| accept.to_str().ok())
        .unwrap_or_default();
    let (kind, text) = if accept.contains("text/html") {
        ("text/html; charset=utf-8", page(cheese, &head, &body))
    } else {
        ("text/plain; charset=utf-8", plain(cheese, &head, &body))
    };
    let mut response = Response::new(Full::new(text.into()));
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    Ok(response)
}

/// The answer for a terminal.
fn plain(cheese: &str, head: &Parts, body: &str) -> String {
    let mut out = format!(
        "This is {cheese}. It saw:\n\n{} {} {:?}\n",
        head.method, head.uri, head.version
    );
    for (name, value) in &head.headers {
        out.push_str(&format!(
            "{name}: {}\n",
            String::from_utf8_lossy(value.as_bytes())
        ));
    }
    out + "\nBody: " + body + "\n"
}

/// The answer for a browser.
fn page(cheese: &str, head: &Parts, body: &str) -> String {
    let (picture, words) = match cheese {
        "cheddar" => (include_str!("cheddar.svg"), "Firm, sharp, from Somerset."),
        "stilton" => (
            include_str!("stilton.svg"),
            "Blue-veined, from three counties only.",
        ),
        _ => (
            include_str!("wensleydale.svg"),
            "Crumbly, mild, with cranberries in it.",
        ),
    };
    let mut fields = String::new();
    for (name, value) in &head.headers {
        let value = String::from_utf8_lossy(value.as_bytes());
        fields.push_str(&format!(
            "<tr><th>{}<td>{}",
            escape(name.as_str()),
            escape(&value)
        ));
    }
    include_str!("page.html")
        .replace("{cheese}", cheese)
        .replace("{words}", words)
        .replace("{picture}", picture)
        .replace(
            "{request}",
            &escape(&format!("{} {}", head.method, head.uri)),
        )
        .replace("{body}", body)
        .replace("{fields}", &fields)
}

/// Text as HTML text.
fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
        .replace('{', "&#123;")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head() -> Parts {
        let request = Request::get("/a?b&c={fields}")
            .header("x-odd", "<i>&\"")
            .body(())
            .unwrap();
        request.into_parts().0
    }

    #[test]
    fn a_page_shows_the_request_as_text() {
        for cheese in CHEESES {
            let page = page(cheese, &head(), "0 bytes");
            assert!(page.contains("<svg") && page.contains(cheese));
            assert!(
                page.contains("/a?b&amp;c=&#123;fields}") && page.contains("&lt;i&gt;&amp;&quot;"),
                "{page}"
            );
            for name in [
                "{cheese}",
                "{words}",
                "{picture}",
                "{request}",
                "{body}",
                "{fields}",
            ] {
                assert!(!page.contains(name), "{name} is left");
            }
        }
    }

    #[test]
    fn a_terminal_gets_lines() {
        let text = plain("stilton", &head(), "3 bytes");
        assert_eq!(
            text,
            "This is stilton. It saw:\n\nGET /a?b&c={fields} HTTP/1.1\nx-odd: <i>&\"\n\nBody: 3 bytes\n"
        );
    }
}
