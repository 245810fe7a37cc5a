#!/usr/bin/env python3
"""kill-import.py - kill an import at random moments, restart it each time, and hold the result against a quiet one.

  kill-import.py --binary target/release/footbridge --chat-db DIR/chat.db [--kills 50] [--commit-rows 1000] [--seed 1]

Every import runs with --commit-rows, and is killed with SIGKILL after a random part of the time that a quiet import
takes. At the end the export must equal that of an archive that was never disturbed, line for line but for change
numbers, and `verify` must find nothing. Prints how long opening took after each kill. Exit 0 when all of that holds.
"""
import argparse, json, os, random, signal, statistics, subprocess, sys, tempfile, time


def run(binary, data, *args, **more):
    return subprocess.run([binary, "--data", data, *args], stdin=subprocess.DEVNULL, capture_output=True, text=True, **more)


def must(result):
    if result.returncode != 0:
        sys.exit("%s\nexit %d\n%s%s" % (result.args, result.returncode, result.stdout, result.stderr))
    return result


def exported(binary, data):
    lines = []
    for line in must(run(binary, data, "export")).stdout.split("\n"):
        if not line:
            continue
        x = json.loads(line)
        if x["type"] == "header":
            continue
        x.pop("change", None)
        lines.append(x)
    return lines


def main():
    ap = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    ap.add_argument("--binary", required=True)
    ap.add_argument("--chat-db", required=True)
    ap.add_argument("--kills", type=int, default=50)
    ap.add_argument("--commit-rows", type=int, default=1000)
    ap.add_argument("--seed", type=int, default=1)
    a = ap.parse_args()
    r = random.Random(a.seed)
    importing = ["import", "--chat-db", a.chat_db, "--commit-rows", str(a.commit_rows)]
    with tempfile.TemporaryDirectory() as folder:
        quiet, killed = os.path.join(folder, "quiet.redb"), os.path.join(folder, "killed.redb")
        begin = time.monotonic()
        must(run(a.binary, quiet, *importing))
        whole = time.monotonic() - begin
        # Later kills fall into later parts of the import: a restart goes on from where the last one was killed.
        kills, opened, finished = 0, [], 0
        while kills < a.kills:
            p = subprocess.Popen([a.binary, "--data", killed, *importing], stdin=subprocess.DEVNULL,
                                 stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            try:
                p.wait(timeout=r.uniform(0.0, 2.5 * whole / a.kills) + 0.02)
                finished += 1
                os.remove(killed)       # it was through before it could be killed: begin again
                continue
            except subprocess.TimeoutExpired:
                p.send_signal(signal.SIGKILL)
                p.wait()
                kills += 1
            if os.path.exists(killed):
                begin = time.monotonic()
                must(run(a.binary, killed, "status"))
                opened.append((time.monotonic() - begin) * 1000)
        must(run(a.binary, killed, *importing))
        must(run(a.binary, killed, "verify"))
        same = exported(a.binary, killed) == exported(a.binary, quiet)
        print("%d kills, %d imports ended before theirs; open after a kill: median %.0f ms, longest %.0f ms; quiet import %.1f s"
              % (kills, finished, statistics.median(opened), max(opened), whole))
        print("export equals the quiet one" if same else "EXPORT DIFFERS")
        sys.exit(not same)


if __name__ == "__main__":
    main()
