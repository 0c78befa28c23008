//! Fuel: a keyword that stands in every schema within a schema, and ends the thread that checks a
//! configuration for too long or too deep.

use std::{cell::Cell, panic, ptr, time::Duration};

use jsonschema::{Keyword, ValidationError, paths::Location};
use serde_json::{Map, Value};

use crate::limits::cpu_time;

/// The name of the keyword.
pub(super) const KEYWORD: &str = "portcullis:fuel";

thread_local! {
    static TANK: Cell<Option<Tank>> = const { Cell::new(None) };
}

#[derive(Clone, Copy)]
struct Tank {
    /// Where this thread's stack began, and how far it may go.
    base: usize,
    depth: usize,
    until: Duration,
    /// How often the clock was not read.
    since: u8,
}

/// Gives this thread some time, and so much of its stack.
pub(super) fn fill(depth: usize) {
    TANK.set(Some(Tank {
        base: stack(),
        depth,
        until: cpu_time() + TIME,
        since: 0,
    }));
}

pub(super) fn keyword<'a>(
    _schema: &'a Map<String, Value>,
    _value: &'a Value,
    _path: Location,
) -> Result<Box<dyn for<'i> Keyword<'i>>, ValidationError<'a>> {
    Ok(Box::new(Fuel))
}

struct Fuel;

impl<'i> Keyword<'i> for Fuel {
    fn validate(&self, _instance: &'i Value) -> Result<(), ValidationError<'i>> {
        burn();
        Ok(())
    }

    fn is_valid(&self, _instance: &'i Value) -> bool {
        burn();
        true
    }
}

fn burn() {
    let Some(mut tank) = TANK.get() else {
        return;
    };
    tank.since += 1;
    let late = tank.since == EVERY && {
        tank.since = 0;
        cpu_time() > tank.until
    };
    TANK.set(Some(tank));
    if late || tank.base.saturating_sub(stack()) > tank.depth {
        // The crate has no other way out. This says nothing on standard error, unlike a panic.
        panic::resume_unwind(Box::new("no fuel left"));
    }
}

/// About where the stack is.
#[inline(never)]
fn stack() -> usize {
    let here = 0_u8;
    ptr::from_ref(&here).addr()
}

/// How long one configuration is checked.
const TIME: Duration = Duration::from_millis(500);
/// The clock is read only so often.
const EVERY: u8 = 64;
