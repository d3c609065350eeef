#!/usr/bin/env python3
"""How well a check knows what each route costs: programs whose routes burn a known time of CPU, and what report.json says of them.

    bench/demands.py --programs 5 --routes 20 --budget 60s

The truth is the time that the program burns by its thread's own clock, plus what a request costs that burns nothing, by the kernel's
clock of the process. Python's standard library and a C compiler.
"""
import argparse
import json
import os
import random
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
FISSURE = os.environ.get("FISSURE_BIN", str(HERE.parent / "target/release/fissure"))
PROGRAM = r"""
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
static double clock_ms(void) {
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return t.tv_sec * 1e3 + t.tv_nsec / 1e6;
}
/* GET /<name>/<milliseconds> burns so much. */
static void *serve(void *socket) {
    int fd = (int)(intptr_t)socket;
    char text[8192];
    size_t held = 0;
    for (ssize_t n; (n = read(fd, text + held, sizeof text - 1 - held)) > 0;) {
        held += (size_t)n;
        text[held] = 0;
        if (!strstr(text, "\r\n\r\n")) continue;
        char *path = strchr(text + 5, '/');
        double burn = path ? atof(path + 1) : 0, until = clock_ms() + burn;
        while (burn > 0 && clock_ms() < until) {}
        static const char answer[] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
        if (write(fd, answer, sizeof answer - 1) < 0) break;
        held = 0;
    }
    close(fd);
    return NULL;
}
int main(int count, char **arguments) {
    int listener = socket(AF_INET, SOCK_STREAM, 0), yes = 1;
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(arguments[count - 1]))};
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    if (bind(listener, (struct sockaddr *)&at, sizeof at) || listen(listener, 1024)) return 1;
    for (;;) {
        int fd = accept(listener, NULL, NULL);
        pthread_t thread;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
        if (!pthread_create(&thread, NULL, serve, (void *)(intptr_t)fd)) pthread_detach(thread);
    }
}
"""


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--programs", type=int, default=5)
    parser.add_argument("--routes", type=int, default=20)
    parser.add_argument("--budget", default="60s")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    errors, inside, asked = [], 0, 0
    for n in range(args.programs):
        chance = random.Random(args.seed * 1000 + n)
        folder = Path(tempfile.mkdtemp(prefix="fissure-demands-"))
        try:
            costs = planted(folder, args.routes, chance)
            base_ms = cost_of_nothing(folder)
            began = time.monotonic()
            said = checked(folder, args.budget)
            took_s = time.monotonic() - began
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        of_this = []
        for route, burnt_ms in costs.items():
            truth_ms, told = burnt_ms + base_ms, said.get(route)
            asked += 1
            if told is None:
                of_this.append(1.0)
                continue
            of_this.append(abs(told["mid"] / truth_ms - 1))
            inside += told["low"] <= truth_ms <= told["high"]
        errors += of_this
        print(f"program {n + 1}: {quantiles(of_this)}; base {base_ms:.3f} ms, {took_s:.0f} s", flush=True)
    print(f"{len(errors)} routes: {quantiles(errors)}; {inside} of {asked} intervals hold the truth")


def quantiles(errors):
    ordered = sorted(errors)
    at = lambda q: ordered[min(len(ordered) - 1, int(q * len(ordered)))]
    return f"error median {at(0.5):.1%}, p90 {at(0.9):.1%}, largest {ordered[-1]:.1%}"


def planted(folder, routes, chance):
    """A program, its journeys and the milliseconds of each route."""
    (folder / "program.c").write_text(PROGRAM)
    subprocess.run(["cc", "-O2", "-pthread", "-o", "program", "program.c"], cwd=folder, check=True)
    (folder / "journeys").mkdir()
    costs, weights, requests, work_ms = {}, {}, 0.0, 0.0
    names = [f"area{n}" for n in range(routes)]
    chance.shuffle(names)
    for j in range(0, routes, 5):
        weight, lines = chance.choice([1, 2, 4]), []
        for name in names[j : j + 5]:
            cost_ms = round(0.3 * 100 ** chance.random(), 3)
            costs[f"GET /{name}/{cost_ms}"] = cost_ms
            lines.append(f"GET {{{{base}}}}/{name}/{cost_ms}\nHTTP 200\n")
            requests += weight
            work_ms += weight * cost_ms
        (folder / f"journeys/j{j}.hurl").write_text("".join(lines))
        weights[f"journeys/j{j}.hurl"] = weight
    listed = ", ".join(f'"{name}" = {weight}' for name, weight in weights.items())
    rate = 1.3 * 1000 / (work_ms / requests)  # more than one CPU does: a goal that is met needs no costs
    (folder / "fissure.toml").write_text(
        f'[app]\ncommand = "exec ./program $PORT"\nhealth = "/"\n[users]\nweights = {{ {listed} }}\n'
        f'[goal]\nrequests_per_s = {rate:.1f}\np95 = "2s"\n[limits]\napp_cpus = 1\n'
    )
    return costs


def cost_of_nothing(folder):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    program = subprocess.Popen([folder / "program", str(port)])
    try:
        while True:
            try:
                client = socket.create_connection(("127.0.0.1", port))
                break
            except ConnectionRefusedError:
                time.sleep(0.01)
        before, count = cpu_s(program.pid), 4000
        for _ in range(count):
            client.sendall(b"GET /none/0 HTTP/1.1\r\nHost: a\r\n\r\n")
            client.recv(4096)
        return (cpu_s(program.pid) - before) / count * 1e3
    finally:
        program.kill()
        program.wait()


def cpu_s(pid):
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def checked(folder, budget):
    out = subprocess.run([FISSURE, "check", "--budget", budget, "--json"], cwd=folder, capture_output=True, text=True)
    try:
        demands = json.loads(out.stdout)["demands"]
    except (json.JSONDecodeError, KeyError):
        raise SystemExit(f"no report: {out.stdout[-500:]}{out.stderr[-2000:]}")
    return {d["route"]: d["cpu_ms"] for d in demands}


if __name__ == "__main__":
    main()
