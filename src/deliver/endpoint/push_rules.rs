//! Push rules: what a client makes a noise for. Kept for clients, and looked into for one thing: whether a room is muted.
//!
//! | request | |
//! |---|---|
//! | `GET /pushrules/`, `/pushrules/global/`, `/pushrules/global/{kind}/` | with the final slash only |
//! | `GET`, `PUT`, `DELETE /pushrules/global/{kind}/{rule}` | a rule; `?before=` and `?after=` place it |
//! | `GET`, `PUT /pushrules/global/{kind}/{rule}/enabled`, `/actions` | its parts |
//!
//! A rule about a room is named by the room's id. Suites name some by an alias: such a rule is kept and matches no room.
//!
//! One set is kept for an account, as the account data `m.push_rules`; until the first change it is the specification's.
//! Rules of the specification that came after the set was written are added when it is read.
//!
//! Source: `[mx v1.12] Push Notifications`; `facts` of the endpoint, 11 and 15.1.

use std::pin::pin;
use std::task::Poll;
use std::task::Waker;

use ruma::OwnedRoomId;
use ruma::OwnedUserId;
use ruma::push::Action;
use ruma::push::AnyPushRuleRef;
use ruma::push::InsertPushRuleError;
use ruma::push::NewConditionalPushRule;
use ruma::push::NewPatternedPushRule;
use ruma::push::NewPushRule;
use ruma::push::NewSimplePushRule;
use ruma::push::PushCondition;
use ruma::push::PushConditionRoomCtx;
use ruma::push::RemovePushRuleError;
use ruma::push::RuleKind;
use ruma::push::Ruleset;
use ruma::serde::Raw;
use serde::Deserialize;
use serde::Serialize;
use serde_json::Value;
use serde_json::json;

use crate::deliver::endpoint::Endpoint;
use crate::deliver::endpoint::account_data::DataEvent;
use crate::deliver::endpoint::call::Answer;
use crate::deliver::endpoint::call::Call;
use crate::deliver::endpoint::call::bad_json;
use crate::deliver::endpoint::call::json;
use crate::deliver::endpoint::call::nothing;
use crate::deliver::endpoint::error::Code;
use crate::deliver::endpoint::error::MatrixError;
use crate::deliver::endpoint::route::Route;
use crate::net::Method;
use crate::net::StatusCode;
use crate::store::Snapshot;
use crate::store::account::Account;
use crate::store::value::AccountData;
use crate::store::value::Opaque;

/// The type of account data that holds them.
pub(super) const PUSH_RULES: &str = "m.push_rules";

/// Begins the alias of a room.
const ALIAS: char = '#';

/// The kinds of rules.
const KINDS: [&str; 5] = ["override", "underride", "sender", "room", "content"];

pub(super) fn routes() -> Vec<Route> {
    let rule = "/pushrules/{scope}/{kind}/{rule}";
    let part = "/pushrules/{scope}/{kind}/{rule}/{part}";
    vec![
        Route::new(Method::GET, "/pushrules/", show_all),
        Route::new(Method::GET, "/pushrules/{scope}/", show_scope),
        Route::new(Method::GET, "/pushrules/{scope}/{kind}/", show_kind),
        Route::new(Method::GET, "/pushrules", incomplete),
        Route::new(Method::GET, "/pushrules/{scope}", incomplete),
        Route::new(Method::GET, "/pushrules/{scope}/{kind}", incomplete),
        Route::new(Method::PUT, "/pushrules", incomplete),
        Route::new(Method::PUT, "/pushrules/", incomplete),
        Route::new(Method::PUT, "/pushrules/{scope}", incomplete),
        Route::new(Method::PUT, "/pushrules/{scope}/", incomplete),
        Route::new(Method::PUT, "/pushrules/{scope}/{kind}", incomplete),
        Route::new(Method::PUT, "/pushrules/{scope}/{kind}/", incomplete),
        Route::new(Method::GET, rule, show),
        Route::new(Method::PUT, rule, put),
        Route::new(Method::DELETE, rule, remove),
        Route::new(Method::GET, part, show_part),
        Route::new(Method::PUT, part, put_part),
    ]
}

