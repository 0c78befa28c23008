//! The response that is lent to a guest.

use proxy::filter::{Change, Message};
use wasmtime::{Result, component::Resource};

use super::{Guest, ResponseHandle, refusal, request, wit};
use wit::types::{Header, HeaderError};

type Handle = Resource<ResponseHandle>;
type Set = Result<Result<(), HeaderError>>;

impl wit::types::HostResponse for Guest {
    fn status(&mut self, handle: Handle) -> Result<u16> {
        let response = self.response(&handle)?.response.as_ref();
        Ok(response.map_or(0, |response| response.status.as_u16()))
    }

    fn set_status(&mut self, handle: Handle, status: u16) -> Set {
        let Some(exchange) = self.response_mut(&handle)? else {
            return Ok(Err(HeaderError::Forbidden));
        };
        Ok(exchange.set_status(status).map_err(refusal))
    }

    fn header(&mut self, handle: Handle, name: String) -> Result<Option<Vec<u8>>> {
        let fields = self.response(&handle)?.fields(Message::Response);
        let value = fields.and_then(|fields| fields.get(name));
        Ok(value.map(|value| value.as_bytes().to_vec()))
    }

    fn header_all(&mut self, handle: Handle, name: String) -> Result<Vec<Vec<u8>>> {
        let fields = self.response(&handle)?.fields(Message::Response);
        let values = fields.into_iter().flat_map(|fields| fields.get_all(&name));
        Ok(values.map(|value| value.as_bytes().to_vec()).collect())
    }

    fn headers(&mut self, handle: Handle) -> Result<Vec<Header>> {
        let fields = self.response(&handle)?.fields(Message::Response);
        Ok(fields.map(request::list).unwrap_or_default())
    }

    fn set_header(&mut self, handle: Handle, name: String, value: Vec<u8>) -> Set {
        change(self, &handle, Change::Set, &name, &value)
    }

    fn add_header(&mut self, handle: Handle, name: String, value: Vec<u8>) -> Set {
        change(self, &handle, Change::Add, &name, &value)
    }

    fn remove_header(&mut self, handle: Handle, name: String) -> Set {
        change(self, &handle, Change::Remove, &name, &[])
    }

    fn backend(&mut self, handle: Handle) -> Result<Option<String>> {
        let by = self.response(&handle)?.answered_by.as_ref();
        Ok(by.map(|(backend, _)| backend.as_ref().to_owned()))
    }

    fn endpoint(&mut self, handle: Handle) -> Result<Option<String>> {
        let by = self.response(&handle)?.answered_by.as_ref();
        Ok(by.map(|(_, endpoint)| endpoint.as_ref().to_owned()))
    }

    fn drop(&mut self, _handle: Handle) -> Result<()> {
        // Responses are only ever lent.
        Ok(())
    }
}

fn change(guest: &mut Guest, handle: &Handle, change: Change, name: &str, value: &[u8]) -> Set {
    let Some(exchange) = guest.response_mut(handle)? else {
        return Ok(Err(HeaderError::Forbidden));
    };
    let changed = exchange.change(Message::Response, change, name, value);
    Ok(changed.map_err(refusal))
}
