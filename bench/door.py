#!/usr/bin/env python3
"""What a request costs the front door, beside nginx, HAProxy and Caddy as proxies.

    cargo build --release -p fissure && python3 bench/door.py [ROUNDS] [SECONDS]

Requests per CPU second of the proxy: proxy on CPU 0; wrk and the app (nginx, one process, 1 KiB) on CPU 1; 64 connections
that are kept. Then the latency at 1,000 requests a second over 8 connections, by `fissure load`, and what it is without a
proxy. Then a body of 1 GB in each direction through the door, and its peak memory. Rounds are interleaved, figures are
medians, multiples are medians of the multiples within a round. Needs nginx, wrk and two CPUs; HAProxy and Caddy are
compared where they are installed. Everything it starts listens on 127.0.0.1 and ends with it.
"""

import json
import os
import pathlib
import re
import shutil
import signal
import socket
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
HAPROXY = """
global
  nbthread 1
defaults
  mode http
  timeout client 30s
  timeout server 30s
  timeout connect 5s
  option forwardfor
  http-reuse always
frontend door
  bind 127.0.0.1:{port}
  default_backend app
backend app
  server app 127.0.0.1:{app}
"""
# Takes what it is sent and says as much back as it is asked for.
LARGE = """
import os
from http.server import BaseHTTPRequestHandler, HTTPServer
class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        left = int(self.headers.get("Content-Length") or 0)
        while left: left -= len(self.rfile.read(min(left, 1 << 20)))
        size = int(self.path[1:] or 0)
        self.send_response(200)
        self.send_header("Content-Length", str(size))
        self.end_headers()
        while size: size -= self.wfile.write(b"x" * min(size, 1 << 20))
    do_POST = do_GET
    def log_message(self, *_): pass
HTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
"""
GB = 1_000_000_000


def haproxy(folder, port, app):
    conf = folder / "haproxy.cfg"
    conf.write_text(HAPROXY.format(port=port, app=app))
    return ["haproxy", "-f", str(conf), "-db"]


def caddy(folder, port, app):
    """One CPU as the others; without its administration port, and with its data here."""
    conf = folder / "Caddyfile"
    conf.write_text(f"{{\n admin off\n auto_https off\n}}\nhttp://127.0.0.1:{port} {{\n reverse_proxy 127.0.0.1:{app}\n}}\n")
    own = ["env", "GOMAXPROCS=1", f"HOME={folder}", f"XDG_DATA_HOME={folder}", f"XDG_CONFIG_HOME={folder}"]
    return [*own, "caddy", "run", "--config", str(conf), "--adapter", "caddyfile"]


def nginx(folder, name, port, app, serve):
    kinds = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
    temp = " ".join(f"{kind}_temp_path {folder}/{name}-{kind};" for kind in kinds)
    conf = folder / f"{name}.conf"
    conf.write_text(CONF.format(pid=folder / f"{name}.pid", temp=temp, app=app, port=port, serve=serve))
    return ["nginx", "-e", "stderr", "-c", str(conf)]


def door(folder, name, port, app, *more, command=None):
    """A door before an app of its own."""
    home = folder / name
    home.mkdir()
    (home / "large.py").write_text(LARGE)
    command = command or " ".join(nginx(folder, f"{name}-app", app, app, ANSWER))
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


def latency_us(folder, port, seconds):
    """p50 and p99 at 1,000 requests a second, as the crowd sees them: from the instant at which a request was due."""
    load = [FISSURE, "load", f"http://127.0.0.1:{port}/", "--rate", "1000", "--even", "--connections", "8", "--for"]
    said = subprocess.run(
        ["taskset", "-c", "1", *load, f"{seconds}s", "--json"], cwd=folder, capture_output=True, text=True
    ).stdout
    latency = json.loads(said)["total"]["latency_ms"]
    return latency["p50"] * 1e3, latency["p99"] * 1e3


def large_body(folder):
    """Peak memory of the door before and after a gigabyte has gone each way, in MB, and megabytes per second."""
    process = door(folder, "large", 18910, 18990, "--no-record", command="exec python3 large.py")
    try:
        before, began = peak_mb(process.pid), time.monotonic()
        with socket.create_connection(("127.0.0.1", 18910)) as stream:
            head = f"POST /{GB} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {GB}\r\n\r\n"
            stream.sendall(head.encode())
            piece = b"x" * 1_000_000
            for _ in range(GB // len(piece)):
                stream.sendall(piece)
            came = 0
            while some := stream.recv(1 << 20):
                came += len(some)
        if came < GB:
            sys.exit(f"only {came} bytes of a large body came back")
        return before, peak_mb(process.pid), 2 * GB / 1e6 / (time.monotonic() - began)
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(30)


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
            tools = {"door": (plain.pid, 18901), "door, recording": (recording.pid, 18902)}
            peers = {"nginx": (nginx(folder, "proxy", 18903, 18991, PASS), 18903)}
            peers |= {"haproxy": (haproxy(folder, 18904, 18991), 18904)} if shutil.which("haproxy") else {}
            peers |= {"caddy": (caddy(folder, 18905, 18991), 18905)} if shutil.which("caddy") else {}
            for name, (command, port) in peers.items():
                process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
                running.append(process)
                tools = {name: (process.pid, port), **tools}
            time.sleep(1)
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
                    f" {statistics.median(ratios):.2f} x nginx ({min(ratios):.2f} to {max(ratios):.2f}), {peak_mb(pid):.0f} MB"
                )
            ports = {"no proxy": 18991} | {name: port for name, (_, port) in tools.items()}
            late = {name: [] for name in ports}
            for _ in range(rounds):
                for name, port in ports.items():
                    late[name].append(latency_us(folder, port, seconds))
            direct = statistics.median(p50 for p50, _ in late["no proxy"])
            for name, seen in late.items():
                p50, p99 = (statistics.median(values) for values in zip(*seen))
                print(f"{name:16} at 1,000/s: p50 {p50:.0f} us (added {p50 - direct:.0f}), p99 {p99:.0f} us")
            before, after, rate = large_body(folder)
            print(f"1 GB each way through the door: {rate:.0f} MB/s, peak {before:.1f} MB before, {after:.1f} MB after")
        finally:
            for process in running:
                process.send_signal(signal.SIGINT)
            for process in running:
                process.wait(30)


main()
