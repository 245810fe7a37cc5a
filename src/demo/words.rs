//! What invented people are called and what they write. No sentence of it was ever written by anybody.

use crate::demo::random::Random;

const WORDS: [&str; 120] = [
    "time",
    "about",
    "dinner",
    "tonight",
    "maybe",
    "later",
    "great",
    "thanks",
    "sounds",
    "good",
    "okay",
    "perfect",
    "running",
    "late",
    "five",
    "minutes",
    "where",
    "are",
    "you",
    "parking",
    "train",
    "station",
    "ticket",
    "office",
    "meeting",
    "moved",
    "tomorrow",
    "morning",
    "coffee",
    "please",
    "bring",
    "keys",
    "wallet",
    "charger",
    "laptop",
    "photo",
    "video",
    "link",
    "address",
    "street",
    "number",
    "apartment",
    "door",
    "code",
    "garage",
    "dog",
    "walk",
    "vet",
    "appointment",
    "birthday",
    "cake",
    "candles",
    "present",
    "party",
    "saturday",
    "sunday",
    "weekend",
    "trip",
    "flight",
    "gate",
    "hotel",
    "booking",
    "confirmed",
    "weather",
    "rain",
    "umbrella",
    "snow",
    "sunny",
    "beach",
    "lake",
    "hike",
    "trail",
    "bikes",
    "kids",
    "school",
    "homework",
    "pickup",
    "practice",
    "game",
    "score",
    "won",
    "lost",
    "again",
    "season",
    "movie",
    "episode",
    "spoiler",
    "book",
    "chapter",
    "recipe",
    "onions",
    "garlic",
    "lemon",
    "rice",
    "noodles",
    "market",
    "milk",
    "bread",
    "eggs",
    "cheese",
    "apples",
    "invoice",
    "payment",
    "transfer",
    "rent",
    "bill",
    "router",
    "broken",
    "fixed",
    "restart",
    "update",
    "version",
    "build",
    "tests",
    "friday",
    "never",
    "mind",
    "just",
    "honestly",
    "really",
];

/// Scripts, signs and spaces that a text may have, at its end.
const EXTRAS: [&str; 18] = [
    "\u{1f602}",
    "\u{2764}\u{fe0f}",
    "\u{1f44d}\u{1f3fd}",
    "\u{1f468}\u{200d}\u{1f469}\u{200d}\u{1f467}\u{200d}\u{1f466}",
    "\u{1f1e9}\u{1f1ea}",
    "\u{4eca}\u{665a}\u{4e00}\u{8d77}\u{5403}\u{996d}\u{5417}",
    "\u{660e}\u{65e5}\u{306e}\u{4f1a}\u{8b70}\u{306f}\u{4f55}\u{6642}\u{3067}\u{3059}\u{304b}",
    "\u{c9c0}\u{ae08} \u{c5b4}\u{b514}\u{c57c}",
    "\u{645}\u{631}\u{62d}\u{628}\u{627}",
    "\u{5e9}\u{5dc}\u{5d5}\u{5dd}",
    "e\u{301}te\u{301} \u{fc}ber na\u{ef}ve",
    "\u{41f}\u{440}\u{438}\u{432}\u{435}\u{442}",
    "\u{939}\u{947}\u{932}\u{94b}",
    "\u{1d4d7}\u{1d4ee}\u{1d4f5}\u{1d4f5}\u{1d4f8}",
    "line one\nline two",
    "tab\there",
    "<b>&amp;</b>",
    "a\u{200b}b",
];

const FIRST: [&str; 25] = [
    "Ada", "Ben", "Cleo", "Dov", "Elif", "Finn", "Gus", "Hana", "Ivo", "Jun", "Kai", "Lena", "Mia",
    "Noor", "Olga", "Pia", "Quin", "Rosa", "Sami", "Tara", "Uma", "Vik", "Wen", "Yara", "Zoe",
];

const LAST: [&str; 20] = [
    "Abbott", "Baker", "Chen", "Diaz", "Eriksen", "Fox", "Garcia", "Haddad", "Ito", "Jensen",
    "Kumar", "Lopez", "Moreau", "Novak", "Okafor", "Park", "Quist", "Rossi", "Silva", "Tanaka",
];

/// What groups call themselves.
const GROUPS: [&str; 8] = [
    "Family",
    "Book Club \u{1f4da}",
    "Ski Trip 2024",
    "\u{5bb6}\u{65cf}\u{7fa4}",
    "The Office",
    "5-a-side",
    "Neighbours",
    "Allotment",
];

/// The tapbacks of an emoji.
pub(super) const EMOJI: [&str; 7] = [
    "\u{1f525}",
    "\u{1f389}",
    "\u{1f440}",
    "\u{1f62d}",
    "\u{1f64f}\u{1f3ff}",
    "\u{1f9d1}\u{200d}\u{1f680}",
    "\u{1fae0}",
];

/// Effects that a message can be sent with.
pub(super) const EFFECTS: [&str; 5] = [
    "com.apple.MobileSMS.expressivesend.gentle",
    "com.apple.MobileSMS.expressivesend.impact",
    "com.apple.MobileSMS.expressivesend.invisibleink",
    "com.apple.messages.effect.CKConfettiEffect",
    "com.apple.messages.effect.CKHeartEffect",
];

/// The first and the last name of a person, different for the first five hundred.
pub(super) fn person(number: usize) -> (&'static str, &'static str) {
    let first = FIRST.get(number % FIRST.len()).copied();
    let last = LAST
        .get((number / FIRST.len() + number) % LAST.len())
        .copied();
    (first.unwrap_or_default(), last.unwrap_or_default())
}

/// The name of a group.
pub(super) fn group(number: usize) -> &'static str {
    GROUPS
        .get(number % GROUPS.len())
        .copied()
        .unwrap_or_default()
}

/// One word.
pub(super) fn word(random: &mut Random) -> &'static str {
    random.pick(&WORDS)
}

/// Something to write.
pub(super) fn sentence(random: &mut Random) -> String {
    let mut text = String::new();
    for _ in 0..2 + random.below(10) {
        if !text.is_empty() {
            text.push(' ');
        }
        text.push_str(word(random));
    }
    if let Some(first) = text.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    if random.percent(12) {
        text.push(' ');
        text.push_str(random.pick(&EXTRAS));
    }
    text
}
