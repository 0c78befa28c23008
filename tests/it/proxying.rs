//! What a backend is sent, and what a client gets.

mod aborts;
mod bodies;
mod fields;
mod forwarded;
mod grpc;
mod messages;
mod proxy_protocol;
mod upgrades;
