#!/usr/bin/env python3
"""Checks every lesson and holds what fissure says against what is true. See README.md beside this file."""
import argparse
import json
import os
import shutil
import socket
import subprocess
import sys
import time
import tomllib
from contextlib import contextmanager
from pathlib import Path

import grade

ROOT = Path(__file__).resolve().parent.parent
QUICK = ["04-parcels", "07-rental-desk"]
DEMO = "01-photo-shop"


def main():
    args = arguments()
    args.folder.mkdir(parents=True, exist_ok=True)
    results = args.folder / "results.jsonl"
    if not args.report:
        if not args.add:
            results.unlink(missing_ok=True)
        with open(results, "a") as out:
            for turn in range(args.repeats):
                for lesson in args.lessons:
                    row = play(lesson, args, turn)
                    print(line_of(row), flush=True)
                    out.write(json.dumps(row) + "\n")
                    out.flush()
    rows = [json.loads(line) for line in results.read_text().splitlines()] if results.exists() else []
    rows = [row for row in rows if row["lesson"] in args.lessons]
    found = {
        "seen": grade.summary([row for row in rows if not row["held_out"]]),
        "held_out": grade.summary([row for row in rows if row["held_out"]]),
        "rows": rows,
    }
    Path(args.json or args.folder / "diagnosis.json").write_text(json.dumps(found, indent=1))
    print(tables(found))
    sys.exit(0 if rows else 2)


def arguments():
    parser = argparse.ArgumentParser(prog="cargo xtask bench diagnosis", description="Checks every lesson and holds what fissure says against what is true.")
    listed = lambda text: text.split(",")
    parser.add_argument("--repeats", type=int, default=3, help="how often each lesson is checked (default 3)")
    parser.add_argument("--only", type=listed, help="only these lessons, like 04,10-label-printer")
    parser.add_argument("--budget", default="90s", help="time for each check (default 90s; the demo keeps its own)")
    parser.add_argument("--quick", action="store_true", help=f"{', '.join(QUICK)} once: does it work?")
    parser.add_argument("--without-held-out", action="store_true", help="leave out the lessons that were written last")
    parser.add_argument("--add", action="store_true", help="add to the results of earlier calls")
    parser.add_argument("--report", action="store_true", help="only print the tables of earlier calls")
    parser.add_argument("--folder", type=Path, default=ROOT / "target/bench/diagnosis", help="where lessons are copied to and runs stay")
    parser.add_argument("--json", metavar="FILE", help="where the figures go, too (default: diagnosis.json in that folder)")
    parser.add_argument("--fissure", default=os.environ.get("FISSURE_BIN", ROOT / "target/release/fissure"), help="the program to ask")
    args = parser.parse_args()
    known = sorted(path.parent.name for path in ROOT.glob("lessons/*/truth.toml"))
    if args.quick:
        args.only, args.repeats = args.only or QUICK, 1
    for wrong in [name for name in args.only or [] if not any(matches(name, lesson) for lesson in known)]:
        parser.error(f"`{wrong}` is no lesson; there are {', '.join(known)}")
    if args.repeats < 1:
        parser.error("--repeats must be at least 1")
    chosen = [lesson for lesson in known if not args.only or any(matches(name, lesson) for name in args.only)]
    args.lessons = [lesson for lesson in chosen if not (args.without_held_out and truth_of(lesson).get("held_out"))]
    if not args.report and not shutil.which(args.fissure):
        parser.error(f"{args.fissure} is not there; build it with `cargo build --release`, or name one with --fissure")
    return args


def matches(name, lesson):
    return name == lesson or name == lesson.split("-")[0]


def truth_of(lesson):
    return tomllib.loads((ROOT / "lessons" / lesson / "truth.toml").read_text())


