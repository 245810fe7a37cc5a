#!/usr/bin/env python3
"""Lets real Matrix clients read an invented history back from footbridge, and holds what they saw against the truth.

usage: run.py FOOTBRIDGE [--messages N] [--chats N] [--seed N] [--only nio|js|rust] [--keep FOLDER]

Makes a Messages database with its truth file (tests/tools/make-chatdb.py), starts `footbridge run` over it, waits for the
import, and starts each client in its own environment (a Python virtual environment, npm, a cargo workspace) with
FOOTBRIDGE_URL, FOOTBRIDGE_USER and FOOTBRIDGE_PASSWORD. A client prints, by room, the ids of the events that it saw, newest
first, and its unread messages. Event ids carry the GUID of their message (D18): every message of the truth that is to be
seen must be there, once and in order, with its edits, reactions and redactions, and nothing else.
"""

import argparse
import base64
import json
import os
import sqlite3
import subprocess
import sys
import tempfile
import time
import urllib.parse
import uuid
from collections import Counter
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.append(str(HERE.parent / "tools"))

from service import ask
from service import make_history
from service import running
from service import write_message

# The kinds of event ids, by their number (src/matrix/event_id.rs).
KINDS = ["part", "reaction", "announcement", "edit", "unsend", "ended", "deletion", "state", "local", "failure"]

# What a room says once, in words of its own.
ANNOUNCEMENTS = {
    *("participant_added", "participant_removed", "left", "rename", "icon_set", "icon_removed"),
    *("background_set", "background_removed", "location_started", "location_stopped", "shareplay"),
}

# Kinds of the truth that rooms do not show: kept voice messages (MS-51), what is to be sent later (MS-53).
HIDDEN = {"audio_kept", "scheduled"}

# A text of nothing else has nothing to show (MS-2).
BLANKS = " \t\r\n\u2028\u2029\ufffc"

# The tapback code of stickers, which are images; one does not replace another (MS-26, MS-33).
STICKER = 2007


def decoded(event):
    """The GUID in an event id, and its kind."""
    raw = base64.urlsafe_b64decode(event[1:] + "=")
    return str(uuid.UUID(bytes=raw[:16])).upper(), KINDS[raw[20] & 15]


