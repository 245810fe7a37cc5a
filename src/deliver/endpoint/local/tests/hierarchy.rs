use std::time::Duration;

use super::*;

/// Spaces and rooms, each with its name.
struct Tree {
    stage: Stage,
    names: Vec<(String, String)>,
}

impl Tree {
    async fn new() -> Self {
        let (stage, names) = (Stage::new().await, Vec::new());
        Self { stage, names }
    }

    async fn add(&mut self, name: &str, preset: &str, how: Value) -> String {
        let mut how = how;
        how["name"] = json!(name);
        how["preset"] = json!(preset);
        let id = self.stage.room(how).await;
        self.names.push((id.clone(), name.to_owned()));
        id
    }

    async fn space(&mut self, name: &str) -> String {
        let kind = json!({"creation_content": {"type": "m.space"}});
        self.add(name, "public_chat", kind).await
    }

    async fn link(&self, space: &str, child: &str, content: Value) {
        let stage = &self.stage;
        // Children without an order are told apart by time.
        stage.world.pass(Duration::from_millis(1));
        stage
            .set(&stage.ada, space, "m.space.child", child, content)
            .await;
    }

    /// The answer with the rooms as `name: children`.
    async fn look(&self, user: &User, path: &str) -> (Vec<String>, Option<String>) {
        let path = format!("/_matrix/client/v1/rooms/{path}");
        let answer = get(&self.stage.world, user, &path).await;
        let name = |id: &Value| {
            let named = self
                .names
                .iter()
                .find(|(named, _)| named == id.as_str().unwrap());
            named.unwrap().1.clone()
        };
        let shown = |room: &Value| {
            let children = room["children_state"].as_array().unwrap();
            let children: Vec<String> = children
                .iter()
                .map(|link| name(&link["state_key"]))
                .collect();
            assert_eq!(room["name"], name(&room["room_id"]).as_str());
            format!("{}: {}", name(&room["room_id"]), children.join(" "))
        };
        let rooms = answer["rooms"]
            .as_array()
            .unwrap()
            .iter()
            .map(shown)
            .collect();
        (rooms, answer["next_batch"].as_str().map(str::to_owned))
    }
}

/// A space with a room, a space and a room that few see, and below it the space itself.
async fn tree() -> (Tree, String) {
    let mut tree = Tree::new().await;
    let root = tree.space("root").await;
    let below = tree.space("below").await;
    let garden = tree.add("garden", "public_chat", json!({})).await;
    let secret = tree.add("secret", "private_chat", json!({})).await;
    let shed = tree.add("shed", "public_chat", json!({})).await;
    let via = json!(["example.org"]);
    tree.link(&root, &garden, json!({"via": via, "suggested": true}))
        .await;
    tree.link(&root, &below, json!({"via": via, "order": "a"}))
        .await;
    tree.link(&root, &secret, json!({"via": via})).await;
    tree.link(&root, "!gone:example.org", json!({})).await;
    tree.link(&below, &shed, json!({"via": via})).await;
    tree.link(&below, &root, json!({"via": via, "order": "\u{7f}"}))
        .await;
    (tree, root)
}

#[tokio::test]
async fn a_space_is_walked_in_its_order_and_each_room_once() {
    let (tree, root) = tree().await;
    let (stage, all) = (&tree.stage, format!("{root}/hierarchy"));

    let (mine, more) = tree.look(&stage.ada, &all).await;
    assert_eq!(
        mine,
        [
            "root: below garden secret",
            "below: shed root",
            "shed: ",
            "garden: ",
            "secret: "
        ]
    );
    assert_eq!(more, None);
    let (theirs, _) = tree.look(&stage.bob, &all).await;
    assert_eq!(theirs, mine[..4]);
    let (suggested, _) = tree
        .look(&stage.ada, &format!("{all}?suggested_only=true"))
        .await;
    assert_eq!(suggested, ["root: garden", "garden: "]);
    let (upper, _) = tree.look(&stage.ada, &format!("{all}?max_depth=1")).await;
    assert_eq!(
        upper,
        [
            "root: below garden secret",
            "below: ",
            "garden: ",
            "secret: "
        ]
    );
}

#[tokio::test]
async fn a_space_comes_in_pages() {
    let (tree, root) = tree().await;
    let (stage, all) = (&tree.stage, format!("{root}/hierarchy"));
    let (expected, _) = tree.look(&stage.ada, &all).await;

    let (mut rooms, mut more) = tree.look(&stage.ada, &format!("{all}?limit=2")).await;
    let first = more.clone().unwrap();
    while let Some(token) = more {
        let (page, next) = tree
            .look(&stage.ada, &format!("{all}?limit=2&from={token}"))
            .await;
        assert!(page.len() <= 2);
        rooms.extend(page);
        more = next;
    }

    assert_eq!(rooms, expected);
    for wrong in [
        "from=x".to_owned(),
        format!("max_depth=1&from={first}"),
        format!("suggested_only=true&from={first}"),
        "limit=0".to_owned(),
        "suggested_only=1".to_owned(),
    ] {
        let path = format!("/_matrix/client/v1/rooms/{all}?{wrong}");
        let refused = stage
            .refused(&stage.ada, Method::GET, &path, Value::Null)
            .await;
        assert_eq!(refused, (400, "M_INVALID_PARAM".to_owned()), "{wrong}");
    }
}

#[tokio::test]
async fn a_room_is_seen_by_who_may_enter_it() {
    let mut tree = Tree::new().await;
    let space = tree.space("space").await;
    let room = tree.add("room", "private_chat", json!({})).await;
    let path = format!("/_matrix/client/v1/rooms/{room}/hierarchy");
    let (ada, bob) = (&tree.stage.ada, &tree.stage.bob);

    let refused = tree
        .stage
        .refused(bob, Method::GET, &path, Value::Null)
        .await;
    assert_eq!(refused, (403, "M_FORBIDDEN".to_owned()));
    let rule = json!({
        "join_rule": "restricted", "allow": [{"type": "m.room_membership", "room_id": space}],
    });
    tree.stage
        .set(ada, &room, "m.room.join_rules", "", rule)
        .await;
    let refused = tree
        .stage
        .refused(bob, Method::GET, &path, Value::Null)
        .await;
    assert_eq!(refused, (403, "M_FORBIDDEN".to_owned()));
    tree.stage.join(bob, &space).await;

    let (rooms, _) = tree.look(bob, &format!("{room}/hierarchy")).await;
    assert_eq!(rooms, ["room: "]);
}
