//! What stands for the host's resources in a guest.
#![expect(unreachable_pub, reason = "the generated code names them again")]

/// The guest's handle to the request that is lent to it.
#[derive(Debug)]
pub struct RequestHandle;

/// The guest's handle to the response that is lent to it.
#[derive(Debug)]
pub struct ResponseHandle;

/// The guest's handle to buckets.
#[derive(Debug)]
pub struct BucketHandle;