class Truth:
    """What the rooms must show of a generated database."""

    def __init__(self, folder):
        self.rows = {}
        with (folder / "truth.jsonl").open(encoding="utf-8") as lines:
            for row in map(json.loads, lines):
                self.rows[row["guid"].upper()] = row
        self.find_orphans(folder / "chat.db")
        self.events = {guid: Counter() for guid in self.rows}
        for guid, row in self.rows.items():
            self.events[guid] = Counter(self.of_message(row))
        self.add_tapbacks()
        self.add_members(folder)

    def find_orphans(self, database):
        """A message without a chat belongs to the group that it names, if there is one (D11)."""
        connection = sqlite3.connect(f"file:{database}?mode=ro", uri=True)
        named = connection.execute(
            "SELECT m.guid, c.guid FROM message m JOIN chat c ON c.style = 43 AND c.chat_identifier = m.cache_roomnames"
        )
        for guid, chat in named:
            row = self.rows[guid.upper()]
            if row.get("orphan"):
                row["chats"] = [chat]
        connection.close()

    def of_message(self, row):
        """The events of a row that is no tapback."""
        kind = row["kind"]
        if not row["chats"] or kind in HIDDEN or kind == "tapback":
            return {}
        if kind in ANNOUNCEMENTS:
            return {"announcement": 1}
        if row.get("malformed", "null_text_and_body") != "null_text_and_body":
            # Whatever of it can be read, or a note that nothing can: how much is for tests of the decoder.
            return {"part": 1, "edit": None}
        unsent = len(row.get("unsent_parts", []))
        is_blank = not (row["text"] or "").strip(BLANKS)
        if is_blank and not unsent and not any(row.get(what) for what in ("subject", "attachments", "edits", "app")):
            return {}
        return {
            "part": 1,
            "edit": sum(len(edit["versions"]) - 1 for edit in row.get("edits", [])),
            "unsend": unsent,
            "failure": int(bool(row.get("error"))),
        }

    def add_tapbacks(self):
        """A tapback is shown on what is shown; the next one of the same person on the same part ends it (MS-26, MS-27)."""
        self.standing = Counter()
        self.redacted = Counter({guid: len(row.get("unsent_parts", [])) for guid, row in self.rows.items()})
        places = {}
        for guid, row in sorted(self.rows.items(), key=lambda item: (item[1]["date_ns"], item[1]["rowid"])):
            if row["kind"] != "tapback" or not row["chats"]:
                continue
            tapback = row["tapback"]
            target = tapback["target"].upper()
            if not self.events.get(target, {}).get("part"):
                continue
            is_sticker = tapback["code"] % 1000 == STICKER % 1000
            who = "owner" if row["from_me"] else row["sender"].lower()
            place = places.setdefault((target, tapback["part"], who, is_sticker), [])
            if place and not (is_sticker and tapback["add"]):
                self.events[guid]["ended"] += 1
                self.standing[place[-1]] -= 1
                self.redacted[place.pop()] += is_sticker
            if tapback["add"]:
                self.events[guid]["part" if is_sticker else "reaction"] += 1
                self.standing[guid] += not is_sticker
                place.append(guid)

    def add_members(self, folder):
        """Who is in each group: whom the database names, as far as nobody announced otherwise since."""
        known = json.loads((folder / "chats.json").read_text(encoding="utf-8"))
        self.members = {chat["guid"]: set(chat["participants"]) for chat in known["chats"] if chat["style"] == 43}
        for row in sorted(self.rows.values(), key=lambda row: row["date_ns"]):
            for members in (self.members[chat] for chat in row["chats"] if chat in self.members):
                if row["kind"] == "participant_added":
                    members.add(row["target"])
                elif row["kind"] == "participant_removed":
                    members.discard(row["target"])
                elif row["kind"] == "left":
                    members.discard(row["sender"])

    def order(self, guid):
        return self.rows[guid]["date_ns"], self.rows[guid]["rowid"]

    def unread(self, guids):
        """How many of a room's messages, oldest first, came after the last that the owner wrote or read (MS-58)."""
        count = 0
        for guid in guids:
            row = self.rows[guid]
            count = 0 if row["from_me"] or "read_ns" in row else count + 1
        return count


