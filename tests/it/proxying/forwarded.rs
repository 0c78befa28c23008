//! Who asked: forwarded fields, overwritten unless they come from a trusted proxy.

use harness::{Gateway, Seen, Upstream, get, upstream};

/// All fields by which clients have lied to someone.
const LIES: [(&str, &str); 6] = [
    ("X-Forwarded-For", "6.6.6.6, 7.7.7.7"),
    ("X-Forwarded-Proto", "https"),
    ("X-Forwarded-Host", "evil.test"),
    ("X-Forwarded-Port", "666"),
    ("X-Real-IP", "6.6.6.6"),
    ("Forwarded", "for=6.6.6.6;proto=https"),
];

async fn start(trusted: Option<&str>) -> (Gateway, Upstream) {
    let up = upstream().start().await;
    let builder = crate::in_front_of(&up);
    let builder = match trusted {
        Some(range) => builder.flag("--trusted-proxies", range),
        None => builder,
    };
    (builder.start().await, up)
}

async fn lie(gw: &Gateway) -> Seen {
    let asked = LIES
        .iter()
        .fold(get("/").host("a.test:8080"), |asked, (name, value)| {
            asked.header(name, value)
        });
    gw.send(&asked).await.saw()
}

#[tokio::test]
async fn a_stranger_cannot_say_who_he_is() {
    let (gw, _up) = start(None).await;
    let saw = lie(&gw).await;
    assert_eq!(saw.header("x-forwarded-for"), Some("127.0.0.1"));
    assert_eq!(saw.header("x-forwarded-proto"), Some("http"));
    assert_eq!(saw.header("x-forwarded-host"), Some("a.test:8080"));
    assert!(
        saw.all("x-real-ip").iter().all(|ip| *ip == "127.0.0.1"),
        "{:?}",
        saw.fields
    );
    assert!(
        saw.all("x-forwarded-port")
            .iter()
            .all(|port| *port != "666"),
        "{:?}",
        saw.fields
    );
    assert!(
        saw.all("forwarded").iter().all(|f| !f.contains("6.6.6.6")),
        "{:?}",
        saw.fields
    );
}

#[tokio::test]
async fn over_tls_the_scheme_is_https() {
    let (gw, _up) = start(None).await;
    let saw = gw.get_tls("a.test", "/").await.saw();
    assert_eq!(saw.header("x-forwarded-proto"), Some("https"));
    assert_eq!(saw.header("x-forwarded-for"), Some("127.0.0.1"));
}

#[tokio::test]
async fn a_trusted_proxy_is_believed() {
    let (gw, _up) = start(Some("127.0.0.1/32")).await;
    let saw = lie(&gw).await;
    // The right-most address that is not trusted is the client; what stands before it may be a lie.
    let chain = saw.header("x-forwarded-for").expect("a chain").to_owned();
    assert!(chain.starts_with("7.7.7.7"), "{chain}");
    assert!(!chain.contains("6.6.6.6"), "{chain}");
    assert_eq!(saw.header("x-forwarded-proto"), Some("https"));
    assert_eq!(saw.header("x-forwarded-host"), Some("evil.test"));
}

#[tokio::test]
async fn the_client_is_the_right_most_address_that_is_not_trusted() {
    let (gw, _up) = start(Some("127.0.0.0/8,10.0.0.0/8,2001:db8::/32")).await;
    let cases = [
        ("1.1.1.1", "1.1.1.1"),
        ("6.6.6.6, 1.1.1.1, 10.0.0.1", "1.1.1.1"),
        ("1.1.1.1,10.0.0.1 , 10.9.9.9", "1.1.1.1"),
        ("6.6.6.6, ::ffff:10.0.0.1", "6.6.6.6"),
        ("2a00::1, 2001:db8::5", "2a00::1"),
        ("::ffff:1.1.1.1", "1.1.1.1"),
        ("10.0.0.1", "10.0.0.1"),
    ];
    for (sent, client) in cases {
        let saw = gw
            .send(&get("/").host("a.test").header("X-Forwarded-For", sent))
            .await
            .saw();
        let chain = saw.header("x-forwarded-for").expect("a chain").to_owned();
        let first = chain.split(',').next().map(str::trim);
        assert_eq!(first, Some(client), "{sent} became {chain}");
    }
}

#[tokio::test]
async fn several_fields_are_one_list() {
    let (gw, _up) = start(Some("127.0.0.0/8,10.0.0.0/8")).await;
    let asked = get("/")
        .host("a.test")
        .header("X-Forwarded-For", "6.6.6.6")
        .header("X-Forwarded-For", "1.1.1.1, 10.0.0.1");
    let saw = gw.send(&asked).await.saw();
    let chain = saw.header("x-forwarded-for").expect("one chain").to_owned();
    assert!(chain.starts_with("1.1.1.1"), "{chain}");
}

#[tokio::test]
async fn garbage_in_the_chain_never_becomes_the_client() {
    let (gw, _up) = start(Some("127.0.0.1/32")).await;
    for garbage in [
        "unknown",
        "evil, unknown",
        "1.1.1.1, <script>",
        "",
        ",,",
        "1.1.1.1, 300.1.1.1",
    ] {
        let saw = gw
            .send(&get("/").host("a.test").header("X-Forwarded-For", garbage))
            .await
            .saw();
        let chain = saw.header("x-forwarded-for").expect("a chain").to_owned();
        let first = chain.split(',').next().map(str::trim).unwrap_or_default();
        assert!(
            first.parse::<std::net::IpAddr>().is_ok(),
            "{garbage:?} became {chain:?}"
        );
    }
}

#[tokio::test]
async fn only_those_in_range_are_trusted() {
    let (gw, _up) = start(Some("10.0.0.0/8")).await;
    assert_eq!(lie(&gw).await.header("x-forwarded-for"), Some("127.0.0.1"));
    assert_eq!(
        lie(&gw).await.header("x-forwarded-host"),
        Some("a.test:8080")
    );
}
