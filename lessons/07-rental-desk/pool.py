"""Connections to the fleet's database, kept open and lent out."""
import json
import os
import queue
import socket
from contextlib import contextmanager
from urllib.parse import urlsplit

SIZE = int(os.environ.get("POOL_SIZE", 2))


def connect():
    address = urlsplit(os.environ.get("FLEET_URL", "tcp://127.0.0.1:7407"))
    connection = socket.create_connection((address.hostname, address.port), timeout=10)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection.makefile("rw")


class Pool:
    def __init__(self, size):
        self.free = queue.Queue()
        for _ in range(size):
            self.free.put(connect())

    @contextmanager
    def borrow(self):
        connection = self.free.get()
        try:
            yield connection
        finally:
            self.free.put(connection)


def ask(pool, **question):
    with pool.borrow() as connection:
        connection.write(json.dumps(question) + "\n")
        connection.flush()
        return json.loads(connection.readline())
