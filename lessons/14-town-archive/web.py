"""A small router over the standard library's HTTP server."""
import json
import os
import re
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

ROUTES = []


class Refused(Exception):
    """Ends a request with a status of its own."""

    def __init__(self, status, text):
        super().__init__(text)
        self.status = status


def route(method, path):
    shape = re.compile("^" + re.sub(r"{(\w+)}", r"(?P<\1>[^/]+)", path) + "$")

    def register(handler):
        ROUTES.append((method, shape, handler))
        return handler

    return register


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self):
        self.dispatch("GET")

    def do_POST(self):
        self.dispatch("POST")

    def dispatch(self, method):
        url = urlsplit(self.path)
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.query = {name: values[0] for name, values in parse_qs(url.query).items()}
        try:
            self.form = {name: values[0] for name, values in parse_qs(body.decode()).items()}
            for wanted, shape, handler in ROUTES:
                found = shape.match(url.path)
                if wanted == method and found:
                    return self.send(200, handler(self, **found.groupdict()))
            self.send(404, {"error": "there is no such page"})
        except Refused as refusal:
            self.send(refusal.status, {"error": str(refusal)})

    def send(self, status, answer):
        text = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_):
        pass


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 1024


def serve():
    Server(("127.0.0.1", int(os.environ.get("PORT", 8000))), Handler).serve_forever()
