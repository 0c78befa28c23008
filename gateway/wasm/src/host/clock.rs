//! Time and random numbers.

use std::{
    sync::LazyLock,
    time::{Instant, SystemTime},
};

use wasmtime::Result;

use super::{Guest, wit};

impl wit::clock::Host for Guest {
    fn monotonic(&mut self) -> Result<u64> {
        static START: LazyLock<Instant> = LazyLock::new(Instant::now);
        self.count()?;
        Ok(u64::try_from(START.elapsed().as_nanos()).unwrap_or(u64::MAX))
    }

    fn wall(&mut self) -> Result<u64> {
        self.count()?;
        let since = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
        Ok(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
    }
}

impl wit::random::Host for Guest {
    fn get_u64(&mut self) -> Result<u64> {
        self.acting()?;
        getrandom::u64().map_err(|_| self.stop("there are no random numbers"))
    }

    fn get_bytes(&mut self, len: u32) -> Result<Vec<u8>> {
        self.acting()?;
        if len > MOST {
            return Err(self.stop("`get-bytes` gives at most 64 KiB"));
        }
        let mut bytes = vec![0; usize::try_from(len).unwrap_or_default()];
        match getrandom::fill(&mut bytes) {
            Ok(()) => Ok(bytes),
            Err(_) => Err(self.stop("there are no random numbers")),
        }
    }
}

const MOST: u32 = 64 << 10;
