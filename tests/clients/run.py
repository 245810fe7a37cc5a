#!/usr/bin/env python3
"""Lets real Matrix clients read an invented history back from footbridge, and holds what they saw against the truth.

usage: run.py FOOTBRIDGE [--messages N] [--only nio|js|rust] [--keep FOLDER]

Makes a Messages database with its truth file (tests/tools/make-chatdb.py), starts `footbridge run` over it, waits for the
import, and starts each client in its own environment (a Python virtual environment, npm, a cargo workspace) with
FOOTBRIDGE_URL, FOOTBRIDGE_USER and FOOTBRIDGE_PASSWORD. A client prints, by room, the ids of the events it saw, newest
first. Event ids carry the GUID of their message (D18): every message of the truth that is to be seen must be there, once,
and in order.
"""

import argparse
import base64
import json
import os
import re
import subprocess
import sys
import tempfile
import time
import urllib.request
import uuid
from pathlib import Path

HERE = Path(__file__).resolve().parent
TOOLS = HERE.parent / "tools"

# Kinds of the truth that rooms do not show: kept voice messages (MS-51), what is to be sent later (MS-53).
HIDDEN = {"audio_kept", "scheduled"}


def guid_of(event):
    """The GUID in an event id, and its kind and part."""
    raw = base64.urlsafe_b64decode(event[1:] + "=")
    return str(uuid.UUID(bytes=raw[:16])).upper(), raw[20] & 15, int.from_bytes(raw[21:23], "big")


def expected(truth):
    """GUIDs of the messages that rooms show, by home chat, in order of time."""
    chats = {}
    for line in truth.read_text().splitlines():
        row = json.loads(line)
        if row["kind"] in HIDDEN | {"tapback"} or row.get("orphan") or "deleted_ns" in row or not row["chats"]:
            continue
        chats.setdefault(row["chats"][0], []).append((row["unix_ms"], row["rowid"], row["guid"].upper()))
    return {chat: [guid for _, _, guid in sorted(rows)] for chat, rows in chats.items()}


def start(footbridge, folder, database):
    """footbridge, serving: its process, its address and the owner's password."""
    process = subprocess.Popen(
        [footbridge, "run", "--data", folder / "archive.redb", "--chat-db", database, "--listen", "127.0.0.1:0"],
        stdout=subprocess.PIPE,
        stderr=(folder / "footbridge.log").open("w"),
        text=True,
        env={**os.environ, "HOME": str(folder)},
    )
    for line in process.stdout:
        if found := re.search(r"https?://127\.0\.0\.1:\d+", line):
            return process, found[0], (folder / "initial-password").read_text().strip()
    sys.exit("footbridge did not say where it listens; see " + str(folder / "footbridge.log"))


def request(url, body=None, token=None):
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    data = json.dumps(body).encode() if body is not None else None
    with urllib.request.urlopen(urllib.request.Request(url, data, headers), timeout=60) as answer:
        return json.load(answer)


def wait_for_import(url, password):
    """Until no source is being read, at most five minutes."""
    login = {"type": "m.login.password", "user": "owner", "password": password}
    token = request(f"{url}/_matrix/client/v3/login", login)["access_token"]
    for _ in range(600):
        sources = request(f"{url}/_footbridge/status", token=token)["sources"]
        if sources and all(source["state"] == "idle" and source["last_pass"] for source in sources):
            return
        time.sleep(0.5)
    sys.exit("the import did not end")


def check(name, seen, truth):
    """Holds what a client saw against the truth; exits with what is wrong."""
    problems, rooms_of = [], {}
    for room, what in seen.items():
        if len(set(what["events"])) != len(what["events"]):
            problems.append(f"{room}: an event came twice")
        guids = []
        for event in reversed(what["events"]):
            guid, kind, _part = guid_of(event)
            if kind in (0, 2) and guid not in guids[-1:]:
                guids.append(guid)
        for guid in guids:
            rooms_of[guid] = room
        what["guids"] = guids
    total = 0
    for chat, wanted in truth.items():
        total += len(wanted)
        missing = [guid for guid in wanted if guid not in rooms_of]
        if missing:
            problems.append(f"{chat}: {len(missing)} of {len(wanted)} messages are missing, first {missing[0]}")
            continue
        places = {guid: at for at, guid in enumerate(seen[rooms_of[wanted[0]]]["guids"])}
        here = [places[guid] for guid in wanted if guid in places]
        if here != sorted(here):
            problems.append(f"{chat}: out of order")
    if problems:
        sys.exit("\n".join([f"{name}:"] + problems[:20]))
    print(f"{name}: {len(seen)} rooms, {total} messages, each once and in order")


def run_nio(environment, folder):
    venv = folder / "nio"
    subprocess.run([sys.executable, "-m", "venv", venv], check=True)
    subprocess.run([venv / "bin/pip", "-q", "install", "-r", HERE / "nio/requirements.txt"], check=True)
    return [venv / "bin/python", HERE / "nio/read_back.py"], HERE


def run_js(environment, folder):
    subprocess.run(["npm", "ci", "--silent", "--no-fund", "--no-audit"], cwd=HERE / "js", check=True)
    return ["node", "read_back.mjs"], HERE / "js"


def run_rust(environment, folder):
    subprocess.run(["cargo", "build", "--locked", "--release"], cwd=HERE, check=True)
    target = Path(os.environ.get("CARGO_TARGET_DIR", HERE / "target"))
    return [target / "release/footbridge-clients"], HERE


CLIENTS = {"nio": run_nio, "js": run_js, "rust": run_rust}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("footbridge", type=Path)
    parser.add_argument("--messages", type=int, default=6_000)
    parser.add_argument("--only", choices=CLIENTS)
    parser.add_argument("--keep", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.keep or Path(temporary)
        folder.mkdir(exist_ok=True, parents=True)
        make = [sys.executable, TOOLS / "make-chatdb.py", "generate", "--out", folder / "source"]
        make += ["--messages", str(arguments.messages), "--chats", "300"]
        subprocess.run(make, check=True, stdout=subprocess.DEVNULL)
        truth = expected(folder / "source/truth.jsonl")
        process, url, password = start(arguments.footbridge.resolve(), folder, folder / "source/chat.db")
        try:
            wait_for_import(url, password)
            for name, prepare in CLIENTS.items():
                if arguments.only in (None, name):
                    environment = {
                        **os.environ,
                        "FOOTBRIDGE_URL": url,
                        "FOOTBRIDGE_USER": "owner",
                        "FOOTBRIDGE_PASSWORD": password,
                    }
                    command, where = prepare(environment, folder)
                    began = time.monotonic()
                    ran = subprocess.run(command, cwd=where, env=environment, stdout=subprocess.PIPE, text=True)
                    if ran.returncode:
                        sys.exit(f"{name} ended with {ran.returncode}")
                    check(name, json.loads(ran.stdout.splitlines()[-1]), truth)
                    print(f"  in {time.monotonic() - began:.1f} s")
        finally:
            process.terminate()
            process.wait(timeout=10)


main()
