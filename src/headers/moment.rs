//! Points in time as Envoy's `%START_TIME(…)%` writes them: `strftime` with fractions, in UTC.

use std::fmt::Write as _;
use std::time::{Duration, SystemTime};

/// What Envoy writes where no format is given.
pub(super) const DEFAULT: &str = "%Y-%m-%dT%H:%M:%E3SZ";

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

/// From the first of January 1970, which was a Thursday.
const WEEKDAYS: [&str; 7] = [
    "Thursday",
    "Friday",
    "Saturday",
    "Sunday",
    "Monday",
    "Tuesday",
    "Wednesday",
];

/// Writes `at` in this form; what is no conversion stays as it is written.
pub(super) fn write(form: &str, at: SystemTime, out: &mut String) {
    let since = at.duration_since(SystemTime::UNIX_EPOCH);
    let moment = Moment::of(since.unwrap_or_default());
    let mut rest = form;
    while let Some((before, behind)) = rest.split_once('%') {
        out.push_str(before);
        let taken = moment.convert(behind, out);
        if taken == 0 {
            out.push('%');
        }
        rest = behind.get(taken..).unwrap_or_default();
    }
    out.push_str(rest);
}

/// A time of day as Envoy writes it where no format is given.
pub(crate) fn time_of_day(at: SystemTime) -> String {
    let mut text = String::new();
    write(DEFAULT, at, &mut text);
    text
}

struct Moment {
    since: Duration,
    year: u64,
    /// From 1.
    month: usize,
    day: u64,
    /// From 1.
    day_of_year: u64,
    days: u64,
}

impl Moment {
    fn of(since: Duration) -> Self {
        let days = since.as_secs() / 86_400;
        let mut year = 1970;
        let mut left = days;
        // Whole spans of 400 years first: they are all of one length.
        year += left / 146_097 * 400;
        left %= 146_097;
        while left >= 365 + leap(year) {
            left -= 365 + leap(year);
            year += 1;
        }
        let day_of_year = left + 1;
        let mut month = 1;
        while left >= length(year, month) {
            left -= length(year, month);
            month += 1;
        }
        Self {
            since,
            year,
            month,
            day: left + 1,
            day_of_year,
            days,
        }
    }

    /// Writes what a conversion stands for; how many bytes behind its `%` belong to it.
    fn convert(&self, behind: &str, out: &mut String) -> usize {
        let second = self.since.as_secs() % 86_400;
        let (hour, minute) = (second / 3600, second / 60 % 60);
        let noon = if hour % 12 == 0 { 12 } else { hour % 12 };
        let month = MONTHS.get(self.month - 1).copied().unwrap_or_default();
        let weekday = WEEKDAYS.get((self.days % 7) as usize);
        let weekday = weekday.copied().unwrap_or_default();
        let short = |name: &'static str| name.get(..3).unwrap_or(name);
        let mut put = |value: std::fmt::Arguments<'_>| {
            // Writing to a String cannot fail.
            let _ = out.write_fmt(value);
        };
        let mut characters = behind.bytes();
        match characters.next() {
            Some(b'%') => put(format_args!("%")),
            Some(b'Y') => put(format_args!("{}", self.year)),
            Some(b'y') => put(format_args!("{:02}", self.year % 100)),
            Some(b'm') => put(format_args!("{:02}", self.month)),
            Some(b'd') => put(format_args!("{:02}", self.day)),
            Some(b'e') => put(format_args!("{:2}", self.day)),
            Some(b'j') => put(format_args!("{:03}", self.day_of_year)),
            Some(b'H') => put(format_args!("{hour:02}")),
            Some(b'I') => put(format_args!("{noon:02}")),
            Some(b'M') => put(format_args!("{minute:02}")),
            Some(b'S') => put(format_args!("{:02}", second % 60)),
            Some(b'p') => put(format_args!("{}", if hour < 12 { "AM" } else { "PM" })),
            Some(b'B') => put(format_args!("{month}")),
            Some(b'b' | b'h') => put(format_args!("{}", short(month))),
            Some(b'A') => put(format_args!("{weekday}")),
            Some(b'a') => put(format_args!("{}", short(weekday))),
            Some(b's') => put(format_args!("{}", self.since.as_secs())),
            Some(b'z') => put(format_args!("+0000")),
            Some(b'Z') => put(format_args!("UTC")),
            Some(b'F') => write_many(self, "%Y-%m-%d", out),
            Some(b'T') => write_many(self, "%H:%M:%S", out),
            Some(b'f') => out.push_str(&self.fraction(9)),
            Some(digit @ b'1'..=b'9') if characters.next() == Some(b'f') => {
                out.push_str(&self.fraction(usize::from(digit - b'0')));
                return 2;
            }
            Some(b'E') => return self.extended(behind, out),
            _ => return 0,
        }
        1
    }

    /// `%E3S`, `%E*S` and `%E*f`: fractions by another name; `*` is as fine as Envoy's clock.
    fn extended(&self, behind: &str, out: &mut String) -> usize {
        let mut characters = behind.bytes().skip(1);
        let digits = match characters.next() {
            Some(digit @ b'0'..=b'9') => usize::from(digit - b'0'),
            Some(b'*') => 6,
            _ => return 0,
        };
        match characters.next() {
            Some(b'S') => {
                write_many(self, "%S", out);
                if digits > 0 {
                    out.push('.');
                }
            }
            Some(b'f') => {}
            _ => return 0,
        }
        out.push_str(&self.fraction(digits));
        3
    }

    /// The first digits of what is beyond the second.
    fn fraction(&self, digits: usize) -> String {
        let mut all = format!("{:09}", self.since.subsec_nanos());
        all.truncate(digits);
        all
    }
}

