#!/usr/bin/env python3
"""Four apps in three languages whose matrix is known beforehand: is what `fissure chaos` says of each cell right?

    bench/matrix/run.py --at-once 2

Needs python3, node and ruby. A cell may have more than one right answer where both happen in one window. Counted apart: cells that
were said to be unaffected although the promise was broken.
"""
import argparse
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

HERE = Path(__file__).resolve().parent
FISSURE = os.environ.get("FISSURE_BIN", str(HERE.parent.parent / "target/release/fissure"))
OK, SLOW, FAST, HANGS, WRONG = {"unaffected", "within_slo"}, {"slow"}, {"fails_fast"}, {"hangs"}, {"wrong_answer"}
FINE_OR_SLOW = OK | SLOW
# Of every app: what befalls the process and the way from the users, for both routes. The promise is p95 < 500 ms.
EVERYWHERE = {
    ("pause", "web"): (HANGS, HANGS),
    ("restart", "web"): (FAST, FAST),
    ("latency", "users -> web"): (OK, OK),
    ("blackhole", "users -> web"): (HANGS, HANGS),
    ("refuse", "users -> web"): (FAST, FAST),
    ("status", "users -> web"): (FAST, FAST),
    ("cut", "users -> web"): (FAST, FAST),
}
# (`GET /`, `GET /stock`)
APPS = {
    "threads.py": (
        "exec python3 threads.py $PORT",
        {
            ("latency", "web -> stock"): (OK, OK),
            ("refuse", "web -> stock"): (OK, FAST),
            ("blackhole", "web -> stock"): (OK, FAST),
            ("half-open", "web -> stock"): (OK, FAST),
            ("status", "web -> stock"): (OK, FAST),
        },
    ),
    "patient.js": (
        "exec node patient.js",
        {
            ("latency", "web -> stock"): (OK, OK),
            ("refuse", "web -> stock"): (OK, FAST),
            ("blackhole", "web -> stock"): (OK, HANGS),
            ("half-open", "web -> stock"): (OK, HANGS),
            ("status", "web -> stock"): (OK, FAST),
        },
    ),
    "one_by_one.rb": (
        "exec ruby one_by_one.rb",
        {
            # Five requests a second that hold the only worker for 0.2 s each fill it.
            ("latency", "web -> stock"): (FINE_OR_SLOW | HANGS, FINE_OR_SLOW | HANGS),
            ("refuse", "web -> stock"): (OK, FAST),
            ("blackhole", "web -> stock"): (HANGS, HANGS),
            ("half-open", "web -> stock"): (HANGS, HANGS),
            ("status", "web -> stock"): (OK, FAST),
        },
    ),
    "guesses.js": (
        "exec node guesses.js",
        {
            # The answer comes just after the app has given up.
            ("latency", "web -> stock"): (OK, WRONG),
            ("refuse", "web -> stock"): (OK, WRONG),
            ("blackhole", "web -> stock"): (OK, WRONG),
            ("half-open", "web -> stock"): (OK, WRONG),
            ("status", "web -> stock"): (OK, WRONG),
        },
    ),
}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", action="append")
    parser.add_argument("--at-once", type=int, default=1)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    names = args.only or list(APPS)
    with ThreadPoolExecutor(args.at_once) as pool:
        tables = dict(zip(names, pool.map(lambda name: play(name, args.seed), names)))
    right = cells = blind = untold = 0
    for name in names:
        print(f"\n{name}")
        expected = EVERYWHERE | APPS[name][1]
        for (fault, target), answers in expected.items():
            seen = tables[name].get((fault, target))
            for route, accepted in zip(("GET /", "GET /stock"), answers):
                said = seen.get(route) if isinstance(seen, dict) else seen
                if said is None or said.startswith(("void", "not tried", "too_few")):
                    untold += 1
                    print(f"  ?     {fault} on {target}, {route}: {said or 'missing'}")
                    continue
                cells += 1
                is_right = said in accepted
                right += is_right
                blind += said in OK and not accepted & OK
                if not is_right:
                    print(f"  WRONG {fault} on {target}, {route}: {said} instead of {' or '.join(sorted(accepted))}")
    print(f"\n{right} of {cells} cells right ({100 * right / max(cells, 1):.1f} %), {blind} said to be fine that were not, {untold} without an answer")
    return 0 if cells and right >= 0.95 * cells and blind == 0 else 1


def play(name, seed):
    command, more = APPS[name]
    folder = Path(tempfile.mkdtemp(prefix="fissure-matrix-"))
    try:
        for app in HERE.glob("*.[pjr]*"):
            shutil.copy(app, folder)
        stock = free_port()
        (folder / "journeys").mkdir()
        (folder / "journeys/home.hurl").write_text("GET {{base}}/\nHTTP 200\n")
        (folder / "journeys/stock.hurl").write_text('GET {{base}}/stock\nHTTP 200\n[Asserts]\nbody == "ok"\n')
        # The stock service is a copy of the first app, beside the app in the same copy of the folder: `/count` is answered with "ok".
        command = f"STOCK_URL=none python3 threads.py {stock} & {command}"
        (folder / "fissure.toml").write_text(
            f'[app]\ncommand = {json.dumps(command)}\nhealth = "/stock"\n[app.env]\nSTOCK_URL = "http://127.0.0.1:{stock}"\n'
            '[users]\n[goal]\nrequests_per_s = 16\np95 = "500ms"\n[links.stock]\nenv = "STOCK_URL"\nkind = "http"\n'
        )
        faults = sorted({fault for fault, _ in (EVERYWHERE | more)})
        only = [word for fault in faults for word in ("--only", fault)]
        ran = subprocess.run([FISSURE, "chaos", "--json", "--seed", str(seed), *only], cwd=folder, capture_output=True, text=True)
        report = json.loads(ran.stdout[ran.stdout.index("{"):])
    except ValueError:
        print(ran.stderr[-2000:], file=sys.stderr)
        return {}
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    table = {}
    for trial in report["blast_radius"]["trials"]:
        if trial["outcome"] != "measured":
            table[trial["fault"], trial["target"]] = f"{trial['outcome'].replace('_', ' ')}: {trial['why']}"
        else:
            table[trial["fault"], trial["target"]] = {cell["route"]: cell["class"] for cell in trial["routes"]}
    return table


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


if __name__ == "__main__":
    sys.exit(main())
