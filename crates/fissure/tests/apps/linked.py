"""An app with a known answer: `/` needs nobody, `/stock` asks the service at $STOCK_URL, which is another copy of this program.
The port is the argument. Standard library only."""
import os, socketserver, sys, threading, urllib.request
from http.server import BaseHTTPRequestHandler, HTTPServer


class Server(socketserver.ThreadingMixIn, HTTPServer):
    daemon_threads = True
    request_queue_size = 128

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
