//! Too much of everything: the gateway refuses what it cannot hold, serves what it can, and recovers.

mod descriptors;
mod fair;
mod memory;
