//! Addresses in their normal form, and which of them are the owner's (ID-1 to ID-4, D10).
//!
//! | what is written | normal form |
//! |---|---|
//! | a phone number in any notation | `tel:+<calling code and number>` |
//! | an e-mail address | `mailto:<address in lower case>` |
//! | a short code | its digits |
//! | a sender's name, `urn:biz:...`, anything else | as it is, trimmed |

use std::collections::BTreeMap;

use crate::base::ids::Handle;
use crate::model::region::Region;

/// Digits of an international number (ITU E.164). Fewer are a short code, more are no number.
const NUMBER_DIGITS: std::ops::RangeInclusive<usize> = 7..=15;

/// An address in its normal form. `None` when nothing is written.
///
/// `region` says how a number without `+` is meant; short codes and senders' names never get a `+`, because a real
/// number would look the same then (ID-3).
///
/// Source: ID-1 and the table of semantics 14.1; test `every_spelling_has_the_form_of_the_table`.
pub fn normalise(raw: &str, region: Region) -> Option<Handle> {
    if is_international(raw) {
        return Some(Handle::from_normal(["tel:", raw].concat()));
    }
    let text = without_suffix(raw.trim());
    if starts_with_ignoring_case(text, "urn:") {
        return Some(Handle::from_normal(text.to_owned()));
    }
    let address = without_scheme(text);
    if address.is_empty() {
        return None;
    }
    let form = if address.contains('@') {
        format!("mailto:{}", address.to_lowercase())
    } else {
        phone(address, region).unwrap_or_else(|| address.to_owned())
    };
    Some(Handle::from_normal(form))
}

/// Whether this is how Messages itself writes numbers: `+` and digits. Nearly every address is.
fn is_international(raw: &str) -> bool {
    raw.strip_prefix('+').is_some_and(|digits| {
        NUMBER_DIGITS.contains(&digits.len()) && digits.bytes().all(|c| c.is_ascii_digit())
    })
}

/// Without Apple's tags of forwarded SMS: `(smsft)`, `(smsfp)`, also several.
fn without_suffix(mut text: &str) -> &str {
    while let Some((before, tag)) = text.strip_suffix(')').and_then(|t| t.rsplit_once('(')) {
        if tag.is_empty() || !tag.bytes().all(|c| c.is_ascii_lowercase()) {
            break;
        }
        text = before.trim_end();
    }
    text
}

fn without_scheme(text: &str) -> &str {
    let rest = ["tel:", "mailto:"]
        .into_iter()
        .filter(|scheme| starts_with_ignoring_case(text, scheme))
        .find_map(|scheme| text.get(scheme.len()..));
    rest.unwrap_or(text).trim()
}

fn starts_with_ignoring_case(text: &str, prefix: &str) -> bool {
    text.get(..prefix.len())
        .is_some_and(|start| start.eq_ignore_ascii_case(prefix))
}

/// The form of a phone number or short code; `None` for anything that holds more than digits and punctuation.
fn phone(text: &str, region: Region) -> Option<String> {
    // Written as one dials it abroad and at home at once: +44 (0)20 7946 0123. Italy keeps its zero.
    let text = match text.strip_prefix('+') {
        Some(rest) if !rest.starts_with("39") => text.replacen("(0)", "", 1),
        Some(_) | None => text.to_owned(),
    };
    let mut digits = String::with_capacity(text.len());
    let mut plus = false;
    for c in text.chars() {
        match c {
            '0'..='9' => digits.push(c),
            '+' if digits.is_empty() && !plus => plus = true,
            _ if is_between_digits(c) => {}
            _ => return None,
        }
    }
    if digits.is_empty() {
        return None;
    }
    if plus {
        let known = digits.len() >= *NUMBER_DIGITS.start();
        return Some(if known {
            format!("tel:+{digits}")
        } else {
            format!("+{digits}")
        });
    }
    Some(match international(&digits, region) {
        Some(number) => format!("tel:+{number}"),
        None => digits,
    })
}

