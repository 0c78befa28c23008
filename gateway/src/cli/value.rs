//! Values of flags: from text to types, collecting every mistake.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener},
    str::FromStr,
    time::Duration,
};

use ipnet::{IpNet, Ipv4Net};

/// Reads values and remembers what could not be read.
#[derive(Debug, Default)]
pub(crate) struct Reader {
    mistakes: Vec<String>,
}

/// Everything that is wrong with the arguments.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Mistakes(Vec<String>);

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, mistake) in self.0.iter().enumerate() {
            let start = if index == 0 { "" } else { "\nerror: " };
            write!(f, "{start}{mistake}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Mistakes {}

impl Mistakes {
    /// One mistake.
    pub(crate) fn one(text: impl Into<String>) -> Self {
        Self(vec![text.into()])
    }
}

/// Whether zero is among a flag's values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Zero {
    /// It means something.
    Allowed,
    /// It would be no limit, or nothing at all.
    Refused,
}

impl Reader {
    /// The value, unless there were mistakes.
    pub(crate) fn finish<T>(self, value: T) -> Result<T, Mistakes> {
        if self.mistakes.is_empty() {
            Ok(value)
        } else {
            Err(Mistakes(self.mistakes))
        }
    }

    /// Notes a mistake: the flag, what it was given, what is wrong, what to write.
    pub(crate) fn mistake(&mut self, flag: &str, value: &str, wrong: &str, hint: &str) {
        self.add(format!("{flag} '{value}': {wrong}; {hint}"));
    }

    /// Notes a mistake that says all that by itself.
    pub(crate) fn add(&mut self, mistake: String) {
        self.mistakes.push(mistake);
    }

    /// A length of time.
    pub(crate) fn time(&mut self, flag: &str, text: &str, zero: Zero) -> Duration {
        match duration(text) {
            Some(Duration::ZERO) if zero == Zero::Refused => {
                self.mistake(
                    flag,
                    text,
                    "is no time at all",
                    "write a longer one, as in 30s",
                );
            }
            Some(time) => return time,
            None => self.mistake(
                flag,
                text,
                "is not a length of time",
                "write a number and ms, s, m or h, as in 500ms, 30s or 1h",
            ),
        }
        Duration::ZERO
    }

    /// A number of bytes that fits `T`.
    pub(crate) fn size<T: TryFrom<u64> + Default>(
        &mut self,
        flag: &str,
        text: &str,
        zero: Zero,
    ) -> T {
        let hint = "write a number of bytes, or one with Ki, Mi, Gi, k, M or G, as in 64Ki or 10M";
        match size(text) {
            Some(0) if zero == Zero::Refused => self.mistake(flag, text, "is nothing at all", hint),
            Some(bytes) => match T::try_from(bytes) {
                Ok(bytes) => return bytes,
                Err(_) => self.mistake(flag, text, "is too large", hint),
            },
            None => self.mistake(flag, text, "is not a size", hint),
        }
        T::default()
    }

    /// A size of an HTTP/2 flow-control window.
    pub(crate) fn window(&mut self, flag: &str, text: &str) -> u32 {
        let bytes: u32 = self.size(flag, text, Zero::Refused);
        if bytes > MAX_WINDOW || (1..MIN_WINDOW).contains(&bytes) {
            self.mistake(
                flag,
                text,
                "is no window of HTTP/2",
                "write a size from 64Ki to 2147483647",
            );
        }
        bytes
    }

    /// A count, at least 1.
    pub(crate) fn count<T: FromStr + Default + PartialEq>(&mut self, flag: &str, text: &str) -> T {
        match text.parse::<T>() {
            Ok(count) if count != T::default() => return count,
            Ok(_) => self.mistake(flag, text, "is none at all", "write a number from 1"),
            Err(_) => self.mistake(
                flag,
                text,
                "is not a number that fits",
                "write a whole number from 1",
            ),
        }
        T::default()
    }

    /// An address to listen on, if one is given; a port alone is on any address.
    pub(crate) fn optional_address(
        &mut self,
        flag: &str,
        text: Option<&str>,
    ) -> Option<SocketAddr> {
        let text = text?;
        let anywhere = text.strip_prefix(':').and_then(|port| port.parse().ok());
        let address = match anywhere {
            Some(port) => Some(SocketAddr::new(any_address(), port)),
            None => text.parse().ok(),
        };
        if address.is_none() {
            let hint =
                "write an IP address and a port, as in 127.0.0.1:8080, or :8080 for any address";
            self.mistake(flag, text, "is not an address to listen on", hint);
        }
        address
    }

    /// Networks; IPv4 written as IPv6 is taken as IPv4.
    pub(crate) fn networks(&mut self, flag: &str, texts: &[String]) -> Vec<IpNet> {
        let mut networks = Vec::new();
        for text in texts
            .iter()
            .map(|text| text.trim())
            .filter(|text| !text.is_empty())
        {
            match text
                .parse()
                .or_else(|_| text.parse::<IpAddr>().map(IpNet::from))
            {
                Ok(network) => networks.push(canonical(network)),
                Err(_) => {
                    self.mistake(
                        flag,
                        text,
                        "is not a network",
                        "write a CIDR, as in 10.0.0.0/8 or fd00::/8",
                    );
                }
            }
        }
        networks
    }

    /// An object named as `NAMESPACE/NAME`.
    pub(crate) fn object(&mut self, flag: &str, text: &str) -> Option<(String, String)> {
        let parts = text.split_once('/');
        let parts = parts.filter(|(space, name)| is_name(space) && is_name(name));
        if parts.is_none() {
            let hint = "write the namespace, a slash and the name, as in default/my-certificate";
            self.mistake(flag, text, "names no object", hint);
        }
        parts.map(|(space, name)| (space.to_owned(), name.to_owned()))
    }

    /// Pods named as `NAMESPACE/LABEL=VALUE,…`.
    pub(crate) fn pods(&mut self, flag: &str, text: &str) -> Option<(String, String)> {
        let label = |pair: &str| {
            let pair = pair.split_once('=');
            pair.is_some_and(|(key, value)| !key.is_empty() && !value.contains('='))
        };
        let parts = text.split_once('/');
        let parts = parts.filter(|(space, labels)| is_name(space) && labels.split(',').all(label));
        if parts.is_none() {
            let hint = "write the namespace, a slash and labels, as in edge/app.kubernetes.io/name=portcullis";
            self.mistake(flag, text, "names no pods", hint);
        }
        parts.map(|(space, labels)| (space.to_owned(), labels.to_owned()))
    }

    /// The name of an object.
    pub(crate) fn name(&mut self, flag: &str, text: &str) -> Option<String> {
        if !is_name(text) {
            let hint = "write lower-case letters, digits and '-'";
            self.mistake(flag, text, "is no name of an object", hint);
        }
        is_name(text).then(|| text.to_owned())
    }

    /// A list of which no item may be empty, nor the list.
    pub(crate) fn names(&mut self, flag: &str, texts: &[String]) -> Vec<String> {
        let names: Vec<String> = texts.iter().map(|text| text.trim().to_owned()).collect();
        if names.iter().any(String::is_empty) {
            self.mistake(
                flag,
                &texts.join(","),
                "has an empty name",
                "write names parted by commas",
            );
        }
        names
    }
}

/// The largest window that HTTP/2 knows.
const MAX_WINDOW: u32 = (1 << 31) - 1;
/// The window that every HTTP/2 connection starts with.
const MIN_WINDOW: u32 = 65_535;

/// Reads `500ms`, `30s`, `5m`, `1h`, `1h30m`, `0`.
fn duration(text: &str) -> Option<Duration> {
    if text == "0" {
        return Some(Duration::ZERO);
    }
    let mut rest = text;
    let mut sum = Duration::ZERO;
    while !rest.is_empty() {
        let (number, after) = split_number(rest)?;
        let end = after
            .find(|c: char| c.is_ascii_digit())
            .unwrap_or(after.len());
        let (unit, next) = after.split_at_checked(end)?;
        let part = match unit {
            "ms" => Duration::from_millis(number),
            "s" => Duration::from_secs(number),
            "m" => Duration::from_secs(number.checked_mul(60)?),
            "h" => Duration::from_secs(number.checked_mul(3600)?),
            _ => return None,
        };
        sum = sum.checked_add(part)?;
        rest = next;
    }
    // A deadline further off than this does not fit a clock.
    (!text.is_empty() && sum <= LONGEST).then_some(sum)
}

/// Longer than any process lives.
const LONGEST: Duration = Duration::from_secs(100 * 365 * 24 * 3600);

/// Reads `0`, `1500`, `64Ki`, `8Mi`, `10M`.
fn size(text: &str) -> Option<u64> {
    let (number, unit) = split_number(text)?;
    let factor: u64 = match unit {
        "" => 1,
        "k" | "K" => 1_000,
        "M" => 1_000_000,
        "G" => 1_000_000_000,
        "Ki" => 1 << 10,
        "Mi" => 1 << 20,
        "Gi" => 1 << 30,
        _ => return None,
    };
    number.checked_mul(factor)
}

fn split_number(text: &str) -> Option<(u64, &str)> {
    let end = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (digits, rest) = text.split_at_checked(end)?;
    Some((digits.parse().ok()?, rest))
}

fn canonical(network: IpNet) -> IpNet {
    match network {
        IpNet::V6(v6) => match (v6.addr().to_ipv4_mapped(), v6.prefix_len().checked_sub(96)) {
            (Some(address), Some(prefix)) => {
                Ipv4Net::new(address, prefix).map_or(network, IpNet::V4)
            }
            _ => network,
        },
        IpNet::V4(_) => network,
    }
}

/// Any address of both families, or of IPv4 where the machine has no IPv6.
pub(crate) fn any_address() -> IpAddr {
    match TcpListener::bind((Ipv6Addr::UNSPECIFIED, 0)) {
        Ok(_) => Ipv6Addr::UNSPECIFIED.into(),
        Err(_) => Ipv4Addr::UNSPECIFIED.into(),
    }
}

/// Whether an object could have this name.
fn is_name(text: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'.');
    !text.is_empty() && text.len() <= 253 && text.bytes().all(allowed)
}

#[cfg(test)]
mod tests;
