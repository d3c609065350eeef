"""The exchange, as the desk sees it: it works on eight questions at a time and needs 50 ms for each."""
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

CLERKS = threading.Semaphore(8)
WORK_S = 0.05


class Exchange(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self):
        asked = parse_qs(urlsplit(self.path).query)
        with CLERKS:
            time.sleep(WORK_S)
        cents = int(asked["cents"][0])
        answer = json.dumps({"rate": 1.08, "gives": round(cents * 1.08)}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_):
        pass


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 1024


Server(("127.0.0.1", 7408), Exchange).serve_forever()
