//! What guests say, made fit for logs and messages.

/// At most so many bytes of it, on one line: a guest writes no lines of others.
pub(crate) fn line(message: &str, most: usize) -> String {
    let cut = message.floor_char_boundary(most);
    let message = message.get(..cut).unwrap_or_default().trim_end();
    message
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guest_writes_one_short_line_at_a_time() {
        let said = line("a\nfake line\r\x1b[0m\n", 1024);
        assert_eq!(said, "a fake line  [0m");
        assert_eq!(line(&"é".repeat(600), 1023).len(), 1022);
    }
}
