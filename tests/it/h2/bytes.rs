//! Every byte in every place of an HTTP/2 field block: what passes is what HTTP/1.1 can say.

use harness::{Frame, Gateway, Kind, Upstream, Verdict, field, flag, upstream};

fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// Replaces or adds a field, with each byte in the middle; those that went otherwise than `allowed`
/// says.
async fn wrong(
    gw: &Gateway,
    up: &Upstream,
    make: impl Fn(u8) -> (Vec<u8>, Vec<u8>),
    allowed: impl Fn(u8) -> Option<bool>,
) -> Vec<String> {
    let good: [(&str, &str); 4] = [
        (":method", "GET"),
        (":scheme", "http"),
        (":authority", "a.test"),
        (":path", "/"),
    ];
    let mut wrong = Vec::new();
    for byte in 0..=255_u8 {
        up.forget();
        let (name, value) = make(byte);
        let others = good.iter().filter(|other| other.0.as_bytes() != name);
        let mut block: Vec<u8> = others
            .flat_map(|(n, v)| field(n.as_bytes(), v.as_bytes()))
            .collect();
        block.extend_from_slice(&field(&name, &value));
        let mut frames = gw.frames().await;
        let flags = flag::END_HEADERS | flag::END_STREAM;
        frames
            .send(&Frame::of(Kind::Headers, flags, 1, block))
            .await;
        let verdict = frames.verdict(1).await;
        let passed = verdict == Verdict::Status(200);
        if allowed(byte).is_some_and(|allowed| allowed != passed)
            || up.seen().len() != usize::from(passed)
        {
            wrong.push(format!("{byte:#04x}: {verdict:?} {:?}", up.seen()));
        }
        if !up.violations().is_empty() {
            wrong.push(format!("{byte:#04x}: {:?}", up.violations()));
        }
    }
    wrong
}

async fn start() -> (Gateway, Upstream) {
    let up = upstream().start().await;
    (crate::in_front_of(&up).start().await, up)
}

#[tokio::test]
async fn names_have_the_lower_case_characters_of_tokens() {
    let (gw, up) = start().await;
    let make = |byte: u8| (vec![b'x', byte, b'y'], b"1".to_vec());
    let allowed = |byte: u8| Some(is_token(byte) && !byte.is_ascii_uppercase());
    let wrong = wrong(&gw, &up, make, allowed).await;
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[tokio::test]
async fn values_have_no_controls() {
    let (gw, up) = start().await;
    let make = |byte: u8| (b"x".to_vec(), vec![b'a', byte, b'b']);
    let allowed = |byte: u8| Some(byte == b'\t' || (byte >= 0x20 && byte != 0x7f));
    let wrong = wrong(&gw, &up, make, allowed).await;
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[tokio::test]
async fn methods_have_the_characters_of_tokens() {
    let (gw, up) = start().await;
    let make = |byte: u8| (b":method".to_vec(), vec![b'A', byte, b'B']);
    let wrong = wrong(&gw, &up, make, |byte| Some(is_token(byte))).await;
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[tokio::test]
async fn paths_have_visible_characters_but_some() {
    let (gw, up) = start().await;
    let make = |byte: u8| (b":path".to_vec(), vec![b'/', byte, b'b']);
    let visible = |byte: u8| (0x21..0x7f).contains(&byte) && !b"%\\".contains(&byte);
    let wrong = wrong(&gw, &up, make, |byte| match byte {
        // The HTTP/2 library takes a fragment off by itself.
        b'"' | b'<' | b'>' | b'^' | b'`' | b'{' | b'|' | b'}' | b'[' | b']' | b'#' => None,
        _ => Some(visible(byte)),
    })
    .await;
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[tokio::test]
async fn authorities_have_the_characters_of_names() {
    let (gw, up) = start().await;
    let make = |byte: u8| {
        (
            b":authority".to_vec(),
            vec![b'a', b'.', b't', b'e', b's', byte, b't'],
        )
    };
    // Only the host of the rule is served; all else is unknown or refused.
    let wrong = wrong(&gw, &up, make, |_| Some(false)).await;
    assert!(wrong.is_empty(), "{wrong:#?}");
}