/// What people write between digits; also typographic dashes, and the marks of writing direction that pasting leaves.
fn is_between_digits(c: char) -> bool {
    c.is_whitespace()
        || matches!(c, '-' | '.' | '(' | ')' | '/' | '\u{feff}')
        || matches!(c, '\u{2010}'..='\u{2015}' | '\u{200b}'..='\u{200f}')
        || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Calling code and national number, of digits that were written without `+`. `None` for what is no whole number.
fn international(digits: &str, region: Region) -> Option<String> {
    let is_number = |rest: &str| !rest.starts_with('0') && NUMBER_DIGITS.contains(&rest.len());
    let is_national =
        |rest: &str| region.has_length(rest.len()) && rest.len() >= *NUMBER_DIGITS.start();

    let abroad = [region.international(), "00"]
        .into_iter()
        .filter_map(|prefix| digits.strip_prefix(prefix))
        .find(|rest| is_number(rest));
    if let Some(number) = abroad {
        return Some(number.to_owned());
    }
    if !region.trunk().is_empty()
        && let Some(rest) = digits.strip_prefix(region.trunk())
        && is_national(rest)
    {
        return Some([region.calling_code(), rest].concat());
    }
    let whole = region.is_closed() || digits.len() == 10;
    if whole && is_national(digits) {
        return Some([region.calling_code(), digits].concat());
    }
    let own = digits
        .strip_prefix(region.calling_code())
        .is_some_and(is_national);
    // No calling code begins with 0, and numbers behind calling code 1 have ten digits.
    let foreign =
        digits.len() >= 11 && is_number(digits) && (!digits.starts_with('1') || digits.len() == 11);
    (own || foreign).then(|| digits.to_owned())
}

/// The owner's own addresses, the preferred one first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OwnHandles {
    handles: Vec<Handle>,
}

impl OwnHandles {
    /// From addresses as they are written in `account`, `account_login` (`P:+15550100000`, `E:a@example.org`),
    /// `destination_caller_id` of own rows, `last_addressed_handle` and on the owner's own card, each with how often
    /// it occurs (D10).
    ///
    /// Preferred is a number before an address, then the commoner one, then the smaller one, so that the self chat's
    /// key depends on neither order nor chance (ID-29).
    pub fn new<S: AsRef<str>>(written: impl IntoIterator<Item = (S, u64)>, region: Region) -> Self {
        let mut counts: BTreeMap<Handle, u64> = BTreeMap::new();
        for (raw, count) in written {
            let handle = normalise(without_account_kind(raw.as_ref()), region);
            if let Some(handle) = handle.filter(Handle::is_personal) {
                let sum = counts.entry(handle).or_default();
                *sum = sum.saturating_add(count);
            }
        }
        let mut counts: Vec<(Handle, u64)> = counts.into_iter().collect();
        counts.sort_by(|(a, a_count), (b, b_count)| {
            (is_mail(a), b_count, a).cmp(&(is_mail(b), a_count, b))
        });
        Self {
            handles: counts.into_iter().map(|(handle, _)| handle).collect(),
        }
    }

    /// From addresses that are in their normal form already, the preferred one first.
    pub fn from_normal(handles: Vec<Handle>) -> Self {
        Self { handles }
    }

    /// Whether an address is the owner's.
    pub fn contains(&self, handle: &Handle) -> bool {
        self.handles.contains(handle)
    }

    /// The address that stands for the owner.
    pub fn preferred(&self) -> Option<&Handle> {
        self.handles.first()
    }

    /// All of them, the preferred one first.
    pub fn iter(&self) -> impl Iterator<Item = &Handle> {
        self.handles.iter()
    }
}

/// Whether an address is an e-mail address: numbers come first wherever one of several stands for a person.
pub(crate) fn is_mail(handle: &Handle) -> bool {
    handle.as_str().starts_with("mailto:")
}

