//! How numbers are dialled in each country of the world. Facts only; `model::handle` applies them.
//!
//! The columns are those of the ITU's national numbering plans: country (ISO 3166, and Apple's `handle.country` in upper
//! case), calling code, trunk prefix (dialled before a national number), international prefix, and how many digits
//! national numbers of fixed lines and mobiles have. Where carriers have prefixes of their own, the commonest stands here.

use std::fmt;

/// A country, as far as dialling is concerned.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Region(&'static Plan);

/// One country's numbering plan.
#[derive(PartialEq, Eq)]
struct Plan {
    country: &'static str,
    calling_code: &'static str,
    trunk: &'static str,
    international: &'static str,
    shortest: usize,
    longest: usize,
}

impl Region {
    /// By ISO 3166 code of two letters, in any case. `None` for what is none.
    pub fn parse(country: &str) -> Option<Self> {
        let country = country.trim();
        PLANS
            .iter()
            .find(|plan| plan.country.eq_ignore_ascii_case(country))
            .map(Self)
    }

    /// The country that a number in international form, `+4930...`, belongs to.
    ///
    /// Where several share a calling code, the largest of them: their numbers are dialled alike.
    pub fn of_number(number: &str) -> Option<Self> {
        let digits = number.strip_prefix('+')?;
        let plan = PLANS
            .iter()
            .find(|plan| digits.starts_with(plan.calling_code))?;
        SHARED
            .iter()
            .find(|(code, _)| *code == plan.calling_code)
            .map_or(Some(Self(plan)), |(_, country)| Self::parse(country))
    }

    /// Its ISO 3166 code, upper case.
    pub fn country(self) -> &'static str {
        self.0.country
    }

    /// Its calling code, `49`.
    pub fn calling_code(self) -> &'static str {
        self.0.calling_code
    }

    /// What is dialled before a national number, `0`; empty where nothing is.
    pub fn trunk(self) -> &'static str {
        self.0.trunk
    }

    /// What is dialled before a calling code, `00`.
    pub fn international(self) -> &'static str {
        self.0.international
    }

    /// Whether a national number, without its trunk prefix, can have so many digits.
    pub fn has_length(self, digits: usize) -> bool {
        (self.0.shortest..=self.0.longest).contains(&digits)
    }

    /// Whether national numbers are told by their length alone, without a trunk prefix.
    pub fn is_closed(self) -> bool {
        self.0.trunk.is_empty() || self.0.shortest == self.0.longest
    }
}

impl Default for Region {
    /// The United States (ID-1).
    fn default() -> Self {
        Self(UNITED_STATES)
    }
}

impl fmt::Debug for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Region({})", self.0.country)
    }
}

const UNITED_STATES: &Plan = &of("US", "1", "1", "011", 10, 10);

/// The largest country of each calling code that several share.
const SHARED: &[(&str, &str)] = &[
    ("1", "US"),
    ("7", "RU"),
    ("39", "IT"),
    ("44", "GB"),
    ("47", "NO"),
    ("61", "AU"),
    ("212", "MA"),
    ("262", "RE"),
    ("290", "SH"),
    ("358", "FI"),
    ("590", "GP"),
    ("599", "CW"),
];

const fn of(
    country: &'static str,
    calling_code: &'static str,
    trunk: &'static str,
    international: &'static str,
    shortest: usize,
    longest: usize,
) -> Plan {
    Plan {
        country,
        calling_code,
        trunk,
        international,
        shortest,
        longest,
    }
}

