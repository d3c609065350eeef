#!/usr/bin/env python3
"""What a request costs the front door, beside nginx as a proxy: requests per CPU second of the proxy.

    cargo build --release -p fissure && python3 bench/door.py [ROUNDS] [SECONDS]

Proxy on CPU 0; wrk and the app (nginx, one process, 1 KiB) on CPU 1; 64 connections that are kept. Rounds are
interleaved, figures are medians, multiples are medians of the multiples within a round. Needs nginx, wrk and two CPUs.
Everything it starts listens on 127.0.0.1 and ends with it.
"""

import os
import pathlib
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
FISSURE = pathlib.Path(os.environ.get("FISSURE_BIN", ROOT / "target/release/fissure"))
TICKS_PER_S = os.sysconf("SC_CLK_TCK")
CONF = """
worker_processes 1; daemon off; master_process off; pid {pid}; error_log stderr error;
events {{ worker_connections 1024; }}
http {{
  access_log off; keepalive_requests 100000000;
  {temp}
  upstream app {{ server 127.0.0.1:{app}; keepalive 64; keepalive_requests 100000000; }}
  server {{
    listen 127.0.0.1:{port};
    location / {{ {serve} }}
  }}
}}
"""
ANSWER = f"return 200 '{'x' * 1024}';"
PASS = (
    "proxy_pass http://app; proxy_http_version 1.1; proxy_set_header Connection ''; proxy_set_header Host $http_host;"
    " proxy_set_header X-Forwarded-For $remote_addr;"
)


def nginx(folder, name, port, app, serve):
    kinds = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
    temp = " ".join(f"{kind}_temp_path {folder}/{name}-{kind};" for kind in kinds)
    conf = folder / f"{name}.conf"
    conf.write_text(CONF.format(pid=folder / f"{name}.pid", temp=temp, app=app, port=port, serve=serve))
    return ["nginx", "-e", "stderr", "-c", str(conf)]


def door(folder, name, port, app, *more):
    """A door before an app of its own, and the pids of the door and of everything else."""
    home = folder / name
    home.mkdir()
    command = " ".join(nginx(folder, f"{name}-app", app, app, ANSWER))
    (home / "fissure.toml").write_text(
        f'[app]\ncommand = "exec {command}"\nport = {app}\n[users]\n[goal]\nusers = 1\np95 = "1s"\n'
    )
    process = subprocess.Popen(
        [FISSURE, "up", "--port", str(port), *more], cwd=home, stdout=subprocess.PIPE, text=True
    )
    for line in process.stdout:
        if "answers at" in line:
            break
    else:
        sys.exit(f"{name} did not start")
    # Nobody reads the lines of a terminal that is not there; the pipe must not fill up.
    subprocess.Popen(["cat"], stdin=process.stdout, stdout=subprocess.DEVNULL)
    return process


def descendants(pid):
    found = []
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text().split():
            found += [int(child), *descendants(int(child))]
    return found


def pin(pid, cpu):
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        os.sched_setaffinity(int(task.name), {cpu})


def cpu_s(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS_PER_S


def peak_mb(pid):
    return int(re.search(r"VmHWM:\s+(\d+)", pathlib.Path(f"/proc/{pid}/status").read_text())[1]) / 1024


def measure(pid, port, seconds):
    before = cpu_s(pid)
    wrk = ["taskset", "-c", "1", "wrk", "-t1", "-c64", f"-d{seconds}s", f"http://127.0.0.1:{port}/"]
    said = subprocess.run(wrk, capture_output=True, text=True, check=True).stdout
    if "Non-2xx" in said or "Socket errors" in said:
        sys.exit(said)
    return int(re.search(r"(\d+) requests in", said)[1]) / (cpu_s(pid) - before)


def main():
    rounds, seconds = (int(word) for word in (sys.argv[1:] + ["3", "5"][len(sys.argv) - 1 :])[:2])
    running = []
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        try:
            plain = door(folder, "plain", 18901, 18991, "--no-record")
            running.append(plain)
            recording = door(folder, "recording", 18902, 18992)
            running.append(recording)
            proxy = subprocess.Popen(nginx(folder, "proxy", 18903, 18991, PASS))
            running.append(proxy)
            time.sleep(0.5)
            tools = {"nginx": (proxy.pid, 18903), "door": (plain.pid, 18901), "door, recording": (recording.pid, 18902)}
            for pid, _ in tools.values():
                for child in descendants(pid):
                    pin(child, 1)
                pin(pid, 0)
            figures = {name: [] for name in tools}
            for _ in range(rounds):
                for name, (pid, port) in tools.items():
                    figures[name].append(measure(pid, port, seconds))
            for name, (pid, _) in tools.items():
                ratios = [own / nginx for own, nginx in zip(figures[name], figures["nginx"])]
                rate, low, high = statistics.median(figures[name]), min(figures[name]), max(figures[name])
                print(
                    f"{name:16} {rate:8.0f} requests per CPU second ({low:.0f} to {high:.0f}),"
                    f" {statistics.median(ratios):.2f} x nginx, {peak_mb(pid):.0f} MB"
                )
        finally:
            for process in running:
                process.send_signal(signal.SIGINT)
            for process in running:
                process.wait(30)


main()
