"""A server with a dozen features; `PLANTED=kind` keeps the state of one of them where only one process finds it.

Without it everything that must be shared is in SQLite, and answers differ by chance in more than twenty ways.
"""

import base64
import gzip
import hashlib
import hmac
import json
import os
import random
import secrets
import socket
import sqlite3
import tempfile
import threading
import time
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PLANTED = os.environ.get("PLANTED", "")
PORT = int(os.environ["PORT"])
LOCAL = threading.local()
LOCK = threading.Lock()
SECRET = secrets.token_bytes(16) if PLANTED == "secret" else b"from the configuration"


def db():
    if not hasattr(LOCAL, "db"):
        LOCAL.db = sqlite3.connect("app.db", timeout=5, isolation_level=None)
    return LOCAL.db


class Shared:
    """A dictionary that every process sees."""

    def __init__(self, kind):
        self.kind = kind

    def get(self, key):
        row = db().execute("SELECT value FROM kept WHERE kind=? AND key=?", (self.kind, key)).fetchone()
        return row and json.loads(row[0])

    def put(self, key, value):
        db().execute("INSERT OR REPLACE INTO kept VALUES (?,?,?)", (self.kind, key, json.dumps(value)))

    def pop(self, key):
        gone = db().execute("DELETE FROM kept WHERE kind=? AND key=? RETURNING value", (self.kind, key)).fetchall()
        return gone and json.loads(gone[0][0])

    def count(self, key):
        db().execute("INSERT OR IGNORE INTO kept VALUES (?,?,'0')", (self.kind, key))
        return db().execute(
            "UPDATE kept SET value=CAST(value AS INTEGER)+1 WHERE kind=? AND key=? RETURNING value", (self.kind, key)
        ).fetchall()[0][0]


class Own:
    """The same, in this process."""

    def __init__(self, _kind):
        self.kept = {}

    def get(self, key):
        return self.kept.get(key)

    def put(self, key, value):
        self.kept[key] = value

    def pop(self, key):
        return self.kept.pop(key, None)

    def count(self, key):
        self.kept[key] = int(self.kept.get(key, 0)) + 1
        return self.kept[key]


def state(kind):
    return (Own if PLANTED == kind else Shared)(kind)


def setup():
    d = db()
    if PLANTED == "migration":
        # Looks first, acts later: two who start at once both act.
        known = d.execute("SELECT name FROM sqlite_master WHERE name='migrated'").fetchone()
        if not known:
            time.sleep(0.2)
            d.execute("CREATE TABLE migrated (version INTEGER)")
            d.execute("INSERT INTO migrated VALUES (1)")
    else:
        d.execute("CREATE TABLE IF NOT EXISTS migrated (version INTEGER UNIQUE)")
        d.execute("INSERT OR IGNORE INTO migrated VALUES (1)")
    d.execute("CREATE TABLE IF NOT EXISTS kept (kind, key, value, PRIMARY KEY (kind, key))")
    d.execute("CREATE TABLE IF NOT EXISTS baskets (basket, item)")
    d.execute("CREATE TABLE IF NOT EXISTS items (id INTEGER PRIMARY KEY, name TEXT)")
    d.execute("CREATE TABLE IF NOT EXISTS members (id INTEGER PRIMARY KEY, name TEXT)")
    d.execute("CREATE TABLE IF NOT EXISTS reports (id INTEGER PRIMARY KEY, day TEXT)")
    if PLANTED != "lock":
        d.execute("CREATE UNIQUE INDEX IF NOT EXISTS one_name ON members (name)")


def schedule():
    """Every process its own clock; the right way is a row that only one can claim."""
    day = 0
    while True:
        day += 1
        if PLANTED == "cron":
            db().execute("INSERT INTO reports (day) VALUES (?)", (f"day {day}",))
        else:
            db().execute("INSERT OR IGNORE INTO reports VALUES (?,?)", (day, f"day {day}"))
        time.sleep(3600)


SESSIONS, VIEWS, CSRF, PROFILE, IDS = map(state, ["session", "counter", "csrf", "writebehind", "idgen"])
CACHE = {}
OPEN = {}
UPLOADS = tempfile.mkdtemp() if PLANTED == "upload" else "uploads"
os.makedirs(UPLOADS, exist_ok=True)


def sign(name):
    return hmac.new(SECRET, name.encode(), hashlib.sha256).hexdigest()


def noise():
    """What differs from answer to answer in an app in which nothing is wrong."""
    words = ["ant", "bee", "cat", "dog", "elk"]
    random.shuffle(words)
    return {
        "now": time.time(), "iso": time.strftime("%Y-%m-%dT%H:%M:%SZ"), "date": time.ctime(), "uuid": str(uuid.uuid4()),
        "token": secrets.token_urlsafe(16), "nonce": secrets.token_hex(8), "order": words, "some": words[: random.randrange(5)],
        "coin": random.random() < 0.5, "dice": random.randrange(6), "variant": random.choice("AB"), "pid": os.getpid(),
        "port": PORT, "host": socket.gethostname(), "load": os.getloadavg()[0], "took_ms": random.expovariate(1),
        "jitter": 1000 + random.randrange(100), "float": 0.1 + random.random() * 1e-12, "tmp": tempfile.gettempdir() + secrets.token_hex(4),
        "thread": threading.get_ident(), "set": list({secrets.token_hex(2) for _ in range(4)}), "maybe": random.choice([None, "there"]),
        "zipped": base64.b64encode(gzip.compress(b"the same text")).decode(), "cursor": base64.b64encode(os.urandom(9)).decode(),
        "keyed": {secrets.token_hex(3): 1}, "mixed": random.choice([1, "one"]),
    }


