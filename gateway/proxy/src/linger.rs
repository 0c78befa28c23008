//! The end of a connection whose client still sends: closed at once, it would be reset, and the reset
//! would take back the answer.

use std::{io, time::Duration};

use bytes::BytesMut;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    time::timeout,
};

/// Reads and forgets what a client still sends, for a while.
pub(crate) async fn linger<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S) {
    let read = async {
        stream.shutdown().await?;
        let mut left = LINGER_BYTES;
        let mut buf = BytesMut::with_capacity(READ);
        loop {
            buf.clear();
            let count = stream.read_buf(&mut buf).await?;
            left = left.saturating_sub(count);
            if count == 0 || left == 0 {
                return Ok::<_, io::Error>(());
            }
        }
    };
    // Whatever comes of it, the connection is over.
    drop(timeout(LINGER_TIME, read).await);
}

const LINGER_BYTES: usize = 1024 * 1024;
const LINGER_TIME: Duration = Duration::from_secs(2);
const READ: usize = 4 * 1024;
