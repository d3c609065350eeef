"""Parcels: where is mine?"""
import sqlite3
import threading

from web import Refused, route, serve

local = threading.local()


def db():
    if not hasattr(local, "db"):
        local.db = sqlite3.connect("parcels.db", timeout=10)
        local.db.execute("PRAGMA synchronous = OFF")
    return local.db


def depot_by_id(depot):
    row = db().execute("SELECT id, town, docks FROM depots WHERE id = ?", (depot,)).fetchone()
    if row is None:
        raise Refused(404, "no such depot")
    return dict(zip(("id", "town", "docks"), row))


def find_parcel(code):
    statement = "SELECT id, depot, weight, state FROM parcels WHERE code = ?"
    row = db().execute(statement, (code,)).fetchone()
    if row is None:
        raise Refused(404, "no such parcel")
    return row


@route("GET", "/health")
def health(_request):
    return {"open": True}


@route("GET", "/depots")
def depots(_request):
    rows = db().execute("SELECT id, town FROM depots ORDER BY town LIMIT 20").fetchall()
    return [{"id": id, "town": town} for id, town in rows]


@route("GET", "/depots/{depot}")
def depot(_request, depot):
    return depot_by_id(depot)


@route("GET", "/track/{code}")
def track(_request, code):
    id, depot, weight, state = find_parcel(code)
    return {"parcel": id, "at": depot_by_id(depot)["town"], "weight": weight, "state": state}


@route("POST", "/complaints")
def complain(request):
    text = request.form.get("text", "").strip()
    if len(text) < 5:
        raise Refused(422, "please tell us more")
    return {"thanks": True, "words": len(text.split())}


serve()
