//! Dates as HTTP writes them.

/// A time in seconds since 1970 as an IMF-fixdate of RFC 9110: `Sun, 06 Nov 1994 08:49:37 GMT`.
pub(crate) fn http(seconds: u64) -> String {
    let (days, of_day) = (seconds / 86_400, seconds % 86_400);
    let weekday = match days % 7 {
        0 => "Thu",
        1 => "Fri",
        2 => "Sat",
        3 => "Sun",
        4 => "Mon",
        5 => "Tue",
        _ => "Wed",
    };
    let (year, month, day) = civil(days);
    let (hour, minute, second) = (of_day / 3600, of_day / 60 % 60, of_day % 60);
    format!("{weekday}, {day:02} {month} {year:04} {hour:02}:{minute:02}:{second:02} GMT")
}

/// Year, month and day of a number of days since 1970.
fn civil(days: u64) -> (u64, &'static str, u64) {
    // Counted from 1 March of the year 0, a leap day is the last of its year, and 400 years are 146,097 days.
    let days = days + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let name = match month {
        0 => "Mar",
        1 => "Apr",
        2 => "May",
        3 => "Jun",
        4 => "Jul",
        5 => "Aug",
        6 => "Sep",
        7 => "Oct",
        8 => "Nov",
        9 => "Dec",
        10 => "Jan",
        _ => "Feb",
    };
    (era * 400 + year + u64::from(month >= 10), name, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_the_calendar() {
        assert_eq!(http(0), "Thu, 01 Jan 1970 00:00:00 GMT");
        assert_eq!(http(784_111_777), "Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(http(951_782_400), "Tue, 29 Feb 2000 00:00:00 GMT");
        assert_eq!(http(951_868_800), "Wed, 01 Mar 2000 00:00:00 GMT");
        assert_eq!(http(1_767_225_599), "Wed, 31 Dec 2025 23:59:59 GMT");
        assert_eq!(http(4_107_542_400), "Mon, 01 Mar 2100 00:00:00 GMT");
        assert_eq!(http(253_402_300_799), "Fri, 31 Dec 9999 23:59:59 GMT");
    }
}
