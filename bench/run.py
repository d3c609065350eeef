#!/usr/bin/env python3
"""Holds fissure's crowd against other load generators. See README.md beside this file.

Rounds are interleaved (A B C, A B C, ...); figures are medians over rounds, multiples are medians of the multiples within a round.
"""
import argparse
import json
import os
import platform
import re
import subprocess
from collections import defaultdict
from pathlib import Path
from statistics import median

import measure
import peers

PARTS = ["flat", "journey", "stall", "memory"]
FOLDER = Path(__file__).resolve().parent.parent / "target/bench"
STALL_AFTER_S, STALLED_S, MEMORY_USERS = 4, 1.0, 10_000


def main():
    args = arguments()
    FOLDER.mkdir(parents=True, exist_ok=True)
    os.sched_setaffinity(0, {measure.SERVER_CPU})  # the driver sleeps; what little it does is not the generators' CPU
    results = FOLDER / "results.jsonl"
    if not args.report:
        if not args.add:
            results.unlink(missing_ok=True)
        there, missing = provide(args)
        with measure.Server(FOLDER) as server, open(results, "a") as out:
            for turn in range(args.rounds):
                for part in args.part:
                    for generator in there:
                        for row in play(part, generator, server, args.quick):
                            print(f"  round {turn + 1}  {part:8} {row['name']:40} {row.get('why') or 'done'}", flush=True)
                            out.write(json.dumps(row) + "\n")
        (FOLDER / "missing.json").write_text(json.dumps(missing))
    rows = [json.loads(line) for line in results.read_text().splitlines()]
    missing = json.loads((FOLDER / "missing.json").read_text())
    print(report(rows, missing))


def arguments():
    parser = argparse.ArgumentParser(prog="cargo xtask bench", description="Holds fissure's crowd against other load generators.")
    listed = lambda text: text.split(",")
    parser.add_argument("--quick", action="store_true", help="one short round: to see that everything works, not to quote")
    parser.add_argument("--only", type=listed, help="only these generators, like wrk,oha (and fissure)")
    parser.add_argument("--part", type=listed, default=PARTS, help="only these parts: " + ",".join(PARTS))
    parser.add_argument("--rounds", type=int, help="default 3")
    parser.add_argument("--add", action="store_true", help="add to the results of earlier calls")
    parser.add_argument("--report", action="store_true", help="only print the tables of earlier calls")
    parser.add_argument("--no-install", action="store_true", help="use what is installed already")
    args = parser.parse_args()
    args.rounds = args.rounds or (1 if args.quick else 3)
    known = {generator.name for generator in peers.GENERATORS}
    for wrong in set(args.only or []) - known | set(args.part) - set(PARTS):
        parser.error(f"`{wrong}` is neither a generator ({', '.join(sorted(known))}) nor a part ({', '.join(PARTS)})")
    if os.cpu_count() < 2:
        parser.error("two CPUs are needed: one for the generator, one for the server")
    return args


def provide(args):
    """The generators that are there, after an attempt to install; and why others are not."""
    if not args.no_install and not peers.shutil.which("nginx"):
        peers.apt("nginx-light")
    there, missing = [], {}
    for kind in peers.GENERATORS:
        generator = kind(FOLDER)
        if args.only and kind.name not in [*args.only, "fissure"]:
            continue
        try:
            if not generator.program() and not args.no_install:
                print(f"==> installing {kind.name} from {kind.origin}", flush=True)
                generator.install()
            if generator.program():
                there.append(generator)
            else:
                missing[kind.name] = f"not installed (it would come from {kind.origin})"
        except (OSError, subprocess.CalledProcessError) as error:
            missing[kind.name] = f"cannot be installed from {kind.origin}: {error}"
    return there, missing


def play(part, generator, server, quick):
    """One round of one generator: a row for each variant."""
    if part == "flat":
        variants = generator.flat(server.url, 2 if quick else 5)
    elif part == "journey":
        variants = generator.journey(server.url, 3 if quick else 10)
    elif part == "stall":
        variants = generator.stall(server.url)
    else:
        variants = []
        for users in 100, (MEMORY_USERS if generator.name == "fissure" else 1_000):
            seconds = 40 if users == MEMORY_USERS and not quick else 15
            for variant in generator.think(server.url, users, seconds):
                yield measured(part, variant, server, users)
    for variant in variants:
        yield measured(part, variant, server)


def measured(part, variant, server, users=None):
    name, command, env, read = variant
    row = dict(part=part, name=name, users=users)
    before = server.served()
    stall = server.stall(STALL_AFTER_S, STALLED_S) if part == "stall" else None
    run = measure.Run(command, env, FOLDER, timeout_s=150)
    if stall:
        stall.join()
        row["stood_ms"] = stall.stood_ms
    row.update(served=server.served() - before, cpu_s=run.cpu_s, resident=run.resident_max)
    if users == MEMORY_USERS and run.resident and run.resident[-1][0] > 40:
        row["growth"] = run.growth_per_minute(after_s=25)
    try:
        row.update(read(run))
    except Exception as error:  # whatever a foreign report looks like, the others are still to be measured
        row["why"] = f"its report cannot be read ({error!r}, status {run.status}): {(run.stderr or run.stdout)[-200:]}"
    return row


# Tables

