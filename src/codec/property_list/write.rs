//! The writer of binary property lists: for the loopback iCloud, fixtures and tests. Nothing that is kept is written so.

use std::time::Duration;
use std::time::SystemTime;

use plist::Value;

use crate::base::time::AppleTime;
use crate::codec::property_list::Plist;

/// Seconds between the epochs of Unix and of Apple.
const APPLE_EPOCH_SECONDS: u64 = 978_307_200;

/// Encodes a value as a binary property list.
///
/// Numbers beyond 64 bits become 0 and null becomes an empty text: ordinary lists have neither.
pub fn encode(list: &Plist) -> Vec<u8> {
    let mut bytes = Vec::new();
    // Writing to memory has no way to fail, and every value of ours has its form.
    drop(foundation(list).to_writer_binary(&mut bytes));
    bytes
}

fn foundation(list: &Plist) -> Value {
    match list {
        Plist::Null => Value::String(String::new()),
        Plist::Boolean(value) => Value::Boolean(*value),
        Plist::Integer(number) => Value::from(i64::try_from(*number).unwrap_or_default()),
        Plist::Real(number) => Value::Real(*number),
        Plist::Text(text) => Value::from(text.as_str()),
        Plist::Data(data) => Value::Data(data.clone()),
        Plist::Date(time) => Value::Date(date(*time).into()),
        Plist::Uid(index) => Value::Uid(plist::Uid::new(*index)),
        Plist::Array(values) => Value::Array(values.iter().map(foundation).collect()),
        Plist::Dictionary(entries) => {
            let entries = entries.iter();
            let entries = entries.map(|(key, value)| (key.clone(), foundation(value)));
            Value::Dictionary(entries.collect())
        }
    }
}

/// Times before 2001 become its beginning.
fn date(time: AppleTime) -> SystemTime {
    let nanos = u64::try_from(time.nanos()).unwrap_or_default();
    let since =
        Duration::from_secs(APPLE_EPOCH_SECONDS).saturating_add(Duration::from_nanos(nanos));
    SystemTime::UNIX_EPOCH
        .checked_add(since)
        .unwrap_or(SystemTime::UNIX_EPOCH)
}
