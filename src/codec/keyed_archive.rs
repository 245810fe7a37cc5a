//! Keyed archives: graphs of objects that `NSKeyedArchiver` writes as a property list. Resolved to plain values; what
//! they mean is for [`decode`](crate::decode) to say.
//!
//! ```text
//! { $archiver: "NSKeyedArchiver", $top: { root: uid }, $objects: [ "$null", object* ] }
//! ```
//!
//! | object | becomes |
//! |---|---|
//! | `$null`, `NSNull` | null |
//! | `NS.keys` and `NS.objects` | dictionary |
//! | `NS.objects` alone | array: arrays, sets |
//! | `NS.relative` and `NS.base` | text: the whole URL |
//! | `NS.uuidbytes` | text: its hexadecimal digits |
//! | `NS.string`, `NS.bytes` | text |
//! | `NS.data` | data |
//! | `NS.time` | date |
//! | any other | dictionary of its fields, and under `$class` the name of its class |
//!
//! Source: `[obs]` macOS 12 to 15; `tests/vectors.rs`.

use crate::base::limits;
use crate::codec::budget::Budget;
use crate::codec::property_list;
use crate::codec::property_list::Plist;
use crate::codec::property_list::PlistError;
use crate::codec::url;

/// Decodes a keyed archive to the value of its root.
///
/// An object that contains itself stays a [`Plist::Uid`] at the inner place. An archive without `root` gives the
/// dictionary of everything at its top.
///
/// # Errors
/// [`ArchiveError`] when the bytes are no property list, not an archive, or stand for more than
/// [`limits::OBJECTS`] values or [`limits::NESTING`] levels.
pub fn decode(bytes: &[u8]) -> Result<Plist, ArchiveError> {
    let list = property_list::decode(bytes)?;
    resolve(&list)
}

/// Why a keyed archive could not be decoded.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// The bytes are not a property list.
    #[error("cannot read the property list of a keyed archive")]
    Plist(#[from] PlistError),
    /// The property list is not an archive.
    #[error("expected a keyed archive with {expected}, got another property list")]
    NotAnArchive {
        /// What it lacks.
        expected: &'static str,
    },
    /// A reference leads nowhere.
    #[error("expected an object for reference {uid}, got {count} objects")]
    Dangling {
        /// The reference.
        uid: u64,
        /// How many objects there are.
        count: usize,
    },
    /// The archive stands for more than this program is willing to hold.
    #[error("{what} over the limit of {limit} in a keyed archive")]
    TooMuch {
        /// Of what there is too much.
        what: &'static str,
        /// The limit, in that unit.
        limit: usize,
    },
}

impl ArchiveError {
    const SIZE: Self = Self::TooMuch {
        what: "values",
        limit: limits::OBJECTS,
    };
}

/// Resolves a property list that is a keyed archive.
///
/// # Errors
/// As [`decode`].
pub fn resolve(list: &Plist) -> Result<Plist, ArchiveError> {
    let part = |key, expected| list.get(key).ok_or(ArchiveError::NotAnArchive { expected });
    let objects = part("$objects", "objects")?
        .as_array()
        .ok_or(ArchiveError::NotAnArchive {
            expected: "objects",
        })?;
    let top = part("$top", "a top")?;
    let mut resolver = Resolver {
        objects,
        path: Vec::new(),
        budget: Budget::new(),
    };
    resolver.value(top.get("root").unwrap_or(top), 0)
}

struct Resolver<'a> {
    objects: &'a [Plist],
    /// The objects that are being resolved, outermost first.
    path: Vec<u64>,
    budget: Budget,
}

impl<'a> Resolver<'a> {
    fn pay(&mut self, bytes: usize) -> Result<(), ArchiveError> {
        let afforded = self.budget.pay(bytes);
        afforded.then_some(()).ok_or(ArchiveError::SIZE)
    }

