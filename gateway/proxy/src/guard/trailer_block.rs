//! The begin of a trailer section of HTTP/2 (RFC 7541 section 6).
//!
//! The parser drops pseudo-fields from trailers in silence, and refuses those that follow another field:
//! what is left to see is whether the first one is a pseudo-field (RFC 9113 section 8.1).

/// Where in the payload of a HEADERS frame the next byte belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TrailerBlock {
    /// Before so many bytes of padding length and priority.
    Before(u8),
    /// Before the first byte of a field.
    Field,
    /// In the integer of a change of the table's size.
    TableSize,
    NameLength,
    Name {
        huffman: bool,
    },
    /// Past all that is looked at.
    Passed,
}

impl TrailerBlock {
    pub(super) fn begin(padded: bool, priority: bool) -> Self {
        Self::Before(u8::from(padded) + if priority { 5 } else { 0 })
    }

    /// Passes over `payload`; `Err` where it begins with a pseudo-field.
    pub(super) fn pass(&mut self, payload: &[u8]) -> Result<(), ()> {
        for &byte in payload {
            *self = self.step(byte)?;
        }
        Ok(())
    }

    fn step(self, byte: u8) -> Result<Self, ()> {
        let next = match (self, byte) {
            (Self::Before(left @ 1..), _) => Self::Before(left - 1),
            (Self::Before(0) | Self::Field, 0x80..) => indexed(byte & 0x7f)?,
            (Self::Before(0) | Self::Field, 0x40..) => named(byte & 0x3f)?,
            (Self::Before(0) | Self::Field, 0x3f) | (Self::TableSize, 0x80..) => Self::TableSize,
            (Self::Before(0) | Self::Field, 0x20..) | (Self::TableSize, _) => Self::Field,
            (Self::Before(0) | Self::Field, _) => named(byte & 0x0f)?,
            // No pseudo-field's name is empty, or needs a second byte for its length.
            (Self::NameLength, _) if matches!(byte & 0x7f, 0 | 0x7f) => Self::Passed,
            (Self::NameLength, _) => Self::Name {
                huffman: byte & 0x80 != 0,
            },
            // Huffman's code of a colon is 1011100.
            (Self::Name { huffman: false }, b':') | (Self::Name { huffman: true }, 0xb8 | 0xb9) => {
                return Err(());
            }
            (Self::Name { .. } | Self::Passed, _) => Self::Passed,
        };
        Ok(next)
    }
}

/// A field of the table, whole.
fn indexed(index: u8) -> Result<TrailerBlock, ()> {
    if PSEUDO.contains(&index) {
        return Err(());
    }
    Ok(TrailerBlock::Passed)
}

/// A field with a name of the table, or of its own.
fn named(index: u8) -> Result<TrailerBlock, ()> {
    if index == 0 {
        return Ok(TrailerBlock::NameLength);
    }
    indexed(index)
}

/// The pseudo-fields of the static table (RFC 7541 appendix A).
const PSEUDO: std::ops::RangeInclusive<u8> = 1..=14;

#[cfg(test)]
mod tests {
    use super::*;

    fn passes(payload: &[u8]) -> bool {
        let mut block = TrailerBlock::begin(false, false);
        block.pass(payload).is_ok()
    }

    #[test]
    fn fields_pass() {
        // Indexed, with an indexed name, with a name, with one in Huffman's code, and with a long one.
        for payload in [
            &[0xbe][..],
            &[0x0f, 0x11, 1, b'x'],
            b"\x00\x01x\x011",
            b"\x40\x81\xf3\x00",
            b"\x00\x7f\x80\x01:",
        ] {
            assert!(passes(payload), "{payload:?}");
        }
    }

    #[test]
    fn pseudo_fields_are_found_behind_padding_priority_and_table_sizes() {
        for field in [
            &b"\x84"[..],
            b"\x44\x01/",
            b"\x04\x01/",
            b"\x14\x01/",
            b"\x00\x05:path\x01/",
            b"\x40\x84\xb9\x58\xd3\x3f\x01/",
        ] {
            assert!(!passes(field), "{field:?}");
            assert!(!passes(&[b"\x20\x3f\x80\x01", field].concat()), "{field:?}");
            let mut block = TrailerBlock::begin(true, true);
            let payload = [&[0; 6], field].concat();
            assert!(
                payload.chunks(1).any(|byte| block.pass(byte).is_err()),
                "{field:?}"
            );
        }
    }
}
