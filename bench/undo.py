#!/usr/bin/env python3
"""Kills fissure, or the guard of its app, at random moments while faults are in force, and looks for what is left behind.

    bench/undo.py --kills 200 --at-once 6

A kill goes to fissure (SIGKILL), to a guard, to both at once, or is a Ctrl-C. Soon after, nobody may be stopped, limited or alive, and
nobody may listen: how soon is measured, and what is still there after some seconds is residue. After the next start no scratch copy
may be left. Python's standard library only.
"""
import argparse
import collections
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

HERE = Path(__file__).resolve().parent
FISSURE = os.environ.get("FISSURE_BIN", str(HERE.parent / "target/release/fissure"))
APP = HERE.parent / "crates/fissure/tests/apps/linked.py"
FAULTS = ["pause", "cpu", "memory", "files", "kill", "restart", "terminate", "latency", "blackhole", "refuse", "syn-hang", "half-open", "disk-full", "fsync", "clock"]
KILLS = ["fissure", "fissure", "guard", "both", "ctrl-c"]
RESIDUE_AFTER_S = 30.0  # on a busy machine the kernel itself takes its time to end a process; how long it took is told


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--at-once", type=int, default=4)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    with ThreadPoolExecutor(args.at_once) as pool:
        seen = list(pool.map(lambda n: trial(args.seed * 100_000 + n), range(args.kills)))
    tally = collections.Counter((kill, "in force" if in_force else "before or after it") for kill, _, in_force, *_ in seen)
    for (kill, when), count in sorted(tally.items()):
        print(f"{count:4} x {kill:8} {when}")
    residue = [(kill, fault, left) for kill, fault, _, left, _ in seen if left]
    gone_s = sorted(gone_s for *_, left, gone_s in seen if not left)
    print(f"{len(seen)} kills, {len(residue)} with residue")
    if gone_s:
        print(f"all gone after {gone_s[len(gone_s) // 2]:.2f} s (median), {gone_s[-1]:.2f} s (longest)")
    for kill, fault, left in residue:
        print(f"  {kill} during {fault}: {left}")
    return 1 if residue else 0


def trial(seed):
    chance = random.Random(seed)
    kill, fault = chance.choice(KILLS), chance.choice(FAULTS)
    folder = Path(tempfile.mkdtemp(prefix="fissure-undo-"))
    try:
        shutil.copy(APP, folder)
        (folder / "journeys").mkdir()
        (folder / "journeys/home.hurl").write_text("GET {{base}}/\nHTTP 200\n")
        (folder / "fissure.toml").write_text(
            '[app]\ncommand = "exec python3 linked.py $PORT"\nhealth = "/"\n[app.env]\nSTOCK_URL = "http://127.0.0.1:9"\n'
            '[users]\n[goal]\nrequests_per_s = 10\np95 = "900ms"\n'
        )
        running = subprocess.Popen(
            [FISSURE, "chaos", "--only", fault], cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
        )
        journal = wait_for_fault(folder, running)
        # The fault lasts five seconds: mostly inside it, now and then a moment later.
        time.sleep(chance.uniform(0, 5.5))
        in_force = journal is not None and b"fault_lifted" not in journal.read_bytes()
        doomed = family(running.pid)
        ports = {port for pid in doomed for port in listening(pid)}
        guards = [pid for pid in doomed if b"__guard" in read(pid, "cmdline")]
        strike(kill, running.pid, guards, chance)
        if kill == "guard":  # fissure lives on: it says what it knows and goes
            time.sleep(0.3)
            signal_to(running.pid, signal.SIGINT)
            wait(running, 15)
        elif kill == "ctrl-c":
            wait(running, 15)
        left, gone_s = settle(folder, doomed, ports)
        if running.poll() is None:
            left.append("fissure itself")
            running.kill()
        running.wait()
        left += sweep(folder)
        print(f"{kill} during {fault}: {left or 'nothing left'}", file=sys.stderr, flush=True)
        return kill, fault, in_force, left, gone_s
    finally:
        for pid in ours(folder):
            signal_to(pid, signal.SIGKILL)
        shutil.rmtree(folder, ignore_errors=True)


def strike(kill, fissure, guards, chance):
    if kill == "ctrl-c":
        return signal_to(fissure, signal.SIGINT)
    victims = {"fissure": [fissure], "guard": guards, "both": [fissure, *guards]}[kill]
    chance.shuffle(victims)
    for pid in victims:
        signal_to(pid, signal.SIGKILL)


def wait_for_fault(folder, running):
    until = time.time() + 60
    while time.time() < until and running.poll() is None:
        for journal in (folder / ".fissure/runs").glob("*/journal.jsonl") if (folder / ".fissure/runs").exists() else []:
            if b"fault_injected" in journal.read_bytes():
                return journal
        time.sleep(0.05)
    return None


def settle(folder, doomed, ports):
    """What is still there when the time is over, and how long it took until nothing was."""
    began = time.time()
    while True:
        alive = [pid for pid in {*doomed, *ours(folder)} if stat(pid) not in ("", "Z", "X") and of_folder(pid, folder)]
        listeners = sorted(ports & all_listeners())
        left = [f"pid {pid} in state {stat(pid)}: {read(pid, 'cmdline')[:60]}" for pid in alive]
        left += [f"somebody listens on {port}" for port in listeners]
        if not left or time.time() - began > RESIDUE_AFTER_S:
            return left, time.time() - began
        time.sleep(0.05)


def sweep(folder):
    """The next start takes away what a killed one could not: copies of the folder, files of faults."""
    again = subprocess.Popen(
        [FISSURE, "load", ".", "--rate", "5", "--for", "1s"], cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    wait(again, 60)
    scratch = folder / ".fissure/scratch"
    return [f"scratch copy {path.name}" for path in scratch.iterdir()] if scratch.exists() else []


def wait(process, seconds):
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.kill()


def signal_to(pid, what):
    try:
        os.kill(pid, what)
    except ProcessLookupError:
        pass


def read(pid, name):
    try:
        return Path(f"/proc/{pid}/{name}").read_bytes()
    except OSError:
        return b""


def stat(pid):
    return read(pid, "stat").decode(errors="replace").rpartition(") ")[2][:1]


def of_folder(pid, folder):
    try:
        return os.readlink(f"/proc/{pid}/cwd").startswith(str(folder))
    except OSError:
        return False


def ours(folder):
    return [int(name) for name in os.listdir("/proc") if name.isdigit() and of_folder(int(name), folder)]


def family(pid):
    parents = {}
    for name in os.listdir("/proc"):
        if name.isdigit() and (text := read(name, "stat")):
            parents.setdefault(int(text.decode(errors="replace").rpartition(") ")[2].split()[1]), []).append(int(name))
    found, open_ = [], [pid]
    while open_:
        children = parents.get(open_.pop(), [])
        found += children
        open_ += children
    return found


def sockets():
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        if fields[3] == "0A":
            yield fields[9], int(fields[1].rpartition(":")[2], 16)


def all_listeners():
    return {port for _, port in sockets()}


def listening(pid):
    try:
        held = {os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")}
    except OSError:
        return []
    return [port for inode, port in sockets() if f"socket:[{inode}]" in held]


if __name__ == "__main__":
    sys.exit(main())
