//! What the allocator does with memory that was freed.

use tikv_jemalloc_ctl::{Access, AsName};

/// Keeps what was freed for a while, in case it is needed again; or gives it back to the system at
/// once, which costs more but shows.
pub(super) fn keep_free_memory(keep: bool) {
    let read = |name: &[u8]| -> Option<isize> { name.name().read().ok() };
    let (Some(dirty), Some(muzzy)) = (read(DIRTY), read(MUZZY)) else {
        return;
    };
    let arenas: u32 = b"arenas.narenas\0"[..].name().read().unwrap_or(0);
    for arena in 0..arenas {
        for (what, time) in [("dirty", dirty), ("muzzy", muzzy)] {
            let name = format!("arena.{arena}.{what}_decay_ms\0");
            let time = if keep { time } else { 0 };
            // An arena that was never used has nothing to give back.
            let _unused = name.as_bytes().name().write(time);
        }
    }
}

/// For arenas to come, and so what each had in the beginning.
const DIRTY: &[u8] = b"arenas.dirty_decay_ms\0";
const MUZZY: &[u8] = b"arenas.muzzy_decay_ms\0";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_allocator_is_set_up_as_it_was_built_to_be() {
        let number = |name: &[u8]| -> usize {
            let small: Option<u32> = name.name().read().ok();
            small.map_or_else(
                || name.name().read().unwrap(),
                |small| small.try_into().unwrap(),
            )
        };
        assert_eq!(number(b"opt.tcache_nslots_small_min\0"), 128);
        assert_eq!(number(b"opt.tcache_gc_incr_bytes\0"), 256 << 10);
        let decay: isize = DIRTY.name().read().unwrap();
        assert_eq!(decay, 1000, "milliseconds");
    }
}
