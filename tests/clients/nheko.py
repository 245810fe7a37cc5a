#!/usr/bin/env python3
"""Drives Nheko, a Matrix client with windows, over an invented history that footbridge has imported.

usage: nheko.py FOOTBRIDGE [--shots FOLDER]

Logs in by hand, looks at the list of rooms, starts again with the cache, opens a room with a picture, an edit and a
reaction, scrolls up to its first message, and waits there for what is written meanwhile. What Nheko shows is read off its
screen: words by tesseract, pictures by their colours. What it asks is written down by a proxy between the two.

Needs nheko, Xvfb, xdotool, ImageMagick, tesseract with its English data, and dbus-daemon with dbus-send.
"""

import argparse
import contextlib
import csv
import http.client
import http.server
import importlib.util
import io
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse
import uuid
from pathlib import Path

HERE = Path(__file__).resolve().parent
TOOLS = HERE.parent / "tools"
sys.path.append(str(TOOLS))

from service import ask
from service import make_history
from service import running
from service import write_message

# The generator of databases, for the bytes of texts and edits; its name is none that `import` takes.
spec = importlib.util.spec_from_file_location("make_chatdb", TOOLS / "make-chatdb.py")
chatdb = importlib.util.module_from_spec(spec)
spec.loader.exec_module(chatdb)

SIZE = (1280, 900)

# Where the list of rooms ends.
LIST = 430

# How long anything on the screen may take, s.
PATIENCE = 45

# The color of the picture: nothing of Nheko's has it.
ORANGE = (0xE6, 0x5C, 0x00)

CONFIG = """[General]
run_without_secure_secrets_service=true

[user]
expose_dbus_api=true
desktop_notifications=false
fancy_effects=false
reduced_motion=true
theme=light
font_size=12
sidebar\\room_list_width=380

[window]
width={0}
height={1}
"""


class Group:
    """A group of a Messages database, in which things are written as Messages does."""

    name = "Lighthouse"
    messages = 150

    def __init__(self, source):
        self.db = sqlite3.connect(source / "chat.db", isolation_level=None, timeout=30)
        self.now = self.one("SELECT MAX(date) FROM message") + 10**9
        self.who = [row[0] for row in self.db.execute("SELECT ROWID FROM handle WHERE service = 'iMessage' LIMIT 2")]
        values = (f"any;+;chat{uuid.uuid4().hex}", "chat7", self.name, str(uuid.uuid4()).upper())
        chat = "INSERT INTO chat (guid, style, chat_identifier, service_name, display_name, group_id) VALUES (?, 43, ?, 'iMessage', ?, ?)"
        self.chat = self.db.execute(chat, values).lastrowid
        for handle in self.who:
            self.db.execute("INSERT INTO chat_handle_join VALUES (?, ?)", (self.chat, handle))
        self.write("Beginning of the harbour")
        for number in range(2, self.messages):
            self.write(f"story number {number}", number % 2)
        self.write("Who knows the umbrella?")
        self.edit(self.write("windmill of yesterday"), "windmill of yesterday", "lighthouse of tomorrow")
        self.picture(source)
        self.write("Nothing after sunset", 1)

    def one(self, query):
        return self.db.execute(query).fetchone()[0]

    def insert(self, who=0, **columns):
        self.now += 10**9
        return write_message(self.db, self.chat, date=self.now, handle_id=self.who[who], **columns)

    def write(self, text, who=0, **columns):
        return self.insert(who, text=text, **columns)[1]

    def edit(self, guid, before, after):
        seconds = self.now / 10**9
        versions = [{"d": seconds, "t": chatdb.plain_body(before, False)}, {"d": seconds + 20, "t": chatdb.plain_body(after, False)}]
        info = {"amc": 0, "ust": True, "otr": {"0": {"lo": 0, "le": len(before)}}, "ec": {"0": versions}, "ep": [0]}
        values = (after, chatdb.binary_plist(info), int((seconds + 20) * 10**9), guid)
        self.db.execute("UPDATE message SET text = ?, message_summary_info = ?, date_edited = ? WHERE guid = ?", values)

    def love(self, guid, who=1):
        self.insert(who, text="Loved it", associated_message_guid=f"p:0/{guid}", associated_message_type=2000)

    def picture(self, source):
        path = source / "Attachments" / "aa" / "sunset.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        color = "#%02x%02x%02x" % ORANGE
        subprocess.run(["convert", "-size", "400x300", f"xc:{color}", path], check=True)
        row, guid = self.insert(text="\ufffc", cache_has_attachments=1)
        values = (f"at_0_{guid}", guid, "~/Library/Messages/Attachments/aa/sunset.png", path.stat().st_size)
        attachment = """INSERT INTO attachment
            (guid, original_guid, filename, uti, mime_type, transfer_state, transfer_name, total_bytes)
            VALUES (?, ?, ?, 'public.png', 'image/png', 5, 'sunset.png', ?)"""
        number = self.db.execute(attachment, values).lastrowid
        self.db.execute("INSERT INTO message_attachment_join VALUES (?, ?)", (row, number))


