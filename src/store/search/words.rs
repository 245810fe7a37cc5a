//! Words of a text, folded for comparing, in the form that both the index and the verification of a hit use.
//!
//! What a word is:
//!
//! * A run of letters and digits with their marks and joiners. Every other character separates, unlike in Unicode's
//!   word boundaries (UAX 29), which keep `example.com`, `IMG_1234` and `can't` whole: here `example`, `1234` and
//!   `can` are found, and a query for `can't` becomes the phrase `can t`, so that a straight and a curly apostrophe
//!   are one.
//! * In scripts that write no spaces between words (Han, Kana, Bopomofo, Thai, Lao, Burmese, Khmer) each character with
//!   its marks is a word of its own, and it knows whether it follows the one before it without a gap.
//! * An emoji or pictograph, as one grapheme: families and flags stay whole.
//!
//! Folding: compatibility decomposition; the marks of the Latin, Greek, Cyrillic, Hebrew and Arabic scripts removed
//! (vowel signs of Indic scripts and the voicing marks of Kana distinguish words and stay); full lower case; letters
//! with a stroke, ligatures, sharp s, dotless i and final sigma as their plain letters; canonical composition. Emoji
//! lose variation selectors and skin tones.

use std::ops::Range;
use std::sync::LazyLock;

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;
use unicode_segmentation::UnicodeSegmentation;

/// One word of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Word<'a> {
    /// Where it stands in the text, bytes.
    pub(super) range: Range<usize>,
    /// For comparing; never empty.
    pub(super) folded: &'a str,
    /// Of which form.
    pub(super) form: Form,
}

/// How a word is delimited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// By separators: a word as the script writes it, or an emoji.
    Whole,
    /// A character of a script without spaces, after a gap.
    First,
    /// A character of a script without spaces that follows another one at once.
    Next,
}

/// Calls `each` with every word of the text, in order. Allocates at most twice, whatever the length.
pub(super) fn for_each_word(text: &str, mut each: impl FnMut(Word<'_>)) {
    let bytes = text.as_bytes();
    let mut scratch = Scratch::default();
    let mut run_end = None;
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        if byte.is_ascii() && !byte.is_ascii_alphanumeric() {
            at += 1;
            continue;
        }
        let start = at;
        let mut upper = false;
        while let Some(byte) = bytes.get(at)
            && byte.is_ascii_alphanumeric()
        {
            upper |= byte.is_ascii_uppercase();
            at += 1;
        }
        let plain = bytes.get(at).is_none_or(u8::is_ascii);
        let (form, folded) = if plain {
            let word = text.get(start..at).unwrap_or_default();
            (Form::Whole, if upper { scratch.lower(word) } else { word })
        } else {
            let (class, len) = scratch.read(text.get(start..).unwrap_or_default());
            at = start + len;
            let form = match class {
                Class::Letter | Class::Symbol => Form::Whole,
                Class::Unspaced if run_end == Some(start) => Form::Next,
                Class::Unspaced => Form::First,
                Class::Mark | Class::Separator => continue,
            };
            (form, scratch.folded.as_str())
        };
        if folded.is_empty() {
            continue;
        }
        run_end = (form != Form::Whole).then_some(at);
        each(Word {
            range: start..at,
            folded,
            form,
        });
    }
}

/// Whether Korean may follow with a particle: `folded` ends in Hangul.
pub(super) fn ends_in_hangul(folded: &str) -> bool {
    folded
        .chars()
        .next_back()
        .is_some_and(|c| matches!(c, '\u{AC00}'..='\u{D7A3}' | '\u{1100}'..='\u{11FF}'))
}

/// Whether a cut between these two characters would divide a word of a script with spaces.
pub(super) fn divides_word(before: char, after: char) -> bool {
    let is_part = |c| matches!(class(c), Class::Letter | Class::Mark);
    is_part(before) && is_part(after)
}

/// What a character is to the search for words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Class {
    /// Letter or digit of a script with spaces.
    Letter,
    /// Letter or digit of a script without spaces.
    Unspaced,
    /// Belongs to what stands before it: combining marks, invisible joiners.
    Mark,
    /// Emoji, pictographs.
    Symbol,
    Separator,
}

fn class(c: char) -> Class {
    if c < '\u{300}' {
        return match c {
            '\u{AD}' => Class::Mark,
            _ if c.is_alphanumeric() => Class::Letter,
            _ => Class::Separator,
        };
    }
    // Half-width voicing marks are letters to Unicode; they belong to the Kana before them.
    if is_combining_mark(c) || is_joiner(c) || matches!(c, '\u{FF9E}' | '\u{FF9F}') {
        Class::Mark
    } else if !c.is_alphanumeric() {
        if is_symbol(c) {
            Class::Symbol
        } else {
            Class::Separator
        }
    } else if is_unspaced(c) {
        Class::Unspaced
    } else {
        Class::Letter
    }
}