const PLANS: &[Plan] = &[
    of("AC", "247", "", "00", 5, 5),
    of("AD", "376", "", "00", 6, 9),
    of("AE", "971", "0", "00", 8, 9),
    of("AF", "93", "0", "00", 9, 9),
    of("AG", "1", "1", "011", 10, 10),
    of("AI", "1", "1", "011", 10, 10),
    of("AL", "355", "0", "00", 8, 9),
    of("AM", "374", "0", "00", 8, 8),
    of("AO", "244", "", "00", 9, 9),
    of("AR", "54", "0", "00", 10, 11),
    of("AS", "1", "1", "011", 10, 10),
    of("AT", "43", "0", "00", 4, 13),
    of("AU", "61", "0", "0011", 9, 9),
    of("AW", "297", "", "00", 7, 7),
    of("AX", "358", "0", "00", 6, 10),
    of("AZ", "994", "0", "00", 9, 9),
    of("BA", "387", "0", "00", 8, 9),
    of("BB", "1", "1", "011", 10, 10),
    of("BD", "880", "0", "00", 6, 10),
    of("BE", "32", "0", "00", 8, 9),
    of("BF", "226", "", "00", 8, 8),
    of("BG", "359", "0", "00", 6, 9),
    of("BH", "973", "", "00", 8, 8),
    of("BI", "257", "", "00", 8, 8),
    of("BJ", "229", "", "00", 10, 10),
    of("BL", "590", "0", "00", 9, 9),
    of("BM", "1", "1", "011", 10, 10),
    of("BN", "673", "", "00", 7, 7),
    of("BO", "591", "0", "00", 8, 8),
    of("BQ", "599", "", "00", 7, 7),
    of("BR", "55", "0", "00", 10, 11),
    of("BS", "1", "1", "011", 10, 10),
    of("BT", "975", "", "00", 7, 8),
    of("BW", "267", "", "00", 7, 8),
    of("BY", "375", "8", "810", 9, 9),
    of("BZ", "501", "", "00", 7, 7),
    of("CA", "1", "1", "011", 10, 10),
    of("CC", "61", "0", "0011", 9, 9),
    of("CD", "243", "0", "00", 7, 10),
    of("CF", "236", "", "00", 8, 8),
    of("CG", "242", "", "00", 9, 9),
    of("CH", "41", "0", "00", 9, 9),
    of("CI", "225", "", "00", 10, 10),
    of("CK", "682", "", "00", 5, 5),
    of("CL", "56", "", "00", 9, 9),
    of("CM", "237", "", "00", 9, 9),
    of("CN", "86", "0", "00", 7, 11),
    of("CO", "57", "0", "00", 8, 10),
    of("CR", "506", "", "00", 8, 8),
    of("CU", "53", "0", "119", 6, 10),
    of("CV", "238", "", "00", 7, 7),
    of("CW", "599", "", "00", 7, 8),
    of("CX", "61", "0", "0011", 9, 9),
    of("CY", "357", "", "00", 8, 8),
    of("CZ", "420", "", "00", 9, 9),
    of("DE", "49", "0", "00", 5, 15),
    of("DJ", "253", "", "00", 8, 8),
    of("DK", "45", "", "00", 8, 8),
    of("DM", "1", "1", "011", 10, 10),
    of("DO", "1", "1", "011", 10, 10),
    of("DZ", "213", "0", "00", 8, 9),
    of("EC", "593", "0", "00", 8, 9),
    of("EE", "372", "", "00", 7, 8),
    of("EG", "20", "0", "00", 8, 10),
    of("EH", "212", "0", "00", 9, 9),
    of("ER", "291", "0", "00", 7, 7),
    of("ES", "34", "", "00", 9, 9),
    of("ET", "251", "0", "00", 9, 9),
    of("FI", "358", "0", "00", 5, 10),
    of("FJ", "679", "", "00", 7, 7),
    of("FK", "500", "", "00", 5, 5),
    of("FM", "691", "", "00", 7, 7),
    of("FO", "298", "", "00", 6, 6),
    of("FR", "33", "0", "00", 9, 9),
    of("GA", "241", "", "00", 7, 8),
    of("GB", "44", "0", "00", 9, 10),
    of("GD", "1", "1", "011", 10, 10),
    of("GE", "995", "0", "00", 9, 9),
    of("GF", "594", "0", "00", 9, 9),
    of("GG", "44", "0", "00", 10, 10),
    of("GH", "233", "0", "00", 9, 9),
    of("GI", "350", "", "00", 8, 8),
    of("GL", "299", "", "00", 6, 6),
    of("GM", "220", "", "00", 7, 9),
    of("GN", "224", "", "00", 8, 9),
    of("GP", "590", "0", "00", 9, 9),
    of("GQ", "240", "", "00", 9, 9),
    of("GR", "30", "", "00", 10, 10),
    of("GT", "502", "", "00", 8, 8),
    of("GU", "1", "1", "011", 10, 10),
    of("GW", "245", "", "00", 9, 9),
    of("GY", "592", "", "001", 7, 7),
    of("HK", "852", "", "001", 8, 8),
    of("HN", "504", "", "00", 8, 8),
    of("HR", "385", "0", "00", 8, 9),
    of("HT", "509", "", "00", 8, 8),
    of("HU", "36", "06", "00", 8, 9),
    of("ID", "62", "0", "001", 7, 12),
    of("IE", "353", "0", "00", 7, 10),
    of("IL", "972", "0", "00", 8, 12),
    of("IM", "44", "0", "00", 10, 10),
    of("IN", "91", "0", "00", 10, 10),
    of("IO", "246", "", "00", 7, 7),
    of("IQ", "964", "0", "00", 8, 10),
    of("IR", "98", "0", "00", 6, 10),
    of("IS", "354", "", "00", 7, 9),
    of("IT", "39", "", "00", 6, 12),
    of("JE", "44", "0", "00", 10, 10),
    of("JM", "1", "1", "011", 10, 10),
    of("JO", "962", "0", "00", 8, 9),
    of("JP", "81", "0", "010", 9, 10),
    of("KE", "254", "0", "000", 7, 9),
    of("KG", "996", "0", "00", 9, 9),
    of("KH", "855", "0", "001", 8, 9),
    of("KI", "686", "0", "00", 5, 8),
    of("KM", "269", "", "00", 7, 7),
    of("KN", "1", "1", "011", 10, 10),
    of("KP", "850", "0", "00", 8, 10),
    of("KR", "82", "0", "001", 5, 10),
    of("KW", "965", "", "00", 8, 8),
    of("KY", "1", "1", "011", 10, 10),
    of("KZ", "7", "8", "810", 10, 10),
    of("LA", "856", "0", "00", 8, 10),
    of("LB", "961", "0", "00", 7, 8),
    of("LC", "1", "1", "011", 10, 10),
    of("LI", "423", "0", "00", 7, 9),
    of("LK", "94", "0", "00", 9, 9),
    of("LR", "231", "0", "00", 7, 9),
    of("LS", "266", "", "00", 8, 8),
    of("LT", "370", "0", "00", 8, 8),
    of("LU", "352", "", "00", 4, 11),
    of("LV", "371", "", "00", 8, 8),
    of("LY", "218", "0", "00", 9, 9),
    of("MA", "212", "0", "00", 9, 9),
    of("MC", "377", "0", "00", 8, 9),
    of("MD", "373", "0", "00", 8, 8),
    of("ME", "382", "0", "00", 8, 8),
    of("MF", "590", "0", "00", 9, 9),
    of("MG", "261", "0", "00", 9, 9),
    of("MH", "692", "1", "011", 7, 7),
    of("MK", "389", "0", "00", 8, 8),
    of("ML", "223", "", "00", 8, 8),
    of("MM", "95", "0", "00", 6, 10),
    of("MN", "976", "0", "001", 8, 10),
    of("MO", "853", "", "00", 8, 8),
    of("MP", "1", "1", "011", 10, 10),
    of("MQ", "596", "0", "00", 9, 9),
    of("MR", "222", "", "00", 8, 8),
    of("MS", "1", "1", "011", 10, 10),
    of("MT", "356", "", "00", 8, 8),
    of("MU", "230", "", "020", 7, 8),
    of("MV", "960", "", "00", 7, 7),
    of("MW", "265", "0", "00", 7, 9),
    of("MX", "52", "", "00", 10, 10),
    of("MY", "60", "0", "00", 8, 10),
    of("MZ", "258", "", "00", 8, 9),
    of("NA", "264", "0", "00", 8, 9),
    of("NC", "687", "", "00", 6, 6),
    of("NE", "227", "", "00", 8, 8),
    of("NF", "672", "", "00", 6, 6),
    of("NG", "234", "0", "009", 10, 10),
    of("NI", "505", "", "00", 8, 8),
    of("NL", "31", "0", "00", 9, 11),
    of("NO", "47", "", "00", 8, 8),
    of("NP", "977", "0", "00", 8, 10),
    of("NR", "674", "", "00", 7, 7),
    of("NU", "683", "", "00", 4, 7),
    of("NZ", "64", "0", "00", 8, 10),
    of("OM", "968", "", "00", 8, 8),
    of("PA", "507", "", "00", 7, 8),
    of("PE", "51", "0", "00", 8, 9),
    of("PF", "689", "", "00", 8, 8),
    of("PG", "675", "", "00", 7, 8),
    of("PH", "63", "0", "00", 6, 10),
    of("PK", "92", "0", "00", 9, 10),
    of("PL", "48", "", "00", 7, 9),
    of("PM", "508", "0", "00", 6, 9),
    of("PR", "1", "1", "011", 10, 10),
    of("PS", "970", "0", "00", 8, 9),
    of("PT", "351", "", "00", 9, 9),
    of("PW", "680", "", "011", 7, 7),
    of("PY", "595", "0", "00", 7, 9),
    of("QA", "974", "", "00", 8, 8),
    of("RE", "262", "0", "00", 9, 9),
    of("RO", "40", "0", "00", 6, 9),
    of("RS", "381", "0", "00", 7, 12),
    of("RU", "7", "8", "810", 10, 10),
    of("RW", "250", "0", "00", 8, 9),
    of("SA", "966", "0", "00", 9, 9),
    of("SB", "677", "", "00", 5, 7),
    of("SC", "248", "", "00", 7, 7),
    of("SD", "249", "0", "00", 9, 9),
    of("SE", "46", "0", "00", 7, 9),
    of("SG", "65", "", "001", 8, 8),
    of("SH", "290", "", "00", 4, 5),
    of("SI", "386", "0", "00", 8, 8),
    of("SJ", "47", "", "00", 8, 8),
    of("SK", "421", "0", "00", 6, 9),
    of("SL", "232", "0", "00", 8, 8),
    of("SM", "378", "", "00", 8, 10),
    of("SN", "221", "", "00", 9, 9),
    of("SO", "252", "0", "00", 6, 9),
    of("SR", "597", "", "00", 6, 7),
    of("SS", "211", "0", "00", 9, 9),
    of("ST", "239", "", "00", 7, 7),
    of("SV", "503", "", "00", 8, 8),
    of("SX", "1", "1", "011", 10, 10),
    of("SY", "963", "0", "00", 8, 9),
    of("SZ", "268", "", "00", 8, 8),
    of("TA", "290", "", "00", 4, 4),
    of("TC", "1", "1", "011", 10, 10),
    of("TD", "235", "", "00", 8, 8),
    of("TG", "228", "", "00", 8, 8),
    of("TH", "66", "0", "001", 8, 9),
    of("TJ", "992", "", "810", 9, 9),
    of("TK", "690", "", "00", 4, 7),
    of("TL", "670", "", "00", 7, 8),
    of("TM", "993", "8", "810", 8, 8),
    of("TN", "216", "", "00", 8, 8),
    of("TO", "676", "", "00", 5, 7),
    of("TR", "90", "0", "00", 10, 10),
    of("TT", "1", "1", "011", 10, 10),
    of("TV", "688", "", "00", 5, 7),
    of("TW", "886", "0", "002", 8, 9),
    of("TZ", "255", "0", "000", 9, 9),
    of("UA", "380", "0", "00", 9, 9),
    of("UG", "256", "0", "000", 9, 9),
    of("US", "1", "1", "011", 10, 10),
    of("UY", "598", "0", "00", 8, 8),
    of("UZ", "998", "", "00", 9, 9),
    of("VA", "39", "", "00", 6, 11),
    of("VC", "1", "1", "011", 10, 10),
    of("VE", "58", "0", "00", 10, 10),
    of("VG", "1", "1", "011", 10, 10),
    of("VI", "1", "1", "011", 10, 10),
    of("VN", "84", "0", "00", 9, 10),
    of("VU", "678", "", "00", 5, 7),
    of("WF", "681", "", "00", 6, 6),
    of("WS", "685", "", "00", 5, 10),
    of("XK", "383", "0", "00", 8, 12),
    of("YE", "967", "0", "00", 7, 9),
    of("YT", "262", "0", "00", 9, 9),
    of("ZA", "27", "0", "00", 5, 9),
    of("ZM", "260", "0", "00", 9, 9),
    of("ZW", "263", "0", "00", 9, 9),
];

