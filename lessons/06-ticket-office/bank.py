"""The bank, as the office sees it: far away, and it takes its time."""
import json
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

ANSWERS_AFTER_S = 0.03


class Bank(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_POST(self):
        order = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        time.sleep(ANSWERS_AFTER_S)
        answer = json.dumps({"charged": order["cents"], "reference": f"b{order['seat']}"}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_):
        pass


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 1024


Server(("127.0.0.1", 7406), Bank).serve_forever()
