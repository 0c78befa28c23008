//! Bodies in pieces.

use portcullis_sdk::{
    ChunkVerdict,
    testing::{TestFilter, filter, get, json, response, try_filter},
};

use super::BodyRewrite;

fn rewrite(pairs: &[(&str, &str)]) -> TestFilter<BodyRewrite> {
    let pairs: Vec<_> = pairs
        .iter()
        .map(|(find, with)| json!({"find": find, "with": with}))
        .collect();
    filter(json!({"replace": pairs}))
}

fn sent(filter: &TestFilter<BodyRewrite>, chunks: &[&[u8]]) -> String {
    let html = response(200).header("content-type", "text/html; charset=utf-8");
    let mut outcome = filter.request(get("/")).response(html);
    String::from_utf8(outcome.stream(chunks).unwrap()).unwrap()
}

#[test]
fn what_is_found_is_replaced_wherever_the_pieces_end() {
    let filter = rewrite(&[("stilton", "cheddar"), ("still", "never")]);
    let whole = b"stilton, still stil; ststilton stilto";
    let expected = "cheddar, never stil; stcheddar stilto";
    assert_eq!(sent(&filter, &[whole]), expected);
    for first in 0..=whole.len() {
        for second in first..=whole.len() {
            let chunks = [&whole[..first], &whole[first..second], &whole[second..]];
            assert_eq!(sent(&filter, &chunks), expected, "{first} {second}");
        }
    }
    let bytes: Vec<&[u8]> = whole.chunks(1).collect();
    assert_eq!(sent(&filter, &bytes), expected);
}

#[test]
fn the_first_pair_wins_and_what_was_replaced_is_not_looked_at_again() {
    let filter = rewrite(&[("ab", "a"), ("abc", "x"), ("b", "bb")]);
    assert_eq!(sent(&filter, &[b"abcb"]), "acbb");
    let filter = rewrite(&[("abc", "x"), ("ab", "a")]);
    assert_eq!(sent(&filter, &[b"ab", b"d ab", b"c ab"]), "ad x a");
}

#[test]
fn two_responses_at_once_do_not_mix() {
    let filter = rewrite(&[("ab", "x")]);
    let text = || response(200).header("content-type", "text/plain");
    let mut one = filter.request(get("/")).response(text());
    let mut other = filter.request(get("/")).response(text());
    assert_eq!(one.chunk(b"a", false), ChunkVerdict::Drop);
    assert_eq!(
        other.chunk(b"b", true),
        ChunkVerdict::Replace(b"b".to_vec())
    );
    assert_eq!(one.chunk(b"b", true), ChunkVerdict::Replace(b"x".to_vec()));
}

#[test]
fn other_types_and_what_is_compressed_pass_untouched() {
    let filter = rewrite(&[("a", "b")]);
    let types = response(200).header("content-type", "image/png");
    let encoded = response(200)
        .header("content-type", "text/html")
        .header("content-encoding", "gzip");
    let part = response(206).header("content-type", "text/html");
    for answer in [types, encoded, part, response(200)] {
        let mut outcome = filter
            .request(get("/"))
            .response(answer.header("etag", "\"1\""));
        assert_eq!(outcome.chunk(b"a", true), ChunkVerdict::Pass);
        assert_eq!(outcome.header("etag"), Some("\"1\""));
    }
}

#[test]
fn the_request_asks_for_a_whole_body_in_plain() {
    let filter = rewrite(&[("a", "b")]);
    let request = get("/")
        .header("accept-encoding", "gzip")
        .header("range", "bytes=1-");
    assert!(filter.request(request).headers().is_empty());
    let plain = response(200)
        .header("content-type", "Application/JSON")
        .header("etag", "\"1\"");
    let mut outcome = filter.request(get("/")).response(plain);
    assert_eq!(outcome.header("etag"), None);
    assert_eq!(outcome.stream(&[b"a", b""]), Some(b"b".to_vec()));
}

#[test]
fn a_wrong_configuration_says_where() {
    let pointer = |config| {
        try_filter::<BodyRewrite>(config)
            .err()
            .expect("an error")
            .pointer
    };
    assert_eq!(pointer(json!({"replace": []})), "/replace");
    assert_eq!(
        pointer(json!({"replace": [{"find": "", "with": ""}]})),
        "/replace/0/find"
    );
    let long = "x".repeat(1025);
    assert_eq!(
        pointer(json!({"replace": [{"find": long, "with": ""}]})),
        "/replace/0/find"
    );
    assert_eq!(pointer(json!({"replace": [{"find": "a"}]})), "/replace/0");
}
