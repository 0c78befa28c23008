//! Values of flags, right and wrong.

use super::*;

#[test]
fn times_are_read() {
    let known = [
        ("0", 0),
        ("0s", 0),
        ("500ms", 500),
        ("30s", 30_000),
        ("5m", 300_000),
        ("1h", 3_600_000),
        ("1h30m", 5_400_000),
    ];
    for (text, millis) in known {
        assert_eq!(
            duration(text),
            Some(Duration::from_millis(millis)),
            "{text}"
        );
    }
    let wrong = [
        "",
        "30",
        "s",
        "-1s",
        "1.5s",
        "10x",
        "1 s",
        "s1",
        "1h30",
        "99999999999999999999s",
        "18446744073709551615h",
        "9999999h",
    ];
    for text in wrong {
        assert_eq!(duration(text), None, "{text}");
    }
}

#[test]
fn sizes_are_read() {
    let known = [
        ("0", 0),
        ("1500", 1500),
        ("64Ki", 65_536),
        ("8Mi", 8 << 20),
        ("1Gi", 1 << 30),
        ("10M", 10_000_000),
        ("1k", 1000),
    ];
    for (text, bytes) in known {
        assert_eq!(size(text), Some(bytes), "{text}");
    }
    for text in [
        "",
        "Ki",
        "-1",
        "1.5Mi",
        "8MB",
        "8 Mi",
        "18446744073709551615Gi",
    ] {
        assert_eq!(size(text), None, "{text}");
    }
}

#[test]
fn networks_are_read_and_ipv4_stays_ipv4() {
    let mut reader = Reader::default();
    let texts = ["10.0.0.0/8", "192.0.2.7", "fd00::/8", "::ffff:10.1.0.0/112"].map(str::to_owned);
    let networks = reader.networks("--trusted-proxies", &texts);
    let shown: Vec<String> = networks.iter().map(ToString::to_string).collect();
    assert_eq!(
        shown,
        ["10.0.0.0/8", "192.0.2.7/32", "fd00::/8", "10.1.0.0/16"]
    );
    reader.networks("--trusted-proxies", &["10.0.0.0/33".to_owned()]);
    assert!(reader.finish(()).is_err());
}

#[test]
fn objects_are_read() {
    let mut reader = Reader::default();
    assert_eq!(
        reader.object("--f", "a/b"),
        Some(("a".to_owned(), "b".to_owned()))
    );
    for text in ["a", "/b", "a/", "a/b/c", "A/b"] {
        assert_eq!(reader.object("--f", text), None, "{text}");
    }
    assert_eq!(reader.mistakes.len(), 5);
}

#[test]
fn every_mistake_names_flag_value_and_remedy() {
    let mut reader = Reader::default();
    reader.time("--a", "x", Zero::Allowed);
    reader.time("--b", "0s", Zero::Refused);
    reader.size::<u32>("--c", "5Gi", Zero::Allowed);
    reader.window("--d", "2147483648");
    reader.window("--e", "1");
    reader.count::<u32>("--f", "0");
    reader.count::<u32>("--g", "-1");
    reader.optional_address("--h", Some("localhost:80"));
    reader.names("--i", &["a".to_owned(), String::new()]);
    let text = reader.finish(()).unwrap_err().to_string();
    let lines: Vec<&str> = text
        .lines()
        .map(|line| line.strip_prefix("error: ").unwrap_or(line))
        .collect();
    let flags: Vec<&str> = lines
        .iter()
        .filter_map(|line| line.split(' ').next())
        .collect();
    assert_eq!(
        flags,
        [
            "--a", "--b", "--c", "--d", "--e", "--f", "--g", "--h", "--i"
        ],
        "{text}"
    );
    assert!(
        lines
            .iter()
            .all(|line| line.contains("'") && line.contains("; write ")),
        "{text}"
    );
}
