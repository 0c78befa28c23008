//! Every byte in every place of an HTTP/1.1 head: exactly those that RFC 9110 and RFC 9112 allow pass.

use harness::{Gateway, Upstream};

/// The characters of a token, RFC 9110 section 5.6.2.
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// The characters of a field value, RFC 9110 section 5.5.
fn is_value(byte: u8) -> bool {
    byte == b'\t' || (byte >= 0x20 && byte != 0x7f)
}

/// Sends a head with each byte in the middle; those that went otherwise than `allowed` says.
async fn wrong(
    gw: &Gateway,
    up: &Upstream,
    head: (&[u8], &[u8]),
    allowed: impl Fn(u8) -> Option<bool>,
) -> Vec<String> {
    let mut wrong = Vec::new();
    for byte in 0..=255_u8 {
        up.forget();
        let mut connection = gw.connect().await;
        connection.send([head.0, &[byte], head.1].concat()).await;
        connection.finish().await;
        let status = connection.answer("GET").await.map(|answer| answer.status);
        let passed = matches!(status, Ok(200));
        if allowed(byte).is_some_and(|allowed| allowed != passed)
            || up.seen().len() != usize::from(passed)
        {
            wrong.push(format!("{byte:#04x}: {status:?} {:?}", up.seen()));
        }
        if !up.violations().is_empty() {
            wrong.push(format!("{byte:#04x}: {:?}", up.violations()));
        }
    }
    wrong
}

#[tokio::test]
async fn names_have_the_characters_of_tokens() {
    let (gw, up) = super::start().await;
    let head: (&[u8], &[u8]) = (b"GET / HTTP/1.1\r\nHost: a.test\r\nx", b"y: 1\r\n\r\n");
    // A colon ends the name; what follows is its value.
    let wrong = wrong(&gw, &up, head, |byte| Some(is_token(byte) || byte == b':')).await;
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[tokio::test]
async fn values_have_no_controls() {
    let (gw, up) = super::start().await;
    let head: (&[u8], &[u8]) = (b"GET / HTTP/1.1\r\nHost: a.test\r\nx: a", b"b\r\n\r\n");
    let wrong = wrong(&gw, &up, head, |byte| Some(is_value(byte))).await;
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[tokio::test]
async fn methods_have_the_characters_of_tokens() {
    let (gw, up) = super::start().await;
    let head: (&[u8], &[u8]) = (b"A", b"B / HTTP/1.1\r\nHost: a.test\r\n\r\n");
    let wrong = wrong(&gw, &up, head, |byte| Some(is_token(byte))).await;
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[tokio::test]
async fn paths_have_visible_characters_but_some() {
    let (gw, up) = super::start().await;
    let head: (&[u8], &[u8]) = (b"GET /a", b"b HTTP/1.1\r\nHost: a.test\r\n\r\n");
    let visible = |byte: u8| (0x21..0x7f).contains(&byte) && !b"#%\\".contains(&byte);
    let wrong = wrong(&gw, &up, head, |byte| match byte {
        // RFC 3986 would have these encoded; both ways are read alike.
        b'"' | b'<' | b'>' | b'^' | b'`' | b'{' | b'|' | b'}' | b'[' | b']' => None,
        _ => Some(visible(byte)),
    })
    .await;
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[tokio::test]
async fn queries_have_visible_characters_but_the_fragments() {
    let (gw, up) = super::start().await;
    let head: (&[u8], &[u8]) = (b"GET /?a", b"b HTTP/1.1\r\nHost: a.test\r\n\r\n");
    let visible = |byte: u8| (0x21..0x7f).contains(&byte) && byte != b'#';
    let wrong = wrong(&gw, &up, head, |byte| match byte {
        b'"' | b'<' | b'>' | b'^' | b'`' | b'{' | b'|' | b'}' | b'[' | b']' | b'\\' => None,
        _ => Some(visible(byte)),
    })
    .await;
    assert!(wrong.is_empty(), "{wrong:#?}");
}
