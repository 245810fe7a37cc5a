"""A running footbridge over an invented history, for tests that look at it from outside."""

import contextlib
import json
import os
import re
import subprocess
import sys
import time
import urllib.request
import uuid
from pathlib import Path

TOOLS = Path(__file__).resolve().parent


def make_history(folder, messages, chats, seed, *more):
    """Makes a Messages database of invented messages with its truth file; returns where."""
    where = folder / "source"
    numbers = {"--messages": messages, "--chats": chats, "--seed": seed}
    arguments = [text for name, number in numbers.items() for text in (name, str(number))]
    command = [sys.executable, TOOLS / "make-chatdb.py", "generate", "--out", where, *arguments, *more]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return where


def ask(url, body=None, token=None):
    """The answer to a GET, or to a POST of a body, as JSON."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    data = json.dumps(body).encode() if body is not None else None
    with urllib.request.urlopen(urllib.request.Request(url, data, headers), timeout=60) as answer:
        return json.load(answer)


def write_message(db, chat, **columns):
    """Writes a message into a Messages database, as Messages does while it runs; answers its row and its GUID."""
    guid = str(uuid.uuid4()).upper()
    columns |= {"guid": guid, "service": "iMessage", "is_finished": 1}
    names, marks = ", ".join(columns), ", ".join("?" * len(columns))
    db.execute("BEGIN IMMEDIATE")
    row = db.execute(f"INSERT INTO message ({names}) VALUES ({marks})", list(columns.values())).lastrowid
    join = "INSERT INTO chat_message_join (chat_id, message_id, message_date) VALUES (?, ?, ?)"
    db.execute(join, (chat, row, columns["date"]))
    db.execute("COMMIT")
    return row, guid


class Service:
    """footbridge, serving: its process, its address, its owner and their password."""

    user = "owner"

    def __init__(self, binary, folder, database, environment):
        self.log = folder / "footbridge.log"
        self.command = [Path(binary).resolve(), "run", "--data", folder / "archive.redb"]
        if database:
            self.command += ["--chat-db", database]
        self.variables = {**os.environ, "HOME": str(folder), **environment}
        self.url = self.start("127.0.0.1:0")
        self.password = (folder / "initial-password").read_text().strip()

    def start(self, address):
        """Starts it at an address; answers the URL that it prints."""
        with self.log.open("a") as log:
            self.process = subprocess.Popen(
                [*self.command, "--listen", address],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                env=self.variables,
            )
        for line in self.process.stdout:
            if found := re.search(r"https?://127\.0\.0\.1:\d+", line):
                return found[0]
        sys.exit(f"footbridge did not say where it listens; see {self.log}")

    def kill(self):
        """Ends it at once, whatever it is doing."""
        self.process.kill()
        self.process.wait()

    def start_again(self):
        """Starts it where it was."""
        self.start(self.url.removeprefix("http://"))

    def environment(self):
        """What a client is told."""
        told = {"URL": self.url, "USER": self.user, "PASSWORD": self.password}
        return {**os.environ, **{f"FOOTBRIDGE_{name}": value for name, value in told.items()}}

    def log_in(self):
        """A new device's token."""
        login = {"type": "m.login.password", "user": self.user, "password": self.password}
        return ask(f"{self.url}/_matrix/client/v3/login", login)["access_token"]

    def wait_for_import(self, seconds=300):
        """Until no source is being read any more."""
        token = self.log_in()
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            sources = ask(f"{self.url}/_footbridge/status", token=token)["sources"]
            if sources and all(source["state"] == "idle" and source["last_pass"] for source in sources):
                return
            time.sleep(0.2)
        sys.exit(f"the import did not end within {seconds} s; see {self.log}")


@contextlib.contextmanager
def running(binary, folder, database=None, environment=()):
    """footbridge over an archive in the folder until the end of the block; it must then stop cleanly."""
    service = Service(binary, folder, database, dict(environment))
    try:
        yield service
    except BaseException:
        service.process.kill()
        service.process.wait()
        raise
    service.process.terminate()
    if code := service.process.wait(timeout=20):
        sys.exit(f"footbridge ended with {code}; see {service.log}")
