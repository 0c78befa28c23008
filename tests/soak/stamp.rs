//! A plugin that says its version to the backend.

use crate::guests::{Guest, NEXT};

/// The component of this version, of one digit.
pub(crate) fn component(version: u8) -> Vec<u8> {
    let own = format!(
        r#"(import "portcullis:filter/types@0.1.0" "[method]request.set-header" (func $set (param i32 i32 i32 i32 i32 i32)))
        (data (i32.const 1024) "x-version{version}")"#
    );
    let set = "(call $set (local.get $req) (i32.const 1024) (i32.const 9) (i32.const 1033) (i32.const 1) (i32.const 600))";
    Guest {
        own,
        ..Guest::on_request(&format!("{set} {NEXT}"))
    }
    .build()
}