/// Soft hyphen aside: characters without width that stand inside words.
fn is_joiner(c: char) -> bool {
    matches!(c, '\u{200C}' | '\u{200D}' | '\u{2060}' | '\u{FEFF}')
}

/// Scripts that write no spaces between words.
fn is_unspaced(c: char) -> bool {
    matches!(c,
        '\u{0E00}'..='\u{0EFF}' // Thai, Lao
        | '\u{1000}'..='\u{109F}' | '\u{A9E0}'..='\u{A9FF}' | '\u{AA60}'..='\u{AA7F}' // Burmese
        | '\u{1780}'..='\u{17FF}' // Khmer
        | '\u{2E80}'..='\u{2FDF}' | '\u{3005}'..='\u{3007}' | '\u{3021}'..='\u{3029}' // Han
        | '\u{3031}'..='\u{3035}' | '\u{3038}'..='\u{303C}'
        | '\u{3041}'..='\u{312F}' // Hiragana, Katakana, Bopomofo
        | '\u{3190}'..='\u{31FF}'
        | '\u{3400}'..='\u{4DBF}' | '\u{4E00}'..='\u{9FFF}' | '\u{F900}'..='\u{FAFF}' // Han
        | '\u{FF66}'..='\u{FF9D}' // half-width Katakana
        | '\u{1AFF0}'..='\u{1B16F}' // older Kana
        | '\u{20000}'..='\u{3FFFF}' // Han
    )
}

/// Blocks of emoji and their older relatives: arrows, technical and miscellaneous symbols.
fn is_symbol(c: char) -> bool {
    matches!(c,
        '\u{203C}' | '\u{2049}' | '\u{3030}' | '\u{303D}'
        | '\u{2190}'..='\u{21FF}' | '\u{2300}'..='\u{23FF}' | '\u{25A0}'..='\u{27BF}'
        | '\u{2900}'..='\u{297F}' | '\u{2B00}'..='\u{2BFF}'
        | '\u{1F000}'..='\u{1F3FA}' | '\u{1F400}'..='\u{1FAFF}'
    )
}

/// Marks that fall away: those of the Latin, Greek, Cyrillic, Hebrew and Arabic scripts, and variation selectors.
fn is_diacritic(c: char) -> bool {
    matches!(c,
        '\u{0300}'..='\u{036F}' | '\u{0483}'..='\u{0489}' | '\u{0591}'..='\u{05C7}'
        | '\u{0610}'..='\u{061A}' | '\u{064B}'..='\u{065F}' | '\u{0670}' | '\u{06D6}'..='\u{06ED}'
        | '\u{1AB0}'..='\u{1AFF}' | '\u{1DC0}'..='\u{1DFF}' | '\u{20D0}'..='\u{20FF}'
        | '\u{FE00}'..='\u{FE0F}' | '\u{FE20}'..='\u{FE2F}' | '\u{E0100}'..='\u{E01EF}'
    )
}

/// Lower-case letters that people type as others and that do not decompose.
fn plain_letters(c: char) -> Option<&'static str> {
    Some(match c {
        '\u{DF}' => "ss",
        '\u{E6}' => "ae",
        '\u{F0}' | '\u{111}' => "d",
        '\u{F8}' => "o",
        '\u{FE}' => "th",
        '\u{127}' => "h",
        '\u{131}' => "i",
        '\u{142}' => "l",
        '\u{153}' => "oe",
        '\u{167}' => "t",
        '\u{3C2}' => "\u{3C3}",
        // The line that lengthens Arabic words.
        '\u{640}' => "",
        _ => return None,
    })
}

/// What is known of a character without looking at its neighbors.
#[derive(Clone, Copy)]
struct Letter {
    class: Class,
    /// What it folds to, when that is one character and depends on nothing else.
    folded: Option<char>,
}

/// The first scripts of Unicode, up to Arabic: decomposing each of their letters anew would take most of the time.
static LETTERS: LazyLock<Vec<Letter>> = LazyLock::new(|| {
    let mut scratch = Scratch::default();
    let letter = |c: char| {
        scratch.fold(c.encode_utf8(&mut [0; 4]));
        let mut folded = scratch.folded.chars();
        let class = class(c);
        let is_letter = class == Class::Letter;
        Letter {
            class,
            folded: folded
                .next()
                .filter(|_| is_letter && folded.next().is_none()),
        }
    };
    ('\0'..'\u{700}').map(letter).collect()
});