class Proxy(http.server.ThreadingHTTPServer):
    """Stands between a client and footbridge, and writes down what is asked: method, path, status."""

    daemon_threads = True

    def __init__(self, url):
        super().__init__(("127.0.0.1", 0), Passing)
        self.behind = urllib.parse.urlsplit(url).netloc
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.asked = []
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def has(self, method, pattern, status=200):
        return any(m == method and s == status and re.search(pattern, p) for m, p, s in list(self.asked))


class Passing(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def pass_on(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        own = ("connection", "accept-encoding", "transfer-encoding", "content-length")
        headers = {name: value for name, value in self.headers.items() if name.lower() not in own}
        connection = http.client.HTTPConnection(self.server.behind, timeout=90)
        with contextlib.closing(connection):
            try:
                connection.request(self.command, self.path, body, headers)
                answer = connection.getresponse()
                data = answer.read()
            except (OSError, http.client.HTTPException):
                self.close_connection = True
                return
        self.server.asked.append((self.command, urllib.parse.unquote(self.path), answer.status))
        with contextlib.suppress(ConnectionError):
            self.send_response(answer.status)
            for name, value in answer.getheaders():
                if name.lower() not in own:
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

    do_GET = do_POST = do_PUT = do_DELETE = pass_on

    def log_message(self, *_):
        pass


class Screen:
    """A screen that nobody looks at but this program."""

    def __init__(self, folder, stack, shots):
        self.folder, self.shots, self.taken = folder, shots, 0
        read, write = os.pipe()
        command = ["Xvfb", "-displayfd", str(write), "-screen", "0", f"{SIZE[0]}x{SIZE[1]}x24", "-nolisten", "tcp"]
        started(stack, command, pass_fds=[write], stderr=subprocess.DEVNULL)
        os.close(write)
        with os.fdopen(read) as display:
            self.environment = {"DISPLAY": f":{display.readline().strip()}"}

    def do(self, *words):
        words = [str(word) for word in words]
        subprocess.run(["xdotool", *words], env={**os.environ, **self.environment}, check=True)

    def type(self, text):
        self.do("type", "--delay", 8, text)

    def click(self, x, y):
        self.do("mousemove", x, y, "click", 1)

    def shot(self, name=None):
        """Takes a picture; keeps it if it has a name."""
        path = self.folder / "screen.png"
        command = ["import", "-window", "root", path]
        subprocess.run(command, env={**os.environ, **self.environment}, check=True)
        if name and self.shots:
            self.taken += 1
            shutil.copy(path, self.shots / f"{self.taken}-{name}.png")
        return path

    def words(self, left=0):
        """What is written on the screen, from a column on: words with their places (x, y)."""
        crop = ["-crop", f"{SIZE[0] - left}x{SIZE[1]}+{left}+0", "+repage"]
        # Letters are small for tesseract.
        large = ["convert", self.shot(), *crop, "-colorspace", "Gray", "-resize", "200%", "png:-"]
        picture = subprocess.run(large, stdout=subprocess.PIPE, check=True).stdout
        read = ["tesseract", "-", "-", "--psm", "11", "tsv"]
        environment = {**os.environ, "OMP_THREAD_LIMIT": "1"}
        table = subprocess.run(read, input=picture, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True)
        rows = csv.DictReader(io.StringIO(table.stdout.decode()), delimiter="\t", quoting=csv.QUOTE_NONE)
        middle = lambda row, at, size: (int(row[at]) + int(row[size]) // 2) // 2
        place = lambda row: (left + middle(row, "left", "width"), middle(row, "top", "height"))
        return [(row["text"].strip(), place(row)) for row in rows if (row["text"] or "").strip()]

    def pixels(self, color):
        """How many have a color."""
        command = ["convert", self.shot(), "-depth", "8", "rgb:-"]
        return subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout.count(bytes(color))


class Failed(Exception):
    pass


def until(found, what, seconds=PATIENCE):
    """Waits for an answer that is true."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if answer := found():
            return answer
        time.sleep(0.2)
    raise Failed(f"not within {seconds} s: {what}")


def started(stack, command, **more):
    """A process that ends with the stack."""
    process = subprocess.Popen(command, **more)

    def end():
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    stack.callback(end)
    return process


class Nheko:
    """Nheko on a screen, with a bus of its own to talk to it."""

    def __init__(self, folder, stack, screen):
        self.folder, self.stack, self.screen = folder, stack, screen
        self.home = folder / "home"
        config = self.home / ".config" / "nheko" / "nheko.conf"
        config.parent.mkdir(parents=True)
        config.write_text(CONFIG.format(*SIZE))
        run = folder / "run"
        run.mkdir(mode=0o700)
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("XDG_")},
            **screen.environment,
            **{"HOME": str(self.home), "XDG_RUNTIME_DIR": str(run), "LC_ALL": "C.UTF-8"},
            **{"QT_QPA_PLATFORM": "xcb", "QT_QUICK_BACKEND": "software", "LIBGL_ALWAYS_SOFTWARE": "1"},
        }
        bus = ["dbus-daemon", "--session", "--nofork", "--print-address=1", f"--address=unix:path={run}/bus"]
        daemon = started(stack, bus, env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        self.environment["DBUS_SESSION_BUS_ADDRESS"] = daemon.stdout.readline().strip()
        # An instance of somebody else would answer in the place of this one.
        self.profile = f"footbridge-{os.getpid()}"
        self.process = None

    def start(self):
        log = self.stack.enter_context((self.folder / "nheko.log").open("a"))
        self.process = started(self.stack, ["nheko", "--profile", self.profile], env=self.environment, stdout=log, stderr=log)

    def stop(self):
        self.process.terminate()
        self.process.wait(timeout=20)

    def call(self, method, *arguments):
        command = ["dbus-send", "--session", "--print-reply", "--dest=im.nheko.Nheko", "/", f"im.nheko.Nheko.{method}"]
        command += [f"string:{argument}" for argument in arguments]
        ran = subprocess.run(command, env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        return ran.stdout if ran.returncode == 0 else None

    def rooms(self):
        """What Nheko has of each room: its name and how much is unread, by id."""
        reply = self.call("rooms") or ""
        struct = re.findall(r'struct \{\s*string "(.*)"\s*string ".*"\s*string "(.*)"\s*string ".*"\s*int32 (\d+)', reply)
        return {room: (name, int(unread)) for room, name, unread in struct}


def seen(screen, *wanted, left=0):
    """Whether all of some words are on the screen; answers where."""
    places = {}
    for word, place in screen.words(left):
        places.setdefault(word.strip(".,:;!?'\"").lower(), place)
    return places if all(word in places for word in wanted) else None


def log_in(screen, proxy, user, password):
    until(lambda: seen(screen, "welcome", "nheko"), "Nheko's first page")
    screen.click(SIZE[0] // 2, SIZE[1] - 20)
    screen.do("key", "Tab", "Tab", "space")
    until(lambda: seen(screen, "matrix", "password"), "the page to log in on")
    screen.do("key", "Tab")
    screen.type(user)
    screen.do("key", "Tab")
    # There is no server of that name; then Nheko asks where it is.
    until(lambda: seen(screen, "homeserver", "address"), "the field for the address")
    screen.type(password)
    screen.do("key", "Tab", "Tab", "ctrl+a")
    screen.type(proxy.url)
    screen.do("key", "Tab")
    until(lambda: proxy.has("GET", "/login$"), "Nheko asks how to log in")
    screen.shot("log-in")
    time.sleep(2)
    screen.do("key", "shift+Tab", "space")
    until(lambda: proxy.has("POST", "/login$"), "Nheko logs in")
    until(lambda: proxy.has("GET", "/sync"), "Nheko syncs")


def dismiss(screen):
    """Encryption is not for these rooms; Nheko offers to set it up at every start."""
    places = until(lambda: seen(screen, "setup", "encryption", "cancel"), "the offer to set up encryption")
    screen.click(*places["cancel"])


def check(condition, what):
    if not condition:
        raise Failed(what)


def drive(service, group, proxy, screen, nheko):
    token = service.log_in()
    nheko.start()
    log_in(screen, proxy, f"@{service.user}:localhost", service.password)
    dismiss(screen)
    until(lambda: seen(screen, "lighthouse", "footbridge"), "the list of rooms")
    screen.shot("list")

    nheko.stop()
    nheko.start()
    synced = ask(f"{service.url}/_matrix/client/v3/sync?timeout=0", token=token)["rooms"]["join"]
    rooms = until(lambda: len(nheko.rooms()) == len(synced) and nheko.rooms(), "Nheko has every room in its cache")
    check(rooms.keys() == synced.keys(), "Nheko has other rooms than footbridge")
    for room, (name, unread) in rooms.items():
        wanted = synced[room]["unread_notifications"]["notification_count"]
        check(name, f"{room} has no name")
        check(unread == wanted, f"{name}: {unread} unread, not {wanted}")
    [room] = [room for room, (name, _) in rooms.items() if name == group.name]
    dismiss(screen)

    nheko.call("activateRoom", room)
    shown = lambda *words: seen(screen, *words, left=LIST)
    until(lambda: shown("sunset", "lighthouse", "tomorrow", "umbrella"), "the newest messages, one of them edited")
    check(not shown("windmill"), "the text before the edit is shown")
    until(lambda: screen.pixels(ORANGE) > 10_000, "the picture")
    screen.shot("room")
    check(proxy.has("GET", "/_matrix/media/"), "Nheko shows a picture that it did not ask for")
    until(lambda: proxy.has("POST", "/read_markers$"), "Nheko says what was read")

    last = group.write("Remember the pineapple")
    before = until(lambda: shown("pineapple"), "a message that is written now")["pineapple"]
    group.love(last)
    moved = lambda: (shown("pineapple") or {"pineapple": before})["pineapple"][1] < before[1] - 10
    until(moved, "a reaction, which moves its message up")
    screen.shot("reaction")
    group.edit(last, "Remember the pineapple", "Forget the cucumber")
    until(lambda: shown("cucumber") and not shown("pineapple"), "an edit that is made now")
    screen.shot("edit")

    screen.do("mousemove", SIZE[0] - 300, SIZE[1] // 2)

    def at_beginning():
        screen.do("click", "--repeat", 40, "--delay", 5, 4)
        return shown("beginning", "harbour")

    until(at_beginning, "the first message, scrolled to", 60)
    screen.shot("beginning")
    pages = [path for method, path, status in proxy.asked if re.search(r"/messages\?", path)]
    check(len(pages) >= 2, f"{len(pages)} pages of history")
    wrong = [line for line in proxy.asked if line[2] >= 400 and not re.search("/room_keys/version$", line[1])]
    check(not wrong, f"refused: {wrong}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("footbridge", type=Path)
    parser.add_argument("--shots", type=Path, help="a folder for screenshots")
    arguments = parser.parse_args()
    if arguments.shots:
        arguments.shots.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    # Nheko 0.11 asks for files without its token.
    settings = {"FOOTBRIDGE_ENDPOINT_SERVER_NAME": "localhost", "FOOTBRIDGE_MEDIA_LEGACY": "loopback"}
    with tempfile.TemporaryDirectory() as temporary, contextlib.ExitStack() as stack:
        folder = Path(temporary)
        source = make_history(folder, 400, 12, 1)
        group = Group(source)
        service = stack.enter_context(running(arguments.footbridge, folder, source / "chat.db", settings))
        service.wait_for_import()
        proxy = Proxy(service.url)
        screen = Screen(folder, stack, arguments.shots)
        nheko = Nheko(folder, stack, screen)
        try:
            drive(service, group, proxy, screen, nheko)
        except Failed as failed:
            screen.shot("failed")
            tail = (folder / "nheko.log").read_text().splitlines()[-15:]
            asked = [f"{status} {method} {path[:120]}" for method, path, status in proxy.asked[-15:]]
            sys.exit("\n".join([f"nheko: {failed}", *tail, *asked]))
        rooms = len(nheko.rooms())
    print(f"nheko: {rooms} rooms, a picture, an edit, a reaction, scrolled to the beginning, in {time.monotonic() - began:.0f} s")


main()