/// As it is kept and served.
#[derive(Serialize, Deserialize)]
struct Held {
    global: Ruleset,
}

/// An account's rules.
pub(super) struct Rules(Ruleset);

impl Rules {
    /// As of a snapshot.
    ///
    /// # Errors
    ///
    /// When the store cannot be read.
    pub(super) fn of(
        endpoint: &Endpoint,
        snapshot: &Snapshot,
        account: Account,
    ) -> Result<Self, MatrixError> {
        let held = snapshot.account_data(account, None, PUSH_RULES)?;
        Ok(Self::read(defaults(endpoint, account)?, held.as_ref()))
    }

    fn read(defaults: Ruleset, held: Option<&AccountData>) -> Self {
        let Some(held) = held else {
            return Self(defaults);
        };
        match serde_json::from_slice::<Held>(&held.body.0) {
            Ok(Held { mut global }) => {
                global.update_with_server_default(defaults);
                Self(global)
            }
            Err(error) => {
                // The error itself may quote what a person wrote.
                let column = error.column();
                tracing::warn!(column, "kept push rules could not be read");
                Self(defaults)
            }
        }
    }

    /// Whether nothing in a room is to be counted: by a rule about this room alone, or by the rule that mutes
    /// everything.
    pub(super) fn is_muted(&self, room: &str) -> bool {
        let master = self.0.get(RuleKind::Override, ".m.rule.master");
        if master.is_some_and(AnyPushRuleRef::enabled) {
            return true;
        }
        let is_quiet = |actions: &[Action]| !actions.iter().any(Action::should_notify);
        let is_about = |conditions: &[PushCondition]| {
            matches!(conditions, [PushCondition::EventMatch(only)]
                if only.key == "room_id" && only.pattern == room)
        };
        let mut overrides = self.0.override_.iter();
        if let Some(rule) = overrides.find(|rule| rule.enabled && is_about(&rule.conditions)) {
            return is_quiet(&rule.actions);
        }
        let rule = self.0.room.get(room);
        rule.is_some_and(|rule| rule.enabled && is_quiet(&rule.actions))
    }

    /// Whether an event, as a client sees it, makes a noise, and whether it is to stand out.
    pub(super) fn noise(&self, event: &Value, context: &PushConditionRoomCtx) -> (bool, bool) {
        let Ok(event) = Raw::<Value>::new(event) else {
            return (false, false);
        };
        let actions = pin!(self.0.get_actions(&event, context));
        // Nothing in it waits: the conditions that could are not among those of this server.
        match actions.poll(&mut std::task::Context::from_waker(Waker::noop())) {
            Poll::Ready(actions) => (
                actions.iter().any(Action::should_notify),
                actions.iter().any(Action::is_highlight),
            ),
            Poll::Pending => (false, false),
        }
    }

    /// As served: every kind is there, empty or not.
    fn json(&self) -> Value {
        let mut global = json!(self.0);
        if let Some(global) = global.as_object_mut() {
            for kind in KINDS {
                global.entry(kind).or_insert_with(|| json!([]));
            }
        }
        let rooms = global.get_mut("room").and_then(Value::as_array_mut);
        for id in rooms
            .into_iter()
            .flatten()
            .filter_map(|rule| rule.get_mut("rule_id"))
        {
            let alias = id.as_str().and_then(|id| id.strip_prefix('!'));
            if let Some(alias) = alias.filter(|alias| alias.starts_with(ALIAS)) {
                *id = json!(alias);
            }
        }
        global
    }
}

/// The id under which a rule is kept: of a rule about a room it is a room's, in form at least.
fn kept_id(kind: &RuleKind, id: &str) -> String {
    if *kind == RuleKind::Room && id.starts_with(ALIAS) {
        return format!("!{id}");
    }
    id.to_owned()
}

