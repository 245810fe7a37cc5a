#!/usr/bin/env python3
"""Measures the Matrix endpoint of a release build, and Synapse doing the same, in one run; prints a table.

usage: endpoint.py FOOTBRIDGE [--only ROW..] [--room N] [--idle N] [--rate N] [--seconds N] [--folder FOLDER]

| row | what is measured |
|---|---|
| room | a room read back in pages of 100: CPU time of the server, ours and Synapse's over SQLite, the same texts in both |
| sync | the first /sync of 400 rooms with 20 events each, lazy members, warm, over the loopback |
| row | a new row in chat.db until a waiting client has it |
| load | 50 waiting clients while 1,000 messages a second arrive: each once and in order, and how late |
| idle | anonymous memory of a service that has nothing to do |

Synapse comes from the Python package index into a virtual environment below FOLDER, which stays for the next run, as does
the large database. Linux only: CPU time and memory are read from /proc.
"""

import argparse
import contextlib
import http.client
import json
import multiprocessing
import os
import random
import re
import socket
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse
import uuid
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.append(str(HERE.parent / "tests" / "tools"))

from service import make_history
from service import running

SYNAPSE = "matrix-synapse==1.163.2"

# Between 1970, where Unix counts from, and 2001, where Apple does.
APPLE_EPOCH = 978_307_200

# How late a message is, for the clock that all processes of a computer share.
now = time.monotonic


class Rooms:
    """A Messages database of conversations with one person each; every text begins with the message's number."""

    def __init__(self, path, rooms, messages_each):
        self.rooms, self.messages = rooms, 0
        sample = HERE.parent / "tests/data/sample/chat.db"
        with contextlib.closing(sqlite3.connect(f"file:{sample}?mode=ro", uri=True)) as shape:
            tables = shape.execute("SELECT sql FROM sqlite_master WHERE sql NOT NULL AND name NOT LIKE 'sqlite_%'").fetchall()
        self.writer = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self.writer.execute("PRAGMA journal_mode = wal")
        self.writer.execute("PRAGMA synchronous = normal")
        self.writer.execute("BEGIN")
        for (sql,) in tables:
            self.writer.execute(sql)
        for room in range(1, rooms + 1):
            who = f"+1555{room:07}"
            self.writer.execute("INSERT INTO handle (ROWID, id, service) VALUES (?, ?, 'iMessage')", (room, who))
            chat = (room, f"iMessage;-;{who}", who)
            chats = "INSERT INTO chat (ROWID, guid, style, chat_identifier, service_name) VALUES (?, ?, 45, ?, 'iMessage')"
            self.writer.execute(chats, chat)
            self.writer.execute("INSERT INTO chat_handle_join (chat_id, handle_id) VALUES (?, ?)", (room, room))
        self.last = self.now() - (rooms * messages_each + 3_600) * 10**9
        for _ in range(rooms * messages_each):
            self.insert(self.last + 10**9)
        self.writer.execute("COMMIT")

    @staticmethod
    def now():
        return time.time_ns() - APPLE_EPOCH * 10**9

    def insert(self, date):
        self.messages += 1
        self.last = date
        number, room = self.messages, 1 + self.messages % self.rooms
        is_own = number % 3 == 0
        guid = str(uuid.UUID(int=(0x4002 << 64) | (8 << 60) | number)).upper()
        columns = "ROWID, guid, text, date, handle_id, is_from_me, is_sent, service, is_finished"
        row = (number, guid, text(number), date, room, is_own, is_own, "iMessage", 1)
        self.writer.execute(f"INSERT INTO message ({columns}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", row)
        self.writer.execute("INSERT INTO chat_message_join (chat_id, message_id) VALUES (?, ?)", (room, number))

    def add(self, messages):
        """Writes so many in one commit, and answers when that was."""
        self.writer.execute("BEGIN")
        for _ in range(messages):
            self.insert(max(self.now(), self.last + 1))
        self.writer.execute("COMMIT")
        return now()