/// An account as `message.account` and `chat.account_login` name it, without the letter that says what it is.
fn without_account_kind(account: &str) -> &str {
    let account = account.trim();
    ["p:", "e:"]
        .into_iter()
        .filter(|kind| starts_with_ignoring_case(account, kind))
        .find_map(|kind| account.get(kind.len()..))
        .unwrap_or(account)
}

/// The region in which numbers without `+` are meant (D10): the country of the owner's commonest number, else the
/// commonest `handle.country`, else the United States. Both lists hold how often each occurs.
pub fn detect_region<A: AsRef<str>, C: AsRef<str>>(
    own: &[(A, u64)],
    countries: &[(C, u64)],
) -> Region {
    let mut numbers: BTreeMap<Handle, u64> = BTreeMap::new();
    for (raw, count) in own {
        let written = without_account_kind(raw.as_ref());
        let handle = normalise(written, Region::default());
        if let Some(handle) = handle.filter(|_| written.starts_with('+')) {
            let sum = numbers.entry(handle).or_default();
            *sum = sum.saturating_add(*count);
        }
    }
    let commonest_number = commonest(
        numbers
            .iter()
            .filter_map(|(handle, count)| Some((Region::of_number(handle.address())?, *count))),
    );
    commonest_number
        .or_else(|| {
            commonest(
                countries.iter().filter_map(|(country, count)| {
                    Some((Region::parse(country.as_ref())?, *count))
                }),
            )
        })
        .unwrap_or_default()
}