def report(rows, missing):
    wrong = [f"{r['name']} ({r['part']}): {r['why']}" for r in rows if r.get("why")]
    rows = [r for r in rows if not r.get("why")]
    parts = defaultdict(lambda: defaultdict(list))
    for row in rows:
        parts[row["part"]][row["name"], row["users"]].append(row)
    lines = [machine()]
    for part, table in (("flat", per_cpu), ("journey", per_cpu), ("stall", stalled), ("memory", remembered)):
        if parts[part]:
            lines += ["", *table(part, parts)]
    lines += ["", *(f"not measured: {name}: {why}" for name, why in missing.items()), *(f"not measured: {text}" for text in wrong)]
    return "\n".join(lines).rstrip()


def per_cpu(part, parts):
    rate = lambda row: row["served"] / row["cpu_s"]  # not what the tool says that it sent
    rates = {name: [rate(row) for row in rows] for (name, _), rows in parts[part].items()}
    # Like with like: who opens a connection for each user, and who keeps it for the next one.
    own = lambda name: next((r for n, r in rates.items() if n.startswith("fissure") and n.endswith(peers.NEW) == name.endswith(peers.NEW)), [])
    table = []
    for (name, _), rows in parts[part].items():
        multiples = [a / b for a, b in zip(own(name), rates[name])]
        table.append([
            name, f"{median(rates[name]):,.0f}", f"{min(rates[name]):,.0f} to {max(rates[name]):,.0f}", f"{median(multiples):.2f}" if multiples else "-",
            f"{median(r['resident'] for r in rows) / 1e6:.0f}", f"{sum(r.get('failed', 0) for r in rows):.0f}", len(rows),
        ])
    yield from shown(["generator", "requests per CPU s", "range", "fissure has x", "MB", "failed", "rounds"], table,
                     f"{part}: closed loop, {peers.USERS} users, requests per CPU second of the generator")
    flat = [rate(row) for row in parts["flat"].get(("fissure", None), [])]
    if part == "journey" and flat:
        yield ""
        for name in (name for name in rates if name.startswith("fissure")):
            yield f"{name}: {median(rates[name]) / median(flat):.2f} of its own flat rate"


def stalled(_, parts):
    stood = median(r["stood_ms"] for rows in parts["stall"].values() for r in rows)
    waits = lambda q: stood - 1e3 * (1 - q) * peers.STALL["seconds"]  # the share of the requests that came before, and waited longer
    table = [["truth", peers.STALL["rate"] * peers.STALL["seconds"], "", "", f"{waits(0.99):.0f}", f"{waits(0.999):.0f}", "", "", ""]]
    for (name, _), rows in parts["stall"].items():
        ms = lambda key: f"{median(r[key] for r in rows):.3g}" if all(r.get(key) is not None for r in rows) else "-"
        late = ms("late_p99")
        table.append([name, spread(r["sent"] for r in rows), spread(r["served"] for r in rows), ms("p50"), ms("p99"), ms("p999"), f"{median(r['cpu_s'] for r in rows):.2f}", late, len(rows)])
    yield from shown(["generator", "sent", "served", "p50 ms", "p99 ms", "p99.9 ms", "CPU s", "late p99 ms", "rounds"], table,
                     "stall: 500 requests per second for 10 s, the server stopped for one of them; latencies as each tool reports them")


def remembered(_, parts):
    table = []
    for (name, users), rows in parts["memory"].items():
        resident = median(r["resident"] for r in rows)
        fewest = min(u for n, u in parts["memory"] if n == name)
        base = median(r["resident"] for r in parts["memory"][name, fewest])
        each = f"{(resident - base) / (users - fewest) / 1e3:.1f}" if users > fewest else ""
        late = [r["late_p99"] for r in rows if r.get("late_p99") is not None]
        growth = [r["growth"] for r in rows if r.get("growth") is not None]
        table.append([
            name, f"{users:,}", f"{resident / 1e6:.0f}", each, f"{median(r['cpu_s'] for r in rows):.1f}",
            f"{median(late):.3g}" if late else "", f"{median(growth) / 1e6:.2f}" if growth else "", len(rows),
        ])
    yield from shown(["generator", "users", "MB", "KB per user", "CPU s", "late p99 ms", "MB per minute", "rounds"], table,
                     "memory: users who read for 1 s before each page, connections kept open; resident memory of all processes, at most")


def spread(values):
    values = sorted(values)
    return f"{values[0]:.0f}" if values[0] == values[-1] else f"{values[0]:.0f} to {values[-1]:.0f}"


def shown(head, table, title):
    """A table that is plain text and Markdown at once."""
    table = [[str(cell) for cell in row] for row in [head, *table]]
    widths = [max(len(row[i]) for row in table) for i in range(len(head))]
    line = lambda row: "| " + " | ".join(c.ljust(w) if i == 0 else c.rjust(w) for i, (c, w) in enumerate(zip(row, widths))) + " |"
    rule = "|" + "|".join(("-" * (w + 2)) if i == 0 else "-" * (w + 1) + ":" for i, w in enumerate(widths)) + "|"
    return [title, "", line(table[0]), rule, *map(line, table[1:])]


def machine():
    model = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    return f"{os.cpu_count()} CPUs ({model[1] if model else platform.machine()}), Linux {platform.release().split('-')[0]}; generator on CPU 0, server (nginx, one process) on CPU 1"


if __name__ == "__main__":
    main()
