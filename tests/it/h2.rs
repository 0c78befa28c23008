//! HTTP/2 towards clients: frames that RFC 9113 forbids, and requests that must not survive being
//! written as HTTP/1.1.

mod bytes;
mod downgrade;
mod floods;
mod forbidden;
mod frames;
mod mutations;
mod requests;
