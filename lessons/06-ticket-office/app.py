"""The ticket office: one hall, many buyers, and no seat is sold twice."""
import http.client
import json
import os
import threading
from urllib.parse import urlsplit

from web import Refused, route, serve

PRICE_CENTS = 4200
SEATS_A_ROW = 40

hall = threading.Lock()
sold = {}
connections = threading.local()


def bank():
    if not hasattr(connections, "bank"):
        address = urlsplit(os.environ.get("BANK_URL", "http://127.0.0.1:7406"))
        connections.bank = http.client.HTTPConnection(address.hostname, address.port, timeout=10)
    return connections.bank


def charge(seat, buyer):
    order = json.dumps({"cents": PRICE_CENTS, "seat": seat, "buyer": buyer})
    bank().request("POST", "/charges", order, {"Content-Type": "application/json"})
    answer = json.loads(bank().getresponse().read())
    return answer["reference"]


def place(seat):
    return {"row": 1 + seat // SEATS_A_ROW, "chair": 1 + seat % SEATS_A_ROW}


@route("GET", "/health")
def health(_request):
    return {"open": True}


@route("GET", "/plan")
def plan(_request):
    return {"sold": len(sold), "next": place(len(sold))}


@route("POST", "/tickets")
def buy(request):
    buyer = request.form.get("buyer", "").strip()
    if not buyer:
        raise Refused(422, "whose ticket is it?")
    with hall:
        seat = len(sold)
        reference = charge(seat, buyer)
        sold[seat] = {"buyer": buyer, "reference": reference}
    return {"ticket": seat, **place(seat)}


@route("GET", "/tickets/{ticket}")
def ticket(_request, ticket):
    found = sold.get(int(ticket)) if ticket.isdigit() else None
    if found is None:
        raise Refused(404, "no such ticket")
    return {"buyer": found["buyer"], **place(int(ticket))}


serve()
