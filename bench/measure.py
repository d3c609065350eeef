"""The server under load, and one run of a generator: what it printed, its CPU, its memory."""
import os
import signal
import socket
import subprocess
import threading
import time
import urllib.request
from pathlib import Path

GENERATOR_CPU, SERVER_CPU = 0, 1
PAGE = os.sysconf("SC_PAGE_SIZE")


def pinned(cpu):
    """Words before a command: it stays on this CPU, and ends with this process, however that ends."""
    return ["setpriv", "--pdeathsig", "KILL", "taskset", "-c", str(cpu)]


class Server:
    """nginx in one process on one CPU."""

    def __init__(self, folder):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}/"
        text = (Path(__file__).parent / "nginx.conf").read_text()
        text = text.replace("@PORT@", str(self.port)).replace("@KILOBYTE@", "x" * 1024)
        (folder / "nginx.conf").write_text(text)
        command = [*pinned(SERVER_CPU), "nginx", "-p", str(folder), "-c", "nginx.conf", "-e", "error.log"]
        self.asked = 0
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL)
        for _ in range(100):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.05)
        raise SystemExit(f"nginx did not open its port; see {folder}/error.log")

    def served(self):
        """Requests answered so far, by the server's own count (without those that asked for it)."""
        self.asked += 1
        with urllib.request.urlopen(f"{self.url}served") as answer:
            return int(answer.read().split()[9]) - self.asked

    def stall(self, after_s, seconds):
        """Stops the server once for a while. Returns the thread that does it; its `stood_ms` says for how long."""

        def act():
            time.sleep(after_s)
            self.process.send_signal(signal.SIGSTOP)
            began = time.monotonic()
            time.sleep(seconds)
            self.process.send_signal(signal.SIGCONT)
            thread.stood_ms = (time.monotonic() - began) * 1e3

        thread = threading.Thread(target=act)
        thread.start()
        return thread

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGCONT)
        self.process.terminate()
        self.process.wait()


class Run:
    """Runs a command on the generators' CPU to its end. CPU is that of all its processes, from the first instruction on."""

    def __init__(self, command, env, folder, timeout_s):
        self.resident = []  # (seconds since the start, bytes): the whole tree
        output = folder / "output"
        with open(output, "w+") as out, open(folder / "stderr", "w") as err:
            process = subprocess.Popen(
                [*pinned(GENERATOR_CPU), *map(str, command)],
                stdin=subprocess.DEVNULL, stdout=out, stderr=err, cwd=folder, env={**os.environ, **env},
            )
            began = time.monotonic()
            while True:
                pid, self.status, usage = os.wait4(process.pid, os.WNOHANG)
                if pid:
                    break
                passed = time.monotonic() - began
                if passed > timeout_s:
                    process.kill()
                self.resident.append((passed, resident(process.pid)))
                time.sleep(0.2)
            process.returncode = self.status  # reaped here, not by subprocess
        self.cpu_s = usage.ru_utime + usage.ru_stime
        self.resident_max = max((bytes for _, bytes in self.resident), default=0)
        self.stdout = output.read_text()
        self.stderr = (folder / "stderr").read_text()

    def growth_per_minute(self, after_s):
        """Slope of the resident memory by least squares, from `after_s` to two seconds before the end."""
        points = [(t, b) for t, b in self.resident if after_s < t < self.resident[-1][0] - 2]
        mean_t = sum(t for t, _ in points) / len(points)
        mean_b = sum(b for _, b in points) / len(points)
        return 60 * sum((t - mean_t) * (b - mean_b) for t, b in points) / sum((t - mean_t) ** 2 for t, _ in points)


def resident(pid):
    """Bytes of a process and its descendants in memory."""
    total = 0
    try:
        total = int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE
        for task in Path(f"/proc/{pid}/task").iterdir():
            total += sum(resident(child) for child in (task / "children").read_text().split())
    except (OSError, IndexError):
        pass  # it has just ended
    return total
