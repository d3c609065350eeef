"""A small app for tests: sign up, log in, write notes, edit them. Sessions in cookies, a token in every form, ids by counting."""
import html, http.server, os, re, secrets, threading, urllib.parse

users, sessions, notes = {}, {}, {}
lock = threading.Lock()


class App(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self, status, text="", to=None, cookie=None, kind="text/html; charset=utf-8"):
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        if to:
            self.send_header("Location", to)
        if cookie:
            self.send_header("Set-Cookie", f"sid={cookie}; Path=/; HttpOnly")
        if kind == "text/css":
            self.send_header("Cache-Control", "max-age=3600")
        self.end_headers()
        self.wfile.write(body)

    def page(self, title, body):
        self.answer(200, f"<!doctype html><title>{title}</title><link rel=stylesheet href=/style.css>{body}")

    def session(self):
        sid = dict(p.split("=", 1) for p in self.headers.get("Cookie", "").split("; ") if "=" in p).get("sid")
        return sid, sessions.get(sid)

    def form(self, action, fields):
        sid, session = self.session()
        if session is None:
            sid, session = secrets.token_hex(16), {"user": None}
            with lock:
                sessions[sid] = session
            self.fresh = sid
        session["token"] = secrets.token_hex(20)
        return f'<form method=post action="{action}"><input type="hidden" name="csrf" value="{session["token"]}">{fields}<button>Save</button></form>'

    def do_GET(self):
        path = self.path.split("?")[0]
        _, session = self.session()
        user = (session or {}).get("user")
        note = re.fullmatch(r"/notes/(\d+)(/edit)?", path)
        if path == "/health":
            return self.answer(200, "ok")
        if path == "/style.css":
            return self.answer(200, "p {}", kind="text/css")
        if path in ("/signup", "/login"):
            form = self.form(path, "<input name=username><input type=password name=secret>")
            cookie = getattr(self, "fresh", None)
            title = "Sign up" if path == "/signup" else "Log in"
            return self.answer(200, f"<!doctype html><title>{title}</title>{form}", cookie=cookie)
        if path == "/favicon.ico":
            return self.answer(404)
        if user is None:
            return self.answer(302, to="/login")
        if path == "/":
            return self.page("Notes", f"<p id=user>{html.escape(user)}</p><a href=/new>New</a>")
        if path == "/new":
            return self.page("New note", self.form("/notes", "<input name=title><textarea name=text></textarea>"))
        if note and int(note[1]) in notes:
            kept = notes[int(note[1])]
            if kept["user"] != user:
                return self.answer(403, "not yours")
            if note[2]:
                version = f'<input type="hidden" name="version" value="{kept["version"]}">'
                return self.page("Edit", self.form(path, version + f'<input name=title value="{html.escape(kept["title"])}"><textarea name=text></textarea>'))
            return self.page("Note", f'<h1>{html.escape(kept["title"])}</h1><p>{html.escape(kept["text"])}</p><a href="{path}/edit">Edit</a>')
        self.answer(404, "nothing here")

    def do_POST(self):
        sent = dict(urllib.parse.parse_qsl(self.rfile.read(int(self.headers.get("Content-Length", 0))).decode(), keep_blank_values=True))
        sid, session = self.session()
        # Each token is good for one use.
        if session is None or not sent.get("csrf") or session.pop("token", None) != sent["csrf"]:
            return self.answer(403, "bad token")
        user, edit = session["user"], re.fullmatch(r"/notes/(\d+)/edit", self.path)
        if self.path == "/signup":
            with lock:
                if sent["username"] in users:
                    return self.answer(200, "<title>Sign up</title>taken")
                users[sent["username"]] = sent["secret"]
            return self.answer(302, to="/login")
        if self.path == "/login":
            if users.get(sent["username"]) != sent["secret"]:
                return self.answer(200, "<title>Log in</title>wrong")
            fresh = secrets.token_hex(16)
            with lock:
                sessions.pop(sid, None)
                sessions[fresh] = {"user": sent["username"]}
            return self.answer(302, to="/", cookie=fresh)
        if user is None:
            return self.answer(302, to="/login")
        if self.path == "/notes":
            with lock:
                number = len(notes) + 101
                notes[number] = {**sent, "user": user, "version": 7000 + number}
            return self.answer(302, to=f"/notes/{number}")
        if edit and notes[int(edit[1])]["user"] == user:
            kept = notes[int(edit[1])]
            if sent["version"] != str(kept["version"]):
                return self.answer(409, "somebody else was faster")
            kept.update(title=sent["title"], text=sent["text"], version=kept["version"] + 1000)
            return self.answer(302, to=f"/notes/{edit[1]}")
        self.answer(403, "not yours")


class Server(http.server.ThreadingHTTPServer):
    request_queue_size = 256
    daemon_threads = True


Server(("127.0.0.1", int(os.environ["PORT"])), App).serve_forever()
