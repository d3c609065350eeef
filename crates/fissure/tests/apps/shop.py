"""A shop that checks all it is sent, and remembers what each visitor did, in order, without what differs from visitor to visitor.

GET /__seen gives {sequence: how many visitors}. The port is printed.
"""

import json
import re
import secrets
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs

UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
# The names that visitors have, however they are escaped.
USER = re.compile(r"""beatrix|willibald|o(\\*'|%27)(\\*"|%22)brien""")
visitors = {}


class Shop(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.path == "/__seen":
            return self.reply(200, json.dumps(Counter("\n".join(v["did"]) for v in visitors.values())))
        cookies = dict(c.split("=", 1) for c in re.findall(r"[^; ]+=[^; ]*", self.headers.get("Cookie", "")))
        sid = cookies.get("sid")
        if sid not in visitors:
            sid = secrets.token_hex(16)
            number = 1000 + len(visitors)
            visitors[sid] = {"csrf": secrets.token_hex(16), "id": number, "user": None, "did": []}
        me = visitors[sid]
        route = f"{self.command} {self.path.split('?')[0]}"
        status, text, headers = self.serve(route, me, body)
        shown = self.shown(me, sorted(cookies), body)
        me["did"].append(f"{shown} -> {status}")
        self.reply(status, text, headers + [("Set-Cookie", f"sid={sid}; Path=/; HttpOnly")])

    do_GET = do_POST = do_PUT = answer

    def serve(self, route, me, body):
        if route == "GET /login":
            return 200, f'<input name="csrf" value="{me["csrf"]}">', []
        if route == "POST /login":
            form = parse_qs(body.decode(), strict_parsing=True)
            if form["csrf"] != [me["csrf"]] or form["password"] != ["a b&c=\u00fc1"]:
                return 403, "no", []
            me["user"] = form["user"][0]
            return 303, "", [("Location", "home?from=login")]
        if route == "GET /home" and me["user"]:
            return 200, f"Hello, {me['user']}", [("X-Kind", "a"), ("X-Kind", "b")]
        if route == "POST /photos" and me["user"] and b"\x00\xff\xfe\r\n" in body:
            return 201, json.dumps({"id": me["id"]}), [("ETag", f'"{me["id"]}"')]
        if route == f"GET /photos/{me['id']}" and self.headers["If-None-Match"] == f'"{me["id"]}"':
            return 304, "", []
        if route == "POST /orders" and json.loads(body) == {"photo": me["id"], "note": f'for "{me["user"]}"'}:
            return 201, json.dumps({"state": "paid", "items": [1, 2]}), []
        if route == "GET /browse":
            return 200, "abc", [("X-Page", "1, 2")]
        return 404, "", []

    def shown(self, me, cookies, body):
        kind = self.headers.get("Content-Type", "")
        boundary = re.search("boundary=(.*)", kind)
        names = ["Accept", "Authorization", "X-Trace", "If-None-Match"]
        own = {n: self.headers[n] for n in names if self.headers[n]}
        line = f"{self.command} {self.path} {own} {cookies} {kind} {body!r}"
        if boundary:
            line = line.replace(boundary[1], "BOUNDARY")
        for value, name in [(me["csrf"], "CSRF"), (str(me["id"]), "ID")]:
            line = line.replace(value, name)
        return USER.sub("USER", UUID.sub("UUID", line))

    def reply(self, status, text, headers=()):
        data = text.encode()
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        if status != 304:
            self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


server = ThreadingHTTPServer(("127.0.0.1", 0), Shop)
print(server.server_port, flush=True)
server.serve_forever()
