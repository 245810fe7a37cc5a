"""matrix-nio against footbridge: everything that it offers a script, and every room read back to its beginning.

Environment: FOOTBRIDGE_URL, FOOTBRIDGE_USER, FOOTBRIDGE_PASSWORD. Prints one JSON object: by room id, its name, members,
unread messages and the ids of its events, newest first. Ends with an error at the first answer that is not what the
client expects.
"""

import asyncio
import io
import json
import os
import sys

import nio


def expect(response, kind):
    if not isinstance(response, kind):
        sys.exit(f"{kind.__name__} expected: {response}")
    return response


async def read_back(client, room, start):
    """Ids of a room's events from a token back to the beginning."""
    ids, token = [], start
    while token:
        page = expect(
            await client.room_messages(room, token, limit=100, direction=nio.MessageDirection.back),
            nio.RoomMessagesResponse,
        )
        ids.extend(event.event_id for event in page.chunk)
        if page.end == token:
            sys.exit(f"{room}: a page led nowhere")
        token = page.end
    return ids


async def use(client, room, sync):
    """Everything else that there is to ask, and that is answered."""
    last = sync.rooms.join[room].timeline.events[-1].event_id
    ghost = next(user for user in client.rooms[room].users if user != client.user_id)
    answers = [
        (nio.LoginInfoResponse, client.login_info),
        (nio.DiscoveryInfoResponse, client.discovery_info),
        (nio.ContentRepositoryConfigResponse, client.content_repository_config),
        (nio.JoinedRoomsResponse, client.joined_rooms),
        (nio.DirectRoomsResponse, client.list_direct_rooms),
        (nio.JoinedMembersResponse, client.joined_members, room),
        (nio.RoomGetEventResponse, client.room_get_event, room, last),
        (nio.RoomContextResponse, client.room_context, room, last),
        (nio.RoomGetStateResponse, client.room_get_state, room),
        (nio.RoomGetStateEventResponse, client.room_get_state_event, room, "m.room.power_levels"),
        (nio.RoomGetVisibilityResponse, client.room_get_visibility, room),
        (nio.RoomReadMarkersResponse, client.room_read_markers, room, last, last),
        (nio.UpdateReceiptMarkerResponse, client.update_receipt_marker, room, last),
        (nio.RoomTypingResponse, client.room_typing, room, True),
        (nio.ProfileGetResponse, client.get_profile, client.user_id),
        (nio.ProfileGetDisplayNameResponse, client.get_displayname, ghost),
        (nio.PresenceSetResponse, client.set_presence, "online"),
        (nio.PresenceGetResponse, client.get_presence, ghost),
        (nio.DevicesResponse, client.devices),
        (nio.UpdateDeviceResponse, client.update_device, client.device_id, {"display_name": "nio again"}),
        (nio.UploadFilterResponse, lambda: client.upload_filter(room={"timeline": {"limit": 5}})),
        (nio.ToDeviceResponse, client.to_device, nio.ToDeviceMessage("m.test", client.user_id, client.device_id, {})),
        (nio.JoinResponse, client.join, room),
    ]
    for kind, ask, *arguments in answers:
        expect(await ask(*arguments), kind)
    if client.rooms[room].power_levels.can_user_send_message(client.user_id):
        sys.exit("nobody may send until it exists")
    relations = [event async for event in client.room_get_event_relations(room, last)]
    threads = [event async for event in client.room_get_threads(room)]
    if threads or any(event.event_id == last for event in relations):
        sys.exit(f"{last} is related to itself, or there are threads: {threads}")
    await use_rules(client)
    await use_files(client, sync)
    await log_out_another(client)


async def use_rules(client):
    """A rule of one's own, from its making to its end."""
    rule = ("global", nio.api.PushRuleKind.content, "tea")
    actions = [nio.PushNotify()]
    expect(await client.set_pushrule(*rule, pattern="tea", actions=actions), nio.SetPushRuleResponse)
    expect(await client.set_pushrule_actions(*rule, []), nio.SetPushRuleActionsResponse)
    expect(await client.enable_pushrule(*rule, False), nio.EnablePushRuleResponse)
    expect(await client.delete_pushrule(*rule), nio.DeletePushRuleResponse)