/// `m.push_rules` for `/sync`: what is kept, or the specification's rules.
///
/// # Errors
///
/// When there is no such account.
pub(super) fn event(
    endpoint: &Endpoint,
    account: Account,
    held: Option<&AccountData>,
) -> Result<DataEvent, MatrixError> {
    let rules = Rules::read(defaults(endpoint, account)?, held);
    Ok(DataEvent::new(
        PUSH_RULES,
        &json!({ "global": rules.json() }),
    ))
}

/// The specification's rules.
fn defaults(endpoint: &Endpoint, account: Account) -> Result<Ruleset, MatrixError> {
    let user = OwnedUserId::try_from(endpoint.user_of(account)?).map_err(|error| {
        tracing::error!(%error, "an account's user id is none");
        MatrixError::new(Code::Unknown, "the account's user id is none")
    })?;
    Ok(Ruleset::server_default(&user))
}

fn rules(endpoint: &Endpoint, call: &Call) -> Result<Value, MatrixError> {
    let snapshot = endpoint.store.snapshot()?;
    Ok(Rules::of(endpoint, &snapshot, call.session()?.account)?.json())
}

/// The kind of rule that the path names.
fn kind(call: &Call) -> Result<RuleKind, MatrixError> {
    scope(call)?;
    let kind = call.segment("kind");
    if KINDS.contains(&kind) {
        return Ok(RuleKind::from(kind));
    }
    Err(MatrixError::invalid("there is no such kind of rules"))
}

fn scope(call: &Call) -> Result<(), MatrixError> {
    if call.segment("scope") == "global" {
        return Ok(());
    }
    Err(MatrixError::invalid("the only scope of rules is `global`"))
}

fn no_rule() -> MatrixError {
    MatrixError::not_found("there is no such rule")
}

fn no_part() -> MatrixError {
    MatrixError::invalid("the parts of a rule are `enabled` and `actions`")
}

/// `GET /_matrix/client/v3/pushrules/`.
fn show_all(endpoint: &Endpoint, call: &Call) -> Answer {
    json(&json!({ "global": rules(endpoint, call)? }))
}

/// `GET /_matrix/client/v3/pushrules/global/`.
fn show_scope(endpoint: &Endpoint, call: &Call) -> Answer {
    scope(call)?;
    json(&rules(endpoint, call)?)
}

/// `GET /_matrix/client/v3/pushrules/global/{kind}/`.
fn show_kind(endpoint: &Endpoint, call: &Call) -> Answer {
    kind(call)?;
    json(&rules(endpoint, call)?.get(call.segment("kind")))
}

/// To read, the same paths end with a slash; to write, a path names a rule.
fn incomplete(_endpoint: &Endpoint, _call: &Call) -> Answer {
    let refused = MatrixError::new(Code::Unrecognized, "that path names no rules");
    Err(refused.with_status(StatusCode::BAD_REQUEST))
}

/// The rule that the path names.
fn rule(endpoint: &Endpoint, call: &Call) -> Result<Value, MatrixError> {
    kind(call)?;
    let rules = rules(endpoint, call)?;
    let of_kind = rules.get(call.segment("kind")).and_then(Value::as_array);
    let mut of_kind = of_kind.into_iter().flatten();
    let found = of_kind.find(|rule| rule["rule_id"] == call.segment("rule"));
    found.cloned().ok_or_else(no_rule)
}

/// `GET /_matrix/client/v3/pushrules/global/{kind}/{rule}`.
fn show(endpoint: &Endpoint, call: &Call) -> Answer {
    json(&rule(endpoint, call)?)
}

/// `GET /_matrix/client/v3/pushrules/global/{kind}/{rule}/enabled` and `/actions`.
fn show_part(endpoint: &Endpoint, call: &Call) -> Answer {
    let part = call.segment("part");
    if !matches!(part, "enabled" | "actions") {
        return Err(no_part());
    }
    json(&json!({ part: rule(endpoint, call)?.get(part) }))
}

#[derive(Deserialize)]
struct Written {
    actions: Option<Vec<Action>>,
    #[serde(default)]
    conditions: Vec<PushCondition>,
    pattern: Option<String>,
}

