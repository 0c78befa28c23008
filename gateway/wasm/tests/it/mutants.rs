//! Bytes that were once a component: loading them never brings anything down.

use std::sync::LazyLock;

use proptest::prelude::*;

use super::{guests::*, *};

static WHOLE: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let guest = Guest {
        on_response: Some(NEXT_RESPONSE.to_owned()),
        on_request_body: Some(NEXT.to_owned()),
        ..reader()
    };
    guest.build()
});

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_changed_component_is_loaded_or_refused(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        end in prop::option::weighted(0.2, any::<prop::sample::Index>()),
    ) {
        let mut bytes = WHOLE.clone();
        for (place, byte) in changes {
            let place = place.index(bytes.len());
            bytes[place] = byte;
        }
        if let Some(end) = end {
            bytes.truncate(end.index(bytes.len()));
        }
        if let Ok(component) = Component::load(engine(), &bytes) {
            let attachment = Plugin::new(engine(), spec(component))
                .ok()
                .and_then(|plugin| attach_with(&plugin, "{}").ok());
            if let Some(attachment) = attachment {
                let (_, verdict) = Instances::new().on_request(&attachment, exchange());
                drop(verdict);
            }
        }
    }
}