def play(lesson, args, turn):
    """One check of one lesson, in a copy of its folder, so that the lesson stays as it is."""
    truth = truth_of(lesson)
    folder = args.folder / lesson
    began = time.monotonic()
    command = [args.fissure, "demo", "--folder", folder] if truth.get("embedded") else [args.fissure, "check", folder, "--budget", args.budget]
    if truth.get("embedded"):
        shutil.rmtree(folder, ignore_errors=True)
    else:
        refresh(ROOT / "lessons" / lesson, folder)
    with beside(truth, folder):
        ended = subprocess.run([*command, "--json", "--seed", str(turn + 1)], stdin=subprocess.DEVNULL, capture_output=True, text=True)
    took_s = time.monotonic() - began
    row = {"lesson": lesson, "held_out": bool(truth.get("held_out")), "turn": turn, "took_s": round(took_s, 1), "status": ended.returncode}
    try:
        report = json.loads(ended.stdout)
        run = folder / ".fissure/runs" / report["run"]
        journal = (run / "journal.jsonl").read_text(errors="replace")
        void = report["windows"]
        row |= grade.grade(truth, report) | {"run": str(run), "sentence": report["verdict"]["sentence"], "void": [void["void"], void["measured"]]}
        row["baselines"] = grade.baselines(truth, report, journal)
    except (json.JSONDecodeError, KeyError, OSError) as error:
        row |= failed(truth, f"{error!r}: {ended.stderr[-600:].strip()}")
    return row


def failed(truth, why):
    """No report is as wrong as it gets, though not confident."""
    nothing = {"verdict": {"kind": grade.UNDECIDED, "goal_met": None}, "limit": {"resource": "unknown", "routes": [], "place": []}, "demands": []}
    return grade.grade(truth, nothing) | {"run": None, "sentence": why, "void": [0, 0], "baselines": {}}


def refresh(lesson, folder):
    folder.mkdir(exist_ok=True)
    for entry in folder.iterdir():
        if entry.name != ".fissure":
            shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
    shutil.copytree(lesson, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns(".fissure", "__pycache__"))


@contextmanager
def beside(truth, folder):
    """The program that the lesson's app talks to."""
    if "beside" not in truth:
        yield
        return
    # It complains about every connection that the crowd cuts at the end of a window.
    with open(folder / ".fissure-beside.log", "w") as log:
        program = subprocess.Popen(truth["beside"].split(), cwd=folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        until = time.monotonic() + 20
        while not listens(truth["port"]):
            if program.poll() is not None or time.monotonic() > until:
                raise SystemExit(f"{truth['beside']} does not listen on port {truth['port']}; is the port taken?")
            time.sleep(0.02)
        yield
    finally:
        program.terminate()
        program.wait()


def listens(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def mark(answer):
    return {True: "yes", False: "NO", None: "-"}[answer]


def line_of(row):
    said = " | ".join(f"{aspect} {mark(row['right'][aspect])}" for aspect in grade.ASPECTS)
    return f"  {row['lesson']:18} {row['took_s']:4.0f} s  {said}\n      {row['said']}: {row['sentence'][:200] if row['run'] else row['sentence'][-300:]}\n      {row['resource_said']} · {row['route_said']} · {', '.join(row['places_said'])}"


def tables(found):
    lines = ["", "| lesson | verdict | resource | route | function | line | slowest | busiest | s | void | said |", "|---|---|---|---|---|---|---|---|---|---|---|"]
    for row in sorted(found["rows"], key=lambda row: (row["held_out"], row["lesson"], row["turn"])):
        rules = [mark(row["baselines"].get(name)) for name in grade.BASELINES]
        cells = [row["lesson"] + (" (held out)" if row["held_out"] else ""), *[mark(row["right"][a]) for a in grade.ASPECTS], *rules]
        said = row["said"] + (" (wrong)" if row["wrong_and_confident"] else "")
        lines.append("| " + " | ".join([*cells, f"{row['took_s']:.0f}", f"{row['void'][0]} of {row['void'][1]}", said]) + " |")
    for title, key in [("Lessons that the method was made with", "seen"), ("Held out", "held_out")]:
        if found[key]["verdict"]["of"]:
            lines += ["", f"**{title}**", "", "| | right | share | 95 % interval |", "|---|---|---|---|"]
            for name, s in found[key].items():
                share = "-" if s["share"] is None else f"{s['share']:.2f}"
                lines.append(f"| {name} | {s['right']} of {s['of']} | {share} | {s['low']:.2f} to {s['high']:.2f} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
