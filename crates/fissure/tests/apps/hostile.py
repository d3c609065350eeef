"""A server with one bad habit, named by the environment variable HABIT. Standard library only."""
import gzip, os, signal, socket, sys, threading, time

HABIT = os.environ.get("HABIT", "none")
PORT = int(os.environ["PORT"])
OK = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nok"
served = 0
born = time.time()


def answer(connection, path):
    """Sends one answer; True when the connection may be used again."""
    global served
    served += 1
    if path == "/health":
        connection.sendall(OK)
        return True
    if HABIT == "dies_under_load" and served > 200:
        print("fatal: the heap is full of bees", flush=True)
        os.kill(os.getpid(), signal.SIGKILL)
    if HABIT == "answers_500":
        connection.sendall(b"HTTP/1.1 500 Oops\r\nContent-Length: 4\r\n\r\noops")
    elif HABIT == "never_answers":
        time.sleep(60)
    elif HABIT == "closes":
        return False
    elif HABIT == "wrong_length":
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nshort")
        return False
    elif HABIT == "endless":
        connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            connection.sendall(b"10000\r\n" + b"x" * 0x10000 + b"\r\n")
    elif HABIT == "redirects" and path == "/":
        connection.sendall(b"HTTP/1.1 302 Found\r\nLocation: /there\r\nContent-Length: 0\r\n\r\n")
    elif HABIT == "gzip":
        body = gzip.compress(b'{"id": 7}')
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
    elif HABIT == "chunked":
        connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n")
    elif HABIT == "large":
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 104857600\r\n\r\n")
        for _ in range(100):
            connection.sendall(b"x" * 1048576)
    elif HABIT == "not_http":
        connection.sendall(b"220 mail.example.org ESMTP\r\n")
        return False
    else:
        if HABIT == "asks_a_server":
            with open("server.txt") as place, socket.socket(socket.AF_UNIX) as server:
                server.connect(place.read())
                time.sleep(0.1)
        connection.sendall(OK)
    return True


def serve(connection):
    try:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        buffer = b""
        while True:
            while b"\r\n\r\n" not in buffer:
                more = connection.recv(65536)
                if not more:
                    return
                buffer += more
            head, buffer = buffer.split(b"\r\n\r\n", 1)
            if not answer(connection, head.split(b" ")[1].decode()):
                return
    except OSError:
        pass
    finally:
        connection.close()


if HABIT == "does_not_start":
    print("ModuleNotFoundError: No module named 'flask'", file=sys.stderr, flush=True)
    sys.exit(3)
if HABIT == "starts_late":
    time.sleep(2)
if HABIT == "writes":
    with open("data.txt", "a") as data:
        data.write("the app was here\n")
listener = socket.socket()
listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
listener.bind(("127.0.0.1", 0 if HABIT == "other_port" else PORT))
listener.listen(512)
if HABIT == "forks":
    os.fork()
while True:
    threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()
