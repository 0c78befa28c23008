//! Follows the frames of an HTTP/2 connection (RFC 9113 section 4.1), to see what the parser does not
//! tell: a head that has begun and does not end, and a flood of frames that carry no request.

/// Where in the stream of frames the next byte belongs.
#[derive(Debug)]
pub(super) struct Frames {
    /// Bytes to pass before the next frame header: first the preface, then payloads.
    skip: usize,
    header: [u8; 9],
    have: usize,
    /// Between HEADERS and the end of its last CONTINUATION.
    in_head: bool,
    /// Whether the payload being passed ends a head.
    ends_head: bool,
    idle_frames: u32,
}

impl Frames {
    pub(super) fn new() -> Self {
        Self {
            skip: PREFACE,
            header: [0; 9],
            have: 0,
            in_head: false,
            ends_head: false,
            idle_frames: 0,
        }
    }

    /// Passes over `bytes`, which were read in order.
    pub(super) fn pass(&mut self, mut bytes: &[u8]) {
        loop {
            let skipped = self.skip.min(bytes.len());
            self.skip -= skipped;
            bytes = bytes.get(skipped..).unwrap_or_default();
            if self.skip == 0 && self.ends_head {
                (self.in_head, self.ends_head) = (false, false);
            }
            let Some((&byte, rest)) = bytes.split_first() else {
                return;
            };
            bytes = rest;
            if let Some(slot) = self.header.get_mut(self.have) {
                *slot = byte;
            }
            self.have += 1;
            if self.have == self.header.len() {
                self.have = 0;
                self.begin();
            }
        }
    }

    fn begin(&mut self) {
        let [a, b, c, kind, flags, ..] = self.header;
        self.skip = usize::from(a) << 16 | usize::from(b) << 8 | usize::from(c);
        match kind {
            HEADERS | CONTINUATION => {
                self.in_head = true;
                self.ends_head = flags & END_HEADERS != 0;
            }
            PRIORITY | SETTINGS | PING => self.idle_frames += 1,
            _ => {}
        }
    }

    /// Whether a head, or a frame's own header, has begun and not ended.
    pub(super) fn in_head(&self) -> bool {
        self.in_head || self.have > 0
    }

    /// Frames since the last call that no client needs many of.
    pub(super) fn take_idle_frames(&mut self) -> u32 {
        std::mem::take(&mut self.idle_frames)
    }
}

const PREFACE: usize = 24;
const HEADERS: u8 = 1;
const PRIORITY: u8 = 2;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const CONTINUATION: u8 = 9;
const END_HEADERS: u8 = 4;

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u8, flags: u8, len: usize) -> Vec<u8> {
        let mut frame = vec![
            0,
            u8::try_from(len >> 8).unwrap(),
            u8::try_from(len & 255).unwrap(),
            kind,
            flags,
            0,
            0,
            0,
            1,
        ];
        frame.resize(9 + len, 0);
        frame
    }

    #[test]
    fn a_head_is_open_until_its_last_continuation_has_passed() {
        let bytes = [
            vec![0; PREFACE],
            frame(SETTINGS, 0, 6),
            frame(HEADERS, 0, 20),
        ]
        .concat();
        for step in [1, 7, bytes.len()] {
            let mut frames = Frames::new();
            bytes.chunks(step).for_each(|part| frames.pass(part));
            assert!(frames.in_head(), "{step}");
            frames.pass(&frame(CONTINUATION, 0, 300));
            assert!(frames.in_head());
            let last = frame(CONTINUATION, END_HEADERS, 5);
            frames.pass(&last[..12]);
            assert!(frames.in_head());
            frames.pass(&last[12..]);
            assert!(!frames.in_head());
            assert_eq!(frames.take_idle_frames(), 1);
        }
    }

    #[test]
    fn data_is_no_head_and_an_empty_head_ends_at_once() {
        let mut frames = Frames::new();
        frames.pass(&[0; PREFACE]);
        frames.pass(&frame(HEADERS, END_HEADERS, 0));
        assert!(!frames.in_head());
        frames.pass(&frame(0, 0, 100)[..50]);
        assert!(!frames.in_head());
    }
}