impl Written {
    /// As a rule of a kind, with an id.
    fn rule(self, kind: &RuleKind, id: &str) -> Result<NewPushRule, MatrixError> {
        let missing =
            |what: &str| MatrixError::new(Code::MissingParam, format!("`{what}` is missing"));
        let actions = self.actions.ok_or_else(|| missing("actions"))?;
        check_actions(&actions)?;
        let conditional =
            |actions| NewConditionalPushRule::new(id.to_owned(), self.conditions, actions);
        if *kind == RuleKind::Override {
            return Ok(NewPushRule::Override(conditional(actions)));
        }
        if *kind == RuleKind::Underride {
            return Ok(NewPushRule::Underride(conditional(actions)));
        }
        if *kind == RuleKind::Content {
            let pattern = self.pattern.ok_or_else(|| missing("pattern"))?;
            let rule = NewPatternedPushRule::new(id.to_owned(), pattern, actions);
            return Ok(NewPushRule::Content(rule));
        }
        if *kind == RuleKind::Room {
            let room = OwnedRoomId::try_from(id)
                .map_err(|_error| MatrixError::invalid("a rule about a room has its id"))?;
            return Ok(NewPushRule::Room(NewSimplePushRule::new(room, actions)));
        }
        let sender = OwnedUserId::try_from(id)
            .map_err(|_error| MatrixError::invalid("a rule about a sender has their id"))?;
        Ok(NewPushRule::Sender(NewSimplePushRule::new(sender, actions)))
    }
}

/// Refuses what is no action: those of the specification, of now and of before, and those that are named with a dot, as
/// what is not of the specification is.
fn check_actions(actions: &[Action]) -> Result<(), MatrixError> {
    let is_known = |action: &Action| match json!(action) {
        Value::String(name) => {
            matches!(name.as_str(), "notify" | "dont_notify" | "coalesce") || name.contains('.')
        }
        Value::Object(members) => members
            .keys()
            .any(|name| name == "set_tweak" || name.contains('.')),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) => false,
    };
    if actions.iter().all(is_known) {
        return Ok(());
    }
    Err(MatrixError::new(Code::BadJson, "there is no such action"))
}

/// `PUT /_matrix/client/v3/pushrules/global/{kind}/{rule}`.
fn put(endpoint: &Endpoint, call: &Call) -> Answer {
    let kind = kind(call)?;
    let id = kept_id(&kind, call.segment("rule"));
    let rule = call.json::<Written>()?.rule(&kind, &id)?;
    let [before, after] =
        ["before", "after"].map(|name| call.param(name).map(|id| kept_id(&kind, id)));
    if [&before, &after].contains(&&Some(id.clone())) {
        return Err(MatrixError::invalid(
            "a rule has no place relative to itself",
        ));
    }
    change(endpoint, call, move |rules| {
        let held = rules.get(kind.clone(), &id);
        let was_enabled = held.is_none_or(AnyPushRuleRef::enabled);
        if before.is_some() || after.is_some() {
            // `insert` moves only what it adds to a place that is there.
            match rules.remove(kind.clone(), &id) {
                Ok(()) | Err(_) => {}
            }
        }
        rules
            .insert(rule, after.as_deref(), before.as_deref())
            .map_err(|error| refused(&error))?;
        rules
            .set_enabled(kind, &id, was_enabled)
            .map_err(|_not_there| no_rule())
    })
}

fn refused(error: &InsertPushRuleError) -> MatrixError {
    MatrixError::invalid(error.to_string())
}

/// `DELETE /_matrix/client/v3/pushrules/global/{kind}/{rule}`.
fn remove(endpoint: &Endpoint, call: &Call) -> Answer {
    let kind = kind(call)?;
    let id = kept_id(&kind, call.segment("rule"));
    change(endpoint, call, move |rules| {
        rules.remove(kind, &id).map_err(|error| {
            if matches!(error, RemovePushRuleError::NotFound) {
                no_rule()
            } else {
                MatrixError::invalid(error.to_string())
            }
        })
    })
}

#[derive(Deserialize)]
struct Enabled {
    enabled: bool,
}

