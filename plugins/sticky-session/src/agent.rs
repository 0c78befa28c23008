//! Browsers that take `SameSite=None` for `SameSite=Strict`, or refuse the cookie.

/// Whether a browser is one of them: those on iOS 12, Safari and web views on macOS 10.14, Chrome 51 to 66, and
/// UC Browser before 12.13.2.
pub(crate) fn knows_no_none(agent: &str) -> bool {
    is_ios_12(agent) || is_macos_10_14(agent) || is_old_uc(agent) || is_old_chrome(agent)
}

fn is_ios_12(agent: &str) -> bool {
    let apple = agent.contains("(iPhone;") || agent.contains("(iPad;") || agent.contains("(iPod");
    apple && agent.contains(" OS 12_")
}

fn is_macos_10_14(agent: &str) -> bool {
    if !agent.contains("(Macintosh;") || !agent.contains("Mac OS X 10_14") {
        return false;
    }
    let chromium = agent.contains("Chrome/") || agent.contains("Chromium/");
    let safari = agent.contains("Version/") && agent.contains("Safari/") && !chromium;
    // A web view says nothing after its engine.
    safari || agent.ends_with("(KHTML, like Gecko)")
}

fn is_old_uc(agent: &str) -> bool {
    let version = numbers_after(agent, "UCBrowser/");
    version.is_some_and(|version| version < [12, 13, 2])
}

fn is_old_chrome(agent: &str) -> bool {
    let version = numbers_after(agent, "Chrome/").or_else(|| numbers_after(agent, "Chromium/"));
    // UC Browser says that it is an old Chrome, and has a rule of its own.
    let uc = agent.contains("UCBrowser/");
    !uc && version.is_some_and(|[major, ..]| (51..=66).contains(&major))
}

/// The first three numbers of the version after a name.
fn numbers_after(agent: &str, name: &str) -> Option<[u32; 3]> {
    let (_, version) = agent.split_once(name)?;
    let end = version.find(|c: char| !c.is_ascii_digit() && c != '.');
    let version = end.map_or(version, |end| version.get(..end).unwrap_or_default());
    let mut numbers = version.split('.').map(|number| number.parse().unwrap_or(0));
    let mut next = || numbers.next().unwrap_or(0);
    Some([next(), next(), next()])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_known_browsers_are_told_from_others() {
        let old = [
            "Mozilla/5.0 (iPhone; CPU iPhone OS 12_4 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/12.1.2 Mobile/15E148 Safari/604.1",
            "Mozilla/5.0 (iPad; CPU OS 12_2 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) CriOS/79.0 Mobile/15E148 Safari/605.1",
            "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_14_6) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/12.1.2 Safari/605.1.15",
            "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_14_6) AppleWebKit/605.1.15 (KHTML, like Gecko)",
            "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/66.0.3359.139 Safari/537.36",
            "Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/51.0.2704.103 Safari/537.36",
            "Mozilla/5.0 (Linux; U; Android 8.0) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 Chrome/57.0.2987.108 UCBrowser/12.13.1.1189 Mobile Safari/537.36",
        ];
        let new = [
            "",
            "curl/8.5.0",
            "Mozilla/5.0 (iPhone; CPU iPhone OS 13_2 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/13.0.3 Mobile/15E148 Safari/604.1",
            "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_14_6) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 Safari/537.36",
            "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.0 Safari/605.1.15",
            "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/67.0.3396.62 Safari/537.36",
            "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/50.0.2661.102 Safari/537.36",
            "Mozilla/5.0 (Linux; U; Android 8.0) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 Chrome/57.0.2987.108 UCBrowser/12.13.2.1 Mobile Safari/537.36",
        ];
        for agent in old {
            assert!(knows_no_none(agent), "{agent}");
        }
        for agent in new {
            assert!(!knows_no_none(agent), "{agent}");
        }
    }
}
