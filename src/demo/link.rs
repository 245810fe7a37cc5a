//! What a link in a message shows: a keyed archive of its title and summary.

use crate::codec::property_list;
use crate::codec::property_list::Plist;

/// The payload of a link's balloon.
pub(super) fn payload(url: &str, title: &str, summary: &str) -> Vec<u8> {
    let text = |text: &str| Plist::Text(text.to_owned());
    let class = |name: &str| {
        list(&[
            ("$classname", text(name)),
            ("$classes", Plist::Array(vec![text(name), text("NSObject")])),
        ])
    };
    let objects = vec![
        text("$null"),
        list(&[
            ("richLinkMetadata", Plist::Uid(2)),
            ("richLinkIsPlaceholder", Plist::Boolean(false)),
            ("$class", Plist::Uid(7)),
        ]),
        list(&[
            ("originalURL", Plist::Uid(3)),
            ("URL", Plist::Uid(3)),
            ("title", Plist::Uid(5)),
            ("summary", Plist::Uid(6)),
            ("version", Plist::Integer(1)),
            ("$class", Plist::Uid(8)),
        ]),
        list(&[
            ("NS.base", Plist::Uid(0)),
            ("NS.relative", Plist::Uid(4)),
            ("$class", Plist::Uid(9)),
        ]),
        text(url),
        text(title),
        text(summary),
        class("RichLink"),
        class("LPLinkMetadata"),
        class("NSURL"),
    ];
    property_list::encode(&list(&[
        ("$version", Plist::Integer(100_000)),
        ("$archiver", text("NSKeyedArchiver")),
        ("$top", list(&[("root", Plist::Uid(1))])),
        ("$objects", Plist::Array(objects)),
    ]))
}

fn list(entries: &[(&str, Plist)]) -> Plist {
    let entries = entries.iter();
    let entries = entries.map(|(key, value)| ((*key).to_owned(), value.clone()));
    Plist::Dictionary(entries.collect())
}