    fn target(&self, uid: u64) -> Result<&'a Plist, ArchiveError> {
        usize::try_from(uid)
            .ok()
            .and_then(|index| self.objects.get(index))
            .ok_or(ArchiveError::Dangling {
                uid,
                count: self.objects.len(),
            })
    }

    fn value(&mut self, value: &'a Plist, depth: usize) -> Result<Plist, ArchiveError> {
        if depth > limits::NESTING {
            return Err(ArchiveError::TooMuch {
                what: "nesting",
                limit: limits::NESTING,
            });
        }
        let inner = depth.saturating_add(1);
        match value {
            Plist::Uid(uid) => {
                if self.path.contains(uid) {
                    self.pay(0)?;
                    return Ok(Plist::Uid(*uid));
                }
                let target = self.target(*uid)?;
                self.path.push(*uid);
                let resolved = self.object(target, inner);
                self.path.pop();
                resolved
            }
            Plist::Array(values) => {
                self.pay(0)?;
                let values: Result<_, _> = values.iter().map(|v| self.value(v, inner)).collect();
                values.map(Plist::Array)
            }
            Plist::Dictionary(entries) => {
                self.pay(0)?;
                self.fields(entries, inner).map(Plist::Dictionary)
            }
            Plist::Text(text) => {
                self.pay(text.len())?;
                Ok(value.clone())
            }
            Plist::Data(data) => {
                self.pay(data.len())?;
                Ok(value.clone())
            }
            Plist::Null
            | Plist::Boolean(_)
            | Plist::Integer(_)
            | Plist::Real(_)
            | Plist::Date(_) => {
                self.pay(0)?;
                Ok(value.clone())
            }
        }
    }

    fn fields(
        &mut self,
        entries: &'a [(String, Plist)],
        depth: usize,
    ) -> Result<Vec<(String, Plist)>, ArchiveError> {
        let mut fields = Vec::with_capacity(entries.len());
        for (key, value) in entries {
            self.pay(key.len())?;
            let value = if key == "$class" {
                self.class(value).unwrap_or_default()
            } else {
                self.value(value, depth)?
            };
            fields.push((key.clone(), value));
        }
        Ok(fields)
    }

    /// The name of a class, as text.
    fn class(&mut self, reference: &Plist) -> Option<Plist> {
        let name = self.target(reference.as_uid()?).ok()?.get("$classname")?;
        self.budget.pay(name.as_text()?.len()).then(|| name.clone())
    }

    /// An entry of the object table.
    fn object(&mut self, object: &'a Plist, depth: usize) -> Result<Plist, ArchiveError> {
        let Plist::Dictionary(fields) = object else {
            if object.as_text() == Some("$null") {
                self.pay(0)?;
                return Ok(Plist::Null);
            }
            return self.value(object, depth);
        };
        let afforded = self.budget.look_at(fields.len());
        afforded.then_some(()).ok_or(ArchiveError::SIZE)?;
        if let Some(keys) = object.get("NS.keys").and_then(Plist::as_array) {
            let values = object.get("NS.objects").and_then(Plist::as_array);
            return self.dictionary(keys, values.unwrap_or_default(), depth);
        }
        if let Some(values) = object.get("NS.objects") {
            return self.value(values, depth);
        }
        if let Some(relative) = object.get("NS.relative") {
            return self.url(relative, object.get("NS.base"), depth);
        }
        if let Some(uuid) = object.get("NS.uuidbytes").and_then(Plist::as_data) {
            self.pay(uuid.len().saturating_mul(2))?;
            let digits = uuid.iter().map(|byte| format!("{byte:02x}"));
            return Ok(Plist::Text(digits.collect()));
        }
        if let Some(time) = object.get("NS.time").and_then(Plist::as_real) {
            self.pay(0)?;
            return Ok(property_list::date(time).map_or(Plist::Null, Plist::Date));
        }
        if let Some(text) = object.get("NS.bytes").and_then(Plist::as_data) {
            self.pay(text.len())?;
            return Ok(match str::from_utf8(text) {
                Ok(text) => Plist::Text(text.to_owned()),
                Err(_) => Plist::Data(text.to_vec()),
            });
        }
        if let Some(content) = object.get("NS.string").or_else(|| object.get("NS.data")) {
            return self.value(content, depth);
        }
        self.pay(0)?;
        let class = object.get("$class").and_then(|class| self.class(class));
        if class.as_ref().and_then(Plist::as_text) == Some("NSNull") {
            return Ok(Plist::Null);
        }
        self.fields(fields, depth).map(Plist::Dictionary)
    }

    fn dictionary(
        &mut self,
        keys: &'a [Plist],
        values: &'a [Plist],
        depth: usize,
    ) -> Result<Plist, ArchiveError> {
        self.pay(0)?;
        let mut entries = Vec::with_capacity(keys.len().min(values.len()));
        for (key, value) in keys.iter().zip(values) {
            let key = self.value(key, depth)?;
            let key = match (key.as_text(), key.as_integer()) {
                (Some(key), _) => key.to_owned(),
                (None, Some(key)) => key.to_string(),
                (None, None) => continue,
            };
            entries.push((key, self.value(value, depth)?));
        }
        Ok(Plist::Dictionary(entries))
    }

    fn url(
        &mut self,
        relative: &'a Plist,
        base: Option<&'a Plist>,
        depth: usize,
    ) -> Result<Plist, ArchiveError> {
        let relative = self.value(relative, depth)?;
        let base = match base {
            Some(base) => self.value(base, depth)?,
            None => Plist::Null,
        };
        Ok(match (base.as_text(), relative.as_text()) {
            (Some(base), Some(relative)) => {
                self.pay(base.len())?;
                Plist::Text(url::join(base, relative))
            }
            _ => relative,
        })
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use plist::Dictionary;
    use plist::Uid;
    use plist::Value;

    use super::*;
    use crate::base::time::AppleTime;

    /// An archive of these objects; the first one is the root.
    pub(crate) fn archive(objects: Vec<Value>) -> Vec<u8> {
        let objects = std::iter::once(Value::from("$null")).chain(objects);
        let list = dictionary([
            ("$version", Value::from(100_000)),
            ("$archiver", Value::from("NSKeyedArchiver")),
            ("$top", dictionary([("root", uid(1))])),
            ("$objects", Value::Array(objects.collect())),
        ]);
        let mut bytes = Vec::new();
        list.to_writer_binary(&mut bytes).unwrap();
        bytes
    }

    pub(crate) fn dictionary<const N: usize>(entries: [(&str, Value); N]) -> Value {
        let entries = entries.map(|(key, value)| (key.to_owned(), value));
        Value::Dictionary(Dictionary::from_iter(entries))
    }

    pub(crate) fn class(name: &str) -> Value {
        dictionary([
            ("$classname", Value::from(name)),
            ("$classes", Value::Array(vec![Value::from(name)])),
        ])
    }

    pub(crate) fn uid(index: u64) -> Value {
        Value::Uid(Uid::new(index))
    }

    fn uids(indexes: &[u64]) -> Value {
        Value::Array(indexes.iter().copied().map(uid).collect())
    }

    #[test]
    fn objects_of_foundation_become_plain_values() {
        let bytes = archive(vec![
            dictionary([
                ("$class", uid(2)),
                ("title", uid(3)),
                ("url", uid(4)),
                ("all", uid(7)),
                ("none", uid(0)),
            ]),
            class("LPLinkMetadata"),
            Value::from("A page"),
            dictionary([("NS.base", uid(5)), ("NS.relative", uid(6))]),
            dictionary([
                ("NS.base", uid(0)),
                ("NS.relative", Value::from("https://example.org/a/b")),
            ]),
            Value::from("c"),
            dictionary([("NS.keys", uids(&[8])), ("NS.objects", uids(&[9]))]),
            Value::from("list"),
            dictionary([("NS.objects", uids(&[10, 11, 12, 13, 14]))]),
            dictionary([("NS.uuidbytes", Value::Data(vec![0x1a, 0xff]))]),
            dictionary([("NS.data", Value::Data(vec![1]))]),
            dictionary([("NS.string", Value::from("text"))]),
            dictionary([("NS.time", Value::from(1.5))]),
            dictionary([("$class", uid(15))]),
            class("NSNull"),
        ]);
        let text = |text: &str| Plist::Text(text.to_owned());
        let list = Plist::Array(vec![
            text("1aff"),
            Plist::Data(vec![1]),
            text("text"),
            Plist::Date(AppleTime::from_nanos(1_500_000_000)),
            Plist::Null,
        ]);

        let value = decode(&bytes).unwrap();

        assert_eq!(value.get("$class"), Some(&text("LPLinkMetadata")));
        assert_eq!(value.get("title"), Some(&text("A page")));
        assert_eq!(value.get("url"), Some(&text("https://example.org/a/c")));
        assert_eq!(value.get("all").unwrap().get("list"), Some(&list));
        assert_eq!(value.get("none"), Some(&Plist::Null));
    }

    #[test]
    fn an_object_that_contains_itself_stays_a_reference() {
        let bytes = archive(vec![dictionary([("parent", uid(1))])]);

        let value = decode(&bytes).unwrap();

        assert_eq!(value.get("parent"), Some(&Plist::Uid(1)));
    }

    #[test]
    fn an_archive_that_doubles_at_every_level_is_an_ordinary_error() {
        let mut objects: Vec<_> = (2..=30)
            .map(|next| dictionary([("NS.objects", uids(&[next, next]))]))
            .collect();
        objects.push(Value::from("leaf"));

        assert!(matches!(
            decode(&archive(objects)),
            Err(ArchiveError::TooMuch { what: "values", .. })
        ));
    }

    #[test]
    fn a_large_object_named_many_times_is_an_ordinary_error() {
        let names: Vec<_> = (0..20_000).map(|n| (n.to_string(), uid(0))).collect();
        let mut fields: Dictionary = names.into_iter().collect();
        fields.insert("NS.time".to_owned(), Value::from(1.0));
        let bytes = archive(vec![uids(&[2; 20_000]), Value::Dictionary(fields)]);

        assert!(matches!(
            decode(&bytes),
            Err(ArchiveError::TooMuch { what: "values", .. })
        ));
    }

    #[test]
    fn a_deep_archive_is_an_ordinary_error() {
        let objects = (2..=5_000)
            .map(|next| dictionary([("next", uid(next))]))
            .collect();

        assert!(matches!(
            decode(&archive(objects)),
            Err(ArchiveError::TooMuch {
                what: "nesting",
                ..
            })
        ));
    }

    #[test]
    fn references_must_lead_somewhere() {
        let bytes = archive(vec![dictionary([("title", uid(7))])]);

        assert!(matches!(
            decode(&bytes),
            Err(ArchiveError::Dangling { uid: 7, count: 2 })
        ));
    }

    #[test]
    fn other_lists_are_no_archive() {
        let mut bytes = Vec::new();
        dictionary([("$objects", Value::from(1))])
            .to_writer_binary(&mut bytes)
            .unwrap();

        assert!(matches!(
            decode(&bytes),
            Err(ArchiveError::NotAnArchive {
                expected: "objects"
            })
        ));
        assert!(matches!(decode(b""), Err(ArchiveError::Plist(_))));
    }
}
