//! Follows the frames of an HTTP/2 connection (RFC 9113 section 4.1), to see what the parser does not
//! tell: a head that has begun and does not end, a flood of frames that carry no request, and errors
//! that it passes over or calls by another name.

use super::trailer_block::TrailerBlock;

/// Where in the stream of frames the next byte belongs.
#[derive(Debug)]
pub(super) struct Frames {
    /// Bytes to pass before the next frame header: first the preface, then payloads.
    skip: usize,
    header: [u8; 9],
    have: usize,
    kind: u8,
    /// No frame has begun yet.
    first: bool,
    /// Between HEADERS and the end of its last CONTINUATION.
    in_head: bool,
    /// Whether the payload being passed ends a head.
    ends_head: bool,
    idle_frames: u32,
    /// The stream begun last, and whether its client may send no more on it.
    stream: u32,
    ended: bool,
    /// The setting being passed.
    setting: [u8; 6],
    setting_have: usize,
    trailers: TrailerBlock,
}

/// Why a connection must end, and how many of the bytes came before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) code: u32,
    pub(super) good: usize,
}

impl Frames {
    pub(super) fn new() -> Self {
        Self {
            skip: PREFACE,
            header: [0; 9],
            have: 0,
            kind: 0,
            first: true,
            in_head: false,
            ends_head: false,
            idle_frames: 0,
            stream: 0,
            ended: false,
            setting: [0; 6],
            setting_have: 0,
            trailers: TrailerBlock::Passed,
        }
    }

    /// Passes over `bytes`, which were read in order.
    pub(super) fn pass(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        let mut at = 0;
        loop {
            let rest = bytes.get(at..).unwrap_or_default();
            let payload = rest.get(..self.skip).unwrap_or(rest);
            let fault = |code| Fault { code, good: at };
            if self.kind == SETTINGS {
                self.settings(payload).map_err(fault)?;
            } else if self.trailers != TrailerBlock::Passed {
                self.trailers
                    .pass(payload)
                    .map_err(|()| fault(PROTOCOL_ERROR))?;
            }
            self.skip -= payload.len();
            at += payload.len();
            if self.skip == 0 && self.ends_head {
                (self.in_head, self.ends_head) = (false, false);
                self.trailers = TrailerBlock::Passed;
            }
            let rest = bytes.get(at..).unwrap_or_default();
            if rest.is_empty() {
                return Ok(());
            }
            let count = rest.len().min(self.header.len() - self.have);
            let room = self.header.get_mut(self.have..self.have + count);
            if let (Some(room), Some(part)) = (room, rest.get(..count)) {
                room.copy_from_slice(part);
            }
            self.have += count;
            if self.have == self.header.len() {
                self.have = 0;
                self.begin().map_err(|code| Fault { code, good: at })?;
            }
            at += count;
        }
    }

    fn begin(&mut self) -> Result<(), u32> {
        let [a, b, c, kind, flags, stream @ ..] = self.header;
        let size = usize::from(a) << 16 | usize::from(b) << 8 | usize::from(c);
        let stream = u32::from_be_bytes(stream) & MAX_STREAM;
        (self.skip, self.kind) = (size, kind);
        if std::mem::take(&mut self.first) && (kind, flags & ACK, stream) != (SETTINGS, 0, 0) {
            return Err(PROTOCOL_ERROR);
        }
        match kind {
            CONTINUATION => self.ends_head = flags & END_HEADERS != 0,
            // The parser refuses what stands within a head.
            _ if self.in_head => {}
            _ if !fits(kind, flags, size) => return Err(FRAME_SIZE_ERROR),
            DATA => self.part(stream, flags)?,
            HEADERS => {
                if stream > self.stream {
                    (self.stream, self.ended) = (stream, false);
                } else {
                    self.trailers =
                        TrailerBlock::begin(flags & PADDED != 0, flags & PRIORITY_FLAG != 0);
                }
                self.part(stream, flags)?;
                self.in_head = true;
                self.ends_head = flags & END_HEADERS != 0;
            }
            RST_STREAM if stream == self.stream => self.ended = true,
            PRIORITY | SETTINGS | PING => self.idle_frames += 1,
            _ => {}
        }
        Ok(())
    }

    /// Part of a message comes on a stream. Of the streams, the last one is enough to tell the common
    /// mistake by its name; the parser refuses it on all.
    fn part(&mut self, stream: u32, flags: u8) -> Result<(), u32> {
        if stream != self.stream {
            return Ok(());
        }
        if self.ended {
            return Err(STREAM_CLOSED);
        }
        self.ended = flags & END_STREAM != 0;
        Ok(())
    }

    fn settings(&mut self, payload: &[u8]) -> Result<(), u32> {
        for &byte in payload {
            if let Some(slot) = self.setting.get_mut(self.setting_have) {
                *slot = byte;
            }
            self.setting_have += 1;
            if self.setting_have == self.setting.len() {
                self.setting_have = 0;
                let [a, b, value @ ..] = self.setting;
                if (a, b) == (0, INITIAL_WINDOW_SIZE) && u32::from_be_bytes(value) > MAX_WINDOW {
                    return Err(FLOW_CONTROL_ERROR);
                }
            }
        }
        Ok(())
    }

    /// Whether a head, or a frame's own header, has begun and not ended.
    pub(super) fn in_head(&self) -> bool {
        self.in_head || self.have > 0
    }