fn letter(c: char) -> Letter {
    let known = usize::try_from(u32::from(c)).ok();
    if let Some(letter) = known.and_then(|at| LETTERS.get(at)) {
        return *letter;
    }
    let class = match c {
        // Hangul, Han, Hiragana, Katakana: letters that fold to themselves unless a mark or a Jamo follows.
        '\u{AC00}'..='\u{D7A3}' => Class::Letter,
        '\u{4E00}'..='\u{9FFF}' | '\u{3041}'..='\u{3096}' | '\u{30A1}'..='\u{30FA}' => {
            Class::Unspaced
        }
        _ => {
            let class = class(c);
            return Letter {
                class,
                folded: None,
            };
        }
    };
    Letter {
        class,
        folded: Some(c),
    }
}

/// Buffers that are used again for every word of a text.
#[derive(Default)]
struct Scratch {
    folded: String,
    decomposed: String,
}

impl Scratch {
    /// The class of what a text begins with, and its length in bytes: a whole word, a character with its marks, a
    /// grapheme, or one character that is none of them. The first three are folded.
    fn read(&mut self, text: &str) -> (Class, usize) {
        self.folded.clear();
        let mut first = None;
        let mut is_simple = true;
        let mut len = 0;
        for c in text.chars() {
            let letter = letter(c);
            let goes_on = match first {
                None => true,
                Some(Class::Letter) => matches!(letter.class, Class::Letter | Class::Mark),
                Some(Class::Unspaced) => letter.class == Class::Mark,
                Some(Class::Mark | Class::Symbol | Class::Separator) => false,
            };
            if !goes_on {
                break;
            }
            first = first.or(Some(letter.class));
            len += c.len_utf8();
            self.folded.extend(letter.folded);
            is_simple &= letter.folded.is_some();
        }
        let class = first.unwrap_or(Class::Separator);
        match class {
            Class::Letter | Class::Unspaced if !is_simple => {
                self.fold(text.get(..len).unwrap_or_default());
            }
            Class::Symbol => {
                let symbol = text.graphemes(true).next().unwrap_or_default();
                len = symbol.len();
                self.fold_symbol(symbol);
            }
            Class::Letter | Class::Unspaced | Class::Mark | Class::Separator => {}
        }
        (class, len)
    }

    fn lower(&mut self, word: &str) -> &str {
        self.folded.clear();
        self.folded.push_str(word);
        self.folded.make_ascii_lowercase();
        &self.folded
    }

    fn fold(&mut self, word: &str) {
        self.decomposed.clear();
        let kept = word
            .nfkd()
            .filter(|&c| !is_diacritic(c) && (c.is_alphanumeric() || is_combining_mark(c)));
        for c in kept.flat_map(char::to_lowercase) {
            match plain_letters(c) {
                Some(letters) => self.decomposed.push_str(letters),
                None => self.decomposed.push(c),
            }
        }
        self.folded.clear();
        if self.decomposed.is_ascii() {
            self.folded.push_str(&self.decomposed);
        } else {
            self.folded.extend(self.decomposed.nfc());
        }
    }

    fn fold_symbol(&mut self, symbol: &str) {
        let is_variation = |c| matches!(c, '\u{FE00}'..='\u{FE0F}' | '\u{1F3FB}'..='\u{1F3FF}');
        self.folded.clear();
        self.folded
            .extend(symbol.chars().filter(|&c| !is_variation(c)));
    }
}

#[cfg(test)]
mod tests {
    use proptest::proptest;

    use super::Class;
    use super::Form;
    use super::Scratch;
    use super::class;
    use super::for_each_word;
    use super::letter;

    fn folded(text: &str) -> Vec<String> {
        let mut words = Vec::new();
        for_each_word(text, |word| words.push(word.folded.to_owned()));
        words
    }

    #[test]
    fn punctuation_separates_words_even_inside_names_and_contractions() {
        assert_eq!(
            folded("Can't stop: www.example.com/IMG_1234.HEIC, 3.14!"),
            [
                "can", "t", "stop", "www", "example", "com", "img", "1234", "heic", "3", "14"
            ]
        );
    }

    #[test]
    fn case_marks_ligatures_and_strokes_are_folded() {
        let words = "Stra\u{DF}e STRASSE \u{130}stanbul \u{131}\u{15F}\u{131}k S\u{F8}ren \u{141}\u{F3}d\u{17A} \
                     \u{FB01}n \u{39F}\u{394}\u{39F}\u{3A3} \u{3BF}\u{3B4}\u{3CC}\u{3C2} e\u{301}t\u{E9} \
                     \u{FF21}\u{FF22} \u{401}\u{436} \u{623}\u{64E}\u{628}\u{640}\u{62F}";

        assert_eq!(
            folded(words),
            [
                "strasse",
                "strasse",
                "istanbul",
                "isik",
                "soren",
                "lodz",
                "fin",
                "\u{3BF}\u{3B4}\u{3BF}\u{3C3}",
                "\u{3BF}\u{3B4}\u{3BF}\u{3C3}",
                "ete",
                "ab",
                "\u{435}\u{436}",
                "\u{627}\u{628}\u{62F}",
            ]
        );
    }