/// The region with the highest count; of several the first of the alphabet.
fn commonest(regions: impl Iterator<Item = (Region, u64)>) -> Option<Region> {
    let mut counts: BTreeMap<&str, (Region, u64)> = BTreeMap::new();
    for (region, count) in regions {
        let entry = counts.entry(region.country()).or_insert((region, 0));
        entry.1 = entry.1.saturating_add(count);
    }
    counts
        .into_values()
        .rev()
        .max_by_key(|(_, count)| *count)
        .map(|(region, _)| region)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::OwnHandles;
    use super::detect_region;
    use super::normalise;
    use crate::base::ids::Handle;
    use crate::model::region::Region;

    fn form(raw: &str, country: &str) -> Option<String> {
        normalise(raw, Region::parse(country).unwrap()).map(|handle| handle.to_string())
    }

    #[test]
    fn every_spelling_has_the_form_of_the_table() {
        let table = [
            ("+1 (555) 010-0123", "tel:+15550100123"),
            ("5550100123", "tel:+15550100123"),
            ("15550100123", "tel:+15550100123"),
            ("tel:5550100123", "tel:+15550100123"),
            ("tel:+15550100123(smsft)", "tel:+15550100123"),
            ("+15550100123(smsfp)", "tel:+15550100123"),
            ("+15550100123(smsft)(smsft)", "tel:+15550100123"),
            ("  +15550100123\n", "tel:+15550100123"),
            ("(555) 010-0123", "tel:+15550100123"),
            (
                "\u{202d}+1\u{a0}555\u{2011}010\u{2011}0123\u{202c}",
                "tel:+15550100123",
            ),
            ("+442079460123", "tel:+442079460123"),
            ("442079460123", "tel:+442079460123"),
            ("+44 (0)20 7946 0123", "tel:+442079460123"),
            ("0044 20 7946 0123", "tel:+442079460123"),
            ("011 44 20 7946 0123", "tel:+442079460123"),
            ("5550123", "5550123"),
            ("242733", "242733"),
            ("242733(smsft)", "242733"),
            ("tel:242733", "242733"),
            ("TEL:242733", "242733"),
            ("+242733", "+242733"),
            ("DHL", "DHL"),
            ("4 You", "4 You"),
            ("Jane.Doe@Example.COM", "mailto:jane.doe@example.com"),
            ("mailto:Jane.Doe@Example.COM", "mailto:jane.doe@example.com"),
            ("urn:biz:5a1c0b", "urn:biz:5a1c0b"),
            ("chat123456789012345678", "chat123456789012345678"),
        ];

        for (raw, expected) in table {
            assert_eq!(form(raw, "US").as_deref(), Some(expected), "{raw}");
        }
    }

    #[test]
    fn what_is_empty_is_no_address() {
        for raw in ["", "  ", "tel:", "mailto: ", "(smsft)"] {
            assert_eq!(form(raw, "US"), None, "{raw}");
        }
    }

    #[test]
    fn a_number_without_plus_is_meant_in_its_region() {
        let table = [
            ("DE", "01701234567", "tel:+491701234567"),
            ("DE", "030 123456", "tel:+4930123456"),
            ("DE", "00442079460123", "tel:+442079460123"),
            ("DE", "491701234567", "tel:+491701234567"),
            ("DE", "1701234567", "tel:+491701234567"),
            ("DE", "11833", "11833"),
            ("FR", "06 12 34 56 78", "tel:+33612345678"),
            ("IT", "0612345678", "tel:+390612345678"),
            ("DK", "12 34 56 78", "tel:+4512345678"),
            ("DK", "4512345678", "tel:+4512345678"),
            ("RU", "8 (495) 123-45-67", "tel:+74951234567"),
            ("HU", "06301234567", "tel:+36301234567"),
            ("JP", "010 1 555 010 0123", "tel:+15550100123"),
            ("CA", "5550100123", "tel:+15550100123"),
        ];

        for (country, raw, expected) in table {
            assert_eq!(
                form(raw, country).as_deref(),
                Some(expected),
                "{country} {raw}"
            );
        }
    }

    #[test]
    fn digits_that_can_be_no_number_get_no_plus() {
        assert_eq!(form("01701234567", "US").as_deref(), Some("01701234567"));
        assert_eq!(
            form("1069012345678", "US").as_deref(),
            Some("1069012345678")
        );
        assert_eq!(
            form("12345678901234567890", "US").as_deref(),
            Some("12345678901234567890")
        );
    }

    #[test]
    fn own_addresses_are_numbers_first_and_the_commonest_first() {
        let own = OwnHandles::new(
            [
                ("E:Owner@Example.org", 900),
                ("P:+15550100000", 3),
                ("+15550100001", 2),
                ("(555) 010-0001", 2),
                ("E:", 50),
                ("242733", 7),
            ],
            Region::default(),
        );

        let order: Vec<&str> = own.iter().map(Handle::as_str).collect();
        assert_eq!(
            order,
            [
                "tel:+15550100001",
                "tel:+15550100000",
                "mailto:owner@example.org"
            ]
        );
        assert!(own.contains(&Handle::from_normal("tel:+15550100000".to_owned())));
    }

    #[test]
    fn the_region_is_that_of_the_own_number_then_of_the_handles() {
        let none: [(&str, u64); 0] = [];
        let own = [
            ("P:+4915112345678", 2),
            ("+15550100000", 1),
            ("E:a@example.org", 9),
        ];

        assert_eq!(Some(detect_region(&own, &[("us", 5)])), Region::parse("DE"));
        assert_eq!(
            Some(detect_region(&own[2..], &[("us", 5), ("gb", 6), ("zz", 9)])),
            Region::parse("GB")
        );
        assert_eq!(detect_region(&none, &none), Region::default());
    }

    proptest! {
        #[test]
        fn a_normal_form_is_its_own_normal_form(raw in "\\PC{0,24}|[+0-9 ()-]{0,20}", country in "US|DE|DK|IT") {
            let region = Region::parse(&country).unwrap();
            prop_assume!(!raw.to_ascii_lowercase().contains("tel:") && !raw.to_ascii_lowercase().contains("mailto:"));

            if let Some(handle) = normalise(&raw, region) {
                prop_assert_eq!(normalise(handle.as_str(), region), Some(handle.clone()));
            }
        }
    }
}
