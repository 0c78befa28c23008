//! Whether a request that failed may be sent again.

use super::{Outgoing, Unsent};
use crate::body::RequestBody;

/// Where a request that failed may be sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Retry {
    Never,
    /// To the same endpoint on another connection: this one may have been stale.
    Here,
    /// To another endpoint.
    Elsewhere,
}

impl Retry {
    /// After a failure on a connection that may have been `stale`.
    pub(super) fn after(unsent: Unsent, replayable: bool, stale: bool) -> Self {
        match (unsent, stale) {
            // The backend may have acted on it, or has answered something that nobody can read.
            (Unsent::None { parse }, _) if parse || !replayable => Self::Never,
            (_, true) => Self::Here,
            (_, false) => Self::Elsewhere,
        }
    }
}

/// Whether sending it twice is as good as sending it once: the method is idempotent (RFC 9110 section 9.2.2), and
/// there is no body that would have to be kept.
pub(super) fn is_replayable(request: &Outgoing<'_>) -> bool {
    matches!(request.body, RequestBody::Empty) && request.head.method.is_idempotent()
}

#[cfg(test)]
mod tests {
    use http::{Method, Request};
    use proptest::prelude::*;

    use super::*;
    use crate::body::BodyState;

    fn replayable(method: Method, body: RequestBody) -> bool {
        let (mut head, ()) = Request::new(()).into_parts();
        head.method = method;
        is_replayable(&Outgoing {
            head: &mut head,
            body,
            state: BodyState::new(true),
            keep: false,
        })
    }

    #[test]
    fn only_what_may_have_been_acted_on_is_not_sent_again() {
        let (broken, garbled) = (Unsent::None { parse: false }, Unsent::None { parse: true });
        for replayable in [true, false] {
            let after = |unsent, pooled| Retry::after(unsent, replayable, pooled);
            assert_eq!(after(Unsent::Whole, true), Retry::Here);
            assert_eq!(after(Unsent::Whole, false), Retry::Elsewhere);
            assert_eq!(after(garbled, true), Retry::Never);
            assert_eq!(after(garbled, false), Retry::Never);
        }
        assert_eq!(Retry::after(broken, true, true), Retry::Here);
        assert_eq!(Retry::after(broken, true, false), Retry::Elsewhere);
        assert_eq!(Retry::after(broken, false, true), Retry::Never);
        assert_eq!(Retry::after(broken, false, false), Retry::Never);
    }

    proptest! {
        #[test]
        fn what_is_sent_again_is_idempotent_and_has_no_body(
            name in "GET|HEAD|OPTIONS|TRACE|PUT|DELETE|POST|PATCH|CONNECT|get|[A-Z]{1,9}",
        ) {
            let idempotent = ["GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"].contains(&&*name);
            let method: Method = name.parse().unwrap();
            prop_assert_eq!(replayable(method.clone(), RequestBody::Empty), idempotent);
            prop_assert!(!replayable(method, RequestBody::Whole(Some("x".into()))));
        }
    }
}
