//! The pieces of one response's body, all of them for one instance.

use std::{cell::RefCell, fmt, rc::Rc, sync::Arc};

use bytes::Bytes;
use proxy::filter::{Asked, ChunkVerdict, Exchange, Fault, ResponseStream};

use super::{HOT, call};
use crate::{
    aside::Permit, attachment::Attachment, failure::Failure, filter::OnChunk, instance::Instance,
};

/// Looks at one body. What a guest remembers from piece to piece is in its instance: so no other
/// call reaches that one before the end. Dropped midway, this drops the instance too.
pub(super) struct Stream {
    attachment: Arc<Attachment>,
    /// Shared with the call that runs, which may outlive this.
    state: Rc<RefCell<State>>,
}

enum State {
    /// No piece was seen yet.
    New,
    /// The instance waits for the next piece.
    Pinned(Box<Instance>, Permit),
    /// It looks at one.
    Busy,
    /// It failed, and sees no more: what is left would make no sense to another instance.
    Failed(Fault),
}

impl Stream {
    pub(super) fn new(attachment: Arc<Attachment>) -> Self {
        Self {
            attachment,
            state: Rc::new(RefCell::new(State::New)),
        }
    }

    /// The instance for the next piece, if there is one yet, and the right to one.
    fn begin(&self, exchange: &Exchange) -> Result<(Option<Box<Instance>>, Permit), Fault> {
        match self.state.replace(State::Busy) {
            State::Pinned(instance, permit) => Ok((Some(instance), permit)),
            State::Failed(fault) => Err(fault),
            // The proxy asks for one piece after the other: else this one is lost, not the worker.
            State::Busy => Err(Fault::Trap),
            State::New => match self
                .attachment
                .plugin()
                .streams()
                .enter(self.attachment.plugin().most_streams())
            {
                Some(permit) => {
                    let spare = HOT.with_borrow_mut(|hot| hot.take(&self.attachment));
                    Ok((spare, permit))
                }
                None => {
                    let failure = Failure::Memory {
                        what: "it looks at too many bodies at once".to_owned(),
                    };
                    self.attachment.report(&failure, exchange);
                    Err(Fault::Memory)
                }
            },
        }
    }
}

impl ResponseStream for Stream {
    fn chunk(&mut self, exchange: Box<Exchange>, chunk: Bytes, last: bool) -> Asked<ChunkVerdict> {
        if !self.attachment.hooks().response_stream {
            return Asked::Done((exchange, Ok(ChunkVerdict::Pass)));
        }
        let (spare, permit) = match self.begin(&exchange) {
            Ok(begun) => begun,
            Err(fault) => {
                self.state.replace(State::Failed(fault));
                return Asked::Done((exchange, Err(fault)));
            }
        };
        let state = Rc::clone(&self.state);
        let ask = OnChunk { chunk, last };
        let keep = move |attachment: &Attachment, instance, fault| {
            let next = match (instance, fault) {
                (_, Some(fault)) => State::Failed(fault),
                (None, None) => State::New,
                (Some(instance), None) if !last => State::Pinned(instance, permit),
                (instance, None) => {
                    HOT.with_borrow_mut(|hot| hot.keep(attachment, instance));
                    State::New
                }
            };
            state.replace(next);
        };
        call(ask, &self.attachment, exchange, spare, keep)
    }
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Stream").field(&self.attachment).finish()
    }
}
