"""An auction: the highest bid is known at once, and every bid is stamped by a notary."""
import os
import socket
from urllib.parse import urlsplit

from web import Refused, route, serve

LOTS = {str(n): {"lot": n, "title": f"Lot {n}", "highest": 100 * n, "bids": []} for n in range(1, 41)}


def connect():
    address = urlsplit(os.environ.get("NOTARY_URL", "tcp://127.0.0.1:7415"))
    connection = socket.create_connection((address.hostname, address.port), timeout=10)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection.makefile("rwb")


notary = connect()


def stamp(lot, bidder, amount):
    notary.write(f"{lot} {bidder} {amount}\n".encode())
    notary.flush()
    answer = notary.readline()
    return answer.decode().split()[1]


def the_lot(lot):
    if lot not in LOTS:
        raise Refused(404, "no such lot")
    return LOTS[lot]


@route("GET", "/health")
def health(_request):
    return {"open": True}


@route("GET", "/lots")
def lots(_request):
    return [{"lot": lot["lot"], "bids": len(lot["bids"])} for lot in LOTS.values()]


@route("GET", "/lots/{lot}")
def show(_request, lot):
    found = the_lot(lot)
    return {"title": found["title"], "highest": found["highest"], "bids": len(found["bids"])}


@route("POST", "/lots/{lot}/bids")
def bid(request, lot):
    found = the_lot(lot)
    bidder = request.form.get("bidder", "")
    amount = found["highest"] + 5
    stamped = stamp(lot, bidder, amount)
    found["highest"] = amount
    found["bids"].append({"bidder": bidder, "amount": amount, "stamp": stamped})
    return {"bid": len(found["bids"]), "amount": amount, "stamp": stamped}


serve()
