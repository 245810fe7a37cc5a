//! Whether an event may come into a room: the authorization rules of room version 10, as a pure function of the event and
//! the state before it.
//!
//! What other servers would have to be asked for is not here: knocking, restricted rooms, third-party invites (D27).
//!
//! Source: `[mx v1.12] room version 10, authorization rules`; the numbers of the rules are in the comments.

use serde_json::Value;

use crate::deliver::endpoint::local::event::CREATE;
use crate::deliver::endpoint::local::event::Draft;
use crate::deliver::endpoint::local::event::MEMBER;
use crate::deliver::endpoint::local::event::POWER_LEVELS;
use crate::deliver::endpoint::local::power::Power;
use crate::deliver::endpoint::local::power::malformed;
use crate::deliver::endpoint::local::power::refused_change;
use crate::deliver::endpoint::local::state::Membership;
use crate::deliver::endpoint::local::state::State;

/// Why an event may not come into a room.
pub(super) type Refusal = &'static str;

/// Whether an event may follow a state.
pub(super) fn check(draft: &Draft, state: &State) -> Result<(), Refusal> {
    // 1: the room begins with its creation, which happens once.
    if draft.kind == CREATE {
        return if state.is_empty() {
            Ok(())
        } else {
            Err("the room is created already")
        };
    }
    if state.get(CREATE, "").is_none() {
        return Err("there is no such room");
    }
    // 5: members.
    if draft.kind == MEMBER {
        return member(draft, state);
    }
    // 6: nobody else writes.
    if !state.is_joined(&draft.sender) {
        return Err("you are not in that room");
    }
    // 8: power.
    let power = Power::of(state);
    if power.user(&draft.sender) < power.needed(&draft.kind, draft.state_key.is_some()) {
        return Err("your power level is too low for that");
    }
    // 9: what is somebody's own.
    if let Some(key) = &draft.state_key
        && key.starts_with('@')
        && *key != draft.sender
    {
        return Err("state about a user is that user's");
    }
    // 10: levels.
    if draft.kind == POWER_LEVELS && draft.state_key.is_some() {
        if let Some(refusal) = malformed(&draft.content) {
            return Err(refusal);
        }
        let before = state.get(POWER_LEVELS, "");
        let refusal =
            before.and_then(|before| refused_change(&power, &draft.sender, before, &draft.content));
        return refusal.map_or(Ok(()), Err);
    }
    Ok(())
}

