"""A room with seats: a ticket by HTTP opens a WebSocket, what is said there gives a seat, and only who has it may order."""
import base64, hashlib, json, os, secrets, struct
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

tickets, seats = set(), set()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self, status, value):
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        if self.path == "/health":
            return self.answer(200, {})
        if self.path == "/ticket":
            ticket = secrets.token_hex(8)
            tickets.add(ticket)
            return self.answer(200, {"ticket": ticket})
        ticket = self.path.partition("?ticket=")[2]
        if self.path.startswith("/room?") and ticket in tickets:
            return self.talk(ticket)
        self.answer(404, {})

    def do_POST(self):
        order = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.answer(201 if order.get("seat") in seats else 403, {})

    def talk(self, ticket):
        key = self.headers["Sec-WebSocket-Key"] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
        self.send_response(101)
        self.send_header("Upgrade", "websocket")
        self.send_header("Connection", "Upgrade")
        self.send_header("Sec-WebSocket-Accept", base64.b64encode(hashlib.sha1(key.encode()).digest()).decode())
        self.end_headers()
        self.close_connection = True
        self.say({"type": "hello"})
        while (heard := self.hear()) is not None:
            if heard.get("type") == "join" and heard.get("ticket") == ticket:
                seat = secrets.token_hex(8)
                seats.add(seat)
                self.say({"type": "tick"})
                self.say({"type": "joined", "seat": seat})
            elif heard.get("type") == "say" and heard.get("seat") in seats:
                self.say({"type": "said", "text": heard["text"]})
            else:
                self.say({"type": "refused"})

    def say(self, value):
        body = json.dumps(value).encode()
        self.wfile.write(struct.pack("!BB", 0x81, len(body)) + body)

    def hear(self):
        head = self.rfile.read(2)
        if len(head) < 2 or head[0] & 0x0F == 8:
            if len(head) == 2:
                self.wfile.write(b"\x88\x00")
            return None
        length = head[1] & 0x7F
        if length == 126:
            (length,) = struct.unpack("!H", self.rfile.read(2))
        mask, body = self.rfile.read(4), self.rfile.read(length)
        return json.loads(bytes(byte ^ mask[n % 4] for n, byte in enumerate(body)))


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128


Server(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
