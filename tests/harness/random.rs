//! Random choices that are the same in every run, and bytes changed by them.

/// A generator of xorshift's kind.
#[derive(Clone, Debug)]
pub struct Random(u64);

/// Bytes that parsers trip over.
const TRICKY: &[u8] = b"\r\n\0\t :;,/?#%\\\"0159afAF+-xX_@[]\x0b\x7f\x80\xff";

impl Random {
    /// The numbers of this seed, which is not 0.
    pub fn seeded(seed: u64) -> Self {
        Self(seed)
    }

    /// A number below the limit; 0 where that is 0.
    pub fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        let limit = u64::try_from(limit.max(1)).expect("a limit that fits");
        usize::try_from(self.0 % limit).expect("less than the limit")
    }

    /// One of these.
    pub fn pick<'a, T: ?Sized>(&mut self, all: &[&'a T]) -> &'a T {
        all[self.below(all.len())]
    }

    /// Changes a byte or a few, or puts one of the pieces in.
    pub fn mutate(&mut self, bytes: &mut Vec<u8>, pieces: &[&[u8]]) {
        let at = self.below(bytes.len() + 1);
        let tricky = TRICKY[self.below(TRICKY.len())];
        match (self.below(5), bytes.get_mut(at)) {
            (0, Some(byte)) => *byte = tricky,
            (1, Some(_)) => drop(bytes.remove(at)),
            (2, _) => drop(bytes.splice(at..at, self.pick(pieces).iter().copied())),
            (3, Some(_)) => {
                let end = (at + self.below(20)).min(bytes.len());
                let again = bytes[at..end].to_vec();
                drop(bytes.splice(at..at, again));
            }
            _ => bytes.insert(at, tricky),
        }
    }
}
