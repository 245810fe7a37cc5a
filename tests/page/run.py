#!/usr/bin/env python3
"""Drives the built-in web page in Chromium, over an invented history that footbridge has imported.

usage: run.py FOOTBRIDGE [--messages N] [--chats N] [--seed N] [--shots FOLDER]

Needs node, npm and Chromium (`CHROMIUM`, else /usr/bin/chromium). page.test.mjs says what is looked at.
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.append(str(HERE.parent / "tools"))

from service import make_history
from service import running


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("footbridge", type=Path)
    parser.add_argument("--messages", type=int, default=5_000)
    parser.add_argument("--chats", type=int, default=40)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--shots", type=Path, help="a folder for screenshots")
    arguments = parser.parse_args()
    subprocess.run(["npm", "ci", "--silent", "--no-fund", "--no-audit"], cwd=HERE, check=True)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        source = make_history(folder, arguments.messages, arguments.chats, arguments.seed)
        with running(arguments.footbridge, folder, source / "chat.db") as service:
            service.wait_for_import()
            environment = service.environment()
            if arguments.shots:
                environment["FOOTBRIDGE_SHOTS"] = str(arguments.shots.resolve())
            ran = subprocess.run(["npm", "test", "--silent"], cwd=HERE, env=environment)
    sys.exit(ran.returncode)


main()
