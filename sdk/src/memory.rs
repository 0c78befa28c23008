//! A gateway in memory, for tests: the same rules as the real one, with a clock that stands still until
//! it is moved, and random numbers that are the same in every run.
//!
//! That the rules are the same is proved by `cases/`: one table that a filter runs on both gateways.

mod bucket;
mod exchange;
mod fields;
mod gateway;
mod interest;
mod metrics;
mod values;

pub(crate) use bucket::Bucket;
pub(crate) use exchange::{Exchange, Facts, Pin, Steering};
pub(crate) use fields::{Change, Message, local};
pub(crate) use gateway::{Gateway, Phase, current, stop};
pub use metrics::{Counted, Sample};
