"""A small notebook that is clean, or lossy in one of five ways: `notes.py PORT FLAW`, with `FLAW` as `none` for a clean one.
Standard library only.

    ack-before-commit   answers, and writes to the database a moment later
    memory-queue        takes notes into a queue in memory, from which a worker writes them one by one
    swallowed-error     notes lie in a store behind $STORE_URL; an error of it is logged, and the user is told that all is well
    retry               the same; what is not answered in time is sent again, and the store cannot tell that it is the same
    no-persistence      notes lie in the Redis behind $REDIS_URL, and only there (whether it persists is its own matter)

`notes.py PORT store KEY` is the store: with KEY `keyed` it knows a note by its text, with `plain` it takes all it is given.
"""
import json, os, queue, signal, socket, socketserver, sqlite3, sys, threading, time, urllib.parse, urllib.request
from http.server import BaseHTTPRequestHandler, HTTPServer

PORT, KIND = int(sys.argv[1]), sys.argv[2]
LOCK = threading.Lock()


class Table:
    """Notes in SQLite; committed before `add` comes back."""

    def __init__(self, path, keyed=False):
        self.keyed = keyed
        self.db = sqlite3.connect(path, check_same_thread=False)
        self.db.execute("PRAGMA journal_mode = WAL")
        self.db.execute("CREATE TABLE IF NOT EXISTS notes (id TEXT PRIMARY KEY, text TEXT, n INTEGER)")

    def add(self, id, text):
        with LOCK:
            if self.keyed:
                row = self.db.execute("SELECT id FROM notes WHERE text = ?", (text,)).fetchone()
                if row:
                    return row[0]
            self.db.execute("INSERT INTO notes VALUES (?, ?, ?)", (id, text, time.time_ns()))
            self.db.commit()
            return id

    def get(self, id):
        with LOCK:
            row = self.db.execute("SELECT text FROM notes WHERE id = ?", (id,)).fetchone()
        return row and row[0]

    def all(self):
        with LOCK:
            return [text for (text,) in self.db.execute("SELECT text FROM notes ORDER BY n DESC")]


class Late(Table):
    """Acknowledge before commit: the row is seen at once, and committed by whoever comes by later."""

    def __init__(self, path):
        super().__init__(path)
        threading.Thread(target=self.commit_now_and_then, daemon=True).start()

    def add(self, id, text):
        with LOCK:
            self.db.execute("INSERT INTO notes VALUES (?, ?, ?)", (id, text, time.time_ns()))
        return id

    def commit_now_and_then(self):
        while True:
            time.sleep(8)  # so long that hardly ever nobody has written since: with 2 s a kill came right behind it now and then
            with LOCK:
                self.db.commit()


class Queued(Table):
    """A worker writes what lies in the queue; what waits is shown already. A clean one writes the queue down first."""

    def __init__(self, path, journal):
        super().__init__(path)
        self.waiting, self.queue, self.journal = {}, queue.Queue(), None
        if journal:
            self.journal = open(path + ".queue", "a+")
            self.journal.seek(0)
            for line in self.journal:
                id, text = line.rstrip("\n").split("\t")
                if self.get(id) is None:
                    super().add(id, text)
        threading.Thread(target=self.work, daemon=True).start()

    def add(self, id, text):
        if self.journal:
            with LOCK:
                self.journal.write(f"{id}\t{text}\n")
                self.journal.flush()
        self.waiting[id] = text
        self.queue.put((id, text))
        return id

    def work(self):
        while True:
            id, text = self.queue.get()
            time.sleep(0.035)
            super().add(id, text)
            self.waiting.pop(id, None)

    def get(self, id):
        return self.waiting.get(id) or super().get(id)

    def all(self):
        waiting = list(self.waiting.values())
        return waiting + [text for text in super().all() if text not in waiting]


class Remote:
    """Notes behind a link."""

    def __init__(self, url, swallow, tries):
        self.url, self.swallow, self.tries = url, swallow, tries

    def ask(self, path, body=None):
        with urllib.request.urlopen(self.url + path, data=body, timeout=0.4) as answer:
            return answer.read()

    def add(self, id, text):
        for left in reversed(range(self.tries)):
            try:
                return json.loads(self.ask("/notes", json.dumps({"text": text}).encode()))["id"]
            except OSError as error:
                if left:
                    continue
                if not self.swallow:
                    raise
                print("the store does not answer:", error, flush=True)
        return id

    def get(self, id):
        try:
            return json.loads(self.ask("/notes/" + id))["text"]
        except urllib.error.HTTPError as error:
            if error.code == 404:
                return None
            raise

    def all(self):
        return json.loads(self.ask("/notes"))


class Redis:
    """Four commands of a Redis, over one connection for each call."""

    def __init__(self, url):
        at = urllib.parse.urlparse(url)
        self.place = (at.hostname, at.port)

    def ask(self, *words):
        with socket.create_connection(self.place, timeout=1) as s, s.makefile("rwb") as stream:
            stream.write(b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(w), w) for w in (w.encode() for w in words)))
            stream.flush()
            return self.read(stream)

    def read(self, stream):
        kind, rest = (line := stream.readline())[:1], line[1:].strip()
        if not line or kind == b"-":
            raise OSError(f"Redis: {rest!r}")
        if kind == b"$":
            return None if rest == b"-1" else stream.read(int(rest) + 2)[:-2].decode()
        return [self.read(stream) for _ in range(int(rest))] if kind == b"*" else rest.decode()

    def add(self, id, text):
        self.ask("SET", "note:" + id, text)
        self.ask("LPUSH", "notes", text)
        return id

    def get(self, id):
        return self.ask("GET", "note:" + id)

    def all(self):
        return self.ask("LRANGE", "notes", "0", "-1")


def notes():
    flaw = KIND if KIND != "none" else ""
    base = sys.argv[3] if len(sys.argv) > 3 else ""
    if KIND == "store":
        return Table("store.db", keyed=base == "keyed")
    if "REDIS_URL" in os.environ:
        return Redis(os.environ["REDIS_URL"])
    if "STORE_URL" in os.environ:
        return Remote(os.environ["STORE_URL"], flaw == "swallowed-error", 2 if base == "retries" else 1)
    if base == "queue":
        return Queued("notes.db", journal=flaw != "memory-queue")
    return Late("notes.db") if flaw == "ack-before-commit" else Table("notes.db")


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        try:
            id = NOTES.add(os.urandom(8).hex(), asked["text"])
        except OSError as error:
            return self.say(503, str(error))
        self.say(201, {"id": id})

    def do_GET(self):
        try:
            if self.path in ("/notes", "/"):
                return self.say(200, NOTES.all() if self.path != "/" else "ok")
            text = NOTES.get(self.path.rsplit("/", 1)[1])
        except OSError as error:
            return self.say(503, str(error))
        self.say(404, "no such note") if text is None else self.say(200, {"text": text})

    def say(self, status, value):
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class Server(socketserver.ThreadingMixIn, HTTPServer):
    daemon_threads, request_queue_size = True, 128

    def handle_error(self, request, address):
        pass


NOTES = notes()
server = Server(("127.0.0.1", PORT), Handler)
# A clean app ends when it is asked to, after what is under way.
signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
server.serve_forever()
server.server_close()