def check(name, seen, truth):
    """Holds what a client saw against the truth; exits with what is wrong."""
    problems, found, room_of, totals = [], {guid: Counter() for guid in truth.rows}, {}, Counter()
    # The Rust SDK shows edits, reactions and redactions at what they are about, and says only how many there are.
    is_folded = any("edited" in what for what in seen.values())
    # The room in which footbridge talks to its owner has nothing of the history.
    notices = [room for room, what in seen.items() if {kind for _, kind in map(decoded, what["events"])} == {"local"}]
    if len(notices) > 1:
        problems.append(f"{len(notices)} rooms have nothing of the history")
    for room, what in seen.items():
        if room in notices:
            continue
        if len(set(what["events"])) != len(what["events"]):
            problems.append(f"{room}: an event came twice")
        guids = []
        for guid, kind in map(decoded, reversed(what["events"])):
            if kind == "state":
                continue
            if guid not in truth.rows:
                problems.append(f"{room}: {kind} of {guid} is not in the truth")
                continue
            if room_of.setdefault(guid, room) != room:
                problems.append(f"{guid} is in two rooms")
            found[guid][kind] += 1
            if kind in ("part", "announcement") and guid not in guids[-1:]:
                guids.append(guid)
        if guids != sorted(guids, key=truth.order):
            problems.append(f"{room}: out of order")
        if len(set(guids)) != len(guids):
            problems.append(f"{room}: a message is in two places")
        messages = [guid for guid in guids if truth.events[guid]["part"]]
        wanted = {"unread": truth.unread(messages)}
        if is_folded:
            wanted["edited"] = sum((truth.events[guid]["edit"] or 0) > 0 for guid in messages)
            wanted["redacted"] = sum(truth.redacted[guid] for guid in messages)
            wanted["reactions"] = sum(
                truth.standing[guid]
                for guid, row in truth.rows.items()
                if row["kind"] == "tapback" and room_of.get(row["tapback"]["target"].upper()) == room
            )
        for what_of, number in wanted.items():
            totals[what_of] += number
            if what[what_of] != number:
                problems.append(f"{room}: {what_of} is {what[what_of]}, not {number}")
    rooms_of_chat = {}
    for guid, wanted in truth.events.items():
        for kind in KINDS:
            if is_folded and kind in ("edit", "reaction", "unsend", "ended"):
                continue
            # How many events a message with files has is for tests of the content.
            number = min(found[guid][kind], 1) if kind == "part" else found[guid][kind]
            totals[kind] += number
            if wanted[kind] not in (None, number):
                of = f"{truth.rows[guid]['kind']} {guid} of {truth.rows[guid]['chats']}"
                problems.append(f"{of}: {number} events of kind {kind}, not {wanted[kind]}")
        if guid in room_of and len(truth.rows[guid]["chats"]) == 1:
            rooms_of_chat.setdefault(truth.rows[guid]["chats"][0], set()).add(room_of[guid])
    problems += [f"{chat} is in {len(rooms)} rooms" for chat, rooms in rooms_of_chat.items() if len(rooms) > 1]
    for chat, (room, *_) in ((chat, list(rooms)) for chat, rooms in rooms_of_chat.items()):
        wanted = len(truth.members.get(chat, [chat])) + 1
        if seen[room].get("members", wanted) != wanted:
            problems.append(f"{room}: {seen[room]['members']} members, not {wanted}")
    if problems:
        sys.exit("\n".join([f"{name}: {len(problems)} differences"] + problems[:20]))
    shown = ", ".join(f"{number} {kind}" for kind, number in totals.items() if number)
    print(f"{name}: {len(seen)} rooms, each message once and in order: {shown}")


def run_nio(folder):
    venv = folder / "nio"
    subprocess.run([sys.executable, "-m", "venv", venv], check=True)
    subprocess.run([venv / "bin/pip", "-q", "install", "-r", HERE / "nio/requirements.txt"], check=True)
    return [venv / "bin/python", HERE / "nio/read_back.py"], HERE


def run_js(folder):
    subprocess.run(["npm", "ci", "--silent", "--no-fund", "--no-audit"], cwd=HERE / "js", check=True)
    return ["node", "read_back.mjs"], HERE / "js"


def run_rust(folder):
    subprocess.run(["cargo", "build", "--locked"], cwd=HERE, check=True)
    target = Path(os.environ.get("CARGO_TARGET_DIR", HERE / "target"))
    return [target / "debug/footbridge-clients"], HERE


def messages_of(events):
    """GUIDs of the messages among some events, in their order; a message with files has several events."""
    parts = [guid for guid, kind in map(decoded, events) if kind == "part"]
    return [guid for before, guid in zip([None, *parts], parts) if guid != before]


def read_back(service, token, room):
    """The ids of a room's events, newest first."""
    url = f"{service.url}/_matrix/client/v3/rooms/{urllib.parse.quote(room)}/messages?dir=b&limit=100"
    ids, place = [], ""
    while True:
        page = ask(url + place, token=token)
        ids += [event["event_id"] for event in page["chunk"]]
        if "end" not in page:
            return ids
        place = f"&from={page['end']}"