/// Writes several conversions.
fn write_many(moment: &Moment, form: &str, out: &mut String) {
    for part in form.split_inclusive(|it: char| it.is_ascii_alphabetic()) {
        if let Some((before, behind)) = part.split_once('%') {
            out.push_str(before);
            moment.convert(behind, out);
        }
    }
}

const fn leap(year: u64) -> u64 {
    (year.is_multiple_of(4) && !year.is_multiple_of(100) || year.is_multiple_of(400)) as u64
}

const fn length(year: u64, month: usize) -> u64 {
    match month {
        2 => 28 + leap(year),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use super::{DEFAULT, write};

    #[track_caller]
    fn check(nanos: u64, form: &str, want: &str) {
        let mut got = String::new();
        let at = SystemTime::UNIX_EPOCH + Duration::from_nanos(nanos);
        write(form, at, &mut got);
        assert_eq!(got, want, "{form:?}");
    }

    /// 2026-11-26T23:40:34.251692Z, and how a real Envoy wrote it.
    const AT: u64 = 1_795_736_434_251_692_000;

    #[test]
    fn times_are_written_as_envoy_writes_them() {
        check(AT, DEFAULT, "2026-11-26T23:40:34.251Z");
        check(AT, "%F %T", "2026-11-26 23:40:34");
        check(AT, "%E3S|%E*S|%E*f", "34.251|34.251692|251692");
        check(AT, "%1f|%9f|%f", "2|251692000|251692000");
        let words = "Thu Nov 26 330 26 UTC PM 11";
        check(AT, "%a %b %e %j %y %Z %p %I", words);
        check(AT, "%s%3f", "1795736434251");
        check(AT, "%Y-%m-%dT%H:%M:%S%z", "2026-11-26T23:40:34+0000");
        check(AT, "%A, %B", "Thursday, November");
    }

    #[test]
    fn what_is_no_conversion_stays() {
        check(AT, "%q", "%q");
        check(AT, "x%", "x%");
        check(AT, "%%|\u{e9}%\u{e9}", "%|\u{e9}%\u{e9}");
        check(AT, "%E|%E3|%Ex|%0f", "%E|%E3|%Ex|%0f");
    }

    #[test]
    fn leap_years_end_in_february() {
        check(951_782_400_000_000_000, "%F %j %a", "2000-02-29 060 Tue");
        check(4_107_542_400_000_000_000, "%F", "2100-03-01");
        check(0, DEFAULT, "1970-01-01T00:00:00.000Z");
        check(u64::MAX, "%F", "2554-07-21");
    }
}
