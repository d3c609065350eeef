"""The canteen: what is for lunch, and what did people think of it?"""
import sqlite3
import threading

from web import Refused, route, serve

MENU = """
    SELECT d.id, d.name, d.cents, round(avg(o.stars), 2) AS liked, count(*), sum(o.year >= 2022)
    FROM dishes d JOIN opinions o ON o.dish = d.id
    GROUP BY d.id
    ORDER BY liked DESC, d.id
"""
local = threading.local()


def db():
    if not hasattr(local, "db"):
        local.db = sqlite3.connect("lunch.db", timeout=10)
        local.db.execute("PRAGMA synchronous = OFF")
    return local.db


def best_of_each_kitchen():
    rows = db().execute(MENU).fetchall()
    return [{"id": id, "name": name, "cents": cents, "liked": liked} for id, name, cents, liked, _, _ in rows[:12]]


@route("GET", "/health")
def health(_request):
    return {"open": True}


@route("GET", "/menu")
def menu(_request):
    dishes = best_of_each_kitchen()
    return {"dishes": dishes, "cheapest": min(dish["cents"] for dish in dishes)}


@route("GET", "/dishes/{dish}")
def dish(_request, dish):
    row = db().execute("SELECT name, cents FROM dishes WHERE id = ?", (dish,)).fetchone()
    if row is None:
        raise Refused(404, "we never cooked that")
    return {"name": row[0], "cents": row[1]}


@route("POST", "/wishes")
def wish(request):
    text = request.form.get("text", "").strip()
    if not text:
        raise Refused(422, "what do you wish for?")
    with db() as connection:
        added = connection.execute("INSERT INTO wishes (text) VALUES (?)", (text,))
    return {"wish": added.lastrowid}


serve()