class Server(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        try:
            data = json.loads(body) if body[:1] == b"{" else {}
        except ValueError:
            data = {}
        path, _, _ = self.path.partition("?")
        parts = path.strip("/").split("/")
        try:
            status, out = self.serve(f"{self.command} {parts[0]}", parts[1:], data, body)
        except sqlite3.Error as e:
            status, out = 500, {"error": str(e)}
        self.reply(status, out)

    do_GET = do_POST = do_PUT = do_DELETE = answer

    def cookie(self, name):
        for pair in self.headers.get("Cookie", "").split(";"):
            key, _, value = pair.strip().partition("=")
            if key == name:
                return value
        return ""

    def serve(self, route, rest, data, body):
        self.extra = {}
        match route:
            case "GET health":
                return 200, {"ok": True}
            case "GET noise":
                return 200, noise()
            case "GET page":
                quote = "so good " * random.randrange(1, 4)
                return 200, f"<html><p>{quote}</p><input name=csrf value={secrets.token_hex(8)}><b>4 items</b></html>"
            # Who is logged in.
            case "POST login":
                sid = secrets.token_hex(16)
                SESSIONS.put(sid, data["name"])
                self.extra["Set-Cookie"] = f"sid={sid}; Path=/; HttpOnly"
                return 200, {"hello": data["name"]}
            case "GET me":
                name = SESSIONS.get(self.cookie("sid"))
                return (200, {"name": name}) if name else (401, {"error": "log in first"})
            # A signed token.
            case "POST token":
                return 200, {"token": f'{data["name"]}.{sign(data["name"])}'}
            case "GET signed":
                name, _, mark = self.headers.get("Authorization", "").removeprefix("Bearer ").partition(".")
                return (200, {"name": name}) if mark == sign(name) else (401, {"error": "bad signature"})
            # A list that is cached.
            case "POST items":
                new = db().execute("INSERT INTO items (name) VALUES (?) RETURNING id", (data["name"],)).fetchall()[0][0]
                CACHE.clear()
                return 201, {"id": new, "name": data["name"]}
            case "GET items":
                if PLANTED == "cache" and "items" in CACHE:
                    return 200, CACHE["items"]
                CACHE["items"] = [dict(zip(("id", "name"), r)) for r in db().execute("SELECT id, name FROM items ORDER BY id")]
                return 200, CACHE["items"]
            case "POST views":
                return 200, {"views": int(VIEWS.count("front"))}
            # Looks first, then inserts; inside a lock.
            case "POST members":
                with LOCK:
                    if db().execute("SELECT 1 FROM members WHERE name=?", (data["name"],)).fetchone():
                        return 409, {"error": "taken"}
                    time.sleep(0.005)
                    try:
                        db().execute("INSERT INTO members (name) VALUES (?)", (data["name"],))
                    except sqlite3.IntegrityError:
                        return 409, {"error": "taken"}
                return 201, {"member": data["name"]}
            case "POST files":
                name = hashlib.sha256(body).hexdigest()[:12]
                with open(os.path.join(UPLOADS, name), "wb") as file:
                    file.write(body)
                return 201, {"file": name}
            case "GET files":
                try:
                    with open(os.path.join(UPLOADS, rest[0]), "rb") as file:
                        return 200, file.read()
                except OSError:
                    return 404, {"error": "no such file"}
            # A transaction that spans requests, on the connection of this process.
            case "POST basket":
                key = data["basket"]
                if PLANTED == "connection":
                    OPEN.setdefault(key, []).append(data["item"])
                else:
                    db().execute("INSERT INTO baskets VALUES (?,?)", (key, data["item"]))
                return 200, {"ok": True}
            case "POST commit":
                found = OPEN.pop(data["basket"], [])
                if PLANTED != "connection":
                    rows = db().execute("DELETE FROM baskets WHERE basket=? RETURNING item", (data["basket"],))
                    found = sorted(row[0] for row in rows.fetchall())
                for name in found:
                    db().execute("INSERT INTO items (name) VALUES (?)", (name,))
                return 200, {"ok": True}
            case "POST invoices":
                if PLANTED == "idgen" and not IDS.get("n"):
                    IDS.put("n", 1000)
                number = int(IDS.count("n"))
                Shared("invoice").put(str(number), data)
                return 201, {"number": number}
            case "GET form":
                mark = secrets.token_hex(16)
                CSRF.put(mark, True)
                return 200, f'<form><input name="csrf" value="{mark}"></form>'
            case "POST form":
                return (200, {"ok": True}) if CSRF.pop(data["csrf"]) else (403, {"error": "the form is too old"})
            case "PUT profile":
                PROFILE.put(data["who"], data["city"])
                return 200, {"ok": True}
            case "GET profile":
                return 200, {"city": PROFILE.get(rest[0])}
            case "GET reports":
                return 200, [r[0] for r in db().execute("SELECT day FROM reports")]
        return 404, {"error": "nothing here"}

    def reply(self, status, out):
        data = out if isinstance(out, bytes) else (out if isinstance(out, str) else json.dumps(out)).encode()
        kind = "application/octet-stream" if isinstance(out, bytes) else "text/html" if isinstance(out, str) else "application/json"
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.send_header("X-Request-Id", uuid.uuid4().hex)
        if self.path == "/noise":
            self.send_header("ETag", f'"{secrets.token_hex(6)}"')
            self.send_header("Server-Timing", f"db;dur={random.random()}")
            self.send_header("Set-Cookie", f"visitor={secrets.token_hex(8)}; Path=/")
        for name, value in self.extra.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)


class Listener(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64


setup()
threading.Thread(target=schedule, daemon=True).start()
Listener(("127.0.0.1", PORT), Server).serve_forever()
