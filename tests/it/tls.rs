//! TLS: certificates by name, protocols, and what follows from a host having TLS.

mod certificates;
mod handshakes;
mod redirects;