/// 5: who comes, goes, is invited, is sent away.
fn member(draft: &Draft, state: &State) -> Result<(), Refusal> {
    let said = draft.content.get("membership").and_then(Value::as_str);
    let membership = said.and_then(Membership::parse);
    let (Some(membership), Some(target)) = (membership, draft.state_key.as_deref()) else {
        return Err("that is no membership");
    };
    let sender = draft.sender.as_str();
    let power = Power::of(state);
    let before = state.membership(target);
    let is_above = power.user(sender) > power.user(target);
    match membership {
        Membership::Join => {
            let is_founding = state.iter().count() == 1 && state.creator() == Some(target);
            if is_founding && sender == target {
                return Ok(());
            }
            if sender != target {
                return Err("nobody can be made to join");
            }
            match (before, state.join_rule()) {
                (Some(Membership::Ban), _) => Err("you are banned from that room"),
                (Some(Membership::Invite | Membership::Join), _) | (_, "public") => Ok(()),
                _ => Err("you are not invited to that room"),
            }
        }
        Membership::Invite => {
            if !state.is_joined(sender) {
                return Err("you are not in that room");
            }
            match before {
                Some(Membership::Join) => Err("that user is in the room already"),
                Some(Membership::Ban) => Err("that user is banned from the room"),
                _ if !power.may(sender, "invite") => Err("you may not invite into that room"),
                _ => Ok(()),
            }
        }
        Membership::Leave if sender == target => match before {
            Some(Membership::Join | Membership::Invite) => Ok(()),
            _ => Err("you are not in that room"),
        },
        Membership::Leave => {
            if !state.is_joined(sender) {
                return Err("you are not in that room");
            }
            if before == Some(Membership::Ban) && !power.may(sender, "ban") {
                return Err("you may not lift that ban");
            }
            if power.may(sender, "kick") && is_above {
                Ok(())
            } else {
                Err("you may not send that user away")
            }
        }
        Membership::Ban => {
            if !state.is_joined(sender) {
                return Err("you are not in that room");
            }
            if power.may(sender, "ban") && is_above {
                Ok(())
            } else {
                Err("you may not ban that user")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::base::ids::ChangeNumber;
    use crate::deliver::endpoint::local::event::Event;
    use crate::deliver::endpoint::local::event::JOIN_RULES;

    const ADA: &str = "@ada:x";
    const BOB: &str = "@bob:x";
    const CLEO: &str = "@cleo:x";

    fn put(state: &mut State, draft: Draft) {
        state.put(Event {
            at: ChangeNumber(1),
            event_id: String::new(),
            kind: draft.kind,
            sender: draft.sender,
            origin_server_ts: 1,
            content: draft.content,
            state_key: draft.state_key,
            redacts: None,
            before: None,
            redacted_because: None,
            transaction: None,
        });
    }

    fn belongs(user: &str, sender: &str, membership: &str) -> Draft {
        Draft::state(MEMBER, user, sender, json!({ "membership": membership }))
    }

    fn levels(content: Value) -> Draft {
        Draft::state(POWER_LEVELS, "", ADA, content)
    }

    /// A room of Ada's, with others in it or not.
    fn room(rule: &str, others: &[(&str, &str)]) -> State {
        let mut state = State::default();
        put(&mut state, Draft::state(CREATE, "", ADA, json!({})));
        put(&mut state, belongs(ADA, ADA, "join"));
        put(
            &mut state,
            levels(json!({"users": {ADA: 100}, "invite": 50})),
        );
        put(
            &mut state,
            Draft::state(JOIN_RULES, "", ADA, json!({ "join_rule": rule })),
        );
        for (user, membership) in others {
            put(&mut state, belongs(user, user, membership));
        }
        state
    }

    fn may(state: &State, draft: &Draft) -> bool {
        check(draft, state).is_ok()
    }

    #[test]
    fn rule_1_a_room_is_created_once_and_first() {
        let create = Draft::state(CREATE, "", ADA, json!({}));
        assert!(may(&State::default(), &create));
        assert!(!may(&room("public", &[]), &create));
        assert!(!may(&State::default(), &belongs(ADA, ADA, "join")));
    }

    #[test]
    fn rule_5_3_who_joins() {
        for (rule, before, fits) in [
            ("public", None, true),
            ("public", Some("leave"), true),
            ("public", Some("ban"), false),
            ("invite", None, false),
            ("invite", Some("leave"), false),
            ("invite", Some("invite"), true),
            ("invite", Some("join"), true),
            ("knock", None, false),
        ] {
            let before: Vec<(&str, &str)> =
                before.map(|before| (BOB, before)).into_iter().collect();
            let state = room(rule, &before);
            assert_eq!(
                may(&state, &belongs(BOB, BOB, "join")),
                fits,
                "{rule} {before:?}"
            );
            assert!(
                !may(&state, &belongs(BOB, ADA, "join")),
                "nobody is made to join"
            );
        }
        let mut founding = State::default();
        put(&mut founding, Draft::state(CREATE, "", ADA, json!({})));
        assert!(may(&founding, &belongs(ADA, ADA, "join")));
        assert!(!may(&founding, &belongs(BOB, BOB, "join")));
    }

    #[test]
    fn rule_5_4_who_is_invited() {
        let invite = |sender| belongs(CLEO, sender, "invite");
        assert!(may(&room("invite", &[]), &invite(ADA)));
        assert!(!may(&room("invite", &[]), &invite(BOB)), "a stranger");
        assert!(
            !may(&room("invite", &[(BOB, "join")]), &invite(BOB)),
            "too low"
        );
        assert!(
            !may(&room("invite", &[(CLEO, "join")]), &invite(ADA)),
            "there already"
        );
        assert!(
            !may(&room("invite", &[(CLEO, "ban")]), &invite(ADA)),
            "banned"
        );
    }

    #[test]
    fn rule_5_5_who_leaves_and_is_sent_away() {
        for (before, fits) in [
            ("join", true),
            ("invite", true),
            ("leave", false),
            ("ban", false),
        ] {
            let state = room("public", &[(BOB, before)]);
            assert_eq!(may(&state, &belongs(BOB, BOB, "leave")), fits, "{before}");
        }
        let state = room("public", &[(BOB, "join"), (CLEO, "join")]);
        assert!(may(&state, &belongs(BOB, ADA, "leave")));
        assert!(!may(&state, &belongs(BOB, CLEO, "leave")), "too low");
        assert!(!may(&state, &belongs(ADA, BOB, "leave")), "upwards");
        let mut equals = state;
        put(
            &mut equals,
            levels(json!({"users": {ADA: 100, BOB: 50, CLEO: 50}, "ban": 60})),
        );
        assert!(!may(&equals, &belongs(BOB, CLEO, "leave")), "equals");
        put(
            &mut equals,
            levels(json!({"users": {ADA: 100, BOB: 50}, "ban": 60})),
        );
        assert!(may(&equals, &belongs(CLEO, BOB, "leave")));
        put(&mut equals, belongs(CLEO, ADA, "ban"));
        assert!(
            !may(&equals, &belongs(CLEO, BOB, "leave")),
            "lifting a ban takes the level of banning"
        );
    }

    #[test]
    fn rule_5_6_who_bans() {
        let state = room("public", &[(BOB, "join"), (CLEO, "leave")]);
        assert!(may(&state, &belongs(CLEO, ADA, "ban")));
        assert!(!may(&state, &belongs(CLEO, BOB, "ban")));
        assert!(!may(&state, &belongs(ADA, ADA, "ban")), "oneself");
    }

    #[test]
    fn rule_5_7_other_memberships_are_none() {
        let state = room("public", &[]);
        assert!(!may(&state, &belongs(BOB, BOB, "knock")));
        assert!(!may(&state, &Draft::state(MEMBER, BOB, BOB, json!({}))));
    }

    #[test]
    fn rules_6_to_9_who_writes_what() {
        let said = |sender| {
            Draft::said(
                "m.room.message",
                sender,
                crate::matrix::event::Content::new(),
            )
        };
        let mut state = room("public", &[(BOB, "join"), (CLEO, "invite")]);
        assert!(may(&state, &said(BOB)));
        assert!(!may(&state, &said(CLEO)), "not in it");
        let topic = |sender| Draft::state("m.room.topic", "", sender, json!({}));
        assert!(may(&state, &topic(ADA)) && !may(&state, &topic(BOB)));
        put(
            &mut state,
            levels(json!({
                "users": {ADA: 100}, "events_default": 10, "events": {"m.room.topic": 0, "m.low": 0},
            })),
        );
        assert!(!may(&state, &said(BOB)) && may(&state, &topic(BOB)));
        let of = |key| Draft::state("m.room.topic", key, BOB, json!({}));
        assert!(may(&state, &of(BOB)) && !may(&state, &of(ADA)) && may(&state, &of("ada")));
    }

    #[test]
    fn rule_10_nobody_touches_a_level_above_their_own() {
        let mut state = room("public", &[(BOB, "join"), (CLEO, "join")]);
        let before = json!({
            "users": {ADA: 100, BOB: 60, CLEO: 60}, "ban": 70, "kick": 50,
            "events": {"m.high": 90, "m.room.power_levels": 50},
        });
        put(&mut state, levels(before.clone()));
        let with = |change: fn(&mut Value)| {
            let mut content = before.clone();
            change(&mut content);
            Draft::state(POWER_LEVELS, "", BOB, content)
        };
        for (what, draft, fits) in [
            ("nothing", with(|_| {}), true),
            ("a level below", with(|to| to["kick"] = 60.into()), true),
            ("beyond one's own", with(|to| to["kick"] = 61.into()), false),
            ("one that is above", with(|to| to["ban"] = 50.into()), false),
            (
                "an event's",
                with(|to| to["events"]["m.high"] = 1.into()),
                false,
            ),
            (
                "a new event's",
                with(|to| to["events"]["m.new"] = 60.into()),
                true,
            ),
            (
                "a notification's",
                with(|to| to["notifications"] = json!({"room": 61})),
                false,
            ),
            (
                "a stranger's",
                with(|to| to["users"]["@dora:x"] = 60.into()),
                true,
            ),
            (
                "a stranger's, beyond",
                with(|to| to["users"]["@dora:x"] = 61.into()),
                false,
            ),
            (
                "one's own, down",
                with(|to| to["users"]["@bob:x"] = 0.into()),
                true,
            ),
            (
                "one's own, up",
                with(|to| to["users"]["@bob:x"] = 61.into()),
                false,
            ),
            (
                "an equal's",
                with(|to| to["users"]["@cleo:x"] = 0.into()),
                false,
            ),
            (
                "a superior's",
                with(|to| to["users"]["@ada:x"] = 0.into()),
                false,
            ),
            ("no number", with(|to| to["kick"] = "1".into()), false),
            ("no user", with(|to| to["users"] = json!({"bob": 1})), false),
        ] {
            assert_eq!(may(&state, &draft), fits, "{what}");
        }
    }

    #[test]
    fn before_there_are_levels_the_creator_has_all_power() {
        let mut state = State::default();
        put(&mut state, Draft::state(CREATE, "", ADA, json!({})));
        put(&mut state, belongs(ADA, ADA, "join"));
        put(&mut state, belongs(BOB, BOB, "join"));
        assert!(may(&state, &belongs(BOB, ADA, "ban")));
        assert!(!may(&state, &belongs(ADA, BOB, "ban")));
        assert!(may(
            &state,
            &Draft::state("m.room.topic", "", BOB, json!({}))
        ));
    }
}
