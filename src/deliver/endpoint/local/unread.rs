//! How much of a local room its user has not read, by their push rules.
//!
//! Read is what a receipt of the user's says, what came before they did, and what came before something of their own.
//!
//! Source: `[mx v1.12] Receiving notifications, Threaded read receipts`.

use std::collections::BTreeMap;
use std::collections::HashMap;
use std::collections::HashSet;
use std::ops::Bound;

use ruma::Int;
use ruma::OwnedRoomId;
use ruma::OwnedUserId;
use ruma::UInt;
use ruma::power_levels::NotificationPowerLevels;
use ruma::push::PushConditionPowerLevelsCtx;
use ruma::push::PushConditionRoomCtx;
use ruma::room_version_rules::AuthorizationRules;
use ruma::room_version_rules::RoomPowerLevelsRules;
use serde_json::Value;
use serde_json::json;

use crate::base::limits::PAGE_LOOKED_AT;
use crate::base::limits::UNREAD_COUNTED;
use crate::base::time::AppleTime;
use crate::deliver::endpoint::error::MatrixError;
use crate::deliver::endpoint::local::Asked;
use crate::deliver::endpoint::local::event::Event;
use crate::deliver::endpoint::local::event::MEMBER;
use crate::deliver::endpoint::local::event::POWER_LEVELS;
use crate::deliver::endpoint::local::power::Power;
use crate::deliver::endpoint::local::send::order;
use crate::deliver::endpoint::local::state::State;
use crate::deliver::endpoint::push_rules::Rules;
use crate::deliver::endpoint::receipts::READ;
use crate::deliver::endpoint::receipts::READ_PRIVATE;
use crate::store::Direction;

/// The thread of what is in none, as receipts call it.
const MAIN: &str = "main";

/// How much was not read.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Count {
    notifications: u64,
    highlights: u64,
}

impl Count {
    pub(super) fn json(self) -> Value {
        json!({
            "notification_count": self.notifications,
            "highlight_count": self.highlights,
        })
    }
}

/// The same by thread.
#[derive(Default)]
pub(super) struct Counts {
    pub(super) main: Count,
    threads: BTreeMap<String, Count>,
}

impl Counts {
    /// Of the room with its threads.
    pub(super) fn all(&self) -> Count {
        let counts = self.threads.values().chain([&self.main]);
        counts.fold(Count::default(), |sum, count| Count {
            notifications: sum.notifications + count.notifications,
            highlights: sum.highlights + count.highlights,
        })
    }

    /// By the roots of threads; `None` where all of them are read, which clients take as just that.
    pub(super) fn threads_json(&self) -> Option<Value> {
        let threads = self.threads.iter();
        let threads: Value = threads
            .map(|(root, count)| (root.clone(), count.json()))
            .collect();
        Some(threads).filter(|_| !self.threads.is_empty())
    }
}

/// What the user of a question has not read.
pub(super) fn counts(
    asked: &Asked<'_>,
    state: &State,
    rules: &Rules,
) -> Result<Counts, MatrixError> {
    let mut counts = Counts::default();
    let mut read: HashMap<Option<String>, AppleTime> = HashMap::new();
    for held in asked
        .room
        .snapshot
        .receipts(asked.session.account, asked.room.row)?
    {
        if [READ, READ_PRIVATE].contains(&held.kind.as_str()) {
            let place = read.entry(held.receipt.thread).or_default();
            *place = held.receipt.time.max(*place);
        }
    }
    let everywhere = read.get(&None).copied().unwrap_or_default();
    let Some(context) = context(asked, state) else {
        return Ok(counts);
    };
    let mut done: HashSet<String> = HashSet::new();
    let walk = asked.room.walk(Bound::Unbounded, Direction::Backward);
    for event in walk.take(PAGE_LOOKED_AT) {
        let event = event?;
        let place = order(&event);
        if event.at <= asked.eyes.since_join() || place <= everywhere {
            break;
        }
        let thread = event.thread().unwrap_or(MAIN);
        let is_read = read
            .get(&Some(thread.to_owned()))
            .is_some_and(|read| place <= *read);
        let is_own = event.sender == asked.user && event.state_key.is_none();
        if is_read || is_own {
            done.insert(thread.to_owned());
        }
        if is_own && thread == MAIN && read.keys().all(Option::is_none) {
            // Who writes into the room has seen it.
            break;
        }
        if done.contains(thread)
            || event.sender == asked.user
            || event.redacted_because.is_some()
            || !asked.eyes.see(&event)
        {
            continue;
        }
        let (notifies, highlights) = rules.noise(&event.json(&asked.reader(), None), &context);
        let count = match event.thread() {
            Some(root) => counts.threads.entry(root.to_owned()).or_default(),
            None => &mut counts.main,
        };
        count.notifications += u64::from(notifies);
        count.highlights += u64::from(notifies && highlights);
        if count.notifications >= UNREAD_COUNTED {
            done.insert(thread.to_owned());
        }
    }
    Ok(counts)
}

/// What rules ask about a room and its user; `None` where an id is none that rules know.
fn context(asked: &Asked<'_>, state: &State) -> Option<PushConditionRoomCtx> {
    let power = Power::of(state);
    let level = |level: i64| Int::try_from(level).unwrap_or_default();
    let levels = state.get(POWER_LEVELS, "").map(|event| &event.content);
    let users = levels
        .and_then(|levels| levels.get("users"))
        .and_then(Value::as_object);
    let users = users.into_iter().flatten().filter_map(|(user, held)| {
        Some((
            OwnedUserId::try_from(user.as_str()).ok()?,
            level(held.as_i64()?),
        ))
    });
    let mut notifications = NotificationPowerLevels::new();
    let room = levels
        .and_then(|levels| levels.get("notifications")?.get("room"))
        .and_then(Value::as_i64);
    if let Some(room) = room {
        notifications.room = level(room);
    }
    let name = state
        .get(MEMBER, &asked.user)
        .and_then(|event: &Event| event.text("displayname"));
    let mut context = PushConditionRoomCtx::new(
        OwnedRoomId::try_from(asked.room.id.as_str()).ok()?,
        UInt::try_from(state.joined().count()).ok()?,
        OwnedUserId::try_from(asked.user.as_str()).ok()?,
        name.unwrap_or_default().to_owned(),
    );
    context.power_levels = Some(PushConditionPowerLevelsCtx::new(
        users.collect(),
        level(power.plain("users_default")),
        notifications,
        RoomPowerLevelsRules::new(&AuthorizationRules::V10, []),
    ));
    Some(context)
}