def recover(service, database, command, where):
    """Kills footbridge under a client that waits for news, writes meanwhile and afterwards, and starts it again."""
    token = service.log_in()
    joined = ask(f"{service.url}/_matrix/client/v3/sync?timeout=0", token=token)["rooms"]["join"]
    newest = {room: messages_of(event["event_id"] for event in block["timeline"]["events"]) for room, block in joined.items()}
    db = sqlite3.connect(database, isolation_level=None, timeout=30)
    of_message = """SELECT (SELECT COUNT(*) FROM chat_message_join AS held WHERE held.chat_id = here.chat_id), chat_id, handle_id
        FROM message JOIN chat_message_join AS here ON message_id = message.ROWID WHERE guid = ? AND NOT is_from_me"""
    found = ((db.execute(of_message, (guid,)).fetchone(), room) for room, guids in newest.items() for guid in guids)
    (_, chat, handle), room = max(place for place in found if place[0])
    date = db.execute("SELECT MAX(date) FROM message").fetchone()[0]
    texts = ["while it was gone", "once it was back"]
    told = {"FOOTBRIDGE_ROOM": room, "FOOTBRIDGE_LAST": texts[-1]}
    process = subprocess.Popen(
        command, cwd=where, env={**service.environment(), **told}, stdout=subprocess.PIPE, text=True
    )
    try:
        for line in process.stdout:
            if line.strip() == "waiting":
                break
        # Every list is whole: the next request is one that waits.
        time.sleep(2)
        service.kill()
        began = time.monotonic()
        written = [write_message(db, chat, date=date + 10**9, handle_id=handle, text=texts[0])[1]]
        time.sleep(1)
        service.start_again()
        service.wait_for_import()
        written.append(write_message(db, chat, date=date + 2 * 10**9, handle_id=handle, text=texts[1])[1])
        rest, _ = process.communicate(timeout=120)
    finally:
        process.kill()
    if process.returncode:
        sys.exit(f"the client that outlasts a restart ended with {process.returncode}")
    took = time.monotonic() - began
    [what] = json.loads(rest.splitlines()[-1]).values()
    seen = messages_of(what["events"])
    if seen[:2] != written[::-1]:
        sys.exit(f"after a restart the newest are {seen[:2]}, not {written[::-1]}")
    wanted = messages_of(read_back(service, token, room))
    if seen != wanted:
        sys.exit(f"after a restart {len(seen)} messages are seen, not {len(wanted)}, or in another order")
    print(f"rust: killed in mid-poll, and {len(seen)} messages of the room in order, {took:.1f} s later", flush=True)


CLIENTS = {"nio": run_nio, "js": run_js, "rust": run_rust}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("footbridge", type=Path)
    parser.add_argument("--messages", type=int, default=8_000)
    parser.add_argument("--chats", type=int, default=340, help="some persons have two chats: fewer rooms come of them")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", choices=CLIENTS)
    parser.add_argument("--keep", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.keep or Path(temporary)
        folder.mkdir(exist_ok=True, parents=True)
        source = make_history(folder, arguments.messages, arguments.chats, arguments.seed)
        truth = Truth(source)
        with running(arguments.footbridge, folder, source / "chat.db") as service:
            service.wait_for_import()
            for name, prepare in CLIENTS.items():
                if arguments.only in (None, name):
                    command, where = prepare(folder)
                    began = time.monotonic()
                    ran = subprocess.run(
                        command, cwd=where, env=service.environment(), stdout=subprocess.PIPE, text=True
                    )
                    if ran.returncode:
                        sys.exit(f"{name} ended with {ran.returncode}")
                    took = time.monotonic() - began
                    # SDKs log to stdout too, before the answer and after it.
                    answer = [line for line in ran.stdout.splitlines() if line.startswith("{")][-1]
                    check(name, json.loads(answer), truth)
                    print(f"  in {took:.1f} s", flush=True)
                    if name == "rust":
                        recover(service, source / "chat.db", command, where)


main()
