#!/usr/bin/env python3
"""Eight apps that lose or double writes, and the same eight without the flaw: does `fissure chaos` find the ones and leave the
others alone? Prints a table. Needs python3, node and redis-server; the apps are in this folder.

    bench/durability/run.py                      every app once
    bench/durability/run.py --repeats 20 --clean only the clean ones, twenty times
    bench/durability/run.py --only retry --keep  one of them, and its folder stays
"""
import argparse
import json
import os
import random
import shutil
import socket
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

HERE = Path(__file__).resolve().parent
FISSURE = os.environ.get("FISSURE_BIN", str(HERE.parent.parent / "target/release/fissure"))
JOURNEY = """POST {{base}}/notes
{ "text": "{{newUuid}}" }
HTTP 201
[Captures]
id: jsonpath "$.id"

GET {{base}}/notes/{{id}}
HTTP 200
"""
LIST = """
GET {{base}}/notes
HTTP 200
"""
PY, JS = "exec python3 notes.py $PORT", "exec node notes.js"
STORE = "python3 notes.py {port} store {key} & "
CACHE = '[links.cache]\nenv = "REDIS_URL"\nkind = "redis"\ndisposable = true\n'
LINK = '[links.store]\nenv = "STORE_URL"\nkind = "http"\n'
# Name: the command with the flaw and without it, the faults that are tried (the one that shows the flaw first), the journey's
# list, and what else the configuration says.
APPS = {
    "ack-before-commit": (f"{PY} ack-before-commit", f"{PY} none", ["restart"], LIST, ""),
    "write-behind": (f"{JS} write-behind", f"{JS} none", ["restart"], "", ""),
    "memory-queue": (f"{PY} memory-queue queue", f"{PY} none queue", ["restart"], LIST, ""),
    "no-persistence": (
        f'redis-server --port {{port}} --save "" --appendonly no --daemonize no > /dev/null & {PY} no-persistence',
        f'redis-server --port {{port}} --save "" --appendonly yes --daemonize no > /dev/null & {PY} none',
        ["restart"],
        LIST,
        "redis",
    ),
    "temporary-volume": (f"{JS} temporary-volume", f"{JS} none", ["restart"], LIST, ""),
    "swallowed-error": (f"{STORE}{PY} swallowed-error", f"{STORE}{PY} none", ["refuse"], LIST, "store plain"),
    "lost-on-terminate": (f"{JS} lost-on-terminate", f"{JS} none", ["terminate"], LIST, ""),
    "retry": (f"{STORE}{PY} retry retries", f"{STORE}{PY} none retries", ["half-open"], LIST, "store"),
}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", action="append", help="only this app (may be repeated)")
    parser.add_argument("--lossy", action="store_true", help="only the lossy ones")
    parser.add_argument("--clean", action="store_true", help="only the clean ones")
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--at-once", type=int, default=1, help="so many at the same time; figures of latencies suffer, durability does not")
    parser.add_argument("--keep", action="store_true", help="leave the folders behind")
    args = parser.parse_args()
    names = args.only or list(APPS)
    kinds = [kind for kind in ("lossy", "clean") if args.lossy == args.clean or getattr(args, kind)]
    work = [(name, kind, turn) for turn in range(args.repeats) for name in names for kind in kinds]
    with ThreadPoolExecutor(args.at_once) as pool:
        rows = list(pool.map(lambda job: play(*job, args.keep), work))
    print(f"\n{'app':20} {'':6} {'runs':>4} {'right':>5}  what was said last")
    wrong = 0
    for name in names:
        for kind in kinds:
            of = [row for row in rows if row["app"] == name and row["kind"] == kind]
            right = sum(row["right"] for row in of)
            wrong += len(of) - right
            print(f"{name:20} {kind:6} {len(of):4} {right:5}  {of[-1]['said']}")
    return 1 if wrong else 0


def play(name, kind, turn, keep):
    lossy, clean, faults, more, needs = APPS[name]
    folder = Path(tempfile.mkdtemp(prefix=f"fissure-{name}-{kind}-"))
    try:
        for app in ("notes.py", "notes.js"):
            shutil.copy(HERE / app, folder)
        (folder / "journeys").mkdir()
        (folder / "journeys/note.hurl").write_text(JOURNEY + more)
        port = free_port()
        key = "plain" if "plain" in needs or kind == "lossy" else "keyed"
        command = (lossy if kind == "lossy" else clean).replace("{port}", str(port)).replace("{key}", key)
        url = {"redis": f'REDIS_URL = "redis://127.0.0.1:{port}"', "store": f'STORE_URL = "http://127.0.0.1:{port}"'}
        env = url.get(needs.split(" ")[0], "")
        (folder / "fissure.toml").write_text(
            f'[app]\ncommand = {json.dumps(command)}\nhealth = "/notes"\n[app.env]\n{env}\n[users]\nthink_max = "0s"\n'
            f'[goal]\njourneys_per_s = 20\np95 = "900ms"\n{LINK if "store" in needs else CACHE if needs else ""}'
        )
        only = [word for fault in faults for word in ("--only", fault)]
        on = ["--on", "store"] if "store" in needs else ["--on", "web"]
        ran = subprocess.run(
            [FISSURE, "chaos", "--json", "--seed", str(turn + 1), *only, *on], cwd=folder, capture_output=True, text=True, timeout=300
        )
        row = judge(name, kind, ran)
    except (subprocess.TimeoutExpired, ValueError) as error:
        row = {"app": name, "kind": kind, "right": False, "said": f"no report: {error}"}
    finally:
        if not keep:
            shutil.rmtree(folder, ignore_errors=True)
    print(f"{'right' if row['right'] else 'WRONG'}  {name} {kind} {turn + 1}: {row['said']}", file=sys.stderr, flush=True)
    return row


def judge(name, kind, ran):
    if "{" not in ran.stdout:
        return {"app": name, "kind": kind, "right": False, "said": ran.stderr.strip().splitlines()[-1:] or "nothing"}
    report = json.loads(ran.stdout[ran.stdout.index("{"):])
    writes = [seen for trial in report["blast_radius"]["trials"] for seen in trial["writes"]]
    total = lambda what: sum(seen[what] for seen in writes)
    said = (
        f"{total('acknowledged')} acknowledged, {total('lost')} lost, {total('duplicated')} doubled, {total('undead')} undead, "
        f"{total('unread')} unread; {len(report['writes_not_checked'])} not checked"
    )
    if not writes:
        said += f"; {report['verdict']['sentence']}"
    is_alarm = total("lost") + total("duplicated") + total("undead") > 0
    # What was not looked at was not found to be clean either.
    right = total("acknowledged") > 0 and not report["writes_not_checked"] and is_alarm == (kind == "lossy")
    if kind == "lossy":
        right = right and total("duplicated" if name == "retry" else "lost") > 0
    return {"app": name, "kind": kind, "right": right, "said": said}


def free_port():
    """Below those that the kernel gives to connections: the crowds of other runs take them by the thousand."""
    while True:
        port = random.randrange(20_000, 32_000)
        with socket.socket() as s:
            try:
                s.bind(("127.0.0.1", port))
                return port
            except OSError:
                pass


if __name__ == "__main__":
    sys.exit(main())
