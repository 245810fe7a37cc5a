//! Polls and votes, which Messages writes as JSON in Base64 in a URL: `data:,<Base64>?src=p&c=4`.
//!
//! | JSON | content |
//! |---|---|
//! | `item.orderedPollOptions[]`: `optionIdentifier`, `text`; `item.title` | a poll |
//! | `item.votes[]`: `voteOptionIdentifier`, `participantHandle` | votes |
//!
//! Source: `[obs]` iOS 26, `app_message/PollCreate`, `app_message/PollVote2`.

use serde_json::Value;

use crate::decode::chatdb::Directory;
use crate::model::message::AppContent;
use crate::model::message::PollOption;

/// The poll or the votes in a balloon's URL; `None` when it is neither.
pub(super) fn content(url: &str, people: &Directory) -> Option<AppContent> {
    let encoded = url.strip_prefix("data:,")?.split('?').next()?;
    let json: Value = serde_json::from_slice(&base64(encoded)?).ok()?;
    let item = json.get("item")?;
    if let Some(options) = item.get("orderedPollOptions").and_then(Value::as_array) {
        return Some(AppContent::Poll {
            title: text(item, "title"),
            options: options.iter().filter_map(option).collect(),
        });
    }
    let votes = item.get("votes")?.as_array()?;
    let chosen = |vote: &Value| {
        let who = vote.get("participantHandle").and_then(Value::as_str);
        Some((text(vote, "voteOptionIdentifier")?, people.handle(who)))
    };
    Some(AppContent::Votes(votes.iter().filter_map(chosen).collect()))
}

fn option(option: &Value) -> Option<PollOption> {
    Some(PollOption {
        id: text(option, "optionIdentifier")?,
        text: text(option, "text").unwrap_or_default(),
    })
}

fn text(object: &Value, key: &str) -> Option<String> {
    let text = object.get(key)?.as_str()?;
    (!text.is_empty()).then(|| text.to_owned())
}

/// The bytes of Base64 in either alphabet; padding is not asked for.
fn base64(text: &str) -> Option<Vec<u8>> {
    let text = text.trim_end_matches('=');
    let mut bytes = Vec::with_capacity(text.len());
    let (mut buffer, mut bits) = (0_u32, 0_u32);
    for c in text.bytes() {
        let value = match c {
            b'A'..=b'Z' => c.wrapping_sub(b'A'),
            b'a'..=b'z' => c.wrapping_sub(b'a').wrapping_add(26),
            b'0'..=b'9' => c.wrapping_sub(b'0').wrapping_add(52),
            b'+' | b'-' => 62,
            b'/' | b'_' => 63,
            _ => return None,
        };
        buffer = (buffer << 6) | u32::from(value);
        bits = bits.wrapping_add(6);
        if bits >= 8 {
            bits = bits.wrapping_sub(8);
            bytes.push(u8::try_from((buffer >> bits) & 0xff).ok()?);
        }
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::base64;
    use super::content;
    use crate::base::ids::Handle;
    use crate::decode::chatdb::Directory;
    use crate::model::message::AppContent;
    use crate::model::message::PollOption;

    /// `{"item":{"title":"","orderedPollOptions":[{"optionIdentifier":"A","text":"Tea?"}]}}`
    const POLL: &str = "eyJpdGVtIjp7InRpdGxlIjoiIiwib3JkZXJlZFBvbGxPcHRpb25zIjpbeyJvcHRpb25JZGVudGlmaWVyIjoiQSIsInRleHQiOiJUZWE_In1dfX0";

    /// `{"item":{"votes":[{"participantHandle":"+15550100001","voteOptionIdentifier":"A"},{"voteOptionIdentifier":"B"}]}}`
    const VOTES: &str = "eyJpdGVtIjp7InZvdGVzIjpbeyJwYXJ0aWNpcGFudEhhbmRsZSI6IisxNTU1MDEwMDAwMSIsInZvdGVPcHRpb25JZGVudGlmaWVyIjoiQSJ9LHsidm90ZU9wdGlvbklkZW50aWZpZXIiOiJCIn1dfX0=";

    #[test]
    fn base64_is_read_in_both_alphabets() {
        assert_eq!(base64("Zm9vYmFy").unwrap(), b"foobar");
        assert_eq!(base64("Zm9vYg==").unwrap(), b"foob");
        assert_eq!(base64("_-8").unwrap(), base64("/+8=").unwrap());
        assert_eq!(base64("a b"), None);
    }

    #[test]
    fn a_poll_has_its_options() {
        let poll = content(&format!("data:,{POLL}?src=p&c=4"), &Directory::default());

        let expected = AppContent::Poll {
            title: None,
            options: vec![PollOption {
                id: "A".to_owned(),
                text: "Tea?".to_owned(),
            }],
        };
        assert_eq!(poll, Some(expected));
    }

    #[test]
    fn votes_name_the_option_and_the_voter() {
        let votes = content(&format!("data:,{VOTES}"), &Directory::default());

        let ada = Handle::from_normal("tel:+15550100001".to_owned());
        let expected = vec![("A".to_owned(), Some(ada)), ("B".to_owned(), None)];
        assert_eq!(votes, Some(AppContent::Votes(expected)));
    }

    #[test]
    fn other_urls_are_no_polls() {
        for url in [
            "https://example.org",
            "data:,",
            "data:,bnVsbA==",
            "data:,e30",
        ] {
            assert_eq!(content(url, &Directory::default()), None, "{url}");
        }
    }
}
