//! Whether bytes have the outer shape of a component: what an operator got wrong, before a compiler
//! says it in its own words.

use super::LoadError;

/// Walks over the sections, without looking into them.
pub(super) fn check(bytes: &[u8]) -> Result<(), LoadError> {
    let (magic, rest) = bytes.split_at_checked(4).unwrap_or((bytes, &[]));
    if magic != b"\0asm" {
        return Err(LoadError::NotWasm);
    }
    match rest.split_at_checked(4) {
        Some(([0x0d, 0, 1, 0], _)) => {}
        Some(([1, 0, 0, 0], _)) => return Err(LoadError::CoreModule),
        Some(_) => return Err(LoadError::NotWasm),
        None => return Err(LoadError::Truncated { at: 4 }),
    }
    let mut at = 8;
    while let Some((_kind, rest)) = bytes.get(at..).and_then(<[u8]>::split_first) {
        let next = length(rest).and_then(|(length, taken)| {
            let end = at.checked_add(1 + taken)?.checked_add(length)?;
            (end <= bytes.len()).then_some(end)
        });
        at = next.ok_or(LoadError::Truncated { at })?;
    }
    Ok(())
}

/// A section's length (LEB128), and how many bytes say it.
fn length(bytes: &[u8]) -> Option<(usize, usize)> {
    let mut length: u64 = 0;
    for (index, byte) in bytes.iter().take(5).enumerate() {
        length |= u64::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            return Some((usize::try_from(length).ok()?, index + 1));
        }
    }
    None
}
