"""`/` needs nobody. `/stock` asks the stock service and gives up after 0.3 s, with a 503. A thread for each connection."""
import os, socketserver, sys, urllib.request
from http.server import BaseHTTPRequestHandler, HTTPServer


class Server(socketserver.ThreadingMixIn, HTTPServer):
    daemon_threads, request_queue_size = True, 128

    def handle_error(self, request, address):
        pass


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        status, body = 200, b"ok"
        if self.path == "/stock":
            try:
                body = urllib.request.urlopen(os.environ["STOCK_URL"] + "/count", timeout=0.3).read()
            except OSError:
                status, body = 503, b"the stock service does not answer"
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


Server(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