#[cfg(test)]
mod tests {
    use super::PLANS;
    use super::Region;
    use super::SHARED;
    use super::UNITED_STATES;

    #[test]
    fn the_default_is_the_entry_of_the_united_states() {
        assert_eq!(Region::parse("us"), Some(Region::default()));
        assert!(PLANS.contains(UNITED_STATES));
    }

    #[test]
    fn no_calling_code_is_the_beginning_of_another() {
        for a in PLANS {
            for b in PLANS {
                let prefix = b.calling_code.starts_with(a.calling_code);

                assert_eq!(prefix, a.calling_code == b.calling_code, "{}", b.country);
            }
        }
    }

    #[test]
    fn each_shared_calling_code_has_one_largest_country() {
        for plan in PLANS {
            let sharing = PLANS
                .iter()
                .filter(|other| other.calling_code == plan.calling_code)
                .count();
            let listed = SHARED
                .iter()
                .filter(|(code, _)| *code == plan.calling_code)
                .count();

            assert_eq!(listed == 1, sharing > 1, "{}", plan.country);
        }
    }

    #[test]
    fn a_number_tells_its_country() {
        assert_eq!(Region::of_number("+4930123456"), Region::parse("DE"));
        assert_eq!(Region::of_number("+15550100000"), Region::parse("US"));
        assert_eq!(Region::of_number("+3581234567"), Region::parse("FI"));
        assert_eq!(Region::of_number("4930123456"), None);
        assert_eq!(Region::of_number("+999123456"), None);
    }

    #[test]
    fn countries_are_two_letters_in_order_and_each_once() {
        let countries: Vec<&str> = PLANS.iter().map(|plan| plan.country).collect();
        let mut sorted = countries.clone();
        sorted.sort_unstable();
        sorted.dedup();

        assert_eq!(countries, sorted);
        assert!(countries.iter().all(|country| country.len() == 2));
    }
}
