//! The demo's Kubernetes objects, as files that a user may read and change.

use std::{fs, net::SocketAddr, path::Path};

use anyhow::Context;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};

use super::DOMAIN;

/// The file with the authority that signed the demo's certificate.
pub(super) const CA: &str = "ca.pem";

/// Writes them into a folder.
pub(super) fn write(folder: &Path, backends: &[(&str, SocketAddr)]) -> anyhow::Result<()> {
    let put = |name: &str, text: &str| {
        let path = folder.join(name);
        fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))
    };
    for (cheese, address) in backends {
        let text = CHEESE.replace("CHEESE", cheese).replace("DOMAIN", DOMAIN);
        put(
            &format!("{cheese}.yaml"),
            &text.replace("PORT", &address.port().to_string()),
        )?;
    }
    put("cheese.yaml", &BY_PATH.replace("DOMAIN", DOMAIN))?;
    put("secure.yaml", &SECURE.replace("DOMAIN", DOMAIN))?;
    put("tasting.yaml", &TASTING.replace("DOMAIN", DOMAIN))?;
    let (authority, chain, key) = certificate()?;
    put(CA, &authority)?;
    let indented = |pem: &str| {
        pem.trim()
            .lines()
            .map(|line| format!("    {line}\n"))
            .collect::<String>()
    };
    put(
        "tls.yaml",
        &TLS.replace("CHAIN\n", &indented(&chain))
            .replace("KEY\n", &indented(&key)),
    )
}

/// An authority of this demo alone, and a certificate for all its hosts with its key; all PEM.
fn certificate() -> anyhow::Result<(String, String, String)> {
    let mut authority = CertificateParams::new(Vec::new())?;
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    authority
        .distinguished_name
        .push(DnType::CommonName, "Portcullis demo");
    let authority_key = KeyPair::generate()?;
    let authority_pem = authority.self_signed(&authority_key)?.pem();
    let issuer = Issuer::new(authority, authority_key);
    let mut leaf = CertificateParams::new(vec![format!("*.{DOMAIN}")])?;
    leaf.distinguished_name
        .push(DnType::CommonName, "Portcullis demo hosts");
    leaf.use_authority_key_identifier_extension = true;
    let leaf_key = KeyPair::generate()?;
    let chain = leaf.signed_by(&leaf_key, &issuer)?.pem();
    Ok((authority_pem, chain, leaf_key.serialize_pem()))
}

const CHEESE: &str = r#"# CHEESE: a host of its own, over HTTP and HTTPS.
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: CHEESE
  annotations:
    portcullis.dev/ssl-redirect: "false" # a host with TLS redirects to https unless told not to
spec:
  ingressClassName: portcullis
  tls:
    - hosts: [CHEESE.DOMAIN]
      secretName: demo-tls
  rules:
    - host: CHEESE.DOMAIN
      http:
        paths:
          - path: /
            pathType: Prefix
            backend:
              service:
                name: CHEESE
                port:
                  name: http
---
apiVersion: v1
kind: Service
metadata:
  name: CHEESE
spec:
  ports:
    - name: http
      port: 80
---
# In a cluster Kubernetes writes these; here it is the demo's own backend.
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata:
  name: CHEESE
  labels:
    kubernetes.io/service-name: CHEESE
addressType: IPv4
ports:
  - name: http
    port: PORT
endpoints:
  - addresses: [127.0.0.1]
    conditions:
      ready: true
"#;

const BY_PATH: &str = r#"# One host, three Services: the path decides.
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: cheese
  annotations:
    portcullis.dev/ssl-redirect: "false"
spec:
  ingressClassName: portcullis
  tls:
    - hosts: [cheese.DOMAIN]
      secretName: demo-tls
  rules:
    - host: cheese.DOMAIN
      http:
        paths:
          - path: /cheddar
            pathType: Prefix
            backend: {service: {name: cheddar, port: {number: 80}}}
          - path: /stilton
            pathType: Prefix
            backend: {service: {name: stilton, port: {number: 80}}}
          - path: /wensleydale
            pathType: Prefix
            backend: {service: {name: wensleydale, port: {number: 80}}}
"#;

const SECURE: &str = r#"# A host with TLS and no annotation: plain HTTP is redirected (308).
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: secure
spec:
  ingressClassName: portcullis
  tls:
    - hosts: [secure.DOMAIN]
      secretName: demo-tls
  rules:
    - host: secure.DOMAIN
      http:
        paths:
          - path: /
            pathType: Prefix
            backend: {service: {name: stilton, port: {number: 80}}}
"#;

const TASTING: &str = r#"# A host with filters, each a sandboxed WebAssembly component: five requests at once, then one in ten
# seconds; who asks for it by a header gets the stilton; and everyone keeps the endpoint they had.
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: tasting
  annotations:
    portcullis.dev/filters: "rate-limit, canary, sticky-session"
    portcullis.dev/filter.rate-limit: |
      {requests: 6, per: 1m, burst: 5, key: client-ip}
    portcullis.dev/filter.canary: |
      backends:
        - {service: stilton, port: http, header: x-taste}
    portcullis.dev/filter.sticky-session: |
      {cookie: taster}
spec:
  ingressClassName: portcullis
  rules:
    - host: tasting.DOMAIN
      http:
        paths:
          - path: /
            pathType: Prefix
            backend: {service: {name: cheddar, port: {number: 80}}}
"#;

const TLS: &str = r#"# A certificate for all hosts of the demo, signed by the authority in ca.pem.
apiVersion: v1
kind: Secret
metadata:
  name: demo-tls
type: kubernetes.io/tls
stringData:
  tls.crt: |
CHAIN
  tls.key: |
KEY
"#;