async def use_files(client, sync):
    """A picture of the history, whole and small; and a file of one's own, there and back."""
    events = [event for info in sync.rooms.join.values() for event in info.timeline.events]
    pictures = [event for event in events if isinstance(event, nio.RoomMessageImage)]
    drawable = [event for event in pictures if event.source["content"]["info"]["mimetype"] in ("image/png", "image/jpeg")]
    server, name = drawable[0].url.removeprefix("mxc://").split("/")
    whole = expect(await client.download(drawable[0].url), nio.DownloadResponse)
    small = expect(await client.thumbnail(server, name, 32, 32), nio.ThumbnailResponse)
    if not whole.body or not small.body:
        sys.exit(f"{drawable[0].url} is empty")
    mine = b"hello" * 1_000
    uploaded, _ = await client.upload(io.BytesIO(mine), "text/plain", "hello.txt", filesize=len(mine))
    back = expect(await client.download(expect(uploaded, nio.UploadResponse).content_uri), nio.DownloadResponse)
    if back.body != mine:
        sys.exit("an uploaded file came back otherwise")


async def log_out_another(client):
    """A device of one's own is deleted with the password, and can nothing then."""
    password = os.environ["FOOTBRIDGE_PASSWORD"]
    other = nio.AsyncClient(client.homeserver, client.user)
    expect(await other.login_raw({"type": "m.login.password", "user": client.user, "password": password}), nio.LoginResponse)
    asked = expect(await client.delete_devices([other.device_id]), nio.DeleteDevicesAuthResponse)
    proof = {"type": "m.login.password", "session": asked.session, "user": client.user, "password": password}
    expect(await client.delete_devices([other.device_id], proof), nio.DeleteDevicesResponse)
    expect(await other.whoami(), nio.WhoamiError)
    await other.close()


async def refused(client, room, event):
    """What is not possible says so, with the code of that."""
    text = {"msgtype": "m.text", "body": "hello"}
    asked = {
        "sending": (client.room_send, room, "m.room.message", text),
        "redacting": (client.room_redact, room, event),
        "state": (client.room_put_state, room, "m.room.topic", {"topic": "tea"}),
        "inviting": (client.room_invite, room, "@other:example.org"),
        "kicking": (client.room_kick, room, "@other:example.org"),
        "banning": (client.room_ban, room, "@other:example.org"),
        "making a room": (lambda: client.room_create(name="tea"),),
        "another name": (client.set_displayname, "Tea"),
        "an account": (client.register, "tea", "tea"),
    }
    for what, (ask, *arguments) in asked.items():
        answer = await ask(*arguments)
        if not isinstance(answer, nio.ErrorResponse) or answer.status_code != "M_FORBIDDEN":
            sys.exit(f"{what} is to be refused: {answer}")


async def main():
    user = os.environ["FOOTBRIDGE_USER"]
    client = nio.AsyncClient(os.environ["FOOTBRIDGE_URL"], user)
    expect(await client.login(os.environ["FOOTBRIDGE_PASSWORD"], device_name="nio"), nio.LoginResponse)
    expect(await client.whoami(), nio.WhoamiResponse)
    sync = expect(await client.sync(timeout=0, full_state=True), nio.SyncResponse)
    rooms = {}
    for room, info in sync.rooms.join.items():
        seen = [event.event_id for event in reversed(info.timeline.events)]
        seen += await read_back(client, room, info.timeline.prev_batch)
        known = client.rooms[room]
        rooms[room] = {
            "name": known.display_name,
            "members": known.joined_count,
            "unread": known.unread_notifications,
            "events": seen,
        }
    # What is marked as read below must not change what the next client finds unread.
    read = [room for room, info in sync.rooms.join.items() if info.timeline.events and not rooms[room]["unread"]]
    await use(client, read[0], sync)
    await refused(client, read[0], sync.rooms.join[read[0]].timeline.events[-1].event_id)
    again = expect(await client.sync(timeout=0, since=sync.next_batch), nio.SyncResponse)
    late = {room: len(info.timeline.events) for room, info in again.rooms.join.items()}
    if any(late.values()):
        sys.exit(f"nothing is new after everything was read: {late}")
    expect(await client.logout(), nio.LogoutResponse)
    await client.close()
    json.dump(rooms, sys.stdout)


asyncio.run(main())
