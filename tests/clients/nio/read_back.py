"""matrix-nio against footbridge: everything that it offers a script, and every room read back to its beginning.

Environment: FOOTBRIDGE_URL, FOOTBRIDGE_USER, FOOTBRIDGE_PASSWORD. Prints one JSON object: by room id, its name, members,
unread messages and the ids of its events, newest first. Ends with an error at the first answer that is not what the
client expects.
"""

import asyncio
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
            "members": sorted(known.users),
            "unread": known.unread_notifications,
            "events": seen,
        }
    # What is marked as read below must not change what the next client finds unread.
    read = [room for room, info in sync.rooms.join.items() if info.timeline.events and not rooms[room]["unread"]]
    some = read[0]
    last = sync.rooms.join[some].timeline.events[-1].event_id
    expect(await client.joined_rooms(), nio.JoinedRoomsResponse)
    expect(await client.joined_members(some), nio.JoinedMembersResponse)
    expect(await client.room_get_event(some, last), nio.RoomGetEventResponse)
    expect(await client.room_context(some, last), nio.RoomContextResponse)
    expect(await client.room_get_state(some), nio.RoomGetStateResponse)
    expect(await client.room_read_markers(some, last, last), nio.RoomReadMarkersResponse)
    expect(await client.room_typing(some, True), nio.RoomTypingResponse)
    expect(await client.update_receipt_marker(some, last), nio.UpdateReceiptMarkerResponse)
    expect(await client.get_profile(client.user_id), nio.ProfileGetResponse)
    expect(await client.devices(), nio.DevicesResponse)
    expect(await client.upload_filter(room={"timeline": {"limit": 5}}), nio.UploadFilterResponse)
    refused = await client.room_send(some, "m.room.message", {"msgtype": "m.text", "body": "hello"})
    if not isinstance(refused, nio.RoomSendError) or refused.status_code != "M_FORBIDDEN":
        sys.exit(f"sending is refused until it exists: {refused}")
    again = expect(await client.sync(timeout=0, since=sync.next_batch), nio.SyncResponse)
    late = {room: len(info.timeline.events) for room, info in again.rooms.join.items()}
    if any(late.values()):
        sys.exit(f"nothing is new after everything was read: {late}")
    expect(await client.logout(), nio.LogoutResponse)
    await client.close()
    json.dump(rooms, sys.stdout)


asyncio.run(main())
