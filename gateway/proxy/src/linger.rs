//! The end of a connection whose client still sends: closed at once, it would be reset, and the reset
//! would take back the answer.

use std::{io, time::Duration};

use bytes::BytesMut;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    time::timeout,
};

/// Reads and forgets what a client still sends: until it sends nothing for a moment, or `most` has passed.
pub(crate) async fn linger<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S, most: Duration) {
    let read = async {
        stream.shutdown().await?;
        let mut left = LINGER_BYTES;
        let mut buf = BytesMut::with_capacity(READ);
        loop {
            buf.clear();
            let read = timeout(MOMENT, stream.read_buf(&mut buf)).await;
            let count = read.unwrap_or(Ok(0))?;
            left = left.saturating_sub(count);
            if count == 0 || left == 0 {
                return Ok::<_, io::Error>(());
            }
        }
    };
    // Whatever comes of it, the connection is over.
    drop(timeout(most, read).await);
}

const LINGER_BYTES: usize = 1024 * 1024;
const MOMENT: Duration = Duration::from_secs(2);
/// For a client whose request is refused.
pub(crate) const REFUSED: Duration = MOMENT;
/// For one that reads the end of what it was sent, and tells so.
pub(crate) const READING: Duration = Duration::from_secs(15);
const READ: usize = 4 * 1024;