def text(number):
    return f"{number} of the things that people say to each other when they have a little time"


def cpu(process):
    """CPU time of a process and its threads until now, s; in hundredths."""
    fields = Path(f"/proc/{process.pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def anonymous(process):
    """Memory of a process that is not a file's, MiB."""
    found = re.search(r"RssAnon:\s+(\d+) kB", Path(f"/proc/{process.pid}/status").read_text())
    return int(found[1]) / 1024


class Client:
    """A connection that stays, and who asks."""

    def __init__(self, url, token):
        self.connection = http.client.HTTPConnection(urllib.parse.urlsplit(url).netloc, timeout=120)
        self.headers = {"Authorization": f"Bearer {token}"} if token else {}

    def bytes(self, method, path, body=None):
        data = None if body is None else json.dumps(body)
        self.connection.request(method, f"/_matrix/client/v3{path}", data, self.headers)
        answer = self.connection.getresponse()
        read = answer.read()
        if answer.status != 200:
            sys.exit(f"{method} {path.split('?')[0]}: {answer.status} {read[:300]}")
        return read

    def ask(self, method, path, body=None):
        return json.loads(self.bytes(method, path, body))

    def ask_again(self, method, path, body):
        """Asks until there is an answer, for what is done once however often it is asked."""
        for _ in range(10):
            with contextlib.suppress(TimeoutError):
                return self.ask(method, path, body)
            self.connection.close()
        sys.exit(f"{method} {path.split('?')[0]}: no answer")

    def read_back(self, room):
        """Events of a room to its beginning in pages of 100."""
        events, place = 0, ""
        while True:
            page = self.ask("GET", f"/rooms/{urllib.parse.quote(room)}/messages?dir=b&limit=100{place}")
            events += sum(event["type"] == "m.room.message" for event in page["chunk"])
            if "end" not in page:
                return events
            place = f"&from={page['end']}"


def sync_path(limit):
    room = {"timeline": {"limit": limit}, "state": {"lazy_load_members": True}}
    return "/sync?filter=" + urllib.parse.quote(json.dumps({"room": room}))


@contextlib.contextmanager
def serving(options, rooms, messages_each):
    """footbridge over a database of its own: the service and the database."""
    with tempfile.TemporaryDirectory(dir=options.folder) as temporary:
        folder = Path(temporary)
        made = Rooms(folder / "chat.db", rooms, messages_each)
        with running(options.footbridge, folder, folder / "chat.db") as service:
            service.wait_for_import()
            yield service, made


@contextlib.contextmanager
def synapse(folder, temporary):
    """Synapse over SQLite, without limits of rates: its process, its URL, a user's token."""
    venv = folder / "synapse"
    if not (venv / "bin/synapse_homeserver").exists():
        print(f"installing {SYNAPSE} ...", file=sys.stderr)
        subprocess.run([sys.executable, "-m", "venv", venv], check=True)
        subprocess.run([venv / "bin/pip", "--quiet", "install", SYNAPSE], check=True)
    config = temporary / "homeserver.yaml"
    program = [venv / "bin/python", "-m", "synapse.app.homeserver", "--config-path", config]
    generate = ["--generate-config", "--server-name", "localhost", "--report-stats", "no", "--data-directory", temporary]
    subprocess.run([*program, *generate], check=True, cwd=temporary, stdout=subprocess.DEVNULL)
    port = 18_008
    unlimited = {"per_second": 1_000_000, "burst_count": 1_000_000}
    more = {
        "listeners": [{"port": port, "type": "http", "bind_addresses": ["127.0.0.1"], "resources": [{"names": ["client"]}]}],
        "enable_registration": True,
        "enable_registration_without_verification": True,
        "rc_message": unlimited,
        "rc_registration": unlimited,
        "trusted_key_servers": [],
    }
    # JSON is YAML.
    (temporary / "more.yaml").write_text(json.dumps(more))
    with (temporary / "synapse.log").open("w") as log:
        command = [*program, "--config-path", temporary / "more.yaml"]
        process = subprocess.Popen(command, cwd=temporary, stdout=log, stderr=log)
    try:
        url = f"http://127.0.0.1:{port}"
        for _ in range(600):
            with contextlib.suppress(OSError):
                Client(url, "").bytes("GET", "/login")
                break
            if process.poll() is not None:
                sys.exit((temporary / "synapse.log").read_text()[-2_000:])
            time.sleep(0.1)
        register = {"username": "owner", "password": "correct horse", "auth": {"type": "m.login.dummy"}}
        token = Client(url, "").ask("POST", "/register", register)["access_token"]
        yield process, url, token
    finally:
        process.terminate()
        process.wait()


def measure_room(options):
    with tempfile.TemporaryDirectory(dir=options.folder) as temporary:
        with synapse(options.folder, Path(temporary)) as (process, url, token):
            client = Client(url, token)
            room = client.ask("POST", "/createRoom", {"preset": "private_chat"})["room_id"]
            for number in range(1, options.room + 1):
                body = {"msgtype": "m.text", "body": text(number)}
                client.ask_again("PUT", f"/rooms/{urllib.parse.quote(room)}/send/m.room.message/{number}", body)
            before, began = cpu(process), now()
            events = client.read_back(room)
            theirs, theirs_wall = cpu(process) - before, now() - began
    if events != options.room:
        sys.exit(f"Synapse has {events} messages, not {options.room}")
    times = 50
    with serving(options, 1, options.room) as (service, _):
        client = Client(service.url, service.log_in())
        # Not the room in which footbridge talks to its owner.
        data = client.ask("GET", sync_path(1))["account_data"]["events"]
        (room,) = (room for event in data if event["type"] == "m.direct" for rooms in event["content"].values() for room in rooms)
        before, began = cpu(service.process), now()
        for _ in range(times):
            if (events := client.read_back(room)) != options.room:
                sys.exit(f"footbridge has {events} messages, not {options.room}")
        ours, wall = (cpu(service.process) - before) / times, (now() - began) / times
    how = f"{options.room} messages: {SYNAPSE} {theirs:.2f} s of CPU ({theirs_wall:.2f} s), ours {ours * 1e3:.1f} ms"
    return theirs / ours, (100, 600), "{:.0f}x less", f"{how} ({wall * 1e3:.1f} ms), mean of {times}"


def measure_sync(options):
    times = []
    with serving(options, 400, 30) as (service, _):
        client = Client(service.url, service.log_in())
        for _ in range(30):
            began = now()
            body = client.bytes("GET", sync_path(20))
            times.append((now() - began) * 1e3)
        before = cpu(service.process)
        for _ in range(30):
            client.bytes("GET", sync_path(20))
        used = (cpu(service.process) - before) / 30 * 1e3
    joined = json.loads(body)["rooms"]["join"].values()
    # Beside them there is the room in which footbridge talks to its owner.
    if [len(room["timeline"]["events"]) for room in joined].count(20) != 400:
        sys.exit("the first sync has not 400 rooms with 20 events each")
    how = f"median of 30, best {min(times):.0f} ms, slowest {max(times):.0f} ms; {used:.0f} ms of CPU, {len(body) / 1e6:.1f} MB"
    return -statistics.median(times), (-150, -40), "{:.0f} ms", how


def measure_row(options):
    times = []
    with serving(options, 100, 10) as (service, made):
        client = Client(service.url, service.log_in())
        since = client.ask("GET", sync_path(1))["next_batch"]
        for _ in range(40):
            waiting = threading.Timer(0.2, lambda: added.append(made.add(1)))
            added = []
            waiting.start()
            wanted = f'"body":"{made.messages + 1} of'.encode()
            while wanted not in (body := client.bytes("GET", f"{sync_path(10)}&timeout=30000&since={since}")):
                since = json.loads(body)["next_batch"]
            at = now()
            waiting.join()
            since = json.loads(body)["next_batch"]
            times.append((at - added[0]) * 1e3)
            # At any time between two looks at the database, not always at the same.
            time.sleep(random.uniform(0.4, 0.6))
    how = f"median of {len(times)}, best {min(times):.0f} ms, slowest {max(times):.0f} ms"
    return -statistics.median(times), (-1000, -250), "{:.0f} ms", how


class Poller:
    """A connection of few words: on a small machine clients take the time that they measure."""

    def __init__(self, url, token):
        host, port = urllib.parse.urlsplit(url).netloc.split(":")
        self.socket = socket.create_connection((host, int(port)), timeout=120)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.head = f" HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {token}\r\n\r\n"

    def get(self, path):
        """The body of the answer."""
        self.socket.sendall(f"GET /_matrix/client/v3{path}{self.head}".encode())
        read = bytearray()
        while (end := read.find(b"\r\n\r\n")) < 0:
            read += self.some(1 << 16)
        length = re.search(rb"(?i)\r\ncontent-length: *(\d+)", read[:end])
        if not read.startswith(b"HTTP/1.1 200") or not length:
            sys.exit(read[:300].decode(errors="replace"))
        whole = end + 4 + int(length[1])
        while len(read) < whole:
            read += self.some(1 << 20)
        return bytes(read[end + 4 :])

    def some(self, most):
        if not (some := self.socket.recv(most)):
            sys.exit("footbridge closed a connection")
        return some


def follow(url, token, messages, results):
    """Waits until a client has seen so many messages more; tells when each came, in the order in which they did."""
    client = Poller(url, token)
    since = next_batch(client.get(sync_path(1)))
    results.put(None)
    answers, count = [], 0
    while count < messages:
        body = client.get(f"{sync_path(100)}&timeout=30000&since={since}")
        answers.append((now(), body))
        since = next_batch(body)
        came = body.count(b'"type":"m.room.message"')
        count += came
        if not came:
            break
    # Read when it is over, for the same reason.
    if any(b'"limited":true' in body for _, body in answers):
        results.put("not all was sent")
        return
    seen = [(int(number), at) for at, body in answers for number in re.findall(rb'"body":"(\d+) of', body)]
    results.put((seen, len(answers), sum(len(body) for _, body in answers)))


def next_batch(body):
    return re.search(rb'"next_batch":"([^"]+)"', body)[1].decode()


def measure_load(options):
    clients, commits = 50, 50
    messages = options.rate * options.seconds
    with serving(options, 100, 10) as (service, made):
        # A client's logins are limited; the test of many clients makes devices over the socket (D29).
        tokens = [log_in_over(service, f"DEVICE{number}") for number in range(clients)]
        results = [multiprocessing.Queue() for _ in tokens]
        followers = [
            multiprocessing.Process(target=follow, args=(service.url, token, messages, queue))
            for token, queue in zip(tokens, results)
        ]
        for follower in followers:
            follower.start()
        for queue in results:
            queue.get()
        before, began, written = cpu(service.process), now(), {}
        for commit in range(options.seconds * commits):
            number = made.messages
            at = made.add(options.rate // commits)
            written.update((one, at) for one in range(number + 1, made.messages + 1))
            time.sleep(max(0, began + (commit + 1) / commits - now()))
        took = now() - began
        ended = [queue.get(timeout=120) for queue in results]
        used = cpu(service.process) - before
        late, answers, size = [], 0, 0
        for result in ended:
            if isinstance(result, str):
                sys.exit(result)
            seen, polls, read = result
            answers, size = answers + polls, size + read
            if sorted(number for number, _ in seen) != list(written):
                sys.exit("a client did not see each message once")
            for room in range(made.rooms):
                of_room = [number for number, _ in seen if number % made.rooms == room]
                if of_room != sorted(of_room):
                    sys.exit("a client saw messages out of order")
            late += [(at - written[number]) * 1e3 for number, at in seen]
        for follower in followers:
            follower.join()
    late.sort()
    p50, p99 = (late[int(len(late) * part)] for part in (0.5, 0.99))
    rate = messages / took
    how = (
        f"p99; p50 {p50:.0f} ms, latest {late[-1]:.0f} ms; {rate:.0f} messages a second, {answers / clients:.0f} answers a client of "
        f"{size / answers / 1e3:.0f} kB; {used:.1f} s of the server's CPU in {took:.0f} s, {used / messages / clients * 1e6:.1f} us a "
        "message and client"
    )
    return -p99, (-250, -250), "{:.0f} ms", how


def log_in_over(service, device):
    class Local(http.client.HTTPConnection):
        def connect(self):
            self.sock = socket.socket(socket.AF_UNIX)
            self.sock.connect(str(service.log.parent / "archive.redb.sock"))

    client = Client(service.url, "")
    client.connection = Local("localhost")
    login = {"type": "m.login.password", "user": service.user, "password": service.password, "device_id": device}
    return client.ask("POST", "/login", login)["access_token"]


def measure_idle(options):
    source = options.folder / f"messages-{options.idle}"
    if not source.exists():
        print(f"making a database of {options.idle} messages ...", file=sys.stderr)
        with tempfile.TemporaryDirectory(dir=options.folder) as temporary:
            more = ["--no-truth", "--no-files", "--attachments", "0"]
            make_history(Path(temporary), options.idle, options.idle // 1_000, 11, *more).rename(source)
    with tempfile.TemporaryDirectory(dir=options.folder) as temporary:
        folder = Path(temporary)
        subprocess.run([options.footbridge, "import", "--data", folder / "archive.redb", "--chat-db", source / "chat.db"], check=True)
        with running(options.footbridge, folder, source / "chat.db") as service:
            service.wait_for_import()
            client = Client(service.url, service.log_in())
            client.bytes("GET", sync_path(20))
            time.sleep(20)
            held = anonymous(service.process)
    return -held, (-100, -48), "{:.0f} MiB", f"{options.idle} messages, one client had its first sync, 20 s later"


ROWS = {
    "room": ("whole room read back, server CPU", measure_room),
    "sync": ("first /sync of 400 rooms, 20 events each", measure_sync),
    "row": ("new row to a waiting /sync", measure_row),
    "load": ("50 waiting clients, 1,000 messages a second", measure_load),
    "idle": ("idle memory", measure_idle),
}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("footbridge", type=Path)
    parser.add_argument("--only", nargs="+", choices=ROWS, default=list(ROWS))
    parser.add_argument("--room", type=int, default=2_700, help="messages of the room that is read back")
    parser.add_argument("--idle", type=int, default=1_000_000, help="messages of the archive that idles")
    parser.add_argument("--rate", type=int, default=1_000, help="messages a second")
    parser.add_argument("--seconds", type=int, default=10)
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "bench-endpoint")
    options = parser.parse_args()
    options.footbridge = options.footbridge.resolve()
    options.folder = options.folder.resolve()
    options.folder.mkdir(parents=True, exist_ok=True)
    print(f"{os.cpu_count()} processors; load before: {' '.join(map('{:.1f}'.format, os.getloadavg()))}\n")
    print("| what | must | aim | measured | verdict | how |\n|---|---|---|---|---|---|")
    for name in options.only:
        what, measure = ROWS[name]
        value, (must, aim), form, how = measure(options)
        verdict = "aim met" if value >= aim else "must met" if value >= must else "MISSED"
        # Where less is better, values are negative: more is always better.
        shown = [form.format(abs(number)) for number in (must, aim, value)]
        print(f"| {what} | {shown[0]} | {shown[1]} | {shown[2]} | {verdict} | {how} |", flush=True)
    print(f"\nload after: {' '.join(map('{:.1f}'.format, os.getloadavg()))}")


if __name__ == "__main__":
    main()
