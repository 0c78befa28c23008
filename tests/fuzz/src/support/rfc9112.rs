//! HTTP/1.1 as RFC 9112 has it and not a byte more: the reader that the gateway is held against. It is written for
//! that, shares no code with the gateway, and takes nothing that two readers could take in two ways.

/// A message, request or response.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Message {
    /// The words of the first line: method, target, version; or version, status, reason.
    pub first: [String; 3],
    /// Names in lower case, with their values.
    pub fields: Vec<(String, Vec<u8>)>,
    /// What came of the body.
    pub body: Vec<u8>,
    /// Whether it came to its end.
    pub whole: bool,
    /// Where it ended in what was read.
    pub end: usize,
}

/// How reading ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// After a message.
    Clean,
    /// In the middle of a message: of which one, once its head is there.
    Partial(Option<Box<Message>>),
    /// At something that is no HTTP/1.1.
    Malformed(&'static str),
}

/// How a body is delimited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Framing {
    None,
    Length(usize),
    Chunked,
    UntilClose,
}

/// Why a message cannot be read.
enum Stop {
    More,
    Malformed(&'static str),
}

/// Reads all requests.
pub fn requests(bytes: &[u8]) -> (Vec<Message>, End) {
    all(bytes, |reader| reader.request())
}

/// Reads all responses, to requests of these methods and then to GETs. A 101 is the last one: what follows is not
/// HTTP. `closed` says whether `bytes` are all that ever came.
pub fn responses(bytes: &[u8], methods: &[&str], closed: bool) -> (Vec<Message>, End) {
    let mut answered = 0;
    let mut tunnel = false;
    let (mut found, mut end) = all(bytes, |reader| {
        if tunnel {
            return Err(Stop::Malformed("tunnel"));
        }
        let method = methods.get(answered).copied().unwrap_or("GET");
        let message = reader.response(method, closed)?;
        tunnel = message.status() == 101;
        answered += usize::from(message.status() >= 200);
        Ok(message)
    });
    if tunnel {
        end = End::Clean;
    }
    found.shrink_to_fit();
    (found, end)
}

fn all(
    bytes: &[u8],
    mut next: impl FnMut(&mut Reader<'_>) -> Result<Message, Stop>,
) -> (Vec<Message>, End) {
    let mut found = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let mut reader = Reader {
            bytes,
            at,
            begun: None,
        };
        match next(&mut reader) {
            Ok(mut message) => {
                at = reader.at;
                message.end = at;
                message.whole = true;
                found.push(message);
            }
            Err(Stop::More) => return (found, End::Partial(reader.begun.map(Box::new))),
            Err(Stop::Malformed(why)) => return (found, End::Malformed(why)),
        }
    }
    (found, End::Clean)
}

impl Message {
    /// The status of a response.
    pub fn status(&self) -> u16 {
        self.first[1].parse().unwrap_or(0)
    }

    /// The values of a field.
    pub fn values<'m>(&'m self, name: &'m str) -> impl Iterator<Item = &'m [u8]> {
        let fields = self.fields.iter().filter(move |(known, _)| known == name);
        fields.map(|(_, value)| value.as_slice())
    }

    /// Whether a field of lists has this item, in any case.
    pub fn lists(&self, name: &str, item: &str) -> bool {
        let items = self
            .values(name)
            .flat_map(|value| value.split(|b| *b == b','));
        items
            .into_iter()
            .any(|own| own.trim_ascii().eq_ignore_ascii_case(item.as_bytes()))
    }

    /// How the body is delimited, as RFC 9112 section 6.3 says; for both kinds, what they share.
    fn framing(&self) -> Result<Option<Framing>, Stop> {
        let codings: Vec<_> = self.values("transfer-encoding").collect();
        let lengths: Vec<_> = self.values("content-length").collect();
        match (codings.as_slice(), lengths.as_slice()) {
            ([], []) => Ok(None),
            ([], [length]) => number(length, 10, 18).map(|length| Some(Framing::Length(length))),
            ([coding], []) if coding.eq_ignore_ascii_case(b"chunked") => Ok(Some(Framing::Chunked)),
            ([], _) => Err(Stop::Malformed("several Content-Lengths")),
            (_, []) => Err(Stop::Malformed("a Transfer-Encoding that is not chunked")),
            _ => Err(Stop::Malformed("Content-Length beside Transfer-Encoding")),
        }
    }
}

/// Reads one message.
struct Reader<'b> {
    bytes: &'b [u8],
    at: usize,
    /// The message, once its head is there.
    begun: Option<Message>,
}

impl<'b> Reader<'b> {
    fn request(&mut self) -> Result<Message, Stop> {
        // RFC 9112 section 2.2 has servers pass over empty lines before a request.
        while self.bytes[self.at..].starts_with(b"\r\n") {
            self.at += 2;
            if self.at == self.bytes.len() {
                return Err(Stop::More);
            }
        }
        let message = self.head()?;
        let [method, target, version] = &message.first;
        let token = !method.is_empty() && method.bytes().all(is_token);
        if !token || target.is_empty() || !target.bytes().all(|b| b > b' ' && b != 0x7f) {
            return Err(Stop::Malformed("no request line"));
        }
        if version != "HTTP/1.1" && version != "HTTP/1.0" {
            return Err(Stop::Malformed("no version of HTTP/1"));
        }
        let framing = message.framing()?.unwrap_or(Framing::None);
        if framing == Framing::Chunked && version == "HTTP/1.0" {
            return Err(Stop::Malformed("chunked HTTP/1.0"));
        }
        self.body(message, framing)
    }