#[derive(Deserialize)]
struct Actions {
    actions: Vec<Action>,
}

/// `PUT /_matrix/client/v3/pushrules/global/{kind}/{rule}/enabled` and `/actions`.
fn put_part(endpoint: &Endpoint, call: &Call) -> Answer {
    let kind = kind(call)?;
    let id = kept_id(&kind, call.segment("rule"));
    match call.segment("part") {
        "enabled" => {
            let Enabled { enabled } = call.json()?;
            change(endpoint, call, move |rules| {
                let done = rules.set_enabled(kind, &id, enabled);
                done.map_err(|_not_there| no_rule())
            })
        }
        "actions" => {
            let Actions { actions } = call.json()?;
            check_actions(&actions)?;
            change(endpoint, call, move |rules| {
                let done = rules.set_actions(kind, &id, actions);
                done.map_err(|_not_there| no_rule())
            })
        }
        _ => Err(no_part()),
    }
}

/// Changes the rules of who asks. Every client hears of it by way of `/sync`.
fn change(
    endpoint: &Endpoint,
    call: &Call,
    change: impl FnOnce(&mut Ruleset) -> Result<(), MatrixError> + Send + 'static,
) -> Answer {
    let account = call.session()?.account;
    let defaults = defaults(endpoint, account)?;
    endpoint.write(move |transaction| {
        let held = transaction.account_data(account, None, PUSH_RULES)?;
        let Rules(mut global) = Rules::read(defaults, held.as_ref());
        if let Err(error) = change(&mut global) {
            return Ok(Err(error));
        }
        match serde_json::to_vec(&Held { global }) {
            Ok(body) => {
                transaction.put_account_data(account, None, PUSH_RULES, Opaque(body))?;
                Ok(Ok(()))
            }
            Err(error) => Ok(Err(bad_json(&error))),
        }
    })??;
    nothing()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::ids::ChangeNumber;
    use crate::deliver::endpoint::account_data::global_account_data;
    use crate::deliver::endpoint::testing::ADA;
    use crate::deliver::endpoint::testing::World;

    const ROOM: &str = "!room:example.org";

    async fn ids(world: &World, kind: &str) -> Vec<String> {
        let rules = world.get(&format!("/pushrules/global/{kind}/")).await.ok();
        let id = |rule: &Value| rule["rule_id"].as_str().unwrap().to_owned();
        rules.as_array().unwrap().iter().map(id).collect()
    }

    async fn put(world: &World, path: &str, body: Value) -> u16 {
        world
            .put(&format!("/pushrules/global/{path}"), body)
            .await
            .status
    }

    fn is_muted(world: &World) -> bool {
        let snapshot = world.store.snapshot().unwrap();
        let rules = Rules::of(world.endpoint(), &snapshot, Account::OWNER).unwrap();
        rules.is_muted(ROOM)
    }

    #[tokio::test]
    async fn everybody_begins_with_the_rules_of_the_specification() {
        let world = World::new();

        let all = world.get("/pushrules/").await.ok();

        assert_eq!(all["global"]["override"][0]["rule_id"], ".m.rule.master");
        for kind in KINDS {
            assert!(all["global"][kind].is_array(), "{kind}");
        }
        let mention = world
            .get("/pushrules/global/override/.m.rule.is_user_mention")
            .await
            .ok();
        assert_eq!(mention["conditions"][0]["value"], ADA);
        assert_eq!(world.get("/pushrules/global/").await.ok(), all["global"]);
        let path = format!("/user/{ADA}/account_data/m.push_rules");
        assert_eq!(world.get(&path).await.ok(), all);
    }

    #[tokio::test]
    async fn paths_that_name_nothing_are_refused() {
        let world = World::new();

        for (path, status) in [
            ("/pushrules", 400),
            ("/pushrules/global", 400),
            ("/pushrules/global/override", 400),
            ("/pushrules/other/", 400),
            ("/pushrules/global/other/", 400),
            ("/pushrules/global/other/x", 400),
            ("/pushrules/global/override/none", 404),
            ("/pushrules/global/override/none/enabled", 404),
            ("/pushrules/global/override/.m.rule.master/other", 400),
        ] {
            assert_eq!(world.get(path).await.status, status, "{path}");
        }
        for path in ["/pushrules", "/pushrules/global/", "/pushrules/global/room"] {
            let reply = world.put(path, json!({"actions": []})).await;
            assert_eq!(reply.refusal(), (400, "M_UNRECOGNIZED"), "{path}");
        }
    }

    #[tokio::test]
    async fn a_rule_is_added_changed_and_removed() {
        let world = World::new();
        let body = json!({"actions": ["notify"], "pattern": "tea"});

        assert_eq!(put(&world, "content/tea", body).await, 200);
        assert_eq!(
            put(&world, "content/tea/enabled", json!({"enabled": false})).await,
            200
        );
        let loud = json!({"actions": ["notify", {"set_tweak": "highlight"}], "pattern": "teatime"});
        assert_eq!(put(&world, "content/tea", loud).await, 200);

        let rule = world.get("/pushrules/global/content/tea").await.ok();
        let expected = json!({
            "rule_id": "tea", "default": false, "enabled": false, "pattern": "teatime",
            "actions": ["notify", {"set_tweak": "highlight"}],
        });
        assert_eq!(rule, expected);
        let enabled = world
            .get("/pushrules/global/content/tea/enabled")
            .await
            .ok();
        assert_eq!(enabled, json!({"enabled": false}));
        world.delete("/pushrules/global/content/tea").await.ok();
        let gone = world.delete("/pushrules/global/content/tea").await;
        assert_eq!(gone.refusal(), (404, "M_NOT_FOUND"));
    }

    #[tokio::test]
    async fn rules_of_the_specification_change_but_stay() {
        let world = World::new();
        let master = "override/.m.rule.master";

        assert_eq!(
            put(
                &world,
                &format!("{master}/enabled"),
                json!({"enabled": true})
            )
            .await,
            200
        );
        let actions = json!({"actions": ["notify"]});
        assert_eq!(
            put(&world, &format!("{master}/actions"), actions.clone()).await,
            200
        );

        let rule = world.get(&format!("/pushrules/global/{master}")).await.ok();
        assert_eq!(
            (&rule["enabled"], &rule["actions"]),
            (&json!(true), &actions["actions"])
        );
        assert_eq!(
            world
                .delete(&format!("/pushrules/global/{master}"))
                .await
                .status,
            400
        );
        assert_eq!(put(&world, master, actions).await, 400);
    }

    #[tokio::test]
    async fn rules_are_placed_before_and_after_others() {
        let world = World::new();
        let body = || json!({"actions": [], "pattern": "x"});
        for id in ["a", "b", "c"] {
            assert_eq!(put(&world, &format!("content/{id}"), body()).await, 200);
        }
        assert_eq!(ids(&world, "content").await, ["c", "b", "a"]);

        // The rule behind the last place is there already.
        assert_eq!(put(&world, "content/c?after=a", body()).await, 200);
        assert_eq!(ids(&world, "content").await, ["b", "a", "c"]);
        assert_eq!(put(&world, "content/d?before=a", body()).await, 200);
        assert_eq!(ids(&world, "content").await, ["b", "d", "a", "c"]);

        for place in [
            "after=none",
            "before=none",
            "after=a",
            "before=.m.rule.master",
        ] {
            assert_eq!(
                put(&world, &format!("content/a?{place}"), body()).await,
                400,
                "{place}"
            );
        }
        assert_eq!(ids(&world, "content").await, ["b", "d", "a", "c"]);
    }

    #[tokio::test]
    async fn rules_without_what_they_need_are_refused() {
        let world = World::new();

        for (path, body) in [
            ("content/x", json!({"actions": []})),
            ("override/x", json!({})),
            ("room/x", json!({"actions": []})),
            ("sender/x", json!({"actions": []})),
            ("override/.mine", json!({"actions": []})),
            ("override/x", json!({"actions": "notify"})),
            ("override/x", json!({"actions": ["not_an_action"]})),
            ("override/x", json!({"actions": [{"highlight": true}]})),
            ("room/%23a%5Cb:example.org", json!({})),
        ] {
            assert_eq!(put(&world, path, body).await, 400, "{path}");
        }
        assert_eq!(
            put(&world, "override/x/enabled", json!({"enabled": true})).await,
            404
        );
    }

    #[tokio::test]
    async fn actions_of_before_and_of_others_are_kept() {
        let world = World::new();
        let actions = json!({"actions": ["dont_notify", "coalesce", "org.example.quietly"]});
        let path = "override/.m.rule.master/actions";

        assert_eq!(put(&world, path, actions.clone()).await, 200);

        assert_eq!(
            world.get(&format!("/pushrules/global/{path}")).await.ok(),
            actions
        );
        let wrong = json!({"actions": ["not_an_action"]});
        assert_eq!(put(&world, path, wrong).await, 400);
    }

    #[tokio::test]
    async fn a_rule_about_an_alias_is_kept_like_any_other() {
        let world = World::new();
        let alias = |name: &str| format!("room/%23{name}:example.org");
        let body = || json!({"actions": ["notify"]});

        assert_eq!(put(&world, &alias("a"), body()).await, 200);
        assert_eq!(put(&world, &alias("b"), body()).await, 200);
        let behind = format!("{}?after=%23a:example.org", alias("c"));
        assert_eq!(put(&world, &behind, body()).await, 200);
        let off = format!("{}/enabled", alias("c"));
        assert_eq!(put(&world, &off, json!({"enabled": false})).await, 200);

        let named = ["#b:example.org", "#a:example.org", "#c:example.org"];
        assert_eq!(ids(&world, "room").await, named);
        let path = format!("/pushrules/global/{}", alias("c"));
        let rule = world.get(&path).await.ok();
        assert_eq!(
            (&rule["rule_id"], &rule["enabled"]),
            (&json!(named[2]), &json!(false))
        );
        world.delete(&path).await.ok();
        assert_eq!(ids(&world, "room").await, named[..2]);
    }

    #[tokio::test]
    async fn a_change_reaches_sync() {
        let world = World::new();
        let before = world.store.snapshot().unwrap().last_change().unwrap();

        assert_eq!(
            put(&world, &format!("room/{ROOM}"), json!({"actions": []})).await,
            200
        );

        let snapshot = world.store.snapshot().unwrap();
        let present = world.endpoint().present(&snapshot).unwrap();
        let of = |since: ChangeNumber| {
            let owner = Account::OWNER;
            global_account_data(world.endpoint(), &snapshot, &present, owner, since).unwrap()
        };
        let events = of(before);
        assert_eq!(events.len(), 1);
        assert_eq!(events[0].kind, PUSH_RULES);
        let content: Value = serde_json::from_str(events[0].content.get()).unwrap();
        assert_eq!(content["global"]["room"][0]["rule_id"], ROOM);
        assert!(of(snapshot.last_change().unwrap()).is_empty());
    }

    #[tokio::test]
    async fn a_room_is_muted_by_a_rule_about_it() {
        let world = World::new();
        assert!(!is_muted(&world));

        assert_eq!(
            put(&world, &format!("room/{ROOM}"), json!({"actions": []})).await,
            200
        );
        assert!(is_muted(&world));
        let loud = json!({"actions": ["notify"]});
        assert_eq!(put(&world, &format!("room/{ROOM}"), loud).await, 200);
        assert!(!is_muted(&world));

        let about = json!([{"kind": "event_match", "key": "room_id", "pattern": ROOM}]);
        let mute = json!({"actions": ["dont_notify"], "conditions": about});
        assert_eq!(put(&world, &format!("override/{ROOM}"), mute).await, 200);
        assert!(is_muted(&world));
    }

    #[tokio::test]
    async fn the_master_rule_mutes_everything() {
        let world = World::new();

        let path = "override/.m.rule.master/enabled";
        assert_eq!(put(&world, path, json!({"enabled": true})).await, 200);

        assert!(is_muted(&world));
    }
}
