//! Counts and sizes as a person reads them.

/// `1,234,567`.
pub fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `1 message`, `2,000 messages`. The noun is given in the singular and takes an `s`.
pub fn counted(number: u64, noun: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{} {noun}{plural}", count(number))
}

/// `512 bytes`, `1.2 MB`: decimal units, as macOS counts; one decimal, rounded down.
pub fn size(bytes: u64) -> String {
    const UNITS: [(u64, &str); 4] = [
        (1_000_000_000_000, "TB"),
        (1_000_000_000, "GB"),
        (1_000_000, "MB"),
        (1_000, "kB"),
    ];
    match UNITS.into_iter().find(|(unit, _)| bytes >= *unit) {
        Some((unit, name)) => {
            let tenths = bytes / (unit / 10);
            format!("{}.{} {name}", count(tenths / 10), tenths % 10)
        }
        None => counted(bytes, "byte"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_in_groups_of_three() {
        let texts = [0, 999, 1_000, 1_234_567, u64::MAX].map(count);

        assert_eq!(
            texts,
            [
                "0",
                "999",
                "1,000",
                "1,234,567",
                "18,446,744,073,709,551,615"
            ]
        );
    }

    #[test]
    fn one_has_no_s() {
        let texts = [0, 1, 2_000].map(|n| counted(n, "message"));

        assert_eq!(texts, ["0 messages", "1 message", "2,000 messages"]);
    }

    #[test]
    fn sizes_have_one_decimal() {
        let texts = [1, 999, 1_000, 1_299_999, 2_500_000_000, u64::MAX].map(size);

        assert_eq!(
            texts,
            [
                "1 byte",
                "999 bytes",
                "1.0 kB",
                "1.2 MB",
                "2.5 GB",
                "18,446,744.0 TB"
            ]
        );
    }
}