    fn response(&mut self, method: &str, closed: bool) -> Result<Message, Stop> {
        let message = self.head()?;
        let [version, status, _] = &message.first;
        let digits = status.len() == 3 && status.bytes().all(|b| b.is_ascii_digit());
        if !digits || !(version == "HTTP/1.1" || version == "HTTP/1.0") {
            return Err(Stop::Malformed("no status line"));
        }
        // Whatever an interim response says of its body, it has none; nobody passes it on.
        let interim = matches!(message.status(), 100..=199);
        let said = if interim { None } else { message.framing()? };
        let bodiless = method == "HEAD" || matches!(message.status(), 100..=199 | 204 | 304);
        let framing = if bodiless {
            Framing::None
        } else {
            said.unwrap_or(Framing::UntilClose)
        };
        if framing == Framing::UntilClose && !closed {
            return Err(Stop::More);
        }
        self.body(message, framing)
    }

    fn head(&mut self) -> Result<Message, Stop> {
        let line = self.line()?;
        let text = String::from_utf8_lossy(line).into_owned();
        let mut words = text.splitn(3, ' ').map(str::to_owned);
        let first = [words.next(), words.next(), words.next()].map(Option::unwrap_or_default);
        let mut message = Message {
            first,
            ..Message::default()
        };
        while let Some(field) = self.field()? {
            message.fields.push(field);
        }
        Ok(message)
    }

    fn body(&mut self, mut message: Message, framing: Framing) -> Result<Message, Stop> {
        self.begun = Some(message.clone());
        match framing {
            Framing::None => {}
            Framing::Length(length) => message.body = self.take(length)?.to_vec(),
            Framing::UntilClose => message.body = self.take(self.bytes.len() - self.at)?.to_vec(),
            Framing::Chunked => {
                while let Some(chunk) = self.chunk()? {
                    message.body.extend_from_slice(chunk);
                }
            }
        }
        Ok(message)
    }

    /// A chunk; `None` after the last one and its trailers.
    fn chunk(&mut self) -> Result<Option<&'b [u8]>, Stop> {
        let line = self.line()?;
        let digits = line.iter().take_while(|b| b.is_ascii_hexdigit()).count();
        let (size, extension) = line.split_at(digits);
        let size = number(size, 16, 15)?;
        let extension = extension.trim_ascii_start();
        if line.len() > digits
            && !(extension.starts_with(b";") && extension.iter().all(|b| is_text(*b)))
        {
            return Err(Stop::Malformed("something behind a chunk's size"));
        }
        if size == 0 {
            while self.field()?.is_some() {}
            return Ok(None);
        }
        let data = self.take(size)?;
        match self.take(2)? {
            b"\r\n" => Ok(Some(data)),
            _ => Err(Stop::Malformed("a chunk longer than its size")),
        }
    }

    /// A field; `None` for the empty line.
    fn field(&mut self) -> Result<Option<(String, Vec<u8>)>, Stop> {
        let line = self.line()?;
        if line.is_empty() {
            return Ok(None);
        }
        let colon = line
            .iter()
            .position(|b| *b == b':')
            .ok_or(Stop::Malformed("no colon"))?;
        let (name, value) = (&line[..colon], &line[colon + 1..]);
        if name.is_empty() || !name.iter().all(|b| is_token(*b)) {
            return Err(Stop::Malformed("a name that is no token"));
        }
        if !value.iter().all(|b| is_text(*b)) {
            return Err(Stop::Malformed("a value with a control character"));
        }
        let name = String::from_utf8_lossy(name).to_ascii_lowercase();
        Ok(Some((name, value.trim_ascii().to_vec())))
    }

    /// A line without its end, which is CR LF; neither stands alone.
    fn line(&mut self) -> Result<&'b [u8], Stop> {
        let rest = &self.bytes[self.at..];
        let Some(end) = rest.iter().position(|b| matches!(b, b'\r' | b'\n')) else {
            return Err(Stop::More);
        };
        match &rest[end..] {
            [b'\r', b'\n', ..] => {
                self.at += end + 2;
                Ok(&rest[..end])
            }
            [b'\r'] => Err(Stop::More),
            _ => Err(Stop::Malformed("a CR or LF alone")),
        }
    }

    fn take(&mut self, count: usize) -> Result<&'b [u8], Stop> {
        let rest = &self.bytes[self.at..];
        let Some(taken) = rest.get(..count) else {
            if let Some(message) = &mut self.begun {
                message.body.extend_from_slice(rest);
            }
            return Err(Stop::More);
        };
        self.at += count;
        Ok(taken)
    }
}

/// Digits and nothing else.
fn number(digits: &[u8], radix: u32, most: usize) -> Result<usize, Stop> {
    let wrong = Stop::Malformed("a length that is none");
    if digits.is_empty()
        || digits.len() > most
        || !digits.iter().all(|b| char::from(*b).is_digit(radix))
    {
        return Err(wrong);
    }
    usize::from_str_radix(&String::from_utf8_lossy(digits), radix).map_err(|_| wrong)
}

fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

fn is_text(byte: u8) -> bool {
    byte == b'\t' || (byte >= b' ' && byte != 0x7f)
}