    /// Frames since the last call that no client needs many of.
    pub(super) fn take_idle_frames(&mut self) -> u32 {
        std::mem::take(&mut self.idle_frames)
    }

    /// The frame that tells the client why the connection ends.
    pub(super) fn goaway(&self, code: u32) -> [u8; 17] {
        let mut frame = [0; 17];
        let parts = [
            &[0, 0, 8, GOAWAY, 0, 0, 0, 0, 0],
            &self.stream.to_be_bytes()[..],
            &code.to_be_bytes(),
        ];
        frame.copy_from_slice(&parts.concat());
        frame
    }
}

/// Whether a frame of this type may be of this size (RFC 9113 section 6).
fn fits(kind: u8, flags: u8, size: usize) -> bool {
    let padding = usize::from(flags & PADDED != 0);
    match kind {
        HEADERS if flags & PRIORITY_FLAG != 0 => size >= padding + 5,
        DATA | HEADERS => size >= padding,
        PRIORITY => size == 5,
        RST_STREAM | WINDOW_UPDATE => size == 4,
        SETTINGS => size.is_multiple_of(6) && (flags & ACK == 0 || size == 0),
        PING => size == 8,
        GOAWAY => size >= 8,
        _ => true,
    }
}

const PREFACE: usize = 24;
const MAX_STREAM: u32 = u32::MAX >> 1;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const PRIORITY: u8 = 2;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;

const ACK: u8 = 1;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
const PADDED: u8 = 8;
const PRIORITY_FLAG: u8 = 0x20;

const INITIAL_WINDOW_SIZE: u8 = 4;
const MAX_WINDOW: u32 = u32::MAX >> 1;

const PROTOCOL_ERROR: u32 = 1;
const FLOW_CONTROL_ERROR: u32 = 3;
const STREAM_CLOSED: u32 = 5;
const FRAME_SIZE_ERROR: u32 = 6;
pub(super) const ENHANCE_YOUR_CALM: u32 = 11;

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
        let bytes = [frame(SETTINGS, 0, 6), frame(HEADERS, 0, 20)].concat();
        for step in [1, 7, bytes.len()] {
            let mut frames = begun();
            assert_eq!(frames.take_idle_frames(), 1);
            bytes
                .chunks(step)
                .for_each(|part| frames.pass(part).unwrap());
            assert!(frames.in_head(), "{step}");
            frames.pass(&frame(CONTINUATION, 0, 300)).unwrap();
            assert!(frames.in_head());
            let last = frame(CONTINUATION, END_HEADERS, 5);
            frames.pass(&last[..12]).unwrap();
            assert!(frames.in_head());
            frames.pass(&last[12..]).unwrap();
            assert!(!frames.in_head());
            assert_eq!(frames.take_idle_frames(), 1);
        }
    }

    #[test]
    fn data_is_no_head_and_an_empty_head_ends_at_once() {
        let mut frames = begun();
        frames.pass(&frame(HEADERS, END_HEADERS, 0)).unwrap();
        assert!(!frames.in_head());
        frames.pass(&frame(DATA, 0, 100)[..50]).unwrap();
        assert!(!frames.in_head());
    }

    fn begun() -> Frames {
        let mut frames = Frames::new();
        let mut settings = frame(SETTINGS, 0, 0);
        settings[8] = 0;
        frames.pass(&[vec![0; PREFACE], settings].concat()).unwrap();
        frames
    }

    #[test]
    fn faults_have_their_codes_and_what_came_before_is_good() {
        let open = frame(HEADERS, END_HEADERS, 1);
        let ended = frame(HEADERS, END_HEADERS | END_STREAM, 1);
        let mut window = frame(SETTINGS, 0, 6);
        window[9..].copy_from_slice(&[0, INITIAL_WINDOW_SIZE, 0x80, 0, 0, 0]);
        let cases = [
            (vec![], frame(PING, 0, 7), FRAME_SIZE_ERROR),
            (vec![], frame(SETTINGS, ACK, 6), FRAME_SIZE_ERROR),
            (
                vec![],
                frame(HEADERS, PADDED | PRIORITY_FLAG, 5),
                FRAME_SIZE_ERROR,
            ),
            (open.clone(), frame(RST_STREAM, 0, 5), FRAME_SIZE_ERROR),
            (ended.clone(), frame(DATA, 0, 1), STREAM_CLOSED),
            (ended, frame(HEADERS, END_HEADERS, 1), STREAM_CLOSED),
            (
                [open, frame(RST_STREAM, 0, 4)].concat(),
                frame(DATA, 0, 0),
                STREAM_CLOSED,
            ),
        ];
        for (good, bad, code) in cases {
            let bytes = [&good[..], &bad].concat();
            let fault = Fault {
                code,
                good: good.len(),
            };
            assert_eq!(begun().pass(&bytes), Err(fault));
            let mut frames = begun();
            let codes = bytes.chunks(1).find_map(|byte| frames.pass(byte).err());
            assert_eq!(codes.map(|fault| fault.code), Some(code));
        }
        let fault = begun().pass(&window).unwrap_err();
        assert_eq!(fault.code, FLOW_CONTROL_ERROR);
        let mut first = Frames::new();
        let fault = first.pass(&[vec![0; PREFACE], frame(PING, 0, 8)].concat());
        assert_eq!(
            fault,
            Err(Fault {
                code: PROTOCOL_ERROR,
                good: PREFACE
            })
        );
    }
}
