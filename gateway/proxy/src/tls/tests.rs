//! What is served of which certificate.

use super::*;

fn pem(names: &[&str]) -> (Vec<u8>, Vec<u8>) {
    let names: Vec<String> = names.iter().map(ToString::to_string).collect();
    let signed = rcgen::generate_simple_self_signed(names).unwrap();
    (
        signed.cert.pem().into_bytes(),
        signed.signing_key.serialize_pem().into_bytes(),
    )
}

#[test]
fn a_certificate_tells_its_names() {
    let (chain, key) = pem(&["A.test", "*.b.test"]);
    let info = inspect_certificate(&chain, &key).unwrap();
    assert_eq!(info.names, ["a.test", "*.b.test"]);
    assert!(info.not_before < info.not_after);
}

#[test]
fn garbage_and_foreign_keys_are_refused() {
    let ((chain, key), (_, other)) = (pem(&["a.test"]), pem(&["a.test"]));
    let error = |chain: &[u8], key: &[u8]| inspect_certificate(chain, key).unwrap_err();
    assert!(matches!(error(b"", &key), CertificateError::NoCertificate));
    assert!(matches!(
        error(b"garbage", &key),
        CertificateError::NoCertificate
    ));
    assert!(matches!(error(&chain, b""), CertificateError::NoKey));
    assert!(matches!(
        error(
            &chain,
            b"-----BEGIN ENCRYPTED PRIVATE KEY-----\nAA==\n-----END ENCRYPTED PRIVATE KEY-----\n"
        ),
        CertificateError::NoKey
    ));
    assert!(matches!(error(&chain, &other), CertificateError::Rustls(_)));
    assert!(matches!(
        error(&vec![b'a'; 300_000], &key),
        CertificateError::TooLarge
    ));
    let broken = String::from_utf8(chain.clone())
        .unwrap()
        .replace("-----END", "?-----END");
    assert!(inspect_certificate(broken.as_bytes(), &key).is_err());
}

#[test]
fn exact_goes_before_wildcard_and_a_wildcard_covers_one_label() {
    let key = || {
        let (chain, key) = pem(&["x.test"]);
        certified_key(&chain, &key).unwrap()
    };
    let (exact, wildcard) = (key(), key());
    let mut certificates = Certificates::default();
    certificates
        .exact
        .insert("a.b.test".into(), Arc::clone(&exact));
    certificates
        .wildcard
        .insert("b.test".into(), Arc::clone(&wildcard));
    assert!(Arc::ptr_eq(certificates.find("a.b.test").unwrap(), &exact));
    assert!(Arc::ptr_eq(certificates.find("a.b.test.").unwrap(), &exact));
    assert!(Arc::ptr_eq(
        certificates.find("c.b.test").unwrap(),
        &wildcard
    ));
    assert!(certificates.find("d.c.b.test").is_none());
    assert!(certificates.find("b.test").is_none());
}