    #[test]
    fn marks_that_distinguish_words_stay() {
        // Devanagari ka with different vowel signs; Kana with and without voicing, full and half width.
        assert_eq!(
            folded("\u{915}\u{93E} \u{915}\u{940}"),
            ["\u{915}\u{93E}", "\u{915}\u{940}"]
        );
        assert_eq!(
            folded("\u{304B} \u{304C} \u{304B}\u{3099} \u{FF76}\u{FF9E}"),
            ["\u{304B}", "\u{304C}", "\u{304C}", "\u{30AC}"]
        );
    }

    #[test]
    fn joiners_and_soft_hyphens_do_not_divide_words() {
        assert_eq!(
            folded("\u{645}\u{6CC}\u{200C}\u{62E}\u{648}\u{627}\u{647}\u{645} co\u{AD}operate"),
            [
                "\u{645}\u{6CC}\u{62E}\u{648}\u{627}\u{647}\u{645}",
                "cooperate"
            ]
        );
    }

    #[test]
    fn hangul_is_the_same_composed_and_decomposed() {
        assert_eq!(
            folded("\u{D55C}\u{AE00}"),
            folded("\u{1112}\u{1161}\u{11AB}\u{1100}\u{1173}\u{11AF}")
        );
    }

    #[test]
    fn characters_of_scripts_without_spaces_are_words_that_know_their_neighbor() {
        let mut words = Vec::new();
        let text = "iPhone\u{7528} \u{65E5}\u{672C}\u{3002}\u{8A9E}";

        for_each_word(text, |word| words.push((word.range, word.form)));

        assert_eq!(
            words,
            [
                (0..6, Form::Whole),
                (6..9, Form::First),
                (10..13, Form::First),
                (13..16, Form::Next),
                (19..22, Form::First),
            ]
        );
    }

    #[test]
    fn emoji_are_whole_graphemes_without_variations() {
        // A thumb with a skin tone, a heart with a selector, a family, a flag; a keycap is its digit.
        assert_eq!(
            folded(
                "ok\u{1F44D}\u{1F3FD}\u{2764}\u{FE0F} \u{1F468}\u{200D}\u{1F469}\u{200D}\u{1F467}\u{1F1E9}\u{1F1EA} \
                 1\u{FE0F}\u{20E3}"
            ),
            [
                "ok",
                "\u{1F44D}",
                "\u{2764}",
                "\u{1F468}\u{200D}\u{1F469}\u{200D}\u{1F467}",
                "\u{1F1E9}\u{1F1EA}",
                "1",
            ]
        );
    }

    /// By the rules, without what is known of single letters.
    fn fold(word: &str) -> String {
        let mut scratch = Scratch::default();
        scratch.fold(word);
        scratch.folded
    }

    #[test]
    fn folding_every_character_twice_changes_nothing() {
        for c in '\0'..=char::MAX {
            let once = fold(c.encode_utf8(&mut [0; 4]));

            assert_eq!(fold(&once), once, "U+{:04X}", u32::from(c));
        }
    }

    #[test]
    fn what_is_known_of_a_letter_is_what_the_rules_say() {
        for c in '\0'..=char::MAX {
            let known = letter(c);

            assert_eq!(known.class, class(c), "U+{:04X}", u32::from(c));
            let by_rule = fold(c.encode_utf8(&mut [0; 4]));
            let by_table = known.folded.map_or(by_rule.clone(), String::from);
            assert_eq!(by_table, by_rule, "U+{:04X}", u32::from(c));
        }
    }

    proptest! {
        #[test]
        fn words_are_rising_ranges_of_characters(text in ".*") {
            let mut end = 0;
            for_each_word(&text, |word| {
                assert!(end <= word.range.start && word.range.start < word.range.end);
                assert!(text.get(word.range.clone()).is_some());
                assert!(!word.folded.is_empty());
                end = word.range.end;
            });
        }

        #[test]
        fn folding_twice_changes_nothing(text in ".*") {
            let once = fold(&text);

            assert_eq!(fold(&once), once);
        }

        #[test]
        fn every_word_is_folded_by_the_rules(
            text in "([a-zA-Z0-9\u{C0}-\u{24F}\u{300}-\u{302}\u{390}-\u{3C9}\u{410}-\u{451}\u{620}-\u{655}\
                     \u{1100}-\u{1112}\u{1161}-\u{11C2}\u{3041}-\u{309F}\u{4E00}-\u{4E10}\u{AC00}-\u{AC30} ]|.)*",
        ) {
            for_each_word(&text, |word| {
                let written = text.get(word.range).unwrap();
                if written.chars().all(|c| class(c) != Class::Symbol) {
                    assert_eq!(word.folded, fold(written));
                }
            });
        }
    }
}
